"""The pieces of one input that are tokenised together, and where in them the model is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prm_eval.errors import ModelError
from prm_eval.rewards.recipes.template import Part

if TYPE_CHECKING:
    from prm_eval.rewards.inputs.renderer import Renderer

# of all prefixes of one candidate: about two minutes of one core
MAX_PREFIX_CHARACTERS = 200_000_000


class Refused(Exception):
    """The reason why a candidate cannot be rendered, with its ids if there are any.

    It is no error: the reason is written to the reward file.
    """

    def __init__(self, reason: str, ids: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.ids = ids


class PieceWriter:
    """A collector of the text of one input between cuts, with the character offsets at which it is read."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self.chunks: list[tuple[str, list[tuple[int, int | None]]]] = []
        self.literals: Counter[str] = Counter()
        self._text: list[str] = []
        self._length = 0
        self._marks: list[tuple[int, int | None]] = []
        # the offsets of the marks in each piece
        self._taken_out: list[list[int]] = [[]]
        self._last_literal = ""

    def add(self, parts: Sequence[Part], **values: str) -> None:
        """Add a template's literals and slots to the text, with the slots' values."""
        for sort, content in parts:
            if sort == "literal":
                self._write(content)
                self.literals[content] += 1
                self._last_literal = content
            elif content == "read":
                self._marks.append((self._length, self._expected_id()))
            elif content == "cut":
                self.cut()
            elif content == "mark":
                self._taken_out[-1].append(self._length)
                self._write(self._mark[0])
                self._last_literal = ""
            elif content == "separator":
                separator = self.renderer.separator or ""
                self._write(separator)
                # it may be a control token, which is then the recipe's own
                self.literals[separator] += 1
                # only a separator that is a token of the recipe: one that ends like such a token may be another token
                self._last_literal = separator if separator in self.renderer.recipe.tokens else ""
            else:
                self._write(values[content])
                self._last_literal = ""

    def _write(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)

    def _expected_id(self) -> int | None:
        """Return the recipe's id of the token that ends here, None if the last literal ends with no token of it."""
        ending = [text for text in self.renderer.recipe.tokens if text and self._last_literal.endswith(text)]
        return self.renderer.recipe.tokens[max(ending, key=len)] if ending else None

    def cut(self) -> None:
        """End the piece: what follows is tokenised apart from it."""
        if self._length or self._marks:
            self.chunks.append(("".join(self._text), self._marks))
            self._taken_out.append([])
        self._text, self._length, self._marks, self._last_literal = [], 0, [], ""

    def finish(self, bos: tuple[int, ...]) -> tuple[tuple[int, ...], list[int]]:
        """Return the ids of all pieces behind those of ``bos``, and the index of each read position.

        Raises:
            Refused: A step has no token of its own, or its text cannot be told from the template's.
        """
        self.cut()
        ids: list[int] = list(bos)
        positions: list[int] = []
        for (text, marks), taken_out in zip(self.chunks, self._taken_out, strict=False):
            start = len(ids)
            if taken_out:
                ends = self._between_marks(text, [offset for offset, _ in marks], taken_out, start, ids)
            elif all(offset == len(text) for offset, _ in marks):
                ids += self.renderer.encode(text)
                ends = [len(ids) - 1] * len(marks)
            elif self.renderer.template.read_prefix:
                ids += self.renderer.encode(text)
                self._require_room(ids, sum(offset for offset, _ in marks))
                ends = [start + len(self.renderer.encode(text[:offset])) - 1 for offset, _ in marks]
            else:
                ends = self._by_offsets(text, [offset for offset, _ in marks], start, ids)
            for (_, expected), position in zip(marks, ends, strict=True):
                if position < start:
                    raise Refused(f"step {len(positions) + 1} has no token of its own")
                if expected is not None and ids[position] != expected:
                    raise Refused(
                        f"the separator after step {len(positions) + 1} merges with its neighbour: "
                        f"token {ids[position]}, not {expected}"
                    )
                positions.append(position)
        return tuple(ids), positions

    def _require_room(self, ids: list[int], characters: int) -> None:
        """Refuse an input that is too long, before each of its prefixes is tokenised from the start.

        Args:
            ids: The ids of the input so far.
            characters: The characters of all prefixes together.
        """
        limit = self.renderer.max_tokens
        if characters > MAX_PREFIX_CHARACTERS:
            raise Refused(
                f"over-length: prefixes of {characters} characters, limit {MAX_PREFIX_CHARACTERS}", tuple(ids)
            )
        if limit is not None and len(ids) > limit:
            raise Refused(f"over-length: {len(ids)} tokens, limit {limit}", tuple(ids))

    @property
    def _mark(self) -> tuple[str, int]:
        if self.renderer.mark is None:
            raise AssertionError("the reader of recipes lets {mark} through in other templates")
        return self.renderer.mark

    def _between_marks(
        self, text: str, offsets: list[int], taken_out: list[int], start: int, ids: list[int]
    ) -> list[int]:
        """Return the index of the last token before the mark at each offset; ``ids`` is extended by all but the marks.

        Raises:
            Refused: A mark more or fewer than the template has: one stands in the text.
        """
        before: list[int] = []
        length = len(ids)
        for token in self.renderer.encode(text):
            if token == self._mark[1]:
                before.append(length)
            else:
                ids.append(token)
                length += 1
        if len(before) != len(taken_out):
            raise Refused(f"special token {self._mark[0]!r} in the text")
        ends = dict(zip(taken_out, before, strict=True))
        return [ends[offset] - 1 for offset in offsets]

    def _by_offsets(self, text: str, offsets: list[int], start: int, ids: list[int]) -> list[int]:
        """Return the index of the last token that begins before each offset; ``ids`` is extended.

        The second condition is for tokenizers that trim offsets and give a token of white space the empty span at its
        end.
        """
        if not self.renderer.tokenizer.is_fast:
            raise ModelError(
                f"the tokenizer of {self.renderer.name} gives no character offsets; "
                "a fast tokenizer (tokenizer.json) is needed"
            )
        encoded = self.renderer.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids += encoded["input_ids"]
        ends: list[int] = []
        index = 0
        spans = encoded["offset_mapping"]
        for offset in offsets:
            while index < len(spans) and (spans[index][0] < offset or spans[index][1] <= offset):
                index += 1
            ends.append(start + index - 1)
        return ends
