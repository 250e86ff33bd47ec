"""Labels in others' formats, read back by the importers of these formats."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.steps import import_step_set
from prm_eval.labelling.converting import convert_labels
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.rewards.inputs.renderer import numbered
from prm_eval.stepsets.label_file import LabelFile, Labelled, LabelWriter
from prm_eval.stepsets.labels import by_first_error, by_ratings, by_soft
from tests.labelling.conftest import make_pool, write_labels

# what is hard to read back: signs, line ends, numbers of steps, quotes, beginnings of each other
words = st.sampled_from(
    ["x = 1", "x = 12", "+", "-", "Step 2: so", "a\n\nb", "\\boxed{3}", 'say "no"', "Schritt ы", "1."]
)
step = st.lists(words, min_size=1, max_size=3).map(" ".join)
statement = st.sampled_from(["What is x?", "A + B -\nlong", "x = 1", "Step one"])


def labelled_pool(folder: Path, solutions, kind: str):
    """A pool of given steps with labels: (statement, steps, label) each, one a problem."""
    with PoolWriter(folder / "pool", problem_set={"name": "s"}, policy={"name": "x"}, splitter="given", m=1) as writer:
        for number, (text, steps, _) in enumerate(solutions):
            candidate = Candidate(f"p{number}", 0, "\n\n".join(steps), tuple(steps))
            writer.add(Problem(f"p{number}", text, "3"), [candidate])
    pool = writer.pool
    with LabelWriter(
        folder / "labels", pool, source="rollouts" if kind == "soft" else "model", by="x", labels=kind
    ) as labels:
        for (problem, candidates), (_, steps, label) in zip(pool, solutions, strict=True):
            labels.add(Labelled(problem, candidates[0], tuple(steps), label))
    return pool, LabelFile(folder / "labels")


@st.composite
def rated(draw):
    steps = draw(st.lists(step, min_size=1, max_size=4))
    ratings = [draw(st.sampled_from([1, 0, -1])) for _ in steps]
    unknown = draw(st.integers(0, len(steps)))
    ratings = [rating if at < unknown else None for at, rating in enumerate(ratings)]
    return draw(statement), steps, by_ratings(ratings, len(steps))


@st.composite
def shares(draw):
    steps = draw(st.lists(step, min_size=1, max_size=4))
    known = draw(st.integers(1, len(steps)))
    given_ = [draw(st.sampled_from([0.0, 0.125, 0.5, 1.0])) if at < known else None for at in range(len(steps))]
    return draw(statement), steps, by_soft(given_, len(steps))


@given(st.lists(rated(), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_math_shepherd_rows_are_read_back_equal(solutions) -> None:
    """A sign joined to the wrong step, or a step lost at its tag, would train every PRM of such rows on noise."""
    known = [sum(rating is not None for rating in label.ratings) for _, _, label in solutions]
    with tempfile.TemporaryDirectory() as name:
        pool, labels = labelled_pool(Path(name), solutions, "rated")
        path = Path(name) / "rows.jsonl"
        if not any(known):
            with pytest.raises(PrmEvalError, match="nothing is known"):
                convert_labels(pool, labels, "math-shepherd", path)
            assert not path.exists()
            return
        done = convert_labels(pool, labels, "math-shepherd", path)
        kept = [(each, n) for each, n in zip(solutions, known, strict=True) if n]
        assert (done.rows, done.unknown) == (len(kept), len(solutions) - len(kept))
        back = import_step_set([str(path)], Path(name) / "set").step_set
        # Math-Shepherd's own labels are of rollouts; those that a person gave must not become such
        assert len(back.solutions) == len(kept) and back.info.label_source == labels.info.source
        for ((text, steps, label), n), solution, read in zip(kept, back.solutions, back.labels, strict=True):
            assert solution.statement == text
            assert solution.steps == tuple(numbered(each, k) for k, each in enumerate(steps[:n], 1))
            assert read.ratings == tuple(-1 if rating == -1 else 1 for rating in label.ratings[:n])


@given(st.lists(shares(), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_openrs_rows_are_read_back_equal(solutions) -> None:
    """x = 1 is a beginning of x = 12: in one tree the two would become one solution, and shares would move."""
    with tempfile.TemporaryDirectory() as name:
        pool, labels = labelled_pool(Path(name), solutions, "soft")
        path = Path(name) / "rows.jsonl"
        done = convert_labels(pool, labels, "openr", path)
        assert done.rows == len(solutions)
        back = import_step_set([str(path)], Path(name) / "set").step_set
        assert back.info.labels == "soft" and back.info.label_source == "rollouts"
        for (text, steps, label), solution, read in zip(solutions, back.solutions, back.labels, strict=True):
            n = sum(share is not None for share in label.soft)
            assert (solution.statement, solution.steps, read.soft) == (text, tuple(steps[:n]), label.soft[:n])


@pytest.mark.parametrize(
    ("statement_", "text", "found"),
    [
        ("Say Step 1: go", "1\n\\boxed{1}", "Step 1:"),
        ("x", "the ки of it\n\\boxed{1}", "tag, in step 1"),
        (" ", "1\n\\boxed{1}", "an empty statement"),
    ],
)
def test_texts_that_hold_the_formats_marks_are_refused(tmp_path, statement_, text, found) -> None:
    """They would be read back as other steps; the error names file and row, and no half file is left."""
    pool = make_pool(tmp_path / "p", {"ok": ("y", "1", ["\\boxed{1}"]), "bad": (statement_, "1", [text])}, m=1)
    labels = write_labels(
        pool, tmp_path / "l", lambda each: by_first_error(-1, each.text.count("\n") + 1), kind="first_error"
    )
    with pytest.raises(DataError, match=found) as caught:
        convert_labels(pool, labels, "math-shepherd", tmp_path / "out.jsonl")
    assert caught.value.row == 2 and not (tmp_path / "out.jsonl").exists()


def test_what_a_format_cannot_say_is_refused(small, tmp_path) -> None:
    """Hard labels as shares of completions would claim rollouts that nobody made; an old file is not overwritten."""
    labels = write_labels(
        small, tmp_path / "l", lambda each: by_first_error(-1, each.text.count("\n") + 1), kind="first_error"
    )
    with pytest.raises(PrmEvalError, match="share of right completions"):
        convert_labels(small, labels, "openr", tmp_path / "out.jsonl")
    convert_labels(small, labels, "math-shepherd", tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert row["input"] == "What is 1+1? Step 1: 1+1 = 2 ки\nStep 2: \\boxed{2} ки" and row["label"].endswith(
        "\\boxed{2} +"
    )
    with pytest.raises(PrmEvalError, match="exists"):
        convert_labels(small, labels, "math-shepherd", tmp_path / "out.jsonl")
    with pytest.raises(PrmEvalError, match="unknown format"):
        convert_labels(small, labels, "xml", tmp_path / "out.xml")
