"""The file, who gets what, and the rules: nothing lost, nobody asked twice, rates as stated."""

from __future__ import annotations

import sqlite3
import stat
from collections import Counter
from datetime import timedelta

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.labelling.page.assigning import Plan, is_known_place, next_item, places_left
from prm_eval.labelling.page.campaign import Campaign, Person, Rules, begin, campaign_folder, queue_pool
from prm_eval.labelling.page.events import FILE, Event, Store, is_begun
from prm_eval.labelling.page.ledger import Ledger, NotAllowed
from prm_eval.stepsets.label_file import LabelWriter
from tests.conftest import write_jsonl
from tests.labelling.page.campaigns import events_of, label, make_campaign, make_pool, with_known

ANN, BOB = Person("ann", "labeller"), Person("bob", "labeller")


@pytest.fixture
def campaign(tmp_path):
    made = make_campaign(make_pool(tmp_path / "pool"), second_opinion=0.2)
    yield made
    made.close()


def test_events_can_only_be_appended(campaign) -> None:
    """If a row could be changed, "nothing marked is ever lost" would hold only as long as no program has a bug."""
    ledger = Ledger(campaign)
    label(ledger, "ann", [1, 1, 1, 1])
    for statement in ("DELETE FROM events", "UPDATE events SET value = '1'"):
        with pytest.raises(sqlite3.IntegrityError, match="only appended"):
            campaign.store.run(statement)
    assert campaign.store.rows("PRAGMA journal_mode") == [("wal",)]
    assert campaign.store.rows("PRAGMA synchronous") == [(2,)]  # FULL
    assert stat.S_IMODE((campaign.folder / FILE).stat().st_mode) == 0o600


def test_an_event_that_is_sent_again_is_stored_once(campaign) -> None:
    """A browser that never heard the answer sends again: without the key, undo after it would take back too little."""
    ledger = Ledger(campaign)
    item = ledger.current("ann")
    event = Event("ann", item, "mark", 0, "1", 100, "ann 12345678")
    assert ledger.add(ANN, event) == ledger.add(ANN, event)
    assert [each.what for each in events_of(campaign)] == ["opened", "mark"]


def test_a_new_process_knows_all(campaign) -> None:
    """The state in memory is that of the file: what a killed server knew, the next one knows."""
    ledger = Ledger(campaign)
    for k in range(7):
        label(ledger, "ann", [1, 0, -1] if k % 2 else [1, 1, 1, 1])
        label(ledger, "bob", [1, 1, 0, 1], "give_up" if k == 3 else None)
    again = Ledger(campaign)
    assert again.markings == ledger.markings
    assert again.given("ann") == ledger.given("ann")
    assert again.current("ann") == ledger.current("ann")


def test_a_campaign_whose_maker_was_killed_is_none(tmp_path) -> None:
    """An empty file must not be taken for a campaign without rules, or stand in the way for ever."""
    pool = make_pool(tmp_path / "pool", 1, 1)
    folder = campaign_folder(pool.path, "people")
    folder.mkdir(parents=True)
    (folder / FILE).touch()
    assert not is_begun(folder / FILE)
    begin(folder, pool, Rules("line")).close()
    assert is_begun(folder / FILE)
    (folder / "other.sqlite").write_text("no database, but long enough to be one of something" * 30)
    with pytest.raises(DataError, match="cannot use"):
        Store(folder / "other.sqlite")


def test_it_is_of_one_pool(campaign, tmp_path) -> None:
    """Marks on the steps of another pool would be labels of texts that nobody read."""
    other = make_pool(tmp_path / "other", 2, 2)
    target = other.path / "labels" / "people"
    target.mkdir(parents=True)
    campaign.close()
    (target / FILE).write_bytes((campaign.folder / FILE).read_bytes())
    with pytest.raises(DataError, match="labels"):
        Campaign(target)


def test_links(campaign) -> None:
    """A token is kept as its hash; it can be taken back; a name has one role, so nobody decides on themselves."""
    token = campaign.invite("ann", "labeller")
    assert campaign.person(token) == ANN
    assert token not in (campaign.folder / FILE).read_bytes().decode("latin1")
    assert campaign.person(token[:-1]) is None and campaign.person("") is None
    again = campaign.invite("ann", "labeller")
    assert campaign.person(token) == ANN == campaign.person(again)
    with pytest.raises(PrmEvalError, match="a name of their own"):
        campaign.invite("ann", "adjudicator")
    for who in "zyx":
        campaign.invite(who, "labeller")  # within one millisecond, and still in order
    assert list(campaign.people()) == ["ann", "z", "y", "x"]
    assert campaign.revoke("ann") == 2 and campaign.person(token) is None
    with pytest.raises(PrmEvalError, match="a name of"):
        campaign.invite(" ", "labeller")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event("bob", 1, "mark", 0, "1"), "not given"),
        (Event("ann", 2, "mark", 0, "1"), "not given"),
        (Event("ann", 1, "mark", 4, "1"), "step 4 of 4"),
        (Event("ann", 1, "mark", -1, "1"), "step -1"),
        (Event("ann", 1, "mark", None, "1"), "step None"),
        (Event("ann", 1, "mark", 0, "2"), "mark '2'"),
        (Event("ann", 1, "mark", 0, None), "mark None"),
        (Event("ann", 1, "flag", 0, "x"), "flag"),
        (Event("ann", 1, "verdict", None, "right"), "verdict"),
        (Event("ann", 1, "opened", None, "9"), "event"),
        (Event("ann", 1, "marks", None, '{"marks": [1, 1, 1, 1]}'), "all steps"),
        (Event("ann", 1, "mark", 0, "1", -5), "ms"),
        (Event("ann", 1, "mark", 0, "1", 10**9), "ms"),
    ],
)
def test_events_without_meaning_are_refused(campaign, event, said) -> None:
    """What no page of ours sends must not reach the file: it can never be taken out again."""
    ledger = Ledger(campaign)
    assert ledger.current("ann") == 1
    with pytest.raises(NotAllowed, match=said):
        ledger.add(ANN, event)
    assert len(events_of(campaign)) == 1


def test_everything_is_labelled_as_often_as_it_should(campaign) -> None:
    """20 candidates, 4 of them twice: two labellers hand in 24 labels, nobody labels one twice, then all is done."""
    ledger = Ledger(campaign)
    given: Counter[tuple[str, int]] = Counter()
    turns = ["ann", "ann", "bob"] * 20
    for who in turns:
        if (item := label(ledger, who, [1, 1, 1, 1])) is not None:
            given[who, item] += 1
    assert sum(given.values()) == 24 and set(given.values()) == {1}
    times = Counter(item for _, item in given)
    assert dict(campaign.queue()) == times
    assert sorted(times.values()) == [1] * 16 + [2] * 4
    assert ledger.current("ann") is None and ledger.current("bob") is None


def test_who_is_away_is_not_waited_for(campaign, monkeypatch) -> None:
    """An item that somebody opened and left would never be labelled."""
    ledger = Ledger(campaign)
    first = ledger.current("ann")
    assert ledger.current("bob") != first
    monkeypatch.setattr("prm_eval.labelling.page.ledger.LAPSE", timedelta(seconds=-1))
    others = {label(ledger, "bob", [1, 1, 1, 1]) for _ in range(19)}
    assert first in others
    assert ledger.current("ann") == first  # it stays with who began it, too


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.25, 0.5])
def test_known_items_come_at_the_stated_rate(rate) -> None:
    """Exactly so many in every block of twenty, at other places for everybody: else the score has fewer trials than
    stated, or labellers learn when to be careful."""
    plan = Plan((), tuple(range(1_000, 2_000)), tuple((k, 1) for k in range(200)), rate, 7)
    places = {who: [is_known_place(plan, who, k) for k in range(100)] for who in ("ann", "bob")}
    for found in places.values():
        assert [sum(found[k : k + 20]) for k in range(0, 100, 20)] == [round(20 * rate)] * 5
    assert places["ann"] != places["bob"]
    assert places["ann"][:20] != places["ann"][20:40]


@pytest.mark.parametrize("rate", [0.07, 0.075, 0.12, 0.29, 0.33, 0.03, 0.01])
def test_a_rate_that_is_no_share_of_twenty_is_kept_too(rate) -> None:
    """The page prints the rate: 7 % that were 5, and 7.5 % that were 10, would be another campaign than the stated."""
    plan = Plan((), tuple(range(1_000, 2_000)), (), rate, 7)
    length = max(20, -(-100 // round(100 * rate)))
    found = [is_known_place(plan, "ann", k) for k in range(200 * length)]
    assert sum(found) == round(rate * 200 * length)
    blocks = {sum(found[k : k + length]) for k in range(0, len(found), length)}
    assert blocks <= {int(rate * length), int(rate * length) + 1}
    assert any(found[:length])


def test_screening_first_then_mixed(tmp_path) -> None:
    """Everybody gets all screening items first; known items come once each; the bar's total is what comes."""
    campaign = with_known(make_campaign(make_pool(tmp_path / "pool"), qc_rate=0.2, second_opinion=1), 3, 9)
    ledger = Ledger(campaign)
    order, totals = [], []
    while (item := label(ledger, "ann", [1, 1, 1, 1])) is not None:
        order.append(item)
        progress = ledger.progress("ann")
        totals.append(progress.done + progress.left)
    kinds = campaign.kinds(order)
    names = [kinds[item] for item in order]
    assert names[:3] == ["screening"] * 3 and names.count("main") == 20
    assert len(set(order)) == len(order) and names.count("quality_control") >= 4
    assert names[-1] == "main"  # nobody is kept for known items alone
    assert set(totals) == {len(order)}
    assert order != [label(ledger, "bob", [1] * 4) for _ in order]
    campaign.close()


def test_the_rest_is_counted_as_it_is_given() -> None:
    """If the two drifted apart, the progress bar would run backwards at a known item, which tells that it is one."""
    plan = Plan((90, 91), tuple(range(50, 60)), tuple((k, 1) for k in range(30)), 0.25, 3)
    had: list[int] = []
    total = places_left(plan, "ann", had, 30)
    assert total == 2 + 30 + 9
    while (item := next_item(plan, "ann", had, lambda item, n: True)) is not None:
        left = sum(k not in had for k, _ in plan.queue)
        assert places_left(plan, "ann", had, left) + len(had) == total
        had.append(item)
    assert len(had) == total


def test_a_queue_of_candidates(campaign, tmp_path) -> None:
    """A queue says what comes and in which order; a later one goes on with what was labelled before."""
    ids = [(problem.problem_id, each.candidate_id) for problem, own in campaign.pool for each in own]
    rows = [{"problem_id": problem, "candidate_id": each} for problem, each in (ids[7], ids[2], ids[11])]
    assert queue_pool(campaign, write_jsonl(tmp_path / "queue.jsonl", [*rows])) == 3
    ledger = Ledger(campaign)
    order = [label(ledger, "ann", [1] * 4) for _ in range(4)]
    assert [campaign.item(item).candidate_id for item in order if item] == [ids[k][1] for k in (7, 2, 11)]
    assert queue_pool(campaign) == 20
    assert Ledger(campaign).current("ann") not in order
    for bad, said in (
        ([rows[0], rows[0]], "again"),
        ([{"problem_id": "p0", "candidate_id": "0000-nothere"}], "of the pool"),
        ([{"problem_id": "p0"}], "candidate_id"),
    ):
        with pytest.raises(DataError, match=said):
            queue_pool(campaign, write_jsonl(tmp_path / "bad.jsonl", bad))
    assert len(campaign.queue()) == 20


def test_a_candidate_without_steps_is_passed_over(tmp_path) -> None:
    """An empty solution has nothing to mark: its page would be one that nobody can leave."""
    from prm_eval.importers import import_pool

    samples = [{"text": ""}, {"text": "One line \\boxed{1}"}]
    row = {"id": "a", "problem": "One?", "answer": "1", "samples": samples}
    pool = import_pool(write_jsonl(tmp_path / "p.jsonl", [row]), tmp_path / "pool", policy="x").pool
    campaign = make_campaign(pool, second_opinion=0)
    for ledger in (Ledger(campaign), Ledger(campaign)):
        assert len(campaign.item(ledger.current("ann") or 0).steps) == 1
    label(ledger, "ann", [1])
    assert ledger.current("ann") is None and ledger.progress("ann").done == 1
    campaign.close()


@pytest.mark.parametrize(
    "rules", [{"splitter": "words"}, {"splitter": "line", "qc_rate": 0.9}, {"splitter": "line", "second_opinion": 2}]
)
def test_rules_without_meaning_are_refused(tmp_path, rules) -> None:
    """A campaign cannot change its rules later."""
    pool = make_pool(tmp_path / "pool", 1, 1)
    with pytest.raises(PrmEvalError, match="expected"):
        begin(campaign_folder(pool.path, "people"), pool, Rules(**rules))


def test_two_sources_never_share_a_folder(tmp_path) -> None:
    """A campaign in the folder of a policy's labels could not be exported there, and both would be one folder to train
    on."""
    pool = make_pool(tmp_path / "pool", 1, 1)
    folder = campaign_folder(pool.path, "rollouts-8")
    with LabelWriter(folder, pool, source="rollouts", by="x", labels="soft"):
        pass
    with pytest.raises(PrmEvalError, match="labels by rollouts"):
        begin(folder, pool, Rules("line"))
    assert not (folder / FILE).exists()


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a/b", "x" * 101])
def test_names_that_are_no_folder(tmp_path, name) -> None:
    """A campaign never lies outside of its pool."""
    with pytest.raises(PrmEvalError, match="plain name"):
        campaign_folder(tmp_path, name)
