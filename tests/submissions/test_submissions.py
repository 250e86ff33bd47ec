"""Submissions: made, filled in, read, checked, verified. (What is wrong with a file: test_check_mutations.py; forging:
test_forging.py.)"""

from __future__ import annotations

import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.leaderboard import build
from prm_eval.records import StepRewards
from prm_eval.rewards import RewardFile, load_reward_model, score_pool
from prm_eval.rewards.files.reward_file import VERIFIED, RewardWriter
from prm_eval.store.json_schema import json_schema
from prm_eval.store.typed import faults
from prm_eval.submissions import (
    KINDS,
    TIERS,
    Options,
    check_paths,
    check_submission,
    detection_probability,
    find_submissions,
    register_pool,
    registered_pools,
    submission_folder,
    verify_submission,
)
from prm_eval.submissions.compare import differences, spread_of
from prm_eval.submissions.form import ask, disclosure_fields
from prm_eval.submissions.formats import FILES, SubmissionFile
from prm_eval.submissions.revision import revision_name
from prm_eval.submissions.schemas import schema_texts
from prm_eval.submissions.suspicion import NAMES, read_rewards
from prm_eval.submissions.verify import sample_rows
from tests.conftest import ROOT
from tests.leaderboard.board import (
    COMMIT,
    DISCLOSURE,
    ENTRY,
    POOL_ID,
    Model,
    add_submission,
    edit_json,
    make_results,
    rows_of,
    write_rows,
)

RESULTS = ROOT / "results"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A results folder with one submission in order."""
    make_results(tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def folder(board: Path) -> Path:
    return next(board.glob("submissions/*/*/*"))


# --- what is committed
# ---------------------------------------------------------------------------------------------------


def test_schemas_are_those_of_the_types() -> None:
    """A schema that is not regenerated tells submitters another format than the checker's."""
    committed = {path.name: path.read_text(encoding="utf-8") for path in (RESULTS / "schema").glob("*.json")}
    assert committed == schema_texts(), "run: make results"


def test_every_check_tier_and_suspicion_is_in_the_readme() -> None:
    """Whoever is refused must be able to read why, in words."""
    text = (RESULTS / "README.md").read_text(encoding="utf-8")
    for kind, words in KINDS.items():
        assert f"| `{kind}` | {words} |" in text
    for tier, words in TIERS.items():
        assert f"| `{tier}` | {words} |" in text
    for name in NAMES:
        assert f"| `{name}` |" in text


@pytest.mark.unmeasured
def test_the_results_that_ship_are_in_order() -> None:
    """The board starts from these: a fault in them is a fault of ours."""
    assert check_paths([RESULTS]) == {RESULTS: []}
    found = find_submissions(RESULTS)
    assert {f"{each.org}/{each.model}" for each in found} >= {"prm_eval/arithmetic", "prm_eval/boxed-support"}
    assert all(each.tier == "reproduced" for each in found if each.org == "prm_eval")


def test_our_own_submissions_are_what_scoring_gives(tmp_path: Path) -> None:
    """Made anew from the text that ships, pool and rewards are the committed ones: all but when and where they were
    computed."""
    from prm_eval.demo import demo_pool

    pool = demo_pool(tmp_path / "pool")
    entry = registered_pools(RESULTS)["demo-35x8"]
    assert pool.info.content_hash == entry.content_hash
    for each in find_submissions(RESULTS):
        if each.org == "prm_eval" and each.pool_id == "demo-35x8":
            model = load_reward_model(each.model)
            again = score_pool(pool, model, tmp_path / each.model, name=f"{each.org}/{each.model}")
            assert list(again.rows()) == list(each.rewards.rows())
            changing = {"run", "disclosure"}
            ours, theirs = (json.loads((one / "submission.json").read_text()) for one in (again.folder, each.folder))
            assert {k: v for k, v in ours.items() if k not in changing} == {
                k: v for k, v in theirs.items() if k not in changing
            }
            assert revision_name(model.describe()) == each.revision


# --- making one
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.unmeasured
def test_score_form_check_verify_on_the_command_line(tmp_path: Path, capsys, monkeypatch) -> None:
    """From nothing to a checked and reproduced submission with the commands that CONTRIBUTING.md names."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    results = tmp_path / "results"
    demo = ROOT / "prm_eval" / "demo" / "demo.jsonl"
    assert main(["pool", "import", str(demo), "-o", str(tmp_path / "pool"), "--policy", "hand-written"]) == 0
    assert (
        main(["pool", "register", str(tmp_path / "pool"), "--id", "mine", "-o", str(results), "--headline-n", "2"]) == 0
    )
    assert "had no grades of this version: they were made" in capsys.readouterr().out
    score = ["score", str(tmp_path / "pool"), "--reward-model", "arithmetic", "--submission", "prm_eval/arithmetic"]
    assert main([*score, "-o", str(results)]) == 0
    folder = results / "submissions" / "prm_eval__arithmetic" / "rule-1" / "mine"
    assert f"submit-form {folder}" in capsys.readouterr().out
    assert main(["check", str(folder)]) == 1
    assert "[disclosure]" in capsys.readouterr().out
    flags = ["--licence", "MIT", "--base-model", "none", "--training-data", "a set, another set", "--contact", "me"]
    assert main(["submit-form", str(folder), *flags]) == 1  # three questions are open
    assert "trained_on.this_pool" in capsys.readouterr().err
    trained = ["--trained-on-math-test", "no", "--trained-on-prm800k", "yes", "--trained-on-this-pool", "unknown"]
    assert main(["submit-form", str(folder), *flags, *trained]) == 0
    assert main([*score, "-o", str(results)]) == 0  # again: nothing is computed, and the disclosure stays
    assert main(["check", str(folder)]) == 0
    (read,) = find_submissions(results)
    assert read.disclosure.training_data == ["a set", "another set"]
    assert (read.tier, read.licence, read.contact, read.cost.candidates) == ("recomputed", "MIT", "me", 280)
    capsys.readouterr()
    assert main(["verify", str(folder), "--reward-model", "arithmetic", "--sample", "64", "--seed", "5"]) == 0
    expected = detection_probability(3, 64, 280)
    printed = capsys.readouterr().out
    assert f"an edit of 3 candidates (1.07%) with probability {expected:.4f}" in printed
    assert "an edit of 1 candidate (0.36%)" in printed  # 0.1 % of 280 is less than one: nobody can edit that
    assert "no tier    this leaves too much open; --all certainly does" in printed  # 400 is more than there are
    assert find_submissions(results)[0].tier == "recomputed"  # an edit of 9 points would often have been missed
    assert main(["verify", str(folder), "--reward-model", "arithmetic", "--all"]) == 0
    assert "best of 2  by the submitted rewards: +0.00 points; as the model's own" in capsys.readouterr().out
    assert find_submissions(results)[0].tier == "reproduced"
    capsys.readouterr()
    assert (
        main(["verify", str(folder), "--reward-model", "arithmetic", "--sample", "64"]) == 1
    )  # it would lower the tier
    assert "280 candidates agreed before; 64 would say less. Remove that file first" in capsys.readouterr().err
    assert find_submissions(results)[0].tier == "reproduced"
    assert main(["check", str(results), "--json"]) == 0
    assert main(["check", str(folder), "--new"]) == 1  # a stranger brings no verification
    assert "[verification-own]" in capsys.readouterr().out


def test_submission_json_says_what_a_machine_can_know(models, pool, tmp_path) -> None:
    """A checkpoint folder: weight hashes, config, recipe, device, versions and counts are there without anyone typing
    them."""
    pytest.importorskip("torch")
    from prm_eval.grading.pool import grade_pool

    grade_pool(pool)
    register_pool(pool, tmp_path / "results", "small")
    model = load_reward_model(str(models["prm"]), dtype="float32", device="cpu")
    folder = add_submission(tmp_path / "results", pool, model, "my-org/my-prm")
    fields = json.loads((folder / "submission.json").read_text())
    about, run = fields["model"], fields["run"]
    assert about["id"] == fields["name"] == "my-org/my-prm"  # and not a path of somebody's disk
    assert str(models["prm"]) not in json.dumps(fields)
    assert len(about["weights_sha256"]["model.safetensors"]) == len(about["config_sha256"]) == 64
    assert about["recipe"] == "token-classification" and len(about["recipe_sha256"]) == 64
    assert (about["dtype"], about["device"]) == ("float32", "cpu") and run["device_name"]
    assert {"python", "torch", "transformers", "prm_eval", "tokenizers"} <= set(run["versions"])
    rows = [row for _, _, row in RewardFile(folder).rows()]
    assert run["candidates"] == len(rows) and run["tokens"] == sum(row.n_tokens or 0 for row in rows)
    assert folder.parent.name == revision_name(about) and folder.parent.name.startswith("sha256-")
    assert check_submission(folder, tmp_path / "results") == []

    # the rendered inputs are recomputed from the tokenizer alone; one that was made otherwise is found
    with_tokenizer = Options(tokenizer=str(models["prm"]))
    assert check_submission(folder, tmp_path / "results", with_tokenizer) == []
    prompt_changed(folder)
    assert check_submission(folder, tmp_path / "results") == []
    found = check_submission(folder, tmp_path / "results", with_tokenizer)
    assert [(each.kind, each.row) for each in found] == [("input-hash", 2)]


def prompt_changed(folder: Path) -> None:
    rows = rows_of(folder)
    rows[1]["input_hash"] = "0" * 64
    write_rows(folder, rows)


def test_refusals_are_counted_by_reason(models, pool, tmp_path) -> None:
    """A model that refuses half the pool must say so in its description, not only row by row."""
    pytest.importorskip("torch")
    rewards = score_pool(pool, load_reward_model(str(models["orm"]), max_tokens=30), tmp_path / "r")
    refused = [row.refusal for _, _, row in rewards.rows() if row.refusal]
    assert refused and rewards.info.run["refused"] == {"over-length": len(refused)}


def test_a_commit_of_the_hub_cache_is_read_from_its_path(models, pool, tmp_path) -> None:
    """A snapshot folder is pinned by its commit, without a flag."""
    pytest.importorskip("torch")
    snapshot = tmp_path / "models--an-org--a-model" / "snapshots" / COMMIT
    shutil.copytree(models["prm"], snapshot)
    model = load_reward_model(str(snapshot))
    assert model.describe()["revision"] == COMMIT
    assert revision_name(model.describe()) == COMMIT


def test_what_is_not_pinned_or_not_registered_is_not_submitted(board: Path, pool, tmp_path) -> None:
    """These stop before hours of scoring."""
    registered = registered_pools(board)[POOL_ID].pool
    with pytest.raises(PrmEvalError, match="not a pool of"):
        submission_folder(board, ENTRY, Model(), pool)
    with pytest.raises(PrmEvalError, match="under its own name"):
        submission_folder(board, "other-org/other-name", Model(), registered)
    for name in ("no-organisation", "a/b/c", "../x", "a__b/c", "org/mоdel", "org/.hidden", "org/a..b"):
        with pytest.raises(PrmEvalError, match="expected ORGANISATION/MODEL"):
            submission_folder(board, name, Model(), registered)
    for revision in ("main", None):
        with pytest.raises(PrmEvalError, match="commit"):
            revision_name({"id": ENTRY, "revision": revision})


def test_a_pool_never_changes_under_its_id(board: Path, pool) -> None:
    """Rewards for the old pool would be ranked with rewards for the new one."""
    from prm_eval.grading.pool import grade_pool

    grade_pool(pool)
    with pytest.raises(PrmEvalError, match="never changes"):
        register_pool(pool, board, POOL_ID)
    with pytest.raises(PrmEvalError, match="headline"):
        register_pool(pool, board, "other", headline_n=5)
    with pytest.raises(PrmEvalError, match="pool id"):
        register_pool(pool, board, "../other")


def test_the_form_asks_until_it_has_an_answer() -> None:
    """A blank or impossible answer to a question of the disclosure must not pass."""
    replies = iter(["", "MIT", "none", "a, b", "perhaps", "no", "yes", "unknown", "", "me", "", "", ""])
    prompts: list[str] = []
    answers = ask({}, {}, lambda prompt: (prompts.append(prompt), next(replies))[1])
    assert disclosure_fields(answers) == {
        "licence": "MIT",
        "base_model": "none",
        "training_data": ["a", "b"],
        "trained_on": {"math_test": "no", "prm800k": "yes", "this_pool": "unknown"},
        "contact": "me",
    }
    assert sum("Licence" in prompt for prompt in prompts) == 2
    assert ask({}, dict.fromkeys(answers, "kept") | {f"trained_on_{n}": "no" for n in ("math_test", "prm800k",
    "this_pool")},
               lambda prompt: "")["licence"] == "kept"  # fmt: skip


def test_answers_come_from_a_file(folder: Path, tmp_path, capsys) -> None:
    """Scripts fill in the form without a terminal; a file that is wrong says everything that is wrong with it."""
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(DISCLOSURE | {"licence": "MIT"}))
    assert main(["submit-form", str(folder), "--answers", str(answers)]) == 0
    assert json.loads((folder / "submission.json").read_text())["disclosure"]["licence"] == "MIT"
    answers.write_text(json.dumps({"licence": "", "trained_on": {"math_test": "maybe"}, "vote": "me"}))
    assert main(["submit-form", str(folder), "--answers", str(answers)]) == 1
    told = capsys.readouterr().err
    for part in ("licence", "base_model", "math_test", "prm800k", "contact", "vote"):
        assert part in told


# --- types, schemas, readers
# ----------------------------------------------------------------------------------------------


def test_the_schema_accepts_what_the_checker_accepts(folder: Path) -> None:
    """Two readings of one definition: a validator of JSON Schema and ours agree on a good file and on broken ones."""
    jsonschema = pytest.importorskip("jsonschema")
    good = json.loads((folder / "submission.json").read_text())
    validator = jsonschema.Draft202012Validator(json_schema(SubmissionFile, "x"))
    for path, value in [
        ((), None),
        (("kind",), "PRM"),
        (("kind",), ...),
        (("accuracy",), 1),
        (("name",), "no-slash"),
        (("run", "seconds"), -1),
        (("run", "resumed"), 0.5),
        (("model", "revision"), "main"),
        (("model", "of_its_own"), {"a": 1}),
        (("model", "of its own"), {"a": 1}),
        (("model", "k" * 41), 1),
        (("run", "resumed"), 2**63),
        (("disclosure", "trained_on", "prm800k"), "maybe"),
        (("disclosure", "training_data"), []),
        (("pool_hash",), "0" * 63),
        (("splitter",), "word"),
    ]:
        fields = json.loads(json.dumps(good))
        if path:
            inner = fields
            for each in path[:-1]:
                inner = inner[each]
            inner.pop(path[-1], None) if value is ... else inner.update({path[-1]: value})
        assert validator.is_valid(fields) == (not faults(SubmissionFile, fields)), path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_json_at_any_place_is_answered_in_plain_words(data) -> None:
    """Whatever stands in a field: no exception, nothing that acts on a terminal, and a wrong value is never passed by
    accident."""
    fields = {
        "schema": "prm_eval.rewards/2", "name": "a/b", "kind": "prm", "score_type": "logodds", "aggregation": "prod",
        "splitter": None,
        "pool_hash": "0" * 64, "disclosure": json.loads(json.dumps(DISCLOSURE)), "model": {"id": "a/b",
        "revision": COMMIT},
        "run": {"seconds": 1, "resumed": 0, "candidates": 1, "tokens": None, "refused": {}, "device_name": "x",
        "versions": {"a": "1"}},
    }  # fmt: skip
    assert not faults(SubmissionFile, fields)
    inner = fields
    while isinstance(inner, dict) and inner:
        name = data.draw(st.sampled_from(sorted(inner)))
        if isinstance(inner[name], dict) and data.draw(st.booleans()):
            inner = inner[name]
            continue
        inner[name] = data.draw(JSON)
        break
    for each in faults(SubmissionFile, fields):
        assert each.where.isascii() and each.found.isascii() and each.found.isprintable() and len(each.found) < 300


def test_every_field_of_a_schema_is_described() -> None:
    """A schema without words is not a document."""
    for title, kind in FILES.values():
        schema = json_schema(kind, title)
        assert schema["description"]
        assert [name for name, each in schema["properties"].items() if not each.get("description")] == []


def test_files_of_the_first_version_are_still_read(pool, tmp_path) -> None:
    """Rewards that were computed before the format had a disclosure stay of use."""
    rewards = score_pool(pool, Model(), tmp_path / "r")
    edit_json(rewards.folder / "submission.json", schema="prm_eval.rewards/1", disclosure=...)
    assert RewardFile(rewards.folder).info.disclosure is None
    assert len(list(RewardFile(rewards.folder).rows())) == pool.info.n_candidates
    edit_json(rewards.folder / "submission.json", schema="prm_eval.rewards/3")
    with pytest.raises(DataError, match="rewards/2"):
        RewardFile(rewards.folder)


def test_readers_hand_out_what_lies_there(board: Path, folder: Path) -> None:
    """The board shows these fields; a mix-up of path and content would show one model's rewards under another's
    name."""
    (one,) = find_submissions(board)
    assert (one.org, one.model, one.revision, one.pool_id) == ("some-org", "some.model_1", COMMIT, POOL_ID)
    assert (one.folder, one.tier, one.disclosure.trained_on.this_pool) == (folder, "recomputed", "unknown")
    assert one.rewards.name == ENTRY and one.cost.tokens > 0 and one.cost.seconds >= 0
    edit_json(folder / "submission.json", run__resumed=5)
    assert find_submissions(board)[0].cost.seconds is None  # nobody measured the whole
    pool = registered_pools(board)[POOL_ID]
    assert pool.pool.info.content_hash == pool.content_hash and pool.headline_n is None
    edit_json(folder / "submission.json", kind="neither")
    with pytest.raises(DataError, match="kind"):
        find_submissions(board)


# --- what is wrong with a whole folder
# ------------------------------------------------------------------------------------


def kinds(path: Path, results: Path | None = None, **options) -> set[str]:
    if results is None:
        return {each.kind for each in check_paths([path], Options(**options))[path]}
    return {each.kind for each in check_submission(path, results, Options(**options))}


@pytest.mark.parametrize(
    "name",
    [
        "some-org__some.model_1/main/demo-35x8",
        "some-org/0/demo-35x8",
        "sоme-org__m/" + COMMIT + "/demo-35x8",
        "a__b/" + "A" * 40 + "/p",
    ],
)
def test_a_folder_that_is_not_called_like_a_submission(board: Path, folder: Path, name: str) -> None:
    """The path is the key: what it says is shown, and two spellings of one model would be two models."""
    other = board / "submissions" / name
    other.parent.mkdir(parents=True)
    folder.rename(other)
    assert "path" in kinds(other, board)


@pytest.mark.parametrize("name", ["submissions", "pools"])
def test_a_submission_cannot_pass_for_a_results_folder(board: Path, folder: Path, name: str) -> None:
    """A folder of that name inside made the checker look for submissions there, find none and call everything in
    order."""
    (folder / name).mkdir()
    assert kinds(folder) == {"extra-file"}
    (folder / "submission.json").unlink()
    assert kinds(folder) == {"extra-file", "missing-file"}


def test_a_folder_outside_of_results(folder: Path, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert "path" in kinds(tmp_path / "elsewhere", tmp_path / "results")


def test_a_folder_that_is_a_link(board: Path, folder: Path, tmp_path) -> None:
    """A link shows files of the machine that builds the board."""
    folder.rename(tmp_path / "aside")
    folder.symlink_to(tmp_path / "aside")
    assert "path" in kinds(folder, board)


def test_faults_of_the_registry(board: Path, folder: Path) -> None:
    """Whatever is wrong with a pool is told of, and no submission for it passes."""
    entry = board / "pools" / f"{POOL_ID}.json"
    good = entry.read_text()
    edit_json(entry, content_hash="0" * 64)
    assert kinds(folder, board) == {"pool-content"} and "pool-content" in kinds(board)
    entry.write_text(good)
    edit_json(entry, pool_id="other")
    assert "pool-registry" in kinds(board)
    entry.write_text(good)
    edit_json(entry, path="../../..")
    assert "pool-registry" in kinds(board)
    entry.write_text("{")
    assert "pool-registry" in kinds(board)
    entry.write_text(good)
    edit_json(entry, path=..., hub={"dataset": "org/set", "revision": COMMIT})
    assert kinds(folder, board) == set()  # downloaded to its place
    (board / "pools" / POOL_ID).rename(board / "aside")
    assert kinds(folder, board) == {"pool-absent"}
    (board / "aside").rename(board / "pools" / POOL_ID)
    entry.write_text(good)
    assert kinds(board) == set()
    candidates = board / "pools" / POOL_ID / "candidates.parquet"
    candidates.write_bytes(candidates.read_bytes()[:-100])
    assert "pool-content" in kinds(board)
    entry.unlink()
    assert kinds(folder, board) == {"pool-unknown"}


def test_another_pools_malformed_entry_does_not_stop_a_check(board: Path, folder: Path, capsys) -> None:
    """A submission is not to blame for what else lies in the registry."""
    (board / "pools" / "zzz.json").write_text("{")
    assert main(["check", str(folder)]) == 0
    assert "in order" in capsys.readouterr().out
    assert main(["check", str(board)]) == 1
    assert "1 fault\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("list_of", "number"),
    [(pa.list_, pa.float16()), (pa.list_, pa.float64()), (pa.large_list, pa.float32()), (pa.large_list, pa.float64())],
)
def test_rewards_of_any_width_are_read_by_checker_and_board(board: Path, folder: Path, list_of, number) -> None:
    """Other writers make other widths of one thing: one that the checker accepts and the board refuses, or the reverse,
    is a trap."""
    rows = rows_of(folder)
    for row in rows:
        row["step_rewards"] = row["step_rewards"] and np.array(row["step_rewards"], np.float16).tolist()
    schema = pq.read_schema(folder / "rewards.parquet")
    at = schema.get_field_index("step_rewards")
    as_numpy = [row["step_rewards"] and list(map(np.float16, row["step_rewards"])) for row in rows]
    table = pa.Table.from_pylist(rows, schema=schema)
    values = pa.array(as_numpy, list_of(pa.float16())).cast(list_of(number))
    pq.write_table(table.set_column(at, "step_rewards", values), folder / "rewards.parquet")
    assert check_paths([folder])[folder] == []
    built = build(board)
    assert (built.submissions, built.left_out) == (1, ())


def test_a_wrong_column_is_told_what_is_accepted(folder: Path) -> None:
    """ "Expected double" would send those away whose float32 is welcome."""
    table = pq.read_table(folder / "rewards.parquet")
    at = table.schema.get_field_index("step_rewards")
    whole = pa.array([[1]] * table.num_rows, pa.list_(pa.int32()))
    pq.write_table(table.set_column(at, "step_rewards", whole), folder / "rewards.parquet")
    (found,) = check_paths([folder])[folder]
    assert found.expected == "a list of floating-point numbers of any width"


def test_strays_copies_and_names_that_differ_by_case(board: Path, folder: Path) -> None:
    """Files between folders are read by nobody; a copy is another's work; two spellings of a name are a trap for
    readers."""
    (board / "submissions" / "notes.txt").write_text("x")
    assert kinds(board) == {"extra-file"}
    (board / "submissions" / "notes.txt").unlink()
    other = board / "submissions" / "Some-Org__some.model_1" / COMMIT / POOL_ID
    shutil.copytree(folder, other)
    edit_json(other / "submission.json", name="Some-Org/some.model_1", model__id="Some-Org/some.model_1")
    assert kinds(board) == {"name", "copy"}


def test_one_fault_does_not_hide_the_others(board: Path, folder: Path) -> None:
    """Submitters mend everything in one go: a wrong field keeps only what needs it from being looked at."""
    edit_json(
        folder / "submission.json", accuracy=0.9, name="other/model", run__device_name="\0", disclosure__licence=""
    )
    rows = rows_of(folder)
    rows[3]["n_steps"] = 77
    write_rows(folder, rows[:-1])
    (folder / "notes").write_text("x")
    found = kinds(folder, board)
    assert found == {"field", "agreement", "text", "disclosure", "n-steps", "missing", "row-count", "extra-file"}


# --- verify
# ---------------------------------------------------------------------------------------------------------------


def verify(folder: Path, model=None, **options):
    results = folder.parents[3]
    given = {"sample": None, "seed": 1, "verified_by": "us"} | options
    return verify_submission(folder, registered_pools(results)[POOL_ID], model or Model(), **given)


def edit_rewards(folder: Path, rows: set[int], by: float) -> None:
    """Add to the rewards of 0-based rows, as a cheat would."""
    table = rows_of(folder)
    for at in rows:
        table[at]["step_rewards"] = [value + by for value in table[at]["step_rewards"]]
    write_rows(folder, table)


def test_verify_names_the_edited_candidates(folder: Path, capsys) -> None:
    """A cheat of three candidates is found by scoring all, named by row, and earns no tier."""
    edit_rewards(folder, {10, 20, 270}, 1.0)
    found = verify(folder)
    assert (found.verdict, found.beyond, found.compared) == ("differs", 3, 280)
    assert [each["row"] for each in found.worst] == [11, 21, 271] and found.max_difference > 0.1
    assert find_submissions(folder.parents[3])[0].tier == "recomputed"
    assert kinds(folder, folder.parents[3]) == {"verification"}


def test_noise_below_the_tolerance_is_no_difference(folder: Path) -> None:
    """Other batches and other GPUs give other last digits: an honest submission must not fail by them."""
    edit_rewards(folder, set(range(280)), 2e-5)
    assert verify(folder).verdict == "agrees"
    edit_rewards(folder, {5}, 1e-3)
    assert verify(folder).verdict == "differs"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "whatever"])
def test_the_submission_does_not_choose_the_tolerance(folder: Path, dtype: str) -> None:
    """Who says bfloat16 would be allowed a thousand times what the model differs by on the verifier's machine."""
    edit_rewards(folder, set(range(280)), 5e-2)
    edit_json(folder / "submission.json", model__dtype=dtype)
    found = verify(folder)
    assert (found.verdict, found.tolerance, found.noise) == ("differs", 1e-4, 0.0)


class Noisy(Model):
    """The model of the tests in half precision: what it gives depends on which candidates it gets together."""

    def describe(self):
        return super().describe() | {"dtype": "bfloat16"}

    def score(self, items):
        results = super().score(items)
        return [
            replace(
                each, values=tuple(value + 0.01 * ((len(items) + k) % 3 - 1) for k, value in enumerate(each.values))
            )
            for each in results
        ]


def test_many_edits_below_the_tolerance_are_seen_by_their_mean(folder: Path) -> None:
    """A single number may be far off; all of them, on the average, may not."""
    edit_json(folder / "submission.json", model__dtype="bfloat16")
    edit_rewards(folder, set(range(280)), 0.02)
    found = verify(folder, Noisy())
    assert (found.beyond, found.verdict) == (0, "differs")
    assert found.max_difference < found.tolerance < 8 * found.mean_difference and found.noise > 0


def test_answers_of_a_file_may_be_called_like_the_flags(folder: Path, tmp_path: Path) -> None:
    """The flags are flat; a file of the same names must not be refused for that."""
    flat = {f"trained_on_{name}": value for name, value in DISCLOSURE["trained_on"].items()}
    answers = {name: value for name, value in DISCLOSURE.items() if name != "trained_on"} | flat
    (tmp_path / "a.json").write_text(json.dumps(answers))
    edit_json(folder / "submission.json", disclosure=None)
    assert main(["submit-form", str(folder), "--answers", str(tmp_path / "a.json")]) == 0
    assert json.loads((folder / "submission.json").read_text())["disclosure"]["trained_on"] == DISCLOSURE["trained_on"]


def test_a_recipe_of_another_content_is_refused_of_new_submissions(folder: Path) -> None:
    """Whoever names a shipped recipe is taken to have used it."""
    edit_json(folder / "submission.json", model__recipe="miniature-prm", model__recipe_sha256="0" * 64)
    results = folder.parents[3]
    assert "recipe_sha256" in "".join(map(str, check_submission(folder, results, Options(new=True))))
    assert "recipe_sha256" not in "".join(map(str, check_submission(folder, results)))
    edit_json(folder / "submission.json", model__recipe_sha256=...)  # silence is no way around it
    assert "no recipe_sha256" in "".join(map(str, check_submission(folder, results, Options(new=True))))


def test_a_folder_between_is_neither_a_submission_nor_results(folder: Path) -> None:
    """One sentence says more than a list of faults that are none."""
    for path in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
        with pytest.raises(PrmEvalError, match="give a submission or a results folder"):
            check_paths([path])


def test_a_sample_of_all_is_all(folder: Path) -> None:
    """Whoever asks for more than there is has scored everything, and the file says so."""
    found = verify(folder, sample=1_000)
    assert (found.scope, found.seed, found.compared) == ("all", None, 280)


@pytest.mark.parametrize(
    "changes",
    [
        {"compared": 0},
        {"beyond": 999},
        {"tolerance": 1e300},
        {"scope": "all", "compared": 3},
        {"model__revision": "f" * 40},
    ],
)
def test_a_forged_verification_earns_no_tier(folder: Path, changes) -> None:
    """The board asks for what the checker asks for."""
    verify(folder)
    edit_json(folder / "verification.json", **changes)
    assert find_submissions(folder.parents[3])[0].tier == "recomputed"


def test_the_board_shows_what_the_verifier_got(folder: Path) -> None:
    """Within the tolerance someone may order candidates at will: the figures are those of the model's own rewards."""
    results, submitted = folder.parents[3], rows_of(folder)
    pool = registered_pools(results)[POOL_ID].pool
    honest = read_rewards(find_submissions(results)[0], pool)
    edit_rewards(folder, set(range(10, 280, 2)), 3e-5)
    found = verify(folder)
    (read,) = find_submissions(results)
    assert (found.verdict, read.tier, read.rewards.path.name) == ("agrees", "reproduced", VERIFIED)
    assert np.array_equal(read_rewards(read, pool), honest, equal_nan=True)
    assert [row["step_rewards"] for row in pq.read_table(folder / VERIFIED).to_pylist()] == [
        row["step_rewards"] for row in submitted
    ]
    assert check_submission(folder, results) == []
    assert main(["evaluate", str(pool.path), str(folder / VERIFIED), "--n", "2"]) == 0
    with (folder / VERIFIED).open("ab") as file:
        file.write(b"more")
    assert kinds(folder, results) == {"verification"}
    assert find_submissions(results)[0].tier == "recomputed"
    (folder / VERIFIED).unlink()
    assert kinds(folder, results) == {"verification"}
    assert find_submissions(results)[0].tier == "recomputed"


def test_nobody_brings_rewards_of_a_verification(folder: Path) -> None:
    """Without its verification.json the file means nothing, and the board would not read it."""
    shutil.copy(folder / "rewards.parquet", folder / VERIFIED)
    assert kinds(folder, folder.parents[3]) == {"verification"}
    assert find_submissions(folder.parents[3])[0].rewards.path.name == "rewards.parquet"
    verify(folder)  # nothing differs: nothing is kept
    assert not (folder / VERIFIED).exists() and kinds(folder, folder.parents[3]) == set()


def test_a_verification_of_other_rewards_earns_nothing(folder: Path) -> None:
    """Rewards that are edited after they were verified are not verified."""
    verify(folder)
    assert find_submissions(folder.parents[3])[0].tier == "reproduced"
    edit_rewards(folder, {0}, 1.0)
    assert find_submissions(folder.parents[3])[0].tier == "recomputed"


def test_another_aggregation_than_the_verified_one_earns_nothing(folder: Path) -> None:
    """Verified as it was, then shown as something else: the tier hung on figures of the first."""
    verify(folder)
    edit_json(folder / "submission.json", aggregation="last")
    assert kinds(folder, folder.parents[3]) >= {"verification"}
    assert find_submissions(folder.parents[3])[0].tier == "recomputed"


def test_verify_refuses_another_model(folder: Path) -> None:
    """Comparing another model's numbers would accuse an honest submitter."""

    class Other(Model):
        def describe(self):
            return super().describe() | {"revision": "f" * 40}

    with pytest.raises(PrmEvalError, match="not the same model"):
        verify(folder, Other())


def test_a_changed_prompt_is_seen_by_verify(folder: Path) -> None:
    """Equal numbers from another input are an accident, or a trick."""
    prompt_changed(folder)
    found = verify(folder)
    assert (found.inputs_differ, found.verdict) == (1, "differs")


def test_verify_scores_a_real_network_again(models, pool, tmp_path) -> None:
    """Other batches than those of the first run, the same numbers within float32: an honest network passes a sample."""
    pytest.importorskip("torch")
    from prm_eval.grading.pool import grade_pool

    grade_pool(pool)
    entry = register_pool(pool, tmp_path / "results", "small")
    model = load_reward_model(str(models["prm"]), dtype="float32", device="cpu")
    folder = add_submission(tmp_path / "results", pool, model, "my-org/my-prm")
    again = load_reward_model(str(models["prm"]), dtype="float32", device="cpu", batch_tokens=64)
    found = verify_submission(folder, entry, again, sample=5, seed=3, verified_by="us")
    assert (found.verdict, found.compared, found.inputs_differ) == ("agrees", 5, 0)
    assert check_submission(folder, tmp_path / "results") == []


@pytest.mark.parametrize(
    ("submitted", "flags", "used"),
    [("bfloat16", [], "bfloat16"), ("float32", [], "float32"), ("bfloat16", ["--dtype", "float32"], "float32")],
)
def test_verify_runs_in_the_dtype_of_the_submission(
    folder: Path, monkeypatch, capsys, submitted: str, flags: list[str], used: str
) -> None:
    """Run in another dtype, an honest submission differs by the rounding, and the tolerance for that would cover
    edits."""
    edit_json(folder / "submission.json", model__dtype=submitted)
    asked: list[dict] = []
    monkeypatch.setattr("prm_eval.rewards.load_reward_model", lambda name, **given: (asked.append(given), Model())[1])
    assert main(["verify", str(folder), "--reward-model", "x", "--all", *flags]) == 0
    assert [each["dtype"] for each in asked] == [used]


def test_the_stated_probability_of_detection_holds(folder: Path) -> None:
    """1 % of the candidates edited, many seeds: the share of samples that meet one is the probability that is
    printed."""
    of, sample, edited = 1_000, 100, 10
    stated = detection_probability(edited, sample, of)
    assert stated == pytest.approx(1 - math.comb(of - edited, sample) / math.comb(of, sample), rel=1e-12)
    generator, trials = np.random.default_rng(1), 1_000
    caught = 0
    for seed in range(trials):
        chosen = set(generator.choice(of, edited, replace=False).tolist())
        caught += bool(chosen & set(sample_rows(of, sample, seed).tolist()))
    assert abs(caught / trials - stated) < 4 * math.sqrt(stated * (1 - stated) / trials)
    assert detection_probability(0, sample, of) == 0.0 and detection_probability(1, of, of) == 1.0


@pytest.mark.unmeasured
def test_verify_itself_catches_at_the_stated_rate(folder: Path) -> None:
    """The same through the whole of verify: files, sampling, scoring, comparing."""
    edited = {7, 99, 215}  # 1 % of 280
    edit_rewards(folder, edited, 0.5)
    trials, sample = 30, 70
    caught = 0
    for seed in range(trials):
        (folder / "verification.json").unlink(missing_ok=True)  # drawing again is refused
        found = verify(folder, sample=sample, seed=seed)
        met = edited & set(sample_rows(280, sample, seed).tolist())
        assert found.beyond == len(met)
        assert found.verdict == ("differs" if met else "agrees")
        caught += bool(met)
    stated = detection_probability(len(edited), sample, 280)
    assert found.detection == stated
    assert abs(caught / trials - stated) < 4 * math.sqrt(stated * (1 - stated) / trials)


def test_a_sample_is_not_drawn_again_until_it_fits(folder: Path) -> None:
    """Its 95 % is what one draw says: another of about the same size would be a second chance."""
    verify(folder, sample=70, seed=1)
    for again in (70, 71, 139):
        with pytest.raises(PrmEvalError, match="a sample of 70 was drawn already, and another"):
            verify(folder, sample=again, seed=2)
    assert verify(folder, sample=140, seed=2).compared == 140
    with pytest.raises(PrmEvalError, match="140 candidates agreed before; 70 would say less"):
        verify(folder, sample=70, seed=2)
    assert verify(folder, sample=None).scope == "all" and verify(folder, sample=None).scope == "all"


def test_raw_rewards_are_compared_in_units_of_their_spread(pool, tmp_path) -> None:
    """A raw number has no scale of its own: 0.001 is nothing among rewards of a hundred, and much among thousandths."""
    from prm_eval.grading.pool import grade_pool
    from prm_eval.records import StepRewards

    class Raw(Model):
        kind, score_type, factor = "orm", "raw", 100.0

        def score(self, items):
            return [StepRewards((self.factor * len(item.text),)) for item in items]

    grade_pool(pool)
    entry = register_pool(pool, tmp_path / "results", "small")
    folder = add_submission(tmp_path / "results", pool, Raw(aggregation="last"), ENTRY)
    edit_rewards(folder, {0}, 0.01)
    assert (
        verify_submission(folder, entry, Raw(aggregation="last"), sample=None, seed=0, verified_by="us").verdict
        == "agrees"
    )
    edit_rewards(folder, {0}, 30.0)
    found = verify_submission(folder, entry, Raw(aggregation="last"), sample=None, seed=0, verified_by="us")
    assert (found.verdict, found.scale, found.worst[0]["row"]) == ("differs", "raw", 1)


def test_one_outlier_is_no_cover_for_edits_of_raw_rewards(pool, tmp_path) -> None:
    """The unit of comparison is the verifier's: a submitted -1e7 would make it so large that nothing differs."""
    from prm_eval.grading.pool import grade_pool
    from prm_eval.records import StepRewards

    class Raw(Model):
        kind, score_type = "orm", "raw"

        def score(self, items):
            return [StepRewards((float(len(item.text)),)) for item in items]

    grade_pool(pool)
    entry = register_pool(pool, tmp_path / "results", "small")
    folder = add_submission(tmp_path / "results", pool, Raw(aggregation="last"), ENTRY)
    edit_rewards(folder, {1, 2, 3, 4}, 50.0)
    edit_rewards(folder, {0}, -1e7)
    found = verify_submission(folder, entry, Raw(aggregation="last"), sample=None, seed=0, verified_by="us")
    assert (found.verdict, found.beyond) == ("differs", 5)


def test_the_unit_of_raw_rewards_is_robust() -> None:
    """The verifier's own outliers do not loosen it either; constants and nothing have a unit too."""
    assert spread_of([0.0, 1.0, 2.0, 3.0, 1e9]) < 3
    assert spread_of([5.0] * 10) == spread_of([]) == 1.0
    assert spread_of([0.0] * 9 + [1.0]) > 0


@pytest.mark.parametrize(("ours", "theirs"), [(-12.0, -31.0), (-12.0, -1000.0), (12.0, 1000.0), (-29.0, -1e9)])
def test_far_log_odds_hide_no_edit(ours, theirs) -> None:
    """A product of steps shows such an edit, whatever a probability says."""
    (found,) = differences(StepRewards((ours,)), StepRewards((theirs,)), "logodds")
    assert found > 1e-2
    assert differences(StepRewards((-31.0,)), StepRewards((-1000.0,)), "logodds")[0] < 1e-12
    assert differences(StepRewards((ours,)), StepRewards((theirs,)), "logit") == [found]
    assert differences(StepRewards((50.0,)), StepRewards((52.0,)), "percent") == [pytest.approx(0.02)]


def test_an_empty_file_of_rewards_has_totals(tmp_path) -> None:
    """A pool whose slots are all missing is scored like any other."""
    with RewardWriter(tmp_path) as writer:
        pass
    assert writer.totals() == {"candidates": 0, "tokens": None, "refused": {}}
