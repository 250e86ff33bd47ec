"""The score cache: keyed by all that decides a score, never believing a damaged line, bounded, safe with several
processes."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.rewards.files.cache import ScoreFile, identity_hash, open_cache, score_key
from prm_eval.rewards.inputs.rendered import Rendered

torch = pytest.importorskip("torch")


IDENTITY = {"id": "m", "revision": "1", "dtype": "float32"}


def test_a_score_is_keyed_by_all_that_decides_it() -> None:
    """Another model, revision, dtype, id, order or read position is another score."""
    one = Rendered((1, 2, 3), (2,))
    name = identity_hash(IDENTITY)
    others = [score_key(identity_hash({**IDENTITY, key: "other"}), one) for key in IDENTITY]
    others += [
        score_key(name, each)
        for each in (Rendered((1, 2, 3), (1,)), Rendered((2, 1, 3), (2,)), Rendered((1, 2), (3, 2)))
    ]
    assert len({score_key(name, one), *others}) == 1 + len(others)


def test_scores_come_back_exactly(tmp_path) -> None:
    """Values survive the file to the last bit; an unknown candidate is unknown."""
    store = open_cache(tmp_path / "cache", IDENTITY)
    values = (float(torch.tensor(0.1)), -1e-30, 1e30, math.pi)
    store.add({Rendered((1, 2), (0, 1)): values})
    again = open_cache(tmp_path / "cache", IDENTITY)
    assert again.get(Rendered((1, 2), (0, 1))) == values
    assert again.get(Rendered((1, 2), (1,))) is None
    assert open_cache(tmp_path / "cache", {**IDENTITY, "dtype": "bfloat16"}).get(Rendered((1, 2), (0, 1))) is None
    assert json.loads(next((tmp_path / "cache").glob("*.json")).read_text())["model"] == IDENTITY


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-7],  # cut off by a kill
        lambda data: data.replace(b"0.5", b"0.7", 1),  # a flipped bit or an edited number
        lambda data: b"\xff\x00garbage\n" + data[30:],
        lambda data: data[:40] + b"\n" + data[40:],
    ],
)
def test_a_damaged_line_is_computed_again_never_believed(tmp_path, damage, caplog) -> None:
    """A checksum stands on every line; the file goes on being used."""
    path = tmp_path / "scores"
    store = ScoreFile(path, identity_hash(IDENTITY))
    first, second = Rendered((1,), (0,)), Rendered((2,), (0,))
    store.add({first: (0.5,)})
    store.add({second: (0.5,)})
    path.write_bytes(damage(path.read_bytes()))
    read = ScoreFile(path, identity_hash(IDENTITY))
    assert {read.get(first), read.get(second)} <= {(0.5,), None}
    assert len(read) < 2
    assert "damaged" in caplog.text
    read.add({first: (0.25,), second: (0.5,)})
    assert len(ScoreFile(path, identity_hash(IDENTITY))) == 2


def test_a_cache_is_bounded(tmp_path, caplog) -> None:
    """Beyond its size scores are still computed, only not kept; the user is told once."""
    store = ScoreFile(tmp_path / "s", identity_hash(IDENTITY), max_bytes=300)
    for k in range(9):
        store.add({Rendered((k,), (0,)): (1.0,)})
    assert (tmp_path / "s").stat().st_size <= 300
    assert caplog.text.count("further scores are not kept") == 1


def test_a_cache_that_cannot_be_written_says_so(tmp_path) -> None:
    """A file in the folder's place is a user's mistake, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PrmEvalError, match=r"--cache .*give a folder that can be written"):
        open_cache(tmp_path / "file", IDENTITY)


WRITER = """
import sys
from prm_eval.rewards.files.cache import ScoreFile
from prm_eval.rewards.inputs.rendered import Rendered
store = ScoreFile(__import__("pathlib").Path(sys.argv[1]), "ab" * 32)
for k in range(300):
    store.add({Rendered((int(sys.argv[2]), k), (0,)): (float(k),) * 50})
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path) -> None:
    """Three processes append to one file: every line is whole and there."""
    path = tmp_path / "scores"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(k)]) for k in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    store = ScoreFile(path, "ab" * 32)
    assert (len(store), store.damaged) == (900, 0)
    assert store.get(Rendered((2, 299), (0,))) == (299.0,) * 50
