"""Texts that real models wrote, with the steps that a reader would see in them."""

from __future__ import annotations

import json

import pytest

from prm_eval.texts.steps import BASE_SPLITTERS, split_steps

# the row whose right steps are those of another splitter: "blank_line" is the published convention, in which a heading
# alone is a step (the pipelines of the cards give it a number); "paragraph" is the way that joins it
HEADINGS = "### Step 1: Add"


@pytest.fixture
def rows(data) -> list[dict[str, object]]:
    """The rows of the file, without those on answers."""
    lines = (data / "texts" / "real_text.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 38
    return [json.loads(line) for line in lines]


def test_steps_of_real_texts_are_those_a_reader_sees(rows) -> None:
    """Each row was cut wrongly once: fused steps, rewards of half a formula, rewards of a bracket."""
    cut = [row for row in rows if "expected_steps" in row]
    assert len(cut) == 19
    wrong = {}
    for row in cut:
        splitter = "paragraph" if row["text"].startswith(HEADINGS) else row["splitter"]
        if (steps := list(split_steps(row["text"], splitter))) != row["expected_steps"]:
            wrong[row["why"]] = steps
    assert not wrong


def test_every_real_text_keeps_its_words(rows) -> None:
    """Also the texts on answers (broken JSON, cut-off sentences): no way to cut loses or makes up a word."""
    for row in rows:
        if not row["text"].startswith("```json"):
            for splitter in set(BASE_SPLITTERS) - {"given"}:
                steps = split_steps(row["text"], splitter)
                assert all(step and step == step.strip() for step in steps)
                words = "".join("".join(steps).split()).replace("---", "")  # a rule, of which a text has one
                assert words == "".join(row["text"].split()).replace("---", ""), row
