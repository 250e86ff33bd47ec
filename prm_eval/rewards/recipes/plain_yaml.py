"""A reader of YAML that means what JSON would: no key twice, no tag, no alias, and nothing that YAML alone reads so.

In YAML 1.1 ``0777`` is 511, ``190:20:30`` is 685,230 and ``no`` is false; of a key that comes twice, the last one wins.
Someone who did not mean that gets other numbers without a word, so all of it is refused. Depth is bounded while the
text is parsed, so that deep brackets cost nothing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from prm_eval.errors import DataError

MAX_DEPTH = 12
MOST_DIGITS = 20
WORDS = {"true": True, "false": False, "null": None, "": None}
"""The words that JSON has, and nothing: a key without a value."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# what some reader of YAML, of version 1.1 or 1.2, takes for something else than a text
_SURPRISE = re.compile(
    r"~|(?i:true|false|yes|no|on|off|null)"
    r"|[-+]?0[0-9_]+|[-+]?0o[0-7_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0b[01_]+"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
)
# of which nothing valid can be made: the check of the fields says more of them
_TOLD_LATER = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:float")
PLAIN = "true, false, null, or a number as JSON writes it; a text in quotes"


def read_yaml(path: Path, text: str) -> Any:
    """Return the one document of a YAML text.

    Args:
        path: The file, for errors.
        text: Its content.

    Raises:
        DataError: It is not YAML, or means more than JSON could say; names the line.
    """
    loader: Any = None
    try:
        # refuses characters that YAML does not allow
        loader = yaml.SafeLoader(text)
        return _Reader(path, loader).document()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(path, None, " ".join(str(error).split())[:300], "YAML in UTF-8") from None
    finally:
        if loader is not None:
            loader.dispose()


class _Reader:
    """The reader of one document, event by event."""

    def __init__(self, path: Path, loader: Any) -> None:
        self._path, self._loader = path, loader

    def document(self) -> Any:
        self._loader.get_event()  # the start of the stream
        if self._loader.check_event(yaml.StreamEndEvent):
            return None
        self._loader.get_event()  # the start of the document
        value = self._value(self._loader.get_event(), 1)
        self._loader.get_event()  # its end
        if not self._loader.check_event(yaml.StreamEndEvent):
            raise self._fault(self._loader.get_event(), "a second document", "YAML with one document")
        return value

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            what = "" if isinstance(event, yaml.AliasEvent) else "an anchor (&name) for "
            raise self._fault(
                event, f"{what}a YAML alias (*name)", "values written out: aliases can grow without bound"
            )
        if event.tag is not None:
            raise self._fault(event, f"a YAML tag {ascii(event.tag)[:60]}", "YAML without tags")
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else self._plain(event)
        if depth > MAX_DEPTH:
            raise self._fault(event, f"values nested more than {MAX_DEPTH} deep", "YAML that is not nested so deeply")
        return self._list(depth) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(depth)

    def _list(self, depth: int) -> list[Any]:
        found = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            found.append(self._value(event, depth + 1))
        return found

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                shown = event.value if isinstance(event, yaml.ScalarEvent) else type(key).__name__
                raise self._fault(
                    event, f"the key {ascii(shown)[:60]}, which is no text", "keys that are texts, in quotes"
                )
            if key in found:
                what = f"the key {ascii(key)[:60]} twice, first in line {lines[key]}"
                raise self._fault(event, what, "each key once")
            lines[key] = event.start_mark.line + 1
            found[key] = self._value(self._loader.get_event(), depth + 1)
        return found

    def _plain(self, event: Any) -> Any:
        text = event.value
        if text in WORDS:
            return WORDS[text]
        if _NUMBER.fullmatch(text):
            return self._number(event, text)
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        if _SURPRISE.fullmatch(text):
            read = self._loader.construct_object(yaml.ScalarNode(tag, text))
            other = "" if read == text else f", which YAML 1.1 reads as {read!r}"
            raise self._fault(event, f"{ascii(text)[:60]}{other}", PLAIN)
        if tag in _TOLD_LATER:
            return self._loader.construct_object(yaml.ScalarNode(tag, text))
        if tag == "tag:yaml.org,2002:str":
            return text
        raise self._fault(event, ascii(text)[:60], PLAIN)

    def _number(self, event: Any, text: str) -> Any:
        value = json.loads(text) if len(text) <= MOST_DIGITS or not text.lstrip("-").isdigit() else None
        if value is None or value in (float("inf"), float("-inf")):
            raise self._fault(
                event, f"the number {text[:40]}, which is too large", f"one of at most {MOST_DIGITS} digits"
            )
        return value

    def _fault(self, event: Any, found: str, expected: str) -> DataError:
        return DataError(self._path, None, f"{found}, in line {event.start_mark.line + 1}", expected)
