"""Refusals that carry the grades, rewards that count votes, copies of another model's rewards: each is told."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.submissions.alike import Ordered, copies, order_of
from prm_eval.submissions.patterns import by_lot, follows_share, refused, takes_the_most_common
from prm_eval.submissions.suspicion import PoolFacts, _found
from tests.leaderboard.board import edit_json, make_results, rows_of, write_rows


def facts(problems: int = 60, m: int = 20, seed: int = 0) -> PoolFacts:
    """Right answers of class 0, wrong ones of six classes, some more frequent; lengths of their own."""
    chance = np.random.default_rng(seed)
    classes = chance.choice(7, (problems, m), p=[0.4, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02])
    there = np.ones_like(classes, dtype=bool)
    return PoolFacts(classes == 0, there, there, (), chance.integers(5, 90, classes.shape).astype(float), classes)


def names(table: np.ndarray, about: PoolFacts) -> set[str]:
    return {each.name for each in _found(table, about)}


def noise(about: PoolFacts, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, about.correct.shape)


@pytest.mark.parametrize(("share", "told"), [(1.0, True), (0.9, True), (0.7, True), (0.4, True), (0.1, True)])
def test_refusing_the_wrong_ones_is_told(share: float, told: bool) -> None:
    """Noise that refuses wrong candidates was the first of the board, without a doubt."""
    about = facts()
    table = np.where(
        ~about.correct & (np.random.default_rng(2).random(about.correct.shape) < share), np.nan, noise(about)
    )
    found = {each.name: each for each in _found(table, about)}
    assert ("refusals" in found) is told
    if share == 1.0:
        assert {"grades", "oracle"} <= set(found)
        assert "they are wrong beyond chance: 100% are wrong" in found["refusals"].text
    assert found["refusals"].value > 0


def test_refusing_by_lot_is_no_doubt_and_refusing_the_long_ones_is() -> None:
    about = facts()
    for seed in range(20):
        lot = np.random.default_rng(seed).random(about.correct.shape) < 0.1
        assert names(np.where(lot, np.nan, noise(about, seed)), about) == set()
    (long,) = _found(np.where(about.lengths > 80, np.nan, noise(about)), about)
    assert long.name == "refusals" and "they are long beyond chance" in long.text
    assert refused(noise(about), about.present, about.correct, about.lengths) is None
    everything = np.full(about.correct.shape, np.nan)
    found = refused(everything, about.present, about.correct, about.lengths)
    assert found is not None and (found.wrong_errors, found.wrong) == (0.0, found.expected)
    own, lots = by_lot(everything, about.present, about.correct, about.answered, 4)
    assert own == 0.0 and lots == pytest.approx(100 * about.correct.mean())


def test_what_refusing_is_worth_is_said_at_the_n_of_the_pool(monkeypatch) -> None:
    """A pool may be ranked by another n than a quarter of its slots; lots are drawn only where something is odd."""
    about = facts()
    wrong = np.where(about.correct, noise(about), np.nan)
    for n in (2, 8):
        (found,) = (each for each in _found(wrong, about, n) if each.name == "refusals")
        own, lots = by_lot(wrong, about.present, about.correct, about.answered, n)
        assert f"best of {n} would be {lots:.1f} instead of {own:.1f}" in found.text and found.value == own - lots
    monkeypatch.setattr("prm_eval.submissions.suspicion.by_lot", lambda *_: pytest.fail("lots were drawn"))
    lot = np.random.default_rng(5).random(about.correct.shape) < 0.1
    assert names(np.where(lot, np.nan, noise(about)), about) == set()


@pytest.mark.parametrize("amount", [0.0, 0.5, 2.0])
def test_counting_the_votes_of_the_pool_is_told(amount: float) -> None:
    """Best of n that knows the vote of all 64 is no best of n."""
    about = facts()
    votes = np.stack([np.bincount(row, minlength=7)[row] for row in about.classes]).astype(float)
    votes += amount * np.random.default_rng(3).random(votes.shape)
    assert "votes" in names(votes, about)
    assert "votes" not in names(votes[:19], facts(19))


def test_a_verifier_that_knows_right_answers_counts_no_votes() -> None:
    """Right answers are frequent: that rewards prefer them says nothing."""
    about = facts()
    for strength in (0.0, 0.5, 1.0):
        found = follows_share(strength * about.correct + noise(about), about.correct, about.classes)
        assert len(found) > 30 and abs(float(found.mean())) < 0.3
        assert "votes" not in names(strength * about.correct + noise(about), about)
    assert len(follows_share(noise(about), about.correct, np.full_like(about.classes, -1))) == 0


def test_copies_are_told_whatever_their_bytes() -> None:
    """Re-encoded, rescaled, with noise in the seventh digit: the order within problems is another model's."""
    about = facts()
    own, other = noise(about), noise(about, 9)
    own[0, :3] = np.nan
    entries = [
        Ordered("they/model", "reproduced", order_of(own)),
        Ordered("we/rescaled", "recomputed", order_of(1.5 * own - 3)),
        Ordered("you/noisy", "recomputed", order_of(own + 1e-6 * noise(about, 4))),
        Ordered("they/model", "recomputed", order_of(own)),  # another commit of it
        Ordered("she/other", "recomputed", order_of(other)),
        Ordered("he/constant", "recomputed", order_of(np.zeros_like(own))),
    ]
    found = copies(entries)
    assert [tuple(each.name for each in one) for one in found] == [(), ("alike",), ("alike",), ("alike",), (), ()]
    assert "those of they/model do" in found[1][0].text and found[1][0].value > 0.9999
    assert "those of we/rescaled do" in found[3][0].text
    assert copies(entries[:1]) == [()] and copies([]) == []


def test_refusals_made_from_grades_are_marked_by_check_and_board(tmp_path, capsys) -> None:
    """Appendix 1 of the findings: rewards of a checksum, wrong candidates refused as over-length."""
    from prm_eval.submissions import registered_pools

    folder = make_results(tmp_path / "results")
    pool = registered_pools(tmp_path / "results")["demo-35x8"].pool
    rows, grades = rows_of(folder), [row for _, several in pool.grades() for row in several]
    for row, grade in zip(rows, grades, strict=True):
        if grade.grade == "correct":
            row |= {"step_rewards": [zlib.crc32(row["input_hash"].encode()) / 2**32] * row["n_steps"]}
        else:
            row |= {"step_rewards": None, "n_steps": 0, "refusal": "over-length"}
    write_rows(folder, rows)
    wrong = sum(each.grade != "correct" for each in grades)
    edit_json(folder / "submission.json", run__refused={"over-length": wrong})
    assert main(["check", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "[suspicious: grades]" in printed and "[suspicious: refusals]" in printed


def test_rewards_that_know_the_most_common_answer_are_told() -> None:
    """One number for the most common answer of the whole pool, none for all others: +6.4 points over a vote of n."""
    about = facts(problems=400)
    most = np.zeros(about.correct.shape, dtype=bool)
    for row, own in enumerate(about.classes):
        answers, counts = np.unique(own[own >= 0], return_counts=True)
        most[row] = own == answers[counts.argmax()]
    for sigma in (0.0, 0.3):
        table = most + sigma * noise(about)
        share, problems = takes_the_most_common(table, about.correct, about.classes)
        assert problems > 20
        assert (share > 0.9) == ("votes" in names(table, about)), sigma
        if sigma == 0.0:
            assert share == 1.0
    assert takes_the_most_common(noise(about), about.correct, about.classes)[0] < 0.6
    assert takes_the_most_common(np.full(about.correct.shape, np.nan), about.correct, about.classes) == (0.0, 0)
