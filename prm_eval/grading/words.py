"""Words in answers: names, choice letters, spelt numbers, units."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

from prm_eval.grading.tree import Node, Number, Words

GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "ell",
    ]
)
FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "log",
        "ln",
        "exp",
        "lg",
        "max",
        "min",
        "gcd",
        "lcm",
        "floor",
        "ceil",
    ]
)
UNIT_ABBREVIATIONS = frozenset(
    {
        "km",
        "cm",
        "sec",
        "mph",
        "kph",
        "mm",
        "kg",
        "mg",
        "ft",
        "mi",
        "lb",
        "lbs",
        "oz",
        "ml",
        "mL",
        "hr",
        "hrs",
        "yd",
        "cc",
    }
)
_UNIT_NAMES = {
    "dollars": "$",
    "dollar": "$",
    "degrees": "degree",
    "degree": "degree",
    "percent": "%",
    "cents": "cent",
    "cent": "cent",
}
_NUMBER_WORDS = {
    w: i
    for i, w in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}


_SPACE = re.compile(r"\s+")
# beside a digit a sign may be part of a value: (3,4) is not [3,4], and 3.5 is not 3,5
_PUNCTUATION = re.compile(r"(?<!\d)[\"'“”.,:;!?()\[\]{}$*](?!\d)|[.,;:?\"'](?=\s|$)")
_NESTED = re.compile(r"\\(?:text[a-z]*|mbox|mathrm|emph)\{([^{}\\]*)\}")
_ACCENT = re.compile(r"\\[\"'`^~=.]\s?\{?([a-zA-Z])\}?")

# words after a number that are no unit: they change its value, or say that it is not the answer, or not the only one
_NO_UNIT = frozenset({
    "and", "or", "not", "nor", "no", "but", "maybe", "perhaps", "possibly", "probably", "either", "neither", "except",
    "without", "is", "isn't", "are", "aren't", "if", "when", "than", "about", "approximately", "around", "roughly",
    "almost", "nearly", "over", "under", "above", "below", "least", "most", "less", "fewer", "greater", "more",
    "only", "between", "plus", "minus", "times", "divided", "by", "multiplied", "squared", "cubed", "factorial",
    "half", "halves", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths", "sixth",
    "sixths", "seventh", "sevenths", "eighth", "eighths", "ninth", "ninths", "tenth", "tenths", "hundredth",
    "hundredths", "thousandth", "thousandths", "point", "mod", "modulo", "dozen", "hundred", "thousand", "million",
    "billion", "trillion", "to", "from", "wrong", "incorrect", "false", "impossible", "undefined", "infinity",
    "negative", "positive",
})  # fmt: skip
_UNIT_TEXT = re.compile(r"[^\W\d_]?[^\d+=<>*\\&|~#@\[\]_?!]*(?:\^\{?-?\d\}?[^\d+=<>*\\&|~#@\[\]_?!]*)*")


def check_unit(text: str) -> str:
    """Return the text of a unit.

    Raises:
        ValueError: It is no unit but says something about the value.
    """
    if not _UNIT_TEXT.fullmatch(text) or not _NO_UNIT.isdisjoint(re.sub(r"[^\w']+", " ", text.casefold()).split()):
        raise ValueError("words that are no unit")
    return text


def is_unit(word: str, space: bool) -> bool:
    """Say whether bare letters after a number are a unit and not a product of letters: 5 cm, 5 apples, but 5abc."""
    if word in UNIT_ABBREVIATIONS or word.casefold() in _UNIT_NAMES:
        return space or len(word) > 2 or word in ("km", "cm", "mm", "kg")
    lower = word.casefold()
    return (
        space
        and len(word) >= 4
        and is_prose(word)
        and any(vowel in lower for vowel in "aeiouy")
        and not _in_order(lower)
    )


def _in_order(word: str) -> bool:
    """Say whether the letters go up the alphabet, as those of a product do: abc, wxyz."""
    return all(one < other for one, other in pairwise(word))


def words_node(text: str) -> Node:
    """Return words normalised; a spelt small number becomes the number.

    Raises:
        ValueError: A macro that is not known in words.
    """
    if "\\" in text:
        text = _ACCENT.sub(r"\1", _NESTED.sub(r"\1", text))
        if "\\" in text:
            raise ValueError("a macro in words that is not known here")
    cleaned = _SPACE.sub(" ", _PUNCTUATION.sub(" ", text)).strip().casefold()
    cleaned = re.sub(r"^(?:the|a|an) (?=\w{2})", "", cleaned)
    if cleaned in _NUMBER_WORDS:
        return Number(Fraction(_NUMBER_WORDS[cleaned]))
    return Words(cleaned)


def is_prose(word: str) -> bool:
    """Say whether bare letters are a word and not a product of letters, a function or a constant."""
    return (
        len(word) >= 3
        and any(ord(other) - ord(one) != 1 for one, other in pairwise(word))  # abc, xyz
        and word not in FUNCTIONS
        and word not in GREEK
        and word not in ("sqrt", "frac", "infty", "infinity")
    )


def unit_name(text: str) -> str:
    """Return a unit's name, normalised: lower case, singular, known spellings made one."""
    words = re.sub(r"[^\w^/$%]+", " ", text.casefold()).split()
    singular = [
        _UNIT_NAMES.get(word, word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word)
        for word in words
    ]
    return " ".join(singular)
