"""Words in answers: names, choice letters, spelt numbers, units."""

from __future__ import annotations

import re
from fractions import Fraction

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


def words_node(text: str) -> Node:
    """Return words normalised; a spelt small number becomes the number."""
    if "\\" in text:
        from pylatexenc.latex2text import LatexNodes2Text

        text = LatexNodes2Text().latex_to_text(text)
    cleaned = re.sub(r"\s+", " ", re.sub(r"[\"'“”.,:;!?()\[\]{}$*]", " ", text)).strip().casefold()
    cleaned = re.sub(r"^(?:the|a|an) (?=\w{2})", "", cleaned)
    if cleaned in _NUMBER_WORDS:
        return Number(Fraction(_NUMBER_WORDS[cleaned]))
    return Words(cleaned)


def is_prose(word: str) -> bool:
    """Say whether bare letters are a word and not a product of letters, a function or a constant."""
    return (
        len(word) >= 3
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
