r"""The spans of a text that no cut may enter: code fences, displays, environments, boxes over lines, tables.

What is opened and never closed is either cut off (the text ends there), or forgotten; it is protected up to the end of
its paragraph. Prices (``$$5``), the break of a row with its space (``\\[2pt]``) and environments within themselves are
read as what they are. Every scan is linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prm_eval.texts.boxed import matching_braces
from prm_eval.texts.marks import PROSE, heading_level, is_rule, is_step_mark

Span = tuple[int, int]


class Fence(NamedTuple):
    """A code fence: its span, the word behind its opening mark, and whether it was closed."""

    start: int
    end: int
    info: str
    closed: bool


_FENCE = re.compile(r"^[ \t]*(?:(?:>|[-*+]|\d{1,3}[.)])[ \t]+)*(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_ONE_WORD = re.compile(r"[\w+#.-]+")


def fences(text: str) -> list[Fence]:
    """Return the fences of a text in order, indented ones and those of tildes too.

    A fence that is never closed ends where the next one opens, or with the text; a bare mark that is never closed is
    none, because it may as well be the end of something.
    """
    if "```" not in text and "~~~" not in text:
        return []
    found: list[Fence] = []
    opened: re.Match[str] | None = None

    def end_at(end: int) -> None:
        if opened is not None and opened["info"].strip():
            found.append(Fence(opened.start("mark"), end, opened["info"].strip(), False))

    for each in _FENCE.finditer(text):
        mark, info = each["mark"], each["info"].strip()
        if opened is None or mark[0] != opened["mark"][0] or len(mark) < len(opened["mark"]):
            if opened is None and not (mark[0] == "`" and "`" in info):
                opened = each
        elif info and _ONE_WORD.fullmatch(info):
            end_at(each.start() - 1)
            opened = each
        else:
            found.append(Fence(opened.start("mark"), each.end("mark"), opened["info"].strip(), True))
            opened = None
    end_at(len(text))
    return found


def protected_spans(text: str, found: Sequence[Fence] | None = None) -> list[Span]:
    """Return the spans that no cut may enter, in order and apart from each other.

    Args:
        text: The text.
        found: Its fences, where they are known.
    """
    code = [(each.start, each.end) for each in (fences(text) if found is None else found)]
    spans = [*code]
    if "\\" in text or "$" in text:
        spans += _Mathematics(text, code).spans()
    if "|" in text or "+-" in text or "+=" in text:
        spans += _tables(text)
    return merged(spans)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return the union of spans, in order."""
    union: list[Span] = []
    for start, end in sorted(spans):
        if union and start < union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


# -- mathematics

_TOKEN = re.compile(
    r"\\{1,4}(?P<env>begin|end)\{(?P<name>[a-zA-Z]{1,30})\*?\}|\\{1,4}(?:boxed|fbox)[ \t]*(?P<box>\{)"
    # a bracket with two backslashes is one only alone on its line; elsewhere it is the break of a row
    r"|(?m:^)[ \t]*\\\\(?P<alone>[\[\]()])[ \t\r]*(?m:$)"
    r"|\\(?P<bracket>[\[\]()])|\\.|(?P<dollars>\$\$?)",
    re.DOTALL,
)
_SHORT_BOX = re.compile(r"[^{}\\\n]{0,80}\}")
_BLANK_LINE = re.compile(r"\n[^\S\n]*(?=\n)")
_LINE_END = re.compile(r"[ \t]*(?:[.,;:!?][ \t]*)?\r?(?=\n|\Z)")
_LONE_DOLLAR = re.compile(r"^[ \t]*\$[ \t]*\r?$", re.MULTILINE)
_PRICE = re.compile(
    r"\$\$?\d+(?:,\d+)*(?:\.\d+)?[kKmM]?"  # a comma is of the number or behind it, never to be tried as both
    r"(?:[.,;:!?)]*[ \t\r]*(?=\n|\Z)|[.,;:!?)]+[ \t]|[ \t]+[a-zA-Z]{2,}|[ \t]+a[ \t]|/[a-z]{2,}|-[a-z]{2,})"
)


class _Dollar(NamedTuple):
    """A ``$$`` or ``$``, with what stands beside it."""

    start: int
    end: int
    starts_line: bool
    ends_line: bool
    alone: bool
    opens: bool  # as in " $$x": it cannot close what stands before it
    price: bool
    paragraph: int


class _Unclosed(NamedTuple):
    """An opener without its end, and where the next opener of its kind stands."""

    start: int
    end: int
    limit: int


class _Mathematics:
    """The displays, environments and boxes of one text."""

    def __init__(self, text: str, code: Sequence[Span]) -> None:
        self.text = text
        self._code = [start for start, _ in code], [end for _, end in code]
        self._found: list[Span] = []
        self._unclosed: list[_Unclosed] = []
        self._stray_ends: list[int] = []
        self._blank: list[int] | None = None

    def spans(self) -> list[Span]:
        dollars, singles = self._scan()
        self._pair_dollars([self._dollar(each) for each in dollars], self._found)
        self._pair_lone_dollars(singles)
        self._protect_unclosed()
        return self._found

    def _in_code(self, at: int) -> bool:
        starts, ends = self._code
        place = bisect_right(starts, at)
        return place > 0 and at < ends[place - 1]

    def _scan(self) -> tuple[list[Span], list[Span]]:
        """Find what has two different marks, and return the places of ``$$`` and of ``$``, which have one."""
        dollars: list[Span] = []
        singles: list[Span] = []
        brackets: dict[str, Span] = {}
        environments: dict[str, list[Span]] = {}
        boxes: list[tuple[Span, int]] = []
        for token in _TOKEN.finditer(self.text):
            span = token.span()
            if token.lastgroup is None or (self._code[0] and self._in_code(span[0])):
                continue
            if token["dollars"]:
                (dollars if len(token["dollars"]) == 2 else singles).append(span)
            elif token["box"]:
                if not _SHORT_BOX.match(self.text, span[1]):
                    boxes.append((span, token.start("box")))
            elif sign := token["bracket"] or token["alone"]:
                self._bracket(sign, span, brackets)
            elif token["env"] == "begin":
                environments.setdefault(token["name"], []).append(span)
            elif opened := environments.get(token["name"]):
                self._found.append((opened.pop()[0], span[1]))
            else:
                self._stray_ends.append(span[0])
        for opened in (*environments.values(), list(brackets.values())):
            for each in opened:
                self._leave(each, len(self.text))
        self._boxes(boxes)
        return dollars, singles

    def _bracket(self, sign: str, span: Span, opened: dict[str, Span]) -> None:
        if sign in "[(":
            if sign in opened:
                self._leave(opened[sign], span[0])
            opened[sign] = span
        elif before := opened.pop("[" if sign == "]" else "(", None):
            self._found.append((before[0], span[1]))

    def _leave(self, opener: Span, limit: int) -> None:
        """Note an opener without an end before ``limit``; inline mathematics only if a line ends there."""
        if self.text[opener[0] : opener[1]] != "\\(" or _LINE_END.match(self.text, opener[1]):
            self._unclosed.append(_Unclosed(*opener, limit))

    def _boxes(self, boxes: list[tuple[Span, int]]) -> None:
        close = matching_braces(self.text) if boxes else {}
        for (start, end), brace in boxes:
            closed = close.get(brace)
            if closed is not None and not self._blank_between(start, closed):
                self._found.append((start, closed + 1))
            else:
                self._leave((start, end), len(self.text))

    # -- dollars

    def _dollar(self, span: Span) -> _Dollar:
        start, end = span
        text = self.text
        before, after = text[start - 1 : start], text[end : end + 1]
        starts_line = before in ("\n", "") or (before in " \t" and self._starts_line(start))
        ends_line = after in ("\n", "") or (after in " \t\r.,;:!?" and _LINE_END.match(text, end) is not None)
        return _Dollar(
            start,
            end,
            starts_line,
            ends_line,
            starts_line and ends_line,
            (starts_line or before.isspace()) and after not in "\n \t\r.,;:!?" and not after.isspace(),
            after.isdigit() and _PRICE.match(text, start) is not None,
            bisect_left(self._blank_lines, start),
        )

    def _starts_line(self, at: int) -> bool:
        before = self.text[max(0, at - 80) : at].rstrip(" \t")
        return before.endswith("\n") or (not before and at <= 80)

    def _pair_dollars(self, dollars: list[_Dollar], pairs: list[Span]) -> None:
        """Pair the signs that are no prices, in order, and note those that are left over."""
        tokens = [each for line in self._by_line(dollars) for each in _without_prices(line)]
        counts = Counter(each.paragraph for each in tokens)
        # where no mark is lost, each closes the one before; else one that a paragraph has by itself may close it
        may_close = {place for place, count in counts.items() if count % 2 or len(tokens) % 2 == 0}
        opened: _Dollar | None = None
        for each in tokens:
            if opened is None:
                opened = each
            elif self._closes(opened, each, may_close):
                pairs.append((opened.start, each.end))
                opened = None
            else:
                self._leave_dollar(opened, each.start)
                opened = each
        if opened is not None:
            self._leave_dollar(opened, len(self.text))

    def _by_line(self, dollars: list[_Dollar]) -> Iterator[list[_Dollar]]:
        line: list[_Dollar] = []
        for each in dollars:
            if line and self.text.find("\n", line[-1].end, each.start) >= 0:
                yield line
                line = []
            line.append(each)
        if line:
            yield line

    def _closes(self, opened: _Dollar, each: _Dollar, may_close: set[int]) -> bool:
        if self.text.find("\n", opened.end, each.start) < 0:
            return True
        if each.opens and not opened.alone:
            return False
        if each.paragraph == opened.paragraph:
            return True
        # over a blank line: only marks at the edges of lines
        edges = (opened.starts_line or opened.ends_line) and (each.starts_line or each.ends_line)
        return edges and not each.opens and each.paragraph in may_close

    def _leave_dollar(self, opened: _Dollar, limit: int) -> None:
        if opened.alone:
            self._unclosed.append(_Unclosed(opened.start, opened.end, limit))

    def _pair_lone_dollars(self, singles: list[Span]) -> None:
        """Pair single dollar signs where one stands on a line of its own: these are displays."""
        if not _LONE_DOLLAR.search(self.text):
            return
        signs = [self._dollar(each) for each in singles]
        where = {each.paragraph for each in signs if each.alone}
        signs = [each for each in signs if each.paragraph in where and not each.price]
        alone = {each.start for each in signs if each.alone} | {each.end for each in signs if each.alone}
        pairs: list[Span] = []
        self._pair_dollars(signs, pairs)
        self._found += [(start, end) for start, end in pairs if start in alone or end in alone]

    # -- paragraphs

    @property
    def _blank_lines(self) -> list[int]:
        if self._blank is None:
            self._blank = [found.start() for found in _BLANK_LINE.finditer(self.text)]
        return self._blank

    def _paragraph(self, at: int) -> int:
        return bisect_left(self._blank_lines, at)

    def _blank_between(self, start: int, end: int) -> bool:
        return self._paragraph(start) != self._paragraph(end)

    def _protect_unclosed(self) -> None:
        r"""Protect each opener without an end up to the end of its paragraph, or the first line that is a sentence.

        A stray ``\end`` of another name within says that the text was not cut off there; then nothing is protected.
        """
        if not self._unclosed:
            return
        barriers = self._barriers()
        for start, end, limit in self._unclosed:
            after = bisect_right(barriers, end)
            stop = min(limit, barriers[after] if after < len(barriers) else len(self.text))
            stray = bisect_left(self._stray_ends, start)
            if stray < len(self._stray_ends) and self._stray_ends[stray] < stop:
                continue
            while stop > end and self.text[stop - 1].isspace():
                stop -= 1
            if stop > end:
                self._found.append((start, stop))

    def _barriers(self) -> list[int]:
        """Return the starts of the lines at which an unclosed display has ended: blank ones, marks, sentences."""
        barriers = []
        at = 0
        for line in self.text.split("\n"):
            if not line.strip() or PROSE.match(line) or is_step_mark(line) or heading_level(line) or is_rule(line):
                barriers.append(at)
            at += len(line) + 1
        return sorted({*barriers, *self._code[0]})


def _without_prices(line: list[_Dollar]) -> list[_Dollar]:
    """Return the signs of a line without the prices; ``$$12 cm$$`` is none, because something closes it."""
    others = [each for each in line if not each.price]
    if len(others) == len(line):
        return line
    if len(others) % 2 and not others[0].opens and not others[0].starts_line:
        before = [each for each in line if each.price and each.end <= others[0].start]
        if before:
            return [before[-1], *others]
    return others


# -- tables

_DELIMITER = re.compile(r"^[|+:=\- \t]+\r?$", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|[ \t][^\n]*$", re.MULTILINE)


def _tables(text: str) -> Iterator[Span]:
    """Yield the tables of a text: those with a row of dashes, and rows of equal cells in frames."""
    end = 0
    for found in _DELIMITER.finditer(text):
        row = found.group().strip()
        if found.start() < end or not (("|" in row and "-" in row) or "+-" in row or "+=" in row):
            continue
        start = found.start()
        if start > end and not row.startswith("+"):
            above = text.rfind("\n", 0, start - 1) + 1
            if "|" in text[above:start]:
                start = max(above, end)
            elif not row.startswith("|"):
                continue
        end = _end_of_table(text, found.end(), row)
        yield start, end
    yield from _framed_rows(text)


def _end_of_table(text: str, at: int, row: str) -> int:
    """Return the end of the last row after the row of dashes that ends at a place."""
    framed, closed = row[0] in "|+", row[-1] in "|+"
    while at < len(text):
        following = text.find("\n", at + 1)
        stop = len(text) if following < 0 else following
        line = text[at + 1 : stop].strip()
        inside = line.startswith(("|", "+-", "+=")) if framed else " | " in line
        if not inside or (closed and stop < len(text) and not line.endswith(("|", "+"))):
            break
        at = stop
    return at


def _framed_rows(text: str) -> Iterator[Span]:
    start, end, cells = -1, -2, 0
    for found in _ROW.finditer(text):
        row = found.group().strip()
        count = row.count("|") if row.endswith(" |") else 0
        if count >= 3 and count == cells and found.start() == end + 1:
            yield start, found.end()
        else:
            start, cells = found.start(), count
        end = found.end()
