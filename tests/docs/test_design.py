"""docs/design.md is the plan as built: the rooms and layers that it names are those of the tree and the contract."""

from __future__ import annotations

import re

from prm_eval.plugins import GROUPS
from tests.docs.documents import ROOT, blocks, table

PACKAGE = ROOT / "prm_eval"
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
CONTRACT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
INSIDE = ("grading", "rewards")
"""Rooms whose inner rooms are named too."""


def rooms() -> set[str]:
    """The folders with an __init__.py below the package, and below the rooms of INSIDE."""
    found = {each.parent for each in PACKAGE.glob("*/__init__.py")}
    found |= {each.parent for room in INSIDE for each in (PACKAGE / room).glob("*/__init__.py")}
    return {each.relative_to(PACKAGE).as_posix() for each in found}


def test_every_room_is_named_and_no_other() -> None:
    """A room without a line has no rule of what may be done in it; a line without a room describes a house that is not
    there."""
    named = [row[0].strip("`").rstrip("/") for row in table(DESIGN, "room")]
    assert len(named) == len(set(named))
    assert set(named) == rooms()


def test_the_layers_are_those_of_the_contract() -> None:
    """The picture of who may import whom is the one that is checked."""
    first = re.search(r'name = "Data flows one way".*?layers = \[\n(.*?)\n\]', CONTRACT, flags=re.DOTALL)
    assert first
    layers = re.findall(r'^\s*"([^"]+)"', first[1], flags=re.MULTILINE)
    shown = next(each.text for each in blocks(DESIGN, "text") if each.text.startswith("cli\n"))
    assert shown.splitlines() == layers


def test_modules_at_the_top_are_named() -> None:
    """What lies outside of a room has a line as well."""
    (paragraph,) = re.findall(r"^At the top lie .*?\n\n", DESIGN, flags=re.MULTILINE | re.DOTALL)
    names = {each.stem for each in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(re.findall(r"`(\w+)`", paragraph)) == names


def test_groups_of_entry_points_are_named() -> None:
    """An extension point that is not listed is not used."""
    assert {row[0].strip("`") for row in table(DESIGN, "group")} == set(GROUPS.values())


def test_sections_keep_their_numbers() -> None:
    """Code cites this page by section."""
    heads = re.findall(r"^## (\d)\. (.+)$", DESIGN, flags=re.MULTILINE)
    words = ["Words", "Rooms", "Two doors, one engine", "Formats", "Numbers that must be right", "Models to look at"]
    assert heads == [(str(number), name) for number, name in enumerate(words, 1)]


def test_formats_are_those_of_the_code() -> None:
    """The schema names on the page are the ones that are written."""
    from prm_eval.pools.format import SCHEMA_VERSION as POOL
    from prm_eval.rewards.files.reward_file import SCHEMA_VERSION as REWARDS
    from prm_eval.submissions.formats import VERIFICATION

    assert all(f"`{each}`" in DESIGN for each in (POOL, REWARDS, VERIFICATION))


def test_the_readme_maps_every_room() -> None:
    """The map of the README has every room of the package, and no other."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {row[0].strip("`").rstrip("/") for row in table(readme, "room of `prm_eval/`")}
    assert named == {each for each in rooms() if "/" not in each}
