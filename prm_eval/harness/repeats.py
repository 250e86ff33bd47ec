"""A net under the seeds: do candidates of a run that went on repeat those that were kept more often than chance would?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

DRAWS = 199
TIMES, LEAST = 2.0, 5  # said from twice as many as expected, and at least five pairs


def repeated_across(problems: Sequence[tuple[Sequence[str], int]], seed: int = 0) -> tuple[int, float, float]:
    """Compare equal pairs of a kept and a new text with what a random division of the same texts gives.

    Args:
        problems: For each, its texts, and how many of the first were kept from before.
        seed: Of the random divisions.

    Returns:
        The pairs found, those expected, and the share of random divisions with at least as many.
    """
    groups = [(texts, kept) for texts, kept in problems if 0 < kept < len(texts) and len(set(texts)) < len(texts)]
    found = sum(_pairs(texts, kept) for texts, kept in groups)
    source = random.Random(seed)  # noqa: S311  (statistics)
    drawn = [sum(_pairs(source.sample(list(texts), len(texts)), kept) for texts, kept in groups) for _ in range(DRAWS)]
    return found, sum(drawn) / DRAWS, (1 + sum(each >= found for each in drawn)) / (1 + DRAWS)


def repeats_warning(problems: Sequence[tuple[Sequence[str], int]]) -> str | None:
    """Return what to say where new candidates repeat kept ones too often; None where they do not."""
    found, expected, p = repeated_across(problems)
    if found < max(LEAST, TIMES * expected) or p > 0.01:
        return None
    return (
        f"{found:,} pairs of a kept and a new candidate are the same text, where {expected:.1f} were expected: the server "
        "or engine seems to have started with the seed it had before. Give it another one (vLLM: --model_args seed=2), "
        "and remove the candidates of this run: they are not independent."
    )


def _pairs(texts: Sequence[str], kept: int) -> int:
    before = Counter(texts[:kept])
    return sum(before[text] * count for text, count in Counter(texts[kept:]).items())
