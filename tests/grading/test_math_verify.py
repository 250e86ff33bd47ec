"""Math-Verify beside our grader: in its own killable child, recorded, comparable."""

from __future__ import annotations

import time

import pytest

from prm_eval.demo import demo_pool
from prm_eval.errors import PrmEvalError
from prm_eval.grading.pool import disagreements, grade_pool, is_graded, load_grader

pytest.importorskip("math_verify", reason="math-verify is an optional extra: pip install 'prm_eval[math-verify]'")


@pytest.fixture
def grader():
    from prm_eval.grading.children.math_verify import MathVerifyGrader

    made = MathVerifyGrader()
    yield made
    made.close()


def test_it_judges_as_its_package_does(grader) -> None:
    """Its known verdicts, one of them a known mistake of its own: sets beside intervals are refused by design."""
    texts = ["so \\boxed{0.5}", "\\boxed{\\frac{2}{4}}", "\\boxed{2}", "nothing is said here", "so \\boxed{0.5}"]
    rows = grader.grade_problem("\\frac12", texts, range(5))
    assert [row.grade for row in rows] == ["correct", "correct", "incorrect", "no_answer", "correct"]
    assert rows[0].answer_class == rows[1].answer_class == rows[4].answer_class != rows[2].answer_class
    assert grader.is_equivalent("(3,4]", "$3 < x \\le 4$") is False


def test_what_hangs_it_is_ended(grader) -> None:
    """Its own limits are signals that a big integer power ignores (Math-Verify issue 65); ours kills the child."""
    grader._child.deadline = 1.0
    grader.is_equivalent("1", "$1$")
    started = time.monotonic()
    rows = grader.grade_problem("1", ["\\boxed{5^{5^{5^{5^5}}}}", "\\boxed{1}"], [0, 1])
    assert time.monotonic() - started < 30
    assert rows[0].grade == "undecided"
    assert rows[1].grade == "correct"


def test_a_pool_is_graded_beside_ours_and_compared(tmp_path) -> None:
    """Its grades stand in their own file, with its version, and disagreements are listed."""
    pool = demo_pool(tmp_path / "pool")
    grade_pool(pool)
    assert not is_graded(pool, "math-verify")
    path = grade_pool(pool, name="math-verify")
    assert path.name == "grades-math-verify.parquet"
    assert is_graded(pool, "math-verify")
    assert load_grader("math-verify").version.startswith("math-verify/")
    assert all(each.ours.grade != each.theirs.grade for each in disagreements(pool, "math-verify"))


def test_options_it_does_not_have_are_refused() -> None:
    """An option that is ignored would be recorded as if it had worked."""
    with pytest.raises(PrmEvalError, match="no option"):
        load_grader("math-verify:rounded_decimals=3")
