"""Rankings of candidates by rewards alone: no gold answer is needed, and no accuracy is given.

They are for problems without a final answer, such as proofs. Every candidate that has a reward can be chosen, whether
or not a final answer is found in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import named_apart
from prm_eval.evaluation.diagnostics import within_problem_correlation
from prm_eval.evaluation.one_step import warnings_of
from prm_eval.evaluation.opening import opened_rewards
from prm_eval.evaluation.report import aligned
from prm_eval.pools.format import policy_name
from prm_eval.pools.pool import Pool
from prm_eval.records import LOG_ODDS, Problem, ScoreType, StepRewards
from prm_eval.rewards.aggregate import aggregate_lists, as_probability
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.rewards.files.step_arrays import refusal_reason
from prm_eval.store.visible import one_line, visible
from prm_eval.texts.names import short_names
from prm_eval.texts.steps import split_steps

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SCHEMA = "prm_eval.ranking/1"
COLUMNS = ["problem_id", "candidate_id", "slot", "text", "steps"]
# characters of a step in the table
STEP_SHOWN = 100


@dataclass(frozen=True)
class Ranker:
    """A reward model of a ranking: its name in tables, and how its numbers are to be read."""

    name: str
    folder: str
    kind: str
    score_type: ScoreType
    aggregation: str


@dataclass(frozen=True)
class WeakestStep:
    """The step with the smallest reward, the first of several: its number from 1, of how many, and its text.

    ``value`` is a probability, or the number itself where the rewards are no log-odds.
    """

    step: int
    of: int
    value: float
    text: str


@dataclass(frozen=True)
class Chosen:
    """The candidate of one problem that a reward model ranks first.

    Attributes:
        problem_id: The problem.
        ranker: The index of the reward model.
        slot: The slot of the candidate, the first of those that are tied; None where no candidate has a reward.
        candidate_id: The candidate, for a join.
        reward: The aggregated reward, as a probability where the rewards are log-odds.
        tied: How many candidates have this reward.
        tied_texts: How many different texts these have: equal texts have equal rewards.
        order: The slots of all candidates with a reward, the best first; ties in the order of their slots.
        refused: How many candidates have no reward, by reason.
        weakest: The weakest step; None for an ORM.
    """

    problem_id: str
    ranker: int
    slot: int | None
    candidate_id: str | None
    reward: float | None
    tied: int
    tied_texts: int
    order: tuple[int, ...]
    refused: dict[str, int]
    weakest: WeakestStep | None


@dataclass(frozen=True)
class Agreement:
    """How far two reward models agree.

    Attributes:
        one: The index of one.
        other: The index of the other.
        same: The probability that they choose the same text, as a mean over problems; ties are broken at random.
        by_chance: The same for two that choose at random among the candidates that they gave a reward.
        problems: The number of problems on which both can choose.
        correlation: The rank correlation of their rewards within a problem, as a mean; None where it is not defined.
        correlated: The number of problems with a rank correlation.
    """

    one: int
    other: int
    same: float
    by_chance: float
    problems: int
    correlation: float | None
    correlated: int


@dataclass(frozen=True)
class Ranking:
    """The rankings of a pool's candidates by one or several reward models."""

    pool: dict[str, Any]
    rankers: tuple[Ranker, ...]
    chosen: tuple[Chosen, ...]
    agreements: tuple[Agreement, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the ranking as ``prm-eval rank --json`` prints it."""
        rows = [
            {key: value for key, value in asdict(each).items() if key != "ranker"}
            | {"reward_model": self.rankers[each.ranker].name}
            for each in self.chosen
        ]
        pairs = [
            asdict(each) | {"one": self.rankers[each.one].name, "other": self.rankers[each.other].name}
            for each in self.agreements
        ]
        return {
            "schema": SCHEMA,
            "pool": self.pool,
            "reward_models": [asdict(each) for each in self.rankers],
            "rows": rows,
            "agreement": pairs,
            "warnings": list(self.warnings),
        }


def run_ranking(
    folder: str | Path,
    rewards: Sequence[Path] = (),
    *,
    aggregations: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Ranking:
    """Rank the candidates of every problem of a pool.

    Args:
        folder: The folder of the pool.
        rewards: Reward folders; those in the pool by default.
        aggregations: Rank by each of these, instead of the declared one.
        progress: Called with the number of problems done.

    Raises:
        PrmEvalError: There are no rewards, or a file has a fault.
    """
    pool = Pool(folder).require_sound()
    named = named_apart(opened_rewards(list(rewards) or pool.reward_folders(), aggregations))
    if not named:
        raise PrmEvalError(
            f"{pool.path} has no rewards to rank by. Make some: prm-eval score {pool.path} --reward-model RM "
            f"-o {pool.path}/rewards/NAME"
        )
    readers = [each.file.reader(pool) for each in named]
    chosen: list[Chosen] = []
    tables: list[list[Floats]] = [[] for _ in named]
    texts: list[Ints] = []
    scored, of_one_step = Counter[str](), Counter[str]()
    for done, (problem, table) in enumerate(pool.blocks(COLUMNS), 1):
        candidates = table.to_pylist()
        texts.append(_distinct(pool, candidates))
        for index, (each, reader) in enumerate(zip(named, readers, strict=True)):
            found = reader.take_each(problem, table)
            scored[each.label] += sum(bool(one.values) for one in found)
            of_one_step[each.label] += sum(len(one.values) == 1 for one in found)
            row, first = _first(pool, problem, candidates, found, each, index)
            chosen.append(first)
            tables[index].append(row)
        if progress is not None:
            progress(done)
    for reader in readers:
        reader.finish()
    stacked = [np.stack(rows) for rows in tables]
    pairs = [_agreement(one, other, stacked, texts) for one, other in combinations(range(len(named)), 2)]
    warnings = warnings_of(pool.info, named, of_one_step, scored)
    return Ranking(_about(pool), tuple(_rankers(named)), tuple(chosen), tuple(pairs), tuple(warnings))


def can_be_evaluated(pool: Pool) -> bool:
    """Say whether accuracies can be given: there are grades, or gold answers to grade by."""
    return not pool.without_gold() or any(pool.path.glob("grades*.parquet"))


def _about(pool: Pool) -> dict[str, Any]:
    info = pool.info
    return {
        "path": str(pool.path),
        "content_hash": info.content_hash,
        "problem_set": info.problem_set,
        "policy": info.policy,
        "m": info.m,
        "n_problems": info.n_problems,
        "n_candidates": info.n_candidates,
        "without_gold": len(pool.without_gold()),
        "can_be_evaluated": can_be_evaluated(pool),
    }


def _rankers(named: Sequence[NamedRewards]) -> list[Ranker]:
    names = list(short_names(each.label for each in named).values())
    return [
        Ranker(name, str(each.file.folder), each.file.info.kind, each.file.info.score_type, str(each.file.aggregation))
        for name, each in zip(names, named, strict=True)
    ]


def _distinct(pool: Pool, candidates: list[dict[str, Any]]) -> Ints:
    """Return the number of the text in each of the M slots; -1 for a missing slot."""
    result = np.full(pool.info.m, -1, dtype=np.int64)
    numbers: dict[str, int] = {}
    for each in candidates:
        result[each["slot"]] = numbers.setdefault(each["text"], len(numbers))
    return result


def _first(
    pool: Pool,
    problem: Problem,
    candidates: list[dict[str, Any]],
    found: Sequence[StepRewards],
    named: NamedRewards,
    index: int,
) -> tuple[Floats, Chosen]:
    """Return the M rewards of a problem's slots (NaN where there is none), and the candidate that comes first."""
    info = named.file.info
    values, weights = aggregate_lists([each.values for each in found], named.file.aggregation, info.score_type)
    refused: dict[str, int] = {}
    for each in found:
        if each.refusal is not None:
            reason = refusal_reason(each.refusal)
            refused[reason] = refused.get(reason, 0) + 1
    row = np.full(pool.info.m, np.nan)
    for candidate, value in zip(candidates, values, strict=True):
        row[candidate["slot"]] = value
    scored = np.flatnonzero(np.isfinite(values))
    if not len(scored):
        return row, Chosen(problem.problem_id, index, None, None, None, 0, 0, (), refused, None)
    order = scored[np.argsort(-values[scored], kind="stable")]
    best = int(order[0])
    candidate = candidates[best]
    tied = np.flatnonzero(values == values[best])
    chosen = Chosen(
        problem.problem_id,
        index,
        int(candidate["slot"]),
        str(candidate["candidate_id"]),
        float(weights[best] if info.score_type in LOG_ODDS else values[best]),
        len(tied),
        len({candidates[place]["text"] for place in tied}),
        tuple(int(candidates[place]["slot"]) for place in order),
        refused,
        None,
    )
    if info.kind != "prm":
        return row, chosen
    steps = split_steps(candidate["text"], info.splitter or pool.info.splitter, candidate["steps"])
    numbers = [as_probability(value, info.score_type) for value in found[best].values]
    worst = int(np.argmin(found[best].values))
    weakest = WeakestStep(worst + 1, len(steps), float(numbers[worst]), steps[worst])
    return row, replace(chosen, weakest=weakest)


def _agreement(one: int, other: int, tables: Sequence[Floats], texts: Sequence[Ints]) -> Agreement:
    """Return the agreement of two reward models from their (problems, M) rewards and the texts of the slots."""
    same, chance = [], []
    for mine, theirs, text in zip(tables[one], tables[other], texts, strict=True):
        there, also = np.isfinite(mine), np.isfinite(theirs)
        if there.any() and also.any():
            same.append(_meeting(mine == np.nanmax(mine), theirs == np.nanmax(theirs), text))
            chance.append(_meeting(there, also, text))
    correlation, correlated = within_problem_correlation(tables[one], tables[other])
    return Agreement(
        one,
        other,
        float(np.mean(same)) if same else 0.0,
        float(np.mean(chance)) if chance else 0.0,
        len(same),
        correlation if correlated else None,
        correlated,
    )


def _meeting(mine: Bools, theirs: Bools, text: Ints) -> float:
    """Return the probability that two random slots, one of each set, have the same text."""
    width = int(text.max()) + 1
    shares = [np.bincount(text[each], minlength=width) / each.sum() for each in (mine, theirs)]
    return float(shares[0] @ shares[1])


def letter(index: int) -> str:
    """Return the sign of a reward model in a table: A to Z, then A1, B1, ..."""
    return chr(65 + index % 26) + (str(index // 26) if index >= 26 else "")


def ranking_lines(ranking: Ranking) -> list[str]:
    """Return a ranking as lines for the terminal, in which strangers' texts are made visible."""
    pool = ranking.pool
    lines = [
        f"pool {pool['content_hash'][:12]}: {pool['n_problems']:,} problems x {pool['m']:,} slots, "
        f"{pool['n_candidates']:,} candidates, {one_line(policy_name(pool['policy']), 80)}",
        *(
            f"{letter(place)}  {one_line(each.name, 80)}: {each.kind.upper()}"
            + (f", {each.aggregation}" if each.kind == "prm" else "")
            for place, each in enumerate(ranking.rankers)
        ),
        "",
    ]
    by_problem: dict[str, list[Chosen]] = {}
    for each in ranking.chosen:
        by_problem.setdefault(each.problem_id, []).append(each)
    for problem_id, several in by_problem.items():
        lines.append(one_line(problem_id, 100))
        lines += [f"  {letter(each.ranker)}  {_chosen_line(each)}" for each in several]
    if ranking.agreements:
        lines += ["", "agreement of two reward models"]
        lines += aligned([["", "same text", "by chance", "problems", "rank correlation"], *_pairs(ranking)])
    if ranking.warnings:
        lines += ["", *(f"WARNING: {one_line(each, 1_000)}" for each in ranking.warnings)]
    if pool["can_be_evaluated"]:
        return [*lines, "", f"accuracies, by grades: prm-eval evaluate {visible(pool['path'])}"]
    return [*lines, "", f"no accuracy: {pool['without_gold']:,} of {pool['n_problems']:,} problems have no gold answer"]


def _pairs(ranking: Ranking) -> list[list[str]]:
    return [
        [
            f"{letter(each.one)} and {letter(each.other)}",
            f"{100 * each.same:.1f} %" if each.problems else "-",
            f"{100 * each.by_chance:.1f} %" if each.problems else "-",
            f"{each.problems:,}",
            "-" if each.correlation is None else f"{each.correlation:+.2f}",
        ]
        for each in ranking.agreements
    ]


def _chosen_line(each: Chosen) -> str:
    refused = ", ".join(f"{count:,} {one_line(reason, 60)}" for reason, count in each.refused.items())
    if each.slot is None or each.reward is None:
        return f"no candidate has a reward (refused: {refused})" if refused else "no candidate"
    parts = [f"slot {each.slot:<3} {each.reward:.4g}", f"first of {len(each.order)}"]
    if each.tied_texts > 1:
        parts[1] = f"one of {each.tied} of {len(each.order)} that are tied, with {each.tied_texts} texts"
    elif each.tied > 1:
        parts[1] += f", {each.tied} of which have this text"
    if refused:
        parts.append(f"refused: {refused}")
    line = ", ".join(parts)
    if each.weakest is None:
        return line
    worst = each.weakest
    return f"{line}; weakest step {worst.step} of {worst.of}, {worst.value:.4g}: {one_line(worst.text, STEP_SHOWN)}"
