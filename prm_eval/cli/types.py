"""How ``prm-eval`` reads the values of its options, and how a command is added; shared by the files of arguments."""

from __future__ import annotations

import argparse
from typing import Any


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


def add_command(commands: Any, name: str, text: str, command: str | None = None) -> argparse.ArgumentParser:
    """Add a command that does what ``command`` (default: its name) says, with a line of help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command or name)
    return parser
