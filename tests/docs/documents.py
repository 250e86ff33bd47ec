"""What the tests of the documents share: which documents there are, and what is prose, code and generated in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "tasks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
"""The documents whose words, lines and commands are checked."""
OTHERS = [
    ROOT / name
    for name in (
        "results/README.md",
        "benchmarks/README.md",
        "results/miniature/README.md",
        "results/miniature/1/README.md",
        "prm_eval/miniature/README.md",
    )
]
"""Documents beside what they describe; their links are checked, and of the first two their commands and lines too."""

SEPARATORS = ("&&", "||", ";", "|")


class Block(NamedTuple):
    """A fenced block: the word behind its fence, its text, and where it begins."""

    language: str
    text: str
    line: int


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str | None = None) -> list[Block]:
    """Fenced blocks, also those that stand in a list, of one language or of all."""
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"\s*```(\w*)\s*$", line)
        if fence and opened is None:
            opened, lines = (fence[1], number), []
        elif fence and opened is not None:
            found.append(Block(opened[0], "\n".join(lines) + "\n", opened[1]))
            opened = None
        elif opened is not None:
            lines.append(line)
    assert opened is None, f"a fence is never closed (line {opened[1] if opened else 0})"
    return [each for each in found if language in (None, each.language)]


def without_generated(text: str) -> str:
    """The text without what is made by a command; line numbers stay."""
    if "<!-- made by:" in text:
        return ""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found.group().count("\n")

    return re.sub(r"<!-- ([\w-]+):begin -->.*?<!-- \1:end -->", blank, text, flags=re.DOTALL)


def without_fences(text: str) -> str:
    """The text without fenced blocks; line numbers stay."""
    return re.sub(r"^\s*```.*?^\s*```$", lambda found: "\n" * found.group().count("\n"), text, flags=re.M | re.DOTALL)


def prose(text: str) -> str:
    """What is neither generated nor code."""
    return re.sub(r"`[^`\n]*`", "CODE", without_fences(without_generated(text)))


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_fences(without_generated(text)))


def commands(block: str) -> Iterator[list[str]]:
    """The commands of a shell block, each as its words: comments left out, lines joined, lists cut at && ; and |."""
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word == "...":  # "and other options": a placeholder as well
                continue
            if word not in SEPARATORS:
                words.append(word)
            elif words:
                while re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                yield words
                words = []


def slugs(text: str) -> set[str]:
    """The anchors of a document's headings, as the forge makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", without_fences(text), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        assert slug not in found, f"two headings {heading!r}: one anchor would lead to the wrong one"
        found.add(slug)
    return found


def links(text: str) -> list[str]:
    """The targets of links and pictures that are not on the network."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "CODE", without_fences(text)))
    return [each for each in found if not re.match(r"https?://|mailto:", each)]


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table whose header begins with a cell."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            rows: list[list[str]] = []
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]])
            return rows
    raise AssertionError(f"no table with the heading {heading!r}")
