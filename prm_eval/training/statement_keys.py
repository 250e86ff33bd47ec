r"""What two copies of a problem statement have in common: letters, digits and operators.

Dropped are case, spaces, the marks of mathematics (``$``, ``\(``, ``\[``), sizes and spacing (``\left``, ``\,``),
wrappers of text (``\text{...}``), a "Problem:" in front, and marks of punctuation where they only part words or end a
sentence. Signs, brackets, decimal points, factorials, primes, the commas of a tuple and the braces that decide what
belongs to a fraction, root or exponent stay: two problems that differ in one of them are two problems.

Of the 7,775 different statements (but for white space) in the files of the project's shared data and in the miniature,
three pairs differ by case and dollar signs alone, and 12 further pairs have one key. Those were read: each is one
problem written in two ways. No two different problems fall together (``tests/training/test_statement_keys.py``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from prm_eval.evaluation.golds import statement_key

MOST_CHARS = 200_000
"""What is read of a statement; the rest counts as it stands."""
_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "\u2014": "-", "\u2015": "-", "\u2212": "-", "\u2010": "-",
     "\u2011": "-", "≤": "\\le ", "≥": "\\ge ", "≠": "\\ne ", "π": "\\pi ", "°": "\\circ ", "√": "\\sqrt ",
     "∞": "\\infty ", "…": "\\dots ", "\u2032": "'", "\u00b4": "'", "\u200b": "", "\ufeff": "",
     **{sign: f"^{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
     **{sign: f"_{digit}" for digit, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")}}
)  # fmt: skip
_FRONT = re.compile(r"^[\s*#_>]*(?:problem|question|exercise|task|prompt)\b(?:\s*#?\d{1,6})?[\s*_]*[:.][\s*_]*(?=\S)")
_Put = str | Callable[[re.Match[str]], str]
_RULES: tuple[tuple[str, _Put], ...] = (
    (r"\\\\(?:\[[^\[\]]{0,20}\])?", " \x01 "),  # a new row: of a matrix it says what is where
    (r"\\[{}]", lambda found: " \x02 " if found.group() == "\\{" else " \x03 "),
    (r"\\[lr]brace\b", lambda found: " \x02 " if found.group()[1] == "l" else " \x03 "),
    (r"\\(?:left|right|middle)(?![a-z])\s*\.?", ""),
    (r"\\(?:big|bigg)[lrm]?(?![a-z])", ""),
    (r"\\(?:(?:display|text|script)style|(?:no)?limits|q?quad|(?:thin|en|med)space)(?![a-z])", " "),
    (r"\\[,;:!> ]|~", " "),
    (r"\\[()\[\]]|\\?\$", " "),
    (r"\\(?:text|textrm|textbf|textit|textnormal|mathrm|mathbf|mathit|mbox|hbox|operatorname|rm)\*?\s*\{([^{}]*)\}",
     r" \1 "),
    (r"\\[dtc]frac(?![a-z])", r"\\frac"),
    (r"\\(?:leq|leqslant)(?![a-z])", r"\\le "),
    (r"\\(?:geq|geqslant)(?![a-z])", r"\\ge "),
    (r"\\neq(?![a-z])", r"\\ne "),
    (r"\\(?:times|cdot|ast)(?![a-z])", "*"),
    (r"\\div(?![a-z])", "/"),
    (r"\\(?:ldots|cdots|dotsc|dotsb)(?![a-z])|\.\.\.", r"\\dots "),
    (r"\\[lr]?vert(?![a-z])", "|"),
    (r"\\degree(?![a-z])|\^\s*\{?\s*\\circ(?![a-z])\s*\}?", r"\\circ "),
    (r"\\([%#&_])", r"\1"),
    (r"\{,\}", ","),
    # 1,000 is 1000, but (1,000) may be a pair
    (r"(?<![\d,.(\[{\x02])(\d{1,3}(?:,\d{3})+)(?![\d,)\]}\x03])", lambda found: found.group().replace(",", "")),
    # arguments of one sign: of a fraction or root with braces, of an exponent or index without
    (r"\\(frac|sqrt)\s*(\d|(?<=\s)[a-z]|\\[a-z]+)", r"\\\1{\2}"),
    (r"(\\frac\s*\{[^{}]*\})\s*(\d|[a-z]|\\[a-z]+)", r"\1{\2}"),
    (r"([\^_])\s*\{\s*([0-9a-z]|\\[a-z]+)\s*\}", r"\1\2 "),
)  # fmt: skip
_MACROS = tuple((re.compile(pattern), put) for pattern, put in _RULES)
_TOKEN = re.compile(r"\\[a-z]+|[^\W\d_]+|\d+(?:\.\d+)?|\.\d+|\S")
_PARTING = frozenset(",;:?!'")
_DROPPED = frozenset('"`.')


def squeezed(statement: str) -> str:
    """Return the part of a statement that its copies share."""
    text = statement_key(statement[:MOST_CHARS]).translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _FRONT.sub("", text)
    for pattern, put in _MACROS:
        text = pattern.sub(put, text)
    tokens = [each for each in _TOKEN.findall(text) if each not in _DROPPED]
    found: list[str] = []
    for at, token in enumerate(tokens):
        if token in _PARTING and not _means(tokens, at):
            continue
        # "1 2" is not "12"
        if found and found[-1][-1].isdigit() and token[0] in "0123456789.":
            found.append(" ")
        found.append(token)
    return "".join(found) + statement[MOST_CHARS:]


def _means(tokens: list[str], at: int) -> bool:
    """Say whether a mark belongs to a formula: a factorial or prime, or it parts two signs, numbers or brackets."""
    before = at > 0 and not _is_word(tokens[at - 1])
    after = at + 1 < len(tokens) and not _is_word(tokens[at + 1]) and tokens[at + 1] not in _PARTING
    return before if tokens[at] in "!'" else before and after


def _is_word(token: str) -> bool:
    return len(token) > 1 and token[0].isalpha()
