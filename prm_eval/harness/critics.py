r"""Critics: language models that name the wrong step of a solution in ``\boxed{}``; their answers, read and counted.

ProcessBench's rules (Zheng et al. 2024, code/run_eval.py): the last box counts, its text without the white space around
it is what votes, of several texts with equally many votes the first seen wins, and the winner is read as a whole
number. Two things are otherwise here: braces within the box are matched (the script cuts ``\boxed{\text{3}}`` at the
first closing one), and every answer that cannot be read is left out of the vote (in the script only one without a box
is, so that a box of words can win it).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.stepsets.labels import NO_ERROR
from prm_eval.store.writing import write_text
from prm_eval.texts.boxed import last_boxed

PREDICTIONS, TEXTS = "predictions.jsonl", "texts.jsonl"
MOST_WRAPPINGS = 8  # a text in more of them is a model's loop
_WRAPPED = re.compile(r"(?:\\(?:text|textbf|textrm|mathrm|mathbf|boxed|fbox)\s*)?\{(.*)\}", re.DOTALL)
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
_NAMED = re.compile(
    r"<?(?:(?P<tag>paragraph)|(?:step|index))\s*[\s_#:]?\s*(?P<number>[+-]?[0-9]{1,9})>?", re.IGNORECASE
)
_ORNAMENTS = re.compile(r"\$|\\[()]|\*\*|[.\s]+$")


@dataclass(frozen=True)
class Answer:
    """An answer that could be read.

    Attributes:
        text: What votes.
        wrong: The 0-based indices of the steps that it calls wrong; none for "no step is wrong".
    """

    text: str
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """How answers are read.

    Attributes:
        every_step: Whether the box lists all wrong steps (PRMBench), not the first one alone.
        words: Whether "Step 3" and "paragraph_3" are numbers too; the published rule takes a whole number alone.
        base: The number of the first step. A tag (``paragraph_3``) is a name and always counts from 0.
    """

    every_step: bool = False
    words: bool = False
    base: int = 0

    def read(self, text: str) -> Answer | None:
        """Return what an answer says; None if that cannot be read."""
        content = boxed_text(text)
        if content is None:
            return None
        return self._list(content) if self.every_step else self._one(content)

    def vote(self, answers: Sequence[Answer | None]) -> Answer | None:
        """Return the answer with the most votes, of several the first seen; None where none could be read."""
        read = [each for each in answers if each is not None]
        if not read:
            return None
        (winner, _), *_ = Counter(each.text for each in read).most_common(1)
        return next(each for each in read if each.text == winner)

    def _one(self, content: str) -> Answer | None:
        index = self._index(content)
        if index is None:
            return None
        return Answer(content, () if index == NO_ERROR else (index,))

    def _list(self, content: str) -> Answer | None:
        inner = content.removeprefix("\\").removeprefix("[").removeprefix("{")
        inner = inner.removesuffix("]").removesuffix("}").removesuffix("\\").strip()
        if not inner:
            return Answer("-1", ()) if content else None  # "[]" is an empty list, an empty box is no answer
        found = [self._index(each.strip()) for each in re.split(r"[,;]|\s+and\s+", inner)]
        indices = [each for each in found if each is not None]
        if len(indices) < len(found) or (NO_ERROR in indices and len(indices) > 1):
            return None
        wrong = tuple(sorted({each for each in indices if each != NO_ERROR}))
        return Answer(", ".join(map(str, wrong)) or "-1", wrong)

    def _index(self, text: str) -> int | None:
        """Return the 0-based index that a text names, -1 for none; None where it names no possible step."""
        tag = False
        if self.words:
            text = _ORNAMENTS.sub("", text.replace("\\_", "_").replace("\N{MINUS SIGN}", "-")).strip()
            if (named := _NAMED.fullmatch(text)) is not None:
                text, tag = named["number"], named["tag"] is not None
        if not _INTEGER.fullmatch(text):
            return None
        number = int(text)
        if number == NO_ERROR:
            return NO_ERROR
        index = number if tag else number - self.base
        return index if index >= 0 else None


def boxed_text(text: str) -> str | None:
    r"""Return the content of the last ``\boxed{}`` without braces, ``\text{}`` and white space around it."""
    content = last_boxed(text)
    if content is None:
        return None
    content = content.strip()
    for _ in range(MOST_WRAPPINGS):
        if (wrapped := _WRAPPED.fullmatch(content)) is None:
            break
        content = wrapped[1].strip()
    return content


@dataclass(frozen=True)
class Judged:
    """What a critic said of one solution.

    Attributes:
        solution_id: The solution.
        n_steps: Its number of steps.
        texts: The answers as they came.
        answers: What was read of each; None where that was not possible.
        verdict: What the vote says; None where no answer could be read.
    """

    solution_id: str
    n_steps: int
    texts: tuple[str, ...]
    answers: tuple[Answer | None, ...]
    verdict: Answer | None

    def row(self, reading: Reading) -> dict[str, Any]:
        """Return the row of a file of predictions or scores, as ``prm-eval evaluate`` reads it."""
        if reading.every_step:
            wrong = None if self.verdict is None else set(self.verdict.wrong)
            scores = [None if wrong is None else float(step not in wrong) for step in range(self.n_steps)]
            return {"id": self.solution_id, "scores": scores}
        verdict = self.verdict
        prediction = None if verdict is None else verdict.wrong[0] if verdict.wrong else NO_ERROR
        return {"id": self.solution_id, "prediction": prediction}


def judge(solution_id: str, n_steps: int, texts: Sequence[str], reading: Reading) -> Judged:
    """Return what a critic said of a solution, its answers read and counted."""
    answers = tuple(reading.read(each) for each in texts)
    return Judged(solution_id, n_steps, tuple(texts), answers, reading.vote(answers))


def write_judged(folder: Path, name: str, judged: Sequence[Judged], reading: Reading) -> Path:
    """Write a critic's answers, and what they say for ``prm-eval evaluate``; return the path of the latter.

    Args:
        folder: The folder, which is made.
        name: The critic's name.
        judged: What it said of each solution.
        reading: How that was read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = [
        {"id": each.solution_id, "texts": each.texts, "read": [one and one.text for one in each.answers]}
        for each in judged
    ]
    write_text(folder / TEXTS, _lines(texts))
    rows = [each.row(reading) for each in judged]
    write_text(folder / PREDICTIONS, _lines([{**rows[0], "name": name}, *rows[1:]]))
    return folder / PREDICTIONS


def _lines(rows: Sequence[dict[str, Any]]) -> str:
    # in ASCII, so that half a surrogate pair in a text of a model breaks no file
    return "".join(json.dumps(row) + "\n" for row in rows)


def unread_line(judged: Sequence[Judged], reading: Reading) -> str | None:
    """Return a line about answers that could not be read; None where all could."""
    total = sum(len(each.texts) for each in judged)
    unread = sum(each is None for one in judged for each in one.answers)
    if not unread:
        return None
    undecided = sum(each.verdict is None for each in judged)
    line = f"{unread:,} of {total:,} answers cannot be read; {undecided:,} of {len(judged):,} solutions are not scored"
    if reading.words:
        return line
    wider = Reading(reading.every_step, True, reading.base)
    more = sum(
        wider.read(text) is not None
        for one in judged
        for text, answer in zip(one.texts, one.answers, strict=True)
        if answer is None
    )
    return f"{line}. {more:,} of them can with --metadata answers=words" if more else line
