"""Queues of real pools and reward folders, and the reading of a queue that was made for something else."""

from __future__ import annotations

import json

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.labelling.queue_rules import Ask
from prm_eval.labelling.queues import ABOUT, labelled_keys, make_queue, read_queue
from prm_eval.records import StepRewards
from prm_eval.stepsets.labels import by_first_error
from prm_eval.texts.steps import split_steps
from tests.labelling.conftest import SMALL, make_pool, write_labels, write_rewards


def liked(candidate):
    """Wrong answers of problem b are liked by their boxes; a refusal; everything else by its length."""
    if candidate.text == "no idea":
        return StepRewards((), refusal="over-length: 9")
    value = 0.9 if "8" in candidate.text else 0.5
    return tuple(value for _ in split_steps(candidate.text, "line"))


def chosen(queue) -> list[tuple[int, int]]:
    return [pick.row.place for pick in queue.picks]


def test_a_queue_is_what_the_rule_chooses_with_reasons_and_origin(small, tmp_path) -> None:
    """The wrong answer that the model likes best, then the best of the rest; the file says why, and how it was made."""
    rewards = write_rewards(small, tmp_path / "r", liked)
    queue = make_queue(small, tmp_path / "q.jsonl", Ask("convincing", 2, share=0.5), rewards=[rewards], seed=3)
    # one wrong answer of each problem, then what is left: one step is liked better than two of the same chance
    assert chosen(queue) == [(0, 1), (0, 0), (1, 3), (1, 0)]
    assert (queue.wrong, queue.repeats, queue.refused, queue.problems) == (3, 1, 1, 2)
    lines = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "problem_id": "a",
        "candidate_id": lines[0]["candidate_id"],
        "why": "a wrong answer, convincing: reward 0.25",
    }
    about = json.loads((tmp_path / f"q.jsonl{ABOUT}").read_text())
    assert about["pool"] == small.info.content_hash and about["ask"]["share"] == 0.5 and about["grades"] == "own"
    assert list(read_queue(queue.path, small)) == [(line["problem_id"], line["candidate_id"]) for line in lines]


def test_equal_texts_are_labelled_once_and_labelled_ones_not_again(small, tmp_path) -> None:
    """Slots 0 and 2 of problem a have one text: with either labelled, neither is work; both at once would pay twice."""
    keys = {place: each.candidate_id for place, each in enumerate(next(iter(small))[1])}
    all_of_a = make_queue(small, tmp_path / "q", Ask("uniform", 9), seed=1)
    assert sorted(place for place in chosen(all_of_a) if place[0] == 0) in (
        [(0, 0), (0, 1), (0, 3), (0, 4)],
        [(0, 1), (0, 2), (0, 3), (0, 4)],
    )
    left = make_queue(small, tmp_path / "q", Ask("uniform", 9), skip={("a", keys[2])})
    assert [place for place in chosen(left) if place[0] == 0 and place[1] in (0, 2)] == [] and left.labelled == 2


def test_a_candidate_without_a_text_is_not_chosen(tmp_path) -> None:
    """It has no step that anybody could label: of 500 picks as many as the policy's empty texts would be none."""
    pool = make_pool(tmp_path / "p", {"a": ("Two?", "2", ["", " \n\t", "x\n\\boxed{2}"])})
    queue = make_queue(pool, tmp_path / "q", Ask("uniform", 3))
    assert chosen(queue) == [(0, 2)] and queue.empty == 2


def test_labels_are_skipped_without_being_read(small, tmp_path) -> None:
    """The next queue leaves out what is labelled, whatever the labels say: two opposite folders give one queue."""
    found = []
    for name, error in (("good", -1), ("bad", 0)):
        wanted = {("b", next(iter(small.candidates(6, 1))).candidate_id)}
        labels = write_labels(
            small,
            tmp_path / name,
            lambda each, error=error: by_first_error(error, len(split_steps(each.text, "line"))),
            kind="first_error",
            wanted=wanted,
        )
        skip = labelled_keys([labels.folder], small)
        assert skip == wanted
        found.append(chosen(make_queue(small, tmp_path / f"{name}.jsonl", Ask("uniform", 9), skip=skip)))
    assert found[0] == found[1] and (1, 1) not in found[0]


def test_disagreement_reads_every_model_and_refuses_other_steps(small, tmp_path) -> None:
    """Two PRMs that differ on one candidate choose it; a PRM and an ORM, or raw numbers, have no spread."""
    one = write_rewards(small, tmp_path / "one", lambda each: tuple(0.99 for _ in split_steps(each.text, "line")))
    two = write_rewards(
        small,
        tmp_path / "two",
        lambda each: tuple(0.3 if "8" in step else 0.99 for step in split_steps(each.text, "line")),
    )
    queue = make_queue(small, tmp_path / "q", Ask("disagreement", 3), rewards=[one, two])
    assert chosen(queue) == [(1, 3)] and "about step 0" in queue.picks[0].why
    orm = write_rewards(small, tmp_path / "orm", lambda each: (0.5,), kind="orm", aggregation="last", splitter=None)
    raw = write_rewards(small, tmp_path / "raw", liked, score_type="raw", aggregation="min")
    raw_2 = write_rewards(small, tmp_path / "raw2", liked, score_type="raw", aggregation="min")
    orm_2 = write_rewards(small, tmp_path / "orm2", lambda each: (0.4,), kind="orm", aggregation="last", splitter=None)
    for pair, says in (
        ([one, orm], "same steps"),
        ([raw, raw_2], "raw numbers"),
        ([orm, orm_2], "one number a solution"),
        # the same one twice trusts everything, and an empty queue would look like a pool that is sure
        ([one, two, one], "2 times: a model does not disagree with itself"),
    ):
        with pytest.raises(PrmEvalError, match=says):
            make_queue(small, tmp_path / "q", Ask("disagreement"), rewards=pair)
    with pytest.raises(PrmEvalError, match="reads 2 reward"):
        make_queue(small, tmp_path / "q", Ask("disagreement"), rewards=[one])


def test_a_raw_number_is_no_chance(small, tmp_path) -> None:
    """The sigmoid of any number is one between 0 and 1: "0.88 that every step is right" of a raw 2.0 is made up."""
    for kind, aggregation, splitter in (("prm", "min", "line"), ("orm", "last", None)):
        raw = write_rewards(
            small,
            tmp_path / kind,
            lambda each, kind=kind: tuple(2.0 for _ in split_steps(each.text, "line")) if kind == "prm" else (2.0,),
            kind=kind,
            score_type="raw",
            aggregation=aggregation,
            splitter=splitter,
        )
        with pytest.raises(PrmEvalError, match="none is a chance of 1/2"):
            make_queue(small, tmp_path / "q", Ask("uncertain"), rewards=[raw])
        assert make_queue(small, tmp_path / "q", Ask("convincing"), rewards=[raw]).picks


def test_a_pool_without_grades_is_found_before_rewards_are_read(tmp_path) -> None:
    """Which answers are wrong is then unknown: the error says how to grade, and no queue is written."""
    pool = make_pool(tmp_path / "p", SMALL, grade=False)
    rewards = write_rewards(pool, tmp_path / "r", liked)
    with pytest.raises(PrmEvalError, match="prm-eval grade"):
        make_queue(pool, tmp_path / "q.jsonl", Ask("convincing"), rewards=[rewards])
    assert not (tmp_path / "q.jsonl").exists()


def test_rewards_of_another_pool_are_refused(small, tmp_path) -> None:
    """They would be joined to other texts."""
    other = make_pool(tmp_path / "other", {"b": SMALL["b"]})
    rewards = write_rewards(other, tmp_path / "r", liked)
    with pytest.raises(DataError, match="rewards for pool"):
        make_queue(small, tmp_path / "q", Ask("uncertain"), rewards=[rewards])


@pytest.mark.parametrize(
    ("lines", "row", "found"),
    [
        ([{"problem_id": "a", "candidate_id": "0000-00000000"}], 1, "candidate 0000-00000000 of 'a'"),
        ([{"problem_id": "a"}], 1, "no field candidate_id"),
        ([None, None], 2, "again"),
        ([], None, "an empty queue"),
    ],
)
def test_a_queue_of_other_texts_is_found_by_its_row(small, tmp_path, lines, row, found) -> None:
    """A queue made before the pool was sampled again would label texts that nobody chose."""
    real = {"problem_id": "a", "candidate_id": next(iter(small))[1][0].candidate_id}
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(line or real) + "\n" for line in lines))
    with pytest.raises(DataError) as caught:
        read_queue(path, small)
    assert caught.value.row == row and found in caught.value.found


def test_labels_of_another_pool_cannot_be_skipped(small, tmp_path) -> None:
    """Their ids may happen to be the same; what they label is another text."""
    other = make_pool(tmp_path / "other", {"b": SMALL["b"]})
    labels = write_labels(
        other, tmp_path / "l", lambda each: by_first_error(-1, len(split_steps(each.text, "line"))), kind="first_error"
    )
    with pytest.raises(DataError, match="labels of the pool"):
        labelled_keys([labels.folder], small)
