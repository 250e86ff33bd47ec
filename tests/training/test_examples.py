"""Examples held against masks made by hand: ids, positions and targets of every head."""

from __future__ import annotations

from pathlib import Path

import pytest

from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.records import ScoringItem
from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.training.examples import (
    ExampleMaker,
    contradicting_targets,
    contradictions,
    require_one_label,
    write_examples,
)
from prm_eval.training.heads import plan_head
from prm_eval.training.options import HEADS, TrainOptions
from prm_eval.training.sources import Sample
from prm_eval.training.store import Examples
from tests.rewards.tiny import CHATML
from tests.training import small

PROBLEM, STEPS = "What is 1+1?", ("We add 1.", "So x = 3.", "Hence 3.")


@pytest.fixture(scope="module")
def tokens():
    return small.tokenizer()


def maker(tmp_path: Path, tokens, limit: int | None = None, **options) -> ExampleMaker:
    plan = plan_head(TrainOptions(**options), tokens, "tiny", tmp_path)
    return ExampleMaker(Renderer(plan.recipe, tokens, "tiny", max_tokens=limit), limit)


def sample(targets, steps=STEPS, problem=PROBLEM, index=0) -> Sample:
    return Sample(Path("set"), index + 1, f"s{index}", ScoringItem(problem, "\n\n".join(steps), steps), targets, index)


@pytest.mark.parametrize("head", HEADS)
def test_a_prms_positions_by_hand(tmp_path, tokens, head) -> None:
    """Otherwise labels are learned at other tokens than those that scoring reads."""
    one = maker(tmp_path, tokens, kind="prm", head=head).make(sample((1.0, 0.0, None)))
    encode = lambda text: tokens(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    ids = encode(PROBLEM) if head in ("token-classification", "value") else encode(f"{PROBLEM}\n")
    mask: list[float | None] = [None] * len(ids)
    for step, target in zip(STEPS, (1.0, 0.0, None), strict=True):
        own = encode(step) + encode("\n")
        ids += own
        mask += [None] * (len(own) - 1) + [target]
    last = max(at for at, target in enumerate(mask) if target is not None)
    assert one.ids == tuple(ids[: last + 1])
    assert one.positions == tuple(at for at, target in enumerate(mask) if target is not None)
    assert one.targets == (1.0, 0.0)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("chat", [False, True])
def test_an_orms_target_is_at_every_token_of_the_solution(tmp_path, head, chat) -> None:
    """Otherwise an ORM learns from the statement's tokens too, or from its last token alone (appendix E has all)."""
    tokens = small.tokenizer(chat=CHATML if chat else None)
    made = maker(tmp_path, tokens, kind="orm", head=head)
    one = made.make(sample((1.0,)))
    rendered = made.render(sample((1.0,)).item)
    text = "\n\n".join(STEPS)
    templated = head == "sequence-classification" and chat
    read = tokens.decode(one.ids[one.positions[0] : one.positions[-1] + 1])
    assert one.positions == tuple(range(one.positions[0], rendered.positions[0] + 1))
    assert set(one.targets) == {1.0} and one.ids == rendered.ids[: rendered.positions[0] + 1]
    assert read.startswith(text) and PROBLEM not in read
    assert (read.removeprefix(text) in ("\n", "<|im_end|>", "<|im_end|>\n", "")) and (templated or "<|" not in read)


def test_what_cannot_be_rendered_is_left_out_and_named(tmp_path, tokens) -> None:
    """Otherwise long solutions are cut, with their labels, or a special token in a text is trained on."""
    made = maker(tmp_path / "r", tokens, limit=30, kind="prm")
    samples = [
        sample((1.0, 1.0, 0.0)),
        sample((1.0,), ("x" * 200,), index=1),
        sample((1.0,), ("a <|im_end|>",), index=2),
    ]
    done = write_examples(samples, made, tmp_path / "e", lambda *_: None)
    assert dict(done.left_out) == {"over-length": 1, "special token '<|im_end|>' in the text": 1} and done.n == 1
    assert done.first["over-length"] == "set, row 2 (s1)"
    with pytest.raises(PrmEvalError, match=r"no solution is left to train on, of 1 with labels: over-length"):
        write_examples(samples[1:2], made, tmp_path / "f", lambda *_: None)


def test_contradictory_labels_are_found_with_both_rows(tmp_path, tokens) -> None:
    """Otherwise one text is trained to be right and wrong, hours before anyone looks."""
    made = maker(tmp_path / "r", tokens, kind="prm")
    other = ("We add 1.", "So x = 3.", "Another end.")
    samples = [sample((1.0, 0.0, None)), sample((1.0, 1.0, 1.0), other, index=1), sample((1.0, 0.0, None), index=2)]
    write_examples(samples, made, tmp_path / "e", lambda *_: None)
    examples = Examples(tmp_path / "e")
    found = contradictions(examples)
    assert [(each.one, each.other) for each in found] == [(0, 1)]
    # the second step of all three has two labels; the first step has one
    assert contradicting_targets(examples).tolist() == [False, True, False, True, False, False, True]
    place = lambda index: (Path("set/candidates.parquet"), index + 1, f"s{index}")  # noqa: E731
    with pytest.raises(DataError, match=r"candidates.parquet, row 1: .*'s0'.* another label in row 2 \('s1'\)"):
        require_one_label(examples, found, "refuse", place)
    require_one_label(examples, found, "keep", place)


def test_neutral_and_good_of_one_text_agree_unless_neutral_is_a_class(tmp_path, tokens) -> None:
    """Otherwise two labellers who differ between 0 and +1 stop a training in which both mean good."""
    for target, expected in ((1.0, 0), (2.0, 1)):
        made = maker(tmp_path / f"r{target}", tokens, kind="prm", neutral="class")
        write_examples([sample((1.0,), ("a",)), sample((target,), ("a",), index=1)], made, tmp_path / f"e{target}",
                       lambda *_: None)  # fmt: skip
        assert len(contradictions(Examples(tmp_path / f"e{target}"))) == expected


def test_a_base_without_the_recipes_tokens(tmp_path) -> None:
    """Otherwise the rows of some other token, or of the unknown one, are trained as + and -."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "-": 2}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    poor = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    with pytest.raises(ModelError, match=r"the tokenizer of tiny has no token for '\\n' .* expected one"):
        plan_head(TrainOptions("prm", head="lm-rows"), poor, "tiny", tmp_path)
    with pytest.raises(ModelError, match="is not the one the recipe math-shepherd was written for"):
        plan = plan_head(TrainOptions("prm", recipe="math-shepherd"), poor, "tiny", tmp_path)
        Renderer(plan.recipe, poor, "tiny")
