"""Tools: what a calculator or a program wrote is never judged as reasoning, and can be left out."""

from __future__ import annotations

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.records import Candidate, Problem
from prm_eval.rewards.scoring import scoring_item
from prm_eval.texts.steps import split_steps, text_to_judge
from prm_eval.texts.tool_use import drop_tools

CODE, OUTPUT = "```python\nprint(1)\n\nprint(2)\n```", "```output\n1\n\n2\n```"
# (why, what the tool has between "Plan." and "So 2.")
BLOCKS = [
    ("code and output", f"{CODE}\n{OUTPUT}"),
    ("a blank line between", f"{CODE}\n\n{OUTPUT}"),
    ("a label between", f"{CODE}\n\n**Output:**\n```\n2\n```"),
    ("a bare fence after code", f"{CODE}\n```\n2\n```"),
    ("the fence of the output closes the code", "```python\nprint(2)\n```output\n2\n```"),
    ("a labelled line", f"{CODE}\nOutput: 2"),
    ("a session", "```python\n>>> 1 + 1\n2\n```"),
    ("two runs", f"{CODE}\n{OUTPUT}\n{CODE}\n{OUTPUT}"),
    ("tags of OpenMathInstruct", "<llm-code>\nprint(2)\n</llm-code>\n<llm-code-output>\n2\n</llm-code-output>"),
    ("tags of calls", '<tool_call>\n{"name": "f", "arguments": {"text": "a b"}}\n</tool_call>\n'
     '<tool_response>\n2\n</tool_response>'),
    ("code in tags", f"<code>\n{CODE}\n</code>\n<interpreter>\n2\n</interpreter>"),
    ("a gadget", '<gadget id="calculator">1+1</gadget>\n<output>2</output>'),
    ("a search", "<search>who?</search>\n\n<information>\nhe\n\nshe\n</information>"),
    ("an annotation alone", "<<1+1=2>>"),
    ("an annotation over lines", "<<1+1\n=2>>"),
]  # fmt: skip


@pytest.mark.parametrize("splitter", ["line", "blank_line", "paragraph"])
@pytest.mark.parametrize("gap", ["\n", "\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("why, tool", BLOCKS, ids=[case[0] for case in BLOCKS])
def test_a_tool_stays_with_the_step_that_planned_it(why: str, tool: str, gap: str, splitter: str) -> None:
    """Neither cut, nor a step of its own; at the start of a text it goes with the step after it."""
    one = splitter != "line" and gap == "\n"  # nothing to cut at
    steps = split_steps(f"Plan.{gap}{tool}\n\nSo 2.", splitter)
    assert steps == (f"Plan.{gap}{tool}", "So 2.")
    assert split_steps(f"{tool}{gap}So 2.\n\nEnd.", splitter) == (f"{tool}{gap}So 2.", "End.")
    assert split_steps(f"Plan.{gap}{tool}", splitter) == (f"Plan.{gap}{tool}",)
    assert one or drop_tools(f"Plan.{gap}{tool}{gap}So 2.") == f"Plan.{gap}So 2."


@pytest.mark.parametrize("why, tool", BLOCKS, ids=[case[0] for case in BLOCKS])
def test_dropped_tools_leave_the_steps(why: str, tool: str) -> None:
    """The option takes out the tool and nothing else; a text of nothing else has no step."""
    assert split_steps(f"Plan.\n{tool}\nSo 2.\nEnd.", "line:tools=drop") == ("Plan.", "So 2.", "End.")
    assert split_steps(tool, "line:tools=drop") == ()


def test_annotations_in_a_line() -> None:
    """GSM8K's and Toolformer's calculators stand in the sentence; the sentence stays."""
    text = "48/2 = <<48/2=24>>24 clips.\nSo [Calculator(48+24) -> 72] 72."
    assert split_steps(text, "line") == tuple(text.split("\n"))
    assert split_steps(text, "line:tools=drop") == ("48/2 = 24 clips.", "So 72.")


def test_actions_and_observations() -> None:
    """The lines of ReAct are tools where both are there; "Action:" alone is prose."""
    text = "Thought: add\nAction: calc[1+1]\nObservation: 2\nThought: done"
    assert split_steps(text, "line") == ("Thought: add\nAction: calc[1+1]\nObservation: 2", "Thought: done")
    assert split_steps(text, "line:tools=drop") == ("Thought: add", "Thought: done")
    assert split_steps("a\nAction: b", "line") == ("a", "Action: b")


@pytest.mark.parametrize("text", [
    "Observation: since x is even, so is y.\nSo 4.",
    "Action: calc[1+1] is what we need.\nNothing came back.",
    "Observation: x is even.\nAction: calc[x]\nSo 4.",
    "Let x = 1.\nAction: we simplify both sides.\nObservation: since x is even, y is odd.\nSo 4.",
    "Action: Simplify\nObservation: x = 2 solves it.\nSo 2.",
    "Output: the answer is 5\nSo 5.",
    "We set:\n```python\nx = 1\n```\nOutput: the answer is 5, since x is 1.\nSo 5.",
    "```python\ndef f(x):\n    return x\n```\nOutput: the answer is 5.\nSo 5.",
])  # fmt: skip
def test_prose_that_is_called_output_or_observation_is_kept(text: str) -> None:
    """Reasoning that no call stands before would vanish under tools=drop, or be judged with its neighbours."""
    assert drop_tools(text) == text
    assert split_steps(text, "line:tools=drop") == split_steps(text, "line")


@pytest.mark.parametrize("tool", [
    "Action: calc[1+1]\nObservation: 2",
    "Action 1: calc[1+1]\nObservation 1: 2\nAction 2: Finish[2]",
    "Action: Calculator\nAction Input: 1+1\nObservation: 2",
    "Action: calculator(1 + 1)\nObservation: two\nObservation: 2",
    "Action: `1+1`\nObservation: 2",
    'Action: {"name": "calc"}\nObservation: 2',
    "```python\nx = 1\nprint(x)\n```\nOutput: 1",
    "```python\nx = 1\nx + 1\n```\nOutput: 2",
    "```sage\nfactor(6)\n```\n**Output:** 2 * 3",
])  # fmt: skip
def test_a_call_before_it_makes_it_a_tool(tool: str) -> None:
    """The contrast: what came back from a call is no reasoning, and stays with the step that planned it."""
    assert split_steps(f"Plan.\n{tool}\nSo 2.", "line:tools=drop") == ("Plan.", "So 2.")
    assert split_steps(f"Plan.\n{tool}\nSo 2.", "line") == (f"Plan.\n{tool}", "So 2.")


@pytest.mark.parametrize("text", [
    f"Run:\n{CODE}\nSo 2.", "```\nx\n```\nand\n```\ny\n```", "a <output>2</output> b", "<code>x</code>", "2 << 3 >> 1",
    "a [Step](2) b", "```text\nx\n```\n```text\ny\n```",
])  # fmt: skip
def test_what_is_no_tool_is_kept(text: str) -> None:
    """Code without output is a part of the solution: dropping it would drop reasoning."""
    kept = "2 <<" in text or drop_tools(text) == text
    assert kept
    assert split_steps(text, "line:tools=drop") == split_steps(text, "line")


def test_given_steps_without_their_tools() -> None:
    """A step of the source that is nothing but a tool is none; without steps the splitter is refused as ever."""
    assert split_steps("x", "given:tools=drop", ["a <<1=1>>b", "<<2=2>>"]) == ("a b",)
    with pytest.raises(PrmEvalError, match="has no steps"):
        split_steps("x", "given:tools=drop")


def test_a_reward_model_of_whole_texts_does_not_see_dropped_tools() -> None:
    """An ORM that read the tool's words under tools=drop would be another measurement than the one recorded."""
    candidate = Candidate("p", 0, f"Plan.\n{CODE}\n{OUTPUT}\nSo 2.")
    item = scoring_item(Problem("p", "?"), candidate, "line:tools=drop")
    assert (item.text, item.steps) == ("Plan.\nSo 2.", ("Plan.", "So 2."))
    assert text_to_judge(candidate.text, "line") == candidate.text
