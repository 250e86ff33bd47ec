"""The oracle against a second judge, on every candidate of the pools that ship; ``python -m pytest -s`` prints what was
compared."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from prm_eval.miniature.oracle import judge
from prm_eval.miniature.problems import plan_of
from prm_eval.pools.pool import Pool
from tests.miniature import second_judge

RESULTS = Path(__file__).parents[2] / "results"
# those of the first version too, which must stay readable
POOLS = sorted([*(RESULTS / "pools").glob("miniature-*x64/"), *(RESULTS / "miniature" / "1").glob("miniature-*x64/")])


def test_the_oracle_and_the_second_judge_agree_on_all_that_the_policies_wrote() -> None:
    """Otherwise a step label or a grade of the miniature, and with it every figure of the laboratory, depends on who
    judges."""
    compared: dict[tuple[str, str], object] = {}
    candidates = steps = wrong_reasoning = 0
    for problem, group in chain.from_iterable(Pool(path) for path in POOLS):
        plan = plan_of(problem)
        for each in group:
            candidates += 1
            key = (problem.problem_id, each.text)
            if key not in compared:
                mine = judge(plan, each.text)
                found = [label.right for label in mine.labels], mine.answer_right
                assert found == second_judge.judge(plan, each.text), each.text
                compared[key] = found
            labels, right = compared[key]
            steps += len(labels)
            wrong_reasoning += right and not all(labels)
    assert candidates >= 20_000
    assert wrong_reasoning > 100  # the case that matters occurs
    print(f"\n{candidates:,} candidates, {len(compared):,} different, {steps:,} steps: every label and answer judged "
          "alike; "
          f"{wrong_reasoning:,} right answers by wrong reasoning")  # fmt: skip
