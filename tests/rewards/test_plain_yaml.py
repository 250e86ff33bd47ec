"""Recipes mean what JSON would: what YAML alone reads otherwise is refused, with its line, and nothing takes long."""

from __future__ import annotations

import json
import os
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError
from prm_eval.rewards.recipes.catalogue import FOLDER
from prm_eval.rewards.recipes.plain_yaml import read_yaml
from prm_eval.rewards.recipes.reader import read_recipe

GOOD = """name: mine
kind: prm
render: {before: "{problem}", step: "{step}\\n{read}"}
head: {type: linear, labels: 2}
score: {rule: two_way, good: 1, bad: 0}
checked_against: x
source: x
"""
REFUSED = {
    "a key twice": (GOOD + "score: {rule: two_way, good: 0, bad: 1}\n", "the key 'score' twice, first in line 5, in l"),
    "a key twice within": (GOOD.replace("good: 1,", "good: 1, good: 0,"), "the key 'good' twice"),
    "a key twice, asked for": (GOOD + "? score\n: 1\n", "the key 'score' twice"),
    "sexagesimal": (GOOD + "max_tokens: 190:20:30\n", "'190:20:30', which YAML 1.1 reads as 685230, in line 8"),
    "octal": (GOOD + "max_tokens: 0777\n", "'0777', which YAML 1.1 reads as 511"),
    "octal of 1.2": (GOOD + "max_tokens: 0o17\n", "'0o17'"),
    "hexadecimal": (GOOD + "max_tokens: 0x1F\n", "'0x1F', which YAML 1.1 reads as 31"),
    "binary": (GOOD + "max_tokens: 0b11\n", "'0b11', which YAML 1.1 reads as 3"),
    "underscores": (GOOD + "max_tokens: 1_000\n", "'1_000', which YAML 1.1 reads as 1000"),
    "a plus": (GOOD + "max_tokens: +5\n", "'+5'"),
    "no": (GOOD.replace("before:", "trim: no, before:"), "'no', which YAML 1.1 reads as False"),
    "On": (GOOD.replace("before:", "trim: On, before:"), "'On', which YAML 1.1 reads as True"),
    "True": (GOOD.replace("before:", "trim: True, before:"), "'True'"),
    "a tilde": (GOOD + "max_tokens: ~\n", "'~', which YAML 1.1 reads as None"),
    "yes as a key": (GOOD + "tokens: {yes: 1}\n", "'yes', which YAML 1.1 reads as True"),
    "a number as a key": (GOOD + "tokens: {1: 1}\n", "the key '1', which is no text"),
    "a merge": (GOOD + "<<: {max_tokens: 5}\n", "'<<'"),
    "an anchor": (GOOD + "notes: &a y\n", "YAML alias"),
    "a tag": (GOOD + "notes: !!str 1\n", "a YAML tag"),
    "5,000 digits": (GOOD + f"max_tokens: {'9' * 5_000}\n", "which is too large"),
    "open brackets": (GOOD + "notes: " + "[" * 40_000, "nested more than 12 deep"),
    "closed brackets": (GOOD + "notes: " + "[" * 20_000 + "]" * 20_000, "nested more than 12 deep"),
    "dashes": ("- " * 20_000 + "x", "nested more than 12 deep"),
    "question marks": ("? " * 20_000 + "x", "nested more than 12 deep"),
    "mappings": ("{a: " * 5_000, "nested more than 12 deep"),
    "a name that acts on a terminal": (GOOD.replace("name: mine", 'name: "\\e[31m\\u202E"'), r"'\x1b[31m\u202e'"),
    "a model that does": (GOOD + 'models: ["\\e[2J*"]\n', r"models[0]: '\x1b[2J*'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_json_would_not_say_is_refused(tmp_path, case: str) -> None:
    """The last of two equal keys inverted a verifier without a word; 40 kB of brackets took two minutes."""
    text, message = REFUSED[case]
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    started = time.process_time()
    with pytest.raises(DataError) as caught:
        read_recipe(file)
    assert time.process_time() - started < 10
    assert message in str(caught.value) and str(file) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    """A recipe that is a pipe would keep the command waiting for ever."""
    os.mkfifo(tmp_path / "mine.yaml")
    with pytest.raises(DataError, match="not a plain file"):
        read_recipe(tmp_path / "mine.yaml")


def test_a_link_to_a_recipe_is_followed(tmp_path) -> None:
    """It is the user's own file, wherever it lies."""
    (tmp_path / "own.yaml").write_text(GOOD)
    (tmp_path / "mine.yaml").symlink_to("own.yaml")
    assert read_recipe(tmp_path / "mine.yaml").name == "mine"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc no1.", max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw of a checkout makes tables of Unicode
@given(st.dictionaries(st.text("abcd", min_size=1, max_size=3), VALUES, max_size=3))
def test_json_means_the_same_as_yaml(value) -> None:
    """Every JSON text is YAML, and must mean what JSON says."""
    text = json.dumps(value)
    found = read_yaml(FOLDER / "made-up.yaml", text)
    assert json.dumps(found) == text


def test_the_recipes_that_ship_mean_what_they_did() -> None:
    """Their digests are part of what identifies rewards."""
    for path in sorted(FOLDER.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert json.dumps(read_yaml(path, text)) == json.dumps(yaml.safe_load(text))
