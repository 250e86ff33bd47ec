"""Submissions: a stranger's rewards for a registered pool, which are read, checked and verified here.

Only rewards are taken from a stranger; every figure is computed from them here.

Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.submissions.checking.check import Options, check_paths, check_submission
    from prm_eval.submissions.checking.faults import KINDS
    from prm_eval.submissions.folders import register_pool, register_step_set, submission_folder
    from prm_eval.submissions.form import fill_in
    from prm_eval.submissions.formats import Disclosure, TrainedOn
    from prm_eval.submissions.readers import find_submissions, registered_pools
    from prm_eval.submissions.records import STEP_TIERS, TIERS, Cost, Fault, RegisteredPool, Submission, Suspicion, Tier
    from prm_eval.submissions.suspicion import suspicions
    from prm_eval.submissions.trust import detection_probability
    from prm_eval.submissions.verify import verify_submission

__all__ = [
    "KINDS",
    "STEP_TIERS",
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
    "register_step_set",
    "registered_pools",
    "submission_folder",
    "suspicions",
    "verify_submission",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "Cost": "records",
        "Disclosure": "formats",
        "Fault": "records",
        "KINDS": "checking.faults",
        "Options": "checking.check",
        "RegisteredPool": "records",
        "STEP_TIERS": "records",
        "Submission": "records",
        "Suspicion": "records",
        "TIERS": "records",
        "Tier": "records",
        "TrainedOn": "formats",
        "check_paths": "checking.check",
        "check_submission": "checking.check",
        "detection_probability": "trust",
        "fill_in": "form",
        "find_submissions": "readers",
        "register_pool": "folders",
        "register_step_set": "folders",
        "registered_pools": "readers",
        "submission_folder": "folders",
        "suspicions": "suspicion",
        "verify_submission": "verify",
    },
)
