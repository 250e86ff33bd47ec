"""Reward models inside lm_eval: other options get another folder, weights are let go of, the way back is whole."""

from __future__ import annotations

import json

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.jobs import run_evaluation
from prm_eval.harness.candidates import replay_hint
from prm_eval.harness.options import read_options
from prm_eval.harness.scoring import rewards_for
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.rewards import load_reward_model
from tests.conftest import write_jsonl
from tests.harness.test_harness import TEXTS, Canned, run, settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_other_options_of_one_model_get_a_folder_of_their_own(here, models, pool) -> None:
    """ "Give another folder" is nothing one can do inside lm_eval: a replay with another separator always failed."""
    for separator in ("\\n", "\\n\\n", "\\n", "\\n\\n"):
        run(metadata={"replay": str(pool.path), "prm_model": str(models["prm"]), "prm_separator": separator})
    computed = [each for each in Pool(pool.path).reward_folders() if each.name.startswith("_") or "models" in each.name]
    assert len(computed) == 2
    assert computed[1].name.startswith(computed[0].name + "-")


def test_a_replay_grades_as_the_pool_says(here) -> None:
    """One pool with two numbers: prm-eval evaluate takes the tolerance of the pool's task, and a replay must too."""
    row = {"problem": "How far?", "answer": "100", "samples": [{"text": f"so \\boxed{{{at}}}"} for at in (102, 110)]}
    pool = import_pool(write_jsonl(here / "p.jsonl", [row]), here / "p").pool
    said = json.loads((pool.path / "pool.json").read_text(encoding="utf-8"))
    said["problem_set"]["grader"] = "default:tolerance_percent=5"
    (pool.path / "pool.json").write_text(json.dumps(said), encoding="utf-8")
    replayed = {"replay": str(pool.path), "ns": "1", "selectors": "first"}
    for metadata, expected in (({}, 0.5), ({"grader": "default"}, 0.0)):
        found = run(metadata=replayed | metadata)["results"]["problems_bon"]
        assert found["acc@1,first"] == expected
    assert run_evaluation(pool.path, selectors=["first"], ns=(1,), resamples=10).rows[0].value == 0.5


def test_one_checkpoint_as_orm_and_as_prm(here, pool) -> None:
    """Two recipes for one checkpoint in one run wanted the same folder."""
    pytest.importorskip("torch")
    from tests.rewards import tiny

    folder = tiny.save_causal(here / "m", "Qwen2", 152_064, tiny.qwen_tokenizer(), seed=9)
    models = {"prm_model": f"processbench-judge:{folder}", "orm_model": f"thinkprm:{folder}"}
    found = run(metadata={"replay": str(pool.path), **models, "prm_max_tokens": 2, "orm_max_tokens": 2})
    assert {"acc@4,prm", "acc@4,orm"} <= set(found["results"]["problems_bon"])


def test_weights_are_let_go_of_also_after_a_failure(models, pool, monkeypatch) -> None:
    """A policy that comes back to the GPU, and the next reward model, need the room."""
    model = load_reward_model(str(models["prm"]))
    monkeypatch.setattr(model, "values", lambda logits: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rewards_for(pool, model)
    assert "engine" not in vars(model)


def test_the_weights_of_a_local_judge_are_let_go_of(pool, tmp_path) -> None:
    """Only models on our engine were."""
    pytest.importorskip("torch")
    from tests.rewards import tiny

    folder = tiny.save_causal(tmp_path / "m", "Qwen2", 152_064, tiny.qwen_tokenizer(), seed=9)
    model = load_reward_model(f"thinkprm:{folder}", max_tokens=2)
    rewards_for(pool, model)
    assert "_model" not in vars(model.writer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prm_splitter": "lines"}, "unknown splitter 'lines'"),
        ({"prm_splitter": "given"}, "candidates that are generated come without steps"),
        ({"prm_cache": "/proc/nope"}, "give a folder that can be written"),
        ({"prm_device": 1}, "device '1'"),
    ],
)
def test_options_of_a_reward_model_are_checked_before_generation(here, models, options, message) -> None:
    """Each of them failed after hours of generation."""
    model = Canned(TEXTS)
    with pytest.raises(PrmEvalError, match=message):
        run(model=model, metadata=settings(here, prm_model=str(models["prm"]), **options))
    assert type(model).asked == 0


def test_the_way_back_says_everything_that_was_asked_for(here, pool) -> None:
    """A replay by the hint that forgets the grader, the selectors, the problems or the grid gives other numbers."""
    asked = {"ns": "1+3", "selectors": "first+majority", "problems": "p.jsonl", "draws": 7, "breakdown": "level"}
    asked |= {"grader": "default:prm800k", "selection_seed": 5, "prm_model": "arithmetic"}
    hint = replay_hint("problems_bon", pool, read_options(asked))
    words = dict(word.split("=", 1) for word in hint.split("--metadata ")[1].split())
    assert {key: words[key] for key in asked} == {key: str(value) for key, value in asked.items()}
    assert read_options(words).ns == (1, 3)
    plain = replay_hint("problems_bon", pool, read_options({}))  # and no more than that
    assert plain.endswith(f"--metadata replay={pool.path.resolve()}")
