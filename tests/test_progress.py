"""The bar of scoring: what it shows is what was done."""

from __future__ import annotations

from prm_eval.progress import ScoringBar


def test_the_bar_shows_candidates_speed_and_time_left(capsys) -> None:
    """Candidates done, tokens a second of this run, and time left; candidates of an earlier run cost no time."""
    now = [100.0]
    scoring = ScoringBar("scoring", 100, delay=0, clock=lambda: now[0])
    with scoring as update:
        update(40, 0)  # resumed
        assert (scoring.bar.n, scoring.bar.initial) == (40, 40)
        now[0] += 2.0
        update(70, 9_000)
        assert scoring.bar.n == 70
        assert "4,500 tokens/s" in scoring.bar.postfix
        update(100, 9_000)  # the rest was in a cache
    assert "100/100" in capsys.readouterr().err


def test_a_run_that_starts_fresh_counts_from_nothing(capsys) -> None:
    """The first finished batch is not mistaken for an earlier run's."""
    scoring = ScoringBar("scoring", 10, delay=0)
    with scoring as update:
        update(5, 700)
        assert (scoring.bar.n, scoring.bar.initial) == (5, 0)
