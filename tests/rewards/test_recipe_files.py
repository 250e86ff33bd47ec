"""Recipe files: which checkpoint finds which, every fault with its key, and the documents that list them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.records import ScoringItem
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.recipes.catalogue import named_recipe, recipe_for, shipped_recipes
from prm_eval.rewards.recipes.reader import read_recipe
from prm_eval.rewards.recipes.template import parse_template
from tests.conftest import ROOT

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests


def item(problem: str, *steps: str) -> ScoringItem:
    return ScoringItem(problem, "\n\n".join(steps), steps)


FAMILIES = """Qwen/Qwen2.5-Math-PRM-7B Qwen/Qwen2.5-Math-PRM-72B Qwen/Qwen2.5-Math-7B-PRM800K Qwen/Qwen2.5-Math-RM-72B
peiyi9979/math-shepherd-mistral-7b-prm RLHFlow/Llama3.1-8B-PRM-Mistral-Data RLHFlow/Llama3.1-8B-PRM-Deepseek-Data
RLHFlow/Llama3.1-8B-ORM-Mistral-Data RLHFlow/Llama3.1-8B-ORM-Deepseek-Data Skywork/Skywork-o1-Open-PRM-Qwen-2.5-1.5B
Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B GAIR/ReasonEval-7B GAIR/ReasonEval-34B PRIME-RL/EurusPRM-Stage1
PRIME-RL/EurusPRM-Stage2
jinachris/PURE-PRM-7B jinachris/Qwen2.5-Math-7B-PRM800K UW-Madison-Lee-Lab/VersaPRM UW-Madison-Lee-Lab/Llama-PRM800K
UW-Madison-Lee-Lab/Qwen-PRM800K HuggingFaceH4/Qwen2.5-Math-7B-Instruct-PRM-0.2
HuggingFaceH4/Qwen2.5-Math-1.5B-Instruct-PRM-0.2 openreasoner/Math-psa launch/ThinkPRM-1.5B
launch/ThinkPRM-14B GenPRM/GenPRM-7B""".split()


def test_hub_names_find_their_recipe_and_only_theirs() -> None:
    """Two models called Qwen2.5-Math-7B-PRM800K, by different people, are fed differently."""
    for name in FAMILIES:
        fitting = [recipe.name for recipe in shipped_recipes().values() if recipe.fits(name)]
        assert len(fitting) == 1, name
        for folder in (
            name,
            f"/models/{name}",
            f"/models/{name.replace('/', '__')}",
            f"/hub/models--{name.replace('/', '--')}/snapshots/abc/",
        ):
            assert recipe_for(folder).name == fitting[0]
    assert recipe_for("Qwen/Qwen2.5-Math-7B-PRM800K").name == "qwen2.5-math-prm"
    assert recipe_for("jinachris/Qwen2.5-Math-7B-PRM800K").name == "pure-prm800k"
    assert recipe_for("/models/Qwen2.5-Math-7B-PRM800K") is None
    assert recipe_for("/models/x", ("Qwen2ForProcessRewardModel",)).name == "qwen2.5-math-prm"
    assert (
        recipe_for("Qwen/WorldPM-72B", ("Qwen2ForRewardModel",)) is None
    )  # another template, with the class of Qwen2.5-Math-RM


def test_trls_models_with_a_blank_line_are_not_fed_a_newline() -> None:
    """HuggingFaceH4's PRM-0.2 have TRL's architecture; fed TRL's default separator, their numbers mean nothing."""
    recipe = recipe_for("/models/HuggingFaceH4/Qwen2.5-Math-7B-Instruct-PRM-0.2", ("Qwen2ForTokenClassification",))
    assert (recipe.render.separator, recipe.splitter) == ("\n\n", "blank_line")


def test_a_recipe_without_a_checkpoint_says_what_to_add() -> None:
    """A family's name alone is no model."""
    with pytest.raises(
        ModelError, match="math-shepherd is a recipe; name its checkpoint, math-shepherd:FOLDER_OR_HUB_ID"
    ):
        load_reward_model("math-shepherd")


def test_models_that_execute_what_they_write_are_refused() -> None:
    """With the reason, before anything is downloaded."""
    with pytest.raises(ModelError, match="GenPRM/GenPRM-7B is not run: models of this family execute Python"):
        load_reward_model("GenPRM/GenPRM-7B")


GOOD = """
name: mine
kind: prm
render: {before: "{problem}", step: "{step}\\n{read}"}
head: {type: linear, labels: 2}
score: {rule: two_way, good: 1, bad: 0}
checked_against: x
source: x
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: prm", "kind: judge", "kind: 'judge'; expected one of prm, orm"),
        ("score:", "scores:", "scores: an unknown key; expected score?"),
        ("source: x", "", "source: None; expected a text"),
        ("{step}", "{stpe}", "render.step: {stpe} is no slot"),
        ("{read}", "", "render.step: '{step}\\n'; expected a template with one {read}"),
        ("good: 1", "good: 2", "score: output 2; expected less than the head's 2"),
        ("good: 1", "good: 0", "score: good [0], bad [0]"),
        ("type: linear", "type: magic", "head.type: 'magic'; expected one of label_mlp"),
        ("labels: 2", "labels: -2", "head.labels: -2"),
        ("name: mine", "name: [mine", "expected YAML"),
        ("name: mine", "name: &a mine\nnotes: *a", "a YAML alias"),
        ("kind: prm", "kind: prm\ntokens: {Q: 1}\nrender: {marker: Q, step: '{step}{read}'}\nhead: {type: "
                      "value}\nscore: {rule: raw}\nsource: y\nchecked_against: y\n---", "expected YAML"),
        ("name: mine", "name: !!python/object/apply:os.system [ls]", "expected YAML"),
        ("checked_against: x", "checked_against: x\nmax_tokens: many", "max_tokens: 'many'; expected a positive whole "
                                                                       "number"),
        ("checked_against: x", "checked_against: x\ntokens: {a: b}", "tokens: {'a': 'b'}; expected a mapping of token "
                                                                     "texts to ids"),
        ("checked_against: x", "checked_against: x\nmodels: ['*x*']", "models: '*x*'"),
        ("before:", "marker: z, before:", "render.marker: 'z'; expected one of tokens"),
        ("before:", "chat: vicuna, before:", "render.chat: 'vicuna'"),
        ("before:", "trim: 1, before:", "render.trim: 1; expected true or false"),
        ("{problem}", "{step}", "render.before: {step} is not filled in there; expected {problem}, {separator}, {cut}"),
        ("{problem}", "{problem}{read}", "render.before: {read} is not filled in there"),
        ("before:", "between: '{k}', before:", "render.between: {k} is not filled in there"),
        ("before:", "after: '{problem}', before:", "render.after: {problem} is not filled in there"),
        ("before:", "text: '{problem}', before:", "render.text: '{problem}'; expected nothing: it has no meaning for a "
                                                  "PRM"),
        ("before:", "user: 'Q: {problem}', before:", "render.user: 'Q: {problem}'; expected nothing"),
        ("before:", "read_shift: 5, before:", "render.read_shift: 5; expected 0 or less"),
        ("before:", "read_shift: 0.5, before:", "render.read_shift: 0.5; expected a whole number"),
        ("before:", "read_shift: .nan, before:", "render.read_shift: nan; expected a whole number"),
        ('"{problem}"', "2024-01-01", "render.before: datetime.date(2024, 1, 1); expected a text (quote it)"),
        ('"{problem}"', '"\\ud800"', "expected texts in Unicode"),
        ("rule: two_way, good: 1, bad: 0", "rule: first_error", "score.rule: first_error; expected for the head linear "
                                                                "two_way or"),
        ("rule: two_way, good: 1, bad: 0", "rule: by_labels", "score.rule: by_labels; expected with it head.labels 0"),
    ],
)  # fmt: skip
def test_faults_of_a_recipe_name_the_key(tmp_path, old, new, message) -> None:
    """A recipe's author learns which line to mend; nothing in the file is executed."""
    file = tmp_path / "mine.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(DataError) as caught:
        read_recipe(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


WHOLE = """
name: mine
kind: orm
render: {text: "{problem} {text}{read}"}
head: {type: linear, labels: 1}
score: {rule: raw}
checked_against: x
source: x
"""
JUDGE = """
name: mine
kind: prm
render: {text: "{problem} {steps}", step: "{step}"}
head: {type: generate}
score: {rule: first_error}
generate: {votes: 1}
checked_against: x
source: x
"""


@pytest.mark.parametrize(
    ("recipe", "old", "new", "message"),
    [
        (WHOLE, "{text}", "{steps}", "render.text: {steps} is not filled in there"),
        (WHOLE, "text:", "before: x, text:", "render.before: 'x'; expected nothing: it has no meaning for an ORM"),
        (WHOLE, "text: \"{problem} {text}{read}\"", "chat: tokenizer, trim: true, text: '{text}'",
        "render.trim: True; expected nothing"),
        (WHOLE, "text: \"{problem} {text}{read}\"", "chat: tokenizer, text: '{text}{read}'",
        "render.text: {read} is not filled in there"),
        (WHOLE, "text: \"{problem} {text}{read}\"", "chat: tokenizer", "render.text: ''; expected a template with "
                                                                       "{text}"),
        (JUDGE, "{step}", "{problem}{step}", "render.step: {problem} is not filled in there"),
        (JUDGE, "kind: prm", "kind: orm", "kind: orm; expected prm, which the rule first_error makes"),
        (JUDGE, "votes: 1", "votes: 0", "generate.votes: 0; expected a positive whole number"),
        (JUDGE, "votes: 1", "votes: 2.5", "generate.votes: 2.5; expected a positive whole number"),
        (JUDGE, "votes: 1", "temperature: -3", "generate.temperature: -3; expected a number from 0 to 2"),
    ],
)  # fmt: skip
def test_what_would_crash_at_the_first_candidate_is_a_fault_of_the_file(tmp_path, recipe, old, new, message) -> None:
    """A KeyError, a NaN or a refusal of everything after hours of generation; ignored templates are another input than
    was asked for."""
    file = tmp_path / "mine.yaml"
    assert old in recipe
    file.write_text(recipe)
    assert read_recipe(file).name == "mine"
    file.write_text(recipe.replace(old, new))
    with pytest.raises(DataError) as caught:
        read_recipe(file)
    assert message in str(caught.value)


def test_outputs_that_the_checkpoint_does_not_have_are_found_at_load(models, tmp_path) -> None:
    """A recipe that leaves the number of labels to the config: an IndexError at the first candidate, or column 0 of
    two."""
    file = tmp_path / "mine.yaml"
    for recipe, labels, old, new in ((GOOD, "orm", "labels: 2", "labels: 0"), (WHOLE, "prm", "labels: 1", "labels: 0")):
        file.write_text(recipe.replace(old, new))
        with pytest.raises(ModelError, match=r"has [12] labels, which is not what the recipe mine reads"):
            load_reward_model(str(models[labels]), recipe=str(file))


def test_a_users_recipe_file_is_used(models, tmp_path) -> None:
    """--recipe FILE, for a checkpoint that would otherwise be read another way."""
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    model = load_reward_model(str(models["prm"]), recipe=str(file))
    assert model.describe()["recipe"] == "mine"
    assert model.score([item("Q", "a", "b")])[0].refusal is None
    other = load_reward_model(str(models["prm"]))
    assert other.describe()["recipe_sha256"] != model.describe()["recipe_sha256"]
    for wrong, message in (
        ("mien", "no recipe or recipe file 'mien'"),
        ("pur", "Did you mean 'pure'"),
        (str(tmp_path / "no.yaml"), "found no file that can be read"),
    ):
        with pytest.raises(PrmEvalError, match=message.replace("(", "\\(")):
            load_reward_model(str(models["prm"]), recipe=wrong)
    with pytest.raises(ModelError, match="does not take these options"):
        load_reward_model(str(models["prm"]), reference="x")


def test_score_takes_a_recipe_on_the_command_line(pool, models, tmp_path, capsys) -> None:
    """The whole way: prm-eval score --recipe FILE, what the reward file says of it, and which recipe is guessed
    without."""
    from prm_eval.cli.commands import main

    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    options = ["--reward-model", str(models["prm"]), "--recipe", str(file), "-o", str(tmp_path / "r")]
    assert main(["score", str(pool.path), *options]) == 0
    assert json.loads((tmp_path / "r" / "submission.json").read_text())["model"]["recipe"] == "mine"
    assert "recipe     mine\n" in capsys.readouterr().out
    assert main(["score", str(pool.path), "--reward-model", str(models["prm"]), "-o", str(tmp_path / "g")]) == 0
    assert "recipe     token-classification, separator '\\n'\n" in capsys.readouterr().out


def test_plugins_lists_every_family(capsys) -> None:
    """What was checked against what, for a reader and for a program."""
    from prm_eval.cli.commands import main

    assert main(["plugins", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out) if row["sort"] == "recipe"}
    assert set(listed) == set(shipped_recipes())
    assert all(row["checked against"] for row in listed.values())
    assert main(["plugins"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in FAMILIES if not name.startswith("GenPRM"))


def test_metadata_takes_recipes() -> None:
    """prm_recipe and orm_recipe are keys inside lm_eval."""
    from prm_eval.harness.options import ROLE_KEYS

    assert {"prm_recipe", "orm_recipe", "prm_base_url", "prm_votes", "prm_reference"} <= ROLE_KEYS


def test_every_recipe_says_what_it_was_checked_against_and_its_example_is_right() -> None:
    """The example in CONTRIBUTING.md is a recipe that reads."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"prm_eval_example_{os.getpid()}.yaml"
    try:
        file.write_text(example)
        assert read_recipe(file).kind == "prm"
    finally:
        file.unlink()
    for recipe in shipped_recipes().values():
        assert recipe.checked_against
        assert recipe.source
        assert (
            "26 Jul 2024" in recipe.render.before + recipe.render.text
            or "Today Date" not in recipe.render.before + recipe.render.text
        )
    assert parse_template("\\boxed{}") == (("literal", "\\boxed{}"),)
    assert (
        named_recipe("qwen2.5-math-prm").render.before.count("\x08") == 0
    )  # a backspace, as in \b of an unescaped \boxed


def test_the_digest_is_of_what_decides_the_numbers(tmp_path) -> None:
    """With another model's id in the hash, every submission made before would be called one of another recipe."""
    from importlib.resources import files

    text = (files("prm_eval.rewards.recipes") / "miniature-prm.yaml").read_text(encoding="utf-8")

    def digest(changed: str) -> str:
        (tmp_path / "mine.yaml").write_text(changed, encoding="utf-8")
        return read_recipe(tmp_path / "mine.yaml").digest

    assert digest(text) == shipped_recipes()["miniature-prm"].digest
    assert digest(text.replace("models: [", "models: [you/yours, ")) == digest(text)
    assert digest(text.replace("aggregation: prod", "aggregation: min")) != digest(text)
    assert digest(text.replace("{problem}", "Q: {problem}")) != digest(text)


def test_a_checkpoint_of_the_miniature_is_known_wherever_it_lies() -> None:
    """``prm-eval miniature all -o OUT`` makes OUT/miniature-orm; fed as a PRM by its architecture it gives other
    numbers."""
    for kind in ("orm", "prm"):
        for folder in (
            f"OUT/miniature-{kind}",
            f"/a/b/miniature-{kind}",
            f"prm_eval/miniature/weights/miniature-{kind}/",
        ):
            assert recipe_for(folder, ("LlamaForTokenClassification",)).name == f"miniature-{kind}"
