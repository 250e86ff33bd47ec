"""Whether a training fits on a GPU is said before weights are loaded, with what would fit."""

from __future__ import annotations

import pytest
from transformers import AutoConfig, Qwen2Config

from prm_eval.errors import ModelError
from prm_eval.training import preparing
from prm_eval.training.fitting import GIB, require_room, size_of, weights_of
from prm_eval.training.job import run_training
from prm_eval.training.options import TrainOptions
from tests.training import small

SEVEN_B = Qwen2Config(
    hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
    vocab_size=152_064, num_labels=2, tie_word_embeddings=False,
)  # fmt: skip


def test_numbers_of_a_model(tmp_path) -> None:
    """Otherwise the count is of another model than the one that is loaded."""
    import transformers

    folder = small.base(tmp_path / "base")
    config = AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert weights_of(config, "AutoModelForCausalLM") == sum(each.numel() for each in model.parameters())
    assert 7.0e9 < weights_of(SEVEN_B, "AutoModelForTokenClassification") < 7.2e9


@pytest.mark.parametrize(
    ("options", "free", "said"),
    [
        ({}, 80, r"this training needs at least 1\d\d\.\d GiB .*What would fit: .*--lora 16 .*several GPUs"),
        ({}, 16, r"Nothing of this base fits: take one of at most 1,074 million weights"),
        ({"lora": 16}, 30, r"What would fit: --checkpointing"),
    ],
)
def test_what_would_fit(options, free, said) -> None:
    """Otherwise a user learns only by an error of the GPU, and not what to do."""
    numbers = weights_of(SEVEN_B, "AutoModelForTokenClassification")
    chosen = TrainOptions("prm", **options)
    size = size_of(SEVEN_B, numbers, chosen, 8_192, half=True)
    with pytest.raises(ModelError, match=said):
        require_room(size, free * GIB, "cuda", chosen)
    require_room(size, 200 * GIB, "cuda", chosen)
    require_room(size, free * GIB, "cuda", TrainOptions("prm", fsdp="fsdp.json"))


def test_it_is_asked_before_the_data_are_read(tmp_path, monkeypatch) -> None:
    """Otherwise an hour of rendering passes before the GPU turns out to be too small."""
    small.base(tmp_path / "base")
    monkeypatch.setattr(preparing, "free_bytes", lambda device: 1_000)
    with pytest.raises(ModelError, match=r"cpu has 0\.0 GiB free"):
        run_training("nowhere", str(tmp_path / "base"), tmp_path / "out", TrainOptions("prm", unchecked=True))
