"""The evaluation: it turns candidates, grades and rewards of a pool into accuracy curves with their uncertainty.

``lm_eval`` and ``prm-eval evaluate`` both use :func:`problem_curves`, so that they print the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval import plugins
from prm_eval.children.workers import block_size, in_blocks, workers, worth
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.golds import NAMED, UnreadableGold, unreadable_golds
from prm_eval.evaluation.graded import (
    GradedSlots,
    GradedSteps,
    RewardArrays,
    aggregated,
    graded_slots,
    graded_steps,
    named_apart,
)
from prm_eval.evaluation.k_measures import KMeasures, k_measures_of
from prm_eval.evaluation.no_answer import (
    AUTO,
    PUBLISHED,
    NoAnswer,
    both_figures,
    meant_rule,
    other_rule,
    ruled,
)
from prm_eval.evaluation.notes import Counts, notes, reads_golds, votes
from prm_eval.evaluation.one_step import warnings_of
from prm_eval.evaluation.stats import DEFAULT_LEVEL, DEFAULT_RESAMPLES
from prm_eval.evaluation.summary import MAJORITY, ORACLE, CurveKey, Difference, GroupRow, Rank, Row, Summary
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.selection.accuracies import Accuracy, accuracy, pass_at_n
from prm_eval.selection.k_measures import VOTE, KMeasure, read_k_measures
from prm_eval.selection.selectors import (
    COMPETE,
    DEFAULT_DRAWS,
    DEFAULT_SEED,
    LOSE,
    Selector,
    Slots,
    problem_seed,
)

Floats = npt.NDArray[np.float64]
_Curves = dict[CurveKey, Accuracy]

__all__ = [
    "DEFAULT_SELECTORS",
    "Evaluation",
    "GradedSlots",
    "GradedSteps",
    "RewardArrays",
    "checked_ns",
    "default_ns",
    "evaluate",
    "graded_slots",
    "graded_steps",
    "load_selectors",
    "named_apart",
    "problem_curves",
]

# slots whose measuring takes as long as the start of a process
SLOTS_A_PROCESS = 20_000
# slots that are measured at a time
SLOTS_A_BLOCK = 4_000

DEFAULT_SELECTORS = ("first", "majority", "best_of_n", "weighted_majority", ORACLE, "shortest", "longest")


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    ``curves`` has e_p(n), (problems, len(ns)), for every curve; ``unread`` has the golds that grading cannot read,
    where the grades depend on it; ``warnings`` are notes that no reader of the numbers may miss.
    """

    pool: dict[str, Any]
    settings: dict[str, Any]
    ns: tuple[int, ...]
    rows: list[Row]
    groups: list[GroupRow]
    differences: list[Difference]
    ranks: list[Rank]
    curves: dict[CurveKey, Floats]
    problem_ids: tuple[str, ...]
    no_answer: NoAnswer
    unread: tuple[UnreadableGold, ...] = ()
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    k_measures: KMeasures = field(default_factory=KMeasures)

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as ``prm-eval evaluate --json`` prints it."""
        return {
            "schema": "prm_eval.evaluation/1",
            "pool": self.pool,
            "settings": self.settings,
            "rows": [asdict(row) for row in self.rows],
            "groups": [asdict(row) for row in self.groups],
            "differences": [asdict(row) for row in self.differences],
            "ranks": [asdict(row) for row in self.ranks],
            "k_measures": [asdict(row) for row in self.k_measures.rows],
            "no_answer": self.no_answer.to_json(),
            "golds": {"unreadable": len(self.unread), "first": [each.problem_id for each in self.unread[:NAMED]]},
            "notes": self.notes,
            "warnings": self.warnings,
        }


def default_ns(m: int) -> tuple[int, ...]:
    """Return 1, 2, 4, ... up to m, and m itself."""
    powers = [2**k for k in range(m.bit_length()) if 2**k <= m]
    return tuple(powers if powers[-1] == m else [*powers, m])


def checked_ns(ns: Sequence[int] | None, m: int) -> tuple[int, ...]:
    """Return the grid of n, rising and without repetition.

    Raises:
        PrmEvalError: An n is below 1 or above M.
    """
    grid = tuple(sorted(set(ns))) if ns else default_ns(m)
    for n in grid:
        if not 1 <= n <= m:
            raise PrmEvalError(f"n = {n}, but a problem has M = {m} slots; n must be from 1 to {m}")
    return grid


def load_selectors(names: Sequence[str] | None) -> dict[str, Selector | None]:
    """Return selectors by name; the oracle is None, as it sees grades: it is a metric and no selector.

    Raises:
        PrmEvalError: There is no such selector, or the plugin of that name is not one.
    """
    chosen: dict[str, Selector | None] = {}
    for name in names or DEFAULT_SELECTORS:
        if name == ORACLE:
            chosen[name] = None
            continue
        selector = plugins.load("selector", name)()
        if not isinstance(selector, Selector):
            raise PrmEvalError(
                f"{name!r} is not a selector: it needs name, needs_rewards and choose "
                "(see prm_eval.selection.selectors)"
            )
        chosen[name] = selector
    return chosen


def problem_curves(
    graded: GradedSlots,
    selectors: Mapping[str, Selector | None],
    ns: Sequence[int],
    *,
    seed: int = DEFAULT_SEED,
    draws: int = DEFAULT_DRAWS,
    no_answer: str = LOSE,
) -> dict[CurveKey, Accuracy]:
    """Return the expected accuracy of every selector, with every reward model it needs, on one problem."""
    m = len(graded.classes)
    competing = graded.present if no_answer == COMPETE else None
    nothing = np.full(m, np.nan)
    own_seed = problem_seed(seed, graded.problem.problem_id)
    result: dict[CurveKey, Accuracy] = {}
    for name, selector in selectors.items():
        if selector is None:
            result[name, None] = Accuracy(pass_at_n(int(graded.correct.sum()), m, ns), np.zeros(len(ns)))
            continue
        models: dict[str | None, RewardArrays] = {None: RewardArrays(nothing, nothing)}
        if selector.needs_rewards:
            models = dict(graded.rewards.items())
        for model, arrays in models.items():
            slots = Slots(graded.classes, arrays.rewards, arrays.weights, graded.lengths, competing)
            result[name, model] = accuracy(selector.choose(slots, ns, seed=own_seed, draws=draws), graded.correct)
    return result


def evaluate(
    pool: Pool | str | Path,
    rewards: Sequence[NamedRewards | RewardFile | str | Path] = (),
    *,
    grades: str = "own",
    ns: Sequence[int] | None = None,
    selectors: Sequence[str] | None = None,
    draws: int = DEFAULT_DRAWS,
    seed: int = DEFAULT_SEED,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = DEFAULT_LEVEL,
    no_answer: str = AUTO,
    k_measures: Sequence[str] = (),
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate all selectors on a pool.

    Args:
        pool: The candidates, or their folder; it must have grades of the named source.
        rewards: Reward files for this pool, or their folders; a :class:`NamedRewards` has the name for tables.
        grades: "own" (made by ``prm-eval grade``) or "published" (the source's labels).
        ns: Subset sizes; powers of two and M by default.
        selectors: Names; :data:`DEFAULT_SELECTORS` by default.
        draws: Permutations a problem, where an exact form would cost too much.
        seed: The seed of permutations and resampling.
        resamples: Bootstrap resamples of problems.
        level: Confidence level of all limits.
        no_answer: "lose" or "compete", for candidates without an answer; "auto" is :func:`.no_answer.meant_rule`.
        k_measures: Names of :mod:`prm_eval.selection.k_measures`, such as "pass^k", or "all"; none by default.
        jobs: The number of processes, for a pool that is worth starting several; the figures do not depend on it. (A
            script that asks for more than one guards its main part by ``if __name__ == "__main__"``.)
        progress: Called with the number of problems done.

    Raises:
        DataError: A file has a fault.
        PrmEvalError: An n is above M, two reward files have the same name, or a setting is out of its range.
    """
    if seed < 0 or not 0 < level < 1:
        raise PrmEvalError(f"seed = {seed}, level = {level}; expected a seed of at least 0 and a level between 0 and 1")
    if draws < 1 or resamples < 1:
        raise PrmEvalError(f"draws = {draws}, resamples = {resamples}; expected at least 1 of each")
    pool = pool if isinstance(pool, Pool) else Pool(pool)
    files = named_apart(rewards)
    grid = checked_ns(ns, pool.info.m)
    chosen = load_selectors(selectors)
    rule = meant_rule(no_answer, grades)
    measures = read_k_measures(k_measures)
    unshown = _unshown(measures, chosen)
    tables = _Tables()
    counts = Counts({each.label: each.file.info.score_type for each in files})
    by_label = {each.label: each.file for each in files}

    def walk() -> Iterator[GradedSlots]:
        for each in graded_steps(pool, grades, files):
            graded = aggregated(each, by_label)
            counts.add(graded, each.steps)
            yield graded

    measuring = _Measuring(chosen | unshown, grid, seed, draws, rule)
    jobs = worth(jobs, pool.info.n_problems * pool.info.m, SLOTS_A_PROCESS)
    blocks = in_blocks(walk(), block_size(jobs, SLOTS_A_BLOCK, pool.info.m))
    with workers(measuring, jobs) as crew:
        for block in crew.map(_measured, blocks):
            tables.add(block)
            if progress is not None:
                progress(len(tables.problems))
    if not any(name in chosen for name, _ in tables.values):
        raise PrmEvalError("nothing to evaluate: the chosen selectors need rewards, and none are given")
    curves = {key: np.concatenate(found) for key, found in tables.values.items()}
    others = {key: np.concatenate(found) for key, found in tables.others.items()}
    variances = {key: np.concatenate(found) for key, found in tables.variances.items()}
    if unavailable := [] if grades != PUBLISHED or counts.votes_known else votes(chosen | unshown):
        curves = {key: table for key, table in curves.items() if key[0] not in unavailable}
    voted = (curves[MAJORITY], variances[MAJORITY]) if MAJORITY in curves else None
    curves = {key: table for key, table in curves.items() if key[0] not in unshown}
    unread = unreadable_golds(pool.problems.values()) if reads_golds(grades) else ()
    summary = Summary(curves, variances, grid, tables.problems, seed, level, resamples)
    settings = {"grades": grades, "ns": list(grid), "draws": draws, "seed": seed, "resamples": resamples}
    settings |= {"level": level, "no_answer": rule, "k_measures": [each.name for each in measures]}
    settings |= {"score_types": counts.score_types, "refused": counts.refused}
    return Evaluation(
        pool=_describe(pool, counts),
        settings=settings,
        ns=grid,
        rows=summary.rows(),
        groups=summary.groups(),
        differences=summary.differences(),
        ranks=summary.ranks(),
        curves=curves,
        problem_ids=tuple(problem.problem_id for problem in tables.problems),
        no_answer=NoAnswer(
            rule,
            counts.no_answer,
            counts.no_answer / max(1, counts.candidates),
            both_figures(rule, curves, others, grid) if counts.no_answer else (),
        ),
        unread=unread,
        notes=notes(pool, counts, grades, rule, unread, unavailable),
        warnings=warnings_of(pool.info, files, counts.of_one_step, counts.scored),
        k_measures=k_measures_of(measures, pool, grades, summary, voted),
    )


def _unshown(measures: Sequence[KMeasure], chosen: Mapping[str, Selector | None]) -> dict[str, Selector | None]:
    """Return the vote that ``maj@k`` needs, where it is none of the selectors that are shown: it is held once."""
    if "majority" in chosen or all(each.kind != VOTE for each in measures):
        return {}
    return load_selectors(["majority"])


@dataclass(frozen=True)
class _Measuring:
    """What is measured of each problem."""

    selectors: Mapping[str, Selector | None]
    ns: tuple[int, ...]
    seed: int
    draws: int
    rule: str

    def curves(self, graded: GradedSlots, selectors: Mapping[str, Selector | None], rule: str) -> _Curves:
        """Return the accuracies of some selectors on one problem, under a rule for candidates without an answer."""
        return problem_curves(graded, selectors, self.ns, seed=self.seed, draws=self.draws, no_answer=rule)


@dataclass(frozen=True)
class _Block:
    """Consecutive problems, with their accuracies, those under the other rule, and their variances, by curve."""

    problems: list[Problem]
    values: dict[CurveKey, Floats]
    others: dict[CurveKey, Floats]
    variances: dict[CurveKey, Floats]


def _measured(measuring: _Measuring, problems: list[GradedSlots]) -> _Block:
    """Return the accuracies of some problems; they depend on nothing but the problem, wherever this runs."""
    concerned = ruled(measuring.selectors)
    found = [measuring.curves(each, measuring.selectors, measuring.rule) for each in problems]
    moved = [
        measuring.curves(each, concerned, other_rule(measuring.rule)) if each.unanswered.any() else curves
        for each, curves in zip(problems, found, strict=True)
    ]
    return _Block(
        [each.problem for each in problems],
        {key: np.stack([curves[key].values for curves in found]) for key in found[0]},
        {key: np.stack([curves[key].values for curves in moved]) for key in found[0] if key[0] in concerned},
        {key: np.stack([curves[key].variances for curves in found]) for key in found[0]},
    )


class _Tables:
    """The accuracies of all problems so far, by curve, with their variances and those under the other rule."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.values: dict[CurveKey, list[Floats]] = {}
        self.variances: dict[CurveKey, list[Floats]] = {}
        self.others: dict[CurveKey, list[Floats]] = {}

    def add(self, block: _Block) -> None:
        """Add the accuracies of the next problems."""
        self.problems += block.problems
        for mine, more in (
            (self.values, block.values),
            (self.variances, block.variances),
            (self.others, block.others),
        ):
            for key, table in more.items():
                mine.setdefault(key, []).append(table)


def _describe(pool: Pool, counts: Counts) -> dict[str, Any]:
    info = pool.info
    return {
        "content_hash": info.content_hash,
        "problem_set": info.problem_set,
        "policy": info.policy,
        "m": info.m,
        "n_problems": info.n_problems,
        "n_candidates": info.n_candidates,
        "n_missing": info.n_missing,
        "n_no_answer": counts.no_answer,
    }
