"""The commands of labellers that are no people, of queues and of rounds."""

from __future__ import annotations

import argparse
from collections.abc import Callable

LABELLER_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {}
