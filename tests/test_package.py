"""The package as users get it: light imports, task files in the wheel, the contract of the house."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import prm_eval
from prm_eval import rewards
from prm_eval.harness import tasks_path

ROOT = Path(__file__).resolve().parent.parent


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_is_light() -> None:
    """`import prm_eval` loads neither torch, sympy nor lm_eval; the grader loads no sympy, the command no lm_eval."""
    heavy = "print(sorted({'torch', 'sympy', 'lm_eval', 'transformers', 'numpy', 'matplotlib'} & set(sys.modules)))"
    assert python(f"import sys, prm_eval; {heavy}") == "[]"
    assert python(f"import sys, prm_eval; prm_eval.is_equivalent('1/2', '0.5'); {heavy}") == "[]"
    heavy = heavy.replace("'torch'", "'torch', 'pyarrow', 'yaml', 'tqdm'")
    assert (
        python(
            f"import sys, prm_eval.cli.commands; from prm_eval.cli.parser import build_parser; build_parser(); {heavy}"
        )
        == "[]"
    )
    # who reads one file of rewards needs none of what scores: the child that checks strangers' files starts so
    loaded = "{name.partition('rewards.')[2] for name in sys.modules}"
    ours = f"print(sorted({{'scoring', 'finding', 'engine', 'models', 'recipes'}} & {loaded}))"
    assert python(f"import sys, prm_eval.rewards.files.step_arrays, prm_eval.pools.pool; {ours}") == "[]"


def test_every_public_name_exists() -> None:
    """A name in __all__ that cannot be loaded breaks `from prm_eval import *`."""
    for name in prm_eval.__all__:
        assert getattr(prm_eval, name) is not None
    for name in rewards.__all__:
        assert getattr(rewards, name) is not None
    with pytest.raises(AttributeError):
        _ = prm_eval.nothing


def test_wheel_has_tasks_and_demo(tmp_path) -> None:
    """The wheel ships the task files, the template they include, and the demonstration."""
    import shutil

    source = tmp_path / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(
            ".git", ".venv", "build", "*.egg-info", "__pycache__", "prm_eval_runs", "demo_out"
        ),
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(tmp_path),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "math500_bon.yaml",
        "_bon_template_yaml",
        "math/_math_bon.yaml",
        "math/math_bon_algebra.yaml",
        "__init__.py",
    ):
        assert f"prm_eval/tasks/{name}" in names
    assert {"prm_eval/demo/demo.jsonl", "prm_eval/py.typed"} <= names
    for kind in ("policy", "orm", "prm", "backbone"):
        assert f"prm_eval/miniature/weights/miniature-{kind}/model.safetensors" in names
    assert "prm_eval/tasks/miniature_bon.yaml" in names
    here = [each for each in (ROOT / "prm_eval").rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    assert {str(each.relative_to(ROOT)) for each in here} <= names, "a room or a data file that pyproject.toml forgets"
    assert not any(name.startswith(("tests/", "lm_eval/")) for name in names)


def test_tasks_path_in_this_install() -> None:
    """In an editable install too, the folder is found."""
    assert (tasks_path() / "math500_bon.yaml").is_file()


def test_no_room_prints_but_the_command_line() -> None:
    """print() outside of cli/ would mix with lm_eval's output and with --json."""
    for file in (ROOT / "prm_eval").rglob("*.py"):
        if file.parent.name != "cli":
            assert "\n    print(" not in file.read_text(encoding="utf-8"), file
