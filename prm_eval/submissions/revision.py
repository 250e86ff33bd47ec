"""The revision of a reward model, which pins its weights, as the name of a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.store.jsonl import canonical_json

RULE = "none: a rule"


def revision_name(model: Mapping[str, Any]) -> str:
    """Return the revision of a model as the name of a folder.

    It is a commit, the hash of the weight hashes, or the version of a rule.

    Args:
        model: The description of a reward model (``describe()``), or the field ``model`` of ``submission.json``.

    Raises:
        PrmEvalError: None of these pins the weights.
    """
    commit = model.get("revision")
    if isinstance(commit, str):
        if re.fullmatch("[0-9a-f]{40}", commit, re.ASCII):
            return commit
        raise PrmEvalError(
            f"the revision {commit!r}, which may move; a commit of 40 hexadecimal digits does not. A rule without "
            f"weights has no revision: its describe() returns {{'id': ..., 'version': 1, 'weights': {RULE!r}}}"
        )
    weights = model.get("weights_sha256")
    if weights:
        pinned = {"config": model.get("config_sha256"), "weights": weights}
        return "sha256-" + hashlib.sha256(canonical_json(pinned)).hexdigest()[:40]
    version = model.get("version")
    if model.get("weights") == RULE and isinstance(version, int):
        return f"rule-{version}"
    raise PrmEvalError("neither a commit nor weight hashes nor a rule's version; give the commit with --revision")
