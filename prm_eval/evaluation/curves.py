"""The evaluation: it turns candidates, grades and rewards of a pool into accuracy curves with their uncertainty.

``lm_eval`` and ``prm-eval evaluate`` both use :func:`problem_curves`, so that they print the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from prm_eval import plugins
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.stats import DEFAULT_LEVEL, DEFAULT_RESAMPLES
from prm_eval.evaluation.summary import ORACLE, CurveKey, Difference, GroupRow, Rank, Row, Summary
from prm_eval.pools.format import GRADES
from prm_eval.pools.pool import Pool, text_lengths
from prm_eval.records import VERDICTS, Problem
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.selection.accuracies import Accuracy, accuracy, pass_at_n
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED, Selector, Slots, problem_seed
from prm_eval.store.tables import BlockReader, require_same_ids

Floats = npt.NDArray[np.float64]

DEFAULT_SELECTORS = ("first", "majority", "best_of_n", "weighted_majority", ORACLE, "shortest", "longest")
# The grader that also finds an answer that a text only concludes with: offered where many answers are missing.
WIDER_EXTRACTION = "extraction=conclusion"
WIDER_GRADER = f"default:{WIDER_EXTRACTION}"
WIDER_OFFER = "to take unannounced conclusions as answers"


@dataclass(frozen=True)
class RewardArrays:
    """The rewards of one problem's M slots by one reward model; NaN where missing or refused."""

    rewards: Floats
    weights: Floats


@dataclass(frozen=True)
class GradedSlots:
    """One problem, ready for selection: M classes (-1: no answer), M correctness flags, M lengths (NaN: missing)."""

    problem: Problem
    classes: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    lengths: Floats
    rewards: dict[str, RewardArrays] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation; ``curves`` has e_p(n), (problems, len(ns)), for every curve."""

    pool: dict[str, Any]
    settings: dict[str, Any]
    ns: tuple[int, ...]
    rows: list[Row]
    groups: list[GroupRow]
    differences: list[Difference]
    ranks: list[Rank]
    curves: dict[CurveKey, Floats]
    problem_ids: tuple[str, ...]
    notes: list[str] = field(default_factory=list)

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
            "notes": self.notes,
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
) -> dict[CurveKey, Accuracy]:
    """Return the expected accuracy of every selector, with every reward model it needs, on one problem."""
    m = len(graded.classes)
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
            slots = Slots(graded.classes, arrays.rewards, arrays.weights, graded.lengths)
            result[name, model] = accuracy(selector.choose(slots, ns, seed=own_seed, draws=draws), graded.correct)
    return result


@dataclass(frozen=True)
class GradedSteps:
    """One problem with its grades, and with the step rewards of every reward model, before any aggregation.

    Attributes:
        graded: The problem's M slots, without rewards.
        at: The slot of each candidate that is present, rising.
        steps: The step rewards of these candidates, by reward model.
    """

    graded: GradedSlots
    at: npt.NDArray[np.int64]
    steps: dict[str, StepArrays]


def graded_slots(pool: Pool, grades: str, rewards: Sequence[NamedRewards | RewardFile]) -> Iterator[GradedSlots]:
    """Yield the problems of a pool with grades and aggregated rewards, one problem in memory at a time.

    Raises:
        DataError: Grades or rewards are not of this pool, or are malformed.
        PrmEvalError: An aggregate is not finite, or not defined.
    """
    m = pool.info.m
    named = named_apart(rewards)
    files = {each.label: each.file for each in named}
    for each in graded_steps(pool, grades, named):
        aggregated = {label: _aggregated(steps, each.at, m, files[label]) for label, steps in each.steps.items()}
        yield replace(each.graded, rewards=aggregated)


def _aggregated(steps: StepArrays, at: npt.NDArray[np.int64], m: int, file: RewardFile) -> RewardArrays:
    found, weights = steps.aggregated(file.aggregation, file.info.score_type)
    return RewardArrays(_spread(found, at, m), _spread(weights, at, m))


def graded_steps(pool: Pool, grades: str, rewards: Sequence[NamedRewards]) -> Iterator[GradedSteps]:
    """Yield the problems of a pool with grades and step rewards, one problem in memory at a time.

    Raises:
        DataError: Grades or rewards are not of this pool, or are malformed.
        PrmEvalError: Two reward files have the same label.
    """
    m = pool.info.m
    grade_reader = BlockReader(
        pool.require_grades(grades), GRADES, ["problem_id", "candidate_id", "answer_class", "grade"]
    )
    readers = {each.label: each.file.reader(pool) for each in rewards}
    if len(readers) < len(rewards):
        raise PrmEvalError(f"reward files of the same name: {', '.join(each.label for each in rewards)}")
    for problem, table in pool.blocks(["problem_id", "candidate_id", "slot", "text", "steps"]):
        first, rows = grade_reader.take(problem.problem_id)
        require_same_ids(grade_reader.path, first, rows, table, str(pool.candidates_path))
        at = table.column("slot").to_numpy().astype(np.int64)
        if len(at) and (at[0] < 0 or at[-1] >= m or (np.diff(at) <= 0).any()):
            raise PrmEvalError(f"{pool.path}: the slots of problem {problem.problem_id!r} are not rising below M = {m}")
        graded = GradedSlots(
            problem, *_grade_arrays(rows, at, m, grade_reader, first), _spread(text_lengths(table), at, m)
        )
        yield GradedSteps(graded, at, {label: reader.take(problem, table) for label, reader in readers.items()})
    grade_reader.finish("the pool")
    for reader in readers.values():
        reader.finish()


def _grade_arrays(
    rows: pa.Table, at: npt.NDArray[np.int64], m: int, reader: BlockReader, first: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    classes, correct = np.full(m, -1, dtype=np.int64), np.zeros(m, dtype=bool)
    pairs = zip(at, rows.column("answer_class").to_pylist(), rows.column("grade").to_pylist(), strict=True)
    for offset, (slot, answer_class, grade) in enumerate(pairs):
        if grade not in VERDICTS:
            raise DataError(reader.path, first + offset, f"grade {grade!r}", f"one of {', '.join(VERDICTS)}")
        if answer_class is not None:
            classes[slot] = answer_class
        elif grade != "no_answer":
            raise DataError(reader.path, first + offset, f"grade {grade!r} without an answer class", "a class")
        correct[slot] = grade == "correct"
    return classes, correct


def _spread(values: Sequence[float] | Floats, at: npt.NDArray[np.int64], m: int) -> Floats:
    result = np.full(m, np.nan)
    result[at] = values
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
    values: dict[CurveKey, list[Floats]] = {}
    variances: dict[CurveKey, list[Floats]] = {}
    problems: list[Problem] = []
    counts = _Counts()
    for graded in graded_slots(pool, grades, files):
        problems.append(graded.problem)
        counts.add(graded)
        for key, found in problem_curves(graded, chosen, grid, seed=seed, draws=draws).items():
            values.setdefault(key, []).append(found.values)
            variances.setdefault(key, []).append(found.variances)
        if progress is not None:
            progress(len(problems))
    if not values:
        raise PrmEvalError("nothing to evaluate: the chosen selectors need rewards, and none are given")
    curves = {key: np.stack(each) for key, each in values.items()}
    summary = Summary(
        curves, {key: np.stack(each) for key, each in variances.items()}, grid, problems, seed, level, resamples
    )
    return Evaluation(
        pool=_describe(pool, counts),
        settings={
            "grades": grades,
            "ns": list(grid),
            "draws": draws,
            "seed": seed,
            "resamples": resamples,
            "level": level,
            "refused": counts.refused,
        },
        ns=grid,
        rows=summary.rows(),
        groups=summary.groups(),
        differences=summary.differences(),
        ranks=summary.ranks(),
        curves=curves,
        problem_ids=tuple(problem.problem_id for problem in problems),
        notes=_notes(pool, counts, grades),
    )


def _describe(pool: Pool, counts: _Counts) -> dict[str, Any]:
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


def named_apart(rewards: Sequence[NamedRewards | RewardFile | str | Path]) -> list[NamedRewards]:
    """Return reward files with their names for tables: where two have the same name, the folder's is added.

    Raises:
        PrmEvalError: The same rewards are given twice.
        DataError: There are no rewards at one of the paths.
    """
    opened = [RewardFile(each) if isinstance(each, (str, Path)) else each for each in rewards]
    named = [NamedRewards(each.name, each) if isinstance(each, RewardFile) else each for each in opened]
    labels = Counter(each.label for each in named)
    told = [
        replace(each, label=f"{each.label} ({each.file.folder.name})") if labels[each.label] > 1 else each
        for each in named
    ]
    for label, count in Counter(each.label for each in told).items():
        if count > 1:
            folders = ", ".join(str(each.file.folder) for each in told if each.label == label)
            raise PrmEvalError(f"two reward files are named {label!r}: {folders}")
    return told


class _Counts:
    """The counts of unanswered and refused candidates: a failure to score must not look like a low score."""

    def __init__(self) -> None:
        self.no_answer = 0
        self.candidates = 0
        self.refused: dict[str, int] = {}

    def add(self, graded: GradedSlots) -> None:
        present = ~np.isnan(graded.lengths)
        self.candidates += int(present.sum())
        self.no_answer += int((present & (graded.classes < 0)).sum())
        for name, arrays in graded.rewards.items():
            self.refused[name] = self.refused.get(name, 0) + int((present & np.isnan(arrays.rewards)).sum())


def _notes(pool: Pool, counts: _Counts, grades: str) -> list[str]:
    """Return the notes for readers of the table, in words."""
    notes: list[str] = []
    if pool.info.n_missing:
        notes.append(
            f"{pool.info.n_missing:,} of {pool.info.n_problems * pool.info.m:,} slots are missing and count as wrong; "
            "where they were never sampled, import again with --slots min (or a number) to compare full slots only"
        )
    if counts.no_answer > counts.candidates / 5:
        wider = "" if WIDER_EXTRACTION in grades else f"; {WIDER_OFFER}: prm-eval grade POOL --grader {WIDER_GRADER}"
        notes.append(
            f"in {counts.no_answer:,} of {counts.candidates:,} candidates no final answer was found; "
            "these count as wrong. Look at a few: prm-eval explain GOLD TEXT" + wider
        )
    for name, refused in counts.refused.items():
        if refused:
            notes.append(
                f"{name} gave no reward to {refused:,} of {counts.candidates:,} candidates; these lose every comparison"
            )
    return notes
