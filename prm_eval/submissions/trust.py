"""The rule for what a ``verification.json`` must say to be believed.

The checker names faults by it, and the board gives tiers by it. Nobody signs that file. These are the ways in which it
can contradict itself or the submission beside it. CI makes sure that strangers add none (``prm-eval check --new``).
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from prm_eval.errors import DataError
from prm_eval.rewards.files.reward_file import VERIFIED
from prm_eval.store.jsonl import file_sha256
from prm_eval.submissions.formats import ModelEntry, RunEntry, VerificationFile
from prm_eval.submissions.leeway import MOST_LEEWAY

TOLERANCES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
"""The largest difference of a step's probability that may ever count as equal, by the dtype of the verifier's run.

Within these limits the tolerance is measured, see :func:`measured_tolerance`. They leave room for the differences that
other batch shapes, kernels and GPUs make with the same weights (part dtypes of benchmarks/gpu.py measured 1.3e-7, 5e-3
and 4e-2 on a CPU). "raw" numbers are measured in units of the spread of those that the verifier got.
"""
# The tolerance is so many times the largest difference between two runs of some candidates on the verifier's machine:
# the largest of all candidates, on another machine, is larger. No claim of a tier rests on it.
NOISE_ROOM = 4
# standard errors: differences whose signs follow the grade so far are edits (prm_eval.submissions.leeway.follows_grade)
MOST_FOLLOWED = 4.0
# The mean over all steps may be an eighth of that: rounding errors are rarely at their largest, while an edit of all
# rewards shifts every step.
MEAN_SHARE = 8
# the fraction of edited candidates for which the chance of detection is stated
EDITED = 0.01
# no pool has more candidates; nothing is computed from a larger figure
MOST_CANDIDATES = 10**8
DECLARED = ("aggregation", "score_type", "splitter")
"""What a submission declares, and the figures of its verification hang on; to a step set the threshold too."""
PINNED = ("recipe", "recipe_sha256", "revision", "version", "weights_sha256", "max_tokens", "separator")
"""The fields of a model that must be equal where two descriptions of it both have them."""


def detection_probability(edited: int, sample: int, of: int) -> float:
    """Return the probability that a sample has at least one of the edited candidates.

    It is 1 - C(of-edited, sample) / C(of, sample).
    """
    if edited <= 0 or sample <= 0:
        return 0.0
    if edited + sample > of:
        return 1.0
    fewer, more = sorted((edited, sample))  # the formula is symmetric in the two
    logarithm = sum(math.log1p(-more / (of - k)) for k in range(fewer))
    return -math.expm1(logarithm)


def detection_of(compared: int, of: int) -> float:
    """Return the probability that ``compared`` of the candidates reveal an edit of one in a hundred."""
    return detection_probability(math.ceil(EDITED * of), compared, of)


def tolerance_between(one: object, other: object) -> float:
    """Return the tolerance of runs with two dtypes, which files without a measured one have.

    A rule has no dtype and is compared as float32.
    """
    return max(TOLERANCES.get(str(each), TOLERANCES["float32"]) for each in (one, other))


def measured_tolerance(noise: float, dtype: object) -> float:
    """Return the tolerance that follows from the measured noise of a model.

    Nothing that a submission says has a part in it.

    Args:
        noise: The largest difference between runs of the model on the verifier's machine.
        dtype: The dtype in which the verifier ran it.
    """
    return min(max(TOLERANCES["float32"], NOISE_ROOM * noise), tolerance_between(dtype, None))


def verified_digest(folder: Path) -> str | None:
    """Return the SHA-256 of a submission's ``verified.parquet``; None where there is no such plain file.

    Raises:
        DataError: It cannot be read.
    """
    path = folder / VERIFIED
    try:
        return file_sha256(path) if stat.S_ISREG(path.lstat().st_mode) else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(path, None, f"a file that cannot be read ({error.strerror})", "a plain file") from None


def enough(found: VerificationFile) -> bool:
    """Say whether a verification without contradictions bounds what edits are worth, and so earns a tier.

    One of all candidates does where the figures are those of its own run. One of a sample does by its leeway, which
    files of before 0.2 do not have.
    """
    if found.scope == "all":
        return not _differs(found) or found.verified_sha256 is not None
    return found.leeway is not None and found.leeway <= MOST_LEEWAY


def contradictions(
    found: VerificationFile,
    pool_hash: str,
    model: ModelEntry,
    run: RunEntry,
    rewards_sha256: str,
    verified_sha256: str | None = None,
    declared: Mapping[str, str | None] | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield (found, expected) of everything that keeps a verification from earning a tier.

    Args:
        found: The verification.
        pool_hash: The content hash of the submission's pool.
        model: The model of the submission.
        run: The run of the submission.
        rewards_sha256: The SHA-256 of its ``rewards.parquet``.
        verified_sha256: The SHA-256 of its ``verified.parquet``; None where there is none.
        declared: What the submission says of :data:`DECLARED`.
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
    # files of before 0.2 do not name them
    for name, submitted in (declared or {}).items() if found.aggregation is not None else ():
        if getattr(found, name) != submitted:
            yield f"a verification of {name} {getattr(found, name)!r}", f"of {submitted!r}, as submitted"
    yield from _differences(found, model)
    yield from _figures(found, verified_sha256)


def _differences(found: VerificationFile, model: ModelEntry) -> Iterator[tuple[str, str]]:
    if found.noise is None:
        tolerance, by = tolerance_between(model.dtype, found.model.get("dtype")), "that of the dtypes"
    else:
        tolerance, by = measured_tolerance(found.noise, found.model.get("dtype")), "as the noise gives it"
    if found.tolerance != tolerance:
        yield f"tolerance = {found.tolerance:g}", f"{tolerance:g}, {by}"
    limits = (
        ("max_difference", found.max_difference, tolerance),
        ("mean_difference", found.mean_difference, tolerance / MEAN_SHARE),
    )
    for name, difference, limit in limits:
        if difference is not None and difference > limit:
            yield f"{name} = {difference:g}", f"at most {limit:g}, to agree"
    if found.follows_grade is not None and found.follows_grade > MOST_FOLLOWED:
        yield f"follows_grade = {found.follows_grade:g}", f"at most {MOST_FOLLOWED:g}, to agree"


def _figures(found: VerificationFile, verified_sha256: str | None) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the rewards that the board takes its figures from."""
    if found.verified_sha256 != verified_sha256:
        there = "no" if verified_sha256 is None else "another"
        yield f"{there} {VERIFIED}", "none" if found.verified_sha256 is None else "the one that it names"
    elif found.scope == "all" and verified_sha256 is None and found.noise is not None and _differs(found):
        yield f"no {VERIFIED}, though rewards differ", "the rewards that the model gave"
    elif found.scope != "all" and verified_sha256 is not None:
        yield f"a {VERIFIED} of a sample", "none"


def _differs(found: VerificationFile) -> bool:
    """Say whether rewards differ; those beyond the ends of the scale show in what they gain alone."""
    return bool(found.max_difference or found.gained)


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
