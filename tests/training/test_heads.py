"""The recipe that each head is trained by, and recipes that no training can follow."""

from __future__ import annotations

import pytest
import transformers

from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.rewards.recipes.reader import read_recipe
from prm_eval.training.heads import RECIPE, plain, plan_head, trained_as, write_recipe
from prm_eval.training.options import HEADS, TrainOptions
from prm_eval.training.targets import Columns
from tests.real_tokenizers import folder, is_here
from tests.training import small

TRAINABLE = {"miniature-orm", "miniature-prm", "math-shepherd", "math-psa", "pure", "pure-prm800k", "h4-prm-0.2",
             "rlhflow-orm", "rlhflow-prm-deepseek", "rlhflow-prm-mistral", "sequence-classification",
             "token-classification", "versaprm", "versaprm-qwen"}  # fmt: skip


@pytest.mark.parametrize("kind", ["prm", "orm"])
@pytest.mark.parametrize("head", HEADS)
def test_own_recipes_are_recipes(tmp_path, kind, head) -> None:
    """Otherwise OUT/recipe.yaml is refused by `prm-eval score`, after the training."""
    plan = plan_head(TrainOptions(kind, head=head), small.tokenizer(), "tiny", tmp_path)
    again = read_recipe(tmp_path / RECIPE)
    assert again == plan.recipe and again.kind == kind and again.splitter is None
    assert plan.columns.n == (1 if head in ("value", "sequence-classification") else 2)
    shipped = shipped_recipes()
    if (kind, head) in (("prm", "token-classification"), ("orm", "sequence-classification")):
        # so that such a checkpoint is fed rightly where nobody names its recipe
        assert again.render == shipped[head].render


def test_neutral_as_a_class_of_its_own(tmp_path) -> None:
    """Otherwise the score of a step leaves the neutral class out, which the paper counts as good."""
    for head in ("token-classification", "lm-rows"):
        plan = plan_head(TrainOptions("prm", head=head, neutral="class"), small.tokenizer(), "tiny", tmp_path)
        assert plan.columns == Columns(3, 0, 2, 1)
        assert plan.recipe.score.rule == "classes" and set(plan.recipe.score.good) == {1, 2}
    for head in ("value", "sequence-classification"):
        with pytest.raises(PrmEvalError, match="--neutral class: the head of the recipe has 1 outputs"):
            plan_head(TrainOptions("prm", head=head, neutral="class"), small.tokenizer(), "tiny", tmp_path)


def test_shipped_recipes_are_trained_or_refused_in_words() -> None:
    """Otherwise a checkpoint comes out that transformers cannot load, or that its recipe does not read."""
    for name, recipe in shipped_recipes().items():
        try:
            plan = trained_as(recipe)
        except ModelError as error:
            assert name not in TRAINABLE and ("no class of transformers has" in str(error) or "raw" in str(error))
        else:
            assert (name in TRAINABLE and plan.columns.good != plan.columns.bad) or plan.columns.n == 1


def test_a_given_recipe_keeps_what_it_reads(tmp_path) -> None:
    """Otherwise the trained checkpoint is fed otherwise than the recipe that was asked for."""
    plan = plan_head(TrainOptions("prm", recipe="token-classification"), small.tokenizer(), "tiny", tmp_path)
    given = shipped_recipes()["token-classification"]
    assert (plan.recipe.render, plan.recipe.head, plan.recipe.score) == (given.render, given.head, given.score)
    assert not plan.recipe.models and "after the recipe token-classification" in plan.recipe.source
    with pytest.raises(PrmEvalError, match="is of the kind prm; expected orm"):
        plan_head(TrainOptions("orm", recipe="token-classification"), small.tokenizer(), "tiny", tmp_path)
    with pytest.raises(ModelError, match="no class of transformers has"):
        plan_head(TrainOptions("prm", recipe="qwen2.5-math-prm"), small.tokenizer(), "tiny", tmp_path)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_that_is_written_reads_as_it_was(tmp_path, name) -> None:
    """Otherwise a key, a quote or a line break of a given recipe is lost on its way into the checkpoint's folder."""
    recipe = shipped_recipes()[name]
    write_recipe(tmp_path / RECIPE, {key: value for key, value in plain(recipe).items() if key != "digest"})
    again = read_recipe(tmp_path / RECIPE)
    for key in ("kind", "splitter", "render", "head", "score", "score_type", "aggregation", "max_tokens", "tokens"):
        assert getattr(again, key) == getattr(recipe, key), key


@pytest.mark.parametrize("name", ["qwen2_5", "llama3_1", "llama2"])
@pytest.mark.parametrize("head", HEADS)
def test_own_recipes_with_real_tokenizers(tmp_path, name, head) -> None:
    """Otherwise a head's own recipe works with tokenizers of tests alone."""
    from prm_eval.records import ScoringItem
    from prm_eval.rewards.inputs.renderer import Renderer

    if not is_here(name):
        pytest.skip(f"the tokenizer {name} is not here: python tests/real_tokenizers.py")
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder() / name / "tokenizer.json"))
    plan = plan_head(TrainOptions("prm", head=head), tokens, name, tmp_path)
    item = ScoringItem("What is $1+1$?", "We add.\n\nSo 2.", ("We add.", "So \\(2\\)."))
    rendered = Renderer(plan.recipe, tokens, name).render(item)
    assert rendered.refusal is None and len(rendered.positions) == 2
    assert [tokens.decode([rendered.ids[at]]) for at in rendered.positions] == ["\n", "\n"]
    if head == "lm-rows":
        assert [tokens.decode([row]) for row in plan.rows] == ["-", "+"]
