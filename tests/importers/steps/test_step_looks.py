"""Leaks: each is told where it is, and not told where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prm_eval.importers.steps.looks import FEW, Looks
from tests.importers.steps.rows import PLAIN, PRMBENCH, altered, imported


def rows(labels: list[tuple[int, int]], **more: Any) -> list[dict[str, Any]]:
    """A row for each (label, number of steps), with texts of its own."""
    return [
        altered(PLAIN, id=str(k), steps=[f"{k}.{step}" for step in range(n)], label=label, base=0, **more)
        for k, (label, n) in enumerate(labels)
    ]


def looks(folder: Path, given: list[Any]) -> Looks:
    return imported(folder, given).looks


def leak(found: Looks, words: str) -> bool:
    return any(words in each for each in found.leaks)


BALANCED = [(k % 4, 4) for k in range(4 * FEW)] + [(-1, 4) for _ in range(4 * FEW)]


def test_a_sound_set_has_no_leak(tmp_path: Path) -> None:
    """If a set without a leak had one, nobody would read the next."""
    assert looks(tmp_path, rows(BALANCED)).leaks == ()


def test_the_balance(tmp_path: Path) -> None:
    """If steps after the first error counted as good or bad, the balance would be one nobody labelled."""
    given = [
        altered(PLAIN, group="x"),
        altered(PLAIN, id="b", label=-1, group="y"),
        altered(PLAIN, id="c", label=None, group="x", problem="other"),
    ]
    found = looks(tmp_path, given)
    whole = found.whole
    assert (whole.solutions, whole.problems, whole.clean, whole.wrong, whole.unknown) == (3, 2, 1, 1, 1)
    assert (whole.steps, whole.good, whole.neutral, whole.bad, whole.unrated) == (9, 4, 0, 1, 4)
    assert [(each.name, each.solutions, each.steps) for each in found.groups] == [("x", 2, 6), ("y", 1, 3)]
    assert sum(each.good for each in found.groups) == whole.good


def test_solutions_that_stop_at_the_error(tmp_path: Path) -> None:
    """Trap 11: if this were not told, a scorer that knows the number of steps would look like one that reads them."""
    stop = [(n - 1, n) for n in (2, 3, 4, 5) for _ in range(FEW)] + [(-1, n) for n in (2, 3, 4, 5) for _ in range(FEW)]
    found = looks(tmp_path, rows(stop))
    assert leak(found, "in 80 of 80 wrong solutions of several steps the last step is the first wrong one")
    assert not leak(found, "counting is enough")


def test_solutions_of_one_step_stop_nowhere(tmp_path: Path) -> None:
    """If solutions of one step counted, every set of short solutions would be said to stop at the error."""
    assert not leak(looks(tmp_path, rows([(0, 1)] * FEW + [(-1, 3)] * FEW)), "the last step is")


def test_an_error_always_in_one_place(tmp_path: Path) -> None:
    """If this were not told, "step 1 is wrong" would be a perfect verifier that nobody notices."""
    found = looks(tmp_path, rows([(1, n) for n in (3, 4) for _ in range(FEW)] + [(-1, 4)] * FEW))
    assert leak(found, "the first wrong step is step 1 in every wrong solution")


def test_the_number_of_steps_tells(tmp_path: Path) -> None:
    """If this were not told, counting steps would pass for verification."""
    longer = [(k % 3, 9) for k in range(2 * FEW)] + [(-1, 3)] * 2 * FEW
    assert leak(looks(tmp_path, rows(longer)), "wrong solutions have more steps than clean ones in 100.0% of pairs")
    (tmp_path / "b").mkdir()
    shorter = [(k % 3, 3) for k in range(2 * FEW)] + [(-1, 9)] * 2 * FEW
    assert leak(looks(tmp_path / "b", rows(shorter)), "fewer steps")


@pytest.mark.parametrize(
    "clean, wrong, words",
    [
        ([True], [False], "right exactly where no step is wrong"),
        ([True], [True, False], "every clean solution ends right, and 40 of 80 wrong ones (50.0%) end wrong"),
        ([True], [True], None),
        ([True, False], [False], None),
    ],
)
def test_final_answers(tmp_path: Path, clean: list[bool], wrong: list[bool], words: str | None) -> None:
    """If this were not told, a checker of answers would be praised for finding steps."""
    given = rows(BALANCED)
    for k, row in enumerate(given):
        choices = clean if row["label"] == -1 else wrong
        row["final_answer_correct"] = choices[k % len(choices)]
    found = looks(tmp_path, given)
    assert (found.leaks == ()) if words is None else leak(found, words)


def test_one_class_alone(tmp_path: Path) -> None:
    """If a set of one class were not told, half of its figures would be missing without a reason."""
    assert leak(looks(tmp_path, rows([(k % 3, 3) for k in range(5)])), "no solution is known to be clean")
    (tmp_path / "b").mkdir()
    assert leak(looks(tmp_path / "b", rows([(-1, 3)] * 5)), "no solution is known to be wrong")


def test_zero_may_say_none(tmp_path: Path) -> None:
    """If 0 stood for "no wrong step" and nobody asked, every clean solution would be wrong from its first step."""
    assert leak(looks(tmp_path, rows([(0, 3)] * FEW + [(2, 3)] * 5)), "did 0 stand for no wrong step?")


def test_solutions_that_stand_again(tmp_path: Path) -> None:
    """Trap 16: if copies were not told, limits would be over more evidence than there is."""
    given = [
        PLAIN,
        altered(PLAIN, id="b"),
        altered(PLAIN, id="c", label=0),
        altered(PLAIN, id="d", steps=["x"], label=0),
    ]
    assert leak(looks(tmp_path, given), "1 solution stands again, 2 times; 1 of them with different labels")
    (tmp_path / "b").mkdir()
    spaced = altered(PLAIN, id="b", problem=PLAIN["problem"].replace(" ", "\n"))
    assert leak(looks(tmp_path / "b", [PLAIN, spaced]), "1 solution stands again, once")


def test_labels_beyond_the_end(tmp_path: Path) -> None:
    """Trap 19: if these were dropped silently, nobody could tell our counts from the script's."""
    found = looks(tmp_path, [altered(PRMBENCH, error_steps=[2, 7, 9])])
    assert leak(found, "2 labels of steps beyond the end of their solutions were left out")
