"""Ranking without gold: which candidate comes first, where it is weakest, and how far reward models agree."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.ranking import letter, ranking_lines, run_ranking
from prm_eval.evaluation.viewing import view_candidates
from prm_eval.importers import import_pool
from prm_eval.records import StepRewards
from prm_eval.rewards.files.reward_file import RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo
from tests.conftest import write_jsonl


def pool_of(tmp_path, texts):
    """A pool of proofs whose candidates are the given texts, a list a problem."""
    rows = [
        {"id": f"p{k}", "problem": f"Prove {k}.", "samples": [{"text": t} for t in each]}
        for k, each in enumerate(texts)
    ]
    return import_pool(write_jsonl(tmp_path / "p.jsonl", rows), tmp_path / "p").pool


def rewards_of(pool, name, values, *, kind="prm", score_type="logodds", aggregation="min"):
    """A reward folder in the pool: for each candidate its numbers, or the reason of its refusal."""
    folder = pool.path / "rewards" / name.replace("/", "__")
    flat = iter(values)
    with RewardWriter(folder) as writer:
        for _, candidates in pool:
            for candidate in candidates:
                each = next(flat)
                refused = isinstance(each, str)
                writer.add(candidate, StepRewards(() if refused else tuple(each), each if refused else None))
    writer.describe(RewardInfo(name, kind, score_type, aggregation, None, pool.info.content_hash, run=writer.totals()))
    return folder


def test_the_first_candidate_its_weakest_step_and_the_order(tmp_path) -> None:
    """By hand: the smallest of a candidate's steps decides here, so the second candidate is first."""
    pool = pool_of(tmp_path, [["a\nb", "c\nd\ne", "f"], ["g", "h", "i\nj"]])
    rewards_of(pool, "prm", [[2.0, -1.0], [1.0, 0.5, 3.0], [0.0], "over-length: 9 tokens", "no step", [-1.0, -2.0]])
    found = run_ranking(pool.path)
    first, second = found.chosen
    assert (first.slot, first.order, first.tied, first.refused) == (1, (1, 2, 0), 1, {})
    assert first.weakest is not None
    assert (first.weakest.step, first.weakest.of, first.weakest.text) == (2, 3, "d")
    assert first.reward == pytest.approx(1 / (1 + math.exp(-0.5))) == pytest.approx(first.weakest.value)
    assert (second.slot, second.order, second.refused) == (2, (2,), {"over-length": 1, "no step": 1})


@pytest.mark.parametrize(
    ("score_type", "values", "reward"),
    [
        *((name, [[0.0, 2.0], [-1.0, 3.0]], 0.5) for name in ("logodds", "log_odds", "logit")),
        ("percent", [[50.0, 80.0], [20.0, 90.0]], 0.5),
        *((name, [[0.5, 0.8], [0.2, 0.9]], 0.5) for name in ("probability", "value")),
        ("raw", [[7.0, 8.0], [2.0, 9.0]], 7.0),
    ],
)
def test_numbers_are_shown_as_what_they_are_under_any_of_their_names(tmp_path, score_type, values, reward) -> None:
    """ "logit" is another word for "logodds": under it a step of log-odds 0 stood as probability 0."""
    pool = pool_of(tmp_path, [["a\nb", "c\nd"]])
    folder = rewards_of(pool, "prm", values, score_type=score_type)
    (first,) = run_ranking(pool.path).chosen
    assert first.slot == 0 and first.reward == pytest.approx(reward)
    assert first.weakest is not None and first.weakest.value == pytest.approx(reward)
    seen = view_candidates(pool.path, problem="p0", slot=0, rewards=[str(folder)])
    (given,) = seen.problems[0].candidates[0].rewards
    assert given.reward == pytest.approx(reward) and given.steps[0] == pytest.approx(reward)


def test_nothing_to_choose_is_said_and_not_chosen(tmp_path) -> None:
    """A problem whose candidates were all refused has no first one; slot 0 would be an invention."""
    pool = pool_of(tmp_path, [["a", "b"]])
    rewards_of(pool, "orm", ["no step", "no step"], kind="orm", score_type="raw")
    found = run_ranking(pool.path)
    assert (found.chosen[0].slot, found.chosen[0].reward, found.chosen[0].order) == (None, None, ())
    assert "  A  no candidate has a reward (refused: 2 no step)" in ranking_lines(found)


def test_ties_are_told_and_equal_texts_are_one(tmp_path) -> None:
    """Of 64 short candidates most are the same text: "tied with 40 others" must not look like indecision."""
    pool = pool_of(tmp_path, [["a", "a", "b", "c"]])
    rewards_of(pool, "orm", [[1.0], [1.0], [0.0], [-1.0]], kind="orm", score_type="raw")
    rewards_of(pool, "tie", [[1.0], [1.0], [1.0], [-1.0]], kind="orm", score_type="raw")
    found = run_ranking(pool.path)
    assert [(each.tied, each.tied_texts, each.slot) for each in found.chosen] == [(2, 1, 0), (3, 2, 0)]
    lines = ranking_lines(found)
    assert "  A  slot 0   1, first of 4, 2 of which have this text" in lines
    assert "  B  slot 0   1, one of 3 of 4 that are tied, with 2 texts" in lines


def test_agreement_is_that_of_two_who_choose_as_ties_allow(tmp_path) -> None:
    """Against all pairs of choices, counted: with refusals, ties and equal texts."""
    texts = [["a", "a", "b", "c"], ["a", "b", "c", "d"], ["a", "b", "b", "b"]]
    pool = pool_of(tmp_path, texts)
    random = np.random.default_rng(3)
    values = [random.integers(0, 3, 12).astype(float) for _ in range(2)]
    rows = [[["gone"] if random.random() < 0.2 else [value] for value in each] for each in values]
    rows = [["gone" if row == ["gone"] else row for row in each] for each in rows]
    for name, each in zip(("one", "two"), rows, strict=True):
        rewards_of(pool, name, each, kind="orm", score_type="raw")
    same, chance = [], []
    for k, several in enumerate(texts):
        best, scored = [], []
        for each in rows:
            here = each[4 * k : 4 * k + 4]
            there = [slot for slot in range(4) if here[slot] != "gone"]
            top = max(here[slot][0] for slot in there)
            best.append([slot for slot in there if here[slot][0] == top])
            scored.append(there)
        for kept, pair in ((same, best), (chance, scored)):
            meetings = [several[a] == several[b] for a, b in itertools.product(*pair)]
            kept.append(sum(meetings) / len(meetings))
    (found,) = run_ranking(pool.path).agreements
    assert found.problems == 3
    assert found.same == pytest.approx(np.mean(same))
    assert found.by_chance == pytest.approx(np.mean(chance))


def test_a_model_agrees_with_itself(tmp_path) -> None:
    """Under two names the same numbers agree fully, and their ranks correlate by 1."""
    pool = pool_of(tmp_path, [["a", "b", "c"], ["d", "e", "f"]])
    for name in ("x/one", "y/two"):
        rewards_of(pool, name, [[0.1], [0.2], [0.3], [3.0], [2.0], [1.0]], kind="orm", score_type="value")
    (found,) = run_ranking(pool.path).agreements
    assert found.same == 1.0 and found.correlation == pytest.approx(1.0) and found.by_chance == pytest.approx(1 / 3)


def test_names_are_short_and_apart(tmp_path) -> None:
    """Whole paths make lines of 150 characters; two that end alike need more of their path."""
    pool = pool_of(tmp_path, [["a", "b"]])
    for name in ("/m/run1/out/prm", "/m/run2/out/prm", "/models/org/orm"):
        rewards_of(pool, name, [[0.1], [0.2]])
    names = [each.name for each in run_ranking(pool.path).rankers]
    assert names == ["run1/out/prm", "run2/out/prm", "org/orm"]


def test_hostile_texts_reach_neither_the_terminal_nor_break_the_json(tmp_path, capsys) -> None:
    """An escape sequence in a step, an id or a refusal must not be sent to the terminal."""
    rows = [{"id": "p\x1b[2J", "problem": "Prove.", "samples": [{"text": "a\x1b[31m\u202e\nb"}, {"text": "c"}]}]
    pool = import_pool(write_jsonl(tmp_path / "p.jsonl", rows), tmp_path / "p").pool
    rewards_of(pool, "evil\x1b[2J", [[0.1, 0.2], "no\x1b step"])
    assert main(["rank", str(pool.path)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\u202e" not in said
    assert "p<ESC>[2J" in said and "a<ESC>[31m<U+202E>" in said and "no<ESC> step" in said
    assert main(["rank", str(pool.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "prm_eval.ranking/1"
    assert found["rows"][0]["weakest"]["text"] == "a\x1b[31m\u202e"
    assert found["rows"][0]["reward_model"] == found["reward_models"][0]["name"]


def test_several_aggregations_and_no_accuracy(pool, capsys) -> None:
    """Each aggregation ranks by itself; of a pool that has gold the command that gives accuracies is named."""
    assert main(["rank", str(pool.path), str(pool.path / "rewards" / "step_scores"), "--aggregation", "prod,last"]) == 0
    said = capsys.readouterr().out
    assert "A  step_scores: PRM, prod" in said and "B  step_scores[last]: PRM, last" in said
    assert f"prm-eval evaluate {pool.path}" in said and "bon@" not in said


def test_without_rewards_the_next_step_is_named(tmp_path) -> None:
    """There is nothing to rank by, and the command that makes rewards is not obvious."""
    with pytest.raises(PrmEvalError, match=r"no rewards to rank by\. Make some: prm-eval score"):
        run_ranking(pool_of(tmp_path, [["a"]]).path)


def test_letters_go_on_after_z() -> None:
    """With 27 reward models two must not be called A."""
    assert len({letter(index) for index in range(80)}) == 80
    assert [letter(index) for index in (0, 25, 26)] == ["A", "Z", "A1"]
