r"""A second judge of miniature solutions, written apart from the oracle: it shares no code with it and works another
way. What a step is, is the splitter's to say, for both.

The oracle keeps lists of signed terms and reads a line with a grammar. This judge holds the problem as a binary term,
nested lists such as ["-", ["*", 3, 3], 24], and rewrites it. Two numbers of the term may be worked out together where
the way from each to the place where they meet leads over sums alone (or products alone) and enters no subtracted
parentheses. One of them is replaced by what the line says, the other disappears. Lines are translated to Python and
evaluated as Python.
"""

from __future__ import annotations

import copy
import itertools
import re
from fractions import Fraction

from prm_eval.texts.steps import split_steps

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


GONE = "gone"


def leaves(term, path=()):
    """The paths to every number of the term, from left to right; a path is the positions to take."""
    if not isinstance(term, list):
        return [path] if term is not GONE else []
    return [found for position in range(1, len(term)) for found in leaves(term[position], (*path, position))]


def at(term, path):
    for position in path:
        term = term[position]
    return term


def meeting(term, one, other):
    """How two numbers can be worked out together: (operator, sign, sign), or None where they cannot."""
    depth = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    root = at(term, one[:depth])
    if root[0] not in "+-*":
        return (root[0], 1, 1) if root[0] != "tuple" and len(one) == len(other) == depth + 1 else None
    family, signs = "*" if root[0] == "*" else "+-", []
    for path in (one, other):
        for end in range(depth, len(path)):
            node = at(term, path[:end])
            if node[0] not in family:
                return None
            if node[0] == "-" and path[end] == 2 and end < len(path) - 1:
                return None  # inside subtracted parentheses, and the other number is outside of them
        signs.append(-1 if at(term, path[:-1])[0] == "-" and path[-1] == 2 else 1)
    return ("*" if family == "*" else "+", *signs)


def ways(term):
    """Every pair of numbers that can be worked out together, by where the later of them stands."""
    paths = leaves(term)
    for j, other in enumerate(paths):
        for one in paths[:j]:
            how = meeting(term, one, other)
            if how:
                yield one, other, how


def fits(work, term, one, other, how):
    """The sign with which a line's value takes the place of both numbers, or 0 where the line says something else."""
    sign, x, y = how[0], at(term, one), at(term, other)
    if sign != "+":
        pairs = itertools.permutations((x, y)) if sign == "*" else [(x, y)]
        return int(work[0] == sign and work[1:] in pairs)
    if work[0] not in "+-":
        return 0
    total = [how[1] * x, how[2] * y]
    said = [work[1], compute(work[0], Fraction(0), work[2])]
    if sorted(total) == sorted(said):
        return 1
    return -int(how[1:] == (-1, -1) and work[0] == "+" and sorted(work[1:]) == sorted((x, y)))


def same_work(work, earlier):
    """Whether a line's work is what an earlier line worked out, operands in either order where that is free."""
    orders = itertools.permutations(earlier[1:]) if earlier[0] in "+*" else [earlier[1:]]
    return work[0] == earlier[0] and any(tuple(order) == work[1:] for order in orders)


def put(term, one, other, how, value):
    """Replace one number, and let the other disappear."""
    at(term, one[:-1])[one[-1]] = how[1] * value
    at(term, other[:-1])[other[-1]] = GONE
    while tidy(term):
        pass


def starts_gone(term):
    """Whether the first number of a sum is gone."""
    return term is GONE or (isinstance(term, list) and term[0] in "+-" and starts_gone(term[1]))


def tidy(term):
    """Take a number that is gone out of its operation; True where something was done."""
    for position in range(1, len(term)):
        child = term[position]
        if not isinstance(child, list):
            continue
        sign, left, right = child
        if GONE in (left, right) and (sign != "-" or right is GONE):
            term[position] = left if right is GONE else right
            return True
        if term[0] == "+" and position == 2 and sign in "+-" and starts_gone(left):  # a + (gone - c) is (a + gone) - c
            term[:] = [sign, ["+", term[1], left], right]
            return True
        if tidy(child):
            return True
    return False


def judge(plan, text):
    """Return (labels, answer right) of a text, by rewriting."""
    terms, gold = [term_of(plan)], value_of(term_of(plan))
    labels, history = [], []
    for line in (line.strip() for line in split_steps(text, "line")):
        if line:
            labels.append(_line(terms, line, history))
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


def _line(terms, line, history):
    """One line on all the terms that the problem may have become; terms in which it fits nowhere are dropped."""
    if line.startswith("\\boxed{") and line.endswith("}"):
        inside = line[7:-1].strip()
        parts = (
            inside[1:-1].split(",") if inside.startswith("(") and inside.endswith(")") and "," in inside else [inside]
        )
        said = [final_form(part.strip()) for part in parts]
        return any(said == term[1:] for term in terms)
    sides = line.split("=")
    work = binary(sides[0]) if len(sides) == 2 else None
    value = final_form(sides[1].strip()) if work else None
    if value is None:
        return False
    became = []
    for term in terms:
        for one, other, how in list(ways(term)):
            sign = fits(work, term, one, other, how)
            if sign:
                new = copy.deepcopy(term)
                put(new, one, other, how, sign * value)
                if new not in became:
                    became.append(new)
    if became:
        terms[:] = became
        right = compute(*work) == value
        history.append((work, value, right))
        return right
    for earlier, said, right in history:
        if same_work(work, list(earlier)) and said == value:
            return right
    if any(same_work(work, list(earlier)) for earlier, _, _ in history):
        return False
    history.append((work, value, False))
    for term in terms:
        places = list(ways(term))
        if places:
            one, other, how = places[0]
            put(term, one, other, how, how[1] * value)
    return False
