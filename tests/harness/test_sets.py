"""The tasks of other people's sets through the real lm_eval: loaded from copies, graded as they must be, both doors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from prm_eval.cli.commands import main
from prm_eval.evaluation.by_set import run_table
from prm_eval.evaluation.jobs import run_evaluation
from prm_eval.harness import tasks_path
from prm_eval.pools.hub_sets import HUB_SETS
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import load_local_copy
from tests.harness.step_files import ChatServer
from tests.pools.set_copies import COPIES, write_copies

TASKS = ("aime24_bon", "aime25_bon", "amc23_bon", "hmmt25_bon", "olympiadbench_bon", "minerva_math_bon",
         "college_math_bon", "gpqa_diamond_bon", "mmlu_stem_bon", "sat_math_bon", "scibench_bon")  # fmt: skip
LEAVES = (
    *("ood_bon_calculus_scibench", "ood_bon_calculus_college_math"),
    *("ood_bon_chemistry_mmlu_stem", "ood_bon_chemistry_scibench"),
    *("ood_bon_physics_mmlu_stem", "ood_bon_physics_scibench"),
    "ood_bon_amc",
)
GROUPS = {
    "olympiad_bon": TASKS[:5],
    "ood_bon": LEAVES,
    "ood_bon_calculus": LEAVES[:2],
    "ood_bon_chemistry": LEAVES[2:4],
    "ood_bon_physics": LEAVES[4:6],
}
PIPELINES = {
    "first": ("first", None), "majority": ("majority", None), "oracle": ("oracle", None),
    "orm": ("best_of_n", "boxed-support"), "prm": ("best_of_n", "arithmetic"),
    "weighted_orm": ("weighted_majority", "boxed-support"), "weighted_prm": ("weighted_majority", "arithmetic"),
}  # fmt: skip
N, LIMIT = 4, 3
# how a right answer is spelt by the k-th candidate of the p-th problem: bare, in a sum that the arithmetic rule likes,
# a letter as a choice; the others are wrong or have no answer
WRONG = ("3 + 3 = 7\n\\boxed{%s}", "3 + 3 = 6\n\\boxed{%s}")
RIGHT = ("1 + 1 = 2\nSo \\boxed{%s}", "2 + 2 = 5\nThe answer is $\\boxed{%s}$.")


class Answers:
    """The answers of a server that knows the gold of every statement, and what it was asked."""

    def __init__(self, copies: Path) -> None:
        names = [*COPIES, *(name for name in HUB_SETS if name.partition("/")[0] in COPIES)]
        problems = [problem for name in names for problem in load_local_copy(name, copies).problems]
        self.golds = {each.statement: each.gold for each in problems}
        self.prompts: set[str] = set()

    def __call__(self, prompt: str, vote: int) -> str:
        self.prompts.add(prompt)
        (gold,) = [gold for statement, gold in self.golds.items() if prompt.startswith(f"{statement}\n\nSolve")]
        slot, place = vote % N, sum(map(ord, prompt)) % 3
        wrong = {"B": "C"}.get(gold, "B") if re.fullmatch("[A-D]", gold) else f"{gold} + 1"
        texts = [RIGHT[place % 2] % gold, WRONG[0] % wrong, WRONG[1] % wrong, RIGHT[1] % gold]
        return "I give up" if slot == place else texts[slot]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory):
    """Run every task and group at once over a real HTTP server, 3 problems of 4 candidates each."""
    folder = tmp_path_factory.mktemp("sets")
    copies = write_copies(folder / "copies")
    metadata = {
        "sets_dir": str(copies),
        "n_samples": N,
        "orm_model": "boxed-support",
        "prm_model": "arithmetic",
        "dump_dir": str(folder / "runs"),
    }
    manager = TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata=metadata)
    answers = Answers(copies)
    server = ChatServer(answers)
    try:
        found = simple_evaluate(
            model="local-chat-completions",
            model_args=server.model_args,
            apply_chat_template=True,
            gen_kwargs="seed=None",
            tasks=[*TASKS[5:], "olympiad_bon", "ood_bon"],
            task_manager=manager,
            limit=LIMIT,
            bootstrap_iters=1,
        )
    finally:
        server.stop()
    assert len(server.requests) == len({*TASKS, *LEAVES}) * LIMIT * N
    return found, {task: _pool(folder / "runs" / task) for task in (*TASKS, *LEAVES)}, answers.prompts


def _pool(folder: Path) -> Pool:
    (path,) = folder.glob("*/pool.json")
    return Pool(path.parent)


@pytest.mark.parametrize("task", [*TASKS, *LEAVES])
def test_both_doors_give_the_same_numbers(ran, task) -> None:
    """A set's accuracies through lm_eval are those of `prm-eval evaluate POOL`, which marks as the task did."""
    found, pools, _ = ran
    pool, results = pools[task], found["results"][task]
    assert (pool.info.n_problems, pool.info.m) == (LIMIT, N)
    there = run_evaluation(pool.path, resamples=20)
    names = {curve: name for name, curve in PIPELINES.items()}
    compared = 0
    for row in there.rows:
        if name := names.get((row.selector, row.reward_model)):
            assert results[f"acc@{row.n},{name}"] == pytest.approx(row.value, abs=1e-12)
            compared += 1
    assert compared == len(PIPELINES) * 3
    assert 0 < results["acc@1,first"] < 1, "right and wrong answers are told apart"


@pytest.mark.parametrize("task", [*TASKS, *LEAVES])
def test_right_answers_are_right_and_wrong_ones_wrong(ran, task) -> None:
    """Every set's gold, spelt as in the set, is found in a box and equals itself; nothing else does."""
    _, pools, _ = ran
    pool = pools[task]
    source = pool.info.problem_set.get("grader", "own")
    for (problem, candidates), (_, grades) in zip(pool, pool.grades(source), strict=True):
        for candidate, grade in zip(candidates, grades, strict=True):
            right = any(candidate.text == text % problem.gold for text in RIGHT)
            gives_up = candidate.text == "I give up"
            assert grade.grade == ("no_answer" if gives_up else "correct" if right else "incorrect"), candidate.text


@pytest.mark.parametrize("task", ["scibench_bon", "mmlu_stem_bon"])
def test_a_replay_generates_nothing_and_agrees(ran, tmp_path, task) -> None:
    """A set's pool goes through its task again, with its grader, and every number stays."""
    found, pools, _ = ran
    metadata = {
        "replay": str(pools[task].path),
        "sets_dir": str(write_copies(tmp_path / "copies")),
        "orm_model": f"stored:{pools[task].path / 'rewards' / 'boxed-support'}",
        "dump_dir": str(tmp_path / "runs"),
    }
    manager = TaskManager(include_path=str(tasks_path()), include_defaults=False, metadata=metadata)
    again = simple_evaluate(
        model="dummy", model_args="", tasks=[task], task_manager=manager, limit=LIMIT, bootstrap_iters=0
    )["results"][task]
    shared = [name for name in again if name.startswith("acc@") and "stderr" not in name]
    assert len(shared) > 3 * 5
    assert {name: again[name] for name in shared} == pytest.approx(
        {name: found["results"][task][name] for name in shared}
    )


def test_the_tolerance_is_recorded_where_it_is_used(ran) -> None:
    """SciBench's 5 % stand in pool.json, in the name of the grades and in the results; no other set has them."""
    found, pools, _ = ran
    for task, pool in pools.items():
        with_tolerance = "scibench" in task
        assert pool.info.problem_set.get("grader") == ("default:tolerance_percent=5" if with_tolerance else None)
        grader = found["configs"][task]["metadata"]["prm_eval"]["grader"]
        assert grader.endswith("+tolerance_percent=5") is with_tolerance


def test_choices_are_asked_with_their_letters(ran) -> None:
    """A policy sees every choice with its letter, and is asked for the letter."""
    _, _, prompts = ran
    asked = [prompt for prompt in prompts if "(A)" in prompt]
    assert len(asked) == 3 + 3 + 6  # GPQA, SAT, and of MMLU physics (twice) and chemistry
    for prompt in asked:
        assert re.findall(r"^\((\w)\) \S", prompt, re.MULTILINE) == ["A", "B", "C", "D"]
        assert "the letter of the right choice" in prompt
    assert "Answer Choices" not in "".join(asked)


@pytest.mark.parametrize("group", GROUPS)
def test_groups_are_means_over_problems_with_the_counts_of_the_sign_test(ran, group) -> None:
    """A group's row in lm_eval is the row of all sets of `prm-eval table`, with the counts of its sign test."""
    found, pools, _ = ran
    results = found["results"][group]
    table = run_table([str(pools[task].path) for task in GROUPS[group]], resamples=50)
    last = "all" if len({row.row for row in table.rows}) > 1 else table.rows[0].row
    names = {curve: name for name, curve in PIPELINES.items()}
    compared = 0
    for row in table.rows:
        if row.row == last and (name := names.get((row.selector, row.reward_model))):
            assert results[f"acc@{row.n},{name}"] == pytest.approx(row.value, abs=1e-12)
            assert row.low <= row.value <= row.high
            compared += 1
    assert compared == len(PIPELINES) * 3
    counts = 0
    for each in table.differences:
        name, other = (names[each.selector, each.reward_model], names[each.minus_selector, each.minus_reward_model])
        if each.row == last and each.n == N and f"ahead_of_{other},{name}" in results:
            size = sum(table.sets[i]["n_problems"] for i in range(len(table.sets)))
            assert results[f"ahead_of_{other},{name}"] * size == pytest.approx(each.sign.ahead)
            assert results[f"behind_{other},{name}"] * size == pytest.approx(each.sign.behind)
            counts += 1
    assert counts == 4, "orm, prm and their votes against majority"


def test_domains_are_the_rows_of_the_table(ran) -> None:
    """Both sets of a domain are in its row, and the last row is of all."""
    _, pools, _ = ran
    table = run_table([str(pools[task].path) for task in LEAVES], resamples=50)
    assert list(dict.fromkeys(row.row for row in table.rows)) == ["calculus", "chemistry", "physics", "AMC", "all"]
    assert [row.n_problems for row in table.rows if row.selector == "first" and row.n == 1] == [6, 6, 6, 3, 21]
    assert json.loads(json.dumps(table.to_json()))["schema"] == "prm_eval.sets/1"


def test_a_run_of_several_tasks_ends_with_their_table(tmp_path, monkeypatch, capsys, no_tasks_of_lm_eval) -> None:
    """`prm-eval run` of a group prints one table of all its sets, after those of the tasks."""
    monkeypatch.chdir(tmp_path)
    copies = write_copies(tmp_path / "copies")
    words = [f"sets_dir={copies}", "n_samples=2", "allow_identical_candidates=true", "selectors=first+majority+orm"]
    words += ["orm_model=boxed-support", f"dump_dir={tmp_path / 'runs'}"]
    assert main(["run", "--model", "dummy", "--tasks", "ood_bon", "--limit", "2", "--metadata", *words]) == 0
    printed = capsys.readouterr().out
    table = printed[printed.rindex("problem sets, ") - 2 :]
    assert table.startswith("7 problem sets, 14 problems")
    assert [line.split()[:2] for line in table.splitlines() if line.endswith("]")][:5] == [
        ["calculus", "4"], ["chemistry", "4"], ["physics", "4"], ["AMC", "2"], ["all", "14"]
    ]  # fmt: skip
    assert "all: best of n, ORM - majority" in table
