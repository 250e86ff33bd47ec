"""How ``prm-eval`` adds a command, reads the values of its options and counts in words; shared by the files of this room."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from operator import attrgetter
from typing import Any

EXAMPLE = "example: "


class Later:
    """A constant of another room, named by where it is defined and loaded when it is needed: in a choice, a default or a help text.

    The parser of all commands is built for every command, so that it must not load what only one of them needs.

    Args:
        home: ``package.module:NAME``, or ``package.module:NAME.attribute``.
        before: Choices that come before those.
        hidden: Choices that are taken too, and shown nowhere.
    """

    def __init__(self, home: str, *, before: Sequence[str] = (), hidden: Sequence[str] = ()) -> None:
        self.home, self._before, self._hidden = home, before, hidden

    @property
    def value(self) -> Any:
        """The constant."""
        module, _, name = self.home.partition(":")
        return attrgetter(name)(import_module(module))

    def __iter__(self) -> Iterator[str]:
        return iter([*self._before, *self.value])

    def __contains__(self, choice: object) -> bool:
        return choice in self._hidden or choice in list(self)

    def __str__(self) -> str:
        return str(self.value)


def settled(options: argparse.Namespace) -> argparse.Namespace:
    """Return parsed options with the defaults that are :class:`Later` replaced by their values."""
    return argparse.Namespace(
        **{name: value.value if isinstance(value, Later) else value for name, value in vars(options).items()}
    )


def add_choice(container: Any, *flags: str, choices: Later, **options: Any) -> None:
    """Add an argument whose choices are loaded when it is given or its help is shown: argparse itself would look at them here."""
    container.add_argument(*flags, **options).choices = choices


class Renamed(argparse.Action):
    """An option under the name that it had until version 0.2: it works, is in no help, and says what it is called now."""

    def __init__(self, *, now: str, **options: Any) -> None:
        super().__init__(**options, help=argparse.SUPPRESS)
        self.now = now

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Set what the new option sets."""
        say_renamed(str(option), self.now)
        setattr(namespace, self.dest, values)


def say_renamed(old: str, now: str) -> None:
    """Say on standard error that an option has a new name."""
    print(f"prm-eval: {old} is called {now} now; the old name goes with version 0.3", file=sys.stderr)


class Help(argparse.HelpFormatter):
    """Help whose example is one line that can be copied, however narrow the terminal."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLE) else super()._fill_text(text, width, indent)


def counted(number: int, what: str) -> str:
    """Return a number of things in words: "1 submission", "2 submissions"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def whole_numbers(text: str) -> list[int]:
    """Read ``1,8,64``."""
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
        commands: Where to add it.
        name: What the user types.
        text: A line of help.
        example: What follows the name in the example, which is the last line of the command's help.
        command: What it is called in the table of commands (default: its name).
    """
    parser = _add(commands, name, text, example)
    parser.set_defaults(command=command or name)
    return parser


def add_group(commands: Any, name: str, text: str, example: str) -> Any:
    """Add a command that has actions of its own, and return where they are added; arguments as for :func:`add_command`."""
    return _add(commands, name, text, example).add_subparsers(metavar="ACTION", required=True)


def _add(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    description = text[0].upper() + text[1:] + "."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, formatter_class=Help
    )
    parser.epilog = f"{EXAMPLE}{parser.prog} {example}".rstrip()
    return parser
