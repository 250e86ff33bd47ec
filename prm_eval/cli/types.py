"""The helpers that the files of this room share: they add commands, read values of options, and count in words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from prm_eval.cli.constants import constant

EXAMPLE = "example: "


class Later:
    """A constant of another room that is loaded only when a choice, a default or a help text needs it.

    The parser of all commands is built for every command, so it must not load what only one of them needs.

    Args:
        home: The constant's place, as ``package.module:NAME`` or ``package.module:NAME.attribute``.
        before: Choices that come before those of the constant.
        hidden: Choices that are accepted too, but shown nowhere.
    """

    def __init__(self, home: str, *, before: Sequence[str] = (), hidden: Sequence[str] = ()) -> None:
        self.home, self._before, self._hidden = home, before, hidden

    @property
    def value(self) -> Any:
        """The constant; of a mapping its keys are enough."""
        module, _, name = self.home.partition(":")
        return constant(module, name)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._before, *self.value])

    def __contains__(self, choice: object) -> bool:
        return choice in self._hidden or choice in list(self)

    def __str__(self) -> str:
        return str(self.value)


def settled(options: argparse.Namespace) -> argparse.Namespace:
    """Return parsed options in which every default that is a :class:`Later` is replaced by its value."""
    return argparse.Namespace(
        **{name: value.value if isinstance(value, Later) else value for name, value in vars(options).items()}
    )


def add_choice(container: Any, *flags: str, choices: Later, **options: Any) -> None:
    """Add an argument whose choices are loaded only when it is given or its help is shown.

    ``add_argument`` would load them at once.
    """
    container.add_argument(*flags, **options).choices = choices


def add_jobs(container: Any) -> None:
    """Add ``--jobs``, the number of processes; None stands for one a processor."""
    container.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="processes, where there is enough work for several; no figure depends on it (default: one a processor)",
    )


class Renamed(argparse.Action):
    """An option under the name that it had until version 0.2: it works, is in no help, and says its new name."""

    def __init__(self, *, now: str, **options: Any) -> None:
        super().__init__(**options, help=argparse.SUPPRESS)
        self.now = now

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Set the value that the new option sets."""
        say_renamed(str(option), self.now)
        setattr(namespace, self.dest, values)


def say_renamed(old: str, now: str) -> None:
    """Say on standard error that an option has a new name."""
    print(f"prm-eval: {old} is called {now} now; the old name goes with version 0.3", file=sys.stderr)


class Help(argparse.HelpFormatter):
    """A help formatter whose example is one line that can be copied, however narrow the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLE) else super()._fill_text(text, width, indent)


def counted(number: int, what: str) -> str:
    """Return a number of things in words: "1 submission", "2 submissions"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def whole_numbers(text: str) -> list[int]:
    """Read whole numbers between commas, as in ``1,8,64``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers such as 1,8,64") from None


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return int(text)


def names(text: str) -> list[str]:
    """Read names between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def add_command(
    commands: Any, name: str, text: str, example: str, command: str | None = None
) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    Args:
        commands: The object to add it to.
        name: The name that the user types.
        text: A line of help.
        example: The words behind the name in the example, which is the last line of the command's help.
        command: Its name in the table of commands (default: ``name``).
    """
    parser = _add(commands, name, text, example)
    parser.set_defaults(command=command or name)
    return parser


def add_group(commands: Any, name: str, text: str, example: str) -> Any:
    """Add a command that has actions of its own, and return the object to which they are added.

    The arguments are those of :func:`add_command`.
    """
    return _add(commands, name, text, example).add_subparsers(metavar="ACTION", required=True)


def _add(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    description = text[0].upper() + text[1:] + "."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, formatter_class=Help
    )
    parser.epilog = f"{EXAMPLE}{parser.prog} {example}".rstrip()
    return parser
