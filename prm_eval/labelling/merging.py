"""Labels of one labeller from several folders as one: of rounds, or of campaigns that follow each other.

Labels of two sources are never put together: what one calls wrong may be right for another. People are one source,
whoever of them labelled in which campaign; each label says who.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.stepsets.label_file import ROWS, LabelFile, Labelled, LabelWriter


def merge_labels(pool: Pool, files: Sequence[LabelFile], folder: Path) -> LabelFile:
    """Write the labels of several folders as one folder, in the pool's order.

    Args:
        pool: The pool.
        files: Labels of one labeller, of the same kind and steps.
        folder: The folder to make.

    Raises:
        PrmEvalError: There are none, or they are of two labellers (other than people), kinds or ways to cut.
        DataError: Two folders label one text otherwise.
    """
    _require_one_labeller(files)
    found: dict[tuple[str, str], tuple[Labelled, Path, int]] = {}
    for file in files:
        for number, each in enumerate(file.labelled(pool), 1):
            key = (each.candidate.problem_id, each.candidate.candidate_id)
            _add(found, key, each, file.folder / ROWS, number)
    _require_texts_agree(found)
    info = files[0].info
    settings = {"merged": [str(each.folder) for each in files], "labelled_with": info.settings}
    by = "; ".join(dict.fromkeys(file.info.by for file in files))
    if len(by) > LONGEST:
        by = f"{by[: LONGEST - 1]}…"
    with LabelWriter(
        folder, pool, source=info.source, by=by, labels=info.labels, splitter=info.splitter, settings=settings
    ) as writer:
        for each in _in_order(pool, found):
            writer.add(each)
    return LabelFile(folder)


SAME = ("source", "by", "labels", "splitter")
LONGEST = 300
"""Characters of a labeller's name, as ``labels.json`` takes it."""
Found = dict[tuple[str, str], tuple[Labelled, Path, int]]


def _require_one_labeller(files: Sequence[LabelFile]) -> None:
    if not files:
        raise PrmEvalError("no labels to put together")
    same = ("source", "labels", "splitter") if files[0].info.source == "people" else SAME
    for name in same:
        values = {str(getattr(each.info, name)): each.folder for each in files}
        if len(values) > 1:
            said = "; ".join(f"{folder}: {value}" for value, folder in values.items())
            raise PrmEvalError(f"labels with different {name!r} are not put together: {said}")


def _add(found: Found, key: tuple[str, str], each: Labelled, path: Path, number: int) -> None:
    if (before := found.get(key)) is not None:
        _require_equal(before, each, path, number)
        return
    found[key] = (each, path, number)


def _require_texts_agree(found: Found) -> None:
    """Insist that equal texts of a problem have equal labels, whichever slot they are in."""
    of_text: dict[tuple[str, str], tuple[Labelled, Path, int]] = {}
    for each, path, number in found.values():
        before = of_text.setdefault((each.candidate.problem_id, each.candidate.text), (each, path, number))
        _require_equal(before, each, path, number)


def _require_equal(before: tuple[Labelled, Path, int], each: Labelled, path: Path, number: int) -> None:
    other, where, row = before
    if (other.label.ratings, other.label.first_error) != (each.label.ratings, each.label.first_error):
        candidate = f"candidate {each.candidate.candidate_id} of {each.candidate.problem_id!r}"
        found = f"{candidate} labelled {each.label.source_label!r}"
        hint = "One of the two must go."
        raise DataError(path, number, found, f"{other.label.source_label!r}, as in {where}, row {row}", hint)


def _in_order(pool: Pool, found: Found) -> Iterator[Labelled]:
    for problem, candidates in pool:
        for candidate in candidates:
            if (one := found.get((problem.problem_id, candidate.candidate_id))) is not None:
                yield one[0]
