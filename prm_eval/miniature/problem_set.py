"""The miniature as a problem set, ``miniature[:split[:seed[:count]]]``, registered under ``prm_eval.problem_sets``."""

from __future__ import annotations

import re

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.problems import DEFAULT_COUNT, REVISION, default_seed, miniature_problems
from prm_eval.pools.problem_sets import ProblemSet

_ARGUMENT = re.compile(r"(\w+)?(?::(\d+))?(?::(\d+))?")


def miniature_set(argument: str | None) -> ProblemSet:
    """Return the problems of ``split[:seed[:count]]``; the test split by default, of the seed that figures are from.

    Raises:
        PrmEvalError: The argument has another form, there is no such split, or it has fewer problems.
    """
    found = _ARGUMENT.fullmatch(argument or "")
    if not found:
        raise PrmEvalError(f"no problem set 'miniature:{argument}'; expected miniature[:split[:seed[:count]]]")
    split, seed, count = found.groups()
    split = split or "test"
    chosen = miniature_problems(split, int(seed or default_seed(split)), int(count or DEFAULT_COUNT))
    return ProblemSet("miniature", tuple(each.problem for each in chosen), REVISION)
