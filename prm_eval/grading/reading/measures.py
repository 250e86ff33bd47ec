r"""Units of measure as products of powers of base units.

So ``N m`` and ``J`` are one unit, and ``36 km/h`` and ``10 m/s`` are one speed. The table is that of the SI
brochure (9th edition, tables 2 to 8), with the customary units of the inch and the pound.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

Dimensions = tuple[tuple[str, int], ...]

_BASE: dict[str, tuple[Fraction, dict[str, int]]] = {
    "m": (Fraction(1), {"m": 1}), "g": (Fraction(1, 1000), {"kg": 1}), "s": (Fraction(1), {"s": 1}),
    "A": (Fraction(1), {"A": 1}), "K": (Fraction(1), {"K": 1}), "mol": (Fraction(1), {"mol": 1}), "cd": (Fraction(1),
    {"cd": 1}),
    "N": (Fraction(1), {"kg": 1, "m": 1, "s": -2}), "J": (Fraction(1), {"kg": 1, "m": 2, "s": -2}),
    "W": (Fraction(1), {"kg": 1, "m": 2, "s": -3}), "Pa": (Fraction(1), {"kg": 1, "m": -1, "s": -2}),
    "Hz": (Fraction(1), {"s": -1}), "C": (Fraction(1), {"A": 1, "s": 1}),
    "V": (Fraction(1), {"kg": 1, "m": 2, "s": -3, "A": -1}), "ohm": (Fraction(1), {"kg": 1, "m": 2, "s": -3, "A": -2}),
    "F": (Fraction(1), {"kg": -1, "m": -2, "s": 4, "A": 2}), "T": (Fraction(1), {"kg": 1, "s": -2, "A": -1}),
    "H": (Fraction(1), {"kg": 1, "m": 2, "s": -2, "A": -2}), "Wb": (Fraction(1), {"kg": 1, "m": 2, "s": -2, "A": -1}),
    "l": (Fraction(1, 1000), {"m": 3}), "eV": (Fraction(1_602_176_634, 10**28), {"kg": 1, "m": 2, "s": -2}),
    "erg": (Fraction(1, 10**7), {"kg": 1, "m": 2, "s": -2}), "dyn": (Fraction(1, 10**5), {"kg": 1, "m": 1, "s": -2}),
    "bar": (Fraction(10**5), {"kg": 1, "m": -1, "s": -2}), "cal": (Fraction(4184, 1000), {"kg": 1, "m": 2, "s": -2}),
}  # fmt: skip
_WHOLE: dict[str, tuple[Fraction, dict[str, int]]] = {
    "min": (Fraction(60), {"s": 1}), "h": (Fraction(3600), {"s": 1}), "day": (Fraction(86400), {"s": 1}),
    "week": (Fraction(604800), {"s": 1}), "in": (Fraction(254, 10_000), {"m": 1}), "ft": (Fraction(3048, 10_000),
    {"m": 1}),
    "yd": (Fraction(9144, 10_000), {"m": 1}), "mi": (Fraction(1_609_344, 1000), {"m": 1}), "ton": (Fraction(1000),
    {"kg": 1}),
    "ha": (Fraction(10_000), {"m": 2}), "$": (Fraction(100), {"cent": 1}), "cent": (Fraction(1), {"cent": 1}),
    "lb": (Fraction(45_359_237, 10**8), {"kg": 1}), "oz": (Fraction(45_359_237, 16 * 10**8), {"kg": 1}),
}  # fmt: skip
_PREFIXES = {
    "k": Fraction(1000), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12), "h": Fraction(100),
    "d": Fraction(1, 10), "c": Fraction(1, 100), "m": Fraction(1, 1000), "u": Fraction(1, 10**6), "µ": Fraction(1,
    10**6),
    "n": Fraction(1, 10**9), "p": Fraction(1, 10**12), "f": Fraction(1, 10**15),
}  # fmt: skip
_NO_PREFIX = frozenset(["pt", "hC", "dl"])
_FACTOR = re.compile(r"(/?)([^\s/^]+)(?:\^(-?\d))?")
MEASURED = frozenset(_BASE) | frozenset(_WHOLE)


@lru_cache(maxsize=4096)
def single(name: str) -> tuple[Fraction, Dimensions] | None:
    """Return the size and dimensions of one unit without a power, with its prefix; None where it is not known."""
    found = _BASE.get(name) or _WHOLE.get(name)
    if found is not None:
        return found[0], tuple(sorted(found[1].items()))
    prefix, rest = name[:1], name[1:]
    if prefix in _PREFIXES and rest in _BASE and name not in _NO_PREFIX:
        size, dimensions = _BASE[rest]
        return size * _PREFIXES[prefix], tuple(sorted(dimensions.items()))
    return None


@lru_cache(maxsize=4096)
def measure(unit: str) -> tuple[Fraction, Dimensions] | None:
    """Return the size and dimensions of a unit as :func:`~prm_eval.grading.reading.units.unit_name` spells it."""
    size, total = Fraction(1), dict[str, int]()
    for slash, name, power in _FACTOR.findall(unit):
        one = single(name)
        if one is None:
            return None
        exponent = (-1 if slash else 1) * int(power or 1)
        size *= one[0] ** exponent
        for base, count in one[1]:
            total[base] = total.get(base, 0) + count * exponent
    return size, tuple(sorted((base, count) for base, count in total.items() if count))
