"""Rows beside each other: paired differences on the same resamples, and whether a model beats the best rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap, holm
from prm_eval.evaluation.stepwise.resampling import Estimate, Resampled, estimate

Floats = npt.NDArray[np.float64]

MOST_ROWS = 20
"""The most reward models of which every pair is compared."""


@dataclass(frozen=True)
class Difference:
    """A paired difference of one measure; a chosen threshold is held fixed.

    Attributes:
        measure: The name of the measure.
        one: The row that is ahead where the difference is positive.
        other: The other row.
        difference: With its limits.
        p: Two-sided, from the resamples: twice the share of them on the other side of 0; at least 2^(1 - P) of P
            problems, as no test by signs can say more.
        p_holm: The same, adjusted for all differences of this measure in the list.
    """

    measure: str
    one: str
    other: str
    difference: Estimate
    p: float | None
    p_holm: float | None


def differences(
    measures: Mapping[str, Mapping[str, Resampled]], bootstrap: ClusterBootstrap, against: str | None = None
) -> list[Difference]:
    """Return the paired differences of each measure between rows.

    Args:
        measures: By row, by measure.
        bootstrap: What they were resampled with.
        against: Compare every row with this one; None compares every pair.
    """
    if against is None:
        pairs = list(combinations(list(measures)[:MOST_ROWS], 2))
    else:
        pairs = [(each, against) for each in measures if each != against]
    found: list[Difference] = []
    for measure in dict.fromkeys(name for own in measures.values() for name in own):
        rows = []
        for one, other in pairs:
            if measure in measures[one] and measure in measures[other]:
                paired = measures[one][measure].minus(measures[other][measure])
                rows.append((one, other, estimate(paired, bootstrap, bounded=False), _p(paired)))
        there = [row for row, (_, _, _, p) in enumerate(rows) if p is not None]
        adjusted = dict(zip(there, holm(np.array([rows[row][3] for row in there], dtype=np.float64)), strict=True))
        found += [
            Difference(measure, one, other, difference, p, float(adjusted[row]) if row in adjusted else None)
            for row, (one, other, difference, p) in enumerate(rows)
        ]
    return found


def _p(paired: Resampled) -> float | None:
    drawn = paired.drawn[np.isfinite(paired.drawn)]
    if not np.isfinite(paired.value) or len(drawn) < 2:
        return None
    fewer = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    floor = 2.0 ** (1 - len(paired.without))
    return min(1.0, max(2 * (1 + fewer) / (1 + len(drawn)), floor))
