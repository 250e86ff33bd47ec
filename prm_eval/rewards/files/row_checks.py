"""The one checker of the rows of ``rewards.parquet``: every question that a row is asked, and the arrays that pass.

Every reader of reward files uses :func:`read_block`: the evaluation, which reads problem by problem, the board, which
reads a whole file at once, and ``prm-eval check``, which reports every fault. They differ only in what they do with a
fault, which a :data:`~prm_eval.rewards.files.step_arrays.Sink` decides. Steps are aggregated after reading, never
during it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prm_eval.errors import PrmEvalError
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.files.step_arrays import Form, RowFault, Sink, StepArrays, refusal_reason
from prm_eval.store.typed import shown

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# characters of a refusal
MOST_REFUSAL = 300
# of an aggregated reward that a file has a column for, relative to the larger of its size and 1
REWARD_TOLERANCE = 1e-5
# far beyond float32, in which reward models compute; sums and differences of larger numbers could overflow
LARGEST_REWARD = 1e250
# tokens of a candidate: the format's column has 32 bits, and sums of larger numbers could overflow
MOST_TOKENS = 2**31 - 1


def read_block(
    rows: pa.Table, first_row: int, steps: Ints, form: Form, sink: Sink, checks: Sequence[Check] | None = None
) -> StepArrays:
    """Return the step rewards of consecutive rows, and report every fault to the sink, row by row.

    Args:
        rows: Rows of ``rewards.parquet``, one for each candidate of the pool, in its order.
        first_row: The 1-based number in the file of the first of them.
        steps: The number of steps of each candidate.
        form: The declared form of the rows.
        sink: The function that takes faults; if it does not raise, a row with a decisive fault counts as refused.
        checks: The questions that a row is asked; all :data:`CHECKS` by default.
    """
    block = _Block.of(rows, steps, form)
    faulty = np.zeros(len(block.counts), dtype=bool)
    masks = [(check, check.rows(block)) for check in (CHECKS if checks is None else checks)]
    for row in np.flatnonzero(np.any([mask for _, mask in masks], axis=0)):
        for check, mask in masks:
            if mask[row]:
                sink(RowFault(check.kind, first_row + int(row), *check.words(block, int(row))))
                faulty[row] |= check.decisive
    kept = ~faulty & ~block.refused
    reasons = Counter(refusal_reason(str(reason)) for reason in block.reasons.drop_null().to_pylist())
    return StepArrays(
        block.values if kept[block.counts > 0].all() else block.values[np.repeat(kept, block.counts)],
        np.where(kept, block.counts, 0),
        {reason: reasons[reason] for reason in sorted(reasons)},
        int(pc.sum(block.tokens).as_py() or 0),
        len(block.tokens) - block.tokens.null_count,
    )


@dataclass(frozen=True)
class _Block:
    """The unpacked rows, which every check reads.

    Attributes:
        form: The declared form of the rows.
        values: All step rewards; NaN for null.
        counts: The number of step rewards of each row.
        wanted: The number that each row must have if it is not refused.
        claimed: ``n_steps``; 0 for null.
        unclaimed: Whether ``n_steps`` is null.
        refused: Whether there is a refusal.
        reasons: The refusals.
        tokens: ``n_tokens``.
        hashes: ``input_hash``.
        rewards: The aggregated rewards, if the file has a column for them.
        brings: Whether the row has an aggregated reward.
    """

    form: Form
    values: Floats
    counts: Ints
    wanted: Ints
    claimed: Ints
    unclaimed: Bools
    refused: Bools
    reasons: pa.ChunkedArray
    tokens: pa.ChunkedArray
    hashes: pa.ChunkedArray
    rewards: Floats
    brings: Bools

    @classmethod
    def of(cls, rows: pa.Table, steps: Ints, form: Form) -> _Block:
        lists = rows.column("step_rewards").combine_chunks()
        lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        claims = rows.column("reward") if "reward" in rows.column_names else pa.nulls(rows.num_rows, pa.float64())
        return cls(
            form,
            _numbers(lists.flatten()),
            pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64),
            np.ones(rows.num_rows, dtype=np.int64) if form.kind == "orm" else steps,
            pc.fill_null(_whole(rows.column("n_steps")), 0).to_numpy(),
            _is_null(rows.column("n_steps")),
            pc.is_valid(rows.column("refusal")).to_numpy().astype(bool),
            rows.column("refusal").cast(pa.string()),
            _whole(rows.column("n_tokens")),
            rows.column("input_hash"),
            _numbers(claims),
            ~_is_null(claims),
        )

    def steps_of(self, row: int) -> list[float]:
        """Return the step rewards of a row."""
        start = int(self.counts[:row].sum())
        return [float(value) for value in self.values[start : start + self.counts[row]]]

    @cached_property
    def not_finite(self) -> Bools:
        """A flag for each row that has a value that is not finite."""
        return self._rows_with(~np.isfinite(self.values))

    @cached_property
    def huge(self) -> Bools:
        """A flag for each row that has a finite value beyond all measure."""
        return self._rows_with((np.abs(self.values) > LARGEST_REWARD) & np.isfinite(self.values))

    def _rows_with(self, bad: Bools) -> Bools:
        result = np.zeros(len(self.counts), dtype=bool)
        if bad.any():
            result[np.repeat(np.arange(len(self.counts)), self.counts)[bad]] = True
        return result

    @cached_property
    def aggregates(self) -> Floats:
        """The aggregated reward of each row; NaN for rows without rewards.

        A row whose aggregate is not finite or not defined has infinity.
        """
        kept = (self.counts > 0) & ~self.refused & ~self.not_finite & ~self.huge
        values, counts = self.values[np.repeat(kept, self.counts)], np.where(kept, self.counts, 0)
        try:
            return aggregate_all(values, counts, self.form.aggregation, self.form.score_type)[0]
        except PrmEvalError:
            # one row after the other, to find those that are at fault
            result = np.full(len(counts), np.nan)
            for row in np.flatnonzero(kept):
                try:
                    one = (np.array(self.steps_of(int(row))), counts[row : row + 1])
                    result[row] = aggregate_all(*one, self.form.aggregation, self.form.score_type)[0][0]
                except PrmEvalError:
                    result[row] = np.inf
            return result


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whole numbers of any width as int64; those that are larger still become the largest."""
    if pa.types.is_uint64(column.type):
        largest = pa.scalar(2**63 - 1, pa.uint64())
        column = pc.min_element_wise(column, largest, skip_nulls=False)
    return pc.cast(column, pa.int64())


def _numbers(column: Any) -> Floats:
    result: Floats = pc.fill_null(pc.cast(column, pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    return result.astype(np.float64)


@dataclass(frozen=True)
class Check:
    """A check of every row.

    Attributes:
        kind: The kind of fault.
        rows: (block) -> a flag for every row that has the fault.
        words: (block, row) -> found, expected.
        decisive: Whether the rewards of a row with the fault cannot be used.
    """

    kind: str
    rows: Callable[[_Block], Bools]
    words: Callable[[_Block, int], tuple[str, str]]
    decisive: bool = True


def _unlike(column: pa.ChunkedArray, is_wrong: Callable[[pa.Array], pa.Array]) -> Bools:
    """Return a flag for each row whose text is wrong; each distinct text is judged once, and null is right."""
    masks = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            masks.append(pc.fill_null(pc.take(is_wrong(chunk.dictionary), chunk.indices), False))
        else:
            masks.append(pc.fill_null(is_wrong(chunk), False))
    result: Bools = pa.chunked_array(masks, pa.bool_()).to_numpy().astype(bool)
    return result


def _not_hexadecimal(texts: pa.Array) -> pa.Array:
    return pc.invert(pc.match_substring_regex(texts, r"^[0-9a-f]{64}\z"))


def _not_plain(texts: pa.Array) -> pa.Array:
    # a no-break space is plain text too
    spaced = pc.replace_substring_regex(texts, r"\p{Zs}", " ")
    wrong = pc.invert(pc.utf8_is_printable(spaced))
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
    return pc.or_(pc.or_(wrong, blank), pc.greater(pc.utf8_length(texts), MOST_REFUSAL))


def _is_null(column: Any) -> Bools:
    result: Bools = np.asarray(pc.is_null(column)).astype(bool)
    return result


def _bad_tokens(block: _Block) -> Bools:
    outside = pc.or_(pc.less(block.tokens, 0), pc.greater(block.tokens, MOST_TOKENS))
    result: Bools = pc.fill_null(outside, False).to_numpy().astype(bool) | (
        _is_null(block.tokens) & ~_is_null(block.hashes)
    )
    return result


def _false_claims(block: _Block) -> Bools:
    if not block.brings.any():
        return block.brings
    truth = block.aggregates
    near = np.abs(block.rewards - truth) <= REWARD_TOLERANCE * np.maximum(1.0, np.abs(truth))
    result: Bools = block.brings & np.isfinite(truth) & ~near
    return result


def _wrong_counts(block: _Block) -> Bools:
    result: Bools = ~block.refused & (block.counts > 0) & (block.counts != block.wanted)
    return result


def _wanted_words(block: _Block, row: int) -> tuple[str, str]:
    why = (
        "one for an ORM" if block.form.kind == "orm" else f"as the splitter {block.form.splitter!r} cuts the candidate"
    )
    return f"{block.counts[row]:,} steps", f"{block.wanted[row]:,}, {why}"


CHECKS: tuple[Check, ...] = (
    Check("null", lambda block: block.unclaimed, lambda *_: ("an n_steps that is null", "a count")),
    Check(
        "refusal",
        lambda block: block.refused & (block.counts > 0),
        lambda block, row: (f"rewards and the refusal {shown(block.reasons[row].as_py())}", "one of the two"),
    ),
    Check(
        "refusal",
        lambda block: ~block.refused & (block.counts == 0),
        lambda *_: ("no step rewards", "rewards, or a refusal with its reason"),
    ),
    Check(
        "finite",
        lambda block: block.not_finite & ~block.refused,
        lambda block, row: (f"a reward that is not finite in {shown_numbers(block.steps_of(row))}", "finite numbers"),
    ),
    Check(
        "finite",
        lambda block: block.huge & ~block.refused,
        lambda block, row: (
            f"a huge reward in {shown_numbers(block.steps_of(row))}",
            f"numbers of at most {LARGEST_REWARD:g} in size",
        ),
    ),
    Check(
        "n-steps",
        lambda block: ~block.refused & (block.counts > 0) & ~block.unclaimed & (block.counts != block.claimed),
        lambda block, row: (f"{block.counts[row]:,} rewards", f"{block.claimed[row]:,}, as n_steps says"),
    ),
    Check("step-count", _wrong_counts, _wanted_words),
    Check(
        "finite",
        lambda block: np.abs(block.aggregates) > LARGEST_REWARD,
        lambda block, _: (f"rewards whose {block.form.aggregation} is not finite, or not defined", "a finite number"),
        decisive=False,
    ),
    Check(
        "aggregate",
        _false_claims,
        lambda block, row: (
            f"the reward {block.rewards[row]:g}",
            f"{block.aggregates[row]:g}, the {block.form.aggregation} of its steps",
        ),
        decisive=False,
    ),
    Check(
        "refusal",
        lambda block: _unlike(block.reasons, _not_plain),
        lambda block, row: (f"the reason {shown(block.reasons[row].as_py())}", "a line of plain text"),
        decisive=False,
    ),
    Check(
        "n-steps",
        lambda block: block.refused & (block.claimed != 0),
        lambda block, row: (f"n_steps {block.claimed[row]}", "0 for a refused candidate"),
        decisive=False,
    ),
    Check(
        "n-tokens",
        _bad_tokens,
        lambda block, row: (f"n_tokens {block.tokens[row].as_py()}", "the number of rendered tokens"),
        decisive=False,
    ),
    Check(
        "input-hash",
        lambda block: block.form.hashed & _is_null(block.hashes) & ~block.refused,
        lambda *_: ("no input_hash", "one: the recipe renders token ids"),
        decisive=False,
    ),
    Check(
        "input-hash",
        lambda block: _unlike(block.hashes, _not_hexadecimal),
        lambda block, row: (f"input_hash {shown(block.hashes[row].as_py())}", "64 hexadecimal digits"),
        decisive=False,
    ),
)
"""All checks of a row, in the order in which faults are reported."""

DECISIVE = tuple(check for check in CHECKS if check.decisive)
"""The checks of what makes rewards unusable; the others are of form."""


def shown_numbers(values: Sequence[float]) -> str:
    """Return the first numbers of a row as text for a message."""
    return "[" + ", ".join(f"{value:g}" for value in values[:8]) + (", ...]" if len(values) > 8 else "]")
