"""What is never cut, for every splitter: a reward of half a formula, or of a bracket, is a reward of nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.texts.steps import BASE_SPLITTERS, split_steps

CUTS = tuple(each for each in BASE_SPLITTERS if each != "given")
MANY = settings(max_examples=50, deadline=None, derandomize=True)

BLOCKS = [
    "$$\nx = 1\n\n= 2\n$$", "$$x =\n1$$", "\\[\ny\n\n\\]", "\\(\nz\n\\)", "$\nw = 4\n$", "\\\\[\nv\n\\\\]",
    "\\begin{align*}\na &= b \\\\[2pt]\nc\n\\end{align*}",
    "\\begin{array}{c}\n\\begin{array}{c}\np\n\\end{array}\n\nq\n\\end{array}",
    "\\begin{align*}\nu\n\\end{align}", "\\boxed{\n7\n}", "\\fbox{\\frac{\n1\n}{2}}",
    "```python\nk = 1\n\nStep 3: m\n```", "~~~\nn\n\n```\n~~~", "- ```\n  o\n\n  r\n  ```",
    "| s | t |\n|:--|--:|\n| 1 | 2 |",
    "s | t\n--- | ---\n1 | 2", "+---+---+\n| s | t |\n+---+---+", "| a | b |\n| c | d |",
]  # fmt: skip
PROSE = [
    "First we add.", "Each pen is $$5.", "Two are $$8 each.", "Row $a \\\\[4pt] b$.", "Let $x=1$ and \\(y\\).",
    "Step 2: double it.", "**Step 3**", "## Step 4", "Wait, that is wrong.", "So |x| = 3 holds.", "1. one", "2. two",
    "We have:", "use ` here", "It is \\$4.", "<think>", "</think>", "See \\boxed{5}.", "48/2 = <<48/2=24>>24.",
]  # fmt: skip
LINES = st.lists(
    st.tuples(st.sampled_from(BLOCKS + PROSE), st.sampled_from(["\n", "\n\n", "\n \n", "\r\n", "\r\n\r\n"])),
    max_size=7,
)


@pytest.mark.parametrize("splitter", CUTS)
@MANY
@given(lines=LINES)
def test_no_cut_falls_inside_a_block(splitter: str, lines: list[tuple[str, str]]) -> None:
    """A display, an environment, a box, a table or a fence is in one step, whatever stands around it."""
    lines = [(text, "\n\n" if text in BLOCKS[-4:] else end) for text, end in lines]  # rows that touch are one table
    steps = split_steps("Start.\n" + "".join(text + end for text, end in lines), splitter)
    for text, _ in lines:
        if text in BLOCKS:
            assert any(text in step for step in steps), (text, steps)


@pytest.mark.parametrize("splitter", CUTS)
@MANY
@given(lines=LINES)
def test_nothing_is_lost_and_no_step_is_empty(splitter: str, lines: list[tuple[str, str]]) -> None:
    """The steps are the text in its order, but for space."""
    text = "".join(text + end for text, end in lines)
    steps = split_steps(text, splitter)
    assert "".join("".join(steps).split()) == "".join(text.split())
    assert all(step and step == step.strip() for step in steps)


@pytest.mark.parametrize("splitter", [each for each in CUTS if each != "blank_line"])
@MANY
@given(text=st.text(alphabet='a1$\\[](){}`~|-*#:\n\r \t<>="Swtep.', max_size=60))
def test_any_text_can_be_cut(splitter: str, text: str) -> None:
    """No text raises, and what is left out is nothing but rules."""
    steps = split_steps(text, splitter)
    assert all(step and step == step.strip() for step in steps)
    left = iter("".join(text.split()))
    assert all(character in left for character in "".join("".join(steps).split()))


# (why, splitter, text, steps)
CASES = [
    ("prices by line", "line", "We pay $$5.\nThey pay $$8 each.\nSum 13.", ("We pay $$5.", "They pay $$8 each.",
     "Sum 13.")),
    ("two prices a line", "line", "A is $$12, B is $$24.\nAll: $$36.\nEnd",
     ("A is $$12, B is $$24.", "All: $$36.", "End")),
    ("a price before a display", "line", "It costs $$5 now.\n$$\nx = 5\n$$\nEnd", ("It costs $$5 now.",
     "$$\nx = 5\n$$", "End")),
    ("a display that begins with a number", "line", "So $$5 + 3\n= 8$$\nEnd", ("So $$5 + 3\n= 8$$", "End")),
    ("a quantity in a display", "line", "So $$12 cm$$\nand $$x\n= 1$$\nEnd", ("So $$12 cm$$", "and $$x\n= 1$$", "End")),
    ("a lost mark does not pair with the next display", "blank_line", "Thus $$x=1\n\nNext\n\n$$\ny=2\n$$\n\nEnd",
     ("Thus $$x=1", "Next", "$$\ny=2\n$$", "End")),
    ("cut off in a display", "line", "Then\n$$\nx = 1\n+ 2", ("Then", "$$\nx = 1\n+ 2")),
    ("cut off in an environment", "line", "Then\n\\begin{cases}\nx\\\\\ny", ("Then", "\\begin{cases}\nx\\\\\ny")),
    ("cut off in a box", "line", "So \\boxed{\n5", ("So \\boxed{\n5",)),
    ("cut off in code", "line", "Run\n```python\na = 1\n\nb", ("Run", "```python\na = 1\n\nb")),
    ("forgotten ends, no blank line", "line", "Step 1:\n\\begin{align*}\na &= 9\nStep 2: Add.\n\\[\nb\nSo b is 1.",
     ("Step 1:", "\\begin{align*}\na &= 9", "Step 2: Add.", "\\[\nb", "So b is 1.")),
    ("inline mathematics that is not closed", "line", "A \\( x = 1\nB \\( y \\)\nC",
     ("A \\( x = 1", "B \\( y \\)", "C")),
    ("a stray fence", "line", "}\n```\nThe price\nis 5", ("}", "```", "The price", "is 5")),
    ("a fence that opens in another", "line", "```python\na\n```java\nb\n```\nEnd", ("```python\na", "```java\nb\n```",
     "End")),
    ("a longer fence", "line", "````\na\n```\nb\n````\nEnd", ("````\na\n```\nb\n````", "End")),
    ("rules of all kinds", "line", "a\n***\nb\n___\nc\n- - -\nd\n=====\ne", ("a", "b", "c", "d", "e")),
    ("rules by paragraph", "blank_line", "a\n\n---\n***\n\nb", ("a", "b")),
    ("absolute values are no table", "line", "|x| = 3\n|y| = 4", ("|x| = 3", "|y| = 4")),
    ("a table cut off", "line", "| x | y |\n|---|---|\n| 1 |", ("| x | y |\n|---|---|\n| 1 |",)),
    ("a line after a table without frame", "line", "x | y\n--|--\n1 | 2\nSo |y| = 2", ("x | y\n--|--\n1 | 2",
     "So |y| = 2")),
    ("CRLF", "blank_line", "a\r\nb\r\n\r\nc\r\n \r\nd\r\n", ("a\r\nb", "c", "d")),
    ("a mixture of line ends", "blank_line", "a\n\r\nb\r\n\nc", ("a", "b", "c")),
    ("CRLF in a display", "line", "a\r\n$$\r\nx\r\n$$\r\nb", ("a", "$$\r\nx\r\n$$", "b")),
    ("CRLF before a step", "step_k", "Step 1: a\r\nx\r\nStep 2: b", ("Step 1: a\r\nx", "Step 2: b")),
]  # fmt: skip


@pytest.mark.parametrize("why, splitter, text, steps", CASES, ids=[case[0] for case in CASES])
def test_what_opens_and_what_does_not(why: str, splitter: str, text: str, steps: tuple[str, ...]) -> None:
    """Prices, row breaks, lost and missing ends: a wrong pairing fuses steps up to the next mark."""
    assert split_steps(text, splitter) == steps


DRESSES = [
    "Step 1: a", "Step 1. a", "Step 1) a", "Step 1 - a", "Step 1 – a", "Step 1— a", "STEP 1: a", "step 1: a",
    "Step #1: a",
    "Step-1: a", "Step 1 (sum): a", "Step 1 of 3: a", "(Step 1) a", "[Step 1] a", "**Step 1:** a", "**Step 1**: a",
    "**Step 1** a", "**Step 1 Add**", "*Step 1*: a", "__Step 1__ a", "- **Step 1**: a", "> Step 1: a", "# Step 1 a",
    "## Step 1", "### **Step 1**", "### Step 1 Add", "Step 1", "\\textbf{Step 1:} a", "\\section*{Step 1} a",
    "1. Step 1: a",
]  # fmt: skip
NO_MARKS = ["Step 1 and 2 give", "Steps 1-3: a", "as in Step 1: a", "Stepping 1: a", "Step one: a", "Step 1 a"]


@pytest.mark.parametrize("mark", DRESSES)
def test_step_marks_in_all_dresses(mark: str) -> None:
    """A mark that is not seen makes a PRM judge a whole solution with one number."""
    other = mark.replace("1", "2")
    assert split_steps(f"Intro.\n{mark}\nmore\n{other}", "step_k") == ("Intro.", f"{mark}\nmore", other)


@pytest.mark.parametrize("text", NO_MARKS)
def test_running_text_that_names_a_step_is_no_mark(text: str) -> None:
    """A cut before "Step 1 and 2 give" would be within a sentence."""
    assert split_steps(f"Step 7: x\n{text}\ny", "step_k") == (f"Step 7: x\n{text}\ny",)


@pytest.mark.parametrize(
    "text, steps",
    [
        ("1. a\n2. b", ("1. a", "2. b")),
        ("Plan:\n1) a\n   1) x\n   2) y\n2) b\n\nSo c", ("Plan:", "1) a\n   1) x\n   2) y", "2) b\n\nSo c")),
        ("**1.** a\n**2.** b", ("**1.** a", "**2.** b")),
        ("1. alone\nand more", ("1. alone\nand more",)),
        ("2020. was dry\n2021. was wet", ("2020. was dry\n2021. was wet",)),
        ("1. x\n5. y", ("1. x\n5. y",)),
        ("Step 1: a\n1. x\n2. y", ("Step 1: a\n1. x\n2. y",)),
        ("```\n1. x\n2. y\n```\n1. a\n2. b", ("```\n1. x\n2. y\n```", "1. a", "2. b")),
    ],
)
def test_numbers_of_a_list_are_steps_where_no_step_is_named(text: str, steps: tuple[str, ...]) -> None:
    """A solution in a numbered list was one step; numbers that do not count on are no list."""
    assert split_steps(text, "step_k") == steps


HOSTILE = [
    "$$", "$\n", "\\[\n", "\\begin{a}\n", "\\end{a}", "```\n", "```python\n", "|-\n", "| a | b |\n", "\\boxed{\n", "{",
    "\\",     "Step 1" + " " * 50, "**Step 1 ", "1. ", "#", "- - ", "so ", "\n ", "<tool_call>", "</code>", "<<",
    '{"answer": "a b',
    '{"a": ', '"', "a:\n\n", "Wait\n", "[Calculator(", "$$5.\n\n", "x\n\n", "```python\n1\n```\n```output\n1\n```\n",
    "# a\n\n",
]  # fmt: skip


@pytest.mark.parametrize("atom", HOSTILE)
def test_hostile_texts_take_linear_work(atom: str) -> None:
    """Anything quadratic is minutes here; nothing is timed but by whoever waits for the tests."""
    text = (atom * (60_000 // len(atom)))[:60_000]
    for splitter in ("line", "step_k", "section", "thought:tools=drop"):
        split_steps(text, splitter)
