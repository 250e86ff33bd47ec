"""Folders beside each other, and what a submission says of its origin: every rule alone, without the whole checker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.submissions.checking import between_folders, provenance
from prm_eval.submissions.checking.between_folders import between, clashes, copied, copies, look, strays
from prm_eval.submissions.checking.provenance import (
    BASELINES,
    doubts,
    faults_from_outside,
    installed_rule,
    name_faults,
    recipe_of,
)
from prm_eval.submissions.formats import ModelEntry
from prm_eval.submissions.readers import LAYOUT
from prm_eval.submissions.revision import RULE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Qwen", "qwen"),
        ("o1", "01"),
        ("l0i", "1ol"),
        ("a_b.c", "a-b-c"),
        ("corn", "com"),
        ("vvv", "wv"),
        ("I", "l"),
        ("mean-", "mean"),
        ("a-b", "ab"),
        ("v1.5", "V1-5"),
        ("a--b", "a_b"),
    ],
)
def test_names_that_look_alike(one, other) -> None:
    assert look(one) == look(other)


def test_names_that_do_not() -> None:
    names = ["qwen", "quen", "a-b", "2-7b", "27b", "1.5", "15", "m", "n", "r", "w", "v", "o", "l", "2", "z", "5", "s"]
    assert len({look(each) for each in names}) == len(names)
    assert look("RN0_1.VV") == "mo-lw"


def submission(results: Path, name: str, content: bytes = b"", revision: str = "r1", pool: str = "p") -> Path:
    folder = results / "submissions" / name / revision / pool
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text("{}")
    (folder / "rewards.parquet").write_bytes(content)
    return folder


@pytest.fixture
def tiers(monkeypatch) -> dict[Path, str]:
    """Say of each folder which tier it has; who is not named cannot be read."""
    known: dict[Path, str] = {}

    def read(folder: Path):
        if folder not in known:
            raise PrmEvalError("not to be read")
        return SimpleNamespace(tier=known[folder])

    monkeypatch.setattr(between_folders, "read_submission", read)
    return known


def test_what_is_no_folder_between_them(tmp_path: Path) -> None:
    """On each of three levels a file, and a link to a folder; below them files are the submission's own."""
    folder = submission(tmp_path, "org__model")
    root = tmp_path / "submissions"
    odd = [root / "a.txt", root / "org__model" / "b.txt", root / "org__model" / "r1" / "c.txt"]
    for path in odd:
        path.write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert set(strays(tmp_path)) == {*odd, root / "link"}
    assert list(strays(tmp_path))[:1] == [root / "a.txt"] and (folder / "submission.json").is_file()
    told = {path: (kind, found, expected) for kind, path, found, expected in between(tmp_path)}
    assert told[odd[1]] == ("extra-file", "a file between the folders", f"only folders called {LAYOUT}")


def test_the_spelling_with_most_entries_is_kept(tmp_path: Path, tiers) -> None:
    """Organisations: two of "Org", one of "0rg"; without a majority the first in order; the verified one before
    both."""
    submission(tmp_path, "Org__a")
    submission(tmp_path, "Org__b")
    other = submission(tmp_path, "0rg__c")
    root = tmp_path / "submissions"
    assert list(clashes(tmp_path)) == [(root / "0rg__c", "Org")]
    tiers[other] = "recomputed"
    assert list(clashes(tmp_path)) == [(root / "0rg__c", "Org")]
    tiers[other] = "reproduced"
    assert set(clashes(tmp_path)) == {(root / "Org__a", "0rg"), (root / "Org__b", "0rg")}
    assert next(each for each in between(tmp_path) if each[0] == "name") == (
        "name", root / "Org__a", "a name that looks like '0rg'", "one spelling, or a name that is told apart",
    )  # fmt: skip


def test_each_level_has_names_of_its_own(tmp_path: Path, tiers) -> None:
    """Models of one organisation, revisions, pools, and the registry; what is alike on different levels is none."""
    submission(tmp_path, "org__model-1")
    submission(tmp_path, "org__model-l")
    submission(tmp_path, "other__Model-1")
    submission(tmp_path, "org__x", revision="rev0")
    submission(tmp_path, "org__x", revision="revo")
    submission(tmp_path, "org__y", pool="p.1")
    submission(tmp_path, "org__y", pool="p-1")
    submission(tmp_path, "r1__z")
    (tmp_path / "pools").mkdir()
    for name in ("corn.json", "com.json", "con.json", "c0rn.txt"):
        (tmp_path / "pools" / name).write_text("{}")
    root = tmp_path / "submissions"
    assert set(clashes(tmp_path)) == {
        (root / "org__model-l", "model-1"),
        (root / "org__x" / "revo", "rev0"),
        (root / "org__y" / "r1" / "p.1", "p-1"),
        (tmp_path / "pools" / "corn.json", "com"),
    }


def test_one_file_in_two_places(tmp_path: Path, tiers) -> None:
    """Equal bytes are a copy of the first in order, or of the verified one; equal sizes alone are not."""
    a, b, c, d = (submission(tmp_path, f"{name}__m", content) for name, content in
                  (("a", b"same"), ("b", b"same"), ("c", b"else"), ("d", b"longer")))  # fmt: skip
    assert list(copies([d, c, b, a])) == [(b, a)]
    tiers[b] = "spot-checked"
    assert list(copies([a, b, c, d])) == [(a, b)]
    words = "the rewards of submissions/b__m/r1/p"
    assert list(copied([a, b, c, d], tmp_path)) == [("copy", a / "rewards.parquet", words, "its own")]
    assert list(copies([a, c])) == [] and list(copies([])) == []


def model(**fields) -> ModelEntry:
    return ModelEntry(**{"id": "they/model", **fields})


def told(org="they", name="model", **fields) -> list[tuple[str, str, str]]:
    return list(faults_from_outside(org, name, model(**fields)))


def names_told(org="they", name="model", pool="pool-1") -> list[tuple[str, str, str]]:
    return list(name_faults(org, name, pool))


def test_names_that_are_taken() -> None:
    """Ours is refused from outside only; what looks like it, or like a baseline, wherever it lies."""
    assert told() == [] and names_told() == [] and names_told(org="prm_eval") == []
    ours = "your own; prm_eval is this project"
    assert told(org="prm_eval") == [("name", "the organisation prm_eval", ours)]
    for org in ("PRM.EVAL", "prmeval", "prm_eval0", "prm-eval-team", "prrn_eval", "PRM-EVA1", "prm.eval.2"):
        assert names_told(org=org) == [("name", f"the organisation {org}", ours)]
    assert names_told(org="prm-evaluators") == names_told(org="my-prm-eval") == names_told(org="oracle") == []
    for name in (*BASELINES, "0RAC1E", "rnaj", "majority-vote", "Majority.Voting", "mean-", "maj8", "oracle_baseline"):
        assert names_told(name=name) == [("name", f"a model called {name}", "a name that is no baseline's")]
    assert names_told(name="oracle-7b") == names_told(name="first-prm") == names_told(name="meaning") == []


@pytest.mark.parametrize(
    ("org", "name", "pool"),
    [("con", "x", "p"), ("they", "NUL", "p"), ("aux", "model", "p"), ("they", "com1.txt", "p"), ("they", "x", "lpt9"),
     ("they", "dot.", "p"), ("they", "x", "pool."), ("Con.fig", "x", "p")],
)  # fmt: skip
def test_names_that_windows_cannot_check_out(org, name, pool) -> None:
    """One such folder, and nobody on Windows can clone the repository."""
    (fault,) = names_told(org, name, pool)
    assert fault[0] == "name" and "Windows" in fault[1] and fault[2] == "a name that every system can check out"


def test_names_that_only_begin_like_a_device_are_free() -> None:
    for name in ("console", "com10", "nullable", "auxiliary-prm", "lpt", "v1.con"):
        assert names_told(name=name) == []
    assert set(BASELINES) == {"first", "mean", "random", "shortest", "longest", "maj", "majority", "oracle"}


def test_rules_are_those_that_are_installed(monkeypatch) -> None:
    rule = {"id": "they/model", "version": 3, "weights": RULE}
    assert told(weights=RULE, version=3) == [(
        "rule", "the rule they/model, version 3",
        "one that is installed (prm-eval plugins), so that anyone can run it; a maintainer installs your package first",
    )]  # fmt: skip
    monkeypatch.setattr(provenance, "installed_rule", lambda name: dict(rule) if name == "model" else None)
    assert told(weights=RULE, version=3) == [] and told(version=9) == []
    words = "they/model, version 3, as the installed rule model says of itself"
    assert told(weights=RULE, version=4) == [("rule", "the rule they/model, version 4", words)]
    rule["id"] = "we/model"
    assert [expected for *_, expected in told(weights=RULE, version=3)] == [words.replace("they", "we")]
    del rule["id"]
    assert told(weights=RULE, version=3) == []
    assert [expected for *_, expected in told(weights=RULE, version=5)] == [words]


def test_what_an_installed_rule_says_of_itself() -> None:
    found = installed_rule("arithmetic")
    assert found is not None and (found["id"], found["version"], found["weights"]) == ("prm_eval/arithmetic", 1, RULE)
    for name in ("os:system", "nobody", "stored", "token-classification", ""):
        assert installed_rule(name) is None


def test_a_known_recipe_has_its_known_content() -> None:
    name, recipe = next(iter(shipped_recipes().items()))
    assert (
        recipe_of(model(recipe=name)) is recipe and recipe_of(model()) is None and recipe_of(model(recipe="x")) is None
    )
    own = f"{recipe.digest[:12]}, that of {recipe.name}"
    assert told(recipe=name, recipe_sha256=recipe.digest) == [] and told(recipe="x", recipe_sha256="0" * 64) == []
    assert told(recipe=name) == [("recipe", "no recipe_sha256", own)]
    assert told(recipe=name, recipe_sha256="0" * 64) == [("recipe", f"recipe_sha256 {'0' * 12}", own)]


def doubted(tier="recomputed", **fields) -> list[tuple[str, str, float]]:
    one = SimpleNamespace(file=SimpleNamespace(model=model(**fields)), tier=tier)
    return [(each.name, each.text, each.value) for each in doubts(one)]


def test_doubts_about_recipes_and_rules() -> None:
    name, recipe = next(iter(shipped_recipes().items()))
    unseen = "how it was fed and read cannot be seen here"
    assert doubted() == doubted(recipe=name, recipe_sha256=recipe.digest) == []
    assert doubted(recipe="x") == [
        ("own-recipe", f"fed by a recipe of its own, 'x', which does not ship: {unseen}", 1.0)
    ]
    present = [("own-recipe", f"names the recipe {recipe.name}, but not its present content: {unseen}", 1.0)]
    assert doubted(recipe=name) == doubted(recipe=name, recipe_sha256="0" * 64) == present
    rule = [("unrun-rule", "says that it is a rule without weights; nobody here has run it", 1.0)]
    assert (
        doubted(weights=RULE) == rule
        and doubted("spot-checked", weights=RULE) == []
        and doubted("baseline", weights=RULE) == []
    )
