"""Rows that are wrong in one place: each stops the import with file, row, what was found and what was expected, and
leaves no set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prm_eval.errors import DataError
from prm_eval.importers.steps import import_step_set
from prm_eval.importers.steps.importing import MANY_WRONG
from tests.conftest import write_jsonl
from tests.importers.steps.rows import (
    APS,
    BIGBENCH,
    HARD2VERIFY,
    MRBEN,
    MRGSM8K,
    MRMATH,
    NEUTRAL,
    NOWHERE,
    PERTURBED,
    PHASE_2,
    PLAIN,
    PRM800K,
    PRMBENCH,
    PRMBENCH_SCORES,
    SAMPLES,
    SHEPHERD,
    TRL,
    altered,
    imported,
)

RATED = altered(PLAIN, label=NOWHERE, ratings=[1, -1, None])
WRONG_STEPS = altered(PLAIN, label=NOWHERE, wrong_steps=[2], base=1)
SCORED = altered(PLAIN, prm_scores={"m": [0.1, 0.2, 0.3]})

CASES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    # steps and statements
    (PLAIN, {"steps": []}, "steps that is an empty list; expected at least one step"),
    (PLAIN, {"steps": ["a", 2, "c"]}, "steps[1] of type int; expected text"),
    (PLAIN, {"steps": ["a", None, "c"]}, "steps[1] of type NoneType; expected text"),
    (PLAIN, {"steps": "a"}, "steps of type str; expected a list of texts"),
    (PLAIN, {"steps": ["a", "\ud800", "c"]}, "half a surrogate pair in steps[1]"),
    (PLAIN, {"problem": "  "}, "an empty problem statement"),
    (PLAIN, {"problem": NOWHERE}, "no field problem or question or statement"),
    (PLAIN, {"problem": ["a"]}, "of type list; expected text"),
    # first wrong steps
    (PLAIN, {"label": 3}, "solution 'a': label 3 of 3 steps; expected 0 to 2, or -1. Did you mean base 1?"),
    (PLAIN, {"label": 4}, "solution 'a': label 4 of 3 steps; expected 0 to 2, or -1."),
    (PLAIN, {"label": -2}, "label -2 of 3 steps"),
    (PLAIN, {"label": 0, "base": 1}, "label 0 of 3 steps; expected 1 to 3, or -1. Did you mean base 0?"),
    (PLAIN, {"label": 4, "base": 1}, "label 4 of 3 steps; expected 1 to 3, or -1."),
    (PLAIN, {"label": 1.5}, "label = 1.5; expected a whole number"),
    (PLAIN, {"label": float("nan")}, "label = nan; expected a whole number"),
    (PLAIN, {"label": float("inf")}, "label = inf; expected a whole number"),
    (PLAIN, {"label": "1"}, "label = '1'; expected a whole number"),
    (PLAIN, {"label": True}, "label = True; expected a whole number"),
    (PLAIN, {"base": 2}, "base = 2; expected 0 or 1"),
    (PLAIN, {"base": True}, "base = True; expected 0 or 1"),
    (PLAIN, {"final_answer_correct": "yes"}, "final_answer_correct = 'yes'; expected true or false"),
    (PLAIN, {"label_source": "robots"}, "label_source = 'robots'; expected people or rules"),
    (PLAIN, {"remarks": "x"}, "remarks of type str"),
    # ratings
    (RATED, {"ratings": [1, -1]}, "solution 'a': 2 ratings for 3 steps; expected one a step"),
    (RATED, {"ratings": [1, 2, 0]}, "the rating 2 of step 1; expected -1, 0, 1 or null"),
    (RATED, {"ratings": [1, True, 0]}, "the rating True of step 1"),
    (RATED, {"ratings": [1, float("nan"), 0]}, "the rating nan of step 1"),
    (RATED, {"ratings": "+-+"}, "ratings of type str"),
    (RATED, {"ratings": [1, [0], 0]}, "ratings[1] of type list; expected -1, 0, 1 or null"),
    (RATED, {"ratings": [1, "0", 0]}, "ratings[1] of type str"),
    (RATED, {"label": 0}, "first wrong step 0, but ratings +1, -1, ?; expected one that the ratings agree with"),
    (RATED, {"label": -1}, "first wrong step -1, but ratings +1, -1, ?"),
    # all wrong steps
    (WRONG_STEPS, {"base": NOWHERE}, 'wrong_steps = [2] without "base"; expected "base": 0 or "base": 1'),
    (WRONG_STEPS, {"wrong_steps": [4]}, "the wrong step 4 of 3 steps; expected at most 3"),
    (WRONG_STEPS, {"wrong_steps": [0, 2]}, "wrong_steps with 0; expected numbers from 1. Did you mean base 0?"),
    (
        WRONG_STEPS,
        {"wrong_steps": [3], "base": 0},
        "the wrong step 3 of 3 steps; expected at most 2. Did you mean base 1?",
    ),
    (WRONG_STEPS, {"wrong_steps": [2, 2]}, "wrong_steps with 2 twice; expected each step once"),
    (WRONG_STEPS, {"wrong_steps": 2}, "wrong_steps of type int"),
    (WRONG_STEPS, {"wrong_steps": ["2"]}, "wrong_steps[0] = '2'"),
    (WRONG_STEPS, {"label": 1}, "several labels (label, wrong_steps); expected one of them"),
    (WRONG_STEPS, {"ratings": [1, -1, 1]}, "several labels (ratings, wrong_steps)"),
    # scores
    (
        SCORED,
        {"prm_scores": {"m": [0.1, 0.2]}},
        "solution 'a': 2 scores in prm_scores[m] for 3 steps; expected one a step",
    ),
    (SCORED, {"prm_scores": {"m": [0.1, float("nan"), 0.3]}}, "prm_scores[m][1] = nan; expected a finite number"),
    (SCORED, {"prm_scores": {"m": [0.1, "x", 0.3]}}, "prm_scores[m][1] = 'x'; expected a number"),
    (SCORED, {"prm_scores": {"m": [0.1, 1.2, 0.3]}}, "prm_scores[m][1] = 1.2; expected a probability in [0, 1]"),
    (SCORED, {"prm_scores": {"m": 0.5}}, "prm_scores[m] of type float; expected a list of numbers"),
    (SCORED, {"prm_scores": [0.1]}, "prm_scores of type list; expected an object"),
    (SCORED, {"prm_scores": {"m": [[0.1, 0.9], 0.2, 0.3]}}, "prm_scores[m][0] of 2 numbers; expected three shares"),
    (SCORED, {"prm_scores": {"m": [[0.1, 0.2, 0.1]] * 3}}, "expected three shares that add up to 1"),
    (SCORED, {"score_type": "x"}, "score_type = 'x'"),
    # other formats
    (PRMBENCH, {"error_steps": [0]}, "error_steps with 0; expected numbers from 1. Did you mean base 0?"),
    (PRMBENCH, {"error_steps": 2}, "error_steps of type int"),
    (PRMBENCH, {"modified_process": []}, "modified_process that is an empty list"),
    (PRMBENCH, {"idx": NOWHERE}, "no field idx"),
    (PRMBENCH, {"validity": "no"}, "validity = 'no'"),
    (PRMBENCH_SCORES, {"n_steps": 10**12}, "3 scores for n_steps = 1000000000000"),
    (PRMBENCH_SCORES, {"scores": None}, "scores of type NoneType for n_steps = 3"),
    (PRMBENCH_SCORES, {"n_steps": 4}, "3 scores for n_steps = 4; expected one a step"),
    (PRMBENCH_SCORES, {"n_steps": 0}, "3 scores for n_steps = 0"),
    (PRM800K, {"label__steps": 3}, "no label.steps"),
    (PRM800K, {"label__steps__0": 3}, "label.steps[0] of type int"),
    (PRM800K, {"label__steps__0__completions": 3}, "label.steps[0].completions of type int"),
    (PRM800K, {"label__steps__0__completions__0__rating": 2}, "completions[0].rating = 2; expected -1, 0, 1 or null"),
    (PRM800K, {"label__steps__0__completions__0__text": None}, "completions[0] without a text"),
    (PRM800K, {"label__steps__0__chosen_completion": 3}, "chosen_completion = 3; expected one of 3 completions"),
    (PRM800K, {"label__steps__0__chosen_completion": None}, "label.steps[0] without a choice, but steps after it"),
    (PRM800K, {"question__problem": ""}, "an empty problem statement"),
    (PHASE_2, {"is_quality_control_question": "no"}, "is_quality_control_question = 'no'"),
    (SAMPLES, {"samples__0__step_labels": [1]}, "solution 'v/0/0': 1 ratings for 2 steps"),
    (SAMPLES, {"samples__1__steps": []}, "samples[1].steps that is an empty list"),
    (SAMPLES, {"samples__1__step_labels": None}, "samples[1].step_labels of type NoneType"),
    (SAMPLES, {"samples__1": 3}, "samples[1] of type int"),
    (SAMPLES, {"samples__1__copies": -1}, "samples[1].copies = -1"),
    (NEUTRAL, {"rating": [1]}, "solution '4': 1 ratings for 2 steps"),
    (NEUTRAL, {"rating": 1}, "rating of type int"),
    (PERTURBED, {"perturbed__0__tags": 2}, "solution '2/random_number': tags = 2 of 2 steps; expected at most 1"),
    (PERTURBED, {"perturbed__1__tags": 2}, "tags = 2 of 3 steps; expected at most 1"),
    (PERTURBED, {"perturbed__0__scores": {"ms": [0.1]}}, "1 scores in perturbed[0].scores[ms] for 2 steps"),
    (PERTURBED, {"perturbed__0": 1}, "perturbed[0] of type int"),
    (PERTURBED, {"perturbed": 1}, "perturbed of type int"),
    (MRMATH, {"model_output_solution_first_error_step": 3}, "= 3 of 2 steps; expected a number from 1 to 2, or"),
    (
        MRMATH,
        {"model_output_solution_first_error_step": 0},
        '= 0; expected a number from 1 to 2, or "N/A". Did you mean base 0?',
    ),
    (MRMATH, {"model_output_solution_first_error_step": "second"}, "= 'second'; expected a number from 1 to 2"),
    (MRMATH, {"model_output_step_format": [["a"], []]}, "model_output_step_format[1] that is an empty list"),
    (MRMATH, {"model_output_step_format": "a"}, "model_output_step_format of type str"),
    (MRMATH, {"prm_scores": {"ms": [0.1, 0.2]}}, "2 scores in prm_scores[ms] for 3 lines of 2 steps"),
    (
        MRGSM8K,
        {"model_output_solution_first_error_step": 3},
        "solution 'u-1': model_output_solution_first_error_step = 3 of",
    ),
    (MRGSM8K, {"model_output_solution_first_error_step": "9" * 5000}, "expected a number from 1 to 2"),
    (MRGSM8K, {"model_output_solution_correctness": "correct"}, "= True, but the first wrong step 2"),
    (MRGSM8K, {"model_output_solution_correctness": "maybe"}, "= 'maybe'; expected 'correct' or 'wrong'"),
    (MRGSM8K, {"model_output_solution_first_error_step": "N/A"}, "= False, but no wrong step"),
    (MRGSM8K, {"model_output_solution_first_error_step": 2.5}, "= 2.5; expected a whole number"),
    (MRBEN, {"samples__0__Model_Solution_First_Error_Step": "7"}, 'no step that opens with "Step 7", only 1 2'),
    (MRBEN, {"samples__0__Model_Solution_Steps": ["", " "]}, "Model_Solution_Steps without a text"),
    (MRBEN, {"samples__0": 3}, "a sample of type int"),
    (MRBEN, {"samples__1__Sampled_Model": "M1"}, "solution id 'q-1/M1' again (first in row 2)"),
    (TRL, {"labels": [True]}, "1 ratings for 2 steps"),
    (TRL, {"labels": [1, 0]}, "labels 1, 0; expected true and false, or shares"),
    (TRL, {"labels": [0.5, 1.5]}, "the share 1.5 of step 1; expected a number from 0 to 1"),
    (TRL, {"labels": [0.5, float("nan")]}, "labels[1] = nan; expected a finite number"),
    (TRL, {"labels": [0.5, True]}, "labels[1] = True; expected a number"),
    (TRL, {"labels": "+-"}, "labels of type str"),
    (SHEPHERD, {"input": "What? ки"}, 'no "Step 1:" in input'),
    (SHEPHERD, {"input": "Step 1: a ки", "label": "Step 1: a +"}, "an empty problem statement"),
    (SHEPHERD, {"input": SHEPHERD["input"] + " more"}, "text behind the last tag: 'more'"),
    (SHEPHERD, {"label": SHEPHERD["label"].replace("= 2", "= 3")}, "other words in label than in input"),
    (SHEPHERD, {"label": SHEPHERD["label"].replace("+", "?")}, "'?' behind step 1 of label"),
    (SHEPHERD, {"label": SHEPHERD["label"] + " x"}, "text behind the last sign of label: 'x'"),
    (APS, {"reasoning_steps": []}, "no reasoning_steps"),
    (APS, {"reasoning_steps__1__solution_prefix": "other"}, "reasoning_steps[1] without a solution_prefix that opens"),
    (APS, {"reasoning_steps__1__mc_value": None}, "reasoning_steps[1].mc_value = None; expected a number"),
    (APS, {"reasoning_steps__1__mc_value": 2.0}, "the share 2.0 of step 0"),
    (BIGBENCH, {"mistake_index": 2}, "label 2 of 2 steps; expected -1 to 1"),
    (BIGBENCH, {"mistake_index": "1"}, "mistake_index = '1'"),
    (HARD2VERIFY, {"human_labels": [1, 0]}, "2 ratings for 3 steps"),
    (HARD2VERIFY, {"human_labels": [1, 2, 1]}, "human_labels[1] = 2; expected 1 or 0"),
    (HARD2VERIFY, {"human_labels_first_error_idx": 0}, "first wrong step 0, but ratings +1, -1, +1"),
]


@pytest.mark.parametrize("k", range(len(CASES)))
def test_a_row_that_is_wrong(tmp_path: Path, k: int) -> None:
    """If one of these were read, or dropped without a word, a label would stand where nobody put it."""
    row, changes, words = CASES[k]
    first = altered(row, **{name: f"sound-{row[name]}" for name in ("id", "idx", "uuid", "rid") if name in row})
    source = write_jsonl(tmp_path / "rows.jsonl", [first, altered(row, **changes)])
    with pytest.raises(DataError) as caught:
        import_step_set(source, tmp_path / "set")
    assert words in str(caught.value)
    assert (caught.value.path, caught.value.row) == (str(source), 2)
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"], "half a set was left behind"


@pytest.mark.parametrize("k", range(0, len(CASES), 7))
def test_skip_bad_counts_and_lists(tmp_path: Path, k: int) -> None:
    """If a solution with a fault went without being counted, nobody would know what a figure is over."""
    row, changes, words = CASES[k]
    first = altered(row, **{name: f"sound-{row[name]}" for name in ("id", "idx", "uuid", "rid") if name in row})
    report = imported(tmp_path, [first, altered(row, **changes)], skip_bad=True)
    assert report.dropped["faulty"] == len(report.skipped) >= 1
    assert any(words in each for each in report.skipped)
    assert report.step_set.info.dropped == report.dropped


def test_a_fault_costs_its_solution_alone(tmp_path: Path) -> None:
    """If a fault in one of three solutions of a question cost all three, a third of them would be lost for nothing."""
    report = imported(tmp_path, [altered(MRBEN, samples__0__Model_Solution_First_Error_Step="7")], skip_bad=True)
    assert [each.solution_id for each in report.step_set.solutions] == ["q-1/M2"]
    assert report.dropped == {"faulty": 1}


@pytest.mark.parametrize("torn", ["{", "[1]", '{"id": "a", "id": "b"}', "\x00"])
def test_lines_that_are_no_rows(tmp_path: Path, torn: str) -> None:
    """If a torn line were passed over, a cut file would look like a small one."""
    rows = [json.dumps(PLAIN), torn]
    with pytest.raises(DataError) as caught:
        imported(tmp_path, rows)
    assert caught.value.row == 2
    report = imported(tmp_path, rows, skip_bad=True)
    assert report.dropped == {"faulty": 1} and len(report.step_set.solutions) == 1


def test_ids_that_come_again(tmp_path: Path) -> None:
    """If the second of two solutions with an id replaced the first, rewards would be joined to the wrong text."""
    with pytest.raises(DataError, match=r"row 2: found solution id 'a' again \(first in row 1\); expected unique ids"):
        imported(tmp_path, [PLAIN, altered(PLAIN, label=0)])
    files = [write_jsonl(tmp_path / f"{k}.jsonl", [PLAIN]) for k in "xy"]
    with pytest.raises(DataError, match=r"y\.jsonl, row 1: found solution id 'a' again \(first in .*x\.jsonl, row 1\)"):
        import_step_set(files, tmp_path / "set")


def test_two_kinds_of_labels(tmp_path: Path) -> None:
    """If ratings and first wrong steps went into one set, "not known" and "not wrong" would be one."""
    with pytest.raises(DataError, match="'b': a label of the kind rated; expected first_error, as before"):
        imported(tmp_path, [PLAIN, altered(RATED, id="b")])
    with pytest.raises(DataError, match="label_source = 'rules'; expected 'people', as before"):
        imported(tmp_path, [altered(PLAIN, label_source="people"), altered(PLAIN, id="b", label_source="rules")])


def balanced(n: int, label: int, **more: Any) -> list[dict[str, Any]]:
    return [altered(PLAIN, id=str(k), label=label, **more) for k in range(n)]


def test_labels_that_must_count_from_one(tmp_path: Path) -> None:
    """If 1-based labels of a large set were taken as 0-based, every one of them would be a step too late; and if a set
    that says its base were refused, it could not be imported at all."""
    with pytest.raises(DataError, match=r"none of which has its first wrong step at 0; .* Did you mean base 1"):
        imported(tmp_path, balanced(MANY_WRONG, 1))
    imported(tmp_path, balanced(MANY_WRONG, 1, base=0))
    (tmp_path / "one").mkdir()
    report = imported(tmp_path / "one", balanced(MANY_WRONG, 1, base=1))
    assert {each.first_error for each in report.step_set.labels} == {0}
    (tmp_path / "few").mkdir()
    few = imported(tmp_path / "few", balanced(MANY_WRONG - 1, 1))
    assert any("did the source count from 1?" in leak for leak in few.looks.leaks), "a smaller set is told, not refused"
