"""Prompts by name: what each asks for is what its splitters cut, and a template of one's own is taken as it stands."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.pools.prompts import (
    DEFAULT_PROMPT,
    LONGEST,
    OWN,
    PROMPTS,
    SLOT,
    Prompt,
    asked_by,
    fitting,
    load_prompt,
    recognised,
)
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.texts.steps import BASE_SPLITTERS, base_splitter, split_steps

# what a policy writes that does as it is asked: three steps, as the prompt wants them
OBEDIENT = {
    "boxed_lines": "There are 3 boxes of 4.\n3 * 4 = 12\nSo the answer is \\boxed{12}.",
    "boxed_paragraphs": "There are 3 boxes\nof 4 each.\n\n3 * 4 = 12\n\nSo the answer is \\boxed{12}.",
    "step_k": "Step 1: There are 3 boxes of 4.\n\nStep 2: 3 * 4 = 12\n\nStep 3: So the answer is \\boxed{12}.",
}


def test_the_default_is_what_it_was() -> None:
    """Another word in the default prompt, and no number of today's runs comes again."""
    asked = (
        "{{problem}}\n\nSolve the problem step by step, one step a line, and put your final answer within \\boxed{}."
    )
    assert DEFAULT_PROMPT.as_jinja == asked
    assert load_prompt("qwen_math").template.endswith(
        "\nPlease reason step by step, and put your final answer within \\boxed{}."
    )


@pytest.mark.parametrize("splitter", [each for each in BASE_SPLITTERS if each != "given"])
@pytest.mark.parametrize("name", list(OBEDIENT))
def test_a_prompt_fits_the_splitters_that_cut_its_replies(name: str, splitter: str) -> None:
    """Fits: each of the three steps is cut off. Does not fit: the whole reply is one step, which is the warning's
    ground."""
    cut = split_steps(OBEDIENT[name], splitter)
    if PROMPTS[name].fits(splitter):
        assert len(cut) >= 3
    else:
        assert len(cut) == 1


def test_every_prompt_with_a_form_of_steps_is_tried() -> None:
    """The table above would leave a new prompt untested."""
    assert {each.name for each in PROMPTS.values() if each.splitters} == set(OBEDIENT)
    for each in PROMPTS.values():
        assert each.template.count(SLOT) == 1
        assert bool(each.steps) == bool(each.splitters)
        assert each.source
        assert each.name != OWN


def test_every_shipped_recipe_has_a_fitting_prompt() -> None:
    """Half of the reward models cut at blank lines; for each there is a name to offer, the one that asks for just that
    first."""
    cuts = {base_splitter(each.splitter) for each in shipped_recipes().values() if each.splitter}
    assert cuts >= {"line", "blank_line", "step_k"}
    assert {cut: fitting(cut)[0] for cut in sorted(cuts)} == {
        "blank_line": "boxed_paragraphs",
        "line": "boxed_lines",
        "step_k": "step_k",
    }
    assert fitting("blank_line:tools=drop") == ["boxed_paragraphs", "step_k"]
    assert fitting("thought") == []


@settings(deadline=None)
@given(st.text(st.sampled_from("{}%#problem '\"\\\r\n-abé"), max_size=30), st.text(max_size=20))
def test_a_template_is_taken_as_it_stands(around: str, statement: str) -> None:
    """lm_eval reads prompts as Jinja: braces of LaTeX in a template of one's own must not become expressions."""
    from lm_eval.utils import apply_template

    template = f"{around}{SLOT}{around}"
    if "{" + SLOT in template:
        with pytest.raises(PrmEvalError, match="single braces"):
            load_prompt(template)
        return
    filled = apply_template(load_prompt(template).as_jinja, {"problem": statement})
    assert filled == template.replace(SLOT, statement)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("boxed_paragraph", "'boxed_paragraph': neither a name, nor .* Did you mean boxed_paragraphs.* qwen_math"),
        (
            "Solve it.",
            "'Solve it.': neither a name, nor a text with {problem} in it, nor a file. Expected one of boxed",
        ),
        ("no/such.txt", "'no/such.txt': neither .* nor a file. Expected one of boxed_lines, boxed_paragraphs, step_k"),
        ("{{problem}}\nSolve it.", "prompt=: found {{problem}; expected {problem}, in single braces"),
        ("x" * 100_000 + SLOT, "a text of 100,009 characters; expected at most 100,000 bytes"),
        ("\0", "neither a name"),
        ("y" * 5_000, "neither a name"),
    ],
)
def test_what_is_no_prompt_says_what_is_one(given: str, message: str) -> None:
    """The message names the option, what was found, and every name there is."""
    with pytest.raises(PrmEvalError, match=message):
        load_prompt(given)


def test_a_prompt_from_a_file(tmp_path: Path) -> None:
    """Its last line end and its byte order mark are the editor's, and every other character is the prompt's."""
    path = tmp_path / "p.txt"
    path.write_bytes("\ufeffFrage: {problem}\r\n\r\nLöse sie.\n\n".encode())
    found = load_prompt(str(path))
    assert (found.name, found.template) == (OWN, "Frage: {problem}\n\nLöse sie.\n")
    assert "p.txt" in found.source
    assert found.fits("blank_line")  # nobody knows how it asks for steps


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Solve it.\n", "p.txt: found a prompt without {problem}; expected a text with {problem}.* boxed_lines"),
        (b"\xff{problem}", "p.txt: found bytes that are not UTF-8"),
        (b"{problem}" + b" " * LONGEST, "p.txt: found 100,009 bytes; expected at most 100,000"),
        (b"{{problem}}", "p.txt: found {{problem}; expected {problem}, in single braces"),
    ],
)
def test_a_file_that_is_no_prompt(tmp_path: Path, content: bytes, message: str) -> None:
    """A wrong file would be sent to a policy a thousand times."""
    path = tmp_path / "p.txt"
    path.write_bytes(content)
    with pytest.raises(PrmEvalError, match=message):
        load_prompt(str(path))


def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes into would hang a run before it starts."""
    os.mkfifo(tmp_path / "pipe")
    for each in (tmp_path / "pipe", tmp_path):
        with pytest.raises(PrmEvalError, match="not a plain file"):
            load_prompt(str(each))


def test_a_pool_knows_its_prompt_by_the_text() -> None:
    """Pools of before prompts had names have the text, and another text under a known name is not that prompt."""
    made = {"lm_eval": {"prompt": DEFAULT_PROMPT.as_jinja}}
    assert asked_by(SimpleNamespace(source=made)) is DEFAULT_PROMPT
    other = asked_by(SimpleNamespace(source={"lm_eval": {"prompt": "{{problem}}?", "prompt_name": "boxed_lines"}}))
    assert (other.name, other.as_jinja, other.splitters) == (OWN, "{{problem}}?", ())
    for source in ({}, {"lm_eval": "x"}, {"lm_eval": {"prompt": 3}}, {"lm_eval": {}}):
        assert asked_by(SimpleNamespace(source=source)) is None
    assert recognised(print).name == OWN


def test_a_splitter_that_does_not_exist_is_refused() -> None:
    """A misspelt splitter fits nothing, and must not look like one that fits."""
    with pytest.raises(PrmEvalError, match="unknown splitter 'lines'"):
        DEFAULT_PROMPT.fits("lines")
    assert Prompt("x", SLOT).fits("thought")
