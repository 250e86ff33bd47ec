"""Labelled step sets with stored scores of real reward models and critics: the page docs/real-steps.md in one command.

    python benchmarks/real_steps.py [--data ../shared/data] [-o docs/real-steps.md]

The sets are no part of this repository; the page has figures only. Every figure comes from the functions behind
``prm-eval steps import`` and ``prm-eval evaluate``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.evaluation.stepwise.jobs import StepEvaluation, run_step_evaluation
from prm_eval.evaluation.stepwise.measuring import Row
from prm_eval.evaluation.stepwise.prmbench import DIMENSIONS, SHORT
from prm_eval.evaluation.stepwise.report import HEADLINES, beats, headline_value, limits, ordered, per_cent, rule_bounds
from prm_eval.importers.steps import import_step_set
from prm_eval.stepsets import StepSet


@dataclass(frozen=True)
class RealSet:
    """A set of the data folder: its title, its files, and what a reader should know."""

    title: str
    files: tuple[str, ...]
    remark: str = ""
    critics: bool = False


SETS = (
    RealSet(
        "ProcessBench",
        tuple(f"steps/processbench_{name}.jsonl" for name in ("gsm8k", "math", "olympiadbench", "omnimath")),
        "No step scores of a reward model on it are stored anywhere we could look, so these rows are the rules alone.",
    ),
    RealSet("MR-GSM8K, original questions", ("steps_outputs/mrgsm8k_original_prms.jsonl",)),
    RealSet(
        "MR-MATH, right answers",
        ("steps_outputs/mrmath_invalid_evaluators.jsonl",),
        "GPT-4 and GPT-3.5 are critics: they name the first wrong step and give no scores.",
        critics=True,
    ),
    RealSet("MR-GSM8K, wrong solutions alone", ("steps/mrgsm8k_with_prm_scores.jsonl",)),
    RealSet("PRM800K, right solutions with neutral steps", ("steps/prm800k_neutral_positive_with_prm_scores.jsonl",)),
    RealSet(
        "PRM800K, solutions and perturbations of them",
        ("steps/prm800k_perturbed_with_prm_scores.jsonl",),
        "Some perturbations leave the solution right, so that only two kinds of them have labels.",
    ),
    RealSet("BIG-Bench Mistake, arithmetic", ("steps/bigbench_mistake_arithmetic.jsonl",)),
    RealSet("Mr-Ben", tuple(f"steps/mrben_{name}.jsonl" for name in ("math", "physics", "chemistry"))),
    RealSet("PRM800K, validation part", ("steps/prm800k_human_validation.jsonl",)),
)
RPRM = "steps_outputs/prmbench_rprm.jsonl"
PUBLISHED = {
    "NR": 52.7,
    "NCL": 64.7,
    "ES": 70.1,
    "SC": 62.7,
    "DC": 63.4,
    "CI": 69.5,
    "PS": 61.4,
    "DR": 67.4,
    "MS": 98.3,
    "simplicity": 58.7,
    "soundness": 66.4,
    "sensitivity": 75.7,
    "overall": 64.9,
}
"""The row of R-PRM-7B-SFT in table 2 of its paper (arXiv 2503.21295), on all of PRMBench."""
THRESHOLDS = (">0.6", ">=0.5", ">0.5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_EVAL_DATA", "../shared/data")))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/real-steps.md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = [HEAD, *rprm(options.data, Path(folder) / "rprm")]
        for number, each in enumerate(SETS):
            parts += section(each, options.data, Path(folder) / str(number))
    options.output.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


HEAD = """# Who finds the mistake: real sets, real scores

<!-- made by: python benchmarks/real_steps.py -->

Labelled sets and stored scores that nobody here made, through `prm-eval steps import` and `prm-eval evaluate SET`. The
data are no part of this package (they are split by problem, and these are the parts that are at hand, 60 % or so);
`benchmarks/real_steps.py` makes this page where they are. All figures are per cent, limits are 95 % over problems with
1,000 resamples. Rows in brackets have no model. What each column means: [finding-mistakes.md](finding-mistakes.md).
"""


def rprm(data: Path, folder: Path) -> list[str]:
    """Return what the threshold does to the figures of R-PRM-7B-SFT on PRMBench."""
    import_step_set(data / RPRM, folder)
    found = [run_step_evaluation(folder, threshold=each) for each in THRESHOLDS]
    names = [*SHORT.values(), *DIMENSIONS, "overall"]
    rows: list[list[str]] = [["", *names]]
    rows.append(["published, all of PRMBench", *(f"{PUBLISHED[name]:.1f}" for name in names)])
    for asked, evaluation in zip(THRESHOLDS, found, strict=True):
        rows.append([f"`{asked}`", *_rprm_values(evaluation.rows[0], names)])
    rows += [[f"({rule.scores.name})", *_rprm_values(rule, names)] for rule in found[0].rules]
    whole = found[0].rows[0].whole
    return [
        "## PRMBench: R-PRM-7B-SFT, and what the threshold is worth",
        "",
        *wrapped(
            f"The stored scores are the share of ten sampled verdicts, so that many stand at the threshold itself. On "
            f"{whole.n_solutions:,} items ({whole.n_steps:,} steps) of PRMBench's 6,211:"
        ),
        "",
        *markdown(rows),
        "",
        *wrapped(
            "The paper says that the threshold is 0.5; its printed row is that of a score above 0.6. On the same "
            f"scores the overall figure moves by {_spread(found):.1f} points with the threshold and its sign, and a "
            f"rule that never reads a step comes within {_to_rule(found[0]):.1f} points of the first row."
        ),
        "",
    ]


def _rprm_values(row: Row, names: list[str]) -> list[str]:
    found = row.prmbench
    assert found is not None
    of = {short: found.classes[name].prm_score for name, short in SHORT.items()}
    of |= {**found.dimensions, "overall": found.prm_score.value}
    return [per_cent(of[name]) for name in names]


def _spread(found: list[StepEvaluation]) -> float:
    values = [headline_value(each.rows[0], each.headline).value or 0.0 for each in found]
    return 100 * (max(values) - min(values))


def _to_rule(evaluation: StepEvaluation) -> float:
    best = max(headline_value(rule, evaluation.headline).value or 0.0 for rule in evaluation.rules)
    return 100 * ((headline_value(evaluation.rows[0], evaluation.headline).value or 0.0) - best)


def section(real: RealSet, data: Path, folder: Path) -> list[str]:
    """Return the section of one set."""
    import_step_set([data / name for name in real.files], folder)
    step_set = StepSet(folder)
    files = list(step_set.pool.reward_folders())
    if real.critics:
        files += critics(data / real.files[0], step_set, folder)
    found = run_rows(step_set, files)
    whole = (*found.rows, *found.rules)[0].whole
    lines = [
        f"## {real.title}",
        "",
        *wrapped(
            f"{whole.n_solutions:,} solutions of {whole.n_problems:,} problems, {whole.n_steps:,} steps; "
            f"{whole.located.n_error:,} with a wrong step, {whole.located.n_clean:,} without. {real.remark}"
        ),
        "",
        *markdown(table(found)),
        "",
    ]
    return [*lines, *areas(found), *pairs(found), *bests(found)]


def run_rows(step_set: StepSet, files: list[Path]) -> StepEvaluation:
    """Evaluate the rewards of a set; a set without any has the rules alone."""
    if files:
        return run_step_evaluation(step_set.path, files, missing="wrong")
    from prm_eval.evaluation.stepwise.arrays import load_set
    from prm_eval.evaluation.stepwise.jobs import evaluate_steps
    from prm_eval.evaluation.stepwise.measuring import Settings
    from prm_eval.evaluation.stepwise.thresholds import Ask

    return evaluate_steps(step_set.info, load_set(step_set), [], Ask(), Settings())


def critics(source: Path, step_set: StepSet, folder: Path) -> list[Path]:
    """Write the stored critics' predictions as files: none if it says "correct", else the step it names, from 1."""
    lines: dict[str, list[str]] = {}
    with source.open(encoding="utf-8") as rows:
        for solution, line in zip(step_set.solutions, rows, strict=True):
            for name, said in json.loads(line)["critics"].items():
                row = {"id": solution.solution_id, "prediction": _said(said), "name": f"{name} (critic)"}
                lines.setdefault(name, []).append(json.dumps(row))
    paths = []
    for name, of in lines.items():
        paths.append(folder / f"{name}.jsonl")
        paths[-1].write_text("\n".join(of), encoding="utf-8")
    return paths


def _said(critic: dict[str, Any]) -> int | None:
    if str(critic["correctness_pred"]).strip().lower() in ("correct", "true", "1"):
        return -1
    number = re.search(r"\d+", str(critic["error_step_pred"]))
    return int(number[0]) - 1 if number else None


def table(found: StepEvaluation) -> list[list[str]]:
    """Return the rows of a set's table."""
    head = ["", HEADLINES[found.headline], "limits", "error acc", "correct acc", "F1", "step AUC", "AP bad", "ECE"]
    cells = [[*head, "lowest is first", "too early / exact / too late / none", "beats the best rule"]]
    for row in [*ordered(found), *found.rules]:
        place, steps = row.whole.located, row.whole.separated
        headline = headline_value(row, found.headline)
        ece = None if steps is None or steps.calibration is None else steps.calibration.ece
        kinds = place.outcomes
        counts = (kinds.too_early, kinds.exact, kinds.too_late, kinds.none_found)
        rule = row.scores.kind == "rule"
        cells.append(
            [
                f"({row.scores.name})" if rule else row.scores.name,
                per_cent(headline.value),
                limits(headline),
                *(per_cent(each) for each in (place.error_acc, place.correct_acc, place.f1.value)),
                *(per_cent(each) for each in (_of(steps, "auc"), _of(steps, "ap_bad"), ece)),
                per_cent(_of(steps, "lowest_is_first_error")),
                " / ".join(f"{100 * each / place.n_error:.0f}" for each in counts) if place.n_error else "–",
                "" if rule else beats(found, row.scores.name),
            ]
        )
    return cells


def _of(steps: Any, name: str) -> float | None:
    if steps is None:
        return None
    value = getattr(steps, name)
    return value.value if name == "auc" else value


def areas(found: StepEvaluation) -> list[str]:
    """Return the table of solution areas by aggregation, where both classes are there."""
    rows = [row for row in ordered(found) if any(each.value is not None for each in row.whole.solution_auc.values())]
    if not rows:
        return []
    names = list(rows[0].whole.solution_auc)
    cells = [["solution AUC", *names]]
    cells += [[row.scores.name, *(per_cent(row.whole.solution_auc[name].value) for name in names)] for row in rows]
    return [*markdown(cells), ""]


def pairs(found: StepEvaluation) -> list[str]:
    """Return how often originals are preferred by their lowest step."""
    rows = [row for row in ordered(found) if row.pairs is not None]
    if not rows or rows[0].pairs is None:
        return []
    names = list(rows[0].pairs.by["min"].win_rate)
    cells = [["original before perturbed, by the lowest step", *names, "before all of its own"]]
    for row in rows:
        if row.pairs is not None:
            own = row.pairs.by["min"]
            best = f"{own.strictly_best} of {row.pairs.n_originals}"
            cells.append([row.scores.name, *(per_cent(own.win_rate[name]) for name in names), best])
    return [*markdown(cells), ""]


def bests(found: StepEvaluation) -> list[str]:
    """Return what the rules reach with the threshold that is best on the set itself, where F1 is defined."""
    said = rule_bounds(found)
    return [*wrapped(said[0].upper() + said[1:] + "."), ""] if said else []


def wrapped(text: str) -> list[str]:
    """Return a paragraph in lines."""
    return textwrap.wrap(text.strip(), 118)


def markdown(cells: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    rows = ["| " + " | ".join(row) + " |" for row in cells]
    return [rows[0], "|" + " --- |" * len(cells[0]), *rows[1:]]


if __name__ == "__main__":
    main()
