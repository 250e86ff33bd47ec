"""What looks odd in rewards that have no fault: shown on the board beside the row, never a reason to refuse it.

Public grades can be copied. Rewards made from them plus noise are recognised in two ways. With little noise they are
better than any verifier: the figures say so. With much noise they are still about the grade and about nothing else,
whereas whatever reads a text gives similar texts similar rewards: among candidates of one problem *and one grade*,
rewards of a reward model follow the length of a text, its answer and its nearest neighbour's reward; rewards made from
grades do not. What this cannot see, by construction: a real model's rewards with something added for correct
candidates. Only ``prm-eval verify`` sees that.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.curves import graded_slots
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.submissions.checking.provenance import doubts
from prm_eval.submissions.records import Submission, Suspicion

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NAMES = {
    "grades": "the rewards are almost the grades",
    "auroc": "better at telling right from wrong within a problem than any known verifier",
    "oracle": "best-of-n is close to the oracle",
    "few-values": "few distinct rewards",
    "text-blind": "the rewards know the grades, and nothing else of the texts",
    "outliers": "rewards that lie absurdly far from all others",
    "own-recipe": "fed by a recipe that does not ship",
    "unrun-rule": "a rule that nobody here has run",
}
GRADES_AUROC = 0.99
AUROC_LIMIT = (
    0.95  # for the lower end of the interval; the strongest public verifiers we have measured reach 0.90 to 0.98
)
GAP_LIMIT = 0.90  # of what lies between the mean and the oracle, likewise
# Problems with candidates right and wrong. Fewer prove nothing: a real verifier has been seen to get all of three
# right.
LEAST_FOR_GRADES, LEAST_FOR_LIMITS = 10, 20
FEW_VALUES, LEAST_CANDIDATES = 20, 200
LEAST_IN_CELLS = (
    400  # candidates for the test of text-blindness: real verifiers then exceed its limit several times over
)
CHI_SQUARE_LIMIT = 16.27  # of 3 degrees of freedom: a blind file is below it 999 times of 1,000
AUROC_Z = 4.0  # random rewards are blind too, but know no grade
SHUFFLES = 100
# Numbers without a scale are compared in units of their spread. Log-odds have one: a unit is at least 1, since a sure
# model's log probabilities crowd near 0 with honest ones of -30 among them.
OUTLIER_UNITS, LEAST_UNIT = 1e3, {"raw": 0.0}
LEAST_CELL, MOST_CELL, MOST_CELLS = 4, 64, 300
WORD_PAIRS = 512


def suspicions(submission: Submission, pool: Pool, rewards: Floats | None = None) -> list[Suspicion]:
    """Return what looks odd in a submission; empty for an ordinary one.

    Args:
        submission: Without faults.
        pool: Its pool, graded.
        rewards: Its aggregated rewards, (problems, M) with NaN where there is none, where the caller has read them
            already.

    Raises:
        DataError: The rewards are not of this pool.
        PrmEvalError: The pool has no grades.
    """
    facts = pool_facts(str(pool.path), pool.info.content_hash)
    table = read_rewards(submission, pool) if rewards is None else rewards
    odd = outliers(table[facts.present & ~np.isnan(table)], submission.rewards.info.score_type)
    return [*doubts(submission), *([] if odd is None else [odd]), *_found(table, facts)]


def read_rewards(submission: Submission, pool: Pool) -> Floats:
    """Return the aggregated rewards of a submission, (problems, M)."""
    named = NamedRewards("", submission.rewards)
    return np.stack([each.rewards[named.label].rewards for each in graded_slots(pool, "own", [named])])


@dataclass(frozen=True)
class Cell:
    """Candidates of one problem and one grade, of different texts, and what is near what.

    Attributes:
        problem: Row of the reward table.
        slots: Columns.
        length: Logarithms of the texts' lengths.
        nearest: For each candidate the one with the most similar text.
        same_answer: (candidates, candidates): 1 where the answers are of one class.
        shuffles: (shuffles, candidates): orders to compare with, the same for all submissions.
    """

    problem: int
    slots: npt.NDArray[np.int64]
    length: Floats
    nearest: npt.NDArray[np.int64]
    same_answer: Floats
    shuffles: npt.NDArray[np.int64]


@dataclass(frozen=True)
class PoolFacts:
    """What the tests need of a pool; made once for all its submissions."""

    correct: Bools
    present: Bools
    answered: Bools
    cells: tuple[Cell, ...]


@lru_cache(maxsize=8)
def pool_facts(path: str, content_hash: str) -> PoolFacts:
    """Return the facts of a pool; ``content_hash`` keeps another pool at the same place from being taken for it."""
    pool = Pool(path)
    graded = list(graded_slots(pool, "own", []))
    cells: list[Cell] = []
    generator = np.random.default_rng(20_230_531)
    for row, (one, (_, table)) in enumerate(zip(graded, pool.blocks(["problem_id", "slot", "text"]), strict=True)):
        texts = dict(zip(table.column("slot").to_pylist(), table.column("text").to_pylist(), strict=True))
        for grade in (True, False):
            first = {text: slot for slot, text in reversed(texts.items()) if one.correct[slot] == grade}
            slots = np.array(sorted(first.values())[:MOST_CELL], dtype=np.int64)
            if len(slots) >= LEAST_CELL and len(cells) < MOST_CELLS:
                orders = generator.permuted(np.tile(np.arange(len(slots)), (SHUFFLES, 1)), axis=1)
                cells.append(_cell(row, slots, [texts[slot] for slot in slots], one.classes[slots], orders))
    return PoolFacts(
        np.stack([each.correct for each in graded]),
        np.stack([~np.isnan(each.lengths) for each in graded]),
        np.stack([each.classes >= 0 for each in graded]),
        tuple(cells),
    )


def _cell(
    row: int,
    slots: npt.NDArray[np.int64],
    texts: list[str],
    classes: npt.NDArray[np.int64],
    orders: npt.NDArray[np.int64],
) -> Cell:
    vectors = np.zeros((len(texts), WORD_PAIRS))
    for at, text in enumerate(texts):
        words = text.split()
        for pair in pairwise(words):
            vectors[at, zlib.crc32(" ".join(pair).encode("utf-8", "replace")) % WORD_PAIRS] += 1
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1.0)
    same = (classes[:, None] == classes[None]).astype(np.float64)
    np.fill_diagonal(same, 0.0)
    return Cell(row, slots, np.log1p([len(text) for text in texts]), near.argmax(axis=1), same, orders)


def _found(table: Floats, facts: PoolFacts) -> Iterator[Suspicion]:
    scored = facts.present & ~np.isnan(table)
    distinct = len(np.unique(table[scored]))
    if scored.sum() >= LEAST_CANDIDATES and distinct < FEW_VALUES:
        yield Suspicion("few-values", f"only {distinct} distinct rewards among {scored.sum():,}", float(distinct))
    areas = within_problem_auroc(table, facts.correct, scored)
    if len(areas) < LEAST_FOR_GRADES:
        return
    mean, error = float(areas.mean()), float(areas.std(ddof=1) / np.sqrt(len(areas)))
    if mean >= GRADES_AUROC:
        text = f"a right candidate beats a wrong one of its problem with probability {mean:.4f}: almost the grades"
        yield Suspicion("grades", text, mean)
    elif len(areas) >= LEAST_FOR_LIMITS and mean - 2 * error > AUROC_LIMIT:
        text = f"a right candidate beats a wrong one of its problem with probability {mean:.3f} ± {2 * error:.3f}"
        yield Suspicion("auroc", text, mean)
    low, gap = _gap(table, facts)
    if len(areas) >= LEAST_FOR_LIMITS and low > GAP_LIMIT:
        text = f"best-of-n at all slots recovers {gap:.0%} of what lies between the mean and the oracle"
        yield Suspicion("oracle", text, gap)
    blind = blindness(table, facts.cells)
    if blind is not None and blind < CHI_SQUARE_LIMIT and (mean - 0.5) > AUROC_Z * max(error, 1e-9):
        text = (
            "within a problem the rewards tell right from wrong, but among candidates of the same grade they have "
            "nothing to do "
            f"with length, answer or similar texts (chi-square {blind:.1f} of 3 degrees of freedom; a reader of texts "
            "is far above)"
        )
        yield Suspicion("text-blind", text, blind)


def outliers(rewards: Floats, score_type: str) -> Suspicion | None:
    """Return the suspicion that a few rewards lie absurdly far out: what makes differences between all others look small."""
    if not len(rewards):
        return None
    low, middle, high = np.percentile(rewards, [25, 50, 75])
    unit = max(float(high - low), LEAST_UNIT.get(score_type, 1.0))
    far = int((np.abs(rewards - middle) > OUTLIER_UNITS * unit).sum()) if unit > 0 else 0
    if not far:
        return None
    distance = f"{OUTLIER_UNITS:,.0f} times the distance between the quartiles"
    text = f"{far:,} of {len(rewards):,} rewards lie more than {distance} from the median"
    return Suspicion("outliers", text, float(far))


def within_problem_auroc(table: Floats, correct: Bools, scored: Bools) -> Floats:
    """Return, for every problem with candidates right and wrong, the probability that a right one beats a wrong one."""
    areas: list[float] = []
    for rewards, right, there in zip(table, correct, scored, strict=True):
        good, bad = np.sort(rewards[there & right]), np.sort(rewards[there & ~right])
        if len(good) and len(bad):
            below, upto = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
            areas.append(float((below + upto).sum() / (2 * len(good) * len(bad))))
    return np.array(areas)


def _gap(table: Floats, facts: PoolFacts) -> tuple[float, float]:
    """Return (lower limit, estimate) of the share of the gap between mean and oracle that best-of-n recovers at all slots."""
    m = table.shape[1]
    rewards = np.where(facts.answered, table, np.nan)
    best = best_of_n_table(rewards, facts.correct, [m])[:, 0]
    mean, oracle = facts.correct.mean(axis=1), facts.correct.any(axis=1).astype(np.float64)
    mixed = oracle > mean
    gained, room = (best - mean)[mixed], (oracle - mean)[mixed]
    gap = float(gained.sum() / room.sum())
    error = float(np.sqrt(((gained - gap * room) ** 2).sum()) / room.sum())  # of a ratio of sums over problems
    return gap - 2 * max(error, 0.5 / len(room)), gap


def blindness(table: Floats, cells: tuple[Cell, ...]) -> float | None:
    """Return how much rewards follow the texts, grade and problem being equal; None where the pool is too small to say.

    The sum of the squares of three standard scores (length, nearest text, same answer), each against shuffles of the
    rewards within their cell: chi-square with 3 degrees of freedom for rewards that do not.
    """
    centre, spread, count = np.zeros(3), np.zeros(3), 0
    for cell in cells:
        values = table[cell.problem, cell.slots]
        there = ~np.isnan(values)
        if not there.all() or np.ptp(values) == 0:
            continue  # a refusal in the cell: its neighbours are not worth recomputing
        ranks = _standard_ranks(values)
        measured = _measures(np.concatenate([ranks[None], ranks[cell.shuffles]]), cell)
        own, others = measured[0], measured[1:]
        centre += own - others.mean(axis=0)
        spread += others.var(axis=0, ddof=1)
        count += len(values)
    if count < LEAST_IN_CELLS:
        return None
    scores = centre / np.sqrt(np.maximum(spread, 1e-12))
    return float((scores**2).sum())


def _standard_ranks(values: Floats) -> Floats:
    ordered = np.sort(values)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2.0
    centred = ranks - ranks.mean()
    return np.asarray(centred / centred.std(), dtype=np.float64)


def _measures(ranks: Floats, cell: Cell) -> Floats:
    """Return (rows, 3): how each row of ranks goes with length, nearest text and same answer."""
    length = cell.length - cell.length.mean()
    by_length = ranks @ (length / max(float(length.std()), 1e-12))
    by_text = (ranks * ranks[:, cell.nearest]).sum(axis=1)
    by_answer = ((ranks @ cell.same_answer) * ranks).sum(axis=1) / 2
    return np.stack([by_length, by_text, by_answer], axis=1)
