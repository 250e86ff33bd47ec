"""The importer of PRM800K (Lightman et al. 2023), both phases, as openai/prm800k has it.

Shape: a record a labelled solution: ``question.problem, label.steps: [{completions: [{text, rating, flagged}],
human_completion, chosen_completion}], label.finish_reason``. Read: the chain, in each step the chosen completion, else
the one that the labeller wrote (which is right). A last step without either ends the chain; where labelling ended
because it found an error (phase 2), the first completion of that step that is rated -1 belongs to the chain. Where none
is, the step is kept, and nothing is known of it: "no wrong step" would be the contrary of what the record says.

With ``candidates``, instead: every rated completion with the chain before it, rated in its last step only.

Left out and counted: screening and quality-control records, which repeat a few problems hundreds of times, and those
with the finish reason "bad_problem"; records of which no step was chosen; unrated completions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prm_eval.importers.common import flag
from prm_eval.importers.steps.found import Found, Item, LeftOut, StepFormat, Wanted
from prm_eval.importers.steps.reading import fault, id_of, labelled, prepared, squashed, statement_of
from prm_eval.records import Solution
from prm_eval.stepsets.labels import by_ratings
from prm_eval.store.jsonl import Row

_ANSWER = re.compile(r"(?:\A|\n)\s*# Answer\s*\n+(.*)\Z", re.DOTALL)
EMPTY = "no_step_chosen"
NO_WRONG = "error_found_but_not_rated"
"""How ``dropped`` calls ratings of a last step that is said to be the wrong one, and is not rated so."""
UNRATED = "unrated_completion"


@dataclass(frozen=True)
class _Text:
    """One completion."""

    text: str
    rating: int | None
    flagged: bool = False


@dataclass(frozen=True)
class _Step:
    """One step of a record: what the model wrote, what the labeller wrote, and which of them goes on."""

    completions: tuple[_Text, ...]
    human: _Text | None
    chosen: int | None

    @property
    def chain(self) -> _Text | None:
        """What goes on; None where nothing was chosen."""
        return self.completions[self.chosen] if self.chosen is not None else self.human


def is_prm800k(row: dict[str, Any]) -> bool:
    """Say whether a first row is of PRM800K."""
    label, question = row.get("label"), row.get("question")
    return isinstance(label, dict) and "steps" in label and isinstance(question, dict) and "problem" in question


def items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the chain of a record, or its rated completions."""
    reason, remarks = _besides(row, wanted)
    if reason is not None:
        yield partial(LeftOut, reason)
        return
    steps = _steps(row)
    if wanted.candidates:
        yield from _candidates(row, wanted, steps, remarks)
    else:
        yield partial(_chain, row, wanted, steps, remarks)


def _besides(row: Row, wanted: Wanted) -> tuple[str | None, tuple[str, ...]]:
    """Return why a record is left out, or what to remark of one that is kept."""
    finish = _label(row).get("finish_reason")
    said = {
        "screening": flag(row, row.fields.get("is_initial_screening_question"), "is_initial_screening_question"),
        "quality_control": flag(row, row.fields.get("is_quality_control_question"), "is_quality_control_question"),
        "bad_problem": finish == "bad_problem",
    }
    reason = next((name for name, is_so in said.items() if is_so and name not in wanted.keep), None)
    remarks = tuple(f"{name}=true" for name, is_so in said.items() if is_so and name != "bad_problem")
    return reason, (*remarks, *((f"finish={finish}",) if isinstance(finish, str) else ()))


def _label(row: Row) -> dict[str, Any]:
    label = row.fields.get("label")
    if not isinstance(label, dict) or not isinstance(label.get("steps"), list):
        raise row.fault("no label.steps", "a record of PRM800K")
    return label


def _steps(row: Row) -> list[_Step]:
    found: list[_Step] = []
    for i, each in enumerate(_label(row)["steps"]):
        if not isinstance(each, dict):
            raise row.fault(f"label.steps[{i}] of type {type(each).__name__}", "an object")
        completions = each.get("completions") or []
        if not isinstance(completions, list):
            raise row.fault(f"label.steps[{i}].completions of type {type(completions).__name__}", "a list")
        texts = tuple(_text(row, one, f"label.steps[{i}].completions[{k}]") for k, one in enumerate(completions))
        human = each.get("human_completion")
        written = None if human is None else _text(row, human, f"label.steps[{i}].human_completion", rating=1)
        found.append(_Step(texts, written, _chosen(row, each.get("chosen_completion"), i, len(texts))))
    return found


def _text(row: Row, value: Any, label: str, rating: int | None = None) -> _Text:
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise row.fault(f"{label} without a text", "an object with text and rating")
    row.text("text", where=value, label=label)  # valid Unicode
    given = value.get("rating")
    if given is not None and (isinstance(given, bool) or given not in (-1, 0, 1)):
        raise row.fault(f"{label}.rating = {given!r}"[:200], "-1, 0, 1 or null")
    return _Text(value["text"], rating if given is None else int(given), value.get("flagged") is True)


def _chosen(row: Row, value: Any, step: int, n: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < n:
        raise row.fault(f"label.steps[{step}].chosen_completion = {value!r}"[:200], f"one of {n} completions, or null")
    return value


def _followed(row: Row, steps: Sequence[_Step]) -> list[_Text]:
    """Return the chain of a record."""
    chain: list[_Text] = []
    for i, step in enumerate(steps):
        going_on = step.chain
        if going_on is None:
            if i < len(steps) - 1:
                raise row.fault(
                    f"label.steps[{i}] without a choice, but steps after it", "a choice in all but the last"
                )
            if _label(row).get("finish_reason") == "found_error" and step.completions:
                wrong = next((each for each in step.completions if each.rating == -1), None)
                chain.append(wrong or replace(step.completions[0], rating=None))
            break
        chain.append(going_on)
    return chain


def _solution(row: Row, wanted: Wanted, solution_id: str, texts: Sequence[_Text], remarks: tuple[str, ...]) -> Solution:
    question = row.fields["question"]
    statement = statement_of(Row(row.path, row.number, question), "problem")
    answer = _ANSWER.search(texts[-1].text)
    flagged = sum(each.flagged for each in texts)
    return Solution(
        solution_id,
        statement,
        prepared([each.text for each in texts], wanted),
        problem_id=squashed(statement),
        group="phase 2" if question.get("pre_generated_steps") is not None else "phase 1",
        final_answer=answer[1].strip() if answer else None,
        remarks=(*remarks, *((f"flagged={flagged}",) if flagged else ())),
    )


def _chain(row: Row, wanted: Wanted, steps: Sequence[_Step], remarks: tuple[str, ...]) -> Found | LeftOut:
    chain = _followed(row, steps)
    if not chain:
        return LeftOut(EMPTY)
    solution = _solution(row, wanted, id_of(row, "id"), chain, remarks)
    ratings = [each.rating for each in chain]
    label = labelled(row, solution.solution_id, partial(by_ratings, ratings, len(chain)))
    unsaid = _label(row).get("finish_reason") == "found_error" and -1 not in ratings
    return Found(row.path, row.number, solution, label, left={NO_WRONG: 1} if unsaid else {})


def _candidates(row: Row, wanted: Wanted, steps: Sequence[_Step], remarks: tuple[str, ...]) -> Iterator[Item]:
    chain = _followed(row, steps)
    for i, step in enumerate(steps):
        for k in range(len(step.completions)):
            yield partial(_candidate, row, wanted, chain[:i], step, i, k, remarks)


def _candidate(
    row: Row, wanted: Wanted, before: Sequence[_Text], step: _Step, i: int, k: int, remarks: tuple[str, ...]
) -> Found | LeftOut:
    one = step.completions[k]
    if one.rating is None:
        return LeftOut(UNRATED)
    solution_id = f"{id_of(row, 'id')}/step{i}/completion{k}"
    if len(before) != i:
        raise fault(row, solution_id, f"{len(before)} steps before it", f"{i}")
    solution = _solution(row, wanted, solution_id, [*before, one], remarks)
    ratings: list[int | None] = [*[None] * i, one.rating]
    label = labelled(row, solution_id, partial(by_ratings, ratings, i + 1))
    return Found(row.path, row.number, solution, label)


def count(row: Row) -> tuple[Counter[str], str]:
    """Return what a record holds, those that are left out too, and its problem."""
    steps = _steps(row)
    found = Counter(
        records=1,
        steps=len(steps),
        completions=sum(len(step.completions) for step in steps),
        human_completions=sum(step.human is not None for step in steps),
        steps_without_choice=sum(step.chain is None for step in steps),
    )
    spelt = {-1: "rated_-1", 0: "rated_0", 1: "rated_+1", None: "unrated"}
    found.update(spelt[each.rating] for step in steps for each in step.completions)
    found[f"finish_{_label(row).get('finish_reason')}"] += 1
    question = row.fields["question"]
    problem = statement_of(Row(row.path, row.number, question if isinstance(question, dict) else {}), "problem")
    return found, squashed(problem)


FORMAT = StepFormat(
    "prm800k",
    "PRM800K, phase 1 or 2: chains, or with --candidates every rated completion",
    is_prm800k,
    items,
    kind="rated",
    label_source="people",
    count=count,
)
