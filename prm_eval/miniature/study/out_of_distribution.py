"""Out of distribution (Lightman et al. 2023, table 1, in small): verifiers on problems of a kind they never saw.

The paper tests its verifiers on exams that nobody had trained on. Here each subject is left out once, and verifiers
learn from the rest; they are tested on the problems of that subject, and all subjects together are the whole test set.
Another pair learns from levels 1 to 3 and is tested on 4 and 5. Beside each stands a verifier that learnt from equally
many problems of all kinds. The policy knows all kinds, and so does the start of the verifiers, which is single facts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from prm_eval.miniature.data import Labelled, Labelling
from prm_eval.miniature.problems import MiniatureProblem
from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, Steps, of_seeds
from prm_eval.miniature.study.summaries import by_n, differences_by_n, draw, interval
from prm_eval.miniature.subjects import SUBJECTS

SIZE = 16  # candidates a problem
LOW_LEVELS = 3
LABELS: dict[Labelling, str] = {"prm": "process labels", "orm": "final answers"}
Kept = Callable[[MiniatureProblem], bool]
SEEN, UNSEEN = "all kinds", "the rest"


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    ns = tuple(n for n in (1, 4, 16, 64) if n <= laboratory.settings.samples)
    curves = {
        (labels, how, by): _curves(laboratory, labels, how, by, ns)
        for labels in LABELS
        for how in ("subject", "level")
        for by in (SEEN, UNSEEN)
    }
    found = {
        "study": "out-of-distribution",
        "n": list(ns),
        "size": SIZE,
        "best_of_n": {
            f"tested on another {how}": {
                f"{LABELS[labels]}, trained on {by}": by_n(curves[labels, how, by], ns)
                for labels in LABELS
                for by in (SEEN, UNSEEN)
            }
            for how in ("subject", "level")
        },
        "lost out of distribution": {
            f"another {how}, {LABELS[labels]}": differences_by_n(
                curves[labels, how, UNSEEN], curves[labels, how, SEEN], ns
            )
            for how in ("subject", "level")
            for labels in LABELS
        },
    }
    points = {
        f"{LABELS[labels]}, {by}": [
            (float(n), interval(curves[labels, "subject", by][:, :, k])) for k, n in enumerate(ns)
        ]
        for labels, name in LABELS.items()
        for by in (SEEN, UNSEEN)
    }
    title = f"Best of n on {laboratory.settings.test_problems} problems, each of a subject not trained on, or of all"
    return found, draw(points, x="n, candidates a problem", title=title)


def _curves(laboratory: Laboratory, labels: Labelling, how: str, by: str, ns: tuple[int, ...]) -> Floats:
    """Return accuracies (seeds, problems, len(ns)), of each problem by the verifier that did not see its kind."""
    problems = laboratory.test.problems
    if how == "level":
        tested = np.array([_level(each) > LOW_LEVELS for each in problems])
        parts = [("levels", tested, lambda each: _level(each) <= LOW_LEVELS)]
    else:
        parts = [
            (name, np.array([each.problem.subject == name for each in problems]), _not_of(name)) for name in SUBJECTS
        ]
    found = np.full((len(laboratory.settings.seeds), len(problems), len(ns)), np.nan)
    for name, tested, kept in parts:
        found[:, tested] = of_seeds(
            (_steps(laboratory, labels, by, name, kept, seed) for seed in laboratory.settings.seeds),
            laboratory.test,
            ns,
        )[:, tested]
    return found[:, ~np.isnan(found[0, :, 0])]


def _steps(laboratory: Laboratory, labels: Labelling, by: str, name: str, kept: Kept, seed: int) -> Steps:
    arm = Arm(labels, f"{'without' if by == UNSEEN else 'as-many-as-without'}-{_slug(name)}", SIZE, seed)
    return laboratory.steps(arm, lambda: _learnt(laboratory, kept, by, seed))


def _learnt(laboratory: Laboratory, kept: Kept, by: str, seed: int) -> list[Labelled]:
    """Return the candidates of the problems that are kept, or of equally many random ones."""
    problems = laboratory.train.problems
    drawn = laboratory.drawn(SIZE, seed)
    each_has = len(drawn) // len(problems)
    chosen = [at for at, problem in enumerate(problems) if kept(problem)]
    if by == SEEN:
        rng = random.Random(f"as many {seed}")  # noqa: S311 (no secret: an order)
        chosen = rng.sample(range(len(problems)), len(chosen))
    return [each for at in chosen for each in drawn[at * each_has : (at + 1) * each_has]]


def _level(problem: MiniatureProblem) -> int:
    return int(problem.problem.level or 0)


def _not_of(subject: str) -> Kept:
    return lambda problem: problem.problem.subject != subject


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-").replace("&", "and")
