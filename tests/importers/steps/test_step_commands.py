"""The commands about step sets, as a user types them."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prm_eval.cli.commands import main
from prm_eval.importers.steps import STEP_FORMATS
from prm_eval.importers.steps.explain import FIRST_WRONG, Scored
from prm_eval.importers.steps.lines import KINDS, SOURCES
from prm_eval.records import LABEL_KINDS
from tests.conftest import ROOT, write_jsonl
from tests.importers.steps.rows import PLAIN, PROCESSBENCH, TRL, altered, lines_of


@pytest.fixture
def step_set(tmp_path: Path) -> Path:
    rows = [
        altered(PLAIN, group="x", prm_scores={"m": [0.9, 0.3, 0.8], "n": [0.9, 0.8, 0.7]}, final_answer_correct=False),
        altered(PLAIN, id="b", group="y", label=-1, prm_scores={"m": [0.9, 0.3, 0.2]}),
        altered(PLAIN, id="c", group="y", label=2, prm_scores={"m": [0.4, 0.9, 0.8]}, remarks=["odd=yes"]),
    ]
    assert main(["steps", "import", str(write_jsonl(tmp_path / "in.jsonl", rows)), "-o", str(tmp_path / "set")]) == 0
    return tmp_path / "set"


def test_import_and_show_say_what_is_there(capsys: pytest.CaptureFixture[str], step_set: Path) -> None:
    """If the import said other counts than ``steps show``, one of them would be wrong."""
    said = capsys.readouterr()
    assert "format     plain (recognised)" in said.out
    assert "note: m, n: read as probabilities" in said.err
    assert main(["steps", "show", str(step_set)]) == 0
    shown = capsys.readouterr().out
    assert shown in said.out
    for words in (
        "holds      3 solutions of 1 problem, 9 steps; 3 labelled",
        "labels     first_error: the first wrong step",
        "made by    unknown: not said",
        "balance    1 solution clean, 2 with a wrong step; steps: 6 good, 2 bad, 1 not rated",
        "rewards    rewards/m",
        "leak       1 solution stands again, 2 times; 1 of them with different labels",
        "y              2         1      1      1        0      6     5",
    ):
        assert words in shown, words


def test_verify(step_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If a changed label went unseen, a figure could be moved after the import."""
    assert main(["steps", "verify", str(step_set)]) == 0
    assert "sound" in capsys.readouterr().out
    file = step_set / "labels.parquet"
    table = pq.read_table(file)
    changed = table.to_pylist()
    changed[0] |= {"first_error": 0, "step_ratings": [-1, None, None]}
    pq.write_table(type(table).from_pylist(changed, schema=table.schema), file)
    assert main(["steps", "verify", str(step_set)]) == 1
    assert "the hash of the labels is" in capsys.readouterr().out


def test_explain_one(step_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If a mark, a score or the verdict stood at another step, a reader would learn the opposite."""
    assert main(["explain-steps", str(step_set), "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "label      the first wrong step is 1 (counted from 0); the final answer is wrong (in the source: 1)" in lines
    )
    assert "verdict    m: first wrong step 1 at 0.5: as labelled" in lines
    assert "verdict    n: no wrong step at 0.5: missed" in lines
    at = lines.index("step 1   WRONG   4 + 1 = 6.")
    assert lines[at + 1].split() == ["######..............", "0.3000", "wrong", "m"]
    assert lines[at + 2].split() == ["################....", "0.8000", "right", "n"]
    assert any(line.startswith("step 2   -       So it is 6.") for line in lines), "nothing is known of step 2"


def test_explain_others(step_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the threshold did not move the verdict, or a missing reward looked like a low one, the page would mislead."""
    assert main(["explain-steps", str(step_set), "b", "--threshold", "0.25"]) == 0
    shown = capsys.readouterr().out
    assert "m: first wrong step 2 at 0.25: false alarm" in shown
    assert "n: not scored (not in the source)" in shown
    assert main(["explain-steps", str(step_set), "c", str(step_set / "rewards/m")]) == 0
    shown = capsys.readouterr().out
    assert "m: first wrong step 0 at 0.5: too early" in shown and "verdict    n" not in shown and "odd=yes" in shown


def test_explain_the_first_wrong_ones(step_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If a reward folder without a solution were taken for a solution, the shortest command would not work."""
    for words in ([], [str(step_set / "rewards/m")]):
        assert main(["explain-steps", str(step_set), *words]) == 0
        shown = capsys.readouterr().out
        assert [line.split()[1] for line in shown.splitlines() if line.startswith("solution ")] == ["a", "c"]
        assert ("verdict    n" in shown) == (not words)
    assert FIRST_WRONG >= 2


def test_explain_an_unknown_one(step_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If an unknown id said no more than that, a user would have to open the Parquet file."""
    assert main(["explain-steps", str(step_set), "z"]) == 1
    assert "no solution 'z'" in capsys.readouterr().err
    assert main(["steps", "show", str(step_set.parent)]) == 1
    assert "prm-eval steps import FILE -o FOLDER" in capsys.readouterr().err


def test_shares_and_log_odds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If log-odds were shown as they are, a bar from 0 to 1 and the threshold 0.5 would mean nothing."""
    rows = [altered(TRL, labels=[0.5, 0.0]), altered(PROCESSBENCH, label=0)]
    soft = str(write_jsonl(tmp_path / "soft.jsonl", rows[:1]))
    assert main(["steps", "import", soft, "-o", str(tmp_path / "soft")]) == 0
    assert main(["explain-steps", str(tmp_path / "soft")]) == 0
    assert "1 - 1 = 0. (0.5 end right)" in capsys.readouterr().out
    log_odds = Scored("m", "logodds", 0.5, {})
    assert log_odds.shown(0.0) == 0.5 and log_odds.bar(log_odds.shown(50.0)) == "#" * 20
    assert log_odds.shown(-1000.0) == pytest.approx(0.0) and log_odds.shown(1000.0) == pytest.approx(1.0)
    assert math.isclose(log_odds.shown(-2.0) + log_odds.shown(2.0), 1.0)
    raw = Scored("m", "raw", 0.0, {})
    assert raw.bar(3.0) == "" and raw.shown(-7.0) == -7.0


def test_faults_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If skipped solutions were not listed, or a bad option were a traceback, the command would not be one."""
    rows = [PLAIN, altered(PLAIN, id="b", label=9)]
    file = str(write_jsonl(tmp_path / "in.jsonl", rows))
    assert main(["steps", "import", file, "-o", str(tmp_path / "set")]) == 1
    assert "row 2: found solution 'b': label 9 of 3 steps" in capsys.readouterr().err
    assert main(["steps", "import", file, "-o", str(tmp_path / "set"), "--skip-bad", "--name", "mine"]) == 0
    said = capsys.readouterr()
    assert "skipped: " in said.err and "1 solution skipped" in said.err
    assert "left out   faulty: 1" in said.out and "(mine, " in said.out
    assert main(["steps", "import", file, "-o", str(tmp_path / "x"), "--keep", "all"]) == 1


@pytest.mark.parametrize("words", [["steps", "import"], ["steps", "show"], ["steps", "verify"], ["explain-steps"]])
def test_help_has_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """If the help of a command had no example, it would list options and teach nothing."""
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    shown = capsys.readouterr().out
    assert f"example: prm-eval {' '.join(words)} " in shown


def test_every_kind_has_its_words() -> None:
    """If a kind of labels had no words, showing such a set would be a traceback."""
    assert set(KINDS) == set(LABEL_KINDS)
    assert set(SOURCES) == {"people", "rules", "rollouts", "model", "oracle", "unknown"}


def printed_in_document(command: str) -> list[str]:
    """The lines that docs/step-sets.md shows for a command, without those that are left out."""
    page = (ROOT / "docs/step-sets.md").read_text(encoding="utf-8")
    block = page.split(f"```text\n$ {command}", 1)[1].split("```", 1)[0]
    return [line for line in block.splitlines()[1:] if line != "..."]


def test_the_document_shows_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the page showed another output than the command's, a reader would doubt the first thing that he tries."""
    page = (ROOT / "docs/step-sets.md").read_text(encoding="utf-8")
    (tmp_path / "mine.jsonl").write_text(page.split("```json\n")[1].splitlines()[0], encoding="utf-8")
    row = lines_of(tmp_path / "mine.jsonl")[0]
    file = write_jsonl(tmp_path / "mine.jsonl", [{**row, "prm_scores": {"my-prm": [0.97, 0.31, 0.62]}}])
    assert main(["steps", "import", str(file), "-o", str(tmp_path / "SET")]) == 0
    capsys.readouterr()
    assert main(["explain-steps", str(tmp_path / "SET"), "a"]) == 0
    assert capsys.readouterr().out.splitlines() == printed_in_document("prm-eval explain-steps SET a")


def test_the_document_shows_processbench(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the page's counts were not those of the stored part of ProcessBench, they would be invented."""
    monkeypatch.chdir(tmp_path)
    files = str(data / "steps/processbench_*.jsonl")
    assert main(["steps", "import", files, "-o", "processbench"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in printed_in_document("prm-eval steps import processbench") if line not in shown] == []


def test_the_document_names_every_format() -> None:
    """If a format were missing in the table, its owner would think that it is not read."""
    page = (ROOT / "docs/step-sets.md").read_text(encoding="utf-8")
    assert [name for name in STEP_FORMATS if f"| `{name}` |" not in page] == []
