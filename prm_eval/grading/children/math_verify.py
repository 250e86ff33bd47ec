"""Hugging Face's Math-Verify as a second grader, ``--grader math-verify``, to compare with numbers made with it.

It is called as its authors do (gold and response parsed with the LaTeX and the expression extractor, gold first), but
in our killable child: its own time limits are signals, which fail off the main thread and do not stop what runs in C.
Answers are put in classes by their printed form, since its verdicts are not transitive.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from prm_eval.children import Child
from prm_eval.errors import PrmEvalError
from prm_eval.records import GradeRow, Verdict

DEADLINE_SECONDS = 5.0
MAX_TEXT = 100_000  # characters from the end of a response


class MathVerifyGrader:
    """A grader that calls math-verify; it needs ``pip install 'prm_eval[math-verify]'``.

    Args:
        argument: Always None, because it has no options here.

    Raises:
        PrmEvalError: The package is not installed.
    """

    def __init__(self, argument: str | None = None) -> None:
        if argument:
            raise PrmEvalError(f"the grader math-verify has no option {argument!r}")
        try:
            self.version = f"math-verify/{version('math-verify')}"
        except PackageNotFoundError:
            raise PrmEvalError("math-verify is not installed: pip install 'prm_eval[math-verify]'") from None
        self._child = Child("prm_eval.grading.children.math_verify_main", DEADLINE_SECONDS)

    def grade_problem(self, gold: str, texts: Sequence[str], slots: Sequence[int]) -> list[GradeRow]:
        """Return the verdict and class of every candidate; what it cannot judge in time is ``undecided``."""
        rows: list[GradeRow] = []
        numbers: dict[str, int] = {}
        known: dict[str, tuple[Verdict, str | None, str]] = {}
        for slot, text in zip(slots, texts, strict=True):
            if text not in known:
                known[text] = self._grade(gold, text)
            verdict, answer, rule = known[text]
            key = "\0correct" if verdict == "correct" else answer
            index = None if key is None else numbers.setdefault(key, len(numbers))
            rows.append(GradeRow(slot, answer, index, verdict, rule))
        return rows

    def _grade(self, gold: str, text: str) -> tuple[Verdict, str | None, str]:
        reply, reason = self._child.ask([gold, text[-MAX_TEXT:]])
        if reply is None or "equal" not in reply:
            return "undecided", None, f"math-verify: {reason}"[:200]
        answer = reply.get("answer")
        if answer is None:
            return "no_answer", None, "math-verify"
        return ("correct" if reply["equal"] else "incorrect"), str(answer), "math-verify"

    def is_equivalent(self, gold: str, text: str) -> bool:
        """Say whether math-verify finds a text's answer equal to gold; False where it cannot say."""
        return self._grade(gold, text)[0] == "correct"

    def close(self) -> None:
        """End the child process."""
        self._child.close()
