"""The commands of the labelling page: ``label serve`` and what belongs to it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

PAGE_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {}
