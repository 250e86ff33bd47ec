"""Which examples are computed together: the whole schedule of a training, laid out before the first step.

Every pass over the data has an order of its own, drawn from the seed and the number of the pass. So the n-th batch of a
run is the same whenever it is asked for, after an interruption and on any number of processes.

Packed, examples of one problem lie together (a quarter of a batch, more where they are long): what they have in common
at their start, the statement and in PRM800K's candidates all earlier steps, is then computed once. Padded, examples of
similar lengths lie together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.rewards.engine.packing import Layout, lay_out, shared_tokens
from prm_eval.training.store import Examples
from prm_eval.training.targets import Columns, weights_of

Ints = npt.NDArray[np.int64]
SHARE_OF_A_BATCH = 4
# padded batches are cut from so many batches' worth of examples, sorted by length
WINDOW = 32


@dataclass(frozen=True)
class Schedule:
    """The batches of a run, in order.

    Attributes:
        batches: The examples of each.
        rows: The rows that the trunk runs over for each.
        tokens: The tokens of its examples: more than the rows where starts are shared, fewer where rows are padded.
        passes: The number of passes.
    """

    batches: tuple[Ints, ...]
    rows: Ints
    tokens: Ints
    passes: int

    @property
    def padding_waste(self) -> float:
        """The share of the rows that hold no token; 0 for packed rows."""
        rows, tokens = int(self.rows.sum()), int(self.tokens.sum())
        return max(0.0, 1 - tokens / rows) if rows else 0.0

    @property
    def saved(self) -> float:
        """The share of the tokens that are not computed because another example has them at its start."""
        rows, tokens = int(self.rows.sum()), int(self.tokens.sum())
        return max(0.0, 1 - rows / tokens) if tokens else 0.0


def make_schedule(examples: Examples, budget: int, passes: int, seed: int, *, packed: bool, kept: Ints) -> Schedule:
    """Return the batches of a run.

    Args:
        examples: The examples.
        budget: The most rows of a batch; a longer example has one of its own.
        passes: Passes over the data.
        seed: Of the orders.
        packed: Whether a batch is one row without padding.
        kept: The examples that are trained on.
    """
    pieces = _bundles(examples, budget, kept) if packed else None
    batches: list[Ints] = []
    rows: list[int] = []
    for number in range(passes):
        draw = np.random.default_rng([seed, number])
        if pieces is not None:
            found = _filled([pieces[at] for at in draw.permutation(len(pieces))], budget)
        else:
            found = _of_lengths(examples.lengths, kept[draw.permutation(len(kept))], budget, draw)
        batches += [each for each, _ in found]
        rows += [count for _, count in found]
    tokens = np.array([int(examples.lengths[each].sum()) for each in batches], dtype=np.int64)
    return Schedule(tuple(batches), np.array(rows, dtype=np.int64), tokens, passes)


def _bundles(examples: Examples, budget: int, kept: Ints) -> list[tuple[Ints, int]]:
    """Return the examples of each problem in the order of their ids, in pieces of a quarter of the budget.

    Pieces of long examples may be larger: cut after each, they would share nothing.
    """
    by_problem: dict[int, list[int]] = {}
    for index in kept.tolist():
        by_problem.setdefault(int(examples.problems[index]), []).append(index)
    pieces: list[tuple[Ints, int]] = []
    for members in by_problem.values():
        ids = {index: examples.ids(index) for index in members}
        longest = int(examples.lengths[members].max())
        most = min(budget, max(budget // SHARE_OF_A_BATCH, SHARE_OF_A_BATCH * longest))
        piece: list[int] = []
        used, before = 0, None
        for index in sorted(members, key=lambda each: (ids[each], each)):
            adds = len(ids[index]) - shared_tokens(before, ids[index])
            if piece and used + adds > most:
                pieces.append((np.array(piece), used))
                piece, used, adds = [], 0, len(ids[index])
            piece.append(index)
            used += adds
            before = ids[index]
        pieces.append((np.array(piece), used))
    return pieces


def _filled(pieces: Sequence[tuple[Ints, int]], budget: int) -> list[tuple[Ints, int]]:
    found: list[tuple[Ints, int]] = []
    held: list[Ints] = []
    used = 0
    for piece, rows in pieces:
        if held and used + rows > budget:
            found.append((np.concatenate(held), used))
            held, used = [], 0
        held.append(piece)
        used += rows
    return [*found, (np.concatenate(held), used)] if held else found


def _of_lengths(lengths: Ints, order: Ints, budget: int, draw: np.random.Generator) -> list[tuple[Ints, int]]:
    """Return padded batches: similar lengths together within windows, and the batches in an order of their own."""
    found: list[tuple[Ints, int]] = []
    each = max(1, WINDOW * budget // max(1, int(lengths.mean())))
    for start in range(0, len(order), each):
        window = order[start : start + each]
        window = window[np.argsort(-lengths[window], kind="stable")]
        while len(window):
            longest = int(lengths[window[0]])
            count = max(1, budget // longest)
            found.append((window[:count], longest * len(window[:count])))
            window = window[count:]
    return [found[at] for at in draw.permutation(len(found))]


@dataclass(frozen=True)
class Inputs:
    """What the network is given for some sequences.

    Attributes:
        tensors: The arguments of its forward pass, with ``read``: the rows at which the head is read.
        layout: The layout of a packed row; None for a padded batch.
    """

    tensors: dict[str, Any]
    layout: Layout | None


def inputs_of(sequences: Sequence[tuple[int, ...]], positions: Sequence[Sequence[int]], *, packed: bool) -> Inputs:
    """Return the inputs of some sequences, read at some positions of each, in the order given.

    Packed sequences share most in the rising order of their ids.
    """
    import torch

    if packed:
        layout = lay_out(sequences)
        read = [row for index, places in enumerate(positions) for row in layout.rows(index, places)]
        tensors = {"input_ids": torch.tensor([layout.ids]), "position_ids": torch.tensor([layout.position_ids])}
        return Inputs({**tensors, "read": torch.tensor(read)}, layout)
    longest = max(map(len, sequences))
    ids = torch.zeros((len(sequences), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, one in enumerate(sequences):
        ids[row, : len(one)] = torch.tensor(one)
        mask[row, : len(one)] = 1
    read = [row * longest + place for row, places in enumerate(positions) for place in places]
    return Inputs({"input_ids": ids, "attention_mask": mask, "read": torch.tensor(read)}, None)


class BatchSet:
    """The batches of a run as a data set of torch, whose items are whole batches.

    Args:
        examples: The examples.
        schedule: The batches.
        columns: What the outputs of the head mean.
        weights: Of the classes (bad, neutral, good).
        dropped: (targets,) which targets are left out.
        packed: Whether a batch is one row.
    """

    def __init__(
        self,
        examples: Examples,
        schedule: Schedule,
        columns: Columns,
        weights: tuple[float, float, float],
        dropped: npt.NDArray[np.bool_],
        *,
        packed: bool,
    ) -> None:
        self.examples, self.schedule, self.columns = examples, schedule, columns
        self._weights, self._packed = weights, packed
        self._dropped = dropped
        self._places = np.concatenate([[0], np.cumsum(examples.n_targets)])

    def __len__(self) -> int:
        return len(self.schedule.batches)

    @property
    def passes(self) -> int:
        """The number of passes over the data."""
        return self.schedule.passes

    def rows(self, number: int) -> int:
        """Return the rows that the trunk runs over for the first batches."""
        return int(self.schedule.rows[:number].sum())

    def tokens(self, number: int) -> int:
        """Return the tokens of the first batches."""
        return int(self.schedule.tokens[:number].sum())

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return the inputs of a batch, with ``targets`` (K, outputs), ``weights`` (K,) and the layout."""
        import torch

        chosen = self.schedule.batches[int(number)].tolist()
        ids = {index: self.examples.ids(index) for index in chosen}
        chosen.sort(key=lambda index: (ids[index], index))
        positions, targets = [], []
        for index in chosen:
            used = ~self._dropped[self._places[index] : self._places[index + 1]]
            places = np.array(self.examples.positions(index))[used]
            positions.append(places.tolist())
            targets.append(self.examples.targets(index)[used])
        found = inputs_of([ids[index] for index in chosen], positions, packed=self._packed)
        every = np.concatenate(targets)
        return {
            **found.tensors,
            "targets": torch.from_numpy(self.columns.distributions(every)),
            "weights": torch.from_numpy(weights_of(every, self._weights)),
            "layout": found.layout,
        }
