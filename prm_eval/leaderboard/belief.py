"""The part of a submission's page that says why to believe it: disclosure, verification, provenance, commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.cells import ASKED
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.words import grouped, percent
from prm_eval.rewards.files.reward_file import VERIFIED
from prm_eval.store.jsonl import file_sha256
from prm_eval.submissions import TIERS, RegisteredPool, Submission, Tier
from prm_eval.submissions.formats import VerificationFile
from prm_eval.submissions.trust import enough


def belief_values(entry: Entry, pool: RegisteredPool, yardstick: Yardstick) -> dict[str, Any]:
    """Return what the template of the page says about the trust in a submission and where it comes from."""
    grades = yardstick.arrays.pool.require_grades(yardstick.arrays.grades)
    sources = [("pool", pool.content_hash), (f"{grades.name} (SHA-256)", file_sha256(grades))]
    return trust_values(entry.submission, TIERS, sources, _recompute(entry.submission, yardstick))


def trust_values(
    submission: Submission, told: Mapping[Tier, str], sources: Sequence[tuple[str, str]], recompute: str
) -> dict[str, Any]:
    """Return :func:`belief_values` for a board of any kind.

    Args:
        submission: The submission.
        told: What each tier can and cannot rule out.
        sources: What it was measured on, by name.
        recompute: The commands that compute it again.
    """
    disclosure = submission.disclosure
    return {
        "tier_text": told[submission.tier],
        "disclosure": disclosure,
        "trained": [(*ASKED[name], getattr(disclosure.trained_on, name)) for name in ASKED] if disclosure else [],
        "verification": _verification(submission.verification, submission.tier),
        "provenance": _provenance(submission, sources),
        "recompute": recompute,
    }


def _verification(found: VerificationFile | None, tier: Tier) -> str:
    if found is None:
        return ""
    compared = grouped(found.compared)
    if tier == "recomputed":
        if found.verdict == "agrees" and not enough(found):
            left = "too much" if found.leeway is None else f"{found.leeway:.2f} points"
            only = "" if found.measure is None else " A step set of this kind is reproduced only with --all."
            return f"{compared} of {grouped(found.of)} candidates agree. That leaves {left} open: no tier.{only}"
        return f"Not in agreement: {found.beyond} of {compared} candidates differ, or the rewards were changed since."
    who = f"by {found.verified_by} on {found.device_name}"
    text = f"{compared} of {grouped(found.of)} candidates {who}: {found.beyond} differ"
    if found.max_difference is not None:
        limit = (
            f"{found.tolerance:g} is called equal, {'by the dtypes' if found.noise is None else 'as measured there'}"
        )
        text += f"; the largest difference was {found.max_difference:.2g} ({found.scale}; {limit})"
    if found.scope != "all":
        chance = percent(found.detection, 0)
        text += (
            f". Had one candidate in a hundred been edited, this would have been noticed with probability {chance} %"
        )
    if found.scope != "all" and found.leeway is not None:
        text += f". With 95 % confidence, the differences are worth at most {found.leeway:.2f} points"
    if found.verified_sha256 is not None:
        text += ". The figures are computed from that run"
        text += "" if found.gained is None else f"; by the submitted rewards they differ by {found.gained:+.2f} points"
    return text + "."


def _provenance(submission: Submission, sources: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    info = submission.rewards.info
    found = [
        ("revision", submission.revision),
        *sources,
        (f"{submission.rewards.path.name} (SHA-256)", file_sha256(submission.rewards.path)),
        ("score type", info.score_type),
        ("splitter", info.splitter or "the pool\u2019s"),
    ]
    for prefix, fields in (("model", info.model), ("run", info.run)):
        found += [
            (f"{prefix}: {key}", _spelt(fields[key])) for key in sorted(fields) if fields[key] not in (None, {}, [])
        ]
    return found


def _spelt(value: Any) -> str:
    if isinstance(value, str):
        return value[:2_000]
    if isinstance(value, dict) and all(isinstance(each, (str, int, float)) for each in value.values()):
        return ", ".join(f"{key} {each}" for key, each in sorted(value.items()))[:2_000]
    return json.dumps(value, sort_keys=True, ensure_ascii=False)[:2_000]


def _recompute(submission: Submission, yardstick: Yardstick) -> str:
    where, rewards, pool = places_of(submission)
    ns = ",".join(map(str, yardstick.settings.ns))
    grader = f" --grader {shlex.quote(name)}" if (name := yardstick.arrays.grader) else ""
    return (
        f"prm-eval evaluate {pool} {rewards} --n {ns}\n"
        f"prm-eval grade {pool}{grader} -o grades    # judges the answers anew\n"
    ) + check_lines(submission, where)


def places_of(submission: Submission) -> tuple[str, str, str]:
    """Return the folder of a submission, the rewards its figures are of, and its pool, for a command line."""
    folder = (
        Path("results")
        / "submissions"
        / f"{submission.org}__{submission.model}"
        / submission.revision
        / submission.pool_id
    )
    path = folder / submission.rewards.path.name if submission.rewards.path.name == VERIFIED else folder
    return (
        shlex.quote(folder.as_posix()),
        shlex.quote(path.as_posix()),
        shlex.quote(f"results/pools/{submission.pool_id}"),
    )


def check_lines(submission: Submission, where: str) -> str:
    """Return the commands that check a submission, and run its model again."""
    return (
        f"prm-eval check {where}\n"
        f"prm-eval verify {where} --reward-model {_reward_model(submission)}"
        "    # runs the model; writes verification.json anew, so do it in a copy"
    )


def _reward_model(submission: Submission) -> str:
    """Return the value of ``--reward-model`` for a submission.

    It is the name of a rule, a model of the hub with its commit, or a placeholder for a folder that the reader has.
    """
    if submission.revision.startswith("rule-"):
        return submission.model
    if submission.revision.startswith("sha256-"):
        return "FOLDER"
    return f"{submission.org}/{submission.model} --revision {submission.revision}"
