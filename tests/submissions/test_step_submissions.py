"""Step sets on the board of a results folder, and submissions to them: what is registered, declared, found and refused.

Every corruption is found by ``check`` with its file and row, and the board refuses it: a set that is not what its
registry says stops the whole board, a submission with a fault is left out of it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.leaderboard.rows import Boards
from prm_eval.leaderboard.steps.rows import StepBoard
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import VERIFIED, RewardFile
from prm_eval.rewards.models.rules import ArithmeticPRM, BoxedSupportORM
from prm_eval.stepsets import StepSet
from prm_eval.stepsets.step_set import labels_hash
from prm_eval.submissions import (
    Fault,
    check_paths,
    find_submissions,
    register_pool,
    register_step_set,
    registered_pools,
    verify_submission,
)
from prm_eval.submissions.checking import check as checking
from prm_eval.submissions.checking.check import Checker
from prm_eval.submissions.checking.worker import Worker
from prm_eval.submissions.step_suspicion import STEP_NAMES
from tests.conftest import ROOT
from tests.leaderboard.board import edit_json, rows_of, write_rows
from tests.leaderboard.step_boards import (
    SET_ID,
    Noisy,
    Raw,
    entry_of,
    make_classes,
    make_step_set,
    step_results,
    submit,
)

CLASSES = "classes-40"
NOISY, RAW = "lab__Noisy-PRM", "lab__Raw-PRM"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A results folder in order: a set of sums with three submissions, one of them reproduced; and a set of classes."""
    results = tmp_path_factory.mktemp("steps") / "results"
    noisy = step_results(results, models=[Raw()])
    pool = registered_pools(results)[SET_ID]
    verify_submission(noisy, pool, Noisy(), sample=None, seed=0, verified_by="us")
    classes = make_classes(results.parent / "classes")
    register_step_set(classes, results, CLASSES)
    submit(results, classes.pool, Noisy(), Noisy.entry)
    return results


@pytest.fixture(scope="module")
def worker():
    """One child for all checks: starting it takes longer than the checks."""
    with Worker() as shared:
        yield shared


@pytest.fixture
def results(good: Path, worker: Worker, tmp_path: Path, monkeypatch) -> Path:
    """A copy of the folder in order, to be corrupted."""
    monkeypatch.setattr(checking, "Worker", lambda: worker)
    monkeypatch.setattr(Checker, "close", lambda self: None)
    return Path(shutil.copytree(good, tmp_path / "results"))


def of(results: Path, model: str = NOISY, set_id: str = SET_ID) -> Path:
    (found,) = (results / "submissions" / model).glob(f"*/{set_id}")
    return found


# --- in order ---------------------------------------------------------------------------------------------------------


def test_a_step_set_is_registered_whole_without_grades(results: Path) -> None:
    """Were a file left behind, or grades made, the board would measure something else than what was labelled."""
    folder = results / "pools" / SET_ID
    wanted = {"pool.json", "problems.parquet", "candidates.parquet", "solutions.parquet", "labels.parquet"}
    assert {path.name for path in folder.iterdir()} == wanted | {"stepset.json"}
    said = entry_of(results)["step_set"]
    assert said["content_hash"] == StepSet(folder).info.content_hash
    assert (said["headline"], said["labels"], said["label_source"], said["name"]) == (
        "mean_f1",
        "first_error",
        "oracle",
        "sums",
    )
    assert entry_of(results)["content_hash"] == Pool(folder).info.content_hash
    assert entry_of(results, CLASSES)["step_set"]["headline"] == "prm_score"
    assert check_paths([results]) == {results: []}


def test_a_set_never_changes_under_its_id(results: Path, tmp_path: Path) -> None:
    """Another labelling of the same solutions under one id would change every figure without a word."""
    again = register_step_set(StepSet(results / "pools" / SET_ID), results, SET_ID)
    assert again.about == "A toy."  # registered again without a word about it, it keeps the old one
    other = make_step_set(tmp_path / "other", groups=())
    with pytest.raises(PrmEvalError, match=r"with other labels .* a set never changes: give a new id"):
        register_step_set(other, results, SET_ID)
    with pytest.raises(PrmEvalError, match="grades"):
        register_pool(other.pool, results, "sums-as-pool")
    with pytest.raises(PrmEvalError, match=r"is another pool"):
        register_step_set(make_step_set(tmp_path / "fewer", n=20), results, SET_ID)


def test_the_command_registers_scores_and_checks(tmp_path: Path, capsys) -> None:
    """The four commands of docs/board.md, on a step set: registered, scored, filled in, checked, verified."""
    results, folder = tmp_path / "results", make_step_set(tmp_path / "set").path
    assert main(["pool", "register", str(folder), "--id", "sums", "-o", str(results), "--title", "Sums"]) == 0
    said = capsys.readouterr().out
    assert "step set   sums: labels of the first wrong step, by oracle" in said and "ranked by  mean F1" in said
    named = ["--reward-model", "arithmetic"]
    to = ["--submission", "prm_eval/arithmetic", "-o", str(results)]
    assert main(["score", str(results / "pools" / "sums"), *named, *to]) == 0
    made = str(results / "submissions" / "prm_eval__arithmetic" / "rule-1" / "sums")
    answers = ["--licence", "MIT", "--base-model", "none", "--training-data", "none", "--contact", "us"]
    answers += [f"--trained-on-{name}=no" for name in ("math-test", "prm800k", "this-pool")]
    assert main(["submit-form", made, *answers, "--threshold", "0.4", "--figures", "error_acc=50.0"]) == 0
    about = json.loads((Path(made) / "submission.json").read_text())
    assert about["threshold"] == 0.4 and about["disclosure"]["figures"] == {"error_acc": "50.0"}
    assert main(["check", made]) == 0
    assert main(["verify", made, *named, "--all"]) == 0
    said = capsys.readouterr().out
    assert "calls      changed in 0 solutions: a step is wrong if its score is below 0.4" in said
    assert "mean F1    by the submitted scores: +0.00 points; as the model's own" in said
    assert main(["check", str(results)]) == 0
    assert main(["submit-form", made, "--threshold", "high"]) != 0
    assert "--threshold high: expected a number" in capsys.readouterr().err


def test_without_a_threshold_it_is_the_middle_and_with_one_it_counts(results: Path) -> None:
    """A threshold that is declared and not used, or used and not declared, is the commonest way to flatter a table."""
    board = board_of(results)
    noisy = next(each for each in board.entries if each.name == Noisy.entry)
    assert (noisy.threshold.value, noisy.threshold.origin) == (0.5, "half")
    raw = next(each for each in board.entries if each.name == Raw.entry)
    assert (raw.threshold.value, raw.threshold.origin) == (0.0, "declared") and raw.row.threshold.value == 0.0
    edit_json(of(results) / "submission.json", threshold=0.2)
    lower = next(each for each in board_of(results).entries if each.name == Noisy.entry)
    assert lower.row.threshold.value == 0.2
    found = (lower.row.whole.located.correct_acc, noisy.row.whole.located.correct_acc)
    assert found[0] is not None and found[1] is not None and found[0] > found[1]  # fewer steps are called wrong


def board_of(results: Path, set_id: str = SET_ID) -> StepBoard:
    return next(each for each in Boards(results) if isinstance(each, StepBoard) and each.pool.pool_id == set_id)


# --- corruptions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A corruption, and the fault it must be found as; ``whole`` says that it stops the whole board."""

    name: str
    corrupt: Callable[[Path], Any]
    kind: str
    file: str
    row: int | None = None
    words: str = ""
    whole: bool = False


CASES: list[Case] = []


def case(name: str, kind: str, file: str, row: int | None = None, words: str = "", whole: bool = False) -> Any:
    def register(corrupt: Callable[[Path], Any]) -> Callable[[Path], Any]:
        CASES.append(Case(name, corrupt, kind, file, row, words, whole))
        return corrupt

    return register


def table(path: Path, change: Callable[[list[dict[str, Any]]], Any], **more: Any) -> None:
    read = pq.read_table(path)
    rows = read.to_pylist()
    rows = change(rows) or rows
    made = pa.Table.from_pylist(rows, schema=read.schema)
    for name, values in more.items():
        made = made.append_column(name, pa.array([values] * made.num_rows))
    pq.write_table(made, path)


def labels(results: Path, change: Callable[[list[dict[str, Any]]], Any], **more: Any) -> None:
    table(results / "pools" / SET_ID / "labels.parquet", change, **more)


def clean_to_wrong(rows: list[dict[str, Any]], at: int = 1) -> None:
    """Call the first step of a clean solution wrong, as a sound label says it."""
    steps = len(rows[at]["step_ratings"])
    rows[at].update(first_error=0, step_ratings=[-1, *[None] * (steps - 1)], source_label="0", final_correct=None)


def rehash(results: Path, set_id: str = SET_ID) -> None:
    """Write the hash of what the files hold into stepset.json, as a careful forger does."""
    path = results / "pools" / set_id
    step_set = StepSet(path)
    edit_json(path / "stepset.json", labels_hash=labels_hash(step_set.solutions, step_set.labels))


LABELS, SOLUTIONS, ABOUT = (
    f"pools/{SET_ID}/{name}" for name in ("labels.parquet", "solutions.parquet", "stepset.json")
)
ENTRY = f"pools/{SET_ID}.json"


@case("a label changed", "pool-content", LABELS, None, "labels_hash", True)
def _(results: Path) -> None:
    labels(results, clean_to_wrong)


@case("a label changed and the hash with it", "pool-content", ENTRY, None, "step_set.content_hash", True)
def _(results: Path) -> None:
    labels(results, clean_to_wrong)
    rehash(results)


@case("two labels swapped", "pool-content", LABELS, None, "labels_hash", True)
def _(results: Path) -> None:
    def swap(rows: list[dict[str, Any]]) -> None:
        # solutions of as many steps, so that each label fits the other one
        for name in ("first_error", "step_ratings", "final_correct", "source_label"):
            rows[0][name], rows[4][name] = rows[4][name], rows[0][name]

    labels(results, swap)


@case("two rows of labels swapped", "pool-content", LABELS, 3, "solution 's003'", True)
def _(results: Path) -> None:
    labels(results, lambda rows: [*rows[:2], rows[3], rows[2], *rows[4:]])


@case("a label that contradicts its ratings", "pool-content", LABELS, 2, "", True)
def _(results: Path) -> None:
    labels(results, lambda rows: rows[1].update(first_error=1))


@case("a label beyond the last step", "pool-content", LABELS, 1, "label 40 of 4 steps", True)
def _(results: Path) -> None:
    labels(results, lambda rows: rows[0].update(first_error=40, step_ratings=None))


@case("a rating that is none", "pool-content", LABELS, 2, "", True)
def _(results: Path) -> None:
    labels(results, lambda rows: rows[1].update(step_ratings=[1, 7, 1, 1, 1]))


@case("a label missing", "pool-content", LABELS, None, "47 labels", True)
def _(results: Path) -> None:
    labels(results, lambda rows: rows[:-1])


@case("a label too many", "pool-content", LABELS, None, "49 labels", True)
def _(results: Path) -> None:
    labels(results, lambda rows: [*rows, dict(rows[-1], solution_id="more")])


@case("a column too many in labels", "pool-content", LABELS, None, "'note'", True)
def _(results: Path) -> None:
    labels(results, lambda rows: rows, note="seen")


@case("labels cut off", "pool-content", LABELS, None, "not Parquet", True)
def _(results: Path) -> None:
    path = results / LABELS
    os.truncate(path, path.stat().st_size // 2)


@case("labels gone", "pool-content", LABELS, None, "no such file", True)
def _(results: Path) -> None:
    (results / LABELS).unlink()


@case("a group changed", "pool-content", LABELS, None, "labels_hash", True)
def _(results: Path) -> None:
    table(results / SOLUTIONS, lambda rows: rows[0].update(group="long"))


@case("another solution's id", "pool-content", SOLUTIONS, 6, "solution 'other'", True)
def _(results: Path) -> None:
    table(results / SOLUTIONS, lambda rows: rows[5].update(solution_id="other"))


@case("a twin that is missing", "pool-content", f"pools/{CLASSES}/solutions.parquet", 1, "the twin 'nowhere'", True)
def _(results: Path) -> None:
    table(results / f"pools/{CLASSES}/solutions.parquet", lambda rows: rows[0].update(twin_id="nowhere"))
    rehash(results, CLASSES)


@case("stepset.json broken", "pool-content", ABOUT, None, "not JSON", True)
def _(results: Path) -> None:
    (results / ABOUT).write_text('{"schema": "prm_eval.stepset/1",')


@case("stepset.json gone", "pool-content", f"pools/{SET_ID}", None, "no stepset.json", True)
def _(results: Path) -> None:
    (results / ABOUT).unlink()


@case("stepset.json: another hash of the labels", "pool-content", LABELS, None, "as stepset.json", True)
def _(results: Path) -> None:
    edit_json(results / ABOUT, labels_hash="0" * 64)


@case("stepset.json: of another pool", "pool-content", ABOUT, None, "labels of the pool", True)
def _(results: Path) -> None:
    edit_json(results / ABOUT, pool_hash="0" * 64)


@case("stepset.json: another number of solutions", "pool-content", ABOUT, None, "n_solutions = 40", True)
def _(results: Path) -> None:
    edit_json(results / ABOUT, n_solutions=40)


@case("stepset.json: another kind of labels", "pool-content", LABELS, 1, "", True)
def _(results: Path) -> None:
    edit_json(results / ABOUT, labels="soft")


@case("stepset.json: made by people after all", "pool-registry", ENTRY, None, "step_set.label_source", True)
def _(results: Path) -> None:
    edit_json(results / ABOUT, label_source="people")


@case("a step's text changed", "pool-content", f"pools/{SET_ID}", None, "", True)
def _(results: Path) -> None:
    table(results / f"pools/{SET_ID}/candidates.parquet", lambda rows: rows[0]["steps"].__setitem__(0, "1 + 1 = 2"))


@case(
    "the registry: another hash of the set", "pool-content", ENTRY, None, "step_set.content_hash '000000000000'", True
)
def _(results: Path) -> None:
    edit_json(results / ENTRY, step_set__content_hash="0" * 64)


@case("the registry: another headline", "pool-registry", ENTRY, None, "step_set.headline 'step_auc'", True)
def _(results: Path) -> None:
    edit_json(results / ENTRY, step_set__headline="step_auc")


@case("the registry: no headline", "pool-registry", ENTRY, None, "step_set.headline", True)
def _(results: Path) -> None:
    edit_json(results / ENTRY, step_set__headline=...)


@case("the registry: no step set any more", "stepwise", f"{RAW}/{'2' * 40}/{SET_ID}/submission.json", None, "", True)
def _(results: Path) -> None:
    edit_json(results / ENTRY, step_set=...)


MINE = f"{NOISY}/{Noisy.commit}/{SET_ID}"
REWARDS, SUBMISSION = f"{MINE}/rewards.parquet", f"{MINE}/submission.json"
RAWS = f"{RAW}/{Raw.commit}/{SET_ID}/submission.json"


def rows(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Path], None]:
    def corrupt(results: Path) -> None:
        found = rows_of(of(results))
        write_rows(of(results), change(found) or found)

    return corrupt


def fields(model: str = NOISY, **changes: Any) -> Callable[[Path], None]:
    return lambda results: edit_json(of(results, model) / "submission.json", **changes)


def scores(at: int, change: Callable[[list[float]], list[float]], **more: Any) -> Callable[[Path], None]:
    return rows(lambda found: found[at].update(step_rewards=change(found[at]["step_rewards"]), **more))


def as_values(results: Path) -> None:
    """Submit numbers beyond 1 as values, without a threshold."""
    found = rows_of(of(results))
    write_rows(of(results), [dict(row, step_rewards=[2.0] * row["n_steps"]) for row in found])
    edit_json(of(results) / "submission.json", score_type="value", aggregation="min")


def extra_column(results: Path) -> None:
    path = of(results) / "rewards.parquet"
    read = pq.read_table(path)
    pq.write_table(read.append_column("label", pa.array([0] * read.num_rows)), path)


def extra_file(results: Path) -> None:
    shutil.copyfile(results / LABELS, of(results) / "labels.parquet")


for each in (
    Case("NaN", scores(6, lambda v: [math.nan, *v[1:]]), "finite", REWARDS, 7),
    Case("infinity", scores(6, lambda v: [*v[:-1], -math.inf]), "finite", REWARDS, 7),
    Case("too few scores", scores(2, lambda v: v[:-1], n_steps=5), "step-count", REWARDS, 3),
    Case("too many scores", scores(2, lambda v: [*v, 1.0], n_steps=7), "step-count", REWARDS, 3),
    Case("one score a solution", rows(lambda t: [dict(r, step_rewards=r["step_rewards"][:1], n_steps=1) for r in t]),
         "step-count", REWARDS, 1),
    Case("a row missing", rows(lambda t: t[:10] + t[11:]), "missing", REWARDS),
    Case("a row twice", rows(lambda t: [*t[:11], t[10], *t[12:]]), "duplicate", REWARDS, 12),
    Case("two rows swapped", rows(lambda t: [t[1], t[0], *t[2:]]), "order", REWARDS, 1),
    Case("a row of another set", rows(lambda t: t[3].update(problem_id="p9")), "unknown-candidate", REWARDS, 4),
    Case("an extra column", extra_column, "columns", REWARDS),
    Case("the labels beside the scores", extra_file, "extra-file", f"{MINE}/labels.parquet"),
    Case("scores of another set", fields(pool_hash="1" * 64), "pool-hash", SUBMISSION),
    Case("raw without a threshold", fields(RAW, threshold=None), "threshold", RAWS, None, "raw numbers without"),
    Case("raw, and the threshold left out", fields(RAW, threshold=...), "threshold", RAWS),
    Case("values beyond 1 without a threshold", as_values, "threshold", SUBMISSION, None, "outside [0, 1]"),
    Case("a threshold in words", fields(threshold="high"), "field", SUBMISSION, None, "threshold"),
    Case("a threshold of true", fields(threshold=True), "field", SUBMISSION, None, "threshold"),
    Case("a threshold that is no number", lambda r: swap(r, '"threshold": 0.0', '"threshold": NaN'), "json", RAWS),
    Case("a threshold beyond all numbers", fields(threshold=1e300), "field", SUBMISSION, None, "threshold"),
    Case("a list of thresholds", fields(threshold={"short": 0.5}), "field", SUBMISSION, None, "threshold"),
    Case("an outcome reward model", fields(kind="orm"), "stepwise", SUBMISSION, None, "places no mistake"),
    Case("steps cut otherwise", fields(splitter="line"), "stepwise", SUBMISSION, None, "the steps that were labelled"),
    Case("a figure of merit", fields(f1=0.99), "field", SUBMISSION, None, "f1"),
    Case("an accuracy of no whole number", fields(disclosure__figures={"error_acc": "66.6"}), "figures", SUBMISSION,
         None, "16 of 24 is 66.7"),
    Case("an accuracy of a group that is not there", fields(disclosure__figures={"olympiad:error_acc": "50.0"}),
         "figures", SUBMISSION, None, "a group of the set (short, long)"),
    Case("an accuracy in words", fields(disclosure__figures={"error_acc": "two thirds"}), "disclosure", SUBMISSION),
    Case("an accuracy above 100", fields(disclosure__figures={"error_acc": "100.1"}), "disclosure", SUBMISSION),
    Case("an accuracy of nothing known", fields(disclosure__figures={"f1": "50.0"}), "figures", SUBMISSION),
):  # fmt: skip
    CASES.append(each)


def swap(results: Path, old: str, new: str) -> None:
    path = of(results, RAW) / "submission.json"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


def test_there_are_enough() -> None:
    """A corruption that nobody tried is a check that nobody has seen work."""
    assert len(CASES) >= 50 and len({each.name for each in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[each.name for each in CASES])
def test_a_corruption_is_found_in_its_place_and_refused_by_the_board(results: Path, case: Case) -> None:
    """The fault is named with its kind, file and row; the board shows neither the set nor the row as if it were
    sound."""
    case.corrupt(results)
    faults = check_paths([results])[results]
    found = [fault for fault in faults if matches(fault, case)]
    assert found, [str(fault) for fault in faults]
    for fault in faults:
        assert str(fault).isascii() and str(fault).isprintable() and len(str(fault)) < 1_000
    if case.whole:
        with pytest.raises(PrmEvalError):
            list(Boards(results))
        return
    boards = Boards(results)
    entries = [entry.name for each in boards if isinstance(each, StepBoard) for entry in each.entries]
    assert any(case.file.startswith(each.path.removeprefix("submissions/")) for each in boards.left_out)
    named = Raw.entry if RAW in case.file else Noisy.entry
    assert entries.count(named) == (0 if named == Raw.entry else 1)  # the other set still has the noisy one
    assert "prm_eval/arithmetic" in entries


def matches(fault: Fault, case: Case) -> bool:
    placed = fault.kind == case.kind and fault.file.endswith(case.file) and case.row in (None, fault.row)
    return placed and case.words in f"{fault.found}; {fault.expected}"


# --- the threshold of a verification ----------------------------------------------------------------------------------


def test_a_verification_is_of_one_threshold(results: Path) -> None:
    """Whoever could move the threshold after it was verified would keep the tier with the best one of all."""
    folder = of(results)
    noisy = {each.model: each for each in find_submissions(results) if each.pool_id == SET_ID}
    assert noisy["Noisy-PRM"].tier == "reproduced"
    edit_json(folder / "submission.json", threshold=0.1)
    (fault,) = check_paths([results])[results]
    assert (fault.kind, fault.file.rpartition("/")[2]) == ("verification", "verification.json")
    assert "a verification of threshold 0.5" in fault.found and "of 0.1, as submitted" in fault.expected
    entry = next(each for each in board_of(results).entries if each.name == Noisy.entry)
    assert entry.submission.tier == "recomputed" and "differs" in [each.name for each in entry.suspicions]
    edit_json(folder / "submission.json", threshold=0.5)  # the same, said aloud
    assert check_paths([results])[results] == []


def test_all_solutions_run_again_show_the_models_own_scores(results: Path) -> None:
    """An edit of the submitted scores must be worth nothing once the model has been run on everything."""
    folder, pool = of(results), registered_pools(results)[SET_ID]
    (folder / "verification.json").unlink()
    found = rows_of(folder)
    labelled = StepSet(results / "pools" / SET_ID).labels
    for row, label in zip(found, labelled, strict=True):
        bump = [3e-5 if each == 1 else -3e-5 for each in label.ratings or ()]  # within every tolerance
        row["step_rewards"] = [value + more for value, more in zip(row["step_rewards"], bump, strict=False)] + row[
            "step_rewards"
        ][len(bump) :]
    write_rows(folder, found)
    result = verify_submission(folder, pool, Noisy(), sample=None, seed=0, verified_by="us")
    assert result.measure == "mean_f1" and result.threshold == 0.5 and result.calls_changed == 0
    assert result.verdict == "differs"  # every sign follows its label
    assert result.follows_grade is not None and result.follows_grade > 4


def test_a_sample_of_a_small_set_earns_no_tier(results: Path) -> None:
    """Of 48 solutions no sample bounds F1 within 2 points, and the command says so instead of giving a tier."""
    folder, pool = of(results), registered_pools(results)[SET_ID]
    (folder / "verification.json").unlink()
    result = verify_submission(folder, pool, Noisy(), sample=40, seed=1, verified_by="us")
    assert result.verdict == "agrees" and result.leeway is not None and result.leeway > 2
    assert next(each for each in find_submissions(results) if each.folder == folder).tier == "recomputed"
    assert check_paths([results])[results] == []


def test_changed_scores_are_a_difference(results: Path) -> None:
    """A forged step that the model does not give is found where it is sampled, and told on the board."""
    folder, pool = of(results), registered_pools(results)[SET_ID]
    (folder / "verification.json").unlink()
    found = rows_of(folder)
    found[0]["step_rewards"] = [5.0] * found[0]["n_steps"]
    write_rows(folder, found)
    result = verify_submission(folder, pool, Noisy(), sample=None, seed=0, verified_by="us")
    assert (result.verdict, result.beyond, result.calls_changed) == ("differs", 1, 1)
    assert not (folder / VERIFIED).exists()


def test_another_machines_last_digits_are_replaced_by_ours(results: Path) -> None:
    """What differs within the tolerance agrees, and the board's figures are of the maintainer's run."""
    folder, pool = of(results), registered_pools(results)[SET_ID]
    (folder / "verification.json").unlink()
    found = rows_of(folder)
    for at, row in enumerate(found):
        row["step_rewards"] = [value + 2e-6 * (-1) ** (at + k) for k, value in enumerate(row["step_rewards"])]
    write_rows(folder, found)
    result = verify_submission(folder, pool, Noisy(), sample=None, seed=0, verified_by="us")
    assert result.verdict == "agrees" and result.verified_sha256 is not None and (folder / VERIFIED).is_file()
    assert next(each for each in find_submissions(results) if each.folder == folder).tier == "reproduced"
    assert check_paths([results])[results] == []
    (entry,) = [each for each in board_of(results).entries if each.name == Noisy.entry]
    own = [value for _, _, row in RewardFile(folder / VERIFIED, info=entry.submission.rewards.info).rows()
           for value in row.values]  # fmt: skip
    assert entry.row.scores.native.tolist() == own


# --- the model --------------------------------------------------------------------------------------------------------


def test_an_outcome_reward_model_is_refused(results: Path) -> None:
    """One number a solution places no mistake: its row would be a rule in disguise."""
    pool = Pool(results / "pools" / SET_ID)
    folder = submit(results, pool, BoxedSupportORM(), "prm_eval/boxed-support")
    kinds = {fault.kind for fault in check_paths([folder])[folder]}
    assert kinds == {"stepwise"}


def test_an_outcome_reward_model_by_prefixes_is_taken_and_verified(results: Path, capsys) -> None:
    """Asked about every beginning of a solution it places a mistake: the same commands score and verify it so."""
    named = ["--reward-model", "boxed-support"]
    to = ["--submission", "prm_eval/boxed-support", "-o", str(results)]
    assert main(["score", str(results / "pools" / SET_ID), *named, *to]) == 0
    folder = results / "submissions" / "prm_eval__boxed-support" / "rule-1" / SET_ID
    answers = ["--licence", "MIT", "--base-model", "none", "--training-data", "none", "--contact", "us"]
    answers += [f"--trained-on-{name}=no" for name in ("math-test", "prm800k", "this-pool")]
    assert main(["submit-form", str(folder), *answers]) == 0
    assert json.loads((folder / "submission.json").read_text())["model"]["prefixes"] is True
    assert main(["verify", str(folder), *named, "--all"]) == 0
    assert check_paths([results])[results] == []
    assert "prm_eval/boxed-support" in [each.name for each in board_of(results).entries]


def test_a_pool_without_labels_takes_no_threshold(results: Path, tmp_path: Path) -> None:
    """A field without meaning beside a pool would be read as if it meant something."""
    from tests.leaderboard.board import make_results

    folder = make_results(tmp_path / "plain")
    edit_json(folder / "submission.json", threshold=0.5)
    faults = check_paths([folder])[folder]
    assert [each.kind for each in faults] == ["stepwise"] and "no step set" in faults[0].expected


def test_the_rule_reads_no_label() -> None:
    """The set is scored as a pool: what a reward model is given has no label in it."""
    from dataclasses import fields as names

    from prm_eval.records import ScoringItem

    assert {each.name for each in names(ScoringItem)} == {"statement", "text", "steps"}
    assert ArithmeticPRM().kind == "prm"


def test_every_doubt_and_tier_of_step_sets_is_in_the_readme() -> None:
    """Whoever is flagged must be able to read why, in words."""
    from prm_eval.submissions import STEP_TIERS

    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    for name in STEP_NAMES:
        assert f"| `{name}` |" in text, name
    for tier, words in STEP_TIERS.items():
        assert f"| `{tier}` | {words} |" in text, tier


def test_pools_without_labels_have_no_word_of_them() -> None:
    """Older entries of the registry must stay byte for byte: a new field in all of them would make every board
    stale."""
    pools = registered_pools(ROOT / "results")
    assert {name for name, each in pools.items() if each.step_set is not None} == {"miniature-v2-steps"}
    for path in (ROOT / "results" / "pools").glob("*.json"):
        assert ("step_set" in path.read_text()) == (path.stem == "miniature-v2-steps"), path
