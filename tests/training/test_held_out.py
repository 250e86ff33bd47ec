"""The figures while a training runs are those of ``prm-eval evaluate`` on the same numbers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.arrays import load_set
from prm_eval.evaluation.stepwise.jobs import run_step_evaluation
from prm_eval.records import ScoringItem
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.training.held_out import BestOfN, HeldOut, HeldOutAnswers, HeldOutSteps
from tests.conftest import write_jsonl
from tests.training import small


def rendered(n: int, tokens: int = 5) -> Rendered:
    return Rendered(tuple(range(tokens)), tuple(range(n)))


def test_steps_are_measured_as_evaluate_measures_them(tmp_path) -> None:
    """Otherwise a curve says that training helps, or stops it, by another measure than the one that is reported."""
    made = small.step_set(tmp_path / "set", 24)
    draw = np.random.default_rng(1)
    values = [tuple(draw.normal(size=3)) for _ in range(24)]
    rows = [
        {"id": solution.solution_id, "scores": [float(1 / (1 + np.exp(-each))) for each in own], "threshold": 0.5}
        for solution, own in zip(made.solutions, values, strict=True)
    ]
    evaluated = run_step_evaluation(tmp_path / "set", [write_jsonl(tmp_path / "scores.jsonl", rows)]).rows[0].whole
    held = HeldOutSteps(load_set(made), [rendered(3)] * 24, [])
    figures = held.figures(values)
    assert figures["step_auc"] == pytest.approx(evaluated.separated.auc.value)
    assert figures["processbench_f1"] == pytest.approx(evaluated.located.f1.value)


def test_refused_solutions_have_no_number(tmp_path) -> None:
    """Otherwise a solution that is too long counts as one with rewards of 0."""
    made = small.step_set(tmp_path / "set", 4)
    held = HeldOutSteps(load_set(made), [rendered(3)] * 4, [])
    scores = held.scores([(1.0, 2.0, 3.0), (), (0.0, 0.0, 0.0), (-1.0, -2.0, -3.0)], "x")
    assert np.isnan(scores.values[3:6]).all() and np.isfinite(np.delete(scores.values, [3, 4, 5])).all()
    assert scores.values[6] == 0.5 and scores.score_type == "logodds"


@pytest.mark.parametrize(
    ("values", "right", "expected"),
    [
        ([3, 2, 1, 0], [1, 1, 0, 0], 1.0),
        ([0, 1, 2, 3], [1, 1, 0, 0], 0.0),
        ([1, 1, 1, 1], [1, 0, 1, 0], 0.5),
        ([3, 2, 1], [1, 0, 1], 0.5),
        ([1, 2], [1, 1], None),
    ],
)
def test_answers(values, right, expected) -> None:
    """Otherwise an ORM's curve is upside down, or one class alone has a figure."""
    held = HeldOutAnswers([rendered(1)] * len(values), [], list(map(float, right)), list(range(len(values))))
    found = held.figures([(float(each),) for each in values])
    assert found == ({} if expected is None else {"solution_auc": expected})
    assert held.auc([(float(each),) for each in values], limits=True).value == expected


def test_only_so_many_are_read_evenly() -> None:
    """Otherwise an evaluation of a large set takes longer than the training, or sees its first problems alone."""
    asked: list[int] = []

    def read(some):
        asked.extend(len(one.ids) for one in some)
        return [(1.0,)] * len(some)

    every = [rendered(1, tokens) if tokens % 7 else Rendered((1,), (), "over-length") for tokens in range(1, 101)]
    held = HeldOutAnswers(every, [], [1.0, 0.0] * 50, list(range(100)))
    HeldOut(held, None, 10).figures(read)
    assert asked == [tokens for tokens in range(1, 101, 10) if tokens % 7]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    from prm_eval.evaluation.jobs import run_grading
    from prm_eval.importers import import_pool
    from prm_eval.pools.pool import Pool

    folder = tmp_path_factory.mktemp("pool")
    answers = [["1", "2", "3", None], ["2", "2", "no answer", "1"], ["5", "5", "5", "5"]]
    rows = [
        {"id": f"p{k}", "problem": f"Problem {k}?", "answer": ["1", "2", "4"][k],
         "samples": [None if each is None else
                     {"text": f"First.\nThen.\nSo \\boxed{{{each}}}." if each != "no answer" else "I do not know."}
                     for each in own]}
        for k, own in enumerate(answers)
    ]  # fmt: skip
    import_pool(write_jsonl(folder / "pool.jsonl", rows), folder / "pool")
    run_grading(folder / "pool")
    return Pool(folder / "pool")


def test_best_of_n_by_all_subsets(pool) -> None:
    """Otherwise best of n takes missing slots, or candidates without an answer, or multiplies log-odds."""
    recipe = shipped_recipes()["token-classification"]
    seen: list[ScoringItem] = []

    def render(item):
        seen.append(item)
        return rendered(len(item.steps))

    best = BestOfN(pool, "own", recipe, render, 50)
    assert [len(each.steps) for each in seen] == [3, 3, 3, 3, 3, 1, 3, 3, 3, 3, 3]
    draw = np.random.default_rng(2)
    values = [tuple(draw.normal(size=len(each.steps))) for each in seen]
    values[4] = ()  # refused
    products = [float(np.prod([1 / (1 + np.exp(-x)) for x in own])) if own else None for own in values]
    rewards = np.full((3, 4), np.nan)
    rewards[0, :3], rewards[1], rewards[2] = products[:3], [np.nan, products[3], np.nan, products[6]], products[7:]
    # in the second problem slot 0 is the fourth candidate
    rewards[1] = [products[3], np.nan, np.nan, products[6]]
    right = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)
    curve = best.curve(values)
    for n in (1, 2, 4):
        each = []
        for own, good in zip(rewards, right, strict=True):
            chosen = []
            for subset in combinations(range(4), n):
                there = [slot for slot in subset if np.isfinite(own[slot])]
                chosen.append(bool(there) and good[max(there, key=lambda slot: own[slot])])
            each.append(np.mean(chosen))
        assert curve[n] == pytest.approx(float(np.mean(each))), n
    assert best.figures(values) == {"bon@2": curve[2], "bon@4": curve[4]}


def test_only_the_first_problems(pool) -> None:
    """Otherwise `--pool-problems` shifts rewards to other problems' candidates."""
    best = BestOfN(pool, "own", shipped_recipes()["miniature-orm"], lambda item: rendered(1), 1)
    assert best.shape == (1, 4) and len(best.rendered) == 3
    assert best.curve([(3.0,), (2.0,), (1.0,)])[4] == 1.0 and best.curve([(1.0,), (2.0,), (3.0,)])[4] == 0.0
    with pytest.raises(PrmEvalError, match="no grades named 'nobodys'"):
        BestOfN(pool, "nobodys", shipped_recipes()["miniature-orm"], lambda item: rendered(1), 1)
