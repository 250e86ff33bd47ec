"""What a submission says of where its rewards come from: held against what is installed and shipped, refused from
outside, marked on the board."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from prm_eval.leaderboard import build
from prm_eval.rewards.recipes.catalogue import named_recipe
from prm_eval.submissions import Options, check_submission, find_submissions, registered_pools, suspicions
from prm_eval.submissions.suspicion import outliers
from tests.leaderboard.board import edit_json, make_results

RULE = {"version": 1, "weights": "none: a rule", "revision": None}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("provenance") / "results"
    make_results(results)
    return results


@pytest.fixture
def folder(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "results")
    return next((tmp_path / "results").glob("submissions/*/*/*"))


def call(folder: Path, name: str, revision: str | None = None, about: dict | None = None) -> Path:
    """Give a submission another name (and revision), everywhere."""
    revision = revision or folder.parent.name
    to = folder.parents[2] / name.replace("/", "__") / revision / folder.name
    to.parent.mkdir(parents=True)
    folder.rename(to)
    changes = {f"model__{key}": value for key, value in (about or {}).items()}
    edit_json(to / "submission.json", name=name, model__id=name, **changes)
    return to


def faults(folder: Path, new: bool) -> dict[str, str]:
    return {each.kind: str(each) for each in check_submission(folder, folder.parents[3], Options(new=new))}


@pytest.mark.parametrize(
    "name",
    [
        "prm_eval/best-ever",
        "PRM-Eval/best-ever",
        "prm.eval/best-ever",
        "someone/oracle",
        "oracle/0racle",
        "someone/MAJ",
    ],
)
def test_nobody_outside_submits_under_our_names(folder: Path, name: str) -> None:
    """A row called "oracle", or of this project, would borrow a trust that it has not earned."""
    to = call(folder, name)
    assert set(faults(to, new=True)) == {"name"}
    # in the results folder itself only our own spelling is ours
    assert set(faults(to, new=False)) == (set() if name.startswith("prm_eval/") else {"name"})


@pytest.mark.parametrize("name", ["someone/oracle-7b", "prm-evaluators/first-prm", "oracle/prm"])
def test_names_that_only_hold_one_of_ours_are_free(folder: Path, name: str) -> None:
    """An organisation may be called Oracle, and a model its first."""
    assert faults(call(folder, name), new=True) == {}


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("openai/o9", 7, "prm-eval plugins"),
        ("openai/token-classification", 1, "prm-eval plugins"),
        ("openai/stored", 1, "prm-eval plugins"),
        ("openai/arithmetic", 1, "prm_eval/arithmetic, version 1"),
        ("openai/boxed-support", 9, "prm_eval/boxed-support, version 1"),
    ],
)
def test_a_rule_from_outside_is_an_installed_one(folder: Path, name: str, version: int, words: str) -> None:
    """A rule has no weights that pin it: its name says nothing unless its code is at hand."""
    to = call(folder, name, f"rule-{version}", RULE | {"version": version})
    found = faults(to, new=True)
    assert set(found) == {"rule"} and words in found["rule"]
    assert faults(to, new=False) == {}


def test_an_installed_rule_of_a_third_party_may_be_submitted(folder: Path, monkeypatch) -> None:
    """What anyone can install and run needs no name of ours."""
    from prm_eval.submissions.checking import provenance

    monkeypatch.setattr(provenance, "installed_rule", lambda name: {"version": 1, "weights": "none: a rule"})
    assert faults(call(folder, "they/their-rule", "rule-1", RULE), new=True) == {}


def marks(folder: Path) -> dict[str, str]:
    results = folder.parents[3]
    (one,) = find_submissions(results)
    return {each.name: each.text for each in suspicions(one, registered_pools(results)[one.pool_id].pool)}


def test_what_cannot_be_seen_is_marked_on_the_board(folder: Path) -> None:
    """A recipe that nobody has, other content under a known name, a rule that nobody ran: readers must see that it is a
    mere word."""
    assert marks(folder) == {}
    edit_json(folder / "submission.json", model__recipe="nonsense")
    assert "'nonsense', which does not ship" in marks(folder)["own-recipe"]
    for said in ("0" * 64, None):
        edit_json(folder / "submission.json", model__recipe="token-classification", model__recipe_sha256=said)
        assert "not its present content" in marks(folder)["own-recipe"]
    digest = named_recipe("token-classification").digest
    edit_json(folder / "submission.json", model__recipe_sha256=digest)
    assert marks(folder) == {}
    edit_json(folder / "submission.json", model__recipe=None)
    to = call(folder, "openai/o9", "rule-7", RULE | {"version": 7})
    assert "nobody here has run it" in marks(to)["unrun-rule"]
    board = build(to.parents[3])
    (row,) = json.loads((board.folder / "leaderboard.json").read_text())["boards"][0]["rows"]
    assert [each["name"] for each in row["suspicions"]] == ["unrun-rule"]
    assert "nobody here has run it" in (board.folder / "index.html").read_text()


def test_absurdly_far_rewards_are_marked() -> None:
    """One submitted -1e7 makes every other difference look small, to readers and to whoever measures in units of the
    spread."""
    ordinary = np.random.default_rng(1).normal(0, 3, 1_000)
    assert outliers(ordinary, "raw") is None
    assert outliers(np.append(ordinary, -1e7), "raw").value == 1
    assert outliers(np.append(ordinary / 1e6, 1.0), "raw").value == 1  # raw numbers have no unit but their spread
    sure = np.append(np.full(1_000, -1e-6) * np.arange(1_000), -30.0)
    assert outliers(sure, "logodds") is None  # a sure model's one doubt is no fraud
    assert outliers(np.append(sure, -1e308), "logodds").value == 1
    assert outliers(np.zeros(10), "raw") is None and outliers(np.zeros(0), "raw") is None


def test_outliers_are_seen_through_the_files(folder: Path) -> None:
    """The mark must come from what is submitted, and not only from a function that nobody asks."""
    from tests.leaderboard.board import rows_of, write_rows

    rows = rows_of(folder)
    rows[0]["step_rewards"] = [-1e6] * len(rows[0]["step_rewards"])
    write_rows(folder, rows)
    assert marks(folder).keys() == {"outliers"}
