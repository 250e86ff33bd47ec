"""The commands of ``prm-eval train``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

TRAIN_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {}
