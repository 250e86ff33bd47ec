r"""Typography: it removes what only changes the looks of an answer, and turns other spellings into LaTeX.

Strings in, strings out, one table or one pattern each; nothing here knows what the answer means. Every pattern is
bounded, so that the time stays linear in any text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from prm_eval.grading.reading.dressed_units import joined_units, micro_sign
from prm_eval.grading.reading.remarks import without_remarks
from prm_eval.grading.reading.scripts import in_latin
from prm_eval.grading.reading.spellings import other_spellings

_SIGNS = {
    "−": "-", "–": "-", "—": "-", "‒": "-", "‐": "-", "﹣": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "÷": r"\div ", "∞": r"\infty ", "°": r"^\circ ", "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ",
    "⩾": r"\ge ",
    "≧": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "∓": r"\mp ", "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ",
    "∈": r"\in ", "∉": r"\notin ", "∅": r"\emptyset ", "⌀": r"\emptyset ", "’": "'", "‘": "'", "“": '"', "”": '"',
    "′": "'", "″": "''",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ",
    "〉": r"\rangle ",
    "∠": r"\angle ", "△": r"\triangle ", "⁄": "/", "∕": "/", "∣": "|", "∶": ":", "：": ":", "，": ",", "。": ".",
    "、": ",", "…": r"\ldots ",
    "⋯": r"\cdots ", "¢": r"\text{ cents}", "€": r"\EUR ", "£": r"\GBP ", "¥": r"\JPY ", "₹": r"\INR ", "∘": r"\circ ",
    "º": r"^\circ ",
    "∗": "*", "≈": r"\approx ", "∨": r"\lor ", "∧": r"\land ", "ϕ": r"\phi ", "˚": r"^\circ ", "ϵ": r"\epsilon ",
    "µ": r"\mu ", "∀": r"\forall ",
}  # fmt: skip
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
        "omega "
        "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(),
        strict=True,
    )
)
_RAISED = {**dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)), "⁺": "+", "⁻": "-", "ⁿ": "n", "ˣ": "x", "ⁱ": "i"}
_LOWERED = {**dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True)), "₊": "+", "₋": "-", "ₙ": "n", "ₓ": "x"}
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u202a-\u202e\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")
_END_MARKS = re.compile(
    r"\\(?:blacksquare|qed|qedsymbol|QED|newline|checkmark|square|Box)(?![a-zA-Z])|\\tag\*?\{[^{}]{0,40}\}|[∎■□▪✓✔✅]"
)

_TYPOGRAPHY = re.compile(
    r"(?P<keep>\\\\)"  # the end of a matrix row stays
    r"|\\(?:left|right)\.(?!\d)"  # an invisible delimiter
    r"|\\(?:left|right|middle|displaystyle|textstyle|scriptstyle|limits|[bB]igg?[lrm]?|quad|qquad|nobreak|hfill"
    r"|thinspace"
    r"|medspace|enspace|thickspace|rm|bf|it|sf|tt|boldmath|normalsize|large|Large|huge|Huge"
    r"|phantom\{[^{}]{0,40}\})(?![a-zA-Z])"
    r"|\\[!,;:> \n/]|~|\\[hv]space\*?\{[^{}]{0,40}\}|\\m?kern-?[\d.]{1,8}(?:mu|em|pt)|\{\}|\\label\{[^{}]{0,80}\}"
    r"|\$|\\[()\]]|\\\[(?!\d+(?:pt|em|ex|mm)\])"
)
_ROW_SPACE = re.compile(r"\\\\\s{0,8}\[-?\d{0,4}(?:\.\d{1,4})?(?:pt|em|ex|mm|cm)\]|\\cr(?![a-zA-Z])|\\tabularnewline")
_TEXT = r"\\(?:text|mbox|textbf|textrm|textit|mathrm|mathbf|mathit|boldsymbol|textnormal|operatorname|bm|hbox)"
_NO_LETTERS = re.compile(
    _TEXT + r"\s?\{([^{}a-zA-Z\u0370-\uffff]{0,200})\}"
)  # \text{(2,1)}, \text{\$18}: nothing to read as words
_THOUSANDS = re.compile(
    r"(?<=\d)(?:\{,\}|\\thinspace\s?|,\\,|,\s?\\!\s{0,4}|\\!\s?,?\s{0,4}|\\,,?|,\{\}|\{\\,\}|\{,\\!\}|\\ "
    r"|\\;)(?=\d{3}(?!\d))"
)
_GROUPED = re.compile(r"([-+]?\s?(?:\\USD ?)?)(\d{1,3}(?:([ '.~])\d{3}){1,20})((?:[.,]\d{1,20})?)(?=$|\s*[\\a-zA-Z%])")
_SCIENTIFIC = re.compile(r"(?<![\w.])(\d{1,40}(?:\.\d{1,40})?)\s?[eE]\s?([-+]?\d{1,4})(?![\w.])")
_REPEATING = re.compile(
    r"(?<![\d.])(\d{0,20})\.(\d{0,20})(?:\\(?:overline|bar|overbar)\s?\{(\d{1,1000})\}"
    r"|\\dot\s?\{?(\d)\}?(?:(\d{0,18})\\dot\s?\{?(\d)\}?)?)"
)
_EXCEPT = re.compile(
    r"^\s*(?:\\text\s?\{)?\s*(?:x (?:is|can be) )?(?:all |any |every )?(?:the )?real(?:s| numbers?| values?)?(?: "
    r"x)?\s?,?\s?"
    r"(?:except|but not|other than|excluding)(?: for| at)?\s*\}?\s*\$?(?:x\s*(?:=|\\neq?)\s*)?"
    r"([^a-zA-Z]{1,60}|[^{}]{1,60}?)\$?\s*\}?\.?\s*$"
)
_DECORATION = re.compile(
    r"^\s*(?:=(?!=)|(?:\\(?:therefore|Rightarrow|implies|Longrightarrow|iff|because)(?![a-zA-Z])))"
    r"|\\(?:text)?color\s?\{\w{1,20}\}"
)
_COMBINATIONS = re.compile(
    r"(?:_|\^)\{?(\d{1,4})\}?\s?([CP])_\{?(\d{1,4})\}?|\{\}_\{?(\d{1,4})\}?\s?([CP])_\{?(\d{1,4})\}?"
)
_ENDLESS = re.compile(r"(?<![\d.])(\d{0,20})\.(\d{2,40})\s?(?:\.\.\.+|\\[lc]?dots[bc]?)(?!\s*\d)")
_PREFIX_CURRENCY = re.compile(r"^\s*(?:USD|US\s?\\?\$|Rs\.?|INR|EUR|GBP)\s*(?=\d)")
_LEADING = re.compile(
    r"^\s*(?:" + _TEXT + r"\s?\{)?\s*(?:the\s)?(?:final\s|correct\s)?answer(?:\s+is)?\s*:?\s*\}?\s*(?=[-\\$(\[{|\d])",
    re.IGNORECASE,
)
_SENTENCE_START = re.compile(
    r"^\s*\\text\s?\{(?![^{}]*\b(?:not|or|no|never|square|cube|root|half|twice|double|minus|negative|bound|wrong|false"
    r"|reciprocal|inverse|more|less|fewer|greater|than|plus|added|times|triple|thrice|quadruple|third|quarter|tenth"
    r"|increased"
    r"|decreased|multiplied|divided|squared|cubed|before|after|if|unless|until|except|over|under|above|below|next"
    r"|previous"
    r"|nearly|incorrect|opposite|complement|excluding)\b)[^{}\\]{0,80}\b(?:is|are|equals|:)\s*:?\s*\}(?=\s*\S)",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"(?<![\d/.])(\d{1,12})(?:\s?\^?\s?\{?\s?(?:\\(?:text|mathrm|textrm|mbox)\s?)\{\s?(st|nd|rd|th)\s?\}\}?|\^\{(st|nd"
    r"|rd|th)\}"
    r"|(st|nd|rd|th)(?![a-zA-Z]))"
)
_BASE_WORDS = re.compile(
    r"(?<=[\w}])\s{0,3}_?\{?\s?(?:"
    + _TEXT
    + r"\s?\{)?\s?\(?(?:in )?base[ -]?\}?\s?\{?(\d{1,2}|[a-z]{3,8})\)?\s?\}{0,2}\s{0,3}$"
)
_NUMERAL = re.compile(
    r"(?<![\w\\])(?:"
    + _TEXT
    + r")?\s?[({]?\s?(?=[0-9]*[A-F]|[0-9]+[a-f])([0-9A-Fa-f]{2,60})\s?[)}]?_\{?\s?(1[1-6])\s?\}?(?!\d)"
)
_HALF = r"([apAP])\.?\s?[mM](?![a-zA-Z])\.?"
_CLOCK = re.compile(
    rf"(?P<lead>{_TEXT}\s?\{{\s?(?=[^{{}}]{{0,20}}\}}))?"
    rf"(?<![\d.:])(\d{{1,2}})(?:\s{{0,2}}:\s{{0,2}}(\d{{2}}))?(?::00)?\s{{0,3}}"
    rf"(?:{_TEXT}\s?\{{\s{{0,3}}{_HALF}\s?\}}|{_HALF}(?(lead)\s?\}}))"
)
_BOX = re.compile(r"[\s$]*\\(?:boxed|fbox)\s?\{(.*)\}[\s$]*", re.DOTALL)
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z]{2,}|[{}%$,!;:()\[\]])")


def typography(text: str) -> str:
    """Return the answer without what only changes its looks: dollar signs, spacing, sizes, other spellings."""
    if "\\" in text or not text.isascii():
        text = _END_MARKS.sub(" ", text)
    if not text.isascii():
        text = _ascii(in_latin(micro_sign(text)))
    if "boxed" in text and (box := _BOX.fullmatch(text)) and _balanced(box.group(1)):
        text = box.group(1)
    if "\\\\" in text:
        text = _ROW_SPACE.sub(r"\\\\", _single(text))
    elif "\\cr" in text:
        text = _ROW_SPACE.sub(r"\\\\", text)
    text = without_remarks(other_spellings(text.strip(' "')))
    if "\\mathrm" in text or "\\text" in text or "\\mu" in text or "Omega" in text or "\\operator" in text:
        text = joined_units(text)
    if "$" in text:
        text = re.sub(
            r"\\\$|\\text\{\s*\\?\$\s*\}", r"\\USD ", text
        )  # a currency, unlike the delimiters of mathematics
        text = re.sub(r"^\s*\$(?=\s*[\d.,]+\s*(?:\\text\b[^$]*)?$)", r"\\USD ", text)
    if "{" in text:
        text = _NO_LETTERS.sub(r" \1 ", text).replace("{:}", ":")
    if any(digit.isdigit() for digit in text):
        text = _numbers(text)
    if "nswer" in text or "NSWER" in text:
        text = _LEADING.sub(lambda found: "{" * (found.group().count("{") - found.group().count("}")), text)
    if text.lstrip().startswith("\\text"):
        text = _SENTENCE_START.sub("", text)
    if "real" in text:
        text = _EXCEPT.sub(_real_except, text)
    text = _PREFIX_CURRENCY.sub(_prefix, text)
    if "\\" in text or "C_" in text or "P_" in text or text.lstrip().startswith("="):
        text = _COMBINATIONS.sub(_combination, _DECORATION.sub(" ", text))
    text = _TYPOGRAPHY.sub(lambda found: found.group("keep") or " ", text)
    if ":" in text or "m" in text.casefold():
        text = _CLOCK.sub(_clock, text)
    text = text.strip(" \t\n\r*`\u200b").removesuffix("\\").strip()
    return re.sub(r"(?<![.\\])\.$", "", text).strip()  # a full stop; three of them mean "and so on"


def _balanced(text: str) -> bool:
    """Say whether no brace closes before one opens, so that the braces around a text belong together."""
    level = 0
    for brace in re.findall(r"\\.|[{}]", text):
        level += {"{": 1, "}": -1}.get(brace, 0)
        if level < 0:
            return False
    return level == 0


def _single(text: str) -> str:
    r"""Undo one level of escaping, as of LaTeX inside JSON: ``\\frac`` where every backslash is doubled."""
    if _DOUBLED.search(text) and all(len(run) % 2 == 0 for run in re.findall(r"\\+", text)):
        return text.replace("\\\\", "\\")
    return text


def _numbers(text: str) -> str:
    text = _THOUSANDS.sub(r"\\thousands ", text)
    grouped = _GROUPED.match(text.strip(" $"))
    if grouped and len(set(re.findall(r"[ '.~]", grouped.group(2)))) == 1:
        text = _ungrouped(text.strip(" $"), grouped)
    text = _ENDLESS.sub(_endless, text)
    if "\\" in text:
        text = _REPEATING.sub(_repeating_decimal, text)
    text = _SCIENTIFIC.sub(r"\1\\times 10^{\2}", text)
    text = _ORDINAL.sub(_ordinal, text)
    text = _BASE_WORDS.sub(r"_{\1}", text)
    return _NUMERAL.sub(_numeral, text)


def _ungrouped(text: str, found: re.Match[str]) -> str:
    """Join ``1 234 567``, ``1'234'567`` and ``1.234.567``; a single group after a point is a decimal."""
    sign, digits, separator, rest = found.groups()
    if separator == "." and (digits.count(".") < 2 or rest.startswith(".")):
        return text
    if digits.startswith("0"):
        return text
    return f"{sign}{digits.replace(separator, '')}{rest.replace(',', '.')}{text[found.end() :]}"


def _clock(found: re.Match[str]) -> str:
    hour, minute = int(found.group(2)), int(found.group(3) or 0)
    half = (found.group(4) or found.group(5)).lower()
    return f"\\clock{{{hour}}}{{{minute}}}{{{half}m}}" if 1 <= hour <= 12 and minute < 60 else found.group()


def _numeral(found: re.Match[str]) -> str:
    """Write a numeral with letters for digits as words with a base, if its digits are of that base."""
    digits, base = found.group(1).lower(), int(found.group(2))
    if max(int(digit, 16) for digit in digits) >= base:
        return found.group()
    return f"\\text{{{digits}}}_{{{base}}}"


def _repeating_decimal(found: re.Match[str]) -> str:
    r"""Spell ``0.1\overline{6}`` or ``0.1\dot{6}`` as a fraction."""
    whole, fixed, over, first, between, last = (part or "" for part in found.groups())
    repeated = over or first + between + last
    nines = (10 ** len(repeated) - 1) * 10 ** len(fixed)
    top = int(whole + fixed + repeated) - int((whole + fixed) or "0")
    return f"\\frac{{{top}}}{{{nines}}}"


def _prefix(found: re.Match[str]) -> str:
    sign = found.group().strip().upper()
    return {"E": r"\EUR ", "G": r"\GBP ", "U": r"\USD ", "R": r"\INR ", "I": r"\INR "}[sign[0]]


def _real_except(found: re.Match[str]) -> str:
    points = re.sub(r"\s(?:and|or)\s", ",", found.group(1)).strip(" .")
    return f"\\mathbb{{R}}\\setminus\\{{{points}\\}}"


def _combination(found: re.Match[str]) -> str:
    top, sort, bottom = (each for each in found.groups() if each)
    return f"\\binom{{{top}}}{{{bottom}}}" if sort == "C" else f"\\frac{{{top}!}}{{({top}-{bottom})!}}"


def _ordinal(found: re.Match[str]) -> str:
    """Drop the ending of ``12th`` if it is right for the number; in ``2st`` it is letters."""
    digits, ending = found.group(1), found.group(2) or found.group(3) or found.group(4)
    teen = digits[-2:] in ("11", "12", "13")
    fits = ending == ("th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th"))
    unmatched = found.group().count("}") - found.group().count("{")
    return digits + "}" * max(0, unmatched) if fits else found.group()


def _endless(found: re.Match[str]) -> str:
    """Read ``0.333...`` as a repeating decimal, if the digits shown repeat: one three times, several twice."""
    whole, digits = found.groups()
    for length in range(1, len(digits) // 2 + 1):
        times = 3 if length == 1 else 2
        if digits.endswith(digits[-length:] * times):
            fixed = digits[: len(digits) - length]
            while fixed.endswith(digits[-length:]):
                fixed = fixed[:-length]
            return f"{whole}.{fixed}\\overline{{{digits[-length:]}}}"
    return found.group()


def _ascii(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    text = re.sub(
        "[" + "".join(_RAISED) + "]+", lambda run: "^{" + "".join(_RAISED[c] for c in run.group()) + "}", text
    )
    text = re.sub(
        "[" + "".join(_LOWERED) + "]+", lambda run: "_{" + "".join(_LOWERED[c] for c in run.group()) + "}", text
    )
    text = re.sub(r"([√∛∜])\s*(\d+(?:\.\d+)?|[a-zA-Z]|\([^()]*\))", _unicode_root, text).replace("√", r"\sqrt ")
    return "".join(_spelling(sign) if ord(sign) > 127 else sign for sign in text)


def _unicode_root(found: re.Match[str]) -> str:
    """Return a root sign as LaTeX, with the whole number, letter or bracket after it."""
    index = {"√": "", "∛": "[3]", "∜": "[4]"}[found.group(1)]
    return f"\\sqrt{index}{{{found.group(2)}}}"


@lru_cache(maxsize=4096)
def _spelling(sign: str) -> str:
    """Return a sign beyond ASCII as LaTeX, a digit or a letter; a sign without such a spelling stays."""
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign in _GREEK:
        return f"\\{_GREEK[sign]} "
    digit = unicodedata.decimal(sign, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", sign)  # full-width forms, letters of mathematical alphabets, vulgar fractions
    top, slash, bottom = plain.partition("⁄")
    if slash and top.isdigit() and bottom.isdigit():
        return f"\\frac{{{top}}}{{{bottom}}}"
    if plain != sign and len(plain) <= 4:
        return "".join(_SIGNS.get(one, f"\\{_GREEK[one]} " if one in _GREEK else one) for one in plain)
    if sign.isspace() or unicodedata.category(sign) == "So":  # an emoji, a tick, an end mark
        return " "
    return _encoded(sign)


def _encoded(sign: str) -> str:
    """Return pylatexenc's LaTeX for a sign, if its tables of some thousand signs have it."""
    from pylatexenc.latexencode import unicode_to_latex

    latex: str = unicode_to_latex(sign, non_ascii_only=True, unknown_char_policy="keep", unknown_char_warning=False)
    return latex.removeprefix(r"\ensuremath{").removesuffix("}") + " " if latex.startswith(r"\ensuremath{") else latex
