"""The commands of docs/training.md, run as they stand on tiny models."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from tests.conftest import ROOT, write_jsonl
from tests.training import small

PAGE = ROOT / "docs" / "training.md"
FORM = "--licence MIT --base-model none --training-data mine --trained-on-math-test no --trained-on-prm800k no"
FORM += " --trained-on-this-pool no --contact me --notes none --parameters 5000 --date 2026-11-30"
MORE = {"train prm": "--unchecked --device cpu", "submit-form": FORM}
"""What the test adds: no network for the registered sets, and the answers that a person types."""


def plain_rows(n: int, seed: int, first: int):
    for solution, wrong in small.solutions(n, seed, per_problem=1):
        statement = re.sub(r"\d+", lambda found: str(int(found[0]) + first), solution.statement)
        label = -1 if wrong is None else wrong
        yield {"id": solution.solution_id, "problem": statement, "steps": list(solution.steps), "label": label}


@pytest.mark.slow
def test_the_ten_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a reader who types what the page says is stopped, or has no submission in the end."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "labelled.jsonl", list(plain_rows(60, 0, 0)))
    write_jsonl(tmp_path / "others.jsonl", list(plain_rows(20, 1, 1_000)))
    small.base(tmp_path / "Qwen" / "Qwen2.5-Math-1.5B")
    (tmp_path / "results").mkdir()
    shutil.copytree(ROOT / "results" / "pools" / "demo-35x8", tmp_path / "results" / "pools" / "demo-35x8")
    shutil.copy(ROOT / "results" / "pools" / "demo-35x8.json", tmp_path / "results" / "pools")
    block = re.search(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block
    commands = [shlex.split(line, comments=True) for line in block[1].splitlines()]
    assert len(commands) == 10 and all(each[0] == "prm-eval" for each in commands)
    for words in commands:
        name = next((name for name in MORE if words[1:].__len__() and " ".join(words[1:]).startswith(name)), "")
        revision = next(iter(tmp_path.glob("results/submissions/my-org__my-prm/*")), Path("REVISION")).name
        given = [word.replace("REVISION", revision) for word in words[1:]] + shlex.split(MORE.get(name, ""))
        status = main(given)
        said = capsys.readouterr()
        assert status == 0, (given, said.out[-2_000:], said.err[-2_000:])
    record = json.loads((tmp_path / "MY-PRM" / "training.json").read_text())
    assert record["examples"]["trained_on"] + record["examples"]["held_out_solutions"] == 60
    assert list(tmp_path.glob("results/submissions/my-org__my-prm/sha256-*/demo-35x8/rewards.parquet"))


def test_the_page_is_short() -> None:
    """Otherwise nobody reads it."""
    assert len(PAGE.read_bytes()) < 9_000
