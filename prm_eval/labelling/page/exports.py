"""A campaign's labels as files: PRM800K's records, TRL's rows, ProcessBench's rows, a step set, labels beside the pool.

Every form is read back by an importer of ours with the labels that it can say: the step set and the labels say all;
PRM800K's records have no steps after the first wrong one; TRL's rows have no "neutral" (it counts as right there, as in
Lightman et al. 2023, section 2.6) and no steps without a mark; ProcessBench's rows say the first wrong step alone.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.labelling.page.agreement import markings_of
from prm_eval.labelling.page.campaign import Campaign, Item
from prm_eval.labelling.page.choosing import Opinion, Opinions, Take, all_opinions, in_words
from prm_eval.pools.format import policy_name
from prm_eval.records import StepLabel
from prm_eval.stepsets.label_file import LabelFile, Labelled, LabelWriter, to_step_set
from prm_eval.stepsets.labels import first_error_of
from prm_eval.stepsets.step_set import StepSet, is_step_set
from prm_eval.store.jsonl import canonical_json
from prm_eval.store.writing import replacing

Key = tuple[str, str]
"""A problem id and a candidate id."""
LISTED = 20
"""Candidates whose labels differ that an error lists."""


@dataclass(frozen=True)
class Chosen:
    """A candidate with the label that counts, and what others said of it besides."""

    item: Item
    opinion: Opinion
    opinions: Opinions
    name: str
    final_correct: bool | None

    @property
    def flagged(self) -> tuple[int, ...]:
        """The steps that somebody flagged."""
        people = (*self.opinions.people, self.opinion)
        return tuple(sorted({step for each in people for step in each.marking.flags}))


@dataclass
class Exported:
    """What an export did: solutions written, and how many were left out, by reason."""

    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def export(
    campaign: Campaign, form: str, out: Path, *, take: Take | None = None, wanted: Collection[Key] | None = None
) -> Exported:
    """Write the labels that count.

    Args:
        campaign: The campaign.
        form: One of :data:`FORMS`.
        out: The file, or the folder, to make.
        take: What counts where people differ and nobody decided; None refuses.
        wanted: The candidates to write, all by default.

    Raises:
        PrmEvalError: Labels of one candidate differ, there is no label, or the output is there already.
    """
    if form not in FORMS:
        raise PrmEvalError(f"unknown form {form!r}; expected one of {', '.join(FORMS)}")
    chosen = choose(campaign, take, wanted)
    return FORMS[form](campaign, chosen, out)


def choose(campaign: Campaign, take: Take | None = None, wanted: Collection[Key] | None = None) -> list[Chosen]:
    """Return the labels that count, in the pool's order.

    Raises:
        PrmEvalError: Those of one candidate differ, or there is none.
    """
    opinions = [each for each in all_opinions(campaign, markings_of(campaign.store)) if each.people or each.decided]
    if wanted is not None:
        items = campaign.keys()
        opinions = [each for each in opinions if items[each.item] in wanted]
    settled = [(each, each.chosen(take)) for each in opinions]
    if open_ones := [each for each, chosen in settled if chosen is None]:
        raise PrmEvalError(_refusal(campaign, open_ones, take))
    if not settled:
        of = "" if wanted is None else " of these candidates"
        raise PrmEvalError(f"{campaign.folder}: nobody has handed in a label{of} yet")
    grades = campaign.grades()
    set_labels = _labels_of_set(campaign)
    found: list[tuple[int, Chosen]] = []
    for each, opinion in settled:
        item = campaign.item(each.item)
        if opinion is None or item.candidate is None or item.problem is None:
            continue
        grade = grades.get((item.problem_id, item.candidate_id), (None, None))[0]
        right = {"correct": True, "incorrect": False, "no_answer": False}.get(grade or "")
        if item.problem_id in set_labels:
            right = set_labels[item.problem_id].final_correct
        name = item.problem_id if is_step_set(campaign.pool.path) else f"{item.problem_id}#{item.candidate.slot}"
        found.append((campaign.place_of(each.item), Chosen(item, opinion, each, name, right)))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _labels_of_set(campaign: Campaign) -> dict[str, StepLabel]:
    if not is_step_set(campaign.pool.path):
        return {}
    step_set = StepSet(campaign.pool.path)
    return {each.solution_id: label for each, label in zip(step_set.solutions, step_set.labels, strict=True)}


def _refusal(campaign: Campaign, open_ones: list[Opinions], take: Take | None) -> str:
    lines = [f"candidates that people label differently, and nobody decided: {len(open_ones):,}"]
    for each in open_ones[:LISTED]:
        item = campaign.item(each.item)
        said = "; ".join(f"{one.marking.who}: {in_words(one.outcome)}" for one in each.people)
        lines.append(f"  #{each.item} {item.problem_id} {item.candidate_id}  {said}")
    if len(open_ones) > LISTED:
        lines.append(f"  and {len(open_ones) - LISTED:,} more")
    other = "--take first|majority says what counts" if take is None else "no label has the most votes; --take first"
    lines.append(f"Decide them with prm-eval label adjudicate {campaign.folder}, or {other}.")
    return "\n".join(lines)


# -- the forms


def _label_folder(campaign: Campaign, chosen: list[Chosen], out: Path) -> Exported:
    people = [who for who, role in campaign.people().items() if role == "labeller"]
    with LabelWriter(
        out,
        campaign.pool,
        source="people",
        by=f"campaign {campaign.name}: {', '.join(people)}"[:300],
        labels="rated",
        splitter=campaign.rules.splitter,
        settings={
            "all_steps": campaign.rules.all_steps,
            "show_answer": campaign.rules.show_answer,
            "second_opinion": campaign.rules.second_opinion,
            "qc_rate": campaign.rules.qc_rate,
        },
    ) as writer:
        for each in chosen:
            writer.add(_labelled(each))
    return Exported(len(chosen))


def _labelled(each: Chosen) -> Labelled:
    item, marking, outcome = each.item, each.opinion.marking, each.opinion.outcome
    if item.problem is None or item.candidate is None:
        raise PrmEvalError(f"item {item.item} is none of the pool")
    own = outcome.label
    label = StepLabel(own.first_error, own.ratings, None, each.final_correct, own.source_label)
    remarks = [f"finish={outcome.finish}"]
    if outcome.finish in ("give_up", "bad_problem"):
        remarks.append(str(outcome.finish))
    remarks += [f"flagged={','.join(map(str, each.flagged))}"] if each.flagged else []
    if len(each.opinions.people) > 1:
        remarks.append(f"labels={len(each.opinions.people)}")
    who = each.opinions.by if each.opinions.decided or each.opinions.agree else marking.who
    return Labelled(
        item.problem, item.candidate, item.steps, label, who, marking.ended, marking.seconds, tuple(remarks)
    )


def _step_set(campaign: Campaign, chosen: list[Chosen], out: Path) -> Exported:
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels"
        _label_folder(campaign, chosen, labels)
        to_step_set(campaign.pool, LabelFile(labels), out)
    return Exported(len(chosen))


Row = Callable[[Campaign, Chosen], "dict[str, Any] | str"]


def _rows(make: Row) -> Callable[[Campaign, list[Chosen], Path], Exported]:
    """Return what writes a file of JSON lines; a text in place of a row says why a solution is left out."""

    def write(campaign: Campaign, chosen: list[Chosen], out: Path) -> Exported:
        if out.exists():
            raise PrmEvalError(f"{out} is there already")
        done = Exported()

        def lines() -> Iterator[bytes]:
            for each in chosen:
                row = make(campaign, each)
                if isinstance(row, str):
                    done.left_out[row] += 1
                    continue
                done.written += 1
                yield canonical_json(row)

        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as stream:
            stream.writelines(lines())
        return done

    return write


def _prm800k(campaign: Campaign, each: Chosen) -> dict[str, Any]:
    item, marking, outcome = each.item, each.opinion.marking, each.opinion.outcome
    ratings, finish = outcome.ratings, outcome.finish
    first_bad = ratings.index(-1) if -1 in ratings else None
    last = first_bad if finish == "found_error" and not campaign.rules.all_steps else None
    steps = []
    for i, (text, rating) in enumerate(zip(item.steps, ratings, strict=True)):
        if rating is None:
            if finish == "give_up":
                # the step that could not be judged: there, without a rating or a choice
                steps.append(_completion(text, None, i in each.flagged, chosen=False))
            break
        steps.append(_completion(text, rating, i in each.flagged, chosen=i != last))
    gold = item.problem.gold if item.problem is not None else None
    return {
        "id": each.name,
        "labeler": marking.who,
        "timestamp": marking.ended,
        "generation": 0,
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": {
            "problem": item.statement,
            "ground_truth_answer": gold,
            "ground_truth_solution": None,
            "pre_generated_steps": list(item.steps),
            "pre_generated_answer": None,
            "pre_generated_verifier_score": None,
        },
        "label": {"steps": steps, "total_time": round(1000 * marking.seconds), "finish_reason": finish},
    }


def _completion(text: str, rating: int | None, flagged: bool, *, chosen: bool) -> dict[str, Any]:
    completion = {"text": text, "rating": rating, "flagged": flagged}
    return {"completions": [completion], "human_completion": None, "chosen_completion": 0 if chosen else None}


def _trl(campaign: Campaign, each: Chosen) -> dict[str, Any] | str:
    ratings = each.opinion.outcome.ratings
    n = ratings.index(None) if None in ratings else len(ratings)
    if not n:
        return f"{each.opinion.outcome.finish}, no step is labelled"
    return {
        "id": each.name,
        "prompt": each.item.statement,
        "completions": list(each.item.steps[:n]),
        "labels": [rating != -1 for rating in ratings[:n]],
        "label_source": "people",
    }


def _processbench(campaign: Campaign, each: Chosen) -> dict[str, Any] | str:
    first = first_error_of(each.opinion.outcome.ratings)
    if first is None:
        return f"{each.opinion.outcome.finish}, the first wrong step is not known"
    return {
        "id": each.name,
        "generator": policy_name(campaign.pool.info.policy),
        "problem": each.item.statement,
        "steps": list(each.item.steps),
        "final_answer_correct": each.final_correct,
        "label": first,
        "base": 0,
        "label_source": "people",
    }


FORMS: dict[str, Callable[[Campaign, list[Chosen], Path], Exported]] = {
    "prm800k": _rows(_prm800k),
    "trl": _rows(_trl),
    "processbench": _rows(_processbench),
    "stepset": _step_set,
    "labels": _label_folder,
}
"""Every form by name."""
