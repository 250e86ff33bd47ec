"""Progress bars: what they show is what was done, and every bar is made in one place."""

from __future__ import annotations

from pathlib import Path

import prm_eval
from prm_eval.progress import Bar, no_bars


def test_the_bar_shows_candidates_speed_and_time_left(capsys) -> None:
    """Candidates done, tokens a second of this run, and time left; candidates of an earlier run cost no time."""
    now = [100.0]
    scoring = Bar("scoring", 100, "candidate", delay=0, clock=lambda: now[0])
    with scoring as progress:
        progress(40, 0)  # resumed
        assert (scoring.bar.n, scoring.bar.initial) == (40, 40)
        now[0] += 2.0
        progress(70, 9_000)
        assert scoring.bar.n == 70
        assert "4,500 tokens/s" in scoring.bar.postfix
        progress(100, 9_000)  # the rest was in a cache
    assert "100/100" in capsys.readouterr().err


def test_a_run_that_starts_fresh_counts_from_nothing(capsys) -> None:
    """The first finished batch is not mistaken for an earlier run's."""
    scoring = Bar("scoring", 10, "candidate", delay=0)
    with scoring as progress:
        progress(5, 700)
        assert (scoring.bar.n, scoring.bar.initial) == (5, 0)


def test_work_without_tokens_says_nothing_of_tokens(capsys) -> None:
    """A bar of grading that says "0 tokens/s" would be noise; a job without bars prints nothing at all."""
    with Bar("grading", 3, "problem", delay=0) as progress:
        progress(1)
        progress(3)
    shown = capsys.readouterr().err
    assert "3/3" in shown and "tokens" not in shown
    with no_bars("grading", 3, "problem") as progress:
        progress(3)
    assert capsys.readouterr() == ("", "")


def test_one_place_makes_bars() -> None:
    """A second maker of bars has other habits in a log, and other words for one stage."""
    package = Path(prm_eval.__file__).parent
    makers = [str(each.relative_to(package)) for each in package.rglob("*.py") if "import tqdm" in each.read_text()]
    assert makers == ["progress.py"]
