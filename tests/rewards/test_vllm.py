"""vLLM as backend: the same log-odds as our engine, where there is a vLLM and a GPU."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from prm_eval.errors import ModelError
from prm_eval.records import ScoringItem
from prm_eval.rewards import load_reward_model

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

torch = pytest.importorskip("torch")

ITEMS = [ScoringItem("What is 1+1?", "1+1 = 2\nso 2", ("1+1 = 2", "so 2")), ScoringItem("Q", "one", ("one",))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_vllm_gives_our_numbers(models, kind) -> None:
    """Real vLLM on a real GPU against our engine: probabilities within 1.5e-2, vLLM's own tolerance."""
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install vllm")
    if not torch.cuda.is_available():
        pytest.skip("vLLM needs a GPU and this machine has none")
    ours = load_reward_model(str(models[kind]), device="cuda", dtype="bfloat16").score(ITEMS)
    theirs = load_reward_model(str(models[kind]), engine="vllm", dtype="bfloat16").score(ITEMS)
    for one, other in zip(ours, theirs, strict=True):
        for a, b in zip(one.values, other.values, strict=True):
            assert torch.tensor([a]).sigmoid().item() == pytest.approx(torch.tensor([b]).sigmoid().item(), abs=1.5e-2)


class Stub:
    """Answers as vLLM's pooling does, from our own network: tests what we do with the answers, not vLLM."""

    def __init__(self, **options) -> None:
        self.options, self.network, self.asked = options, load_reward_model(options["model"]).engine.network, 0

    def encode(self, prompts, *, pooling_params, pooling_task, use_tqdm):
        self.asked += len(prompts)
        outputs = []
        for prompt in prompts:
            with torch.inference_mode():
                hidden = self.network.trunk(input_ids=torch.tensor([prompt["prompt_token_ids"]])).last_hidden_state[0]
                rows = self.network.head(hidden)
            outputs.append(
                SimpleNamespace(outputs=SimpleNamespace(data=rows if pooling_task == "token_classify" else rows[-1]))
            )
        return outputs


@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_what_vllm_answers_is_read_at_the_positions(models, monkeypatch, kind) -> None:
    """Rows are taken at the read positions, duplicates asked for once, order kept."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=Stub, PoolingParams=lambda **options: options))
    model = load_reward_model(str(models[kind]), engine="vllm")
    items = [*ITEMS, ITEMS[0]]
    for one, other in zip(load_reward_model(str(models[kind])).score(items), model.score(items), strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-5)
    assert model.engine._model.asked == 2
    assert model.engine._model.options["trust_remote_code"] is False
    assert model.describe()["engine"] == "vllm"


def test_without_vllm_the_error_says_what_to_install(models, monkeypatch) -> None:
    """A missing backend is a sentence."""
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match="pip install vllm"):
        load_reward_model(str(models["prm"]), engine="vllm").score(ITEMS)
    with pytest.raises(ModelError, match="unknown engine 'tpu'; expected one of local, vllm"):
        load_reward_model(str(models["prm"]), engine="tpu")


def test_vllm_is_refused_where_it_computes_something_else(models, tmp_path) -> None:
    """It pools the heads it knows: columns 0 and 1 of a vocabulary, read as two labels, are plausible numbers that mean
    nothing."""
    from tests.rewards import tiny

    tokenizer = tiny.sentencepiece_like({"ки": 12902, "+": 648, "-": 387})
    shepherd = tiny.save_causal(tmp_path / "m", "Mistral", 32_000, tokenizer)
    with pytest.raises(ModelError, match=r"classification checkpoints only .*MistralForCausalLM with the head lm_rows"):
        load_reward_model(f"math-shepherd:{shepherd}", engine="vllm")
    with pytest.raises(ModelError, match="engine=vllm takes no device, batch_tokens"):
        load_reward_model(str(models["prm"]), engine="vllm", device="cpu", batch_tokens=7)


def test_vllm_reads_a_whole_text_where_we_do(models, monkeypatch, tmp_path) -> None:
    """It classifies by the last token; where the template's last one is padding, transformers and we read the one
    before."""
    import json
    import shutil

    shutil.copytree(models["orm_chat"], tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**config, "pad_token_id": 2}))
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=Stub, PoolingParams=lambda **options: options))
    ours, theirs = (load_reward_model(str(tmp_path / "m"), engine=engine).score(ITEMS) for engine in ("local", "vllm"))
    for one, other in zip(ours, theirs, strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-5)
