"""The submissions that a board leaves out, by the checks of ``prm-eval check``: the same faults, in the same words.

What is cheap is asked of all submissions first. The rows of those that pass are read pool by pool, when the board
needs them (:class:`prm_eval.submissions.checking.reading.RowReader`), and their faults are found then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.submissions.checking.between_folders import Odd, between, copied, copies
from prm_eval.submissions.checking.check import Checker, Look, levels
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.readers import submission_folders
from prm_eval.submissions.records import Fault


@dataclass(frozen=True)
class Screened:
    """The submissions of a results folder, as the board takes or refuses them before it reads their rows.

    Attributes:
        refused: The faults of everything that does not go on a board, by path.
        taken: Every other submission, in the order of the folders.
    """

    refused: Mapping[Path, list[Fault]]
    taken: Sequence[Look]


def screened(checker: Checker) -> Screened:
    """Return the submissions that go on a board and those that do not; a stranger's content never raises.

    Args:
        checker: The checker of the results folder.
    """
    results = checker.results
    around: dict[Path, list[Fault]] = {}
    for odd in between(results):
        around.setdefault(odd[1], []).append(_fault(odd, results))
    found: dict[Path, list[Fault]] = {}
    told: set[Path] = set()
    good: dict[Path, Look] = {}
    for folder in submission_folders(results):
        look = checker.look(folder)
        told.update(levels(folder))
        own = [each for path in levels(folder) for each in around.get(path, [])]
        if own or look.refused():
            checker.read(look)
            found[folder] = own + look.refused()
        else:
            good[folder] = look
    found |= {path: faults for path, faults in around.items() if path not in told}
    for folder, faults in _copies(good, checker).items():
        found[folder] = faults
    return Screened(found, [look for folder, look in good.items() if folder not in found])


def _copies(good: Mapping[Path, Look], checker: Checker) -> dict[Path, list[Fault]]:
    """Return the faults of submissions that have the same rewards file as another.

    Only what is in order can be the original of a copy, so their rows are read at once.
    """
    alike = {path for pair in copies(good) for path in pair}
    found: dict[Path, list[Fault]] = {}
    for folder in sorted(alike):
        checker.read(good[folder])
        if faults := good[folder].refused():
            found[folder] = faults
    for odd in copied(sorted(alike - set(found)), checker.results):
        found[odd[1].parent] = [_fault(odd, checker.results)]
    return found


def _fault(odd: Odd, results: Path) -> Fault:
    faults = Faults(results)
    faults.add(*odd)
    return faults.listed()[0]
