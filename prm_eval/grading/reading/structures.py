"""The parser's rules for brackets: tuples, intervals, sets, bars, environments."""

from __future__ import annotations

from prm_eval.grading.reading.grammar import Grammar
from prm_eval.grading.reading.tokens import LatexError, Token
from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Words

MATRICES = frozenset("matrix pmatrix bmatrix Bmatrix array smallmatrix".split())
LISTS = frozenset("cases aligned align align* gathered split gather* dcases rcases".split())
CONDITIONS = ("if", "when", "for", "where", "otherwise", "else", "if and only if", "")


class Structures(Grammar):
    """The rules for brackets of every kind."""

    def items(self) -> Node:
        """Read what stands in brackets, where a comma separates items."""
        self.brackets += 1
        node = self.answer()
        self.brackets -= 1
        return node

    def bracket(self, left: str) -> Node:
        """Read a tuple, an interval, or an expression in brackets."""
        bars, self.bars = self.bars, 0
        inner = self.items()
        self.bars = bars
        token = self.take()
        if token.text not in (")", "]"):
            raise LatexError(f"expected a closing bracket, found {token.text or 'the end'!r}", token.start, token.end)
        if isinstance(inner, Bracket) and inner.left == "":
            return Bracket(left, token.text, inner.items)
        if (left, token.text) in (("(", ")"), ("[", "]")):
            return inner
        raise LatexError("brackets that do not match around one item", token.start, token.end)

    def group(self) -> Node:
        r"""Read what stands in braces, with ``\choose`` and ``\over`` inside."""
        node = self.items()
        if self.accept(r"\choose"):
            node = Apply("binom", (node, self.answer()))
        elif self.accept(r"\over"):
            node = Apply("/", (node, self.answer()))
        self.expect("}")
        return node

    def set(self) -> Node:
        r"""Read ``\{1, 2\}`` or ``\{x : x > 1\}``."""
        if self.accept(r"\}"):
            return Bracket("{", "}", ())
        self.builders += 1
        inner = self.items()
        if self.accept(":", "|"):
            inner = Apply("builder", (inner, self.items()))
            self.builders -= 1
            self.expect(r"\}")
            return inner
        self.builders -= 1
        self.expect(r"\}")
        return Bracket("{", "}", inner.items if isinstance(inner, Bracket) and not inner.left else (inner,))

    def absolute(self) -> Node:
        """Read an absolute value up to its second bar."""
        self.bars += 1
        node = self.sum()
        self.bars -= 1
        self.expect("|")
        return Apply("abs", (node,))

    def angled(self) -> Node:
        r"""Read ``\langle 1, 2 \rangle``, a vector."""
        inner = self.items()
        self.expect(r"\rangle")
        return Bracket("(", ")", inner.items if isinstance(inner, Bracket) and not inner.left else (inner,))

    def environment(self, token: Token) -> Node:
        """Read a matrix, or the lines of cases: a list, or a function in pieces."""
        name = self._environment_name()
        if name == "array" and self.accept("{"):
            while not self.accept("}"):
                if self.take().kind == "end":
                    raise LatexError("an array whose columns are never closed", token.start, self.here.end)
        if name not in MATRICES and name not in LISTS:
            raise LatexError(f"the environment {name!r} is not known here", token.start, token.end)
        if name.startswith(("align", "split", "gather")):
            self._drop_alignment()
        rows = self._rows(name in LISTS)
        if name in LISTS:
            return _lines(rows)
        if not rows or len({len(each) for each in rows}) != 1:
            raise LatexError("a matrix whose rows differ in length", token.start, self.here.end)
        return Matrix(rows)

    def _drop_alignment(self) -> None:
        """Drop the signs that only align lines, up to the end of the environment."""
        end = self.at
        while end < len(self.tokens) and self.tokens[end].text != r"\end":
            end += 1
        self.tokens[self.at : end] = [token for token in self.tokens[self.at : end] if token.text != "&"]

    def _environment_name(self) -> str:
        self.expect("{")
        name = ""
        while not self.accept("}"):
            token = self.take()
            if token.kind == "end" or len(name) > 20:
                raise LatexError("an environment without a name", token.start, token.end)
            name += token.text
        return name

    def _rows(self, lines: bool) -> tuple[tuple[Node, ...], ...]:
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while not self.accept(r"\end"):
            if not (lines and self.here.text in ("&", r"\\")):
                row.append(self._line() if lines else self.item())
            if self.accept("&"):
                continue
            if row:
                rows.append(tuple(row))
            row = []
            if not self.accept(r"\\") and self.here.text != r"\end":
                raise LatexError(f"{self.here.text or 'the end'!r} in a matrix", self.here.start, self.here.end)
        self._environment_name()
        return tuple(rows)

    def _line(self) -> Node:
        """Read one cell of cases: an expression or a condition, with the words and commas around it."""
        while self.here.kind in ("text", "word") and self.here.text.strip(" ,.").casefold() in CONDITIONS:
            self.take()
        if self.here.text in (r"\\", r"\end", "&"):
            return Words("otherwise")
        node = self.item()
        while self.accept(",", ".", ";"):
            continue
        if self.here.kind in ("text", "word") and self.here.text.strip(" ,.").casefold() in CONDITIONS:
            return Bracket("(", ")", (node, self._line()))  # value and condition without a & between
        return node


def _lines(rows: tuple[tuple[Node, ...], ...]) -> Node:
    if rows and all(len(row) == 1 and not _is_piece(row[0]) for row in rows):
        items = tuple(row[0] for row in rows)
        return items[0] if len(items) == 1 else Bracket("", "and", items)
    pieces = tuple(row[0] if len(row) == 1 else Bracket("(", ")", row) for row in rows)
    return Apply("cases", pieces)


def _is_piece(node: Node) -> bool:
    return isinstance(node, Bracket) and len(node.items) == 2 and node.left == "("
