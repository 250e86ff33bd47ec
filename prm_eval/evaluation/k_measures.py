"""The k-measures of a graded pool: what its candidates are worth without a reward model, k at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from prm_eval.evaluation.summary import CurveKey, Row, Summary
from prm_eval.pools.format import GRADES
from prm_eval.pools.pool import Pool
from prm_eval.selection.k_measures import VOTE, KMeasure
from prm_eval.store.tables import BlockReader

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class KMeasures:
    """The k-measures of a pool.

    Attributes:
        measures: Those that there are, in the order in which they were asked for.
        curves: (problems, len(ns)) values, by the measure's name.
        rows: Every value with its limits over problems; ``selector`` is the measure's name, ``n`` is k.
    """

    measures: tuple[KMeasure, ...] = ()
    curves: Mapping[str, Floats] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()


def k_measures_of(
    measures: Sequence[KMeasure], pool: Pool, grades: str, summary: Summary, votes: tuple[Floats, Floats] | None
) -> KMeasures:
    """Return the k-measures of a pool, for every n of an evaluation.

    Args:
        measures: The measures that were asked for.
        pool: The pool.
        grades: The source of its grades.
        summary: The evaluation, of which problems, n and settings of the limits are taken.
        votes: (problems, len(ns)) values and Monte-Carlo variances of the majority vote; None where there are no
            answers to vote with, and then there is no ``maj@k``.
    """
    there = tuple(each for each in measures if each.kind != VOTE or votes is not None)
    if not there:
        return KMeasures()
    counts = correct_counts(pool, grades)
    tables: dict[CurveKey, Floats] = {}
    variances: dict[CurveKey, Floats] = {}
    for each in there:
        if each.kind == VOTE and votes is not None:
            tables[each.name, None], variances[each.name, None] = votes
        else:
            tables[each.name, None] = _table(each, counts, pool.info.m, summary.ns)
            variances[each.name, None] = np.zeros_like(tables[each.name, None])
    own = Summary(tables, variances, summary.ns, summary.problems, summary.seed, summary.level, summary.resample_count)
    named = {each.name: each for each in there}
    rows = tuple(replace(row, metric=named[row.selector].at(row.n)) for row in own.rows())
    return KMeasures(there, {name: table for (name, _), table in tables.items()}, rows)


def _table(measure: KMeasure, counts: Ints, m: int, ns: Sequence[int]) -> Floats:
    """Return (problems, len(ns)) values; problems with as many correct candidates have the same."""
    distinct, at = np.unique(counts, return_inverse=True)
    return np.stack([measure.values(int(count), m, ns) for count in distinct])[at]


def correct_counts(pool: Pool, grades: str) -> Ints:
    """Return the number of correct candidates of every problem, in the pool's order."""
    reader = BlockReader(pool.require_grades(grades), GRADES, ["problem_id", "grade"])
    counts = []
    for problem_id in pool.problems:
        _, rows = reader.take(problem_id)
        counts.append(pc.sum(pc.equal(rows.column("grade"), "correct")).as_py() or 0)
    reader.finish("the pool")
    return np.array(counts, dtype=np.int64)
