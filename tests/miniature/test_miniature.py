"""The miniature's problems, their splits and the oracle's rules."""

from __future__ import annotations

import random
import re
from itertools import islice
from math import comb

import pytest

import prm_eval
from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.miniature.build import admissible
from prm_eval.miniature.disjoint import check_splits
from prm_eval.miniature.oracle import judge
from prm_eval.miniature.plan import Operation, Plan, Ref, normal_form, solve
from prm_eval.miniature.problems import iter_problems, miniature_problems, plan_of, split_of
from prm_eval.miniature.subjects import SUBJECTS
from prm_eval.pools.problem_sets import load_problems
from prm_eval.records import Problem
from tests.miniature.texts import corrupt

# (3 * 3 - 6 * 4) + 8
PLAN = Plan(
    (
        Operation("*", 3, 3),
        Operation("*", 6, 4),
        Operation("-", Ref(0), Ref(1)),
        Operation("+", Ref(2), 8),
    ),
    (3,),
)
# 6 + 8 - 4 - 9, drawn as 6 + (8 - 4) - 9 and worded without parentheses
SUM = Plan((Operation("-", 8, 4), Operation("+", 6, Ref(0)), Operation("-", Ref(1), 9)), (2,))
# 30 - (7 - 3), and 2 * 3 * 4
GROUP = Plan((Operation("-", 7, 3), Operation("-", 30, Ref(0))), (1,))
FACTORS = Plan((Operation("*", 2, 3), Operation("*", Ref(0), 4)), (1,))
# 3 * 3 + 3 * 3, then the remainder by 4
TWICE = Plan(
    (Operation("*", 3, 3), Operation("*", 3, 3), Operation("+", Ref(0), Ref(1)), Operation("%", Ref(2), 4)),
    (3,),
)
PAIR = Plan((Operation("+", 1, 2), Operation("-", 1, 5)), (0, 1))
CHANCE = Plan((Operation("C", 4, 2), Operation("C", 5, 2), Operation("/", Ref(0), Ref(1))), (2,))


def test_a_set_is_what_the_issue_asks_for() -> None:
    """All subjects and levels in equal numbers; two to eight steps, a box at the end; the same seed gives the same
    set."""
    problems = miniature_problems("test", 0, 350)
    cells = {(each.problem.subject, each.problem.level) for each in problems}
    assert len(cells) == 35 and {level for _, level in cells} == {1, 2, 3, 4, 5}
    assert len({each.normal_form for each in problems}) == 350, "a problem occurs twice"
    miniature_problems.cache_clear()
    assert problems == miniature_problems("test", 0, 350), "the same seed gives another set"
    assert problems[:100] == miniature_problems("test", 0, 100), (
        "a smaller set is no prefix: ids would mean two problems"
    )
    assert {each.problem.statement for each in problems} != {
        each.problem.statement for each in miniature_problems("test", 1, 350)
    }
    for each in problems:
        lines = solve(each.plan)
        assert 2 <= len(lines) <= 8
        assert lines[-1] == f"\\boxed{{{each.problem.gold}}}"
        assert each.problem.statement.count("$") % 2 == 0 and "\n" not in each.problem.statement
    golds = " ".join(str(each.problem.gold) for each in problems)
    assert "\\frac" in golds and "(" in golds, "no fraction or no tuple among the answers"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_statement_says_the_same_as_the_plan(subject) -> None:
    """The numbers of the statement are those of the plan: a solution can be written from the statement alone."""
    for each in (each for each in islice(iter_problems("train", 3), 700) if each.problem.subject == subject):
        constants = [x for step in each.plan.operations for x in (step.left, step.right) if isinstance(x, int)]
        said = [abs(int(digits)) for digits in re.findall(r"\d+", each.problem.statement)]
        missing = [x for x in constants if abs(x) not in said]
        # a square of side 3 and x^2 need no 2 in words, a rectangle has two pairs of sides, a recurrence starts at its
        # first term
        assert all(x == 2 for x in missing), (each.problem.statement, missing)


def test_statements_that_can_be_evaluated_have_the_gold_answer() -> None:
    """Expressions are evaluated as Python from the statement: were the LaTeX or the plan wrong, they would differ."""
    checked = 0
    for each in islice(iter_problems("train", 4), 3500):
        latex = re.search(r"\$(.*)\$", each.problem.statement)
        if each.problem.subject == "Prealgebra" or each.problem.statement.startswith("Evaluate"):
            text = re.sub(r"\\binom\{(\d+)\}\{(\d+)\}", r"comb(\1, \2)", latex[1]).replace("\\cdot", "*")
            assert eval(text, {"comb": comb}) == int(each.problem.gold), each.problem
            checked += 1
        if each.problem.subject == "Algebra":
            left, right = latex[1].split("=") if "$ for $" not in latex[1] else latex[1].split("$ for $")[0].split("=")
            while "\\frac" in left:
                left = re.sub(r"\\frac\{([^{}]*)\}\{(\d)\}", r"((\1) / \2)", left)
            left = re.sub(r"(\d) ?(x|\()", r"\1 * \2", left.replace("\\cdot", "*"))
            assert abs(eval(left, {"x": int(each.problem.gold)}) - int(right)) < 1e-9, each.problem
            checked += 1
    assert checked > 900


def test_solutions_are_right_and_stay_inside_the_tables() -> None:
    """Every solver text is sound to the oracle and correct to the grader, and states only facts of the tables."""
    for each in miniature_problems("validation", 0, 140):
        text = "\n".join(solve(each.plan))
        assert judge(each.plan, text).sound
        assert prm_eval.grade(each.problem.gold, text).verdict == "correct"
        values = each.plan.values()
        for step in each.plan.operations:
            a, b = (values[x.index] if isinstance(x, Ref) else type(values[0])(x) for x in (step.left, step.right))
            assert admissible(step.operator, a, b)
        order = [index for root in each.plan.answer for index in post_order(each.plan, root)]
        assert order == list(range(len(each.plan.operations))), "the plan is no tree in post-order"


def post_order(plan, index):
    """The operations below one, inner and left ones first."""
    step = plan.operations[index]
    below = [found for x in (step.left, step.right) if isinstance(x, Ref) for found in post_order(plan, x.index)]
    return [*below, index]


def test_difficulty_is_in_the_level() -> None:
    """Level 5 is longer than level 1."""
    lengths = {level: set() for level in range(1, 6)}
    for each in miniature_problems("test", 0, 350):
        lengths[each.problem.level].add(len(each.plan.operations))
    assert lengths == {1: {2}, 2: {3}, 3: {4}, 4: {5}, 5: {6, 7}}


def test_normal_form() -> None:
    """Order and grouping of sums and products do not make another problem; another number or sign does."""

    def form(*operations):
        return normal_form(Plan(tuple(operations), (len(operations) - 1,)))

    base = form(Operation("*", 3, 4), Operation("+", Ref(0), 5), Operation("-", Ref(1), 2))
    assert base == form(Operation("*", 4, 3), Operation("-", Ref(0), 2), Operation("+", 5, Ref(1)))
    assert base == form(Operation("*", 4, 3), Operation("+", Ref(0), 5), Operation("+", Ref(1), -2))
    assert base != form(Operation("*", 4, 3), Operation("+", Ref(0), 5), Operation("+", Ref(1), 2))
    assert base != form(Operation("*", 4, 3), Operation("+", Ref(0), 6), Operation("-", Ref(1), 2))
    assert form(Operation("-", 5, 3)) != form(Operation("-", 3, 5))
    assert form(Operation("*", 2, 3), Operation("-", 9, Ref(0))) != form(
        Operation("*", 2, 3), Operation("-", Ref(0), 9)
    )
    assert form(Operation("C", 5, 2)) != form(Operation("C", 5, 3))


def test_splits_are_disjoint_across_seeds(capsys) -> None:
    """What one seed tests, no other seed trains on; the command says so."""
    found = check_splits((0, 1), 3_000, 350)
    assert found.drawn == {"train": 6_000, "validation": 700, "test": 700}
    assert min(found.forms.values()) > 500 and not any(found.shared.values())
    assert main(["miniature", "check", "--seeds", "0", "--train", "100", "--count", "70"]) == 0
    assert "train and test           share 0 normal forms" in capsys.readouterr().out


def test_shared_problems_would_be_found(monkeypatch, capsys) -> None:
    """Were the split drawn and not a property of the problem, the command would report it and exit with 1."""
    monkeypatch.setattr(
        "prm_eval.miniature.problems.split_of", lambda form: random.choice(("train", "test", "validation"))
    )
    miniature_problems.cache_clear()
    try:
        assert main(["miniature", "check", "--seeds", "0", "--train", "3000", "--count", "350"]) == 1
    finally:
        miniature_problems.cache_clear()


def test_split_shares() -> None:
    """About 70, 15 and 15 of 100 normal forms."""
    counts = {"train": 0, "validation": 0, "test": 0}
    for index in range(4_000):
        counts[split_of(str(index))] += 1
    assert abs(counts["train"] - 2800) < 120 and abs(counts["test"] - 600) < 90


def test_as_a_problem_set() -> None:
    """The set loads by name without a network, and a problem leads back to its plan."""
    default = load_problems("miniature")
    assert len(default.problems) == 350 and default.revision == "1"
    named = load_problems("miniature:validation:5:70").problems
    assert len(named) == 70 and named[3].problem_id == "miniature/validation/5/3"
    assert plan_of(named[3]).gold == named[3].gold
    with pytest.raises(PrmEvalError, match="found the statement 'other'; expected"):
        plan_of(Problem("miniature/test/0/1", "other"))
    with pytest.raises(PrmEvalError, match="expected miniature/SPLIT/SEED/INDEX"):
        plan_of(Problem("math/1", "other"))
    with pytest.raises(PrmEvalError, match="expected one of train, validation, test"):
        load_problems("miniature:dev")


def test_an_exhausted_family_says_how_many_there_are(monkeypatch) -> None:
    """With one small cell the iterator ends, and too large a count is an error, not an endless draw."""
    monkeypatch.setattr("prm_eval.miniature.problems.OPERATIONS_OF_LEVEL", {1: (2,)})
    monkeypatch.setattr("prm_eval.miniature.problems.SUBJECTS", {"Geometry": SUBJECTS["Geometry"]})
    miniature_problems.cache_clear()
    with pytest.raises(PrmEvalError, match=r"has [\d,]+ distinct problems; 10,000,000 were asked for"):
        miniature_problems("test", 0, 10_000_000)
    miniature_problems.cache_clear()


RIGHT = "3 \\cdot 3 = 9\n6 \\cdot 4 = 24\n9 - 24 = -15\n-15 + 8 = -7\n\\boxed{-7}"


@pytest.mark.parametrize(
    ("plan", "text", "reasons", "right", "answer"),
    [
        (PLAN, RIGHT, "stated stated stated stated answer", "11111", True),
        # any order of work, operands of a product or sum in either order, spaces as one likes, empty lines are no steps
        (PLAN, "4\\cdot6=24\n\n  3 \\cdot 3 = 9\n9 - 24 = -15\n8 + (-15) = -7\n\\boxed{ -7 }",
        "stated stated stated stated answer", "11111", True),
        # a wrong value; what is built on it is right given it
        (PLAN, RIGHT.replace("= 9", "= 6").replace("9 - 24 = -15", "6 - 24 = -18").replace("-15 + 8 = -7",
        "-18 + 8 = -10").replace("{-7}", "{-10}"),
         "value stated stated stated answer", "01111", False),
        # the wrong value is not what the next line uses: that line is unfounded too
        (PLAN, RIGHT.replace("3 = 9", "3 = 6"), "value stated unfounded stated answer", "01011", True),
        # two slips that cancel: a right answer by wrong reasoning
        (PLAN, RIGHT.replace("-15", "-14").replace("-14 + 8 = -7", "-14 + 8 = -7"), "stated stated value value "
                                                                                    "answer", "11001", True),
        # wrong operand, wrong operator: true lines that the problem does not ask for; later lines build on them
        (PLAN, "3 \\cdot 3 = 9\n6 \\cdot 5 = 30\n9 - 30 = -21\n-21 + 8 = -13\n\\boxed{-13}",
        "stated unfounded stated stated answer", "10111", False),
        (PLAN, "3 + 3 = 6\n6 \\cdot 4 = 24\n6 - 24 = -18\n-18 + 8 = -10\n\\boxed{-10}", "unfounded stated stated "
                                                                                        "stated answer", "01111",
                                                                                        False),
        # a left-out line: its value was never stated
        (PLAN, RIGHT.replace("3 \\cdot 3 = 9\n", ""), "stated unfounded stated unsupported", "1010", True),
        # the answer alone is not supported, and right
        (PLAN, "\\boxed{-7}", "unsupported", "0", True),
        (PLAN, "\\boxed{-\\frac{14}{2}}", "form", "0", True),
        # repetition: neutral where the line was right; another value contradicts, even as a correction
        (PLAN, "3 \\cdot 3 = 9\n3 \\cdot 3 = 9\n" + RIGHT[RIGHT.index("6"):], "stated repeat stated stated stated "
                                                                              "answer", "111111", True),
        (PLAN, "3 \\cdot 3 = 8\n3 \\cdot 3 = 8\n3 \\cdot 3 = 9", "value repeat contradiction", "000", False),
        # where the problem has the operation twice, its second statement is no repetition
        (TWICE, "3 \\cdot 3 = 9\n3 \\cdot 3 = 9\n9 + 9 = 18\n18 \\bmod 4 = 2\n\\boxed{2}",
        "stated stated stated stated answer", "11111", True),
        # a remainder hides a mistake
        (TWICE, "3 \\cdot 3 = 9\n3 \\cdot 3 = 9\n9 + 9 = 22\n22 \\bmod 4 = 2\n\\boxed{2}",
        "stated stated value stated answer", "11011", True),
        # sums and products in any order and grouping, with signs where they belong
        (SUM, "6 + 8 = 14\n14 - 4 = 10\n10 - 9 = 1\n\\boxed{1}", "stated stated stated answer", "1111", True),
        (SUM, "6 - 4 = 2\n8 - 9 = -1\n2 - 1 = 1\n\\boxed{1}", "stated stated stated answer", "1111", True),
        (SUM, "4 + 9 = 13\n6 + 8 = 14\n14 - 13 = 1\n\\boxed{1}", "stated stated stated answer", "1111", True),
        (SUM, "-4 - 9 = -13\n6 + (-13) = -7\n-7 + 8 = 1\n\\boxed{1}", "stated stated stated answer", "1111", True),
        (SUM, "4 - 8 = -4\n", "unfounded", "0", False),
        (SUM, "8 + 9 = 17\n", "unfounded", "0", False),
        (SUM, "6 - 4 = 3\n3 + 8 = 11\n11 - 9 = 2\n\\boxed{2}", "value stated stated answer", "0111", False),
        (SUM, "6 + 8 = 14\n14 - 4 = 10\n\\boxed{10}", "stated stated unsupported", "110", False),
        (GROUP, "7 - 3 = 4\n30 - 4 = 26\n\\boxed{26}", "stated stated answer", "111", True),
        (GROUP, "30 - 7 = 23\n", "unfounded", "0", False),
        (FACTORS, "3 \\cdot 4 = 12\n2 \\cdot 12 = 24\n\\boxed{24}", "stated stated answer", "111", True),
        # garbage changes nothing
        (PLAN, "we see\n" + RIGHT + "\nso it is $-7$", "form stated stated stated stated answer form", "0111110", True),
        (PLAN, RIGHT.replace("= 9", "= 09"), "form stated unfounded stated unsupported", "01010", True),
        (PLAN, "3 \\cdot 3 = 9 = 9", "form", "0", False),
        (PLAN, "", "", "", False),
        (PLAN, RIGHT + "\n\\boxed{-7}\n\\boxed{1}", "stated stated stated stated answer answer unsupported", "1111110",
        False),
        (PAIR, "1 + 2 = 3\n1 - 5 = -4\n\\boxed{(3, -4)}", "stated stated answer", "111", True),
        (PAIR, "1 + 2 = 3\n1 - 5 = -4\n\\boxed{(-4, 3)}", "stated stated unsupported", "110", False),
        (PAIR, "1 + 2 = 3\n1 - 5 = -4\n\\boxed{3, -4}", "stated stated form", "110", False),
        (CHANCE, "\\binom{4}{2} = 6\n\\binom{5}{2} = 10\n\\frac{6}{10} = \\frac{3}{5}\n\\boxed{\\frac{3}{5}}",
        "stated stated stated answer", "1111", True),
        (CHANCE, "\\binom{4}{2} = 6\n\\binom{5}{2} = 10\n\\frac{6}{10} = \\frac{6}{10}\n\\boxed{\\frac{6}{10}}",
        "stated stated form form", "1100", True),
    ],
)  # fmt: skip
def test_the_oracles_rules(plan, text, reasons, right, answer) -> None:
    """One row a rule of the oracle's documentation."""
    found = judge(plan, text)
    assert " ".join(label.reason for label in found.labels) == reasons
    assert "".join(str(int(label.right)) for label in found.labels) == right
    assert found.answer_right is answer
    assert found.sound is (answer and "0" not in right)


def test_the_oracle_and_the_grader_agree_on_final_answers() -> None:
    """The oracle's final answer is the grader's, on corrupted texts: else outcome labels and grades would differ."""
    rng = random.Random(7)
    disagree = []
    for each in miniature_problems("validation", 0, 140):
        text = corrupt(list(solve(each.plan)), rng, rng.randint(1, 4))
        graded = prm_eval.grade(each.problem.gold, text)
        if judge(each.plan, text).answer_right != (graded.verdict == "correct"):
            disagree.append((each.problem.gold, text, graded))
    assert not disagree
