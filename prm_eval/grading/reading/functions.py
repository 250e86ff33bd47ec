"""The parser's rules for letters and macros: functions, constants, names, dressed words."""

from __future__ import annotations

import re
from fractions import Fraction

from prm_eval.grading.reading.grammar import short, words
from prm_eval.grading.reading.quantities import Quantities
from prm_eval.grading.reading.structures import Structures
from prm_eval.grading.reading.tokens import LatexError, Token
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Quantity, Relation, Symbol, Words
from prm_eval.grading.reading.units import CURRENCY_MACROS
from prm_eval.grading.reading.words import FUNCTIONS, GREEK, is_prose

TRIGONOMETRIC = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
CONSTANTS = {"pi": "pi", "infty": "infinity", "infinity": "infinity", "inf": "infinity", "oo": "infinity"}
NUMERIC_TEXT = re.compile(r"\s*[-\d.,/ ]*\d[-\d.,/ ]*")
_ALIASES = {
    "lg": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arccot": "acot",
    "arcsec": "asec",
    "arccsc": "acsc",
}
_ALIASES |= {f"{ar}{name}": f"a{name}" for ar in ("arc", "ar") for name in ("sinh", "cosh", "tanh")}
UNIT_VECTORS = (Symbol("i"), Symbol("j"), Symbol("k"))
_EVENT_SIGNS = frozenset(("=", "|", "<", ">", r"\le", r"\ge", r"\cap", r"\cup", "and", "or"))
MAX_COUNT = 200
_NUMBER_SETS = {"R": "R", "Z": "ZZ", "N": "NN", "Q": "QQ", "C": "CC"}


class Functions(Quantities, Structures):
    """The rules for letters, words and macros."""

    def word(self, token: Token) -> Node:
        """Read bare letters: a function, a constant, a spelt-out word, or a product of letters."""
        name = token.text
        if name in ("P", "Pr", "E", "Var") and self.here.text == "(":
            event = self.event("P" if name == "Pr" else name)
            if event is not None:
                return event
        if name == "C" and self.here.text == "(":
            count = self.count()
            if count is not None:
                return count
        if name in FUNCTIONS and not (name in ("Re", "Im", "det", "arg") and self.here.text != "("):
            return self.function(name)
        if name in ("sqrt", "cbrt"):
            return self.root("3" if name == "cbrt" else "2")
        if name in CONSTANTS:
            return Symbol(CONSTANTS[name])
        if name in GREEK and len(name) > 2:
            return Symbol(name)
        if len(name) > 1 and is_prose(name):
            return words(name, token.start, token.end)
        if len(name) == 1:
            return Symbol(name)
        # a product of letters; a power that follows belongs to the last of them
        self.tokens[self.at - 1] = Token("word", name[1:], token.start + 1, token.end)
        self.at -= 1
        return Symbol(name[0])

    def event(self, name: str) -> Node | None:
        """Read the P(X = 2) of a probability as one name; None where the brackets hold a value or point."""
        depth, end = 0, self.at
        while end < len(self.tokens):
            depth += {"(": 1, ")": -1}.get(self.tokens[end].text, 0)
            end += 1
            if depth == 0:
                break
        inside = self.tokens[self.at : end]
        if depth or not any(each.kind == "text" or each.text in _EVENT_SIGNS for each in inside):
            return None
        self.at = end
        return Symbol(f"{name}{''.join(each.text for each in inside)}")

    def count(self) -> Node | None:
        """Read C(12, 2), the number of combinations; None where it can only be a point."""
        inside = [self.ahead(i) for i in range(5)]
        if [inside[2].text, inside[4].text] != [",", ")"] or not all(inside[i].text.isdigit() for i in (1, 3)):
            return None
        n, k = (Number(Fraction(inside[i].text[:6])) for i in (1, 3))
        if not k.value <= n.value <= MAX_COUNT:
            return None
        self.at += 5
        return Apply("binom", (n, k))

    def root(self, index: str) -> Node:
        """Read the radicand of sqrt(...) or cbrt(...)."""
        radicand = self.power()
        return Apply("sqrt", (radicand,)) if index == "2" else Apply("root", (radicand, Number(Fraction(3))))

    def text(self, token: Token) -> Node:
        """Read dressed words: a number, a letter, a function's name, or words."""
        inner = token.text.strip()
        if NUMERIC_TEXT.fullmatch(inner) or inner[:1].isdigit():
            return type(self).from_text(inner)
        if len(inner) == 1 and inner.isalpha():
            return Symbol(inner)
        if inner in FUNCTIONS:
            return self.function(inner)
        if inner in CONSTANTS:
            return Symbol(CONSTANTS[inner])
        return words(inner, token.start, token.end)

    @classmethod
    def from_text(cls, text: str) -> Node:
        """Parse a separate text."""
        raise NotImplementedError

    def function(self, name: str) -> Node:
        """Read a function: its power, its base, its argument (a bracket, or the product that follows)."""
        power = self.argument() if self.accept("^") else None
        name = _ALIASES.get(name, name)
        base: tuple[Node, ...] = (self.function_base(),) if name == "log" and self.accept("_") else ()
        if power is None and base and self.accept("^"):
            power = self.argument()
        if self.accept("("):
            inner = self.items()
            self.expect(")")
            args = inner.items if isinstance(inner, Bracket) and not inner.left else (inner,)
        else:
            args = (self.product_without_functions(),)
        if name in TRIGONOMETRIC or name == "cis":
            args = tuple(_radians(arg) for arg in args)
        node = _applied(name, args, base)
        if power is None:
            return node
        if power == Number(Fraction(-1)) and name in (*TRIGONOMETRIC, "sinh", "cosh", "tanh"):
            return Apply(f"a{name}", args)
        return Apply("^", (node, power))

    def function_base(self) -> Node:
        """Read the base of a logarithm: a whole number even without braces."""
        return self.power()

    def product_without_functions(self) -> Node:
        r"""Read ``\sin 2x``: factors up to the next sign or function."""
        node = self.factor()
        while self.starts_factor() and self.here.kind not in ("text",) and self.here.text not in ("(", "["):
            if self.here.text.lstrip("\\") in FUNCTIONS:
                break
            node = Apply("*", (node, self.factor()))
        if self.here.text == "/" and self.here.kind == "op":  # \\sin \\pi/6: of pi, or of pi/6?
            raise LatexError("a slash after a function's argument without brackets", self.here.start, self.here.end)
        return node

    def macro(self, token: Token) -> Node:
        """Read a macro with its arguments.

        Raises:
            LatexError: The macro is not known.
        """
        name = token.text[1:]
        if name in ("frac", "binom"):
            return Apply("/" if name == "frac" else "binom", (self.argument(), self.argument()))
        if name == "sqrt":
            if self.accept("["):
                index = self.sum()
                self.expect("]")
                return Apply("root", (self.argument(), index))
            return Apply("sqrt", (self.power(),))
        if name in ("sum", "prod"):
            return self.series(name)
        if name in CURRENCY_MACROS:
            return self.money(CURRENCY_MACROS[name])
        if name == "Pr" and self.here.text == "(":
            return self.event("P") or Apply("*", (Symbol("P"), self.factor()))
        if name in CONSTANTS:
            return Symbol(CONSTANTS[name])
        if name in GREEK:
            return Symbol(name)
        if name in FUNCTIONS:
            return self.function(name)
        if name == "dots":
            return Symbol("...")
        enclosing = self.enclosing(name, token)
        return enclosing if enclosing is not None else self.named(name, token)

    def enclosing(self, name: str, token: Token) -> Node | None:
        """Read a macro that opens something; None if it does not."""
        if name == "{":
            return self.set()
        if name == "emptyset":
            return Bracket("{", "}", ())
        if name in ("lfloor", "lceil"):
            inner = self.sum()
            self.expect(r"\rfloor" if name == "lfloor" else r"\rceil")
            return Apply("floor" if name == "lfloor" else "ceil", (inner,))
        if name == "langle":
            return self.angled()
        if name == "begin":
            return self.environment(token)
        return None

    def named(self, name: str, token: Token) -> Node:
        """Read a macro that makes a name: a set of numbers, an angle, a segment, a vector."""
        if name == "mathbb" or name == "Bbb":
            letter = short(self.argument())
            if letter in _NUMBER_SETS:
                return Symbol(_NUMBER_SETS[letter])
            if letter in ("E", "P", "V") and self.here.text in ("[", "("):  # an expectation, a probability
                return (self.event(letter) if self.here.text == "(" else None) or Symbol(letter)
        if name == "reals":
            return Symbol("R")
        if name in ("imath", "jmath"):
            return Symbol(name[0])
        if name == "hbar":
            return Symbol("hbar")
        if name.startswith("unit"):
            return Symbol(f"unit {name[-1]}")
        if name == "clock":
            hour, minute, half = (short(self.argument()) for _ in range(3))
            return Apply("clock", (Number(Fraction(hour) % 12 * 60 + Fraction(minute)), Symbol(half)))
        if name in ("angle", "triangle"):
            following = self.here
            if following.kind in ("word", "macro") or following.text == "{":
                return Symbol(f"{name} {short(self.argument() if following.text == '{' else self._letters())}")
        if name in (
            "overline",
            "bar",
            "overrightarrow",
            "vec",
            "hat",
            "widehat",
            "overleftrightarrow",
            "tilde",
            "dot",
            "ddot",
            "overarc",
        ):
            inner = self.argument()
            if name in ("hat", "widehat", "vec") and inner in UNIT_VECTORS:
                return Symbol(f"unit {short(inner)}")
            return Apply(name if name != "bar" else "overline", (inner,))
        raise LatexError(f"the macro {token.text} is not known here", token.start, token.end)

    def series(self, name: str) -> Node:
        r"""Read ``\sum_{k=1}^{n} k``: an index from one bound to another, and the product that follows."""
        lower = upper = None
        for _ in range(2):
            if self.accept("_"):
                lower = self.argument()
            elif self.accept("^"):
                upper = self.power()
        if not isinstance(lower, Relation) or lower.operators != ("=",) or upper is None:
            raise LatexError("a sum or product without its bounds", self.here.start, self.here.end)
        body = self.factor()
        while self.starts_factor() or self.here.text in ("*", "/"):
            sign = self.accept("*", "/")
            body = Apply(sign.text if sign else "*", (body, self.factor()))
        return Apply(name, (*lower.sides, upper, body))

    def _letters(self) -> Node:
        """Take all letters of the next token as one name."""
        token = self.take()
        return Words(token.text) if token.kind == "word" else self.macro(token)

    def money(self, currency: str) -> Node:
        """Read an amount behind its currency sign."""
        value = self.factor()
        while self.starts_factor() and self.here.text == r"\frac":
            value = self.adjacent(value)
        if isinstance(value, Quantity):
            return value if value.unit == currency else Quantity(value.value, f"{currency} {value.unit}")
        return Quantity(value, currency)


def _applied(name: str, args: tuple[Node, ...], base: tuple[Node, ...]) -> Node:
    """Return a function of its arguments in one spelling: exp as a power of e, log to base e as ln."""
    if name == "cis" and len(args) == 1:
        return Apply("+", (Apply("cos", args), Apply("*", (Symbol("i"), Apply("sin", args)))))
    if name == "exp" and len(args) == 1:
        return Apply("^", (Symbol("e"), args[0]))
    if name == "log" and base == (Symbol("e"),):
        return Apply("ln", args)
    if name == "log" and base == (Number(Fraction(10)),):
        return Apply("log", args)
    return Apply(name, (*args, *base))


def _radians(node: Node) -> Node:
    """Return an angle with its degrees as radians, for the functions of angles."""
    if isinstance(node, Quantity) and node.unit == "degree":
        return Apply("*", (node.value, Apply("/", (Symbol("pi"), Number(Fraction(180))))))
    if isinstance(node, Quantity) and node.unit == "rad":
        return node.value
    return Apply(node.name, tuple(_radians(arg) for arg in node.args)) if isinstance(node, Apply) else node
