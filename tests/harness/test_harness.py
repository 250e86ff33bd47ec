"""Door 1, through the real lm_eval in this process: the numbers, the guards, the order of things."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from prm_eval.errors import DataError, PrmEvalError, SamplingError
from prm_eval.evaluation.curves import evaluate
from prm_eval.grading.pool import grade_pool
from prm_eval.harness import guards, tasks_path
from prm_eval.harness.options import read_options
from prm_eval.pools.pool import Pool
from prm_eval.rewards import RewardFile
from tests.conftest import PLAIN, write_jsonl


def run(task: str = "problems_bon", *, model: object = "dummy", metadata: dict[str, object], **options):
    manager = TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata=metadata)
    options.setdefault("model_args", "" if model == "dummy" else None)
    return simple_evaluate(model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, **options)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own: that is where candidates are kept."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dumps(folder: Path, task: str = "problems_bon") -> list[Pool]:
    return [Pool(path.parent) for path in sorted(folder.glob(f"prm_eval_runs/{task}/*/pool.json"))]


def test_both_doors_give_the_same_numbers(here, pool) -> None:
    """Every selector and n through lm_eval equals `prm-eval evaluate`, to the last digit."""
    grade_pool(pool)
    score = pool.path / "rewards" / "score"
    steps = pool.path / "rewards" / "step_scores"
    found = run(
        metadata={
            "replay": str(pool.path),
            "orm_model": f"stored:{score}",
            "prm_model": f"stored:{steps}",
            "ns": "1+2+3+4",
        }
    )
    results = found["results"]["problems_bon"]
    here_too = evaluate(pool, [RewardFile(score), RewardFile(steps)], ns=[1, 2, 3, 4])
    names = {("best_of_n", "score"): "orm", ("best_of_n", "step_scores"): "prm", ("weighted_majority",
    "score"): "weighted_orm",
             ("weighted_majority", "step_scores"): "weighted_prm", ("first", None): "first", ("majority",
             None): "majority", ("oracle", None): "oracle"}  # fmt: skip
    compared = 0
    for row in here_too.rows:
        name = names.get((row.selector, row.reward_model))
        if name:
            assert results[f"acc@{row.n},{name}"] == pytest.approx(row.value, abs=1e-12)
            compared += 1
    assert compared == 7 * 4
    assert results["acc@4:Algebra,prm"] + results["acc@4:Geometry,prm"] == pytest.approx(2 * results["acc@4,prm"])
    assert "acc@4:level_1,majority" in results


def test_published_numbers_through_lm_eval(here, data) -> None:
    """The real pool replayed with published labels: the known best-of-8 and pass@8."""
    from prm_eval.importers import import_pool

    real = import_pool(data / "bon/math_cot_100_rm.jsonl", here / "real").pool
    found = run(
        metadata={
            "replay": str(real.path),
            "grades": "published",
            "orm_model": f"stored:{real.path / 'rewards' / 'score'}",
        }
    )
    results = found["results"]["problems_bon"]
    assert [round(results[f"acc@{n},orm"], 4) for n in (1, 2, 4, 8)] == [0.9153, 0.9343, 0.9454, 0.9516]
    assert [round(results[f"acc@{n},oracle"], 4) for n in (2, 4, 8)] == [0.9389, 0.9578, 0.9677]


def test_generation_with_a_real_policy_and_three_selectors(here, models) -> None:
    """N = 8 sampled by a (tiny) hf model, ORM and PRM in one run; then a replay generates nothing and agrees."""
    problems = write_jsonl(here / "p.jsonl", [{k: v for k, v in row.items() if k != "samples"} for row in PLAIN])
    settings = {
        "problems": str(problems),
        "n_samples": 8,
        "orm_model": str(models["orm"]),
        "prm_model": str(models["prm"]),
    }
    found = run(
        model="hf",
        model_args={"pretrained": str(models["policy"]), "dtype": "float32"},
        device="cpu",
        batch_size=8,
        gen_kwargs={"max_gen_toks": 12},
        metadata={"pretrained": str(models["policy"]), **settings},
    )
    (pool,) = dumps(here)
    assert (pool.info.m, pool.info.n_candidates, pool.info.policy["id"]) == (8, 16, str(models["policy"]))
    assert len({c.text for _, cs in pool for c in cs}) > 8
    recorded = found["configs"]["problems_bon"]["metadata"]["prm_eval"]
    assert recorded["pool"]["content_hash"] == pool.info.content_hash
    assert recorded["reward_models"]["prm"]["weights_sha256"]
    assert set(recorded) >= {"problem_set", "grader", "ns", "pipelines", "versions"}
    again = run(metadata={"replay": str(pool.path), "orm_model": str(models["orm"]), "prm_model": str(models["prm"])})
    for name, value in found["results"]["problems_bon"].items():
        if name.startswith("acc@") and "stderr" not in name:
            assert again["results"]["problems_bon"][name] == pytest.approx(value, abs=1e-12)


class Canned:
    """Makes a language model of lm_eval that answers from a list, and counts how often it is asked."""

    def __new__(cls, texts):
        from lm_eval.api.model import LM

        class Model(LM):
            asked = 0

            def generate_until(self, requests):
                type(self).asked += len(requests)
                return [texts[i % len(texts)] for i in range(len(requests))]

            def loglikelihood(self, requests):
                raise NotImplementedError

            def loglikelihood_rolling(self, requests):
                raise NotImplementedError

        return Model()


def settings(here: Path, **more: object) -> dict[str, object]:
    problems = write_jsonl(here / "p.jsonl", [{k: v for k, v in row.items() if k != "samples"} for row in PLAIN])
    return {"problems": str(problems), "n_samples": 4, **more}


TEXTS = ["1+1 = 2\n\\boxed{2}", "1+1 = 3\n\\boxed{3}", "none", "so \\boxed{6}", "\\boxed{5}"]


def test_candidates_are_kept_before_anything_can_fail(here, monkeypatch, caplog) -> None:
    """A reward model that fails after generation costs nothing: the candidates are on disk, and the log says how to go
    on."""
    monkeypatch.setattr("prm_eval.rewards.models.rules.ArithmeticPRM.score", lambda self, items: 1 / 0)
    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
        run(model=Canned(TEXTS), metadata=settings(here, prm_model="arithmetic"))
    (pool,) = dumps(here)
    assert pool.info.n_candidates == 8
    hint = next(record.message for record in caplog.records if "candidates are safe" in record.message)
    assert f"replay={pool.path}" in hint
    monkeypatch.undo()
    monkeypatch.chdir(here)
    found = run(metadata={"replay": str(pool.path), "prm_model": "arithmetic"})
    assert "acc@4,prm" in found["results"]["problems_bon"]


def test_a_full_disk_moves_the_candidates_elsewhere(here, monkeypatch, tmp_path_factory) -> None:
    """If the folder refuses, another one takes them: hours of generation are never dropped for a full disk."""
    elsewhere = tmp_path_factory.mktemp("tmpdir")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    from prm_eval import pools

    real = pools.PoolWriter.add

    def full(self, problem, candidates):
        if str(self._parent).startswith("prm_eval_runs"):
            raise OSError(28, "No space left on device")
        real(self, problem, candidates)

    monkeypatch.setattr(pools.PoolWriter, "add", full)
    found = run(model=Canned(TEXTS), metadata=settings(here))
    assert "acc@4,majority" in found["results"]["problems_bon"]
    assert len(list(elsewhere.glob("prm_eval_runs/problems_bon/*/pool.json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"do_sample": False}, "greedy decoding gives the same text 4 times"),
        ({"do_sample": True, "temperature": 0}, "temperature=0 gives the same text 4 times"),
        ({"num_return_sequences": 4}, "Use --metadata n_samples=4 instead"),
        ({"n": 4}, "Use --metadata n_samples=4 instead"),
    ],
)
def test_degenerate_sampling_is_refused_before_generation(here, arguments, message) -> None:
    """Settings that cannot give N samples stop the run before the model is asked once."""
    model = Canned(TEXTS)
    with pytest.raises(SamplingError, match=message):
        run(model=model, gen_kwargs=arguments, metadata=settings(here))
    assert type(model).asked == 0


def test_identical_candidates_are_caught_after_generation(here) -> None:
    """All copies of one text: an error, the candidates kept, and a way to say that it is meant."""
    with pytest.raises(SamplingError, match="are the same text"):
        run(model=Canned(["\\boxed{2}"]), metadata=settings(here))
    assert len(dumps(here)) == 1
    found = run(model=Canned(["\\boxed{2}"]), metadata=settings(here, allow_identical_candidates=True))
    assert found["results"]["problems_bon"]["acc@4,majority"] == 0.5


def test_request_cache_is_refused(here) -> None:
    """--cache_requests replays another run's N and temperature."""
    with pytest.raises(SamplingError, match="cache_requests"):
        run(model=Canned(TEXTS), metadata=settings(here), cache_requests=True)


def test_use_cache_gives_right_numbers_here(here) -> None:
    """lm_eval's --use_cache collapses repeats unless do_sample is set; our tasks set it, and a second run samples
    anew."""
    counts = []
    for _ in range(2):
        model = Canned(TEXTS)
        run(model=model, metadata=settings(here), use_cache=str(here / "cache"))
        counts.append(type(model).asked)
    assert counts == [8, 8]


def test_data_parallel_padding_is_cut_off(here, monkeypatch) -> None:
    """lm_eval gives the last problem of a short rank twice N samples: only N are used, or it would be best of 2N."""
    from prm_eval.harness.task import BestOfNTask

    kept = BestOfNTask._keep_candidates

    def padded(self):
        self._instances[-1].resps.extend(["\\boxed{6}"] * 4)
        return kept(self)

    monkeypatch.setattr(BestOfNTask, "_keep_candidates", padded)
    run(model=Canned(TEXTS), metadata=settings(here))
    assert dumps(here)[0].info.n_candidates == 8


def test_predict_only_generates_and_keeps_and_loads_no_reward_model(here, monkeypatch) -> None:
    """--predict_only must not run reward models (lm_eval itself still runs filters)."""

    def never(*args, **options):
        raise AssertionError("a reward model was loaded")

    monkeypatch.setattr("prm_eval.harness.task.load_reward_model", never)
    found = run(model=Canned(TEXTS), metadata=settings(here, prm_model="nobody/nothing"), predict_only=True)
    assert len(dumps(here)) == 1
    assert found["results"]["problems_bon"]["bypass,none"] == 999


def test_limit(here, pool) -> None:
    """--limit 1 evaluates one problem, generated or replayed, also with stored rewards of the whole pool."""
    found = run(model=Canned(TEXTS), metadata=settings(here), limit=1)
    assert found["results"]["problems_bon"]["sample_len"] == 1
    assert dumps(here)[0].info.n_problems == 1
    stored = f"stored:{pool.path / 'rewards' / 'score'}"
    for metadata in ({"orm_model": stored}, {"prm_model": "arithmetic"}):
        found = run(metadata={"replay": str(pool.path), "grades": "published", **metadata}, limit=1)
        assert found["results"]["problems_bon"]["acc@1,first"] == 0.5


def test_a_missing_reward_model_stops_before_generation(here) -> None:
    """A name that cannot be loaded is found before hours of generation."""
    model = Canned(TEXTS)
    with pytest.raises(PrmEvalError, match="cannot be loaded"):
        run(model=model, metadata=settings(here, prm_model="nobody/no-such-model"))
    assert type(model).asked == 0


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"prm_modle": "x"}, "Did you mean prm_model?"),
        ({"orm_batch_size": 4}, "unknown --metadata key 'orm_batch_size'"),
        ({"n_sample": 4}, "Did you mean n_samples?"),
        ({"n_samples": "many"}, "expected a whole number of at least 1"),
        ({"n_samples": 0}, "expected a whole number of at least 1"),
        ({"prm_device": "cpu"}, "prm_device is given without prm_model"),
        ({"grades": "published"}, "needs replay=POOL"),
        ({"grades": "mine", "replay": "x"}, "expected own or published"),
        ({"breakdown": "colour"}, "expected subject, level or none"),
    ],
)
def test_options_are_checked(metadata, message) -> None:
    """A misspelt key would be ignored silently by lm_eval, and the run would be another one than was asked for."""
    with pytest.raises(PrmEvalError) as caught:
        read_options(metadata)
    assert message in str(caught.value)
    read_options(
        {"pretrained": "x", "dtype": "float32", "version": 1.0, "max_length": 4}
    )  # model_args are not ours to judge


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"ns": "1,9"}, "n = 9, but a problem has M = 4 slots"),
        ({"selectors": "prm"}, "needs a reward model: --metadata prm_model"),
        ({"selectors": "best_of_n"}, "name it best_of_n_prm or best_of_n_orm"),
        ({"orm_model": "arithmetic"}, "is a PRM; give it as prm_model"),
        ({"problems": "nowhere.jsonl"}, "no such file"),
    ],
)
def test_tasks_refuse_what_has_no_meaning(here, metadata, message) -> None:
    """n > N, selectors without their model, a PRM in the ORM's place, missing files."""
    with pytest.raises(PrmEvalError) as caught:
        run(model=Canned(TEXTS), metadata={**settings(here), **metadata})
    assert message in str(caught.value)


def test_replay_refuses_other_problems_and_other_rewards(here, pool, data) -> None:
    """A pool of other problems, rewards of another pool, more samples than it has: named, not mixed."""
    other = write_jsonl(here / "o.jsonl", [{"id": "a", "problem": "another statement", "answer": "1"}])
    with pytest.raises(PrmEvalError, match="has another statement or gold answer there"):
        run(metadata={"replay": str(pool.path), "problems": str(other)})
    with pytest.raises(PrmEvalError, match="n_samples=9, but the replayed pool has 4 slots"):
        run(metadata={"replay": str(pool.path), "n_samples": 9})
    info = json.loads((pool.path / "rewards/score/submission.json").read_text())
    (pool.path / "rewards/score/submission.json").write_text(json.dumps({**info, "pool_hash": "0" * 64}))
    with pytest.raises(DataError, match="rewards for pool 000000000000"):
        run(metadata={"replay": str(pool.path), "orm_model": f"stored:{pool.path / 'rewards' / 'score'}"})


def test_replay_of_lm_eval_logs_and_of_several_ranks(here) -> None:
    """A samples file, and a folder with the pools of several ranks, are replayed like a pool."""
    found = run(model=Canned(TEXTS), metadata=settings(here), log_samples=True)
    expected = found["results"]["problems_bon"]["acc@4,majority"]
    log = write_jsonl(here / "samples_x.jsonl", found["samples"]["problems_bon"])
    assert run(metadata={"replay": str(log)})["results"]["problems_bon"]["acc@4,majority"] == pytest.approx(expected)
    first, second = settings(here), settings(here)
    for k, row in enumerate(PLAIN):
        write_jsonl(here / f"rank{k}.jsonl", [{key: value for key, value in row.items() if key != "samples"}])
        run(
            model=Canned(TEXTS[4 * k % 5 :] + TEXTS),
            metadata={**(first if k else second), "problems": str(here / f"rank{k}.jsonl"), "dump_dir": "ranks"},
        )
    joined = run(metadata={"replay": str(here / "ranks" / "problems_bon")})
    assert joined["results"]["problems_bon"]["sample_len"] == 2


def test_guard_against_one_seed_for_all_requests() -> None:
    """lm_eval's API backends send seed 1234 with every request; only an explicit seed=None makes samples differ."""
    from lm_eval.models.openai_completions import LocalChatCompletion

    model = LocalChatCompletion(base_url="http://127.0.0.1:9/v1/chat/completions", model="m", tokenizer_backend=None)
    with pytest.raises(SamplingError, match="--gen_kwargs seed=None"):
        guards.check_generation({"do_sample": True, "temperature": 1.0}, 4, model)
    guards.check_generation({"do_sample": True, "temperature": 1.0, "seed": None}, 4, model)
    guards.check_generation({"do_sample": True, "temperature": 1.0}, 1, model)


def test_every_task_file_loads(monkeypatch) -> None:
    """A broken YAML is silently 'not found' in lm_eval: load every one of ours, with its problem set stood in for."""
    from prm_eval.pools.problem_sets import ProblemSet
    from prm_eval.records import Problem

    asked: list[str] = []

    def stand_in(name, **options):
        asked.append(name)
        return ProblemSet(name, (Problem("1", "What is 1+1?", "2", "Algebra", 1),))

    monkeypatch.setattr("prm_eval.harness.task.load_problems", stand_in)
    manager = TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata={"n_samples": 2})
    loaded = manager.load(["math500_bon", "gsm8k_bon", "math_bon"])["tasks"]
    assert len(loaded) == 2 + 7
    assert sorted(asked)[:2] == ["gsm8k", "math/algebra"]
    task = loaded["math500_bon"]
    prompt = task.doc_to_text(task.eval_docs[0])
    assert prompt.startswith("What is 1+1?")
    assert "\\boxed{}" in prompt
    kwargs = task.config.generation_kwargs
    assert (kwargs["until"], kwargs["do_sample"], task.config.repeats, kwargs["max_gen_toks"]) == ([], True, 2, 2048)


def test_an_orm_and_a_prm_of_the_same_name_stay_two_models(here, pool) -> None:
    """Reward files are told apart by their role: one must not be read in the other's place."""
    grade_pool(pool)
    steps = pool.path / "rewards" / "step_scores"
    info = json.loads((steps / "submission.json").read_text())
    (steps / "submission.json").write_text(json.dumps({**info, "name": "score"}))
    stored = {"orm_model": f"stored:{pool.path / 'rewards' / 'score'}", "prm_model": f"stored:{steps}"}
    both = run(metadata={"replay": str(pool.path), **stored})["results"]["problems_bon"]
    for role in ("orm", "prm"):
        alone = run(metadata={"replay": str(pool.path), f"{role}_model": stored[f"{role}_model"]})["results"][
            "problems_bon"
        ]
        assert both[f"acc@4,{role}"] == alone[f"acc@4,{role}"]
    assert both["acc@4,orm"] != both["acc@4,prm"]


def test_the_policy_makes_room_and_comes_back(here, models, monkeypatch) -> None:
    """policy_offload: while candidates are scored the policy is on the CPU, afterwards where it was, also after a
    failure."""
    import torch

    from prm_eval.rewards.models.recipe_checkpoint import RecipeModel

    moves: list[str] = []
    real, score = torch.nn.Module.to, RecipeModel.score_rendered

    def to(self, *where, **options):
        if type(self).__name__ == "LlamaForCausalLM" and where:
            moves.append(str(where[0]))
        return real(self, *where, **options)

    def noted(self, *arguments):
        moves.append("scoring")
        return score(self, *arguments)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    monkeypatch.setattr(RecipeModel, "score_rendered", noted)
    options = {
        "model": "hf",
        "model_args": {"pretrained": str(models["policy"]), "dtype": "float32"},
        "device": "cpu",
        "gen_kwargs": {"max_gen_toks": 4},
    }
    metadata = settings(here, prm_model=str(models["prm"]))
    run(**options, metadata={**metadata, "policy_offload": "true"})
    start = moves.index("scoring")
    assert moves[start - 1 : start + 2] == ["cpu", "scoring", "cpu"]
    moves.clear()
    monkeypatch.setattr(RecipeModel, "score_rendered", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(**options, metadata={**metadata, "policy_offload": "true", "dump_dir": "again"})
    assert moves[-2:] == ["cpu", "cpu"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Canned(TEXTS), "moves policies of --model hf, not Model"),
        ({"is_quantized": True}, "cannot move a quantised policy"),
        ({"hf_device_map": {"a": 0, "b": "cpu"}}, "spread over 0, cpu"),
    ],
)
def test_a_policy_that_cannot_be_moved_is_said_before_generation(here, model, message) -> None:
    """vLLM, quantised and sharded policies: refused at once, with what to do instead, not after hours."""
    from types import SimpleNamespace

    from prm_eval.harness.offload import movable_policy

    if isinstance(model, dict):
        module = SimpleNamespace(to=print, parameters=print, **model)
        with pytest.raises(PrmEvalError, match=message):
            movable_policy(SimpleNamespace(model=module))
        return
    with pytest.raises(PrmEvalError, match=message):
        run(model=model, metadata=settings(here, prm_model="arithmetic", policy_offload="true"))
    assert type(model).asked == 0


def test_each_rank_scores_its_own_problems_once(here, monkeypatch) -> None:
    """Two ranks: their pools share no problem, hold all of them together, and no candidate is scored twice."""
    from prm_eval.rewards.models.rules import ArithmeticPRM

    scored: list[str] = []
    score = ArithmeticPRM.score

    def noted(self, items):
        scored.extend(f"{each.statement} {each.text}" for each in items)
        return score(self, items)

    monkeypatch.setattr(ArithmeticPRM, "score", noted)
    metadata = settings(here, prm_model="arithmetic")
    for rank in range(2):
        manager = TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata=metadata)
        task = manager.load(["problems_bon"])["tasks"]["problems_bon"]
        task.set_config("task", "problems_bon")
        task.build_all_requests(rank=rank, world_size=2)
        assert len(task.instances) == 1
        for k, text in enumerate(TEXTS[:4]):
            task.instances[0].resps.append(f"{text} {k}")
        task.apply_filters()
        assert "acc@4" in json.loads(task.instances[0].filtered_resps["prm"])
    pools = dumps(here)
    assert sorted(name for pool in pools for name in pool.problems) == ["a", "b"]
    assert len(scored) == len(set(scored)) == 8


def test_both_doors_give_the_same_k_measures(here, pool) -> None:
    """``k_measures`` is one option under one name: every figure under its filter equals `prm-eval evaluate
    --k-measures`, and without it nothing of them is reported."""
    grade_pool(pool)
    plain = run(metadata={"replay": str(pool.path), "ns": "1+2+3+4"})["results"]["problems_bon"]
    assert not [name for name in plain if "k_measures" in name or name.startswith(("pass", "avg"))]
    asked = {"replay": str(pool.path), "ns": "1+2+3+4", "selectors": "first", "k_measures": "all+g-pass@k:0.9"}
    results = run(metadata=asked)["results"]["problems_bon"]
    here_too = evaluate(pool, ns=[1, 2, 3, 4], selectors=["first"], k_measures=["all", "g-pass@k:0.9"])
    assert set(here_too.curves) == {("first", None)}, "the vote of maj@k is not shown among the selectors"
    rows = here_too.k_measures.rows
    assert len(rows) == 7 * 4
    for row in rows:
        assert results[f"{row.metric},k_measures"] == pytest.approx(row.value, abs=1e-12)
    by_name = {row.metric: row.value for row in rows}
    assert by_name["pass^1"] == by_name["pass@1"] == by_name["avg@4"]
    # two of four are right in both problems
    assert [by_name[f"g-pass@4:{tau}"] for tau in ("0.5", "0.75", "0.9")] == [1.0, 0.0, 0.0]
    assert by_name["pass^4"] == 0.0 < by_name["pass^2"] < by_name["pass@2"] < by_name["pass@4"] == 1.0
    with pytest.raises(PrmEvalError, match=r"unknown k-measure 'pass\^8'"):
        read_options({"k_measures": "pass^8"})
