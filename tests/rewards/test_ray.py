"""Ray: the same bits as one process, also when a worker dies on the way. Slow: it starts a real local Ray."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.rewards import load_reward_model, score_pool
from prm_eval.rewards.models.recipe_checkpoint import RecipeModel
from prm_eval.rewards.recipes.catalogue import named_recipe
from tests.rewards.test_engine import make_pool

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

ROOT = Path(__file__).resolve().parents[2]


class Mortal(RecipeModel):
    """A real checkpoint; the first worker that is asked for its second block is killed as by kill -9."""

    def __init__(self, argument: str | None = None, **options) -> None:
        super().__init__(named_recipe("token-classification"), os.environ["PRM_EVAL_TEST_CHECKPOINT"], **options)
        self.asked = 0

    def score_rendered(self, *arguments):
        self.asked += 1
        grave = Path(os.environ["PRM_EVAL_TEST_GRAVE"])
        if self.asked == 2 and not grave.exists():
            grave.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score_rendered(*arguments)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("prm_eval.rewards.scoring.BLOCK", 8)


def require_ray():
    return pytest.importorskip("ray", reason="Ray is not installed: pip install 'prm_eval[ray]'")


def files(folder: Path) -> tuple[bytes, dict]:
    info = json.loads((folder / "submission.json").read_text())
    info.pop("run")  # seconds and counts of the process that wrote the file
    return (folder / "rewards.parquet").read_bytes(), info


def test_without_ray_the_command_says_what_to_install(models, tmp_path, monkeypatch, capsys) -> None:
    """A missing extra is one line, not a traceback, and comes before anything is computed."""
    from prm_eval.cli.commands import main

    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    pool = make_pool(tmp_path)
    from prm_eval.rewards.ray_runner import RayRunner

    model = load_reward_model(str(models["prm"]))
    with pytest.raises(ModelError, match=r"pip install 'prm_eval\[ray\]'"):
        score_pool(pool, model, tmp_path / "r", runner=RayRunner(str(models["prm"])))
    command = ["score", str(pool.path), "--reward-model", str(models["prm"]), "-o", str(tmp_path / "r")]
    for spelling in ("--runner", "--engine"):
        assert main([*command, spelling, "ray"]) == 1
        assert "--runner ray needs Ray: pip install 'prm_eval[ray]'" in capsys.readouterr().err
    assert main([*command, "--workers", "2"]) == 1
    assert "--workers is for --runner ray" in capsys.readouterr().err


def test_a_worker_scores_its_block_as_this_process_does(models, tmp_path, small_blocks) -> None:
    """What an actor returns for a block are the rewards of a local run, bit by bit; without a Ray to start."""
    import torch

    from prm_eval.rewards.ray_runner import Worker, _result
    from prm_eval.rewards.scoring import block_ranges
    from prm_eval.store.jsonl import canonical_json

    pool, model = make_pool(tmp_path), load_reward_model(str(models["prm"]))
    local = [each for _, _, each in score_pool(pool, model, tmp_path / "local").rows()]
    worker = Worker(str(pool.path), str(models["prm"]), {}, canonical_json(model.describe()), torch.get_num_threads())
    assert list(block_ranges(pool)) == [(0, 8), (8, 8), (16, 8)]
    for start, count in reversed(list(block_ranges(pool))):  # in any order
        found = [_result(fields) for fields in json.loads(worker({"start": start, "count": count})["results"])]
        assert found == local[start : start + count]
    with pytest.raises(PrmEvalError, match="another model"):
        Worker(str(pool.path), str(models["orm"]), {}, canonical_json(model.describe()), None)


def test_a_worker_finds_what_is_named_from_where_the_command_was_given(models, tmp_path, monkeypatch) -> None:
    """Workers start in another folder: a model, recipe or cache given by a relative path was not found, or made
    elsewhere."""
    from prm_eval.rewards.ray_runner import Worker
    from prm_eval.store.jsonl import canonical_json

    pool = make_pool(tmp_path)
    monkeypatch.chdir(models["prm"].parent)
    described = canonical_json(load_reward_model("./prm").describe())
    monkeypatch.chdir(tmp_path)
    worker = Worker(str(pool.path), "./prm", {"cache": "kept"}, described, None, str(models["prm"].parent))
    assert worker.model.name == "./prm"
    assert (models["prm"].parent / "kept").is_dir()


@pytest.mark.slow
def test_two_workers_one_killed_give_the_bits_of_one_process(models, tmp_path, monkeypatch) -> None:
    """Two actors, the first killed with kill -9 on the way: the file equals the local one, byte for byte; then a
    resume."""
    ray = require_ray()
    monkeypatch.setattr("prm_eval.rewards.scoring.BLOCK", 64)  # this process tells the workers what a block is
    monkeypatch.setenv("PRM_EVAL_TEST_CHECKPOINT", str(models["prm"]))
    monkeypatch.setenv("PRM_EVAL_TEST_GRAVE", str(tmp_path / "grave"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    from prm_eval.rewards.ray_runner import RayRunner

    pool = make_pool(tmp_path, problems=65)  # 260 candidates: five blocks
    name = "tests.rewards.test_ray:Mortal"
    (tmp_path / "grave").write_text("not here")  # this process must not die
    local = score_pool(pool, load_reward_model(name), tmp_path / "local")
    (tmp_path / "grave").unlink()
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        seen: list[tuple[int, int]] = []
        runner = RayRunner(name, workers=2)
        found = score_pool(
            pool, load_reward_model(name), tmp_path / "ray", progress=lambda *did: seen.append(did), runner=runner
        )
        assert (tmp_path / "grave").exists()  # one was killed
        assert int((tmp_path / "grave").read_text()) != os.getpid()
        assert files(found.folder) == files(local.folder)
        assert seen[-1][0] == 260

        def stop(done: int, tokens: int) -> None:
            if done >= 64:
                raise KeyboardInterrupt

        runner = RayRunner(name, workers=1)  # the other one would only have to start
        with pytest.raises(KeyboardInterrupt):
            score_pool(pool, load_reward_model(name), tmp_path / "half", progress=stop, runner=runner)
        half = score_pool(pool, load_reward_model(name), tmp_path / "half")  # a local run finishes what Ray began
        assert files(half.folder) == files(local.folder)
        assert json.loads((tmp_path / "half" / "submission.json").read_text())["run"]["resumed"] >= 64
    finally:
        ray.shutdown()
