"""The child of :mod:`prm_eval.grading.children.math_verify`: judges one [gold, response] a line."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from prm_eval.grading.children.symbolic_main import serve


@lru_cache(maxsize=1_000)
def _gold(gold: str) -> Any:
    import math_verify

    return math_verify.parse(f"\\boxed{{{gold}}}", parsing_timeout=None)


def judge(question: list[str]) -> dict[str, Any]:
    """Return the verdict, and the answer as math-verify prints it.

    Its own time-outs by signals are off, because the parent keeps the time.
    """
    import math_verify

    gold, response = question
    answer = math_verify.parse(response, parsing_timeout=None)
    if not answer:
        return {"equal": False, "answer": None}
    return {
        "equal": bool(math_verify.verify(_gold(gold), answer, timeout_seconds=None)),
        "answer": str(answer[-1])[:500],
    }


if __name__ == "__main__":
    import math_verify  # noqa: F401  (the parent waits until it is imported)

    serve(judge)
