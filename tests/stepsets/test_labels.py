"""Labels: what follows from what a source gives, and what contradicts itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.records import StepLabel
from prm_eval.stepsets.labels import (
    LabelError,
    by_first_error,
    by_ratings,
    by_soft,
    fault_of,
    first_error_of,
    unlabelled,
)

examples = settings(deadline=None, max_examples=100)


@examples
@given(st.integers(1, 12), st.data())
def test_a_first_error_says_nothing_of_later_steps(n: int, data: st.DataObject) -> None:
    """Steps after the first wrong one counted as good or bad would be labels that nobody gave (trap 10)."""
    k = data.draw(st.integers(-1, n - 1))
    label = by_first_error(k, n)
    assert label.ratings is not None
    assert label.first_error == k
    assert label.ratings == ((1,) * n if k == -1 else (1,) * k + (-1,) + (None,) * (n - k - 1))
    assert fault_of(label, n, "first_error") is None


@pytest.mark.parametrize(("label", "n"), [(3, 3), (4, 3), (-2, 3), (0, 0), (True, 3), ("1", 3), (1.0, 3), (None, 3)])
def test_no_such_step(label: object, n: int) -> None:
    """A label beyond the end would be taken for "no step is wrong" by a script that never reaches it."""
    with pytest.raises(LabelError):
        by_first_error(label, n)  # type: ignore[arg-type]


def test_an_index_equal_to_the_number_of_steps_is_told_as_one_based() -> None:
    """The commonest mistake has its reason in the message (trap 6)."""
    with pytest.raises(LabelError, match="count from 1"):
        by_first_error(4, 4)


RATINGS = st.lists(st.sampled_from([-1, 0, 1, None]), min_size=1, max_size=8)


@examples
@given(RATINGS)
def test_ratings_say_where_the_first_error_is_only_if_all_before_it_are_rated(ratings: list[int | None]) -> None:
    """An unrated step before a wrong one may be wrong itself: then nobody knows the first."""
    label = by_ratings(ratings, len(ratings))
    expected: int | None = -1
    for index, rating in enumerate(ratings):
        if rating is None or rating == -1:
            expected = None if rating is None else index
            break
    assert label.first_error == expected == first_error_of(ratings)
    assert fault_of(label, len(ratings), "rated") is None


@pytest.mark.parametrize(
    ("ratings", "first", "fits"),
    [
        ([1, 1, -1], 2, True),
        ([1, 1, -1], 1, False),
        ([1, 1, 1], -1, True),
        ([1, 1, 1], 1, False),
        ([1, None, -1], 1, True),
        ([1, None, -1], 2, True),
        ([1, None, -1], 0, False),
        ([1, None, None], -1, True),
        ([1, None, -1], -1, False),
        ([None, None], 5, False),
        ([0, 0, 1], -1, True),
    ],
)
def test_ratings_and_a_first_error(ratings: list[int | None], first: int, fits: bool) -> None:
    """Two statements of one source that contradict each other are a fault of the source, not ours to choose from."""
    if fits:
        assert by_ratings(ratings, len(ratings), first_error=first).first_error == first
        return
    with pytest.raises(LabelError, match="agree"):
        by_ratings(ratings, len(ratings), first_error=first)


@pytest.mark.parametrize("ratings", [[2], [-2], [True], [0.5], ["1"], [1, 1], [[0]], [1.0]])
def test_no_ratings(ratings: list[object]) -> None:
    """Another scale (0 to 1, percent) read as ratings would turn good steps into neutral ones."""
    with pytest.raises(LabelError):
        by_ratings(ratings, 1)  # type: ignore[arg-type]


def test_soft_labels_are_bad_only_if_no_continuation_is_right() -> None:
    """Math-Shepherd's hard estimation; a threshold at one half would call many right steps wrong."""
    label = by_soft([1.0, 0.125, 0.0, None], 4)
    assert label.ratings == (1, 1, -1, None)
    assert label.first_error == 2
    assert fault_of(label, 4, "soft") is None
    for bad in ([1.5], [-0.1], [float("nan")]):
        with pytest.raises(LabelError, match="0 to 1"):
            by_soft(bad, 1)
    with pytest.raises(LabelError, match="one a step"):
        by_soft([1.0], 2)


@pytest.mark.parametrize(
    ("label", "n", "kind"),
    [
        (StepLabel(1, (1, 1, -1)), 3, "rated"),
        (StepLabel(2, (1, 1, -1)), 4, "rated"),
        (StepLabel(5), 3, "first_error"),
        (StepLabel(1, (1, -1, 1)), 3, "first_error"),
        (StepLabel(-1, (1, 0, -1)), 3, "every_step"),
        (StepLabel(-1, (1, 1), (1.0, 0.5)), 2, "rated"),
        (StepLabel(0, (-1, 1), (0.5, 0.5)), 2, "soft"),
        (StepLabel(-1, (1, 1)), 2, "soft"),
        (StepLabel(None, (1, 1)), 2, "rated"),
    ],
)
def test_stored_labels_that_do_not_hold(label: StepLabel, n: int, kind: str) -> None:
    """A labels file that was edited by hand contradicts itself somewhere: each is found when it is read."""
    assert fault_of(label, n, kind) is not None  # type: ignore[arg-type]


def test_a_solution_of_which_nothing_is_known() -> None:
    """It stays in the set, and counts nowhere."""
    assert fault_of(unlabelled(final_correct=True), 3, "rated") is None
    assert unlabelled().first_error is None
