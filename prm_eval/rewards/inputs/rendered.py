"""The form in which a model reads a candidate: token ids, and the integer positions at which the head is read."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rendered:
    """The token ids and read positions of a candidate, or the reason why it cannot be rendered.

    ``positions`` are the positions at which the head is read, in rising order: one for each step for a process reward
    model, one in all for an outcome reward model.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    refusal: str | None = None

    @property
    def input_hash(self) -> str:
        """The hexadecimal SHA-256 of the token ids as little-endian 32-bit integers."""
        return hashlib.sha256(struct.pack(f"<{len(self.ids)}I", *self.ids)).hexdigest()
