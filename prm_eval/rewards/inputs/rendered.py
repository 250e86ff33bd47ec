"""A candidate as a reward model reads it: token ids, and the integer positions at which the head is read."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids and the positions at which the head is read; or why the candidate cannot be rendered.

    ``positions`` has one entry a step for a process reward model, one for an outcome reward model; they increase.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    refusal: str | None = None

    @property
    def input_hash(self) -> str:
        """SHA-256 over the token ids as little-endian 32-bit integers, hexadecimal."""
        return hashlib.sha256(struct.pack(f"<{len(self.ids)}I", *self.ids)).hexdigest()
