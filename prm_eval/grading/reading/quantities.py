"""The parser's rules for numbers with commas, units, degrees, bases and subscripts, and for mixed numbers."""

from __future__ import annotations

import re
from fractions import Fraction

from prm_eval.grading.reading.grammar import MAX_DEPTH, Grammar, number, plain_fraction, short, words
from prm_eval.grading.reading.tokens import LatexError, Token
from prm_eval.grading.reading.tree import Apply, Node, Number, Quantity, Symbol, Words
from prm_eval.grading.reading.units import COMPOUND, LETTER_UNITS, SCALES, check_unit, unit_name
from prm_eval.grading.reading.words import FUNCTIONS, is_prose, is_unit, spelt_number

ACCENTS = frozenset("overline vec hat widehat tilde dot ddot".split())
_NO_UNITS = frozenset("pi cis sin cos tan cot csc ln log".split())  # but "min" and "sec" are units first


class Quantities(Grammar):
    """The rules for numbers, and for what stands directly behind a value."""

    def numeral(self, token: Token) -> Node:
        """Read 1,234,567 as one number, outside brackets only (inside them a comma separates items)."""
        digits = token.text
        if digits.endswith(".") and self.here.text in (r"\overline", r"\bar", r"\dot"):
            raise LatexError("a repeating decimal that is not digits", token.start, self.here.end)
        while (
            self.brackets == 0
            and not token.text.startswith("0")
            and digits.isdigit()
            and len(token.text) <= 3
            and self.here.text == ","
            and not self.here.space
        ):
            following = self.ahead(1)
            if following.kind != "number" or following.space or not re.fullmatch(r"\d{3}(\.\d*)?", following.text):
                break
            self.at += 2
            digits += following.text
        return Number(number(Token("number", digits, token.start, self.here.start)))

    def adjacent(self, left: Node) -> Node:
        """Join two factors without a sign between: a mixed number, a unit, or a product."""
        token = self.here
        scale = SCALES.get(token.text.strip().casefold()) if token.kind in ("text", "word") else None
        if scale and isinstance(left, (Number, Quantity)):
            self.take()
            return self.scaled(left, scale)
        dressed = token.text.strip()
        if token.kind == "text" and not self._is_dressed_factor(dressed):
            return self.unit(left)
        if token.kind == "word" and is_unit(token.text, token.space) and not self._is_name(left):
            return self.unit(left)
        if token.kind == "word" and is_prose(token.text):
            self.letters()
        if token.kind == "number" and not (isinstance(left, Apply) and left.name == "!"):
            return self.mixed(left, token)
        is_fraction = token.text == r"\frac"
        right = self.factor()
        before = left.args[1] if isinstance(left, Apply) and left.name in ("*", "/") else left
        if is_fraction and isinstance(before, Number) and before.value.denominator == 1:
            value, unit = (right.value, right.unit) if isinstance(right, Quantity) else (right, "")
            part = plain_fraction(value)
            if part is not None and (before is not left or not 0 < part < 1):
                raise LatexError("a product or a mixed number", token.start, token.end)
            if part is not None:  # a mixed number; its sign is that of the whole
                whole = Number(before.value + part if before.value >= 0 else before.value - part)
                return Quantity(whole, unit) if unit else whole
        return Apply("*", (left, right))

    @staticmethod
    def _is_dressed_factor(text: str) -> bool:
        """Say whether words in a text macro are mathematics: a letter that is no unit, or pi."""
        return text in _NO_UNITS or (len(text) == 1 and text.isalpha() and text not in LETTER_UNITS)

    @staticmethod
    def _is_name(node: Node) -> bool:
        return isinstance(node, Words)

    @staticmethod
    def scaled(left: Node, scale: int) -> Node:
        """Return a number with its word of scale, such as "five million", as one number."""
        if isinstance(left, Quantity):
            return Quantity(Quantities.scaled(left.value, scale), left.unit)
        return Number(left.value * scale) if isinstance(left, Number) else Apply("*", (left, Number(Fraction(scale))))

    def letters(self) -> None:
        """Cut a word into its letters, a product: the abc of 2abc."""
        token = self.here
        self.tokens[self.at : self.at + 1] = [
            Token("word", letter, token.start + i, token.start + i + 1) for i, letter in enumerate(token.text)
        ]

    def mixed(self, left: Node, token: Token) -> Node:
        """Read the 1/2 of ``2 1/2``.

        Raises:
            LatexError: Two numbers stand side by side.
        """
        compound = COMPOUND.get(left.unit) if isinstance(left, Quantity) else None
        if compound and isinstance(left, Quantity):
            return self.compound(left, *compound)
        bottom = self.ahead(2)
        if (
            isinstance(left, Number)
            and left.value.denominator == 1
            and self.ahead(1).text == "/"
            and bottom.kind == "number"
            and number(bottom) > number(token)
        ):
            self.at += 3
            part = number(token) / number(bottom)
            return self.postfix(Number(left.value + part if left.value >= 0 else left.value - part))
        raise LatexError("a number after a factor, without a sign between", token.start, token.end)

    def compound(self, left: Quantity, unit: str, count: int) -> Node:
        """Read the 30 minutes of ``5 hours 30 minutes``, and return all of it in the smaller unit."""
        token = self.here
        rest = self.unit(self.numeral(self.take()))
        if not isinstance(rest, Quantity) or rest.unit != unit or not isinstance(left.value, Number):
            raise LatexError("two quantities side by side", token.start, self.here.end)
        more = rest.value.value if isinstance(rest.value, Number) else Fraction(0)
        whole = left.value.value * count
        return Quantity(Number(whole - more if whole < 0 else whole + more), unit)

    def unit(self, value: Node) -> Node:
        r"""Read words after a value as its unit, with powers: ``\text{ cm}^2``, "square feet", "miles per hour"."""
        parts: list[str] = []
        while self.here.kind == "text" or (self.here.kind == "word" and self._continues_unit(parts)):
            if self.here.text.strip().strip(",").casefold() in ("and", "or", "to"):
                break
            token = self.take()
            try:
                parts.append(check_unit(token.text.strip()))
            except ValueError as error:
                raise LatexError(str(error), token.start, token.end) from None
            while self.accept("."):  # of an abbreviation
                continue
            if self.accept("^"):
                parts[-1] += f"^{short(self.argument())}"
            if self.accept("/"):
                parts.append("/")
        joined = " ".join(parts).strip(" .,")
        if not joined:
            return value
        if joined.casefold().startswith(("squared", "cubed")):
            raise LatexError("a power in words", self.here.start, self.here.end)
        return self.spelt_out(value, unit_name(joined))

    @staticmethod
    def spelt_out(value: Node, unit: str) -> Node:
        """Put a unit to a value; the percent after a percentage and the degree's scale add to what is there."""
        if isinstance(value, Quantity):
            return Quantity(value.value, value.unit if unit == value.unit else f"{value.unit} {unit}")
        return Quantity(value, unit)

    def _continues_unit(self, parts: list[str]) -> bool:
        text = self.here.text
        if is_unit(text, True) or text.casefold() in ("per", "sq", "cu"):
            return True
        return bool(parts) and (
            parts[-1] in ("/", "per", "of") or text.casefold() in ("of", "an", "a", "each") or is_prose(text)
        )

    def postfix(self, node: Node) -> Node:
        """Read what follows a value: powers, degrees, factorials, percents, subscripts, primes."""
        powers, start = 0, self.at
        while True:
            if self.at - start > MAX_DEPTH:
                raise LatexError(f"more than {MAX_DEPTH} signs after one value", self.here.start, self.here.end)
            if self.here.text == "^" and self.here.kind == "op":
                caret = self.take()
                if self._is_degree():
                    node = self.spelt_out(node, "degree")
                elif isinstance(node, Symbol) and (primes := self._raised_primes()):
                    node = Symbol(node.name + primes)
                elif powers:
                    raise LatexError("a power of a power without brackets", caret.start, caret.end)
                else:
                    node, powers = Apply("^", (node, self.power())), 1
            elif self.accept(r"\circ"):
                node = self.spelt_out(node, "degree")
            elif bang := self.accept("!"):
                if isinstance(node, Apply) and node.name == "!":
                    raise LatexError("a double factorial", bang.start, bang.end)
                node = Apply("!", (node,))
            elif self.accept("%"):
                node = self.spelt_out(node, "%")
            elif self.here.text == "_" and self.here.kind == "op":
                node = self.subscript(node)
            elif self.here.text == "'" and isinstance(node, Symbol):
                self.take()
                node = Symbol(node.name + "'")
            else:
                return node

    def _is_degree(self) -> bool:
        r"""Accept what makes ``^`` a degree sign: ``\circ``, ``{\circ}``, or a raised letter o behind a number."""
        if self.accept(r"\circ"):
            return True
        following = [token.text for token in self.tokens[self.at : self.at + 3]]
        if following in (["{", r"\circ", "}"], ["{", "o", "}"]):
            self.at += 3
            return True
        return bool(following[:1] == ["o"] and self.take())

    def _raised_primes(self) -> str:
        r"""Accept the primes of ``x^{\prime}`` and ``x^\prime``, and return them; empty where there are none."""
        at = self.at + (self.here.text == "{")
        end = at
        while end < len(self.tokens) and self.tokens[end].text == "'":
            end += 1
        braced = at > self.at
        if end == at or (braced and (end == len(self.tokens) or self.tokens[end].text != "}")):
            return ""
        self.at = end + braced
        return "'" * (end - at)

    def subscript(self, node: Node) -> Node:
        """Read a subscript: the base of a numeral, or part of a name."""
        start = self.take().start
        token = self.here
        named = self._named_subscript()
        if named is not None and isinstance(node, Symbol):
            return Symbol(f"{node.name}_{named}")
        argument = words(token.text, token.start, token.end) if token.kind == "text" and self.take() else self.power()
        if isinstance(argument, (Words, Symbol, Apply)) and isinstance(node, Number):
            value = spelt_number(short(argument))
            argument = Number(value) if value is not None else argument
        if isinstance(node, (Number, Words)) and isinstance(argument, Number):
            return Quantity(node, f"base {argument.value}")
        if isinstance(node, Symbol):
            return Symbol(f"{node.name}_{short(argument)}")
        if isinstance(node, Apply) and node.name in ACCENTS and isinstance(node.args[0], Symbol):
            # the index of x, not of its accent, in \dot{x}_0 as in \dot{x_0}
            return Apply(node.name, (Symbol(f"{node.args[0].name}_{short(argument)}"),))
        raise LatexError("a subscript that is neither a base nor part of a name", start, self.here.end)

    def _named_subscript(self) -> str | None:
        r"""Accept the name of a function as a subscript, the ``\min`` of ``n_{\min}``, and return it."""
        texts = [self.ahead(i).text for i in range(3)]
        bare = texts[0].lstrip("\\")
        if self.here.kind == "macro" and bare in FUNCTIONS:
            self.take()
            return bare
        if texts[0] == "{" and texts[2] == "}" and texts[1].lstrip("\\") in FUNCTIONS:
            self.at += 3
            return texts[1].lstrip("\\")
        return None
