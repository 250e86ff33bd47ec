"""What candidates cost: tokens that the policy wrote, tokens that each reward model read, and their prices.

Counts that nobody recorded are unknown, and stay so (NaN) unless the user asks for a named estimate: characters, or the
tokens of a tokenizer. An estimate is used for both, so that one axis never mixes two units.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prm_eval.errors import PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.progress import COUNTING, Bars, no_bars
from prm_eval.rewards.files.reading import reward_schema
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.rewards.models import checkpoint
from prm_eval.store.tables import BlockReader, require_same_ids
from prm_eval.texts.names import short_name

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RECORDED, CHARACTERS = "recorded", "characters"
"""How candidates are counted, besides by the name of a tokenizer."""
LEAST_PRICE, LARGEST_PRICE = 1e-9, 1e9
# what float() reads besides, such as 1_0 or nan, is no price
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
WRITTEN = "written"
"""What the policy wrote, where counts stand beside those of reward models."""
CountTexts = Callable[[list[str]], Sequence[int]]


@dataclass(frozen=True)
class Price:
    """What is paid, in any currency; by default one for each token, whoever deals with it.

    Each is 0 or from 1e-9 to 1e9, and not all are 0; another one raises PrmEvalError. Nothing is sold for more, and
    costs beyond that could not be added.

    Attributes:
        written: For a token that the policy writes.
        read: For a token that a reward model reads.
        candidate: For a candidate, however long.
    """

    written: float = 1.0
    read: float = 1.0
    candidate: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value and not LEAST_PRICE <= value <= LARGEST_PRICE:
                raise PrmEvalError(
                    f"price {name}={value}; expected 0, or a number from {LEAST_PRICE:g} to {LARGEST_PRICE:g}: costs "
                    "are in any currency, so take a larger or smaller one"
                )
        if not any(asdict(self).values()):
            raise PrmEvalError(
                "price: all three are 0, so that nothing costs anything; give one of them a number above 0"
            )

    def of(self, candidates: Any, written: Any, read: Any) -> Any:
        """Return the cost of numbers or arrays; what costs nothing may be unknown."""
        parts = [(self.candidate, candidates), (self.written, written), (self.read, read)]
        return sum(price * each for price, each in parts if price)


def read_price(words: Sequence[str]) -> Price:
    """Read a price such as ``written=0.6, read=0.05``; what is left out costs what it does by default.

    Raises:
        PrmEvalError: A word is not one of the three with a number, one is there twice, or a number is not a price.
    """
    given: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        value = float(text) if _NUMBER.fullmatch(text) else math.inf
        if name not in asdict(Price()) or not value < math.inf:
            raise PrmEvalError(
                f"price {word!r}; expected written=NUMBER, read=NUMBER or candidate=NUMBER, each at least 0"
            )
        if name in given:
            raise PrmEvalError(f"price {word!r}: {name} is there twice; expected each once")
        given[name] = value
    return Price(**given)


@dataclass(frozen=True)
class Counted:
    """What each slot costs; NaN where it is unknown, 0 where the slot is missing.

    Attributes:
        unit: What is counted, in a word or two.
        estimated: What the estimate that the user asked for counts; "" for recorded counts.
        written: (problems, M) by the policy.
        read: (problems, M) by each reward model.
        unknown: How many candidates have no count, by "written" and by reward model; those with some only.
    """

    unit: str
    estimated: str
    written: Floats
    read: Mapping[str, Floats]
    unknown: Mapping[str, int]


def count_costs(
    pool: Pool, files: Sequence[NamedRewards], count_by: str = RECORDED, *, bars: Bars = no_bars
) -> Counted:
    """Count what the candidates of a pool cost.

    Args:
        pool: The pool.
        files: The rewards for it.
        count_by: "recorded", "characters", or a tokenizer: the folder of a checkpoint, or a hub id.
        bars: The bar of an estimate.

    Raises:
        DataError: A file has other candidates than the pool.
        ModelError: There is no such tokenizer.
    """
    if count_by == RECORDED:
        return _recorded(pool, files)
    by = CHARACTERS if count_by == CHARACTERS else f"tokens by the tokenizer {short_name(count_by)}"
    count = _characters if count_by == CHARACTERS else _by_tokenizer(count_by)
    written = np.zeros((pool.info.n_problems, pool.info.m))
    read = np.zeros_like(written)
    with bars(COUNTING, pool.info.n_problems, "problem") as progress:
        for row, (problem, table) in enumerate(pool.blocks(["problem_id", "slot", "text"])):
            statement, *texts = count([problem.statement, *table.column("text").to_pylist()])
            slots = table.column("slot").to_numpy()
            written[row, slots] = texts
            read[row, slots] = np.array(texts) + statement
            progress(row + 1)
    unit = CHARACTERS if count_by == CHARACTERS else "tokens (estimated)"
    return Counted(unit, by, written, dict.fromkeys((each.label for each in files), read), {})


def _characters(texts: list[str]) -> Sequence[int]:
    return [len(text) for text in texts]


def _by_tokenizer(name: str) -> CountTexts:
    tokenizer = checkpoint.load("tokenizer", "AutoTokenizer", name, None)
    return lambda texts: [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]


def _recorded(pool: Pool, files: Sequence[NamedRewards]) -> Counted:
    """Return the counts of the files: a refused candidate that has none was not read."""
    shape = (pool.info.n_problems, pool.info.m)
    paths = {each.file.path: each.file for each in files}
    for file in paths.values():
        file.require_pool(pool)
    columns = ["problem_id", "candidate_id", "n_tokens", "refusal"]
    readers = {path: BlockReader(path, reward_schema(single=False), columns) for path in paths}
    written, by_path = np.zeros(shape), {path: np.zeros(shape) for path in paths}
    for row, (problem, table) in enumerate(pool.blocks(["problem_id", "candidate_id", "slot", "n_tokens"])):
        slots = table.column("slot").to_numpy()
        written[row, slots] = _numbers(table.column("n_tokens"))
        for path, reader in readers.items():
            first, rows = reader.take(problem.problem_id)
            require_same_ids(path, first, rows, table, str(pool.candidates_path))
            counts = _numbers(rows.column("n_tokens"))
            refused = pc.is_valid(rows.column("refusal")).to_numpy(zero_copy_only=False).astype(bool)
            by_path[path][row, slots] = np.where(refused & np.isnan(counts), 0.0, counts)
    for reader in readers.values():
        reader.finish("the pool")
    read = {each.label: by_path[each.file.path] for each in files}
    unknown = {name: int(np.isnan(table).sum()) for name, table in {WRITTEN: written, **read}.items()}
    return Counted("tokens", "", written, read, {name: count for name, count in unknown.items() if count})


def _numbers(column: pa.ChunkedArray) -> Floats:
    """Return whole numbers as floats, NaN for null; a count below 0 is none."""
    values: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(values < 0, np.nan, values)
