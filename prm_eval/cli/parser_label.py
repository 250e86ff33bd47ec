"""The options of ``prm-eval label``."""

from __future__ import annotations

from typing import Any

from prm_eval.cli.parser_label_page import page_parser
from prm_eval.cli.parser_labellers import labellers_parser
from prm_eval.cli.types import add_group


def label_parser(commands: Any) -> None:
    """Add ``prm-eval label`` with its actions."""
    text = "label the steps of a pool or step set: by people, rollouts, a model, a judge; choose what to label next"
    actions = add_group(commands, "label", text, "model POOL POOL/rewards/qwen -o POOL/labels/qwen")
    labellers_parser(actions)
    page_parser(actions)
