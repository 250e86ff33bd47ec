r"""Solutions in JSON: one line for every splitter, so that a PRM gave one number for the whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.texts.steps import split_steps

CASES = [
    ("in a fence", '```json\n{"reasoning": "a b.\\nc d.", "answer": "8"}\n```', ("a b.", "c d.", "8")),
    ("in a bare fence", '```\n{\n  "solution": "a b.\\nc"\n}\n```', ("a b.", "c")),
    ("without a fence", '{\n    "reasoning": "a b.\\n\\nc d.",\n    "answer": "8"\n}', ("a b.", "c d.", "8")),
    ("a number", '{"thought": "a b", "answer": 8.5}', ("a b", "8.5")),
    ("a list of steps", '{"steps": ["a b", "c d"], "answer": "8"}', ("a b", "c d", "8")),
    ("objects in a list", '{"steps": [{"step": 1, "explanation": "a b", "output": "4"}, {"explanation": "c"}]}',
     ("a b", "4", "c")),
    ("cut off in the string", '```json\n{"reasoning": "a b.\\nc d', ("a b.", "c d")),
    ("cut off after it", '{"reasoning": "a b.\\nc d",', ("a b.", "c d")),
    ("text around it", 'Here:\n\n{"reasoning": "a b"}\n\nBye.', ("Here:", "a b", "Bye.")),
    ("text around a fence", 'Here:\n```json\n{"reasoning": "a b"}\n```\nBye.', ("Here:", "a b", "Bye.")),
    ("two of them", '{"thought": "a b"}\n{"answer": "c d"}', ("a b", "c d")),
    ("its brace is missing", '"reasoning": "a b.\\nc",\n"answer": "16"\n}', ("a b.", "c", "16")),
    ("padding behind it", '{"reasoning": "a b"}</s></s>', ("a b",)),
    ("LaTeX with single backslashes", '{"reasoning": "2 \\times \\frac{1}{2} \\neq \\theta\\nso \\(x\\)"}',
     ("2 \\times \\frac{1}{2} \\neq \\theta", "so \\(x\\)")),
    ("LaTeX with doubled backslashes", '{"reasoning": "\\\\[ x \\\\]\\nso \\\\neq y"}', ("\\[ x \\]", "so \\neq y")),
    ("line breaks in the string", '{"reasoning": "a b.\nc d."}', ("a b.", "c d.")),
    ("quotes in the string", '{"reasoning": "say "x" and \\"y\\" now", "answer": "1"}', ('say "x" and "y" now', "1")),
    ("a display over lines", '{"reasoning": "So\\n\\[\\nx\\n\\]\\nEnd."}', ("So", "\\[\nx\n\\]", "End.")),
]  # fmt: skip


@pytest.mark.parametrize("why, text, steps", CASES, ids=[case[0] for case in CASES])
def test_a_solution_in_json_is_cut_as_what_it_says(why: str, text: str, steps: tuple[str, ...]) -> None:
    """Braces, keys and the two signs of a line break are no steps; signs of LaTeX stay signs."""
    assert split_steps(text, "line") == steps
    assert split_steps(text.replace("\n", "\r\n"), "line") == steps or "\n" in "".join(steps)


@pytest.mark.parametrize("word", [
    "othing", "otice", "egative", "equations", "early", "umber", "uclear", "middle", "length", "ever", "eqs",
])  # fmt: skip
def test_a_line_break_before_a_word_is_no_command(word: str) -> None:
    r"""A command ends where its letters do: the break before "otice" is not ``\not`` and "ice"."""
    assert split_steps(f'{{"reasoning": "a b\\n{word} c"}}', "line") == ("a b", f"{word} c")


@pytest.mark.parametrize("command", [
    r"\not\in", r"\notin", r"\neq", r"\ne", r"\neg", r"\nu", r"\nabla", r"\nearrow", r"\nleq 2", r"\text{ if }",
    r"\textstyle\sum", r"\textbf{a}", r"\times2", r"\to", r"\tan", r"\tanh", r"\triangleq", r"\right)", r"\rightarrow",
    r"\rightleftharpoons", r"\rangle", r"\rho_1",
])  # fmt: skip
def test_a_command_that_begins_like_an_escape_is_kept(command: str) -> None:
    """The contrast: a sign of LaTeX that JSON would read as a tab or a line break stays whole, long names too."""
    assert split_steps(f'{{"reasoning": "a {command} b"}}', "line") == (f"a {command} b",)


@pytest.mark.parametrize("text", [
    '```json\n{"answer": "8"}\n```', '{"name": "calc", "arguments": {"text": "a b"}}', "The set is {1, 2}.",
    '{"a": [1, 2]}',
    '```python\nx = {"reasoning": "a b"}\n```', '<tool_response>\n{"result": "a b"}\n</tool_response>', '{x} "y": z',
    "{",
    '```json\n{"code": "a b"}\n```',
])  # fmt: skip
def test_other_json_stays_as_it_is(text: str) -> None:
    """A call, an output, a short answer: their braces belong to them."""
    assert split_steps(text, "step_k") == (text,)


WORDS = st.text(alphabet="ab \n{}[]:,'\"\\$é", min_size=1, max_size=30).map(lambda text: f"a {text} b")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(values=st.lists(WORDS, min_size=1, max_size=3))
def test_what_json_writes_is_read_back(values: list[str]) -> None:
    """Strict JSON comes back to the letter, unless a quote in it looks as if the string ended there."""
    plain = [value for value in values if '"' not in value]
    text = json.dumps({f"step{k}": value for k, value in enumerate(plain)}, ensure_ascii=False)
    if plain:
        assert "".join("".join(split_steps(text, "step_k")).split()) == "".join("".join(plain).split())
