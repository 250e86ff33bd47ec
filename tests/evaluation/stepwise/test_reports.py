"""The tables and the page of a step evaluation, for sets of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.jobs import misses_of, placing_rewards, run_step_evaluation
from prm_eval.evaluation.stepwise.measuring import Settings
from prm_eval.evaluation.stepwise.page import html_page
from prm_eval.evaluation.stepwise.placing import placing_model, placing_options
from prm_eval.evaluation.stepwise.report import notes, short_report, text_report, to_json
from prm_eval.stepsets import StepSet
from tests.conftest import write_jsonl
from tests.evaluation.stepwise.sets import labelled

FEW = Settings(resamples=40)


def scored_file(folder: Path, step_set: StepSet, values: list[Any], **first: Any) -> Path:
    rows = [{"id": each.solution_id, "scores": own} for each, own in zip(step_set.solutions, values, strict=True)]
    return write_jsonl(folder / f"{first.get('name', 'model')}.jsonl", [{**rows[0], **first}, *rows[1:]])


def test_prmbench_in_words_and_pictures(tmp_path: Path) -> None:
    """Nine classes under their short names, the three dimensions, the strict sign, and a dot for each class."""
    rows = [
        {"n": 3, "ratings": [1, -1, 1] if i % 2 else [1, 1, 1], "group": group}
        for i, group in enumerate(["redundency", "circular", "deception", "confidence", "multi_solutions"] * 4)
    ]
    step_set = labelled(tmp_path / "set", rows, "every_step")
    file = scored_file(tmp_path, step_set, [[0.9, 0.5, 0.8]] * 20)
    found = run_step_evaluation(step_set.path, [file], settings=FEW)
    text = text_report(found)
    assert "NR" in text and "MS" in text and "simplicity" in text
    assert "a step is good if its score is above the threshold" in text
    page = html_page(found, "PRMBench", misses_of(found, step_set.path))
    assert "PRMBench&#39;s classes" in page or "PRMBench's classes" in page
    assert page.count("<svg") >= 4
    assert to_json(found)["rows"][0]["prmbench"]["n_items"] == 20


def test_a_critic_alone(tmp_path: Path) -> None:
    """No scores: no curve, no reliability, and dashes where nothing is defined."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": i % 3 - 1} for i in range(9)])
    rows = [{"id": f"s{i}", "prediction": i % 3 - 1} for i in range(9)]
    file = write_jsonl(tmp_path / "critic.jsonl", rows)
    found = run_step_evaluation(step_set.path, [file], settings=FEW)
    assert "100.0" in short_report(found)
    assert "Where the first mistake is put" in html_page(found, "critic", misses_of(found, step_set.path))
    assert misses_of(found, step_set.path) == [("critic", [])]


def test_rated_sets_say_what_neutral_is(tmp_path: Path) -> None:
    """One scorer has three figures by what a neutral step counts as; labels of a model are said to be."""
    rows = [{"n": 3, "ratings": [1, 0, -1]}, {"n": 2, "ratings": [1, 1]}] * 4
    step_set = labelled(
        tmp_path / "set", [{**row, "id": str(i)} for i, row in enumerate(rows)], "rated", label_source="model"
    )
    file = scored_file(tmp_path, step_set, [[0.9, 0.6, 0.1], [0.8, 0.9]] * 4)
    settings = Settings(resamples=40, neutral="out")
    found = run_step_evaluation(step_set.path, [file], settings=settings, threshold=">=0.5")
    said = " ".join(notes(found))
    assert "neutral steps count as neither good nor bad" in said
    assert "its score is at least the threshold, as asked" in said
    assert "no person looked at these steps" in text_report(found)


def test_pairs_in_words(tmp_path: Path) -> None:
    """How often an original is preferred to what was made from it, by kind of change."""
    rows = [{"id": f"o{i}", "n": 2, "label": -1, "problem": i, "group": "reference"} for i in range(4)] + [
        {"id": f"p{i}", "n": 2, "label": 1, "problem": i, "group": "swap", "twin": f"o{i}"} for i in range(4)
    ]
    step_set = labelled(tmp_path / "set", rows)
    file = scored_file(tmp_path, step_set, [[0.9, 0.9]] * 4 + [[0.9, 0.1]] * 3 + [[0.95, 0.95]])
    found = run_step_evaluation(step_set.path, [file], settings=FEW)
    text = text_report(found)
    assert "the original has the larger lowest step" in text
    assert "3 of 4" in text
    assert found.rows[0].pairs is not None
    assert found.rows[0].pairs.by["min"].win_rate == {"swap": 0.75}


def test_right_answers_by_wrong_steps_in_words(tmp_path: Path) -> None:
    """Among the right answers that a model would choose: how many have a wrong step, and by which aggregation."""
    rows = [
        {"n": 2, "label": label, "final": True, "problem": str(p), "id": f"{p}{label}"}
        for p in range(4)
        for label in (-1, 1)
    ]
    step_set = labelled(tmp_path / "set", rows)
    file = scored_file(tmp_path, step_set, [[0.9, 0.9], [0.9, 0.2]] * 4)
    said = " ".join(notes(run_step_evaluation(step_set.path, [file], settings=FEW)))
    assert "of the right answers that its min would choose" in said
    assert "0.0 % have a wrong step; of right answers chosen at random 50.0 %" in said


def test_wrong_solutions_alone(tmp_path: Path) -> None:
    """F1 is not defined: the table is by step AUC, and says why."""
    step_set = labelled(tmp_path / "set", [{"n": 3, "label": i % 3, "problem": str(i)} for i in range(9)])
    file = scored_file(tmp_path, step_set, [[0.9, 0.5, 0.2]] * 9)
    found = run_step_evaluation(step_set.path, [file], settings=FEW)
    assert found.headline == "step_auc"
    assert "F1 is not defined: no solution without a wrong step" in text_report(found)


def test_the_command_writes_the_page(tmp_path: Path, capsys: Any) -> None:
    """Rewards in the set are found by themselves; an ORM is scored by prefixes; options of pools are refused."""
    step_set = labelled(
        tmp_path / "set", [{"steps": ["1 + 1 = 2", "2 + 2 = 5"], "label": 1}, {"steps": ["2"], "label": -1}]
    )
    with pytest.raises(PrmEvalError, match="has no step rewards"):
        placing_rewards(step_set)
    for name in ("arithmetic", "boxed-support"):
        folder = step_set.path / "rewards" / name
        assert main(["score", str(step_set.path), "--reward-model", name, "-o", str(folder)]) == 0
    assert "prefixes" in capsys.readouterr().out
    page = tmp_path / "out" / "page.html"
    assert main(["evaluate", str(step_set.path), "--resamples", "20", "--html", str(page)]) == 0
    assert "arithmetic" in page.read_text()
    assert main(["evaluate", str(step_set.path), "--n", "4"]) == 1
    assert "--n is for a pool of candidates" in capsys.readouterr().err
    assert (
        main(["score", str(step_set.path), "--reward-model", "arithmetic", "--splitter", "line", "-o", str(page)]) == 1
    )
    assert "cannot be cut otherwise" in capsys.readouterr().err
    assert placing_model("boxed-support", {}).kind == "prm"
    assert placing_options("arithmetic", {"device": None}) == {"device": None}
