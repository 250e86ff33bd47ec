"""Submissions: a stranger's rewards for a registered pool, read, checked, suspected and verified; never a figure of theirs."""

from __future__ import annotations

from prm_eval.submissions.formats import Disclosure, TrainedOn
from prm_eval.submissions.readers import find_submissions, registered_pools
from prm_eval.submissions.records import TIERS, Cost, Fault, RegisteredPool, Submission, Suspicion, Tier

__all__ = [
    "TIERS",
    "Cost",
    "Disclosure",
    "Fault",
    "RegisteredPool",
    "Submission",
    "Suspicion",
    "Tier",
    "TrainedOn",
    "find_submissions",
    "registered_pools",
]
