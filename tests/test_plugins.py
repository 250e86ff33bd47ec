"""Third parties: a real package is installed and its reward model, selector and grader are used by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval import plugins
from prm_eval.errors import PrmEvalError

EXAMPLE = Path(__file__).parent / "plugin_example"


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """Install the example as pip does, into a folder of its own, without a network."""
    import shutil

    source = tmp_path_factory.mktemp("source") / "plugin_example"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    site = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(site),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site


def prm_eval(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "prm_eval.cli", *arguments], capture_output=True, text=True, env=environment
    )


def test_the_example_package_works(example, pool, tmp_path) -> None:
    """Score, grade and evaluate with a stranger's code, found by name only; `plugins` says whose it is."""
    listed = json.loads(prm_eval(example, "plugins", "--json").stdout)
    theirs = {(row["sort"], row["name"]) for row in listed if row["package"].startswith("prm-eval-example")}
    assert theirs == {("reward model", "politeness"), ("selector", "median_length"), ("grader", "exact-text")}
    scored = prm_eval(example, "score", str(pool.path), "--reward-model", "politeness:so", "-o", str(tmp_path / "r"))
    assert scored.returncode == 0, scored.stderr
    graded = prm_eval(example, "grade", str(pool.path), "--grader", "exact-text")
    assert "correct 3, incorrect 4, no_answer 1" in graded.stdout, graded.stdout + graded.stderr
    done = prm_eval(
        example,
        "evaluate",
        str(pool.path),
        str(tmp_path / "r"),
        "--grades",
        "exact-text",
        "--selectors",
        "median_length,best_of_n",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    found = {(row["selector"], row["reward_model"]) for row in json.loads(done.stdout)["rows"]}
    assert found == {("median_length", None), ("best_of_n", "politeness:so")}


def test_the_example_selector_inside_lm_eval(example, pool, tmp_path) -> None:
    """The same package in door 1."""
    code = (
        "from lm_eval.evaluator import simple_evaluate; from lm_eval.tasks import TaskManager; from prm_eval.harness "
        "import tasks_path\n"
        f"m = TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata={{'replay': "
        f"{str(pool.path)!r}, 'selectors': 'median_length+orm', 'orm_model': 'politeness'}})\n"
        "r = simple_evaluate(model='dummy', tasks=['problems_bon'], task_manager=m)['results']['problems_bon']\n"
        "print(sorted(k for k in r if k.startswith('acc@4,')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(example), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert "['acc@4,median_length', 'acc@4,orm']" in done.stdout, done.stderr


def test_names_that_do_not_exist() -> None:
    """An unknown name lists what is there; an object path that fails says why."""
    with pytest.raises(PrmEvalError, match=r"no grader named 'nope'\. Installed: default"):
        plugins.load("grader", "nope")
    with pytest.raises(PrmEvalError, match="cannot be imported"):
        plugins.load("selector", "prm_eval.selection.selectors:Nope")
    assert plugins.load("selector", "prm_eval.selection.selectors:Majority").name == "majority"
