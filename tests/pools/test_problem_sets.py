"""Problem sets: the usual spellings are read, faults name file and row, the hash follows the content."""

from __future__ import annotations

import gzip
import json

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.problem_sets import load_problems, problems_hash
from tests.conftest import write_jsonl


def test_the_usual_spellings(tmp_path) -> None:
    """MATH (solution with a box), MATH-500, GSM8K (after ####), PRM800K and our own fields give the same problem."""
    rows = [
        {
            "problem": "p",
            "solution": "so \\boxed{\\frac{1}{2}} and finally \\boxed{7}",
            "level": "Level 3",
            "type": "Algebra",
        },
        {"problem": "p", "answer": "7", "level": 3, "subject": "Algebra", "unique_id": "u/2"},
        {"question": "p", "answer": "3+4 = <<3+4=7>>7\n#### 7"},
        {"problem": "p", "ground_truth_answer": "7", "answer": "8", "level": "Level ?"},
        {"statement": "p", "gold": 7, "problem_id": "mine"},
    ]
    problems = load_problems(str(write_jsonl(tmp_path / "set.jsonl", rows))).problems
    assert [p.gold for p in problems] == ["7"] * 5
    assert [p.level for p in problems] == [3, 3, None, None, None]
    assert [p.problem_id for p in problems] == ["set/1", "u/2", "set/3", "set/4", "mine"]
    assert problems[0].subject == problems[1].subject == "Algebra"


def test_compressed_files_and_blank_lines(tmp_path) -> None:
    """A .gz is read as it is; blank lines count as lines but are no problems."""
    file = tmp_path / "set.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"problem": "p", "answer": "1"}\n\n{"problem": "q", "answer": "2"}\n'))
    assert [p.statement for p in load_problems(str(file)).problems] == ["p", "q"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"problem": "p", "id": "a"}, {"problem": "q", "id": "a"}],
            "row 2: found problem id 'a' again (first in row 1)",
        ),
        (
            [{"problem": "p"}, {"answer": "1"}],
            "row 2: found no field statement or problem or question (fields: answer)",
        ),
        ([{"problem": "p", "answer": " "}], "row 1: found an empty gold answer"),
        ([{"problem": "p", "answer": {"a": 1}}], "row 1: found answer of type dict"),
        ([], "found no problems"),
        (["\x00"], "row 1: found a line that is not JSON"),
    ],
)
def test_faults(tmp_path, rows, message) -> None:
    """Each fault is named where it stands."""
    with pytest.raises(DataError) as caught:
        load_problems(str(write_jsonl(tmp_path / "set.jsonl", rows)))
    assert message in str(caught.value)
    assert "set.jsonl" in str(caught.value)


def test_names_that_are_no_problem_set() -> None:
    """A wrong name lists the right ones; a hub that cannot be reached says what to do without it."""
    with pytest.raises(PrmEvalError, match="math500, gsm8k"):
        load_problems("math501")
    with pytest.raises(PrmEvalError, match="--metadata problems=FILE"):
        load_problems("nobody/no-such-dataset")
    with pytest.raises(PrmEvalError, match="--metadata problems=FILE"):
        load_problems("math500")


def test_hash(tmp_path) -> None:
    """The hash is of the content in order, whatever the spelling of the file."""
    one = load_problems(str(write_jsonl(tmp_path / "a.jsonl", [{"problem": "p", "answer": "1", "id": "x"}])))
    other = load_problems(
        str(write_jsonl(tmp_path / "b.jsonl", [json.dumps({"id": "x", "gold": "1", "statement": "p"}, indent=None)]))
    )
    assert one.content_hash == other.content_hash == problems_hash(one.problems)


def test_real_sets(data) -> None:
    """The real MATH-500 and GSM8K files: every problem has its gold."""
    for name, count in (("math500", 500), ("gsm8k_test", 1319)):
        problems = load_problems(str(data / f"problems/{name}.jsonl")).problems
        assert len(problems) == count
        assert all(p.gold for p in problems)
