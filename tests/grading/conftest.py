"""Each file of tests decides anew: what an earlier one decided would be answered from memory, and run no line."""

from __future__ import annotations

import pytest

from prm_eval.grading.deciding import equivalence
from prm_eval.grading.reading import measures, typography, units

KEPT = (
    *(equivalence._read, equivalence._cached),
    *(measures.single, measures.measure, units.unit_name, typography._spelling),
)


@pytest.fixture(autouse=True, scope="module")
def decided_anew() -> None:
    """Which files run before depends on the worker; the branches that a room's tests take must not."""
    for each in KEPT:
        each.cache_clear()
