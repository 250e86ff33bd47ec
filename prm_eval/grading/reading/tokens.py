"""The tokens of an answer: its typographic text, cut into pieces with their spans."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prm_eval.grading.reading.spellings import SAME_MACROS
from prm_eval.grading.reading.typography import typography

MAX_LENGTH = 2_000
MAX_TOKENS = 600


class LatexError(ValueError):
    """An answer that cannot be read; ``start`` and ``end`` are the span in the text as it was tokenised."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start, self.end = start, end


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer."""

    kind: str
    text: str
    start: int
    end: int
    space: bool = False  # whether white space stands before it


_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+(?:\.\d*)?|\.\d+))|(?P<macro>\\[a-zA-Z]+\*?|\\.)|(?P<dots>\.\.\.+)"
    r"|(?P<word>[a-zA-Z]+)"
    r"|(?P<op>\*\*|<=|>=|=>|!=|==|<>|[-+*/^_=<>(){}\[\]|,;!&:%'.\"?])",
    re.DOTALL,
)
_WORDS = frozenset(["and", "or", "to"])
TEXT_MACROS = frozenset(
    r"\text \mbox \textbf \textit \textrm \mathrm \mathbf \mathit \textsf \texttt \operatorname \operatorname* \emph "
    r"\textnormal "
    r"\mathsf \hbox \mathcal \boldsymbol \bm \underline \textup \textsc \mathtt \texttt \pmb \boxed \fbox".split()
)


def tokenize(text: str, spelt: str | None = None) -> list[Token]:
    """Cut an answer into tokens.

    Args:
        text: The answer.
        spelt: Its typographic text, where it is known already.

    Raises:
        LatexError: The answer is too long, or has a character that has no meaning here.
    """
    if len(text) > MAX_LENGTH:
        raise LatexError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH, len(text))
    return _cut(typography(text) if spelt is None else spelt)


def _cut(text: str, offset: int = 0, depth: int = 0) -> list[Token]:
    tokens: list[Token] = []
    position, space = 0, False
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            start = offset + position
            raise LatexError(f"the character {text[position]!r} has no meaning here", start, start + 1)
        kind, spelt, start, end = str(found.lastgroup), found.group(), offset + position, offset + found.end()
        position = found.end()
        if kind == "space" or spelt == r"\thousands":  # the digits that follow continue the number
            space = space or kind == "space"
            continue
        if kind == "number" and tokens and _continues(text, tokens[-1], start, offset):
            last = tokens.pop()
            if last.text.startswith("0") or "." in last.text or not re.match(r"\d{3}(?:\.|$)", spelt):
                raise LatexError("a thousands separator where none can be", last.start, end)
            tokens.append(Token("number", last.text + spelt, last.start, end, last.space))
        elif kind == "macro" and spelt in TEXT_MACROS:
            inner = _text_tokens(text, found.end(), start, offset, space, depth)
            tokens += inner
            position = inner[-1].end - offset
        elif _is_union(spelt, tokens, text[found.end() :]):
            tokens.append(Token("macro", r"\cup", start, end, space))
        else:
            _append(tokens, kind, spelt, start, end, space)
        space = False
        if len(tokens) > MAX_TOKENS:
            raise LatexError(f"more than {MAX_TOKENS} tokens", start, offset + len(text))
    return tokens


def _append(tokens: list[Token], kind: str, spelt: str, start: int, end: int, space: bool) -> None:
    same = SAME_MACROS.get(spelt, spelt)
    if kind == "dots":
        tokens.append(Token("macro", r"\dots", start, end, space))
    elif spelt == "=" and tokens and tokens[-1].text == r"\not":
        tokens[-1] = Token("macro", r"\ne", tokens[-1].start, end, tokens[-1].space)
    elif spelt == r"\in" and tokens and tokens[-1].text == r"\not":
        tokens[-1] = Token("macro", r"\notin", tokens[-1].start, end, tokens[-1].space)
    elif same in _WORDS:
        tokens.append(Token("word", same, start, end, space))
    elif same:
        tokens.append(Token(kind if same.startswith("\\") or kind != "macro" else "op", same, start, end, space))


def _is_union(spelt: str, tokens: list[Token], rest: str) -> bool:
    """Say whether a letter U stands for the union sign: between a closing and an opening bracket."""
    return (
        spelt in ("U", "u")
        and bool(tokens)
        and tokens[-1].text in (")", "]", r"\}")
        and re.match(r"\s*[(\[\\]", rest) is not None
    )


def _continues(text: str, last: Token, start: int, offset: int) -> bool:
    return last.kind == "number" and text[last.end - offset : start - offset].strip() == r"\thousands"


def _text_tokens(text: str, position: int, start: int, offset: int, space: bool, depth: int) -> list[Token]:
    """Return the tokens of a text macro: one of words, or those of the mathematics inside it."""
    while position < len(text) and text[position] == " ":
        position += 1
    if position < len(text) and text[position] != "{":  # \mathbf R: one letter
        return [Token("text", text[position], start, offset + position + 1, space)]
    if position >= len(text):
        raise LatexError("a text macro without its braces", start, offset + position)
    level = 0
    for end in range(position, len(text)):
        level += {"{": 1, "}": -1}.get(text[end], 0)
        if level == 0:
            break
    else:
        raise LatexError("a brace that is never closed", offset + position, offset + len(text))
    inner = text[position + 1 : end]
    if inner in ("i", "j", "k") and text.startswith((r"\mathbf", r"\boldsymbol", r"\bm"), start - offset):
        return [Token("macro", f"\\unit{inner}", start, offset + end + 1, space)]
    macros = set(re.findall(r"\\[a-zA-Z]+\*?", inner))
    is_text = text.startswith((r"\text", r"\mbox", r"\hbox"), start - offset)
    is_box = text.startswith((r"\boxed", r"\fbox"), start - offset)
    if is_box or (macros - TEXT_MACROS and "$" not in inner) or (not is_text and not re.search(r"[a-zA-Z]{2}", inner)):
        if depth > 20:
            raise LatexError("text macros nested too deeply", start, offset + end)
        inside = _cut(inner, offset + position + 1, depth + 1)
        if not inside:
            return [Token("text", "", start, offset + end + 1, space)]
        dressed = [
            Token("op", "{", start, offset + position + 1, space),
            *inside,
            Token("op", "}", offset + end, offset + end + 1),
        ]
        single = len(inside) == 1
        return [Token(inside[0].kind, inside[0].text, start, offset + end + 1, space)] if single else dressed
    return [Token("text", inner, start, offset + end + 1, space)]


class TokenStream:
    """Tokens with a place in them, for a parser."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at = tokens, 0

    @property
    def here(self) -> Token:
        """The next token; one of kind "end" after the last."""
        # asked forty times an answer: no call, and no length, where there is such a token
        try:
            return self.tokens[self.at]
        except IndexError:
            return self.ahead(0)

    def ahead(self, count: int) -> Token:
        """Return the token a number of places after the next one; one of kind "end" after the last."""
        if self.at + count < len(self.tokens):
            return self.tokens[self.at + count]
        end = self.tokens[-1].end if self.tokens else 0
        return Token("end", "", end, end)

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.here
        self.at += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        """Go past the next token if it is one of these, and return it."""
        token = self.here
        if token.text in texts and token.kind not in ("text", "end"):
            self.at += 1
            return token
        return None

    def expect(self, text: str) -> None:
        """Go past the next token.

        Raises:
            LatexError: It is another token.
        """
        if not self.accept(text):
            raise LatexError(
                f"expected {text!r}, found {self.here.text or 'the end'!r}", self.here.start, self.here.end
            )

    def expect_end(self) -> None:
        """Check that no token is left.

        Raises:
            LatexError: A token is left.
        """
        if self.here.kind != "end":
            raise LatexError(f"{self.here.text!r} was not expected here", self.here.start, self.here.end)
