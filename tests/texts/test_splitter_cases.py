r"""Cuts and boxes, convention by convention. A cut at another place gives a PRM other steps, and shifts every reward
after it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.texts.boxed import MAX_BOXES, boxed_spans, last_boxed
from prm_eval.texts.steps import SPLITTERS, split_steps

MANY = settings(max_examples=60, deadline=None, derandomize=True)
CUTS = ("line", "blank_line", "step_k")

# (why, text, by line, by blank line, by "Step k:")
CASES = [
    ("two lines", "a\nb", ("a", "b"), ("a\nb",), ("a\nb",)),
    ("a blank line", "a\n\nb", ("a", "b"), ("a", "b"), ("a\n\nb",)),
    ("a blank line of spaces", "a\n \t\nb", ("a", "b"), ("a", "b"), ("a\n \t\nb",)),
    ("three line breaks", "a\n\n\nb", ("a", "b"), ("a", "b"), ("a\n\n\nb",)),
    ("space around", "  a  \n\n  b  ", ("a", "b"), ("a", "b"), ("a  \n\n  b",)),
    ("Windows line breaks", "a\r\nb", ("a", "b"), ("a\r\nb",), ("a\r\nb",)),
    ("no text", "", (), (), ()),
    ("only breaks", "\n\n\n", (), (), ()),
    ("a break at the end", "a\n", ("a",), ("a",), ("a",)),
    ("a numbered step", "Step 1: a\nStep 2: b", ("Step 1: a", "Step 2: b"),
     ("Step 1: a\nStep 2: b",), ("Step 1: a", "Step 2: b")),
    ("a lead before the first step", "Let us see.\nStep 1: a", ("Let us see.", "Step 1: a"),
     ("Let us see.\nStep 1: a",), ("Let us see.", "Step 1: a")),
    ("a step in bold", "**Step 1:** a\n**Step 2:** b", ("**Step 1:** a", "**Step 2:** b"),
     ("**Step 1:** a\n**Step 2:** b",), ("**Step 1:** a", "**Step 2:** b")),
    ("a step as a heading", "### Step 1: a\nx\n### Step 2: b", ("### Step 1: a", "x", "### Step 2: b"),
     ("### Step 1: a\nx\n### Step 2: b",), ("### Step 1: a\nx", "### Step 2: b")),
    ("a step with a period", "Step 1. a\nStep 2. b", ("Step 1. a", "Step 2. b"),
     ("Step 1. a\nStep 2. b",), ("Step 1. a", "Step 2. b")),
    ("a step named within a line", "as in Step 1: a\nso b", ("as in Step 1: a", "so b"),
     ("as in Step 1: a\nso b",), ("as in Step 1: a\nso b",)),
    ("steps in words are none", "Step one: a\nStep two: b", ("Step one: a", "Step two: b"),
     ("Step one: a\nStep two: b",), ("Step one: a\nStep two: b",)),
    ("a number without a colon", "Step 1 a\nStep 2 b", ("Step 1 a", "Step 2 b"), ("Step 1 a\nStep 2 b",),
     ("Step 1 a\nStep 2 b",)),
    ("a display in dollars", "a\n$$\nx\n\ny\n$$\nb", ("a", "$$\nx\n\ny\n$$", "b"), ("a\n$$\nx\n\ny\n$$\nb",),
     ("a\n$$\nx\n\ny\n$$\nb",)),
    ("a display in brackets", "a\n\n\\[\nx\n\n\\]\n\nb", ("a", "\\[\nx\n\n\\]", "b"), ("a", "\\[\nx\n\n\\]", "b"),
     ("a\n\n\\[\nx\n\n\\]\n\nb",)),
    ("an environment", "\\begin{cases}\nx\n\ny\n\\end{cases}\n\nb", ("\\begin{cases}\nx\n\ny\n\\end{cases}", "b"),
     ("\\begin{cases}\nx\n\ny\n\\end{cases}", "b"), ("\\begin{cases}\nx\n\ny\n\\end{cases}\n\nb",)),
    ("an environment with a star", "\\begin{align*}\nx\n\\end{align*}\nb", ("\\begin{align*}\nx\n\\end{align*}", "b"),
     ("\\begin{align*}\nx\n\\end{align*}\nb",), ("\\begin{align*}\nx\n\\end{align*}\nb",)),
    ("another environment does not close it", "\\begin{a}\nx\n\\end{b}\ny", ("\\begin{a}", "x", "\\end{b}", "y"),
     ("\\begin{a}\nx\n\\end{b}\ny",), ("\\begin{a}\nx\n\\end{b}\ny",)),
    ("code with steps in it", "```\nStep 1: a\n\nStep 2: b\n```\nend", ("```\nStep 1: a\n\nStep 2: b\n```", "end"),
     ("```\nStep 1: a\n\nStep 2: b\n```\nend",), ("```\nStep 1: a\n\nStep 2: b\n```\nend",)),
    ("a fence within a line is none", "use ``` here\nb\n```", ("use ``` here", "b", "```"), ("use ``` here\nb\n```",),
     ("use ``` here\nb\n```",)),
    ("two displays", "$$a$$\nb\n$$\nc\n$$\nd", ("$$a$$", "b", "$$\nc\n$$", "d"), ("$$a$$\nb\n$$\nc\n$$\nd",),
     ("$$a$$\nb\n$$\nc\n$$\nd",)),
    ("inline mathematics protects nothing", "$a\nb$", ("$a", "b$"), ("$a\nb$",), ("$a\nb$",)),
    ("letters of other scripts", "求和\n等于 5", ("求和", "等于 5"), ("求和\n等于 5",), ("求和\n等于 5",)),
    ("a line separator is no line break", "a\u2028b", ("a\u2028b",), ("a\u2028b",), ("a\u2028b",)),
]  # fmt: skip


@pytest.mark.parametrize("splitter, column", [(name, at) for at, name in enumerate(CUTS, 2)])
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_each_convention_cuts_where_it_says(splitter: str, column: int, case) -> None:
    """One text, three conventions: line (PRM800K), blank line (Qwen2.5-Math-PRM), "Step k:" (Math-Shepherd)."""
    assert split_steps(case[1], splitter) == case[column]


PIECES = st.sampled_from(
    [
        "a",
        "Step 1: b",
        "\n",
        "\n\n",
        " ",
        "$$",
        "\\[",
        "\\]",
        "\\begin{x}",
        "\\end{x}",
        "```",
        "\n```\n",
        "Step 2. c",
        "é",
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@pytest.mark.parametrize("splitter", CUTS)
@MANY
@given(text=TEXTS)
def test_nothing_is_lost_and_nothing_is_made_up(splitter: str, text: str) -> None:
    """The steps are the text in its order, but for space: a lost line would be a step that no reward model sees."""
    steps = split_steps(text, splitter)
    assert "".join("".join(steps).split()) == "".join(text.split())
    assert all(step and step == step.strip() for step in steps)
    place = 0
    for step in steps:
        place = text.index(step, place) + len(step)


@pytest.mark.parametrize("splitter", CUTS)
@MANY
@given(text=TEXTS)
def test_a_step_is_not_cut_again(splitter: str, text: str) -> None:
    """What was cut out whole stays whole, unless the protection that held it together opened in an earlier step."""
    for step in split_steps(text, splitter):
        if not re.search(r"\$\$|\\\[|\\\]|\\begin|\\end|```", text):
            assert split_steps(step, splitter) == (step,)


@MANY
@given(text=TEXTS)
def test_blank_lines_cut_no_more_than_lines(text: str) -> None:
    """Every blank line is a line break: the coarser convention never has more steps than the finer one."""
    assert len(split_steps(text, "blank_line")) <= len(split_steps(text, "line"))


@MANY
@given(inside=st.lists(st.sampled_from(["x", "\n", "\n\n", "Step 3: y"]), max_size=6).map("".join))
@pytest.mark.parametrize(
    "opener, closer", [("$$", "$$"), ("\\[", "\\]"), ("\\begin{align}", "\\end{align}"), ("\n```\n", "\n```")]
)
@pytest.mark.parametrize("splitter", CUTS)
def test_no_cut_falls_inside_a_display(splitter: str, opener: str, closer: str, inside: str) -> None:
    """Whatever stands in a display, an environment or a fence is in one step."""
    display = (opener + inside + closer).strip()
    steps = split_steps(f"before\n\n{display}\n\nStep 9: after", splitter)
    assert any(display in step for step in steps)


def test_an_unknown_splitter_is_refused_with_those_that_are_known() -> None:
    """A misspelt splitter in pool.json must not fall back to another convention."""
    with pytest.raises(PrmEvalError, match=f"unknown splitter 'lines'; expected one of {', '.join(SPLITTERS)}"):
        split_steps("a", "lines")


@pytest.mark.parametrize("splitter", CUTS)
def test_given_steps_do_not_count_for_other_splitters(splitter: str) -> None:
    """A recipe that wants lines gets lines, also of candidates whose source cut them otherwise."""
    assert split_steps("a\n\nStep 1: b", splitter, ["whole"]) == split_steps("a\n\nStep 1: b", splitter)


# -- boxes

BOXES = [
    (r"\boxed{5}", ["5"]),
    (r"\fbox{5}", ["5"]),
    (r"\boxed {5}", ["5"]),
    ("\\boxed\n{5}", ["5"]),
    (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
    (r"\boxed{\boxed{5}}", [r"\boxed{5}"]),
    (r"\boxed{a} and \boxed{b}", ["a", "b"]),
    (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
    (r"\boxed{\{1}", [r"\{1"]),
    (r"\boxed{}", [""]),
    (r"\boxed 5", ["5"]),
    (r"\boxed 12.5 m", ["12.5"]),
    (r"\boxed -3", ["-3"]),
    (r"\boxed x", ["x"]),
    (r"\boxed $", []),
    (r"\boxed", []),
    (r"\boxed{5", []),
    (r"\boxed{5}}", ["5"]),
    (r"\boxedx{5}", []),
    (r"\boxed{a}{b}", ["a"]),
    (r"{\boxed{5}}", ["5"]),
    (r"\\boxed{5}", ["5"]),
    ("no box", []),
    ("", []),
]


@pytest.mark.parametrize("text, contents", BOXES, ids=[text or "no text" for text, _ in BOXES])
def test_what_stands_in_boxes(text: str, contents: list[str]) -> None:
    """Balanced braces, escaped ones not counted; an unbalanced box, as in a cut-off text, is none."""
    assert [text[start:end] for start, end in boxed_spans(text)] == contents
    assert last_boxed(text) == (contents[-1] if contents else None)


@st.composite
def balanced(draw, depth: int = 2) -> str:
    parts = draw(st.lists(st.sampled_from(["x", "1", " ", "\\{", "\\}", "\\frac"]), max_size=4))
    if depth:
        parts += [f"{{{each}}}" for each in draw(st.lists(balanced(depth - 1), max_size=2))]
    return "".join(draw(st.permutations(parts)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(balanced(), balanced(), st.sampled_from(["boxed", "fbox"]))
def test_any_balanced_content_is_found_whole(before: str, content: str, macro: str) -> None:
    """Whatever braces stand before and in a box, its content comes out as it went in."""
    text = f"{before} so \\{macro}{{{content}}}."
    assert last_boxed(text) == content


@MANY
@given(st.text(alphabet="\\{}$ bfox1edx-", max_size=60))
@example("\\boxed")
@example("\\boxed{\\boxed")
def test_any_text_has_spans_within_it_in_order(text: str) -> None:
    """Spans lie within the text, rise and do not overlap; no text raises."""
    end_of_last = 0
    for start, end in boxed_spans(text):
        assert end_of_last <= start <= end <= len(text)
        end_of_last = end


def test_only_the_last_boxes_of_a_hostile_text_are_read() -> None:
    """A text of a million boxes costs what its last ones cost, and the last of them is still the answer."""
    started = time.monotonic()
    text = "\\boxed{1}" * 100_000 + "\\boxed{2}"
    assert last_boxed(text) == "2"
    assert len(boxed_spans(text)) == MAX_BOXES
    assert last_boxed("\\boxed{" * 100_000) is None
    assert time.monotonic() - started < 20
