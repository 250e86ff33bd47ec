"""The splitters ``paragraph``, ``section`` and ``thought``: no step without content, and chains of thought in parts."""

from __future__ import annotations

import pytest

from prm_eval.texts.steps import SECTION_LENGTH, split_steps

PARAGRAPHS = [
    ("a heading", "## Add\n\n1+1=2\n\n## Double\n\n4", ("## Add\n\n1+1=2", "## Double\n\n4")),
    ("a heading in bold type", "**Step 1: Add**\n\nx\n\n**Step 2: Take**\n\ny", ("**Step 1: Add**\n\nx",
     "**Step 2: Take**\n\ny")),
    ("headings in headings", "# Solution\n\n## Part\n\nx", ("# Solution\n\n## Part\n\nx",)),
    ("headings that are the step", "## Step 1: Add one.\n## Step 2: Take two.\nSo 3.", ("## Step 1: Add one.",
     "## Step 2: Take two.\nSo 3.")),
    ("a heading under a line", "x\n### Next\ny", ("x", "### Next\ny")),
    ("a heading at the end", "x\n\n## Next", ("x", "## Next")),
    ("a lead-in", "We have:\n\n\\[ x \\]\n\nwhich is 2.", ("We have:\n\n\\[ x \\]", "which is 2.")),
    ("a lead-in in bold type", "1. **Find x:**\n\n   $$x$$\n\n2. **Find y:**\n   y", ("1. **Find x:**\n\n   $$x$$",
     "2. **Find y:**\n   y")),
    ("half a sentence and its display", "Hence\n\n$$x$$\n\nSo\n\n\\[y\\]", ("Hence\n\n$$x$$", "So\n\n\\[y\\]")),
    ("a sentence and a display", "That is all.\n\n$$x$$\n\n$$y$$", ("That is all.", "$$x$$", "$$y$$")),
    ("an answer in bold type is no heading", "So\n\n**42**\n\nEnd.", ("So", "**42**", "End.")),
    ("a heading, a lead-in, a table", "### T\n\nSee:\n\n| a | b |\n|---|---|\n\nx",
     ("### T\n\nSee:\n\n| a | b |\n|---|---|", "x")),
    ("a rule", "a\n\n---\n\nb", ("a", "b")),
    ("marks of thinking", "<think>\n\na\n\nb\n\n</think>\n\nc", ("<think>\n\na", "b\n\n</think>", "c")),
]  # fmt: skip


@pytest.mark.parametrize("why, text, steps", PARAGRAPHS, ids=[case[0] for case in PARAGRAPHS])
def test_a_paragraph_has_content(why: str, text: str, steps: tuple[str, ...]) -> None:
    """A heading or a lead-in that is judged alone gets a reward for nothing, and moves the product and the mean."""
    assert split_steps(text, "paragraph") == steps


def test_sections_are_of_headings_marks_rules_and_length() -> None:
    """A chain of thought of a thousand paragraphs must not have a thousand rewards, nor one."""
    text = "In.\n\n### One\n\na\n\nb\n\n**Step 2**\n\nc\n\n---\n\nd\n\ne\n\n</think>\n\nEnd."
    sections = ("In.", "### One\n\na\n\nb", "**Step 2**\n\nc", "d\n\ne\n\n</think>", "End.")
    assert split_steps(text, "section") == sections
    long = "\n\n".join(f"Now x is {number}." for number in range(1_000))
    cut = split_steps(long, "section")
    assert "\n\n".join(cut) == long
    assert all(SECTION_LENGTH <= len(each) < SECTION_LENGTH + 20 for each in cut[:-1])


@pytest.mark.parametrize("turn", [
    "Wait, no.", "But wait, no.", "Hmm.", "Hmm, but no.", "Alternatively, add.", "Let me double-check.",
    "Let's verify.",
    "Okay, let me try again.", "Actually, no.", "Another way is", "Hold on.", "Maybe not.", "I should check it.",
])  # fmt: skip
def test_a_thought_ends_where_thinking_turns(turn: str) -> None:
    """The turn begins the next thought, whatever line end stands before it."""
    assert split_steps(f"So 2.\nAnd 3.\n\n{turn}\nx", "thought") == ("So 2.\nAnd 3.", f"{turn}\nx")
    assert split_steps(f"a\r\n{turn}", "thought") == ("a", turn)


def test_the_end_of_thinking_ends_a_thought() -> None:
    """What follows the thinking is the reply, and no part of the last thought; words within a line are no turn."""
    assert split_steps("<think>\nSo 2.\n</think>\n\nIt is 2.", "thought") == ("<think>\nSo 2.\n</think>", "It is 2.")
    assert split_steps("We wait, actually.\nHe waited.", "thought") == ("We wait, actually.\nHe waited.",)
