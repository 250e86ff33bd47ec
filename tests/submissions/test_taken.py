"""Submissions from rewards that are there, and what kills left in a results folder. If this were wrong, hours of
scoring would be done twice, rewards of one model be submitted as another's, or a maintainer could not verify."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.leaderboard import build
from prm_eval.pools.pool import Pool
from prm_eval.submissions import register_pool
from tests.cli.crashing import DISCLOSURE


@pytest.fixture
def results(pool, tmp_path, monkeypatch, capsys) -> Path:
    """A results folder with the pool p, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.json").write_text(json.dumps(DISCLOSURE))
    assert main(["pool", "register", "pool", "--id", "p", "-o", "results"]) == 0
    capsys.readouterr()
    return tmp_path / "results"


def score(model, *more: str) -> int:
    return main(["score", "pool", "--reward-model", str(model), *more])


def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_rewards_become_a_submission(results, models, capsys, monkeypatch) -> None:
    """Of a local checkpoint, under its name on the hub: without a forward pass, in order for `check`, and the same rows
    that the model itself would have been given."""
    assert score(models["prm"], "-o", "pool/rewards/tiny") == 0
    monkeypatch.setattr(
        "prm_eval.rewards.models.recipe_checkpoint.RecipeCheckpoint.make_engine",
        lambda self: pytest.fail("something was computed"),
        raising=False,
    )
    monkeypatch.setattr("prm_eval.rewards.engine.engine.Engine.batches", lambda *_: pytest.fail("it was computed"))
    assert score(models["prm"], "--submission", "acme/tiny", "--from", "pool/rewards/tiny") == 0
    (folder,) = results.glob("submissions/acme__tiny/sha256-*/p")
    assert f"taken      from {Path('pool/rewards/tiny')}; nothing was computed" in capsys.readouterr().out
    assert main(["submit-form", str(folder), "--answers", "answers.json"]) == 0
    assert main(["check", str(folder), "--new"]) == 0
    ours, theirs = (Path(each) / "rewards.parquet" for each in ("pool/rewards/tiny", folder))
    assert ours.read_bytes() == theirs.read_bytes()
    # the disclosure stays when the command is repeated
    assert score(models["prm"], "--submission", "acme/tiny", "--from", "pool/rewards/tiny") == 0
    assert json.loads((folder / "submission.json").read_text())["disclosure"]["contact"] == "someone"


@pytest.mark.parametrize(
    "options, message",
    [
        (["--dtype", "bfloat16"], "model.dtype = 'float32'; the pool, model and options given have 'bfloat16'"),
        (["--max-tokens", "77"], "model.max_tokens = 2048; the pool, model and options given have 77"),
        (["--separator", "##"], r"model.separator = '\n'; the pool, model and options given have '##'"),
        (["--aggregation", "min"], "aggregation = 'prod'; the pool, model and options given have 'min'"),
        (["--splitter", "blank_line"], "splitter = None; the pool, model and options given have 'blank_line'"),
    ],
)
def test_rewards_of_other_options_are_refused(results, models, capsys, options, message) -> None:
    """One line with the key and both values, and no folder."""
    assert score(models["prm"], "-o", "r") == 0
    assert score(models["prm"], "--submission", "acme/tiny", "--from", "r", *options) == 1
    assert message in capsys.readouterr().err
    assert not (results / "submissions").exists()


def test_rewards_of_another_model_or_pool_are_refused(results, models, capsys) -> None:
    """A changed weight, another kind of model, another pool, and a command that names no submission."""
    assert score(models["prm"], "-o", "r") == 0
    assert score("arithmetic", "-o", "r-arithmetic") == 0
    for model, taken, key in (
        (models["orm"], "r", "kind = 'prm'"),
        (models["prm"], "r-arithmetic", "model."),
        ("arithmetic", "r", "model."),
        (models["prm"], "pool/rewards/step_scores", "score_type = "),
    ):
        name = "prm_eval/arithmetic" if model == "arithmetic" else "acme/tiny"
        assert score(model, "--submission", name, "--from", taken) == 1
        assert f"{taken} holds rewards with {key}" in capsys.readouterr().err
    assert main(["pool", "import", "plain.jsonl", "-o", "other", "--slots", "5"]) == 0
    assert main(["pool", "register", "other", "--id", "o", "-o", "results"]) == 0
    other = ["score", "other", "--reward-model", "arithmetic", "--submission", "prm_eval/arithmetic"]
    assert main([*other, "--from", "r-arithmetic"]) == 1
    assert "holds rewards with pool_hash = " in capsys.readouterr().err
    assert score("arithmetic", "--from", "r-arithmetic", "-o", "x") == 1
    assert "name it: --submission ORG/MODEL" in capsys.readouterr().err
    assert not (results / "submissions").exists()


def test_scoring_says_what_could_be_taken(results, capsys) -> None:
    """Whoever does not know of the option would wait for hours."""
    assert score("arithmetic", "-o", "pool/rewards/mine") == 0
    capsys.readouterr()
    for _ in range(2):
        assert score("arithmetic", "--submission", "prm_eval/arithmetic") == 0
    out = capsys.readouterr().out
    assert out.count(f"with --from {Path('pool/rewards/mine')} nothing is computed") == 1


def test_a_verification_that_was_killed_can_be_repeated(results, capsys) -> None:
    """Its own leftover, or one of the scoring, made the submission invalid: nothing to verify before it was mended."""
    assert score("arithmetic", "--submission", "prm_eval/arithmetic") == 0
    folder = results / "submissions/prm_eval__arithmetic/rule-1/p"
    assert main(["submit-form", str(folder), "--answers", "answers.json"]) == 0
    for name in ("rewards.parquet", "submission.json", "verification.json"):
        (folder / f".{name}.{dead()}.partial").touch()
    assert main(["check", str(folder)]) == 1  # which only looks
    assert main(["verify", str(folder), "--reward-model", "arithmetic", "--all"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["rewards.parquet", "submission.json", "verification.json"]


@pytest.mark.parametrize("name", ["problems.parquet", "candidates.parquet", "grades.parquet", "pool.json"])
def test_a_pool_whose_copy_was_cut_off_is_copied_again(results, pool, name) -> None:
    """Half a file under the right name was taken for the whole, for ever."""
    path = results / "pools" / "p" / name
    path.write_bytes(path.read_bytes()[:50])
    (path.parent / f".{name}.{dead()}.partial").touch()
    register_pool(pool, results, "p")
    assert Pool(path.parent).require_sound().verify() == []
    assert path.read_bytes() == (pool.path / name).read_bytes()
    assert not list(path.parent.glob(".*"))


def test_another_pool_without_an_entry_is_not_mixed_with_this_one(results, pool, tmp_path) -> None:
    """Files of two pools in one folder would be neither."""
    (results / "pools" / "p.json").unlink()
    main(["pool", "import", "plain.jsonl", "-o", "other", "--slots", "5"])
    main(["grade", "other"])
    with pytest.raises(PrmEvalError, match="holds another pool"):
        register_pool(Pool("other"), results, "p")


def test_a_board_is_built_outside_the_results_folder(results, monkeypatch, tmp_path) -> None:
    """`git add results` took the unfinished board of a killed command; what a killed one left in its own place goes."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (scratch / f".prm-eval-leaderboard-{dead()}-00000000.partial" / "charts").mkdir(parents=True)
    seen: list[set[str]] = []
    make = build.__globals__["_build_into"]

    def watched(*arguments):
        seen.append({path.name for path in results.iterdir()})
        return make(*arguments)

    monkeypatch.setitem(build.__globals__, "_build_into", watched)
    leftover = results / "leaderboard" / f".index.html.{dead()}.partial"
    leftover.parent.mkdir()
    leftover.touch()
    build(results)
    assert seen == [{"pools", "leaderboard"}]
    assert not list(scratch.iterdir())
    assert not leftover.exists()
    before = {path: path.stat().st_mtime_ns for path in (results / "leaderboard").rglob("*")}
    assert build(results).changed == 0
    assert {path: path.stat().st_mtime_ns for path in (results / "leaderboard").rglob("*")} == before
