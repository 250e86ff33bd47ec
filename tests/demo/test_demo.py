"""The demonstration's worked examples: the right problems are chosen, and nothing in a text is markup."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from prm_eval.demo import ORM, PRM, demo_pool
from prm_eval.demo.examples import find_examples, render_examples
from prm_eval.grading.pool import grade_pool
from prm_eval.pools.pool import Pool
from prm_eval.rewards import load_reward_model, score_pool
from prm_eval.rewards.aggregate import aggregate


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    pool = demo_pool(tmp_path_factory.mktemp("demo") / "pool")
    grade_pool(pool)
    return pool, [score_pool(pool, load_reward_model(name), pool.path / "rewards" / name) for name in (PRM, ORM)]


def brute_force(pool: Pool, prm) -> set[str]:
    """Problems where one wrong answer has strictly the most votes and the candidate of the highest product is right."""
    products: dict[str, list[tuple[float, str]]] = {}
    for problem_id, candidate_id, each in prm.rows():
        if each.values:
            reward = aggregate(each.values, prm.aggregation, prm.info.score_type)[0]
            products.setdefault(problem_id, []).append((reward, candidate_id))
    found = set()
    for (problem, candidates), (_, rows) in zip(pool, pool.grades("own"), strict=True):
        both = zip(candidates, rows, strict=True)
        answered = {each.candidate_id: row for each, row in both if row.answer_class is not None}
        votes = Counter(row.answer_class for row in answered.values()).most_common()
        scored = [each for each in products.get(problem.problem_id, []) if each[1] in answered]
        if len(votes) < 2 or votes[0][1] == votes[1][1] or not scored:
            continue
        wrong = all(row.grade != "correct" for row in answered.values() if row.answer_class == votes[0][0])
        best = max(reward for reward, _ in scored)
        first = next(name for reward, name in scored if reward == best)
        if wrong and answered[first].grade == "correct":
            found.add(problem.problem_id)
    return found


def test_examples_are_problems_where_only_the_prm_is_right(judged) -> None:
    """An example of something else would tell the reader a story that the numbers do not."""
    pool, (prm, orm) = judged
    found = find_examples(pool, prm, orm, wanted=99)
    assert {each.problem.problem_id for each in found} == brute_force(pool, prm)
    for each in found:
        assert (each.majority.correct, each.chosen.correct) == (False, True)
        assert each.majority.votes > each.chosen.votes
        assert all(0 <= chance <= 1 for _, chance in each.chosen.steps)


def test_the_section_shows_texts_and_never_runs_them(judged) -> None:
    """A candidate is a stranger's text: its tags are shown as text."""
    from dataclasses import replace

    pool, (prm, orm) = judged
    each = find_examples(pool, prm, orm)[0]
    texts = ("<script>alert(1)</script>", "<script>alert(1)</script> for $5", "3 \\cdot 4 = 12")
    hostile = replace(each, chosen=replace(each.chosen, steps=tuple((text, math.nextafter(1, 0)) for text in texts)))
    page = render_examples([hostile])
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; for $5" in page
    assert "<mn>3</mn><mo>·</mo><mn>4</mn>" in page, "a line of the policy is one formula"
    assert "No such problem" in render_examples([])
