"""Agreement and scores against sums by hand. A wrong alpha would call noise agreement, or fire a good labeller."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.labelling.page.agreement import Share, _alpha_of, alpha, measure
from prm_eval.labelling.page.campaign import Person
from prm_eval.labelling.page.ledger import Ledger
from prm_eval.labelling.page.lines import as_json, report_lines
from tests.labelling.page.campaigns import label, make_campaign, make_pool, mark_item, with_known


def by_hand(units: list[list[int]], metric: str) -> float | None:
    """Krippendorff's alpha as 1 - observed / expected disagreement, pair by pair (Krippendorff 2011)."""
    units = [each for each in units if len(each) > 1]
    values = [value for each in units for value in each]
    domain = sorted(set(values))

    def distance(a: int, b: int) -> float:
        if metric == "nominal":
            return float(a != b)
        low, high = sorted((a, b))
        between = sum(values.count(each) for each in domain if low <= each <= high)
        return (between - (values.count(a) + values.count(b)) / 2) ** 2

    n = len(values)
    observed = sum(sum(distance(a, b) for a, b in itertools.permutations(each, 2)) / (len(each) - 1) for each in units)
    expected = sum(distance(a, b) for a, b in itertools.permutations(values, 2)) / (n - 1) if n > 1 else 0.0
    return 1 - observed / expected if expected else None


def table(units: list[list[int]]) -> np.ndarray:
    return np.array([[each.count(value) for value in (-1, 0, 1)] for each in units], dtype=np.int64).reshape(-1, 3)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=0, max_size=4), max_size=7),
    st.sampled_from(["ordinal", "nominal"]),
)
def test_alpha_is_that_of_all_pairs(units, metric) -> None:
    """The library, and our table for it, against the definition; undefined on both sides or on none."""
    wanted, found = by_hand(units, metric), alpha(table(units), metric)
    assert (wanted is None) == (found is None)
    assert wanted is None or found == pytest.approx(wanted, abs=1e-9)


def test_limits_are_over_problems() -> None:
    """Ten problems copied ten times are no more evidence of people's agreement: the limits must not shrink by it."""
    rng = np.random.default_rng(1)
    marks = rng.choice([-1, 1], 12).tolist()
    once = [(f"p{k}", [mark, mark if rng.random() < 0.7 else -mark]) for k, mark in enumerate(marks)]
    few, many = _alpha_of(once, "ordinal", 0), _alpha_of(once * 10, "ordinal", 0)
    assert few.low is not None and few.high is not None and many.low is not None and many.high is not None
    assert few.low < few.value < few.high and few.problems == many.problems == 12 and many.units == 120
    assert many.high - many.low == pytest.approx(few.high - few.low, abs=0.12)
    one = _alpha_of([("p", [1, -1]), ("p", [1, 1])], "ordinal", 0)
    assert one.value is not None and one.low is None
    assert _alpha_of([], "ordinal", 0).value is None
    assert _alpha_of([("p", [1, 1]), ("q", [1, 1])], "nominal", 0).value is None


def test_a_share_has_exact_limits() -> None:
    """5 of 5 is no proof of 100 %: the lower limit of Clopper and Pearson is (alpha / 2)^(1/5)."""
    low, high = Share(5, 5).limits
    assert (low, high) == (pytest.approx(0.025 ** (1 / 5)), 1.0)


@pytest.fixture
def campaign(tmp_path):
    made = with_known(make_campaign(make_pool(tmp_path / "pool"), second_opinion=1, qc_rate=0.2), 4, 6)
    for who in ("ann", "bob"):
        made.invite(who, "labeller")
    yield made
    made.close()


def test_the_report_of_a_campaign(campaign) -> None:
    """Ann knows the known labels and bob calls everything good; they differ on the candidates with an even number."""
    ledger = Ledger(campaign)
    for who in ("ann", "bob"):
        while (item := ledger.current(who)) is not None:
            found = campaign.item(item)
            if found.known is not None:
                marks = [1, 1, 1] if found.known[0] == -1 or who == "bob" else [1, -1]
            else:
                marks = [1, -1] if who == "ann" and item % 2 == 0 else [1, 1, 1, 1]
            mark_item(ledger, Person(who, "labeller"), item, marks, ms=2_000)
    report = measure(campaign)
    ann, bob = report.people
    assert (report.labelled, report.queued, report.several, report.alike) == (20, 20, 20, 10)
    assert report.same_first == Share(10, 20)
    assert (ann.screening, bob.screening) == (Share(4, 4), Share(2, 4))
    assert ann.quality and bob.quality and ann.quality.right == ann.quality.of and bob.quality.right < bob.quality.of
    assert (ann.done, ann.finishes) == (20, {"solution": 10, "found_error": 10})
    assert ann.steps and bob.steps and ann.steps.value == 1.0 > bob.steps.value
    units = [[1, 1]] * 20 + [[1, -1]] * 10 + [[1, 1]] * 30
    assert report.steps.value == pytest.approx(by_hand(units, "ordinal"))
    assert report.first.value == pytest.approx(by_hand([[-1, -1]] * 10 + [[1, -1]] * 10, "nominal"))
    assert report.steps.low is not None and report.steps.low <= report.steps.value
    lines = "\n".join(report_lines(report))
    for words in ("20 of 20 candidates", "10 alike, 10 not", "50.0% [6.8%, 93.2%]  below 75%", "median", "5 problems"):
        assert words in lines, lines
    assert json.loads(json.dumps(as_json(report)))["labellers"][1]["screening"]["right"] == 2


def test_who_gave_up_says_nothing_of_the_first_error(campaign) -> None:
    """Giving up is no agreement and no disagreement on where the error is; on a known label it is not right."""
    ledger = Ledger(campaign)
    for who, verdict in (("ann", "give_up"), ("bob", None)):
        for _ in range(6):
            label(ledger, who, [1] if verdict else [1, 1, 1, 1], verdict)
    report = measure(campaign)
    assert report.people[0].screening == Share(0, 4)
    assert report.same_first is None and report.first.units == 0 and report.several == 2 and report.alike == 0
    assert any("undefined" in line for line in report_lines(report))


def test_who_gave_up_at_the_end_is_not_right_either(campaign) -> None:
    """Marks on all steps, and then "give up": on a known solution without a wrong step that must not be a point."""
    ledger = Ledger(campaign)
    for _ in range(4):
        label(ledger, "ann", [1, 1, 1, 1], "give_up")
    assert measure(campaign).people[0].screening == Share(0, 4)


def test_nobody_yet(campaign) -> None:
    """The command must not fall over on the first day."""
    lines = list(report_lines(measure(campaign)))
    assert lines[0].endswith("0 of 20 candidates labelled") and "ann: 0 candidates" in lines
