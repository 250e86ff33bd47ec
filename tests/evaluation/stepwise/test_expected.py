"""The acceptance values of step-level evaluation, through the command line, where the real data is.

``expected_public.json`` was computed by somebody else's code from the published formulas; every figure in it that a
reward model can have is compared, with its tolerance.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from prm_eval.cli.commands import main
from prm_eval.evaluation.stepwise.prmbench import SHORT
from prm_eval.importers.steps import import_step_set
from prm_eval.records import Solution, StepLabel
from prm_eval.stepsets import StepSet
from tests.conftest import DATA

EXPECTED = DATA / "steps_expected" / "expected_public.json"
pytestmark = [
    pytest.mark.skipif(not EXPECTED.is_file(), reason=f"needs {EXPECTED} (PRM_EVAL_DATA)"),
    pytest.mark.unmeasured,
]
SUBSETS = ("gsm8k", "math", "olympiadbench", "omnimath")
STEPS = DATA / "steps"
OUTPUTS = DATA / "steps_outputs"


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(EXPECTED.read_text())
    return found


def unit(text: str) -> float:
    return int(sha256(text.encode()).hexdigest()[:13], 16) / 16**13


def artificial(solution: Solution, label: StepLabel, every_step: bool) -> dict[str, list[float | None]]:
    """The artificial scorers of the acceptance values, from the text of a solution and its label."""
    steps, n = solution.steps, len(solution.steps)
    contexts = [solution.statement + "\n" + "\n".join(steps[: i + 1]) for i in range(n)]
    if every_step:
        good = [0.0 if rating == -1 else 1.0 for rating in label.ratings or ()]
    else:
        first = label.first_error if label.first_error is not None else -1
        good = [1.0 if first == -1 or i < first else 0.0 for i in range(n)]
    noisy = [0.6 * unit(c) + 0.4 * g for c, g in zip(contexts, good, strict=True)]
    missing = [int(sha256(("missing\n" + c).encode()).hexdigest()[:8], 16) % 20 == 0 for c in contexts]
    return {
        "sha_step": [unit(step) for step in steps],
        "sha_context": [unit(c) for c in contexts],
        "noisy_oracle": noisy,
        "noisy_oracle_tenths": [math.floor(10 * each) / 10 for each in noisy],
        "length": [100 / (100 + len(step)) for step in steps],
        "position": [1 - (i + 1) / (n + 1) for i in range(n)],
        "first_70_percent": [1.0 if 10 * (i + 1) <= 7 * n else 0.0 for i in range(n)],
        "all_right": [1.0] * n,
        "constant_half": [0.5] * n,
        "oracle": good,
        "inverted_oracle": [1 - each for each in good],
        "missing": [None if gone else unit(c) for gone, c in zip(missing, contexts, strict=True)],
    }


def write_scores(folder: Path, step_set: StepSet) -> list[Path]:
    """Write a file of scores for every artificial scorer."""
    lines: dict[str, list[str]] = {}
    every_step = step_set.info.labels != "first_error"
    for solution, label in zip(step_set.solutions, step_set.labels, strict=True):
        for name, scores in artificial(solution, label, every_step).items():
            row = {"id": solution.solution_id, "scores": scores}
            if solution is step_set.solutions[0]:
                row |= {"name": name, "threshold": 0.5}
            lines.setdefault(name, []).append(json.dumps(row))
    folder.mkdir()
    paths = []
    for name, rows in lines.items():
        paths.append(folder / f"{name}.jsonl")
        paths[-1].write_text("\n".join(rows))
    return paths


def evaluated(capsys: Any, step_set: StepSet, files: list[Path], *options: str) -> dict[str, dict[str, Any]]:
    """Run ``prm-eval evaluate SET FILES --json`` and return its rows by the name of their file."""
    given = [str(step_set.path), *map(str, files), "--json", "--missing", "wrong", "--resamples", "1000", *options]
    assert main(["evaluate", *given]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = {Path(row["origin"]).name.removesuffix(".jsonl"): row for row in document["rows"] if row["origin"]}
    return {**rows, "": document}


class Compared:
    """Figures that are compared, so that one run shows all that differ."""

    def __init__(self) -> None:
        self.differing: list[str] = []
        self.n = 0

    def same(self, where: str, found: float | None, wanted: float | None, tolerance: float = 1e-9) -> None:
        self.n += 1
        if (found is None) != (wanted is None) or (
            found is not None and wanted is not None and abs(found - wanted) > tolerance * max(1, abs(wanted)) + 1e-10
        ):
            self.differing.append(f"{where}: {found}, expected {wanted}")

    def estimate(self, where: str, found: dict[str, Any], wanted: dict[str, Any], tolerance: float = 1e-9) -> None:
        """Compare a value, its jackknife error, and its bootstrap within 10 % as the acceptance values say."""
        self.same(where, found["value"], wanted["value"], tolerance)
        if wanted["value"] is None:
            return
        if wanted.get("se_jackknife") is not None:
            self.same(f"{where} jackknife", found["se_jackknife"], wanted["se_jackknife"])
        if wanted.get("se_bootstrap") is not None:
            self.same(f"{where} bootstrap", found["se_bootstrap"], wanted["se_bootstrap"], 0.1 * wanted["se_bootstrap"])
        if wanted.get("ci95_bootstrap") is not None:
            low, high = wanted["ci95_bootstrap"]
            self.same(f"{where} low", found["low"], low, 0.1 * (high - low))
            self.same(f"{where} high", found["high"], high, 0.1 * (high - low))

    def measured(self, where: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Compare the figures of a set or a group."""
        place, error = found["located"], wanted["first_error"]
        for ours, theirs in (
            ("n_solutions", "n_solutions"),
            ("n_problems", "n_problems"),
            ("n_steps", "n_steps"),
            ("n_not_scored", "n_solutions_not_scored"),
        ):
            if theirs in wanted:
                self.same(f"{where} {ours}", found[ours], wanted[theirs])
        for name in ("n_error", "n_clean", "error_acc", "correct_acc"):
            self.same(f"{where} {name}", place[name], error[name])
        self.estimate(f"{where} f1", place["f1"], error["f1"])
        for name, count in error["of_wrong_solutions"].items():
            self.same(f"{where} {name}", place["outcomes"][name], count)
        if "mr_score" in wanted:
            self.same(f"{where} mcc", place["mcc"], wanted["mr_score"]["mcc"])
            self.same(f"{where} mr", place["mr_share"], wanted["mr_score"]["partial"])
        if found["separated"] is not None and "step_auc" in wanted:
            self.steps(where, found, wanted)

    def steps(self, where: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        steps = found["separated"]
        auc = wanted["step_auc"]
        self.estimate(f"{where} step auc", steps["auc"], auc if isinstance(auc, dict) else {"value": auc})
        for ours, theirs in (
            ("n", "n_labelled_and_scored"),
            ("n_good", "n_good"),
            ("ap_good", "step_ap_good"),
            ("ap_bad", "step_ap_bad"),
            ("accuracy", "step_accuracy"),
            ("good_kept", "good_steps_kept"),
            ("bad_flagged", "bad_steps_flagged"),
            ("balanced_accuracy", "balanced_accuracy"),
            ("balanced_f1", "balanced_f1"),
            ("lowest_is_first_error", "argmin_is_first_error"),
        ):
            if theirs in wanted:
                self.same(f"{where} {ours}", steps[ours], wanted[theirs])
        for name in ("brier", "ece"):
            if name in wanted:
                self.same(f"{where} {name}", (steps["calibration"] or {}).get(name), wanted[name])
        areas = wanted.get("solution_auc", {})
        for name in ("prod", "min", "mean", "last"):
            if name in areas:
                tolerance = 1e-4 if name == "prod" else 1e-9
                self.estimate(f"{where} {name}", found["solution_auc"][name], areas[name], tolerance)
        if "solution_auc_min" in wanted:
            self.same(f"{where} min", found["solution_auc"]["min"]["value"], wanted["solution_auc_min"])

    def finish(self, least: int) -> None:
        assert not self.differing, f"{len(self.differing)} of {self.n}:\n" + "\n".join(self.differing[:30])
        assert self.n >= least


@pytest.fixture(scope="module")
def processbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StepSet, list[Path]]]:
    folder = tmp_path_factory.mktemp("processbench")
    import_step_set([STEPS / f"processbench_{name}.jsonl" for name in SUBSETS], folder / "set")
    step_set = StepSet(folder / "set")
    yield step_set, write_scores(folder / "scores", step_set)


@pytest.mark.parametrize(
    ("threshold", "name"),
    [
        ("recipe", "at_half"),
        ("chosen:gsm8k", "chosen_on_gsm8k_grid"),
        ("chosen:gsm8k:exact", "chosen_on_gsm8k_exact"),
    ],
)
def test_processbench(
    processbench: tuple[StepSet, list[Path]], expected: dict[str, Any], threshold: str, name: str, capsys: Any
) -> None:
    """ProcessBench's figures of twelve scorers on its public part: F1, their mean of four and not another average,
    thresholds chosen on one subset, limits, areas, calibration."""
    step_set, files = processbench
    rows, compared = evaluated(capsys, step_set, files, "--threshold", threshold), Compared()
    for scorer, wanted in expected["processbench"].items():
        if scorer in ("counts", "paired") or name not in wanted:
            continue
        row, at = rows[scorer], wanted[name]
        if name == "at_half":
            for group, of in wanted["subsets"].items():
                compared.measured(f"{scorer} {group}", row["groups"][group], of)
            _compare_thresholds(compared, scorer, row, wanted)
        else:
            compared.same(f"{scorer} threshold", row["threshold"]["value"], at["threshold"])
            assert row["threshold"]["origin"] == "chosen"
            assert row["threshold"]["on"] == "gsm8k"
        for group, of in at["subsets"].items():
            for ours in ("error_acc", "correct_acc"):
                compared.same(f"{scorer} {group} {ours}", row["groups"][group]["located"][ours], of[ours])
        averages = {"value": at["average_f1"], "se_jackknife": at.get("average_se_jackknife")}
        averages["se_bootstrap"] = at.get("average_se_bootstrap")
        compared.estimate(f"{scorer} mean", row["averages"]["mean_f1"], averages)
        compared.same(f"{scorer} by size", row["averages"]["size_weighted_f1"], at["size_weighted_f1"])
        compared.same(f"{scorer} of means", row["averages"]["f1_of_mean_accuracies"], at["f1_of_average_accuracies"])
        compared.same(f"{scorer} pooled", row["averages"]["pooled_f1"], at["pooled_f1"])
    compared.finish(100)


def _compare_thresholds(compared: Compared, scorer: str, row: dict[str, Any], wanted: dict[str, Any]) -> None:
    for at, groups in wanted.get("f1_by_threshold", {}).items():
        for group, f1 in groups.items():
            point = next(each for each in row["f1_by_threshold"][group] if each["threshold"] == float(at))
            compared.same(f"{scorer} {group} at {at}", point["f1"], f1)
    if (upper := wanted.get("upper_bound_own_threshold")) is not None:
        for group, f1 in upper["f1"].items():
            own = row["own_best_threshold"][group]
            compared.same(f"{scorer} {group} upper bound", own["f1_upper_bound"], f1)
            compared.same(f"{scorer} {group} own threshold", own["threshold"], upper["thresholds"][group])
        compared.same(f"{scorer} upper bound", row["averages"]["upper_bound"], upper["average"])


def test_processbench_paired(processbench: tuple[StepSet, list[Path]], expected: dict[str, Any], capsys: Any) -> None:
    """A difference of two means of four, on the same resamples; unpaired it would be half as sharp."""
    step_set, files = processbench
    two = [each for each in files if each.stem in ("noisy_oracle", "length")]
    rows, wanted = evaluated(capsys, step_set, two), expected["processbench"]["paired"]
    (found,) = [each for each in rows[""]["differences"] if each["measure"] == "mean_f1"]
    compared = Compared()
    assert found["one"] == "noisy_oracle"
    compared.estimate("paired", found["difference"], {"value": wanted["difference"], **wanted})
    compared.finish(4)


def test_prmbench(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """PRMBench's figures on its public part: the strict sign, nine classes, three dimensions, items without all
    scores, repeated ids, twins."""
    import_step_set(STEPS / "prmbench_prm800k_test.jsonl", tmp_path / "set")
    step_set = StepSet(tmp_path / "set")
    rows, compared = evaluated(capsys, step_set, write_scores(tmp_path / "scores", step_set)), Compared()
    for scorer, wanted in expected["prmbench"].items():
        if "," not in scorer:
            _compare_prmbench(compared, scorer, rows[scorer]["prmbench"], wanted)
    # the same scores, good at the threshold too: eight points from one sign
    tenths = [each for each in write_scores(tmp_path / "again", step_set) if each.stem == "noisy_oracle_tenths"]
    rows = evaluated(capsys, step_set, tenths, "--threshold", ">=0.5")
    wanted = expected["prmbench"]["noisy_oracle_tenths, good iff score >= 0.5"]
    _compare_prmbench(compared, ">=", rows["noisy_oracle_tenths"]["prmbench"], wanted)
    compared.finish(400)


def _compare_prmbench(compared: Compared, where: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    compared.same(f"{where} items", found["n_items"], wanted["n_items"])
    compared.same(f"{where} valid", found["n_valid"], wanted["n_valid"])
    for ours, theirs in zip(found["matrix"], ("TP", "FP", "TN", "FN"), strict=True):
        compared.same(f"{where} {theirs}", ours, wanted["matrix"][theirs])
    for ours, theirs in (
        ("f1", "f1"),
        ("negative_f1", "negative_f1"),
        ("correct_step_accuracy", "correct_step_accuracy"),
        ("wrong_step_accuracy", "wrong_step_accuracy"),
        ("step_accuracy", "step_accuracy"),
        ("first_error_accuracy", "first_error_accuracy"),
        ("similarity", "similarity_published_without_its_bug"),
    ):
        compared.same(f"{where} {ours}", found[ours], wanted[theirs])
    compared.estimate(f"{where} score", found["prm_score"], wanted["prm_score"])
    for name, each in found["classes"].items():
        of = wanted["dimensions"][SHORT[name]]
        for field in ("n", "f1", "negative_f1", "prm_score", "first_error_accuracy"):
            compared.same(f"{where} {name} {field}", each[field], of[field])
    for name, value in found["dimensions"].items():
        compared.same(f"{where} {name}", value, wanted["dimensions"][name])


FIRST_ERROR = {
    "mrgsm8k": "mrgsm8k_with_prm_scores",
    "mrmath_invalid": "mrmath_invalid_with_prm_scores",
    "bigbench_mistake": "bigbench_mistake_arithmetic",
    "mrben_math": "mrben_math",
    "mrben_physics": "mrben_physics",
    "mrben_chemistry": "mrben_chemistry",
}


@pytest.mark.parametrize("name", FIRST_ERROR)
def test_first_error_sets(name: str, tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """Five other benchmarks, their own ways to count steps, and the real scores of three reward models on two."""
    import_step_set(STEPS / f"{FIRST_ERROR[name]}.jsonl", tmp_path / "set")
    step_set = StepSet(tmp_path / "set")
    files = [*write_scores(tmp_path / "scores", step_set), *step_set.pool.reward_folders()]
    rows, compared = evaluated(capsys, step_set, files), Compared()
    for scorer, wanted in expected["first_error_sets"][name].items():
        row = rows.get(scorer) or rows[scorer.replace("(", "_").replace(")", "_")]
        compared.measured(scorer, row["whole"], wanted)
    compared.finish(150)


def test_a_paired_difference_of_solution_areas(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """ReasonEval-34B minus Math-Shepherd on MR-MATH, by the lowest step: the one published comparison with limits."""
    import_step_set(STEPS / "mrmath_invalid_with_prm_scores.jsonl", tmp_path / "set")
    step_set = StepSet(tmp_path / "set")
    rows, compared = evaluated(capsys, step_set, list(step_set.pool.reward_folders())), Compared()
    wanted = expected["paired_solution_auc_min_mrmath"]
    found = [
        each
        for each in rows[""]["differences"]
        if each["measure"] == "solution_auc_min" and {"34b", "hepherd"} <= _kinds(each)
    ]
    assert len(found) == 1
    difference, sign = found[0]["difference"], 1 if "34b" in found[0]["one"] else -1
    compared.same("difference", sign * difference["value"], wanted["difference"])
    compared.same("error", difference["se_bootstrap"], wanted["se_bootstrap"], 0.1 * wanted["se_bootstrap"])
    compared.finish(2)


def _kinds(each: dict[str, Any]) -> set[str]:
    return {kind for kind in ("34b", "7b-v1.1", "hepherd") for name in (each["one"], each["other"]) if kind in name}


RATED = {
    "human_validation": "prm800k_human_validation",
    "neutral_positive": "prm800k_neutral_positive_with_prm_scores",
}


@pytest.mark.parametrize("name", RATED)
def test_neutral_steps_three_ways(name: str, tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """Neutral steps as good, as bad or left out: 15 points of AUC for one scorer, so that it must be said."""
    import_step_set(STEPS / f"{RATED[name]}.jsonl", tmp_path / "set")
    step_set = StepSet(tmp_path / "set")
    files = [*write_scores(tmp_path / "scores", step_set), *step_set.pool.reward_folders()]
    compared = Compared()
    for option, key in (("good", "neutral_good"), ("bad", "neutral_bad"), ("out", "neutral_left_out")):
        rows = evaluated(capsys, step_set, files, "--neutral", option)
        for scorer, wanted in expected["prm800k_three_way"][name].items():
            row = rows.get(scorer) or rows.get(scorer.replace("(", "_").replace(")", "_"))
            if row is None or key not in wanted:
                continue
            found = row["whole"]["separated"]
            for ours, theirs in (("n", "n"), ("n_good", "good"), ("ap_bad", "ap_bad"), ("accuracy", "accuracy")):
                compared.same(f"{scorer} {option} {ours}", found[ours], wanted[key][theirs])
            compared.same(f"{scorer} {option} auc", found["auc"]["value"], wanted[key]["auc"])
            for field in ("brier", "ece"):
                compared.same(f"{scorer} {option} {field}", found["calibration"][field], wanted[key][field])
    compared.finish(30)


def test_stored_outputs_on_mrgsm8k(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """Real step scores of published reward models on 815 solutions, right and wrong."""
    import_step_set(OUTPUTS / "mrgsm8k_original_prms.jsonl", tmp_path / "set")
    _compare_stored(tmp_path / "set", expected["stored_outputs"]["mrgsm8k_original"], capsys, least=120)


def test_stored_outputs_on_mrmath(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """Eight reward models, and two critics, whose predictions are files of their own."""
    source = OUTPUTS / "mrmath_invalid_evaluators.jsonl"
    import_step_set(source, tmp_path / "set")
    wanted = expected["stored_outputs"]["mrmath_invalid"]
    _compare_stored(tmp_path / "set", wanted, capsys, 120, _critics(source, tmp_path))


def _critics(source: Path, folder: Path) -> list[Path]:
    """Write the predictions of the stored critics: none if it says "correct", else the step it names, from 1."""
    lines: dict[str, list[str]] = {}
    ids = [each.solution_id for each in StepSet(folder / "set").solutions]
    for solution, line in zip(ids, source.read_text().splitlines(), strict=True):
        for name, said in json.loads(line)["critics"].items():
            lines.setdefault(name, []).append(json.dumps({"id": solution, "prediction": _said(said)}))
    paths = []
    for name, rows in lines.items():
        paths.append(folder / f"{name} (critic).jsonl")
        paths[-1].write_text("\n".join(rows))
    return paths


def _said(critic: dict[str, Any]) -> int | None:
    if str(critic["correctness_pred"]).strip().lower() in ("correct", "true", "1"):
        return -1
    number = re.search(r"\d+", str(critic["error_step_pred"]))
    return int(number[0]) - 1 if number else None


def _compare_stored(
    folder: Path, wanted: dict[str, Any], capsys: Any, least: int, more: list[Path] | None = None
) -> None:
    step_set, compared = StepSet(folder), Compared()
    rows = evaluated(capsys, step_set, [*step_set.pool.reward_folders(), *(more or [])])
    for scorer, of in wanted.items():
        row = rows.get(scorer) or rows[scorer.replace("(", "_").replace(")", "_")]
        compared.measured(scorer, row["whole"], of)
    compared.finish(least)


def test_stored_outputs_on_prmbench(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """R-PRM-7B-SFT's real votes: what the threshold and its sign are worth on the same scores."""
    import_step_set(OUTPUTS / "prmbench_rprm.jsonl", tmp_path / "set")
    step_set, compared = StepSet(tmp_path / "set"), Compared()
    for key, threshold in (("labels as stored", "0.6"), ("good iff score > 0.5", "0.5")):
        wanted = expected["stored_outputs"]["prmbench_rprm"][key]
        (name,) = [each.name for each in step_set.pool.reward_folders()]
        rows = evaluated(capsys, step_set, list(step_set.pool.reward_folders()), "--threshold", threshold)
        _compare_prmbench(compared, key, rows[name]["prmbench"], wanted)
    compared.finish(100)


def test_perturbed_pairs(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """How often a right solution is liked better than what was made from it, by kind of change and aggregation."""
    import_step_set(STEPS / "prm800k_perturbed_with_prm_scores.jsonl", tmp_path / "set")
    step_set, compared = StepSet(tmp_path / "set"), Compared()
    rows = evaluated(capsys, step_set, list(step_set.pool.reward_folders()))
    for scorer, wanted in expected["perturbed_pairs"].items():
        found = (rows.get(scorer) or rows[scorer.replace("(", "_").replace(")", "_")])["pairs"]
        compared.same(f"{scorer} originals", found["n_originals"], wanted["references"])
        compared.same(f"{scorer} pairs", found["n_pairs"], wanted["pairs"])
        for name in ("prod", "min", "mean", "last"):
            of = found["by"][name]
            compared.same(f"{scorer} {name} best", of["strictly_best"], wanted[name]["reference_strictly_best"])
            for group, rate in wanted[name]["win_rate"].items():
                compared.same(f"{scorer} {name} {group}", of["win_rate"][group], rate)
    compared.finish(50)


def test_mrben_average(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """The plain mean of subjects of what MR-Score has without reasons: 0.2 max(0, MCC) + 0.3 of the first error."""
    shares: dict[str, list[float]] = {}
    for name in ("mrben_math", "mrben_physics", "mrben_chemistry"):
        import_step_set(STEPS / f"{name}.jsonl", tmp_path / name)
        step_set = StepSet(tmp_path / name)
        for scorer, row in evaluated(capsys, step_set, write_scores(tmp_path / f"{name}-scores", step_set)).items():
            if scorer:
                shares.setdefault(scorer, []).append(row["whole"]["located"]["mr_share"])
    compared = Compared()
    for scorer, wanted in expected["mrben_average"].items():
        compared.same(scorer, sum(shares[scorer]) / 3 * 0.5, wanted)
    compared.finish(12)


def test_small_cases(tmp_path: Path, expected: dict[str, Any], capsys: Any) -> None:
    """Ties at the threshold, one class, missing scores: the cases in which published scripts print nan, -1 or 0."""
    compared = Compared()
    for name, wanted in expected["micro"].items():
        if isinstance(wanted, str):
            continue
        rows = wanted["input"]
        texts = [
            {"id": row["id"], "problem": row["id"], "steps": ["a step"] * row["n_steps"], "label": row["first_error"]}
            for row in rows
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, texts)))
        import_step_set(tmp_path / f"{name}.jsonl", tmp_path / name, form="plain")
        scores = [{"id": row["id"], "scores": row["scores"], "threshold": 0.5} for row in rows]
        file = tmp_path / f"scores-{name}.jsonl"
        file.write_text("\n".join(map(json.dumps, scores)))
        found = evaluated(capsys, StepSet(tmp_path / name), [file])[file.stem]["whole"]
        place, steps = found["located"], found["separated"]
        for field in ("error_acc", "correct_acc"):
            compared.same(f"{name} {field}", place[field], wanted[field])
        compared.same(f"{name} f1", place["f1"]["value"], wanted["f1"])
        assert place["f1"]["value"] is not None or place["f1"]["reason"]
        compared.same(f"{name} auc", steps["auc"]["value"], wanted["step_auc"])
        compared.same(f"{name} ap", steps["ap_bad"], wanted["step_ap_bad"])
        compared.same(f"{name} ece", steps["calibration"]["ece"], wanted["ece"])
        compared.same(f"{name} min", found["solution_auc"]["min"]["value"], wanted["solution_auc_min"])
        compared.same(f"{name} mcc", place["mcc"], wanted["mr"]["mcc"])
        compared.same(f"{name} mr", place["mr_share"], wanted["mr"]["partial"])
    compared.finish(50)


def test_the_hash_of_the_artificial_scorers(expected: dict[str, Any]) -> None:
    """Another hash would compare other numbers with the expected ones, and every difference would be ours."""
    for text, value in expected["hash_examples"].items():
        assert unit(text) == pytest.approx(value, abs=1e-10)
