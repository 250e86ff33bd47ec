"""The selectors and their accuracies: pure functions of answer classes and rewards.

Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.selection.accuracies import accuracy, best_of_n_table, pass_at_n
    from prm_eval.selection.selectors import ByDraw, ByKey, ByVote, Draw, Selector, Slots

__all__ = [
    "ByDraw",
    "ByKey",
    "ByVote",
    "Draw",
    "Selector",
    "Slots",
    "accuracy",
    "best_of_n_table",
    "pass_at_n",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "ByDraw": "selectors",
        "ByKey": "selectors",
        "ByVote": "selectors",
        "Draw": "selectors",
        "Selector": "selectors",
        "Slots": "selectors",
        "accuracy": "accuracies",
        "best_of_n_table": "accuracies",
        "pass_at_n": "accuracies",
    },
)
