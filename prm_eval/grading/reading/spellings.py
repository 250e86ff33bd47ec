r"""Rare spellings of common things, replaced by the one that the parser reads: strings in, strings out.

ASCII for signs (``+/-``, ``3 x 10^5``, ``<1, 2>``), other macros (``C_n^k``, ``10 choose 3``), degrees and minutes,
durations, values on lines, recognised print (``5 \mathrm { ~ c m }``), and HTML. One pattern each, all of them bounded.
"""

from __future__ import annotations

import html
import re
from fractions import Fraction

from prm_eval.grading.reading.units import is_known_unit

SAME_MACROS = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\simeq": r"\approx", r"\doteq": r"\approx",
    r"\approxeq": r"\approx", r"\nicefrac": r"\frac", r"\sfrac": r"\frac", r"\xfrac": r"\frac",
    r"\flatfrac": r"\frac", r"\leq": r"\le", r"\geq": r"\ge", r"\leqslant": r"\le", r"\geqslant": r"\ge",
    r"\leqq": r"\le", r"\geqq": r"\ge", r"\lt": "<", r"\gt": ">", r"\neq": r"\ne", r"\lbrace": r"\{",
    r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\|": "|",
    r"\Vert": "|", r"\ast": "*", r"\cdot": "*", r"\times": "*", r"\centerdot": "*", r"\bullet": "*", "**": "^",
    r"\div": "/", "<=": r"\le", ">=": r"\ge", "!=": r"\ne", "<>": r"\ne", "==": "=", r"\%": "%", r"\land": "and",
    r"\wedge": "and", r"\&": "and", r"\degree": r"\circ", r"\degrees": r"\circ", r"\varnothing": r"\emptyset",
    r"\dbinom": r"\binom", r"\tbinom": r"\binom", r"\mid": "|", r"\lor": "or", r"\vee": "or", r"\colon": ":",
    r"\lparen": "(", r"\rparen": ")", r"\backslash": r"\setminus", r"\notag": "", r"\equiv": "=", r"\bigcup": r"\cup",
    r"\bigcap": r"\cap", r"\smallsetminus": r"\setminus", r"\R": r"\reals", r"\Reals": r"\reals", r"\cdots": r"\dots",
    r"\ldots": r"\dots", r"\dotsc": r"\dots", r"\dotsb": r"\dots", r"\hdots": r"\dots", r"\Box": "", r"\square": "",
    r"\prime": "'", r"\to": "to", r"\rightarrow": "to", r"\ang": r"\angle", r"\measuredangle": r"\angle",
    r"\limits": "", r"\nolimits": "", r"\surd": r"\sqrt", r"\lang": r"\langle", r"\rang": r"\rangle", r"\ge": r"\ge",
}  # fmt: skip
"""Macros and signs that are another spelling of one that the parser reads: what stands on the right."""

_TEXT = r"\\(?:text|textrm|mathrm|mbox|operatorname|rm)\s?\{"
_HTML = re.compile(r"</?(?:b|strong|em|i|u|p|div|span|code|mark|font)(?:\s[^<>\n]{0,80})?>|<br\s?/?>", re.IGNORECASE)
_RAISED = re.compile(r"<(sup|sub)>([^<>]{1,40})</\1>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,6});")
_PLUS_MINUS = re.compile(
    r"\+\s?/\s?[-−]|(?:(?<=[=(,])|^)\s{0,4}\+\s?-(?=\s{0,2}[\d\\a-z(])|(?<=[\w)}]) \+- ?(?=[\d\\a-z(])"
)
_TIMES = re.compile(r"(?<=\d)\s{0,2}[xX]\s{0,2}(?=10\s?(?:\^|\*\*))")
_ANGLED = re.compile(r"(^|=)\s{0,4}<\s?([^<>=]{1,80},[^<>=]{1,80})>\s{0,4}$")
_SLASHED = re.compile(r"\^\{?(\d{1,9})\}?\s{0,2}(?:\\!|\\,){0,2}/\s{0,2}(?:\\!|\\,){0,2}_\{?(\d{1,9})\}?")
_CHOOSE = re.compile(
    rf"(?<![\w}}])(\d{{1,4}}|[a-z])\s{{0,4}}(?:{_TEXT}\s{{0,4}}choose\s{{0,4}}\}}|choose)\s{{0,4}}(\d{{1,4}}"
    rf"|[a-z])(?![\w^])"
)
_ARRANGED = re.compile(
    r"(?<![\w\\}])(?:\\mathrm\{)?([CAP])\}?_\{?(\d{1,4}|[a-z])\}?\s?"
    r"\^(?P<open>\{)?(?P<upper>\d{1,4}|[a-z])(?(open)\})(?![\w}])"  # but P_0^{2/5} is a power
)
_ARRANGED_TURNED = re.compile(r"(?<![\w\\}])([CAP])\^\{?(\d{1,4}|[a-z])\}?\s?_\{?(\d{1,4}|[a-z])\}?(?![\w}])")
_DEGREE = r"(?:\s?\^\s?\{?\s?\\circ\s?\}?|\s?\\circ|\s?\\degrees?)"
_PRIME = r"\s?(?:'|\^\s?\{?\s?\\prime\s?\}?|\\prime)"
_SECONDS = r"\s?(?:''|\"|\^\s?\{?\s?\\prime\s?\\prime\s?\}?|'\s?')"
_ARC = re.compile(
    rf"(?<![\d.])(\d{{1,4}}){_DEGREE}\s{{0,4}}(?:\\["
    rf" ,]\s{{0,2}})?(\d{{1,2}}(?:\.\d{{1,6}})?){_PRIME}(?!')(?:\s{{0,4}}(\d{{1,2}}(?:\.\d{{1,6}})?){_SECONDS})?"
)
_DURATION = re.compile(
    r"(?<![a-zA-Z])(hours?|hrs?|h|minutes?|mins?|days?|weeks?|years?|months?|feet|foot|ft|pounds?|lbs?|dollars?"
    r"|yards?|yd|meters?"
    r"|metres?|km|kilomet(?:er|re)s?|kg)\s{0,2},?\s{1,2}and\s{1,2}(?=\}?\s{0,4}\d)"
)
_ASSIGNED = re.compile(
    r"(?:\\q?quad|\\[ ,;]|\s){0,4}\\q?quad(?:\\q?quad|\\[ ,;]|\s){0,4}(?=[a-zA-Z](?:_\{?\w{1,2}\}?)?\s{0,2}=)"
)
_PRINTED = re.compile(rf"({_TEXT})\s{{0,4}}~?\s{{0,4}}((?:[a-zA-Z]\s{{1,2}}){{1,5}}[a-zA-Z])\s{{0,4}}\}}")
_DECIMAL = re.compile(r"(?<=\d) \. (?=\d)")
_DECIMAL_GROUPS = re.compile(
    r"(?<=\d)\.(\d{3})((?:(?:\\[,;:! ]|~|\\thinspace\s?)\d{3}){0,10}(?:(?:\\[,;:! ]|~|\\thinspace\s?)\d{1,3})?)(?!\d)"
)
_CASES = re.compile(
    r"\\left\s?\\\{\s{0,4}\\begin\{(array|aligned|matrix|gathered)\}(?:\{[lcr"
    r" ]{0,8}\})?(.{1,600}?)\\end\{\1\}\s{0,4}\\right\s?\.",
    re.DOTALL,
)
_SCALE = re.compile(
    r"(?:\^\s?\{?\s?\\circ\s?\}?|\\degree)\s{0,4}(?:\\[,; ]\s?)?(?:\\(?:text|mathrm"
    r"|rm)\s?\{?\s?)?([CF])\s?\}?(?![a-zA-Z_])"
)
_LINE_ENDS = re.compile(r"(?:\s{0,4}(?:\\\\|\\newline))+\s{0,4}$")


def other_spellings(text: str) -> str:
    """Return an answer with its rare spellings replaced."""
    if "<" in text or "&" in text:
        text = _from_html(text)
    if "+" in text:
        text = _PLUS_MINUS.sub(r"\\pm ", text)
    if text.rstrip().endswith(("\\", "\\newline")):
        text = _LINE_ENDS.sub("", text)
    if "per cent" in text:
        text = re.sub(r"\bper cents?\b", "percent", text)
    if "quad" in text:
        text = _ASSIGNED.sub(", ", text)
    if " and " in text:
        text = _DURATION.sub(r"\1 ", text)
    if "begin" in text:
        text = _CASES.sub(r"\\begin{cases}\2\\end{cases}", text)
    if "circ" in text:
        text = _SCALE.sub(r"^\\circ\\text{\1}", text)
    if "{" in text:
        text = _PRINTED.sub(_joined, text)
    return _of_numbers(text) if any(sign.isdigit() for sign in text) or "_" in text else text


def _of_numbers(text: str) -> str:
    if " . " in text:
        text = _DECIMAL.sub(".", text)
    if "x" in text or "X" in text:
        text = _TIMES.sub(r"\\times ", text)
    if "." in text and ("\\" in text or "~" in text):
        text = _DECIMAL_GROUPS.sub(lambda found: "." + found.group(1) + re.sub(r"\D", "", found.group(2)), text)
    if "/" in text and "^" in text:
        text = _SLASHED.sub(r"\\frac{\1}{\2}", text)
    if "choose" in text:
        text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    if "_" in text and "^" in text:
        text = _ARRANGED_TURNED.sub(lambda found: _arranged(found.group(1), found.group(3), found.group(2)), text)
        text = _ARRANGED.sub(lambda found: _arranged(found.group(1), found.group(2), found["upper"]), text)
    return _ARC.sub(_arc, text) if "circ" in text or "degree" in text else text


def _from_html(text: str) -> str:
    text = _RAISED.sub(lambda found: f"{'^' if found.group(1).lower() == 'sup' else '_'}{{{found.group(2)}}}", text)
    if "</" in text or "<br" in text:
        text = _HTML.sub("", text)
    text = _ENTITY.sub(lambda found: html.unescape(found.group()), text)
    return _ANGLED.sub(r"\1\\langle \2\\rangle ", text)


def _joined(found: re.Match[str]) -> str:
    """Join the letters of a unit that stand apart in recognised print; other letters are a product and stay."""
    letters = found.group(2).split()
    word = "".join(letters)
    if all(map(is_known_unit, letters)) and len(set(letters)) > 1:  # N m
        return found.group()
    return f"\\text{{ {word}}}" if is_known_unit(word) else found.group()


def _arranged(sort: str, lower: str, upper: str) -> str:
    r"""Return ``C_{10}^{3}`` as a binomial and ``A_{10}^{3}`` as a number of arrangements, of the larger number."""
    if lower.isdigit() and upper.isdigit() and int(lower) < int(upper):
        lower, upper = upper, lower
    if sort == "C":
        return f"\\binom{{{lower}}}{{{upper}}}"
    return f"\\frac{{{lower}!}}{{({lower}-{upper})!}}"


def _arc(found: re.Match[str]) -> str:
    """Return degrees, minutes and seconds of arc as degrees."""
    minutes, seconds = Fraction(found.group(2)), Fraction(found.group(3) or 0)
    if minutes >= 60 or seconds >= 60:
        return found.group()
    value = Fraction(found.group(1)) + minutes / 60 + seconds / 3600
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}^\\circ"
