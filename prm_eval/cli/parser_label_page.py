"""The options of ``prm-eval label serve`` and what belongs to the labelling page."""

from __future__ import annotations

from typing import Any


def page_parser(actions: Any) -> None:
    """Add the actions of the labelling page."""
