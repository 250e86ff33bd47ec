"""The options of the labellers that are no people, of queues and of rounds."""

from __future__ import annotations

from typing import Any


def labellers_parser(actions: Any) -> None:
    """Add the actions of labellers, queues and rounds."""
