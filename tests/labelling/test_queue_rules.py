"""The rules by which candidates are chosen, against searches through every choice that would be allowed."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import fields, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.labelling.queue_rules import Ask, Row, choose, is_trusted, lot_of, quota

chances = st.sampled_from([0.02, 0.05, 0.3, 0.5, 0.5, 0.7, 0.95, 0.98])


@st.composite
def pools(draw) -> list[list[Row]]:
    """Small pools with many ties, refusals, and problems without a candidate."""
    found = []
    for problem in range(draw(st.integers(1, 4))):
        rows = []
        for slot in range(draw(st.integers(0, 6))):
            reward = draw(st.none() | st.sampled_from([-1.0, 0.0, 0.5, 2.0]))
            name = f"{slot:04d}-x"
            rows.append(
                Row(
                    problem,
                    slot,
                    name,
                    wrong=draw(st.booleans()),
                    reward=reward,
                    probability=None if reward is None else draw(chances),
                    steps=() if reward is None else tuple((draw(chances), draw(chances)) for _ in range(2)),
                    lot=lot_of(0, str(problem), name),
                )
            )
        found.append(rows)
    return found


def key(row: Row) -> tuple:
    assert row.reward is not None
    return (-row.reward, row.problem, row.slot)


def allowed(subset: tuple[Row, ...], cap: int) -> bool:
    return all(sum(row.problem == each.problem for each in subset) <= cap for row in subset)


def best(rows: list[Row], size: int, cap: int) -> tuple[Row, ...]:
    """The subset of at most ``size`` rows, at most ``cap`` a problem, whose sorted rewards come first: by search."""
    subsets = [
        subset
        for count in range(size + 1)
        for subset in itertools.combinations(sorted(rows, key=key), count)
        if allowed(subset, cap)
    ]
    most = max(map(len, subsets))
    return min((each for each in subsets if len(each) == most), key=lambda each: [key(row) for row in each])


@given(pools(), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
@settings(max_examples=150, deadline=None)
def test_convincing_is_the_papers_rule_problem_by_problem(pool, size, share) -> None:
    """If it took another wrong answer than the one the PRM likes best, or counted the 80 % otherwise, active learning
    would be measured on another rule than the paper's."""
    found = choose(pool, Ask("convincing", size, share=share))
    for number, rows in enumerate(pool, 1):
        picks = [pick.row for pick in found if pick.row.problem == number - 1]
        scored = [row for row in rows if row.reward is not None]
        exact = Fraction(str(share)) * size
        wanted = int(number * exact) - int((number - 1) * exact)
        wrong = best([row for row in scored if row.wrong], min(wanted, size), size)
        rest = best([row for row in scored if row not in wrong], size - len(wrong), size)
        assert picks == [*wrong, *rest]


@given(pools(), st.integers(1, 2), st.integers(1, 5), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
@settings(max_examples=150, deadline=None)
def test_convincing_of_the_whole_pool_keeps_the_most_a_problem(pool, cap, count, share) -> None:
    """One problem with many convincing answers would take the whole queue, or the cap would cost picks that are
    free."""
    found = choose(pool, Ask("convincing", cap, count, share=share))
    scored = [row for rows in pool for row in rows if row.reward is not None]
    wrong = best([row for row in scored if row.wrong], int(Fraction(str(share)) * count), cap)
    picks = {pick.row for pick in found}
    assert set(wrong) <= picks and len(picks) == len(found) <= count and allowed(tuple(picks), cap)
    order = sorted((row for row in scored if row not in wrong), key=key)
    expected = list(wrong)
    for row in order:
        if len(expected) < count and allowed((*expected, row), cap):
            expected.append(row)
    assert picks == set(expected)


@given(pools(), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_uncertain_takes_those_nearest_to_one_half(pool, size) -> None:
    """A sure candidate in the queue, or a tie that another run breaks otherwise, is work for nothing."""
    found = choose(pool, Ask("uncertain", size))
    for number, rows in enumerate(pool):
        scored = [row for row in rows if row.probability is not None]
        expected = sorted(scored, key=lambda row: (abs(row.probability - 0.5), row.slot))[:size]
        assert [pick.row for pick in found if pick.row.problem == number] == expected


@given(pools(), st.integers(1, 3), st.sampled_from([0.0, 0.01, 0.2]), st.sampled_from([0.5, 0.9, 1.0]))
@settings(max_examples=150, deadline=None)
def test_disagreement_is_actprms_rule(pool, size, spread, sure) -> None:
    """Written again from active_sft_trainer.py: a candidate all of whose steps up to the first predicted error are
    agreed on and sure is not worth a label."""

    def untrusted(row: Row) -> float | None:
        worst, trusted = -1.0, True
        for one, two in zip(*row.steps, strict=True):
            mean, deviation = (one + two) / 2, statistics.stdev([one, two])
            trusted &= deviation <= spread and (mean >= sure or mean <= 1 - sure)
            worst = max(worst, deviation)
            if mean < 0.5:
                break
        return None if trusted else worst

    found = choose(pool, Ask("disagreement", size, spread=spread, sure=sure))
    for number, rows in enumerate(pool):
        kept = [(untrusted(row), row) for row in rows if row.steps]
        order = sorted(((-worst, row.slot, row) for worst, row in kept if worst is not None), key=lambda each: each[:2])
        assert [pick.row for pick in found if pick.row.problem == number] == [row for *_, row in order[:size]]


def test_without_a_most_a_problem_the_count_alone_decides() -> None:
    """A hidden cap of 1 would give 350 of the 500 that were asked for."""
    rows = [[Row(p, s, f"{s}", wrong=True, reward=float(-p), lot=f"{p}{s}") for s in range(3)] for p in range(2)]
    assert [pick.row.place for pick in choose(rows, Ask("convincing", count=4))] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert len(choose(rows, Ask("uniform", count=9))) == 6 and len(choose(rows, Ask("uniform"))) == 2


def test_three_models_differ_by_the_unbiased_deviation() -> None:
    """torch.std divides by M - 1; with M the trusted region would be larger than ActPRM's."""
    steps = ((0.95,), (0.95,), (0.99,))
    assert is_trusted(steps, statistics.stdev([0.95, 0.95, 0.99]), 0.9)
    assert not is_trusted(steps, statistics.pstdev([0.95, 0.95, 0.99]), 0.9)


@given(pools(), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_uniform_picks_are_nested_and_do_not_depend_on_rewards(pool, size) -> None:
    """A control whose picks move with the model it is the control of would be none; one that is drawn anew for every
    size would not show the effect of the size."""
    bare = [[replace(row, reward=None, probability=None, steps=(), wrong=False) for row in rows] for rows in pool]
    few = [pick.row.candidate_id for pick in choose(pool, Ask("uniform", size))]
    assert few == [pick.row.candidate_id for pick in choose(bare, Ask("uniform", size))]
    assert set(few) <= {pick.row.candidate_id for pick in choose(bare, Ask("uniform", size + 1))}


def test_uniform_is_uniform() -> None:
    """Of four candidates each is first a quarter of the time over seeds; a hash of the slot alone would always choose
    the same."""
    firsts = []
    for seed in range(2_000):
        rows = [Row(0, slot, f"{slot}", lot=lot_of(seed, "p", f"{slot}")) for slot in range(4)]
        firsts.append(choose([rows], Ask("uniform"))[0].row.slot)
    for slot in range(4):
        assert abs(firsts.count(slot) / 2_000 - 0.25) < 4 * (0.25 * 0.75 / 2_000) ** 0.5


@pytest.mark.parametrize(("share", "size"), [(0.8, 5), (0.8, 1), (0.1, 3), (0.3, 10), (1.0, 2)])
def test_the_shares_of_all_problems_add_up(share, size) -> None:
    """0.8 is no binary fraction: with floats 100 problems of 5 would lack some of their 400 wrong answers."""
    ask = Ask("convincing", size, share=share)
    for problems in (1, 7, 100):
        total = sum(quota(number, ask) for number in range(1, problems + 1))
        assert total == int(problems * size * Fraction(str(share)))
        assert all(0 <= quota(number, ask) <= size for number in range(1, problems + 1))


def test_a_rule_cannot_see_a_label() -> None:
    """A queue that looks at labels chooses what is known, and its learning curve is a fraud."""
    assert {each.name for each in fields(Row)} == {
        "problem", "slot", "candidate_id", "wrong", "reward", "probability", "steps", "lot",
    }  # fmt: skip


@pytest.mark.parametrize(
    "given_",
    [
        {"rule": "best"},
        {"per_problem": 0},
        {"count": 0},
        {"share": 1.1},
        {"share": float("nan")},
        {"spread": -0.1},
        {"sure": 0.4},
    ],
)
def test_numbers_out_of_range_are_refused(given_) -> None:
    """A share of 80 in place of 0.8 would choose wrong answers only, without a word."""
    with pytest.raises(PrmEvalError):
        Ask(**{"rule": "convincing", **given_})
