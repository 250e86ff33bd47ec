"""The worth of a selector or a reward model on a pool: curves, limits, ranks, reports.

Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.evaluation.curves import Evaluation, evaluate
    from prm_eval.evaluation.report import html_page, text_table

__all__ = [
    "Evaluation",
    "evaluate",
    "html_page",
    "text_table",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "Evaluation": "curves",
        "evaluate": "curves",
        "html_page": "report",
        "text_table": "report",
    },
)
