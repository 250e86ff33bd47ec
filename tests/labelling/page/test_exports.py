"""Exports are read back by our own importers as the labels that were given. If not, training would learn others."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.importers.steps import import_step_set
from prm_eval.labelling.page.agreement import markings_of
from prm_eval.labelling.page.campaign import Campaign, Person
from prm_eval.labelling.page.choosing import all_opinions
from prm_eval.labelling.page.events import Event
from prm_eval.labelling.page.exports import FORMS, choose, export
from prm_eval.labelling.page.ledger import Ledger
from prm_eval.labelling.page.marking import Outcome
from prm_eval.stepsets import StepSet
from prm_eval.stepsets.label_file import LabelFile
from prm_eval.stepsets.labels import by_first_error, by_ratings, first_error_of
from tests.labelling.page.campaigns import make_campaign, make_pool, mark_item

ANN, BOB, EVE = Person("ann", "labeller"), Person("bob", "labeller"), Person("eve", "adjudicator")


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("exports") / "pool", 2, 2, hostile=True)


@contextmanager
def campaign_on(pool, **rules) -> Iterator[Campaign]:
    """A campaign of its own on a pool that several tests share."""
    shutil.rmtree(pool.path / "labels", ignore_errors=True)
    made = make_campaign(pool, **{"second_opinion": 0, **rules})
    for each in (ANN, BOB, EVE):
        made.invite(each.who, each.role)
    try:
        yield made
    finally:
        made.close()


MARKS = st.tuples(
    st.lists(st.sampled_from([1, 1, 0, -1]), min_size=4, max_size=4),
    st.sampled_from([None, None, None, "give_up", "bad_problem"]),
    st.sets(st.integers(0, 3), max_size=2),
    st.integers(0, 4),
)


def give(ledger: Ledger, marks, person: Person = ANN) -> Outcome:
    values, verdict, flags, few = marks
    item = ledger.current(person.who)
    assert item is not None
    for step in flags:
        ledger.add(person, Event(person.who, item, "flag", step, "1"))
    mark_item(ledger, person, item, values[: few if verdict else 4], verdict)
    found = choose(ledger.campaign)
    return next(each.opinion.outcome for each in found if each.item.item == item)


# without shrinking: an example is four labels, and smaller ones would take minutes to find
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(MARKS, min_size=4, max_size=4), st.booleans())
def test_every_form_comes_back(pool, every_marks, every) -> None:
    """Any marks, verdicts and flags: each form, imported again, says what was marked, as far as the form can say it."""
    with campaign_on(pool, all_steps=every) as campaign, tempfile.TemporaryDirectory() as folder:
        ledger, out = Ledger(campaign), Path(folder)
        outcomes = [give(ledger, marks) for marks in every_marks]
        texts = {each.name: (each.item.statement, each.item.steps) for each in choose(campaign)}
        names = list(texts)
        wanted = dict(zip(names, outcomes, strict=True))
        export(campaign, "labels", out / "labels")
        back = {
            f"{each.problem.problem_id}#{each.candidate.slot}": each
            for each in LabelFile(out / "labels").labelled(pool)
        }
        assert {name: each.label for name, each in back.items()} == {name: each.label for name, each in wanted.items()}
        assert all(each.who == "ann" and each.seconds is not None and each.when for each in back.values())
        for form in ("stepset", "prm800k", "trl", "processbench"):
            done = export(campaign, form, out / form)
            if not done.written:
                assert sum(done.left_out.values()) == 4
                continue
            if form == "stepset":
                read = StepSet(out / form)
            else:
                expected = _expected(form, wanted, every)
                if not expected:
                    continue
                read = import_step_set(out / form, out / f"{form}-set", form=_name(form)).step_set
            assert read.verify() == [] and read.info.label_source == "people"
            labels = dict(zip((each.solution_id for each in read.solutions), read.labels, strict=True))
            expected = _expected(form, wanted, every)
            assert {name: (each.first_error, each.ratings) for name, each in labels.items()} == expected
            for each in read.solutions:
                statement, steps = texts[each.solution_id]
                assert (each.statement, each.steps) == (statement, steps[: len(each.steps)])


def _name(form: str) -> str:
    return "plain" if form == "processbench" else form


def _expected(form: str, wanted: dict[str, Outcome], every: bool):
    """What each form can say of an outcome, as (first error, ratings)."""
    found = {}
    for name, outcome in wanted.items():
        ratings = list(outcome.ratings)
        n = ratings.index(None) if None in ratings else 4
        label = outcome.label
        if form == "stepset":
            found[name] = (label.first_error, label.ratings)
        elif form == "prm800k" and outcome.finish != "bad_problem" and n:
            cut = by_ratings(ratings[:n], n)
            found[name] = (cut.first_error, cut.ratings)
        elif form == "trl" and n:
            cut = by_ratings([-1 if each == -1 else 1 for each in ratings[:n]], n)
            found[name] = (cut.first_error, cut.ratings)
        elif form == "processbench" and (first := first_error_of(ratings)) is not None:
            cut = by_first_error(first, 4)
            found[name] = (cut.first_error, cut.ratings)
    return found


def test_the_form_is_recognised(pool, tmp_path) -> None:
    """A user who imports an export says no --format."""
    with campaign_on(pool) as campaign:
        ledger = Ledger(campaign)
        for marks in ([1, 1, 1, 1], [1, -1], [0, 1, 1, 1], [-1]):
            mark_item(ledger, ANN, ledger.current("ann") or 0, marks)
        for form, name in (("prm800k", "prm800k"), ("trl", "trl"), ("processbench", "plain")):
            export(campaign, form, tmp_path / f"{form}.jsonl")
            assert import_step_set(tmp_path / f"{form}.jsonl", tmp_path / form).format == name
        row = json.loads((tmp_path / "prm800k.jsonl").read_text().splitlines()[1])
        assert set(row) == {
            "id", "labeler", "timestamp", "generation", "is_quality_control_question", "is_initial_screening_question",
            "question", "label",
        }  # fmt: skip
        assert row["label"]["finish_reason"] == "found_error" and row["label"]["total_time"] == 2_000
        assert [each["chosen_completion"] for each in row["label"]["steps"]] == [0, None]
        assert len(row["question"]["pre_generated_steps"]) == 4 and row["question"]["ground_truth_answer"] == "0"


def _twice(campaign: Campaign, by_ann, by_bob, n: int = 4) -> Ledger:
    ledger = Ledger(campaign)
    for person, marks in ((ANN, by_ann), (BOB, by_bob)):
        for k in range(n):
            item = ledger.current(person.who)
            mark_item(ledger, person, item or 0, marks if k == 0 else [1, 1, 1, 1])
    return ledger


def test_labels_that_differ_are_refused_and_listed(pool, tmp_path) -> None:
    """Merging them without a word would make a label that nobody gave."""
    with campaign_on(pool, second_opinion=1) as campaign:
        ledger = _twice(campaign, [1, -1], [1, 1, 1, 1])
        with pytest.raises(PrmEvalError, match="label differently, and nobody decided: 1") as refused:
            export(campaign, "labels", tmp_path / "labels")
        assert "ann: wrong at step 2; bob: no wrong step" in str(refused.value)
        assert not (tmp_path / "labels").exists()
        with pytest.raises(PrmEvalError, match="no label has the most votes"):
            export(campaign, "trl", tmp_path / "t", take="majority")
        assert choose(campaign, "first")[0].opinion.marking.who == "ann"
        carl = Person("carl", "labeller")
        campaign.invite("carl", "labeller")
        ledger.open("carl", campaign.item(1))
        mark_item(ledger, carl, 1, [1, 1, 1, 1])
        assert choose(campaign, "majority")[0].opinion.marking.who == "bob"
        ledger.open("eve", campaign.item(1))
        mark_item(ledger, EVE, 1, [0, -1])
        assert export(campaign, "labels", tmp_path / "labels").written == 4
        first = next(LabelFile(tmp_path / "labels").labelled(pool))
        assert (first.label.ratings, first.who) == ((0, -1, None, None), "eve (decided)")
        assert "labels=3" in first.remarks


def test_neutral_and_good_are_different_labels(pool) -> None:
    """The first wrong step is the same, but a label says more than that."""
    with campaign_on(pool, second_opinion=1) as campaign:
        _twice(campaign, [0, 1, 1, 1], [1, 1, 1, 1])
        (conflict,) = [each for each in all_opinions(campaign, markings_of(campaign.store)) if each.conflict]
        assert conflict.item == 1 and conflict.chosen() is None


def test_what_is_not_handed_in_is_no_label(pool, tmp_path) -> None:
    """Half a label, or one that is about to be undone, must not be exported."""
    with campaign_on(pool) as campaign:
        ledger = Ledger(campaign)
        item = ledger.current("ann") or 0
        for step in range(4):
            ledger.add(ANN, Event("ann", item, "mark", step, "1"))
        with pytest.raises(PrmEvalError, match="nobody has handed in"):
            export(campaign, "trl", tmp_path / "out")
        ledger.add(ANN, Event("ann", item, "submit"))
        assert export(campaign, "trl", tmp_path / "out").written == 1
        with pytest.raises(PrmEvalError, match="there already"):
            export(campaign, "trl", tmp_path / "out")
        with pytest.raises(PrmEvalError, match="unknown form"):
            export(campaign, "csv", tmp_path / "other")
    assert set(FORMS) == {"prm800k", "trl", "processbench", "stepset", "labels"}


def test_a_step_set_is_labelled_again(tmp_path) -> None:
    """Its own labels stay out of sight, ids and final answers stay, and limits are over its problems, not solutions."""
    from tests.evaluation.stepwise.sets import labelled

    rows = [{"n": 3, "label": -1, "problem": "a", "final": True}, {"n": 2, "label": 1, "problem": "a", "final": False}]
    step_set = labelled(tmp_path / "set", rows)
    with campaign_on(step_set.pool) as campaign:
        ledger = Ledger(campaign)
        for marks in ([1, -1], [1, 1]):
            mark_item(ledger, ANN, ledger.current("ann") or 0, marks)
        assert {campaign.cluster_of(campaign.item(item)) for item in (1, 2)} == {"a"}
        export(campaign, "stepset", tmp_path / "again")
        again = StepSet(tmp_path / "again")
        assert [each.solution_id for each in again.solutions] == ["s0", "s1"]
        assert [each.first_error for each in again.labels] == [1, -1]
        assert [each.final_correct for each in again.labels] == [each.final_correct for each in step_set.labels]
        export(campaign, "processbench", tmp_path / "rows.jsonl")
        row = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
        assert row["final_answer_correct"] == step_set.labels[0].final_correct
