"""Implicit process reward models: a pair that is one, identified whole, within memory, and bounded."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("torch")

import torch

from prm_eval.errors import ModelError
from prm_eval.records import ScoringItem
from prm_eval.rewards import load_reward_model
from tests.conftest import make_tokenizer
from tests.rewards import tiny as tiny_models
from tests.rewards.test_identity import edit

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

torch.set_num_threads(1)


def item(problem: str, *steps: str) -> ScoringItem:
    return ScoringItem(problem, "\n\n".join(steps), steps)


def chat_tokenizer():
    tokenizer = make_tokenizer(chat=True)
    tokenizer.unk_token = None
    return tokenizer


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder, tokenizer = tmp_path_factory.mktemp("pair"), chat_tokenizer()
    return [
        tiny_models.save_causal(folder / name, "Qwen2", len(tokenizer), tokenizer, seed=seed)
        for seed, name in enumerate(("policy", "reference"))
    ]


def load(pair, **options):
    return load_reward_model(f"implicit-prm:{pair[0]}", reference=str(pair[1]), **options)


def test_two_tokenizers_are_no_pair(pair, tmp_path) -> None:
    """Of the same size, they give the likelihood of another text; a token added to one of them, as for padding, is
    harmless."""
    tokenizer = chat_tokenizer()
    vocabulary = {text: 99 - index if index < 100 else index for text, index in tokenizer.get_vocab().items()}
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    other = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    folder = tiny_models.save_causal(tmp_path / "other", "Qwen2", len(tokenizer), other)
    with pytest.raises(ModelError, match=r"are no pair: '.+' is token \d+ for one, \d+ for the other"):
        load([pair[0], folder])
    tokenizer.add_tokens(["[PAD]"])
    padded = tiny_models.save_causal(tmp_path / "padded", "Qwen2", len(tokenizer), tokenizer)
    assert load([padded, pair[1]]).name == str(padded)


@pytest.mark.parametrize("which", [0, 1])
def test_logits_that_are_scaled_are_refused_in_either_model(pair, tmp_path, which) -> None:
    """Log-likelihoods of unscaled logits are another model's."""
    tokenizer = chat_tokenizer()
    scaled = tiny_models.save_causal(tmp_path / "m", "Granite", len(tokenizer), tokenizer, logits_scaling=8.0)
    both = list(pair)
    both[which] = scaled
    with pytest.raises(ModelError, match=r"logits_scaling = 8\.0"):
        load(both)


def test_the_reference_is_part_of_what_is_described(pair, tmp_path) -> None:
    """Its config decides half of every number; its commit too, where it comes from the hub."""
    reference = tmp_path / "reference"
    shutil.copytree(pair[1], reference)
    before = load([pair[0], reference]).describe()
    edit(reference / "config.json", rms_norm_eps=0.5)
    model = load([pair[0], reference])
    assert model.describe() != before
    model = load([pair[0], reference])
    model._reference_config._commit_hash = "abc123"
    assert model.describe()["reference_revision"] == "abc123"
    with pytest.raises(ModelError, match="reference's config of 'nobody/nothing' cannot be loaded"):
        load([pair[0], "nobody/nothing@v2"])


@pytest.mark.parametrize(("option", "value"), [("cache", "somewhere"), ("engine", "vllm")])
def test_options_that_are_not_for_pairs_are_refused(pair, option, value) -> None:
    """Ignored, --cache kept nothing and --engine vllm was written down as what had computed."""
    with pytest.raises(ModelError, match=f"does not take these options: {option}"):
        load(pair, **{option: value})


def test_full_memory_splits_the_batch_and_refuses_only_what_does_not_fit(pair, monkeypatch) -> None:
    """A run of hours does not end in a traceback, nobody's number changes, and nothing keeps keys and values."""
    items = [item("Q", "a", "b" * k) for k in (1, 5, 9, 200)]
    expected = load(pair).score(items)
    model = load(pair)
    ratios = model._ratios

    def cramped(batch):
        if sum(len(one.ids) for one in batch) > 150:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (simulated)")
        return ratios(batch)

    monkeypatch.setattr(model, "_ratios", cramped)
    found = model.score(items)
    for one, other in zip(found[:3], expected[:3], strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-8)
    assert found[3].refusal.startswith("out of memory: ")
    cached: list[object] = []
    trunk = model._pair[0][0]
    trunk.register_forward_hook(lambda module, given, output: cached.append(output.past_key_values))
    monkeypatch.setattr(model, "_ratios", ratios)
    model.score(items[:1])
    assert cached == [None]


def test_positions_that_look_at_the_longest_sequence(tmp_path) -> None:
    """A long neighbour would give a short candidate of a Phi-3 pair the factors for long ones."""
    tokenizer = chat_tokenizer()
    rope = {"rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 64}
    both = [
        tiny_models.save_causal(
            tmp_path / name,
            "Phi3",
            len(tokenizer),
            tokenizer,
            seed=seed,
            original_max_position_embeddings=64,
            rope_parameters={**rope, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4},
        )
        for seed, name in enumerate(("policy", "reference"))
    ]
    model, short = load(both), item("Q", "a")
    alone = model.score([short])[0].values
    assert model.score([short, item("Q", "b" * 30)])[0].values == alone


def test_what_is_too_long_is_refused_before_its_prefixes_are_tokenised(pair, monkeypatch) -> None:
    """Each prefix is tokenised from the start: two thousand steps that are refused anyway cost minutes of a worker."""
    model = load(pair, max_tokens=300)
    encoded: list[int] = []
    encode = model.renderer.encode
    monkeypatch.setattr(model.renderer, "encode", lambda text: encoded.append(len(text)) or encode(text))
    many, long = model.score([item("Q", *["a"] * 2_000), item("Q", *["a"] * 200)])
    assert many.refusal == "over-length: 2000 steps, limit 300 tokens"
    assert long.refusal.startswith("over-length: ")
    assert long.n_tokens > 300
    assert len(encoded) <= 2
    monkeypatch.setattr(
        "prm_eval.rewards.inputs.pieces.MAX_PREFIX_CHARACTERS", 400
    )  # where the limit in tokens is large
    assert model.render(item("Q", *["a"] * 10)).refusal.startswith("over-length: prefixes of ")


def test_the_weights_of_both_are_let_go(pair) -> None:
    """Two 7B models that stay would leave no room for the next one, nor for the policy."""
    model = load(pair)
    before = model.score([item("Q", "a")])
    model.release()
    assert "_pair" not in vars(model)
    assert model.score([item("Q", "a")]) == before
