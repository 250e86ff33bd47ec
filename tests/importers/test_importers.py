"""Importers: every fault names file and row, nothing is skipped silently, real files come out whole."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.golds import unreadable_golds
from prm_eval.importers import detect_format, import_pool
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import PLAIN, write_jsonl


def rewards_of(pool, name):
    return [(values.values, values.refusal) for _, _, values in RewardFile(pool.path / "rewards" / name).rows()]


def test_plain(pool) -> None:
    """Texts, labels, levels and both reward fields arrive; answers found in texts make classes."""
    assert [c.text for _, cs in pool for c in cs] == [s["text"] for row in PLAIN for s in row["samples"]]
    problems = list(pool.problems.values())
    assert [(p.gold, p.subject, p.level) for p in problems] == [("2", "Algebra", 1), ("6", "Geometry", 2)]
    grades = [[(g.grade, g.answer_class) for g in rows] for _, rows in pool.grades("published")]
    assert grades[0] == [("correct", 0), ("incorrect", 1), ("no_answer", None), ("correct", 0)]
    assert grades[1][0] == grades[1][3] == ("incorrect", 1)  # 5 and 5.0 are one class
    assert rewards_of(pool, "score")[0] == ((0.5,), None)
    assert rewards_of(pool, "step_scores")[0] == ((0.9, 0.8), None)
    check_step_counts(pool, "step_scores")
    assert pool.verify() == []


def check_step_counts(pool, name) -> None:
    reader = RewardFile(pool.path / "rewards" / name).reader(pool)
    for problem, table in pool.blocks():
        reader.take(problem, table)
    reader.finish()


def sample(**fields):
    return {
        "id": "c",
        "problem": "p",
        "answer": "1",
        "samples": [{"text": "\\boxed{1}", "correct": True, "score": 0.1, "step_scores": [0.2], **fields}],
    }


BAD_ROWS = [
    ("{", "not JSON"),
    ("[1]", "a JSON list; expected a JSON object"),
    ({"id": "c", "samples": [{"text": "x"}]}, "no field statement or problem or question"),
    ({"id": "c", "problem": "", "samples": [{"text": "x"}]}, "an empty problem statement"),
    ({"id": "a", "problem": "p", "answer": "1", "samples": [{"text": "x"}]}, "problem id 'a' again (first in row 1)"),
    ({"id": "c", "problem": "p", "samples": []}, "samples = list, empty"),
    ({"id": "c", "problem": "p", "samples": "x"}, "samples = str"),
    ({"id": "c", "problem": "p", "samples": [3]}, "samples[0] of type int"),
    ({"id": "c", "problem": ["p"], "samples": [{"text": "x"}]}, "of type list; expected text"),
    (sample(text=None), "samples[0] without text"),
    (sample(text={"a": 1}), "samples[0].text of type dict"),
    (sample(correct="yes"), "samples[0].correct = 'yes'; expected true or false"),
    (sample(score="high"), "samples[0].score = 'high'; expected a number"),
    (sample(score=True), "samples[0].score = True; expected a number"),
    (
        '{"id":"c","problem":"p","samples":[{"text":"\\\\boxed{1}","correct":true,"score":NaN,"step_scores":[1]}]}',
        "score = nan; expected a finite number",
    ),
    (
        '{"id":"c","problem":"p","samples":[{"text":"\\\\boxed{1}","correct":true,"score":1e999,"step_scores":[1]}]}',
        "score = inf; expected a finite number",
    ),
    (sample(step_scores=[0.1, 0.2]), "2 step_scores for 1 steps; expected one a step"),
    (sample(step_scores=[]), "step_scores that is an empty list; expected a list of numbers"),
    (sample(n_tokens=-1), "n_tokens = -1; expected a whole number"),
    (
        '{"id":"c","problem":"p","samples":[{"text":"\\ud800","correct":true,"score":1,"step_scores":[1]}]}',
        "half a surrogate pair",
    ),
    (sample(steps=[1]), "samples[0].steps that is not a list of text"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS, ids=[message for _, message in BAD_ROWS])
def test_bad_rows_name_file_and_row(tmp_path, row, message) -> None:
    """A malformed third row stops the import with its number and what was expected, and leaves no pool."""
    file = write_jsonl(tmp_path / "bad.jsonl", [*PLAIN, row])
    with pytest.raises(DataError, match=r"bad\.jsonl, row 3") as caught:
        import_pool(file, tmp_path / "out")
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_skip_bad_counts_and_lists(tmp_path) -> None:
    """--skip-bad keeps the good problems and lists every fault, a line that is cut off included."""
    rows = [BAD_ROWS[0][0], *(row for row, _ in BAD_ROWS[2:6])]
    report = import_pool(write_jsonl(tmp_path / "bad.jsonl", [*PLAIN, *rows]), tmp_path / "out", skip_bad=True)
    assert report.pool.info.n_problems == 2
    assert len(report.skipped) == 5
    assert all("bad.jsonl, row" in fault for fault in report.skipped)


def test_slots(tmp_path) -> None:
    """Ragged files: max keeps missing slots, min leaves candidates out, a number does either."""
    rows = [PLAIN[0], {**PLAIN[1], "samples": PLAIN[1]["samples"][:2]}]
    file = write_jsonl(tmp_path / "ragged.jsonl", rows)
    for slots, m, candidates, missing in (("max", 4, 6, 2), ("min", 2, 4, 0), (3, 3, 5, 1), ("8", 8, 6, 10)):
        info = import_pool(file, tmp_path / f"out{slots}", slots=slots).pool.info
        assert (info.m, info.n_candidates, info.n_missing) == (m, candidates, missing)
    with pytest.raises(PrmEvalError, match="expected a number, max or min"):
        import_pool(file, tmp_path / "no", slots="many")


def test_null_samples_are_missing_slots(tmp_path) -> None:
    """A null keeps its slot: the others do not move up."""
    row = {**PLAIN[0], "samples": [None, PLAIN[0]["samples"][0], None, PLAIN[0]["samples"][1]]}
    pool = import_pool(write_jsonl(tmp_path / "n.jsonl", [row]), tmp_path / "out").pool
    assert [c.slot for _, cs in pool for c in cs] == [1, 3]


def test_empty_and_unknown_files(tmp_path) -> None:
    """An empty file and one of no known format say so, with the formats that are known."""
    with pytest.raises(DataError, match="an empty file"):
        import_pool(write_jsonl(tmp_path / "e.jsonl", []), tmp_path / "o")
    with pytest.raises(DataError, match=r"u\.jsonl, row 1: found fields x; expected .*PRM800K"):
        detect_format(write_jsonl(tmp_path / "u.jsonl", [{"x": 1}]))
    with pytest.raises(DataError, match="no such file"):
        import_pool(tmp_path / "none.jsonl", tmp_path / "o")


def prm800k_row(unique_id: str, k: int, **fields):
    return {
        "problem": f"statement {unique_id}",
        "answer": str(k),
        "is_correct": k == 1,
        "subject": "Precalculus",
        "level": 2,
        "unique_id": unique_id,
        "steps": ["first", f"second\n\n# Answer\n\n{k}"],
        "rating_probs": [{"-1": 0.25, "0": 0.25, "1": 0.5}, {"-1": 0.5, "0": 0.1, "1": 0.4}],
        "orm_score": k / 10,
        "prm_score": 0.375,
        "ground_truth_answer": "1",
        **fields,
    }


def test_prm800k_in_any_order(tmp_path) -> None:
    """Rows of a problem need not stand together; missing candidates up to 1,860 keep their slots; neutral counts as
    positive."""
    rows = [prm800k_row("p/1", 1), prm800k_row("p/2", 2), prm800k_row("p/1", 3)]
    pool = import_pool(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "out").pool
    assert (pool.info.m, pool.info.n_candidates, pool.info.splitter) == (1860, 3, "given")
    assert [(p.problem_id, p.gold, [c.slot for c in cs]) for p, cs in pool] == [("p/1", "1", [0, 1]), ("p/2", "1", [0])]
    _, first_grades = next(iter(pool.grades("published")))
    assert [(g.grade, g.answer) for g in first_grades] == [
        ("correct", "1"),
        ("incorrect", "3"),
    ]
    (first, _), *_ = rewards_of(pool, "rating_probs")
    assert first == pytest.approx([math.log(3), 0.0], abs=1e-6)
    assert [values for values, _ in rewards_of(pool, "orm_score")] == [(0.1,), (0.3,), (0.2,)]
    check_step_counts(pool, "rating_probs")
    from prm_eval.rewards import aggregate

    assert aggregate(first, "prod", "logodds")[1] == pytest.approx(0.375, rel=1e-6)  # the published product


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rating_probs": [{"-1": 1, "0": 0, "1": 0}]}, "1 rating_probs for 2 steps"),
        ({"rating_probs": [{"-1": -1, "0": 0, "1": 0}] * 2}, "expected probabilities"),
        ({"steps": []}, "at least one step"),
        ({"is_correct": None}, "is_correct = None"),
        ({"orm_score": "0.1"}, "orm_score = '0.1'"),
        ({"problem": "another"}, "another statement for 'p/1'"),
    ],
)
def test_prm800k_faults(tmp_path, fields, message) -> None:
    """Faults of scored samples name their row."""
    file = write_jsonl(tmp_path / "s.jsonl", [prm800k_row("p/1", 1), prm800k_row("p/1", 2, **fields)])
    with pytest.raises(DataError, match=r"s\.jsonl, row 2") as caught:
        import_pool(file, tmp_path / "out")
    assert message in str(caught.value)


def test_real_prm800k_record(tmp_path, data) -> None:
    """The one real record at hand imports, and its step probabilities reproduce its published product."""
    record = json.loads((data / "format_examples/RM-scored-example.json").read_text())
    pool = import_pool(write_jsonl(tmp_path / "s.jsonl", [record]), tmp_path / "out").pool
    from prm_eval.rewards import aggregate

    (values, _), *_ = rewards_of(pool, "rating_probs")
    assert aggregate(values, "prod", "logodds")[1] == pytest.approx(record["prm_score"], rel=1e-6)
    problem = next(iter(pool.problems.values()))
    assert (problem.gold, problem.level) == ("-2+7i", 2)


def test_lm_eval_samples(tmp_path) -> None:
    """Rows repeat for every filter; responses are taken once; joined by hash, whatever doc_id says."""
    row = {"doc_id": 0, "doc": {"problem": "p", "answer": "3"}, "target": "3", "resps": [["a \\boxed{3}", "b"]],
    "filter": "x", "doc_hash": "h1",
           "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {"temperature": 0.7}}}}  # fmt: skip
    other = {**row, "doc_id": 0, "doc": {"question": "q"}, "target": "#### 4", "doc_hash": "h2"}
    pool = import_pool(
        write_jsonl(tmp_path / "samples_t.jsonl", [row, other, {**row, "filter": "y"}]), tmp_path / "o"
    ).pool
    assert [(p.statement, p.gold, [c.text for c in cs]) for p, cs in pool] == [
        ("p", "3", ["a \\boxed{3}", "b"]),
        ("q", "4", ["a \\boxed{3}", "b"]),
    ]
    assert pool.info.sampling == {"temperature": 0.7}


def test_token_scores_are_read_at_newlines(tmp_path) -> None:
    """A step ends at a newline token (id 13) and is read there; the last at the end of the text."""
    good = {"text": "a\nb", "tokens": [5, 13, 6], "token_scores": [0.1, 0.2, 0.3, 0.4], "correct": True}
    pool = import_pool(write_jsonl(tmp_path / "t.jsonl", [{"problem": "p", "samples": [good]}]), tmp_path / "o").pool
    assert rewards_of(pool, "token_scores") == [((0.2, 0.4), None)]
    for change, message in (
        ({"tokens": [5, 13]}, "4 token_scores for 2 tokens"),
        ({"text": "ab"}, "1 newline tokens in a text of 1 lines"),
    ):
        with pytest.raises(DataError, match=message):
            import_pool(
                write_jsonl(tmp_path / "t.jsonl", [{"problem": "p", "samples": [{**good, **change}]}]), tmp_path / "bad"
            )


def test_real_token_scores(tmp_path, data) -> None:
    """The real verifier's file: every candidate's newline tokens fit its lines."""
    pool = import_pool(data / "bon/ovm_gsm8k_verifier_scored.jsonl", tmp_path / "o").pool
    assert (pool.info.n_problems, pool.info.n_candidates, pool.info.m) == (3, 900, 500)
    check_step_counts(pool, "token_scores")


def test_fields_that_nothing_reads_are_reported(tmp_path) -> None:
    """A misspelt field ("corect") imports as if it were not there: the report says so."""
    rows = [{"problem": "p", "anser": "2", "samples": [{"text": "a", "corect": True, "answer": "2"}]}]
    report = import_pool(write_jsonl(tmp_path / "f.jsonl", rows), tmp_path / "p")
    assert report.ignored == {"anser": 1, "samples[].corect": 1, "samples[].answer": 1}


def test_generators_are_named(tmp_path) -> None:
    """Rows of two policies are one pool only if somebody means it: both are named."""
    rows = [{**PLAIN[0], "generator": "x"}, {**PLAIN[1], "generator": "y"}]
    assert import_pool(write_jsonl(tmp_path / "f.jsonl", rows), tmp_path / "p").pool.info.policy["id"] == "x + y"


def test_a_first_problem_without_candidates_and_min_slots(tmp_path) -> None:
    """Missing slots in the first row are no reason to refuse the rewards of the second; min counts full slots."""
    rows = [{**PLAIN[0], "samples": [None, None]}, PLAIN[1]]
    pool = import_pool(write_jsonl(tmp_path / "f.jsonl", rows), tmp_path / "p").pool
    assert len(pool.reward_folders()) == 2
    with pytest.raises(PrmEvalError, match="no candidate in its first slot"):
        import_pool(write_jsonl(tmp_path / "f.jsonl", rows), tmp_path / "q", slots="min")


def test_rewards_of_two_verifiers_are_named_after_both(tmp_path) -> None:
    """Scores of two models must not stand under the name of the first."""
    rows = [{**PLAIN[0], "verifier": "A"}, {**PLAIN[1], "verifier": "B"}]
    pool = import_pool(write_jsonl(tmp_path / "f.jsonl", rows), tmp_path / "p").pool
    assert RewardFile(pool.path / "rewards" / "score").name == "A score + B score"


def test_corrected_labels_of_the_same_candidates_replace_the_old_ones(tmp_path) -> None:
    """A folder named by content is kept, but what the source says of the candidates is what it says now."""
    flipped = [
        {**row, "samples": [{**s, "correct": not s["correct"], "score": -s["score"]} for s in row["samples"]]}
        for row in PLAIN
    ]
    pools = [
        import_pool(write_jsonl(tmp_path / "f.jsonl", rows), None, parent=tmp_path).pool for rows in (PLAIN, flipped)
    ]
    assert pools[0].path == pools[1].path
    assert [g.grade == "correct" for _, rows in pools[1].grades("published") for g in rows] == [
        s["correct"] for row in flipped for s in row["samples"]
    ]
    assert [values for values, _ in rewards_of(pools[1], "score")] == [
        (s["score"],) for row in flipped for s in row["samples"]
    ]


def test_a_file_with_steps_keeps_them(tmp_path) -> None:
    """Rewards that are one a step of the source were refused unless the splitter was named; a mixed file has lines."""
    whole = {"problem": "p", "answer": "2", "samples": [{"steps": ["a\nb", "c"], "step_scores": [0.5, 0.6]}, None]}
    mixed = {"problem": "q", "answer": "2", "samples": [{"steps": ["a\nb", "c"]}, {"text": "a"}]}
    given = import_pool(write_jsonl(tmp_path / "given.jsonl", [whole]), tmp_path / "given").pool
    assert (given.info.splitter, given.candidates(0, 1)[0].steps) == ("given", ("a\nb", "c"))
    assert import_pool(write_jsonl(tmp_path / "mixed.jsonl", [mixed]), tmp_path / "mixed").pool.info.splitter == "line"
    named = import_pool(tmp_path / "mixed.jsonl", tmp_path / "named", splitter="paragraph:tools=drop").pool
    assert named.info.splitter == "paragraph:tools=drop"


def test_unreadable_golds_are_those_of_evaluation(tmp_path: Path) -> None:
    """Two rules would let an import say nothing of a gold that evaluation then finds no right answer to."""
    long = "The plane goes up and then it comes down again, which is what we wanted to show"
    golds = ["5", "\\frac{1}{", "1/0", long, "Anna", "10^{10^6}"]
    rows = [{"problem": f"p{i}", "id": f"i{i}", "answer": g, "samples": [{"text": "x"}]} for i, g in enumerate(golds)]
    report = import_pool(write_jsonl(tmp_path / "p.jsonl", rows), tmp_path / "pool")
    unread = [each.problem_id for each in unreadable_golds(report.pool.problems.values())]
    assert unread == ["i1", "i2", "i3"]
    (note,) = [each for each in report.notes if "our grader cannot read" in each]
    assert note.startswith("3 problems with a gold answer")
    assert all(name in note for name in unread)
