r"""A second judge of miniature solutions, written apart from the oracle: it shares no code with it and works another way.

The oracle keeps a table of stated values and reads a line with a grammar. This judge never looks at operation indices: it holds the
problem as a term, a nested list such as ["-", ["*", 3, 3], 24], and rewrites it. A line is right where its work is a redex of the
term (an operator on two numbers) and its value is what Python computes for it; then the redex is replaced by what the line
says. Lines are translated to Python and evaluated as Python.
"""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

PYTHON = {"+": "+", "-": "-", "*": "*", "/": "/", "^": "**", "%": "%"}


def term_of(plan):
    """The problem as nested lists; the only thing read from a plan."""

    def build(operand):
        if isinstance(operand, int):
            return Fraction(operand)
        step = plan.operations[operand.index]
        return [step.operator, build(step.left), build(step.right)]

    return ["tuple", *(build(_ref(index)) for index in plan.answer)]


class _ref:
    def __init__(self, index):
        self.index = index


def number(text):
    """A number as the second judge reads it: int() and Fraction() of Python, signs and braces by hand."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    sign = -1 if text.startswith("-") else 1
    body = text[1:].strip() if sign < 0 else text
    if body.startswith("\\frac"):
        pieces = [piece.strip() for piece in body[5:].strip().strip("{}").split("}{")]
        if (
            len(pieces) != 2
            or not all(piece.isdecimal() and len(piece) < 10 for piece in pieces)
            or int(pieces[1]) == 0
        ):
            return None
        return sign * Fraction(int(pieces[0]), int(pieces[1]))
    return sign * Fraction(int(body)) if body.isdecimal() and body.isascii() and len(body) < 10 else None


def final_form(text):
    """The number, if it is written as a result must be."""
    value = number(text) if "(" not in text else None
    if value is None:
        return None
    squeezed = text.replace(" ", "")
    whole = value.denominator == 1
    expected = (
        f"{value.numerator}" if whole else f"{'-' * (value < 0)}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    )
    return value if squeezed == expected else None


def binary(text):
    """The operator and operands of the left side, found by trying every place where an operator could stand."""
    text = text.strip()
    for command, sign in (("\\binom", "C"), ("\\frac", "/")):
        if text.startswith(command):
            depth, cut = 0, []
            for at, letter in enumerate(text):
                depth += (letter == "{") - (letter == "}")
                if letter in "{}" and depth == (letter == "{"):
                    cut.append(at)
            if len(cut) == 4 and cut[3] == len(text) - 1 and not text[cut[1] + 1 : cut[2]].strip():
                a, b = number(text[cut[0] + 1 : cut[1]]), number(text[cut[2] + 1 : cut[3]])
                return None if a is None or b is None else (sign, a, b)
    for token, sign in (("\\cdot", "*"), ("\\bmod", "%"), ("^", "^"), ("+", "+"), ("-", "-")):
        for found in re.finditer(re.escape(token), text):
            right = text[found.end() :].strip()
            if sign == "^":
                if right.startswith("{") and right.endswith("}"):
                    right = right[1:-1]
                elif not (right.isdecimal() and len(right) == 1):
                    continue
            a, b = number(text[: found.start()]), number(right)
            if a is not None and b is not None:
                return sign, a, b
    return None


def compute(sign, a, b):
    """What Python says the work is; None where it has no value."""
    if sign == "C":
        if a.denominator > 1 or b.denominator > 1 or not 0 <= b <= a <= 100:
            return None
        count = Fraction(1)
        for i in range(int(b)):  # Pascal's product, not math.comb
            count = count * (a - i) / (i + 1)
        return count
    if (sign == "/" and b == 0) or (sign in "%^" and (a.denominator > 1 or b.denominator > 1)):
        return None
    if (sign == "%" and b <= 0) or (sign == "^" and not 0 <= b <= 6):
        return None
    whole = sign in "%^"
    left, right = (f"({int(x)})" if whole else f"Fraction({x.numerator}, {x.denominator})" for x in (a, b))
    return Fraction(eval(f"{left} {PYTHON[sign]} {right}", {"Fraction": Fraction}))


def redexes(term):
    """Every place (parent, position) whose term is an operator on two numbers, inner and left ones first."""
    for position, child in enumerate(term):
        if isinstance(child, list):
            yield from redexes(child)
            if not isinstance(child[1], list) and not isinstance(child[2], list):
                yield term, position


def same_work(work, redex):
    """Whether a line's work is this redex, operands in either order where that is free."""
    orders = itertools.permutations(redex[1:]) if redex[0] in "+*" else [redex[1:]]
    return work[0] == redex[0] and any(tuple(order) == work[1:] for order in orders)


def judge(plan, text):
    """Return (labels, answer right) of a text, by rewriting."""
    term, gold = term_of(plan), value_of(term_of(plan))
    labels, history = [], []
    for line in (line.strip() for line in text.split("\n")):
        if line:
            labels.append(_line(term, line, history))
    last = text.rfind("\\boxed{")
    answer = None
    if last >= 0:
        inside = text[last + 7 : text.find("}\n", last) if "}\n" in text[last:] else text.rstrip().rfind("}")]
        answer = [number(part) for part in inside.strip().strip("()").split(",")]
        if (len(answer) > 1) != ("(" in inside):
            answer = None
    return labels, answer == gold


def value_of(term):
    """The true answer: the term, evaluated from the inside."""

    def value(part):
        return part if not isinstance(part, list) else compute(part[0], value(part[1]), value(part[2]))

    return [value(part) for part in term[1:]]


def _line(term, line, history):
    if line.startswith("\\boxed{") and line.endswith("}"):
        inside = line[7:-1].strip()
        parts = (
            inside[1:-1].split(",") if inside.startswith("(") and inside.endswith(")") and "," in inside else [inside]
        )
        return [final_form(part.strip()) for part in parts] == term[1:]
    sides = line.split("=")
    work = binary(sides[0]) if len(sides) == 2 else None
    value = final_form(sides[1].strip()) if work else None
    if value is None:
        return False
    places = list(redexes(term))
    for parent, position in places:
        if same_work(work, parent[position]):
            right = compute(*work) == value
            history.append((work, value, right))
            parent[position] = value
            return right
    for earlier, said, right in history:
        if same_work(work, list(earlier)) and said == value:
            return right
    if any(same_work(work, list(earlier)) for earlier, _, _ in history):
        return False
    history.append((work, value, False))
    if places:
        parent, position = places[0]
        parent[position] = value
    return False
