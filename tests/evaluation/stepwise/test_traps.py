"""The twenty-two traps of step-level evaluation, in the order of the notes; each has moved somebody's published figure.

Those of reading foreign files are tested in ``tests/importers/steps`` too, those of a critic's text in
``tests/harness``; here each has one case, end to end where it can be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import NEUTRAL, SetArrays
from prm_eval.evaluation.stepwise.jobs import evaluate_steps, run_step_evaluation
from prm_eval.evaluation.stepwise.locating import located, predictions, resampled_f1
from prm_eval.evaluation.stepwise.measuring import Bench, Settings, measure
from prm_eval.evaluation.stepwise.prmbench import prmbench, resampled_score
from prm_eval.evaluation.stepwise.resampling import Estimate
from prm_eval.evaluation.stepwise.rules import RULES, rule_rows
from prm_eval.evaluation.stepwise.scores import NOT_SCORED, read_scores
from prm_eval.evaluation.stepwise.separating import resampled_auc, resampled_solution_areas, separated
from prm_eval.evaluation.stepwise.thresholds import Ask, Threshold, parse_ask, settle
from prm_eval.importers.steps import import_step_set
from prm_eval.stepsets import StepSet
from prm_eval.stepsets.labels import LabelError, by_first_error
from tests.conftest import write_jsonl
from tests.evaluation.stepwise.sets import arrays, labelled, scored

HALF = Threshold(0.5, "fixed")
FEW = Settings(resamples=50)


def boot(of: SetArrays) -> ClusterBootstrap:
    return ClusterBootstrap(of.n_problems, seed=0, resamples=50)


def test_1_the_sign_at_the_threshold(tmp_path: Path) -> None:
    """A score at the threshold: wrong only below it, in PRMBench good only above it; 8 points on one scorer."""
    small = arrays(tmp_path / "set", [{"n": 2, "label": -1}, {"n": 2, "label": 1}])
    half = scored([0.5] * 4)
    assert predictions(half, small, 0.5).tolist() == [-1, -1]
    assert predictions(half, small, 0.5, strict=True).tolist() == [0, 0]
    assert parse_ask(">0.5") == Ask(value=0.5, strict=True)
    assert parse_ask(">=0.5") == Ask(value=0.5, strict=False)


def test_2_a_threshold_chosen_on_the_reported_set_is_marked(tmp_path: Path) -> None:
    """Chosen on one group it is marked there; the best of the set itself is an upper bound and never the figure."""
    rows = [{"n": 2, "label": label, "group": group} for group in ("a", "b") for label in (-1, 1, 0)]
    step_set = labelled(tmp_path / "set", rows)
    path = scores_of(tmp_path, step_set, [[0.4, 0.4], [0.4, 0.1], [0.1, 0.4]] * 2)
    found = run_step_evaluation(step_set.path, [path], threshold="chosen:a", settings=FEW)
    (row,) = found.rows
    assert row.threshold.words == "0.11, chosen on a (grid)"
    assert {rule.threshold.on for rule in found.rules} == {"a"}, "rules have the same freedom as models"
    plain = run_step_evaluation(step_set.path, [path], settings=FEW).rows[0]
    assert plain.averages is not None
    assert plain.averages.mean_f1.value == 0
    assert plain.averages.upper_bound == 1
    with pytest.raises(PrmEvalError, match="no such group"):
        settle(parse_ask("chosen:c"), row.scores, found.arrays)


def test_3_three_things_are_called_f1(tmp_path: Path) -> None:
    """ProcessBench's, PRMBench's and balanced F1 differ on one row, and each stands under its own name."""
    rows = [{"n": 3, "ratings": [1, -1, 1], "group": "deception"}, {"n": 3, "ratings": [1, 1, 1], "group": "deception"}]
    small = arrays(tmp_path / "set", rows, "every_step")
    scores = scored([0.9, 0.4, 0.4, 0.9, 0.9, 0.2])
    row = measure(scores, HALF, Bench(small, FEW))
    assert row.prmbench is not None
    assert row.whole.separated is not None
    assert row.whole.located.f1.value == 0.0
    assert row.prmbench.f1 == pytest.approx(2 * 3 / (2 * 3 + 0 + 2))
    assert row.prmbench.negative_f1 == pytest.approx(2 * 1 / (2 * 1 + 0 + 2))
    assert row.whole.separated.balanced_f1 == pytest.approx(2 * 0.6 * 1 / 1.6)


def test_4_four_averages(tmp_path: Path) -> None:
    """The mean of the groups' F1 is the published figure; three others are confused with it, each has its name."""
    rows = [{"n": 1, "label": -1, "group": "small"}, {"n": 1, "label": 0, "group": "small"}]
    rows += [{"n": 1, "label": label, "group": "large"} for label in (-1, -1, -1, 0, 0, 0, 0, 0)]
    small = arrays(tmp_path / "set", rows)
    row = measure(scored([0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9]), HALF, Bench(small, FEW))
    found = row.averages
    assert found is not None
    large = 2 * (1 / 3) * (2 / 5) / (1 / 3 + 2 / 5)
    assert found.mean_f1.value == pytest.approx((1 + large) / 2)
    assert found.size_weighted_f1 == pytest.approx((2 * 1 + 8 * large) / 10)
    assert found.f1_of_mean_accuracies == pytest.approx(2 * (2 / 3) * 0.7 / (2 / 3 + 0.7))
    assert found.pooled_f1 == pytest.approx(2 * 0.5 * 0.5 / 1.0)


def test_5_what_is_not_defined_is_null_with_a_reason(tmp_path: Path) -> None:
    """0/0 is nan, -1, 0 or an exception in five published scripts."""
    small = arrays(tmp_path / "set", [{"n": 2, "label": -1}, {"n": 1, "label": -1}])
    row = measure(scored([0.9, 0.9, 0.1]), HALF, Bench(small, FEW))
    assert row.whole.separated is not None
    assert row.whole.located.f1 == Estimate(None, reason="no solution with a wrong step")
    assert row.whole.located.error_acc is None
    assert row.whole.separated.auc.value is None
    assert row.whole.separated.auc.reason
    assert row.whole.separated.ap_bad is None
    nothing_good = arrays(tmp_path / "other", [{"n": 1, "ratings": [-1], "group": "deception"}], "every_step")
    found = prmbench(
        scored([0.1]),
        nothing_good,
        0.5,
        resampled_score(scored([0.1]), nothing_good, 0.5, boot(nothing_good)),
        boot(nothing_good),
    )
    assert found.f1 is None
    assert found.prm_score.value is None


def test_6_the_base_of_labels(tmp_path: Path) -> None:
    """Counted from 1 where 0 is meant, every label is off by one, and only the last step of all shows it."""
    with pytest.raises(LabelError, match="count from 1"):
        by_first_error(3, 3)
    lines = [{"id": "a", "problem": "p", "steps": ["x", "y"], "wrong_steps": [2], "base": 1}]
    import_step_set(write_jsonl(tmp_path / "one.jsonl", lines), tmp_path / "one")
    assert StepSet(tmp_path / "one").labels[0].first_error == 1


def test_7_the_number_in_the_text_is_no_list_position(tmp_path: Path) -> None:
    """Mr-Ben's "Step k": the list has empty and continued items, and k - 1 is another step in a quarter of cases."""
    steps = ["Step 1: a", "", "more of it", "Step 2: b", "Step 3: c"]
    row = {
        "id": "q",
        "problem": "p",
        "options": "A: 1",
        "answer": "A",
        "subject": "x",
        "samples": [
            {
                "Sampled_Model": "m",
                "Model_Solution_Steps": steps,
                "Model_Solution_Correctness": "incorrect",
                "Model_Solution_First_Error_Step": "2",
                "Model_Solution_Error_Reason": "",
            }
        ],
    }
    import_step_set(write_jsonl(tmp_path / "mrben.jsonl", [row]), tmp_path / "set", form="mrben")
    found = StepSet(tmp_path / "set")
    assert found.labels[0].first_error == 1
    assert found.solutions[0].steps[1].startswith("Step 2")


def test_8_scores_of_lines_and_labels_of_groups(tmp_path: Path) -> None:
    """A file with more scores than labelled steps is refused: reading on drops the exact hits of a model by a third."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": 1}])
    path = write_jsonl(tmp_path / "scores.jsonl", [{"id": "s0", "scores": [0.9, 0.8, 0.1]}])
    with pytest.raises(PrmEvalError, match=r"row 1: found 3 scores for 2 steps"):
        run_step_evaluation(step_set.path, [path], settings=FEW)


def test_9_fewer_scores_than_steps(tmp_path: Path) -> None:
    """A model that stops early must not be judged on the early, easy steps: refused, or counted as not scored."""
    step_set = labelled(tmp_path / "set", [{"n": 3, "label": 2}, {"n": 3, "label": -1}])
    path = scores_of(tmp_path, step_set, [[0.9, 0.9, None], [0.9, 0.9, 0.9]])
    with pytest.raises(PrmEvalError, match=r"solution s0: 3 steps but 2 scores.*nothing was computed.*--missing wrong"):
        run_step_evaluation(step_set.path, [path], settings=FEW)
    found = run_step_evaluation(step_set.path, [path], missing="wrong", settings=FEW).rows[0].whole
    assert found.n_not_scored == found.located.outcomes.not_scored == 1
    assert found.located.error_acc == 0


def test_10_after_the_first_error_nothing_is_known(tmp_path: Path) -> None:
    """Later steps count as good in one set and as bad in another; here they count nowhere."""
    small = arrays(tmp_path / "set", [{"n": 4, "label": 1}, {"n": 2, "label": -1}])
    found = separated(
        scored([0.9, 0.1, 0.0, 1.0, 0.9, 0.9]),
        small,
        0.5,
        resampled_auc(scored([0.9] * 6), small, boot(small)),
        boot(small),
    )
    assert (found.n, found.n_good) == (4, 3)


def test_11_solutions_that_stop_at_the_error_leak_it(tmp_path: Path, capsys: Any) -> None:
    """Where the last step shown is always the wrong one, its place gives it away: the rule shows it, and the import
    says it."""
    rows = [{"id": f"w{i}", "problem": f"p{i}", "steps": ["a"] * (2 + i % 4), "label": 1 + i % 4} for i in range(24)]
    rows += [{"id": f"c{i}", "problem": f"q{i}", "steps": ["a"] * 5, "label": -1} for i in range(8)]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    assert main(["steps", "import", str(path), "-o", str(tmp_path / "set")]) == 0
    assert "the last step is the first wrong one" in " ".join(capsys.readouterr().out.split())
    found = evaluate_steps(StepSet(tmp_path / "set").info, arrays_of(tmp_path / "set"), [], Ask(), FEW)
    position = next(row for row in found.rules if row.scores.name == "position")
    assert position.whole.separated is not None
    assert position.whole.separated.lowest_is_first_error == 1


def test_12_neutral_steps_three_ways(tmp_path: Path) -> None:
    """Good, bad or left out are three figures of one scorer: which one is an option, and it is said."""
    small = arrays(tmp_path / "set", [{"n": 4, "ratings": [1, 0, 1, -1]}], "rated")
    scores = scored([0.9, 0.3, 0.8, 0.5])
    values = {way: resampled_auc(scores, small, boot(small), way).value for way in NEUTRAL}
    assert values == {"good": pytest.approx(2 / 3), "bad": 1.0, "out": 1.0}
    found = evaluate_steps(
        labelled(tmp_path / "again", [{"n": 1, "ratings": [0]}], "rated").info, small, [], Ask(), FEW
    )
    from prm_eval.evaluation.stepwise.report import notes

    assert any("neutral steps count as good" in note for note in notes(found))


def test_13_a_product_prefers_short_solutions(tmp_path: Path) -> None:
    """A constant 0.5 has no knowledge: under the product it ranks by length, under min, mean and last it is at one
    half; and 400 steps of 0.01 underflow to ties nowhere."""
    rows = [{"n": 2, "label": -1}, {"n": 5, "label": 4}, {"n": 3, "label": -1}, {"n": 4, "label": 0}]
    small = arrays(tmp_path / "set", rows)
    found = resampled_solution_areas(scored([0.5] * 14), small, boot(small))
    values = {name: each.value for name, each in found.items() if each is not None}
    assert values["prod"] == 1.0
    assert (values["min"], values["mean"], values["last"]) == (0.5, 0.5, 0.5)
    long = arrays(tmp_path / "long", [{"n": 400, "label": -1}, {"n": 401, "label": 400}])
    logits = scored([-4.6] * 400 + [-4.6] * 401, score_type="logodds")
    area = resampled_solution_areas(logits, long, boot(long))["prod"]
    assert area is not None
    assert area.value == 1.0


def test_14_step_auc_is_not_localisation(tmp_path: Path) -> None:
    """Scores that keep falling after the error have a perfect step AUC and never their lowest at it."""
    small = arrays(tmp_path / "set", [{"n": 3, "label": 1}, {"n": 3, "label": -1}])
    row = measure(scored([0.9, 0.4, 0.1, 0.9, 0.8, 0.8]), HALF, Bench(small, FEW))
    assert row.whole.separated is not None
    assert row.whole.separated.auc.value == 1.0
    assert row.whole.separated.lowest_is_first_error == 0.0


def test_15_the_final_answer_is_not_the_label(tmp_path: Path) -> None:
    """A right answer by a wrong step counts as wrong: otherwise an outcome reward model is measured."""
    rows = [
        {"n": 2, "label": 0, "final": True, "problem": "a"},
        {"n": 2, "label": -1, "final": True, "problem": "a"},
        {"n": 2, "label": 1, "final": False, "problem": "a"},
    ]
    small = arrays(tmp_path / "set", rows)
    row = measure(scored([0.9, 0.9, 0.8, 0.8, 0.1, 0.1]), HALF, Bench(small, FEW))
    assert row.whole.solution_auc["min"].value == pytest.approx(0.5)
    assert row.chosen is not None
    assert (row.chosen.right_answer, row.chosen.wrong_step_of_these, row.chosen.by_chance) == (1.0, 1.0, 0.5)


def test_16_problems_are_resampled_not_rows(tmp_path: Path) -> None:
    """Ten copies of two solutions are two problems: limits over rows would be three times too narrow."""
    rows = [{"n": 1, "label": -1, "problem": "a"}, {"n": 1, "label": 0, "problem": "b"}] * 10
    small = arrays(tmp_path / "set", [{**row, "id": str(i)} for i, row in enumerate(rows)])
    assert small.n_problems == 2
    said = predictions(scored([0.9, 0.1] * 5 + [0.1, 0.9] * 5), small, 0.5)
    whole = located(said, small, resampled_f1(said, small, boot(small)), boot(small))
    assert whole.n_error + whole.n_clean == 20
    assert len(resampled_f1(said, small, boot(small)).without) == 2


def test_17_a_critic_that_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    """An unreadable judgement dropped from the mean makes a critic better the less it says."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": 1}, {"n": 2, "label": -1}, {"n": 2, "label": 0}])
    rows = [{"id": "s0", "prediction": 1}, {"id": "s1", "prediction": None}, {"id": "s2", "prediction": 7}]
    path = write_jsonl(tmp_path / "critic.jsonl", rows)
    with pytest.raises(PrmEvalError, match="solution s1: no judgement that could be read"):
        run_step_evaluation(step_set.path, [path], settings=FEW)
    found = run_step_evaluation(step_set.path, [path], missing="wrong", settings=FEW).rows[0].whole
    assert (found.located.error_acc, found.located.correct_acc) == (0.5, 0.0)
    assert found.n_not_scored == 1
    assert found.located.outcomes.too_late == 1, "a step beyond the end is a wrong step named, not a parse error"
    read = read_scores(path, step_set, arrays_of(step_set.path)).predictions
    assert read is not None
    assert read.tolist() == [1, NOT_SCORED, 7]


def test_18_templates_are_raw(tmp_path: Path) -> None:
    """A backslash-b in a template is a backspace: the critic is then never told to box its answer."""
    tasks = Path(__file__).parents[3]
    found = [*(tasks / "tasks").rglob("*.yaml"), *(tasks / "prm_eval" / "harness").glob("*.py")]
    assert found
    for path in found:
        assert "\x08" not in path.read_text(encoding="utf-8"), path


def test_19_a_twin_of_which_nothing_is_called_good_counts(tmp_path: Path) -> None:
    """PRMBench's similarity leaves out twins with a share of 0; error steps beyond the end are reported."""
    rows = [
        {"id": "c", "n": 2, "ratings": [1, 1], "group": "correct"},
        {"id": "m", "n": 2, "ratings": [1, -1], "group": "redundency", "twin": "c"},
    ]
    small = arrays(tmp_path / "set", rows, "every_step")
    row = measure(scored([0.1, 0.1, 0.9, 0.9]), HALF, Bench(small, FEW))
    assert row.prmbench is not None
    assert row.prmbench.similarity == 1.0
    assert row.prmbench.n_items == 1


def test_20_calibration_of_numbers_that_are_no_probabilities(tmp_path: Path) -> None:
    """Signed scores have no calibration error, and nothing is divided by its maximum to get one."""
    small = arrays(tmp_path / "set", [{"n": 2, "label": 1}, {"n": 1, "label": -1}])
    raw = scored([1.4, -0.2, 0.3], score_type="raw", threshold=None)
    steps = measure(raw, Threshold(0.0, "fixed"), Bench(small, FEW)).whole.separated
    assert steps is not None
    assert steps.calibration is None
    with pytest.raises(PrmEvalError, match="no threshold of their own"):
        settle(Ask(), raw, small)


def test_21_converted_copies_are_not_trusted(tmp_path: Path) -> None:
    """Ratings and a first error that disagree, as in converted copies, are an error with its row."""
    rows = [{"id": "a", "problem": "p", "steps": ["x", "y", "z"], "ratings": [1, 1, -1], "label": 1}]
    with pytest.raises(PrmEvalError, match="row 1"):
        import_step_set(write_jsonl(tmp_path / "rows.jsonl", rows), tmp_path / "set")


def test_22_rows_without_a_model_stand_in_every_table(tmp_path: Path, capsys: Any) -> None:
    """A table without them hides that a published model is below "the first 70 % of the steps are right"."""
    step_set = labelled(tmp_path / "set", [{"n": 2, "label": -1}, {"n": 3, "label": 1}, {"n": 2, "label": 0}])
    path = scores_of(tmp_path, step_set, [[0.9, 0.9], [0.9, 0.2, 0.9], [0.1, 0.9]])
    assert main(["evaluate", str(step_set.path), str(path), "--resamples", "50"]) == 0
    shown = capsys.readouterr().out
    assert all(f"({name})" in shown for name in RULES)
    assert "yes: +" in shown
    assert len(rule_rows(arrays_of(step_set.path))) == 6


def arrays_of(folder: Path) -> SetArrays:
    from prm_eval.evaluation.stepwise.arrays import load_set

    return load_set(StepSet(folder))


def scores_of(folder: Path, step_set: StepSet, values: list[list[float | None]]) -> Path:
    rows = [{"id": each.solution_id, "scores": own} for each, own in zip(step_set.solutions, values, strict=True)]
    path = folder / "scores.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_area_of_a_constant_is_one_half(tmp_path: Path) -> None:
    """Ties count one half, whatever the order of the rows."""
    small = arrays(tmp_path / "set", [{"n": 3, "label": 1}, {"n": 2, "label": -1}])
    assert resampled_auc(scored([0.7] * 5), small, boot(small)).value == 0.5
    assert np.isfinite(resampled_auc(scored([0.7] * 5), small, boot(small)).drawn).any()
