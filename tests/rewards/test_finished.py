"""Reward folders that are finished, lost, or littered. If this were wrong, a command that was killed could not be
repeated, lost rewards could not be made again, or rewards of one model would pass for those of another."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval.errors import DataError, ModelError, OtherRewards, PrmEvalError
from prm_eval.rewards import RewardFile, load_reward_model, score_pool, taking
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.rewards.scoring import reward_slug
from prm_eval.rewards.taking import same_rewards, take_rewards
from prm_eval.store.writing import copy_file

JOURNALS = ("rewards.partial.jsonl", "scores.partial", "judgements.partial.jsonl")


class Counting(ArithmeticPRM):
    """Counts what it is asked."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.scored = 0

    def score(self, items):
        self.scored += len(items)
        return super().score(items)


@pytest.fixture
def folder(pool, tmp_path) -> Path:
    score_pool(pool, Counting(), tmp_path / "r")
    return tmp_path / "r"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


WHOLE = ["rewards.parquet", "submission.json"]


def edit(folder: Path, **changes: object) -> None:
    path = folder / "submission.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_killed_runs_left_beside_finished_rewards_goes(pool, folder) -> None:
    """The same command said that all was well, while `check` refused the submission for a hidden file."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for name in (*WHOLE, "verification.json", "verified.parquet", "judgements.jsonl"):
        (folder / f".{name}.{process.pid}.partial").touch()
    for name in JOURNALS:
        (folder / name).touch()
    model = Counting()
    assert score_pool(pool, model, folder).folder == folder
    assert (names(folder), model.scored) == (WHOLE, 0)


def test_the_journal_of_a_living_process_stays(pool, folder) -> None:
    """It is about to remove it itself; and what is no file of ours is nobody's leftover."""
    with (folder / JOURNALS[0]).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        (folder / JOURNALS[1]).symlink_to("submission.json")
        score_pool(pool, Counting(), folder)
        assert set(names(folder)) == {*WHOLE, *JOURNALS[:2]}


def test_leftovers_of_a_run_that_was_killed_before_its_end_go_too(pool, tmp_path, folder) -> None:
    """They are removed under the lock, when no other process can be writing there."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    other = tmp_path / "other"
    other.mkdir()
    (other / f".rewards.parquet.{process.pid}.partial").touch()
    score_pool(pool, Counting(), other)
    assert names(other) == WHOLE
    assert (other / "rewards.parquet").read_bytes() == (folder / "rewards.parquet").read_bytes()


LOSSES = {
    "removed": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "damaged": lambda path: path.write_bytes(path.read_bytes()[:8] + bytes(60) + path.read_bytes()[68:]),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_lost_rewards_are_scored_again(pool, folder, loss, caplog) -> None:
    """Whatever a power cut made of the file, the command said that it found no Parquet file, for ever; what people had
    said of the model is kept."""
    edit(folder, disclosure={"licence": "mit"})
    before = (folder / "rewards.parquet").read_bytes()
    LOSSES[loss](folder / "rewards.parquet")
    model = Counting()
    found = score_pool(pool, model, folder)
    assert model.scored > 0
    assert "the rewards are scored again" in caplog.text
    assert (folder / "rewards.parquet").read_bytes() == before
    assert found.info.disclosure == {"licence": "mit"}
    assert names(folder) == WHOLE


@pytest.mark.parametrize("content", [b"", b"\n", bytes(300)])
def test_a_description_that_a_power_cut_emptied_is_written_again(pool, folder, content) -> None:
    """A file system may keep a name and lose what it stands for."""
    (folder / "submission.json").write_bytes(content)
    assert score_pool(pool, Counting(), folder).info.kind == "prm"


def test_a_description_that_somebody_broke_is_not_thrown_away(pool, folder) -> None:
    """It may hold an hour's answers with a comma too many: the error says what to remove, and nothing is removed."""
    (folder / "submission.json").write_text('{"disclosure": {"licence": "mit",}}')
    with pytest.raises(DataError, match="remove it to score again"):
        score_pool(pool, Counting(), folder)
    assert names(folder) == WHOLE


def test_lost_rewards_of_another_model_say_what_to_remove(pool, folder) -> None:
    """Another folder would help as well, but the litter would stay."""
    (folder / "rewards.parquet").unlink()
    with pytest.raises(OtherRewards, match=r"Its rewards are lost \(found no such file\): remove the folder"):
        score_pool(pool, load_reward_model("boxed-support"), folder)


def test_long_names_of_models_are_folders(pool) -> None:
    """A checkpoint in a deep folder has a path longer than a file's name may be; two of them stay two."""
    long = ["/".join(["x" * 60] * 6) + f"/{which}/model" for which in "ab"]
    slugs = [reward_slug(name) for name in long]
    assert len({*slugs}) == 2
    assert all(len(slug.encode()) < 200 and slug.startswith("x") for slug in slugs)
    assert all("model" in slug for slug in slugs)
    assert len(reward_slug("ü" * 300).encode()) < 200
    assert reward_slug("a/b") == "a__b"


def test_rewards_are_taken_as_they_are(pool, tmp_path, folder) -> None:
    """The file is the same to the byte, the name is the new one, nothing is computed, and a second time changes
    nothing."""
    edit(folder, disclosure={"licence": "mit"})
    model, target = Counting(), tmp_path / "taken"
    for _ in range(2):
        found = take_rewards(pool, model, folder, target, "acme/thing")
        assert (found.info.name, found.info.model["id"]) == ("acme/thing", "acme/thing")
    assert model.scored == 0
    assert (target / "rewards.parquet").read_bytes() == (folder / "rewards.parquet").read_bytes()
    assert found.info.run == RewardFile(folder).info.run
    assert found.info.disclosure == {"licence": "mit"}
    assert names(target) == WHOLE
    assert same_rewards(pool, model) == []
    shutil.copytree(folder, pool.path / "rewards" / "mine")
    assert same_rewards(pool, model) == [pool.path / "rewards" / "mine"]


def test_a_folder_that_cannot_be_read_is_no_reason_not_to_score(pool, folder) -> None:
    """The hint that rewards could be taken ended the command, for a folder of somebody else's."""
    shutil.copytree(folder, pool.path / "rewards" / "mine")
    (pool.path / "rewards" / "broken").mkdir()
    (pool.path / "rewards" / "broken" / "submission.json").write_text("{")
    (pool.path / "rewards" / "broken" / "rewards.parquet").touch()
    assert same_rewards(pool, Counting()) == [pool.path / "rewards" / "mine"]


def test_who_waited_for_its_turn_looks_again(pool, tmp_path, folder, monkeypatch) -> None:
    """Two commands at once: the second copied over what the first had finished, verified perhaps."""
    target, lock = tmp_path / "taken", taking.PartialFile
    copied: list[Path] = []
    monkeypatch.setattr(taking, "copy_file", lambda source, path: (copied.append(path), copy_file(source, path)))

    def waiting(place: Path, key):
        monkeypatch.setattr(taking, "PartialFile", lock)
        take_rewards(pool, Counting(), folder, target, "acme/thing")  # the first one, meanwhile
        return lock(place, key)

    monkeypatch.setattr(taking, "PartialFile", waiting)
    take_rewards(pool, Counting(), folder, target, "acme/thing")
    assert len(copied) == 1 and names(target) == WHOLE


DIFFERENCES = [
    ({"pool_hash": "f" * 64}, "pool_hash = 'f{64}'; .* have '[0-9a-f]{64}'"),
    ({"kind": "orm"}, "kind = 'orm'; .* have 'prm'"),
    ({"score_type": "raw"}, "score_type = 'raw'; .* have 'logodds'"),
    ({"splitter": "line"}, "splitter = 'line'; .* have None"),
    ({"aggregation": "min"}, "aggregation = 'min'; .* have 'prod'"),
]
MODEL = {
    "id": "some/folder", "revision": "a" * 40, "weights_sha256": {"model.safetensors": "0" * 64, "b": "1" * 64},
    "config_sha256": "2" * 64, "tokenizer_sha256": {"tokenizer.json": "3" * 64}, "recipe": "qwen", "dtype": "float32",
    "recipe_sha256": "4" * 64, "device": "cuda", "max_tokens": 100, "separator": "\n", "versions": {"torch": "2"},
}  # fmt: skip
MODEL_DIFFERENCES = [
    ({"revision": "b" * 40}, "model.revision = 'b{40}'; .* have 'a{40}'"),
    (
        {"weights_sha256": {"model.safetensors": "0" * 64, "b": "9" * 64}},
        "model.weights_sha256.b = '9{64}'; .* have '1{64}'",
    ),
    ({"weights_sha256": {}}, "model.weights_sha256.b = 'nothing'; .* have '1{64}'"),
    ({"config_sha256": "9" * 64}, "model.config_sha256"),
    ({"tokenizer_sha256": {"tokenizer.json": "9" * 64}}, "model.tokenizer_sha256.tokenizer.json"),
    ({"recipe": "shepherd"}, "model.recipe = 'shepherd'; .* have 'qwen'"),
    ({"recipe_sha256": "9" * 64}, "model.recipe_sha256"),
    ({"dtype": "bfloat16"}, "model.dtype = 'bfloat16'; .* have 'float32'"),
    ({"max_tokens": 99}, "model.max_tokens = 99; .* have 100"),
    ({"separator": "\n\n"}, r"model.separator = '\\n\\n'; .* have '\\n'"),
    ({"adapter": "lora"}, "model.adapter = 'lora'; .* have 'nothing'"),
    ({"revision": None, "weights_sha256": {}, "id": "else"}, "model.id = 'else'"),
]


def test_a_branch_pins_nothing(pool, tmp_path) -> None:
    """Two repositories both have a branch "main": rewards of one were taken for the other's."""
    score_pool(pool, OfABranch(), tmp_path / "r")
    edit(tmp_path / "r", model={**OfABranch().describe(), "id": "else/where"})
    with pytest.raises(OtherRewards, match=r"model\.id = 'else/where'"):
        take_rewards(pool, OfABranch(), tmp_path / "r", tmp_path / "taken", "acme/thing")


@pytest.mark.parametrize("change, message", DIFFERENCES)
def test_rewards_of_something_else_are_not_taken(pool, tmp_path, folder, change, message) -> None:
    """The error names the first key that differs and both values, and nothing is written."""
    edit(folder, **change)
    with pytest.raises(OtherRewards, match=message):
        take_rewards(pool, Counting(), folder, tmp_path / "taken", "acme/thing")
    assert not (tmp_path / "taken").exists()


class Described(ArithmeticPRM):
    """Says of itself what it is told."""

    def describe(self):
        return dict(MODEL)


class OfABranch(ArithmeticPRM):
    """Known by a branch alone, as a model of a server is."""

    def describe(self):
        return {**MODEL, "revision": "main", "weights_sha256": {}}


@pytest.mark.parametrize("change, message", MODEL_DIFFERENCES)
def test_rewards_of_another_model_are_not_taken(pool, tmp_path, change, message) -> None:
    """A weight, a template, a number format, a length: each gives other rewards under the same name."""
    score_pool(pool, Described(), tmp_path / "r")
    edit(tmp_path / "r", model={**MODEL, **change})
    with pytest.raises(OtherRewards, match=message):
        take_rewards(pool, Described(), tmp_path / "r", tmp_path / "taken", "acme/thing")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "another/path/of/it"},
        {"device": "cpu", "versions": {"torch": "1"}},
        {"id": "else", "revision": None, "versions": {}},
        {"id": "else", "device": "cpu"},
    ],
)
def test_the_same_model_elsewhere_is_the_same(pool, tmp_path, change) -> None:
    """Where a checkpoint lay and what computed the rewards is no part of what they are of, and is kept as it was."""
    model = {**MODEL, **change}
    score_pool(pool, Described(), tmp_path / "r")
    edit(tmp_path / "r", model=model)
    if model["revision"] is None:
        with pytest.raises(OtherRewards, match=r"model\.revision = None"):
            take_rewards(pool, Described(), tmp_path / "r", tmp_path / "taken", "acme/thing")
        return
    found = take_rewards(pool, Described(), tmp_path / "r", tmp_path / "taken", "acme/thing")
    assert found.info.model == {**model, "id": "acme/thing"}


def test_rewards_that_cannot_be_a_submission_are_not_taken(pool, tmp_path, folder) -> None:
    """Of an older version, faulty, unfinished, or compared with themselves: each with the reason."""
    target = tmp_path / "taken"
    with pytest.raises(ModelError, match="stored rewards are no reward model"):
        take_rewards(pool, load_reward_model(f"stored:{folder}"), folder, target, "acme/thing")
    whole = json.loads((folder / "submission.json").read_text())
    edit(folder, schema="prm_eval.rewards/1", run={})
    with pytest.raises(DataError, match=r"found no run\.seconds, as older versions wrote"):
        take_rewards(pool, Counting(), folder, target, "acme/thing")
    edit(folder, **whole)
    (folder / "rewards.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not Parquet"):
        take_rewards(pool, Counting(), folder, target, "acme/thing")
    (folder / "submission.json").unlink()
    with pytest.raises(DataError, match=r"no submission\.json"):
        take_rewards(pool, Counting(), folder, target, "acme/thing")
    assert not target.exists()


def test_other_rewards_are_not_replaced(pool, tmp_path, folder) -> None:
    """A submission that is there was perhaps verified; to take others, somebody removes it."""
    target = tmp_path / "taken"
    take_rewards(pool, Counting(), folder, target, "acme/thing")
    table = RewardFile(folder).path
    shutil.copy(table, tmp_path / "kept")
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(table), table)
    with pytest.raises(OtherRewards, match="holds other rewards of this model already; remove it"):
        take_rewards(pool, Counting(), folder, target, "acme/thing")
    with pytest.raises(OtherRewards, match="holds rewards with name"):
        take_rewards(pool, Counting(), folder, target, "acme/another")
    (tmp_path / "file").touch()
    with pytest.raises(PrmEvalError, match="is a file"):
        take_rewards(pool, Counting(), folder, tmp_path / "file", "acme/thing")
