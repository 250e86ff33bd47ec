"""The laboratory: picks, sizes and ratios are what the studies say they are; a study that was cut off goes on."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

pytest.importorskip("torch")

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.miniature.make import TINY, make
from prm_eval.miniature.models import save_model
from prm_eval.miniature.study import STUDIES, Laboratory, StudySettings, as_text, run_study
from prm_eval.miniature.study.active_learning import SIZES, _ratio, active, uniform
from prm_eval.miniature.study.difficulty import quintiles

SMALL = StudySettings(problems=8, test_problems=10, samples=4, seeds=(0, 1), least_steps=2, most_steps=3)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    from prm_eval.miniature.models import load_model

    folder = tmp_path_factory.mktemp("models")
    make("policy", folder, settings=TINY)
    save_model(load_model(folder / "work" / "backbone" / "model"), folder / "miniature-backbone")
    return folder


@pytest.fixture(scope="module")
def laboratory(models, tmp_path_factory):
    return Laboratory(tmp_path_factory.mktemp("study"), models, SMALL)


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_study_writes_figures_and_a_picture(laboratory, name, tmp_path) -> None:
    """Each has limits for every figure, a value for each seed, and the same bytes when it is run again."""
    files = run_study(name, laboratory, tmp_path / "one")
    again = run_study(name, laboratory, tmp_path / "two")
    for first, second in zip(files, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
    found = json.loads(files[0].read_text())
    assert files[1].read_text().startswith("<svg")
    figures = list(walk(found))
    assert figures
    for each in figures:
        assert each["low"] <= each["value"] <= each["high"]
        assert len(each["seeds"]) == 2
        assert np.mean(each["seeds"]) == pytest.approx(each["value"], abs=1e-5)


def test_what_a_study_found_in_words(laboratory, tmp_path) -> None:
    """Every figure of the JSON is in the table; else the command shows a part as if it were all."""
    for name in sorted(STUDIES):
        found = json.loads(run_study(name, laboratory, tmp_path)[0].read_text())
        text = as_text(found)
        for each in walk(found):
            assert f"{100 * each['value']:.1f} [{100 * each['low']:.1f}, {100 * each['high']:.1f}]" in text
        assert ("data efficiency" in text) == (name == "active-learning")


def walk(found):
    if isinstance(found, dict) and "seeds" in found and "value" in found:
        yield found
    elif isinstance(found, dict):
        for each in found.values():
            yield from walk(each)
    elif isinstance(found, list):
        for each in found:
            yield from walk(each)


def test_nothing_is_trained_or_sampled_twice(laboratory, models, monkeypatch, tmp_path) -> None:
    """A second laboratory on the same folder reads what the first one left: resuming a study costs nothing."""
    import prm_eval.miniature.study.bank as bank
    import prm_eval.miniature.study.laboratory as module

    run_study("supervision", laboratory, tmp_path / "one")
    monkeypatch.setattr(module, "train_verifier", None)
    monkeypatch.setattr(bank, "sample", None)
    run_study("supervision", Laboratory(laboratory.folder, models, SMALL), tmp_path / "two")
    assert (tmp_path / "one/supervision.json").read_bytes() == (tmp_path / "two/supervision.json").read_bytes()


def test_a_folder_holds_studies_of_one_size(laboratory, models) -> None:
    """Verifiers of another size, mixed in from an earlier run, would be compared as if they were of this one."""
    other = StudySettings(problems=9, test_problems=10, samples=4, seeds=(0,), least_steps=2, most_steps=3)
    with pytest.raises(PrmEvalError, match=r"the folder was made with problems = 8, not 9. Name another folder"):
        Laboratory(laboratory.folder, models, other)


def test_models_that_are_not_there_are_named(models, tmp_path) -> None:
    """A wrong folder is a mistake to be told, not a model to be asked for on the hub; and nothing is left behind."""
    for folder in (tmp_path / "nosuch", models / "miniature-policy"):
        with pytest.raises(
            PrmEvalError, match=r"no miniature-policy with a config.json in it; expected a folder that holds"
        ):
            Laboratory(tmp_path / "study", folder, SMALL)
    assert not (tmp_path / "study").exists()


def test_a_bank_of_other_problems_is_refused(models, tmp_path) -> None:
    """Its candidates would be judged against the wrong problems."""
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/test.jsonl").write_text(json.dumps({"statement": "What?", "texts": ["a"] * 4}) + "\n")
    with pytest.raises(DataError, match="row 1"):
        _ = Laboratory(tmp_path, models, SMALL).test


def test_a_bank_that_was_cut_off_is_finished(laboratory, models, tmp_path) -> None:
    """kill -9 while a line is written: the line is written again, those before it are not sampled again."""
    whole = (laboratory.folder / "bank/test.jsonl").read_text() if laboratory.test else ""
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/test.jsonl").write_text(whole[: whole.index("\n") + 30])
    found = Laboratory(tmp_path, models, SMALL).test
    assert len(found.candidates) == 10
    assert (tmp_path / "bank/test.jsonl").read_text().splitlines()[0] == whole.splitlines()[0]


def test_both_arms_get_equally_many_different_candidates(laboratory) -> None:
    """A difference between the arms must come from which candidates are labelled, not from how many."""
    for size in SIZES:
        one, other = active(laboratory, size, 0), uniform(laboratory, size, 0)
        assert len(one) == len(other) == sum(min(size, len(set(row))) for row in laboratory.train.candidates)
        assert len(set(one)) == len(one)
        assert len(set(other)) == len(other)


def test_active_picks_are_wrong_answers_first() -> None:
    """80 % of the picks are the most convincing wrong answers, over the problems together where a problem has too
    few."""
    from types import SimpleNamespace

    from prm_eval.miniature.data import Labelled

    rows = [[Labelled(f"p{p}", f"t{k}", None if k % 2 else 0, bool(k % 2)) for k in range(20)] for p in range(10)]
    fake = SimpleNamespace(
        train=SimpleNamespace(candidates=rows), steps=lambda *args: [[(float(k),) for k in range(20)] for _ in rows]
    )
    for size in (1, 2, 4, 8):
        picks = active(fake, size, 0)
        wrong = [each for each in picks if not each.answer_right]
        assert abs(len(wrong) - 0.8 * len(picks)) <= 0.2 * len(picks) + 1
        first = [each.text for each in picks[:size]]
        assert first[0] == "t18"  # the most convincing wrong one
        if size == 8:
            assert first == ["t18", "t16", "t14", "t12", "t10", "t8", "t19", "t17"]


def test_the_ratio_is_the_horizontal_distance_of_two_parallel_lines() -> None:
    """An arm that is everywhere as good as the other with three times the data has a ratio of three."""
    x = np.log2(np.array(SIZES, dtype=float))
    uniform_line = 0.3 + 0.05 * x
    active_line = 0.3 + 0.05 * (x + np.log2(3))
    assert _ratio(np.concatenate([active_line, uniform_line])) == pytest.approx(3.0)
    assert _ratio(np.concatenate([0.5 - 0.01 * x, 0.4 - 0.01 * x])) is None  # more data does not help: no ratio


def test_quintiles_are_of_equal_size_and_fall_in_pass_rate() -> None:
    """The easiest fifth must be the easiest."""
    rates = np.random.default_rng(0).random(53)
    parts = quintiles(rates)
    assert sorted(np.concatenate(parts)) == list(range(53))
    assert {len(part) for part in parts} <= {10, 11}
    for easier, harder in itertools.pairwise(parts):
        assert rates[easier].min() >= rates[harder].max()
