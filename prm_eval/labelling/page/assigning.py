"""What a labeller is given next. Pure functions: all that is drawn is drawn by the campaign's seed.

Screening items come first. Then, among the candidates of the queue, items with a known label are mixed in: over every
few blocks of places their share is exact, and their places in a block are drawn, so that nobody can tell them by
counting.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

BLOCK = 20
"""Places of a block, unless the rate is so low that a longer one has the first item with a known label."""


@dataclass(frozen=True)
class Plan:
    """What a campaign has to give.

    Attributes:
        screening: Items that everybody gets first.
        quality: Items with known labels that are mixed in.
        queue: Candidates as (item, how many people label it), in order.
        qc_rate: The share of the mixed-in items.
        seed: Of what is drawn.
    """

    screening: tuple[int, ...]
    quality: tuple[int, ...]
    queue: tuple[tuple[int, int], ...]
    qc_rate: float
    seed: int


@lru_cache(maxsize=10_000)
def _known_places(seed: int, who: str, block: int, length: int, number: int) -> frozenset[int]:
    draw = random.Random(f"{seed} {who} {block}")  # noqa: S311  (no secret)
    return frozenset(draw.sample(range(length), number))


def is_known_place(plan: Plan, who: str, place: int) -> bool:
    """Say whether a labeller's place, counted from 0 after the screening, is one for an item with a known label."""
    if not plan.qc_rate or not plan.quality:
        return False
    length = max(BLOCK, math.ceil(1 / plan.qc_rate))
    block, within = divmod(place, length)
    # 7 % of 20 places is no whole number: one in the first block, two in some of the next
    each = Fraction(str(plan.qc_rate)) * length
    number = math.floor((block + 1) * each) - math.floor(block * each)
    return within in _known_places(plan.seed, who, block, length, number)


def quality_order(plan: Plan, who: str) -> list[int]:
    """Return the items with known labels in the order in which a labeller gets them."""
    order = list(plan.quality)
    random.Random(f"{plan.seed} {who} order").shuffle(order)  # noqa: S311  (no secret)
    return order


def next_item(plan: Plan, who: str, given: Sequence[int], open_for: Callable[[int, int], bool]) -> int | None:
    """Return the item that a labeller gets next; None where nothing is left.

    Args:
        plan: What there is.
        who: The labeller.
        given: What this labeller was given so far.
        open_for: Whether a candidate that so many people are to label needs this labeller too.
    """
    had = set(given)
    for item in plan.screening:
        if item not in had:
            return item
    candidate = next((item for item, n in plan.queue if item not in had and open_for(item, n)), None)
    if candidate is None:
        return None  # nobody is kept for known items alone
    place = len(had - set(plan.screening))
    if is_known_place(plan, who, place):
        return next((item for item in quality_order(plan, who) if item not in had), candidate)
    return candidate


def places_left(plan: Plan, who: str, had: Collection[int], candidates: int) -> int:
    """Return how many items a labeller has still to come, if nobody else takes one of so many candidates."""
    seen = set(had)
    screening = sum(item not in seen for item in plan.screening)
    known_left = sum(item not in seen for item in plan.quality)
    place = len(seen - set(plan.screening))
    total = screening
    while candidates > 0:
        if known_left and is_known_place(plan, who, place):
            known_left -= 1
        else:
            candidates -= 1
        place += 1
        total += 1
    return total
