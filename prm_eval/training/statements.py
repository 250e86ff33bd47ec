"""Problems by their statements: which are held out, and which belong to a registered problem set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from prm_eval import plugins
from prm_eval.errors import PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import HUB_SETS, load_problems
from prm_eval.training.statement_keys import squeezed

NAMED = 3


def key_of(statement: str) -> int:
    """Return 64 bits of what two copies of a statement share: its letters, digits and operators (:func:`squeezed`).

    Statements of one problem that differ in words are not found; the card says so.
    """
    text = squeezed(statement).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def is_held_out(key: int, share: float, seed: int) -> bool:
    """Say whether a problem is held out: a draw that depends on its statement and the seed alone, not on the order."""
    digest = hashlib.blake2b(key.to_bytes(8, "big") + seed.to_bytes(8, "big", signed=True), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


@dataclass(frozen=True)
class Known:
    """The problem sets that were held against the training problems.

    Attributes:
        sets: The name of each set, and the keys of its statements.
        unchecked: Registered sets that could not be had, and why.
    """

    sets: dict[str, frozenset[int]]
    unchecked: dict[str, str] = field(default_factory=dict)

    def of(self, key: int) -> tuple[str, ...]:
        """Return the sets that have a problem."""
        return tuple(name for name, keys in self.sets.items() if key in keys)


def known_problems(against: Iterable[str], *, unchecked: bool) -> Known:
    """Return the statements of every registered problem set, and of further ones.

    Args:
        against: Names or files of problem sets, or folders of pools and step sets; NAME=FILE is a local copy of the
            registered set NAME.
        unchecked: Whether a set that cannot be had may stay unchecked.

    Raises:
        PrmEvalError: A set cannot be had.
    """
    local: dict[str, str] = {}
    further: list[str] = []
    registered = [*plugins.installed("problem set"), *HUB_SETS]
    for each in against:
        name, sign, file = each.partition("=")
        if sign and name in registered:
            local[name] = file
        else:
            further.append(each)
    sets: dict[str, frozenset[int]] = {}
    missing: dict[str, str] = {}
    for name in registered:
        try:
            sets[name] = _keys(local.get(name, name))
        except PrmEvalError as error:
            if name in local:
                raise
            missing[name] = str(error)
    for each in further:
        sets[each] = _keys(each)
    if missing and not unchecked:
        first = next(iter(missing))
        raise PrmEvalError(
            f"{len(missing)} registered problem sets cannot be had, so nobody can say whether DATA has their problems: "
            f"{', '.join(missing)} ({missing[first][:200]}). Give local copies (--against {first}=FILE.jsonl), or "
            "train without this check (--unchecked), which the card will say"
        )
    return Known(sets, missing)


def _keys(name: str) -> frozenset[int]:
    """Return the keys of a problem set, or of a pool's or step set's problems."""
    if (Path(name) / "pool.json").is_file():
        return frozenset(key_of(problem.statement) for problem in Pool(name).problems.values())
    return frozenset(key_of(problem.statement) for problem in load_problems(name).problems)


@dataclass
class Overlap:
    """The training problems that a known set has too.

    Attributes:
        keys: Their keys.
        by_set: How many of each set.
        first: The first of each set: where it stands, and its statement's beginning.
    """

    keys: set[int] = field(default_factory=set)
    by_set: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, key: int, names: tuple[str, ...], place: str, statement: str) -> None:
        """Take note of a problem, once."""
        if key in self.keys:
            return
        self.keys.add(key)
        for name in names:
            self.by_set[name] = self.by_set.get(name, 0) + 1
            self.first.setdefault(name, f"{place}: {' '.join(statement.split())[:80]!r}")

    def words(self) -> str:
        """Return the overlap in words."""
        return "; ".join(f"{count:,} of {name} (first {self.first[name]})" for name, count in self.by_set.items())
