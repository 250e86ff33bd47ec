"""The miniature's step set. If this were wrong, figures of reward models on it would rest on wrong labels or on
chance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.miniature.plan import solve
from prm_eval.miniature.problems import miniature_problems, plan_of
from prm_eval.miniature.step_set import NOT_CHOSEN, balance, choose, make_step_set
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.stepsets import StepSet
from tests.conftest import ROOT
from tests.miniature import second_judge

POOL = ROOT / "results" / "pools" / "miniature-v2-350x64"


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> StepSet:
    return make_step_set(Pool(POOL), tmp_path_factory.mktemp("steps") / "set")


def test_every_label_is_that_of_a_second_judge(found) -> None:
    """Otherwise a label depends on who judges: all steps, those after a wrong one too, and all answers."""
    for solution, label in zip(found.solutions, found.labels, strict=True):
        plan = plan_of(Problem(solution.problem_id, solution.statement))
        steps, answer = second_judge.judge(plan, "\n".join(solution.steps))
        assert [rating == 1 for rating in label.ratings] == steps, solution
        assert label.final_correct == answer, solution
        assert label.first_error == (steps.index(False) if False in steps else -1)


def test_half_of_it_has_a_wrong_step(found) -> None:
    """A set of nearly all right, or nearly all wrong, solutions says little, and what a level is easy to tell less."""
    has = balance(found)
    assert has.problems == 350 and has.solutions >= 650
    assert abs(2 * has.with_error - has.solutions) < 20
    pairs = list(zip(found.solutions, found.labels, strict=True))
    sides = Counter((each.group, label.first_error == -1) for each, label in pairs)
    assert len(sides) == 10 and min(sides.values()) >= 50
    assert len({len(each.steps) for each in found.solutions}) >= 5
    assert len({label.first_error for label in found.labels}) >= 6
    # the number of steps must not give away which solution is wrong
    lengths = [[len(s.steps) for s, label in pairs if (label.first_error == -1) is right] for right in (True, False)]
    means = [sum(each) / len(each) for each in lengths]
    assert abs(means[0] - means[1]) < 0.2


def test_right_answers_by_wrong_reasoning_occur(found) -> None:
    """They are what a judge of steps is for: a judge of answers calls them right."""
    assert balance(found).false_positives >= 10
    assert all(label.final_correct for label in found.labels if label.first_error == -1)


def test_no_text_of_a_problem_is_there_twice(found) -> None:
    """A solution that counts twice makes limits too narrow."""
    texts = [(each.problem_id, each.steps) for each in found.solutions]
    assert len(set(texts)) == len(texts)
    assert max(Counter(each.problem_id for each in found.solutions).values()) == 2


def test_the_candidates_are_those_of_the_pool(found) -> None:
    """The id says which candidate of the pool a solution is; of each sort it is the first, so nobody chose it."""
    sources = {problem.problem_id: candidates for problem, candidates in Pool(POOL)}
    for solution, label in list(zip(found.solutions, found.labels, strict=True))[:100]:
        name, _, slot = solution.solution_id.rpartition("/")
        candidate = sources[name][int(slot)]
        assert name == solution.problem_id and candidate.text == "\n".join(solution.steps)
        plan = plan_of(Problem(name, solution.statement))
        sound = [all(second_judge.judge(plan, each.text)[0]) for each in sources[name]]
        # a problem with candidates of one sort alone has two of them
        assert len(set(sound)) == 1 or (label.first_error == -1) not in sound[: int(slot)]
    assert found.info.dropped == {NOT_CHOSEN: 350 * 64 - len(found.solutions)}


def test_it_is_sound_and_the_same_again(found, tmp_path, capsys) -> None:
    """A set that comes out otherwise each time could not ship beside the command that makes it."""
    assert found.verify() == []
    assert main(["miniature", "steps", "-o", str(tmp_path / "again"), "--pool", str(POOL)]) == 0
    out = capsys.readouterr().out
    assert f"solutions  {len(found.solutions)} of 350 problems" in out and found.info.content_hash[:12] in out
    for path in found.path.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_what_is_chosen_of_a_problem() -> None:
    """One of each sort, the first by slot; of one sort alone two different texts; a text without a step is none."""
    each = miniature_problems("test", 0, 350)[20]
    right = "\n".join(solve(each.plan))
    wrong, worse = f"1 + 1 = 3\n{right}", f"garbage\n{right}"

    def chosen(*texts: str) -> list[int]:
        candidates = [Candidate(each.problem.problem_id, slot, text) for slot, text in enumerate(texts)]
        return [candidate.slot for candidate, _ in choose(each.plan, candidates)]

    assert chosen(wrong, worse, wrong, right, right) == [0, 3]
    assert chosen("", " \n", right, worse, wrong) == [2, 3]
    assert chosen(right, right) == [0]
    assert chosen(wrong, wrong, worse) == [0, 2]
    assert chosen("", "") == []


def test_training_problems_are_refused(tmp_path) -> None:
    """The models learnt from them: a figure on them would be no measurement."""
    each = miniature_problems("train", 0, 350)[0].problem
    with PoolWriter(tmp_path / "pool", problem_set={"name": "m"}, policy={"id": None}, m=1) as writer:
        writer.add(each, [Candidate(each.problem_id, 0, "1 + 1 = 2")])
    with pytest.raises(PrmEvalError, match="the training problem miniature/train/0/0"):
        make_step_set(Pool(tmp_path / "pool"), tmp_path / "set")
    assert not Path(tmp_path / "set").exists()
