"""One small row a format, with texts of our own; the tests alter them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from prm_eval.importers.steps import StepImportReport, import_step_set
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import write_jsonl

NOWHERE = object()

PLAIN: dict[str, Any] = {
    "id": "a",
    "problem": "What is 2 + 2 + 1?",
    "steps": ["2 + 2 = 4.", "4 + 1 = 6.", "So it is 6."],
    "label": 1,
}
PROCESSBENCH: dict[str, Any] = {
    "id": "gsm8k-7",
    "generator": "some-model",
    "problem": "What is 3 * 3?",
    "steps": ["3 * 3 = 9.", "So it is 9."],
    "final_answer_correct": True,
    "label": -1,
}
PRMBENCH: dict[str, Any] = {
    "idx": "t_1",
    "classification": "redundency",
    "original_question": "What is 1 + 2?",
    "original_process": ["1. 1 + 2 = 3.", "2. So 3."],
    "modified_question": "What is  1 + 2?",
    "modified_process": ["1. 1 + 2 = 3.", "2. Again, 1 + 2 = 3.", "3. So 3."],
    "error_steps": [2],
}
PRMBENCH_SCORES: dict[str, Any] = {
    "idx": "circular_t_1",
    "occurrence": 0,
    "classification": "circular",
    "problem_sha256": "ab" * 32,
    "n_steps": 3,
    "error_steps": [2, 9],
    "scores": [0.9, 0.2, 0.7],
    "labels": [1, 0, 1],
}
PRM800K: dict[str, Any] = {
    "labeler": "x",
    "is_quality_control_question": False,
    "is_initial_screening_question": False,
    "question": {"problem": "What is 5 - 2?", "ground_truth_answer": "3"},
    "label": {
        "steps": [
            {
                "completions": [
                    {"text": "5 - 2 is 3.", "rating": 1, "flagged": False},
                    {"text": "5 - 2 is 4.", "rating": -1, "flagged": True},
                    {"text": "Let me think.", "rating": None, "flagged": None},
                ],
                "human_completion": None,
                "chosen_completion": 0,
            },
            {
                "completions": [{"text": "Hm.", "rating": 0, "flagged": False}],
                "human_completion": {"text": "That is it.", "rating": None, "source": "human", "flagged": False},
                "chosen_completion": None,
            },
            {
                "completions": [{"text": "So 3.\n\n# Answer\n\n3", "rating": 1, "flagged": False}],
                "human_completion": None,
                "chosen_completion": 0,
            },
        ],
        "total_time": 1000,
        "finish_reason": "solution",
    },
}
PHASE_2: dict[str, Any] = {
    "generation": 3,
    "is_quality_control_question": False,
    "is_initial_screening_question": False,
    "question": {"problem": "What is 7 + 1?", "pre_generated_steps": ["7 + 1 is 8.", "So 9."]},
    "label": {
        "steps": [
            {
                "completions": [{"text": "7 + 1 is 8.", "rating": 1}],
                "human_completion": None,
                "chosen_completion": 0,
            },
            {
                "completions": [{"text": "So 9.", "rating": -1}, {"text": "So 8.", "rating": 1}],
                "human_completion": None,
                "chosen_completion": None,
            },
        ],
        "finish_reason": "found_error",
    },
}
SAMPLES: dict[str, Any] = {
    "id": "v/0",
    "problem": "What is 9 - 4?",
    "samples": [
        {"steps": ["9 - 4 = 5.", "So 5."], "step_labels": [1, 1], "answer": "5", "copies": 3},
        {"steps": ["9 - 4 = 6."], "step_labels": [-1], "answer": None, "copies": 1, "truncated_at_1024_tokens": True},
    ],
}
NEUTRAL: dict[str, Any] = {
    "id": 4,
    "question": "What is 6 / 2?",
    "generator": "g",
    "model_output_step_format": [["6 / 2 = 3."], ["That is nice."]],
    "rating": [1, 0],
    "prm_scores": {"ms": [0.9, 0.4], "re": [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]},
}
PERTURBED: dict[str, Any] = {
    "rid": 2,
    "problem": "What is 8 - 3?",
    "reference_steps": ["8 - 3 = 5.", "So 5."],
    "reference_scores": {"ms": [0.9, 0.8]},
    "perturbed": [
        {
            "error_type": "random number",
            "tags": 0,
            "steps": ["8 - 3 = 7.", "So 5."],
            "scores": {"ms": [0.2, 0.3]},
        },
        {
            "error_type": "repeat step",
            "tags": 0,
            "steps": ["8 - 3 = 5.", "8 - 3 = 5.", "So 5."],
            "scores": {"ms": [0.9, 0.7, 0.8]},
        },
        {"error_type": "swap steps", "tags": [0, 1], "steps": ["So 5.", "8 - 3 = 5."], "scores": {"ms": [0.4, 0.6]}},
    ],
}
MRMATH: dict[str, Any] = {
    "id": 6,
    "question": "What is 2 * 5?",
    "generator": "g",
    "model_output_step_format": [["2 * 5", "= 10."], ["So 11."]],
    "model_output_answer_correctness": "correct",
    "model_output_solution_correctness": "wrong",
    "model_output_solution_first_error_step": 2,
    "prm_scores": {"ms": [0.9, 0.6, 0.3], "re": [[0.1, 0.2, 0.7], [0.4, 0.3, 0.3], [0.8, 0.1, 0.1]]},
}
EVALUATORS: dict[str, Any] = {
    "id": 6,
    "question": "What is 2 * 5?",
    "generator": "g",
    "steps": [["2 * 5", "= 10."], ["So 10."]],
    "solution_correct": True,
    "first_error_step": None,
    "prm_scores": {"ms": [0.9, 0.6, 0.3]},
    "solution_scores": {"r": 0.1},
    "critics": {"c": {"correctness_pred": "Wrong", "error_step_pred": "Step 4"}},
}
MRGSM8K: dict[str, Any] = {
    "uuid": "u-1",
    "question": "What is 4 + 4?",
    "model_output_steps": ["Step 1: 4 + 4 = 8", "Step 2: #### 9"],
    "model_output_answer_correctness": "wrong",
    "model_output_solution_correctness": "wrong",
    "model_output_solution_first_error_step": 2,
    "question_type": "POT",
    "prm_scores": {"ms": [0.9, 0.1]},
}
MRGSM8K_SCORED: dict[str, Any] = {
    "uuid": "u-2",
    "problem": "What is 4 + 5?",
    "steps": ["Step 1: 4 + 5 = 8", "Step 2: #### 8"],
    "label": 0,
    "joined": "text",
    "prm_scores": {"ms": [0.2, 0.1], "re": [[0.6, 0.1, 0.3], [0.7, 0.2, 0.1]]},
}
MRBEN: dict[str, Any] = {
    "id": "q-1",
    "problem": "Which is larger?",
    "options": "A: 1\nB: 2",
    "subject": "college_math",
    "samples": [
        {
            "Sampled_Model": "M1",
            "Model_Solution_Steps": ["Step 1: 1 is 1.", "", "- that is so", "Step 2: 1 > 2.", "Solution: Choice_A"],
            "Model_Solution_Correctness": "incorrect",
            "Model_Solution_First_Error_Step": "2",
        },
        {
            "Sampled_Model": "M2",
            "Model_Solution_Steps": ["Let us see.", "Step 1: 2 > 1.", "Solution: Choice_B"],
            "Model_Solution_Correctness": "correct",
            "Model_Solution_First_Error_Step": "N/A",
        },
    ],
}
MRBEN_FLAT: dict[str, Any] = {
    "Question_UUID": "q-2",
    "Question": "Which is smaller?",
    "Options": "A: 1\nB: 2",
    "Subject": "logic",
    **MRBEN["samples"][0],
}
TRL: dict[str, Any] = {"prompt": "What is 1 - 1?", "completions": ["1 - 1 = 0.", "So 1."], "labels": [True, False]}
SHEPHERD: dict[str, Any] = {
    "input": "What is 3 - 1? Step 1: 3 - 1 = 2. ки\nStep 2: The answer is: 3 ки",
    "label": "What is 3 - 1? Step 1: 3 - 1 = 2. +\nStep 2: The answer is: 3 -",
    "task": "GSM8K",
}
APS: dict[str, Any] = {
    "question": "What is 2 - 2?",
    "final_answer": "0",
    "reasoning_steps": [
        {"solution_prefix": "What is 2 - 2?", "mc_value": 0.5},
        {"solution_prefix": "What is 2 - 2?\n\nIt is 0.", "mc_value": 1.0},
        {"solution_prefix": "What is 2 - 2?\n\nIt is 0.\n\nSo 0.", "mc_value": 0.75},
        {"solution_prefix": "What is 2 - 2?\n\nIt is 4.", "mc_value": 0.0},
        {"solution_prefix": "What is 2 - 2?\n\nIt is 4.", "mc_value": 0.25},
    ],
}
BIGBENCH: dict[str, Any] = {
    "input": "(1 + 2) =",
    "steps": ["1 + 2 = 3.", "So it is 4."],
    "target": "3",
    "answer": "4",
    "mistake_index": 1,
}
HARD2VERIFY: dict[str, Any] = {
    "unique_id": "h-1",
    "question": "What is 1 + 4?",
    "model_response_by_step": ["1 + 4 = 5.", "So 6.", "Done."],
    "human_labels": [1, 0, 1],
    "human_labels_first_error_idx": 1,
}

ONE_EACH: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("plain", PLAIN),
    "processbench": ("processbench", PROCESSBENCH),
    "prmbench": ("prmbench", PRMBENCH),
    "prmbench_scores": ("prmbench_scores", PRMBENCH_SCORES),
    "prm800k": ("prm800k", PRM800K),
    "prm800k, phase 2": ("prm800k", PHASE_2),
    "prm800k_samples": ("prm800k_samples", SAMPLES),
    "prm800k_neutral": ("prm800k_neutral", NEUTRAL),
    "prm800k_perturbed": ("prm800k_perturbed", PERTURBED),
    "mrmath": ("mrmath", MRMATH),
    "mrmath, evaluators": ("mrmath", EVALUATORS),
    "mrgsm8k": ("mrgsm8k", MRGSM8K),
    "mrgsm8k_scored": ("mrgsm8k_scored", MRGSM8K_SCORED),
    "mrben": ("mrben", MRBEN),
    "mrben, flat": ("mrben", MRBEN_FLAT),
    "trl": ("trl", TRL),
    "math_shepherd": ("math_shepherd", SHEPHERD),
    "math_aps": ("math_aps", APS),
    "bigbench_mistake": ("bigbench_mistake", BIGBENCH),
    "hard2verify": ("hard2verify", HARD2VERIFY),
}


def altered(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The row with fields set, or taken out; ``a__0__b`` is the field b of the first entry of a."""
    changed = copy.deepcopy(row)
    for path, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        place: Any = changed
        for name in parents:
            place = place[name]
        if value is NOWHERE:
            del place[last]
        else:
            place[last] = value
    return changed


def imported(folder: Path, rows: list[Any], **options: Any) -> StepImportReport:
    """Import rows, and hold that what was written is sound."""
    report = import_step_set(write_jsonl(folder / "rows.jsonl", rows), folder / "set", **options)
    assert report.step_set.verify() == []
    return report


def found(report: StepImportReport) -> dict[str, tuple[Any, Any]]:
    """Solutions and labels by id."""
    step_set = report.step_set
    return {s.solution_id: (s, label) for s, label in zip(step_set.solutions, step_set.labels, strict=True)}


def rewards_of(report: StepImportReport, name: str) -> dict[str, Any]:
    """The rewards of a model by solution."""
    file = RewardFile(report.step_set.path / "rewards" / name)
    file.require_pool(report.step_set.pool)
    return {problem: rewards for problem, _, rewards in file.rows()}


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
