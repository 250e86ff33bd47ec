"""Each format read as its authors mean it, on rows written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers import import_pool
from prm_eval.importers.steps import STEP_FORMATS, import_step_set
from prm_eval.importers.steps.mr import merge_numbered
from prm_eval.importers.steps.registry import fitting
from tests.conftest import write_jsonl
from tests.importers.steps.rows import (
    APS,
    BIGBENCH,
    EVALUATORS,
    HARD2VERIFY,
    MRBEN,
    MRBEN_FLAT,
    MRGSM8K,
    MRGSM8K_SCORED,
    MRMATH,
    NEUTRAL,
    NOWHERE,
    ONE_EACH,
    PERTURBED,
    PHASE_2,
    PLAIN,
    PRM800K,
    PRMBENCH,
    PRMBENCH_SCORES,
    PROCESSBENCH,
    SAMPLES,
    SHEPHERD,
    TRL,
    altered,
    found,
    imported,
    rewards_of,
)


@pytest.mark.parametrize("name", ONE_EACH)
def test_one_rule_a_format(name: str) -> None:
    """If two rules fitted one row, the order of the registry would decide what labels mean."""
    form, row = ONE_EACH[name]
    assert [each.name for each in fitting(row)] == [form]


def test_every_format_has_a_row() -> None:
    """If a format had no row here, nothing would hold its rule apart from the others'."""
    assert {form for form, _ in ONE_EACH.values()} == set(STEP_FORMATS)


@pytest.mark.parametrize("name", ONE_EACH)
def test_every_format_gives_a_sound_set(tmp_path: Path, name: str) -> None:
    """If this failed, an import would end in a set that ``steps verify`` refuses."""
    form, row = ONE_EACH[name]
    report = imported(tmp_path, [row])
    assert (report.format, report.recognised) == (form, True)
    assert report.step_set.info.source["format"] == form


def test_processbench(tmp_path: Path) -> None:
    """If the four subsets were not told apart by their ids, the mean of four F1 could not be formed."""
    rows = [
        altered(PROCESSBENCH, id=f"{subset}-{k}", label=label)
        for k, (subset, label) in enumerate([("gsm8k", -1), ("math", 0), ("olympiadbench", 1), ("omnimath", 1)])
    ]
    report = imported(tmp_path, rows)
    info = report.step_set.info
    assert (info.name, info.labels, info.label_source) == ("processbench", "first_error", "people")
    solutions, labels = report.step_set.solutions, report.step_set.labels
    assert [each.group for each in solutions] == ["gsm8k", "math", "olympiadbench", "omnimath"]
    assert [each.first_error for each in labels] == [-1, 0, 1, 1]
    assert labels[1].ratings == (-1, None) and labels[1].final_correct is True
    assert {each.problem_id for each in solutions} == {"What is 3 * 3?"}, "solutions of one problem are one cluster"


def test_several_files_are_one_set(tmp_path: Path) -> None:
    """If each file became a set of its own, a table of four subsets could not be made by one command."""
    files = [
        write_jsonl(tmp_path / f"{subset}.jsonl", [altered(PROCESSBENCH, id=f"{subset}-1")])
        for subset in ("gsm8k", "math", "olympiadbench", "omnimath")
    ]
    write_jsonl(tmp_path / "notes.jsonl", [{"other": 1}])
    named = import_step_set(files, tmp_path / "named")
    folder = import_step_set(tmp_path, tmp_path / "folder")
    assert named.step_set.info.pool_hash == folder.step_set.info.pool_hash
    assert len(named.looks.groups) == 4
    assert any("notes.jsonl" in note for note in folder.notes), "what was left out is told"


def test_prmbench(tmp_path: Path) -> None:
    """If error_steps were read from 0, or numbers beyond the end kept, every figure of PRMBench would be off."""
    rows = [
        PRMBENCH,
        altered(PRMBENCH, classification="circular", error_steps=[3, 4], modified_question="other"),
        altered(PRMBENCH, classification="multi_solutions", idx="t_2", error_steps=[]),
        altered(PRMBENCH, classification="circular", error_steps=[1]),
    ]
    report = imported(tmp_path, rows)
    assert (report.step_set.info.labels, report.step_set.info.label_source) == ("every_step", "rules")
    assert report.dropped == {"repeated_id": 1, "wrong_steps_beyond_the_end": 1}
    by_id = found(report)
    assert list(by_id) == ["redundency_t_1", "correct_t_1", "circular_t_1", "multi_solutions_t_2"]
    solution, label = by_id["redundency_t_1"]
    assert label.ratings == (1, -1, 1) and label.source_label == "2" and solution.twin_id == "correct_t_1"
    assert solution.problem_id == "What is 1 + 2?" and solution.statement == "What is  1 + 2?"
    solution, label = by_id["circular_t_1"]
    assert label.ratings == (1, 1, -1) and solution.remarks == ("beyond_the_end=4",)
    solution, label = by_id["correct_t_1"]
    assert (solution.group, label.first_error, len(solution.steps)) == ("correct", -1, 2)
    assert by_id["multi_solutions_t_2"][0].twin_id is None, "a twin that is not there is not named"
    assert any("twin" in note for note in report.notes)


def test_prmbench_numbers_and_scores(tmp_path: Path) -> None:
    """If step numbers went without being asked for, what a model is shown would not be what the file has."""
    rows = [
        altered(PRMBENCH, modified_process=["1. a", "Step 2. b", "3."]),
        altered(PRMBENCH, idx="t_9", validity=False, scores={"step_level_validity_scores": [0.1, 0.2, 0.3]}),
        altered(PRMBENCH, idx="t_8", validity=True, scores={"step_level_validity_scores": [0.1, 0.2, 0.3]}),
    ]
    stored = imported(tmp_path, rows)
    assert stored.step_set.solutions[0].steps == ("1. a", "Step 2. b", "3.")
    (tmp_path / "other").mkdir()
    stripped = imported(tmp_path / "other", rows, strip_numbers=True)
    assert stripped.step_set.solutions[0].steps == ("a", "b", "3."), "a step that is nothing but its number stays"
    rewards = rewards_of(stored, "step_level_validity_scores")
    assert rewards["redundency_t_8"].values == (0.1, 0.2, 0.3)
    assert rewards["redundency_t_9"].refusal, "the scores of an item that PRMBench leaves out are a refusal"
    assert found(stored)["redundency_t_9"][0].remarks == ("validity=false",)


def test_prmbench_scores_without_texts(tmp_path: Path) -> None:
    """If stand-ins looked like texts, somebody would score them."""
    report = imported(tmp_path, [PRMBENCH_SCORES, altered(PRMBENCH_SCORES, occurrence=1, scores=[0.1, 0.1, 0.1])])
    ((solution, label),) = found(report).values()
    assert all("no text in the source" in each for each in (solution.statement, *solution.steps))
    assert label.ratings == (1, -1, 1) and solution.problem_id == "ab" * 32
    assert report.dropped == {"repeated_id": 1, "wrong_steps_beyond_the_end": 1}
    assert rewards_of(report, "rows")["circular_t_1"].values == (0.9, 0.2, 0.7)
    assert any("no texts" in note for note in report.step_set.info.notes)


def test_prm800k_chains(tmp_path: Path) -> None:
    """If the chain took the first completion, or the dictionary of the human one, its steps would not be those that
    were rated."""
    report = imported(tmp_path, [PRM800K, PHASE_2])
    (first, first_label), (second, second_label) = found(report).values()
    assert first.steps == ("5 - 2 is 3.", "That is it.", "So 3.\n\n# Answer\n\n3")
    assert first_label.ratings == (1, 1, 1) and first.final_answer == "3" and first.group == "phase 1"
    assert first.remarks == ("finish=solution",)
    assert second.steps == ("7 + 1 is 8.", "So 9.") and second_label.ratings == (1, -1)
    assert second_label.first_error == 1 and second.group == "phase 2"
    assert report.read == {
        "records": 2,
        "steps": 5,
        "completions": 8,
        "human_completions": 1,
        "steps_without_choice": 1,
        "rated_+1": 4,
        "rated_0": 1,
        "rated_-1": 2,
        "unrated": 1,
        "finish_solution": 1,
        "finish_found_error": 1,
        "problems": 2,
    }


def test_prm800k_found_an_error_that_is_not_the_first_completion(tmp_path: Path) -> None:
    """The record says that an error was found: if the chain ended with a completion that is rated neutral, the solution
    would be one without a wrong step."""
    other = altered(PHASE_2, label__steps__1__completions=[
        {"text": "So 8?", "rating": 0}, {"text": "So 9.", "rating": -1}
    ])  # fmt: skip
    none = altered(PHASE_2, label__steps__1__completions=[{"text": "So 8.", "rating": 0}])
    report = imported(tmp_path, [other, none])
    (first, first_label), (second, second_label) = found(report).values()
    assert first.steps[-1] == "So 9." and first_label.first_error == 1
    assert second.steps[-1] == "So 8." and second_label.ratings == (1, None) and second_label.first_error is None
    assert report.dropped == {"error_found_but_not_rated": 1}


def test_prm800k_gives_up(tmp_path: Path) -> None:
    """If a record without a choice lost its beginning, or one without any were a solution of no step, rated steps would
    be lost or empty ones made."""
    given_up = altered(PRM800K, label__finish_reason="give_up", label__steps__2__chosen_completion=None)
    empty = altered(
        PRM800K, label__steps=[altered(PRM800K, label__steps__0__chosen_completion=None)["label"]["steps"][0]]
    )
    report = imported(tmp_path, [given_up, empty])
    ((solution, label),) = found(report).values()
    assert solution.steps == ("5 - 2 is 3.", "That is it.") and label.first_error == -1
    assert report.dropped == {"no_step_chosen": 1}


def test_prm800k_candidates(tmp_path: Path) -> None:
    """If the beginning of a candidate were rated too, its steps would count once for every completion behind them."""
    report = imported(tmp_path, [PRM800K, PHASE_2], candidates=True)
    by_id = found(report)
    assert len(by_id) == 7 and report.dropped == {"unrated_completion": 1}
    solution, label = by_id["rows/1/step1/completion0"]
    assert solution.steps == ("5 - 2 is 3.", "Hm.") and label.ratings == (None, 0) and label.first_error is None
    wrong, label = by_id["rows/1/step0/completion1"]
    assert label.first_error == 0 and "flagged=1" in wrong.remarks
    alternative, label = by_id["rows/2/step1/completion1"]
    assert alternative.steps == ("7 + 1 is 8.", "So 8.") and label.ratings == (None, 1)


def test_prm800k_leaves_out_and_keeps(tmp_path: Path) -> None:
    """If screening questions stayed, one problem would be a quarter of the set, and no limit would know it."""
    rows = [
        PRM800K,
        altered(PRM800K, is_initial_screening_question=True),
        altered(PRM800K, is_quality_control_question=True),
        altered(PRM800K, label__finish_reason="bad_problem"),
    ]
    report = imported(tmp_path, rows)
    assert report.dropped == {"bad_problem": 1, "quality_control": 1, "screening": 1}
    assert report.read["records"] == 4, "what was left out is counted as read"
    (tmp_path / "kept").mkdir()
    kept = imported(tmp_path / "kept", rows, keep=("screening", "quality_control", "bad_problem"))
    assert [each.remarks for each in kept.step_set.solutions] == [
        ("finish=solution",),
        ("screening=true", "finish=solution"),
        ("quality_control=true", "finish=solution"),
        ("finish=bad_problem",),
    ]
    with pytest.raises(PrmEvalError, match="keep = 'all'; expected one of screening"):
        imported(tmp_path / "kept", rows, keep=("all",))


@pytest.mark.parametrize("options", [{"candidates": True}, {"keep": ("screening",)}])
def test_options_of_another_format(tmp_path: Path, options: dict) -> None:
    """If an option without meaning were taken silently, a user would think that it did something."""
    with pytest.raises(PrmEvalError, match="are for prm800k; this is plain"):
        imported(tmp_path, [PLAIN], **options)


def test_prm800k_samples(tmp_path: Path) -> None:
    """If merged copies were lost, 432 labels of one screening question would look like one."""
    report = imported(tmp_path, [SAMPLES])
    (first, label), (second, _) = found(report).values()
    assert (first.problem_id, first.final_answer, first.remarks) == ("v/0", "5", ("copies=3",))
    assert label.ratings == (1, 1) and second.remarks == ("cut=1024 tokens",)
    assert report.step_set.info.labels == "rated"


def test_neutral_and_perturbed(tmp_path: Path) -> None:
    """If a repeated step were called wrong, or an exchanged one right, twins would have labels that nobody made."""
    neutral = imported(tmp_path, [NEUTRAL])
    assert neutral.step_set.labels[0].ratings == (1, 0)
    assert rewards_of(neutral, "re")["4"].values == pytest.approx((0.9, 0.5)), "validity is neutral + positive"
    (tmp_path / "p").mkdir()
    perturbed = imported(tmp_path / "p", [PERTURBED])
    labels = {name: (solution.twin_id, label.ratings) for name, (solution, label) in found(perturbed).items()}
    assert labels == {
        "2/reference": (None, (1, 1)),
        "2/random_number": ("2/reference", (-1, None)),
        "2/repeat_step": ("2/reference", (1, 0, 1)),
        "2/swap_steps": ("2/reference", None),
    }
    assert perturbed.step_set.info.n_labelled == 3
    assert rewards_of(perturbed, "ms")["2/swap_steps"].values == (0.4, 0.6)


def test_mrmath_counts_groups_and_scores_lines(tmp_path: Path) -> None:
    """Trap 8: if a flat list of scores were indexed by the label, a third of ReasonEval-34B's exact hits would go."""
    report = imported(tmp_path, [MRMATH])
    ((solution, label),) = found(report).values()
    assert solution.steps == ("2 * 5\n= 10.", "So 11.")
    assert (label.first_error, label.final_correct, label.source_label) == (1, True, "2")
    assert rewards_of(report, "ms")["6"].values == (0.6, 0.3), "a group has the lowest of its lines"
    assert rewards_of(report, "re")["6"].values == pytest.approx((0.6, 0.2))
    (tmp_path / "e").mkdir()
    other = imported(tmp_path / "e", [EVALUATORS])
    assert other.step_set.labels[0].first_error == -1
    assert sum("not read" in note for note in other.notes) == 2, "fields that nothing reads are told"


def test_mrgsm8k(tmp_path: Path) -> None:
    """If 1-based numbers were taken as they are, every first error would be a step too late."""
    clean = {
        "uuid": "u-0",
        "model_output_solution_correctness": "correct",
        "model_output_solution_first_error_step": "N/A",
        "model_output_answer_correctness": "correct",
    }
    report = imported(tmp_path, [MRGSM8K, altered(MRGSM8K, **clean)])
    assert [each.first_error for each in report.step_set.labels] == [1, -1]
    assert [each.final_correct for each in report.step_set.labels] == [False, True]
    assert report.step_set.solutions[0].group == "POT"
    (tmp_path / "s").mkdir()
    scored = imported(tmp_path / "s", [MRGSM8K_SCORED])
    assert scored.step_set.labels[0].first_error == 0, "this copy counts from 0"
    assert rewards_of(scored, "re")["u-2"].values == pytest.approx((0.4, 0.3))
    assert scored.step_set.info.name == report.step_set.info.name == "mrgsm8k"


def test_mrben_numbers_are_in_the_text(tmp_path: Path) -> None:
    """Trap 7: if the number were a position in the list, a quarter of the labels would sit on another step."""
    report = imported(tmp_path, [MRBEN])
    (first, label), (second, clean) = found(report).values()
    assert first.steps == ("Step 1: 1 is 1.\n- that is so", "Step 2: 1 > 2.", "Solution: Choice_A")
    assert label.first_error == 1 and label.source_label == "2"
    assert second.steps == ("Let us see.\nStep 1: 2 > 1.", "Solution: Choice_B") and clean.first_error == -1
    assert first.statement == "Which is larger?\nA: 1\nB: 2" and first.problem_id == second.problem_id == "q-1"
    (tmp_path / "f").mkdir()
    flat = imported(tmp_path / "f", [MRBEN_FLAT])
    assert flat.step_set.solutions[0].group == "logic" and flat.step_set.labels[0].first_error == 1
    (tmp_path / "n").mkdir()
    unnamed = altered(MRBEN, samples__0__Sampled_Model=NOWHERE, samples__1__Sampled_Model=NOWHERE)
    assert list(found(imported(tmp_path / "n", [unnamed]))) == ["q-1/0", "q-1/1"], "ids without models are places"


@pytest.mark.parametrize(
    "lines, numbers, steps",
    [
        (["Step 1: a", "Step 2: b"], [1, 2], 2),
        (["Step 1: a", "Step 2: b", "  Step 2.1: c", "Step 2_A: d"], [1, 2], 2),
        (["Step 1: a", "Step 2: b", "Step 1: c", "Step 3: d"], [1, 2, 3], 3),
        (["Intro", "Step 2: b"], [2], 1),
        (["no number", "none either"], [1], 1),
        (["", "  "], [], 0),
        (["Step 1: a", "Solution: A", "Solution: B"], [1, None, None], 3),
        (["Step 1: a", "Solution: A", "because"], [1, None], 2),
    ],
)
def test_merging_of_lines(lines: list[str], numbers: list[int | None], steps: int) -> None:
    """If a line of a step opened a step, or a step of its own vanished, the number of steps would be another one."""
    assert merge_numbered(lines)[0] == numbers and len(merge_numbered(lines)[1]) == steps


def test_trl(tmp_path: Path) -> None:
    """If shares were rounded to verdicts, what a model estimated would look like what a person said."""
    report = imported(tmp_path, [TRL])
    assert report.step_set.info.labels == "rated" and report.step_set.labels[0].ratings == (1, -1)
    (tmp_path / "s").mkdir()
    soft = imported(tmp_path / "s", [altered(TRL, labels=[0.5, 0])])
    assert soft.step_set.info.labels == "soft"
    assert soft.step_set.labels[0].soft == (0.5, 0.0) and soft.step_set.labels[0].first_error == 1


def test_math_shepherd(tmp_path: Path) -> None:
    """If these labels were not marked as made by a model, they would pass for people's."""
    report = imported(tmp_path, [SHEPHERD])
    ((solution, label),) = found(report).values()
    assert solution.statement == "What is 3 - 1?" and solution.group == "GSM8K"
    assert solution.steps == ("Step 1: 3 - 1 = 2.", "Step 2: The answer is: 3")
    assert label.ratings == (1, -1)
    assert report.step_set.info.label_source == "rollouts" and report.step_set.info.made_by_a_model


def test_math_aps(tmp_path: Path) -> None:
    """If beginnings were taken for whole solutions, a step would be all steps up to it."""
    report = imported(tmp_path, [APS])
    (first, label), (second, other) = found(report).values()
    assert first.steps == ("It is 0.", "So 0.") and label.soft == (1.0, 0.75)
    assert second.steps == ("It is 4.",) and other.soft == (0.0,), "the first share of a beginning counts"
    assert report.dropped == {"repeated_prefix": 1}
    assert (report.step_set.info.labels, report.step_set.info.made_by_a_model) == ("soft", True)


def test_a_number_is_no_beginning_of_a_longer_one(tmp_path: Path) -> None:
    """If "It is 4" were taken for a beginning of "It is 42", a share would sit on a step of another solution."""
    nodes = [("\n\nIt is 4", 1.0), ("\n\nIt is 42", 0.0), ("\n\nIt is 4\u2003so 4", 0.5)]
    steps = [{"solution_prefix": f"What is 2 - 2?{text}", "mc_value": share} for text, share in nodes]
    report = imported(tmp_path, [altered(APS, reasoning_steps=steps)])
    assert [(each.steps, label.soft) for each, label in found(report).values()] == [
        (("It is 42",), (0.0,)),
        (("It is 4", "so 4"), (1.0, 0.5)),
    ]


def test_bigbench_keeps_both_facts(tmp_path: Path) -> None:
    """If a chain without a mistake were taken to end right, 18 of 62 real ones would be."""
    report = imported(tmp_path, [BIGBENCH, altered(BIGBENCH, mistake_index=None), altered(BIGBENCH, answer=" 3 ")])
    facts = [(each.first_error, each.final_correct) for each in report.step_set.labels]
    assert facts == [(1, False), (-1, False), (1, True)]
    assert report.step_set.solutions[0].statement == "(1 + 2) ="


def test_hard2verify(tmp_path: Path) -> None:
    """If steps after the first wrong one lost their labels, a set that labels every step would be one that does not."""
    report = imported(tmp_path, [HARD2VERIFY, altered(HARD2VERIFY, unique_id="h-2", human_labels=["yes", "no", True])])
    assert [each.ratings for each in report.step_set.labels] == [(1, -1, 1), (1, -1, 1)]
    assert report.step_set.info.labels == "every_step"


def test_a_named_format_and_an_unknown_one(tmp_path: Path) -> None:
    """If --format were not obeyed, a file whose first row is unlike the others could not be imported at all."""
    rows = [altered(PROCESSBENCH, id="own-1")]
    assert imported(tmp_path, rows, form="processbench").recognised is False
    with pytest.raises(PrmEvalError, match="unknown format 'x'; expected auto, plain, processbench"):
        imported(tmp_path, rows, form="x")


def test_files_of_two_formats(tmp_path: Path) -> None:
    """If two formats went into one set, its labels would mean two things."""
    files = [write_jsonl(tmp_path / "a.jsonl", [PLAIN]), write_jsonl(tmp_path / "b.jsonl", [TRL])]
    with pytest.raises(PrmEvalError, match=r"a\.jsonl is plain, .*b\.jsonl is trl: import them apart"):
        import_step_set(files, tmp_path / "set")
    kept = import_step_set(files, tmp_path / "named", form="trl")
    assert kept.format == "trl" and any("a.jsonl" in note for note in kept.notes)


@pytest.mark.parametrize(
    "row, words",
    [
        ({"answer": "a", "correct": True, "flag": 1, "gt_answer": "b"}, "labels whole solutions, not steps"),
        ({"problem": "p", "steps": ["a"]}, '"label", "ratings" or "wrong_steps"'),
        ({"problem": "p", "samples": [{"text": "t"}]}, "prm-eval pool import"),
        ({"x": 1}, "found fields x"),
    ],
)
def test_rows_of_no_format(tmp_path: Path, row: dict, words: str) -> None:
    """If an unknown row were refused without the next step, its owner would have to read our code."""
    with pytest.raises(DataError) as caught:
        imported(tmp_path, [row])
    assert words in str(caught.value) and caught.value.row == 1


def test_pool_import_points_here(tmp_path: Path) -> None:
    """If ``pool import`` refused labelled steps without saying who reads them, this room would not be found."""
    for row in (PROCESSBENCH, PRM800K, TRL):
        with pytest.raises(DataError, match="prm-eval steps import"):
            import_pool(write_jsonl(tmp_path / "rows.jsonl", [row]), tmp_path / "pool")


def test_an_empty_file_and_nothing_left(tmp_path: Path) -> None:
    """If a set of no solution were written, every figure of it would be a division by zero."""
    with pytest.raises(DataError, match="an empty file"):
        imported(tmp_path, [])
    with pytest.raises(PrmEvalError, match=r"no solution was read \(left out: bad_problem 1\)"):
        imported(tmp_path, [altered(PRM800K, label__finish_reason="bad_problem")])
    with pytest.raises(DataError, match="2 files of no known format"):
        import_step_set([write_jsonl(tmp_path / f"{k}.jsonl", [{"x": 1}]) for k in "ab"], tmp_path / "none")
