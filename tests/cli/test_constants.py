"""Constants that help texts read from sources: a wrong one would show a default that is none, or refuse a choice."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter

import pytest

from prm_eval.children import command
from prm_eval.cli import constants
from prm_eval.cli.constants import constant
from prm_eval.cli.parser import build_parser
from prm_eval.cli.types import Later
from prm_eval.importers.registry import FORMATS
from prm_eval.importers.steps.registry import STEP_FORMATS


def laters(parser: argparse.ArgumentParser) -> Iterator[Later]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from laters(each)
        yield from (each for each in (action.default, action.choices) if isinstance(each, Later))


HOMES = sorted({each.home for each in laters(build_parser())})


@pytest.mark.parametrize("home", HOMES)
def test_a_constant_in_the_source_is_that_of_the_module(home, monkeypatch) -> None:
    """And the source says it: else a help text loads numpy, torch or lm_eval for a word."""
    module, _, name = home.partition(":")
    real = attrgetter(name)(import_module(module))
    monkeypatch.setattr(constants, "attrgetter", None)
    found = constant(module, name)
    assert list(found) == list(real) if isinstance(found, tuple) else found == real


def test_formats_have_the_names_under_which_they_are_found() -> None:
    """Else a name from a help text, or from a report, is refused."""
    for formats in (FORMATS, STEP_FORMATS):
        assert [form.name for form in formats.values()] == list(formats)


@pytest.mark.parametrize("words", [["evaluate"], ["pool", "import"], ["score"], ["train", "orm"], ["leaderboard"]])
def test_help_loads_no_numbers(words) -> None:
    """A help text that loads numpy or pyarrow takes half a second."""
    code = (
        "import sys; from prm_eval.cli.commands import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'pyarrow', 'torch', 'multiprocessing'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_a_source_does_not_say_is_loaded() -> None:
    """A constant that is computed still has a value."""
    assert constant("prm_eval.children", "ROOT") in command("x")[2]
