r"""The parser: it turns one answer, LaTeX or plain, into a small typed tree, or an error with the unread span.

The grammar is fixed and input is never evaluated. A macro that is not known is an error, never dropped.

    answer   := item (("," | ";" | "and" | "or") item)*            a list, if more than one
    item     := ratio (RELATION ratio)*                            = < > \le \ge \ne \in
    ratio    := union ((":" | "to") union)*                        3:2, and 4:30
    union    := sum (("\cup" | "\cap" | "\setminus") sum)*
    sum      := ["+" | "-" | "\pm"] product (("+" | "-" | "\pm") product)*
    product  := factor (["*" | "\cdot" | "\times" | "/" | "\div"] factor)*
    factor   := ["+" | "-"] base ["^" argument] ["!" | "%" | unit]
    base     := NUMBER | LETTER | WORDS | MACRO argument* | "|" sum "|"
              | "(" answer ")" | "[" answer "]" | "\{" answer "\}"

The rules for brackets are in :mod:`.structures`, those for numbers and units in :mod:`.quantities`, those for letters
and macros in :mod:`.functions`.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from prm_eval.grading.reading.functions import NUMERIC_TEXT, Functions
from prm_eval.grading.reading.grammar import LINKS, NO_FACTOR, RELATIONS, negative, number, plus, short, words
from prm_eval.grading.reading.tokens import LatexError, Token, tokenize
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Relation, Symbol
from prm_eval.grading.reading.words import is_prose

PUNCTUATION = "()'-,:.\"?;!&"


def parse(text: str, spelt: str | None = None) -> Node:
    """Return the tree of an answer.

    Args:
        text: The answer.
        spelt: Its typographic text, where it is known already.

    Raises:
        LatexError: The answer cannot be read; the error has the span.
    """
    tokens = tokenize(text, spelt)
    if not tokens:
        raise LatexError("an empty answer", 0, len(text))
    in_words = _all_words(tokens)
    if in_words is not None:
        return in_words
    named = _named_value(tokens)
    if named is not None:
        return named
    parser = _Parser(_without_double_brackets(tokens))
    node = parser.answer()
    if found := parser.accept(r"\over", r"\choose"):
        node = Apply("/" if found.text == r"\over" else "binom", (node, parser.answer()))
    parser.expect_end()
    return node


_NAMING = frozenset(r"\int \iint \iiint \oint \lim \max \min \sup \limsup \liminf \deg \dim".split())
_BY_THEMSELVES = frozenset(r"\max \min".split())


def _named_value(tokens: list[Token]) -> Node | None:
    r"""Read ``\lim_{x\to 0} f(x) = 12``: an integral, a limit or an extremum becomes the name of its value.

    None where the left side holds more than that, as a sum or a factor before it, or has no letters: then it is an
    equation.
    """
    if tokens[0].text not in _NAMING:
        return None
    level, equals = 0, -1
    for i, token in enumerate(tokens):
        level += (token.text in ("(", "{", "[")) - (token.text in (")", "}", "]"))
        if level == 0 and token.kind == "op" and token.text in ("+", "-", ",", "<", ">"):
            return None
        if level == 0 and token.text == "=":
            equals = i
            break
    says_what = any(token.kind == "word" for token in tokens[1:equals]) or tokens[0].text in _BY_THEMSELVES
    if equals < 1 or not says_what:
        return None
    if tokens[0].text in _BY_THEMSELVES and equals > 1 and tokens[1].text == "(":
        return None  # max(a, b) = 12 is read as it stands
    parser = _Parser(_without_double_brackets(tokens[equals + 1 :]))
    value = parser.answer()
    parser.expect_end()
    name = Symbol(f"@({''.join(token.text for token in tokens[:equals])})")
    if isinstance(value, Relation) and set(value.operators) == {"="}:
        return Relation(("=", *value.operators), (name, *value.sides))
    return Relation(("=",), (name, value))


def _without_double_brackets(tokens: list[Token]) -> list[Token]:
    """Drop the outer of two pairs of brackets around the same tokens, so that ((((5)))) is not nested deeply."""
    partner: dict[int, int] = {}
    open_at: list[int] = []
    for i, token in enumerate(tokens):
        if token.kind == "op" and token.text in ("(", "{"):
            open_at.append(i)
        elif token.kind == "op" and token.text in (")", "}") and open_at:
            start = open_at.pop()
            if (tokens[start].text, token.text) in (("(", ")"), ("{", "}")):
                partner[start] = i
    drop: set[int] = set()
    for start, end in partner.items():
        if tokens[start].text == tokens[start + 1].text and partner.get(start + 1) == end - 1:
            drop |= {start, end}
    return [token for i, token in enumerate(tokens) if i not in drop] if drop else tokens


def _all_words(tokens: list[Token]) -> Node | None:
    """Read an answer that is words only: a choice letter, a name, "all real numbers"."""
    if any(token.kind == "text" and NUMERIC_TEXT.fullmatch(token.text) for token in tokens):
        return None
    if (
        len(tokens) == 1
        and tokens[0].kind == "text"
        and re.match(r"\s*-?\d", tokens[0].text)
        and "\\" not in tokens[0].text
    ):
        try:
            return parse(tokens[0].text)  # \text{50 mph}
        except LatexError:
            return words(tokens[0].text, tokens[0].start, tokens[0].end)
    if all(token.kind in ("text", "word") or token.text in PUNCTUATION for token in tokens) and any(
        (token.kind == "text" and token.text) or (token.kind == "word" and is_prose(token.text)) for token in tokens
    ):
        return words(" ".join(token.text for token in tokens), tokens[0].start, tokens[-1].end)
    return None


def _is_set(node: Node) -> bool:
    """Say whether a tree can only be a set: in braces, an interval with a square bracket or infinite end, all reals."""
    if isinstance(node, Apply):
        return node.name in ("cup", "cap", "setminus")
    if isinstance(node, Bracket):
        return node.left == "{" or (len(node.items) == 2 and node.left != "")
    return node == Symbol("R")


def _as_set(node: Node, braced: bool) -> Node:
    """Return the content of plain braces beside a set sign as a set: ``{1,2} U {3}``."""
    if not braced or (isinstance(node, Bracket) and node.left):
        return node
    return Bracket("{", "}", node.items if isinstance(node, Bracket) else (node,))


class _Parser(Functions):
    """A recursive-descent parser over the tokens, with one method for each rule of the grammar above."""

    @classmethod
    def from_text(cls, text: str) -> Node:
        return parse(text)

    def answer(self) -> Node:
        with self.deeper():
            items = [self.item()]
            links: set[str] = set()
            while (link := self.separator()) is not None:
                links.add(link)
                items.append(self.item())
        return items[0] if len(items) == 1 else Bracket("", " ".join(sorted(links - {""})), tuple(items))

    def separator(self) -> str | None:
        """Accept a comma, semicolon, "and" or "or", or a comma followed by one of these words; return the word."""
        found = "" if self.accept(",", ";") else None
        if found is None and not self.brackets and self.here.text == r"\\" and self.ahead(1).kind != "end":
            self.take()  # values on lines
            found = ""
        token = self.here
        word = token.text.strip().strip(",").strip().casefold()
        if token.kind in ("text", "word") and word in ("and", "or"):
            self.take()
            found = word
        return found

    def item(self) -> Node:
        if self.here.kind == "op" and self.here.text in "<>" and self.at == 0:
            raise LatexError("a relation without its left side", self.here.start, self.here.end)
        operators: list[str] = []
        sides = [self.ratio()]
        while self.here.kind in ("op", "macro") and self.here.text in RELATIONS:
            operators.append(RELATIONS[self.take().text])
            sides.append(self.ratio())
        if modulus := self.modulus():
            sides[-1] = self.spelt_out(sides[-1], f"mod {modulus}")
        return Relation(tuple(operators), tuple(sides)) if operators else sides[0]

    def modulus(self) -> str | None:
        r"""Accept ``\pmod{5}``, ``\mod 5`` or ``(mod 5)`` behind a value, and return the modulus."""
        if self.accept(r"\pmod", r"\mod", r"\bmod", "mod"):
            return short(self.power())
        if self.here.text == "(" and self.ahead(1).text in ("mod", r"\mod", r"\bmod"):
            self.at += 2
            modulus = short(self.sum())
            self.expect(")")
            return modulus
        return None

    def ratio(self) -> Node:
        terms, tokens = [self.union()], [self.at]
        while (self.here.text == ":" and not self.builders) or self._is_to():
            self.take()
            terms.append(self.union())
            tokens.append(self.at)
        if len(terms) == 1:
            return terms[0]
        minutes = self.tokens[tokens[-1] - 1]
        is_time = len(terms) == 2 and tokens[1] == tokens[0] + 2 and len(minutes.text) == 2
        if is_time and all(isinstance(term, Number) and 0 <= term.value < 60 for term in terms):
            hour, minute = (int(term.value) for term in terms if isinstance(term, Number))
            if math.gcd(hour, minute) != 1 or minutes.text.startswith("0"):  # no ratio in lowest terms
                return Apply("time", tuple(terms))
        return Apply("ratio", tuple(terms))

    def _is_to(self) -> bool:
        return self.here.kind in ("word", "text") and self.here.text.strip() == "to" and not self.builders

    def union(self) -> Node:
        braced = self.here.text == "{"
        node = self.sum()
        while found := self.accept(r"\cup", r"\cap", r"\setminus"):
            node = _as_set(node, braced)
            braced = self.here.text == "{"
            node = Apply(found.text[1:], (node, _as_set(self.sum(), braced)))
        return node

    def sum(self) -> Node:
        node: Node | None = None
        if found := self.accept(r"\pm", r"\mp"):
            term = self.product()
            node = Apply(found.text[1:], (Number(Fraction(0)), term))
        terms = [self.product() if node is None else node]
        while found := self.accept("+", "-", r"\pm", r"\mp"):
            braced = self.here.text == "{"
            term = self.product()
            if found.text == "-" and len(terms) == 1 and (braced or _is_set(term)) and _is_set(terms[0]):
                terms = [Apply("setminus", (terms[0], _as_set(term, braced)))]
                continue
            if found.text in (r"\pm", r"\mp"):
                terms = [Apply(found.text[1:], (plus(terms), term))]
            else:
                terms.append(negative(term) if found.text == "-" else term)
        return plus(terms)

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

    def starts_factor(self) -> bool:
        token = self.here
        if token.kind == "end":
            return False
        if token.text == "(" and self.ahead(1).text in ("mod", r"\mod", r"\bmod"):
            return False
        if token.kind in ("word", "text"):
            return token.text != "mod" and token.text.strip().strip(",").strip().casefold() not in LINKS
        if token.kind == "macro":
            return token.text not in RELATIONS and token.text not in NO_FACTOR
        if token.text == "|":
            return not self.bars and not self.builders
        return token.kind == "number" or token.text in ("(", "[", "{")

    def factor(self) -> Node:
        with self.deeper():
            if self.accept("-"):
                return negative(self.factor())
            if self.accept("+"):
                return self.factor()
            return self.postfix(self.base())

    def power(self) -> Node:
        """Read what follows ``^`` or ``_``: a whole number even without braces, since nobody means x^{1}2 by x^12."""
        return Number(number(self.take())) if self.here.kind == "number" else self.argument()

    def argument(self) -> Node:
        with self.deeper():
            return self._one_argument()

    def _one_argument(self) -> Node:
        if self.accept("{"):
            return self.group()
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

    def base(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return self.numeral(token)
        if token.kind == "word":
            return self.word(token)
        if token.kind == "text":
            return self.text(token)
        if token.kind == "macro":
            return self.macro(token)
        if token.text in ("(", "["):
            return self.bracket(token.text)
        if token.text == "{":
            return self.group()
        if token.text == "|":
            return self.absolute()
        raise LatexError(f"{token.text or 'the end'!r} was not expected here", token.start, token.end)
