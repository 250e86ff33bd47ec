"""Step scores that stand beside labels: one a step, read as declared, and missing ones as refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.rewards.files.reward_file import RewardFile
from tests.importers.steps.rows import NEUTRAL, PLAIN, altered, imported, rewards_of


def scored(values: object, **more: object) -> dict:
    return altered(PLAIN, prm_scores={"m": values}, **more)


def test_missing_scores_are_refusals(tmp_path: Path) -> None:
    """Trap 9: if a solution without scores vanished, a model would be judged on the easy ones that it scored."""
    rows = [
        PLAIN,
        scored([0.1, 0.2, 0.3], id="b"),
        scored(None, id="c"),
        scored([0.1, None, 0.3], id="d"),
    ]
    report = imported(tmp_path, rows)
    rewards = rewards_of(report, "m")
    assert rewards["b"].values == (0.1, 0.2, 0.3)
    assert rewards["a"].refusal == rewards["c"].refusal == "not in the source"
    assert rewards["d"].refusal == "no score for 1 of 3 steps" and rewards["d"].values == ()
    assert RewardFile(report.step_set.path / "rewards/m").info.kind == "prm"


def test_no_scores_no_folder(tmp_path: Path) -> None:
    """If a folder of refusals were written where nobody scored, a table would have a row of nothing."""
    report = imported(tmp_path, [scored(None)])
    assert report.step_set.pool.reward_folders() == []


@pytest.mark.parametrize(
    "options, values, score_type, stored, aggregation",
    [
        ({}, [0.1, 0.2, 0.3], "value", (0.1, 0.2, 0.3), "prod"),
        ({"score_type": "log_odds"}, [-2.0, 0.5, 9.0], "logodds", (-2.0, 0.5, 9.0), "prod"),
        ({"score_type": ["m=raw"]}, [-2.0, 0.5, 9.0], "raw", (-2.0, 0.5, 9.0), "min"),
        ({"score_type": "percent"}, [10, 50, 100], "value", (0.1, 0.5, 1.0), "prod"),
    ],
)
def test_score_types(
    tmp_path: Path, options: dict, values: list, score_type: str, stored: tuple, aggregation: str
) -> None:
    """If log-odds were read as probabilities, the threshold 0.5 would be another one."""
    report = imported(tmp_path, [scored(values)], **options)
    assert rewards_of(report, "m")["a"].values == stored
    info = RewardFile(report.step_set.path / "rewards/m").info
    assert (info.score_type, info.aggregation) == (score_type, aggregation)
    assert any(note.startswith("m: read as") for note in report.notes)


def test_what_the_row_says(tmp_path: Path) -> None:
    """If a row's own score type were overruled silently, two files of one model would differ."""
    report = imported(tmp_path, [scored([-1.0, 2.0, 3.0], score_type="logit")])
    assert RewardFile(report.step_set.path / "rewards/m").info.score_type == "logodds"
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="score_type = 'logit'; expected raw, as --score-type says"):
        imported(tmp_path / "b", [scored([-1.0, 2.0, 3.0], score_type="logit")], score_type="raw")
    with pytest.raises(PrmEvalError, match="--score-type says what x is, but the scores are: m"):
        imported(tmp_path / "b", [scored([0.1, 0.2, 0.3])], score_type="x=raw")


def test_types_that_change_on_the_way(tmp_path: Path) -> None:
    """If half of a file were log-odds and half probabilities, one threshold would mean two things."""
    rows = [scored([0.1, 0.2, 0.3]), scored([1.0, 2.0, 3.0], id="b", score_type="raw")]
    with pytest.raises(DataError, match="m as raw; expected undeclared, as before"):
        imported(tmp_path, rows)


def test_a_sum_of_rounded_shares(tmp_path: Path) -> None:
    """If 0.999999 + 0.000002 were refused, ReasonEval's own rounded files could not be read."""
    row = altered(NEUTRAL, prm_scores={"re": [[0.0, 0.000002, 0.999999], [0.2, 0.3, 0.5]]})
    assert rewards_of(imported(tmp_path, [row]), "re")["4"].values == pytest.approx((1.000001, 0.8), abs=1e-9)


def test_names_that_are_no_folders(tmp_path: Path) -> None:
    """If a model's name were a path, an import would write outside the set."""
    report = imported(tmp_path, [altered(PLAIN, prm_scores={"../x/y": [0.1, 0.2, 0.3], "..": [0.1, 0.2, 0.3]})])
    folders = report.step_set.pool.reward_folders()
    assert len(folders) == 2 and all(each.parent == report.step_set.path / "rewards" for each in folders)
    assert {RewardFile(each).info.name for each in folders} == {"../x/y", ".."}
