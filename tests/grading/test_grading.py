"""The grader: right about what it accepts, silent about nothing, harmless whatever it is given."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prm_eval.grading import (
    answer_classes,
    classify,
    decide,
    extract,
    extract_answer,
    grade,
    grade_answers,
    is_equivalent,
)
from prm_eval.grading.deciding.equivalence import read

CASES = Path(__file__).parent / "cases"


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


EQUIVALENCE, EXTRACTION = rows("equivalence.jsonl"), rows("extraction.jsonl")


@pytest.mark.parametrize("row", EQUIVALENCE, ids=lambda row: f"{row['gold']}|{row['answer']}")
def test_equivalence_table(row) -> None:
    """Each row has its reason in the table; an unequal row that passes is a right answer nobody gave."""
    assert is_equivalent(row["gold"], row["answer"]) is row["equal"], row["why"]


@pytest.mark.parametrize("name", ["types", "wild", "traps", "found", "responses"])
def test_large_tables(name) -> None:
    """Some 3,000 pairs of every type, written for this project: what is right passes, and what is wrong by a hair does
    not.

    ``types`` goes through the answer types, ``wild`` has what real models write, ``traps`` what should not pass (and
    code that should not run), ``found`` what fuzzing and a hunt for false positives found, ``responses`` whole texts.
    """
    canary = Path("/tmp/canary_prm_eval")
    canary.unlink(missing_ok=True)
    wrong = []
    for row in rows(f"{name}.jsonl"):
        whole = name == "responses"
        found = (
            grade(row["gold"], row["answer"]).verdict == "correct"
            if whole
            else is_equivalent(row["gold"], row["answer"])
        )
        if found is not row["equal"]:
            wrong.append((row["kind"], row["gold"], row["answer"][-200:], row["why"]))
    assert not wrong
    assert not canary.exists()


@pytest.mark.parametrize("row", EXTRACTION, ids=lambda row: row["why"])
def test_extraction_table(row) -> None:
    """Each row has its reason in the table."""
    assert extract_answer(row["text"]) == row["answer"]


def test_extraction_span_is_where_the_answer_stands() -> None:
    """The span lets a report mark the answer in the text."""
    text = "a </think> b \\boxed{ 5 } c"
    found = extract(text)
    assert found is not None
    assert text[found.start : found.end].strip() == found.answer == "5"


def test_every_answer_equals_itself() -> None:
    """Reflexive, also where it cannot be read."""
    for row in EQUIVALENCE:
        for text in (row["gold"], row["answer"]):
            assert is_equivalent(text, text), text


def test_complete_forms_are_symmetric() -> None:
    """Where neither side leaves out a unit, the order of the arguments must not matter."""
    for row in EQUIVALENCE:
        one, other = read(row["gold"]), read(row["answer"])
        if one.normal and other.normal and one.normal.unit == other.normal.unit:
            assert is_equivalent(row["answer"], row["gold"]) is row["equal"], row


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "{", "}", "\\", "\\frac", "\\left(" * 5_000, "{" * 100_000, "\\frac{1}{2}+" * 10_000, "9" * 5_000,
    "2^{2^{2^{2^{2^{9}}}}}",
     "170!!!!", "(((((((1)))))))", "\\sqrt{" * 70 + "1" + "}" * 70, "\\boxed{" * 50_000, "\x00\ud800", "x" * 100_000,
     "1e999999999", "\\text{" * 300,
     "((x+y+z+w)^{60})^{60}", "\\binom{10^9}{5}", "1/0", "0^{-1}", "\\begin{pmatrix}", "a,b," * 2_000, 7, b"5", ["5"]],
    ids=lambda text: repr(text)[:30],
)  # fmt: skip
def test_nothing_raises_and_nothing_hangs(text) -> None:
    """Answers come from models: any text, and any mistake of a caller, gives a verdict soon."""
    started = time.monotonic()
    for gold in ("5", text):
        is_equivalent(gold, text)
        is_equivalent(text, gold)
    extract_answer(text)
    grade("5", text)
    if isinstance(text, str):
        grade("5", f"so \\boxed{{{text}}}")
    assert time.monotonic() - started < 20  # generous: it is a bound, not a benchmark


def test_grade_says_what_it_found() -> None:
    """No answer and no gold are verdicts of their own, never a silent wrong."""
    assert grade("5", "no box").verdict == "no_answer"
    assert grade(None, "\\boxed{5}").verdict == "undecided"
    found = grade("\\frac12", "thus \\boxed{0.5}")
    assert (found.verdict, found.answer, found.rule) == ("correct", "0.5", "normal_form")
    assert grade("5", "\\boxed{6}").verdict == "incorrect"


def test_classes_are_a_partition_that_no_order_changes() -> None:
    """Equivalent answers share a class, None has none, and shuffling only renumbers."""
    answers = [
        "1/2",
        "0.5",
        None,
        "\\frac12",
        "2",
        "x=2",
        "\\cot x",
        "\\frac{\\cos x}{\\sin x}",
        "\\foo",
        "\\foo",
        "1 2",
        "12",
    ]

    def pairs(numbers, order):
        return {
            frozenset(order[i] for i, n in enumerate(numbers) if n == number) for number in set(numbers) if number >= 0
        }

    expected = {frozenset(g) for g in ((0, 1, 3), (4, 5), (6, 7), (8, 9), (10,), (11,))}
    generator = random.Random(0)
    for _ in range(20):
        order = list(range(len(answers)))
        generator.shuffle(order)
        found = answer_classes([answers[i] for i in order])
        assert all((found[k] == -1) == (answers[i] is None) for k, i in enumerate(order))
        assert pairs(found, order) == expected


def test_answers_that_equal_gold_are_one_class() -> None:
    """Gold leaves a unit out: 5, 5 cm and 5 m all equal it and are one class; the wrong ones are not drawn in."""
    found = classify(["5 \\text{ cm}", "5", "5 \\text{ m}", "6 \\text{ cm}", "7"], "5")
    assert found.of_answer == (0, 0, 0, 1, 2)
    assert [verdict for verdict, _ in found.verdicts] == [True, False, False]
    for row in grade_answers(["5", "6", None], "5", [0, 1, 3]):
        assert (row.grade == "correct") == (row.answer_class == 0)


def test_classes_agree_with_is_equivalent() -> None:
    """A class is right if and only if each member is equivalent to gold."""
    golds = {row["gold"] for row in EQUIVALENCE}
    for gold in sorted(golds)[::7]:
        answers = [row["answer"] for row in EQUIVALENCE]
        found = classify(answers, gold)
        for answer, number in zip(answers, found.of_answer, strict=True):
            assert (found.verdicts[number][0] is True) == is_equivalent(gold, answer), (gold, answer)


@pytest.mark.unmeasured
def test_verdicts_do_not_depend_on_the_hash_seed() -> None:
    """Python orders sets by a seed that changes with every process: verdicts must not."""
    code = (
        "import json, sys; from prm_eval.grading import decide, answer_classes\n"
        "rows = [json.loads(l) for l in open(sys.argv[1], encoding='utf-8')]\n"
        "print([decide(r['gold'], r['answer']).rule for r in rows], answer_classes([r['answer'] for r in rows]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, str(CASES / "equivalence.jsonl")],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1


# What this first form reaches on labelled pairs nobody here wrote, rounded down; its own issue raises them.
# issue 3 asks for 98 to 100 %, by corpus; the file reaches this
FLOORS = dict.fromkeys(
    "unit_tests real_answers semantic math_rewrites math_near_miss math_other_gold math_self adv_traps adv_injection "
    "adv_robust "
    "text_responses".split(), 1.0
)  # fmt: skip


def test_labelled_pairs(data, tmp_path) -> None:
    """No false positive on pairs of answers; floors on the rest; nothing in an answer is ever executed; no row is
    slow."""
    canary = tmp_path / "canary"
    right: dict[str, list[bool]] = {}
    for line in (data / "grader/public_sample.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line.replace("@CANARY@", str(canary)))
        if row["corpus"] == "policy":
            continue  # labels of options that are off by default
        started = time.monotonic()
        whole = row["corpus"] == "text_responses"
        found = (
            grade(row["gold"], row["pred"]).verdict == "correct" if whole else is_equivalent(row["gold"], row["pred"])
        )
        assert time.monotonic() - started < 10, row  # a bound, not a benchmark: other work may hold the processors
        assert whole or not (found and not row["equal"]), f"false positive: {row}"
        right.setdefault(row["corpus"], []).append(found is row["equal"])
    assert not canary.exists()
    assert set(right) == set(FLOORS)
    for corpus, results in right.items():
        assert sum(results) / len(results) >= FLOORS[corpus], corpus


def test_every_gold_of_the_real_sets_is_read(data) -> None:
    """Each of MATH-500's golds has a tree and equals itself; different golds of other problems do not come out equal
    wrongly."""
    golds = [
        json.loads(line)["answer"]
        for line in (data / "problems/math500.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    unread = [gold for gold in golds if read(gold).node is None]
    assert unread == []
    assert all(is_equivalent(gold, gold) for gold in golds)
    pairs = [(a, b) for a, b in itertools.pairwise(sorted(set(golds))) if decide(a, b).equal]
    for a, b in pairs:
        assert read(a).normal.key == read(b).normal.key, (a, b)


HOSTILE = {
    "nested functions: atoms named by their text would double at every level": "\\sin(" * 50 + "x" + ")" * 50,
    "a root of enormous index": "2^{1/" + "1" * 31 + "}",
    "many radicands to factor": "+".join(f"\\sqrt{{{9_999_999_967 - 2 * k}}}" for k in range(90)),
    "fractions whose common denominator explodes": "+".join(f"1/{p}^{{2000}}" for p in range(3, 180, 2)),
    "a long product": "a b " * 145,
    "a chain of factorials": "x" + "!" * 590,
    "powers of powers": "((((9^{9})^{9})^{9})^{9})^{9}",
    "macros without braces": "\\sqrt" * 500 + "2",
    "minus signs in a power": "2^" + "-" * 500 + "2",
    "nested absolute values": "|" * 500,
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_answers_end(answer) -> None:
    """Each of these took minutes, or all memory, or would in a form without limits."""
    started = time.monotonic()
    for gold in ("7", "\\sin x", answer + "+1"):
        assert not is_equivalent(gold, answer)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "text",
    ["answer" + " " * 200_000, "# Answer" + " " * 200_000, "answer is " * 50_000, "\n" * 200_000, "#" * 200_000,
    "\\boxed{" * 100_000,
     "\nA:" + "\n" * 200_000, "</think>" * 50_000, "\\boxed" + " " * 200_000, "#### " * 50_000],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_extraction_takes_linear_time(text) -> None:
    """A quadratic scan would take minutes here."""
    started = time.monotonic()
    extract_answer(text)
    assert time.monotonic() - started < 20


def test_long_texts_are_compared_whole() -> None:
    """Two texts that differ only far behind are not the same text."""
    long = "y" * 20_000
    assert is_equivalent(long, long)
    assert not is_equivalent(long + "1", long + "2")


def test_a_deep_stack_of_the_caller_changes_no_verdict_to_true() -> None:
    """Near the limit of recursion a verdict may be undecided, but nothing raises from within."""

    def dig(levels: int, gold: str) -> bool:
        return dig(levels - 1, gold) if levels else is_equivalent(gold, "+".join(["x"] * 100))

    for room in (400, 200, 120):
        depth = len(inspect.stack(0))
        assert dig(sys.getrecursionlimit() - depth - room, f"y+{room}") is False


def test_the_rows_of_the_page_are_so() -> None:
    """Each example row of docs/grading.md, and each of its known limits, is what the grader does."""
    page = (Path(__file__).parents[2] / "docs" / "grading.md").read_text(encoding="utf-8")
    shown = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("| `") and line.rstrip(" |").endswith(("_form", "identity", "conflict", "choice"))
    ]
    assert len(shown) == 5
    for gold, answer, equal, rule in shown:
        decision = decide(gold, answer)
        assert ("yes" if decision.equal else "no", decision.rule) == (equal, rule)
    for gold, answer in (("x = 4", "x - 4 = 0"), ("5\\text{ m}", "5\\text{ cm}"), ("50\\%", "0.5"), ("2:1", "2")):
        assert not is_equivalent(gold, answer)


def test_types_and_conflicts_are_told() -> None:
    """Whoever audits disagreements sorts them by type, and wants to know of texts with two final answers."""
    found = grade("\\frac{1}{2}", "First \\boxed{3}. Then $x = \\boxed{0.5}$.")
    assert (found.verdict, found.gold_type, found.answer_type) == ("correct", "rational", "rational")
    assert grade("2", "So \\boxed{3}. The final answer is $2$.").conflict
    assert not grade("2", "So \\boxed{2}. The final answer is $2$.").conflict


HANGS = {
    "a power tower": "x^{" * 22 + "x" + "}" * 22,
    "a product of symbolic matrices": "\\prod_{k=1}^{120}\\begin{pmatrix}k&1\\\\1&a\\end{pmatrix}",
    "powers of powers of a matrix": "(" * 9 + "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}" + "^6)" * 9,
    "dots between huge powers": f"0.{'3' * 250}^{{1000}}+0.{'3' * 250}^{{999}}+\\cdots+1",
    "a sum of expanded powers": "\\sum_{k=1}^{120}(a+b+c)^{26}",
    "nested relations": "1=(1=(" * 12 + "2" + "))" * 12,
    "nested bars": "|" * 40 + "x" + "|" * 40,
}


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS)
def test_short_answers_that_once_hung(text) -> None:
    """A few signs that cost minutes: found by fuzzing."""
    started = time.process_time()
    assert not is_equivalent("1", text)
    assert time.process_time() - started < 5


def test_extraction_is_linear_in_long_announcements() -> None:
    """An announcement followed by a megabyte of inline mathematics once took hours."""
    started = time.process_time()
    extract("The answer is x " + "$1$ " * 200_000)
    assert time.process_time() - started < 5
