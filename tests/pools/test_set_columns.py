"""The hub's named sets: read from the columns that they have, whole or in part, from the hub's rows or a local copy."""

from __future__ import annotations

import re

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.grading import grade, is_equivalent
from prm_eval.importers.golds import why_unreadable
from prm_eval.pools.hub_sets import HUB_SETS
from prm_eval.pools.problem_sets import load_local_copy, load_problems
from tests.conftest import write_jsonl
from tests.pools.set_copies import COPIES, write_copies

PARTS = {
    "college_math/calculus": [0, 1, 3],
    "mmlu_stem/chemistry": [3, 4, 5],
    "mmlu_stem/physics": [0, 1, 2],
    "scibench/calculus": [0, 1, 2],
    "scibench/chemistry": [3, 4, 5],
    "scibench/physics": [6, 7, 8],
}


@pytest.mark.parametrize("name", [*COPIES, *PARTS])
def test_a_copy_of_the_columns_is_read(tmp_path, name) -> None:
    """Statement, gold answer and rows of every set are those of its columns, and every gold can be read."""
    chosen = [COPIES[name.partition("/")[0]][i] for i in PARTS.get(name, range(len(COPIES.get(name, ()))))]
    problems = load_local_copy(name, write_copies(tmp_path)).problems
    assert len(problems) == len(chosen) >= 3
    for problem, expected in zip(problems, chosen, strict=True):
        row, gold = expected["row"], expected["gold"]
        asked = row.get("query") or next(row[each] for each in HUB_SETS[name].columns.statement)
        assert re.sub(r"^Q: | Answer Choices.*", "", asked, flags=re.DOTALL) in problem.statement
        if name == "gpqa_diamond":
            assert f"({problem.gold}) {gold}\n" in problem.statement + "\n"
        else:
            assert problem.gold == gold
        assert problem.gold is not None and not why_unreadable(problem.gold)
        assert grade(problem.gold, f"So \\boxed{{{problem.gold}}}").verdict == "correct"


@pytest.mark.parametrize("name", COPIES)
def test_the_hub_is_asked_for_the_stated_place(monkeypatch, name) -> None:
    """Data set, configuration, split and revision are those of the table, and the rows give the same problems."""
    import datasets

    asked = []

    def load_dataset(dataset, config, *, split, revision):
        asked.append((dataset, config, split, revision))
        return [each["row"] for each in COPIES[name]]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    hub = HUB_SETS[name]
    found = load_problems(name)
    assert asked == [(hub.dataset, hub.config, hub.split, hub.revision)]
    assert found.revision == hub.revision
    assert len(found.problems) == len(COPIES[name])
    load_problems(name, revision="another")
    assert asked[-1][-1] == "another", "a revision that is asked for goes before that of the table"


def test_ids_are_unique_by_what_the_set_has(tmp_path) -> None:
    """Exercises with one number in two books, problems with one number in two contests: each has an id of its own."""
    folder = write_copies(tmp_path)
    college = load_local_copy("college_math", folder).problems
    assert college[0].problem_id == "college_math.Calculus/exercise.1.1.1"
    assert college[2].problem_id == "college_math.PRECALCULUS/exercise.1.1.1"
    assert {each.subject for each in college} == {"calculus", "precalculus", "vector_calculus"}
    url = "https://x.org/wiki/{}_AMC_12A_Problems/Problem_10"
    rows = [
        {"id": "1", "source": "amc", "problem": "p", "answer": "1", "url": url.format(2022)},
        {"id": "1", "source": "amc", "problem": "q", "answer": "2", "url": url.format(2023)},
        {"id": "1", "source": "aime", "problem": "r", "answer": "3"},
    ]
    found = load_problems(str(write_jsonl(tmp_path / "joined.jsonl", rows))).problems
    assert [each.problem_id for each in found] == ["amc/2022_AMC_12A/10", "amc/2023_AMC_12A/10", "aime/1"]
    with pytest.raises(DataError, match="row 2: found problem id '1' again"):
        load_problems(str(write_jsonl(tmp_path / "twice.jsonl", [rows[2], rows[2]])))


def test_a_part_of_a_file_and_a_file_under_a_name(tmp_path) -> None:
    """FILE:COLUMN=VALUE reads the rows with this value, NAME:FILE a copy of a set; what is not there is said."""
    rows = [{"problem": f"p{i}", "answer": i, "source": source} for i, source in enumerate(("a_x", "a_y", "b"))]
    file = write_jsonl(tmp_path / "f.jsonl", rows)
    assert [p.gold for p in load_problems(f"{file}:source=a_*").problems] == ["0", "1"]
    assert load_problems(f"{file}:source=b").name == "f.jsonl:source=b"
    folder = write_copies(tmp_path / "copies")
    copy = load_problems(f"aime24:{folder / 'aime24.jsonl'}")
    assert (copy.name, len(copy.problems)) == ("aime24:aime24.jsonl", 3)
    with pytest.raises(DataError, match="found no problems with source = c"):
        load_problems(f"{file}:source=c")
    with pytest.raises(DataError, match="row 1: found no field shelf"):
        load_problems(f"{file}:shelf=c")
    with pytest.raises(PrmEvalError, match=r"no copy of math500 in .*expected math500.jsonl"):
        load_local_copy("math500", folder)
    with pytest.raises(PrmEvalError, match=r"no copy of math/algebra in .*expected math__algebra.jsonl$"):
        load_local_copy("math/algebra", folder)
    with pytest.raises(PrmEvalError, match="no problem set 'aime23'"):
        load_local_copy("aime23", folder)


# choices, answer, the letter that is gold
CHOICES = [
    (["10", "12"], "B", "B"),
    (["10", "12"], "(b)", "B"),
    (["10", "12"], 1, "B"),
    (["10", "12"], [1], "B"),
    (["10", "12"], "1", "B"),
    (["10", "12"], "12", "B"),
    (["1", "0"], "1", "A"),  # the text of a choice before its index
    (["B", "A"], "B", "A"),
    (["(A) 10", "(B) 12"], "12", "B"),
    (["A. 10", "B. 12"], "A", "A"),
    (["10", "12"], None, None),
]


@pytest.mark.parametrize(("choices", "answer", "gold"), CHOICES)
def test_the_right_choice_is_a_letter(tmp_path, choices, answer, gold) -> None:
    """However a set says which choice is right, gold is its letter, and a policy sees each choice once, with it."""
    (problem,) = load_problems(
        str(write_jsonl(tmp_path / "s.jsonl", [{"question": "Which?", "choices": choices, "answer": answer}]))
    ).problems
    assert problem.gold == gold
    bare = [re.sub(r"^(\([AB]\)|[AB]\.) ", "", each) for each in choices]
    assert problem.statement == f"Which?\n\n(A) {bare[0]}\n(B) {bare[1]}"


@pytest.mark.parametrize("answer", ["C", "13", 2, -1, True, ["A", "B"]])
def test_an_answer_that_is_no_choice_is_a_fault(tmp_path, answer) -> None:
    """A gold that no policy could give would make every candidate wrong."""
    file = write_jsonl(tmp_path / "s.jsonl", [{"question": "Which?", "choices": ["10", "12"], "answer": answer}])
    with pytest.raises(DataError, match=r"s.jsonl, row 1: found the answer .* expected a letter from A to B"):
        load_problems(str(file))


def test_the_order_of_gpqas_choices_is_always_the_same(tmp_path) -> None:
    """GPQA has a column a choice: their order follows hashes, so that a letter means the same in every run."""
    folder = write_copies(tmp_path)
    found = load_local_copy("gpqa_diamond", folder)
    assert found.content_hash == load_local_copy("gpqa_diamond", folder).content_hash
    rows = [{key: each["row"][key] for key in reversed(each["row"])} for each in COPIES["gpqa_diamond"]]
    write_jsonl(folder / "gpqa_diamond.jsonl", rows)
    assert found.content_hash == load_local_copy("gpqa_diamond", folder).content_hash
    assert len({each.gold for each in found.problems}) > 1, "the right one is not always in one place"


# answer, unit as the set writes it, gold, unit in the statement
UNITS = [
    ("50.7", "$\\mathrm{atm}$ ", "50.7 \\text{ atm}", "\\mathrm{atm}"),
    ("+65.49", "$\\mathrm{kJ} \\mathrm{mol}^{-1}$", "+65.49 \\text{ kJ mol^{-1}}", "\\mathrm{kJ} \\mathrm{mol}^{-1}"),
    ("1.6", " $10^5 \\mathrm{~N} \\cdot \\mathrm{m}^2 / \\mathrm{C}$ ", "1.6 \\times 10^{5} \\text{ N m^{2}/C}", None),
    ("4.8", " m", "4.8 \\text{ m}", "m"),
    ("37", "$ \\mu \\mathrm{C}$", "37 \\text{ uC}", "\\mu \\mathrm{C}"),
    ("12", " $\\%$", "12 \\text{ percent}", "\\%"),
    ("2.14", " ${\\circ}$", "2.14 ^{\\circ}", "{\\circ}"),
    ("6", " $10^6$", "6 \\times 10^{6}", ""),
    ("0.83", " $\\mathrm{~N} \\hat{\\mathrm{i}}$", "0.83", "\\mathrm{~N} \\hat{\\mathrm{i}}"),  # no unit: a direction
    ("3", " ", "3", ""),
    ("3", None, "3", ""),
]


@pytest.mark.parametrize(("answer", "unit", "gold", "said"), UNITS)
def test_units_are_said_and_stand_behind_the_gold(tmp_path, answer, unit, gold, said) -> None:
    """The number alone is right and so is the number with its unit; a power of ten is no matter of the unit."""
    row = {"problem": "How much?", "answer": answer, "unit": unit}
    (problem,) = load_problems(str(write_jsonl(tmp_path / "s.jsonl", [row]))).problems
    assert problem.gold == gold
    assert ("The unit of the answer is" in problem.statement) is (said != "")
    assert said is None or said == "" or problem.statement == f"How much? The unit of the answer is ${said}$."
    number = re.split(r" (?:\\text|\^)", gold)[0]
    assert not why_unreadable(gold) and is_equivalent(gold, number) and is_equivalent(gold, gold)


def test_the_public_questions_of_other_exams(data) -> None:
    """All 3,127 questions load through these readers, and every gold equals itself, bare and in a box."""
    file = data / "ood/ood_questions.jsonl"
    problems = load_problems(str(file)).problems
    assert len(problems) == len({each.problem_id for each in problems}) == 3127
    bare, boxed = [], []
    for problem in problems:
        assert problem.gold is not None
        if not is_equivalent(problem.gold, problem.gold):
            bare.append(problem.problem_id)
        if grade(problem.gold, f"So the answer is\n\\boxed{{{problem.gold}}}").verdict != "correct":
            boxed.append(problem.problem_id)
    assert (bare, boxed) == ([], [])
    for part, count in (("amc12*", 45), ("aime_*", 75), ("hmmt*", 19), ("mmlu_*", 672), ("agieval*", 132),
                        ("scibench_*", 343), ("ocw*", 167), ("college_math.*", 1674)):  # fmt: skip
        assert len(load_problems(f"{file}:source={part}").problems) == count
    for problem in load_problems(f"{file}:source=scibench_*").problems:
        number = re.split(r" (?:\\text|\^)", problem.gold or "")[0]
        assert is_equivalent(problem.gold, number), "the number alone is right, where the statement says the unit"
