"""Active learning (Lightman et al. 2023, section 4.2 and figure 4a): which candidates to label.

The bank is sampled at a higher temperature, so that a problem has many different candidates. An arm takes N candidates,
one of each of N random problems. All get process labels, all verifiers start alike and learn equally long, and arms are
compared at equal N, on the same problems:

* ``uniform``: random ones. With the smallest N this is also the selector, which scores the whole bank for the arms
  below. Its labels are not counted, as in the paper, and its problems are among theirs, as in the paper.
* ``active``: the paper's rule, of 80 % of the problems the most convincing wrong answer, of the others the most
  convincing candidate.
* ``balanced``: of each problem as many right and wrong answers as ``active`` takes, at random. What ``active`` is
  better than this is worth of the selector; the rest is worth of the balance.
* ``uncertain``, ``disagreement``: the rules of ``prm-eval label queue`` of these names, the second with the selectors
  of all seeds (which saw other labels each); where it calls no candidate of a problem doubtful, it takes a random one.
* ``iterated``, on request: N doubles from the smallest, each time by the active rule with the verifier that was trained
  on what is labelled so far (the talk's iterated form). Here all labels count.

The paper has a fixed set of problems and N candidates of each. Here such arms hardly differ: in the study of
supervision 600 labels of as many problems come within three points of 2,900 of the same problems. At the largest N all
seeds have the same problems, so there they differ by their candidates and orders alone.

The rules are those of :mod:`prm_eval.labelling.queue_rules`.

For the data-efficiency ratio, lines of accuracy against log2 N are fitted with one slope for both arms; the ratio is
the horizontal distance of the two lines, as a factor of N. The paper's 2.6 comes from the slopes of its two lines, on a
figure whose axis is not stated to be linear; the two definitions agree where both arms follow the same law.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from prm_eval.errors import PrmEvalError
from prm_eval.labelling.queue_rules import Ask, Row, RuleName, choose, lot_of
from prm_eval.miniature.data import Labelled
from prm_eval.miniature.study.bank import Bank
from prm_eval.miniature.study.laboratory import Arm, BankName, Floats, Laboratory, Steps, of_seeds
from prm_eval.miniature.study.summaries import by_n, differences_by_n, draw, interval, resampled
from prm_eval.miniature.study.supervision import HEADLINE, policy_alone
from prm_eval.rewards.aggregate import sigmoid

PARTS = (8, 4, 2, 1)  # the sizes are these parts of the training problems
RESAMPLES = 2_000
PAPER = "2.6 times as many uniform labels as active ones for the same accuracy"
Picks: TypeAlias = list[list[Labelled]]  # of every problem


def sizes_of(laboratory: Laboratory) -> tuple[int, ...]:
    """Return the numbers of labels that arms are compared at.

    Raises:
        PrmEvalError: There are fewer training problems than parts.
    """
    if laboratory.settings.problems < max(PARTS):
        raise PrmEvalError(
            f"--problems: found {laboratory.settings.problems}; expected {max(PARTS)} or more, because the smallest arm"
            f" labels an {max(PARTS)}th of them"
        )
    return tuple(laboratory.settings.problems // part for part in PARTS)


def problems_of(laboratory: Laboratory, size: int, seed: int) -> list[int]:
    """Return the training problems of which an arm labels a candidate; a larger arm has those of a smaller one too."""
    rng = random.Random(f"labelled {seed}")  # noqa: S311 (no secret: an order)
    count = len(laboratory.wide.problems)
    return rng.sample(range(count), count)[:size]


def rows_of(bank: Bank, only: Collection[int], seed: int, models: Sequence[Steps] = ()) -> list[list[Row]]:
    """Return what the rules know of the different candidates of each problem.

    Args:
        bank: The candidates.
        only: The problems whose candidates may be picked; the others have none.
        seed: The seed of the random order.
        models: The scores of reward models, of which the first gives the reward.
    """
    some = set(only)
    found: list[list[Row]] = []
    for number, (problem, row) in enumerate(zip(bank.problems, bank.candidates, strict=True)):
        slots: dict[Labelled, int] = {}
        for slot, each in enumerate(row if number in some else ()):
            slots.setdefault(each, slot)
        rows: list[Row] = []
        for each, slot in slots.items():
            steps = tuple(tuple(map(sigmoid, model[number][slot])) for model in models)
            chance = float(np.prod(steps[0])) if steps else None
            lot = lot_of(seed, problem.problem.problem_id, each.text)
            rows.append(Row(number, slot, each.text, not each.answer_right, chance, chance, steps, lot))
        found.append(rows)
    return found


def picked(bank: Bank, rows: Sequence[Sequence[Row]], rule: RuleName) -> Picks:
    """Return the candidate that a rule takes of each problem; where it takes none, a random one."""
    found: Picks = [[] for _ in rows]
    # the rule counts problems, to take its share of wrong answers over all of them
    taken = {pick.row for pick in choose([some for some in rows if some], Ask(rule, per_problem=1))}
    for number, some in enumerate(rows):
        mine = [row for row in some if row in taken]
        if some and not mine:
            mine = [pick.row for pick in choose([some], Ask("uniform", per_problem=1))]
        found[number] = [bank.candidates[number][row.slot] for row in mine]
    return found


def _picked(laboratory: Laboratory, rule: RuleName, size: int, seed: int, models: Sequence[Steps] = ()) -> Picks:
    bank = laboratory.wide
    return picked(bank, rows_of(bank, problems_of(laboratory, size, seed), seed, models), rule)


def uniform(laboratory: Laboratory, size: int, seed: int) -> Picks:
    """Return a random one of the different candidates of each of ``size`` problems."""
    return _picked(laboratory, "uniform", size, seed)


def _selector(laboratory: Laboratory, seed: int) -> Steps:
    least = sizes_of(laboratory)[0]
    return _steps(laboratory, "uniform", least, seed, lambda: _all(uniform(laboratory, least, seed)), "wide")


def active(laboratory: Laboratory, size: int, seed: int) -> Picks:
    """Return a candidate of each of ``size`` problems, picked by the selector as described above."""
    return _picked(laboratory, "convincing", size, seed, [_selector(laboratory, seed)])


def balanced(laboratory: Laboratory, size: int, seed: int) -> Picks:
    """Return a right answer of the problems of which :func:`active` takes one, a wrong one of the rest, at random."""
    bank = laboratory.wide
    found: Picks = []
    every = rows_of(bank, problems_of(laboratory, size, seed), seed)
    for rows, wanted in zip(every, active(laboratory, size, seed), strict=True):
        mine: list[Labelled] = []
        for wrong in (True, False):
            number = sum(each.answer_right != wrong for each in wanted)
            if number:
                some = choose([[row for row in rows if row.wrong == wrong]], Ask("uniform", per_problem=number))
                mine += [bank.candidates[pick.row.problem][pick.row.slot] for pick in some]
        found.append(mine)
    return found


def uncertain(laboratory: Laboratory, size: int, seed: int) -> Picks:
    """Return the candidates of which the selector is least sure."""
    return _picked(laboratory, "uncertain", size, seed, [_selector(laboratory, seed)])


def disagreement(laboratory: Laboratory, size: int, seed: int) -> Picks:
    """Return the candidates on whose steps the selectors of all seeds disagree most."""
    models = [_selector(laboratory, each) for each in laboratory.settings.seeds]
    return _picked(laboratory, "disagreement", size, seed, models)


def iterated(laboratory: Laboratory, size: int, seed: int) -> Picks:
    """Return what half of ``size`` labelled, and as many more by the active rule with the verifier trained on that."""
    sizes = sizes_of(laboratory)
    if size == sizes[0]:
        return uniform(laboratory, size, seed)
    half = sizes[sizes.index(size) - 1]
    before = iterated(laboratory, half, seed)
    steps = _steps(laboratory, "iterated", half, seed, lambda: _all(before), "wide")
    bank, new = laboratory.wide, problems_of(laboratory, size, seed)[half:]
    more = picked(bank, rows_of(bank, new, seed, [steps]), "convincing")
    return [[*one, *other] for one, other in zip(before, more, strict=True)]


def _all(picks: Picks) -> list[Labelled]:
    return [each for some in picks for each in some]


Picker: TypeAlias = Callable[[Laboratory, int, int], Picks]
PICKERS: dict[str, Picker] = {
    "active": active,
    "uniform": uniform,
    "balanced": balanced,
    "uncertain": uncertain,
    "disagreement": disagreement,
}
# what is held against what
PAIRS = (("active", "uniform"), ("active", "balanced"), ("balanced", "uniform"), ("uncertain", "uniform"),
         ("disagreement", "uniform"))  # fmt: skip
ITERATED = (("iterated", "active"), ("iterated", "uniform"))


def _steps(
    laboratory: Laboratory,
    picks: str,
    size: int,
    seed: int,
    candidates: Callable[[], Sequence[Labelled]],
    bank: BankName = "test",
) -> Steps:
    """Return the scores of an arm's verifier; all arms are trained equally long, so labels alone differ."""
    # the first round of the iterated arm has nothing to choose with
    named = "uniform" if picks == "iterated" and size == sizes_of(laboratory)[0] else picks
    if picks == "disagreement":
        # these picks are other ones where there are other selectors
        named += "-of-" + "-".join(map(str, laboratory.settings.seeds))
    return laboratory.steps(Arm("prm", named, size, seed), candidates, bank, laboratory.settings.choice_steps)


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    sizes = sizes_of(laboratory)
    ns = tuple(n for n in (4, 16, 64) if n <= laboratory.settings.samples)
    at = ns.index(HEADLINE) if HEADLINE in ns else len(ns) - 1
    pickers = PICKERS | ({"iterated": iterated} if laboratory.settings.iterated else {})
    if len(laboratory.settings.seeds) < 2:
        del pickers["disagreement"]  # a single selector agrees with itself

    @cache
    def picks_of(picks: str, size: int, seed: int) -> tuple[Labelled, ...]:
        return tuple(_all(pickers[picks](laboratory, size, seed)))

    pairs = [pair for pair in (*PAIRS, *ITERATED) if set(pair) <= set(pickers)]

    def sizes_between(one: str) -> tuple[int, ...]:
        # the first round of the iterated arm is the uniform one
        return sizes[1:] if one == "iterated" else sizes

    curves = {(picks, size): _curves(laboratory, picks, size, ns, picks_of) for picks in pickers for size in sizes}
    found = {
        "study": "active-learning",
        "n": list(ns),
        "sizes": list(sizes),
        "best_of_n": {picks: {str(size): by_n(curves[picks, size], ns) for size in sizes} for picks in pickers},
        "differences": {
            f"{one} - {other}": {
                str(size): differences_by_n(curves[one, size], curves[other, size], ns) for size in sizes_between(one)
            }
            for one, other in pairs
        },
        "data_efficiency": {
            f"{one} over {other}": {
                str(n): efficiency(curves, sizes_between(one), k, one, other) for k, n in enumerate(ns)
            }
            for one, other in pairs
        },
        "right answers among the picks": {
            picks: {str(size): _share_right(laboratory, picks, size, picks_of) for size in sizes} for picks in pickers
        },
        "different candidates a problem": float(np.mean([len(set(row)) for row in laboratory.wide.candidates])),
        "paper": PAPER,
    }
    points = {
        f"{picks} picks": [(float(size), interval(curves[picks, size][:, :, at])) for size in sizes]
        for picks in pickers
    }
    title = f"Best of {ns[at]} on {laboratory.settings.test_problems} problems, by how candidates were picked"
    return found, draw(points, x="labelled candidates", title=title, flat=policy_alone(laboratory))


PicksOf: TypeAlias = Callable[[str, int, int], Sequence[Labelled]]  # of an arm, a size and a seed


def _curves(laboratory: Laboratory, picks: str, size: int, ns: Sequence[int], picks_of: PicksOf) -> Floats:
    """Return the accuracies of best-of-n on the test bank, (seeds, problems, len(ns))."""

    def of_seed(seed: int) -> Steps:
        return _steps(laboratory, picks, size, seed, lambda: picks_of(picks, size, seed))

    return of_seeds(map(of_seed, laboratory.settings.seeds), laboratory.test, ns)


def _share_right(laboratory: Laboratory, picks: str, size: int, picks_of: PicksOf) -> float:
    every = [each for seed in laboratory.settings.seeds for each in picks_of(picks, size, seed)]
    return float(np.mean([each.answer_right for each in every]))


def efficiency(
    curves: dict[tuple[str, int], Floats],
    sizes: Sequence[int],
    k: int,
    one: str,
    other: str,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Return the data-efficiency ratio of two arms with its 95 % interval, from resamples of seeds and problems.

    Where a resample's common slope is not positive, its ratio has no meaning. Such resamples are counted, and with more
    than 2.5 % of them there is no interval.
    """
    values = np.stack([curves[picks, size][:, :, k] for picks in (one, other) for size in sizes])
    ratios = [_ratio(means, sizes) for means in (values.mean(axis=(1, 2)), *resampled(values, resamples))]
    known = [each for each in ratios[1:] if each is not None]
    without = resamples - len(known)
    low, high = np.quantile(known, [0.025, 0.975]) if without <= 0.025 * resamples else (None, None)
    return {
        "ratio": ratios[0],
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "resamples_without_slope": without,
    }


def _ratio(means: Floats, sizes: Sequence[int]) -> float | None:
    """Return 2 ** (vertical distance / common slope) of the two arms' least-squares lines against log2 N."""
    x = np.log2(np.array(sizes, dtype=float))
    ones, others = means[: len(sizes)], means[len(sizes) :]
    centred = x - x.mean()
    slope = float(centred @ (ones + others)) / (2 * float(centred @ centred))
    if slope <= 1e-9:
        return None
    exponent = float(ones.mean() - others.mean()) / slope
    return float(2.0 ** min(max(exponent, -60.0), 60.0))
