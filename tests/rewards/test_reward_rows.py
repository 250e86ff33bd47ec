"""Rows of a reward file, one fault at a time: what is told of it, word by word, and what is left of the row.

``read_block`` is asked directly, without a file: the sentences below are all that a submitter gets to see.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.rewards.files.row_checks import CHECKS, DECISIVE, read_block, shown_numbers
from prm_eval.rewards.files.step_arrays import Form, RowFault, StepArrays, raising, refusal_reason

HASH = "0123456789abcdef" * 4
NAN, INF = math.nan, math.inf
PRM = Form("prm", "value", "prod", "line")


def row(steps=(0.5, 0.25), **changes) -> dict:
    """One row; by default right, with two steps."""
    steps = None if steps is None else list(steps)
    given = {
        "step_rewards": steps,
        "n_steps": len(steps or ()),
        "n_tokens": 7,
        "input_hash": HASH,
        "refusal": None,
        "reward": None,
    }
    return {**given, **changes}


def refused(reason="over-length: 9 tokens", **changes) -> dict:
    return row(None, **{"n_tokens": None, "input_hash": None, "refusal": reason, **changes})


def table(*rows: dict, claims: bool = True, chunks: int = 1, dictionary: bool = False) -> pa.Table:
    kinds = {
        "step_rewards": pa.list_(pa.float64()),
        "n_steps": pa.int32(),
        "n_tokens": pa.int32(),
        "input_hash": pa.string(),
        "refusal": pa.string(),
        "reward": pa.float64(),
    }
    columns = {name: pa.array([each[name] for each in rows], kind) for name, kind in kinds.items()}
    if dictionary:
        for name in ("input_hash", "refusal"):
            columns[name] = columns[name].dictionary_encode()
    if not claims:
        del columns["reward"]
    whole = pa.table(columns)
    if chunks == 1:
        return whole
    cuts = np.array_split(np.arange(len(rows)), chunks)
    return pa.concat_tables([whole.slice(int(cut[0]), len(cut)) for cut in cuts])


def read(*rows: dict, form: Form = PRM, steps=None, first: int = 101, **how) -> tuple[StepArrays, list[RowFault]]:
    found: list[RowFault] = []
    wanted = np.array([2] * len(rows) if steps is None else steps)
    return read_block(table(*rows, **how), first, wanted, form, found.append), found


GOOD = row()
# name: (row, form, kind, found, expected, decisive)
FAULTS = {
    "null n_steps": (row(n_steps=None), PRM, "null", "an n_steps that is null", "a count", True),
    "both": (row(refusal="no step", n_steps=0), PRM, "refusal", "rewards and the refusal 'no step'", "one of the two",
    True),
    "neither": (row(()), PRM, "refusal", "no step rewards", "rewards, or a refusal with its reason", True),
    "neither, null": (row(None), PRM, "refusal", "no step rewards", "rewards, or a refusal with its reason", True),
    "not a number": (row([0.5, NAN]), PRM, "finite", "a reward that is not finite in [0.5, nan]", "finite numbers",
    True),
    "infinite": (row([-INF, 0.5]), PRM, "finite", "a reward that is not finite in [-inf, 0.5]", "finite numbers", True),
    "null step": (row([None, 0.5]), PRM, "finite", "a reward that is not finite in [nan, 0.5]", "finite numbers", True),
    "n_steps": (row(n_steps=1_003), PRM, "n-steps", "2 rewards", "1,003, as n_steps says", True),
    "cut otherwise": (row([0.5] * 3), PRM, "step-count", "3 steps", "2, as the splitter 'line' cuts the candidate",
    True),
    "orm": (row(), Form("orm", "value", "last", "line"), "step-count", "2 steps", "1, one for an ORM", True),
    "overflow": (row([1e200, 1e200]), Form("prm", "raw", "prod", "line"), "finite",
                 "rewards whose prod is not finite, or not defined", "a finite number", False),
    "undefined": (row([0.5, 1.5]), Form("prm", "value", "geometric_mean", "line"), "finite",
                  "rewards whose geometric_mean is not finite, or not defined", "a finite number", False),
    "claim": (row(reward=0.126), PRM, "aggregate", "the reward 0.126", "0.125, the prod of its steps", False),
    "claim, by a little": (row(reward=0.125 + 1.1e-5), PRM, "aggregate", "the reward 0.125011",
                           "0.125, the prod of its steps", False),
    "claim of a large one": (row([-2e6, 1.0], reward=-2e6 + 21.0), Form("prm", "raw", "min", "line"), "aggregate",
                             "the reward -1.99998e+06", "-2e+06, the min of its steps", False),
    "claim of a small one": (row([-1e-3, 1.0], reward=-1e-3 - 1.1e-5), Form("prm", "raw", "min", "line"), "aggregate",
                             "the reward -0.001011", "-0.001, the min of its steps", False),
    "blank reason": (refused(" \u00a0"), PRM, "refusal", "the reason ' \\xa0'", "a line of plain text", False),
    "two lines": (refused("a\nb"), PRM, "refusal", "the reason 'a\\nb'", "a line of plain text", False),
    "long reason": (refused("x" * 301), PRM, "refusal", None, "a line of plain text", False),
    "steps of a refusal": (refused(n_steps=3), PRM, "n-steps", "n_steps 3", "0 for a refused candidate", False),
    "negative tokens": (row(n_tokens=-1), PRM, "n-tokens", "n_tokens -1", "the number of rendered tokens", False),
    "tokens missing": (row(n_tokens=None), PRM, "n-tokens", "n_tokens None", "the number of rendered tokens", False),
    "hash missing": (row(input_hash=None), Form("prm", "value", "prod", "line", hashed=True), "input-hash",
                     "no input_hash", "one: the recipe renders token ids", False),
    "short hash": (row(input_hash="0" * 63), PRM, "input-hash", f"input_hash {'0' * 63!r}", "64 hexadecimal digits",
    False),
    "upper case": (row(input_hash="A" * 64), PRM, "input-hash", None, "64 hexadecimal digits", False),
    "and a line": (row(input_hash=HASH + "\n"), PRM, "input-hash", None, "64 hexadecimal digits", False),
}  # fmt: skip


@pytest.mark.parametrize("dictionary", [False, True], ids=["plain", "dictionary"])
@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_told_once_with_its_row(name, dictionary) -> None:
    """Between two good rows: the fault alone, its row, kind and words; what is decisive counts as refused."""
    bad, form, kind, found, expected, decisive = FAULTS[name]
    good = row([0.5]) if form.kind == "orm" else GOOD
    arrays, faults = read(good, bad, good, form=form, dictionary=dictionary)
    assert [(each.kind, each.row, each.expected) for each in faults] == [(kind, 102, expected)]
    if found is not None:
        assert faults[0].found == found
    each = 1 if form.kind == "orm" else 2
    kept = 0 if decisive or not bad["step_rewards"] else 2
    assert arrays.counts.tolist() == [each, kept, each]
    middle = bad["step_rewards"] if kept else []
    assert arrays.values.tolist() == [*good["step_rewards"], *middle, *good["step_rewards"]]
    assert arrays.counts.dtype == np.int64 and arrays.values.dtype == np.float64


def test_every_check_has_a_case() -> None:
    """A check without a case here could be turned around without a test failing."""
    asked = {(check.kind, check.decisive) for check in CHECKS}
    assert asked == {(kind, decisive) for _, _, kind, _, _, decisive in FAULTS.values()}


ALLOWED = {
    "a claim that agrees": (row(reward=0.125 + 0.9e-5), PRM),
    "a claim that agrees for its size": (row([-2e6, 1.0], reward=-2e6 + 19.0), Form("prm", "raw", "min", "line")),
    "a claim of what is refused": (refused(reward=0.3), PRM),
    "a refusal": (refused(), PRM),
    "a refusal of its greatest length": (refused("x" * 300), PRM),
    "a no-break space": (refused("over\u00a0length"), PRM),
    "a refusal without a hash": (refused(), Form("prm", "value", "prod", "line", hashed=True)),
    "a refusal of a list": (row([], refusal="no step", n_tokens=None, input_hash=None), PRM),
    "no hash and no tokens": (row(n_tokens=None, input_hash=None), PRM),
    "tokens without a hash": (row(n_tokens=0, input_hash=None), PRM),
    "a refusal with null n_steps told elsewhere": (row([0.0, 1.0]), PRM),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_no_fault(name) -> None:
    bad, form = ALLOWED[name]
    arrays, faults = read(GOOD, bad, form=form)
    assert faults == []
    assert arrays.counts.tolist() == [2, 0 if bad["refusal"] else 2]


def test_a_file_without_claims_and_in_chunks() -> None:
    """The column ``reward`` may be missing, and a table in several chunks has the same rows."""
    rows = [row(), refused(), row([0.1, 0.2], n_tokens=5), refused("a: b", n_tokens=3), row([1.0, 0.0])]
    for how in ({}, {"claims": False}, {"chunks": 3}, {"chunks": 2, "dictionary": True, "claims": False}):
        arrays, faults = read(*rows, **how)
        assert faults == []
        assert arrays.values.tolist() == [0.5, 0.25, 0.1, 0.2, 1.0, 0.0]
        assert arrays.counts.tolist() == [2, 0, 2, 0, 2]
        assert arrays.starts.tolist() == [0, 2, 2, 4, 4]
        assert arrays.refusals == {"a": 1, "over-length": 1} and list(arrays.refusals) == ["a", "over-length"]
        assert (arrays.tokens, arrays.told_tokens) == (7 + 5 + 3 + 7, 4)
        rewards, weights = arrays.aggregated("min", "value")
        assert rewards == pytest.approx([0.25, NAN, 0.1, NAN, 0.0], nan_ok=True)
        assert weights[0] == 0.25 and math.isnan(weights[1])


def test_nothing_at_all() -> None:
    arrays, faults = read(refused(n_tokens=None))
    assert (faults, arrays.tokens, arrays.told_tokens, len(arrays.values)) == ([], 0, 0, 0)


def test_faults_come_row_by_row_and_in_the_order_of_the_checks() -> None:
    """A row can have several; a faulty one keeps its reward out, and the row after it its own."""
    bad = row([0.5, NAN], n_steps=9, n_tokens=-3, input_hash="x")
    arrays, faults = read(bad, GOOD, row(n_tokens=-1, reward=9.0), first=1)
    assert [(each.row, each.kind) for each in faults] == [
        (1, "finite"), (1, "n-steps"), (1, "n-tokens"), (1, "input-hash"), (3, "aggregate"), (3, "n-tokens"),
    ]  # fmt: skip
    assert arrays.counts.tolist() == [0, 2, 2]


def test_one_product_of_no_probabilities_among_many_is_found_row_by_row() -> None:
    """Claims of the rows beside it are still held against their steps."""
    form = Form("prm", "raw", "prod", "line")
    rows = [row([0.5, 0.5], reward=0.25), row([2.0, 3.0], reward=6.0), refused(), row([1.0, 0.5], reward=5.0)]
    _, faults = read(*rows, form=form, first=1)
    assert [(each.row, each.kind, each.found) for each in faults] == [
        (2, "finite", "rewards whose prod is not finite, or not defined"),
        (4, "aggregate", "the reward 5"),
    ]


def test_values_that_are_not_finite_are_not_aggregated() -> None:
    """They have their own fault; an aggregate of them would be told a second time."""
    _, faults = read(row([NAN, 0.5], reward=0.5), row([0.5, 0.5], reward=0.25))
    assert [(each.row, each.kind) for each in faults] == [(101, "finite")]


def test_the_sink_that_raises() -> None:
    """The first fault is raised, with file, row, what was found and what was expected."""
    with pytest.raises(DataError) as raised:
        raising(Path("somewhere/rewards.parquet"))(RowFault("null", 3, "this", "that"))
    assert str(raised.value) == "somewhere/rewards.parquet, row 3: found this; expected that."


def test_evaluation_asks_what_makes_rewards_unusable_and_the_board_everything() -> None:
    """A fault of form stops the board and check, not somebody who evaluates rewards of his own."""
    for name, (bad, form, kind, _, _, decisive) in FAULTS.items():
        faults: list[RowFault] = []
        read_block(table(bad), 1, np.array([2]), form, faults.append, DECISIVE)
        assert (kind in {each.kind for each in faults}) == decisive, name


def test_forms_and_faults_are_as_documented() -> None:
    assert PRM.hashed is False


def test_reasons_are_counted_without_their_particulars() -> None:
    assert refusal_reason("over-length: 5: 6") == "over-length"
    assert refusal_reason("x" * 300) == "x" * 200
    assert refusal_reason("no step") == "no step"


def test_numbers_in_a_message_are_few() -> None:
    assert shown_numbers([1.0, 0.5]) == "[1, 0.5]"
    assert shown_numbers([0.25] * 8) == "[" + ", ".join(["0.25"] * 8) + "]"
    assert shown_numbers([0.25] * 9) == "[" + ", ".join(["0.25"] * 8) + ", ...]"


def test_an_aggregation_that_is_not_defined_is_refused() -> None:
    arrays, _ = read(GOOD)
    with pytest.raises(PrmEvalError, match="unknown aggregation"):
        arrays.aggregated("median", "value")
