"""The banks of candidates that the studies learn from and test on, with the oracle's labels.

They are sampled once from the miniature policy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError
from prm_eval.miniature.candidates import training_problems
from prm_eval.miniature.data import Labelled, label
from prm_eval.miniature.models import load_model
from prm_eval.miniature.problems import MiniatureProblem, default_seed, miniature_problems
from prm_eval.miniature.sampling import TOP_P, sample
from prm_eval.progress import Progress, silent
from prm_eval.store.writing import write_text

PROBLEMS_AT_ONCE = 70


@dataclass(frozen=True)
class Bank:
    """A list of problems and the M labelled candidates of each, in the order in which they were sampled."""

    problems: tuple[MiniatureProblem, ...]
    candidates: tuple[tuple[Labelled, ...], ...]

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """An array (problems, M) that says whether each final answer is right, by the oracle."""
        return np.array([[each.answer_right for each in row] for row in self.candidates], dtype=bool)


def study_problems(split: str, count: int) -> list[MiniatureProblem]:
    """Return the problems of a study.

    For "train" they are drawn as for training; for another split they are its first ones.
    """
    if split == "train":
        return training_problems(count, "study", 0)
    return list(miniature_problems(split, default_seed(split), count))


def sampled_bank(
    path: Path,
    problems: Sequence[MiniatureProblem],
    policy: Path,
    n: int,
    *,
    temperature: float,
    top_p: float = TOP_P,
    at_once: int = PROBLEMS_AT_ONCE,
    device: str = "cpu",
    progress: Progress = silent,
) -> Bank:
    """Return the bank in a file, after sampling the problems that the file lacks, some at a time.

    Args:
        path: The file, with one JSON line a problem: statement and texts.
        problems: The problems in order.
        policy: The checkpoint of the policy.
        n: Candidates a problem.
        temperature: The temperature of sampling.
        top_p: See :func:`prm_eval.miniature.sampling.sample`.
        at_once: Problems that are sampled together, and then written to the file. More are faster, and other draws.
        device: The device of sampling.
        progress: Called with the number of problems that are there.

    Raises:
        DataError: The file holds other problems, or another number of candidates.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = _complete_lines(path)
    for row, (line, problem) in enumerate(zip(rows, problems, strict=False), 1):
        if line["statement"] != problem.problem.statement or len(line["texts"]) != n:
            raise DataError(
                path, row, f"{len(line['texts'])} candidates of {line['statement']!r}",
                f"{n} of {problem.problem.statement!r}",
                "It is of another study: remove the file, or name another folder.",
            )  # fmt: skip
    model = load_model(policy, device=device) if len(rows) < len(problems) else None
    with path.open("a", encoding="utf-8") as file:
        while len(rows) < len(problems):
            group = problems[len(rows) : len(rows) + at_once]
            texts = sample(model, [each.problem.statement for each in group], n, temperature, 0, top_p=top_p)
            for problem, written in zip(group, texts, strict=True):
                rows.append({"statement": problem.problem.statement, "texts": written})
                file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
            progress(len(rows))
    return Bank(
        tuple(problems),
        tuple(_labelled(problem, row["texts"]) for problem, row in zip(problems, rows[: len(problems)], strict=True)),
    )


def _complete_lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of the file; a last one that was cut off is removed."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_text(path, whole)
    return [json.loads(line) for line in whole.splitlines()]


def _labelled(problem: MiniatureProblem, texts: Sequence[str]) -> tuple[Labelled, ...]:
    known = {text: label(problem, text) for text in dict.fromkeys(texts)}
    return tuple(known[text] for text in texts)
