"""Reward models in tables: short names, still all different; and the score types that numbers are said to have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.opening import opened_rewards
from prm_eval.evaluation.report import chart_svg, html_page, text_table
from prm_eval.importers import import_pool
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.texts.names import short_names
from tests.conftest import write_jsonl


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["score"], ["score"]),
        (["org/model"], ["org/model"]),
        (["/data/models/third-party/tiny-prm/"], ["third-party/tiny-prm"]),
        (["C:\\models\\third-party\\tiny"], ["third-party/tiny"]),
        (["M/third/tiny[min]", "M/third/tiny[mean]"], ["third/tiny[min]", "third/tiny[mean]"]),
        (["M/third/tiny (mine)", "M/third/tiny (theirs)"], ["third/tiny (mine)", "third/tiny (theirs)"]),
        (["one/a/prm", "two/a/prm", "b/prm"], ["one/a/prm", "two/a/prm", "b/prm"]),
        (["x/one/a/prm", "x/two/a/prm"], ["one/a/prm", "two/a/prm"]),
        (["a/b/c/base + d/e/f/adapter"], ["c/base + f/adapter"]),
        (["/a/prm", "a/prm"], ["/a/prm", "a/prm"]),
    ],
)
def test_short_names(names: list[str], short: list[str]) -> None:
    """The last two parts of a path, with aggregation and folder; more where two models would have one name."""
    assert short_names(names) == dict(zip(names, short, strict=True))


@given(st.lists(st.text("ab/[]() +", min_size=1, max_size=12), max_size=6))
def test_short_names_stay_apart(names: list[str]) -> None:
    """However odd the paths are, two models never share a name, and it ends."""
    found = short_names(names)
    assert set(found) == set(names) and len(set(found.values())) == len(set(names))


def test_tables_and_charts_use_them_and_data_does_not(pool) -> None:
    """Lines of 150 characters are not read; the JSON keeps the whole name, by which rows are found."""
    long = "/home/somebody/checkpoints/third-party/tiny-prm"
    files = [NamedRewards(long, RewardFile(pool.path / "rewards" / "score"))]
    found = evaluate(pool, files, grades="published", resamples=20)
    for text in (text_table(found), html_page(found, "t"), chart_svg(found)):
        assert "third-party/tiny-prm" in text and "checkpoints" not in text
    assert {row["reward_model"] for row in found.to_json()["rows"]} == {None, long}


# -- score types


def made(tmp_path, name: str, *samples: dict, score_type: str | None = None):
    rows = [{"id": "p", "problem": "q", "answer": "2", "samples": list(samples)}]
    return import_pool(write_jsonl(tmp_path / f"{name}.jsonl", rows), tmp_path / name, score_type=score_type).pool


def wmaj(folder, *options: str, capsys) -> tuple[str, str]:
    assert main(["evaluate", str(folder), "--resamples", "20", *options]) == 0
    text = capsys.readouterr().out
    (line,) = [each for each in text.splitlines() if each.startswith("weighted majority, ") and " - " not in each]
    return line.split()[-3], text


def test_a_probability_votes_as_it_is(tmp_path, capsys) -> None:
    """0.99 against 0.02: through the sigmoid the two worthless candidates would win, and a note says so."""
    two, three = "\\boxed{2}", "\\boxed{3}"
    pool = made(
        tmp_path, "s", {"text": two, "score": 0.99}, {"text": three, "score": 0.01}, {"text": three, "score": 0.01}
    )
    value, text = wmaj(pool.path, "--n", "3", capsys=capsys)
    assert value.startswith("0.00") and "all numbers lie in [0, 1]" in text and "--score-type probability" in text
    value, text = wmaj(pool.path, "--n", "3", "--score-type", "probability", capsys=capsys)
    assert value.startswith("100.00") and "all numbers lie in [0, 1]" not in text


@pytest.mark.parametrize(
    ("good", "bad", "says", "score_type"),
    [
        ([3.0, 2.0], [-4.0, -5.0], "--score-type logit", "logit"),
        ([3.0, 2.0], [-4.0, -5.0], "--score-type logit", "log_odds"),
        ([99, 98], [60, 60, 60, 60, 60], "--score-type percent", "percent"),
    ],
)
def test_what_is_no_probability_is_not_multiplied(tmp_path, capsys, good, bad, says, score_type) -> None:
    """The product made the worse candidate win; now it is refused with the option that says what the numbers are."""
    lines = "a\nb\nc\nd\n\\boxed{3}".splitlines()[-len(bad) :]
    pool = made(
        tmp_path,
        "l",
        {"text": "a\n\\boxed{2}", "step_scores": good},
        {"text": "\n".join(lines), "step_scores": bad},
        score_type="raw",
    )
    product = ["evaluate", str(pool.path), "--resamples", "20", "--n", "2", "--aggregation", "prod"]
    assert main(product) == 1
    error = capsys.readouterr().err
    assert says in error and "prod is of probabilities" in error and "problem 'p'" in error
    for options in (["--score-type", score_type], ["--aggregation", "min"]):
        assert main([*product, *options]) == 0
        (line,) = [
            each
            for each in capsys.readouterr().out.splitlines()
            if each.startswith("best of n, step_scores") and " - " not in each
        ]
        assert "100.00" in line


def test_score_types_are_recorded_and_only_where_they_are_open(pool) -> None:
    """What a file says itself is not overruled, and the evaluation says how every model's numbers were read."""
    (score, steps) = opened_rewards(pool.reward_folders(), None, "probability")
    assert (score.info.score_type, steps.info.score_type) == ("probability", "probability")
    found = evaluate(pool, [steps], grades="published", resamples=20)
    assert found.settings["score_types"] == {"step_scores": "probability"}
    by_min = opened_rewards([steps.folder], ["min", "last"], "percent")
    assert [(each.aggregation, each.info.score_type) for each in by_min] == [("min", "percent"), ("last", "percent")]
    with pytest.raises(PrmEvalError, match="unknown score type 'odds'; expected one of probability, log_odds, logit"):
        opened_rewards(pool.reward_folders(), None, "odds")
    with pytest.raises(PrmEvalError, match="there are no rewards"):
        opened_rewards([], None, "logit")


@pytest.mark.parametrize("declared", ["probability", "percent", "logit"])
def test_what_was_said_at_the_import_is_not_left_open(tmp_path, declared) -> None:
    """The file keeps a declared probability as it keeps a number of which nobody said anything; it is not the same."""
    pool = made(tmp_path, "p", {"text": "\\boxed{1}", "score": 0.5}, {"text": "2", "score": 0.2}, score_type=declared)
    with pytest.raises(PrmEvalError, match="the files say what their numbers are"):
        opened_rewards(pool.reward_folders(), None, "logit")


def test_a_file_that_says_what_its_numbers_are_is_believed(pool) -> None:
    from prm_eval.rewards import load_reward_model, score_pool

    own = score_pool(pool, load_reward_model("arithmetic"), pool.path / "rewards" / "arithmetic")
    with pytest.raises(PrmEvalError, match=r"the files say what their numbers are \(arithmetic: logodds"):
        opened_rewards([own.folder], None, "percent")
    score, same = opened_rewards([pool.path / "rewards" / "score", own.folder], None, "percent")
    assert (score.info.score_type, same.info.score_type) == ("percent", "logodds")
