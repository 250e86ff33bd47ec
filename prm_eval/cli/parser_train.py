"""The options of ``prm-eval train``."""

from __future__ import annotations

from typing import Any


def train_parser(commands: Any) -> None:
    """Add ``prm-eval train``."""
