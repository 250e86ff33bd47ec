"""The gains of reward models over the pools of several policies, paired over the problems that all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, checked_ns, evaluate, load_selectors
from prm_eval.evaluation.jobs import AUTO, meant_grades, ready_to_evaluate
from prm_eval.evaluation.no_answer import AUTO as AUTO_RULE
from prm_eval.evaluation.opening import declared_as
from prm_eval.evaluation.policies.pairing import Shared, opened_pools, policy_names, rewards_over, shared_problems
from prm_eval.evaluation.stats import (
    DEFAULT_LEVEL,
    DEFAULT_RESAMPLES,
    SIGN_FLIPS,
    ClusterBootstrap,
    Interval,
    sign_flip_p,
)
from prm_eval.evaluation.summary import CHANCE, MAJORITY, ORACLE, CurveKey
from prm_eval.evaluation.tables import plain_json
from prm_eval.pools.pool import Pool
from prm_eval.progress import EVALUATING, Bars, no_bars
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED

Floats = npt.NDArray[np.float64]

SCHEMA = "prm_eval.policies/1"
DEFAULT_SELECTORS = ("best_of_n",)
BASES = ("first", "majority", ORACLE)


@dataclass(frozen=True)
class Tested:
    """A paired difference with its limits and sign-flip p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class PolicyRow:
    """One reward model on the candidates of one policy, at one n, over the shared problems.

    Attributes:
        policy: The policy's name.
        reward_model: The reward model.
        selector: The selector that uses it.
        n: How many candidates it is shown.
        mean: The accuracy of the first candidate: what the policy does by itself.
        majority: That of the majority vote; None where it is not available.
        oracle: That of the oracle.
        value: That of the selector.
        over_mean: The selector less the mean.
        over_majority: The selector less the majority vote.
        closed: The share of the way from mean to oracle that the reward model goes, with limits; None without a way.
    """

    policy: str
    reward_model: str
    selector: str
    n: int
    mean: float
    majority: float | None
    oracle: float
    value: float
    over_mean: Tested
    over_majority: Tested | None
    closed: Interval | None


@dataclass(frozen=True)
class GainDifference:
    """The gain of a reward model on one policy less its gain on another, paired over the shared problems.

    ``policy`` is the weaker one by its mean accuracy. A value above 0 says that the reward model helps it more.
    """

    reward_model: str
    selector: str
    n: int
    policy: str
    minus_policy: str
    over_mean: Tested
    over_majority: Tested | None


@dataclass(frozen=True)
class PolicyReport:
    """Reward models over the pools of several policies.

    Attributes:
        pools: What each pool is: name of the policy, content hash, M, numbers of problems.
        settings: Everything that decides the numbers.
        ns: The grid of n.
        n_problems: The number of shared problems.
        rows: Every model on every policy, the weakest policy first.
        differences: The differences of gains between policies.
        notes: What a reader must know.
        warnings: Notes that no reader of the numbers may miss.
    """

    pools: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any]
    ns: tuple[int, ...]
    n_problems: int
    rows: tuple[PolicyRow, ...]
    differences: tuple[GainDifference, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``prm-eval evaluate POOL POOL --json`` prints it; limits that are infinite are null."""
        return {"schema": SCHEMA, **{name: plain_json(value) for name, value in asdict(self).items()}}


def run_policies(
    folders: Sequence[str | Path],
    rewards: Sequence[str] = (),
    *,
    grades: str = AUTO,
    ns: Sequence[int] | None = None,
    selectors: Sequence[str] | None = None,
    score_type: str | None = None,
    no_answer: str = AUTO_RULE,
    draws: int = DEFAULT_DRAWS,
    seed: int = DEFAULT_SEED,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = DEFAULT_LEVEL,
    jobs: int = 1,
    bars: Bars = no_bars,
) -> PolicyReport:
    """Compare what reward models do for several policies, on the problems that all their pools have.

    Args:
        folders: The pools, one a policy.
        rewards: Models or reward folders (:func:`.pairing.rewards_over`); by default all that every pool has.
        grades: The source of grades, the same for all pools.
        ns: Subset sizes up to the smallest M; powers of two and that M by default.
        selectors: Selectors that need rewards; best of n by default.
        score_type: What the numbers are, where a file says no more than "raw" or "value".
        no_answer: As in :func:`prm_eval.evaluation.curves.evaluate`, as are all further arguments.
        draws: Permutations a problem.
        seed: Their seed, and that of resamples.
        resamples: Resamples of the shared problems.
        level: Confidence level.
        jobs: The number of processes.
        bars: The bars of the stages.

    Raises:
        PrmEvalError: Pools share no problem, rewards are missing, sources of grades differ, or a setting is out of its
            range.
    """
    pools = opened_pools(folders)
    chosen = tuple(selectors or DEFAULT_SELECTORS)
    if unfit := [name for name, each in load_selectors(chosen).items() if each is None or not each.needs_rewards]:
        raise PrmEvalError(f"several pools are compared by what rewards do for them; {', '.join(unfit)} needs none")
    found = rewards_over(pools, rewards)
    files = [declared_as([each[at] for each in found.values()], score_type) for at in range(len(pools))]
    grid = checked_ns(ns, min(pool.info.m for pool in pools))
    sources = {meant_grades(pool, grades) for pool in pools}
    if len(sources) > 1:
        raise PrmEvalError(
            f"these pools would be graded differently ({', '.join(sorted(sources))}); say how: --grades own, --grades "
            "published, or a grader's name"
        )
    source = sources.pop()
    shared = shared_problems(pools)
    measured = []
    for pool, own in zip(pools, files, strict=True):
        ready_to_evaluate(pool.path, grades, jobs=jobs, bars=bars)
        named = [NamedRewards(name, file) for name, file in zip(found, own, strict=True)]
        with bars(EVALUATING, pool.info.n_problems, "problem") as progress:
            # limits are over the shared problems, and made below
            measured.append(
                evaluate(
                    pool, named, grades=source, ns=grid, selectors=[*BASES, *chosen], draws=draws, seed=seed,
                    resamples=1, no_answer=no_answer, jobs=jobs, progress=progress,
                )
            )  # fmt: skip
    bootstrap = ClusterBootstrap(len(shared.problems), seed=seed, level=level, resamples=resamples)
    comparison = _Comparison(measured, shared, policy_names(pools), grid, bootstrap)
    settings = {"grades": source, "ns": list(grid), "selectors": list(chosen), "draws": draws, "seed": seed}
    settings |= {"resamples": resamples, "level": level, "no_answer": measured[0].settings["no_answer"]}
    return PolicyReport(
        comparison.described(pools),
        settings,
        grid,
        len(shared.problems),
        tuple(comparison.rows()),
        tuple(comparison.differences()),
        tuple(_notes(pools, shared, found, measured)),
        tuple(f"{pool.path.name}: {each}" for pool, own in zip(pools, measured, strict=True) for each in own.warnings),
    )


class _Comparison:
    """The curves of all policies on the shared problems, the weakest policy first."""

    def __init__(
        self,
        measured: Sequence[Evaluation],
        shared: Shared,
        names: Sequence[str],
        ns: tuple[int, ...],
        bootstrap: ClusterBootstrap,
    ) -> None:
        curves = [
            {key: table[rows] for key, table in each.curves.items()}
            for each, rows in zip(measured, shared.rows, strict=True)
        ]
        order = sorted(range(len(names)), key=lambda at: (float(curves[at][CHANCE].mean()), at))
        self.order, self.ns, self.bootstrap = order, ns, bootstrap
        self.names = [names[at] for at in order]
        self.curves = [curves[at] for at in order]

    def described(self, pools: Sequence[Pool]) -> tuple[dict[str, Any], ...]:
        """Return what each pool is, in this order."""
        found = []
        for name, at in zip(self.names, self.order, strict=True):
            info = pools[at].info
            found.append(
                {
                    "policy": name,
                    "content_hash": info.content_hash,
                    "problem_set": info.problem_set,
                    "m": info.m,
                    "n_problems": info.n_problems,
                    "n_candidates": info.n_candidates,
                }
            )
        return tuple(found)

    def keys(self) -> list[CurveKey]:
        """Return the curves of reward models, which all policies have."""
        return [key for key in self.curves[0] if key[1] is not None]

    def rows(self) -> list[PolicyRow]:
        """Return every reward model on every policy at every n."""
        return [
            self._row(name, curves, key, column)
            for key in self.keys()
            for column in range(len(self.ns))
            for name, curves in zip(self.names, self.curves, strict=True)
        ]

    def _row(self, name: str, curves: Mapping[CurveKey, Floats], key: CurveKey, column: int) -> PolicyRow:
        own, mean, oracle = (curves[each][:, column] for each in (key, CHANCE, (ORACLE, None)))
        majority = curves[MAJORITY][:, column] if MAJORITY in curves else None
        n = self.ns[column]
        return PolicyRow(
            name,
            str(key[1]),
            key[0],
            n,
            float(mean.mean()),
            None if majority is None else float(majority.mean()),
            float(oracle.mean()),
            float(own.mean()),
            self._tested(own, mean, same=n == 1),
            None if majority is None else self._tested(own, majority, same=n == 1),
            self._closed(own, mean, oracle),
        )

    def _tested(self, one: Floats, other: Floats, *, same: bool) -> Tested:
        cell = self.bootstrap.difference(one, other, same=same)
        flips = min(SIGN_FLIPS, self.bootstrap.resamples)
        return Tested(
            cell.value, cell.low, cell.high, sign_flip_p(one - other, seed=self.bootstrap.seed, resamples=flips)
        )

    def _closed(self, own: Floats, mean: Floats, oracle: Floats) -> Interval | None:
        """Return (own - mean) / (oracle - mean) with limits over the resamples in which there is a way to go."""
        way = float((oracle - mean).mean())
        resampled = self.bootstrap.means(np.stack([own - mean, oracle - mean], axis=1))
        usable = resampled[:, 1] > 1e-9
        if way < 1e-9 or not usable.any():
            return None
        low, high = self.bootstrap.limits((resampled[usable, 0] / resampled[usable, 1])[:, None])
        return Interval(float((own - mean).mean()) / way, float(low[0]), float(high[0]))

    def differences(self) -> list[GainDifference]:
        """Return the gains on each policy less those on each stronger one; at n = 1 there are none."""
        found = []
        pairs = [(i, j) for i in range(len(self.names)) for j in range(i + 1, len(self.names))]
        for key in self.keys():
            for column, n in enumerate(self.ns):
                for i, j in pairs if n > 1 else []:
                    over_mean = self._tested(
                        self._gain(i, key, CHANCE, column), self._gain(j, key, CHANCE, column), same=False
                    )
                    both = MAJORITY in self.curves[i] and MAJORITY in self.curves[j]
                    over_majority = (
                        self._tested(
                            self._gain(i, key, MAJORITY, column), self._gain(j, key, MAJORITY, column), same=False
                        )
                        if both
                        else None
                    )
                    names = (self.names[i], self.names[j])
                    found.append(GainDifference(str(key[1]), key[0], n, *names, over_mean, over_majority))
        return found

    def _gain(self, at: int, key: CurveKey, base: CurveKey, column: int) -> Floats:
        curves = self.curves[at]
        return np.asarray(curves[key][:, column] - curves[base][:, column])


def _notes(
    pools: Sequence[Pool],
    shared: Shared,
    rewards: Mapping[str, Sequence[RewardFile]],
    measured: Sequence[Evaluation],
) -> list[str]:
    found = []
    if any(pool.info.n_problems > len(shared.problems) for pool in pools):
        sizes = ", ".join(f"{pool.path.name} {pool.info.n_problems:,}" for pool in pools)
        found.append(
            f"{len(shared.problems):,} problems are in all pools, and only these count; the pools have {sizes}"
        )
    if shared.conflicts:
        found.append(
            f"{shared.conflicts:,} further problems are left out: the golds of the pools contradict each other"
        )
    for name, files in rewards.items():
        if len({file.aggregation for file in files}) > 1:
            found.append(f"{name}: its aggregations differ ({', '.join(file.aggregation for file in files)})")
        if len({(str(file.info.model.get("id")), str(file.info.model.get("revision"))) for file in files}) > 1:
            found.append(f"{name}: the reward files name different models or revisions")
    for pool, each in zip(pools, measured, strict=True):
        found += [f"{pool.path.name}: {note}" for note in each.notes]
    return found
