"""Fixtures: the real data, small pools, and tiny random models made on the spot (no hub can be reached)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.skips import pytest_terminal_summary  # noqa: F401  (a hook: pytest finds it by its name)

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("PRM_EVAL_DATA", ROOT.parent / "shared" / "data"))


# The rooms with a floor of branch coverage (tests/floors.py); following each line of the others' tests takes minutes.
MEASURED = (
    "evaluation",
    "grading",
    "importers",
    "pools",
    "rewards",
    "selection",
    "stepsets",
    "store",
    "submissions",
    "texts",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Measure coverage where there is a floor, but not in what repeats one path ten thousand times (``unmeasured``).

    pytest-cov has a marker of its own (``no_cover``), which goes on measuring fixtures; the two must not meet in one
    test, for coverage that is started twice is never stopped again.
    """
    plugin = item.config.pluginmanager.getplugin("_cov")
    room = item.path.relative_to(ROOT / "tests").parts[0]
    measured = room in MEASURED or item.get_closest_marker("measured") is not None
    measured = measured and item.get_closest_marker("unmeasured") is None
    if measured or plugin is None or getattr(plugin, "cov_controller", None) is None:
        return (yield)
    plugin.cov_controller.pause()
    _stop_the_masters(plugin.cov_controller.cov)
    try:
        return (yield)
    finally:
        plugin.cov_controller.resume()


def _stop_the_masters(own: Any) -> None:
    """Stop the coverage that pytest-cov 7 starts in each worker as if it were the master, besides the worker's own.

    It is never read, but takes over as soon as the worker's own is paused: every test took twice to five times as long.
    """
    from coverage import Coverage

    while (other := Coverage.current()) is not None and other is not own:
        other.stop()


@pytest.fixture(scope="session")
def machine_described_once():
    """lm_eval describes the machine in every result, with a ``pip list`` of seconds: once for all runs is enough."""
    from functools import cache

    from torch.utils import collect_env

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect_env, "get_pretty_env_info", cache(collect_env.get_pretty_env_info))
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the real data is not here ({DATA}); set PRM_EVAL_DATA")
    return DATA


def write_jsonl(path: Path, rows: list[object]) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


PLAIN = [
    {
        "id": "a",
        "problem": "What is 1+1?",
        "answer": "2",
        "subject": "Algebra",
        "level": "Level 1",
        "samples": [
            {"text": "1+1 = 2\n\\boxed{2}", "correct": True, "score": 0.5, "step_scores": [0.9, 0.8]},
            {"text": "1+1 = 3\n\\boxed{3}", "correct": False, "score": 0.5, "step_scores": [0.1, 0.7]},
            {"text": "I give up", "correct": False, "score": 2.0, "step_scores": [0.95]},
            {"text": "two\nso \\boxed{\\frac{4}{2}}", "correct": True, "score": -1.0, "step_scores": [0.2, 0.3]},
        ],
    },
    {
        "id": "b",
        "problem": "What is 2*3?",
        "answer": "6",
        "subject": "Geometry",
        "level": 2,
        "samples": [
            {"text": "\\boxed{5}", "correct": False, "score": 1.5, "step_scores": [0.5]},
            {"text": "2*3 = 6\n\\boxed{6}", "correct": True, "score": 1.0, "step_scores": [0.6, 0.9]},
            {"text": "2*3 = 6.\n\nHence \\boxed{6}", "correct": True, "score": 0.0, "step_scores": [0.7, 0.7]},
            {"text": "\\boxed{5.0}", "correct": False, "score": 0.2, "step_scores": [0.4]},
        ],
    },
]


@pytest.fixture
def plain_file(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "plain.jsonl", PLAIN)


@pytest.fixture
def pool(plain_file: Path, tmp_path: Path):
    from prm_eval.importers import import_pool

    return import_pool(plain_file, tmp_path / "pool").pool


def make_tokenizer(chat: bool = False):
    """A character-level tokenizer: what it encodes it decodes, and separators never merge with their neighbours."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = ["<pad>", "<s>", "</s>", "<unk>", *(chr(i) for i in range(32, 127)), "\n"]
    backend = Tokenizer(models.WordLevel({c: i for i, c in enumerate(characters)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    if chat:
        tokenizer.chat_template = (
            "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
        )
    return tokenizer


def tiny_model(folder: Path, kind: str, *, labels: int = 2, chat: bool = False, max_positions: int = 2048) -> Path:
    """Save a two-layer random Llama of a kind: CausalLM, SequenceClassification or TokenClassification."""
    import torch
    import transformers

    torch.manual_seed(7)
    tokenizer = make_tokenizer(chat)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_positions,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        num_labels=labels,
    )
    model = getattr(transformers, f"LlamaFor{kind}")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("models")
    return {
        "policy": tiny_model(folder / "policy", "CausalLM"),
        "prm": tiny_model(folder / "prm", "TokenClassification"),
        "orm": tiny_model(folder / "orm", "SequenceClassification", labels=1),
        "orm_chat": tiny_model(folder / "orm_chat", "SequenceClassification", labels=1, chat=True),
    }
