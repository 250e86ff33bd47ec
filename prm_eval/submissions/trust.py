"""What a ``verification.json`` must say to be believed: one rule for the checker, which names faults, and the board, which gives tiers.

Nobody signs that file. These are the ways in which it can contradict itself or the submission beside it; that strangers
write none is seen to by CI (``prm-eval check --new``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from prm_eval.submissions.formats import ModelEntry, RunEntry, VerificationFile

TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
"""Differences of a step's probability that are called equal, by the coarser of the two dtypes: what batches of other shapes, other
kernels and other GPUs make of the same weights, with room to spare (benchmarks/tolerance.py: 1.3e-7, 5e-3, 4e-2). "raw"
numbers are
measured in units of the spread of those that the verifier got."""
# the mean over all steps may be an eighth of that: rounding errors are rarely at their largest, an edit of all rewards
# is
MEAN_SHARE = 8
EDITED = 0.01  # the fraction of edited candidates for which the chance of detection is stated
MOST_CANDIDATES = 10**8  # no pool has more; a larger figure is not computed with
PINNED = ("recipe", "recipe_sha256", "revision", "version", "weights_sha256", "max_tokens", "separator")
"""Fields of a model that must be equal where two descriptions of it have them."""


def detection_probability(edited: int, sample: int, of: int) -> float:
    """Return the probability that a sample has at least one of the edited candidates: 1 - C(of-edited, sample) / C(of, sample)."""
    if edited <= 0 or sample <= 0:
        return 0.0
    if edited + sample > of:
        return 1.0
    fewer, more = sorted((edited, sample))  # the formula is the same with the two exchanged
    logarithm = sum(math.log1p(-more / (of - k)) for k in range(fewer))
    return -math.expm1(logarithm)


def detection_of(compared: int, of: int) -> float:
    """Return the probability that so many of the candidates show an edit of one in a hundred."""
    return detection_probability(math.ceil(EDITED * of), compared, of)


def tolerance_between(one: object, other: object) -> float:
    """Return the tolerance between runs with two dtypes; rules have none, and are exact."""
    return max(TOLERANCES.get(str(each), TOLERANCES["float32"]) for each in (one, other))


def contradictions(
    found: VerificationFile, pool_hash: str, model: ModelEntry, run: RunEntry, rewards_sha256: str
) -> Iterator[tuple[str, str]]:
    """Yield (found, expected) for all that keeps a verification from earning a tier.

    Args:
        found: The verification.
        pool_hash: Of the submission's pool.
        model: The model of the submission.
        run: The run of the submission.
        rewards_sha256: Of the ``rewards.parquet`` that is there.
    """
    if found.pool_hash != pool_hash:
        yield "a verification for another pool", "one for this submission's pool"
    if found.rewards_sha256 != rewards_sha256:
        yield "a verification of other rewards", "one of this rewards.parquet"
    if found.verdict != "agrees":
        yield f"the verdict {found.verdict}", "agrees; else the submission is withdrawn"
        return
    yield from _counts(found, run.candidates)
    for name in ("id", *PINNED):
        theirs, ours = model.get(name), found.model.get(name)
        if theirs and ours and theirs != ours:
            yield f"a verification with another {name}", "the model of the submission"
    tolerance = tolerance_between(model.dtype, found.model.get("dtype"))
    if found.tolerance != tolerance:
        yield f"tolerance = {found.tolerance:g}", f"{tolerance:g}, that of the dtypes"
    limits = (
        ("max_difference", found.max_difference, tolerance),
        ("mean_difference", found.mean_difference, tolerance / MEAN_SHARE),
    )
    for name, difference, limit in limits:
        if difference is not None and difference > limit:
            yield f"{name} = {difference:g}", f"at most {limit:g}, to agree"


def _counts(found: VerificationFile, candidates: int) -> Iterator[tuple[str, str]]:
    compared, of = found.compared, found.of
    if of != candidates or of > MOST_CANDIDATES:
        yield f"of = {of:.6g}", f"the {candidates:.6g} candidates of the submission"
    elif not 0 < compared <= of or (found.scope == "all" and compared != of):
        yield f"compared = {compared:.6g}", f"all {of:,}" if found.scope == "all" else f"1 to {of:,}"
    elif not math.isclose(found.detection, detection_of(compared, of), abs_tol=1e-9):
        yield (
            f"detection = {found.detection:g}",
            f"{detection_of(compared, of):g}, as {compared:,} of {of:,} give it",
        )
    for name, count in (("beyond", found.beyond), ("inputs_differ", found.inputs_differ)):
        if count:
            yield f"{name} = {count:.6g}", "0, to agree"
