"""What ``--metadata`` says, read: lm_eval hands over texts, numbers and lists as it guesses them, and each must mean the same."""

from __future__ import annotations

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.harness.options import BREAKDOWNS, PLAIN_KEYS, Options, read_options
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED


@pytest.mark.parametrize(
    ("metadata", "name", "value"),
    [
        ({"n_samples": 8}, "n_samples", 8),
        ({"n_samples": "8"}, "n_samples", 8),
        ({"n_samples": None}, "n_samples", None),
        ({"ns": "1+8+64"}, "ns", (1, 8, 64)),
        ({"ns": "1,8"}, "ns", (1, 8)),
        ({"ns": 4}, "ns", (4,)),
        ({"ns": [1, "2"]}, "ns", (1, 2)),
        ({"ns": ""}, "ns", None),
        ({"selectors": "first+ majority"}, "pipelines", ("first", "majority")),
        ({"selectors": []}, "pipelines", None),
        ({"breakdown": "none"}, "breakdown", ()),
        ({"breakdown": ""}, "breakdown", ()),
        ({"breakdown": None}, "breakdown", BREAKDOWNS),
        ({"breakdown": "level"}, "breakdown", ("level",)),
        ({"policy_offload": "True"}, "policy_offload", True),
        ({"policy_offload": 1}, "policy_offload", True),
        ({"policy_offload": "no"}, "policy_offload", False),
        ({"allow_identical_candidates": "yes"}, "allow_identical", True),
        ({"selection_seed": "0"}, "seed", 0),
        ({"grader": ""}, "grader", "default"),
        ({"problems": 12}, "problems", "12"),
        ({"problem_set": "a", "problems": "b"}, "problems", "b"),
        ({"problem_set": "a", "problems": ""}, "problems", "a"),
    ],
)
def test_what_lm_eval_guesses_is_read_by_the_type_of_the_key(metadata, name, value) -> None:
    """``ns=4`` arrives as a number, ``ns=1+4`` as a text, a YAML's list as a list."""
    assert getattr(read_options(metadata), name) == value


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"n_samples": ""}, "n_samples=''; expected a whole number of at least 1"),
        ({"n_samples": 2.5}, "n_samples=2.5; expected a whole number of at least 1"),
        ({"n_samples": True}, "n_samples=True; expected a whole number of at least 1"),
        ({"n_samples": "9" * 400}, "expected a whole number of at least 1"),
        ({"ns": "1+x"}, "ns[1]='x'; expected a whole number of at least 1"),
        ({"draws": 0}, "draws=0; expected a whole number of at least 1"),
        ({"selection_seed": -1}, "selection_seed=-1; expected a whole number of at least 0"),
        ({"policy_offload": "on please"}, "policy_offload='on please'; expected true or false"),
        ({"n_samples": 0, "draws": 0}, "draws=0"),
    ],
)
def test_a_wrong_value_names_its_key(metadata, message) -> None:
    """A flag that was misspelt was read as false, without a word; of two faults both are told."""
    with pytest.raises(PrmEvalError) as caught:
        read_options(metadata)
    assert message in str(caught.value)


def test_nothing_said_is_the_default() -> None:
    """The defaults of the types are those of the README."""
    plain = read_options({})
    assert plain == Options(
        None, None, None, None, None, "prm_eval_runs", "default", "own", BREAKDOWNS, DEFAULT_DRAWS, DEFAULT_SEED, False,
        model_options={"orm": {}, "prm": {}},
    )  # fmt: skip
    assert read_options(dict.fromkeys(PLAIN_KEYS)) == plain
