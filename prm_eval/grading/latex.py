r"""One answer, LaTeX or plain, to a small typed tree, or an error with the span that could not be read.

The grammar is fixed and input is never evaluated. A macro that is not known is an error, never dropped.

    answer   := item (("," | ";" | "and" | "or") item)*            a list, if more than one
    item     := union (RELATION union)*                            = < > \le \ge \ne \in
    union    := sum (("\cup" | "\cap" | "\setminus") sum)*
    sum      := ["+" | "-" | "\pm"] product (("+" | "-" | "\pm") product)*
    product  := factor (["*" | "\cdot" | "\times" | "/" | "\div"] factor)*
    factor   := ["+" | "-"] base ["^" argument] ["!" | "%" | unit]
    base     := NUMBER | LETTER | MACRO argument* | "(" answer ")" | "[" answer "]" | "\{" answer "\}" | "|" sum "|" | WORDS
"""

from __future__ import annotations

import re
from fractions import Fraction

from prm_eval.grading.tokens import LatexError, Token, TokenStream, tokenize
from prm_eval.grading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol, Words
from prm_eval.grading.words import FUNCTIONS, GREEK, check_unit, is_prose, is_unit, unit_name, words_node

MAX_DEPTH = 60
MAX_DIGITS = 1_000
NUMERIC_TEXT = re.compile(r"\s*[-\d.,/ ]*\d[-\d.,/ ]*")

# macros that end a product
NO_FACTOR = frozenset(
    {
        r"\}",
        r"\choose",
        r"\cup",
        r"\cap",
        r"\setminus",
        r"\pm",
        r"\mp",
        r"\\",
        r"\end",
        r"\circ",
        r"\rangle",
        r"\rfloor",
        r"\rceil",
    }
)
TRIGONOMETRIC = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
RELATIONS = {"=": "=", "<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", r"\ne": "!=", r"\in": "in"}
_CONSTANTS = {"pi": "pi", "infty": "infinity", "infinity": "infinity", "inf": "infinity"}
_FUNCTION_ALIASES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "lg": "log"}


def parse(text: str) -> Node:
    """Return the tree of an answer.

    Raises:
        LatexError: It cannot be read; the error has the span.
    """
    tokens = tokenize(text)
    if not tokens:
        raise LatexError("an empty answer", 0, len(text))
    words = _all_words(tokens)
    if words is not None:
        return words
    parser = _Parser(tokens)
    node = parser.answer(top=True)
    parser.expect_end()
    return node


def _all_words(tokens: list[Token]) -> Node | None:
    """Read an answer that is words only: a choice letter, a name, "all real numbers"."""
    if any(token.kind == "text" and NUMERIC_TEXT.fullmatch(token.text) for token in tokens):
        return None
    if all(token.kind in ("text", "word") or token.text in "()'-,:" for token in tokens) and any(
        token.kind == "text" or (token.kind == "word" and is_prose(token.text)) for token in tokens
    ):
        joined = " ".join(token.text for token in tokens)
        node = _words(joined, tokens[0].start, tokens[-1].end)
        return node if isinstance(node, (Words, Number)) else None
    return None


def _words(text: str, start: int, end: int) -> Node:
    try:
        return words_node(text)
    except ValueError as error:
        raise LatexError(str(error), start, end) from None


class _Parser(TokenStream):
    """Recursive descent over the tokens; one method a rule of the grammar above."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.depth = self.brackets = 0

    def answer(self, top: bool = False) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LatexError(f"nested deeper than {MAX_DEPTH}", self.here.start, self.here.end)
        items = [self.item()]
        words: set[str] = set()
        while (word := self.separator(top)) is not None:
            words.add(word)
            items.append(self.item())
        self.depth -= 1
        return items[0] if len(items) == 1 else Bracket("", " ".join(sorted(words - {""})), tuple(items))

    def separator(self, top: bool) -> str | None:
        """Accept a comma, semicolon, "and" or "or", or a comma followed by one of these words; return the word."""
        found = "" if self.accept(",", ";") else None
        token = self.here
        word = token.text.strip().strip(",").strip().casefold()
        if top and token.kind in ("text", "word") and word in ("and", "or"):
            self.take()
            found = word
        return found

    def item(self) -> Node:
        operators: list[str] = []
        sides = [self.union()]
        while self.here.kind in ("op", "macro") and self.here.text in RELATIONS:
            operators.append(RELATIONS[self.take().text])
            sides.append(self.union())
        return Relation(tuple(operators), tuple(sides)) if operators else sides[0]

    def union(self) -> Node:
        node = self.sum()
        while found := self.accept(r"\cup", r"\cap", r"\setminus"):
            node = Apply(found.text[1:], (node, self.sum()))
        return node

    def sum(self) -> Node:
        node: Node | None = None
        if found := self.accept(r"\pm", r"\mp"):
            term = self.product()
            node = Apply("pm", (Number(Fraction(0)), _negative(term) if found.text == r"\mp" else term))
        terms = [self.product() if node is None else node]
        while found := self.accept("+", "-", r"\pm", r"\mp"):
            term = self.product()
            if found.text in (r"\pm", r"\mp"):
                terms = [Apply("pm", (_plus(terms), _negative(term) if found.text == r"\mp" else term))]
            else:
                terms.append(_negative(term) if found.text == "-" else term)
        return _plus(terms)

    def product(self) -> Node:
        node = self.factor()
        while True:
            if self.accept("*"):
                node = Apply("*", (node, self.factor()))
            elif self.accept("/"):
                node = Apply("/", (node, self.factor()))
            elif self.starts_factor():
                node = self.adjacent(node)
            else:
                return node

    def adjacent(self, left: Node) -> Node:
        """Join two factors without a sign between: a mixed number, a unit, or a product."""
        token = self.here
        if token.kind == "text":
            return self.unit(left)
        if token.kind == "word" and is_unit(token.text, token.space):
            return self.unit(left)
        if token.kind == "word" and is_prose(token.text):
            self.letters()
        if token.kind == "number":
            if (
                isinstance(left, Number)
                and self.at + 1 < len(self.tokens)
                and self.tokens[self.at + 1].text == "/"
                and left.value.denominator == 1
            ):
                fraction = self._plain_fraction()
                return Number(left.value + fraction if left.value >= 0 else left.value - fraction)
            raise LatexError("a number after a factor, without a sign between", token.start, token.end)
        is_fraction = token.text == r"\frac"
        right = self.factor()
        before = left.args[1] if isinstance(left, Apply) and left.name in ("*", "/") else left
        if is_fraction and isinstance(before, Number) and before.value.denominator == 1:
            part = _plain_fraction(right)
            if part is not None and (before is not left or not 0 < part < 1):
                raise LatexError("a product or a mixed number", token.start, token.end)
            if part is not None:  # a mixed number; its sign is that of the whole
                return Number(before.value + part if before.value >= 0 else before.value - part)
        return Apply("*", (left, right))

    def letters(self) -> None:
        """Cut a word into its letters, a product: the abc of 2abc."""
        token = self.here
        self.tokens[self.at : self.at + 1] = [
            Token("word", letter, token.start + i, token.start + i + 1) for i, letter in enumerate(token.text)
        ]

    def _plain_fraction(self) -> Fraction:
        top = self.number(self.take())
        self.take()
        token = self.take()
        bottom = self.number(token) if token.kind == "number" else Fraction(0)
        if not bottom > top:
            raise LatexError("two numbers side by side", token.start, token.end)
        return top / bottom

    def unit(self, value: Node) -> Node:
        r"""Read words after a value as its unit, with powers: ``\text{ cm}^2``, "square feet", "degrees"."""
        words: list[str] = []
        while self.here.kind == "text" or (
            self.here.kind == "word" and (is_unit(self.here.text, True) or (words and words[-1] in ("/", "per")))
        ):
            if self.here.text.strip().strip(",").casefold() in ("and", "or"):
                break
            token = self.take()
            try:
                words.append(check_unit(token.text.strip()))
            except ValueError as error:
                raise LatexError(str(error), token.start, token.end) from None
            if self.accept("^"):
                words[-1] += f"^{_plain(self.argument())}"
            if not self.accept("/"):
                continue
            words.append("/")
        return Quantity(value, unit_name(" ".join(words))) if "".join(words).strip(" .") else value

    def starts_factor(self) -> bool:
        token = self.here
        if token.kind == "end":
            return False
        if token.kind == "word":
            return token.text not in ("and", "or")
        if token.kind == "text":
            return token.text.strip().strip(",").strip().casefold() not in ("and", "or")
        if token.kind == "macro":
            return token.text not in RELATIONS and token.text not in NO_FACTOR
        return token.kind == "number" or token.text in ("(", "[", "{")

    def factor(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LatexError(f"nested deeper than {MAX_DEPTH}", self.here.start, self.here.end)
        node: Node
        if self.accept("-"):
            inner = self.factor()
            node = _negative(inner)
        elif self.accept("+"):
            node = self.factor()
        else:
            node = self.postfix(self.base())
        self.depth -= 1
        return node

    def postfix(self, node: Node) -> Node:
        powers, start = 0, self.at
        while True:
            if self.at - start > MAX_DEPTH:
                raise LatexError(f"more than {MAX_DEPTH} signs after one value", self.here.start, self.here.end)
            if self.here.text == "^" and self.here.kind == "op":
                caret = self.take()
                if self._is_degree():
                    node = Quantity(node, "degree")
                elif powers:
                    raise LatexError("a power of a power without brackets", caret.start, caret.end)
                else:
                    node, powers = Apply("^", (node, self.power())), 1
            elif self.accept(r"\circ"):
                node = Quantity(node, "degree")
            elif self.accept("!"):
                node = Apply("!", (node,))
            elif self.accept("%"):
                node = Quantity(node, "%")
            elif self.here.text == "_" and self.here.kind == "op":
                node = self.subscript(node)
            elif self.here.text == "'" and isinstance(node, Symbol):
                self.take()
                node = Symbol(node.name + "'")
            else:
                return node

    def _is_degree(self) -> bool:
        r"""Accept what makes ``^`` a degree sign: ``\circ`` or ``{\circ}``."""
        if self.accept(r"\circ"):
            return True
        following = [token.text for token in self.tokens[self.at : self.at + 3]]
        if following == ["{", r"\circ", "}"]:
            self.at += 3
            return True
        return False

    def subscript(self, node: Node) -> Node:
        """Read a subscript: the base of a numeral, or part of a name."""
        start = self.take().start
        token = self.here
        before = self.tokens[self.at - 3] if self.at >= 3 else None
        argument = _words(token.text, token.start, token.end) if token.kind == "text" and self.take() else self.power()
        if isinstance(argument, (Words, Symbol)) and isinstance(node, Number):
            name = argument.text if isinstance(argument, Words) else argument.name
            argument = _words(name, token.start, token.end)
        if (
            isinstance(node, Symbol)
            and node.name in tuple("ABCDEF")
            and isinstance(argument, Number)
            and argument.value > 10
            and before is not None
            and before.kind in ("number", "word")
        ):
            raise LatexError("a numeral with digits that are letters", before.start, self.here.end)
        if isinstance(node, Number) and isinstance(argument, Number):
            return Quantity(node, f"base {argument.value}")
        if isinstance(node, Symbol):
            return Symbol(f"{node.name}_{_plain(argument)}")
        raise LatexError("a subscript that is neither a base nor part of a name", start, self.here.end)

    def power(self) -> Node:
        """Read what follows ``^`` or ``_``: a whole number even without braces, since nobody means x^{1}2 by x^12."""
        return Number(self.number(self.take())) if self.here.kind == "number" else self.argument()

    def argument(self) -> Node:
        """Read the argument of a macro, power or subscript: a group in braces, or one digit, letter or macro."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LatexError(f"nested deeper than {MAX_DEPTH}", self.here.start, self.here.end)
        node = self.one_argument()
        self.depth -= 1
        return node

    def one_argument(self) -> Node:
        if self.accept("{"):
            node = self.answer()
            self.expect("}")
            return node
        token = self.here
        if token.kind == "number" and len(token.text) > 1 and token.text.isdigit():
            # TeX takes one digit; the rest stays: \frac12 is 1/2
            self.tokens[self.at] = Token("number", token.text[1:], token.start + 1, token.end)
            return Number(Fraction(int(token.text[0])))
        if token.kind == "word" and len(token.text) > 1:
            self.tokens[self.at] = Token("word", token.text[1:], token.start + 1, token.end)
            return Symbol(token.text[0])
        if self.accept("-"):
            return Apply("neg", (self.argument(),))
        return self.base()

    @staticmethod
    def number(token: Token) -> Fraction:
        if len(token.text) > MAX_DIGITS:
            raise LatexError(f"a number of more than {MAX_DIGITS} digits", token.start, token.end)
        return Fraction(token.text.rstrip(".") or "0")

    def base(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return self._number_with_commas(token)
        if token.kind == "word":
            return self.word(token)
        if token.kind == "text":
            return self.text(token)
        if token.kind == "macro":
            return self.macro(token)
        if token.text in ("(", "["):
            return self.bracket(token.text)
        if token.text == "{":
            node = self.items()
            if self.accept(r"\choose"):
                node = Apply("binom", (node, self.answer()))
            self.expect("}")
            return node
        if token.text == "|":
            node = self.sum()
            self.expect("|")
            return Apply("abs", (node,))
        raise LatexError(f"{token.text or 'the end'!r} was not expected here", token.start, token.end)

    def _number_with_commas(self, token: Token) -> Node:
        """Read 1,234,567 as one number, outside brackets only (inside them a comma separates items)."""
        digits = token.text
        if digits.endswith(".") and self.here.text in (r"\overline", r"\bar"):
            raise LatexError("a repeating decimal that is not digits", token.start, self.here.end)
        while (
            self.brackets == 0
            and not token.text.startswith("0")
            and digits.isdigit()
            and len(token.text) <= 3
            and self.here.text == ","
            and not self.here.space
        ):
            following = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
            if (
                following is None
                or following.kind != "number"
                or following.space
                or not re.fullmatch(r"\d{3}(\.\d*)?", following.text)
            ):
                break
            self.at += 2
            digits += following.text
        return Number(self.number(Token("number", digits, token.start, self.here.start)))

    def word(self, token: Token) -> Node:
        """Read bare letters: a function, a constant, a spelt-out word, or a product of letters."""
        name = token.text
        if name in FUNCTIONS:
            return self.function(name)
        if name == "sqrt":
            return Apply("sqrt", (self.power(),))
        if name in _CONSTANTS:
            return Symbol(_CONSTANTS[name])
        if name in GREEK and len(name) > 2:
            return Symbol(name)
        if len(name) > 1 and is_prose(name):
            return _words(name, token.start, token.end)
        if len(name) == 1:
            return Symbol(name)
        # a product of letters; a power that follows belongs to the last of them
        self.tokens[self.at - 1] = Token("word", name[1:], token.start + 1, token.end)
        self.at -= 1
        return Symbol(name[0])

    def text(self, token: Token) -> Node:
        inner = token.text.strip()
        if NUMERIC_TEXT.fullmatch(inner) or (len(inner) == 1 and inner.isalpha()):
            return parse(inner)
        if inner in FUNCTIONS:
            return self.function(inner)
        return _words(inner, token.start, token.end)

    def function(self, name: str) -> Node:
        """Read a function: its power, its base, its argument (a bracket, or the product that follows)."""
        power = self.argument() if self.accept("^") else None
        name = _FUNCTION_ALIASES.get(name, name)
        if name == "log" and self.accept("_"):
            base: tuple[Node, ...] = (self.argument(),)
        else:
            base = ()
        if self.accept("("):
            inner = self.items()
            self.expect(")")
            args = inner.items if isinstance(inner, Bracket) and not inner.left else (inner,)
        else:
            args = (self.product_without_functions(),)
        if name in TRIGONOMETRIC:
            args = tuple(_radians(arg) for arg in args)
        node: Node = Apply(name, (*args, *base))
        if power is None:
            return node
        if isinstance(power, Number) and power.value == -1 and name in ("sin", "cos", "tan"):
            return Apply(f"a{name}", args)
        return Apply("^", (node, power))

    def product_without_functions(self) -> Node:
        r"""Read ``\sin 2x``: factors up to the next sign or function."""
        node = self.factor()
        while self.starts_factor() and self.here.kind not in ("text",) and self.here.text not in ("(", "["):
            if self.here.text.lstrip("\\") in FUNCTIONS:
                break
            node = Apply("*", (node, self.factor()))
        return node

    def bracket(self, left: str) -> Node:
        inner = self.items()
        token = self.take()
        if token.text not in (")", "]"):
            raise LatexError(f"expected a closing bracket, found {token.text or 'the end'!r}", token.start, token.end)
        if isinstance(inner, Bracket) and inner.left == "":
            return Bracket(left, token.text, inner.items)
        if left == "(" and token.text == ")":
            return inner
        if left == "[" and token.text == "]":
            return inner
        raise LatexError("brackets that do not match around one item", token.start, token.end)

    def macro(self, token: Token) -> Node:
        name = token.text[1:]
        if name == "frac":
            return Apply("/", (self.argument(), self.argument()))
        if name == "sqrt":
            if self.accept("["):
                index = self.sum()
                self.expect("]")
                return Apply("root", (self.argument(), index))
            return Apply("sqrt", (self.argument(),))
        if name == "binom":
            return Apply("binom", (self.argument(), self.argument()))
        if name == "USD":
            value = self.factor()
            return Quantity(value.value if isinstance(value, Quantity) else value, "$")
        if name in _CONSTANTS:
            return Symbol(_CONSTANTS[name])
        if name in GREEK:
            return Symbol(name)
        if name in FUNCTIONS:
            return self.function(name)
        if name == "{":
            return self.set()
        if name == "emptyset":
            return Bracket("{", "}", ())
        if name in ("lfloor", "lceil"):
            inner = self.sum()
            self.expect(r"\rfloor" if name == "lfloor" else r"\rceil")
            return Apply("floor" if name == "lfloor" else "ceil", (inner,))
        if name == "langle":
            inner = self.items()
            self.expect(r"\rangle")
            return Bracket("(", ")", inner.items if isinstance(inner, Bracket) and not inner.left else (inner,))
        if name in ("overline", "bar"):
            return Apply("overline", (self.argument(),))
        if name == "mathbb":
            return Symbol("R") if _plain(self.argument()) == "R" else self._fail(token)
        if name == "begin":
            return self.environment(token)
        if name in ("boxed", "fbox"):
            return self.argument()
        return self._fail(token)

    def _fail(self, token: Token) -> Node:
        raise LatexError(f"the macro {token.text} is not known here", token.start, token.end)

    def items(self) -> Node:
        """Read what stands in brackets, where a comma separates items."""
        self.brackets += 1
        node = self.answer()
        self.brackets -= 1
        return node

    def set(self) -> Node:
        if self.accept(r"\}"):
            return Bracket("{", "}", ())
        inner = self.items()
        self.expect(r"\}")
        return Bracket("{", "}", inner.items if isinstance(inner, Bracket) and not inner.left else (inner,))

    def environment(self, token: Token) -> Node:
        self.expect("{")
        name = self.take().text
        self.expect("}")
        if name == "array" and self.accept("{"):
            while not self.accept("}"):
                if self.take().kind == "end":
                    self._fail(token)
        if name not in ("matrix", "pmatrix", "bmatrix", "Bmatrix", "array", "smallmatrix"):
            raise LatexError(f"the environment {name!r} is not known here", token.start, token.end)
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while True:
            if self.accept(r"\end"):
                break
            row.append(self.union())
            if self.accept("&"):
                continue
            rows.append(tuple(row))
            row = []
            if not self.accept(r"\\") and self.here.text != r"\end":
                raise LatexError(f"{self.here.text or 'the end'!r} in a matrix", self.here.start, self.here.end)
        self.expect("{")
        self.take()
        self.expect("}")
        if not rows or len({len(each) for each in rows}) != 1:
            raise LatexError("a matrix whose rows differ in length", token.start, self.here.end)
        return Matrix(tuple(rows))


def _radians(node: Node) -> Node:
    """Return an angle with its degrees made numbers, as the functions of angles take them."""
    if isinstance(node, Quantity) and node.unit == "degree":
        return Apply("*", (node.value, Apply("/", (Symbol("pi"), Number(Fraction(180))))))
    return Apply(node.name, tuple(_radians(arg) for arg in node.args)) if isinstance(node, Apply) else node


def _plain_fraction(node: Node) -> Fraction | None:
    """Return the value of a fraction of two numbers."""
    if isinstance(node, Apply) and node.name == "/":
        top, bottom = node.args
        if isinstance(top, Number) and isinstance(bottom, Number) and bottom.value:
            return top.value / bottom.value
    return None


def _negative(node: Node) -> Node:
    """Return minus a node; the sign of a quantity is that of its value."""
    if isinstance(node, Quantity):
        return Quantity(_negative(node.value), node.unit)
    return Number(-node.value) if isinstance(node, Number) else Apply("neg", (node,))


def _plus(terms: list[Node]) -> Node:
    return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))


def _plain(node: Node) -> str:
    """Return a short name for a subscript or a unit's power."""
    if isinstance(node, Number):
        return str(node.value)
    if isinstance(node, Symbol):
        return node.name
    return node.text if isinstance(node, Words) else repr(node)
