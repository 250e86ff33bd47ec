"""Corrupted miniature solutions: every kind of mistake a text may hold, several at once."""

from __future__ import annotations

import random
import re

GARBAGE = (
    "so we get", "= 5", "3 + = 4", "3 + 4", "3 + 4 = 7 = 7", "\\boxed{}", "\\boxed{(1, )}", "4 = 4", "2 + 2 = 4",
    "1 \\cdot 1 = 1", "3 + 4 = 07",
    "3 - 3 = -0", "\\frac{4}{8} = \\frac{4}{8}", "\\frac{1}{0} = 0", "\\binom{2}{5} = 0", "7 \\bmod 0 = 7",
    "\\frac{13}{4} = \\frac{13}{4}",
    "\\frac{13}{4} - 2 = \\frac{5}{4}", "1234567890 + 1 = 1234567891", "2^{-1} = \\frac{1}{2}", "(3) + (-4) = -1",
    "\\boxed{ 7 }", "３ + 4 = 7",
    "1 2 + 3 = 15", "-\\frac{1}{2} + 1 = \\frac{1}{2}", "7 \\bmod -3 = 1",
)  # fmt: skip
SIGNS = (" + ", " - ", " \\cdot ", " \\bmod ")


def corrupt(lines: list[str], rng: random.Random, changes: int) -> str:
    """Return a text with some lines changed, dropped, swapped, doubled or put in."""
    lines = list(lines)
    for _ in range(changes):
        if not lines:
            break
        at = rng.randrange(len(lines))
        kind = rng.choice("digit digit operator operand value swap drop double insert commute box carry".split())
        line = lines[at]
        numbers = list(re.finditer(r"-?\d+", line))
        if kind == "digit" and (digits := list(re.finditer(r"\d", line))):
            found = rng.choice(digits)
            lines[at] = line[: found.start()] + str(rng.randint(0, 9)) + line[found.end() :]
        elif kind == "operator" and (signs := [sign for sign in SIGNS if sign in line]):
            lines[at] = line.replace(signs[0], rng.choice(SIGNS), 1)
        elif kind == "operand" and numbers:
            found = rng.choice(numbers)
            lines[at] = line[: found.start()] + str(rng.randint(-9, 30)) + line[found.end() :]
        elif kind == "value" and " = " in line:
            lines[at] = line.split(" = ")[0] + f" = {rng.randint(-9, 30)}"
        elif kind == "swap" and at:
            lines[at - 1], lines[at] = lines[at], lines[at - 1]
        elif kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(rng.randrange(len(lines) + 1), line)
        elif kind == "insert":
            lines.insert(at, rng.choice((*GARBAGE, "")))
        elif kind == "commute" and (found := re.fullmatch(r"(\S+) (\+|\\cdot) (\S+) = (.*)", line)):
            lines[at] = f"{found[3]} {found[2]} {found[1]} = {found[4]}"
        elif kind == "box":
            lines[-1] = f"\\boxed{{{rng.randint(-9, 30)}}}"
        elif kind == "carry" and (found := re.search(r"-?\d+$", line)):  # a wrong value that the later lines build on
            new = str(int(found[0]) + rng.choice((-10, -1, 1, 10)))
            lines[at:] = [line[: found.start()] + new] + [
                re.sub(rf"(?<![\d-]){re.escape(found[0])}(?!\d)", new, later) for later in lines[at + 1 :]
            ]
    return "\n".join(lines)
