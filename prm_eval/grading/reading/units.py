"""Units of measure and currency with one name for each, and the words after a number that are not a unit."""

from __future__ import annotations

import re
from functools import lru_cache

from prm_eval.grading.reading.measures import MEASURED, measure, single
from prm_eval.grading.reading.scripts import has_foreign_words
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
    "cup": "cups", "mol": "mole moles", "K": "kelvin", "Pa": "pascal", "pt": "pint", "qt": "quart", "ohm": "ohms",
    "C": "coulomb", "A": "ampere amp amps", "T": "tesla", "F": "farad", "eV": "electronvolt", "kJ": "kilojoule",
    "kW": "kilowatt", "kPa": "kilopascal", "cal": "calorie", "erg": "ergs", "bar": "bars", "dm": "decimeter decimetre",
    "um": "micrometer micrometre micron", "nm": "nanometer nanometre",
    "yuan": "rmb cny", "won": "krw", "rub": "ruble rubles",
}  # fmt: skip
_CASED = frozenset("N J W V K C A T F eV kJ kW kPa".split())  # their small letters mean something else
_CANONICAL = {
    spelling: name
    for name, spellings in _SPELLINGS.items()
    for spelling in (*spellings.split(), name if name not in _CASED else "")
    if spelling
}
KNOWN = frozenset(_SPELLINGS) | MEASURED
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
_RUN_TOGETHER = {"Nm": ("N", "m"), "kWh": ("kW", "h"), "Wh": ("W", "h"), "Ah": ("A", "h"), "mAh": ("mA", "h")}
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
_PIECE = re.compile(r"[^\W\d_$%]+|\$|%|\^\{?\s?-?\d\s?\}?|/|\(|\)")


def check_unit(text: str) -> str:
    """Return the text of a unit.

    Raises:
        ValueError: The text is not a unit but says something about the value.
    """
    words = re.sub(r"[^\w']+", " ", text.casefold()).split()
    if has_foreign_words(text) or not _UNIT_TEXT.fullmatch(text) or not NO_UNIT.isdisjoint(words):
        raise ValueError("words that are no unit")
    return text


@lru_cache(maxsize=4096)
def unit_name(text: str) -> str:
    """Return a unit's name: ``square centimeters`` is ``cm^2``, ``m s^{-1}`` is ``m/s``; others in the singular.

    Units of measure come in the order of the alphabet, so that ``N m`` and ``m N`` have one name.
    """
    names: list[tuple[str, int]] = []
    power, sign, group = 0, 1, 1
    pieces = _PIECE.findall(text)
    for i, piece in enumerate(pieces):
        lower = piece.casefold()
        if lower == "(":
            group, sign = sign, 1
        elif lower == ")":
            group = 1
        elif lower == "/" or (piece in ("per", "a", "an", "each", "every") and names):
            sign = -1
        elif lower.startswith("^"):
            if names:
                name, before = names[-1]
                names[-1] = (name, before * int(re.sub(r"[^-\d]", "", lower) or 1))
        elif lower in _POWERS and (lower not in ("squared", "cubed") or not names):
            power = int(_POWERS[lower][1:])
        elif lower in _POWERS:
            names[-1] = (names[-1][0], names[-1][1] * int(_POWERS[lower][1:]))
        elif lower not in _LINKS or piece == "A" or (lower == "in" and not names):
            following = pieces[i + 1] if i + 1 < len(pieces) else ""
            split = _RUN_TOGETHER.get(piece, (_singular(piece),))
            if piece == "ms" and following.startswith(("^-", "^{-", "^{ -")):
                split = ("m", "s")
            names += [(each, sign * group * (power or 1)) for each in split]
            power, sign = 0, 1
    if power and not names:
        return f"unit^{power}"  # "5 square" alone
    return _spelt(names)


def _spelt(names: list[tuple[str, int]]) -> str:
    total: dict[str, int] = {}
    for name, power in names:
        total[name] = total.get(name, 0) + power
    ordered = [(name, power) for name, power in total.items() if power]
    if all(single(name) for name, _ in ordered):
        ordered.sort(key=lambda pair: (pair[1] < 0, pair[0]))
    spelt = [
        f"{'/' if power < 0 else ''}{name}{f'^{abs(power)}' if abs(power) != 1 else ''}" for name, power in ordered
    ]
    return " ".join(spelt).replace(" /", "/")


def is_known_unit(text: str) -> bool:
    """Say whether a text is nothing but known units of measure, composed or not: ``kJ/mol``, ``m s^{-2}``."""
    parts = re.findall(r"[^\W\d_]+", text)
    return bool(parts) and all(
        single(part) or part in _RUN_TOGETHER or part in KNOWN or _singular(part) in KNOWN for part in parts
    )


def _singular(word: str) -> str:
    lower = word.casefold()
    if word not in _CANONICAL and single(word) and len(word) > 1:  # kJ, MHz: capitals matter
        return {"mL": "ml", "kL": "kl"}.get(word, word)
    if lower in _CANONICAL:
        return _CANONICAL[lower]
    if len(lower) > 3 and lower.endswith("s") and not lower.endswith("ss"):
        lower = lower[:-1]
    return _CANONICAL.get(lower, word if word in KNOWN else lower)


def conflict(one: str, other: str) -> bool:
    """Say whether two units contradict each other; a noun that only adds a word, "red balls" to "balls", does not."""
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
    """Read a number times letters that all are units as a quantity: ``17m``, ``9.8 m/s^2``; None for other trees."""
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


def same_measure(one: Quantity, other: Quantity) -> tuple[Node, Node] | None:
    """Return two quantities in one unit, 5 m and 500 cm both in cm; None where they measure different things."""
    mine, theirs = measure(one.unit), measure(other.unit)
    if mine is None or theirs is None or mine[1] != theirs[1] or not mine[1]:
        return None
    return Apply("*", (Number(mine[0]), one.value)), Apply("*", (Number(theirs[0]), other.value))
