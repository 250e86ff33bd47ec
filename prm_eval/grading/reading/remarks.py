r"""Remarks around a value in an answer, and values in words: strings in, strings out.

These are remarks (``(since x > 0)``), a decimal for information (``\approx 3.46``), the range of a letter (``for all
x``, ``where k is an integer``), sets in words (``all real numbers greater than 2``), and offers in brackets (``(or
0.5)``). Only the beginning and the end of the whole answer are changed, and only phrases that are listed here: other
words stay, and fail.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fractions import Fraction

_TEXT = r"\\(?:text|textrm|mathrm|mbox|textnormal)\s?\{"
_ABOUT = r"(?:approximately|approx\.?|about|roughly|around|nearly|≈|\\approx)"
_NUMBER = r"\$?\s?-?\\?\$?\d[\d,]{0,20}(?:\.\d{0,30})?"
_IN_BRACKETS = re.compile(  # "(since x > 0)", "(approximately 3.46)", with the words dressed or not
    rf"\s{{0,4}}(?:{_TEXT}\s{{0,4}})?\(\s?(?:{_TEXT}\s{{0,4}})?(?:since|because|given that|note that|rounded"
    rf"|simplified|as required"
    rf"|assuming|or {_ABOUT}|{_ABOUT}|to \d{{1,2}} d|in simplest"
    rf"|exact)(?![a-z])[^()]{{0,80}}(?:\([^()]{{0,40}}\)[^()]{{0,40}})?\)\s?\}}?\s{{0,4}}$",
    re.IGNORECASE,
)
_ROOT = r"(?:root|solution|value|zero)"
_SAYING_WHICH = re.compile(  # which of several values it is, in phrases that change none; other brackets stay, and fail
    rf"\s{{0,4}}(?:{_TEXT}\s{{0,4}})?(?:\(\s?(?:{_TEXT}\s{{0,4}})?(?:the (?:larger|smaller|largest|smallest|greater"
    rf"|lesser|greatest|least|only|unique) {_ROOT}|the only one|in total|in all|altogether)\s?\)|,?\s?only)\s?\}}?"
    r"\s{0,4}$",
    re.IGNORECASE,
)
_WHERE = re.compile(  # "x = 3, where x > 0": the letter is named already, and its value meets the condition
    r"(?P<named>\s{0,4}\$?(?P<letter>[a-zA-Z])\s?=\s?(?P<value>-?\d{1,12}(?:\.\d{1,12})?(?:/\d{1,9})?)\s?\$?)"
    rf"(?:,|\\[ ,]|\\quad|\s){{0,6}}(?:{_TEXT}\s{{0,4}}),?\s?(?:where|with|since|because|as|for)\s?\}}?\s{{0,4}}\$?\s?"
    r"(?P=letter)\s?(?P<how>[<>≤≥≠]|\\(?:leq?|geq?|neq?|leqslant|geqslant)(?![a-z]))"
    r"\s{0,4}(?P<bound>-?\d{1,9}(?:\.\d{1,9}|/\d{1,9})?)\s?\$?\s?\}?\s{0,4}"
)
_MEETS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt, ">": operator.gt, "≤": operator.le, "≥": operator.ge, "≠": operator.ne, "l": operator.le,
    "g": operator.ge, "n": operator.ne,
}  # fmt: skip
_BESIDE = re.compile(
    rf"(?:\s{{0,4}},\s?(?:{_TEXT}\s{{0,4}})?(?:,\s?)?(?:(?:or|which is|that is)\s)?"
    rf"|\s{{0,4}}(?:{_TEXT}\s{{0,4}})?(?:or|which is|that is)\s){_ABOUT}\s{{0,4}}\}}?\s{{0,4}}{_NUMBER}"
    rf"(?:\s?\\?%|\s{{0,4}}{_TEXT}[^{{}}]{{1,20}}\}})?\s{{0,4}}\}}?$",
    re.IGNORECASE,
)
_OFFER = re.compile(
    rf"\s{{0,4}}(?:{_TEXT}\s{{0,4}})?\(\s?(or|i\.e\.,?|that is,?"
    rf"|equivalently,?)\s(?P<close>\}}?)(.{{1,200}})\)\s?\}}?\s{{0,4}}$"
)
_REAL = r"(?:real|constant|arbitrary|fixed|given|positive|nonzero|non-zero|suitable)?\s?"
_RUNS = r"(?:for|with|where)\s(?:all|any|every|each|some|an?)"
_FREE = re.compile(  # where a letter may be anything: it qualifies, and changes nothing
    rf"(?:,|\\ |\\,|\\quad|\s){{0,6}}(?:{_TEXT}\s{{0,4}}),?\s?(?:{_RUNS}|for|where|with)\s{_REAL}(?:numbers?"
    rf"|values?|constants?|of)?\s{{0,4}}\}}"
    rf"\s{{0,4}}\$?[a-zA-Z]\$?(?:\s?\\in\s?\\(?:mathbb|Bbb)\s?\{{?R\}}?)?(?:\s{{0,4}}{_TEXT}\s{{0,4}}is (?:a|any|an"
    rf" arbitrary)"
    r"(?: real)? (?:constant|number)\s?\})?\s{0,4}\.?$"
    r"|(?:,|\\ |\\,|\\quad|\s){1,6}\(?\s?[a-zA-Z]\s?\\in\s?\\(?:mathbb|Bbb)\s?\{?R\}?\s?\)?\s{0,4}$",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    rf"(?:,|\\ |\\,|\\quad|\s){{0,6}}(?:{_TEXT}\s{{0,4}},?\s?(?:where|with|for"
    rf"|and)?\s?\}}\s{{0,4}}\$?(?P<a>[a-zA-Z])\$?\s{{0,4}}{_TEXT}\s{{0,4}}(?:is|be)?\s?"
    rf"(?:an?|any|some)\s(?P<sa>{{sort}})\s?\}}|{_TEXT}\s{{0,4}},?\s?(?:where|with|for)(?:\s(?:all|any|every|some"
    rf"|an?))?\s(?P<sb>{{sort}})\s?\}}"
    r"\s{0,4}\$?(?P<b>[a-zA-Z])\$?|\(\s?(?P<c>[a-zA-Z])\s?\\in\s?\\(?:mathbb|Bbb)\s?\{?(?P<sc>[ZN])\}?\s?\)"
    rf"|{_TEXT}\s{{0,4}},?\s?(?:where|with|for)(?:\s(?:all|any|every"
    rf"|some))?\s?\}}\s{{0,4}}\$?(?P<d>[a-zA-Z])\s?\\in\s?\\(?:mathbb|Bbb)\s?"
    r"\{?(?P<sd>[ZN])\}?\$?)\s{0,4}\.?$".replace("{sort}", "(?:integers?|whole numbers?|natural numbers?|positive "
                                                           "integers?)"),
    re.IGNORECASE,
)  # fmt: skip
_FAMILY = re.compile(
    r"\s{0,4}(?:\\left\s?)?\\\{\s?(?P<value>(?:(?!\\mid|\\in|[:|]).){1,80}?)\s?(?:\\,)?(?:\\mid|[:|]"
    r"|\\middle\s?\|)(?:\s|\\,){0,3}"
    r"(?P<letter>[a-zA-Z])\s?\\in\s?\\(?:mathbb|Bbb)\s?\{?(?P<set>[ZN])\}?\s?(?:\\right\s?)?\\\}\s{0,4}"
)
_FOR_ALL = re.compile(
    r"(?:,|\\ |\\,|\\q?quad|\s){0,6}\\forall\s?[a-zA-Z](?:\s?\\in\s?\\(?:mathbb|Bbb)\s?\{?[RZNQ]\}?)?\s{0,4}$"
)
_DRESS = re.compile(r"\\(?:text|textrm|mathrm|mbox|textnormal)\s?\{([^{}\\]*)\}|\$")
_ALL = r"(?:the set of )?(?:all|any|every)(?: the)?(?: possible)?"
_CONDITION = re.compile(
    rf"\s{{0,4}}{_ALL}(?: real)?(?: numbers?| values?| reals?)?(?: of)?\s{{0,4}}(?P<letter>[a-zA-Z])?\s{{0,4}}"
    r"(?:such that|for which|satisfying|with|where|in which|,)?\s{0,4}(?P<condition>[^a-zA-Z]{0,20}[a-zA-Z]\s?(?:<"
    r"|>|\\l|\\g|\\n|=|≤|≥|≠|\\in)"
    r".{1,80})"
)
_COMPARED = re.compile(
    rf"\s{{0,4}}{_ALL} (?:real )?(?:numbers?|values?|reals?)(?: of)?(?: [a-zA-Z])?(?: that are| which are)? "
    r"(?P<how>greater than or equal to|less than or equal to|greater than|less than|more than|at least|at most|not"
    r" equal to"
    r"|no less than|no more than|other than)\s{1,4}(?P<bound>-?[^a-zA-Z]{1,40}|-?\\(?:frac|sqrt"
    r"|pi)[^a-z]{0,40})\s{0,4}\.?"
)
_BETWEEN = re.compile(
    rf"\s{{0,4}}{_ALL} (?:real )?(?:numbers?|values?|reals?)(?: of)?(?: [a-zA-Z])? (?:strictly )?between"
    rf" (?P<low>-?[\d./]{{1,12}}) and "
    r"(?P<high>-?[\d./]{1,12}),?\s?\(?(?P<ends>inclusive|exclusive)\)?\s{0,4}\.?"
)
_BOUNDED = re.compile(
    r"\s{0,4}(?P<letter>[a-zA-Z]) (?:is|must be) (?P<how>at least|at most|greater than|less than)"
    r" (?P<bound>-?[\d./]{1,12})\s{0,4}\.?"
)
_ALL_OF = re.compile(
    rf"\s{{0,4}}{_ALL} real (?:numbers?|values?)(?: of| for)? [a-zA-Z]\s{{0,4}}\.?",
    re.IGNORECASE,
)
_SIGNS = {
    "greater than or equal to": r"\ge", "at least": r"\ge", "no less than": r"\ge", "less than or equal to": r"\le",
    "at most": r"\le", "no more than": r"\le", "greater than": ">", "more than": ">", "less than": "<",
    "not equal to": r"\ne", "other than": r"\ne",
}  # fmt: skip
_NEGATIVE = re.compile(rf"^(\s{{0,4}}){_TEXT}\s{{0,4}}(?:negative|minus)\s{{0,4}}\}}\s{{0,4}}(?=[\d\\(.])")
_REMARK_WORDS = (
    "since", "because", "that", "rounded", "simplified", "as required", "assuming", "approx", "about", "roughly",
    "around",
    "nearly", "(to ", "exact", "or ", "i.e.", "equivalently", "simplest", "Since", "Approx", "About", "(or",
    "(the", "(The", "otal", "in all", "altogether", "only",
)  # fmt: skip
MAX_REMARKS = 3  # remarks behind one another
LONGEST = 1_000  # a longer answer holds no remark


def without_remarks(text: str) -> str:
    """Return an answer without the remarks around it, and with sets and the ranges of letters in signs."""
    if len(text) > LONGEST:
        return text
    if any(word in text for word in _REMARK_WORDS):
        for _ in range(MAX_REMARKS):
            shorter = _SAYING_WHICH.sub("", _BESIDE.sub("", _IN_BRACKETS.sub("", text)))
            if shorter == text or not shorter.strip(" $"):
                break
            text = shorter
        text = _OFFER.sub(lambda found: rf" \text{{ or }} {found.group(3)}", text)
    if r"\in" in text or "for" in text or "where" in text or "with" in text or "is" in text:
        text = _qualified(text)
    if "=" in text and (named := _WHERE.fullmatch(text)) and _holds(named):
        text = named.group("named")
    if "all " in text.casefold() or "every " in text.casefold() or "any " in text.casefold():
        text = _set_in_words(text)
    if " is " in text or " be " in text:
        bounded = _BOUNDED.fullmatch(re.sub(r"\s+", " ", _DRESS.sub(lambda found: found.group(1) or "", text)))
        if bounded:
            return f"{bounded.group('letter')} {_SIGNS[bounded.group('how')]} {bounded.group('bound')}"
    return _NEGATIVE.sub(r"\1-", text)


def _holds(named: re.Match[str]) -> bool:
    """Say whether the value of a letter meets the condition that stands behind it."""
    try:
        value, bound = Fraction(named.group("value")), Fraction(named.group("bound"))
    except (ValueError, ZeroDivisionError):
        return False
    return _MEETS[named.group("how").lstrip("\\")[0]](value, bound)


def _qualified(text: str) -> str:
    """Return an answer with the range of its letter in signs, or without it where the letter may be anything."""
    family = _FAMILY.fullmatch(text)
    if family:
        return rf"{family.group('value')}, {family.group('letter')} \in \mathbb{{{family.group('set')}}}"
    text = _FOR_ALL.sub("", text)
    whole = _WHOLE.search(text)
    if whole and text[: whole.start()].strip(" $,"):
        letter = next(whole.group(name) for name in "abcd" if whole.group(name))
        sort = next(whole.group(f"s{name}") for name in "abcd" if whole.group(f"s{name}")).casefold()
        if re.match(rf"\s{{0,4}}\$?[a-zA-Z]\(\s?{letter}\s?\)\s?=", text):  # f(n) = n for all integers n
            return text[: whole.start()]
        number_set = "N" if sort.startswith(("n", "p")) else "Z"
        return rf"{text[: whole.start()]}, {letter} \in \mathbb{{{number_set}}}"
    free = _FREE.search(text)
    return text[: free.start()] if free and text[: free.start()].strip(" $,") and "=" in text[: free.start()] else text


def _set_in_words(text: str) -> str:
    """Return "all real numbers x such that x > 2" as its condition."""
    plain = re.sub(r"\s+", " ", _DRESS.sub(lambda found: found.group(1) or "", text))
    if _ALL_OF.fullmatch(plain):
        return r"\mathbb{R}"
    if between := _BETWEEN.fullmatch(plain):
        left, right = ("[", "]") if between.group("ends") == "inclusive" else ("(", ")")
        return f"{left}{between.group('low')},{between.group('high')}{right}"
    if compared := _COMPARED.fullmatch(plain):
        return rf"\{{x : x {_SIGNS[compared.group('how')]} {compared.group('bound')}\}}"
    condition = _CONDITION.fullmatch(plain)
    if condition and not re.search(r"[a-zA-Z]{4,}", re.sub(r"\\[a-zA-Z]+", "", condition.group("condition"))):
        return condition.group("condition")
    return text
