"""Batches as tensors: texts padded on the right, or several problems packed into one row.

In a packed row a statement stands once, with its candidates behind it. A candidate sees the statement and itself, at
the positions that it would have alone, so the outputs are those of texts computed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IGNORED = -100  # the target of a position that is not trained
ROWS, ROW_TOKENS = 16, 168
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Example:
    """One text as ids, with the target of the output at every position: a token, a label, or :data:`IGNORED`.

    ``weights`` are those of the positions in the loss; None is 1 for all.
    """

    ids: list[int]
    targets: list[int]
    weights: list[float] | None = None


def padded(examples: Sequence[Example], padding: int) -> dict[str, Any]:
    """Return the inputs of texts in rows of their own: ids (texts, tokens), rows read (K,), targets and weights (K,).

    A causal model needs no mask for the padding on the right.
    """
    longest = max(len(each.ids) for each in examples)
    ids = np.full((len(examples), longest), padding)
    targets = np.full((len(examples), longest), IGNORED)
    for row, each in enumerate(examples):
        ids[row, : len(each.ids)] = each.ids
        targets[row, : len(each.targets)] = each.targets
    return _inputs(ids, targets, np.ones(ids.shape, np.float32))


def _inputs(ids: Ints, targets: Ints, weights: npt.NDArray[np.float32]) -> dict[str, Any]:
    import torch

    read = np.flatnonzero(targets != IGNORED)
    return {
        "input_ids": torch.from_numpy(ids),
        "read": torch.from_numpy(read),
        "targets": torch.from_numpy(targets.ravel()[read]),
        "weights": torch.from_numpy(weights.ravel()[read]),
    }


class Packer:
    """A batch of rows that is filled with problems and their candidates.

    Args:
        padding: The id of the padding.
        rows: The number of rows.
        tokens: The tokens of a row, unless a candidate has more.
    """

    def __init__(self, padding: int, rows: int = ROWS, tokens: int = ROW_TOKENS) -> None:
        self._padding, self._shape = padding, (rows, tokens)
        self._rows: list[list[tuple[list[int], list[Example]]]] = [[] for _ in range(rows)]
        self._used = [0] * rows

    def place(self, statement: list[int], candidates: Sequence[Example]) -> list[Example]:
        """Place candidates behind their statement, together where a row has room; return those that found none.

        ``candidates`` hold what comes behind the statement. One that is longer than a row makes all rows longer.
        """
        needed = len(statement) + sum(len(each.ids) for each in candidates)
        if len(candidates) == 1:
            self._shape = (self._shape[0], max(self._shape[1], needed))
        for row, used in enumerate(self._used):
            if used + needed <= self._shape[1]:
                self._rows[row].append((statement, list(candidates)))
                self._used[row] += needed
                return []
        if len(candidates) == 1:
            return list(candidates)
        half = len(candidates) // 2
        return [left for part in (candidates[:half], candidates[half:]) for left in self.place(statement, part)]

    @property
    def filled(self) -> bool:
        """Whether anything was placed."""
        return any(self._used)

    def inputs(self) -> dict[str, Any]:
        """Return what :func:`padded` does, ``position_ids``, and ``attention_mask`` (rows, 1, tokens, tokens)."""
        import torch

        ids = np.full(self._shape, self._padding)
        targets = np.full(self._shape, IGNORED)
        weights = np.zeros(self._shape, np.float32)
        positions = np.zeros(self._shape, np.int64)
        # which problem and which candidate a token is of; a statement is of the candidate 0
        problem = np.full(self._shape, -1)
        candidate = np.zeros(self._shape, np.int64)
        for row, groups in enumerate(self._rows):
            at = 0
            for number, (statement, candidates) in enumerate(groups):
                prompt = len(statement)
                ids[row, at : at + prompt] = statement
                positions[row, at : at + prompt] = range(prompt)
                total = prompt + sum(len(each.ids) for each in candidates)
                problem[row, at : at + total] = number
                at += prompt
                for index, each in enumerate(candidates, 1):
                    end = at + len(each.ids)
                    ids[row, at:end], targets[row, at:end] = each.ids, each.targets
                    weights[row, at:end] = 1.0 if each.weights is None else each.weights
                    positions[row, at:end] = range(prompt, prompt + len(each.ids))
                    candidate[row, at:end] = index
                    at = end
        mask = torch.from_numpy(_mask(problem, candidate))
        return {
            **_inputs(ids, targets, weights),
            "position_ids": torch.from_numpy(positions),
            "attention_mask": mask[:, None],
        }


def _mask(problem: Ints, candidate: Ints) -> npt.NDArray[np.float32]:
    """Return (rows, tokens, tokens): 0 where a token sees another, else minus infinity; every token sees itself."""
    before = np.tri(problem.shape[1], dtype=bool)
    same = problem[:, :, None] == problem[:, None, :]
    own = (candidate[:, :, None] == candidate[:, None, :]) | (candidate[:, None, :] == 0)
    seen = before & same & own | np.eye(problem.shape[1], dtype=bool)
    return np.where(seen, np.float32(0), np.float32(-np.inf))
