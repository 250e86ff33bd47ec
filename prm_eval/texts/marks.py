r"""The marks that lines carry: headings, rules, "Step k" in all dresses, numbers of a list, lead-ins, turns of thought.

Every pattern reads one line, or the start of one; none of them looks at mathematics.
"""

from __future__ import annotations

import re

# -- "Step k"
_NUMBER = r"(?i:step)(?:[ \t]+|-)?(?:#[ \t]*)?\d{1,9}(?!\d)"
_CLOSE = r"[ \t]{0,4}[*_\])}>]{0,4}[ \t]{0,4}"  # bounded, as all that could be read in several ways
_AFTER = (  # what makes a mark of "Step 2" at the start of a line: "Step 2 and Step 3 give" is running text
    rf"(?:{_CLOSE}[:：.)]|[*_\]}}>]|[ \t]*[-–—]+[ \t]|[ \t]*[–—]|{_CLOSE}(?=\r?(?:\n|\Z))"
    r"|[ \t]*\([^()\n]{0,80}\)[ \t]*[*_]{0,3}[ \t]*[:：]|[ \t]+of[ \t]+\d)"
)
_HEADED = (  # in a heading, or in bold type, any number is a mark
    r"(?:[#>* \t]*\#[ \t]{0,4}[*_]{0,3}|[ \t>+•-]*"
    r"(?:\*\*|__|\\(?:textbf|underline|(?:sub){0,2}section\*?|paragraph\*?)\{))"
)
HEADED_STEP = rf"{_HEADED}[ \t]{{0,4}}{_NUMBER}"
"""A pattern of the start of a line that is a heading, or begins in bold type, with "Step k"."""
STEP_MARK = rf"(?:{HEADED_STEP}|[#*_ \t>(\[<+•-]*(?:\d{{1,3}}[.)][ \t]+[*_]{{0,3}})?{_NUMBER}{_AFTER})"
"""A pattern of the start of a line that says "Step k", in any dress: ``**Step 1**:``, ``## Step 1``, ``Step 1 - ``."""

STEP_PREFIX = re.compile(
    rf"[\s#*_>(\[<+•-]*(?:\\(?:textbf|underline|(?:sub){{0,2}}section\*?|paragraph\*?)\{{)?[ \t]{{0,4}}{_NUMBER}"
    rf"(?:{_CLOSE}(?:[:：.)]|[-–—]+[ \t])[*_}}]{{0,3}}\s*|[*_\]}}>]+\s*|[ \t]*\Z|[ \t]*\r?\n\s*)"
)
"""The mark "Step k" at the start of a step with what dresses it, up to the step's own words."""

# -- numbered lists
LIST_MARK = re.compile(
    r"^(?P<indent>[ \t]*)[#*_]{0,6}[ \t]{0,4}\(?(?P<number>\d{1,3})[*_]{0,2}[.)][*_]{0,3}(?=[ \t]|\r?$)", re.MULTILINE
)

# -- rules
RULE_SIGNS = frozenset("-*_=─━—")
_RULE = re.compile(r"[ \t]*([-*_=─━—])(?:[ \t]*\1){2,}[ \t]*")


def is_rule(piece: str) -> bool:
    """Say whether a piece of text is nothing but Markdown rules (``---``, ``***``, ``* * *``)."""
    return piece[:1] in RULE_SIGNS and all(_RULE.fullmatch(line) for line in piece.splitlines() if line.strip())


# -- headings
_HASHES = re.compile(r"[ \t>]*(#{1,6})[ \t]+\S")
_SECTION = re.compile(r"[ \t]*\\(?:(?:sub){0,2}section|chapter|paragraph)\*?\{[^{}\n]*\}[ \t]*")
_BOLD = re.compile(
    r"[ \t]*(?:\d{1,3}[.)][ \t]+|[-+•][ \t]+)?(?:\*\*|__|\\textbf\{)"
    r"(?P<title>[^*{}\n]{1,200}?)(?:\*\*|__|\})[ \t]{0,4}:?[ \t]{0,8}"
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_STEP_LINE = re.compile(rf"(?:{STEP_MARK})[*_\])}}>]{{0,4}}[ \t]*")
_AT_STEP = re.compile(STEP_MARK)
BOLD_LEVEL, STEP_LEVEL = 7, 8


def heading_level(line: str) -> int | None:
    """Return the level of a line that is a heading, from 1 (the highest), None for any other line.

    Bold lines are lower than ``######``, and a bare "Step k" is the lowest. A bold line that is a sentence or a
    formula, as an answer in bold type is, is no heading.
    """
    if found := _HASHES.match(line):
        return len(found.group(1))
    if _SECTION.fullmatch(line):
        return 2
    if found := _BOLD.fullmatch(line):
        title = found["title"].rstrip()
        if _WORD.search(title) and not title.endswith((".", "!", "?")) and not re.search(r"[=$\\]", title):
            return STEP_LEVEL if _AT_STEP.match(line) else BOLD_LEVEL
    return STEP_LEVEL if _STEP_LINE.fullmatch(line) else None


def is_step_mark(line: str) -> bool:
    """Say whether a line begins with "Step k", in any dress."""
    return _AT_STEP.match(line) is not None


def bare_heading(piece: str) -> int | None:
    """Return the level of the last heading of a piece of text that is nothing but headings, None for any other."""
    if len(piece) > 2_000:
        return None
    level = None
    for line in piece.splitlines():
        if line.strip() and (level := heading_level(line)) is None:
            return None
    return level


# -- lead-ins
_DISPLAY = re.compile(r"\s*(?:\\\[|\$\$|\$[ \t]*\r?\n|\\begin\{|\|)")
_OPEN_ENDED = re.compile(r"(?:\w|,|\\\)|(?<!\$)\$)\Z")


def is_lead_in(piece: str) -> bool:
    """Say whether a piece of text ends in a colon, and so leads to what follows."""
    return piece[-80:].rstrip(" \t\r\n*_").endswith((":", "："))


def leads_to(piece: str, following: str) -> bool:
    """Say whether a piece of text is half a sentence, which the display that follows it completes."""
    return (
        _DISPLAY.match(following) is not None
        and _DISPLAY.match(piece) is None
        and _OPEN_ENDED.search(piece[-2:]) is not None
    )


# -- prose and turns of thought
PROSE = re.compile(
    r"[ \t]*(?:(?:So|Then|Thus|Hence|Therefore|Now|Since|Because|We|This|These|The|And|But|Let|Next|Finally|If|From"
    r"|Using|By|To|It|Here|Which|Also|First|Second|Substituting|Solving|Answer)\b"
    r"|[A-Z][a-z]+,?[ \t]+(?:[a-z]{2,}|\$|\\\())"
)
"""The start of a line that is a sentence, not a line of a formula."""

_SAID_FIRST = r"(?:(?:but|and|so|oh|ah|okay|ok|no|yes|hmm+|well|now)[,.!]?[ \t]+){0,2}"
_AGAIN = (
    r"(?:(?:double|cross|re)[- ]?)?(?:check|verify|think|try|consider|recalculate|recompute|recheck|reconsider|rethink"
    r"|see if|go back|look at|approach|test|confirm|start over|step back|examine)"
)
TURN = (
    rf"(?i:[ \t]*{_SAID_FIRST}(?:wait\b|hold on|hmm+\b|alternatively\b|actually\b|on second thought|another "
    rf"(?:way|approach|method|idea|thought|possibility|option)|(?:let me|let's|let us|i(?:'ll| will| should| need to))"
    rf" (?:just |now |quickly |also )?{_AGAIN}|maybe\b|perhaps\b|what if\b|(?:going|looking|stepping) back"
    r"|(?:to )?(?:double[- ]?check|verify)\b))"
)
"""A pattern of the start of a line at which a chain of thought turns: "Wait, ...", "Alternatively, ..."."""
