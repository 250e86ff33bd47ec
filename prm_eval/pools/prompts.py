r"""Prompts by name: how a policy is asked for steps and a final answer, and which splitters cut its reply so.

A prompt and a splitter go together. Asked for one step a line, a policy writes no blank line, and a reward model that
cuts at blank lines reads its whole solution as one step. ``docs/lm_eval.md`` has the table of all names.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import PoolInfo
from prm_eval.store.rules import shown
from prm_eval.store.safe_json import read_bytes
from prm_eval.store.typed import nearest
from prm_eval.texts.steps import base_splitter

SLOT = "{problem}"
"""The place of the statement in a template."""
OWN = "own"
"""The name of every prompt that is not in the table: a text, a file, or what a task file sets itself."""
LONGEST = 100_000
"""The most bytes of a template."""
# what begins an expression, a statement or a comment of Jinja, or would before the expression that a "\r" becomes
_JINJA = re.compile(r"\{(?=[{%#\r])")
_PROBLEM = "{{problem}}"


@dataclass(frozen=True)
class Prompt:
    """A prompt.

    Attributes:
        name: Its name.
        template: Its text, with :data:`SLOT` where the statement goes.
        steps: How it asks for steps, in words; empty where it leaves that to the policy.
        splitters: The splitters that cut a reply as it asks into its steps, the one that it asks for first; none where
            it asks for no form of steps.
        answer: How it asks for the final answer, in words; empty where it leaves that to the policy.
        source: Where it comes from.
        is_jinja: Whether the template is a ``doc_to_text`` of lm_eval, and has no slot of ours.
    """

    name: str
    template: str
    steps: str = ""
    splitters: tuple[str, ...] = ()
    answer: str = ""
    source: str = ""
    is_jinja: bool = False

    @property
    def as_jinja(self) -> str:
        """The template as lm_eval's ``doc_to_text``, which is Jinja: all but the slot stands for itself there.

        Jinja would make line feeds of carriage returns.
        """
        if self.is_jinja:
            return self.template
        parts = (_JINJA.sub("{{'{'}}", part).replace("\r", r"{{'\r'}}") for part in self.template.split(SLOT))
        return _PROBLEM.join(parts)

    def fits(self, splitter: str) -> bool:
        """Say whether a splitter cuts a reply as asked into its steps; any does where no form of steps is asked for.

        Raises:
            PrmEvalError: There is no such splitter.
        """
        return not self.splitters or base_splitter(splitter) in self.splitters


_IN_A_BOX = r"put your final answer within \boxed{}."
_ALL = (
    Prompt(
        "boxed_lines",
        f"{SLOT}\n\nSolve the problem step by step, one step a line, and {_IN_A_BOX}",
        "one step a line",
        ("line",),
        r"in `\boxed{}`",
        "ours; the default",
    ),
    Prompt(
        "boxed_paragraphs",
        f"{SLOT}\n\nSolve the problem step by step. Make each step a paragraph, with a blank line between two steps, "
        f"and {_IN_A_BOX}",
        "a blank line between two steps",
        ("blank_line", "paragraph", "line"),
        r"in `\boxed{}`",
        "ours",
    ),
    Prompt(
        "step_k",
        f'{SLOT}\n\nSolve the problem step by step. Begin the steps with "Step 1:", "Step 2:" and so on, with a blank '
        f"line between two steps, and {_IN_A_BOX}",
        '"Step 1:", "Step 2:", ..., with a blank line between two steps',
        ("step_k", "section", "blank_line", "paragraph", "line"),
        r"in `\boxed{}`",
        "ours",
    ),
    Prompt(
        "qwen_math",
        f"{SLOT}\nPlease reason step by step, and {_IN_A_BOX}",
        answer=r"in `\boxed{}`",
        source="`qwen-boxed` of QwenLM/Qwen2.5-Math `evaluation/utils.py`, the user's turn",
    ),
    Prompt(
        "minerva",
        f"Problem:\n{SLOT}\n\nSolution:",
        source="`minerva_math` of lm_eval, without its examples (Lewkowycz et al. 2022); for base models",
    ),
    Prompt("statement", SLOT, source="the statement alone: with `--system_instruction`, or for a policy trained so"),
)
PROMPTS = {each.name: each for each in _ALL}
"""All prompts by name."""
DEFAULT_PROMPT = PROMPTS["boxed_lines"]
"""The prompt of a task that sets none."""


def load_prompt(given: str) -> Prompt:
    """Return a prompt by its name, from a template, or from a file that holds a template.

    Args:
        given: A name of :data:`PROMPTS`; or a text with :data:`SLOT`; or a UTF-8 file with it, whose last line end
            (and byte order mark) is no part of the template.

    Raises:
        DataError: The file cannot be read, is too long, or has no slot in it.
        PrmEvalError: It is none of the three, or the slot is written as Jinja has it.
    """
    if given in PROMPTS:
        return PROMPTS[given]
    if SLOT in given:
        if len(given.encode("utf-8", "surrogatepass")) > LONGEST:
            raise PrmEvalError(f"prompt= is a text of {len(given):,} characters; expected at most {LONGEST:,} bytes")
        _require_plain(given, "prompt=")
        return Prompt(OWN, given, source="given as a text")
    if given and os.path.exists(given):  # noqa: PTH110  (no text is too long for it)
        return _from_file(Path(given))
    near = nearest(given, PROMPTS)
    raise PrmEvalError(
        f"prompt={shown(given)}: neither a name, nor a text with {SLOT} in it, nor a file. "
        + (f"Did you mean {near}? " if near else "")
        + f"Expected one of {', '.join(PROMPTS)}; or a template of your own, or a file with one, with {SLOT} where the "
        "statement goes"
    )


def _from_file(path: Path) -> Prompt:
    try:
        text = read_bytes(path, LONGEST, links=True).decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(path, None, "bytes that are not UTF-8", "a prompt as text") from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n")
    if SLOT not in text:
        raise DataError(
            path, None, f"a prompt without {SLOT}", f"a text with {SLOT} where the statement goes",
            f"A prompt by name is one of {', '.join(PROMPTS)}",
        )  # fmt: skip
    _require_plain(text, str(path))
    return Prompt(OWN, text, source=f"the file {path.name}")


def _require_plain(text: str, where: str) -> None:
    """Refuse Jinja's spelling of the slot, which reads as the slot in braces."""
    if "{" + SLOT in text:
        raise PrmEvalError(f"{where}: found {{{SLOT}; expected {SLOT}, in single braces, where the statement goes")


def recognised(doc_to_text: object) -> Prompt:
    """Return the prompt that a ``doc_to_text`` of lm_eval is: one of the table by its text, or else one of its own."""
    for each in PROMPTS.values():
        if doc_to_text == each.as_jinja:
            return each
    text = doc_to_text if isinstance(doc_to_text, str) else repr(doc_to_text)
    return Prompt(OWN, text, source="the task's own", is_jinja=True)


def asked_by(info: PoolInfo) -> Prompt | None:
    """Return the prompt that a pool's candidates were asked by; None where the pool does not know it.

    It is recognised by its text, as pools know that longer than names.
    """
    made_by = info.source.get("lm_eval")
    text = made_by.get("prompt") if isinstance(made_by, dict) else None
    return recognised(text) if isinstance(text, str) else None


def fitting(splitter: str) -> list[str]:
    """Return the names of the prompts that ask for steps as a splitter cuts them, those that ask for just that first.

    Raises:
        PrmEvalError: There is no such splitter.
    """
    base = base_splitter(splitter)
    found = [each for each in PROMPTS.values() if base in each.splitters]
    return [each.name for each in sorted(found, key=lambda each: each.splitters.index(base))]


def offered(names: list[str]) -> str:
    """Return the option that asks by one of some prompts; empty where there are none."""
    if not names:
        return ""
    others = f" (or {', '.join(names[1:])})" if names[1:] else ""
    return f"--metadata prompt={names[0]}{others}"
