"""A check of the seeds: whether new candidates of a resumed run repeat the kept ones more often than by chance."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

DRAWS = 199
# The warning needs at least twice as many pairs as expected, and at least five.
TIMES, LEAST = 2.0, 5


def repeated_across(problems: Sequence[tuple[Sequence[str], int]], seed: int = 0) -> tuple[int, float, float]:
    """Compare the number of equal pairs of a kept and a new text with that in random divisions of the same texts.

    Args:
        problems: For each problem its texts, and the number of the first ones that were kept from before.
        seed: The seed of the random divisions.

    Returns:
        The pairs found, the pairs expected, and the share of random divisions with at least as many pairs.
    """
    groups = [(texts, kept) for texts, kept in problems if 0 < kept < len(texts) and len(set(texts)) < len(texts)]
    found = sum(_pairs(texts, kept) for texts, kept in groups)
    source = random.Random(seed)  # noqa: S311  (statistics)
    drawn = [sum(_pairs(source.sample(list(texts), len(texts)), kept) for texts, kept in groups) for _ in range(DRAWS)]
    return found, sum(drawn) / DRAWS, (1 + sum(each >= found for each in drawn)) / (1 + DRAWS)


def repeats_warning(problems: Sequence[tuple[Sequence[str], int]]) -> str | None:
    """Return a warning where new candidates repeat kept ones too often, else None."""
    found, expected, p = repeated_across(problems)
    if found < max(LEAST, TIMES * expected) or p > 0.01:
        return None
    return (
        f"{found:,} pairs of a kept and a new candidate are the same text, where {expected:.1f} were expected: "
        "the server or vLLM seems to have started with the same seed as before. Give it another one "
        "(vLLM: --model_args seed=2), and remove the candidates of this run: they are not independent."
    )


def _pairs(texts: Sequence[str], kept: int) -> int:
    before = Counter(texts[:kept])
    return sum(before[text] * count for text, count in Counter(texts[kept:]).items())
