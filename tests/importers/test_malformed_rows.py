"""Rows that are wrong in one place: each stops the import with file, row, what was found and what was expected, and
leaves no pool."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers import FORMATS, detect_format, import_pool
from prm_eval.importers.common import ImportedProblem, RewardColumn, given_or_extracted, published_grades
from prm_eval.importers.grouped import RowIndex
from prm_eval.importers.sources import open_source
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, GradeRow, Problem, StepRewards
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import write_jsonl

NOWHERE = object()


def altered(row: dict, path: str, value: object) -> dict:
    """The row with one field set, or taken out."""
    changed = copy.deepcopy(row)
    *parents, last = path.split(".")
    place = changed
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    key = int(last) if isinstance(place, list) else last
    if value is NOWHERE:
        del place[key]
    else:
        place[key] = value
    return changed


def refused(folder: Path, rows: list, row: int, message: str, **options) -> None:
    source = write_jsonl(folder / "source.jsonl", rows)
    with pytest.raises(DataError) as caught:
        import_pool(source, folder / "pool", **options)
    assert message in str(caught.value)
    assert (caught.value.path, caught.value.row) == (str(source), row)
    assert [each.name for each in folder.iterdir()] == ["source.jsonl"], "half a pool was left behind"


# -- plain rows

PLAIN_ROW = {
    "id": "a",
    "problem": "What is 1+1?",
    "answer": "2",
    "level": 3,
    "samples": [
        {"text": "x\n\\boxed{2}", "correct": True, "score": 0.5, "step_scores": [0.1, 0.9], "n_tokens": 4},
        {"text": "\\boxed{3}", "correct": False, "score": -1, "step_scores": [0.2], "finish_reason": "stop"},
    ],
}
PLAIN_FAULTS = [
    ("id", ["a"], "of type list; expected text"),
    ("problem", NOWHERE, "no field statement or problem or question"),
    ("problem", "  ", "an empty problem statement"),
    ("problem", True, "of type bool; expected text"),
    ("answer", {"value": 2}, "of type dict; expected text"),
    ("samples", None, "samples = NoneType"),
    ("samples", {}, "samples = dict, empty; expected a list of at least one sample"),
    ("samples", [], "samples = list, empty"),
    ("samples.1", "text", "samples[1] of type str; expected an object, or null"),
    ("samples.1", [], "samples[1] of type list"),
    ("samples.1", {}, "samples[1] without text (fields: none)"),
    ("samples.1.text", NOWHERE, "samples[1] without text (fields: correct, finish_reason, score, step_scores)"),
    ("samples.0.text", ["x"], "samples[0].text of type list"),
    ("samples.0.n_tokens", -1, "samples[0].n_tokens = -1; expected a whole number"),
    ("samples.0.n_tokens", 1.5, "samples[0].n_tokens = 1.5"),
    ("samples.0.n_tokens", True, "samples[0].n_tokens = True"),
    ("samples.1.finish_reason", {}, "samples[1].finish_reason of type dict"),
    ("samples.0.correct", NOWHERE, "samples[0].correct = None; expected true or false (in every sample, or in none)"),
    ("samples.1.correct", 1, "samples[1].correct = 1"),
    ("samples.0.answer", [2], "samples[0].answer of type list"),
    ("samples.0.steps", "x", "samples[0].steps that is not a list of text"),
    ("samples.0.steps", ["x", None], "samples[0].steps that is not a list of text"),
    ("samples.0.score", "0.5", "samples[0].score = '0.5'; expected a number"),
    ("samples.0.score", [0.5], "samples[0].score = [0.5]"),
    ("samples.0.step_scores", 0.5, "samples[0].step_scores of type float; expected a list of numbers"),
    ("samples.0.step_scores", [], "samples[0].step_scores that is an empty list"),
    ("samples.0.step_scores", [0.1, None], "samples[0].step_scores[1] = None; expected a number"),
    ("samples.0.step_scores", [0.1], "samples[0]: 1 step_scores for 2 steps; expected one a step"),
    ("samples.0.step_scores", [0.1] * 3, "Is --splitter the one the rewards were made with?"),
]


@pytest.mark.parametrize("path, value, message", PLAIN_FAULTS, ids=[f"{p}-{m[:30]}" for p, _, m in PLAIN_FAULTS])
def test_a_fault_in_a_plain_row(tmp_path: Path, path: str, value: object, message: str) -> None:
    """One field at fault in the second row."""
    good = {**PLAIN_ROW, "id": "first"}
    refused(tmp_path, [good, altered(PLAIN_ROW, path, value)], 2, message)


@pytest.mark.parametrize("path, value, message", PLAIN_FAULTS[:12], ids=range(12))
def test_a_faulty_row_can_be_left_out(tmp_path: Path, path: str, value: object, message: str) -> None:
    """With skip_bad the others arrive, and the report has the fault in the words that the error would have had."""
    rows = [{**PLAIN_ROW, "id": "first"}, altered(PLAIN_ROW, path, value), {**PLAIN_ROW, "id": "last"}]
    report = import_pool(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "pool", skip_bad=True)
    assert list(report.pool.problems) == ["first", "last"]
    assert len(report.skipped) == 1
    assert "row 2" in report.skipped[0]
    assert message in report.skipped[0]
    assert report.pool.verify() == []


TOKENS = {"text": "a\n\nb", "tokens": [5, 13, 13, 6], "token_scores": [0.1, 0.2, 0.3, 0.4, 0.5]}


@pytest.mark.parametrize(
    "sample, rewards",
    [
        (TOKENS, (0.2, 0.5)),
        ({"text": "a", "tokens": [5], "token_scores": [0.1, 0.2]}, (0.2,)),
        ({"text": "a\nb\n", "tokens": [5, 13, 6, 13], "token_scores": [0.1, 0.2, 0.3, 0.4, 0.5]}, (0.2, 0.4)),
        ({"response": "a\nb", "tokens": [5, 13, 6], "token_scores": [0.1, 0.2, 0.3, 0.4]}, (0.2, 0.4)),
    ],
    ids=["an empty line", "one line", "a line break at the end", "another name of the text"],
)
def test_where_token_scores_are_read(tmp_path: Path, sample: dict, rewards: tuple[float, ...]) -> None:
    """A step is read at the newline that ends it, the last one at the end of the text; an empty line ends no step."""
    pool = import_pool(
        write_jsonl(tmp_path / "s.jsonl", [{"problem": "p", "samples": [sample]}]), tmp_path / "pool"
    ).pool
    (found,) = [values.values for _, _, values in RewardFile(pool.path / "rewards" / "token_scores").rows()]
    assert found == pytest.approx(rewards)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"tokens": [5, 13, 13]}, "5 token_scores for 3 tokens; expected one score a token and one at the end"),
        ({"tokens": None}, "5 token_scores for None tokens"),
        ({"tokens": "abcd"}, "5 token_scores for abcd tokens"),
        ({"tokens": [5, 13, 7, 6]}, "1 newline tokens in a text of 3 lines; expected 2"),
        ({"token_scores": [0.1, "x", 0.3, 0.4, 0.5]}, "token_scores[1] = 'x'; expected a number"),
        ({"token_scores": []}, "token_scores that is an empty list; expected a list of numbers"),
    ],
)
def test_token_scores_that_do_not_fit(tmp_path: Path, changes: dict, message: str) -> None:
    """Scores of another text, or of another tokenizer, are not spread over the steps by guesswork."""
    refused(tmp_path, [{"problem": "p", "samples": [{**TOKENS, **changes}]}], 1, message)


@pytest.mark.parametrize(
    "rows, message",
    [
        (
            [{"score": None}, {"score": 1}],
            "the field 'score', which earlier rows lack; expected the same reward fields in every row",
        ),
    ],
)
def test_rewards_that_begin_half_way(tmp_path: Path, rows: list[dict], message: str) -> None:
    """A field of rewards that earlier problems lack would leave them without rewards and nobody told."""
    made = [
        {"id": str(k), "problem": "p", "samples": [{"text": "x", **{n: v for n, v in row.items() if v is not None}}]}
        for k, row in enumerate(rows)
    ]
    refused(tmp_path, made, 2, message)


def test_rewards_that_end_half_way_are_refusals(tmp_path: Path) -> None:
    """A later problem without the field has candidates without a reward, said as such in the file."""
    rows = [
        {"id": "a", "problem": "p", "samples": [{"text": "x", "score": 1}, {"text": "y", "score": None}]},
        {"id": "b", "problem": "p", "samples": [{"text": "x"}]},
    ]
    pool = import_pool(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "pool").pool
    found = [(each.values, each.refusal) for _, _, each in RewardFile(pool.path / "rewards" / "score").rows()]
    assert found == [((1.0,), None), ((), "not in the source"), ((), "not in the source")]


# -- PRM800K

SCORED = {
    "problem": "What is 1+1?",
    "unique_id": "p/1",
    "ground_truth_answer": "2",
    "answer": "2",
    "is_correct": True,
    "steps": ["1+1", "= 2\n\n# Answer\n\n2"],
    "rating_probs": [{"-1": 0.1, "0": 0.2, "1": 0.7}, {"-1": 0.5, "0": 0.0, "1": 0.5}],
    "orm_score": 0.5,
    "prm_score": 0.45,
}


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("unique_id", [1], "of type list; expected text"),
        ("steps", [], "steps that are not a list of text"),
        ("steps", ["a", 2], "steps that are not a list of text"),
        ("is_correct", "yes", "is_correct = 'yes'; expected true or false"),
        ("is_correct", NOWHERE, "is_correct = None"),
        ("answer", ["2"], "of type list; expected text"),
        ("orm_score", True, "orm_score = True; expected a number"),
        ("prm_score", "high", "prm_score = 'high'"),
        ("rating_probs", {}, "dict rating_probs for 2 steps; expected one a step"),
        ("rating_probs", [], "0 rating_probs for 2 steps"),
        ("rating_probs.1", 0.5, "rating_probs[1] of type float; expected an object"),
        ("rating_probs.1.1", NOWHERE, "rating_probs[1]['1'] = None; expected a number"),
        ("rating_probs.1.-1", "0", "rating_probs[1]['-1'] = '0'"),
        ("rating_probs.1.-1", -0.5, "expected probabilities"),
        ("rating_probs.1", {"-1": 0, "0": 0, "1": 0}, "expected probabilities"),
    ],
)
def test_a_fault_in_a_scored_sample(tmp_path: Path, path: str, value: object, message: str) -> None:
    """Each names its own row, though rows of a problem are gathered from all over the file."""
    other = {**SCORED, "unique_id": "p/2"}
    refused(tmp_path, [SCORED, other, altered(SCORED, path, value)], 3, message)


def test_certain_steps_keep_finite_logodds(tmp_path: Path) -> None:
    """A probability of exactly 0 or 1 has no log-odds; it stays within what float32 can hold, on its side."""
    sure = altered(SCORED, "rating_probs", [{"-1": 0, "1": 1}, {"-1": 1.0, "0": 0, "1": 0}])
    pool = import_pool(write_jsonl(tmp_path / "s.jsonl", [sure]), tmp_path / "pool").pool
    ((good, bad),) = [each.values for _, _, each in RewardFile(pool.path / "rewards" / "rating_probs").rows()]
    assert 20 < good < 40
    assert bad == pytest.approx(-good, rel=1e-3)


# -- lm_eval's logs

LOGGED = {
    "doc_hash": "h",
    "doc_id": 0,
    "doc": {"problem": "What is 1+1?", "answer": "2"},
    "target": "2",
    "resps": [["one", "two"]],
}


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("doc", [], "doc of type list; expected an object"),
        ("doc", {}, "no field statement or problem or question"),
        ("resps", [], "resps that are not a list of lists"),
        ("resps", None, "resps that are not a list of lists"),
        ("resps", ["one"], "resps that are not a list of lists"),
        ("resps.0.1", None, "resps[0][1] of type NoneType; expected text"),
        ("resps.0.1", 5, "resps[0][1] of type int"),
        ("resps.0.1", "\ud800", "half a surrogate pair in resps[0][1]"),
    ],
)
def test_a_fault_in_a_log(tmp_path: Path, path: str, value: object, message: str) -> None:
    """Logs of a run that was broken off, or of a task of another kind."""
    refused(tmp_path, [{**LOGGED, "doc_hash": "g"}, altered(LOGGED, path, value)], 2, message)


@pytest.mark.parametrize(
    "arguments, sampling",
    [
        ({"gen_args_0": {"arg_0": "prompt", "arg_1": {"temperature": 1.0}}}, {"temperature": 1.0}),
        ({"gen_args_0": {"arg_0": "prompt", "arg_1": "text"}}, {}),
        ({"gen_args_0": ["prompt"]}, {}),
        ([["prompt", {"temperature": 1.0}]], {"temperature": 1.0}),
        (None, {}),
    ],
)
def test_what_a_log_says_of_sampling(tmp_path: Path, arguments: object, sampling: dict) -> None:
    """Generation arguments where they are; nothing is made up where lm_eval wrote them otherwise."""
    source = write_jsonl(tmp_path / "s.jsonl", [{**LOGGED, "arguments": arguments}])
    assert import_pool(source, tmp_path / "pool").pool.info.sampling == sampling


@pytest.mark.parametrize(
    "doc, gold",
    [
        ({"problem": "p", "answer": "5"}, "5"),
        ({"problem": "p"}, "2"),
        ({"problem": "p", "solution": "so \\boxed{7}"}, "7"),
    ],
)
def test_whose_gold_counts(tmp_path: Path, doc: dict, gold: str) -> None:
    """The document's own answer before the task's target, which may be a whole text."""
    pool = import_pool(write_jsonl(tmp_path / "s.jsonl", [{**LOGGED, "doc": doc}]), tmp_path / "pool").pool
    assert [problem.gold for problem in pool.problems.values()] == [gold]


# -- all formats


@pytest.mark.parametrize("form, row", [("plain", PLAIN_ROW), ("prm800k", SCORED), ("lm_eval", LOGGED)])
def test_each_format_is_recognised_by_its_own_row(tmp_path: Path, form: str, row: dict) -> None:
    """No row is of two formats, and the name of a format may be given as well as found."""
    assert [name for name, each in FORMATS.items() if each.recognise(row)] == [form]
    source = write_jsonl(tmp_path / "s.jsonl", [row])
    assert detect_format(source) == form
    hashes = {import_pool(source, tmp_path / name, form=name).pool.info.content_hash for name in (form, "auto")}
    assert len(hashes) == 1


def test_compressed_files(tmp_path: Path) -> None:
    """Every format is read through gzip, those whose rows are gathered from all over the file, too."""
    for name, row in (("plain", PLAIN_ROW), ("scored", SCORED)):
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    assert import_pool(tmp_path / "plain.jsonl.gz", tmp_path / "pool").pool.info.n_problems == 1
    assert import_pool(tmp_path / "scored.jsonl.gz", tmp_path / "other").pool.info.n_candidates == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"form": "csv"}, "unknown format 'csv'; expected auto, lm_eval, prm800k, search_and_learn"),
        ({"slots": 0}, "slots = 0; expected at least 1"),
        ({"slots": "0"}, "slots = 0; expected at least 1"),
        ({"slots": "-1"}, "slots = '-1'; expected a number, max or min"),
        ({"splitter": "sentence"}, "unknown splitter 'sentence'"),
        ({"splitter": "given"}, "the candidate has no steps"),
    ],
)
def test_options_without_meaning(tmp_path: Path, options: dict, message: str) -> None:
    """Refused before a pool is there."""
    source = write_jsonl(tmp_path / "s.jsonl", [PLAIN_ROW])
    with pytest.raises(PrmEvalError) as caught:
        import_pool(source, tmp_path / "pool", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "pool").exists()


def test_lines_are_found_again_by_their_place(tmp_path: Path) -> None:
    """Rows of one key, anywhere in the file, with blank lines, torn lines and letters of several bytes between them."""
    source = tmp_path / "s.jsonl"
    source.write_bytes('{"k":"ü","v":1}\n\n{"k":"b","v":2}\n{"k":\n{"k":"ü","v":3}'.encode())
    with RowIndex(open_source(source), lambda row: row.required_text("k")) as index:
        found = {name: [(row.number, row.fields["v"]) for row in index.rows(name)] for name in index.places}
    assert found == {"ü": [(1, 1), (5, 3)], "b": [(3, 2)]}
    assert [fault.row for fault in index.faults] == [4]


def test_progress_is_told_once_a_problem(tmp_path: Path) -> None:
    """A bar that runs ahead or stands still is worse than none."""
    rows = [{**PLAIN_ROW, "id": str(k)} for k in range(4)]
    seen: list[int] = []
    import_pool(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "pool", progress=seen.append)
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "given, text, answer",
    [
        ("2", "so \\boxed{3}", "2"),
        (None, "so \\boxed{3}", "3"),
        (None, "nothing", None),
        ("[invalid]", "so \\boxed{3}", None),
        (" [invalid] ", "", None),
        ("  ", "so \\boxed{3}", None),
    ],
)
def test_whose_answer_counts(given: str | None, text: str, answer: str | None) -> None:
    """The source's own answer where it gives one, an empty one or "[invalid]" included: that is its verdict of none."""
    assert given_or_extracted(given, text) == answer


def test_published_grades_make_classes() -> None:
    """What the source calls correct is one class, though our grader might not agree; wrong answers are classed by
    ours."""
    answers = ["2", "two", "1/2", "0.5", None, "7", None]
    correct = [True, True, False, False, False, False, True]
    rows = published_grades(answers, correct, [0, 2, 3, 4, 5, 7, 9])
    classes = {row.slot: row.answer_class for row in rows}
    assert classes[0] == classes[2] == classes[9] == 0
    assert classes[3] == classes[4] not in (0, None, classes[7])
    assert classes[7] != 0
    assert rows[4] == GradeRow(5, None, None, "no_answer", "published")
    assert [row.grade for row in rows] == [
        "correct",
        "correct",
        *["incorrect"] * 2,
        "no_answer",
        "incorrect",
        "correct",
    ]


@pytest.mark.parametrize("m, kept", [(1, 1), (2, 1), (3, 2), (9, 3)])
def test_the_first_slots_with_all_that_belongs_to_them(m: int, kept: int) -> None:
    """Cutting to M slots cuts candidates, grades and rewards at the same place; slot 1 is missing here."""
    slots = (0, 2, 5)
    candidates = tuple(Candidate("p", slot, str(slot)) for slot in slots)
    whole = ImportedProblem(
        Path("f"),
        1,
        Problem("p", "s"),
        candidates,
        tuple(GradeRow(slot, "1", 0, "correct", "r") for slot in slots),
        {"score": RewardColumn("orm", "raw", "last", tuple(StepRewards((float(slot),)) for slot in slots))},
    )
    part = whole.first(m)
    assert part.candidates == candidates[:kept]
    assert part.grades is not None
    assert [row.slot for row in part.grades] == list(slots[:kept])
    assert [each.values[0] for each in part.rewards["score"].values if each] == [float(each) for each in slots[:kept]]


def test_a_pool_named_by_its_content(tmp_path: Path) -> None:
    """Two imports of one file into a parent folder are one pool, under its hash."""
    source = write_jsonl(tmp_path / "s.jsonl", [PLAIN_ROW])
    first, again = (import_pool(source, None, parent=tmp_path / "pools").pool for _ in range(2))
    assert first.path == again.path == tmp_path / "pools" / first.info.short_hash
    assert [each.name for each in (tmp_path / "pools").iterdir()] == [first.info.short_hash]
    assert Pool(first.path).verify() == []


@pytest.mark.parametrize("field", ["problem", "answer", "id", "subject"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_no_text(tmp_path: Path, field: str, number: str) -> None:
    """A gold of NaN was the text "nan", and a box of nan then correct."""
    row = {"problem": "p", "answer": "2", "id": "a", "subject": "s", "samples": [{"text": "\\boxed{2}"}]}
    line = json.dumps(row).replace(json.dumps(row[field]), number, 1)
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    if (field, number) == ("answer", "NaN"):
        # what pandas writes for a missing one: no gold, as always
        assert next(iter(import_pool(path, tmp_path / "pool").pool.problems.values())).gold is None
        return
    with pytest.raises(DataError, match="row 1"):
        import_pool(path, tmp_path / "pool")
