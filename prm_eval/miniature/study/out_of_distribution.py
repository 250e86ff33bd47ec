"""Out of distribution (Lightman et al. 2023, table 1, in small): verifiers on problems of a kind they never saw.

The paper tests its verifiers on exams that nobody had trained on. Here each subject is left out once, and verifiers
learn from the rest; they are tested on the problems of that subject, and all subjects together are the whole test set.
Another pair learns from levels 1 to 3 and is tested on 4 and 5. Beside them stands a verifier that learnt from as many
problems of all kinds as they have on average, and the majority vote, which learnt nothing. The policy knows all kinds,
and so does the start of the verifiers, which is single facts. All have process labels: with outcome labels of so few
candidates a verifier is below the vote on all kinds already, as the study of supervision shows.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prm_eval.miniature.data import Labelled
from prm_eval.miniature.problems import MiniatureProblem
from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, Steps, majority, of_seeds
from prm_eval.miniature.study.summaries import by_n, differences_by_n, draw, interval
from prm_eval.miniature.subjects import SUBJECTS

SIZE = 2  # candidates a problem
LOW_LEVELS = 3
HOW = ("subject", "level")
Kind: TypeAlias = Callable[[MiniatureProblem], bool]
SEEN, UNSEEN, VOTE = "trained on all kinds", "trained on the rest", "majority"


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    ns = tuple(n for n in (1, 4, 16, 64) if n <= laboratory.settings.samples)
    curves = {(how, by): _curves(laboratory, how, by, ns) for how in HOW for by in (SEEN, UNSEEN)}
    votes = np.repeat(majority(laboratory.test, ns)[None], len(laboratory.settings.seeds), axis=0)
    curves |= {(how, VOTE): votes[:, tested(laboratory, how)] for how in HOW}
    found = {
        "study": "out-of-distribution",
        "n": list(ns),
        "size": SIZE,
        "best_of_n": {
            f"tested on another {how}": {by: by_n(curves[how, by], ns) for by in (SEEN, UNSEEN, VOTE)} for how in HOW
        },
        "lost out of distribution": {
            f"another {how}": differences_by_n(curves[how, UNSEEN], curves[how, SEEN], ns) for how in HOW
        },
        "above majority out of distribution": {
            f"another {how}": differences_by_n(curves[how, UNSEEN], curves[how, VOTE], ns) for how in HOW
        },
    }
    points = {
        f"{by}, {how}": [(float(n), interval(curves[how, by][:, :, k])) for k, n in enumerate(ns)]
        for how, by in itertools.product(HOW, (SEEN, UNSEEN, VOTE))
    }
    title = "Best of n on every subject, or on levels 4 and 5, by verifiers trained on the rest or on all"
    return found, draw(points, x="n, candidates a problem", title=title)


def _curves(laboratory: Laboratory, how: str, by: str, ns: tuple[int, ...]) -> Floats:
    """Return accuracies (seeds, problems, len(ns)), of each problem by the verifier that did not see its kind."""
    found = np.full((len(laboratory.settings.seeds), len(laboratory.test.problems), len(ns)), np.nan)
    for part in parts(laboratory, how, by):
        found[:, part.tested] = of_seeds(
            (_steps(laboratory, part, seed) for seed in laboratory.settings.seeds), laboratory.test, ns
        )[:, part.tested]
    return found[:, tested(laboratory, how)]


def tested(laboratory: Laboratory, how: str) -> npt.NDArray[np.bool_]:
    """Return which test problems are of a kind that some verifier did not see, (problems,)."""
    every: npt.NDArray[np.bool_] = np.any([each.tested for each in parts(laboratory, how, UNSEEN)], axis=0)
    return every


@dataclass(frozen=True)
class Part:
    """A verifier's part of the test problems, and of the training problems.

    Attributes:
        name: The name of its arm.
        tested: Which test problems it is tested on, (problems,).
        learnt: The training problems that it learns from, by seed.
    """

    name: str
    tested: npt.NDArray[np.bool_]
    learnt: Callable[[int], list[int]]


def parts(laboratory: Laboratory, how: str, by: str) -> list[Part]:
    """Return the verifiers that are tested on another subject or level, or the one that learnt from equally many.

    Args:
        laboratory: The laboratory.
        how: "subject" or "level".
        by: :data:`UNSEEN`, or :data:`SEEN`: from as many problems as the others do on average.
    """
    kinds: dict[str, Kind] = {"levels": _is_high} if how == "level" else {name: _is_of(name) for name in SUBJECTS}
    unseen = [
        Part(
            f"without-{_slug(name)}",
            np.array([left_out(each) for each in laboratory.test.problems], dtype=bool),
            _only([at for at, each in enumerate(laboratory.train.problems) if not left_out(each)]),
        )
        for name, left_out in kinds.items()
    ]
    if by == UNSEEN:
        return unseen
    count = round(float(np.mean([len(each.learnt(0)) for each in unseen])))

    def drawn(seed: int) -> list[int]:
        rng = random.Random(f"as many {seed}")  # noqa: S311 (no secret: an order)
        return rng.sample(range(len(laboratory.train.problems)), count)

    return [Part(f"as-many-as-without-a-{how}", np.any([each.tested for each in unseen], axis=0), drawn)]


def _only(numbers: list[int]) -> Callable[[int], list[int]]:
    return lambda seed: numbers


def _steps(laboratory: Laboratory, part: Part, seed: int) -> Steps:
    return laboratory.steps(Arm("prm", part.name, SIZE, seed), lambda: learnt(laboratory, part, seed))


def learnt(laboratory: Laboratory, part: Part, seed: int) -> list[Labelled]:
    """Return the candidates that a verifier learns from."""
    drawn = laboratory.drawn(SIZE, seed)
    each_has = len(drawn) // len(laboratory.train.problems)
    return [each for at in part.learnt(seed) for each in drawn[at * each_has : (at + 1) * each_has]]


def _is_high(problem: MiniatureProblem) -> bool:
    return int(problem.problem.level or 0) > LOW_LEVELS


def _is_of(subject: str) -> Kind:
    return lambda problem: problem.problem.subject == subject


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-").replace("&", "and")
