"""A third-party package for prm_eval: everything it needs to say is in this file."""

import numpy as np

from prm_eval import ByKey, StepRewards, extract_answer
from prm_eval.records import GradeRow


class Politeness:
    """An outcome reward model: likes candidates that say please. ``politeness:WORD`` likes another word."""

    kind = "orm"
    score_type = "raw"
    aggregation = "last"
    splitter = None

    def __init__(self, argument=None):
        self.word = argument or "please"
        self.name = f"politeness:{self.word}"

    def describe(self):
        return {"id": self.name, "revision": "1"}

    def score(self, items):
        return [StepRewards((float(item.text.lower().count(self.word)),)) for item in items]


class MedianLength(ByKey):
    """Prefers the candidate whose length is nearest the median of its problem."""

    name = "median_length"

    def key(self, slots):
        return -np.abs(slots.lengths - np.nanmedian(slots.lengths))


class ExactText:
    """A grader that compares text."""

    version = "exact-text/1"

    def grade_problem(self, gold, texts, slots):
        rows, classes = [], {}
        for slot, text in zip(slots, texts, strict=True):
            answer = extract_answer(text)
            index = None if answer is None else classes.setdefault(answer, len(classes))
            verdict = "no_answer" if answer is None else "correct" if answer == gold else "incorrect"
            rows.append(GradeRow(slot, answer, index, verdict, "text"))
        return rows
