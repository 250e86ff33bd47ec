"""Who writes files. A writer beside the one of the store would leave half files and litter that no other test sees."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.conftest import ROOT

CALLS = ("write_text", "write_bytes", "mkdtemp", "TemporaryDirectory", "NamedTemporaryFile", "copyfile", "copytree")
CALLS += ("copy2", "rename", "symlink_to", "hardlink_to", "fdopen", "rmtree")
OURS = "prm_eval/store/"
ALLOWED = {
    ("prm_eval/leaderboard/site.py", "write_bytes"): "a page in the unfinished folder",
    ("prm_eval/pools/writer.py", "rename"): "rewards, from the unfinished folder",
    ("prm_eval/pools/writer.py", "rmtree"): "rewards that others replace",
    ("prm_eval/importers/reward_columns.py", "rmtree"): "an empty part of the unfinished folder",
    ("prm_eval/harness/kept.py", "mkdtemp"): "for the journal, where its own disk is full",
    ("prm_eval/labelling/page/exports.py", "TemporaryDirectory"): "labels, on the way to a step set",
    ("prm_eval/labelling/page/known.py", "TemporaryDirectory"): "a step set that is read and forgotten",
    ("prm_eval/labelling/round_trainers.py", "TemporaryDirectory"): "a recipe that is checked and forgotten",
    ("prm_eval/miniature/study/bank.py", "open 'a'"): "lines, of which an unfinished last one is removed",
    ("prm_eval/training/states.py", "open 'a'"): "a log that is cut to the last saved state",
    ("prm_eval/training/states.py", "rmtree"): "states and the work folder of a training that go",
    ("prm_eval/rewards/files/cache.py", "open 'a+b'"): "lines with checksums under a lock",
}


def writers(path: Path) -> set[str]:
    """Return the calls of a module that make, rename or remove files by another way than the store's."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "prm_eval.store.writing"
        for alias in node.names
    }
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        modes = [
            each.value for each in (*node.args, *(k.value for k in node.keywords)) if isinstance(each, ast.Constant)
        ]
        mode = next(
            (each for each in modes if isinstance(each, str) and set(each) & set("wax") and len(each) < 4), None
        )
        if name == "open" and mode is not None:
            found.add(f"open {mode!r}")
        elif name in CALLS and not (isinstance(node.func, ast.Name) and name in ours):
            found.add(name)
    return found


def test_files_are_written_by_the_store() -> None:
    """Each way around it is one of those that are named here with the reason."""
    found = {
        (path.relative_to(ROOT).as_posix(), call)
        for path in sorted((ROOT / "prm_eval").rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(OURS)
        for call in writers(path)
    }
    assert found == set(ALLOWED)


def test_what_is_found(tmp_path) -> None:
    """A list that finds nothing would hold for ever."""
    module = tmp_path / "m.py"
    module.write_text(
        "from prm_eval.store.writing import write_text\nwrite_text(p, 'x')\np.write_bytes(b'')\np.open('w')\n"
        "open(p, mode='xb')\np.open()\nshutil.rmtree(p)\nos.rename(a, b)\n"
    )
    assert writers(module) == {"write_bytes", "open 'w'", "open 'xb'", "rmtree", "rename"}
