"""Words in answers: names, choice letters, spelt numbers, dates, and sentences around one number."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

from prm_eval.grading.reading.tree import Bracket, Node, Number, Symbol, Words
from prm_eval.grading.reading.units import ABBREVIATIONS, NO_UNIT, SCALES, SINGLE_LETTERS, unit_name

GREEK = frozenset(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi varphi "
    "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell".split()
)
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc asin acos atan sinh cosh tanh coth sech csch "
    "arcsinh arccosh "
    "arctanh arsinh arcosh artanh asinh acosh atanh log ln exp lg max min gcd lcm floor ceil abs sgn det Re Im arg "
    "cis".split()
)
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen "
    "nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORDS = {
    **{word: i for i, word in enumerate(_SMALL)},
    **{word: 10 * (i + 2) for i, word in enumerate(_TENS)},
}
_PART_WORDS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_MONTHS = (
    "january february march april may june july august september october november december jan feb mar apr jun jul"
    " aug "
    "sep sept "
    "oct nov dec"
).split()
_SAME_WORDS = {
    "empty set": "no solution", "no solutions": "no solution", "no real solution": "no real solution",
    "no real solutions": "no real solution", "there is no solution": "no solution",
    "there are no solutions": "no solution",
    "no such solution": "no solution", "does not exist": "does not exist", "dne": "does not exist",
    "infinitely many": "infinitely many", "infinitely many solutions": "infinitely many", "infinite": "infinitely many",
    "infinite solutions": "infinitely many", "undefined": "does not exist", "not defined": "does not exist",
}  # fmt: skip

_FRAMED = re.compile(
    r"^(?:there (?:is|are|exists?) |(?:the )?set of (?=all |the |every )|(?:the )?(?:equation|system) has |it has )"
)
_FULL_DATE = re.compile(
    r"(?:(?P<m1>[a-z]{3,9})\.? (?P<d1>\d{1,2})(?:st|nd|rd|th)?|(?P<d2>\d{1,2})(?:st|nd|rd|th)?(?: of)?"
    r" (?P<m2>[a-z]{3,9})),? (?P<y>\d{4})"
)
_SPACE = re.compile(r"\s+")
# beside a digit a sign may be part of a value: (3,4) is not [3,4], and 3.5 is not 3,5
_PUNCTUATION = re.compile(r"(?<!\d)[\"'“”`.,:;!?()\[\]{}$*](?!\d)|[.,;:?\"'](?=\s|$)")
_NESTED = re.compile(r"\\(?:text[a-z]*|mbox|mathrm|mathbf|emph|underline)\s?\{([^{}\\]*)\}")
_ACCENT = re.compile(r"\\[\"'`^~=.]\s?\{?([a-zA-Z])\}?")
_LIST = re.compile(r"\s*(?:,\s*(?:and|or)\s+|,|;|\s+and\s+|\s*&\s*)\s*")
_CHOICE = re.compile(
    r"(?i:(?:the\s+)?(?:correct\s+|right\s+|final\s+)?(?:answer\s+choice|option|choice|answer"
    r"|letter)?(?:\s+is)?)\s*:?\s*(?i:option\s)?"
    r"(?:\(\s*([A-Ja-j])\s*\)|\[\s*([A-J])\s*\]|([A-J])\s?[).:]|([A-J]))\s*[.:]?\s*(.*)",
    re.DOTALL,
)
_HEDGE = re.compile(r"\s*(?:or|and|nor|but|not|,|/|&|;|\\text\s?\{\s*(?:or|and)|[\[(]?[A-J][\])]?\s*$)", re.IGNORECASE)
_OTHER_CHOICE = re.compile(r"[(\[]\s?[A-J]\s?[)\]]|\b[A-J][).:]|\b(?i:not|incorrect|wrong|false|maybe|or|through)\b")
_OPTION_TEXT = re.compile(  # the (C) of "(C) 15", "C. 15", "\textbf{(C)}\ 15", "\text{C) none of these}"
    r"\s*\$?(?:option\s|choice\s)?(?P<dress>\\(?:text|textbf|textrm|mathrm|mathbf|mbox)\s?\{\s?)?"
    r"(?:\(\s?(?P<a>[A-J])\s?\)|(?P<b>[A-J])\s?\)|(?P<c>[A-J])[.:](?=[\s}\\$]))\s*(?P<close>\})?"
    r"(?:\\[ ,;~:]|~|\\q?quad|[\s$])*(?P<rest>.+)",
    re.DOTALL | re.IGNORECASE,
)
_ONE_LETTER = re.compile(
    r"[\s$*]*(?:(?:\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{)?\s?(?:\(\s?[A-J]\s?\)|\[[A-J]\]|[A-J]\s?[).:])"
    r"|\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{\s?[A-J]\s?\})[\s}$*.]*"
)
_ZERO, _INFINITY = Number(Fraction(0)), Symbol("infinity")
_SPELT_SETS: dict[str, Node] = {
    **dict.fromkeys(["all integers", "integers", "every integer"], Symbol("ZZ")),
    **dict.fromkeys(
        [
            f"{all_}{sort} {name}"
            for all_ in ("", "all ")
            for sort in ("nonnegative", "non negative")
            for name in ("reals", "real numbers")
        ],
        Bracket("[", ")", (_ZERO, _INFINITY)),
    ),
    **dict.fromkeys(
        [f"{all_}positive {name}" for all_ in ("", "all ") for name in ("reals", "real numbers")],
        Bracket("(", ")", (_ZERO, _INFINITY)),
    ),
}
_STATING = frozenset(
    "is are was were equals be has have had get gets got needs need takes take costs cost pays paid pay earns earned "
    "makes made "
    "spends spent total totals answer : exactly sells sold uses used".split()
)
_ABOUT = frozenset(
    "square squared root cube cubed twice double triple dozen multiple multiples factor factors divisor divisors "
    "inverse exceeds "
    "excluding assuming unless provided rule reciprocal logarithm opposite complement sum product first last beyond "
    "bound upper "
    "lower negative next previous before after instead".split()
)
_ISLAND = re.compile(r"(?<![\w.])[-+]?(?:\\USD ?)?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?![\w/])")


def is_unit(word: str, space: bool) -> bool:
    """Say whether bare letters after a number are a unit and not a product of letters: 5 cm, 5 apples, but 5abc."""
    lower = word.casefold()
    if word in ABBREVIATIONS or lower in ("dollars", "dollar", "degrees", "degree", "percent", "cents", "cent"):
        return space or len(word) > 2 or word in ("km", "cm", "mm", "kg", "ft", "mL", "ml", "lb", "oz")
    return (
        space
        and len(word) >= 4
        and is_prose(word)
        and any(vowel in lower for vowel in "aeiouy")
        and not _in_order(lower)
    )


def is_single_unit(name: str) -> bool:
    """Say whether a letter is also a unit: metre, gram, second, hour, litre."""
    return name in SINGLE_LETTERS


def _in_order(word: str) -> bool:
    """Say whether the letters go up the alphabet, as those of a product do: abc, wxyz."""
    return all(one < other for one, other in pairwise(word))


def words_node(text: str) -> Node:
    """Return words normalised; a number in words becomes the number, words between commas an unordered list.

    Raises:
        ValueError: The words hold a macro that is not known in words.
    """
    if "\\" in text:
        text = _ACCENT.sub(r"\1", _NESTED.sub(r"\1", text)).replace("\\ ", " ").replace("\\%", "%")
        if "\\" in text:
            raise ValueError("a macro in words that is not known here")
    dated = _FULL_DATE.fullmatch(text.strip(" .").casefold())
    if dated:
        month, day, year = (
            dated.group("m1") or dated.group("m2"),
            dated.group("d1") or dated.group("d2"),
            dated.group("y"),
        )
        if month in _MONTHS:
            return Words(f"{month[:3]} {int(day)} {year}")
    parts = [part for part in _LIST.split(text.strip(" ,.")) if part.strip()]
    if len(parts) > 1 and not any(len(part.split()) > 3 for part in parts):
        return Bracket("", "", tuple(_one(part) for part in parts))
    return _one(text)


def _one(text: str) -> Node:
    bare = text.strip(" ().$*")
    if len(bare) == 1 and bare.isalpha() and bare.isascii():
        return Symbol(bare)
    cleaned = (
        _SPACE.sub(" ", re.sub(r"(?<=[^\W\d])\s*-\s*(?=[^\W\d])", " ", _PUNCTUATION.sub(" ", text))).strip().casefold()
    )
    cleaned = re.sub(r"^(?:the|a|an) (?=\w{2})", "", _FRAMED.sub("", cleaned))
    cleaned = re.sub(r"^(no (?:real )?solutions?) exists?$", r"\1", cleaned)
    if cleaned in ("dozen", "one dozen", "a dozen"):
        return Number(Fraction(12))
    if cleaned in ("half", "one half", "a half"):
        return Number(Fraction(1, 2))
    if cleaned in ("infinity", "positive infinity"):
        return Symbol("infinity")
    if cleaned in _SPELT_SETS:
        return _SPELT_SETS[cleaned]
    number = spelt_number(cleaned)
    if number is not None:
        return Number(number)
    return Words(_date(_SAME_WORDS.get(cleaned, cleaned)))


def spelt_number(text: str) -> Fraction | None:
    """Return the number that words spell, up to trillions: ``forty-two``, ``one million``, ``two thirds``."""
    words = text.replace("-", " ").replace(" and ", " ").split()
    if not 0 < len(words) <= 20:
        return None
    negative = words[0] in ("negative", "minus")
    words = words[1:] if negative else words
    part = _PART_WORDS.get(words[-1].removesuffix("s"), 0) if len(words) == 2 else 0
    words = words[:-1] if part else words
    total = current = 0
    last = 1_000
    for word in words:
        if word in _NUMBER_WORDS and _NUMBER_WORDS[word] < last:
            current, last = current + _NUMBER_WORDS[word], 10 if _NUMBER_WORDS[word] >= 20 else 0
        elif word in SCALES and current:
            last = 1_000
            if word == "hundred":
                current *= 100
            else:
                total, current = total + current * SCALES[word], 0
        else:
            return None
    if not words:
        return None
    return Fraction((-1 if negative else 1) * (total + current), part or 1)


def _date(text: str) -> str:
    """Write a date one way: ``21 june`` and ``june 21st`` are ``june 21``."""
    words = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text).replace(" of ", " ").split()
    if len(words) == 2 and words[1] in _MONTHS and words[0].isdigit():
        words.reverse()
    if len(words) == 2 and words[0] in _MONTHS and words[1].isdigit():
        return f"{words[0][:3]} {int(words[1])}"
    return text


def choice_letter(text: str, gold: bool = False) -> str | None:
    """Return the letter of a multiple-choice answer: ``(C)``, ``C)``, ``Option C``, ``(C) 15``; None for other answers.

    A gold is a choice only with a bracket or a word, or as a letter in words: a bare ``A`` may be a variable.
    """
    plain = _NESTED.sub(r" \1 ", text).strip(" $.*~")
    found = _CHOICE.fullmatch(plain)
    if found is None:
        return None
    letter = next(group for group in found.groups()[:4] if group)
    bare, rest = found.group(4) is not None, found.group(5)
    if rest and (bare or gold or _HEDGE.match(rest) or _OTHER_CHOICE.search(rest)):
        return None
    if gold and bare and not re.match(r"\s*\\(?:text|mathrm|mbox|textbf)", text):
        return None
    return letter.upper()


def dressed_letter(text: str) -> bool:
    r"""Say whether a text is one letter in the dress of a choice, ``C)``, ``(C)`` or ``\text{C}``, and nothing else."""
    return _ONE_LETTER.fullmatch(text) is not None


def choice_and_value(text: str) -> tuple[str, str] | None:
    r"""Return the letter and the text of an option, ``\textbf{(C)}\ 60``; None where one is missing, or it hedges."""
    if len(text) > 300:
        return None
    found = _OPTION_TEXT.fullmatch(text.strip().strip("*"))
    if found is None:
        return None
    letter = found.group("a") or found.group("b") or found.group("c")
    rest = found.group("rest").strip()
    if not rest.strip(" $.}*"):
        return None
    if found.group("dress") and not found.group("close"):
        rest = f"\\text{{{rest}"
    if not letter.isupper() or _HEDGE.match(rest) or _OTHER_CHOICE.search(rest):
        return None
    return letter, rest


def number_in_sentence(text: str) -> str | None:
    """Return the one number of a sentence that states it: ``There are 12 ways.``; None for other texts.

    The number begins the text, or follows a verb that states it, and no other word changes it.
    """
    plain = _NESTED.sub(r" \1 ", text).replace("$", " ")
    islands = list(_ISLAND.finditer(plain))
    if len(islands) != 1 or len(plain) > 200:
        return None
    number = islands[0].group()
    rest = plain[: islands[0].start()] + " " + plain[islands[0].end() :]
    words = re.findall(r"[a-z']+", rest.casefold())
    if re.search(r"[\\^_=<>{}|+*]", rest.replace("\\USD", "")) or not words or not any(map(is_prose, words)):
        return None
    before = re.findall(r"[a-z']+|:", plain[: islands[0].start()].casefold())
    if before and before[-1] not in _STATING:
        return None
    if not (NO_UNIT | _ABOUT).isdisjoint(set(words) - {"is", "are"}) or spelt_number_in(words):
        return None
    after = plain[islands[0].end() :]
    unit = unit_name(after.split(".")[0].strip()) if len(after.split()) == 1 else ""
    return f"{number} \\text{{{unit}}}" if unit in ("$", "cent", "%", "cm", "m", "km", "ft", "in", "mi") else number


def spelt_number_in(words: list[str]) -> bool:
    """Say whether a number is spelt among words: then a sentence has two."""
    return any(word in _NUMBER_WORDS and word not in ("one", "zero") for word in words)


def is_prose(word: str) -> bool:
    """Say whether bare letters are a word and not a product of letters, a function or a constant."""
    return (
        len(word) >= 3
        and any(ord(other) - ord(one) != 1 for one, other in pairwise(word))  # abc, xyz
        and word not in FUNCTIONS
        and word not in GREEK
        and word not in ("sqrt", "frac", "infty", "infinity", "inf", "pi")
    )
