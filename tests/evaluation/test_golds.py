"""Golds that make right candidates wrong: unread ones are counted and named, wrong ones found in a known set."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.golds import check_golds, statement_key, unreadable_golds, why_unreadable
from prm_eval.evaluation.report import text_table
from prm_eval.pools.problem_sets import ProblemSet, load_problems
from prm_eval.records import Problem
from tests.conftest import write_jsonl

SOLUTION = "We start from m = d V. So \\[t=\\boxed{2.4} \\mathrm{~kg}\\]"


@pytest.mark.parametrize(
    "gold",
    ["5", "\\frac12", "x=3", "(1,2)", "\\text{north}", "Anna", "(B)", "5\\text{ cm}", "[1,\\infty)", "10^{10^6}"],
)
def test_golds_that_can_be_read(gold: str) -> None:
    """Numbers, formulas, words, choices and units are answers, and a number too large to write out is read too."""
    assert why_unreadable(gold) == ""


@pytest.mark.parametrize(
    ("gold", "why"),
    [
        (SOLUTION, "words that are no unit"),
        ("\\frac{1}{", "the end"),
        ("1/0", "a division by zero"),
        ("", "an empty answer"),
        ("The plane goes up and then it comes down again, which is what we wanted to show", "a text of 17 words"),
    ],
)
def test_golds_that_cannot_be_read(gold: str, why: str) -> None:
    """A whole solution, cut-off LaTeX and a remark equal no answer: every candidate would be wrong without a word."""
    assert why in why_unreadable(gold)


def test_the_golds_of_a_known_set_can_all_be_read(data: Path) -> None:
    """A warning about golds that are read well would be noise: none in 1,819 problems of MATH-500 and GSM8K."""
    for name in ("math500", "gsm8k_test"):
        assert unreadable_golds(load_problems(str(data / "problems" / f"{name}.jsonl")).problems) == ()


def sample(answer: str) -> dict:
    return {"text": f"\\boxed{{{answer}}}"}


def test_unread_golds_are_said_by_both_commands(tmp_path: Path, capsys) -> None:
    """The count and the first ids, by grade and by evaluate, and in the JSON."""
    rows = [
        {
            "id": f"p{k}",
            "problem": f"How much is {k}?",
            "gold": "\\frac{1}{" if k < 7 else "2",
            "samples": [sample("2")],
        }
        for k in range(9)
    ]
    folder = str(tmp_path / "p")
    assert main(["pool", "import", str(write_jsonl(tmp_path / "g.jsonl", rows)), "-o", folder]) == 0
    capsys.readouterr()
    assert main(["grade", folder]) == 0
    said = capsys.readouterr().out
    assert "golds      7 cannot be read, and only the same text equals them: p0 ('\\\\frac{1}{'" in said
    assert "p4 (" in said and "p5 (" not in said and "and 2 more" in said
    found = evaluate(folder, resamples=20)
    assert "note: 7 of 9 golds cannot be read" in text_table(found)
    assert found.to_json()["golds"] == {"unreadable": 7, "first": ["p0", "p1", "p2", "p3", "p4"]}
    assert evaluate(folder, grades="own", resamples=20).unread == found.unread


def test_grades_that_do_not_depend_on_golds_say_nothing_of_them(tmp_path: Path) -> None:
    """Published labels were made without our reader."""
    from prm_eval.importers import import_pool

    rows = [{"id": "p", "problem": "q", "gold": "\\frac{1}{", "samples": [{"text": "2", "correct": True}]}]
    pool = import_pool(write_jsonl(tmp_path / "l.jsonl", rows), tmp_path / "l").pool
    assert evaluate(pool, grades="published", resamples=20).unread == ()


def problems(*pairs: tuple[str, str | None]) -> tuple[Problem, ...]:
    return tuple(Problem(f"id{k}", statement, gold) for k, (statement, gold) in enumerate(pairs))


def test_golds_are_held_against_a_set_by_statement() -> None:
    """Equal in another form is equal; another number, no gold, an unread one are not; unknown statements are left."""
    known = ProblemSet(
        "known", problems(("A half of 1?", "\\frac12"), ("Where is he?", "(1,2)"), ("How long?", "5\\text{ cm}"),
                          ("Twice", "1"), ("Twice", "2"))
    )  # fmt: skip
    own = problems(
        ("A  half of\n1?", "0.5"), ("Where is he?", "2"), ("How long?", None), ("Twice", "2"), ("Nobody knows", "7"),
        ("A half of 1?", "\\frac{"),
    )  # fmt: skip
    found = check_golds(own, known)
    assert (found.name, found.found, found.problems, found.otherwise) == ("known", 5, 6, 1)
    assert [(each.problem_id, each.gold, each.known) for each in found.conflicts] == [
        ("id1", "2", "(1,2)"),
        ("id2", None, "5\\text{ cm}"),
        ("id5", "\\frac{", "\\frac12"),
    ]


def test_the_key_of_a_statement() -> None:
    """Spaces and quotes differ between copies of one problem; letters and digits do not."""
    assert statement_key("Ann\u2019s  hen\n lays 1") == statement_key(" Ann's hen lays 1 ")
    assert statement_key("1 2") != statement_key("12")
    assert statement_key("X") != statement_key("x")
    assert statement_key("x\u00b2") != statement_key("x2")


def test_contradicted_golds_on_the_command_line(tmp_path: Path, capsys) -> None:
    """They are listed with the set's own gold, the grades are made all the same, and the exit status is 1."""
    golds = write_jsonl(tmp_path / "known.jsonl", [{"id": "k", "problem": "Which point?", "answer": "(3,4)"}])
    rows = [{"id": "p", "problem": "Which  point?", "answer": "4", "samples": [sample("(3,4)")]}]
    folder = tmp_path / "p"
    assert main(["pool", "import", str(write_jsonl(tmp_path / "w.jsonl", rows)), "-o", str(folder)]) == 0
    capsys.readouterr()
    assert main(["grade", str(folder), "--check-golds", str(golds)]) == 1
    said = capsys.readouterr().out
    assert "golds      1 of 1 contradict known.jsonl, which has the statements of 1 of 1 problems" in said
    assert "  p: gold '4'; there '(3,4)'" in said
    assert (folder / "grades.parquet").is_file()
    rows[0]["answer"] = "(3, 4)"
    assert main(["pool", "import", str(write_jsonl(tmp_path / "r.jsonl", rows)), "-o", str(tmp_path / "r")]) == 0
    assert main(["grade", str(tmp_path / "r"), "--check-golds", str(golds)]) == 0
    assert main(["grade", str(tmp_path / "r"), "--check-golds", "no/such.jsonl"]) == 1


def test_the_wrong_golds_of_a_real_pool(data: Path) -> None:
    """Of 292 MATH problems 107 kept only the last number of their gold, which is the answer still in 11 of them (an
    angle, a price); GSM8K's are all right, three without the comma of thousands."""
    wrong = {"math500_500x32_qwen_prm": ("math500", 96, 11), "gsm8k_500x32_7prms": ("gsm8k_test", 0, 3)}
    for name, (known, count, otherwise) in wrong.items():
        with gzip.open(data / "bon" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        own = [Problem(row["id"], row["problem"], row.get("answer_as_published", row["answer"])) for row in rows]
        found = check_golds(own, load_problems(str(data / "problems" / f"{known}.jsonl")))
        assert (found.found, len(found.conflicts), found.otherwise) == (len(rows), count, otherwise)
