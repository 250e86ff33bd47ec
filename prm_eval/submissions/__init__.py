"""Submissions: a stranger's rewards for a registered pool, read, checked, suspected and verified; never a figure of theirs.

Names are loaded on first use: the command line asks for the questions of its flags only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prm_eval.submissions.check import Options, check_paths, check_submission
    from prm_eval.submissions.faults import KINDS
    from prm_eval.submissions.form import fill_in
    from prm_eval.submissions.formats import Disclosure, TrainedOn
    from prm_eval.submissions.place import register_pool, submission_folder
    from prm_eval.submissions.readers import find_submissions, registered_pools
    from prm_eval.submissions.records import TIERS, Cost, Fault, RegisteredPool, Submission, Suspicion, Tier
    from prm_eval.submissions.suspicion import suspicions
    from prm_eval.submissions.trust import detection_probability
    from prm_eval.submissions.verify import verify_submission

_HOME = {
    "KINDS": "faults",
    "TIERS": "records",
    "Cost": "records",
    "Disclosure": "formats",
    "Fault": "records",
    "Options": "check",
    "RegisteredPool": "records",
    "Submission": "records",
    "Suspicion": "records",
    "Tier": "records",
    "TrainedOn": "formats",
    "check_paths": "check",
    "check_submission": "check",
    "detection_probability": "trust",
    "fill_in": "form",
    "find_submissions": "readers",
    "register_pool": "place",
    "registered_pools": "readers",
    "submission_folder": "place",
    "suspicions": "suspicion",
    "verify_submission": "verify",
}

__all__ = [
    "KINDS",
    "TIERS",
    "Cost",
    "Disclosure",
    "Fault",
    "Options",
    "RegisteredPool",
    "Submission",
    "Suspicion",
    "Tier",
    "TrainedOn",
    "check_paths",
    "check_submission",
    "detection_probability",
    "fill_in",
    "find_submissions",
    "register_pool",
    "registered_pools",
    "submission_folder",
    "suspicions",
    "verify_submission",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'prm_eval.submissions' has no attribute {name!r}")
    return getattr(import_module(f"prm_eval.submissions.{_HOME[name]}"), name)
