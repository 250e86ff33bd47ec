"""The rule that a verification is believed by: each contradiction alone, with its words, and each limit on both
sides."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path

import pytest

from prm_eval.submissions.formats import ModelEntry, RunEntry, VerificationFile
from prm_eval.submissions.leeway import MOST_LEEWAY
from prm_eval.submissions.trust import (
    EDITED,
    MEAN_SHARE,
    MOST_CANDIDATES,
    MOST_FOLLOWED,
    PINNED,
    TOLERANCES,
    VERIFIED,
    contradictions,
    detection_of,
    detection_probability,
    enough,
    measured_tolerance,
    tolerance_between,
    verified_digest,
)


@pytest.mark.parametrize(
    ("edited", "sample", "of"), [(1, 1, 10), (3, 4, 20), (4, 3, 20), (9, 1, 10), (5, 5, 10), (2, 50, 100)]
)
def test_detection_is_the_closed_form(edited, sample, of) -> None:
    """1 - C(of - edited, sample) / C(of, sample), whichever of the two is smaller."""
    wanted = 1 - math.comb(of - edited, sample) / math.comb(of, sample)
    assert detection_probability(edited, sample, of) == pytest.approx(wanted, rel=1e-12)


def test_detection_where_there_is_nothing_to_compute() -> None:
    for edited, sample in ((0, 5), (-1, 5), (5, 0), (5, -1), (0, 0)):
        assert detection_probability(edited, sample, 10) == 0.0
    for edited, sample in ((6, 5), (1, 10), (10, 1), (11, 11)):
        assert detection_probability(edited, sample, 10) == 1.0
    assert detection_probability(1, 9, 10) == pytest.approx(0.9)


def test_one_in_a_hundred_is_rounded_up() -> None:
    """Of 101 candidates two are one in a hundred, not one."""
    assert EDITED == 0.01
    assert detection_of(10, 101) == pytest.approx(1 - math.comb(99, 10) / math.comb(101, 10))
    assert detection_of(10, 100) == pytest.approx(0.1)


def test_the_coarser_dtype_sets_the_tolerance() -> None:
    assert TOLERANCES == {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1} and MEAN_SHARE == 8
    assert tolerance_between("float32", "bfloat16") == tolerance_between("bfloat16", "float16") == 0.1
    assert tolerance_between("float16", "float32") == tolerance_between("float16", None) == 0.02
    assert tolerance_between(None, None) == tolerance_between("float32", "int8") == 1e-4


MODEL = {"id": "org/model", "dtype": "float16", **{name: f"{name} 1" for name in PINNED}}
FOUND = {
    "schema": "prm_eval.verification/1", "pool_hash": "p" * 8, "rewards_sha256": "r" * 8, "verdict": "agrees",
    "compared": 40, "of": 400, "scope": "sample", "seed": 7, "scale": "probability", "detection": detection_of(40, 400),
    "beyond": 0, "inputs_differ": 0, "model": {**MODEL, "dtype": "float32"}, "tolerance": 0.02, "max_difference": 0.02,
    "mean_difference": 0.0025, "worst": [], "verified_by": "somebody", "device_name": "a processor", "versions": {},
}  # fmt: skip


def entry(fields: dict) -> ModelEntry:
    """A model entry; what is no field of the format is one of its own."""
    own = {name for name in fields if name not in ModelEntry.__dataclass_fields__}
    known = {name: value for name, value in fields.items() if name not in own}
    return ModelEntry(**known, others={name: fields[name] for name in own})


def told(model: dict = MODEL, candidates: int = 400, **changes) -> list[tuple[str, str]]:
    run = RunEntry(1.0, 0, candidates, None, {}, "a processor", {})
    changes = {("model" if name == "found_model" else name): value for name, value in changes.items()}
    return list(contradictions(VerificationFile(**{**FOUND, **changes}), "p" * 8, entry(model), run, "r" * 8))


CONTRADICTIONS = [
    ({"pool_hash": "q"}, "a verification for another pool", "one for this submission's pool"),
    ({"rewards_sha256": "q"}, "a verification of other rewards", "one of this rewards.parquet"),
    ({"verdict": "differs"}, "the verdict differs", "agrees; else the submission is withdrawn"),
    ({"of": 399}, "of = 399", "the 400 candidates of the submission"),
    ({"compared": 0}, "compared = 0", "1 to 400"),
    ({"compared": 401}, "compared = 401", "1 to 400"),
    ({"scope": "all"}, "compared = 40", "all 400"),
    ({"detection": detection_of(40, 400) + 2e-9}, f"detection = {detection_of(40, 400):g}",
     f"{detection_of(40, 400):g}, as 40 of 400 give it"),
    ({"beyond": 3}, "beyond = 3", "0, to agree"),
    ({"inputs_differ": 1}, "inputs_differ = 1", "0, to agree"),
    ({"tolerance": 0.1}, "tolerance = 0.1", "0.02, that of the dtypes"),
    ({"max_difference": 0.0201}, "max_difference = 0.0201", "at most 0.02, to agree"),
    ({"mean_difference": 0.00251}, "mean_difference = 0.00251", "at most 0.0025, to agree"),
    *(({"found_model": {**MODEL, name: "other"}}, f"a verification with another {name}", "the model of the submission")
      for name in ("id", *PINNED)),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "found", "expected"), CONTRADICTIONS)
def test_each_contradiction_is_told_alone(changes, found, expected) -> None:
    assert told(**changes) == [(found, expected)]


def test_what_agrees_is_believed() -> None:
    """At the limits themselves, with differences that were not measured, and with fields that one side leaves out."""
    assert told() == []
    assert told(detection=detection_of(40, 400) + 0.5e-9) == []
    assert told(max_difference=None, mean_difference=None) == []
    assert told(compared=400, scope="all", detection=1.0) == []
    assert told(compared=400, detection=1.0) == []
    coarser = {**MODEL, "dtype": "bfloat16"}  # on either side
    assert told(found_model=coarser, tolerance=0.1) == told(model=coarser, tolerance=0.1) == []
    assert told(found_model=coarser) == [("tolerance = 0.02", "0.1, that of the dtypes")]
    assert told(compared=1, detection=detection_of(1, 400)) == []
    for name in PINNED:
        less = {key: value for key, value in MODEL.items() if key != name}
        assert told(found_model=less) == [] and told(model=less) == []
    assert set(PINNED) == {
        "recipe", "recipe_sha256", "revision", "version", "weights_sha256", "max_tokens", "separator"
    }  # fmt: skip


def test_several_are_told_together_and_a_verdict_ends_it() -> None:
    assert [found for found, _ in told(pool_hash="q", beyond=2, max_difference=1.0, of=7)] == [
        "a verification for another pool", "of = 7", "beyond = 2", "max_difference = 1",
    ]  # fmt: skip
    assert [found for found, _ in told(rewards_sha256="q", verdict="x", beyond=2)] == [
        "a verification of other rewards", "the verdict x",
    ]  # fmt: skip
    assert len(told(scope="all", detection=0.5)) == 1, "a wrong count says all; its probability is not asked"


def test_a_figure_beyond_all_pools_is_not_computed_with() -> None:
    """A hundred million is; more is refused, even where the submission says the same."""
    for of, words in ((MOST_CANDIDATES + 1, ["of = 1e+08"]), (MOST_CANDIDATES, [])):
        found = told(candidates=of, of=of, compared=of, scope="all", detection=1.0)
        assert [each for each, _ in found] == words


NEW = {"model": MODEL, "noise": 0.001, "headline_n": 16, "leeway": 1.5, "follows_grade": 0.3, "tolerance": 0.004,
       "max_difference": 0.003, "mean_difference": 0.0004, "verified_sha256": None}  # fmt: skip


def told_new(verified=None, **changes) -> list[tuple[str, str]]:
    run = RunEntry(1.0, 0, 400, None, {}, "a processor", {})
    file = VerificationFile(**{**FOUND, **NEW, **changes})
    return list(contradictions(file, "p" * 8, entry(MODEL), run, "r" * 8, verified))


EVERYTHING = {"scope": "all", "seed": None, "compared": 400, "detection": 1.0, "leeway": 0.0}


@pytest.mark.parametrize(
    ("verified", "changes", "said"),
    [
        (None, {"tolerance": 0.02}, [("tolerance = 0.02", "0.004, as the noise gives it")]),
        # what the submission says of its dtype moves nothing
        (None, {"model": {**MODEL, "dtype": "float32"}, "noise": 1.0, "tolerance": 1e-4, "max_difference": 1e-5,
                "mean_difference": 1e-6}, []),
        (None, {"noise": 1.0, "tolerance": 0.02}, []),
        (None, {"follows_grade": MOST_FOLLOWED}, []),
        (None, {"follows_grade": 4.1}, [("follows_grade = 4.1", "at most 4, to agree")]),
        (None, {"follows_grade": -9.0}, []),
        (None, EVERYTHING, [(f"no {VERIFIED}, though rewards differ", "the rewards that the model gave")]),
        (None, {**EVERYTHING, "max_difference": 0.0, "mean_difference": 0.0}, []),
        ("v", {**EVERYTHING, "verified_sha256": "v"}, []),
        ("w", {**EVERYTHING, "verified_sha256": "v"}, [(f"another {VERIFIED}", "the one that it names")]),
        (None, {**EVERYTHING, "verified_sha256": "v"}, [(f"no {VERIFIED}", "the one that it names")]),
        ("v", {}, [(f"another {VERIFIED}", "none")]),
        ("v", {"verified_sha256": "v"}, [(f"a {VERIFIED} of a sample", "none")]),
    ],
)  # fmt: skip
def test_what_a_measured_verification_must_say(verified, changes, said) -> None:
    """Its tolerance follows from its noise, its differences from no grade, its figures from the file that it names."""
    assert told_new(verified, **changes) == said


@pytest.mark.parametrize(
    ("was", "said"),
    [
        ({"aggregation": "prod", "score_type": "logodds", "splitter": None}, []),
        ({"aggregation": "last", "score_type": "logodds", "splitter": None},
         [("a verification of aggregation 'last'", "of 'prod', as submitted")]),
        ({"aggregation": "prod", "score_type": "raw", "splitter": "blank_line"},
         [("a verification of score_type 'raw'", "of 'logodds', as submitted"),
          ("a verification of splitter 'blank_line'", "of None, as submitted")]),
        ({}, []),  # files of before 0.2 do not say
    ],
)  # fmt: skip
def test_what_the_figures_hang_on_is_what_was_verified(was, said) -> None:
    """Another aggregation written into submission.json after a verification gives figures that nobody bounded."""
    run = RunEntry(1.0, 0, 400, None, {}, "a processor", {})
    file = VerificationFile(**{**FOUND, **NEW, **was})
    now = {"aggregation": "prod", "score_type": "logodds", "splitter": None}
    assert list(contradictions(file, "p" * 8, entry(MODEL), run, "r" * 8, None, now)) == said


def test_what_differs_beyond_the_ends_of_the_scale_needs_the_rewards_too() -> None:
    """Log-odds of 40 and 80 are one probability, and an order of two: what it gains is a difference."""
    changes = {**EVERYTHING, "max_difference": 0.0, "mean_difference": 0.0, "gained": 3.0}
    assert told_new(None, **changes) == [(f"no {VERIFIED}, though rewards differ", "the rewards that the model gave")]
    assert not enough(VerificationFile(**{**FOUND, **NEW, **changes}))


def test_the_digest_is_of_a_plain_file(tmp_path: Path) -> None:
    """A link or a pipe in its place would read what is elsewhere, or wait for ever."""
    assert verified_digest(tmp_path) is None
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / VERIFIED).symlink_to(tmp_path / "elsewhere")
    assert verified_digest(tmp_path) is None
    (tmp_path / VERIFIED).unlink()
    os.mkfifo(tmp_path / VERIFIED)
    assert verified_digest(tmp_path) is None
    (tmp_path / VERIFIED).unlink()
    (tmp_path / VERIFIED).write_bytes(b"x")
    assert verified_digest(tmp_path) == hashlib.sha256(b"x").hexdigest()


def test_a_tier_is_earned_by_what_is_bounded() -> None:
    """A sample by its leeway, everything by the verifier's own rewards; older files by differences of 0 only."""

    def earned(**changes) -> bool:
        return enough(VerificationFile(**{**FOUND, **changes}))

    assert not earned() and not earned(max_difference=0.0)
    assert earned(**NEW) and earned(**{**NEW, "leeway": MOST_LEEWAY}) and not earned(**{**NEW, "leeway": 2.01})
    old = {**EVERYTHING, "leeway": None}
    assert not earned(**old) and earned(**{**old, "max_difference": 0.0}) and earned(**{**old, "max_difference": None})
    assert earned(**{**NEW, **EVERYTHING, "verified_sha256": "v"})


def test_the_tolerance_is_measured() -> None:
    """Four times the noise, at least what float32 needs, at most what the dtype of the verifier's run ever had."""
    assert measured_tolerance(0.0, "bfloat16") == measured_tolerance(0.0, None) == 1e-4
    assert measured_tolerance(0.01, "bfloat16") == pytest.approx(0.04)
    assert measured_tolerance(1.0, "bfloat16") == 0.1 and measured_tolerance(1.0, "float32") == 1e-4
