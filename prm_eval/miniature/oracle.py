r"""The oracle, which says which steps of a text are right, given the steps before, and whether its answer is right.

A text is cut into lines (empty ones are no steps). :mod:`prm_eval.miniature.remaining` holds the work of the problem
that is left to do. These rules, in this order, give every step one label and one reason:

1. The line is outside the grammar of :mod:`prm_eval.miniature.reading` (garbage, prose, two equations, a number not in
   its final form): **wrong** (``form``). It changes nothing.
2. It states work that is left to do: an operation of the problem, on operands that the problem gives or that this text
   has stated. Any order of work will do, and sums and products may be regrouped: in ``6 + 8 - 4`` a text may work out
   any two terms first, also ``8 - 4`` or ``6 - 4``, and in ``x - 4 - 8`` also ``4 + 8``, which is then subtracted.
   Parentheses behind a minus and in front of a factor are worked out as they stand; no other law of algebra is known.
   **Right** if the value is true of these operands (``stated``), else **wrong** (``value``). In both cases later lines
   build on the value as it was written. If several places fit, because an operation occurs twice with the same
   operands, it stays open which of them is meant until a later line uses one; such an operation must be stated twice.
3. It states operands and operator of an earlier line again. With the same value it is a repetition: no progress, and no
   error if that line was right (the paper counts neutral as positive); it gets the label of that line (``repeat``).
   With another value it contradicts that line: **wrong** (``contradiction``), even where it would correct a mistake. It
   changes nothing.
4. It states anything else: wrong operand, wrong operator, an operation whose operands have not been stated, something
   true that the problem does not ask for. **Wrong** (``unfounded``), true or not. As a reader would, the oracle takes
   its value as the result of the first work that could be done, so later lines that build on it are judged given this
   value. With nothing left to do it changes nothing.
5. It boxes an answer. **Right** if nothing is left to do and the box holds the values as stated (``answer``), else
   **wrong** (``unsupported``), also where the number happens to be the right one.

The final answer is the last box of the text, in any form of the number (``\frac{2}{4}`` is ``\frac{1}{2}``), against
the problem's. It can be right although a step is wrong: two errors that cancel, or a remainder that hides one. Those
are the paper's false positives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from prm_eval.miniature.plan import COMMUTATIVE, Plan, evaluate
from prm_eval.miniature.reading import Boxed, Stated, final_answer, read_line
from prm_eval.miniature.remaining import Remaining
from prm_eval.texts.steps import split_steps

# an operator and its operands, which are sorted where their order is free
_Key: TypeAlias = "tuple[str, tuple[Fraction, ...]]"


@dataclass(frozen=True)
class StepLabel:
    """The label of a step: whether it is right, and which rule says so."""

    right: bool
    reason: str


@dataclass(frozen=True)
class Judgement:
    """The labels of a text's steps, and whether its final answer is right."""

    labels: tuple[StepLabel, ...]
    answer_right: bool

    @property
    def first_wrong(self) -> int | None:
        """The index of the first wrong step, or None."""
        return next((index for index, label in enumerate(self.labels) if not label.right), None)

    @property
    def sound(self) -> bool:
        """Whether every step is right, and the answer too."""
        return self.answer_right and self.first_wrong is None

    @property
    def false_positive(self) -> bool:
        """Whether the answer is right although a step is wrong."""
        return self.answer_right and self.first_wrong is not None


def judge(plan: Plan, text: str) -> Judgement:
    """Return the labels of a text's steps, which :func:`prm_eval.texts.steps.split_steps` cuts by line."""
    labels = judge_steps(plan, split_steps(text, "line"))
    values = plan.values()
    return Judgement(labels, final_answer(text) == tuple(values[index] for index in plan.answer))


def judge_steps(plan: Plan, steps: Sequence[str]) -> tuple[StepLabel, ...]:
    """Return the labels of steps in order; the module's docstring has the rules."""
    reader = _Reader(plan)
    return tuple(reader.judge(step) for step in steps)


class _Reader:
    """The state of a text that is read step by step: the lines it has stated, and the work that is left."""

    def __init__(self, plan: Plan) -> None:
        self._left = Remaining(plan)
        # the operations worked out so far, with the values stated for each and whether they are right
        self._lines: dict[_Key, dict[Fraction, bool]] = {}

    def judge(self, line: str) -> StepLabel:
        found = read_line(line)
        if found is None:
            return StepLabel(False, "form")
        if isinstance(found, Boxed):
            right = self._left.has_answer(found.values)
            return StepLabel(right, "answer" if right else "unsupported")
        return self._judge_stated(found)

    def _judge_stated(self, line: Stated) -> StepLabel:
        key = (line.operator, _operands(line.operator, line.left, line.right))
        if self._left.state(line.operator, line.left, line.right, line.value):
            right = evaluate(line.operator, line.left, line.right) == line.value
            self._lines.setdefault(key, {}).setdefault(line.value, right)
            return StepLabel(right, "stated" if right else "value")
        if key in self._lines:
            before = self._lines[key].get(line.value)
            return StepLabel(False, "contradiction") if before is None else StepLabel(before, "repeat")
        self._lines[key] = {line.value: False}
        self._left.state_any(line.value)
        return StepLabel(False, "unfounded")


def _operands(operator: str, left: Fraction, right: Fraction) -> tuple[Fraction, ...]:
    return tuple(sorted((left, right))) if operator in COMMUTATIVE else (left, right)
