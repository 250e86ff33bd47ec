"""No problem on both sides, and none of a set that verifiers are measured on."""

from __future__ import annotations

import json

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.training.statements import is_held_out, key_of, known_problems


def test_copies_of_a_statement_have_one_key() -> None:
    """Otherwise a copy with other spaces, dollar signs or quotes is on the other side."""
    same = ["What is  $1 + 1$?", "what is 1+1?", "What is\n1+1 ?"]
    assert len({key_of(each) for each in same}) == 1
    assert key_of("What is 1-1?") != key_of(same[0])


def test_the_draw_depends_on_statement_and_seed_alone() -> None:
    """Otherwise a problem changes sides when data are added, or two seeds hold out the same problems."""
    keys = [key_of(f"problem {k}") for k in range(4_000)]
    held = {key for key in keys if is_held_out(key, 0.25, 7)}
    assert 0.22 < len(held) / len(keys) < 0.28
    assert held != {key for key in keys if is_held_out(key, 0.25, 8)}
    assert held < {key for key in keys if is_held_out(key, 0.5, 7)}
    assert not any(is_held_out(key, 0.0, 7) for key in keys)


def test_known_sets(tmp_path) -> None:
    """Otherwise a set that could not be had counts as one without common problems."""
    copy = tmp_path / "copy.jsonl"
    copy.write_text(json.dumps({"id": "a", "problem": "Old problem?", "answer": "1"}) + "\n")
    with pytest.raises(PrmEvalError, match=r"\d+ registered problem sets cannot be had.*--against .*--unchecked"):
        known_problems([], unchecked=False)
    known = known_problems([f"math500={copy}", str(copy)], unchecked=True)
    assert {"math500", "miniature", str(copy)} <= known.sets.keys() and "math500" not in known.unchecked
    assert known.of(key_of("old  problem?")) == ("math500", str(copy))
    with pytest.raises(PrmEvalError):
        known_problems(["math500=nowhere.jsonl"], unchecked=True)
