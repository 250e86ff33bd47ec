r"""The tools that a candidate used: calculator annotations, and code or calls with what came back.

A tool's part is not reasoning. It stays with the step that planned it, is never cut, and is never a step that a reward
model judges; :func:`drop_tools` leaves it out. What counts as use of a tool:

* ``<<48/2=24>>`` (GSM8K), ``[Calculator(48/2) -> 24]`` (Toolformer), ``<gadget>48/2</gadget><output>24</output>``;
* a code fence with its output in it (``>>> 48/2``) or behind it: a fence called ``output``, one under a line
  "Output:", a bare one after code of a named language, or the rest of a line "Output: 24" after code that writes;
* the tags of calls and results (``<tool_call>``, ``<llm-code-output>``, ``<interpreter>``, ...), and ``<code>`` with a
  result after it;
* lines ``Action: ...`` that are calls (``calc[1+1]``, a name with an ``Action Input: ...``), and ``Observation: ...``
  after one.

Code without output is no use of a tool: it is a part of the solution.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prm_eval.texts.protected import Fence, Span, fences, merged


class ToolUse(NamedTuple):
    """One use of a tool, or a part of it; ``inline`` where it stands within a line of the solution."""

    start: int
    end: int
    inline: bool


_CALLS = "llm-code|tool_call|tool_code|function_call|search|gadget"
_RESULTS = (
    "llm-code-output|interpreter|tool_response|tool_result|tool_output|function_result|function_response|information"
    "|execution_result|execution_output|observation"
)
_ONLY_WITH_RESULT = "code|python|execute|calculator|tool"
_ONLY_AFTER_CALL = "output|result"
_TAG = re.compile(
    rf"<(?P<end>/?)(?:(?P<call>{_CALLS})|(?P<result>{_RESULTS})|(?P<code>{_ONLY_WITH_RESULT})"
    rf"|(?P<output>{_ONLY_AFTER_CALL}))(?:[ \t][^<>\n]{{0,80}})?>"
)
_ANNOTATION = re.compile(
    r"<<[^<>=]{1,200}=[^<>]{0,200}>>"
    r"|\[(?:Calculator|Calc|Python|WolframAlpha)\([^\[\]\n]{0,200}\)[ \t]*(?:→|->)[^\[\]\n]{0,80}\]"
)
_REACT = re.compile(
    r"^[ \t]*(?P<name>Action(?:[ \t]Input)?|Observation)(?:[ \t]*\d+)?[ \t]*:(?P<rest>[^\r\n]*)", re.MULTILINE
)
# what an action says where it is a call: a name with a bracket, an object, or something in marks of code
_CALL = re.compile(r"[ \t]*(?:[\"'*]{0,3}[\w.-]{1,60}[ \t]?[\[({]|[{`])")
# what comes after the line of an action whose call goes on
_INPUT = re.compile(r"\s*(?:`{3}|~{3}|\{|Action[ \t]Input\b)")

_OUTPUT_INFO = frozenset("output outputs stdout result results console_output execution_output".split())
_MAYBE_OUTPUT_INFO = frozenset(["", "text", "txt", "plaintext", "console", "json", "plain"])
_CODE_INFO = frozenset(
    "python py python3 ipython pycon sympy sage r julia octave matlab mathematica wolfram maxima gp sql bash sh shell"
    " javascript js typescript ts java c cpp c++ csharp cs go rust ruby php haskell scala kotlin swift perl lua"
    " tool_code code".split()
)
_LABEL = (
    r"[ \t]*[#*_]{0,4}[ \t]*(?:the[ \t]+)?(?:(?:code|python|tool|interpreter|execution|console|program)[ \t]+)?"
    r"(?:output|result|stdout)s?(?:[ \t]+is)?[*_]{0,3}[ \t]*[:：]?[*_]{0,3}[ \t\r]*"
)
_TO_OUTPUT = re.compile(rf"\s*(?:{_LABEL}\n\s*)?(?:(?:>|[-*+]|\d{{1,3}}[.)])[ \t]+)?\Z", re.IGNORECASE)
_LABELLED_LINE = re.compile(
    r"\s*[#*_]{0,4}(?:output|stdout|(?:code|python|tool|interpreter|execution|console)[ \t]+(?:output|result))"
    r"[*_]{0,3}[:：][*_]{0,3}[^\r\n]*",
    re.IGNORECASE,
)
# code after which "Output: 24" is what it wrote, not the next sentence: it says so, or ends in a bare expression
_WRITES = re.compile("print|disp|show|echo|puts|cout|console|write|format|select", re.IGNORECASE)
_SILENT = re.compile(
    r"[\w., \t\[\]]{1,200}[-+*/%|&^:]?=(?!=)|(?:import|from|def|class|return|if|for|while|with|pass|else|end|try)\b"
    r"|[#}%]|//|--"
)
_PROMPTED = re.compile(r"\n[ \t]*(?:>>>|In \[\d+\]:)[ \t]")  # a session: code and its output in one fence
_SIGNS = ("<", "```", "~~~", "](", "Observation", "Calc", "Python(", "Wolfram")


def find_tools(text: str, found: Sequence[Fence] | None = None) -> list[ToolUse]:
    """Return the uses of tools in a text, in order, apart from each other.

    Args:
        text: The text.
        found: Its fences, where they are known.
    """
    if not any(sign in text for sign in _SIGNS):
        return []
    code = fences(text) if found is None else found
    blocks = [*_fenced(text, code), *_tagged(text, code), *_reactions(text)]
    uses = [ToolUse(start, end, False) for start, end in merged(blocks)]
    inline = []
    within = iter([*merged([*blocks, *((each.start, each.end) for each in code)]), (len(text), len(text))])
    block = next(within)
    for each in _ANNOTATION.finditer(text):
        while block[1] <= each.start() and block[0] < len(text):
            block = next(within)
        if each.start() < block[0]:
            inline.append(ToolUse(*each.span(), not _alone(text, *each.span())))
    return sorted([*uses, *inline])


def drop_tools(text: str) -> str:
    """Return a text without the uses of tools; the lines around them stay apart as they were."""
    pieces: list[str] = []
    at = 0
    for start, end, inline in find_tools(text):
        before = text[at:start]
        pieces.append(before if inline else before.rstrip())
        at = end
        if inline and before.endswith(" ") and text[end : end + 1] == " ":
            at += 1
    if not pieces:
        return text
    return "".join(pieces) + text[at:]


def kept_with_their_step(text: str, uses: Sequence[ToolUse]) -> list[Span]:
    """Return the spans that no cut may enter so that no use of a tool is cut, or is a step of its own.

    One between lines reaches back to the step before it; one that the text begins with, on to the step after it.
    """
    spans: list[Span] = []
    for start, end, inline in uses:
        before = start
        while not inline and before > 0 and text[before - 1].isspace():
            before -= 1
        spans.append((start if inline else max(before - 1, 0), end))
    spans = merged(spans)
    if spans and not uses[0].inline and not text[: uses[0].start].strip():
        end = spans[0][1]
        while end < len(text) and text[end].isspace():
            end += 1
        spans[0] = (0, end)
    return spans


def _alone(text: str, start: int, end: int) -> bool:
    """Say whether an annotation is all there is on its line (of what is near it)."""
    before = text[max(0, start - 80) : start].rstrip(" \t")
    after = text[end : end + 80].lstrip(" \t\r.")
    return (not before or before.endswith("\n")) and (not after or after.startswith("\n"))


def _fenced(text: str, code: Sequence[Fence]) -> Iterator[Span]:
    """Yield each code fence with its output, and outputs that stand alone."""
    at = 0
    while at < len(code):
        first = code[at]
        at += 1
        if first.info.lower() in _OUTPUT_INFO or _PROMPTED.search(text, first.start, first.end):
            yield first.start, first.end
            continue
        end = first.end
        language = first.info.lower() in _CODE_INFO
        while at < len(code) and _is_output(text, end, code[at], language):
            end = code[at].end
            at += 1
        labelled = _LABELLED_LINE.match(text, end) if end == first.end and language else None
        if labelled and _writes(text[first.start : first.end]):
            end = labelled.end()
        if end > first.end:
            yield first.start, end


def _writes(fence: str) -> bool:
    """Say whether the code in a fence writes anything: it calls what does, or its last line is an expression."""
    lines = [line for line in fence.splitlines()[1:] if line.strip().strip("`~")]
    return bool(lines) and (_WRITES.search(fence) is not None or not _SILENT.match(lines[-1].lstrip()))


def _is_output(text: str, end: int, following: Fence, after_code: bool) -> bool:
    gap = text[end : following.start]
    info = following.info.lower()
    if len(gap) > 120 or not _TO_OUTPUT.fullmatch(gap):
        return False
    return info in _OUTPUT_INFO or (info in _MAYBE_OUTPUT_INFO and (after_code or bool(gap.strip())))


def _tagged(text: str, code: Sequence[Fence]) -> Iterator[Span]:
    """Yield what stands in the tags of calls and results."""
    opened: dict[str, re.Match[str]] = {}
    pending: Span | None = None  # code in tags, or a call, that a result may follow
    for tag in _TAG.finditer(text):
        sort = tag.lastgroup or ""
        name = tag[sort]
        if not tag["end"]:
            opened.setdefault(name, tag)
            continue
        start = opened.pop(name, None)
        if start is None:
            continue
        span = (start.start(), tag.end())
        follows = pending is not None and not text[pending[1] : span[0]].strip()
        if sort == "call":
            yield span
        elif sort == "result" or (sort == "output" and follows):
            yield (pending[0], span[1]) if pending is not None and follows else span
        pending = span if sort in ("call", "code") else None
    for name, tag in opened.items():
        if name in f"{_CALLS}|{_RESULTS}".split("|"):
            yield tag.start(), len(text)


def _reactions(text: str) -> Iterator[Span]:
    """Yield the lines of actions that are calls and of the observations after them, in a text that has both.

    "Action: simplify both sides" and "Observation: x is even" are how people write, too: a line of prose is a step.
    """
    if "Action" not in text or "Observation" not in text:
        return
    actions: list[Span] = []  # calls that no observation has followed yet
    named: Span | None = None  # an action that is a call if its input follows
    answered = -1  # the end of the last observation of a call
    for line in _REACT.finditer(text):
        name = line["name"].split()
        if name == ["Action"]:
            named = line.span()
            if _CALL.match(text, line.start("rest"), line.end()) or _INPUT.match(text, line.end()):
                actions.append(named)
        elif len(name) > 1:
            if named is not None and not text[named[1] : line.start()].strip():
                actions += [line.span()] if named in actions[-1:] else [named, line.span()]
        elif actions or (answered >= 0 and not text[answered : line.start()].strip()):
            yield from actions
            yield line.span()
            actions, answered = [], line.end()
    if answered >= 0:
        yield from actions
