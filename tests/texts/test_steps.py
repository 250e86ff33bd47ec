"""Steps: what a PRM is asked about. A wrong cut shifts every reward after it."""

from __future__ import annotations

import time

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.texts.steps import split_steps

TABLE = [
    ("line", "a\nb\n\nc\n", ("a", "b", "c"), "empty lines are no steps"),
    ("line", "one", ("one",), "a single line"),
    ("line", " \n\t\n", (), "nothing but space"),
    ("line", "a\n$$\nx = 1\n$$\nb", ("a", "$$\nx = 1\n$$", "b"), "display mathematics stays whole"),
    ("line", "a\n\\[\nx\n\\]\nb", ("a", "\\[\nx\n\\]", "b"), "so does \\[..\\]"),
    (
        "line",
        "\\begin{align}\nx\\\\\ny\n\\end{align}\nb",
        ("\\begin{align}\nx\\\\\ny\n\\end{align}", "b"),
        "and an environment",
    ),
    ("line", "```\nx = 1\ny = 2\n```\nend", ("```\nx = 1\ny = 2\n```", "end"), "and a code fence"),
    ("line", "$$ open\nb\nc", ("$$ open", "b", "c"), "an opener without its end protects nothing"),
    ("line", "a $$x$$ b\nc", ("a $$x$$ b", "c"), "a closed one ends its protection"),
    ("blank_line", "a\nb\n\nc\n\n\n\nd\n\n", ("a\nb", "c", "d"), "blank lines cut, single ones do not"),
    (
        "blank_line",
        "x:\n\n\\[\n\na\n\n\\]\n\ny",
        ("x:", "\\[\n\na\n\n\\]", "y"),
        "blank lines inside display mathematics",
    ),
    (
        "step_k",
        "Step 1: a\nmore\nStep 2: b\n## Step 3. c",
        ("Step 1: a\nmore", "Step 2: b", "## Step 3. c"),
        "a step begins with its number",
    ),
    ("step_k", "no numbers\nat all", ("no numbers\nat all",), "no number, one step"),
]


@pytest.mark.parametrize(("splitter", "text", "steps", "why"), TABLE, ids=[row[3] for row in TABLE])
def test_table(splitter, text, steps, why) -> None:
    """Each row has its reason."""
    assert split_steps(text, splitter) == steps


def test_given_steps_are_kept_as_they_are() -> None:
    """The source's own cut is not second-guessed; without one, "given" is an error."""
    assert split_steps("x", "given", ["a\nb", ""]) == ("a\nb", "")
    with pytest.raises(PrmEvalError, match="has no steps"):
        split_steps("x", "given")
    with pytest.raises(PrmEvalError, match="unknown splitter"):
        split_steps("x", "sentence")


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "text",
    ["$$" * 50_000, "\\[" * 50_000, "\\begin{a}" * 25_000, "\n" * 75_000, "```\n" * 25_000],
    ids=lambda t: repr(t[:10]),
)
def test_hostile_texts_take_linear_time(text) -> None:
    """A quadratic scan would take minutes here."""
    started = time.monotonic()
    for splitter in ("line", "blank_line", "step_k"):
        split_steps(text, splitter)
    assert time.monotonic() - started < 20
