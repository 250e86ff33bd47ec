"""Suspicions: what looks odd in rewards without faults, shown beside the row and never a reason to refuse it.

Public grades can be copied, into rewards and into refusals. Rewards made from grades plus noise are recognised in two
ways. With little noise they are better than any verifier, and the figures show it. With much noise they still depend on
the grade and on nothing else. A reward model reads texts, and so gives similar texts similar rewards: among candidates
of one problem *and one grade*, its rewards follow the length of a text, its answer and its nearest neighbour's reward.
Rewards made from grades do not. These tests cannot see one thing, by construction: a real model's rewards with
something added for correct candidates. Only ``prm-eval verify`` sees that.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.curves import graded_slots
from prm_eval.evaluation.diagnostics import row_ranks
from prm_eval.evaluation.measured import board_settings
from prm_eval.evaluation.one_step import warning_of
from prm_eval.grading.pool import own_source
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.submissions.checking.provenance import doubts
from prm_eval.submissions.patterns import by_lot, follows_share, refused, takes_the_most_common
from prm_eval.submissions.records import Submission, Suspicion
from prm_eval.submissions.trust import enough

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NAMES = {
    "differs": "the model was run again here, and did not give these rewards",
    "grades": "the rewards are almost the grades",
    "auroc": "better at telling right from wrong within a problem than any known verifier",
    "oracle": "best-of-n is close to the oracle",
    "few-values": "few distinct rewards",
    "text-blind": "the rewards know the grades, and nothing else of the texts",
    "one-step": "the process reward model reads most candidates as one step",
    "outliers": "rewards that lie absurdly far from all others",
    "refusals": "refused candidates are wrong or long beyond chance",
    "votes": "the rewards follow how many candidates of the pool have an answer",
    "alike": "the rewards order candidates like those of another model",
    "own-recipe": "fed by a recipe that does not ship",
    "unrun-rule": "a rule that nobody here has run",
}
GRADES_AUROC = 0.99
# a limit for the lower end of the interval; the strongest public verifiers that we have measured reach 0.90 to 0.98
AUROC_LIMIT = 0.95
# the share of the gap between the mean and the oracle, also for the lower end
GAP_LIMIT = 0.90
# Problems with both right and wrong candidates. Fewer prove nothing: a real verifier got all of three right.
LEAST_FOR_GRADES, LEAST_FOR_LIMITS = 10, 20
FEW_VALUES, LEAST_CANDIDATES = 20, 200
# candidates for the test of text-blindness: with so many, real verifiers exceed its limit several times over
LEAST_IN_CELLS = 400
# of 3 degrees of freedom: a blind file is below it 999 times of 1,000
CHI_SQUARE_LIMIT = 16.27
# random rewards are blind too, but do not know the grade
AUROC_Z = 4.0
# standard errors between problems by which refused candidates are wrong or long
REFUSED_ERRORS = 4.0
# fewer are enough where refusing is worth so many points of best-of-n
REFUSED_ERRORS_WORTH, REFUSED_POINTS = 3.0, 1.0
# Of the correlation with the number of candidates that have an answer, among wrong ones, for the lower end: rewards
# that count votes reach 0.62 to 0.97 on the pools here, the stored verifiers 0.25 at most.
SHARE_LIMIT = 0.6
# Of the share of problems whose most common answer is wrong in which the best candidate has it, for the lower end
# (Wilson): rewards that know the most common answer take it always, the stored verifiers in 0.04 to 0.82 of them.
COMMON_LIMIT = 0.85
SHUFFLES = 100
# Raw numbers have no scale and are compared in units of their spread. For log-odds the unit is at least 1: the log
# probabilities of a sure model crowd near 0, with honest ones of -30 among them.
OUTLIER_UNITS, LEAST_UNIT = 1e3, {"raw": 0.0}
LEAST_CELL, MOST_CELL, MOST_CELLS = 4, 64, 300
WORD_PAIRS = 512


def suspicions(
    submission: Submission, pool: Pool, rewards: Floats | None = None, headline_n: int | None = None
) -> list[Suspicion]:
    """Return what looks odd in a submission; empty for an ordinary one.

    Args:
        submission: A submission without faults.
        pool: Its pool, graded.
        rewards: Its aggregated rewards, (problems, M), NaN where there is none; by default they are read here.
        headline_n: The n by which the board ranks the pool, if its entry names one.

    Raises:
        DataError: The rewards are not of this pool.
        PrmEvalError: The pool has no grades.
    """
    facts = pool_facts(str(pool.path), pool.info.content_hash)
    table = read_rewards(submission, pool) if rewards is None else rewards
    odd = outliers(table[facts.present & ~np.isnan(table)], submission.rewards.info.score_type)
    of_the_word = [*of_verification(submission), *doubts(submission)]
    return [*of_the_word, *([] if odd is None else [odd]), *_found(table, facts, headline_n)]


def of_steps(submission: Submission, pool: Pool, counts: Ints) -> list[Suspicion]:
    """Return the suspicion that a process reward model was asked about whole solutions; empty for an ordinary one.

    Args:
        submission: A submission without faults.
        pool: Its pool.
        counts: The number of steps of each candidate; 0 where it has no reward.
    """
    text = warning_of(pool.info, submission.rewards.info, counts, "it")
    scored = max(1, int((counts > 0).sum()))
    return [] if text is None else [Suspicion("one-step", text, float((counts == 1).sum() / scored))]


def of_verification(submission: Submission) -> Iterator[Suspicion]:
    """Yield the suspicion that the model gives other rewards than these; a sample that was too small raises none."""
    found = submission.verification
    if found is None or submission.tier != "recomputed":
        return
    if found.verdict != "agrees":
        text = f"the model was run again on {found.compared:,} candidates, and {found.beyond:,} of them differ"
        yield Suspicion("differs", text, float(found.beyond))
    elif enough(found):
        text = "the rewards, or what they are said to be, were changed after the model was run again"
        yield Suspicion("differs", text, 0.0)


def read_rewards(submission: Submission, pool: Pool) -> Floats:
    """Return the aggregated rewards of a submission, (problems, M)."""
    named = NamedRewards("", submission.rewards)
    return np.stack([each.rewards[named.label].rewards for each in graded_slots(pool, own_source(pool), [named])])


@dataclass(frozen=True)
class Cells:
    """Cells of one size: candidates of one problem and one grade, with different texts, and which of them are alike.

    Attributes:
        problems: (cells,): the row of the reward table of each.
        slots: (cells, candidates): their columns.
        length: (cells, candidates): the logarithms of the texts' lengths, in standard units.
        nearest: (cells, candidates, candidates): 1 in the row of the candidate whose text is the most similar to that
            of the column.
        same_answer: (cells, candidates, candidates): 1 where the answers are of one class.
        orders: (cells, 1 + shuffles, candidates): their own order, and those to compare with, the same for all
            submissions.
    """

    problems: Ints
    slots: Ints
    length: Floats
    nearest: Floats
    same_answer: Floats
    orders: Ints


@dataclass(frozen=True)
class PoolFacts:
    """The facts about a pool that the tests need; made once for all its submissions.

    All arrays are (problems, M).

    Attributes:
        correct: Whether a slot is right.
        present: Whether there is a candidate.
        answered: Whether it has an answer.
        cells: Where rewards are held against texts.
        lengths: The length of a candidate; NaN where there is none.
        classes: The answer class; -1 where there is no answer.
    """

    correct: Bools
    present: Bools
    answered: Bools
    cells: tuple[Cells, ...]
    lengths: Floats
    classes: npt.NDArray[np.int64]


@lru_cache(maxsize=8)
def pool_facts(path: str, content_hash: str) -> PoolFacts:
    """Return the facts of a pool; ``content_hash`` tells it from another pool at the same path in the cache."""
    pool = Pool(path)
    graded = list(graded_slots(pool, own_source(pool), []))
    cells: list[Cells] = []
    generator = np.random.default_rng(20_230_531)
    for row, (one, (_, table)) in enumerate(zip(graded, pool.blocks(["problem_id", "slot", "text"]), strict=True)):
        texts = dict(zip(table.column("slot").to_pylist(), table.column("text").to_pylist(), strict=True))
        for grade in (True, False):
            first = {text: slot for slot, text in reversed(texts.items()) if one.correct[slot] == grade}
            slots = np.array(sorted(first.values())[:MOST_CELL], dtype=np.int64)
            if len(slots) >= LEAST_CELL and len(cells) < MOST_CELLS:
                own = np.arange(len(slots))[None]
                orders = np.concatenate([own, generator.permuted(np.tile(own, (SHUFFLES, 1)), axis=1)])
                cells.append(_cell(row, slots, [texts[slot] for slot in slots], one.classes[slots], orders))
    return PoolFacts(
        np.stack([each.correct for each in graded]),
        np.stack([~np.isnan(each.lengths) for each in graded]),
        np.stack([each.classes >= 0 for each in graded]),
        _by_size(cells),
        np.stack([each.lengths for each in graded]),
        np.stack([each.classes for each in graded]),
    )


def _cell(row: int, slots: Ints, texts: list[str], classes: Ints, orders: Ints) -> Cells:
    vectors = np.zeros((len(texts), WORD_PAIRS))
    for at, text in enumerate(texts):
        words = text.split()
        for pair in pairwise(words):
            vectors[at, zlib.crc32(" ".join(pair).encode("utf-8", "replace")) % WORD_PAIRS] += 1
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1.0)
    nearest = np.zeros_like(near)
    nearest[near.argmax(axis=1), np.arange(len(texts))] = 1.0
    same = (classes[:, None] == classes[None]).astype(np.float64)
    np.fill_diagonal(same, 0.0)
    length = np.log1p([len(text) for text in texts])
    length = (length - length.mean()) / max(float(length.std()), 1e-12)
    return Cells(*(np.asarray(each)[None] for each in (row, slots, length, nearest, same, orders)))


def _by_size(cells: Sequence[Cells]) -> tuple[Cells, ...]:
    """Return the cells with those of one size together: many small arrays cost more than what is in them."""
    sizes = sorted({each.slots.shape[1] for each in cells})
    alike = [[each for each in cells if each.slots.shape[1] == size] for size in sizes]
    names = [each.name for each in fields(Cells)]
    return tuple(Cells(*(np.concatenate([getattr(one, name) for one in some]) for name in names)) for some in alike)


def _found(table: Floats, facts: PoolFacts, headline_n: int | None = None) -> Iterator[Suspicion]:
    scored = facts.present & ~np.isnan(table)
    distinct = len(np.unique(table[scored]))
    if scored.sum() >= LEAST_CANDIDATES and distinct < FEW_VALUES:
        yield Suspicion("few-values", f"only {distinct} distinct rewards among {scored.sum():,}", float(distinct))
    yield from _of_refusals(table, facts, board_settings(table.shape[1], headline_n).headline_n)
    yield from _of_votes(table, facts)
    # a refused candidate loses against all others
    areas = within_problem_auroc(np.where(scored, table, -np.inf), facts.correct, facts.present)
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
            f"nothing to do with length, answer or similar texts (chi-square {blind:.1f} of 3 degrees of freedom; a "
            "reader of texts is far above)"
        )
        yield Suspicion("text-blind", text, blind)


def _of_refusals(table: Floats, facts: PoolFacts, n: int) -> Iterator[Suspicion]:
    found = refused(table, facts.present, facts.correct, facts.lengths)
    if found is None or max(found.wrong_errors, found.long_errors) <= REFUSED_ERRORS_WORTH:
        return
    bon, lots = by_lot(table, facts.present, facts.correct, facts.answered, n)
    points = bon - lots
    enough = REFUSED_ERRORS_WORTH if points > REFUSED_POINTS else REFUSED_ERRORS
    said = [
        *(["wrong"] if found.wrong_errors > enough else []),
        *(["long"] if found.long_errors > REFUSED_ERRORS else []),
    ]
    if said:
        text = (
            f"{found.count:,} candidates were refused, and they are {' and '.join(said)} beyond chance: "
            f"{found.wrong:.0%} are wrong, by lot {found.expected:.0%} would be; with them drawn by lot, best of {n} "
            f"would be {lots:.1f} instead of {bon:.1f}"
        )
        yield Suspicion("refusals", text, points)


def _of_votes(table: Floats, facts: PoolFacts) -> Iterator[Suspicion]:
    share, problems = takes_the_most_common(table, facts.correct, facts.classes)
    if problems >= LEAST_FOR_LIMITS and _wilson_low(share, problems) > COMMON_LIMIT:
        text = (
            f"in {share:.0%} of the {problems} problems whose most common answer is wrong, the best candidate has that "
            "answer: a vote of all candidates of the pool, not of n"
        )
        yield Suspicion("votes", text, share)
        return
    found = follows_share(table, facts.correct, facts.classes)
    if len(found) < LEAST_FOR_LIMITS:
        return
    mean, error = float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found)))
    if mean - 2 * error > SHARE_LIMIT:
        text = (
            "within a problem the rewards follow how many candidates of the pool have an answer, also among wrong "
            f"answers (rank correlation {mean:.2f} ± {2 * error:.2f}): a vote of all candidates, not of n"
        )
        yield Suspicion("votes", text, mean)


def _wilson_low(share: float, n: int, z: float = 1.96) -> float:
    """Return the lower 95 % limit of a share of n (Wilson 1927)."""
    centre, spread = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((centre - spread) / (1 + z * z / n))


def outliers(rewards: Floats, score_type: str) -> Suspicion | None:
    """Return the suspicion that a few rewards lie absurdly far out, or None.

    Such rewards make the differences between all others look small.
    """
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
    """Return the probability that a right candidate beats a wrong one, for every problem that has both."""
    good, bad = (scored & correct).sum(axis=1), (scored & ~correct).sum(axis=1)
    of_good = np.where(scored & correct, row_ranks(np.where(scored, table, np.nan)), 0.0).sum(axis=1)
    both = (good > 0) & (bad > 0)
    areas = (of_good - good * (good + 1) / 2)[both] / (good * bad)[both]
    return np.asarray(areas, dtype=np.float64)


def _gap(table: Floats, facts: PoolFacts) -> tuple[float, float]:
    """Return (lower limit, estimate) of the share of the gap that best-of-n recovers at all slots.

    The gap is that between the mean and the oracle.
    """
    m = table.shape[1]
    rewards = np.where(facts.answered, table, np.nan)
    best = best_of_n_table(rewards, facts.correct, [m])[:, 0]
    mean, oracle = facts.correct.mean(axis=1), facts.correct.any(axis=1).astype(np.float64)
    mixed = oracle > mean
    gained, room = (best - mean)[mixed], (oracle - mean)[mixed]
    gap = float(gained.sum() / room.sum())
    # the standard error of a ratio of sums over problems
    error = float(np.sqrt(((gained - gap * room) ** 2).sum()) / room.sum())
    return gap - 2 * max(error, 0.5 / len(room)), gap


def blindness(table: Floats, cells: Sequence[Cells]) -> float | None:
    """Return how much rewards follow the texts within one problem and grade; None where there are too few to say.

    It is the sum of the squares of three standard scores (length, nearest text, same answer), each against shuffles of
    the rewards within their cell. For rewards that do not follow the texts it is chi-square with 3 degrees of freedom.
    """
    centre, spread, count = np.zeros(3), np.zeros(3), 0
    for some in cells:
        values = table[some.problems[:, None], some.slots]
        # not with a refusal in the cell (its neighbours are not worth recomputing), or nothing to rank
        used = np.flatnonzero(~np.isnan(values).any(axis=1))
        used = used[np.ptp(values[used], axis=1) > 0]
        standard = row_ranks(values[used]) - (values.shape[1] + 1) / 2
        standard /= standard.std(axis=1, keepdims=True)
        for each, at in zip(standard, used, strict=True):
            measured = _measures(each.take(some.orders[at]), some, int(at))
            others = measured[:, 1:]
            mean = others.mean(axis=1)
            centre += measured[:, 0] - mean
            spread += ((others - mean[:, None]) ** 2).sum(axis=1) / (others.shape[1] - 1)
        count += standard.size
    if count < LEAST_IN_CELLS:
        return None
    scores = centre / np.sqrt(np.maximum(spread, 1e-12))
    return float((scores**2).sum())


def _measures(ranked: Floats, cells: Cells, at: int) -> Floats:
    """Return (3, rows): how well each row of ranks goes with length, nearest text and same answer in one cell."""
    by_text = np.einsum("ij,ij->i", ranked @ cells.nearest[at], ranked)
    by_answer = np.einsum("ij,ij->i", ranked @ cells.same_answer[at], ranked) / 2
    return np.stack([ranked @ cells.length[at], by_text, by_answer])
