"""The renderer: it makes token ids and integer read positions of a problem and a candidate by a recipe's templates.

How pieces are tokenised. The text between two ``{cut}`` is tokenised as one string, special tokens included, because
the published references do so: the ids are theirs. If a reference tokenises steps alone and appends separator *ids*,
the recipe cuts there. Where a reference puts the padding token between steps, notes where it lies and takes it out
again, the recipe has ``{mark}``: what a tokenizer does behind such a token is then what it did for the reference. Read
positions come from the character offset at which the template has ``{read}``; neither text nor ids
are searched for tags.

A stranger's text may therefore hold a special token. Such a text is neither let through nor silently changed: control
tokens are counted after tokenising, and a candidate with another count than the template's own is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.records import ScoringItem
from prm_eval.rewards.inputs.chat import apply_chat_template, chat_frame, check_tokens, control_tokens
from prm_eval.rewards.inputs.pieces import PieceWriter, Refused
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.recipes.recipe import Recipe, Render
from prm_eval.rewards.recipes.template import Part, parse_template
from prm_eval.texts.marks import STEP_PREFIX

# characters; shorter texts are tokenised, so that a refusal says how many tokens there are
CERTAINLY_LONG = 50_000


def fill(parts: Sequence[Part], values: Mapping[str, str]) -> str:
    """Return the text of a template without read positions and cuts."""
    return "".join(content if sort == "literal" else values[content] for sort, content in parts)


def numbered(step: str, k: int) -> str:
    """Return a step with "Step k: " before it, which replaces a number that the step has.

    A candidate's own numbers are not used, because a preamble before its "Step 1:", or lines under it, are steps too.
    """
    rest = step[found.end() :] if (found := STEP_PREFIX.match(step)) else step
    return f"Step {k}: {rest}" if rest else f"Step {k}:"


class Renderer:
    """A renderer of candidates by the templates of a recipe, with a tokenizer.

    Args:
        recipe: The recipe that has the templates.
        tokenizer: A transformers tokenizer.
        name: The name of the checkpoint, for messages.
        separator: A separator to use instead of the recipe's.
        max_tokens: The length limit; texts that are certainly longer are refused before they are tokenised.
        pad_id: The config's padding token; a classification head on whole texts is read at the last token that is not
            padding.

    Raises:
        ModelError: The tokenizer is not the one the recipe expects, or cannot give character offsets.
    """

    def __init__(
        self,
        recipe: Recipe,
        tokenizer: Any,
        name: str,
        *,
        separator: str | None = None,
        max_tokens: int | None = None,
        pad_id: int | None = None,
    ) -> None:
        self.recipe, self.tokenizer, self.name, self.max_tokens = recipe, tokenizer, name, max_tokens
        self.pad_id = pad_id
        self.template: Render = recipe.render
        self.separator = self.template.separator if separator is None else separator.replace("\\n", "\n")
        check_tokens(recipe, tokenizer, name)
        self._cache: dict[str, tuple[int, ...]] = {}
        if self.separator is not None and not self.encode(self.separator):
            raise ModelError(f"the separator {self.separator!r} has no tokens in the tokenizer of {name}")
        self._special = control_tokens(tokenizer)
        self._marker = recipe.tokens[self.template.marker] if self.template.marker else None
        self._bos = self._bos_ids()
        self.mark = self._padding_text() if self._has_marks() else None
        before, after = parse_template(self.template.before), parse_template(self.template.after)
        self._trim = self.template.trim
        if self.template.chat and recipe.kind == "prm":
            head, between, tail, self._trim = chat_frame(tokenizer, name)
            before = (("literal", head), *parse_template(self.template.user), ("literal", between), *before)
            after = (*after, ("literal", tail))
        elif self.template.chat and not self.template.plain and not getattr(tokenizer, "chat_template", None):
            raise ModelError(f"the tokenizer of {name} has no chat template, which its recipe uses")
        self._before, self._after = before, after
        self._between = parse_template(self.template.between)
        self._step = parse_template(self.template.step)
        self._first = parse_template(self.template.first) if self.template.first else self._step

    def render(self, item: ScoringItem) -> Rendered:
        """Return the ids and positions of an item, or the reason why there are none."""
        try:
            self._require_scorable(item)
            if self.recipe.kind == "prm":
                return self._render_steps(item)
            return self._render_whole(item)
        except Refused as refusal:
            return Rendered(refusal.ids, (), str(refusal))

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of a text, without tokens that the tokenizer adds by itself."""
        found = self._cache.get(text)
        if found is None:
            found = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            if len(text) <= 64 and len(self._cache) < 4_096:  # separators and the like
                self._cache[text] = found
        return found

    def _bos_ids(self) -> tuple[int, ...]:
        how, bos = self.template.bos, self.tokenizer.bos_token_id
        if how == "required" and bos is None:
            raise ModelError(
                f"the tokenizer of {self.name} has no bos token, which the recipe {self.recipe.name} starts with"
            )
        if how == "tokenizer":
            with_specials = tuple(self.tokenizer("x")["input_ids"])
            return with_specials[:1] if bos is not None and with_specials[:1] == (bos,) else ()
        return () if how == "never" or bos is None else (bos,)

    def _has_marks(self) -> bool:
        templates = (self.template.before, self.template.step, self.template.between, self.template.after)
        return any("{mark}" in template for template in (*templates, self.template.first or ""))

    def _padding_text(self) -> tuple[str, int]:
        """Return the padding token, which stands between steps while they are tokenised, and its id."""
        text, index = self.tokenizer.pad_token, self.tokenizer.pad_token_id
        if text is None or index is None:
            raise ModelError(
                f"the tokenizer of {self.name} has no padding token, which the recipe {self.recipe.name} puts between "
                "steps while it tokenises"
            )
        return text, index

    def start_of_steps(self, item: ScoringItem) -> int:
        """Return how many tokens stand before the first step."""
        writer = PieceWriter(self)
        writer.add(self._before, problem=item.statement.lstrip() if self._trim else item.statement)
        return len(writer.finish(self._bos)[0])

    def _require_scorable(self, item: ScoringItem) -> None:
        length = len(item.statement) + len(item.text)
        for text in (item.statement, item.text, *item.steps):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Refused("a lone surrogate in the text") from None
        if self.max_tokens is not None and length > CERTAINLY_LONG and length > self.max_tokens * self._longest_token:
            raise Refused(f"over-length: {length} characters, limit {self.max_tokens} tokens")

    @cached_property
    def _longest_token(self) -> int:
        """The most characters of one token; a text longer than the limit times this has too many tokens for certain."""
        return max(map(len, self.tokenizer.get_vocab()), default=1)

    def _render_steps(self, item: ScoringItem) -> Rendered:
        writer = PieceWriter(self)
        problem = item.statement.lstrip() if self._trim else item.statement
        writer.add(self._before, problem=problem)
        for k, raw in enumerate(item.steps, 1):
            step = raw.strip() if self._trim else raw
            if k > 1:
                writer.add(self._between)
            parts = self._first if k == 1 else self._step
            writer.add(parts, problem=problem, step=step, step_k=numbered(step, k), k=str(k), index=str(k - 1))
        writer.add(self._after)
        ids, positions = writer.finish(self._bos)
        return Rendered(ids, self._checked(ids, positions, len(item.steps), writer.literals))

    def _render_whole(self, item: ScoringItem) -> Rendered:
        if self.template.chat:
            return self._render_chat(item)
        writer = PieceWriter(self)
        text = item.text.strip() if self._trim else item.text
        problem = item.statement.lstrip() if self._trim else item.statement
        writer.add(parse_template(self.template.text), problem=problem, text=text)
        ids, positions = writer.finish(self._bos)
        return Rendered(ids, self._checked(ids, positions, 1, writer.literals))

    def _render_chat(self, item: ScoringItem) -> Rendered:
        """Return a candidate in the tokenizer's chat template; control tokens other than the template's are refused."""
        if getattr(self.tokenizer, "chat_template", None):
            turns = self._turns(item.statement, item.text)
            text = apply_chat_template(self.tokenizer, turns)
            if not all(turn["content"].strip() in text for turn in turns):
                # two candidates may differ only in the part that is cut off or changed
                raise Refused("the chat template changes the text")
            ids = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            own = self._chat_specials
        else:
            text = fill(parse_template(self.template.plain), {"problem": item.statement, "text": item.text})
            ids = tuple(self.tokenizer(text)["input_ids"])
            own = Counter(self._specials(self.tokenizer("x")["input_ids"]))
        if not ids:
            raise Refused("no token")
        self._require_own_specials(ids, own)
        # as transformers' ...ForSequenceClassification: if padding is the end token, as usual, the end token of the
        # template is skipped
        return Rendered(ids, (max((k for k, token in enumerate(ids) if token != self.pad_id), default=0),))

    def _turns(self, problem: str, text: str) -> list[dict[str, str]]:
        values = {"problem": problem, "text": text}
        templates = {"user": self.template.user, "assistant": self.template.text}
        return [{"role": role, "content": fill(parse_template(each), values)} for role, each in templates.items()]

    @cached_property
    def _chat_specials(self) -> Counter[int]:
        text = apply_chat_template(self.tokenizer, self._turns("x", "x"))
        return Counter(self._specials(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def _specials(self, ids: Sequence[int]) -> list[int]:
        return [i for i in ids if i in self._special]

    def _require_own_specials(self, ids: Sequence[int], own: Counter[int]) -> None:
        found = Counter(self._specials(ids))
        for token in found:
            if found[token] != own[token]:
                raise Refused(f"special token {self._special[token]!r} in the text")

    def _checked(
        self, ids: tuple[int, ...], positions: Sequence[int], expected: int, literals: Counter[str]
    ) -> tuple[int, ...]:
        own: Counter[int] = Counter(self._bos)
        for literal, count in literals.items():
            for token in self._specials(self.encode(literal)):
                own[token] += count
        # each read position holds one marker, which is checked elsewhere
        if self._marker is not None and ids.count(self._marker) != expected:
            raise Refused(f"separator {self.template.marker!r} in the text")
        self._require_own_specials(ids, own)
        positions = tuple(position + self.template.read_shift for position in positions)
        # the reader of recipes refuses templates without {read}
        if len(positions) != expected:
            raise AssertionError(f"{len(positions)} read positions for {expected} steps")
        previous = -1
        for k, position in enumerate(positions, 1):
            if position <= previous:
                raise Refused(f"step {k} has no token of its own")
            previous = position
        return positions
