"""Over-optimisation: what a weak verifier does as n grows (Gao et al. 2023; Lightman et al. 2023, figure 3).

A verifier that misjudges some candidates meets more of them the more it may choose from. ORMs of the shipped recipe,
trained for few steps, stand beside the ORM and the PRM that ship: the same lessons, a fraction of the steps (and in the
last part the policy's candidates of the laboratory's problems).
"""

from __future__ import annotations

from typing import Any

from prm_eval.miniature.candidates import LESSON_DRAW, training_problems
from prm_eval.miniature.lessons import Lessons
from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, Steps, of_seeds
from prm_eval.miniature.study.summaries import by_n, difference, draw, interval
from prm_eval.miniature.study.supervision import policy_alone

SHIPPED = ("orm", "prm")


def weak(laboratory: Laboratory, seed: int) -> Steps:
    """Return the scores of an ORM of few steps for the test bank."""
    steps = laboratory.settings.weak_steps
    arm = Arm("orm", "lessons", steps, seed)

    def train() -> Any:
        problems = training_problems(laboratory.settings.written, LESSON_DRAW, seed)
        sampled = [list(dict.fromkeys(row)) for row in laboratory.wide.candidates]
        lessons = Lessons(seed, steps, problems, sampled)
        return laboratory.trained(arm.name, lambda number, encoder: lessons.batch(number, "orm", encoder), seed, steps)

    return laboratory.scored(arm.name, "orm", train)


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    m, steps = laboratory.settings.samples, laboratory.settings.weak_steps
    ns = tuple(n for n in (1, 2, 4, 8, 16, 32, 64) if n <= m)
    few = (weak(laboratory, seed) for seed in laboratory.settings.seeds)
    curves: dict[str, Floats] = {f"ORM, {steps:,} steps": of_seeds(few, laboratory.test, ns)}
    for kind in SHIPPED:
        curves[f"{kind.upper()} that ships"] = of_seeds([laboratory.of_model(kind)], laboratory.test, ns)
    before = max(0, len(ns) - 3)
    found = {
        "study": "overoptimisation",
        "n": list(ns),
        "best_of_n": {name: by_n(each, ns) for name, each in curves.items()},
        f"n = {ns[-1]} - n = {ns[before]}": {
            name: {str(ns[-1]): difference(each[:, :, -1], each[:, :, before])} for name, each in curves.items()
        },
    }
    points = {name: [(float(n), interval(each[:, :, k])) for k, n in enumerate(ns)] for name, each in curves.items()}
    title = f"Best of n on {laboratory.settings.test_problems} problems, by an ORM of few steps and by those that ship"
    return found, draw(points, x="n, candidates a problem", title=title, flat=policy_alone(laboratory))
