"""Reward models: fed exactly, read exactly, refusing in words, resuming where they stopped."""

from __future__ import annotations

import json
import math

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError, ModelError, OtherRewards, PrmEvalError
from prm_eval.records import ScoringItem, StepRewards
from prm_eval.rewards import RewardFile, aggregate, load_reward_model, score_pool
from prm_eval.rewards.models.rules import ArithmeticPRM, equality_holds
from prm_eval.texts.steps import split_steps


def item(statement: str, text: str) -> ScoringItem:
    return ScoringItem(statement, text, split_steps(text, "line"))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=8))
def test_aggregations_agree_with_their_definitions(values) -> None:
    """prod, min, mean, last over probabilities, from log-odds: order and weight are those of the plain formulas."""
    p = [1 / (1 + math.exp(-v)) for v in values]
    expected = {"prod": math.prod(p), "min": min(p), "mean": sum(p) / len(p), "last": p[-1]}
    for name, value in expected.items():
        assert aggregate(values, name, "logodds")[1] == pytest.approx(value, rel=1e-9, abs=1e-15)
    assert min(p) - 1e-9 <= aggregate(values, "soft_min", "logodds")[0] <= max(p) + 1e-9


def test_long_products_do_not_underflow_into_ties() -> None:
    """2,000 poor steps: the probability is 0 in a float, but the better of two such candidates still ranks higher."""
    poor, poorer = aggregate([-3.0] * 2_000, "prod", "logodds"), aggregate([-3.0] * 1_999 + [-4.0], "prod", "logodds")
    assert poor[1] == poorer[1] == 1e-300  # as small as a weight gets, and still a vote
    assert poor[0] > poorer[0]


def test_aggregate_refuses_what_has_no_meaning() -> None:
    """Nothing, infinities and unknown names are errors, never a number."""
    for values, name in (([], "prod"), ([math.inf], "prod"), ([0.1], "median")):
        with pytest.raises(PrmEvalError):
            aggregate(values, name, "raw")


@pytest.mark.parametrize(
    ("chain", "holds"),
    [("3 \\cdot 4 = 12", True), ("3*4=13", False), ("2 + 3 \\times 4 = 14", True), ("2+3*4=20", False), ("10 / 4 = 2.5",
    True), ("1/3 = 0.33", True),
     ("1/3 = 0.34", False), ("5 - 7 = -2", True), ("6 / 0 = 1", False), ("-3 + 5 = 2", True), ("2 * -3 = -6", True)],
)  # fmt: skip
def test_arithmetic(chain, holds) -> None:
    """The arithmetic verifier is right about arithmetic."""
    assert equality_holds(chain) is holds


def test_arithmetic_prm_finds_false_steps_only_where_it_can_read_them() -> None:
    """Expressions it cannot read whole (x^2 = ..., (1+2)*3 = 9, 2x = 4) are not called wrong."""
    texts = [
        "So $3 \\cdot 4 = 12$.",
        "Then 3 + 4 = 8",
        "(1+2)*3 = 9 and x+2 = 4",
        "2+3 = 5x",
        "no numbers",
        "1 + 2 = 3 \\cdot 1",
    ]
    found = ArithmeticPRM().score([ScoringItem("p", "", (text,)) for text in texts])
    assert [each.values[0] for each in found] == [2.0, -4.0, 1.0, 1.0, 1.0, 1.0]


def reference_prm(folder, statement: str, steps) -> list[float]:
    """A slow transliteration of how step classifiers are trained: prompt ids, then each step's ids and the
    separator's."""
    import torch
    import transformers

    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    values = []
    for k in range(1, len(steps) + 1):  # one forward a step, as the slow way does
        ids = [tokenizer.bos_token_id, *encode(statement)]
        for step in steps[:k]:
            ids += encode(step) + encode("\n")
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        values.append(float(logits[1] - logits[0]))
    return values


def test_token_classification_prm_equals_the_slow_reference(models) -> None:
    """Batched, padded, one pass: the same log-odds to 1e-5 as one unpadded forward per step."""
    items = [
        item("What is 1+1?", "1+1 = 2\nso 2\n\\boxed{2}"),
        item("Q", "one"),
        item("What is 1+1?", "a much longer step " * 9 + "\nend"),
    ]
    found = load_reward_model(str(models["prm"])).score(items)
    for each, scored in zip(items, found, strict=True):
        assert scored.values == pytest.approx(reference_prm(models["prm"], each.statement, each.steps), abs=1e-5)


@pytest.mark.parametrize("name", ["orm", "orm_chat"])
def test_sequence_classification_orm_equals_the_slow_reference(models, name) -> None:
    """The raw logit at the last token, also where the text ends with the padding token and where the template adds
    bos."""
    import torch
    import transformers

    folder = models[name]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    items = [item("What is 1+1?", "1+1 = 2\n\\boxed{2}"), item("Q", "x"), item("Q", "a longer text " * 20)]
    for each, scored in zip(items, load_reward_model(str(folder)).score(items), strict=True):
        if name == "orm_chat":
            text = f"<s>[user]{each.statement}</s>[assistant]{each.text}</s>"
            parts = ["<s>", *f"[user]{each.statement}", "</s>", *f"[assistant]{each.text}", "</s>"]
            assert (
                tokenizer.apply_chat_template(
                    [{"role": "user", "content": each.statement}, {"role": "assistant", "content": each.text}],
                    tokenize=False,
                )
                == text
            )
            ids = tokenizer.convert_tokens_to_ids(parts)
        else:
            ids = tokenizer(f"{each.statement}\n\n{each.text}")["input_ids"]
        with torch.no_grad():
            hidden = model.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
            expected = float(model.score(hidden)[0])
        assert scored.values == pytest.approx([expected], abs=1e-5)
        assert scored.n_tokens == len(ids)


def test_order_and_batching_do_not_matter(models) -> None:
    """A token budget that forces batches of one gives the same rewards, in the order of the items."""
    items = [item("Q", "step\n" * k + "end " * (9 - k)) for k in range(1, 9)]
    wide = load_reward_model(str(models["prm"])).score(items)
    narrow = load_reward_model(str(models["prm"]), batch_tokens=1).score(items)
    for one, other in zip(wide, narrow, strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-5)
        assert one.input_hash == other.input_hash


def test_over_length_is_refused_never_cut(models) -> None:
    """A candidate beyond the limit gets a reason, and its neighbours get their rewards."""
    found = load_reward_model(str(models["prm"]), max_tokens=30).score([item("Q", "short"), item("Q", "long " * 30)])
    assert found[0].refusal is None
    assert found[1].values == ()
    assert found[1].refusal == "over-length: 152 tokens, limit 30"


def test_models_that_cannot_be_used_say_so_before_any_work(models, tmp_path) -> None:
    """Unknown names, wrong kinds, missing weights, odd options: each an error with the next step, none loads
    weights."""
    (tmp_path / "empty").mkdir()
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (pickled / file).write_bytes((models["prm"] / file).read_bytes())
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04")
    for name, options, message in (
        ("aritmetic", {}, "Did you mean 'arithmetic'"),
        ("nobody/no-such-model", {}, "cannot be loaded"),
        (str(tmp_path / "empty"), {}, "cannot be loaded"),
        (str(models["policy"]), {}, "architecture LlamaForCausalLM; expected one that ends in ForTokenClassification"),
        (str(pickled), {}, "pickled weights are not loaded"),
        (str(models["prm"]), {"dtype": "int3"}, "dtype 'int3'"),
        (str(models["prm"]), {"batch_tokens": 0}, "expected a positive whole number"),
        (str(models["prm"]), {"device": 1}, "device '1'"),  # as lm_eval reads --metadata prm_device=1
        (
            str(models["prm"]),
            {"splitter": "lines"},
            "unknown splitter 'lines'; expected one of line, blank_line, step_k, given",
        ),
        (str(models["prm"]), {"cache": str(pickled / "config.json")}, "give a folder that can be written"),
        (str(models["prm"]), {"aggregation": "median"}, "unknown aggregation"),
        (str(models["orm"]), {"separator": "x"}, "does not take these options"),
        ("arithmetic", {"device": "cpu"}, "cannot be made with these options"),
        ("stored", {}, "need a folder"),
        ("tests.rewards.test_rewards:item", {}, "cannot be made with these options"),
        ("no_such_package:Thing", {}, "cannot be imported"),
    ):
        with pytest.raises(PrmEvalError) as caught:
            load_reward_model(name, **options)
        assert message in str(caught.value), name


def test_a_gpu_that_is_not_there_is_found_before_generation(models, monkeypatch) -> None:
    """cuda:5 on a machine with one GPU fails when weights are moved, after the candidates were written."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert load_reward_model(str(models["prm"]), device="cuda:0").device == "cuda:0"
    with pytest.raises(ModelError, match="this machine has 1 CUDA devices, counted from 0"):
        load_reward_model(str(models["prm"]), device="cuda:5")


def test_numbers_that_lm_eval_makes_of_texts_are_texts_again(models, tmp_path, monkeypatch) -> None:
    """--metadata prm_cache=1 prm_revision=1234567 arrive as numbers: a TypeError after hours of generation."""
    monkeypatch.chdir(tmp_path)
    model = load_reward_model(str(models["prm"]), cache=1, revision=1234567)
    assert (tmp_path / "1").is_dir()
    assert model.describe()["revision"] == "1234567"


class Counting(ArithmeticPRM):
    """Counts what it is asked, and stops after some candidates as a killed process does."""

    name = "counting"

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.scored, self.stop_after = 0, stop_after

    def score(self, items):
        if self.stop_after is not None and self.scored >= self.stop_after:
            raise KeyboardInterrupt
        self.scored += len(items)
        return super().score(items)


def small_chunks(monkeypatch) -> None:
    monkeypatch.setattr("prm_eval.rewards.scoring.CHUNK", 2)
    monkeypatch.setattr("prm_eval.rewards.scoring.LARGEST_CHUNK", 2)


def test_scoring_resumes_where_it_stopped(pool, tmp_path, monkeypatch) -> None:
    """After an interruption only what is left is scored, a half-written line included; the result is that of one
    run."""
    small_chunks(monkeypatch)
    whole = score_pool(pool, Counting(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        score_pool(pool, Counting(stop_after=4), tmp_path / "part")
    partial = tmp_path / "part" / "rewards.partial.jsonl"
    with partial.open("ab") as log:
        log.write(b'{"c":"half a li')
    rest = Counting()
    finished = score_pool(pool, rest, tmp_path / "part")
    assert rest.scored == 8 - 4
    assert list(finished.rows()) == list(whole.rows())
    assert not partial.exists()
    again = Counting()
    score_pool(pool, again, tmp_path / "part")
    assert again.scored == 0  # complete rewards are not computed a second time


def test_a_partial_file_of_another_model_is_not_continued(pool, tmp_path, monkeypatch) -> None:
    """Rewards of two models must never mix in one file."""
    small_chunks(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        score_pool(pool, Counting(stop_after=2), tmp_path / "r")
    with pytest.raises(OtherRewards, match="interrupted run with another model"):
        score_pool(pool, ArithmeticPRM(), tmp_path / "r")
    score_pool(pool, Counting(), tmp_path / "r")
    with pytest.raises(PrmEvalError, match="holds rewards with name"):
        score_pool(pool, ArithmeticPRM(), tmp_path / "r")


def test_a_run_that_finished_nothing_does_not_stand_in_the_way(pool, tmp_path) -> None:
    """A command that failed at its first candidate left a header; corrected, it was told to finish the wrong one
    first."""
    with pytest.raises(KeyboardInterrupt):
        score_pool(pool, Counting(stop_after=0), tmp_path / "r")
    assert (tmp_path / "r" / "rewards.partial.jsonl").stat().st_size > 0
    assert score_pool(pool, ArithmeticPRM(), tmp_path / "r").name == "arithmetic"


def test_identical_candidates_are_scored_once(tmp_path) -> None:
    """Duplicates cost nothing and get the same reward."""
    from prm_eval.importers import import_pool
    from tests.conftest import write_jsonl

    rows = [{"problem": "p", "answer": "1", "samples": [{"text": "1+1 = 2"}, {"text": "x"}, {"text": "1+1 = 2"}]}]
    model = Counting()
    rewards = score_pool(
        import_pool(write_jsonl(tmp_path / "d.jsonl", rows), tmp_path / "p").pool, model, tmp_path / "r"
    )
    values = [each.values for _, _, each in rewards.rows()]
    assert model.scored == 2
    assert values[0] == values[2]


class Broken(ArithmeticPRM):
    """Returns what it is told."""

    name = "broken"

    def __init__(self, results) -> None:
        super().__init__()
        self.results = results

    def score(self, items):
        return [self.results] * len(items)


def test_what_a_model_returns_is_checked(pool, tmp_path) -> None:
    """NaN becomes a refusal with its reason, a wrong number of rewards an error; neither becomes a number."""
    refused = score_pool(pool, Broken_for_nan(), tmp_path / "nan")
    assert {each.refusal for _, _, each in refused.rows()} == {"non-finite reward"}
    with pytest.raises(ModelError, match="returned 9 rewards for a candidate that needs"):
        score_pool(pool, Broken(StepRewards((0.0,) * 9)), tmp_path / "nine")


class Broken_for_nan(ArithmeticPRM):
    """NaN for every step."""

    name = "nan"

    def score(self, items):
        return [StepRewards((math.nan,) * len(each.steps)) for each in items]


def rewrite(folder, change) -> None:
    table = pq.read_table(folder / "rewards.parquet").to_pylist()
    schema = pq.read_schema(folder / "rewards.parquet")
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(change(table), schema=schema), folder / "rewards.parquet")


def damage(**fields):
    def change(rows):
        rows[2] = {**rows[2], **fields}
        return rows

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage(step_rewards=[math.nan], n_steps=1), "row 3: found a reward that is not finite"),
        (damage(step_rewards=[math.inf], n_steps=1), "row 3: found a reward that is not finite"),
        (damage(step_rewards=[None], n_steps=1), "row 3: found a reward that is not finite"),
        (damage(step_rewards=[0.5], n_steps=4), "row 3: found 1 rewards; expected 4"),
        (damage(step_rewards=[0.5, 0.5], n_steps=2), "row 3: found 2 steps; expected 1, as the splitter 'line'"),
        (damage(step_rewards=None), "row 3: found no step rewards"),
        (damage(refusal="too long"), "row 3: found rewards and the refusal"),
        (damage(candidate_id="0002-00000000"), "row 3: found candidate '0002-00000000'"),
        (lambda rows: rows[:3] + rows[4:], "found 3 candidates of problem 'a'; expected its 4 candidates"),
        (
            lambda rows: [*rows, {**rows[-1], "problem_id": "new"}],
            "row 9: found problem 'new' out of order, twice or unknown",
        ),
        (lambda rows: rows[4:] + rows[:4], "found 0 candidates of problem 'a'; expected its 4 candidates"),
    ],
)
def test_damaged_reward_files(pool, change, message) -> None:
    """Every fault of a stranger's reward file names the row; none is averaged away."""
    from prm_eval.evaluation.curves import graded_slots

    folder = pool.path / "rewards" / "step_scores"
    rewrite(folder, change)
    with pytest.raises(DataError) as caught:
        list(graded_slots(pool, "published", [RewardFile(folder)]))
    assert message in str(caught.value)
    assert "rewards.parquet" in str(caught.value)


def test_rewards_of_another_pool_and_malformed_descriptions(pool) -> None:
    """Rewards for another pool, and a submission.json that says something unknown, are refused."""
    folder = pool.path / "rewards" / "step_scores"
    info = json.loads((folder / "submission.json").read_text())
    (folder / "submission.json").write_text(json.dumps({**info, "pool_hash": "f" * 64}))
    with pytest.raises(DataError, match="rewards for pool ffffffffffff"):
        RewardFile(folder).require_pool(pool)
    for field, value, message in (
        ("kind", "judge", "kind = 'judge'"),
        ("aggregation", "median", "aggregation = 'median'"),
        ("schema", "x", "schema 'x'"),
    ):
        (folder / "submission.json").write_text(json.dumps({**info, field: value}))
        with pytest.raises(DataError) as caught:
            RewardFile(folder)
        assert message in str(caught.value)


def test_two_processes_never_score_into_one_folder(pool, tmp_path, monkeypatch) -> None:
    """Interleaved lines would give rewards to the wrong candidates: the second process is turned away."""
    small_chunks(monkeypatch)

    class Nested(ArithmeticPRM):
        name = "counting"

        def score(self, items):
            with pytest.raises(PrmEvalError, match="another process is scoring into"):
                score_pool(pool, Counting(), tmp_path / "r")
            return super().score(items)

    score_pool(pool, Nested(), tmp_path / "r")


def test_a_line_of_another_candidate_is_found(pool, tmp_path, monkeypatch) -> None:
    """A partial file whose lines are not the candidates' in order is refused when it is turned into rewards."""
    small_chunks(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        score_pool(pool, Counting(stop_after=4), tmp_path / "r")
    partial = tmp_path / "r" / "rewards.partial.jsonl"
    header, *lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(b"".join([header, *lines[::-1]]))
    with pytest.raises(DataError, match="row 2"):
        score_pool(pool, Counting(), tmp_path / "r")


def test_sums_that_overflow_are_errors() -> None:
    """Never NaN, never a bare OverflowError."""
    for values, name in (([1e308, 1e308], "mean"), ([1e308, -1e308], "soft_min")):
        with pytest.raises(PrmEvalError, match="not finite"):
            aggregate(values, name, "raw")
