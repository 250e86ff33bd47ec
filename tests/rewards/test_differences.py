"""The one key in which two descriptions of rewards differ, and judgements on their way between processes."""

from __future__ import annotations

import json

import pytest

from prm_eval.records import Judged, Judgement
from prm_eval.rewards.files.differences import difference
from prm_eval.rewards.files.judgements import judged_fields, judged_from


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"model": {"generate": {"n": 1, "m": 2}}}, {"model": {"generate": {"n": 1, "m": 3}}}, "generate.m = 2, not 3"),
        ({"model": {"dtype": "float32"}}, {"model": {}}, "dtype = 'float32', not nothing"),
        ({"name": "a", "kind": "prm"}, {"name": "b", "kind": "orm"}, "name = 'a', not 'b' (1 more differ: kind)"),
        ({"model": {"revision": None}}, {"model": {"revision": "x"}}, "revision = None, not 'x'"),
        ({"hash": {"w": "1" * 200}}, {"hash": {"w": "2"}}, f"hash.w = '{'1' * 96}..., not '2'"),
    ],
)
def test_the_first_difference_is_named_with_both_values(found, wanted, said) -> None:
    """A reader must not have to compare two dictionaries of 800 characters."""
    assert difference(found, wanted) == said


def test_judgements_cross_a_process() -> None:
    """A Ray worker sends them as JSON; half a surrogate pair or a missing reading must come back as it was."""
    judged = Judged((Judgement("a \ud800\x1b", 7, None, True), Judgement("b", 8, -1)), 0.25)
    assert judged_from(json.loads(json.dumps(judged_fields(judged)))) == judged
    assert judged_from(judged_fields(None)) is None
