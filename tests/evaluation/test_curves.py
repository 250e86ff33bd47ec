"""What an evaluation accepts, refuses and notes: a wrong grid, file or gap would still print a plausible number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation import curves
from prm_eval.evaluation.curves import (
    DEFAULT_SELECTORS,
    GradedSlots,
    RewardArrays,
    checked_ns,
    default_ns,
    evaluate,
    graded_slots,
    load_selectors,
    problem_curves,
)
from prm_eval.evaluation.measured import Settings, board_settings
from prm_eval.evaluation.summary import ORACLE
from prm_eval.pools.format import GRADES
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.selection.selectors import Selector
from tests.selection.brute import best_by, elected_by, over_all_subsets, slots

MANY = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.mark.parametrize(
    "m, ns",
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (5, (1, 2, 4, 5)), (100, (1, 2, 4, 8, 16, 32, 64, 100))],
)
def test_the_grid_of_n(m: int, ns: tuple[int, ...]) -> None:
    """Powers of two, and M itself, once."""
    assert default_ns(m) == ns


@MANY
@given(st.integers(1, 5_000))
def test_every_grid_starts_at_1_and_ends_at_m(m: int) -> None:
    """Rising, from mean@1 to all of the pool."""
    ns = default_ns(m)
    assert (ns[0], ns[-1]) == (1, m)
    assert list(ns) == sorted(set(ns))


@pytest.mark.parametrize(
    "asked, grid", [([4, 1, 4, 2], (1, 2, 4)), (None, (1, 2, 4, 6)), ([], (1, 2, 4, 6)), ([6], (6,))]
)
def test_a_grid_that_is_asked_for(asked: list[int] | None, grid: tuple[int, ...]) -> None:
    """In any order and with repetitions; none is the default one."""
    assert checked_ns(asked, 6) == grid


@pytest.mark.parametrize("n", [0, -1, 7])
def test_a_grid_beyond_the_pool(n: int) -> None:
    """The message has the n and the M."""
    with pytest.raises(PrmEvalError, match=f"n = {n}, but a problem has M = 6 slots"):
        checked_ns([1, n], 6)


@pytest.mark.parametrize("m, headline", [(1, 1), (2, 2), (4, 2), (8, 2), (16, 4), (64, 16), (100, 16), (1_860, 256)])
def test_the_headline_of_a_board(m: int, headline: int) -> None:
    """The largest power of two up to M / 4, at least 2 where there are two slots: beyond, subsets overlap too much."""
    found = board_settings(m)
    assert found.headline_n == headline
    assert found.ns[found.column] == headline


def test_a_headline_that_is_asked_for() -> None:
    """It joins the grid in its place; one beyond M is refused."""
    assert board_settings(8, 3) == Settings((1, 2, 3, 4, 8), 3)
    assert board_settings(8, 3).column == 2
    with pytest.raises(PrmEvalError, match="headline_n = 9, but the pool has M = 8 slots"):
        board_settings(8, 9)


def test_selectors_by_name() -> None:
    """The default ones, in their order; the oracle is no selector, since it sees grades."""
    found = load_selectors(None)
    assert tuple(found) == DEFAULT_SELECTORS
    assert found[ORACLE] is None
    assert all(isinstance(each, Selector) for name, each in found.items() if name != ORACLE)
    with pytest.raises(PrmEvalError, match="nobody"):
        load_selectors(["nobody"])


def test_what_is_registered_and_is_no_selector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class without its methods is refused by name before the pool is read."""
    monkeypatch.setattr(curves.plugins, "load", lambda kind, name: object)
    with pytest.raises(PrmEvalError, match="'odd' is not a selector: it needs name, needs_rewards and choose"):
        load_selectors(["odd"])


SELECTORS = load_selectors(None)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(problem=slots(most=6))
def test_the_curves_of_one_problem_are_the_definitions(problem) -> None:
    """All default selectors on one problem, two reward models beside each other, against all subsets."""
    correct = problem.classes == 0
    graded = GradedSlots(
        Problem("p", "s"),
        problem.classes,
        correct,
        problem.lengths,
        {
            "one": RewardArrays(problem.rewards, problem.weights),
            "reverse": RewardArrays(-problem.rewards, problem.weights),
        },
    )
    ns = list(range(1, problem.m + 1))
    found = problem_curves(graded, SELECTORS, ns, draws=10)
    rules = {
        ("best_of_n", "one"): best_by(problem.rewards, problem),
        ("best_of_n", "reverse"): best_by(-problem.rewards, problem),
        ("weighted_majority", "one"): elected_by(problem.weights, problem),
        ("majority", None): elected_by(np.ones(problem.m), problem),
        ("shortest", None): best_by(-problem.lengths, problem),
        ("longest", None): best_by(problem.lengths, problem),
    }
    for key, rule in rules.items():
        expected = [over_all_subsets(problem.m, n, rule) @ correct for n in ns]
        assert found[key].values == pytest.approx(expected, abs=1e-12), key
    assert set(found) == {*rules, ("weighted_majority", "reverse"), ("first", None), (ORACLE, None)}


# -- grades that cannot be


def regraded(pool: Pool, **columns) -> Pool:
    """The pool with some columns of its published grades replaced."""
    path = pool.grades_path("published")
    table = pq.read_table(path)
    for name, change in columns.items():
        at = table.schema.get_field_index(name)
        values = change(table.column(name).to_pylist())
        table = table.set_column(at, GRADES.field(name).with_nullable(True), pa.array(values, GRADES.field(name).type))
    pq.write_table(table, path)
    return pool


@pytest.mark.parametrize(
    "columns, message",
    [
        (
            {"grade": lambda values: [*values[:2], "right", *values[3:]]},
            "row 3: found grade 'right'; expected one of correct",
        ),
        (
            {"answer_class": lambda values: [None, *values[1:]]},
            "row 1: found grade 'correct' without an answer class; expected a class",
        ),
        ({"grade": lambda values: ["Correct", *values[1:]]}, "row 1: found grade 'Correct'"),
    ],
)
def test_grades_that_cannot_be(pool: Pool, columns: dict, message: str) -> None:
    """A word that is no verdict would count as wrong, a grade without a class could never be elected."""
    with pytest.raises(DataError) as caught:
        list(graded_slots(regraded(pool, **columns), "published", []))
    assert message in str(caught.value)


def test_slots_beyond_m(pool: Pool) -> None:
    """A candidate in slot M would be written beyond the arrays of its problem."""
    table = pq.read_table(pool.candidates_path)
    at = table.schema.get_field_index("slot")
    values = [9 if value == 3 else value for value in table.column("slot").to_pylist()]
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(values, pa.int32())), pool.candidates_path)
    with pytest.raises(PrmEvalError, match="the slots of problem 'a' are not rising below M = 4"):
        list(graded_slots(Pool(pool.path), "published", []))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seed": -1}, "seed = -1"),
        ({"level": 0.0}, "level = 0.0"),
        ({"level": 1.0}, "level = 1.0"),
        ({"draws": 0}, "draws = 0"),
        ({"resamples": 0}, "resamples = 0"),
        ({"selectors": ["best_of_n"]}, "nothing to evaluate: the chosen selectors need rewards"),
        ({"grades": "nobody"}, "no grades named 'nobody'; it has: published"),
    ],
)
def test_options_without_meaning(pool: Pool, options: dict, message: str) -> None:
    """Each is named with its value before an hour is spent."""
    with pytest.raises(PrmEvalError) as caught:
        evaluate(pool, **{"grades": "published", **options})
    assert message in str(caught.value)


def test_the_same_rewards_twice(pool: Pool) -> None:
    """Two rows of one name in a table could not be told apart."""
    folder = pool.path / "rewards" / "score"
    with pytest.raises(PrmEvalError, match="two reward files are named"):
        evaluate(pool, [folder, folder], grades="published")


def test_progress_and_json(pool: Pool, tmp_path: Path) -> None:
    """Told once a problem; the JSON has a row for every curve and n, and the settings that made it."""
    seen: list[int] = []
    found = evaluate(pool, [pool.path / "rewards" / "score"], grades="published", resamples=50, progress=seen.append)
    assert seen == [1, 2]
    said = found.to_json()
    assert said["schema"] == "prm_eval.evaluation/1"
    assert len(said["rows"]) == len(found.curves) * len(found.ns)
    assert said["settings"]["resamples"] == 50
    assert {(row["selector"], row["n"]) for row in said["rows"]} >= {("best_of_n", 4), (ORACLE, 1), ("majority", 2)}
    for row in said["rows"]:
        table = found.curves[row["selector"], row["reward_model"]]
        assert row["value"] == pytest.approx(table[:, found.ns.index(row["n"])].mean())
        assert row["low"] - 1e-12 <= row["value"] <= row["high"] + 1e-12
