"""What pins the weights of a reward model, as the name of a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.store.jsonl import canonical_json

RULE = "none: a rule"


def revision_name(model: Mapping[str, Any]) -> str:
    """Return the revision of a model as a folder's name: its commit, the hash of its weight hashes, or a rule's version.

    Args:
        model: What a reward model says of itself (``describe()``), or ``submission.json`` under that name.

    Raises:
        PrmEvalError: Nothing there pins the weights.
    """
    commit = model.get("revision")
    if isinstance(commit, str):
        if re.fullmatch("[0-9a-f]{40}", commit, re.ASCII):
            return commit
        raise PrmEvalError(
            f"the revision {commit!r}, which may move; a commit of 40 hexadecimal digits does not. A rule without "
            "weights has no "
            f"revision: its describe() returns {{'id': ..., 'version': 1, 'weights': {RULE!r}}}"
        )
    weights = model.get("weights_sha256")
    if weights:
        pinned = {"config": model.get("config_sha256"), "weights": weights}
        return "sha256-" + hashlib.sha256(canonical_json(pinned)).hexdigest()[:40]
    version = model.get("version")
    if model.get("weights") == RULE and isinstance(version, int):
        return f"rule-{version}"
    raise PrmEvalError("neither a commit nor weight hashes nor a rule's version; give the commit with --revision")
