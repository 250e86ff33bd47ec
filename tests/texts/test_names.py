"""Short names of models: tables had lines of 150 characters that differed at their ends."""

from __future__ import annotations

import pytest

from prm_eval.texts.names import short_name, short_names


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Qwen/Qwen2.5-Math-PRM-7B", "Qwen/Qwen2.5-Math-PRM-7B"),
        ("/data/models/third-party/tiny-prm", "third-party/tiny-prm"),
        ("/data/models/third-party/tiny-prm/", "third-party/tiny-prm"),
        ("./tiny-prm", "tiny-prm"),
        ("arithmetic", "arithmetic"),
        ("runs/third-party/tiny-prm[mean]", "third-party/tiny-prm[mean]"),
        ("C:\\models\\third-party\\tiny", "third-party/tiny"),
        ("/cache/models--Qwen--Qwen2.5-Math-PRM-7B/snapshots/0123abcd", "Qwen/Qwen2.5-Math-PRM-7B"),
        ("", ""),
        ("/", "/"),
    ],
)
def test_the_last_two_parts_are_the_name(name: str, short: str) -> None:
    """They find the recipe of a folder too; a hub id must stay whole."""
    assert short_name(name) == short


def test_names_that_would_look_alike_get_more_parts() -> None:
    """Two checkpoints of one table under one name cannot be told apart."""
    assert list(short_names(["/a/run1/out/best", "/a/run2/out/best", "org/other"]).values()) == [
        "run1/out/best",
        "run2/out/best",
        "org/other",
    ]
    assert short_names(["x/y", "x/y"]) == {"x/y": "x/y"}
    assert short_names([]) == {}
