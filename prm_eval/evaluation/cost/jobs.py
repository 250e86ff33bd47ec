"""Accuracy against cost of a stored pool, as one call: what ``prm-eval cost`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.cost.counts import RECORDED, WRITTEN, Counted, Price, count_costs
from prm_eval.evaluation.cost.records import CostReport, Stop
from prm_eval.evaluation.cost.spending import Spending
from prm_eval.evaluation.cost.stopping import DEFAULT_FOLDS, Replay
from prm_eval.evaluation.curves import GradedSlots, checked_ns, graded_slots, load_selectors, problem_curves
from prm_eval.evaluation.golds import statement_key
from prm_eval.evaluation.graded import named_apart
from prm_eval.evaluation.jobs import AUTO, prepared
from prm_eval.evaluation.no_answer import AUTO as AUTO_RULE
from prm_eval.evaluation.no_answer import PUBLISHED, meant_rule
from prm_eval.evaluation.notes import VOTES_NEED, votes
from prm_eval.evaluation.one_step import warning_of
from prm_eval.evaluation.stats import DEFAULT_LEVEL, DEFAULT_RESAMPLES, ClusterBootstrap
from prm_eval.evaluation.summary import MAJORITY, ORACLE, CurveKey
from prm_eval.pools.pool import Pool
from prm_eval.progress import EVALUATING, STOPPING, Bars, Progress, no_bars
from prm_eval.records import Problem
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.selection.selectors import COMPETE, DEFAULT_DRAWS, DEFAULT_SEED, Selector, problem_seed
from prm_eval.stepsets import is_step_set
from prm_eval.texts.names import short_names

Floats = npt.NDArray[np.float64]

DEFAULT_SELECTORS = ("first", "majority", "best_of_n")
# every n up to here; beyond it the grid is about as fine as a sixth of a doubling
EVERY_N = 64


def cost_ns(m: int) -> tuple[int, ...]:
    """Return the default grid: every n up to 64, then six to a doubling, and m."""
    beyond = (int(EVERY_N * 2 ** (k / 6)) for k in range(1, 6 * 12))
    return (*range(1, min(m, EVERY_N) + 1), *(n for n in beyond if n < m), *([m] if m > EVERY_N else []))


@dataclass(frozen=True)
class CostSettings:
    """What decides the numbers, besides the files.

    Attributes:
        ns: The n to show and to stop at; powers of two and M by default. Curves are computed on a fine grid.
        selectors: Selectors by name.
        count_by: "recorded", "characters", or a tokenizer.
        price: The prices.
        reach: Accuracies, from 0 to 1, of which the cheapest n is asked.
        folds: Folds of problems, at least 2, on which thresholds are learnt and used in turn.
        slack: The accuracy that a threshold may give up where it is learnt.
        no_answer: "auto", "lose" or "compete".
        draws: Permutations a problem, where no closed form is affordable.
        seed: The seed of permutations, resamples and folds.
        resamples: Resamples of problems.
        level: Confidence level.
    """

    ns: tuple[int, ...] | None = None
    selectors: tuple[str, ...] = DEFAULT_SELECTORS
    count_by: str = RECORDED
    price: Price = field(default_factory=Price)
    reach: tuple[float, ...] = ()
    folds: int = DEFAULT_FOLDS
    slack: float = 0.0
    no_answer: str = AUTO_RULE
    draws: int = DEFAULT_DRAWS
    seed: int = DEFAULT_SEED
    resamples: int = DEFAULT_RESAMPLES
    level: float = DEFAULT_LEVEL

    def __post_init__(self) -> None:
        if self.folds < 2 or not 0 <= self.slack < 1:
            raise PrmEvalError(f"folds = {self.folds}, slack = {self.slack}; expected at least 2, and from 0 to 1")
        if self.seed < 0 or min(self.draws, self.resamples) < 1 or not 0 < self.level < 1:
            raise PrmEvalError(
                f"seed = {self.seed}, draws = {self.draws}, resamples = {self.resamples}, level = {self.level}; "
                "expected a seed of at least 0, at least 1 of each, and a level between 0 and 1"
            )
        for target in self.reach:
            if not 0 < target <= 1:
                raise PrmEvalError(f"reach = {target}; expected an accuracy above 0 and up to 1, such as 0.9")
        if ORACLE in self.selectors:
            raise PrmEvalError("the oracle costs what no policy is paid for: it sees gold; leave it out")


def run_cost(
    folder: str | Path,
    rewards: Sequence[Path] = (),
    settings: CostSettings | None = None,
    *,
    grades: str = AUTO,
    aggregations: Sequence[str] | None = None,
    score_type: str | None = None,
    bars: Bars = no_bars,
) -> CostReport:
    """Return accuracy against cost on a pool, which is graded first if it has no grades.

    Args:
        folder: The folder of the pool.
        rewards: Reward folders; those in the pool by default.
        settings: What decides the numbers.
        grades: "auto", "own", "published" or a grader's name.
        aggregations: Aggregations instead of the declared one.
        score_type: What the numbers are, where a file says no more than "raw" or "value".
        bars: The bars of the stages.

    Raises:
        PrmEvalError: A file has a fault, or a setting is out of its range.
    """
    if is_step_set(Path(folder)):
        raise PrmEvalError(f"{folder} is a step set, of which nothing is selected; cost is for a pool of candidates")
    pool, source, files = prepared(folder, rewards, grades, aggregations, score_type, bars=bars)
    return cost_of(pool, named_apart(files), source, settings or CostSettings(), bars=bars)


def cost_of(
    pool: Pool, files: Sequence[NamedRewards], grades: str, settings: CostSettings, *, bars: Bars = no_bars
) -> CostReport:
    """Return accuracy against cost on a graded pool; the arguments are those of :func:`run_cost`.

    Raises:
        PrmEvalError: A file has a fault, or a setting is out of its range.
    """
    m = pool.info.m
    shown = checked_ns(settings.ns, m)
    ns = tuple(sorted({*cost_ns(m), *shown}))
    rule = meant_rule(settings.no_answer, grades)
    with bars(EVALUATING, pool.info.n_problems, "problem") as progress:
        measured = _measured(pool, files, grades, ns, settings, rule, progress)
    counted = count_costs(pool, files, settings.count_by, bars=bars)
    bootstrap = ClusterBootstrap(
        pool.info.n_problems, seed=settings.seed, level=settings.level, resamples=settings.resamples
    )
    spending = Spending.of(measured.curves, ns, counted, settings.price, bootstrap)
    return CostReport(
        pool={
            "content_hash": pool.info.content_hash,
            "problem_set": pool.info.problem_set,
            "policy": pool.info.policy,
            "m": m,
            "n_problems": pool.info.n_problems,
            "n_candidates": pool.info.n_candidates,
            "n_missing": pool.info.n_missing,
        },
        settings={**asdict(settings), "ns": list(shown), "grades": grades, "no_answer": rule},
        unit=counted.unit,
        ns=ns,
        shown=shown,
        rows=spending.rows(),
        reached=spending.reached(settings.reach),
        worth=spending.worth(shown),
        stops=tuple(_stops(measured, counted, bootstrap, settings, ns, shown, bars)),
        notes=tuple(_notes(pool, counted, measured)),
        warnings=tuple(_warnings(pool, files)),
    )


@dataclass(frozen=True)
class _Measured:
    """The pool as arrays, and the curves of its selectors.

    ``rewards`` has (problems, M) rewards of what can be chosen; ``unavailable`` the votes that were not held.
    """

    classes: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    rewards: dict[str, Floats]
    curves: dict[CurveKey, Floats]
    problems: tuple[Problem, ...]
    unavailable: tuple[str, ...]


def _measured(
    pool: Pool,
    files: Sequence[NamedRewards],
    grades: str,
    ns: tuple[int, ...],
    settings: CostSettings,
    rule: str,
    progress: Progress,
) -> _Measured:
    selectors = load_selectors(settings.selectors)
    curves: dict[CurveKey, list[Floats]] = {}
    every: list[GradedSlots] = []
    for graded in graded_slots(pool, grades, files):
        every.append(graded)
        found = problem_curves(graded, selectors, ns, seed=settings.seed, draws=settings.draws, no_answer=rule)
        for key, each in found.items():
            curves.setdefault(key, []).append(each.values)
        progress(len(every))
    unavailable = _unavailable(every, selectors) if grades == PUBLISHED else []
    tables = {key: np.stack(each) for key, each in curves.items() if key[0] not in unavailable}
    if not tables:
        raise PrmEvalError(
            "nothing to evaluate: no chosen selector has what it needs (rewards, or answers to vote with)"
        )
    return _Measured(
        np.stack([each.classes for each in every]),
        np.stack([each.correct for each in every]),
        {each.label: np.stack([_competing(graded, each.label, rule) for graded in every]) for each in files},
        tables,
        tuple(each.problem for each in every),
        tuple(unavailable),
    )


def _unavailable(every: Sequence[GradedSlots], selectors: dict[str, Selector | None]) -> list[str]:
    """Return the votes that would be among the right candidates, as an evaluation by published grades does."""
    unanswered = sum(int(each.unanswered.sum()) for each in every)
    wrong = sum(int((each.present & ~each.correct).sum()) for each in every)
    return votes(selectors) if unanswered > (1 - VOTES_NEED) * wrong else []


def _competing(graded: GradedSlots, label: str, rule: str) -> Floats:
    running = graded.present if rule == COMPETE else graded.classes >= 0
    return np.where(running, graded.rewards[label].rewards, np.nan)


def _stops(
    measured: _Measured,
    counted: Counted,
    bootstrap: ClusterBootstrap,
    settings: CostSettings,
    ns: tuple[int, ...],
    shown: tuple[int, ...],
    bars: Bars,
) -> list[Stop]:
    """Return the rules that stop early at the n that are shown; at n = 1 there is nothing to stop."""
    budgets = [n for n in shown if n > 1]
    if not budgets:
        return []
    seeds = [problem_seed(settings.seed, each.problem_id) for each in measured.problems]
    first: dict[str, int] = {}
    alike = np.array([first.setdefault(statement_key(each.statement), at) for at, each in enumerate(measured.problems)])
    replay = Replay(
        measured.classes, measured.correct, counted, settings.price, bootstrap, seeds, settings.draws, alike
    )
    found = []
    if MAJORITY in measured.curves:
        columns = [ns.index(n) for n in budgets]
        with bars(STOPPING, len(measured.classes), "problem") as progress:
            found += replay.decided(measured.curves[MAJORITY][:, columns], budgets, progress)
    chosen = {model for selector, model in measured.curves if selector == "best_of_n"}
    for label, rewards in measured.rewards.items():
        if label in chosen:
            found += [
                replay.threshold(label, rewards, n, folds=settings.folds, slack=settings.slack, seed=settings.seed)
                for n in budgets
            ]
    return found


def _warnings(pool: Pool, files: Sequence[NamedRewards]) -> list[str]:
    short = short_names(each.label for each in files)
    said = (warning_of(pool.info, each.file.info, each.file.step_counts(), short[each.label]) for each in files)
    return [each for each in said if each is not None]


def _notes(pool: Pool, counted: Counted, measured: _Measured) -> list[str]:
    """Return what is unknown, estimated, missing or not available, in words."""
    found = []
    if counted.unknown:
        short = short_names(name for name in counted.unknown if name != WRITTEN)
        who = "; ".join(
            f"{'written by the policy' if name == WRITTEN else f'read by {short[name]}'} ({count:,})"
            for name, count in counted.unknown.items()
        )
        found.append(
            f"unknown, because nobody recorded them, are tokens of {pool.info.n_candidates:,} candidates: {who}. For a "
            "named estimate: --count-by characters, or --count-by TOKENIZER (a checkpoint folder or hub id)"
        )
    if counted.estimated:
        found.append(
            f"estimated: {counted.estimated}; written: of the candidate; read: of statement and candidate; prompts and "
            "templates are not counted"
        )
    else:
        found.append("the policy's own reading of the prompt is not counted: pools do not record it")
    if pool.info.n_missing:
        found.append(f"{pool.info.n_missing:,} slots are missing: they are drawn, count as wrong, and cost no tokens")
    if measured.unavailable:
        found.append(
            f"not available: {', '.join(measured.unavailable)}; published grades say who is right, not what the "
            "answers are, and too few wrong candidates have an answer to vote with"
        )
    return found
