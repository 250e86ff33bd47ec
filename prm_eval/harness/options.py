"""What ``--metadata`` may say to our tasks. lm_eval merges it with ``--model_args``, so other keys are not ours to judge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.summary import ORACLE
from prm_eval.rewards import OPTIONS as MODEL_OPTIONS
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED

DEFAULT_SAMPLES = 8
ROLES = ("orm", "prm")
DEFAULT_PIPELINES = ("first", "majority", "orm", "prm", "weighted_orm", "weighted_prm", ORACLE)
DUMP_DIR = "prm_eval_runs"
BREAKDOWNS = ("subject", "level")

PLAIN_KEYS = {
    "n_samples": "N, candidates a problem",
    "ns": "the grid of n, for example 1+8+64; powers of two and N by default",
    "selectors": "filter pipelines, for example first+majority+prm",
    "problems": "a file, or a problem set by name",
    "problem_set": "the task's own problem set (set in its YAML)",
    "replay": "a pool or a samples file: nothing is generated",
    "dump_dir": f"where candidates are kept ({DUMP_DIR})",
    "grader": "a registered grader",
    "grades": "own, or published (with replay= of a pool that has labels)",
    "breakdown": "subject+level (default) or none: accuracy of these groups at the largest n",
    "draws": "permutations a problem, where no exact form is affordable",
    "selection_seed": "of those permutations",
    "policy_offload": "true: an hf policy is moved to the CPU while candidates are scored",
    "allow_identical_candidates": "true: do not stop when a policy gives one text N times",
}
ROLE_KEYS = {f"{role}_{name}" for role in ROLES for name in ("model", *MODEL_OPTIONS)}


@dataclass(frozen=True)
class Options:
    """The options of one task, checked."""

    n_samples: int | None
    ns: tuple[int, ...] | None
    pipelines: tuple[str, ...] | None
    problems: str | None
    replay: str | None
    dump_dir: str
    grader: str
    grades: str
    breakdown: tuple[str, ...]
    draws: int
    seed: int
    allow_identical: bool
    policy_offload: bool = False
    models: dict[str, str] = field(default_factory=dict)
    model_options: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def grades_source(self) -> str:
        """Return the name of the grades file to read: own, published, or another grader's."""
        return self.grader if self.grades == "own" and self.grader != "default" else self.grades


def read_options(metadata: Mapping[str, Any]) -> Options:
    """Check and read the metadata of a task.

    Raises:
        PrmEvalError: A key under our prefixes that we do not know, or one that looks like a misspelling of ours, or a
            value of the wrong type.
    """
    _refuse_unknown(metadata)
    grades = str(metadata.get("grades") or "own")
    if grades not in ("own", "published"):
        raise PrmEvalError(f"grades={grades}; expected own or published")
    if grades == "published" and not metadata.get("replay"):
        raise PrmEvalError("grades=published needs replay=POOL: only stored candidates can have published labels")
    breakdown = _names(metadata.get("breakdown"), BREAKDOWNS) or ()
    for name in breakdown:
        if name not in (*BREAKDOWNS, "none"):
            raise PrmEvalError(f"breakdown={name}; expected {', '.join(BREAKDOWNS)} or none")
    return Options(
        n_samples=_whole(metadata, "n_samples", 1),
        ns=tuple(_whole({"ns": each}, "ns", 1) or 1 for each in _names(metadata.get("ns"), ())) or None,
        pipelines=_names(metadata.get("selectors"), ()) or None,
        problems=metadata.get("problems") or metadata.get("problem_set"),
        replay=metadata.get("replay"),
        dump_dir=str(metadata.get("dump_dir") or DUMP_DIR),
        grader=str(metadata.get("grader") or "default"),
        grades=grades,
        breakdown=tuple(name for name in breakdown if name != "none"),
        draws=_whole(metadata, "draws", 1) or DEFAULT_DRAWS,
        seed=DEFAULT_SEED if (seed := _whole(metadata, "selection_seed", 0)) is None else seed,
        allow_identical=_flag(metadata, "allow_identical_candidates"),
        policy_offload=_flag(metadata, "policy_offload"),
        models={role: str(metadata[f"{role}_model"]) for role in ROLES if metadata.get(f"{role}_model")},
        model_options={
            role: {
                name: metadata[f"{role}_{name}"] for name in MODEL_OPTIONS if metadata.get(f"{role}_{name}") is not None
            }
            for role in ROLES
        },
    )


def _refuse_unknown(metadata: Mapping[str, Any]) -> None:
    known = {*PLAIN_KEYS, *ROLE_KEYS}
    for key in metadata:
        if key in known or not isinstance(key, str):
            continue
        ours = key.startswith(tuple(f"{role}_" for role in ROLES))
        near = get_close_matches(key, sorted(known), n=1, cutoff=0.6 if ours else 0.87)
        if ours or near:
            guess = f" Did you mean {near[0]}?" if near else ""
            raise PrmEvalError(f"unknown --metadata key {key!r}.{guess} Known: {', '.join(sorted(known))}")
    for role in ROLES:
        given = [name for name in MODEL_OPTIONS if metadata.get(f"{role}_{name}") is not None]
        if given and not metadata.get(f"{role}_model"):
            raise PrmEvalError(f"{role}_{given[0]} is given without {role}_model")


def _names(value: Any, default: tuple[str, ...]) -> tuple[str, ...]:
    """Read "a,b", a list or a single value."""
    if value is None:
        return default
    # lm_eval's --metadata cuts at commas itself, so lists are written with plus signs there: ns=1+8+64
    parts = value if isinstance(value, (list, tuple)) else re.split(r"[,+]", str(value))
    return tuple(str(part).strip() for part in parts if str(part).strip())


def _flag(metadata: Mapping[str, Any], key: str) -> bool:
    return str(metadata.get(key, "")).lower() in ("1", "true", "yes")


def _whole(metadata: Mapping[str, Any], key: str, least: int) -> int | None:
    value = metadata.get(key)
    if value is None:
        return None
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if number < least:
        raise PrmEvalError(f"{key}={value}; expected a whole number of at least {least}")
    return number
