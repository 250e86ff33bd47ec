"""What all tests of the harness share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _quick_runs(machine_described_once: None) -> None:
    """Every test here may run lm_eval in this process."""
