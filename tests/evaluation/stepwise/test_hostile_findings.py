"""What a hostile reader found in step-level evaluation, each with the right value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.explain import explain
from prm_eval.evaluation.stepwise.jobs import named_apart, run_step_evaluation
from prm_eval.evaluation.stepwise.measuring import Bench, Settings
from prm_eval.evaluation.stepwise.misses import LONGEST_STEP, MOST_STEPS, worst_misses
from prm_eval.evaluation.stepwise.page import html_page
from prm_eval.evaluation.stepwise.placing import require_given_steps
from prm_eval.evaluation.stepwise.report import head_table, notes, ordered, text_report
from prm_eval.evaluation.stepwise.thresholds import Ask, Threshold, parse_ask, settle
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.stepsets import StepSet
from tests.conftest import write_jsonl
from tests.evaluation.stepwise.sets import arrays, labelled, scored

FEW = Settings(resamples=50)
CLASSES: list[dict[str, Any]] = [
    {"n": 3, "ratings": [1, -1, 1] if i % 2 else [1, 1, 1], "group": "deception" if i % 3 else "circular"}
    for i in range(12)
]


def file_of(folder: Path, step_set: StepSet, values: list[list[float | None]], name: str = "model") -> Path:
    rows = [{"id": each.solution_id, "scores": own} for each, own in zip(step_set.solutions, values, strict=True)]
    return write_jsonl(folder / f"{name}.jsonl", [{**rows[0], "name": name}, *rows[1:]])


def test_leaving_out_hard_solutions_is_no_advantage(tmp_path: Path) -> None:
    """Measures of what is scored rise when the hard half is not: such a row is compared with none and stands last."""
    step_set = labelled(tmp_path / "set", CLASSES, "every_step")
    generator = np.random.default_rng(0)
    whole: list[list[float | None]] = [list(generator.random(3)) for _ in CLASSES]
    easy = [own if i % 2 else [None] * 3 for i, own in enumerate(whole)]
    files = [file_of(tmp_path, step_set, easy, "easy"), file_of(tmp_path, step_set, whole, "whole")]
    found = run_step_evaluation(step_set.path, files, missing="wrong", settings=FEW)
    assert found.headline == "prm_score"
    assert [row.scores.name for row in ordered(found)] == ["whole", "easy"]
    assert {each.measure for each in found.pairs} == {"f1"}
    assert [each.one for each in found.to_best_rule] == ["whole"]
    assert any("6 of 12 solutions not scored" in note and "not compared" in note for note in notes(found))


def test_a_threshold_is_chosen_with_the_sign_that_it_is_used_with(tmp_path: Path) -> None:
    """Good steps at .5 and bad ones at .49: chosen under "below" and used as "not above" it would score 20, not 100."""
    rows = [{"n": 2, "ratings": [1, -1] if i % 2 else [1, 1], "group": "deception"} for i in range(20)]
    step_set = labelled(tmp_path / "set", [{**row, "group": "deception"} for row in rows], "every_step")
    values: list[list[float | None]] = [[0.5, 0.49] if i % 2 else [0.5, 0.5] for i in range(20)]
    file = file_of(tmp_path, step_set, values)
    found = run_step_evaluation(step_set.path, [file], threshold="chosen:deception", settings=FEW).rows[0]
    assert found.threshold.value == 0.49
    assert found.prmbench is not None
    assert found.prmbench.prm_score.value == 1.0
    point = found.curves[""]
    assert point.f1[49] == 1.0
    assert point.f1[50] == 0.0
    assert found.own_best[""][1] == 1.0


def test_a_chosen_threshold_is_marked_wherever_it_counts(tmp_path: Path) -> None:
    """A star on the group's own short name, and on the headline that has the group in it; with one group too."""
    step_set = labelled(tmp_path / "set", CLASSES, "every_step")
    file = file_of(tmp_path, step_set, [[0.9, 0.4, 0.9]] * 12)
    found = run_step_evaluation(step_set.path, [file], threshold="chosen:deception", settings=FEW)
    table = head_table(found, found.rows)
    assert table[1][table[0].index("DR")].endswith("*")
    assert not table[1][table[0].index("NCL")].endswith("*")
    assert table[1][table[0].index("PRMScore")].endswith("*")
    one = labelled(tmp_path / "one", [{"n": 2, "label": i % 2 - 1, "group": "only"} for i in range(6)])
    found = run_step_evaluation(
        one.path, [file_of(tmp_path, one, [[0.9, 0.3]] * 6)], threshold="chosen:only", settings=FEW
    )
    assert head_table(found, found.rows)[1][2].endswith("*")


def test_the_grid_is_for_probabilities(tmp_path: Path) -> None:
    """k / 100 among scores near -20 finds nothing, and says nothing: refused, with the way that works."""
    small = arrays(tmp_path / "set", [{"n": 2, "label": i % 2 - 1, "group": "a"} for i in range(6)])
    raw = scored(np.random.default_rng(0).normal(-20, 5, 12).tolist(), score_type="raw", threshold=None)
    with pytest.raises(PrmEvalError, match="chosen:a:exact"):
        settle(parse_ask("chosen:a"), raw, small)
    assert settle(parse_ask("chosen:a:exact"), raw, small).value < 0


def test_a_problem_in_several_groups_is_one_problem(tmp_path: Path) -> None:
    """Four policies' solutions of the same problems are four groups and no four times the evidence."""
    rows = [
        {"n": 1, "label": label, "problem": str(p), "group": group, "id": f"{p}{group}{label}"}
        for group in "abcd"
        for p in range(30)
        for label in (-1, 0)
    ]
    small = arrays(tmp_path / "set", rows)
    generator = np.random.default_rng(1)
    per_problem = generator.random((30, 2))
    values = [per_problem[p, k] for _ in "abcd" for p in range(30) for k in (0, 1)]
    bench = Bench(small, Settings(resamples=400))
    assert bench.groups_share_problems
    from prm_eval.evaluation.stepwise.measuring import measure

    row = measure(scored(values), Threshold(0.5, "fixed"), bench)
    assert row.averages is not None
    assert row.averages.mean_f1.value == pytest.approx(row.whole.located.f1.value)
    assert row.averages.mean_f1.se_jackknife == pytest.approx(row.whole.located.f1.se_jackknife)


def test_two_problems_prove_nothing(tmp_path: Path) -> None:
    """No test by signs says more than one half of two problems; the table must not say yes."""
    step_set = labelled(tmp_path / "set", [{"n": 1, "label": k, "problem": p} for p in "ab" for k in (-1, 0)])
    good = file_of(tmp_path, step_set, [[0.9], [0.1]] * 2, "good")
    bad = file_of(tmp_path, step_set, [[0.1], [0.9]] * 2, "bad")
    found = run_step_evaluation(step_set.path, [good, bad], settings=FEW)
    (pair,) = [each for each in found.pairs if each.measure == "f1"]
    assert pair.difference.value == 1.0
    assert pair.p == 0.5
    assert "yes" not in text_report(found)
    assert "open: +" in text_report(found)


def test_every_row_is_held_against_the_best_rule(tmp_path: Path) -> None:
    """The twenty-first model was not compared at all, without a word."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": i % 3 - 1, "problem": str(i)} for i in range(9)])
    generator = np.random.default_rng(2)
    files = [file_of(tmp_path, step_set, generator.random((9, 2)).tolist(), f"m{i}") for i in range(22)]
    found = run_step_evaluation(step_set.path, files, settings=FEW)
    assert len(found.to_best_rule) == 22
    assert "of the first 20 rows only" in text_report(found)


def test_one_solution_is_explained_as_it_is_measured(tmp_path: Path) -> None:
    """PRMBench's sign, the splitter, raw scores and files of scores: explained by the functions that measure."""
    step_set = labelled(tmp_path / "set", CLASSES, "every_step")
    file = file_of(tmp_path, step_set, [[0.9, 0.5, 0.9]] * 12)
    shown = "\n".join(explain(step_set, "s1", [file]))
    assert "model: first wrong step 1 at 0.5: as labelled" in shown
    assert "first wrong step" not in "\n".join(explain(step_set, "s1", [file], threshold=">=0.5")).split("verdict")[1]
    with pytest.raises(PrmEvalError, match="expected recipe, a number"):
        explain(step_set, "s1", [file], threshold="nan")
    with pytest.raises(PrmEvalError, match="no such file or folder"):
        explain(step_set, "s1", [tmp_path / "nosuch"])


def test_labels_of_a_judge_can_be_shown(tmp_path: Path, capsys: Any) -> None:
    """A source that the format allows, and no words for it: a traceback after the set was written."""
    step_set = labelled(tmp_path / "set", [{"n": 1, "label": -1}], label_source="judge")
    assert main(["steps", "show", str(step_set.path)]) == 0
    assert "no person looked" in capsys.readouterr().out


def test_groups_that_are_called_like_prmbenchs_classes(tmp_path: Path) -> None:
    """Short names belong to PRMBench alone; elsewhere "circular" is a group like others."""
    rows = [{"n": 2, "label": i % 3 - 1, "group": "circular" if i % 2 else "other"} for i in range(12)]
    step_set = labelled(tmp_path / "set", rows)
    file = file_of(tmp_path, step_set, [[0.9, 0.3]] * 12)
    assert "circular" in text_report(run_step_evaluation(step_set.path, [file], settings=FEW))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "s0", "scores": [1%s, 0.5]}' % ("0" * 400), "as large as a float"),
        ('{"id": "s0", "scores": [0.1, 0.2], "scores": [0.9, 0.9]}', "the field 'scores' twice"),
        ('{"id": "s0", "scores": [NaN, 0.5]}', "finite"),
        ('{"id": "s0", "scores": [Infinity, 0.5]}', "finite"),
        ('{"id": "s0", "scores": [true, 0.5]}', "a number"),
        ('{"id": "s0", "scores": ["0.5", 0.5]}', "a number"),
        ('{"id": "s0", "scores": 0.5}', "a list of numbers"),
        ('{"id": "s0", "scores": [0.5]}', "1 scores for 2 steps"),
        ('{"id": "s0"}', "neither scores nor prediction"),
        ('{"id": "s0", "prediction": 1, "scores": [0.5, 0.5]}', "scores and prediction"),
        ('{"id": "s0", "prediction": 1.5}', "a whole number"),
        ('{"id": "s0", "prediction": -2}', "-1 for no wrong step"),
        ('{"id": "s9", "scores": [0.5, 0.5]}', "the solution 's9'"),
        ('{"scores": [0.5, 0.5]}', "no field id"),
        ('{"id": "s0", "scores": [0.5, 0.5], "threshold": "half"}', "threshold"),
        ("[1, 2]", "a JSON list"),
        ("not json", "not JSON"),
        ("", "an empty file"),
    ],
)
def test_files_of_scores_that_are_none(tmp_path: Path, line: str, said: str) -> None:
    """One line with file, row, found and expected; never a traceback, never the last of two values."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": -1}, {"n": 2, "label": 1}])
    path = tmp_path / "scores.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(PrmEvalError, match=said) as fault:
        run_step_evaluation(step_set.path, [path], settings=FEW)
    assert "scores.jsonl" in str(fault.value)


def test_name_and_threshold_are_of_the_whole_file(tmp_path: Path) -> None:
    """In a later row they were dropped, and the file was measured at another threshold than it says."""
    step_set = labelled(tmp_path / "set", [{"n": 1, "label": -1}, {"n": 1, "label": 0}])
    rows = [{"id": "s0", "scores": [0.9]}, {"id": "s1", "scores": [0.1], "threshold": 0.05}]
    with pytest.raises(PrmEvalError, match=r"row 2.*of the whole file"):
        run_step_evaluation(step_set.path, [write_jsonl(tmp_path / "late.jsonl", rows)], settings=FEW)


def test_names_of_strangers(tmp_path: Path) -> None:
    """A name forges no row of a table, is no rule, and is no formula of the charts."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": i % 3 - 1, "group": "$\\frac$"} for i in range(6)])
    evil = "x\nQwen-PRM   0.5  99.9  [99.0, 100.0]  yes: +90.0\x1b[2J\u202e\x00"
    files = [file_of(tmp_path, step_set, [[0.9, 0.3]] * 6, name) for name in ("(random)", "length", "m$\\frac$")]
    forged = [{"id": f"s{i}", "scores": [0.9, 0.3]} for i in range(6)]
    files.append(write_jsonl(tmp_path / "evil.jsonl", [{**forged[0], "name": evil}, *forged[1:]]))
    found = run_step_evaluation(step_set.path, files, settings=FEW)
    names = [row.scores.name for row in found.rows]
    assert len(set(names)) == 4
    assert not any("\n" in name or "\x1b" in name or "\u202e" in name for name in names)
    table = [line for line in text_report(found).splitlines() if line.startswith("(")]
    assert len(table) == 12, "six rules in two tables, and nobody else stands in brackets"
    page = html_page(found, "t")
    assert "\x00" not in page
    assert "<svg" in page
    assert [each.name for each in named_apart([scored([0.5], name="random")])] == ["random [2]"]


def test_a_model_that_cuts_texts_itself_is_refused_before_it_scores(tmp_path: Path) -> None:
    """A whole run was lost: scored to the end with steps of its own, and then refused by the evaluation."""
    model = ArithmeticPRM()
    require_given_steps(model)
    model.splitter = "line"
    with pytest.raises(PrmEvalError, match="even when told to take given steps"):
        require_given_steps(model)


def test_nothing_scored_has_its_own_reason(tmp_path: Path) -> None:
    """Nulls alone were told as "scores outside [0, 1]"."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": -1}, {"n": 2, "label": 1}])
    file = file_of(tmp_path, step_set, [[None, None]] * 2)
    found = run_step_evaluation(step_set.path, [file], missing="wrong", settings=FEW).rows[0]
    assert found.whole.n_not_scored == 2
    assert found.whole.located.f1.value == 0.0


@pytest.mark.parametrize("text", ["0_5", "１", "", "nan", "inf", "1e999", "chosen:", "0x1", " 0.5", ">", "half"])
def test_what_is_no_threshold(text: str) -> None:
    """0_5 was read as five, a full-width 1 as one, and nothing as the recipe's."""
    with pytest.raises(PrmEvalError, match="--threshold"):
        parse_ask(text)


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("0.5", Ask(0.5)),
        ("-3", Ask(-3.0)),
        (".5", Ask(0.5)),
        ("1e-3", Ask(0.001)),
        (">0.6", Ask(0.6, strict=True)),
        ("chosen:a:b", Ask(on="a:b")),
        ("chosen:a:b:exact", Ask(on="a:b", how="exact")),
        ("recipe", Ask()),
    ],
)
def test_thresholds(text: str, ask: Ask) -> None:
    """The name of a group may have a colon; a sign is part of a number."""
    assert parse_ask(text) == ask


def test_a_threshold_off_the_scale(tmp_path: Path) -> None:
    """50 on probabilities calls every step wrong; it was meant as per cent."""
    small = arrays(tmp_path / "set", [{"n": 1, "label": -1}, {"n": 1, "label": 0}])
    with pytest.raises(PrmEvalError, match="from 0 to 1"):
        settle(parse_ask("50"), scored([0.9, 0.1]), small)


def test_a_twin_of_itself(tmp_path: Path) -> None:
    """A pair of one text with itself never wins: half a point for nothing."""
    with pytest.raises(PrmEvalError, match="its own twin"):
        labelled(tmp_path / "set", [{"id": "a", "n": 1, "label": -1, "twin": "a"}])


def test_the_page_is_bounded(tmp_path: Path) -> None:
    """A solution of a million steps made a page of 164 MB."""
    steps = ["x" * 10 * LONGEST_STEP] + ["y"] * 5 * MOST_STEPS
    step_set = labelled(tmp_path / "set", [{"steps": steps, "label": -1}, {"n": 1, "label": 0}])
    small = arrays(tmp_path / "again", [{"steps": steps, "label": -1}, {"n": 1, "label": 0}])
    (miss, *_) = worst_misses(scored([0.1] * len(steps) + [0.9]), small, Threshold(0.5, "fixed"), step_set.solutions)
    assert len(miss.steps) == MOST_STEPS
    assert max(len(step.text) for step in miss.steps) <= LONGEST_STEP + 4


def test_misses_have_the_sign_of_the_table(tmp_path: Path) -> None:
    """All scores at the threshold under PRMBench's sign: each step is called wrong, and the page must show it."""
    small = arrays(tmp_path / "set", [{"n": 2, "ratings": [1, -1], "group": "deception"}], "every_step")
    solutions = StepSet(tmp_path / "set").solutions
    (miss,) = worst_misses(scored([0.5, 0.5]), small, Threshold(0.5, "fixed"), solutions, strict=True)
    assert [step.called_wrong for step in miss.steps] == [True, True]
    assert miss.words == "step 1 is wrong, step 0 was called wrong"


def test_the_json_has_no_nan(tmp_path: Path, capsys: Any) -> None:
    """A reader of JSON elsewhere stops at NaN."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": -1}, {"n": 2, "label": -1}])
    file = file_of(tmp_path, step_set, [[0.9, 0.3]] * 2)
    assert main(["evaluate", str(step_set.path), str(file), "--json", "--resamples", "20"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
