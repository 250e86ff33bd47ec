"""The laboratory: picks, sizes and ratios are what the studies say they are; a study that was cut off goes on."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.labelling.labellers import THRESHOLD
from prm_eval.miniature.make import TINY, make
from prm_eval.miniature.study import STUDIES, Laboratory, StudySettings, as_text, run_study
from prm_eval.miniature.study.active_learning import PICKERS, _ratio, active, balanced, iterated, problems_of, sizes_of
from prm_eval.miniature.study.difficulty import quintiles
from prm_eval.miniature.study.laboratory import Arm, _first_below, majority
from prm_eval.miniature.study.out_of_distribution import SEEN, UNSEEN, learnt, parts
from prm_eval.miniature.study.summaries import COLOURS, DASHES, difference, draw, interval
from prm_eval.miniature.study.supervision import KINDS
from prm_eval.miniature.study.teaching import CHOOSERS, chosen
from prm_eval.miniature.subjects import SUBJECTS
from prm_eval.miniature.verifiers import new_verifier, train_verifier
from prm_eval.miniature.weights import weights_folder

SIZE = {
    "problems": 8, "test_problems": 35, "samples": 4, "least_steps": 2, "most_steps": 3,
    "choice_steps": 5, "start_steps": 2, "weak_steps": 2, "written": 8, "taught": 8, "tries": 2, "policy_steps": 2,
}  # fmt: skip
SMALL = StudySettings(seeds=(0, 1), rounds=1, iterated=True, **SIZE)


LEGENDS = {
    "active-learning": [f"{each} picks" for each in (*PICKERS, "iterated")],
    "out-of-distribution": [f"{by}, {how}" for by in (SEEN, UNSEEN, "majority") for how in ("subject", "level")],
    "supervision": [*KINDS, "the policy alone", "majority of 4"],
    "teaching": [f"chosen by {each}" for each in CHOOSERS],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make("all", folder, settings=TINY)
    return folder


@pytest.fixture(scope="module")
def laboratory(models, tmp_path_factory):
    """A laboratory whose verifiers are as they begin: the trainings of all studies would take minutes."""

    def untrained(batch, init, seed, folder, *, steps, rate, device, progress):
        assert {"input_ids", "attention_mask", "targets"} <= batch(0).keys()
        folder.mkdir(parents=True, exist_ok=True)
        return new_verifier(init, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prm_eval.miniature.study.laboratory.train_verifier", untrained)
        yield Laboratory(tmp_path_factory.mktemp("study"), models, SMALL)


def test_an_arm_learns_from_where_all_start(models, tmp_path, monkeypatch) -> None:
    """An arm from the backbone would be in the middle of learning the tables, whatever its labels are."""
    trained = []

    def noted(batch, init, seed, folder, **options):
        found = train_verifier(batch, init, seed, folder, **options)
        trained.append((folder.name, options["steps"], init, found))
        return found

    monkeypatch.setattr("prm_eval.miniature.study.laboratory.train_verifier", noted)
    whole = Laboratory(tmp_path, models, SMALL)
    arm = Arm("prm", "drawn", 4, 1)
    steps = whole.steps(arm, lambda: whole.drawn(4, 1))
    assert [each[:2] for each in trained] == [("start", 2), (arm.name, 3)]
    assert trained[1][2] is trained[0][3]
    assert {len(row) for row in steps} == {4} and len(steps) == 35


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_study_writes_figures_and_a_picture(laboratory, name, tmp_path) -> None:
    """Each has limits for every figure, a value for each seed, and the same bytes when it is run again.

    No curve of its picture is left out.
    """
    files = run_study(name, laboratory, tmp_path / "one")
    again = run_study(name, laboratory, tmp_path / "two")
    for first, second in zip(files, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
    found = json.loads(files[0].read_text())
    picture = files[1].read_text()
    assert picture.startswith("<svg")
    legend = LEGENDS.get(name, ())
    assert [each for each in legend if f">{each}<" not in picture] == []
    figures = list(walk(found))
    assert figures
    for each in figures:
        assert each["low"] <= each["value"] <= each["high"]
        assert len(each["seeds"]) in (
            (1, 2) if name == "overoptimisation" else (2,)
        )  # verifiers that ship are one seed
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
    other = StudySettings(seeds=(0,), **(SIZE | {"problems": 9}))
    with pytest.raises(PrmEvalError, match=r"the folder was made with problems = 8, not 9. Name another folder"):
        Laboratory(laboratory.folder, models, other)


def test_the_command_line_sets_what_it_offers(monkeypatch, tmp_path, capsys) -> None:
    """An option that is parsed and then forgotten runs hours of another study than was asked for."""
    given = {
        "split": "validation", "iterated": True, "seeds": (4, 5), "problems": 9, "test_problems": 7, "samples": 5,
        "most_steps": 3, "rounds": 2,
    }  # fmt: skip
    seen = []

    def run(name, laboratory, output):
        seen.append((name, laboratory.settings, laboratory.models, output))
        (tmp_path / "found.json").write_text("{}")
        return [tmp_path / "found.json"]

    monkeypatch.setattr("prm_eval.miniature.study.run_study", run)
    monkeypatch.setattr("prm_eval.miniature.study.as_text", str)
    monkeypatch.setattr(Laboratory, "_require_same_settings", lambda self: None)
    options = (
        "--split validation --iterated --seeds 4,5 --problems 9 --test-problems 7 --samples 5 --most-steps 3 --rounds 2"
    )
    assert main(["miniature", "study", "teaching", "-o", str(tmp_path), *options.split()]) == 0
    assert seen == [("teaching", replace(StudySettings(), **given), weights_folder(), tmp_path)]


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
    assert len(found.candidates) == 35
    assert (tmp_path / "bank/test.jsonl").read_text().splitlines()[0] == whole.splitlines()[0]


def test_all_arms_get_one_candidate_of_the_same_problems(laboratory) -> None:
    """A difference between the arms must come from which candidates are labelled, not from how many or of what."""
    rows = laboratory.wide.candidates
    assert sizes_of(laboratory) == (1, 2, 4, 8)
    for size in sizes_of(laboratory):
        chosen = problems_of(laboratory, size, 0)
        assert len(set(chosen)) == size
        for picker in (*PICKERS.values(), iterated):
            picks = picker(laboratory, size, 0)
            assert [len(some) for some in picks] == [int(number in chosen) for number in range(len(rows))]
            assert all(set(some) <= set(row) for some, row in zip(picks, rows, strict=True))


def test_larger_picks_of_rounds_hold_the_smaller_ones(laboratory) -> None:
    """What is labelled stays labelled; an arm that forgot it would be charged twice."""
    for small, large in itertools.pairwise(sizes_of(laboratory)):
        before, after = iterated(laboratory, small, 0), iterated(laboratory, large, 0)
        assert all(set(one) <= set(other) for one, other in zip(before, after, strict=True))


def test_the_first_round_is_uniform(laboratory, tmp_path) -> None:
    """It has no verifier to choose with: trained apart, it would be the same verifier for twice the time."""
    run_study("active-learning", laboratory, tmp_path)
    names = {each.name for each in (laboratory.folder / "arms").iterdir()}
    assert "prm-uniform-1-seed0" in names and "prm-iterated-2-seed0" in names
    assert "prm-iterated-1-seed0" not in names
    # the verifier of each round is asked about the bank; of the last one nothing is left to choose
    asked = {each.parent.name for each in (laboratory.folder / "arms").glob("prm-iterated-*/wide.npz")}
    assert asked == {f"prm-iterated-{size}-seed{seed}" for size in (2, 4) for seed in (0, 1)}


def test_arms_learn_equally_long(laboratory, tmp_path) -> None:
    """Arms of more labels that also learn longer would show what steps are worth, not labels."""
    run_study("active-learning", laboratory, tmp_path)
    for picks in (*PICKERS, "iterated"):
        for path in (laboratory.folder / "arms").glob(f"prm-{picks}-*/arm.json"):
            assert json.loads(path.read_text())["steps"] == SMALL.choice_steps != SMALL.most_steps


def test_rounds_choose_by_what_they_have_learnt() -> None:
    """An arm that always asked the first selector would not be the iterated one."""
    fake = fake_laboratory(lambda k: k % 4 == 3)
    asked = []

    def steps(arm, candidates, *rest):
        asked.append((arm.picks, arm.size, len(candidates())))
        return [[(float(k if arm.size == 5 else -k),) for k in range(20)] for _ in range(40)]

    fake.steps = steps
    picks = iterated(fake, 20, 0)
    # as many candidates were learnt from as were labelled; the first are uniform
    assert asked == [("uniform", 5, 5), ("iterated", 10, 10)]
    order = problems_of(fake, 20, 0)
    assert {each.text for number in order[5:10] for each in picks[number]} <= {"t18", "t19"}
    assert {each.text for number in order[10:] for each in picks[number]} <= {"t0", "t3"}


def test_one_selector_does_not_disagree(models, laboratory, tmp_path) -> None:
    """Its picks would be random ones under another name; and those of two seeds are not those of three."""
    assert {each.name for each in (laboratory.folder / "arms").glob("prm-disagreement-*-4-seed0")} == {
        "prm-disagreement-of-0-1-4-seed0"
    }
    alone = SimpleNamespace(settings=replace(SMALL, problems=4))
    with pytest.raises(PrmEvalError, match="--problems: found 4; expected 8 or more"):
        sizes_of(alone)


def test_the_majority_of_few_candidates_is_counted_exactly() -> None:
    """The line beside the verifiers must be the vote's expected accuracy: ties are shared, no answer is no vote."""
    from prm_eval.miniature.data import Labelled
    from prm_eval.miniature.study.bank import Bank

    texts = ("\\boxed{2}", "\\boxed{2}", "\\boxed{3}", "\\boxed{4}", "2 + 2")
    row = tuple(Labelled("p", text, None, text == "\\boxed{2}") for text in texts)
    none = tuple(Labelled("q", "2 + 2", None, False) for _ in texts)
    found = majority(Bank((), (row, none)), (1, 2, 3, 5))

    def share(some: tuple[int, ...]) -> float:
        votes = Counter(texts[each] for each in some if each < 4)
        best = [answer for answer, count in votes.items() if count == max(votes.values())]
        return float("\\boxed{2}" in best) / max(1, len(best))

    expected = [np.mean([share(some) for some in itertools.combinations(range(5), n)]) for n in (1, 2, 3, 5)]
    assert found[0] == pytest.approx(expected)
    assert found[1].tolist() == [0, 0, 0, 0]


def fake_laboratory(right_of) -> SimpleNamespace:
    """Forty problems of 20 candidates, of which the later ones are the more convincing."""
    from prm_eval.miniature.candidates import training_problems
    from prm_eval.miniature.data import Labelled
    from prm_eval.miniature.study.bank import Bank

    rows = [tuple(Labelled(f"p{p}", f"t{k}", None, right_of(k)) for k in range(20)) for p in range(40)]
    bank = Bank(tuple(training_problems(40, "fake", 0)), tuple(rows))
    odds = [[(float(k),) for k in range(20)] for _ in rows]
    return SimpleNamespace(wide=bank, settings=replace(SMALL, problems=40), steps=lambda *args: odds)


def test_active_picks_are_wrong_answers_first() -> None:
    """80 % of the picks are the most convincing wrong answers, the rest the most convincing right ones."""
    fake = fake_laboratory(lambda k: k % 2 == 1)
    for size in (5, 10, 20, 40):
        picks = [each for some in active(fake, size, 0) for each in some]
        wrong = [each for each in picks if not each.answer_right]
        assert (len(picks), len(wrong)) == (size, 0.8 * size)
        assert {each.text for each in wrong} == {"t18"} and {each.text for each in picks} == {"t18", "t19"}


def test_balanced_picks_have_the_balance_and_nothing_else_of_active_ones() -> None:
    """Else a control for the balance would hold some of the selector's choice, or not the balance."""
    fake = fake_laboratory(lambda k: k % 4 == 3)
    for size in (10, 40):
        for one, other in zip(active(fake, size, 0), balanced(fake, size, 0), strict=True):
            assert sum(each.answer_right for each in one) == sum(each.answer_right for each in other)
    found = {right: [each for some in balanced(fake, 40, 0) for each in some if each.answer_right == right]
             for right in (True, False)}  # fmt: skip
    assert len(found[True]) == 8 and {each.text for some in active(fake, 40, 0) for each in some} == {"t18", "t19"}
    for some in found.values():  # of 20 in their order; active ones are at the end
        assert 4 < np.mean([int(each.text[1:]) for each in some]) < 15


def test_labels_of_the_large_one_differ_from_the_oracle_only_in_steps(laboratory) -> None:
    """A small verifier supervised by the large one must see the same candidates."""
    for rows in zip(laboratory.train.candidates, laboratory.large.candidates, strict=True):
        for mine, its in zip(*rows, strict=True):
            assert (mine.statement, mine.text, mine.answer_right) == (its.statement, its.text, its.answer_right)


@pytest.mark.parametrize(
    ("chances", "first"),
    [((0.9, 0.79, 0.1), 1), ((0.81, 0.81), None), ((0.2,), 0), ((), None)],
)
def test_the_first_step_below_the_threshold(chances, first) -> None:
    """The paper calls a step wrong where PRM_large gives that more than 20 %."""
    assert _first_below([math.log(p / (1 - p)) for p in chances], THRESHOLD) == first


def test_what_is_left_out_is_not_learnt_from(laboratory) -> None:
    """A verifier out of distribution that saw the subject, or the levels, would be none."""
    from prm_eval.miniature.data import Labelled
    from prm_eval.miniature.study.bank import Bank, study_problems

    problems = study_problems("train", 100)
    rows = [tuple(Labelled(each.problem.statement, f"t{k}", None, True) for k in range(4)) for each in problems]
    large = SimpleNamespace(train=Bank(tuple(problems), tuple(rows)), test=laboratory.test)
    large.drawn = lambda size, seed: Laboratory.drawn(large, size, seed)
    unseen = parts(large, "subject", UNSEEN)
    assert len(unseen) == len(SUBJECTS)
    for subject, part in zip(SUBJECTS, unseen, strict=True):
        left_out = {each.problem.statement for each in problems if each.problem.subject == subject}
        found = {each.statement for each in learnt(large, part, 0)}
        assert left_out and len(found) == len(problems) - len(left_out) and not found & left_out
        assert [each.problem.subject == subject for each in laboratory.test.problems] == part.tested.tolist()
    (levels,) = parts(large, "level", UNSEEN)
    low = {each.problem.statement for each in problems if each.problem.level <= 3}
    assert {each.statement for each in learnt(large, levels, 0)} == low and 10 < len(low) < 90
    for how in ("subject", "level"):
        (seen,) = parts(large, how, SEEN)
        kinds = {each.problem.subject if how == "subject" else each.problem.level > 3 for each in problems}
        assert {
            each.problem.subject if how == "subject" else each.problem.level > 3
            for each in problems
            if each.problem.statement in {one.statement for one in learnt(large, seen, 0)}
        } == kinds


@pytest.mark.parametrize("how", ["subject", "level"])
def test_the_other_learns_from_as_many_of_all_kinds(laboratory, how) -> None:
    """From more problems it would be better for that alone; and it is tested where the others are."""
    unseen, (seen,) = parts(laboratory, how, UNSEEN), parts(laboratory, how, SEEN)
    assert len(seen.learnt(1)) == round(sum(len(each.learnt(1)) for each in unseen) / len(unseen))
    assert seen.tested.tolist() == [any(each) for each in zip(*(part.tested.tolist() for part in unseen), strict=True)]


def test_who_chooses_what(laboratory) -> None:
    """Gold answers take right ones alone, majority the common answer, verifiers one of every problem."""
    bank = laboratory.test
    for chooser in CHOOSERS:
        taken = chosen(laboratory, bank, chooser, 0)
        rows = {row[0].statement: row for row in bank.candidates}
        assert all(each in rows[each.statement] for each in taken)
        if chooser in ("PRM", "ORM"):
            assert len(taken) == len(bank.candidates)
        if chooser == "gold":
            assert len(taken) == int(bank.correct.any(axis=1).sum())
            assert all(each.answer_right for each in taken)


def test_the_majority_is_of_answers() -> None:
    """A vote over texts would take a wrong solution that was written twice before three ways to the right answer."""
    from prm_eval.miniature.data import Labelled
    from prm_eval.miniature.study.bank import Bank

    texts = ("1 + 1 = 2\n\\boxed{2}", "\\boxed{2}", "3 - 1 = 2\n\\boxed{2}", "\\boxed{3}", "\\boxed{3}")
    row = tuple(Labelled("p", text, None, True) for text in texts)
    (taken,) = chosen(None, Bank((), (row,)), "majority", 0)
    assert taken.text in texts[:3]


def test_limits_hold_seeds_and_problems() -> None:
    """Limits over problems alone would call the luck of one training a result."""
    rng = np.random.default_rng(0)
    problems = rng.standard_normal(200) * 0.1
    seeds = np.array([-0.1, 0.0, 0.1])
    found = interval(0.5 + seeds[:, None] + problems[None])
    alone = interval(np.tile(0.5 + problems, (3, 1)))
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.96 * 0.1 / math.sqrt(200), rel=0.2)
    # Student's t with two degrees of freedom: 4.303 in place of 1.96
    assert found["high"] - found["low"] == pytest.approx(2 * 4.303 * seeds.std(ddof=1) / math.sqrt(3), rel=0.1)


def test_a_picture_leaves_no_curve_and_no_line_out() -> None:
    """A sixth curve, and a third line, were once left out without a word."""
    point = [(1.0, {"value": 0.5, "low": 0.4, "high": 0.6, "seeds": [0.5]})]
    for count, kind in ((len(COLOURS), "curves"), (len(DASHES), "flat")):
        for some in (count, count + 1):
            names = [f"{kind} {each}" for each in range(some)]
            curves = dict.fromkeys(names, point) if kind == "curves" else {"one": point}
            flat = dict.fromkeys(names, 0.5) if kind == "flat" else None
            if some > count:
                with pytest.raises(ValueError, match="zip"):
                    draw(curves, x="n", title="", flat=flat)
            else:
                picture = draw(curves, x="n", title="", flat=flat)
                assert all(f">{each}<" in picture for each in names)


def test_limits_of_a_share_are_shares() -> None:
    """An accuracy of more than 100 % would be read as a mistake of everything else, too."""
    rates = np.repeat(np.array([[0.9], [1.0], [1.0]]), 50, axis=1)
    assert interval(rates)["high"] == 1 and interval(1 - rates)["low"] == 0
    assert interval(rates, share=False)["high"] > 1
    assert difference(rates, np.ones_like(rates))["high"] > 0


def test_the_ratio_is_the_horizontal_distance_of_two_parallel_lines() -> None:
    """An arm that is everywhere as good as the other with three times the data has a ratio of three."""
    sizes = (75, 150, 300, 600)
    x = np.log2(np.array(sizes, dtype=float))
    uniform_line = 0.3 + 0.05 * x
    active_line = 0.3 + 0.05 * (x + np.log2(3))
    assert _ratio(np.concatenate([active_line, uniform_line]), sizes) == pytest.approx(3.0)
    assert _ratio(np.concatenate([0.5 - 0.01 * x, 0.4 - 0.01 * x]), sizes) is None  # more data does not help: no ratio


def test_quintiles_are_of_equal_size_and_fall_in_pass_rate() -> None:
    """The easiest fifth must be the easiest."""
    rates = np.random.default_rng(0).random(53)
    parts = quintiles(rates)
    assert sorted(np.concatenate(parts)) == list(range(53))
    assert {len(part) for part in parts} <= {10, 11}
    for easier, harder in itertools.pairwise(parts):
        assert rates[easier].min() >= rates[harder].max()
