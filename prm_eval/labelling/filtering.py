"""A training set of an outcome reward model without false positives: right answers that a wrong step led to.

Lightman et al. 2023 (section 4.1) train outcome models on the final answer, and on what PRM_large says of all steps.
Between them lies this: the final answer, with the false positives left out (``leave-out``), or called wrong (``wrong``,
which for right answers is the paper's "every step passes"). Wrong answers stay wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.jobs import AUTO, meant_grades
from prm_eval.labelling.writing import About, Said, right_answers, write_labels
from prm_eval.pools.pool import Pool
from prm_eval.stepsets.label_file import ROWS, LabelFile, Labelled
from prm_eval.stepsets.labels import NO_ERROR
from prm_eval.store.writing import replacing

Treatment = Literal["leave-out", "wrong"]
TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)
FALSE_POSITIVE = "false_positive"


@dataclass(frozen=True)
class Filtered:
    """What was written: how many right and wrong answers, false positives, and candidates of which too little is known.

    A right answer is kept only if every step is known to be right.
    """

    path: Path
    right: int
    wrong: int
    false_positives: int
    unknown: int


def filter_labels(
    pool: Pool, labels: LabelFile, path: Path, *, treatment: Treatment = "leave-out", grades: str = AUTO
) -> Filtered:
    """Write the candidates that an outcome reward model should learn from, with whether each is right.

    Args:
        pool: The pool, which is graded.
        labels: Labels of its steps.
        path: A file ``.jsonl`` to list them in, or a folder of labels to make.
        treatment: What becomes of false positives.
        grades: Whose grades say whether an answer is right.

    Raises:
        PrmEvalError: The pool has no grades, or the file exists.
        DataError: A label says of an answer what its grade denies.
    """
    pool.require_grades(meant_grades(pool, grades))
    if path.exists() and path.is_file():
        raise PrmEvalError(f"{path} exists. Give another name, or remove it first.")
    right = right_answers(pool, grades) or {}
    counts: Counter[str] = Counter()
    kept = _kept(pool, labels, right, treatment, counts)
    if path.suffix == ".jsonl":
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            for each in kept:
                fields = {
                    "problem_id": each.candidate.problem_id,
                    "candidate_id": each.candidate.candidate_id,
                    "final_correct": each.label.final_correct,
                    "why": " ".join(each.remarks),
                }
                stream.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
    else:
        info = labels.info
        settings = {"filtered": str(labels.folder), "treatment": treatment, "labelled_with": info.settings}
        about = About(info.source, info.by, info.labels, info.splitter, settings)
        said = (Said(each.problem, each.candidate, each.label, remarks=each.remarks) for each in kept)
        write_labels(pool, path, about, said, grades=grades)
    return Filtered(path, counts["right"], counts["wrong"], counts[FALSE_POSITIVE], counts["unknown"])


def _kept(
    pool: Pool, labels: LabelFile, right: dict[tuple[str, str], bool], treatment: Treatment, counts: Counter[str]
) -> Iterator[Labelled]:
    for number, each in enumerate(labels.labelled(pool), 1):
        graded = right.get((each.candidate.problem_id, each.candidate.candidate_id))
        _require_no_contradiction(labels, number, each, graded)
        remark, is_right = "", graded
        if graded is None or (graded and each.label.first_error is None):
            counts["unknown"] += 1
            continue
        if graded and each.label.first_error != NO_ERROR:
            counts[FALSE_POSITIVE] += 1
            if treatment == "leave-out":
                continue
            remark, is_right = FALSE_POSITIVE, False
        counts["right" if is_right else "wrong"] += 1
        remarks = (*each.remarks, remark) if remark else each.remarks
        yield replace(each, label=replace(each.label, final_correct=is_right), remarks=remarks)


def _require_no_contradiction(labels: LabelFile, number: int, each: Labelled, graded: bool | None) -> None:
    said = each.label.final_correct
    if said is not None and graded is not None and said != graded and FALSE_POSITIVE not in each.remarks:
        found = f"candidate {each.candidate.candidate_id} labelled as {_word(said)}, and graded as {_word(graded)}"
        hint = "The grades have changed: label again, or say --grades published."
        raise DataError(labels.folder / ROWS, number, found, "one verdict on an answer", hint)


def _word(right: bool) -> str:
    return "right" if right else "wrong"
