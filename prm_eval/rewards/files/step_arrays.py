"""All rewards of a file at once, as arrays: what :class:`~prm_eval.rewards.files.reward_file.RewardReader` reads row by row.

The board reads hundreds of files. Here a file of 32,000 candidates takes a fraction of a second; a property test holds
the two readers, and the two ways to aggregate, equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.records import Aggregation, ScoreType
from prm_eval.rewards.aggregate import LEAST_WEIGHT, SOFT_MIN_TEMPERATURE
from prm_eval.rewards.files.reward_file import RewardFile, refusal_reason, reward_schema
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.store.tables import open_table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COLUMNS = ["problem_id", "candidate_id", "step_rewards", "n_steps", "n_tokens", "input_hash", "refusal"]
TEXTS = ("problem_id", "candidate_id", "input_hash", "refusal")
LONGEST_TEXT = 1_000  # of an id or a refusal, in bytes
MOST_REFUSAL = 300  # characters of a refusal
MOST_VALUES = 200_000_000  # step rewards of one file (1.6 GB); a file that claims more is not read
MOST_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class StepArrays:
    """The step rewards of a whole pool by one reward model, candidate after candidate.

    Attributes:
        values: All step rewards.
        counts: How many each candidate has; 0 where the model refused it.
        refusals: How often each reason to refuse was given (the part before a colon).
        tokens: Tokens the model read, over all candidates that say so.
        told_tokens: How many candidates say so.
    """

    values: Floats
    counts: Ints
    refusals: dict[str, int]
    tokens: int
    told_tokens: int

    @property
    def starts(self) -> Ints:
        """Where the values of each candidate begin."""
        result: Ints = np.cumsum(self.counts) - self.counts
        return result


def read_steps(
    rewards: RewardFile, pool: Pool, ids: tuple[pa.ChunkedArray, pa.ChunkedArray], expected: Ints
) -> StepArrays:
    """Read a reward file, checked against the pool's candidates.

    Args:
        rewards: The file.
        pool: Its pool.
        ids: The pool's problem and candidate ids, in order.
        expected: How many step rewards each candidate must have.

    Raises:
        DataError: What :class:`~prm_eval.rewards.files.reward_file.RewardReader` would raise; it is asked, to name the
            row.
    """
    rewards.require_pool(pool)
    _require_size(rewards, "", rewards.path.stat().st_size if rewards.path.is_file() else 0, expected)
    file = open_table(rewards.path, reward_schema(single=False))
    _require_bounded(rewards, file.metadata, file.schema_arrow.names, expected)
    try:  # a text that every row repeats is unpacked once
        table = pq.ParquetFile(rewards.path, read_dictionary=list(TEXTS)).read(columns=COLUMNS)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            rewards.path, None, f"data that cannot be read ({error})", "an undamaged Parquet file"
        ) from None
    _require_short_texts(rewards, table)
    if table.num_rows != len(expected):
        _name_the_row(rewards, pool)
        raise DataError(rewards.path, None, f"{table.num_rows:,} rows", f"{len(expected):,}, one a candidate")
    found = _arrays(table, ids, expected)
    if found is None:
        _name_the_row(rewards, pool)
        raise DataError(rewards.path, None, "rows that contradict the pool", "rewards for its candidates, in order")
    _require_told(rewards, table)
    _require_totals(rewards, found)
    return found


def most_row_groups(candidates: int) -> int:
    """Return into how many row groups a rewards file may be cut: each costs its reader."""
    return 64 + candidates // 1_000


def _require_bounded(rewards: RewardFile, metadata: pq.FileMetaData, names: list[str], expected: Ints) -> None:
    """Insist that a file is no larger than rewards for its pool are, as far as its footer says (``prm-eval check`` trusts it less).

    A reason, an id or a hash that every row repeats packs to nothing: 20 kB may unpack to gigabytes, here in our own
    process.
    """
    if extra := [name for name in names if name not in (*COLUMNS, "reward")]:
        raise DataError(
            rewards.path, None, f"a column {extra[0][:100]!r}", f"only {', '.join(COLUMNS)}, perhaps reward"
        )
    if metadata.num_row_groups > most_row_groups(len(expected)):
        found = f"{metadata.num_row_groups:,} row groups"
        raise DataError(rewards.path, None, found, f"at most {most_row_groups(len(expected)):,}")
    if metadata.num_rows > 2 * len(expected) + 1_000:
        raise DataError(rewards.path, None, f"{metadata.num_rows:,} rows", f"{len(expected):,}, one a candidate")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    steps = int(expected.sum())
    values = sum(each.num_values for each in chunks if each.path_in_schema.startswith("step_rewards"))
    most = min(MOST_VALUES, 2 * (steps + len(expected)) + 1_000)
    if values > most:
        raise DataError(rewards.path, None, f"{values:,} step rewards", f"at most {most:,}")
    _require_size(rewards, " when unpacked", sum(max(0, each.total_uncompressed_size) for each in chunks), expected)


def _require_size(rewards: RewardFile, when: str, size: int, expected: Ints) -> None:
    most = min(MOST_BYTES, bytes_of_rewards(len(expected), int(expected.sum())))
    if size > most:
        raise DataError(rewards.path, None, f"{size:,} bytes{when}", f"at most {most:,}")


def _require_short_texts(rewards: RewardFile, table: pa.Table) -> None:
    """Insist on short texts, while each distinct one is there once."""
    for name in TEXTS:
        for chunk in table.column(name).chunks:
            if (at := first_long_text(chunk)) is not None:
                raise DataError(rewards.path, at + 1, f"a {name} of more than {LONGEST_TEXT:,} bytes", "a short text")


def _require_told(rewards: RewardFile, table: pa.Table) -> None:
    """Insist that what a file says beside its rewards has the form of it: token counts, input hashes, reasons to refuse.

    Raises:
        DataError: Names the first row that has not.
    """
    tokens, hashes, reasons = (table.column(name) for name in ("n_tokens", "input_hash", "refusal"))
    lost = pc.and_(pc.is_null(tokens), pc.is_valid(hashes))
    recipe = shipped_recipes().get(str(rewards.info.model.get("recipe")))
    renders = recipe is not None and recipe.head.type != "generate"
    wrong = {
        "no input_hash, though the recipe renders token ids": pc.and_(
            pc.and_(pc.is_null(hashes), pc.is_null(reasons)), renders
        ),
        "an n_tokens that is negative, or none beside an input_hash": pc.or_(
            pc.fill_null(pc.less(tokens, 0), False), lost
        ),
        "an input_hash that is not 64 hexadecimal digits": _unlike(hashes, _not_hexadecimal),
        "a refusal that is no line of plain text": _unlike(reasons, _not_plain),
    }
    for what, rows in wrong.items():
        at = int(pc.index(rows, True).as_py())
        if at >= 0:
            raise DataError(rewards.path, at + 1, what, "one as in results/README.md; prm-eval check names every row")


def _unlike(column: pa.ChunkedArray, is_wrong: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """Say of each row whether its text is wrong, by asking once for each distinct text; null is right."""
    chunks = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            chunks.append(pc.fill_null(pc.take(is_wrong(chunk.dictionary), chunk.indices), False))
        else:
            chunks.append(pc.fill_null(is_wrong(chunk), False))
    return pa.chunked_array(chunks, pa.bool_())


def _not_hexadecimal(texts: pa.Array) -> pa.Array:
    return pc.invert(pc.match_substring_regex(texts, r"^[0-9a-f]{64}\z"))


def _not_plain(texts: pa.Array) -> pa.Array:
    spaced = pc.replace_substring_regex(texts, r"\p{Zs}", " ")  # a no-break space prints too
    wrong = pc.invert(pc.utf8_is_printable(spaced))
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
    return pc.or_(pc.or_(wrong, blank), pc.greater(pc.utf8_length(texts), MOST_REFUSAL))


def _require_totals(rewards: RewardFile, found: StepArrays) -> None:
    """Insist that ``submission.json`` counts what is there, where it counts (the first version of the format did not)."""
    run = rewards.info.run
    own = {
        "candidates": len(found.counts),
        "tokens": found.tokens if found.told_tokens else None,
        "refused": found.refusals,
    }
    for name, value in own.items():
        if name in run and run[name] != value:
            said, there = (str(each)[:100] for each in (run[name], value))
            raise DataError(
                rewards.folder / "submission.json", None, f"run.{name} = {said}", f"{there}, as in rewards.parquet"
            )


def first_long_text(column: pa.Array) -> int | None:
    """Return the first row whose text is longer than any such text is; looks at the dictionary, unpacks nothing."""
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    lengths = pc.binary_length(texts)
    if len(texts) == 0 or (pc.max(lengths).as_py() or 0) <= LONGEST_TEXT:
        return None
    long = pc.greater(lengths, LONGEST_TEXT)
    if pa.types.is_dictionary(column.type):
        long = pc.take(long, column.indices)
    return max(0, int(pc.index(long, True).as_py()))


def bytes_of_rewards(candidates: int, steps: int) -> int:
    """Return how many bytes a rewards file may have, packed or not: generous for text, 16 a step."""
    return 1_000_000 + 1_000 * candidates + 16 * steps


def _arrays(table: pa.Table, ids: tuple[pa.ChunkedArray, pa.ChunkedArray], expected: Ints) -> StepArrays | None:
    """Return the arrays, or None where any row is not as it must be."""
    for name, wanted in zip(("problem_id", "candidate_id"), ids, strict=True):
        if not table.column(name).cast(pa.string()).equals(wanted.cast(pa.string())):
            return None
    lists = table.column("step_rewards").combine_chunks()
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = lists.flatten()
    if flat.null_count:
        return None
    values = flat.to_numpy(zero_copy_only=False).astype(np.float64)
    refused = pc.is_valid(table.column("refusal")).to_numpy().astype(bool)
    claimed = pc.fill_null(table.column("n_steps"), -1).to_numpy().astype(np.int64)
    right = np.where(refused, counts == 0, (counts == expected) & (counts > 0) & (claimed == counts))
    if not right.all() or not np.isfinite(values).all():
        return None
    reasons = Counter(
        refusal_reason(str(reason)) for reason in table.column("refusal").cast(pa.string()).drop_null().to_pylist()
    )
    tokens = table.column("n_tokens")
    return StepArrays(
        values,
        counts,
        {reason: reasons[reason] for reason in sorted(reasons)},
        int(pc.sum(pc.cast(tokens, pa.int64())).as_py() or 0),
        len(tokens) - tokens.null_count,
    )


def _name_the_row(rewards: RewardFile, pool: Pool) -> None:
    """Read the file row by row, for the error that names the row."""
    reader = rewards.reader(pool)
    for problem, table in pool.blocks(["problem_id", "candidate_id", "text", "steps"]):
        reader.take(problem, table)
    reader.finish()


def aggregate_all(steps: StepArrays, aggregation: Aggregation, score_type: ScoreType) -> tuple[Floats, Floats]:
    """Return the (rewards, weights) of all candidates, NaN where refused: :func:`~prm_eval.rewards.aggregate.aggregate` at once.

    Raises:
        PrmEvalError: An aggregate that is not finite.
    """
    scored = steps.counts > 0
    rewards, weights = np.full(len(scored), np.nan), np.full(len(scored), np.nan)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        found, probability = _aggregate(steps, aggregation, score_type)
    if not (np.isfinite(found).all() and np.isfinite(probability).all()):
        raise PrmEvalError(f"the {aggregation} of step rewards is not finite for some candidate")
    rewards[scored] = found
    weights[scored] = np.clip(probability, LEAST_WEIGHT, 1.0)
    return rewards, weights


def _aggregate(steps: StepArrays, aggregation: Aggregation, score_type: ScoreType) -> tuple[Floats, Floats]:
    """Return reward and probability of the candidates that were scored."""
    if score_type == "logodds":
        if aggregation == "prod":
            total = _sums(steps, _log_sigmoid(steps.values))
            return total, np.exp(total)
        if aggregation in ("min", "last"):
            chosen = _of_numbers(steps, steps.values, aggregation)
            return chosen, _sigmoid(chosen)
        found = _of_numbers(steps, _sigmoid(steps.values), aggregation)
        return found, found
    found = _of_numbers(steps, steps.values, aggregation)
    return found, _sigmoid(found) if score_type == "raw" else found


def _of_numbers(steps: StepArrays, values: Floats, aggregation: Aggregation) -> Floats:
    counts = steps.counts[steps.counts > 0]
    if not len(counts):
        return np.zeros(0)
    starts = np.cumsum(counts) - counts
    if aggregation == "min":
        return np.minimum.reduceat(values, starts)
    if aggregation == "last":
        result: Floats = values[starts + counts - 1]
        return result
    if aggregation == "mean":
        return _sums(steps, values) / counts
    if aggregation == "prod":
        product = np.empty(len(counts))
        for rows, table in _by_count(counts, values):
            product[rows] = _running_product(table)
        return product
    signed = 2 * values - 1
    least = np.repeat(np.minimum.reduceat(signed, starts), counts)
    weights = np.exp((least - signed) / SOFT_MIN_TEMPERATURE)
    soft = _sums(steps, weights * signed) / _sums(steps, weights)
    return (soft + 1) / 2


def _by_count(counts: Ints, values: Floats) -> Iterator[tuple[Ints, Floats]]:
    """Yield (candidates, (candidates, count) values) for every number of steps that occurs."""
    starts = np.cumsum(counts) - counts
    order = np.argsort(counts, kind="stable")
    bounds = np.flatnonzero(np.diff(counts[order], prepend=-1, append=-1))
    for first, last in pairwise(bounds):
        rows = order[first:last]
        yield rows, values[starts[rows][:, None] + np.arange(counts[rows[0]])]


def _running_product(table: Floats) -> Floats:
    result = np.ones(len(table))
    for column in table.T:
        result = result * column  # in the order of the steps, as math.prod does
    return result


def _sums(steps: StepArrays, values: Floats) -> Floats:
    """Return the sum of each candidate's values, compensated (Knuth's two-sum).

    As with ``math.fsum`` it does not depend on the order of the steps: candidates whose steps got the same values in
    another order must tie here too.
    """
    counts = steps.counts[steps.counts > 0]
    result = np.empty(len(counts))
    for rows, table in _by_count(counts, values):
        total, lost = np.zeros(len(rows)), np.zeros(len(rows))
        for column in table.T:
            following = total + column
            back = following - total
            lost += (total - (following - back)) + (column - back)
            total = following
        result[rows] = total + lost
    return result


def _sigmoid(x: Floats) -> Floats:
    small = np.exp(-np.abs(x))
    result: Floats = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return result


def _log_sigmoid(x: Floats) -> Floats:
    result: Floats = np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
    return result
