"""Best-of-N evaluation of reward models inside lm-evaluation-harness, with exact statistics.

Names are loaded on first use, so that ``import prm_eval`` costs milliseconds: it loads neither torch, sympy nor
lm_eval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.errors import DataError, PrmEvalError
    from prm_eval.evaluation import Evaluation, evaluate
    from prm_eval.grading import answer_classes, extract_answer, grade, is_equivalent
    from prm_eval.pools import Pool, PoolWriter
    from prm_eval.records import Candidate, Grade, Problem, StepRewards
    from prm_eval.rewards import load_reward_model, score_pool
    from prm_eval.selection import ByDraw, ByKey, ByVote, Draw, Slots, accuracy, best_of_n_table, pass_at_n

__version__ = "0.1.0"

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

__getattr__, __dir__ = door(
    __name__,
    {
        "ByDraw": "selection",
        "ByKey": "selection",
        "ByVote": "selection",
        "Candidate": "records",
        "DataError": "errors",
        "Draw": "selection",
        "Evaluation": "evaluation",
        "Grade": "records",
        "Pool": "pools",
        "PoolWriter": "pools",
        "PrmEvalError": "errors",
        "Problem": "records",
        "Slots": "selection",
        "StepRewards": "records",
        "accuracy": "selection",
        "answer_classes": "grading",
        "best_of_n_table": "selection",
        "evaluate": "evaluation",
        "extract_answer": "grading",
        "grade": "grading",
        "is_equivalent": "grading",
        "load_reward_model": "rewards",
        "pass_at_n": "selection",
        "score_pool": "rewards",
    },
)
