"""What a board leaves out before it opens any rewards: the part of ``prm-eval check`` that costs next to nothing.

The rows are looked at by the reader of whole files (:func:`prm_eval.rewards.files.reading.read_whole`). What both
leave to ``check``, and why, is in ``results/README.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prm_eval.submissions.checking.between_folders import Odd, between, copied
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.checking.structure import Outline, outline
from prm_eval.submissions.formats import SubmissionFile
from prm_eval.submissions.readers import submission_folders
from prm_eval.submissions.records import Fault, RegisteredPool


@dataclass(frozen=True)
class Screened:
    """What a results folder holds, as the board takes it.

    Attributes:
        refused: The faults of all that does not go on a board, by its place.
        taken: What ``submission.json`` says of every other submission, by its folder, in their order: it is read once.
    """

    refused: Mapping[Path, list[Fault]]
    taken: Mapping[Path, SubmissionFile]


def screened(results: Path, pools: Mapping[str, RegisteredPool]) -> Screened:
    """Return what goes on a board and what does not; never raises for what a stranger has put there.

    Args:
        results: The results folder.
        pools: Its registry.
    """
    around: dict[Path, list[Fault]] = {}
    for odd in between(results):
        around.setdefault(odd[1], []).append(_fault(odd, results))
    found: dict[Path, list[Fault]] = {}
    told: set[Path] = set()
    good: dict[Path, SubmissionFile] = {}
    for folder in submission_folders(results):
        faults = Faults(results)
        seen = outline(folder, results, faults)
        _add_pool(folder, pools, seen, faults)
        places = (folder.parent.parent, folder.parent, folder)
        own = [each for path in places for each in around.get(path, [])] + faults.listed()
        told.update(places)
        if own or seen.about.whole is None:
            found[folder] = own
        else:
            good[folder] = seen.about.whole
    found |= {path: faults for path, faults in around.items() if path not in told}
    for odd in copied(good, results):
        found.setdefault(odd[1].parent, []).append(_fault(odd, results))
    return Screened(found, {folder: file for folder, file in good.items() if folder not in found})


def _fault(odd: Odd, results: Path) -> Fault:
    faults = Faults(results)
    faults.add(*odd)
    return faults.listed()[0]


def _add_pool(folder: Path, pools: Mapping[str, RegisteredPool], seen: Outline, faults: Faults) -> None:
    """Check that the submission is for a pool of the board."""
    if seen.parts is None or not seen.about.has("pool_hash"):
        return
    pool, path, said = pools.get(seen.parts[3]), folder / "submission.json", seen.about["pool_hash"]
    if pool is None:
        faults.add("pool-unknown", path, f"pool {seen.parts[3]}", f"a pool of pools: {', '.join(pools)}")
    elif said != pool.content_hash:
        faults.add("pool-hash", path, f"rewards for pool {said[:12]}", f"{pool.content_hash[:12]}, of {pool.pool_id}")
