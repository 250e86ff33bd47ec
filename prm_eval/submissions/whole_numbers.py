"""Whether a stated accuracy can be one: k of n solutions, in per cent with so many decimals, for a whole k.

One published table has 86.1 % of 241 solutions; 207 of them are 85.9 % and 208 are 86.3 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def attainable(stated: str, n: int) -> bool:
    """Say whether a share of n, in per cent as printed, is that of a whole number.

    A figure stands for everything that is printed so, whether halves are rounded up, down or to even: within half a
    unit of its last digit, both ends included. Whole numbers that are cut instead of rounded are refused.

    Args:
        stated: The figure as it is printed, such as "86.1": its decimals count.
        n: The number of solutions.
    """
    least, most = _range(stated, n)
    return least <= most


def nearest(stated: str, n: int) -> str:
    """Return what the whole numbers on both sides of a stated share are in per cent, in words."""
    value, digits = Decimal(stated), _decimals(stated)
    exact = value * n / 100
    below = int(exact.to_integral_value(ROUND_FLOOR))
    shown = [k for k in (below, below + 1) if 0 <= k <= n]
    return " and ".join(f"{k} of {n} is {Decimal(100 * k) / n:.{digits}f}" for k in shown)


def unattainable(figures: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[str, str, str]]:
    """Yield (name, found, expected) of every stated accuracy that no whole number of solutions has.

    Args:
        figures: By "[GROUP:]error_acc" or "[GROUP:]correct_acc", as printed.
        counts: The number of solutions by group ("" for the whole set) and measure.
    """
    for name, stated in figures.items():
        group, _, measure = name.rpartition(":")
        if group not in counts:
            known = ", ".join(filter(None, counts)) or "none"
            yield name, f"a group {group!r}", f"a group of the set ({known})"
            continue
        n = counts[group].get(measure)
        if n is None:
            yield name, f"a measure {measure!r}", "error_acc or correct_acc"
        elif not n:
            yield name, stated, "nothing: the set has no such solution"
        elif not attainable(stated, n):
            yield name, f"{stated} % of {n}", f"a whole number of solutions ({nearest(stated, n)})"


def _decimals(stated: str) -> int:
    return len(stated.partition(".")[2])


def _range(stated: str, n: int) -> tuple[int, int]:
    value, half = Decimal(stated), Decimal(1).scaleb(-_decimals(stated)) / 2
    least = ((value - half) * n / 100).to_integral_value(ROUND_CEILING)
    most = ((value + half) * n / 100).to_integral_value(ROUND_FLOOR)
    return max(0, int(least)), min(n, int(most))
