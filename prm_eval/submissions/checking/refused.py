"""What a board leaves out before it opens any rewards: the part of ``prm-eval check`` that costs next to nothing.

The rows are looked at by the reader of whole files (:func:`prm_eval.rewards.files.reading.read_whole`). What both
leave to ``check``, and why, is in ``results/README.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prm_eval.submissions.checking.between_folders import Odd, between, copied
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.checking.structure import Outline, outline
from prm_eval.submissions.readers import submission_folders
from prm_eval.submissions.records import Fault, RegisteredPool


def refused(results: Path, pools: Mapping[str, RegisteredPool]) -> dict[Path, list[Fault]]:
    """Return the faults of all that does not go on a board, by its place; never raises for what a stranger has put there.

    Args:
        results: The results folder.
        pools: Its registry.
    """
    around: dict[Path, list[Fault]] = {}
    for odd in between(results):
        around.setdefault(odd[1], []).append(_fault(odd, results))
    found: dict[Path, list[Fault]] = {}
    told: set[Path] = set()
    good: list[Path] = []
    for folder in submission_folders(results):
        faults = Faults(results)
        _add_pool(folder, pools, outline(folder, results, faults), faults)
        places = (folder.parent.parent, folder.parent, folder)
        own = [each for path in places for each in around.get(path, [])] + faults.listed()
        told.update(places)
        if own:
            found[folder] = own
        else:
            good.append(folder)
    found |= {path: faults for path, faults in around.items() if path not in told}
    for odd in copied(good, results):
        found.setdefault(odd[1].parent, []).append(_fault(odd, results))
    return found


def _fault(odd: Odd, results: Path) -> Fault:
    faults = Faults(results)
    faults.add(*odd)
    return faults.listed()[0]


def _add_pool(folder: Path, pools: Mapping[str, RegisteredPool], about: Outline, faults: Faults) -> None:
    """Check that the submission is for a pool of the board."""
    if about.parts is None or "pool_hash" in about.wrong:
        return
    pool, path = pools.get(about.parts[3]), folder / "submission.json"
    if pool is None:
        faults.add("pool-unknown", path, f"pool {about.parts[3]}", f"a pool of pools: {', '.join(pools)}")
    elif about.fields["pool_hash"] != pool.content_hash:
        said = about.fields["pool_hash"][:12]
        faults.add("pool-hash", path, f"rewards for pool {said}", f"{pool.content_hash[:12]}, of {pool.pool_id}")
