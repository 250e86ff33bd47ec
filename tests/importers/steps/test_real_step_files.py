"""Benchmarks as their authors published them (shared/data; skipped where it is absent): counts, and figures of stored
scores, against values that were computed without this code."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from prm_eval.importers.steps import StepImportReport, import_step_set
from prm_eval.records import StepRewards
from tests.importers.steps.rows import found, lines_of, rewards_of

EXAMPLES = ("phase1-test", "phase1-train", "phase2-test")


@cache
def _expected(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def expected(data: Path) -> dict[str, Any]:
    return _expected(data / "steps_expected/expected_public.json")


def imported(path: Any, folder: Path, **options: Any) -> StepImportReport:
    report = import_step_set(path, folder / "set", **options)
    assert report.step_set.verify() == [] and report.skipped == []
    return report


def test_processbench(tmp_path: Path, data: Path, expected: dict[str, Any]) -> None:
    """If one row, label or step were lost, no published figure could come out."""
    report = imported(str(data / "steps/processbench_*.jsonl"), tmp_path)
    counts = expected["processbench"]["counts"]
    assert [each.name for each in report.looks.groups] == list(counts)
    for group in report.looks.groups:
        wanted = counts[group.name]
        assert (group.solutions, group.problems, group.steps) == (wanted["n"], wanted["problems"], wanted["steps"])
        assert (group.wrong, group.clean) == (wanted["error"], wanted["clean"])
        pairs = [each for each in found(report).values() if each[0].group == group.name]
        assert (
            sum(bool(label.final_correct) and label.first_error != -1 for _, label in pairs)
            == (wanted["right_answer_wrong_process"])
        )
        assert sum(label.first_error == 0 for _, label in pairs) == wanted["first_error_at_step_0"]


def test_prmbench(tmp_path: Path, data: Path, expected: dict[str, Any]) -> None:
    """Traps 16 and 19: five ids come again, 37 wrong steps lie beyond the end; a reader that keeps either is off."""
    report = imported(data / "steps/prmbench_prm800k_test.jsonl", tmp_path)
    wanted = expected["prmbench"]["oracle"]
    assert report.dropped == {"repeated_id": 5, "wrong_steps_beyond_the_end": 37}
    items = [each for each in report.looks.groups if each.name != "correct"]
    assert sum(each.solutions for each in items) == wanted["n_items"]
    assert (sum(each.good for each in items), sum(each.bad for each in items)) == (
        wanted["matrix"]["TP"],
        wanted["matrix"]["TN"],
    )
    assert next(each for each in report.looks.groups if each.name == "correct").solutions == wanted["n_correct_items"]
    assert any("beyond the end" in leak for leak in report.looks.leaks)
    twins = [solution for solution, _ in found(report).values() if solution.group == "redundency"]
    assert all(each.twin_id for each in twins)


def test_prmbench_stored_scores(tmp_path: Path, data: Path, expected: dict[str, Any]) -> None:
    """If a score were read at another step, R-PRM's published row would not come out."""
    report = imported(data / "steps_outputs/prmbench_rprm.jsonl", tmp_path)
    wanted = expected["stored_outputs"]["prmbench_rprm"]["good iff score > 0.6"]["matrix"]
    rewards = rewards_of(report, "prmbench_rprm")
    counts = dict.fromkeys(wanted, 0)
    for name, (_, label) in found(report).items():
        for rating, value in zip(label.ratings, rewards[name].values, strict=True):
            called = value > 0.6
            counts[("T" if called == (rating == 1) else "F") + ("P" if called else "N")] += 1
    assert counts == wanted


def reader_counts(chains: StepImportReport, candidates: StepImportReport) -> dict[str, Any]:
    """What ``prm800k_reader`` has, of the two ways of importing a file."""
    read, whole = chains.read, chains.looks.whole
    names = ("records", "problems", "steps", "completions", "human_completions", "steps_without_choice")
    return {
        **{name: read[name] for name in names},
        "ratings": {
            "-1": read["rated_-1"],
            "0": read["rated_0"],
            "1": read["rated_+1"],
            "null": read.get("unrated", 0),
        },
        "finish": {
            name: read.get(f"finish_{name}", 0)
            for name in ("solution", "found_error", "give_up", "bad_problem", "None")
        },
        "chain_steps": whole.steps,
        "chain_ratings": {"-1": whole.bad, "0": whole.neutral, "1": whole.good},
        "chains_with_error": whole.wrong,
        "empty_chains": chains.dropped.get("no_step_chosen", 0),
        "candidate_rows": candidates.looks.whole.solutions,
    }


@pytest.mark.parametrize(
    "name", ["prm800k_phase1_test", "prm800k_phase1_train_sample", *(f"prm800k-{each}-example" for each in EXAMPLES)]
)
def test_prm800k(tmp_path: Path, data: Path, expected: dict[str, Any], name: str) -> None:
    """If a completion, a human step or one of three concatenated objects were lost, training rows would be missing."""
    path = data / (f"steps/{name}.jsonl" if "_" in name else f"format_examples/{name}.json")
    chains = imported(path, tmp_path)
    candidates = import_step_set(path, tmp_path / "candidates", candidates=True)
    wanted = dict(expected["prm800k_reader"][name])
    listed = wanted.pop("chains", None)
    assert reader_counts(chains, candidates) == wanted
    rated = [label.ratings for label in candidates.step_set.labels]
    assert all(each[-1] is not None and set(each[:-1]) <= {None} for each in rated)
    if listed is not None:
        assert [
            {
                "problem": solution.statement[:40],
                "ratings": list(label.ratings),
                "finish_reason": solution.remarks[0][7:],
            }
            for solution, label in found(chains).values()
        ] == [{**each, "problem": each["problem"][:40]} for each in listed]


def test_prm800k_validation_leaks(tmp_path: Path, data: Path) -> None:
    """Trap 11: all 650 wrong solutions stop at their error, which must be told."""
    report = imported(data / "steps/prm800k_human_validation.jsonl", tmp_path)
    whole = report.looks.whole
    assert (whole.solutions, whole.problems, whole.wrong) == (817, 135, 650)
    assert (whole.good, whole.neutral, whole.bad) == (4783, 376, 650)
    assert any("in 603 of 603 wrong solutions of several steps" in leak for leak in report.looks.leaks)
    assert any("9 of them with different labels" in leak for leak in report.looks.leaks)


SETS = [
    ("steps/mrgsm8k_with_prm_scores.jsonl", "first_error_sets", "mrgsm8k"),
    ("steps/mrmath_invalid_with_prm_scores.jsonl", "first_error_sets", "mrmath_invalid"),
    ("steps_outputs/mrgsm8k_original_prms.jsonl", "stored_outputs", "mrgsm8k_original"),
    ("steps_outputs/mrmath_invalid_evaluators.jsonl", "stored_outputs", "mrmath_invalid"),
]


def first_error_figures(report: StepImportReport, rewards: dict[str, StepRewards]) -> dict[str, Any]:
    """Too early, exact, too late, none found, and the two accuracies, at 0.5."""
    clean: list[bool] = []
    kinds = {"too_early": 0, "exact": 0, "too_late": 0, "none_found": 0}
    for name, (_, label) in found(report).items():
        called = next((k for k, value in enumerate(rewards[name].values) if value < 0.5), -1)
        first = label.first_error
        if first == -1:
            clean.append(called == -1)
        else:
            kind = "exact" if called == first else "none_found" if called == -1 else "too_early"
            kinds["too_late" if kind == "too_early" and called > first else kind] += 1
    return {**kinds, "correct_acc": round(sum(clean) / len(clean), 8) if clean else None}


@pytest.mark.parametrize("path, part, name", SETS)
def test_stored_scores_of_prms(
    tmp_path: Path, data: Path, expected: dict[str, Any], path: str, part: str, name: str
) -> None:
    """Traps 6 and 8: if a base or a group of lines were misread, not one of these counts would come out."""
    report = imported(data / path, tmp_path)
    folders = {each.name for each in report.step_set.pool.reward_folders()}
    seen = 0
    for model, wanted in expected[part][name].items():
        folder = model.replace("(", "_").replace(")", "_")
        if folder not in folders or "first_error" not in wanted:
            continue
        seen += 1
        if "n_solutions" in wanted:
            whole = report.looks.whole
            assert (whole.solutions, whole.problems, whole.steps) == (
                wanted["n_solutions"],
                wanted["n_problems"],
                wanted["n_steps"],
            )
            assert whole.good == wanted["n_good"]
        figures = first_error_figures(report, rewards_of(report, folder))
        theirs = wanted["first_error"]
        assert {kind: figures[kind] for kind in figures if kind != "correct_acc"} == {
            kind: theirs["of_wrong_solutions"][kind] for kind in figures if kind != "correct_acc"
        }
        if theirs["correct_acc"] is not None:
            assert figures["correct_acc"] == pytest.approx(theirs["correct_acc"], abs=1e-7)
    assert seen >= 3


@pytest.mark.parametrize("subject", ["math", "physics", "chemistry"])
def test_mrben(tmp_path: Path, data: Path, expected: dict[str, Any], subject: str) -> None:
    """Trap 7: if "Step k" were taken for a position, a quarter of the wrong solutions would be labelled elsewhere."""
    report = imported(data / f"steps/mrben_{subject}.jsonl", tmp_path)
    wanted = expected["first_error_sets"][f"mrben_{subject}"]["length"]
    whole = report.looks.whole
    assert (whole.solutions, whole.problems, whole.steps) == tuple(
        wanted[each] for each in ("n_solutions", "n_problems", "n_steps")
    )
    assert (whole.good, whole.bad) == (wanted["n_good"], wanted["n_labelled_and_scored"] - wanted["n_good"])
    scores = {
        name: StepRewards(tuple(100 / (100 + len(step)) for step in solution.steps))
        for name, (solution, _) in found(report).items()
    }
    kinds = first_error_figures(report, scores)
    assert kinds["exact"] == wanted["first_error"]["of_wrong_solutions"]["exact"], "the texts of steps are the same"
    assert kinds["correct_acc"] == pytest.approx(wanted["first_error"]["correct_acc"], abs=1e-7)


def test_two_copies_of_one_set_agree(tmp_path: Path, data: Path) -> None:
    """Traps 6 and 21: MR-GSM8K counts from 1, a converted copy of it from 0; if either base were misread, solutions
    that both have would be labelled a step apart."""
    own = found(imported(data / "steps/mrgsm8k_with_prm_scores.jsonl", tmp_path))
    copy = found(imported(data / "steps_outputs/mrgsm8k_original_prms.jsonl", tmp_path / "copy"))
    both = own.keys() & copy.keys()
    assert len(both) == 202
    assert [name for name in sorted(both) if own[name][1].first_error != copy[name][1].first_error] == []
    assert all(len(own[name][0].steps) == len(copy[name][0].steps) for name in both)


def test_bigbench(tmp_path: Path, data: Path, expected: dict[str, Any]) -> None:
    """If null were a missing label, the clean chains would be gone."""
    report = imported(data / "steps/bigbench_mistake_arithmetic.jsonl", tmp_path)
    wanted, whole = expected["first_error_sets"]["bigbench_mistake"]["length"], report.looks.whole
    assert (whole.solutions, whole.steps, whole.good) == (
        wanted["n_solutions"],
        wanted["n_steps"],
        wanted["n_good"],
    )
    clean = [label for label in report.step_set.labels if label.first_error == -1]
    assert len(clean) == wanted["first_error"]["n_clean"] == 37
    assert sum(label.final_correct is False for label in clean) == 10


def test_neutral_and_perturbed(tmp_path: Path, data: Path, expected: dict[str, Any]) -> None:
    """If neutral steps were called right, or a twin lost, neither set would measure what it was made for."""
    neutral = imported(data / "steps/prm800k_neutral_positive_with_prm_scores.jsonl", tmp_path)
    counts = expected["prm800k_three_way"]["neutral_positive"]["math-shepherd-mistral-7b"]["counts"]
    assert (neutral.looks.whole.neutral, neutral.looks.whole.good) == (counts["0"], counts["1"])
    perturbed = imported(data / "steps/prm800k_perturbed_with_prm_scores.jsonl", tmp_path / "p")
    wanted = expected["perturbed_pairs"]["math-shepherd-mistral-7b"]
    twins = [solution for solution, _ in found(perturbed).values() if solution.twin_id]
    assert len(twins) == wanted["pairs"]
    lowest = {name: min(each.values) for name, each in rewards_of(perturbed, "math-shepherd-mistral-7b").items()}
    best = {solution.solution_id for solution, _ in found(perturbed).values() if solution.twin_id is None}
    assert len(best) == wanted["references"]
    for twin in twins:
        if lowest[twin.twin_id] <= lowest[twin.solution_id]:
            best.discard(twin.twin_id)
    assert len(best) == wanted["min"]["reference_strictly_best"]


def test_training_data(tmp_path: Path, data: Path) -> None:
    """If Math-Shepherd's or MATH-APS's own rows were refused, nobody could look at what their PRM was trained on."""
    shepherd = imported(data / "format_examples/openr_samples_math-shepherd.jsonl", tmp_path)
    rows = lines_of(data / "format_examples/openr_samples_math-shepherd.jsonl")
    assert [len(each.steps) for each in shepherd.step_set.solutions] == [row["input"].count("ки") for row in rows]
    aps = imported(data / "format_examples/openr_samples_math-aps.jsonl", tmp_path / "aps")
    nodes = sum(len(row["reasoning_steps"]) for row in lines_of(data / "format_examples/openr_samples_math-aps.jsonl"))
    assert aps.looks.whole.solutions == 124 and aps.dropped == {"repeated_prefix": 10} and nodes == 145
    assert all(label.soft is not None for label in aps.step_set.labels)


def test_verify_cot_is_no_step_set(tmp_path: Path, data: Path) -> None:
    """If a verdict on a whole solution became one on its steps, each of its steps would be called right or wrong."""
    with pytest.raises(Exception, match="labels whole solutions, not steps"):
        import_step_set(data / "steps/verify_cot_human.jsonl", tmp_path / "set")
