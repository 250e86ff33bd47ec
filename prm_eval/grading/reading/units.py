"""Units of measure and currency: many spellings, one name each; and the words after a number that are no unit."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from prm_eval.grading.reading.tree import Apply, Node, Number, Quantity, Symbol

_SPELLINGS = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "km": "kilometer kilometre kms",
    "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "mg": "milligram", "g": "gram gm",
    "kg": "kilogram kilo kgs",
    "lb": "pound lbs", "oz": "ounce", "ton": "tonne", "ml": "milliliter millilitre cc", "l": "liter litre",
    "gal": "gallon",
    "s": "second sec secs", "min": "minute mins", "h": "hour hr hrs", "day": "days", "week": "wk wks", "month": "mo",
    "year": "yr yrs", "mi/h": "mph", "km/h": "kph kmph kmh", "$": "dollar usd buck us$ usdollar",
    "cent": "cents penny pennie pence",
    "EUR": "euro eur", "GBP": "gbp", "JPY": "yen jpy", "INR": "rupee inr rs", "%": "percent percentage pct",
    "degree": "deg",
    "rad": "radian", "unit": "units", "ha": "hectare", "N": "newton", "J": "joule", "W": "watt", "Hz": "hertz",
    "V": "volt",
    "cup": "cups", "mol": "mole", "K": "kelvin", "Pa": "pascal", "pt": "pint", "qt": "quart",
}  # fmt: skip
_CANONICAL = {
    spelling: name
    for name, spellings in _SPELLINGS.items()
    for spelling in (*spellings.split(), name if name not in ("N", "J", "W", "V", "K") else "")
    if spelling
}
KNOWN = frozenset(_SPELLINGS)
COMPOUND = {
    "h": ("min", 60), "min": ("s", 60), "day": ("h", 24), "week": ("day", 7), "year": ("month", 12), "ft": ("in", 12),
    "yd": ("ft", 3), "lb": ("oz", 16), "$": ("cent", 100), "m": ("cm", 100), "km": ("m", 1000), "kg": ("g", 1000),
}  # fmt: skip
CURRENCY_MACROS = {"USD": "$", "EUR": "EUR", "GBP": "GBP", "JPY": "JPY", "INR": "INR"}
# bare letters after a number that are a unit even without a text macro; single ones only where no letter is expected
ABBREVIATIONS = frozenset(
    "km cm mm kg mg ft mi lb lbs oz ml mL hr hrs yd cc sec mph kph min mins in sq deg usd USD yr yrs rad cents".split()
)
SINGLE_LETTERS = frozenset("m g s h l L".split())
LETTER_UNITS = SINGLE_LETTERS | frozenset("J N W V K C F A".split())  # in a text macro
_POWERS = {"square": "^2", "sq": "^2", "squared": "^2", "cubic": "^3", "cu": "^3", "cubed": "^3"}
_LINKS = frozenset(["per", "a", "an", "of", "the", "in", "each", "every"])

# words after a number that are no unit: they change its value, or say that it is not the answer, or not the only one
NO_UNIT = frozenset({
    "and", "or", "not", "nor", "no", "but", "maybe", "perhaps", "possibly", "probably", "either", "neither", "except",
    "without", "is", "isn't", "are", "aren't", "if", "when", "than", "about", "approximately", "around", "roughly",
    "almost", "nearly", "over", "under", "above", "below", "least", "most", "less", "fewer", "greater", "more",
    "only", "between", "plus", "minus", "times", "divided", "by", "multiplied", "factorial",
    "half", "halves", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths", "sixth",
    "sixths", "seventh", "sevenths", "eighth", "eighths", "ninth", "ninths", "tenth", "tenths", "hundredth",
    "hundredths", "thousandth", "thousandths", "point", "mod", "modulo", "hundred", "thousand", "million",
    "billion", "trillion", "to", "from", "wrong", "incorrect", "false", "impossible", "undefined", "infinity",
    "negative", "positive", "guess", "unknown", "never", "cannot", "can't", "doesn't", "don't", "up", "approx", "est",
    "estimated", "estimate", "rounded", "twice", "double", "doubled", "remainder", "root", "sqrt", "radical",
    "square-root",
    "imaginary", "extra", "additional", "other", "groups", "dozens", "tens", "hundreds", "thousands", "millions",
    "billions", "lakh",
    "crore", "bn", "mil", "as", "ago", "many", "log", "sin", "cos", "cis", "modulus", "inf", "assuming", "unless",
    "provided", "otherwise",
})  # fmt: skip
SCALES = {"dozen": 12, "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNIT_TEXT = re.compile(r"[^\W\d_]?[^\d+=<>*\\&|~#@\[\]_?!]*(?:\^\{?-?\d\}?[^\d+=<>*\\&|~#@\[\]_?!]*)*")
_PIECE = re.compile(r"[^\W\d_$%]+|\$|%|\^\{?-?\d\}?|/")


def check_unit(text: str) -> str:
    """Return the text of a unit.

    Raises:
        ValueError: It is no unit but says something about the value.
    """
    if not _UNIT_TEXT.fullmatch(text) or not NO_UNIT.isdisjoint(re.sub(r"[^\w']+", " ", text.casefold()).split()):
        raise ValueError("words that are no unit")
    return text


@lru_cache(maxsize=4096)
def unit_name(text: str) -> str:
    """Return a unit's name: ``square centimeters`` is ``cm^2``, ``miles per hour`` is ``mi/h``; others in the singular."""
    names: list[str] = []
    power, divide = "", ""
    for piece in _PIECE.findall(text):
        lower = piece.casefold()
        if lower == "/" or (lower in ("per", "a", "an", "each", "every") and names):
            divide = "/"
        elif lower.startswith("^") and names:
            power_of = lower.strip("^{}")
            if power_of.startswith("-"):  # m s^{-1} is m/s
                names[-1] = "/" + names[-1].lstrip("/")
                power_of = power_of[1:] if power_of != "-1" else ""
            names[-1] += f"^{power_of}" if power_of else ""
        elif lower in _POWERS and (lower not in ("squared", "cubed") or not names):
            power = _POWERS[lower]
        elif lower in _POWERS:
            names[-1] += _POWERS[lower]
        elif lower not in _LINKS or (lower == "in" and not names):
            names.append(("/" if divide and names else "") + _singular(piece) + power)
            power = divide = ""
    joined = " ".join(names).replace(" /", "/")
    return f"unit{power}" if power else joined  # "5 square" alone


def _singular(word: str) -> str:
    lower = word.casefold()
    if lower in _CANONICAL:
        return _CANONICAL[lower]
    if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss"):
        lower = lower[:-1]
    return _CANONICAL.get(lower, word if word in KNOWN else lower)


def conflict(one: str, other: str) -> bool:
    """Say whether two units contradict each other; a noun that only says more than another does not: "red balls", "balls"."""
    if one == other or "unit" in (one, other):
        return False
    mine, theirs = (set(re.split(r"[ /]+", re.sub(r"\^-?\d", "", unit))) for unit in (one, other))
    more = mine ^ theirs
    return not more or not (mine < theirs or theirs < mine) or not KNOWN.isdisjoint(more)


def has_letters(node: Node) -> bool:
    """Say whether a tree has a letter that stands for an unknown."""
    if isinstance(node, Symbol):
        return node.name not in ("pi", "e", "i", "infinity")
    if isinstance(node, Quantity):
        return has_letters(node.value)
    if isinstance(node, Apply):
        return any(has_letters(arg) for arg in node.args)
    return not isinstance(node, Number)


def as_quantity(node: Node) -> Quantity | None:
    """Read a product of a number and letters that all are units as a quantity: ``17m``, ``9.8 m/s^2``; None where it is not."""
    if isinstance(node, Quantity):  # 9.8 m/cm, half read
        inner = as_quantity(node.value)
        return Quantity(inner.value, f"{inner.unit} {node.unit}") if inner else None
    if not isinstance(node, Apply) or node.name not in ("*", "/"):
        return None
    value, rest = node.args
    unit = _as_unit(rest)
    if unit is None:
        return None
    link = "/" if node.name == "/" else ""
    if not has_letters(value):
        return Quantity(value, unit_name(unit)) if not link else None
    inner = as_quantity(value)
    return Quantity(inner.value, f"{inner.unit}{link or ' '}{unit_name(unit)}") if inner else None


def _as_unit(node: Node) -> str | None:
    if isinstance(node, Symbol):
        return node.name if node.name in SINGLE_LETTERS else None
    if isinstance(node, Apply) and node.name == "^" and isinstance(node.args[1], Number):
        base = _as_unit(node.args[0])
        return f"{base}^{node.args[1].value}" if base else None
    if isinstance(node, Apply) and node.name == "/":
        parts = [_as_unit(arg) for arg in node.args]
        return "/".join(part for part in parts if part) if all(parts) else None
    return None


_MEASURES = {
    "$": ("money", 100), "cent": ("money", 1), "s": ("time", 1), "min": ("time", 60), "h": ("time", 3600),
    "day": ("time", 86400),
    "week": ("time", 604800), "mm": ("length", 1), "cm": ("length", 10), "m": ("length", 1000), "km": ("length",
    1_000_000),
    "in": ("feet", 1), "ft": ("feet", 12), "yd": ("feet", 36), "mg": ("mass", 1), "g": ("mass", 1000), "kg": ("mass",
    1_000_000),
    "ml": ("volume", 1), "l": ("volume", 1000),
}  # fmt: skip


def same_measure(one: Quantity, other: Quantity) -> tuple[Node, Node] | None:
    """Return two quantities in one unit, 5 m and 500 cm both in cm; None where they measure different things."""
    mine, theirs = _MEASURES.get(one.unit), _MEASURES.get(other.unit)
    if mine is None or theirs is None or mine[0] != theirs[0]:
        return None
    return tuple(  # type: ignore[return-value]
        Apply("*", (Number(Fraction(factor)), quantity.value))
        for quantity, factor in ((one, mine[1]), (other, theirs[1]))
    )
