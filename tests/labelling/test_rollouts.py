"""Rollouts with policies that say what the test wants: values, labels, what is asked and what is not, and resuming."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.labelling.completers import Completion, Frame, Sampling
from prm_eval.labelling.prefixes import beginnings, seed_of
from prm_eval.labelling.rollouts import JOURNAL, RESULTS, Rollouts
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.texts.steps import split_steps
from tests.labelling.conftest import SMALL, make_pool


class Scripted:
    """A policy that writes right answers to a share of requests, by a rule of the prompt; it counts what is asked."""

    name = "scripted"

    def __init__(self, right=lambda prompt: 8, at_once=3, dies_after=None, refuses=lambda prompt: False) -> None:
        self.right, self.at_once, self.dies_after, self.refuses = right, at_once, dies_after, refuses
        self.asked: Counter[str] = Counter()
        self.seeds: dict[str, int] = {}
        self.answer = lambda right: "so \\boxed{%s}" % ("2" if right else "7")

    def describe(self):
        return {"id": "scripted"}

    def complete(self, requests, how):
        for place, request in enumerate(requests):
            if self.dies_after is not None and sum(self.asked.values()) >= self.dies_after:
                raise ModelError("the server is gone")
            self.asked[request.prompt] += 1
            self.seeds[request.prompt] = request.seed
            right = self.right(request.prompt)
            texts = [self.answer(k < right) for k in range(how.rollouts)]
            given = [Completion(each, False) for each in texts]
            yield place, "over-length: 9" if self.refuses(request.prompt) else given


HOW = Sampling(rollouts=8, temperature=1.0, max_new_tokens=5)
ONE = {
    "a": ("Two?", "2", ["one\nbad\n\\boxed{2}", "one\nworse\nx\n\\boxed{3}", "one\nbad\n\\boxed{2}", "one\ngood\nno"])
}


def by_words(prompt: str) -> int:
    """8 of 8 right after good, 3 after bad, none after worse."""
    return 0 if "worse" in prompt else 3 if "bad" in prompt else 8


def shares(labels, pool):
    return [each.label.soft for each in labels.labelled(pool)]


@pytest.fixture
def one(tmp_path):
    return make_pool(tmp_path / "one", ONE)


def test_the_value_of_a_step_is_the_share_of_right_completions(one, tmp_path) -> None:
    """3 of 8 is 0.375, never right is 0 and wrong, the last step is worth what its own answer is; every distinct
    beginning is asked about once, and no whole solution at all."""
    policy = Scripted(by_words)
    found = Rollouts(one, tmp_path / "l", policy, Frame(), HOW).run()
    assert shares(found.labels, one) == [(1.0, 0.375, 1.0), (1.0, 0.0, 0.0, 0.0), (1.0, 0.375, 1.0), (1.0, 1.0, 0.0)]
    labels = [each.label for each in found.labels.labelled(one)]
    assert [each.first_error for each in labels] == [-1, 1, -1, 2]
    assert [each.final_correct for each in labels] == [True, False, True, False]
    assert policy.asked == Counter(
        {f"Two?\n{each}": 1 for each in ("one\n", "one\nbad\n", "one\nworse\n", "one\nworse\nx\n", "one\ngood\n")}
    )
    counts = found.counts
    assert (counts.candidates, counts.texts, counts.steps, counts.beginnings) == (4, 3, 9, 5)
    assert (found.asked, found.completions, found.without_answer) == (5, 40, 0)
    info = found.labels.info
    assert (info.source, info.labels, info.by) == ("rollouts", "soft", "8 rollouts of scripted")
    assert info.settings["rollouts"]["sampling"]["temperature"] == 1.0
    assert not (tmp_path / "l" / JOURNAL).exists()
    rows = [json.loads(line) for line in (tmp_path / "l" / RESULTS).read_text().splitlines()]
    assert sum(sum(row["right"]) for row in rows) == 8 + 3 + 0 + 0 + 8 and set(rows[0]["answers"]) == {"2"}


def test_hard_labels_and_stopping(one, tmp_path) -> None:
    """Hard at 0 is Math-Shepherd's; at 0.4 a step with 3 of 8 is wrong too. With stop nothing behind the first step
    that is never right is asked or labelled."""
    hard = Rollouts(one, tmp_path / "hard", Scripted(by_words), Frame(), HOW, hard=0.4).run()
    ratings = [each.label.ratings for each in hard.labels.labelled(one)]
    assert ratings == [(1, -1, 1), (1, -1, -1, -1), (1, -1, 1), (1, 1, -1)]
    assert next(hard.labels.labelled(one)).label.source_label == "1 0.375 1"
    policy = Scripted(by_words)
    stopped = Rollouts(one, tmp_path / "stop", policy, Frame(), HOW, stop=True).run()
    assert shares(stopped.labels, one)[1] == (1.0, 0.0, None, None)
    assert shares(stopped.labels, one)[3] == (1.0, 1.0, 0.0)
    assert "Two?\none\nworse\nx\n" not in policy.asked and len(policy.asked) == 4


def test_a_killed_run_goes_on_and_ends_the_same(one, tmp_path) -> None:
    """What was asked is not asked again, with other lots or another order too; the labels are those of a run that was
    never interrupted; a finished folder asks nothing."""
    whole = Rollouts(one, tmp_path / "whole", Scripted(by_words), Frame(), HOW).run()
    dying = Scripted(by_words, at_once=2, dies_after=3)
    with pytest.raises(ModelError):
        Rollouts(one, tmp_path / "l", dying, Frame(), HOW).run()
    assert (tmp_path / "l" / JOURNAL).is_file() and not (tmp_path / "l" / "labels.json").exists()
    policy = Scripted(by_words, at_once=1)
    again = Rollouts(one, tmp_path / "l", policy, Frame(), HOW).run()
    # of the lot in which it died, what came before is there too
    assert again.resumed == 3 and sum(policy.asked.values()) == 2
    assert shares(again.labels, one) == shares(whole.labels, one)
    silent = Scripted(by_words, dies_after=0)
    assert Rollouts(one, tmp_path / "l", silent, Frame(), HOW).run().outcome is None
    # the same results make labels of another kind only in another folder
    with pytest.raises(PrmEvalError, match=r"made otherwise: hard.*remove labels\.json and labels\.parquet"):
        Rollouts(one, tmp_path / "l", silent, Frame(), HOW, hard=0.0).run()


def test_other_labels_of_the_same_rollouts_ask_nothing_again(one, tmp_path) -> None:
    """Ratings in place of shares, or a longer queue: the completions are there, and cost hours. Those of another K are
    others."""
    keys = [(each.problem_id, each.candidate_id) for each in one.candidates(0, 4)]
    Rollouts(one, tmp_path / "l", Scripted(by_words), Frame(), HOW, wanted=keys[:1]).run()
    policy = Scripted(by_words)
    more = Rollouts(one, tmp_path / "m", policy, Frame(), HOW, results=tmp_path / "l").run()
    assert (more.resumed, sum(policy.asked.values())) == (2, 3)
    whole = Rollouts(one, tmp_path / "w", Scripted(by_words), Frame(), HOW).run()
    assert shares(more.labels, one) == shares(whole.labels, one)
    nobody = Scripted(by_words, dies_after=0)
    hard = Rollouts(one, tmp_path / "h", nobody, Frame(), HOW, hard=0.4, results=tmp_path / "m").run()
    assert next(hard.labels.labelled(one)).label.ratings == (1, -1, 1)
    # and these are results for others in their turn
    again = Rollouts(one, tmp_path / "s", nobody, Frame(), HOW, stop=True, results=tmp_path / "h").run()
    assert shares(again.labels, one)[1] == (1.0, 0.0, None, None)
    with pytest.raises(PrmEvalError, match=r"other rollouts: sampling\.rollouts = 8, not 4"):
        Rollouts(one, tmp_path / "k", nobody, Frame(), replace(HOW, rollouts=4), results=tmp_path / "m").run()
    (tmp_path / "m" / RESULTS).write_text('{"prompt": "x"}\n')
    with pytest.raises(DataError, match="row 1: found a row without"):
        Rollouts(one, tmp_path / "n", nobody, Frame(), HOW, results=tmp_path / "m").run()


def test_a_journal_of_other_arguments_is_not_mixed_in(one, tmp_path) -> None:
    """Half the values at another temperature would be labels of no policy at all."""
    with pytest.raises(ModelError):
        Rollouts(one, tmp_path / "l", Scripted(by_words, at_once=1, dies_after=2), Frame(), HOW).run()
    with pytest.raises(PrmEvalError, match=r"temperature = 1\.0, not 0\.5"):
        Rollouts(one, tmp_path / "l", Scripted(by_words), Frame(), replace(HOW, temperature=0.5)).run()


def long_pool(tmp_path):
    texts = {f"p{k}": ("Two?", "2", [f"a{k}\nb\n\\boxed{{2}}"]) for k in range(20)}
    return make_pool(tmp_path / "long", texts)


def test_a_prompt_that_the_policy_does_not_understand_is_found_early(tmp_path) -> None:
    """Thousands of completions without an answer would be thousands of steps called wrong; the corrected command starts
    again without being told to."""
    pool = long_pool(tmp_path)
    policy = Scripted(at_once=4)
    policy.answer = lambda right: "I cannot"
    with pytest.raises(PrmEvalError, match=r"none of the first 128 completions.*I cannot.*--prompt"):
        Rollouts(pool, tmp_path / "l", policy, Frame(), HOW).run()
    assert len(policy.asked) == 16
    found = Rollouts(pool, tmp_path / "l", Scripted(), Frame("Q: {problem}\n"), HOW).run()
    assert found.resumed == 0 and found.asked == 40
    with pytest.raises(ModelError, match="refused all of the first"):
        Rollouts(pool, tmp_path / "m", Scripted(refuses=lambda prompt: True), Frame(), HOW).run()


def test_what_a_server_refused_is_asked_again(tmp_path) -> None:
    """A server started with too little room, and then with more: labels without the beginnings that it refused at first
    would be called finished, and nobody would know."""
    pool = long_pool(tmp_path)
    with pytest.raises(ModelError, match="the same command asks again"):
        Rollouts(pool, tmp_path / "m", Scripted(refuses=lambda prompt: True), Frame(), HOW).run()
    found = Rollouts(pool, tmp_path / "m", Scripted(), Frame(), HOW).run()
    assert (found.asked, found.resumed, found.refused) == (40, 0, {}) and set(shares(found.labels, pool)) == {
        (1.0,) * 3
    }
    rows = [json.loads(line) for line in (tmp_path / "m" / RESULTS).read_text().splitlines()]
    assert len(rows) == 40 and not any("refused" in row for row in rows)
    # few are not too few: a first trial with five candidates is where a prompt is wrong
    mute = Scripted()
    mute.answer = lambda right: "I cannot"
    small = make_pool(tmp_path / "small", {"a": ("Two?", "2", ["one\ntwo\n\\boxed{2}"])})
    with pytest.raises(PrmEvalError, match=r"none of the first 16 completions has a final answer.*I cannot"):
        Rollouts(small, tmp_path / "s", mute, Frame(), HOW).run()
    assert Rollouts(small, tmp_path / "s", Scripted(), Frame("Q: {problem}\n"), HOW).run().outcome.labelled == 1
    few = make_pool(tmp_path / "few", {"a": ("Two?", "2", ["one\n\\boxed{2}"])})
    with pytest.raises(ModelError, match="refused all"):
        Rollouts(few, tmp_path / "n", Scripted(refuses=lambda prompt: True), Frame(), HOW).run()
    assert not (tmp_path / "n" / "labels.json").exists()


def test_a_refused_beginning_is_unknown_and_not_wrong(one, tmp_path) -> None:
    """A server without room for a long beginning says nothing of the step."""
    found = Rollouts(one, tmp_path / "l", Scripted(by_words, refuses=lambda each: "x\n" in each), Frame(), HOW).run()
    assert shares(found.labels, one)[1] == (1.0, 0.0, None, 0.0) and found.refused == {"over-length: 9": 1}


def test_a_solution_that_was_cut_off_is_gone_on_from(tmp_path) -> None:
    """It has no answer yet, which is no mistake of its last step."""
    with PoolWriter(tmp_path / "p", problem_set={"name": "s"}, policy={"name": "x"}, splitter="line", m=1) as writer:
        writer.add(Problem("a", "Two?", "2"), [Candidate("a", 0, "one\ngood and", finish_reason="length")])
    policy = Scripted()
    found = Rollouts(writer.pool, tmp_path / "l", policy, Frame(), HOW).run()
    assert shares(found.labels, writer.pool) == [(1.0, 1.0)] and "Two?\none\ngood and" in policy.asked


def test_a_text_that_is_whole_in_one_slot_is_whole_in_the_other(tmp_path) -> None:
    """One text has one label, whichever slot comes first; a policy has nothing to add to a finished solution."""
    for number, reasons in enumerate((("length", "stop"), ("stop", "length"))):
        with PoolWriter(
            tmp_path / str(number), problem_set={"name": "s"}, policy={"name": "x"}, splitter="line", m=2
        ) as writer:
            each = [Candidate("a", k, "one\n\\boxed{3}", finish_reason=reason) for k, reason in enumerate(reasons)]
            writer.add(Problem("a", "Two?", "2"), each)
        policy = Scripted()
        found = Rollouts(writer.pool, tmp_path / f"l{number}", policy, Frame(), HOW).run()
        assert shares(found.labels, writer.pool) == [(1.0, 0.0)] * 2 and list(policy.asked) == ["Two?\none\n"]


def test_problems_with_one_statement_and_two_golds_are_graded_apart(tmp_path) -> None:
    """Equal beginnings of another problem have another right answer."""
    texts = ["one\n\\boxed{2}"]
    pool = make_pool(tmp_path / "p", {"a": ("Two?", "2", texts), "b": ("Two?", "7", texts)}, m=1)
    found = Rollouts(pool, tmp_path / "l", Scripted(lambda prompt: 6), Frame(), HOW).run()
    assert shares(found.labels, pool) == [(0.75, 1.0), (0.25, 0.0)]


def test_a_pool_without_gold_is_refused_before_anything_is_asked(tmp_path) -> None:
    """Nothing could be graded: hours of completions for no label."""
    with PoolWriter(tmp_path / "p", problem_set={"name": "s"}, policy={"name": "x"}, splitter="line", m=1) as writer:
        writer.add(Problem("a", "Prove it.", None), [Candidate("a", 0, "one\ntwo")])
    with pytest.raises(DataError, match="no gold answer"):
        Rollouts(writer.pool, tmp_path / "l", Scripted(), Frame(), HOW)


@given(st.text("ab \n.", max_size=30), st.sampled_from(["line", "blank_line", "paragraph"]))
def test_beginnings_are_the_text_itself(text, splitter) -> None:
    """Each is a beginning of the text that cuts into the first k steps, so that the policy goes on from what the
    candidate wrote, white space included; the last is the whole text."""
    steps = split_steps(text, splitter)
    found = beginnings(text, steps, splitter)
    assert len(found) == len(steps)
    for k, each in enumerate(found, 1):
        assert text.startswith(each) and split_steps(each, splitter) == steps[:k]
    assert not steps or found[-1] == text


def test_steps_that_do_not_stand_in_the_text_are_joined() -> None:
    """Where a splitter dropped something between two steps, a beginning of the text would bring it back."""
    assert beginnings("a\nDROPPED\nb", ("a", "b"), "line") == ["a\n", "a\nb"]
    assert beginnings("b a", ("a", "b"), "given") == ["a\n\n", "a\n\nb"]


def test_seeds_depend_on_prompt_and_seed_alone(one, tmp_path) -> None:
    """Otherwise a run that was resumed, or asked in other lots, would sample anew."""
    few, many = Scripted(by_words, at_once=1), Scripted(by_words, at_once=9)
    for policy, name in ((few, "f"), (many, "m")):
        Rollouts(one, tmp_path / name, policy, Frame(), HOW).run()
    assert few.seeds == many.seeds and len(set(few.seeds.values())) == 5
    assert seed_of(0, "x") != seed_of(1, "x") and 0 <= seed_of(0, "x") < 2**28


@pytest.mark.parametrize(
    "wrong",
    [{"rollouts": 0}, {"temperature": 0.0}, {"temperature": 3.0}, {"top_p": 0.0}, {"max_new_tokens": 0}],
)
def test_sampling_that_makes_no_sense_is_refused(wrong) -> None:
    """Eight completions at temperature 0 are one completion, counted eight times."""
    with pytest.raises(PrmEvalError):
        replace(HOW, **wrong)


def test_numbers_of_hard_and_prompts_without_a_problem_are_refused(small, tmp_path) -> None:
    """--hard 1 would call every step wrong; a prompt without the problem asks about nothing."""
    with pytest.raises(PrmEvalError, match="hard"):
        Rollouts(small, tmp_path / "l", Scripted(), Frame(), HOW, hard=1.0)
    for template in ("Solve it", "{problem} and {problem}"):
        with pytest.raises(PrmEvalError, match="once"):
            Frame(template)
    assert len(SMALL) == 2
