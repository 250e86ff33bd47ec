r"""Answer classes: the partition of one problem's answers by equivalence.

Equivalence to gold is not an equivalence relation, so a partition cannot follow every pair of verdicts. These are its
rules:

* Answers that equal gold are one class, whatever else they say.
* Of the others, those with one normal form are one class. A unit or name that is left out is left open, as it is
  towards gold: 5 and 5 cm are one class, unless another answer says 5 m. Then each unit is a class of its own, and so
  is 5.
* Where gold is a choice, wrong answers that name one choice are one class, however it is written: C, (C) and C) 12 m.
  The right one's are one already, and a vote between one class and the dresses of another would not be fair.
* Two classes are joined where each of their leaders equals the other, in both orders: 0.5 and \sin 30^\circ, 1/2 and
  1:2, (1, 2) and x = 1, y = 2, 5 cm and 0.05 m. At most :data:`MAX_PAIRS` pairs are compared, and none once the
  problem has used :data:`PROBLEM_SECONDS`; the remaining classes stay apart.

Some rules of equality are not symmetric, so they neither split nor join a class by themselves: a unit or base that only
gold has (5 m, answered by 5), names (x = 5, answered by 5), a percentage answered by its number, a range of definition
(e^{\ln x}, answered by x), and spellings joined by "or". A symmetric rule is not always transitive: 1 < x < 2 and
x = 1, y = 2 both equal (1, 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prm_eval.grading.deciding.equivalence import Decision, Form, decide, named_choice, read
from prm_eval.grading.deciding.expressions import spent_seconds
from prm_eval.grading.deciding.options import STRICT, GradingOptions
from prm_eval.grading.reading.tree import Quantity
from prm_eval.grading.reading.units import conflict, same_measure
from prm_eval.records import GradeRow

# comparisons of classes for one problem; beyond them only normal forms and texts join answers
MAX_PAIRS = 100
# processor time, ours and the worker's, after which the remaining answers of a problem are undecided
PROBLEM_SECONDS = 20.0
# types of normal forms that may equal a form of another type
_ACROSS = frozenset(["ratio", "time", "clock", "tuple", "collection", "interval", "matrix"])


@dataclass(frozen=True)
class Classes:
    """The class index of each answer, -1 where there is none; and the verdict on each class, with its rule."""

    of_answer: tuple[int, ...]
    verdicts: tuple[tuple[bool | None, str], ...]


class _Budget:
    """The processor time that one problem may take, on this thread and in the worker."""

    def __init__(self) -> None:
        self._started = spent_seconds()

    @property
    def spent(self) -> bool:
        """Whether no time is left."""
        return spent_seconds() - self._started > PROBLEM_SECONDS


def answer_classes(answers: Sequence[str | None], gold: str | None = None) -> tuple[int, ...]:
    """Return the class index of each answer, -1 for None.

    The partition is transitive and does not depend on the order of the answers (class numbers follow first appearance).
    Answers equivalent to ``gold``, where it is given, are one class: each is equivalent to gold, hence to the others.
    """
    return classify(answers, gold).of_answer


def classify(answers: Sequence[str | None], gold: str | None, options: GradingOptions = STRICT) -> Classes:
    """Return the classes of answers with the verdict on each; the work grows with the number of distinct answers."""
    return _classify(answers, gold, options)[0]


def _classify(
    answers: Sequence[str | None], gold: str | None, options: GradingOptions
) -> tuple[Classes, dict[str, Decision]]:
    distinct = sorted({answer for answer in answers if answer is not None})
    budget = _Budget()
    to_gold = {answer: _within(budget, gold, answer, options) for answer in distinct} if gold is not None else {}
    right = {answer for answer in to_gold if to_gold[answer].equal}
    leader = _leaders([answer for answer in distinct if answer not in right], gold)
    leader |= dict.fromkeys(right, min(right, default=""))
    _join(leader, {answer for answer in distinct if answer not in right}, budget)
    number: dict[str, int] = {}
    of_answer = tuple(-1 if answer is None else number.setdefault(leader[answer], len(number)) for answer in answers)
    verdicts: list[tuple[bool | None, str]] = []
    for head in number:
        decision = to_gold.get(head)
        verdicts.append((decision.equal, decision.rule) if decision else (None, "no_gold"))
    return Classes(of_answer, tuple(verdicts)), to_gold


def _within(budget: _Budget, gold: str, answer: str, options: GradingOptions) -> Decision:
    """Return the verdict on an answer; it is undecided once the problem's time is used up."""
    if budget.spent:
        return Decision(None, "undecided", f"the {PROBLEM_SECONDS:g} s of one problem are used up")
    return decide(gold, answer, options)


def _leaders(answers: list[str], gold: str | None) -> dict[str, str]:
    """Return for each answer the first of those that share its form, or that name the same choice."""
    groups: dict[object, list[str]] = {}
    for answer in answers:
        letter = named_choice(gold, answer) if gold is not None else None
        groups.setdefault(("choice", letter) if letter else _key(answer), []).append(answer)
    leader: dict[str, str] = {}
    for members in groups.values():
        units = {answer: _unit(read(answer)) for answer in members}
        known = sorted({unit for unit in units.values() if unit})
        apart = any(conflict(one, other) for i, one in enumerate(known) for other in known[:i])
        first: dict[str, str] = {}
        for answer in members:
            leader[answer] = first.setdefault(units[answer] if apart else "", answer)
    return leader


def _key(answer: str) -> object:
    """Return the key that joins answers without a comparison: their form, or the text of one without a form."""
    form = read(answer)
    if form.normal is None:
        return ("text", form.text)
    names = form.normal.tags if len(form.normal.names) > 1 else ()
    return ("form", form.normal.key, tuple(name for name, _ in names))


def _unit(form: Form) -> str:
    return form.normal.unit if form.normal is not None else ""


def _join(leader: dict[str, str], wrong: set[str], budget: _Budget) -> None:
    """Join the leaders of classes whose forms cannot tell them apart, where each is shown to equal the other."""
    heads = sorted({leader[answer] for answer in wrong})
    forms = {head: read(head) for head in heads}
    pairs = 0
    for i, head in enumerate(heads):
        for other in heads[:i]:
            one, two = forms[head], forms[other]
            if leader[head] == leader[other] or not _may_be_equal(one, two):
                continue
            if not _is_measure(one, two):
                if pairs >= MAX_PAIRS or budget.spent:
                    continue
                pairs += 1
            if decide(other, head).equal and decide(head, other).equal:
                old, new = leader[head], leader[other]
                for answer in leader:
                    if leader[answer] == old:
                        leader[answer] = new


def _may_be_equal(one: Form, other: Form) -> bool:
    """Say whether two forms that are apart may still be equal: one is incomplete, or their types are compared."""
    if one.normal is None or other.normal is None:
        return False
    # equal keys are apart by units, which contradict each other, or by names, which may be left out
    if one.normal.key == other.normal.key:
        return one.normal.names != other.normal.names and one.normal.unit == other.normal.unit
    if isinstance(one.node, Quantity) or isinstance(other.node, Quantity):
        return _is_measure(one, other)
    kinds = {one.normal.key[0], other.normal.key[0]}
    if not (one.normal.complete and other.normal.complete):
        return len(kinds) == 1
    return len(kinds) == 2 and (kinds <= _ACROSS or kinds == {"ratio", "poly"})


def _is_measure(one: Form, other: Form) -> bool:
    return (
        isinstance(one.node, Quantity)
        and isinstance(other.node, Quantity)
        and one.node.unit != other.node.unit
        and same_measure(one.node, other.node) is not None
    )


def grade_answers(
    answers: Sequence[str | None], gold: str, slots: Sequence[int], options: GradingOptions = STRICT
) -> list[GradeRow]:
    """Return the grade of each answer of one problem, with its class."""
    classes, decisions = _classify(answers, gold, options)
    rows: list[GradeRow] = []
    for slot, answer, index in zip(slots, answers, classes.of_answer, strict=True):
        if answer is None:
            rows.append(GradeRow(slot, None, None, "no_answer", "no_answer"))
            continue
        decision = decisions[answer]
        verdict = "undecided" if decision.equal is None else ("correct" if decision.equal else "incorrect")
        rows.append(GradeRow(slot, answer, index, verdict, decision.rule))  # type: ignore[arg-type]
    return rows
