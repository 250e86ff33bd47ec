"""What ``prm-eval check`` refuses is not on the board: left out, with the reason, and never in the way of the
others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.leaderboard import build
from prm_eval.pools.pool import Pool
from prm_eval.submissions import Fault, check_paths
from prm_eval.submissions.checking.check import Checker
from prm_eval.submissions.checking.refused import screened
from tests.leaderboard.board import edit_json, rows_of, write_rows
from tests.leaderboard.leaderboards import demo_results, disclosure, made_up, submit

pytestmark = pytest.mark.measured  # what the board and the commands refuse, rooms with a floor decide

SUBMISSION, REWARDS = "submission.json", "rewards.parquet"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return demo_results(tmp_path_factory.mktemp("refuses") / "results")


@pytest.fixture
def results(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "results")
    return tmp_path / "results"


def one(results: Path) -> Path:
    """The submission that is spoilt."""
    return next((results / "submissions").glob("lab-a__Careful-PRM-7B/*/demo-35x8"))


def board_of(results: Path) -> dict[str, Any]:
    build(results)
    return json.loads((results / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))


def row(at: int, **values: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        rows = rows_of(folder)
        rows[at].update(values)
        write_rows(folder, rows)

    return spoil


def fields(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_json(folder / SUBMISSION, **changes)


def another_column(folder: Path) -> None:
    table = pq.read_table(folder / REWARDS)
    pq.write_table(table.append_column("grade", pa.array([1] * table.num_rows)), folder / REWARDS)


def a_link(folder: Path) -> None:
    folder.rename(folder.parent / "aside")
    folder.symlink_to(folder.parent / "aside")


def padded(folder: Path) -> None:
    """Megabytes in the footer, where no column is."""
    table = pq.read_table(folder / REWARDS)
    pq.write_table(table.replace_schema_metadata({"note": os.urandom(3_000_000).hex()}), folder / REWARDS)


CASES = {
    "a file that is padded": ("size", padded),
    "a recipe of another kind": ("recipe", fields(model__recipe="sequence-classification")),
    "a score type that is not the recipe's": ("recipe", fields(score_type="raw")),
    "no disclosure": ("disclosure", fields(disclosure=None)),
    "another model's name": ("agreement", fields(name="lab-a/Other")),
    "a moving revision": ("revision", fields(model__revision=None)),
    "another pool's hash": ("pool-hash", fields(pool_hash="0" * 64)),
    "a field of no meaning": ("field", fields(accuracy=0.99)),
    "tokens that do not add up": ("totals", fields(run__tokens=1)),
    "candidates that do not add up": ("totals", fields(run__candidates=10**15)),
    "refusals that nobody counts": ("totals", fields(run__refused={"busy": 3})),
    "negative tokens": ("n-tokens", row(7, n_tokens=-5)),
    "a hash without tokens": ("n-tokens", row(7, n_tokens=None)),
    "a hash that is none": ("input-hash", row(7, input_hash="0" * 63 + "G")),
    "no hash": ("input-hash", row(7, input_hash=None)),
    "a refusal in control codes": ("refusal", row(7, refusal="\x1b[2J", step_rewards=None, n_steps=0)),
    "a blank refusal": ("refusal", row(7, refusal=" ", step_rewards=None, n_steps=0)),
    "another file": ("extra-file", lambda folder: (folder / "notes").write_text("x")),
    "a folder inside": ("extra-file", lambda folder: (folder / "submissions").mkdir()),
    "a link for the folder": ("path", a_link),
    "another column": ("columns", another_column),
    "a row group a row": (
        "row-groups",
        lambda folder: pq.write_table(pq.read_table(folder / REWARDS), folder / REWARDS, row_group_size=1),
    ),
}


@pytest.fixture(scope="module")
def spoilt(made, tmp_path_factory) -> tuple[Path, dict[str, Path], dict[Path, list[Fault]], dict[str, Any]]:
    """(results, folder of each case, what `check` finds in them, the board): each case is a submission of its own."""
    results = tmp_path_factory.mktemp("spoilt") / "results"
    shutil.copytree(made, results)
    arrays = load_arrays(Pool(results / "pools" / "demo-35x8"))
    folders = {}
    for number, case in enumerate(CASES):
        # names that nobody takes for one another
        name = f"{chr(ord('a') + number) * 4}/Model-{chr(ord('z') - number) * 4}"
        revision = sha256(case.encode()).hexdigest()[:40]
        values = made_up(arrays, 100 + number)
        folders[case] = submit(
            results, arrays, "demo-35x8", values, name=name, revision=revision, disclosure=disclosure()
        )
    assert not any(check_paths([*folders.values()]).values())
    for case, (_, spoil) in CASES.items():
        spoil(folders[case])
    return results, folders, check_paths([*folders.values()]), board_of(results)


@pytest.mark.parametrize("case", CASES)
def test_the_board_leaves_out_what_check_refuses(spoilt, case: str) -> None:
    """A rank for rewards that the checker refuses would make the checker's word worth nothing."""
    results, folders, found, board = spoilt
    folder, (kind, _) = folders[case], CASES[case]
    assert kind in {each.kind for each in found[folder]}
    # the model's folder: a link in the place of a submission has another beside it
    place, model = folder.relative_to(results).as_posix(), folder.parents[1].name
    assert not any(model in row["page"] for each in board["boards"] for row in each["rows"])
    why = {each["path"]: each["why"] for each in board["left_out"]}
    assert place in why and "found" in why[place]
    assert place in (results / "leaderboard" / "index.html").read_text(encoding="utf-8")


def test_the_others_stay(spoilt) -> None:
    """What is wrong with one submission is nobody else's fault."""
    assert sum(len(each["rows"]) for each in spoilt[3]["boards"]) == 8


def test_a_good_folder_has_no_fault_and_loses_nothing(results) -> None:
    """The made-up submissions of these tests are in order: else every case above would prove nothing."""
    board = board_of(results)
    assert board["left_out"] == [] and sum(len(each["rows"]) for each in board["boards"]) == 8
    assert check_paths([results])[results] == []


def test_left_out_is_said_everywhere(results, capsys) -> None:
    """Whoever only looks at one of page, JSON, standard error or --check must not think that nothing is amiss."""
    edit_json(one(results) / SUBMISSION, disclosure=None)
    assert main(["leaderboard", str(results)]) == 0
    printed = capsys.readouterr()
    assert "[disclosure] found no disclosure" in printed.err and "7 submissions on 2 pools" in printed.out
    page = (results / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert "1 entry is left out" in page and page.index("1 entry is left out") < page.index("<table")
    (results / "leaderboard" / "leaderboard.json").write_text("not JSON")  # --check asks the files, not the old board
    assert main(["leaderboard", str(results), "--check"]) == 1
    printed = capsys.readouterr()
    assert "[disclosure] found no disclosure" in printed.err and "1 stale file;" in printed.out


def test_hostile_reasons_are_escaped(results) -> None:
    """The reason repeats what a stranger wrote, on our page."""
    edit_json(one(results) / SUBMISSION, **{"<script>alert(1)</script>": 1})
    folder = results / "submissions" / "<img src=x onerror=alert(1)>" / "x" / "y"
    folder.mkdir(parents=True)
    build(results)
    text = (results / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<img" not in text and "&lt;script&gt;alert" in text


def test_a_name_that_is_no_text_does_not_stop_the_board(results, capsys) -> None:
    """A folder's name need not be UTF-8, nor its end a file: nothing of it can be written on a page as it is."""
    (results / "submissions" / os.fsdecode(b"\xff\xfe__x") / "\x1b[2J" / "y").mkdir(parents=True)
    (results / "submissions" / "notes.txt").write_text("x")
    assert main(["leaderboard", str(results)]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("left out: ") == 2 and "8 submissions" in printed.out
    assert "\x1b" not in printed.err and "a file between the folders" in printed.err


def test_an_error_that_nobody_foresaw_costs_one_submission(results, monkeypatch) -> None:
    """One stranger's file must not take the board down for all."""
    from prm_eval.leaderboard import rows

    once = rows._measure_together

    def fragile(yardstick, submissions):
        if any(each.model == "Careful-PRM-7B" for each in submissions):
            raise OverflowError("too large")
        return once(yardstick, submissions)

    monkeypatch.setattr(rows, "_measure_together", fragile)
    board = board_of(results)
    assert [len(each["rows"]) for each in board["boards"]] == [2, 4]
    assert all("OverflowError: too large" in each["why"] for each in board["left_out"])


def test_rewards_of_a_pool_that_is_not_at_hand_are_left_out(results) -> None:
    """Rows that vanish without a word look like rows that were never sent."""
    shutil.rmtree(results / "pools" / "demo-35x4")
    board = board_of(results)
    assert len(board["left_out"]) == 3 and "not at hand" in board["left_out"][0]["why"]


# --- names and copies
# -----------------------------------------------------------------------------------------------------


def rename(folder: Path, name: str) -> Path:
    """Copy a submission to another model's name, with rewards of its own."""
    to = folder.parents[2] / name.replace("/", "__") / folder.parent.name / folder.name
    shutil.copytree(folder, to)
    edit_json(to / SUBMISSION, name=name, model__id=name)
    rows = rows_of(to)
    for each in rows:
        each["step_rewards"] = each["step_rewards"] and [value * 0.5 for value in each["step_rewards"]]
    write_rows(to, rows)
    return to


@pytest.mark.parametrize(
    "name",
    [
        "Lab-a/Careful-PRM-7B",
        "lab_a/Careful-PRM-7B",
        "lab-a/careful-prm-7b",
        "lab-a/Carefu1-PRM-7B",
        "lab-A/something-else",
        "Iab-a/something-else",
    ],
)
def test_names_that_look_alike_are_refused(results, name: str) -> None:
    """A reader takes the second for the first, or for the same organisation's."""
    rename(one(results), name)
    found = check_paths([results])[results]
    assert {each.kind for each in found} == {"name"}
    checker = Checker(results)
    try:
        left = screened(checker).refused
    finally:
        checker.close()
    assert len(left) in (1, 2) and all("looks like" in each.found for faults in left.values() for each in faults)
    # submissions, each once, and not the folders above them too
    assert all(len(path.relative_to(results).parts) == 4 for path in left)


def test_registered_pools_do_not_look_alike(results) -> None:
    """On a disk that does not tell case apart one would overwrite the other."""
    entry = json.loads((results / "pools" / "demo-35x8.json").read_text())
    (results / "pools" / "Demo-35x8.json").write_text(json.dumps(entry | {"pool_id": "Demo-35x8"}))
    assert "name" in {each.kind for each in check_paths([results])[results]}


def test_two_commits_never_look_alike(results) -> None:
    """Digits are told apart by nothing but themselves: honest revisions must not be refused for their looks."""
    from prm_eval.submissions.checking.between_folders import look

    assert len({look(digit) for digit in "0123456789abcdef"}) == 16
    folder = one(results)
    other = folder.parent.parent / ("1" * 39 + "0") / folder.name
    shutil.copytree(folder, other)
    edit_json(other / SUBMISSION, model__revision=other.parent.name)
    assert {each.kind for each in check_paths([results])[results]} == {"copy"}


def test_a_copy_cannot_push_out_what_was_verified(results, monkeypatch) -> None:
    """Whoever copies rewards under a name that comes first in the alphabet must not take the original off the board."""
    from prm_eval.submissions.checking import between_folders as between

    folder = one(results)
    to = results / "submissions" / "aaa__thief" / folder.parent.name / folder.name
    shutil.copytree(folder, to)
    edit_json(to / SUBMISSION, name="aaa/thief", model__id="aaa/thief")
    assert [copy for copy, _ in between.copies([folder, to])] == [folder]  # nobody knows
    monkeypatch.setattr(between, "_verified", lambda path: "Careful" in str(path))
    assert [copy for copy, _ in between.copies([folder, to])] == [to]
    assert [each["path"] for each in board_of(results)["left_out"]] == [to.relative_to(results).as_posix()]


def test_a_faulty_registry_is_no_strangers_doing(results) -> None:
    """The operator's own mistake is an error, and not a board without that pool."""
    (results / "pools" / "demo-35x8.json").write_text("{")
    with pytest.raises(PrmEvalError):
        build(results)
