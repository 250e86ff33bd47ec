"""The faults between submissions: stray files, names that look alike, and one rewards file in two places."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.rules import shown
from prm_eval.submissions.readers import LAYOUT, read_submission

# kind of fault, where, found, expected
Odd = tuple[str, Path, str, str]

# Names are ASCII; these characters look like each other in one font or another.
_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l"})
# A separator is overlooked, but for one between two digits: 1.5 is not 15, and 2-7b is not 27b.
_OVERLOOKED = re.compile(r"(?<!\d)[-_.]+|[-_.]+(?!\d)")
_SEPARATED = re.compile(r"[-_.]+")
# names that Windows keeps for devices, whatever follows their first dot
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin|conout|clock)(\.|$)", re.IGNORECASE)


def look(name: str) -> str:
    """Return a name as a reader sees it: two names that look alike give the same."""
    joined = _SEPARATED.sub("-", _OVERLOOKED.sub("", name.casefold()))
    return joined.translate(_ALIKE).replace("rn", "m").replace("vv", "w")


def not_on_windows(name: str) -> str | None:
    """Return why Windows has no folder of a name, so that git cannot check it out there; None where it can."""
    if _DEVICE.match(name):
        return "a name that Windows keeps for a device"
    if name.endswith("."):
        return "a name that ends in a dot, which Windows drops"
    return None


def strays(results: Path) -> Iterator[Path]:
    """Yield everything on the three levels below ``submissions`` that is not a folder."""
    for depth in ("*", "*/*", "*/*/*"):
        found = sorted((results / "submissions").glob(depth))
        yield from (path for path in found if path.is_symlink() or not path.is_dir())


def clashes(results: Path) -> Iterator[tuple[Path, str]]:
    """Yield (folder or registry entry, the other name) of every name that looks like another of its level.

    The levels are the organisations, the models of each, the revisions of each, the pools of each, and the registry of
    pools. One spelling keeps its name: the one that was verified, else the one with the most entries, else the first in
    order.
    """
    root = results / "submissions"
    models = [(path, *path.name.partition("__")[::2]) for path in sorted(root.glob("*"))]
    levels: list[list[tuple[str, Path]]] = [[(org, path) for path, org, _ in models]]
    by_org: defaultdict[str, list[tuple[str, Path]]] = defaultdict(list)
    for path, org, model in models:
        by_org[org].append((model, path))
    levels += by_org.values()
    levels += [_children(path) for depth in ("*", "*/*") for path in sorted(root.glob(depth)) if path.is_dir()]
    levels.append([(path.stem, path) for path in sorted((results / "pools").glob("*.json"))])
    for level in levels:
        yield from _clashes_of(level)


def _children(folder: Path) -> list[tuple[str, Path]]:
    return [(path.name, path) for path in sorted(folder.glob("*"))]


def _clashes_of(level: Sequence[tuple[str, Path]]) -> Iterator[tuple[Path, str]]:
    spellings: defaultdict[str, defaultdict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for name, path in level:
        spellings[look(name)][name].append(path)
    for names in spellings.values():
        if len(names) > 1:
            kept, *others = sorted(
                names, key=lambda name: (not any(map(_verified, names[name])), -len(names[name]), name)
            )
            yield from ((path, kept) for name in others for path in names[name])


def copies(folders: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield (submission, its original) of all that have the same rewards file; a verified one is the original."""
    by_size: defaultdict[int, list[Path]] = defaultdict(list)
    for folder in folders:
        by_size[(folder / "rewards.parquet").stat().st_size].append(folder)
    for alike in by_size.values():
        by_digest: defaultdict[str, list[Path]] = defaultdict(list)
        for folder in alike if len(alike) > 1 else ():
            by_digest[file_sha256(folder / "rewards.parquet")].append(folder)
        for same in by_digest.values():
            if len(same) > 1:
                original, *others = sorted(same, key=lambda folder: (not _verified(folder), folder))
                yield from ((folder, original) for folder in others)


def _verified(path: Path) -> bool:
    """Say whether a maintainer has verified anything at or below a path."""
    folders = (
        [path] if (path / "submission.json").is_file() else [each.parent for each in path.rglob("submission.json")]
    )
    for folder in folders:
        try:
            if read_submission(folder).tier != "recomputed":
                return True
        except PrmEvalError:
            # what cannot be read was not verified; its own faults say why
            continue
    return False


def between(results: Path) -> Iterator[Odd]:
    """Yield the stray files of a results folder, and the names in it that look like another."""
    for path in strays(results):
        yield "extra-file", path, "a file between the folders", f"only folders called {LAYOUT}"
    for path, other in clashes(results):
        yield "name", path, f"a name that looks like {shown(other)}", "one spelling, or a name that is told apart"


def copied(folders: Iterable[Path], results: Path) -> Iterator[Odd]:
    """Yield those of the given submissions that are copies of another."""
    for folder, original in copies(folders):
        place = original.relative_to(results).as_posix()
        yield "copy", folder / "rewards.parquet", f"the rewards of {place}", "its own"
