"""The commands of ``prm-eval label``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from prm_eval.cli.label_page import PAGE_ACTIONS
from prm_eval.cli.labellers import LABELLER_ACTIONS

LABEL_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {**LABELLER_ACTIONS, **PAGE_ACTIONS}
