"""Pages of a board, read by tests."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "input", "hr", "img"}
# all that a page may lead to outside of the board
OUTSIDE = re.compile(
    r"https://arxiv\.org/abs/2305\.20050|https://huggingface\.co/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/tree/[0-9a-f]{40}"
)


class Page(HTMLParser):
    """Collects elements, and insists that they are nested as they must be."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]
