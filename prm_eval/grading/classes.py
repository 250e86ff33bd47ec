"""Answer classes: the partition of one problem's answers by equivalence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prm_eval.grading.deciding.equivalence import decide, read
from prm_eval.grading.deciding.options import STRICT, GradingOptions
from prm_eval.records import GradeRow

MAX_PAIRS = 100  # symbolic comparisons a problem; beyond them only normal forms and texts join answers


@dataclass(frozen=True)
class Classes:
    """For each answer its class index, -1 where there is none; and what gold says of each class, with the rule."""

    of_answer: tuple[int, ...]
    verdicts: tuple[tuple[bool | None, str], ...]


def answer_classes(answers: Sequence[str | None], gold: str | None = None) -> tuple[int, ...]:
    """Return the class index of each answer, -1 for None.

    The partition is transitive and does not depend on the order of the answers (class numbers follow first appearance).
    Answers equivalent to ``gold``, where it is given, are one class: each is equivalent to gold, hence to the others.
    """
    return classify(answers, gold).of_answer


def classify(answers: Sequence[str | None], gold: str | None, options: GradingOptions = STRICT) -> Classes:
    """Return the classes of answers with gold's verdict on each; the work grows with the number of distinct answers."""
    distinct = sorted({answer for answer in answers if answer is not None})
    to_gold = {answer: decide(gold, answer, options) for answer in distinct} if gold is not None else {}
    leader: dict[str, str] = {}
    first_of: dict[object, str] = {}
    for answer in distinct:
        key: object = ("gold",) if answer in to_gold and to_gold[answer].equal else _key(answer)
        leader[answer] = first_of.setdefault(key, answer)
    _join_symbolically(leader, {answer for answer in distinct if not (answer in to_gold and to_gold[answer].equal)})
    number: dict[str, int] = {}
    of_answer = tuple(-1 if answer is None else number.setdefault(leader[answer], len(number)) for answer in answers)
    verdicts: list[tuple[bool | None, str]] = []
    for head in number:
        decision = to_gold.get(head)
        verdicts.append((decision.equal, decision.rule) if decision else (None, "no_gold"))
    return Classes(of_answer, tuple(verdicts))


def _key(answer: str) -> object:
    """Return what joins answers without a comparison: the normal form with telling names, or the text of what cannot be read."""
    form = read(answer)
    if form.normal is None:
        return ("text", form.text)
    names = form.normal.tags if len(form.normal.names) > 1 else ()
    return ("form", form.normal.key, tuple(name for name, _ in names))


def _join_symbolically(leader: dict[str, str], wrong: set[str]) -> None:
    """Join the leaders of classes whose normal forms cannot tell them apart, where sympy shows them equal."""
    heads = sorted({leader[answer] for answer in wrong})
    open_heads = [head for head in heads if (form := read(head)).normal is not None and not form.normal.complete]
    pairs = 0
    for i, head in enumerate(open_heads):
        for other in open_heads[:i]:
            if leader[head] == leader[other] or pairs >= MAX_PAIRS:
                continue
            pairs += 1
            if decide(other, head).equal:
                old, new = leader[head], leader[other]
                for answer in leader:
                    if leader[answer] == old:
                        leader[answer] = new


def grade_answers(
    answers: Sequence[str | None], gold: str, slots: Sequence[int], options: GradingOptions = STRICT
) -> list[GradeRow]:
    """Return the grade of each answer of one problem, with its class."""
    classes = classify(answers, gold, options)
    rows: list[GradeRow] = []
    for slot, answer, index in zip(slots, answers, classes.of_answer, strict=True):
        if answer is None:
            rows.append(GradeRow(slot, None, None, "no_answer", "no_answer"))
            continue
        decision = decide(gold, answer, options)
        verdict = "undecided" if decision.equal is None else ("correct" if decision.equal else "incorrect")
        rows.append(GradeRow(slot, answer, index, verdict, decision.rule))  # type: ignore[arg-type]
    return rows
