"""What no look at a single submission shows: files between the folders, names that look alike, one rewards file in two places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.rules import shown
from prm_eval.submissions.readers import LAYOUT, read_submission

Odd = tuple[str, Path, str, str]  # kind of fault, where, found, expected

# Names are ASCII; within it these are taken for each other in one font or another.
_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "_": "-", ".": "-"})


def look(name: str) -> str:
    """Return what a reader sees of a name: equal for two that are told apart only by looking closely."""
    return name.casefold().translate(_ALIKE).replace("rn", "m").replace("vv", "w")


def strays(results: Path) -> Iterator[Path]:
    """Yield what is no folder on the three levels below ``submissions``."""
    for depth in ("*", "*/*", "*/*/*"):
        found = sorted((results / "submissions").glob(depth))
        yield from (path for path in found if path.is_symlink() or not path.is_dir())


def clashes(results: Path) -> Iterator[tuple[Path, str]]:
    """Yield (folder or registry entry, the other name) of names that look like another of their level.

    The levels: organisations, models of one, revisions of one, pools of one, and the registry of pools. What was
    verified keeps its name; without that the spelling with the most entries, or the first in order, which is as good as
    any.
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
    """Yield (submission, the one it is a copy of) of those with the same rewards file; what was verified is the original."""
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
            continue  # what cannot be read was not verified; its own faults say why
    return False


def between(results: Path) -> Iterator[Odd]:
    """Yield what is wrong between the submissions of a results folder: what is no folder, and what is called like another."""
    for path in strays(results):
        yield "extra-file", path, "a file between the folders", f"only folders called {LAYOUT}"
    for path, other in clashes(results):
        yield "name", path, f"a name that looks like {shown(other)}", "one spelling, or a name that is told apart"


def copied(folders: Iterable[Path], results: Path) -> Iterator[Odd]:
    """Yield the submissions, of those given, that are copies of another."""
    for folder, original in copies(folders):
        place = original.relative_to(results).as_posix()
        yield "copy", folder / "rewards.parquet", f"the rewards of {place}", "its own"
