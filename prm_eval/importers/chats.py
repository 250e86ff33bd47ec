"""Chats: the problem statement within a rendered prompt or a list of messages, without the template around it.

Every scan is linear in the text, which a stranger wrote.
"""

from __future__ import annotations

import re
from typing import Any

# a turn with an end of its own, so that a text without this end is searched once for every opening mark: see _turns
_INST = re.compile(r"\[INST\] ?(.*?) ?\[/INST\]", re.DOTALL)
# (what opens the last turn of the user, what closes it) in the templates that published dumps were made with
_TURNS = (
    re.compile(r"<\|im_start\|>user\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL),
    re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>\n\n(.*?)(?:<\|eot_id\|>|\Z)", re.DOTALL),
    re.compile(r"<start_of_turn>user\n(.*?)(?:<end_of_turn>|\Z)", re.DOTALL),
    re.compile(r"<\|user\|>\n?(.*?)(?:<\|(?:assistant|end)\|>|\Z)", re.DOTALL),
    _INST,
    re.compile(r"<｜User｜>(.*?)(?:<｜Assistant｜>|\Z)", re.DOTALL),
    # a template that was decoded without its special tokens
    re.compile(r"(?:\A|\n)user\n(.*?)(?:\nassistant\n?|\Z)", re.DOTALL),
)

_ASSISTANT = "assistant\n"


def statement_in(prompt: Any) -> str | None:
    """Return the last turn of the user in a rendered prompt, or in a list of messages; None where there is none.

    A text without any known template is taken as it is.
    """
    if isinstance(prompt, str):
        for turn in _TURNS:
            found = _turns(turn, prompt)
            if found:
                return str(found[-1]).strip()
        return prompt
    if isinstance(prompt, list):
        for message in reversed(prompt):
            role = message.get("role") if isinstance(message, dict) else None
            if isinstance(role, str) and role.lower() in ("user", "human"):
                return content_of(message)
    return None


def _turns(turn: re.Pattern[str], prompt: str) -> list[str]:
    if turn is not _INST:
        return turn.findall(prompt)
    # no turn is whole behind the last end: there each opening mark would be read on to the end of the text
    before, end, _ = prompt.rpartition("[/INST]")
    return turn.findall(before + end)


def content_of(message: dict[str, Any]) -> str | None:
    """Return the text of a message: its ``content``, or OpenCompass's ``prompt``, as text or as parts."""
    content = message.get("content", message.get("prompt"))
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        texts = [part for part in parts if isinstance(part, str)]
        return "\n".join(texts) if texts else None
    return None


def without_prompt(text: str, statement: str) -> str:
    """Return a text without the rendered prompt in front of it; the text itself where none is there.

    The prompt is there where a template's first words are, and the statement after them.
    """
    start = re.match(r"\s*(?:<\|im_start\|>)?(?:system|user)\n", text)
    if not start or statement.strip() not in text:
        return text
    after = text.index(statement.strip()) + len(statement.strip())
    return text[after:].partition(_ASSISTANT)[2] if _ASSISTANT in text[after:] else text
