"""Several problem sets of one policy in one table, as table 1 of Lightman et al. (2023): a row a set, and one for all.

The mean of a row is over its problems, so that each set counts by its size, as in the paper's last row. Its limits are
over problems drawn within each set (:class:`.strata.StratifiedBootstrap`), and beside each difference stands the sign
test. A row may be of several pools: a domain, such as physics, of two sets that are marked in two ways.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, default_ns, evaluate
from prm_eval.evaluation.jobs import AUTO, ready_to_evaluate
from prm_eval.evaluation.opening import opened_rewards
from prm_eval.evaluation.stats import DEFAULT_LEVEL, DEFAULT_RESAMPLES, Interval
from prm_eval.evaluation.strata import SignTest, StratifiedBootstrap, sign_test
from prm_eval.evaluation.summary import MAJORITY, CurveKey, Floats, metric_name
from prm_eval.pools.format import policy_name
from prm_eval.pools.pool import Pool
from prm_eval.progress import EVALUATING, Bars, no_bars
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.selection.selectors import DEFAULT_SEED

ALL = "all"
"""The name of the row of all sets."""
COMPARED = "best_of_n"
"""The selector by which reward models are compared to each other."""


@dataclass(frozen=True)
class SetPart:
    """One evaluated pool, and the row of the table that its problems belong to."""

    row: str
    name: str
    evaluation: Evaluation


@dataclass(frozen=True)
class SetRow:
    """One accuracy of one row of the table; ``sets`` are the problem sets in it."""

    row: str
    sets: tuple[str, ...]
    selector: str
    reward_model: str | None
    metric: str
    n: int
    value: float
    low: float
    high: float
    mc_se: float
    n_problems: int


@dataclass(frozen=True)
class SetDifference:
    """A paired difference of two accuracies in one row of the table, with its limits and the sign test."""

    row: str
    selector: str
    reward_model: str | None
    minus_selector: str
    minus_reward_model: str | None
    n: int
    value: float
    low: float
    high: float
    sign: SignTest


@dataclass(frozen=True)
class SetTable:
    """The table of several problem sets.

    Attributes:
        policies: The names of the policies that wrote the candidates; more than one is said in the notes.
        sets: The problem sets with their row, numbers of problems and slots, grades and pool hash.
        ns: The n that all pools have.
        level: The confidence level of the limits.
        rows: The accuracies.
        differences: Each reward model against majority and against each other, at every n above 1.
        notes: What is to be said besides.
    """

    policies: tuple[str, ...]
    sets: tuple[dict[str, Any], ...]
    ns: tuple[int, ...]
    level: float
    rows: tuple[SetRow, ...]
    differences: tuple[SetDifference, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Return the table as ``prm-eval table --json`` prints it."""
        return {"schema": "prm_eval.sets/1", **asdict(self)}


def table_of_sets(
    parts: Sequence[SetPart],
    *,
    seed: int = DEFAULT_SEED,
    level: float = DEFAULT_LEVEL,
    resamples: int = DEFAULT_RESAMPLES,
) -> SetTable:
    """Return the table of evaluated pools of several problem sets.

    Args:
        parts: The evaluated pools, with the row of each; those of a row need not follow each other.
        seed: The seed of the resampling.
        level: The confidence level of the limits.
        resamples: Bootstrap resamples of problems.

    Raises:
        PrmEvalError: There are none, a pool comes twice, or they have no n or no selector in common.
    """
    _require_different(parts)
    keys = [key for key in parts[0].evaluation.curves if all(key in each.evaluation.curves for each in parts)]
    ns = tuple(n for n in parts[0].evaluation.ns if all(n in each.evaluation.ns for each in parts))
    if not keys or not ns:
        raise PrmEvalError("the pools have no n or no selector in common")
    names = list(dict.fromkeys(each.row for each in parts))
    of_row = {name: [each for each in parts if each.row == name] for name in names}
    if len(names) > 1:
        of_row[ALL] = list(parts)
    rows: list[SetRow] = []
    differences: list[SetDifference] = []
    for name, members in of_row.items():
        sizes = [len(each.evaluation.problem_ids) for each in members]
        bootstrap = StratifiedBootstrap(sizes, seed=seed, level=level, resamples=resamples)
        rows += _rows(name, members, keys, ns, bootstrap)
        differences += _differences(name, members, keys, ns, bootstrap)
    policies = tuple(dict.fromkeys(policy_name(each.evaluation.pool["policy"]) for each in parts))
    sets = tuple(_describe(each) for each in parts)
    return SetTable(policies, sets, ns, level, tuple(rows), tuple(differences), _notes(parts, keys, policies))


def _require_different(parts: Sequence[SetPart]) -> None:
    if not parts:
        raise PrmEvalError("a table of problem sets needs at least one pool")
    seen: dict[str, str] = {}
    for each in parts:
        if (content := str(each.evaluation.pool["content_hash"])) in seen:
            raise PrmEvalError(f"{each.name} and {seen[content]} are the same pool; each problem may count once")
        seen[content] = each.name
    if any(each.row == ALL for each in parts):
        raise PrmEvalError(f"a set named {ALL!r}: that is the row of all sets; call it otherwise: NAME=POOL")


def _describe(part: SetPart) -> dict[str, Any]:
    pool, settings = part.evaluation.pool, part.evaluation.settings
    return {
        "row": part.row,
        "name": part.name,
        "n_problems": pool["n_problems"],
        "m": pool["m"],
        "grades": settings["grades"],
        "content_hash": pool["content_hash"],
    }


def _stacked(members: Sequence[SetPart], key: CurveKey, ns: Sequence[int]) -> Floats:
    """Return (problems of all members, len(ns)) accuracies of one curve."""
    tables = [each.evaluation.curves[key][:, [each.evaluation.ns.index(n) for n in ns]] for each in members]
    return np.concatenate(tables)


def _rows(
    name: str, members: Sequence[SetPart], keys: Sequence[CurveKey], ns: tuple[int, ...], bootstrap: StratifiedBootstrap
) -> list[SetRow]:
    rows = []
    for selector, model in keys:
        cells = bootstrap.intervals(_stacked(members, (selector, model), ns))
        for n, cell in zip(ns, cells, strict=True):
            rows.append(
                SetRow(
                    name,
                    tuple(each.name for each in members),
                    selector,
                    model,
                    metric_name(selector, n),
                    n,
                    cell.value,
                    cell.low,
                    cell.high,
                    _monte_carlo_se(members, (selector, model), n, bootstrap.n),
                    bootstrap.n,
                )
            )
    return rows


def _monte_carlo_se(members: Sequence[SetPart], key: CurveKey, n: int, n_problems: int) -> float:
    """Return the standard error that random permutations add to a mean over the problems of all members."""
    errors = [
        row.mc_se * row.n_problems
        for each in members
        for row in each.evaluation.rows
        if (row.selector, row.reward_model, row.n) == (*key, n)
    ]
    return math.hypot(*errors) / n_problems


def _differences(
    name: str, members: Sequence[SetPart], keys: Sequence[CurveKey], ns: tuple[int, ...], bootstrap: StratifiedBootstrap
) -> list[SetDifference]:
    with_rewards = [key for key in keys if key[1] is not None]
    pairs = [(key, MAJORITY) for key in with_rewards if MAJORITY in keys]
    best = [key for key in with_rewards if key[0] == COMPARED]
    pairs += [(one, other) for i, one in enumerate(best) for other in best[:i]]
    above = [n for n in ns if n > 1]  # at n = 1 there is nothing to choose from
    found: list[SetDifference] = []
    for one, other in pairs if above else ():
        difference = _stacked(members, one, above) - _stacked(members, other, above)
        cells: list[Interval] = bootstrap.differences(difference)
        for column, (n, cell) in enumerate(zip(above, cells, strict=True)):
            sign = sign_test(difference[:, column])
            found.append(SetDifference(name, *one, *other, n, cell.value, cell.low, cell.high, sign))
    return found


def _notes(parts: Sequence[SetPart], keys: Sequence[CurveKey], policies: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if len(policies) > 1:
        notes.append(
            f"the candidates are of {len(policies)} policies ({', '.join(policies)}): their difference is in the rows"
        )
    models = {model for each in parts for _, model in each.evaluation.curves if model is not None}
    if lost := sorted(models - {model for _, model in keys}):
        notes.append(f"left out, as not every pool has rewards of them: {', '.join(lost)}")
    for each in parts:
        notes += [f"{each.name}: {note}" for note in each.evaluation.notes]
    return tuple(notes)


def run_table(
    pools: Sequence[str],
    rewards: Sequence[str] = (),
    *,
    grades: str = AUTO,
    aggregations: Sequence[str] | None = None,
    score_type: str | None = None,
    ns: Sequence[int] | None = None,
    level: float = DEFAULT_LEVEL,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = DEFAULT_SEED,
    jobs: int = 1,
    bars: Bars = no_bars,
    **settings: Any,
) -> SetTable:
    """Evaluate pools of several problem sets, and grade those first that have no grades.

    Args:
        pools: Pool folders, each alone or as ``NAME=FOLDER`` with the row it belongs to. The default row is the domain
            that the pool's task has, or else the name of the pool's problem set.
        rewards: Names of reward folders in each pool (``POOL/rewards/NAME``); those that all pools have by default.
        grades: "auto", "own", "published" or a grader's name.
        aggregations: Evaluate process reward models under each of these, instead of the declared one.
        score_type: What the numbers are, where a reward file says no more than "raw" or "value".
        ns: Subset sizes; powers of two and the smallest M of the pools by default.
        level: Confidence level of all limits.
        resamples: Bootstrap resamples of problems.
        seed: The seed of permutations and resamples.
        jobs: The number of processes.
        bars: The bars of the stages.
        settings: The other arguments of :func:`.curves.evaluate`.

    Raises:
        PrmEvalError: A pool lacks rewards that are asked for, or an n; a file has a fault; or see
            :func:`table_of_sets`.
    """
    opened = [_opened(each) for each in pools]
    names = list(rewards) or _common([pool for _, pool in opened])
    lost = sorted({each.name for _, pool in opened for each in pool.reward_folders()} - {*names})
    grid = ns or default_ns(min((pool.info.m for _, pool in opened), default=1))
    parts = []
    for row, pool in opened:
        folders = [_reward_folder(pool, name) for name in names]
        files = [_labelled(each, aggregations) for each in opened_rewards(folders, aggregations, score_type)]
        ready, source = ready_to_evaluate(pool.path, grades, jobs=jobs, bars=bars)
        with bars(EVALUATING, ready.info.n_problems, "problem") as progress:
            found = evaluate(
                ready,
                files,
                grades=source,
                ns=grid,
                seed=seed,
                level=level,
                resamples=resamples,
                jobs=jobs,
                progress=progress,
                **settings,
            )
        name = str(ready.info.problem_set.get("name") or ready.path.name)
        parts.append(SetPart(row or str(ready.info.problem_set.get("domain") or name), name, found))
    table = table_of_sets(parts, seed=seed, level=level, resamples=resamples)
    if rewards or not lost:
        return table
    return replace(table, notes=(f"left out, as not every pool has these rewards: {', '.join(lost)}", *table.notes))


def _opened(spelt: str) -> tuple[str, Pool]:
    """Return the row and the pool of ``NAME=FOLDER`` or ``FOLDER``; an existing folder is one, whatever its name."""
    name, equals, folder = spelt.partition("=")
    if not equals or Path(spelt).exists():
        return "", Pool(spelt)
    return name.strip(), Pool(folder)


def _common(pools: Sequence[Pool]) -> list[str]:
    """Return the names of the reward folders that every pool has, in the order of the first."""
    names = [[folder.name for folder in pool.reward_folders()] for pool in pools]
    return [name for name in (names[0] if names else []) if all(name in each for each in names)]


def _reward_folder(pool: Pool, name: str) -> Path:
    folders = {folder.name: folder for folder in pool.reward_folders()}
    if name not in folders:
        there = ", ".join(folders) or "none"
        raise PrmEvalError(
            f"{pool.path} has no rewards named {name!r}; it has: {there}. Make them with: prm-eval score {pool.path} "
            f"--reward-model RM -o {pool.path / 'rewards' / name}"
        )
    return folders[name]


def _labelled(file: RewardFile, aggregations: Sequence[str] | None) -> NamedRewards:
    """Return a reward file under the name of its folder, which is the same in every pool."""
    name = file.folder.name
    return NamedRewards(f"{name}[{file.aggregation}]" if aggregations and file.info.kind == "prm" else name, file)
