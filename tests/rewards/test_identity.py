"""What identifies a number: everything that decides it, so that nothing old is returned for something new; and
adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
import transformers
from safetensors.torch import load_file, save_file

from prm_eval.errors import ModelError, OtherRewards
from prm_eval.records import ScoringItem
from prm_eval.rewards import load_reward_model, score_pool
from tests.rewards import tiny as tiny_models

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

torch.set_num_threads(1)
ITEM = ScoringItem("Q", "a\nb", ("a", "b"))


def edit(file: Path, **changes) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_changed_template_or_config_is_another_model(models, pool, tmp_path) -> None:
    """Both decide every number of a local folder; the weights' hashes alone would give the old rewards for the new
    model."""
    for change in ("chat_template.jinja", "config.json"):
        folder = tmp_path / change
        shutil.copytree(models["orm_chat"], folder)
        score_pool(pool, load_reward_model(str(folder)), tmp_path / f"{change}-rewards")
        if change == "config.json":
            edit(folder / change, rope_parameters={"rope_type": "default", "rope_theta": 50.0})
        else:
            (folder / change).write_text((folder / change).read_text().replace("[", "<<"))
        with pytest.raises(OtherRewards):
            score_pool(pool, load_reward_model(str(folder)), tmp_path / f"{change}-rewards")


def test_a_cache_outlives_a_template_but_not_a_config(models, tmp_path) -> None:
    """Scores are kept by token ids, which a template decides: only the config is part of their key."""
    folder = tmp_path / "m"
    shutil.copytree(models["orm_chat"], folder)
    before = load_reward_model(str(folder)).identity_hash
    (folder / "chat_template.jinja").write_text((folder / "chat_template.jinja").read_text() + " ")
    assert load_reward_model(str(folder)).identity_hash == before
    edit(folder / "config.json", rms_norm_eps=0.5)
    assert load_reward_model(str(folder)).identity_hash != before


def test_constructing_reads_no_weights(models, monkeypatch) -> None:
    """Hashing 15 GB in the constructor of every rank and worker, to learn that an option is misspelt."""
    hashed: list[str] = []
    monkeypatch.setattr(
        "prm_eval.rewards.models.checkpoint.file_sha256", lambda path: hashed.append(path.suffix) or "0" * 64
    )
    model = load_reward_model(str(models["prm"]))
    assert ".safetensors" not in hashed
    assert model.describe()["weights_sha256"] == {"model.safetensors": "0" * 64}


# --- adapters
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def adapter(tmp_path):
    """(adapter folder as peft writes it, base folder)."""
    peft = pytest.importorskip("peft")
    tokenizer = tiny_models.qwen_tokenizer({" +": 488, " -": 481, " \n\n\n\n\n": 76325})
    base = tiny_models.save_causal(tmp_path / "base", "Qwen2", 152_064, tokenizer)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", base


def test_an_adapter_has_its_bases_config_and_tokenizer(adapter) -> None:
    """peft writes neither: a published adapter could not be loaded."""
    folder, _ = adapter
    assert not {"config.json", "tokenizer.json"} & {file.name for file in folder.iterdir()}
    assert len(load_reward_model(f"math-psa:{folder}").score([ITEM])[0].values) == 2


def test_all_of_an_adapter_and_its_base_identifies_its_numbers(adapter) -> None:
    """The scale stands in adapter_config.json and most of the weights in the base: changed, both gave the old
    scores."""
    folder, base = adapter
    first = load_reward_model(f"math-psa:{folder}")
    edit(folder / "adapter_config.json", lora_alpha=64)
    second = load_reward_model(f"math-psa:{folder}")
    described = second.describe()
    tiny_models.save_causal(base, "Qwen2", 152_064, first.tokenizer, seed=99)
    third = load_reward_model(f"math-psa:{folder}")
    assert first.describe() != described != third.describe()
    assert len({each.identity_hash for each in (first, load_reward_model(f"math-psa:{folder}"))}) == 2
    assert third.identity_hash != first.identity_hash


def test_a_pickled_adapter_is_not_loaded(adapter) -> None:
    """peft unpickles adapter_model.bin where there is no adapter_model.safetensors, whatever else lies there."""
    folder, _ = adapter
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(tensors, folder / "adapter_model.bin")
    save_file({"x": torch.zeros(1)}, folder / "other.safetensors")
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors; pickled weights are not loaded"):
        load_reward_model(f"math-psa:{folder}")
