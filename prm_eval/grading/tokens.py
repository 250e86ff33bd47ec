"""Typography and tokens: an answer without what only changes its looks, cut into pieces with their spans."""

from __future__ import annotations

import re
from dataclasses import dataclass

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


_UNICODE = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "π": r"\pi ", "∞": r"\infty ",
    "°": r"^\circ ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ",
    "∈": r"\in ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
    "²": "^2", "³": "^3", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\u2009": " ", "θ": r"\theta ", "ℝ": r"\mathbb{R}",
}  # fmt: skip
_TYPOGRAPHY = re.compile(
    r"(?P<keep>\\\\)"  # the end of a matrix row stays
    r"|\\(?:left|right)\.(?!\d)"  # an invisible delimiter
    r"|\\(?:left|right|middle|displaystyle|textstyle|scriptstyle|limits|[bB]igg?[lr]?|quad|qquad|nobreak|hfill|thinspace|medspace"
    r"|enspace)(?![a-zA-Z])"
    r"|\\[!,;:> \n/]|~|\\hspace\{[^{}]*\}"
    r"|\$|\\[()\]]|\\\[(?!\d+(?:pt|em|ex|mm)\])"
)
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+(?:\.\d*)?|\.\d+))|(?P<macro>\\[a-zA-Z]+\*?|\\.)|(?P<word>[a-zA-Z]+)"
    r"|(?P<op>\*\*|<=|>=|!=|==|[-+*/^_=<>(){}\[\]|,;!&:%'])",
    re.DOTALL,
)
_SAME = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\leq": r"\le", r"\geq": r"\ge", r"\leqslant": r"\le",
    r"\geqslant": r"\ge", r"\lt": "<", r"\gt": ">", r"\neq": r"\ne", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[",
    r"\rbrack": "]", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\ast": "*", r"\cdot": "*", r"\times": "*", "**": "^",
    r"\div": "/", "<=": r"\le", ">=": r"\ge", "!=": r"\ne", "==": "=", r"\%": "%", r"\land": "and", r"\degree": r"\circ",
    r"\varnothing": r"\emptyset", r"\dbinom": r"\binom", r"\tbinom": r"\binom", r"\mid": "|", r"\lor": "or", r"\colon": ":",
    r"\lparen": "(", r"\rparen": ")", r"\backslash": r"\setminus", r"\notag": "", r"\equiv": "=",
}  # fmt: skip
TEXT_MACROS = frozenset(
    [
        r"\text",
        r"\mbox",
        r"\textbf",
        r"\textit",
        r"\textrm",
        r"\mathrm",
        r"\mathbf",
        r"\mathit",
        r"\textsf",
        r"\texttt",
        r"\operatorname",
        r"\emph",
        r"\textnormal",
        r"\mathsf",
        r"\hbox",
    ]
)


def typography(text: str) -> str:
    """Return the answer without what only changes its looks: dollar signs, spacing, sizes, unicode spellings."""
    for sign, spelling in _UNICODE.items():
        if sign in text:
            text = text.replace(sign, spelling)
    text = re.sub(r"\\\\\s*\[\d+(?:\.\d+)?(?:pt|em|ex|mm)\]", r"\\\\", text)  # \\[4pt] in a matrix
    text = re.sub(r"\\\$|\\text\{\s*\\?\$\s*\}", r"\\USD ", text)  # a currency, unlike the delimiters of mathematics
    text = re.sub(r"^\s*\$(?=\s*[\d.,]+\s*(?:\\text\b.*)?$)", r"\\USD ", text)
    text = re.sub(r"(?<=\d)(?:\{,\}|,\\!|\{,\\!\}|\\[,!;:])\s*(?=\d{3}(?!\d))", r"\\thousands ", text)
    text = re.sub(r"([√∛])\s*(\d+(?:\.\d+)?|[a-zA-Z]|\([^()]*\))", _unicode_root, text).replace("√", r"\sqrt ")
    text = re.sub(r"(?<![\d.])(\d{0,20})\.(\d{0,20})\\(?:overline|bar)\{(\d{1,20})\}", _repeating_decimal, text)
    text = _TYPOGRAPHY.sub(lambda found: found.group("keep") or " ", text)
    text = text.strip(" \t\n*\u200b\u200c\u200d\ufeff")
    return re.sub(r"(?<!\.)\.$", "", text).strip()  # a full stop; three of them mean "and so on"


def _unicode_root(found: re.Match[str]) -> str:
    """Spell a root sign out: it stands for the whole number, letter or bracket after it."""
    return ("\\sqrt{" if found.group(1) == "√" else "\\sqrt[3]{") + found.group(2) + "}"


def _repeating_decimal(found: re.Match[str]) -> str:
    r"""Spell ``0.1\overline{6}`` as the fraction it is."""
    whole, fixed, repeated = (part or "" for part in found.groups())
    nines = (10 ** len(repeated) - 1) * 10 ** len(fixed)
    top = int(whole + fixed + repeated) - int((whole + fixed) or "0")
    return f"\\frac{{{top}}}{{{nines}}}"


def tokenize(text: str) -> list[Token]:
    """Cut an answer into tokens.

    Raises:
        LatexError: Too long, or a character that has no meaning here.
    """
    if len(text) > MAX_LENGTH:
        raise LatexError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH, len(text))
    text = typography(text)
    tokens: list[Token] = []
    position, space = 0, False
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise LatexError(f"the character {text[position]!r} has no meaning here", position, position + 1)
        kind, spelt = str(found.lastgroup), found.group()
        if kind == "space":
            space = True
        elif spelt == r"\thousands" and tokens and tokens[-1].kind == "number":
            pass  # the digits that follow continue the number
        elif kind == "number" and tokens and _continues(text, tokens[-1], position):
            last = tokens.pop()
            if last.text.startswith("0"):
                raise LatexError("a thousands separator after a zero", last.start, found.end())
            tokens.append(Token("number", last.text + spelt, last.start, found.end(), last.space))
            space = False
        elif (
            spelt == "U"
            and tokens
            and tokens[-1].text in (")", "]", r"\}")
            and re.match(r"U\s*[(\[\\]", text[position:])
        ):
            tokens.append(Token("macro", r"\cup", position, found.end(), space))
            space = False
        elif kind == "macro" and spelt in TEXT_MACROS:
            token = _text_token(text, found.end(), position, space)
            tokens.append(token)
            position, space = token.end, False
            continue
        else:
            same = _SAME.get(spelt, spelt)
            if same:
                tokens.append(Token("word" if same in ("and", "or") else kind, same, position, found.end(), space))
            space = False
        position = found.end()
        if len(tokens) > MAX_TOKENS:
            raise LatexError(f"more than {MAX_TOKENS} tokens", position, len(text))
    return tokens


def _continues(text: str, last: Token, position: int) -> bool:
    return last.kind == "number" and text[last.end : position].strip() == r"\thousands"


def _text_token(text: str, position: int, start: int, space: bool) -> Token:
    while position < len(text) and text[position] == " ":
        position += 1
    if position >= len(text) or text[position] != "{":
        raise LatexError("a text macro without its braces", start, position)
    depth = 0
    for end in range(position, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return Token("text", text[position + 1 : end], start, end + 1, space)
    raise LatexError("a brace that is never closed", position, len(text))


class TokenStream:
    """Tokens with a place in them, for a parser."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at = tokens, 0

    @property
    def here(self) -> Token:
        """The next token; one of kind "end" after the last."""
        if self.at < len(self.tokens):
            return self.tokens[self.at]
        end = self.tokens[-1].end if self.tokens else 0
        return Token("end", "", end, end)

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.here
        self.at += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        """Go past the next token if it is one of these, and return it."""
        return self.take() if self.here.kind != "text" and self.here.text in texts and self.here.kind != "end" else None

    def expect(self, text: str) -> None:
        """Go past the next token.

        Raises:
            LatexError: It is another.
        """
        if not self.accept(text):
            raise LatexError(
                f"expected {text!r}, found {self.here.text or 'the end'!r}", self.here.start, self.here.end
            )

    def expect_end(self) -> None:
        """Insist that no token is left.

        Raises:
            LatexError: There is one.
        """
        if self.here.kind != "end":
            raise LatexError(f"{self.here.text!r} was not expected here", self.here.start, self.here.end)
