"""The parts of the documents that are made from code and results: ``python -m prm_eval.cli.document [--check] [ROOT]``.

It writes ``docs/command-line.md`` (from the parser of ``prm-eval``), the table of recipes in ``docs/reward-models.md``,
that of step aggregations in ``docs/numbers.md``, that of prompts in ``docs/lm_eval.md``, that of the hub's problem sets
in ``docs/problem-sets.md``, the tables of the board in ``docs/board.md`` and their head in ``README.md`` (both from
``results/leaderboard/leaderboard.md``, as
``prm-eval leaderboard`` left it). The text depends on neither the terminal nor the version of Python, because it is
made from the parser's actions, not from its formatted help.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prm_eval.cli.parser import build_parser
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.store.writing import write_text

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 110
HEAD_ROWS = 2  # rows of each pool's table in the README
HEAD_COLUMNS = 6  # rank, model, kind, tier, and the first two figures
HOW = "<!-- made by: python -m prm_eval.cli.document -->"
BOARD = Path("results", "leaderboard", "leaderboard.md")


class Command(NamedTuple):
    """A command of the parser: its whole name, its line of help, its parser, and its depth.

    The depth of ``prm-eval score`` is 1.
    """

    name: str
    text: str
    parser: argparse.ArgumentParser
    depth: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the generated parts, or with ``--check`` name the stale ones, and return the exit status.

    It is 1 where a part is stale under ``--check``, or where there is a fault.
    """
    parser = argparse.ArgumentParser(
        prog="python -m prm_eval.cli.document", description="Write the parts of the documents that are made from code."
    )
    parser.add_argument("root", type=Path, nargs="?", default=ROOT, help="a checkout (default: the one of this module)")
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale, exit status 1")
    options = parser.parse_args(arguments)
    try:
        wanted = documents(options.root)
    except PrmEvalError as error:
        print(f"document: {error}", file=sys.stderr)
        return 1
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'stale' if options.check else 'written'}: {path.relative_to(options.root)}")
        if not options.check:
            write_text(path, wanted[path])
    if not stale:
        print(f"{len(wanted)} documents are up to date")
    return int(options.check and bool(stale))


def documents(root: Path) -> dict[Path, str]:
    """Return the text that every document with a generated part should have, by path.

    Raises:
        DataError: A document or the board's table is not there, or a document has no markers for its part.
    """
    board = _text(root / BOARD, "the board's tables", "Make them with: prm-eval leaderboard")
    parts = {
        root / "docs" / "reward-models.md": ("recipes", recipe_lines()),
        root / "docs" / "board.md": ("leaderboard", board),
        root / "docs" / "numbers.md": ("aggregations", aggregation_lines()),
        root / "docs" / "lm_eval.md": ("prompts", prompt_lines()),
        root / "docs" / "problem-sets.md": ("problem-sets", problem_set_lines()),
        root / "README.md": ("board-head", board_head(board)),
    }
    wanted = {root / "docs" / "command-line.md": command_line(build_parser())}
    for path, (name, content) in parts.items():
        wanted[path] = with_block(path, name, content)
    return wanted


def with_block(path: Path, name: str, content: str) -> str:
    """Return the text of a document with ``content`` between the markers of a name; it ends with a newline.

    Raises:
        DataError: The document is not there, or does not have these markers once each, in this order.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    text = _text(path, "a document", "Give the root of a checkout")
    counts = (text.count(begin), text.count(end))
    if counts != (1, 1) or text.index(begin) > text.index(end):
        raise DataError(path, None, f"{counts[0]} {begin} and {counts[1]} {end}", "one of each, in this order")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{content}{end}{rest.partition(end)[2]}"


def recipe_lines() -> str:
    """Return the shipped recipes as a Markdown table, as ``prm-eval plugins`` lists them."""
    from prm_eval.rewards.recipes.catalogue import recipe_table

    header, *rows = recipe_table()
    return _table(header, [[f"`{row[0]}`", *row[1:]] for row in rows])


def aggregation_lines() -> str:
    """Return the step aggregations as a Markdown table."""
    from prm_eval.rewards.aggregations import AGGREGATIONS

    rows = [
        [f"`{name}`", rule.meaning, rule.source, f"`{rule.elsewhere}`" if rule.elsewhere else ""]
        for name, rule in AGGREGATIONS.items()
    ]
    return _table(["aggregation", "the reward is", "source", "also called"], rows)


def prompt_lines() -> str:
    """Return the prompts by name as a Markdown table; a line break of a prompt is shown as a sign."""
    from prm_eval.pools.prompts import PROMPTS

    rows = [
        [
            f"`{each.name}`",
            f"`{each.template}`".replace("\n", "⏎"),
            ", ".join(f"`{name}`" for name in each.splitters) or "not known: it asks for no form of steps",
            each.answer or "as the policy has it",
            each.source,
        ]
        for each in PROMPTS.values()
    ]
    return _table(["name", "what is asked", "fits the splitters", "final answer", "source"], rows)


def problem_set_lines() -> str:
    """Return the named problem sets of the hub as a Markdown table."""
    from prm_eval.evaluation.set_golds import hub_table

    header, *rows = hub_table()
    return _table(header, [[f"`{row[0]}`", f"`{row[1]}`", *map(_plain, row[2:])] for row in rows])


def board_head(board: str) -> str:
    """Return the first rows and columns of each pool's table, without baselines.

    Args:
        board: The board's Markdown: for each pool a line with its title in bold type, and a table.
    """
    parts: list[str] = []
    taken = 0
    for line in board.splitlines():
        if line.startswith("**"):
            parts += ["", line, ""] if parts else [line, ""]
            taken = 0
        elif line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip())[1:-1][:HEAD_COLUMNS]
            ranked = bool(cells[0].strip())  # baselines have no rank
            if ranked and taken < HEAD_ROWS + 2:  # the heading and the line below it come first
                parts.append(f"|{'|'.join(cells)}|")
                taken += 1
    return "\n".join(parts) + "\n"


def command_line(parser: argparse.ArgumentParser) -> str:
    """Return the page of a parser's commands: a list of all, then a section on each with its arguments."""
    commands = [each for each in commands_of(parser) if each.depth]
    lines = [
        "# The command line",
        "",
        HOW,
        "",
        *_paragraph(parser.description or ""),
        *_closing(parser.epilog),
        "Exit status: 0 in order, 1 faults found, 2 usage.",
        "",
    ]
    lines += [_table(["command", "what it does"], [[_link(each), _plain(each.text)] for each in commands]).rstrip()]
    for each in commands:
        lines += ["", f"{'#' * (each.depth + 1)} {each.name}", "", *_section(each)]
    return "\n".join(lines).rstrip() + "\n"


def commands_of(parser: argparse.ArgumentParser, text: str = "", depth: int = 0) -> Iterator[Command]:
    """Yield a parser and all its commands in the order in which they were added, each before its own commands."""
    yield Command(parser.prog, text or parser.description or "", parser, depth)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help for each in action._choices_actions}
            for name, inner in action.choices.items():
                if helps.get(name) != argparse.SUPPRESS:
                    yield from commands_of(inner, helps.get(name) or "", depth + 1)


def _paragraph(text: str) -> list[str]:
    return [*textwrap.wrap(_plain(text), WIDTH), ""]


def _closing(epilog: str | None) -> list[str]:
    """Return an epilog as Markdown.

    "example: COMMAND" becomes a block to copy, several lines stay as they are, and any other text is a paragraph.
    """
    text = textwrap.dedent(epilog or "").strip()
    example = re.fullmatch(r"examples?:\s+(.+)", text, flags=re.IGNORECASE)
    if example:
        return ["```bash", example[1], "```", ""]
    if "\n" in text:
        return ["```text", *text.splitlines(), "```", ""]
    return _paragraph(text) if text else []


def _section(command: Command) -> list[str]:
    actions = [each for each in command.parser._actions if _is_shown(each)]
    lines = _paragraph(command.parser.description or f"{command.text}.")
    closing = _closing(command.parser.epilog)
    if not actions:
        return [*lines, *closing][:-1]
    must = [_written(each) for each in actions if each.required and each.option_strings]
    free = ["[OPTIONS]"] if any(each.option_strings and not each.required for each in actions) else []
    places = [_written(each) for each in actions if not each.option_strings]
    rows = [[f"`{_written(each, every=True)}`", _plain(_help_of(each))] for each in actions]
    usage = " ".join([command.name, *places, *must, *free])
    return [*lines, "```text", usage, "```", "", *closing, _table(["argument", "meaning"], rows).rstrip()]


def _is_shown(action: argparse.Action) -> bool:
    hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not hidden


def _written(action: argparse.Action, *, every: bool = False) -> str:
    """Return an argument as it is typed: ``--dtype {float32,bfloat16}``, ``PATH [PATH ...]``.

    With ``every`` all spellings of the option are there, not only the last one.
    """
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    value = action.metavar or choices
    value = value if isinstance(value, str) else " ".join(value)
    shapes: dict[Any, str] = {0: "", "?": f"[{value}]", "*": f"[{value} ...]", "+": f"{value} [{value} ...]"}
    value = shapes.get(action.nargs, value)
    names = action.option_strings if every else action.option_strings[-1:]
    return " ".join(part for part in (", ".join(names), value) if part)


def _help_of(action: argparse.Action) -> str:
    """Return the help of an argument with its %-fields filled in, as argparse does, and "required" where it is."""
    fields = {name: value for name, value in vars(action).items() if value is not argparse.SUPPRESS}
    if action.choices is not None:
        fields["choices"] = ", ".join(map(str, action.choices))
    text = (action.help or "") % fields
    return f"required: {text}" if action.required and action.option_strings else text


def _link(command: Command) -> str:
    return f"[`{command.name}`](#{command.name.lower().replace(' ', '-')})"


def _plain(text: str) -> str:
    """Return a help text as Markdown that shows exactly this text."""
    return re.sub(r"([\\`*<|])", r"\\\1", " ".join(text.split()))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _text(path: Path, what: str, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DataError(path, None, found or type(error).__name__, what, hint) from None


if __name__ == "__main__":
    sys.exit(main())
