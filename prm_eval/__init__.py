"""Best-of-N evaluation of reward models inside lm-evaluation-harness, with exact statistics.

Names are loaded on first use, so that ``import prm_eval`` costs milliseconds: it loads neither torch, sympy nor lm_eval.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prm_eval._version import __version__

if TYPE_CHECKING:
    from prm_eval.errors import DataError, PrmEvalError
    from prm_eval.evaluation import Evaluation, evaluate
    from prm_eval.grading import answer_classes, extract_answer, grade, is_equivalent
    from prm_eval.metrics import accuracy, best_of_n_table, pass_at_n
    from prm_eval.pools import Pool, PoolWriter
    from prm_eval.records import Candidate, Grade, Problem, StepRewards
    from prm_eval.rewards import load_reward_model, score_pool
    from prm_eval.selectors import ByDraw, ByKey, ByVote, Draw, Slots

_HOME = {
    "DataError": "errors",
    "PrmEvalError": "errors",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "answer_classes": "grading",
    "extract_answer": "grading",
    "grade": "grading",
    "is_equivalent": "grading",
    "accuracy": "metrics",
    "best_of_n_table": "metrics",
    "pass_at_n": "metrics",
    "Pool": "pools",
    "PoolWriter": "pools",
    "Candidate": "records",
    "Grade": "records",
    "Problem": "records",
    "StepRewards": "records",
    "load_reward_model": "rewards",
    "score_pool": "rewards",
    "ByDraw": "selectors",
    "ByKey": "selectors",
    "ByVote": "selectors",
    "Draw": "selectors",
    "Slots": "selectors",
}

__all__ = [
    "ByDraw",
    "ByKey",
    "ByVote",
    "Candidate",
    "DataError",
    "Draw",
    "Evaluation",
    "Grade",
    "Pool",
    "PoolWriter",
    "PrmEvalError",
    "Problem",
    "Slots",
    "StepRewards",
    "__version__",
    "accuracy",
    "answer_classes",
    "best_of_n_table",
    "evaluate",
    "extract_answer",
    "grade",
    "is_equivalent",
    "load_reward_model",
    "pass_at_n",
    "score_pool",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'prm_eval' has no attribute {name!r}")
    return getattr(import_module(f"prm_eval.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
