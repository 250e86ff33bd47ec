"""A good submission, corrupted in every way we could think of: each is found, in the right file and row, and none
breaks the checker."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.submissions import KINDS
from prm_eval.submissions.checking.check import Checker, Options
from prm_eval.submissions.checking.worker import MEMORY_BYTES
from tests.leaderboard.board import COMMIT, POOL_ID, edit_json, make_results, rows_of, write_rows

Mutation = Callable[[Path], Any]
SUBMISSION, REWARDS, VERIFICATION = "submission.json", "rewards.parquet", "verification.json"
CASES: list[tuple[str, Mutation, str, str, int | None]] = []  # name, mutation, kind, end of the file's name, row


def case(name: str, kind: str, file: str, mutation: Mutation, row: int | None = None) -> None:
    CASES.append((name, mutation, kind, file, row))


# --- submission.json
# -----------------------------------------------------------------------------------------------------


def text(content: str | bytes) -> Mutation:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / SUBMISSION).write_bytes(raw)


def swap(old: str, new: str) -> Mutation:
    def mutate(folder: Path) -> None:
        path = folder / SUBMISSION
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1), encoding="utf-8")

    return mutate


def fields(**changes: Any) -> Mutation:
    return lambda folder: edit_json(folder / SUBMISSION, **changes)


def edit_model(folder: Path, key: str) -> None:
    path = folder / SUBMISSION
    about = json.loads(path.read_text())
    about["model"][key] = 1
    path.write_text(json.dumps(about))


def half(name: str) -> Mutation:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


case("json: empty", "json", SUBMISSION, text(""))
case("json: cut off", "json", SUBMISSION, half(SUBMISSION))
case("json: a list", "json", SUBMISSION, text("[]"))
case("json: null", "json", SUBMISSION, text("null"))
case("json: not UTF-8", "json", SUBMISSION, text(b'{"name": "\xff"}'))
case("json: UTF-16", "json", SUBMISSION, text('{"name": "x"}'.encode("utf-16")))
case("json: byte order mark", "json", SUBMISSION, text(b"\xef\xbb\xbf{}"))
case("json: nested deeply", "json", SUBMISSION, text("[" * 100_000 + "]" * 100_000))
case("json: a key twice", "json", SUBMISSION, swap('"kind": "prm"', '"kind": "prm", "kind": "orm"'))
case("json: NaN", "json", SUBMISSION, swap('"resumed": 0', '"resumed": NaN'))
case("json: Infinity", "json", SUBMISSION, swap('"resumed": 0', '"resumed": -Infinity'))
case("json: 1e999", "json", SUBMISSION, swap('"resumed": 0', '"resumed": 1e999'))
case("json: a number of a million digits", "json", SUBMISSION, swap('"resumed": 0', '"resumed": ' + "1" * 200_000))
case("json: huge", "size", SUBMISSION, text(b" " * 10_000_000))
case("json: two objects", "json", SUBMISSION, text("{}{}"))
case("schema: another", "schema", SUBMISSION, fields(schema="prm_eval.rewards/99"))
case("schema: the old one", "schema", SUBMISSION, fields(schema="prm_eval.rewards/1"))
case("field: missing", "field", SUBMISSION, fields(score_type=...))
case("field: of no meaning", "field", SUBMISSION, fields(accuracy=0.99))
case("field: a wrong type", "field", SUBMISSION, fields(model="some/model"))
case("field: a number for a text", "field", SUBMISSION, fields(name=7))
case("field: more seconds than there are", "field", SUBMISSION, fields(run__seconds=1e10))
case("field: true for a number", "field", SUBMISSION, fields(run__candidates=True))
case("field: negative seconds", "field", SUBMISSION, fields(run__seconds=-1))
case("field: an unknown aggregation", "field", SUBMISSION, fields(aggregation="harmonic"))
case("field: an unknown splitter", "field", SUBMISSION, fields(splitter="word"))
case("field: kind", "field", SUBMISSION, fields(kind="PRM"))
case("field: 10,000 versions", "field", SUBMISSION, fields(run__versions={str(i): "1" for i in range(10_000)}))
case("field: a hash too short", "field", SUBMISSION, fields(pool_hash="abc"))
case("field: a long name", "field", SUBMISSION, fields(name="a/" + "b" * 5_000))
case("field: a count beyond all machines", "field", SUBMISSION, fields(model__version=10**19))
case("field: a key of 41 letters", "field", SUBMISSION, fields(**{"model__" + "k" * 41: 1}))
case("field: a key that is a sentence", "field", SUBMISSION, fields(**{"model__verified by us": "yes"}))
case("field: a key that is a mark", "field", SUBMISSION, fields(**{"model__\u25cf": 1}))
case("field: no key at all", "field", SUBMISSION, lambda f: edit_model(f, ""))
case("name: homoglyph", "field", SUBMISSION, fields(name="some-org/some.mоdel_1"))
case("name: path", "field", SUBMISSION, fields(name="../../etc/passwd"))
case("name: script", "field", SUBMISSION, fields(name="<script>alert(1)</script>/x"))
case("text: bidirectional override", "text", SUBMISSION, fields(disclosure__contact="me\u202egnp.exe"))
case("text: zero width", "text", SUBMISSION, fields(disclosure__licence="Apache\u200b-2.0"))
for blank in "\u3164\u2800\uffa0\u115f\u034f\ufe0f\U000e0101":
    case(f"text: U+{ord(blank):04X} shows nothing", "text", SUBMISSION, fields(disclosure__contact=blank * 3))
case("field: a badge for a device", "field", SUBMISSION, fields(run__device_name="cpu \u25cf reproduced"))
case("field: a badge for a dtype", "field", SUBMISSION, fields(model__dtype="\u2713 verified"))
case("disclosure: a badge", "disclosure", SUBMISSION, fields(disclosure__base_model="none \u2714"))
case("disclosure: a licence that says more", "disclosure", SUBMISSION, fields(disclosure__licence="MIT, verified!"))
case("text: escape codes", "text", SUBMISSION, fields(disclosure__notes="\x1b[2J"))
case("text: half a surrogate pair", "text", SUBMISSION, fields(disclosure__contact="\ud800"))
case("text: NUL", "text", SUBMISSION, fields(run__device_name="cpu\0"))
case("text: deep in a free field", "text", SUBMISSION, fields(run__engine={"a": {"b": ["\u2066"]}}))
case("agreement: another name", "agreement", SUBMISSION, fields(name="other/model"))
case("agreement: another id", "agreement", SUBMISSION, fields(model__id="other/model"))
case("agreement: another commit", "agreement", SUBMISSION, fields(model__revision="f" * 40))
case("revision: a branch", "field", SUBMISSION, fields(model__revision="main"))
case("revision: none", "revision", SUBMISSION, fields(model__revision=None))
case("revision: upper case", "field", SUBMISSION, fields(model__revision=COMMIT.upper()))
case("recipe: of another kind", "recipe", SUBMISSION, fields(model__recipe="sequence-classification"))
case("pool: another hash", "pool-hash", SUBMISSION, fields(pool_hash="0" * 64))
case("disclosure: none", "disclosure", SUBMISSION, fields(disclosure=None))
case("disclosure: left out", "disclosure", SUBMISSION, fields(disclosure=...))
case("disclosure: no licence", "disclosure", SUBMISSION, fields(disclosure__licence=...))
case("disclosure: blank contact", "disclosure", SUBMISSION, fields(disclosure__contact="   "))
case("disclosure: no data", "disclosure", SUBMISSION, fields(disclosure__training_data=[]))
case("disclosure: maybe", "disclosure", SUBMISSION, fields(disclosure__trained_on__prm800k="maybe"))
case("disclosure: a question not answered", "disclosure", SUBMISSION, fields(disclosure__trained_on__this_pool=...))
case("totals: candidates", "totals", SUBMISSION, fields(run__candidates=279))
case("totals: tokens", "totals", SUBMISSION, fields(run__tokens=1))
case("totals: refusals", "totals", SUBMISSION, fields(run__refused={"over-length": 1}))


# --- rewards.parquet, row by row
# -----------------------------------------------------------------------------------------


def rows(change: Callable[[list[dict[str, Any]]], Any]) -> Mutation:
    def mutate(folder: Path) -> None:
        table = rows_of(folder)
        write_rows(folder, change(table) or table)

    return mutate


def cell(at: int, **values: Any) -> Mutation:
    return rows(lambda table: table[at].update(values))


def nth(change: Callable[[list[float]], list[float]], at: int) -> Mutation:
    return rows(lambda table: table[at].update(step_rewards=change(table[at]["step_rewards"])))


case("row: missing", "missing", REWARDS, rows(lambda t: t[:100] + t[101:]))
case("row: the last one missing", "missing", REWARDS, rows(lambda t: t[:-1]))
case("row: all missing", "missing", REWARDS, rows(lambda t: t[:0] or [dict(t[0])]))
case("row: twice", "duplicate", REWARDS, rows(lambda t: [*t[:51], t[50], *t[51:]]), 52)
case("row: twice in place of another", "duplicate", REWARDS, rows(lambda t: [*t[:51], t[50], *t[52:]]), 52)
case("row: two exchanged", "order", REWARDS, rows(lambda t: [*t[:10], t[11], t[10], *t[12:]]), 11)
case("row: the last one first", "order", REWARDS, rows(lambda t: [t[-1], *t[:-1]]), 1)
case("row: sorted otherwise", "order", REWARDS, rows(lambda t: sorted(t, key=lambda row: row["candidate_id"])))
case("row: of another text", "unknown-candidate", REWARDS, cell(7, candidate_id="0007-00000000"), 8)
case("row: of another problem", "unknown-candidate", REWARDS, cell(7, problem_id="nowhere"), 8)
case("row: an id with a script", "unknown-candidate", REWARDS, cell(7, problem_id="<script>alert(1)</script>"), 8)
case("row: an id of bidirectional text", "unknown-candidate", REWARDS, cell(7, problem_id="\u202e"), 8)
case("row: one too many", "row-count", REWARDS, rows(lambda t: [*t, dict(t[0], problem_id="more")]))
case("row: NaN", "finite", REWARDS, nth(lambda v: [math.nan, *v[1:]], 20), 21)
case("row: infinity", "finite", REWARDS, nth(lambda v: [*v[:-1], math.inf], 279), 280)
case("row: minus infinity", "finite", REWARDS, nth(lambda v: [-math.inf] * len(v), 0), 1)
case("row: null among the rewards", "finite", REWARDS, nth(lambda v: [None, *v[1:]], 20), 21)
case("row: a reward too many", "step-count", REWARDS, rows(lambda t: longer(t, 20)), 21)
case("row: a reward too few", "step-count", REWARDS, rows(lambda t: shorter(t, 20)), 21)
case("row: n_steps", "n-steps", REWARDS, cell(33, n_steps=99), 34)
case("row: n_steps negative", "n-steps", REWARDS, cell(33, n_steps=-1), 34)
case("row: neither rewards nor refusal", "refusal", REWARDS, cell(33, step_rewards=None), 34)
case("row: no rewards in the list", "refusal", REWARDS, cell(33, step_rewards=[], n_steps=0), 34)
case("row: both", "refusal", REWARDS, cell(33, refusal="over-length"), 34)
case("row: a refusal without reason", "refusal", REWARDS, cell(33, refusal="", step_rewards=None, n_steps=0), 34)
case(
    "row: a refusal in control codes", "refusal", REWARDS, cell(33, refusal="\x1b[0m", step_rewards=None, n_steps=0), 34
)
case(
    "row: a refusal of 500 characters", "refusal", REWARDS, cell(3, refusal="x" * 500, step_rewards=None, n_steps=0), 4
)
case("row: a refusal of a megabyte", "bomb", REWARDS, cell(3, refusal="x" * 1_000_000, step_rewards=None, n_steps=0), 4)
case("row: a refusal that is not counted", "totals", SUBMISSION, cell(33, refusal="busy", step_rewards=None, n_steps=0))
case("row: a hash too short", "input-hash", REWARDS, cell(33, input_hash="abc"), 34)
case("row: a hash without tokens", "n-tokens", REWARDS, cell(33, n_tokens=None), 34)
case("row: a hash left out", "input-hash", REWARDS, lambda f: hash_left_out(f), 34)
case("row: negative tokens", "n-tokens", REWARDS, cell(33, n_tokens=-5), 34)
case("row: twins", "twins", REWARDS, rows(lambda t: twin(t)))
case("row: another problem's rewards", "step-count", REWARDS, rows(lambda t: shifted(t)))


def hash_left_out(folder: Path) -> None:
    edit_json(folder / SUBMISSION, model__recipe="token-classification")
    cell(33, input_hash=None)(folder)


def longer(table: list[dict[str, Any]], at: int) -> None:
    table[at]["step_rewards"] = [*table[at]["step_rewards"], 0.5]
    table[at]["n_steps"] += 1


def shorter(table: list[dict[str, Any]], at: int) -> None:
    assert table[at]["n_steps"] > 1
    table[at]["step_rewards"] = table[at]["step_rewards"][1:]
    table[at]["n_steps"] -= 1


def twin(table: list[dict[str, Any]]) -> None:
    """Two candidates of one problem with one text: the second gets another reward."""
    seen: dict[tuple[str, str], int] = {}
    for at, row in enumerate(table):
        if (row["problem_id"], row["input_hash"]) in seen:
            row["step_rewards"] = [value + 0.001 for value in row["step_rewards"]]
            return
        seen[row["problem_id"], row["input_hash"]] = at
    raise AssertionError("the demonstration has no two equal texts")


def shifted(table: list[dict[str, Any]]) -> None:
    moved = [row["step_rewards"] for row in table[8:]] + [row["step_rewards"] for row in table[:8]]
    for row, values in zip(table, moved, strict=True):
        row["step_rewards"], row["n_steps"] = values, len(values)


# --- rewards.parquet, as a file
# ------------------------------------------------------------------------------------------


def raw(content: bytes) -> Mutation:
    return lambda folder: (folder / REWARDS).write_bytes(content)


def table(change: Callable[[pa.Table], pa.Table], **options: Any) -> Mutation:
    def mutate(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / REWARDS)), folder / REWARDS, **options)

    return mutate


def flip(at: float, count: int = 40) -> Mutation:
    def mutate(folder: Path) -> None:
        content = bytearray((folder / REWARDS).read_bytes())
        start = int(at * len(content))
        for offset in range(start, min(start + count, len(content) - 8)):
            content[offset] ^= 0xA5
        (folder / REWARDS).write_bytes(bytes(content))

    return mutate


def recast(name: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    def change(t: pa.Table) -> pa.Table:
        at = t.schema.get_field_index(name)
        return t.set_column(at, name, pa.array([None] * t.num_rows, kind))

    return change


def with_reward(value: float) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.append_column("reward", pa.array([value] * t.num_rows))


def zeros(folder: Path) -> None:
    """A list of forty million zeros: some kilobytes packed."""
    schema = pq.read_schema(folder / REWARDS)
    own = rows_of(folder)
    own[5]["step_rewards"] = pa.array([0.0]).to_pylist()
    lists = pa.ListArray.from_arrays(
        pa.array([*([0] * 6), *([40_000_000] * (len(own) - 5))], pa.int32()),
        pa.array(memoryview(bytes(160_000_000)).cast("f"), pa.float32()),
    )
    columns = [
        lists if n == "step_rewards" else pa.array([row[n] for row in own], schema.field(n).type) for n in schema.names
    ]
    pq.write_table(
        pa.Table.from_arrays(columns, names=schema.names), folder / REWARDS, compression="zstd", use_dictionary=False
    )


def varint(value: int, width: int | None = None) -> bytes:
    """A number as Thrift's compact protocol writes it, padded to a width where one is given."""
    number, out = value << 1, bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    if width is not None:
        out[-1] |= 0x80
        out += bytes([0x80] * (width - len(out) - 1)) + b"\0"
    return bytes(out)


def hidden_zeros(folder: Path) -> None:
    """The same, with a footer that says that it is small."""
    zeros(folder)
    about = pq.ParquetFile(folder / REWARDS).metadata.row_group(0)
    content = (folder / REWARDS).read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    body, footer = content[: -8 - length], content[-8 - length :]
    at = [about.column(i).path_in_schema for i in range(about.num_columns)].index("step_rewards.list.element")
    for large in {about.column(at).total_uncompressed_size, about.column(at).num_values, about.total_byte_size}:
        assert large > 10_000_000 and varint(large) in footer
        footer = footer.replace(varint(large), varint(300, len(varint(large))))
    (folder / REWARDS).write_bytes(body + footer)
    assert pq.ParquetFile(folder / REWARDS).metadata.row_group(0).column(at).num_values == 300


def dictionary_bomb(folder: Path) -> None:
    """One id of 30 MB, used by every row: one page on disk, gigabytes as Python strings."""
    own = rows_of(folder)
    for row in own:
        row["refusal"], row["step_rewards"], row["n_steps"] = "x" * 30_000, None, 0
    write_rows(folder, own, compression="zstd")


def many_rows(folder: Path) -> None:
    own = rows_of(folder)
    write_rows(folder, own * 2_000, compression="zstd")


def lying_footer(folder: Path) -> None:
    """A footer that claims other sizes than the pages have."""
    content = (folder / REWARDS).read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    (folder / REWARDS).write_bytes(content[:-8] + (length * 100).to_bytes(4, "little") + content[-4:])


case("file: empty", "parquet", REWARDS, raw(b""))
case("file: text", "parquet", REWARDS, raw(b"problem_id,reward\n1,2\n"))
case("file: magic and nothing", "parquet", REWARDS, raw(b"PAR1PAR1"))
case("file: a zip", "parquet", REWARDS, raw(b"PK\x03\x04" + bytes(1_000)))
case("file: cut off", "parquet", REWARDS, half(REWARDS))
case("file: footer cut off", "parquet", REWARDS, lambda f: os.truncate(f / REWARDS, (f / REWARDS).stat().st_size - 4))
case("file: footer that lies", "parquet", REWARDS, lying_footer)
case("file: pages damaged", "parquet", REWARDS, flip(0.2, 400))
case("file: huge", "size", REWARDS, lambda f: os.truncate(f / REWARDS, 3 * 1024**3))
case("file: larger than its pool", "size", REWARDS, lambda f: os.truncate(f / REWARDS, 50_000_000))
case("columns: one missing", "columns", REWARDS, table(lambda t: t.drop_columns(["n_steps"])))
case("columns: one too many", "columns", REWARDS, table(lambda t: t.append_column("grade", t.column("n_steps"))))
case("columns: renamed", "columns", REWARDS, table(lambda t: t.rename_columns([n.upper() for n in t.column_names])))
case("columns: rewards as text", "columns", REWARDS, table(recast("step_rewards", pa.string())))
case("columns: ids as bytes", "columns", REWARDS, table(recast("candidate_id", pa.binary())))
case("columns: nested lists", "columns", REWARDS, table(recast("step_rewards", pa.list_(pa.list_(pa.float32())))))
case("columns: ids null", "null", REWARDS, table(recast("problem_id", pa.string())), 1)
case("columns: n_steps null", "null", REWARDS, table(recast("n_steps", pa.int32())), 1)
case("columns: another reward", "aggregate", REWARDS, table(with_reward(0.5)), 1)
case("columns: reward NaN", "aggregate", REWARDS, table(with_reward(math.nan)), 1)
case("row groups: one a row", "row-groups", REWARDS, table(lambda t: t, row_group_size=1))
case("bomb: a list of forty million", "bomb", REWARDS, zeros)
case("bomb: a footer that hides it", "parquet", REWARDS, hidden_zeros)
case("bomb: one text in every row", "bomb", REWARDS, dictionary_bomb, 1)
case("bomb: 560,000 rows", "bomb", REWARDS, many_rows)


# --- the folder
# ----------------------------------------------------------------------------------------------------------


def link(name: str, to: str) -> Mutation:
    def mutate(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(to)

    return mutate


def folder_for_file(folder: Path) -> None:
    (folder / REWARDS).unlink()
    (folder / REWARDS).mkdir()


def pipe(folder: Path) -> None:
    (folder / SUBMISSION).unlink()
    os.mkfifo(folder / SUBMISSION)


def verification(**changes: Any) -> Mutation:
    def mutate(folder: Path) -> None:
        from prm_eval.submissions import registered_pools, verify_submission
        from tests.leaderboard.board import Model

        pool = registered_pools(folder.parents[3])[POOL_ID]
        verify_submission(folder, pool, Model(), sample=20, seed=1, verified_by="us")
        edit_json(folder / VERIFICATION, **changes)

    return mutate


case("folder: no submission.json", "missing-file", SUBMISSION, lambda f: (f / SUBMISSION).unlink())
case("folder: no rewards", "missing-file", REWARDS, lambda f: (f / REWARDS).unlink())
case("folder: another file", "extra-file", "grades.parquet", lambda f: (f / "grades.parquet").write_text("x"))
case("folder: a hidden file", "extra-file", ".env", lambda f: (f / ".env").write_text("x"))
case("folder: a folder", "extra-file", "more", lambda f: (f / "more").mkdir())
case("folder: 1,000 files", "extra-file", "0000", lambda f: [(f / f"{i:04}").touch() for i in range(1_000)])
case("folder: a name of control codes", "extra-file", "x1b[2J", lambda f: (f / "\x1b[2J").touch())
case("folder: a link for the rewards", "link", REWARDS, link(REWARDS, "/etc/passwd"))
case("folder: a link upwards", "link", SUBMISSION, link(SUBMISSION, "../../../../../pyproject.toml"))
case("folder: a link to itself", "link", SUBMISSION, link(SUBMISSION, SUBMISSION))
case("folder: a folder for the rewards", "link", REWARDS, folder_for_file)
case("folder: a pipe", "link", SUBMISSION, pipe)
case("verification: not JSON", "json", VERIFICATION, lambda f: (f / VERIFICATION).write_text("yes"))
case("verification: empty", "verification", VERIFICATION, lambda f: (f / VERIFICATION).write_text("{}"))
case("verification: of other rewards", "verification", VERIFICATION, verification(rewards_sha256="0" * 64))
case("verification: of another pool", "verification", VERIFICATION, verification(pool_hash="0" * 64))
case("verification: differs", "verification", VERIFICATION, verification(verdict="differs"))
for forged in (
    {"compared": 0},
    {"compared": 281},
    {"of": 20},
    {"of": 10**15, "compared": 10**14},
    {"scope": "all"},
    {"beyond": 1},
    {"inputs_differ": 1},
    {"tolerance": 1e300},
    {"max_difference": 0.01},
    {"mean_difference": 0.00002},
    {"detection": 1.0},
    {"model__revision": "f" * 40},
    {"model__id": "other/model"},
):
    case(f"verification: forged: {forged}", "verification", VERIFICATION, verification(**forged))
case("verification: a forged verdict", "verification", VERIFICATION, verification(verdict="agrees, honestly"))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("good") / "results")


@pytest.fixture(scope="module")
def checker(good: Path):
    one = Checker(good.parents[3])
    yield one
    one.close()


@pytest.fixture
def submission(good: Path, tmp_path: Path):
    """The good submission; put back afterwards."""
    shutil.copytree(good, tmp_path / "kept")
    yield good
    shutil.rmtree(good)
    shutil.copytree(tmp_path / "kept", good)


def test_a_good_submission_has_no_fault(good: Path, checker: Checker) -> None:
    """A checker that finds faults in what prm-eval score wrote would be of no use."""
    assert checker.submission(good) == []


def test_there_are_enough_and_of_every_kind() -> None:
    """A kind of fault that no corruption produces is a check that nobody has seen work."""
    assert len(CASES) >= 60
    assert len({name for name, *_ in CASES}) == len(CASES)
    elsewhere = {
        "path",
        "name",
        "copy",
        "pool-unknown",
        "pool-absent",
        "pool-registry",
        "pool-content",
        "verification-own",
        "rule",
        "stepwise",
        "threshold",
        "figures",
    }
    assert {kind for _, _, kind, _, _ in CASES} | elsewhere == set(
        KINDS
    )  # test_submissions.py and test_step_submissions.py have the others


@pytest.mark.parametrize(
    ("mutation", "kind", "file", "row"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_the_corruption_is_found(
    submission: Path, checker: Checker, mutation, kind: str, file: str, row: int | None
) -> None:
    """The fault is named: its kind, its file, its row where it has one; within seconds, without a crash, in plain
    ASCII."""
    mutation(submission)
    started = time.monotonic()
    faults = checker.submission(submission)
    assert time.monotonic() - started < 30
    matching = [each for each in faults if each.kind == kind and each.file.endswith(file)]
    assert matching, [str(each) for each in faults]
    if row is not None:
        assert row in [each.row for each in matching], [str(each) for each in matching]
    for each in faults:
        assert str(each).isascii() and str(each).isprintable()
        assert len(str(each)) < 1_000
    assert len(faults) < 300
    json.dumps([each.__dict__ for each in faults])


def test_random_damage_breaks_nothing(submission: Path, checker: Checker) -> None:
    """Bytes changed anywhere: an answer comes, and it comes from the checker and not from a crash of it."""
    chance = random.Random(3)
    names = (REWARDS, SUBMISSION)
    kept = {name: (submission / name).read_bytes() for name in names}
    for _ in range(80):
        name = chance.choice(names)
        content = bytearray(kept[name])
        for _ in range(chance.choice((1, 3, 30))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        (submission / name).write_bytes(bytes(content))
        for each in checker.submission(submission):
            assert each.kind in KINDS and str(each).isascii()
        (submission / name).write_bytes(kept[name])
    assert checker.submission(submission) == []


def test_the_reader_is_limited(good: Path, checker: Checker) -> None:
    """What no look at the metadata foresees must still not take the machine's memory."""
    assert checker.submission(good) == []
    limits = Path(f"/proc/{checker._worker._child.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max address space")]
    assert line.split()[3] == str(MEMORY_BYTES)
    # nothing is in it that no question needs: pyarrow imports pandas where it can
    loaded = Path(f"/proc/{checker._worker._child.pid}/maps").read_text()
    assert "pyarrow" in loaded and "pandas" not in loaded


def test_the_checker_goes_on_after_a_file_that_killed_its_reader(good: Path) -> None:
    """One stranger's file must not end the check of the others."""
    checker = Checker(good.parents[3], Options())
    try:
        assert checker.submission(good) == []
        os.kill(checker._worker._child.pid, 9)
        faults = checker.submission(good)
        assert [each.kind for each in faults] in ([], ["parquet"])  # the question that was lost is answered with why
        assert checker.submission(good) == []
    finally:
        checker.close()
