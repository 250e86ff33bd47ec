"""Prefix scores: an outcome reward model that is asked about every beginning of a solution."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm_eval.cli.commands import main
from prm_eval.errors import ModelError, OtherRewards
from prm_eval.records import ScoringItem, Solution, StepRewards
from prm_eval.rewards import RewardModel, load_reward_model, score_pool
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.models.prefixes import (
    BETWEEN,
    PrefixScores,
    PrefixScoresAhead,
    by_prefixes,
    hash_of_prefixes,
    prefix_items,
)
from prm_eval.rewards.models.rules import ArithmeticPRM, BoxedSupportORM
from prm_eval.rewards.protocol import RendersAhead, device_of, free, work_done
from prm_eval.rewards.scoring import rewards_key
from prm_eval.stepsets import StepSetWriter
from prm_eval.stepsets.labels import by_first_error
from prm_eval.stepsets.writer import BETWEEN as OF_STEP_SETS
from prm_eval.stepsets.writer import candidate_of

pytest.importorskip("torch")
from prm_eval.rewards.engine.engine import Engine
from tests.rewards import tiny

STATEMENT = "What is 1+1?"
STEPS = [
    ("We add.", "So x = 2.", "Hence \\boxed{2}."),
    ("We add the numbers.\n\nSlowly.", "We add the numbers.", "x = 3", "Then (x + 1) = 3."),
    ("\\boxed{3}",),
    ("We add.", "So x = 2.", "Then x = 3."),  # begins as the first one
]


def item(steps: tuple[str, ...], text: str | None = None) -> ScoringItem:
    return ScoringItem(STATEMENT, BETWEEN.join(steps) if text is None else text, steps)


ITEMS = [item(steps) for steps in STEPS]


@pytest.fixture(scope="module")
def orm(tmp_path_factory) -> Path:
    """A random model of Qwen2.5-Math-RM's architecture."""
    folder = tmp_path_factory.mktemp("tiny") / "rm"
    return tiny.save_trunk(folder, "Qwen2", 152_064, tiny.qwen_tokenizer(), tiny.mlp(1), "Qwen2ForRewardModel")


def loaded(orm: Path, **options: object) -> RewardModel:
    return load_reward_model(f"qwen2.5-math-rm:{orm}", device="cpu", **options)


@pytest.fixture
def steps_pool(tmp_path):
    """A step set of 24 solutions of 2 to 5 steps, some of which begin alike."""
    with StepSetWriter(tmp_path / "set", name="s", labels="first_error", label_source="unknown") as writer:
        for k in range(24):
            steps = tuple(f"First {k // 2} + {j} = {k // 2 + j}." for j in range(2 + k % 4))
            writer.add(Solution(f"s{k}", f"What is {k // 2}?", steps, f"p{k // 2}"), by_first_error(-1, len(steps)))
    return writer.step_set.pool


def test_the_reward_of_a_step_is_that_of_the_solution_so_far(orm) -> None:
    """Otherwise a step is judged by other text than it and what stands before it; the last is the plain reward."""
    found = by_prefixes(loaded(orm)).score(ITEMS)
    plain = loaded(orm)
    candidates = [
        ScoringItem(STATEMENT, BETWEEN.join(each.steps[:count]), each.steps)
        for each in ITEMS
        for count in range(1, len(each.steps) + 1)
    ]
    together = plain.score(candidates)
    assert [value for result in found for value in result.values] == [each.values[0] for each in together]
    alone = iter([plain.score([each])[0] for each in candidates])
    for each, result in zip(ITEMS, found, strict=True):
        own = [next(alone) for _ in each.steps]
        assert result.values == pytest.approx([one.values[0] for one in own], rel=1e-5)  # the engine's rounding
        assert result.n_tokens == sum(one.n_tokens for one in own)
        hashes = b"".join(bytes.fromhex(one.input_hash) for one in own)
        assert result.input_hash == hashlib.sha256(hashes).hexdigest()
        assert result.values[-1] == pytest.approx(plain.score([each])[0].values[0], rel=1e-5)
    assert len({value for result in found for value in result.values}) > 6  # the numbers tell texts apart


def test_common_beginnings_are_computed_once(orm) -> None:
    """A solution of n steps would cost n solutions, and candidates that begin alike the same text again."""
    model = by_prefixes(loaded(orm))
    model.score(ITEMS)
    counts = work_done(model)
    assert counts["candidates"] == 11 - 2  # of eleven prefixes two are those of another solution
    assert counts["computed_tokens"] < 0.6 * counts["tokens"]


def test_prefixes_of_step_sets_are_what_a_step_set_joins() -> None:
    """The wall keeps the two constants apart: with another one, prefixes that cannot be found would be other texts."""
    assert BETWEEN == OF_STEP_SETS
    candidate = candidate_of(Solution("s", STATEMENT, ("a", "a", "b"), "p"))
    found = prefix_items(ScoringItem(STATEMENT, candidate.text, candidate.steps))
    assert [each.text for each in found] == ["a", "a\n\na", "a\n\na\n\nb"]
    assert [each.steps for each in found] == [("a",), ("a", "a"), ("a", "a", "b")]


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        ("x = 1\ny = 2\n", ("x = 1", "y = 2"), ["x = 1", "x = 1\ny = 2\n"]),  # as written, and all of it at last
        ("# x = 1\n---\ny = 2", ("x = 1", "y = 2"), ["# x = 1", "# x = 1\n---\ny = 2"]),  # signs may stand between
        ("a. b. a.", ("a.", "a."), ["a.", "a.\n\na."]),  # "b." is of no step
        ("a. c. b.", ("a.", "b.", "c."), ["a.", "a.\n\nb.", "a.\n\nb.\n\nc."]),  # another order
        ("a. b. So.", ("a.", "b."), ["a.", "a.\n\nb."]),  # the end is of no step
        ("<b>a</b>", ("a",), ["a"]),  # what stands around a step says something
        ("a\n\n\n\nb", ("a", "", "b"), ["a", "a", "a\n\n\n\nb"]),  # an empty step
    ],
)
def test_a_prefix_is_the_text_up_to_its_step(text, steps, expected) -> None:
    """A beginning with a later step in it would show a model the error before it comes."""
    assert [each.text for each in prefix_items(item(steps, text))] == expected


@given(st.lists(st.text("ab1 \n.", max_size=4), min_size=1, max_size=6), st.text("ab1 \n.", max_size=24))
def test_a_prefix_says_what_its_steps_say(steps, text) -> None:
    """Whatever steps and text are: no letter of a later step, and none lost."""

    def letters(part: str) -> str:
        return "".join(filter(str.isalnum, part))

    for given_text in (text, "\n".join(steps)):
        for count, each in enumerate(prefix_items(item(tuple(steps), given_text)), 1):
            assert letters(each.text) == letters("".join(steps[:count]))


class Refusing(BoxedSupportORM):
    """Refuses every text with a word, and counts what it was asked for."""

    def __init__(self, word: str) -> None:
        self.word, self.calls = word, []

    def score(self, items):
        self.calls.append(len(items))
        results = super().score(items)
        for place, each in enumerate(items):
            if self.word in each.text:
                results[place] = StepRewards((), f"a word: {each.text[-6:]}", 7)
            else:
                results[place] = replace(results[place], n_tokens=1)
        return results


def test_one_refused_prefix_refuses_the_candidate() -> None:
    """Numbers of some steps and none of others would be read as a shorter solution; the first reason is the one."""
    model = Refusing("= 3")
    found = by_prefixes(model).score(ITEMS)
    assert [each.refusal for each in found] == [None, "a word: \nx = 3", None, "a word: x = 3."]
    assert [len(each.values) for each in found] == [3, 0, 1, 0]
    assert [each.n_tokens for each in found] == [3, 7, 1, 7]
    assert model.calls == [11]  # all of them in one call


def test_a_refusal_of_the_engine_keeps_its_reason(orm, steps_pool, tmp_path) -> None:
    """Over-length refusals are counted by their reason, and no prefix of a refused candidate is computed."""
    length = max(each.n_tokens for each in loaded(orm).score(ITEMS))
    model = by_prefixes(loaded(orm, max_tokens=length - 1))
    found = model.score(ITEMS)
    rendered = model.score_rendered(model.render_all(ITEMS))
    assert [each.refusal for each in found] == [None, f"over-length: {length} tokens, limit {length - 1}", None, None]
    assert [(each.refusal, each.n_tokens, each.input_hash) for each in rendered] == [
        (each.refusal, each.n_tokens, each.input_hash) for each in found
    ]
    assert found[1].values == () and found[1].input_hash is None
    free(model)
    assert model.score_rendered(model.render_all([ITEMS[1]]))[0].refusal == found[1].refusal
    assert work_done(model) == {}  # the weights were not even loaded


@pytest.mark.parametrize("results", [[], [StepRewards((1.0,))], [StepRewards((1.0, 2.0))] * 3])
def test_a_model_that_returns_other_numbers_is_stopped(results) -> None:
    """Rewards would belong to another step, or another candidate."""

    class Wrong(BoxedSupportORM):
        def score(self, items):
            return results

    with pytest.raises(ModelError, match=r"boxed-support .*returned"):
        by_prefixes(Wrong()).score([ITEMS[0]])


def test_it_is_another_model_than_the_plain_one(orm, steps_pool, tmp_path) -> None:
    """Rewards of texts and rewards of prefixes would be taken for each other, in folders and in tables."""
    plain, model = loaded(orm), by_prefixes(loaded(orm))
    assert model.describe() == plain.describe() | {"prefixes": True}
    assert rewards_key(steps_pool, model, "same name") != rewards_key(steps_pool, plain, "same name")
    assert model.name != plain.name and model.kind == "prm" and model.score_type == plain.score_type
    score_pool(steps_pool, plain, tmp_path / "r")
    with pytest.raises(OtherRewards):
        score_pool(steps_pool, model, tmp_path / "r")


def test_one_reward_is_the_plain_one_unless_asked_otherwise(orm, steps_pool, tmp_path) -> None:
    """With a product or minimum by default, the same ORM would rank solutions otherwise than its authors say."""
    assert by_prefixes(loaded(orm), "min").aggregation == "min"
    model = by_prefixes(loaded(orm))
    assert model.aggregation == "last"
    rows = score_pool(steps_pool, model, tmp_path / "r").rows()
    plain = score_pool(steps_pool, loaded(orm), tmp_path / "plain").rows()
    for (_, _, each), (_, _, one) in zip(rows, plain, strict=True):
        assert each.values[-1] == pytest.approx(one.values[0], rel=1e-5)


def test_a_prm_is_refused() -> None:
    """It would be asked n times for what it says at once."""
    with pytest.raises(ModelError, match="arithmetic is a PRM, which gives every step a number"):
        by_prefixes(ArithmeticPRM())


def test_what_a_model_can_do_it_still_can(orm) -> None:
    """Weights that are never freed, a run without blocks, or a rule that is asked to render."""
    model, inner = by_prefixes(loaded(orm)), loaded(orm)
    assert isinstance(model, PrefixScoresAhead) and isinstance(model, RendersAhead)
    assert device_of(model) == "cpu" and work_done(model) == {} and model.splitter == inner.splitter
    assert model.identity() == inner.identity()  # so a cache of the plain model serves
    model.score(ITEMS[:1])
    assert work_done(model)["tokens"] > 0
    free(model)
    assert work_done(model) == {}
    rule = by_prefixes(BoxedSupportORM())
    assert type(rule) is PrefixScores and isinstance(rule, RewardModel) and not isinstance(rule, RendersAhead)
    assert rule.score(ITEMS[:1])[0].values == (-4.0, -4.0, 0.0)
    assert rule.score([]) == [] == model.score_rendered([])
    free(rule)
    assert work_done(rule) == {} and device_of(rule) == "cpu"


def test_the_hash_is_over_every_prefix() -> None:
    """A middle prefix that was fed otherwise would not show."""
    hashes = [Rendered((k,), (0,)).input_hash for k in range(3)]
    assert hash_of_prefixes(hashes) not in (hash_of_prefixes(hashes[::-1]), hash_of_prefixes(hashes[1:]))
    assert hash_of_prefixes([*hashes, None]) is None


def broken_after(monkeypatch, passes: int) -> list[int]:
    """Stop the engine after so many forward passes, as a kill does; return the list that counts them."""
    forward, done = Engine._forward, []

    def counted(self, *arguments):
        if len(done) == passes:
            raise KeyboardInterrupt
        done.append(1)
        return forward(self, *arguments)

    monkeypatch.setattr(Engine, "_forward", counted)
    return done


def test_an_interrupted_run_gives_the_bytes_of_a_whole_one(orm, steps_pool, tmp_path, monkeypatch) -> None:
    """Interrupted within its second block, it goes on with what is left, prefix by prefix, and tells all it did."""
    monkeypatch.setattr("prm_eval.rewards.scoring.BLOCK", 8)
    told: list[int] = []
    small = {"batch_tokens": 100}
    with monkeypatch.context() as patch:
        passes = broken_after(patch, 1_000)
        whole = by_prefixes(loaded(orm, **small))
        score_pool(steps_pool, whole, tmp_path / "whole", progress=lambda done, tokens: told.append(done))
    assert told == sorted(told) and told[-1] == 24 and len(set(told)) > 6
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_after(patch, len(passes) // 2)
        score_pool(steps_pool, by_prefixes(loaded(orm, **small)), tmp_path / "part")
    assert (tmp_path / "part" / "scores.partial").exists()  # within a block
    with monkeypatch.context() as patch:
        rest = broken_after(patch, 1_000)
        model = by_prefixes(loaded(orm, **small))
        score_pool(steps_pool, model, tmp_path / "part")
    assert len(rest) == len(passes) - len(passes) // 2  # nothing is computed twice
    files = [(tmp_path / name / "rewards.parquet").read_bytes() for name in ("whole", "part")]
    assert files[0] == files[1]
    with monkeypatch.context() as patch:
        broken_after(patch, 0)
        score_pool(steps_pool, by_prefixes(loaded(orm, **small)), tmp_path / "part")  # finished: nothing is computed


def test_a_plain_run_is_not_continued_by_prefixes(orm, steps_pool, tmp_path, monkeypatch) -> None:
    """One file would hold one number for some solutions and one a step for others."""
    monkeypatch.setattr("prm_eval.rewards.scoring.BLOCK", 8)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        broken_after(patch, 12)
        score_pool(steps_pool, loaded(orm, batch_tokens=100), tmp_path / "r")
    with pytest.raises(OtherRewards, match="another model"):
        score_pool(steps_pool, by_prefixes(loaded(orm, batch_tokens=100)), tmp_path / "r")


def test_on_a_step_set_an_orm_reads_prefixes_without_being_asked(steps_pool, tmp_path, capsys) -> None:
    """Otherwise it would have one number a solution, which locates nothing; that it did otherwise is said."""
    where = ["score", str(steps_pool.path), "--reward-model", "boxed-support", "-o", str(tmp_path / "r")]
    assert main(where) == 0
    assert "prefixes   the ORM reads every prefix: one number a step\n" in capsys.readouterr().out
    assert main([*where, "--prefixes"]) == 0  # the same rewards
    assert main([*where[:-1], str(tmp_path / "prm"), "--reward-model", "arithmetic"]) == 0
    assert "prefixes" not in capsys.readouterr().out.split("\n", 5)[-1]


def test_on_a_pool_prefixes_are_read_only_when_asked_for(orm, pool, tmp_path, capsys) -> None:
    """The rewards of every ORM on every pool would become others."""
    where = ["score", str(pool.path), "--reward-model", f"qwen2.5-math-rm:{orm}", "--device", "cpu", "-o"]
    assert main([*where, str(tmp_path / "plain")]) == 0
    assert "every prefix" not in capsys.readouterr().out
    assert main([*where, str(tmp_path / "prefixes"), "--prefixes", "--aggregation", "min"]) == 0
    out = capsys.readouterr().out
    assert "every prefix" in out and "(prm, min)" in out and " distinct prefixes, " in out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--reward-model", "arithmetic"], "arithmetic is a PRM, which gives every step a number"),
        (["--reward-model", "boxed-support", "--runner", "ray"], "in this process alone; leave out --runner ray"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(pool, tmp_path, capsys, options, reason) -> None:
    """A PRM would be scored as if it were none, and Ray's workers would load the plain ORM."""
    assert main(["score", str(pool.path), "-o", str(tmp_path / "r"), "--prefixes", *options]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
