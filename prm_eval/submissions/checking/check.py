"""The checker: every fault of a submission at once, whatever a stranger put into its folder (docs/design.md, 4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import REWARDS, VERIFIED
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.safe_json import read_json
from prm_eval.store.typed import draft
from prm_eval.submissions.checking.between_folders import between, copied
from prm_eval.submissions.checking.between_folders import copies as pairs
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.checking.reading import ROWS_NEED, RowReader
from prm_eval.submissions.checking.step_sets import declared_faults, figure_faults, registry_faults, score_faults
from prm_eval.submissions.checking.structure import Outline, outline
from prm_eval.submissions.checking.worker import Worker
from prm_eval.submissions.formats import VerificationFile
from prm_eval.submissions.readers import LAYOUT, REVISION, read_pool_ref, read_submission, submission_folders
from prm_eval.submissions.records import Fault, RegisteredPool, Submission
from prm_eval.submissions.thresholds import threshold_said
from prm_eval.submissions.trust import DECLARED, contradictions, verified_digest


@dataclass(frozen=True)
class Options:
    """The strictness of a check.

    Attributes:
        new: Whether the submission comes from outside: it may then have no ``verification.json``, and none of our names
            and rules.
        tokenizer: A checkpoint folder or hub id; its tokenizer recomputes the rendered inputs.
    """

    new: bool = False
    tokenizer: str | None = None


@dataclass(frozen=True)
class Look:
    """A submission that was looked at, but for its rows.

    Attributes:
        folder: The submission's folder.
        seen: Its structure.
        pool: Its pool; None where it is not for a pool that is sound.
        faults: The faults so far, to which those of the rows are added.
        verification: The faults of ``verification.json`` that make it unreadable.
        contradictions: The ways in which it contradicts itself or the submission.
    """

    folder: Path
    seen: Outline
    pool: RegisteredPool | None
    faults: Faults
    verification: list[Fault]
    contradictions: list[Fault]

    def listed(self) -> list[Fault]:
        """Return all faults that were found."""
        return self.faults.listed() + self.verification + self.contradictions

    def refused(self) -> list[Fault]:
        """Return the faults that keep it off a board; a verification that is contradicted only costs the tier."""
        return self.faults.listed() + self.verification


class Checker:
    """The checker of one results folder; it reads pools once, and strangers' Parquet in a child process.

    Args:
        results: The folder that holds ``submissions`` and ``pools``.
        options: How strict the checks are.
    """

    def __init__(self, results: Path, options: Options | None = None) -> None:
        self.results, self.options = results, options or Options()
        self._worker = Worker()
        self.reader = RowReader(self._worker)
        self._pools: dict[str, RegisteredPool | None] = {}
        # how many solutions the accuracies of a step set are of
        self._counts: dict[str, dict[str, dict[str, int]]] = {}

    def close(self) -> None:
        """End the child process."""
        self._worker.close()

    def submission(self, folder: Path) -> list[Fault]:
        """Return every fault of a submission; none where it is in order."""
        return self._all_of(folder).listed()

    def _all_of(self, folder: Path) -> Look:
        look = self.look(folder)
        self.read(look)
        if self.options.tokenizer is not None and not look.faults.kinds():
            self._inputs(look, self.options.tokenizer)
        return look

    def look(self, folder: Path) -> Look:
        """Look at all of a submission but its rows, which costs little."""
        faults = Faults(self.results)
        seen = outline(folder, self.results, faults, new=self.options.new)
        pool = None
        if seen.parts is not None and seen.about.has("pool_hash"):
            pool = self._pool(folder, seen.parts[3], seen.about["pool_hash"], faults)
        unreadable, contradicted = Faults(self.results), Faults(self.results)
        if "verification.json" in seen.there:
            self._verification(folder, seen, unreadable, contradicted)
        elif VERIFIED in seen.there:
            faults.add("verification", folder / VERIFIED, "the rewards of a verification that is not there", "both")
        if pool is not None:
            counts = self._counts.get(pool.pool_id, {})
            for kind, what, expected in (*declared_faults(seen.about, pool), *figure_faults(seen.about, counts)):
                faults.add(kind, folder / "submission.json", what, expected)
        return Look(folder, seen, pool, faults, unreadable.listed(), contradicted.listed())

    def read(self, look: Look) -> None:
        """Check the rows of a submission, and add their faults."""
        if look.pool is None or look.pool.pool is None or "rewards.parquet" not in look.seen.there:
            return
        if look.seen.about.has(*ROWS_NEED):
            stepwise = look.pool.step_set is not None
            steps = self.reader.read(look.folder, look.pool.pool, look.seen.about, look.faults, arrays=stepwise)
            add_score_faults(look, steps)
            # what was changed since is no part of the submission, and is a fault already
            if VERIFIED in look.seen.there and not look.contradictions:
                self.reader.read(look.folder, look.pool.pool, look.seen.about, look.faults, name=VERIFIED)

    def _pool(self, folder: Path, pool_id: str, pool_hash: str, faults: Faults) -> RegisteredPool | None:
        """Return the pool of a submission if it is sound and has the submission's hash; add a fault otherwise."""
        path, entry = folder / "submission.json", self.results / "pools" / f"{pool_id}.json"
        if not entry.is_file():
            known = ", ".join(sorted(each.stem for each in (self.results / "pools").glob("*.json"))[:20]) or "none"
            faults.add("pool-unknown", path, f"pool {pool_id}", f"a pool of {self.results.name}/pools: {known}")
            return None
        if pool_id not in self._pools:
            self._pools[pool_id] = self._sound_pool(entry, Faults(self.results))
        pool = self._pools[pool_id]
        if pool is None:
            faults.add("pool-content", entry, "a pool that is not sound", "a sound one; check the results folder")
            return None
        if pool_hash != pool.content_hash:
            faults.add("pool-hash", path, f"rewards for pool {pool_hash[:12]}", pool.content_hash[:12])
            return None
        if pool.pool is None:
            where = f"pools/{pool_id}" if pool.hub is None else f"{pool.hub.dataset} at {pool.hub.revision}"
            faults.add("pool-absent", entry, "a pool that is not at hand", f"it, to check rows against ({where})")
        return pool

    def _sound_pool(self, entry: Path, faults: Faults) -> RegisteredPool | None:
        """Return a registered pool if it has the content that it is registered with; add a fault otherwise."""
        try:
            pool = read_pool_ref(entry, self.results)
        except PrmEvalError as error:
            faults.add("pool-registry", entry, str(error), "an entry of the registry (results/schema/pool-ref.json)")
            return None
        if pool.pool is None:
            if pool.hub is None:
                faults.add("pool-registry", entry, "neither a pool that is here nor a hub id", "one of the two")
            return pool
        if pool.step_set is not None:
            reply = self.reader.step_set(pool.pool)
            found = list(registry_faults(entry, pool.pool.path, pool.step_set, reply))
            for each in found:
                faults.add(*each)
            if found:
                return None
            self._counts[pool.pool_id] = reply["counts"]
        own, why = self.reader.content_hash(pool.pool)
        if own is None:
            faults.add("pool-content", pool.pool.path, why, "a sound pool")
            return None
        if own != pool.content_hash:
            faults.add("pool-content", entry, f"content_hash {pool.content_hash[:12]}", own[:12])
            return None
        return pool

    def _inputs(self, look: Look, tokenizer: str) -> None:
        from prm_eval.submissions.checking.inputs import input_faults

        folder, whole, pool, faults = look.folder, look.seen.about.whole, look.pool, look.faults
        if whole is None or pool is None:
            return
        try:
            found = list(input_faults(folder, whole, pool, tokenizer))
        except PrmEvalError as error:
            faults.add(
                "input-hash", folder / "submission.json", str(error), "a model whose tokenizer is that of --model"
            )
            return
        for row, what, expected in found:
            faults.add("input-hash", folder / "rewards.parquet", what, expected, row)

    def _verification(self, folder: Path, seen: Outline, faults: Faults, contradicted: Faults) -> None:
        about, rewards = seen.about, "rewards.parquet" in seen.there
        path = folder / "verification.json"
        if self.options.new:
            faults.add("verification-own", path, "a verification", "none: maintainers write it")
        try:
            found = draft(VerificationFile, read_json(path))
        except DataError as error:
            faults.add_error("json", error)
            return
        for each in found.faults:
            faults.add("verification", path, f"{each.where} = {each.found}", each.expected)
        if found.whole is not None and rewards and about.has("pool_hash", "model", "run"):
            said = (about["pool_hash"], about["model"], about["run"], file_sha256(folder / "rewards.parquet"))
            declared = {name: about[name] for name in DECLARED} if about.has(*DECLARED) else None
            if declared is not None and about.whole is not None:
                declared |= threshold_said(about.whole, found.whole)
            # what is no plain file of a permitted size is a fault already, and is not opened
            digest = verified_digest(folder) if VERIFIED in seen.there else None
            for what, expected in contradictions(found.whole, *said, digest, declared):
                contradicted.add("verification", path, what, expected)

    def everything(self) -> list[Fault]:
        """Return the faults of the whole folder: its pools, all submissions, and what lies between them."""
        faults = Faults(self.results)
        for entry in sorted((self.results / "pools").glob("*.json")):
            self._pools[entry.stem] = self._sound_pool(entry, faults)
        odd = list(between(self.results))
        for each in odd:
            faults.add(*each)
        found = faults.listed()
        places = {path for _, path, *_ in odd}
        good: list[Path] = []
        misnamed: list[Path] = []
        for folder in submission_folders(self.results):
            look = self._all_of(folder)
            found += look.listed()
            if not look.refused():
                (good if places.isdisjoint(levels(folder)) else misnamed).append(folder)
        copies = Faults(self.results)
        for each in copied(good, self.results):
            copies.add(*each)
        for folder in misnamed:
            # a name that looks like another's never makes the other one the copy
            same = [pair for pair in pairs([folder, *good]) if folder in pair]
            if same:
                original = next(each for each in same[0] if each != folder)
                place = original.relative_to(self.results).as_posix()
                copies.add("copy", folder / "rewards.parquet", f"the rewards of {place}", "its own")
        return found + copies.listed()


def levels(folder: Path) -> tuple[Path, Path, Path]:
    """Return the folders whose names name a submission: of its organisation and model, its revision, and its pool."""
    return folder.parent.parent, folder.parent, folder


def add_score_faults(look: Look, steps: StepArrays | None) -> bool:
    """Add the faults that the scores of a step set show beyond those of rows; say whether there is one."""
    if steps is None or look.pool is None or look.pool.step_set is None:
        return False
    found = list(score_faults(look.seen.about, steps))
    for kind, what, expected in found:
        look.faults.add(kind, look.folder / "submission.json", what, expected)
    return bool(found)


def read_rows(look: Look, pool: Pool, reader: RowReader) -> tuple[Submission, StepArrays] | None:
    """Return a submission with the step rewards that its figures are of; None where it has a fault, which is added.

    Args:
        look: A submission without faults so far.
        pool: Its pool.
        reader: The reader of its rows, in a limited child.
    """
    about = look.seen.about
    steps = reader.read(look.folder, pool, about, look.faults, arrays=True)
    if steps is None or add_score_faults(look, steps):
        return None
    try:
        submission = read_submission(look.folder, about.whole)
    except DataError as error:
        # its verification.json was another one a moment ago
        look.faults.add_error("verification", error)
        return None
    if (name := submission.rewards.path.name) != REWARDS:
        # the figures of a submission that was run again whole are those of that run
        steps = reader.read(look.folder, pool, about, look.faults, arrays=True, name=name)
    return None if steps is None else (submission, steps)


def check_submission(folder: str | Path, results: str | Path, options: Options | None = None) -> list[Fault]:
    """Return every fault of one submission; none where it is in order.

    The check is bounded in time and memory, and never raises for the content of a submission.

    Args:
        folder: The submission's folder.
        results: The results folder that has the submission and the pools.
        options: How strict the check is.
    """
    checker = Checker(_plain_path(results), options)
    try:
        return checker.submission(_plain_path(folder))
    finally:
        checker.close()


def check_paths(
    paths: Sequence[str | Path],
    options: Options | None = None,
    sound: Callable[[Path, Checker], None] | None = None,
) -> dict[Path, list[Fault]]:
    """Return the faults of each of several results folders and submission folders.

    Args:
        paths: The folders.
        options: How strict the checks are.
        sound: Called with each folder that has no fault and its checker, which has read the pools already.

    Raises:
        PrmEvalError: A path is neither a results folder nor a submission.
    """
    checkers: dict[Path, Checker] = {}
    found: dict[Path, list[Fault]] = {}
    try:
        for path in map(_plain_path, paths):
            if not path.is_dir():
                raise PrmEvalError(f"{path} is no folder; expected a submission or a results folder")
            results = results_of(path)
            if results != path and "submissions" in (path.name, path.parent.name, path.parent.parent.name):
                raise PrmEvalError(f"{path} is neither: give a submission or a results folder ({LAYOUT})")
            checker = checkers.setdefault(results, Checker(results, options))
            found[path] = checker.everything() if results == path else checker.submission(path)
            if sound is not None and not found[path]:
                sound(path, checker)
    finally:
        for checker in checkers.values():
            checker.close()
    return found


def results_of(path: Path) -> Path:
    """Return the results folder of a path, which is the folder itself or a submission in it.

    A folder three levels below one called ``submissions`` is a submission, whatever a stranger has put into it.
    """
    above = path.parents
    if len(above) > 3 and above[2].name == "submissions":
        return above[3]
    if (path / "submissions").is_dir() or (path / "pools").is_dir():
        return path
    return above[min(3, len(above) - 1)]


def _plain_path(path: str | Path) -> Path:
    """Return an absolute path without ``..``; links stay, so that they are refused."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


__all__ = ["LAYOUT", "REVISION", "Checker", "Options", "check_paths", "check_submission", "results_of"]
