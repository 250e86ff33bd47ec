r"""The reply in a generation, without the thoughts before it and what the model made up after its turn.

Raw generations have several kinds of marks, and what these enclose is not part of the reply:

* thinking, in the dialects of reasoning models: ``<think>`` (DeepSeek-R1, Qwen3), ``<thinking>``, ``<thought>``,
  ``<reasoning>``, ``<seed:think>``, ``[THINK]`` (Magistral), ``◁think▷`` (Kimi), ``<|begin_of_thought|>`` (Sky-T1),
  ``<|START_THINKING|>`` (Command A), ``<|inner_prefix|>`` (Apertus), and the channels of gpt-oss, with their special
  tokens or without them (``analysis ... assistantfinal ...``). A chat template may have opened the thinking, so a
  closing mark alone ends it;
* the end of a turn (``<|im_end|>``, ``</s>``, ``<end_of_turn>``, ...) and whatever follows it;
* other special tokens, which are not text, and a prompt that was decoded with the reply (``system ... user ...
  assistant``).

These parts are replaced by blanks or lie outside the span, so that places in the reply are places in the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = r"(?:[a-z]{1,16}[:_-]|ant)?(?:think(?:ing)?|thoughts?|reasoning|scratchpad|inner_?monologue)(?:_\w{1,16})?"
OPENER = (
    rf"<{_NAME}\s{{0,4}}>|\[(?:THINK(?:ING)?|THOUGHT|REASONING)\]|◁{_NAME}▷|<\|{_NAME}\|>"
    r"|<\|(?:begin|start)(?:_of)?_(?:thought|thinking|think|reasoning)\|>"
    r"|<\|(?:thought|thinking|think|reasoning)_(?:start|begin)\|>|<\|inner_prefix\|>|<\|channel>thought|<unused94>"
    r"|\A\s{0,8}Thinking\.\.\.(?=\n)"
)
CLOSER = (
    rf"</{_NAME}\s{{0,4}}>|\[/(?:THINK(?:ING)?|THOUGHT|REASONING)\]|◁/{_NAME}▷|<\|/{_NAME}\|>"
    r"|<\|end(?:_of)?_(?:thought|thinking|think|reasoning)\|>"
    r"|<\|(?:thought|thinking|think|reasoning)_end\|>|<\|inner_suffix\|>|<channel\|>|<unused95>|\.\.\.done thinking\."
)
_MARK = re.compile(rf"(?<!`)(?:(?P<closer>{CLOSER})|{OPENER})(?!`)", re.IGNORECASE)
_SOLUTION = re.compile(r"<\|(?:begin_of_solution|START_RESPONSE)\|>", re.IGNORECASE)  # thinking ends here at the latest
_CHANNEL = re.compile(r"<\|channel\|>\s{0,4}(\w{1,20})[^<]{0,80}<\|message\|>")
_BARE_CHANNEL = re.compile(r"\s{0,8}analysis(?=[A-Z])")
_BARE_FINAL = "assistantfinal"
TURN_END = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|eot|eos|endoftext|end_of_text|end_of_turn|end_of_sentence|endofassistant|end|return"
    r"|END_OF_TURN_TOKEN|im_start|start_header_id|start_of_role|START_OF_TURN_TOKEN|user|User|human|Human)\|>"
    r"|<｜(?:end▁of▁sentence|User)｜>|</s>|<eos>|<end_of_turn>|<start_of_turn>|<turn\|>|<\|turn>|\[/?INST\]|<<SYS>>"
)
_OPENING = re.compile(  # what a chat template puts before the reply
    r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|\[/INST\]"
    r"|(?:<\|im_start\|>|<\|start\|>|<start_of_turn>|<\|turn>|<\|start_of_role\|>)\s{0,4}(?:assistant|model)?"
    r"|<\|start_header_id\|>\s{0,4}assistant\s{0,4}<\|end_header_id\|>|<\|assistant\|>|<｜Assistant｜>)"
)
_ROLE = r"(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|start_of_role\|>)?[ \t]{0,4}"
_ROLE_END = r"(?:<\|end_header_id\|>|<\|end_of_role\|>)?[ \t]{0,8}\n"
_PROMPT = re.compile(rf"\s{{0,8}}(?:<s>|<\|begin_of_text\|>|<bos>)?{_ROLE}(?:system|user){_ROLE_END}", re.IGNORECASE)
_PROMPT_END = re.compile(rf"(?:\n|>|[.?!]){_ROLE}(?:assistant|model){_ROLE_END}", re.IGNORECASE)
_NAMED_PROMPT = re.compile(r"\s{0,8}(?:<s>)?\s{0,4}(?:(?P<inst>\[INST\])|(?:Human|User|USER|HUMAN|Question):)")
_NAMED_PROMPT_END = re.compile(r"\[/INST\]|\n\s{0,8}(?:Assistant|ASSISTANT):")
_SPECIAL = re.compile(r"<\|(?!(?:begin|end)_of_box\|>)[A-Za-z_▁/]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|<s>|<bos>|<pad>")
# a text without any of these has no mark of its kind: most texts are done here
_THOUGHT_SIGNS = ("think", "thought", "reasoning", "scratchpad", "monologue", "|inner_", "<|channel>", "<unused9")
_TOKEN_SIGNS = ("<|", "<｜", "</s>", "<s>", "<bos>", "<pad>", "<eos>", "_turn>", "<turn|>", "INST]", "<<SYS>>")


class Reply(NamedTuple):
    """A reply: the text with everything else blanked, and its start in the text that was given."""

    text: str
    start: int


def reply_of(text: str) -> Reply:
    """Return the reply of a generation: empty where the thinking was opened and never closed.

    Args:
        text: One generation, with special tokens or without.

    Returns:
        The reply and its first character's place; ``reply.text[i]`` stands at ``text[reply.start + i]``, or is a blank.
        The time is linear in the text.
    """
    prompt = _after_prompt(text)
    final = _after_channels(text, prompt)
    if final is None:
        return Reply("", len(text))
    start = max(prompt, final)
    folded = text.casefold()
    start, body = _without_thinking(text, start) if _any(_THOUGHT_SIGNS, folded) else (start, text[start:])
    if not _any(_TOKEN_SIGNS, body):
        return Reply(body, start)
    at = 0
    while opening := _OPENING.match(body, at):
        at = opening.end()
    start, body = start + at, body[at:]
    if end := _end_of_turn(body):
        body = body[:end]
    return Reply(_SPECIAL.sub(_blank, body), start)


def _any(signs: tuple[str, ...], text: str) -> bool:
    return any(sign in text for sign in signs)


def _after_prompt(text: str) -> int:
    """Return the start of the reply in a text that begins with its prompt, with the roles of a chat template."""
    if _PROMPT.match(text):
        end = _PROMPT_END.search(text)
        return end.end() if end else 0
    if named := _NAMED_PROMPT.match(text):
        end = _NAMED_PROMPT_END.search(text)
        return end.end() if end and end.group().startswith("[") == bool(named.group("inst")) else 0
    return 0


def _after_channels(text: str, start: int) -> int | None:
    """Return the start of the last "final" channel of gpt-oss; 0 without channels, None where none is final."""
    final = channels = None
    if "<|channel|>" not in text and not _BARE_CHANNEL.match(text, start):
        return 0
    for channels in _CHANNEL.finditer(text, start):
        if channels.group(1) == "final":
            final = channels
    if final is not None:
        return final.end()
    if channels is not None:
        return None
    if _BARE_CHANNEL.match(text, start):
        at = text.rfind(_BARE_FINAL)
        return at + len(_BARE_FINAL) if at >= 0 else None
    return 0


def _without_thinking(text: str, start: int) -> tuple[int, str]:
    """Return the text after the first thoughts, with later thoughts blanked."""
    pieces: list[str] = []
    begin = at = start
    opened: int | None = None
    for found in _MARK.finditer(text, start):
        if found.group("closer"):
            if opened is None:  # opened by the prompt, or closed twice: all before it was thought
                pieces, begin = [], found.end()
            else:
                pieces += [text[at:opened], " " * (found.end() - opened)]
            at, opened = found.end(), None
        elif opened is None:
            opened = found.start()
    if opened is not None:
        solution = _SOLUTION.search(text, opened)
        if solution is None:
            pieces.append(text[at:opened])
            at = len(text)
        else:
            pieces += [text[at:opened], " " * (solution.end() - opened)]
            at = solution.end()
    body = "".join(pieces) + text[at:]
    stripped = body.lstrip()
    return begin + len(body) - len(stripped), stripped


def _end_of_turn(body: str) -> int | None:
    """Return the end of the first turn that is not empty; None where no mark ends it."""
    for found in TURN_END.finditer(body):
        if body[: found.start()].strip():
            return found.start()
    return None


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())
