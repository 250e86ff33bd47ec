"""What the numbers of a file are: declared or refused, said at import, and stored as evaluation reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers import import_pool
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import write_jsonl


def row(*samples: dict, **fields: object) -> dict:
    return {"problem": "q", "answer": "2", "samples": [{"text": "a\n\\boxed{2}", **each} for each in samples], **fields}


STORED = [
    ("step_scores", [0.5, 0.25], "probability", "value", (0.5, 0.25), "prod"),
    ("step_scores", [3.0, -2.0], "log_odds", "logodds", (3.0, -2.0), "prod"),
    ("step_scores", [3.0, -2.0], "logit", "logodds", (3.0, -2.0), "prod"),
    ("step_scores", [3.0, -2.0], "raw", "raw", (3.0, -2.0), "min"),
    ("step_scores", [99, 50], "percent", "value", (0.99, 0.5), "prod"),
    ("score", 0.5, "probability", "value", (0.5,), "last"),
    ("score", -7, "logit", "logodds", (-7,), "last"),
    ("score", 12.5, "percent", "value", (0.125,), "last"),
    ("score", 12.5, "raw", "raw", (12.5,), "last"),
    ("score", 12.5, None, "raw", (12.5,), "last"),
    ("step_scores", [0.5, 0.25], None, "value", (0.5, 0.25), "prod"),
]


@pytest.mark.parametrize("name, given, declared, stored, values, aggregation", STORED)
@pytest.mark.parametrize("where", ["option", "field=type", "row", "row by field"])
def test_what_is_declared_is_stored(
    tmp_path: Path,
    where: str,
    name: str,
    given: object,
    declared: str | None,
    stored: str,
    values: tuple,
    aggregation: str,
) -> None:
    """A probability, a logit and a percentage are three things: the file keeps which, whoever says it."""
    option = {"option": declared, "field=type": declared and f"{name}={declared}"}.get(where)
    said = {"row": declared, "row by field": {name: declared} if declared else None}.get(where)
    source = write_jsonl(tmp_path / "s.jsonl", [row({name: given}, **({"score_type": said} if said else {}))])
    report = import_pool(source, tmp_path / "pool", score_type=option)
    file = RewardFile(report.pool.path / "rewards" / name)
    assert (file.info.score_type, file.info.aggregation) == (stored, aggregation)
    assert [each.values for _, _, each in file.rows()] == [pytest.approx(values)]
    assert report.ignored == {}
    (note,) = [each for each in report.notes if each.startswith(name)]
    assert (f"says {declared}" in note) == (declared is not None)


@pytest.mark.parametrize(
    "samples, option",
    [
        (({"step_scores": [3.0, 2.0]}, {"step_scores": [-4.0, -5.0]}), "--score-type log_odds"),
        (({"step_scores": [99, 98]}, {"step_scores": [60, 60]}), "--score-type percent"),
        (({"step_scores": [0.9, 1.2]},), "--score-type raw"),
        (({"rewards": {"m": [2, 0.5]}},), "--score-type log_odds"),
    ],
)
def test_steps_that_are_no_probabilities_are_refused(tmp_path: Path, samples: tuple, option: str) -> None:
    """A product of logits ranks the worse solution first, one of percentages the longer one: says what fits."""
    with pytest.raises(DataError) as caught:
        import_pool(write_jsonl(tmp_path / "s.jsonl", [row(*samples)]), tmp_path / "pool")
    assert "expected a probability in [0, 1]. Steps are multiplied" in str(caught.value)
    assert option in str(caught.value)
    assert "s.jsonl, row 1" in str(caught.value)


@pytest.mark.parametrize(
    "sample, option, message",
    [
        ({"score": 1.5}, "probability", "samples[0].score = 1.5; expected a probability in [0, 1]"),
        ({"score": 101}, "percent", "samples[0].score = 101.0; expected a percentage in [0, 100]"),
        ({"step_scores": [50, -1]}, "percent", "samples[0].step_scores[1] = -1.0; expected a percentage"),
        ({"score": 10**400}, None, "(401 characters); expected a finite number"),
        ({"step_scores": [0.5, 10**400]}, None, "expected a finite number"),
        ({"step_scores": []}, None, "samples[0].step_scores that is an empty list"),
        ({"rewards": {"m": []}}, None, "that is an empty list"),
        ({"rewards": {"m": [0.5]}}, None, "samples[0]: 1 rewards['m'] for 2 steps; expected one a step"),
        ({"rewards": [1]}, None, "samples[0].rewards of type list; expected an object"),
        ({"n_tokens": 2**31}, None, "n_tokens = 2147483648; expected a whole number from 0 to 2,147,483,647"),
    ],
)
def test_numbers_that_are_not_what_they_should_be(
    tmp_path: Path, sample: dict, option: str | None, message: str
) -> None:
    """Each names its place; none is a traceback."""
    with pytest.raises(DataError) as caught:
        import_pool(write_jsonl(tmp_path / "s.jsonl", [row(sample)]), tmp_path / "pool", score_type=option)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "said, option, message",
    [
        ("sigmoid", None, "score_type = 'sigmoid'; expected probability, log_odds, logit, raw, percent"),
        (3, None, "score_type = 3"),
        ("raw", "probability", "score_type = 'raw'; expected probability, as --score-type says"),
    ],
)
def test_a_type_in_the_row_that_cannot_be(tmp_path: Path, said: object, option: str | None, message: str) -> None:
    """An unknown type, and a row that contradicts the user."""
    source = write_jsonl(tmp_path / "s.jsonl", [row({"score": 0.5}, score_type=said)])
    with pytest.raises(DataError) as caught:
        import_pool(source, tmp_path / "pool", score_type=option)
    assert message in str(caught.value)


def test_options_that_say_nothing(tmp_path: Path) -> None:
    """An unknown type, or a field that is not there, is told, and no pool is left."""
    source = write_jsonl(tmp_path / "s.jsonl", [row({"score": 0.5})])
    with pytest.raises(PrmEvalError, match="unknown score type 'prob'"):
        import_pool(source, tmp_path / "pool", score_type="prob")
    with pytest.raises(PrmEvalError, match="says what step_scores is, but the scores are: score"):
        import_pool(source, tmp_path / "pool", score_type=["step_scores=raw"])
    assert not (tmp_path / "pool").exists()


def test_types_change_half_way(tmp_path: Path) -> None:
    """One reward file has one meaning: a later row cannot bring another."""
    rows = [row({"score": 0.5}, id="a", score_type="raw"), row({"score": 0.5}, id="b", score_type="probability")]
    with pytest.raises(DataError, match="row 2: found score as probability; expected raw, as before"):
        import_pool(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "pool")
    rows = [row({"rewards": {"m": 1}}, id="a"), row({"rewards": {"m": [0.5, 0.5]}}, id="b")]
    with pytest.raises(DataError, match="row 2: found m as prm; expected orm, as before"):
        import_pool(write_jsonl(tmp_path / "s.jsonl", rows), tmp_path / "pool")


@pytest.mark.parametrize(
    "scores, option, words",
    [
        ([0.99, 0.01], None, "all lie in [0, 1], but nothing says that they are probabilities"),
        ([1.5, 0.01], None, "score: read as raw numbers; --score-type says otherwise"),
        ([0.99, 0.01], "percent", "none is over 1 %: are they probabilities?"),
        ([0.99, 0.01], "probability", "score: read as probabilities (--score-type says probability)"),
    ],
)
def test_what_is_said_of_scores(tmp_path: Path, scores: list, option: str | None, words: str) -> None:
    """A probability that is taken for a logit weighs 0.73 against 0.50 instead of 0.99 against 0.01: it is said."""
    source = write_jsonl(tmp_path / "s.jsonl", [row(*({"score": each} for each in scores))])
    report = import_pool(source, tmp_path / "pool", score_type=option)
    assert any(words in note for note in report.notes)


def test_names_of_reward_models_are_safe_folders(tmp_path: Path) -> None:
    """A reward model's name is a stranger's text: no path, no hidden folder, no two models in one folder."""
    names = ["../../x", "a/b", "a:b", ".hid", "ä" * 300]
    source = write_jsonl(tmp_path / "s.jsonl", [row({"rewards": dict.fromkeys(names, 1.5)})])
    pool = import_pool(source, tmp_path / "pool").pool
    folders = pool.reward_folders()
    assert len(folders) == len(names)
    assert all(each.parent == pool.path / "rewards" for each in folders)
    assert {RewardFile(each).name for each in folders} == set(names)


def test_given_steps_are_the_default(tmp_path: Path) -> None:
    """Where the file has the steps that its scores are of, nobody has to say --splitter given; others may."""
    sample = {"steps": ["a\nb", "c"], "step_scores": [0.5, 0.5]}
    source = write_jsonl(tmp_path / "s.jsonl", [row(sample)])
    assert import_pool(source, tmp_path / "pool").pool.info.splitter == "given"
    with pytest.raises(DataError, match="That many steps: --splitter given"):
        import_pool(
            write_jsonl(tmp_path / "t.jsonl", [row({**sample, "text": "a\nb\nc"})]), tmp_path / "other", splitter="line"
        )
