"""The checker: every fault of a submission at once, whatever a stranger has put into its folder (DESIGN.md section 4)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.jsonl import file_sha256
from prm_eval.rewards.catalogue import shipped_recipes
from prm_eval.rewards.recipe import Recipe
from prm_eval.submissions.faults import Faults
from prm_eval.submissions.formats import SubmissionFile, VerificationFile
from prm_eval.submissions.readers import REVISION, REVISION_WORDS, path_parts, read_pool_ref, submission_folders
from prm_eval.submissions.records import Fault, RegisteredPool
from prm_eval.submissions.revision import revision_name
from prm_eval.submissions.safe_json import read_json
from prm_eval.submissions.trust import contradictions
from prm_eval.submissions.typed import problems, shown
from prm_eval.submissions.worker import Worker, WorkerDied

REQUIRED = ("submission.json", "rewards.parquet")
ALLOWED = (*REQUIRED, "verification.json")
LAYOUT = "submissions/<org>__<model>/<revision>/<pool-id>"
NEEDED = frozenset(("name", "kind", "score_type", "aggregation", "splitter", "pool_hash", "model", "run"))
ROWS_NEED = frozenset(("kind", "score_type", "aggregation", "splitter", "model"))
MAX_REWARDS_BYTES = 2 * 1024**3
MOST_FILES = 100  # of a folder that are looked at
FIXED_SECONDS, ROWS_A_SECOND = 60.0, 1_000.0  # a file that takes longer is refused; a usual one takes a tenth


@dataclass(frozen=True)
class Options:
    """How strict a check is.

    Attributes:
        new: As a submission that comes from outside: it may not bring a ``verification.json``.
        tokenizer: A checkpoint folder or hub id, whose tokenizer recomputes the rendered inputs.
    """

    new: bool = False
    tokenizer: str | None = None


class Checker:
    """Checks submissions of one results folder; pools are read once, strangers' Parquet in a child.

    Args:
        results: The folder that holds ``submissions`` and ``pools``.
        options: How strict.
    """

    def __init__(self, results: Path, options: Options | None = None) -> None:
        self.results, self.options = results, options or Options()
        self._worker = Worker()
        self._pools: dict[str, RegisteredPool | None] = {}

    def close(self) -> None:
        """End the child."""
        self._worker.close()

    def submission(self, folder: Path) -> list[Fault]:
        """Return every fault of a submission; empty where it is in order."""
        faults = Faults(self.results)
        parts = path_parts(folder) if folder.parent.parent.parent == self.results / "submissions" else None
        if parts is None:
            faults.add("path", folder, f"a folder called {shown(folder.name)}", f"{LAYOUT}; revision: {REVISION_WORDS}")
        there = self._layout(folder, faults)
        fields, wrong = self._fields(folder, faults) if "submission.json" in there else ({}, NEEDED)
        if parts is not None and not wrong & {"name", "model"}:
            self._agreement(folder, parts, fields, faults)
        if not wrong & {"kind", "score_type", "model"}:
            self._description(folder, fields, faults)
        pool = None
        if parts is not None and "pool_hash" not in wrong:
            pool = self._pool(folder, parts[3], fields, faults)
        if pool is not None and "rewards.parquet" in there and not wrong & ROWS_NEED:
            self._rows(folder, pool, fields, "run" not in wrong, faults)
            if self.options.tokenizer is not None and not faults.kinds():
                self._inputs(folder, pool, faults)
        if "verification.json" in there:
            self._verification(folder, fields, wrong, "rewards.parquet" in there, faults)
        return faults.listed()

    def _layout(self, folder: Path, faults: Faults) -> set[str]:
        """Check what files there are; return the names of those that can be read."""
        for above in (folder, folder.parent, folder.parent.parent):
            if above.is_symlink():
                faults.add("path", above, "a link", "a folder")
                return set()
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry, _ in zip(entries, range(MOST_FILES), strict=False))
        except OSError as error:
            faults.add("path", folder, f"no folder that can be read ({error.strerror})", LAYOUT)
            return set()
        lying = [name for name in ALLOWED if os.path.lexists(folder / name)]
        there = {name for name in lying if self._plain(folder / name, faults)}
        for name in names:
            if name not in ALLOWED:
                faults.add("extra-file", folder / name, "a file of no meaning", f"only {', '.join(ALLOWED)}")
        for name in REQUIRED:
            if name not in lying:
                faults.add("missing-file", folder / name, "no such file", f"{' and '.join(REQUIRED)}")
        return there

    def _plain(self, path: Path, faults: Faults) -> bool:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            faults.add("link", path, stat.filemode(about.st_mode), "a plain file")
            return False
        limit = MAX_REWARDS_BYTES if path.name == "rewards.parquet" else 256 * 1024
        if about.st_size > limit:
            faults.add("size", path, f"{about.st_size:,} bytes", f"at most {limit:,}")
            return False
        return True

    def _fields(self, folder: Path, faults: Faults) -> tuple[dict[str, Any], frozenset[str]]:
        """Return ``submission.json`` and which of its fields are wrong: what needs those is not looked at."""
        path = folder / "submission.json"
        try:
            fields = read_json(path)
        except DataError as error:
            faults.add_error("json", error)
            return {}, NEEDED
        wrong: set[str] = set()
        for each in problems(fields, SubmissionFile):
            kind = "schema" if each.where == "schema" else "text" if each.kind == "text" else "field"
            if each.where.startswith("disclosure"):
                kind = "disclosure" if kind == "field" else kind
            wrong.add(re.split(r"[.\[]", each.where)[0])
            faults.add(kind, path, f"{each.where} = {each.found}", each.expected)
        if "disclosure" not in fields or fields["disclosure"] is None:
            faults.add("disclosure", path, "no disclosure", "one; prm-eval submit-form asks for it")
        return fields, frozenset(wrong)

    def _agreement(
        self, folder: Path, parts: tuple[str, str, str, str], fields: dict[str, Any], faults: Faults
    ) -> None:
        """Check that the path agrees with the content."""
        org, model, revision, _ = parts
        path, named, about = folder / "submission.json", f"{org}/{model}", fields["model"]
        if fields["name"] != named:
            faults.add("agreement", path, f"name = {shown(fields['name'])}", f"{named}, as the folder says")
        if about["id"] != named:
            faults.add("agreement", path, f"model.id = {shown(about['id'])}", f"{named}, as the folder says")
        try:
            own = revision_name(about)
        except PrmEvalError as error:
            faults.add("revision", path, str(error), REVISION_WORDS)
            return
        if own != revision:
            faults.add("agreement", path, f"a model of revision {own}", f"{revision}, as the folder says")

    def _description(self, folder: Path, fields: dict[str, Any], faults: Faults) -> None:
        """Check what the fields say of each other."""
        path, recipe = folder / "submission.json", _recipe(fields)
        if recipe is None:
            return
        said = fields["model"].get("recipe_sha256")
        if self.options.new and said is not None and said != recipe.digest:  # what is old may have an older recipe
            faults.add("recipe", path, f"recipe_sha256 {said[:12]}", f"{recipe.digest[:12]}, that of {recipe.name}")
        if recipe.kind != fields["kind"]:
            faults.add("recipe", path, f"kind {fields['kind']}", f"{recipe.kind}, as the recipe {recipe.name} is for")
        if recipe.score.rule != "by_labels" and recipe.score_type != fields["score_type"]:
            faults.add("recipe", path, f"score_type {fields['score_type']}", f"{recipe.score_type} ({recipe.name})")

    def _pool(self, folder: Path, pool_id: str | None, fields: dict[str, Any], faults: Faults) -> RegisteredPool | None:
        """Return the pool, if the submission is for it and it is sound."""
        if pool_id is None:
            return None
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
        if fields["pool_hash"] != pool.content_hash:
            faults.add("pool-hash", path, f"rewards for pool {fields['pool_hash'][:12]}", pool.content_hash[:12])
            return None
        if pool.pool is None:
            where = f"pools/{pool_id}" if pool.hub is None else f"{pool.hub.dataset} at {pool.hub.revision}"
            faults.add("pool-absent", entry, "a pool that is not at hand", f"it, to check rows against ({where})")
        return pool

    def _sound_pool(self, entry: Path, faults: Faults) -> RegisteredPool | None:
        """Return a registered pool if it has the content it is registered with."""
        try:
            pool = read_pool_ref(entry, self.results)
        except PrmEvalError as error:
            faults.add("pool-registry", entry, str(error), "an entry of the registry (results/schema/pool-ref.json)")
            return None
        if pool.pool is None:
            if pool.hub is None:
                faults.add("pool-registry", entry, "neither a pool that is here nor a hub id", "one of the two")
            return pool
        try:
            reply = self._worker.ask({"pool": str(pool.pool.path.absolute())}, 600.0)
        except WorkerDied as error:
            reply = {"error": str(error)}
        if "error" in reply:
            faults.add("pool-content", pool.pool.path, reply["error"], "a sound pool")
            return None
        if reply["content_hash"] != pool.content_hash:
            faults.add("pool-content", entry, f"content_hash {pool.content_hash[:12]}", reply["content_hash"][:12])
            return None
        return pool

    def _rows(
        self, folder: Path, pool: RegisteredPool, fields: dict[str, Any], totals_too: bool, faults: Faults
    ) -> None:
        path = folder / "rewards.parquet"
        if pool.pool is None:
            return
        about = {name: fields[name] for name in ("kind", "aggregation", "score_type")}
        recipe = _recipe(fields)
        about["hashed"] = recipe is not None and recipe.head.type != "generate"
        where = {"pool": str(pool.pool.path.absolute()), "rewards": str(path.absolute())}
        question = {**where, "splitter": fields["splitter"], "about": about}
        try:
            reply = self._worker.ask(question, FIXED_SECONDS + pool.pool.info.n_candidates / ROWS_A_SECOND)
        except WorkerDied as error:
            faults.add("parquet", path, str(error), "a Parquet file that can be read to its end")
            return
        if "error" in reply:
            faults.add("field", folder / "submission.json", f"rows that cannot be checked ({reply['error']})", "others")
            return
        for kind, row, found, expected in reply["found"]:
            faults.add(kind, path, found, expected, row)
        totals = reply["totals"]
        for name in totals if totals_too and not reply["found"] else ():
            if fields["run"].get(name) != totals[name]:
                what = f"run.{name} = {shown(fields['run'].get(name))}"
                faults.add("totals", folder / "submission.json", what, f"{totals[name]}, as in rewards.parquet")

    def _inputs(self, folder: Path, pool: RegisteredPool, faults: Faults) -> None:
        from prm_eval.submissions.inputs import input_faults

        try:
            found = list(input_faults(folder, pool, str(self.options.tokenizer)))
        except PrmEvalError as error:
            faults.add(
                "input-hash", folder / "submission.json", str(error), "a model whose tokenizer is that of --model"
            )
            return
        for row, what, expected in found:
            faults.add("input-hash", folder / "rewards.parquet", what, expected, row)

    def _verification(
        self, folder: Path, fields: dict[str, Any], unread: frozenset[str], rewards: bool, faults: Faults
    ) -> None:
        path = folder / "verification.json"
        if self.options.new:
            faults.add("verification-own", path, "a verification", "none: maintainers write it")
        try:
            found = read_json(path)
        except DataError as error:
            faults.add_error("json", error)
            return
        wrong = list(problems(found, VerificationFile))
        for each in wrong:
            faults.add("verification", path, f"{each.where} = {each.found}", each.expected)
        if wrong:
            return
        if rewards and not unread & {"pool_hash", "run", "model"}:
            for what, expected in contradictions(found, fields, file_sha256(folder / "rewards.parquet")):
                faults.add("verification", path, what, expected)

    def everything(self) -> list[Fault]:
        """Return the faults of the whole folder: its pools, all submissions, what lies between them."""
        faults = Faults(self.results)
        for entry in sorted((self.results / "pools").glob("*.json")):
            self._pools[entry.stem] = self._sound_pool(entry, faults)
        for path in _strays(self.results / "submissions"):
            faults.add("extra-file", path, "a file between the folders", f"only folders called {LAYOUT}")
        names: dict[str, Path] = {}
        for path in sorted((self.results / "submissions").glob("*")):
            other = names.setdefault(path.name.lower(), path)
            if other != path:
                faults.add("name", path, f"a name that differs from {other.name} by case alone", "one spelling")
        digests: dict[str, Path] = {}
        found = faults.listed()
        for folder in submission_folders(self.results):
            own = self.submission(folder)
            found += own
            rewards = folder / "rewards.parquet"
            if not own:
                other = digests.setdefault(file_sha256(rewards), folder)
                if other != folder:
                    copied = Faults(self.results)
                    copied.add("copy", rewards, f"the rewards of {other.relative_to(self.results)}", "its own")
                    found += copied.listed()
        return found


def _recipe(fields: dict[str, Any]) -> Recipe | None:
    """Return the shipped recipe that a submission names, if it does."""
    return shipped_recipes().get(fields["model"].get("recipe") or "")


def _strays(root: Path) -> Iterator[Path]:
    """Yield what is no folder on the three levels below ``submissions``."""
    for depth in ("*", "*/*", "*/*/*"):
        yield from (path for path in sorted(root.glob(depth)) if path.is_symlink() or not path.is_dir())


def check_submission(folder: str | Path, results: str | Path, options: Options | None = None) -> list[Fault]:
    """Return every fault of one submission; empty where it is in order. Bounded in time and memory, and never raises for its content.

    Args:
        folder: Of the submission.
        results: The results folder it lies in, which has the pools.
        options: How strict.
    """
    checker = Checker(_plain_path(results), options)
    try:
        return checker.submission(_plain_path(folder))
    finally:
        checker.close()


def check_paths(paths: Sequence[str | Path], options: Options | None = None) -> dict[Path, list[Fault]]:
    """Check results folders and submission folders; return the faults of each.

    Raises:
        PrmEvalError: A path that does not exist.
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
    finally:
        for checker in checkers.values():
            checker.close()
    return found


def results_of(path: Path) -> Path:
    """Return the results folder that a path is, or is a submission of.

    What lies three levels below a folder called ``submissions`` is a submission, whatever a stranger has put into it.
    """
    above = path.parents
    if len(above) > 3 and above[2].name == "submissions":
        return above[3]
    if (path / "submissions").is_dir() or (path / "pools").is_dir():
        return path
    return above[min(3, len(above) - 1)]


def _plain_path(path: str | Path) -> Path:
    """Return an absolute path without ``..``; links are kept, to be refused."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


__all__ = ["LAYOUT", "REVISION", "Checker", "Options", "check_paths", "check_submission", "results_of"]
