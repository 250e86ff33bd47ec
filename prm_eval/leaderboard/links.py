"""The links of the pages that lead out of the board; they are plain anchors, and no page loads anything from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from prm_eval.submissions import RegisteredPool, Submission

PAPER = "https://arxiv.org/abs/2305.20050"
HUB = "https://huggingface.co"
# The public address of this project's files, once it has one (it ends in the branch: .../blob/main). Until then the
# pages of a board in a checkout link to the files around it.
REPOSITORY = ""
# what a checkout of this project has beside its results folder
SUBMITTING, READING, FRONT = "CONTRIBUTING.md", "docs/board.md", "README.md"


@dataclass(frozen=True)
class Project:
    """The addresses of this project's own documents, seen from the index page; "" where they are not to be had.

    Attributes:
        front: The first page of the repository.
        submitting: How to submit.
        reading: How to read the board.
    """

    front: str = ""
    submitting: str = ""
    reading: str = ""


def project_of(results: Path) -> Project:
    """Return the addresses of this project's documents for the board of a results folder.

    Without a public address they are relative, where the results folder lies in a checkout: ``results/leaderboard``
    is two levels below it.
    """
    root = results.resolve().parent
    there = all((root / name).is_file() for name in (SUBMITTING, READING, FRONT))
    base = REPOSITORY or ("../.." if there else "")
    if not base:
        return Project()
    return Project(f"{base}/{FRONT}", f"{base}/{SUBMITTING}#a-submission-to-the-board", f"{base}/{READING}")


def hub_link(submission: Submission) -> str:
    """Return the address of a submission's model at its commit on the hub; "" for local weights and rules.

    The parts are held to what a hub id and a commit consist of, though the folder's name was checked before.
    """
    name, commit = f"{submission.org}/{submission.model}", submission.revision
    sound = re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", name, re.ASCII) and ".." not in name
    return f"{HUB}/{name}/tree/{commit}" if sound and re.fullmatch("[0-9a-f]{40}", commit, re.ASCII) else ""


def pool_link(pool: RegisteredPool) -> str:
    """Return the address of a pool at its commit on the hub; "" where it is not there."""
    hub = pool.hub
    return "" if hub is None else f"{HUB}/datasets/{hub.dataset}/tree/{hub.revision}"
