"""Labels by a model, a judge and an oracle, and what becomes of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.grading.pool import grade_pool
from prm_eval.labelling import round_labellers
from prm_eval.labelling.filtering import filter_labels
from prm_eval.labelling.labellers import label_by_judge, label_by_model, majority, part_of
from prm_eval.labelling.merging import merge_labels
from prm_eval.records import StepRewards
from prm_eval.stepsets.label_file import LabelFile, to_step_set
from prm_eval.stepsets.labels import by_first_error, by_ratings
from prm_eval.texts.steps import split_steps
from tests.labelling.conftest import SMALL, make_pool, write_labels, write_rewards


def steps_of(candidate) -> tuple[str, ...]:
    return split_steps(candidate.text, "line")


def doubtful(candidate):
    """0.8 of a step is right as a rule; "3", "8" and "=5" are likely wrong."""
    if candidate.text == "no idea":
        return StepRewards((), refusal="over-length: 9")
    return tuple(
        0.7999 if any(bad in step for bad in ("3\n", "= 3", "= 8", "= 5")) else 0.8 for step in steps_of(candidate)
    )


def by_key(labels, pool):
    return {(each.candidate.problem_id, each.candidate.slot): each for each in labels.labelled(pool)}


def test_a_strong_model_labels_up_to_its_first_wrong_step(small, tmp_path) -> None:
    """P(negative) above 20 % is wrong and exactly 20 % is not (the paper's appendix H); nothing is said of later steps;
    a refused candidate has no label rather than a good one."""
    rewards = write_rewards(small, tmp_path / "r", doubtful)
    found = label_by_model(small, rewards, tmp_path / "l")
    labels = by_key(found.labels, small)
    assert labels["a", 1].label.ratings == (-1, None) and labels["a", 1].label.first_error == 0
    assert labels["a", 0].label.ratings == (1, 1) and labels["a", 0].label.source_label == "0.8 0.8"
    assert ("a", 4) not in labels and found.left_out == {"refused: over-length": 1}
    assert (found.labelled, found.with_error, found.wrong_steps) == (8, 3, 3)
    assert labels["b", 2].label.final_correct is True and labels["b", 3].label.final_correct is False
    info = found.labels.info
    assert (info.source, info.by, info.labels) == ("model", "model", "first_error")
    assert info.settings["threshold"] == 0.8
    assert label_by_model(small, rewards, tmp_path / "m", threshold=0.5).with_error == 0


def test_raw_numbers_need_a_threshold_and_an_orm_cannot_label_steps(small, tmp_path) -> None:
    """0.8 of log-odds or logits is no probability: guessing would label everything wrong or right."""
    raw = write_rewards(small, tmp_path / "raw", doubtful, score_type="raw", aggregation="min")
    with pytest.raises(PrmEvalError, match="--threshold"):
        label_by_model(small, raw, tmp_path / "l")
    orm = write_rewards(small, tmp_path / "orm", lambda each: (0.5,), kind="orm", splitter=None, aggregation="last")
    for labeller in (label_by_model, label_by_judge):
        with pytest.raises(PrmEvalError, match="names no wrong step"):
            labeller(small, orm, tmp_path / "l")
    logodds = write_rewards(
        small, tmp_path / "lo", lambda each: tuple(1.38 for _ in steps_of(each)), score_type="logodds"
    )
    # the sigmoid of 1.38 is 0.799: below 0.8, as a probability
    assert label_by_model(small, logodds, tmp_path / "l2").with_error == 9


@pytest.mark.parametrize("threshold", [80, 0, -0.2, 1.5, float("nan")])
def test_a_threshold_that_calls_everything_wrong_or_right_is_refused(small, tmp_path, threshold) -> None:
    """80 for 80 % is a likely slip, and every first step of the pool would be wrong, without a word."""
    rewards = write_rewards(small, tmp_path / "r", doubtful)
    with pytest.raises(PrmEvalError, match="expected a number above 0 and up to 1"):
        label_by_model(small, rewards, tmp_path / "l", threshold=threshold)
    with pytest.raises(PrmEvalError, match="--threshold"):
        round_labellers.model(rewards, threshold)
    raw = write_rewards(small, tmp_path / "raw", doubtful, score_type="raw", aggregation="min")
    with pytest.raises(PrmEvalError, match="raw numbers"):
        label_by_model(small, raw, tmp_path / "l", threshold=float("inf"))
    assert not (tmp_path / "l").exists()


def test_labels_of_nothing_are_not_made(small, tmp_path) -> None:
    """A judge whose words nobody can read, or a model that refuses all: a finished folder without a label would stand
    in the way of the next try, with exit status 0."""
    rewards = write_rewards(small, tmp_path / "r", lambda each: StepRewards((), "over-length: 9"))
    with pytest.raises(PrmEvalError, match=r"no candidate got a label.*9: refused: over-length"):
        label_by_model(small, rewards, tmp_path / "l")
    assert not (tmp_path / "l" / "labels.json").exists() and not (tmp_path / "l" / "labels.parquet").exists()


def test_no_folder_gets_a_second_source(small, tmp_path) -> None:
    """Labels of two models in one folder could never be told apart again."""
    rewards = write_rewards(small, tmp_path / "r", doubtful)
    label_by_model(small, rewards, tmp_path / "l")
    # and what is to be removed is the labels, and never what lies beside them
    with pytest.raises(PrmEvalError, match=r"holds labels already.*l/labels\.json and .*l/labels\.parquet"):
        label_by_model(small, rewards, tmp_path / "l", threshold=0.1)


def judged(folder, pool, votes) -> None:
    """Write what a judge wrote on each candidate: a list of indices, None where nothing could be read."""
    with (folder / "judgements.jsonl").open("w") as stream:
        for _, candidates in pool:
            for each in candidates:
                given_ = [{"text": "x", "seed": 0, "read": read, "cut": False} for read in votes(each)]
                fields = {"problem_id": each.problem_id, "candidate_id": each.candidate_id}
                stream.write(json.dumps({**fields, "spread": None, "votes": given_}) + "\n")


def test_a_judges_votes_decide_and_unread_ones_do_not(small, tmp_path) -> None:
    """Most votes, the first of a tie; a candidate of which nothing could be read has no label, not a good one."""
    rewards = write_rewards(small, tmp_path / "r", lambda each: tuple(1.0 for _ in steps_of(each)))
    votes = {"one\ntwo\n\\boxed{2}": [2, 0, 0, None], "no idea": [None], "2*3 = 8\n\\boxed{8}": [0, -1]}
    judged(rewards.folder, small, lambda each: votes.get(each.text, [-1]))
    found = label_by_judge(small, rewards, tmp_path / "l")
    labels = by_key(found.labels, small)
    assert labels["a", 3].label.first_error == 0 and labels["a", 3].label.source_label == "2 0 0"
    assert labels["b", 3].label.first_error == 0
    assert ("a", 4) not in labels
    ((why, count),) = found.left_out.items()
    assert why.startswith("no judgement that could be read (") and "judgements.jsonl has" in why and count == 1
    assert found.labels.info.source == "judge"


def test_judgements_of_other_steps_and_none_at_all_are_refused(small, tmp_path) -> None:
    """An index beyond the last step comes of another cut of the text; without the file there is nothing to read."""
    rewards = write_rewards(small, tmp_path / "r", lambda each: tuple(1.0 for _ in steps_of(each)))
    with pytest.raises(DataError, match=r"judgements\.jsonl"):
        label_by_judge(small, rewards, tmp_path / "l")
    judged(rewards.folder, small, lambda each: [5])
    with pytest.raises(DataError, match="step 5"):
        label_by_judge(small, rewards, tmp_path / "l")
    assert not (tmp_path / "l" / "labels.json").exists()


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=7))
def test_majority_is_the_first_of_those_named_most(votes) -> None:
    """As ProcessBench's script counts: a tie goes to the index that was named first."""
    most = max(votes.count(each) for each in votes)
    assert majority(votes) == next(each for each in votes if votes.count(each) == most)


def test_a_part_of_a_pool_keeps_slots_and_ids(small, tmp_path) -> None:
    """What a judge says of the part is joined to the pool by these ids."""
    keys = {("a", next(iter(small))[1][3].candidate_id), ("b", small.candidates(8, 1)[0].candidate_id)}
    for _ in range(2):  # the second time it is there already
        part = part_of(small, keys, tmp_path / "part")
        assert {(each.problem_id, each.candidate_id) for _, found in part for each in found} == keys
    assert [each.slot for _, found in part for each in found] == [3, 3] and part.info.m == small.info.m
    with pytest.raises(PrmEvalError):
        part_of(small, {next(iter(keys))}, tmp_path / "part")


def test_false_positives_are_left_out_or_called_wrong(small, tmp_path) -> None:
    """2*3 = 5 and yet \\boxed{6}: an ORM that learns it as right learns to reward such reasoning. A right answer of
    which not every step is known is not kept either."""
    rewards = write_rewards(small, tmp_path / "r", doubtful)
    labels = label_by_model(small, rewards, tmp_path / "l").labels
    found = filter_labels(small, labels, tmp_path / "out")
    assert (found.right, found.wrong, found.false_positives, found.unknown) == (4, 3, 1, 0)
    kept = by_key(LabelFile(found.path), small)
    assert ("b", 2) not in kept and kept["b", 1].label.final_correct is True
    listed = filter_labels(small, labels, tmp_path / "list.jsonl", treatment="wrong")
    rows = [json.loads(line) for line in listed.path.read_text().splitlines()]
    assert [row["final_correct"] for row in rows if row["why"] == "false_positive"] == [False]
    assert (listed.right, listed.wrong) == (4, 4)
    rated = write_labels(
        small, tmp_path / "some", lambda each: by_ratings([None] * len(steps_of(each)), len(steps_of(each)))
    )
    assert filter_labels(small, rated, tmp_path / "none.jsonl").unknown == 5


def test_a_pool_without_grades_cannot_be_filtered_and_changed_grades_are_found(tmp_path) -> None:
    """Of an answer that nobody graded it is unknown whether it is a false positive."""
    pool = make_pool(tmp_path / "p", SMALL, grade=False)
    rewards = write_rewards(pool, tmp_path / "r", doubtful)
    labels = label_by_model(pool, rewards, tmp_path / "l").labels
    with pytest.raises(PrmEvalError, match="no grades"):
        filter_labels(pool, labels, tmp_path / "out")
    grade_pool(pool)
    told = write_labels(
        pool,
        tmp_path / "told",
        lambda each: by_first_error(-1, len(steps_of(each)), final_correct=True),
        kind="first_error",
    )
    with pytest.raises(DataError, match="graded as wrong") as caught:
        filter_labels(pool, told, tmp_path / "out")
    assert caught.value.row == 2


def clean(each):
    return by_first_error(-1, len(steps_of(each)))


def test_labels_of_one_labeller_are_merged_in_the_pools_order(small, tmp_path) -> None:
    """Rounds label here and there; training reads them as one, without losing or doubling one."""
    ids = [(each.problem_id, each.candidate_id) for each in small.candidates(0, 9)]
    one = write_labels(small, tmp_path / "1", clean, kind="first_error", wanted=set(ids[5:]))
    two = write_labels(small, tmp_path / "2", clean, kind="first_error", wanted=set(ids[:6]))
    merged = merge_labels(small, [one, two], tmp_path / "all")
    assert [(each.candidate.problem_id, each.candidate.candidate_id) for each in merged.labelled(small)] == ids
    assert to_step_set(small, merged, tmp_path / "set").info.n_solutions == 9


def test_people_are_one_source_whoever_they_are(small, tmp_path) -> None:
    """In the second round Carol helps, in another campaign: if her labels could not be put beside those of the first,
    rounds with people would end there, with both rounds' work in vain."""
    ids = [(each.problem_id, each.candidate_id) for each in small.candidates(0, 9)]
    names = ["campaign round-1: ann", "campaign round-2: ann, carol", f"campaign round-3: {'dora ' * 70}"]
    files = [
        write_labels(small, tmp_path / str(k), clean, kind="first_error", by=by[:300], wanted={ids[k]})
        for k, by in enumerate(names)
    ]
    merged = merge_labels(small, files, tmp_path / "all")
    assert merged.info.by.startswith("campaign round-1: ann; campaign round-2: ann, carol; ")
    assert merged.info.n_labelled == 3 and len(merged.info.by) == 300
    assert [each.who for each in merged.labelled(small)] == [by[:300] for by in names]


def test_two_labellers_and_contradictions_are_not_merged(small, tmp_path) -> None:
    """A set in which one text is right and wrong teaches nothing; the error names both files and rows, also where the
    text stands in two slots."""
    ids = [(each.problem_id, each.candidate_id) for each in small.candidates(0, 9)]
    one = write_labels(small, tmp_path / "1", clean, kind="first_error", source="model", wanted={ids[0]})
    other = write_labels(
        small, tmp_path / "2", clean, kind="first_error", source="model", by="another", wanted={ids[1]}
    )
    with pytest.raises(PrmEvalError, match="'by'"):
        merge_labels(small, [one, other], tmp_path / "all")
    for slot in (0, 2):
        against = write_labels(
            small,
            tmp_path / f"against{slot}",
            lambda each: by_first_error(0, len(steps_of(each))),
            kind="first_error",
            source="model",
            wanted={ids[slot]},
        )
        with pytest.raises(DataError, match="labelled '0'") as caught:
            merge_labels(small, [one, against], tmp_path / "all")
        assert caught.value.row == 1 and str(tmp_path / "1") in caught.value.expected
