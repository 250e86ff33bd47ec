"""Files that stopped the board, or that it and the checker saw otherwise: one board holds them all, and what it leaves
out is what ``prm-eval check`` finds, in the same words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.evaluation.pool_arrays import PoolArrays, load_arrays
from prm_eval.leaderboard import build
from prm_eval.pools.pool import Pool
from prm_eval.submissions import check_paths
from tests.leaderboard.board import edit_json, twin_pool
from tests.leaderboard.leaderboards import made_up, register, submit

pytestmark = pytest.mark.measured  # what the board and the commands refuse, rooms with a floor decide

POOL = "demo-35x8"
Spoil = Callable[[Path], Any]


def recast(name: str, kind: pa.DataType, **options: Any) -> Spoil:
    """The same numbers in another type."""

    def spoil(folder: Path) -> None:
        table = pq.read_table(folder / "rewards.parquet")
        at = table.schema.get_field_index(name)
        pq.write_table(table.set_column(at, name, table[name].cast(kind)), folder / "rewards.parquet", **options)

    return spoil


def rewritten(**options: Any) -> Spoil:
    return lambda folder: pq.write_table(
        pq.read_table(folder / "rewards.parquet"), folder / "rewards.parquet", **options
    )


def column(name: str, kind: pa.DataType, make: Callable[[list[Any]], list[Any]]) -> Spoil:
    """Another column in the place of one."""

    def spoil(folder: Path) -> None:
        table = pq.read_table(folder / "rewards.parquet")
        at = table.schema.get_field_index(name)
        own = pa.array(make(table[name].to_pylist()), kind)
        pq.write_table(table.set_column(at, name, own), folder / "rewards.parquet")

    return spoil


def raw(make: Callable[[int], float], aggregation: str = "min") -> Spoil:
    """Raw rewards: one number for all steps of a candidate, made from its row; the eighth has the text of the first."""

    def change(lists: list[list[float]]) -> list[list[float]]:
        return [[make(at % 7)] * len(each) for at, each in enumerate(lists)]

    def spoil(folder: Path) -> None:
        edit_json(folder / "submission.json", score_type="raw", aggregation=aggregation, model__recipe=None)
        edit_json(folder / "submission.json", model__recipe_sha256=None)
        column("step_rewards", pa.list_(pa.float64()), change)(folder)

    return spoil


def encrypted(plaintext_footer: bool) -> Spoil:
    def spoil(folder: Path) -> None:
        encryption = pytest.importorskip("pyarrow.parquet.encryption")

        class Kms(encryption.KmsClient):
            def __init__(self, config: object) -> None:
                super().__init__()

            def wrap_key(self, key: bytes, master: str) -> bytes:
                return base64.b64encode(key)

            def unwrap_key(self, key: bytes, master: str) -> bytes:
                return base64.b64decode(key)

        how = encryption.EncryptionConfiguration(
            footer_key="f", column_keys={"k": ["problem_id"]}, plaintext_footer=plaintext_footer
        )
        properties = encryption.CryptoFactory(Kms).file_encryption_properties(encryption.KmsConnectionConfig(), how)
        rewritten(encryption_properties=properties)(folder)

    return spoil


def fields(**changes: Any) -> Spoil:
    return lambda folder: edit_json(folder / "submission.json", **changes)


def wrapped_tokens(folder: Path) -> None:
    """Four times 2^62, and nothing else: the sum in 64 bits is 0."""
    column("n_tokens", pa.int64(), lambda values: [2**62] * 4 + [0] * (len(values) - 4))(folder)
    edit_json(folder / "submission.json", run__tokens=0)


TEXTS = ("problem_id", "candidate_id", "input_hash", "refusal")
SHOWN: dict[str, Spoil] = {
    "as it was": lambda folder: None,
    **{f"n_steps {kind}": recast("n_steps", kind) for kind in (pa.uint8(), pa.uint32(), pa.uint64(), pa.int8())},
    "n_tokens uint64": recast("n_tokens", pa.uint64()),
    "large texts": recast("candidate_id", pa.large_string()),
    "large lists": recast("step_rewards", pa.large_list(pa.float64())),
    "delta lengths": rewritten(
        use_dictionary=False, column_encoding=dict.fromkeys(TEXTS, "DELTA_LENGTH_BYTE_ARRAY"), compression="gzip"
    ),
    "delta texts": rewritten(use_dictionary=False, column_encoding=dict.fromkeys(TEXTS, "DELTA_BYTE_ARRAY")),
    "delta numbers": rewritten(
        use_dictionary=False, column_encoding={"n_steps": "DELTA_BINARY_PACKED", "n_tokens": "DELTA_BINARY_PACKED"}
    ),
    "split floats": rewritten(use_dictionary=False, column_encoding={"step_rewards.list.element": "BYTE_STREAM_SPLIT"}),
    "pages of version 2": rewritten(data_page_version="2.0", use_dictionary=["candidate_id"]),
    "largest": raw(lambda at: 1e250 * (-1) ** at),
    "smallest": raw(lambda at: 5e-324 * at),
    "one value": raw(lambda at: -3.0),
    "huge and tiny": raw(lambda at: (1e250, -1e250, 1e-300, 0.0)[at % 4] + at * 1e-3, "mean"),
    "sums of large ones": raw(lambda at: 9e249 + at * 1e248, "last"),
}
"""Files in order, however odd: they are shown."""
REFUSED: dict[str, tuple[str, Spoil]] = {
    "an encrypted column": ("parquet", encrypted(True)),
    "an encrypted footer": ("parquet", encrypted(False)),
    "steps that are not given": ("field", fields(splitter="given")),
    "rewards of 1.7e308": ("finite", raw(lambda at: 1.7e308 * (-1) ** at)),
    "a product beyond all measure": ("finite", raw(lambda at: 1e150, "prod")),
    "tokens that wrap": ("n-tokens", wrapped_tokens),
    "tokens beyond 2^63": ("n-tokens", column("n_tokens", pa.uint64(), lambda values: [2**64 - 1, *values[1:]])),
    "steps beyond 2^63": ("n-steps", column("n_steps", pa.uint64(), lambda values: [2**64 - 1, *values[1:]])),
    "bytes for ids": ("columns", recast("candidate_id", pa.binary())),
    "fixed lists": ("columns", column("step_rewards", pa.list_(pa.float32(), 1), lambda lists: [[0.5]] * len(lists))),
    "no rows": ("missing", lambda folder: pq.write_table(
        pq.read_table(folder / "rewards.parquet").slice(0, 0), folder / "rewards.parquet")),
    "another reward": ("aggregate", lambda folder: pq.write_table(
        (table := pq.read_table(folder / "rewards.parquet")).append_column("reward", pa.array([0.5] * len(table))),
        folder / "rewards.parquet")),
    "twins that differ": ("twins", column("step_rewards", pa.list_(pa.float64()), lambda lists: [
        [value + at * 1e-3 for value in each] for at, each in enumerate(lists)])),
    "a verification that is none": ("json", lambda folder: (folder / "verification.json").write_text("yes")),
    "two faults": ("totals", fields(run__tokens=1, run__candidates=3)),
    "no disclosure, and a row": ("disclosure", lambda folder: [
        fields(disclosure=None)(folder), column("n_steps", pa.int32(), lambda values: [99, *values[1:]])(folder)]),
}  # fmt: skip
"""Files with a fault that the board once did not see, saw otherwise, or died of."""


def alike(arrays: PoolArrays, seed: int) -> list[list[float]]:
    """Rewards that equal texts of a problem share, as they must."""
    values = made_up(arrays, seed)
    kept: dict[Any, list[float]] = {}
    rows = [row for _, table in arrays.pool.blocks(["problem_id", "text"]) for row in table.to_pylist()]
    return [kept.setdefault((row["problem_id"], row["text"]), each) for row, each in zip(rows, values, strict=True)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A results folder with a submission for every case."""
    folder = tmp_path_factory.mktemp("strangers") / "results"
    pool: Pool = register(folder, twin_pool(folder.parent / "pool"), POOL, "The demonstration")
    from prm_eval.grading.pool import grade_pool

    grade_pool(pool)
    arrays = load_arrays(pool)
    made: dict[str, Path] = {}
    for number, (case, spoil) in enumerate([*SHOWN.items(), *((k, each) for k, (_, each) in REFUSED.items())]):
        name = f"lab-{number:02d}/model-{'abcdefghjkmnpqrstuvwxyz'[number % 23]}"
        made[case] = submit(folder, arrays, POOL, alike(arrays, number), name=name, revision=f"{number:040x}")
        spoil(made[case])
    return folder, made


def test_one_board_holds_them_all_and_leaves_out_what_check_finds(results) -> None:
    """Of one encrypted file the process aborted; others were "in order" and left out, or refused and shown. Warnings
    are errors here, so none reaches a terminal either."""
    folder, made = results
    build(folder, jobs=2)
    board = json.loads((folder / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))
    left = {each["path"]: each["why"] for each in board["left_out"]}
    found = check_paths(list(made.values()))
    found = {case: found[path] for case, path in made.items()}
    place = {case: path.relative_to(folder).as_posix() for case, path in made.items()}
    assert {case for case in made if place[case] in left} == set(REFUSED)
    shown = {row["page"] for each in board["boards"] for row in each["rows"]}
    assert len(shown) == len(SHOWN)
    for case, (kind, _) in REFUSED.items():
        assert kind in {each.kind for each in found[case]}, case
        more = f" (and {len(found[case]) - 1} more)" if len(found[case]) > 1 else ""
        assert left[place[case]] == f"{found[case][0]}{more}".removeprefix(f"{place[case]}/")[:400], case
    for case in SHOWN:
        assert found[case] == [], case
    whole = check_paths([folder])[folder]
    assert {each.file.rpartition("/")[0] for each in whole} == set(left)


def test_a_copy_of_a_faulty_file_is_not_a_copy(results, tmp_path) -> None:
    """Who is named as the original of a copy must be in order, for the board as for the checker."""
    import shutil

    shutil.copytree(results[0], tmp_path / "results")
    folder = tmp_path / "results"
    for case in ("as it was", "rewards of 1.7e308"):
        path = folder / results[1][case].relative_to(results[0])
        name = f"another/{'x' if case == 'as it was' else 'y'}"
        to = folder / "submissions" / name.replace("/", "__") / path.parent.name / POOL
        shutil.copytree(path, to)
        edit_json(to / "submission.json", name=name, model__id=name)
    build(folder)
    left = json.loads((folder / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))["left_out"]
    why = {each["path"]: each["why"] for each in left if "another" in each["path"] or "[copy]" in each["why"]}
    checked = {each.file.rpartition("/")[0]: each.kind for each in check_paths([folder])[folder]}
    assert list(checked.values()).count("copy") == 1
    assert sum("[copy]" in each for each in why.values()) == 1
    assert all(f"[{checked[path]}]" in text for path, text in why.items())
