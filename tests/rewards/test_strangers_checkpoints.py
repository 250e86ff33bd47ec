"""Checkpoints, adapters and chat templates made to mislead a loader, or to keep it waiting: each is one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from prm_eval.errors import ModelError, escaped
from prm_eval.records import ScoringItem
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.inputs.limited import render_template
from prm_eval.rewards.models.checkpoint import input_hashes
from tests.conftest import make_tokenizer, tiny_model
from tests.rewards import tiny as tiny_models

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

WEIGHTS, CONFIG = "model.safetensors", "config.json"
INDEX = f"{WEIGHTS}.index.json"
ITEM = ScoringItem("Q", "a\nb", ("a", "b"))
Spoil = Callable[[Path], Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = tiny_model(tmp_path_factory.mktemp("good") / "m", "TokenClassification")
    make_tokenizer().save_pretrained(folder)
    return folder


def config(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(content | changes))

    return spoil


def tensors(change: Callable[[dict[str, Any]], Any], name: str = WEIGHTS) -> Spoil:
    def spoil(folder: Path) -> None:
        stored = load_file(folder / WEIGHTS)
        save_file(change(stored) or stored, folder / name, metadata={"format": "pt"})

    return spoil


def header(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """The weights with another header."""

    def spoil(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        length = int.from_bytes(content[:8], "little")
        own = json.loads(content[8 : 8 + length])
        new = change(own) or own
        text = new if isinstance(new, bytes) else json.dumps(new).encode()
        (folder / WEIGHTS).write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])

    return spoil


def twice(content: dict[str, Any]) -> bytes:
    return (json.dumps(content)[:-1] + f', "score.weight": {json.dumps(content["score.weight"])}}}').encode()


def tokenizer(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").write_text(json.dumps(content | changes))

    return spoil


def pipe(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


def raw(name: str, content: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(content)


def indexed(folder: Path) -> None:
    tensors(lambda stored: None, "a.safetensors")(folder)
    names = dict.fromkeys(load_file(folder / WEIGHTS), "a.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": names}))


def shards(folder: Path) -> None:
    """Two shards that both have the head; the index names the first."""
    tensors(lambda stored: None, "a.safetensors")(folder)
    tensors(lambda stored: {"score.weight": -stored["score.weight"]}, "b.safetensors")(folder)
    names = dict.fromkeys(load_file(folder / WEIGHTS), "a.safetensors") | {"more": "b.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": names}))
    (folder / WEIGHTS).unlink()


def shard_elsewhere(file: str) -> Spoil:
    """An index that leads to a file elsewhere, where another file of that name lies in the folder."""

    def spoil(folder: Path) -> None:
        tensors(lambda stored: None, "a.safetensors")(folder)
        (folder / file).parent.mkdir(exist_ok=True)
        tensors(lambda stored: {"score.weight": -stored["score.weight"]}, file)(folder)
        names = dict.fromkeys(load_file(folder / WEIGHTS), file)
        (folder / INDEX).write_text(json.dumps({"weight_map": names}))
        (folder / WEIGHTS).unlink()

    return spoil


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "Sequence", "normalizers": []}
    for _ in range(depth):
        inner = {"type": "Sequence", "normalizers": [inner]}
    return inner


def crowd(folder: Path) -> None:
    """More files than anybody looks at, and one behind them."""
    for number in range(10_001):
        (folder / f"{number}.txt").touch()


REPLACE = [{"type": "Replace", "pattern": {"String": each}, "content": "ab" * 1_000} for each in "ea"]
CASES: dict[str, tuple[Spoil, str, str]] = {
    # name: (what is spoilt, the file that is named, what is said)
    "a second file": (
        tensors(lambda t: {"score.weight": -t["score.weight"]}, "zz.safetensors"), "zz.safetensors", "score.weight"),
    "a name with and without prefix": (
        tensors(lambda t: t.update({"norm.weight": -t["model.norm.weight"]})), WEIGHTS, "model.norm.weight"),
    "an index and a model": (indexed, "", "found both model.safetensors and"),
    "a tensor in two shards": (shards, "b.safetensors", "found the tensor 'score.weight'; expected it once"),
    "a shard in a folder": (shard_elsewhere("b/a.safetensors"), INDEX, "the weight file 'b/a.safetensors'; expected"),
    "a shard that is a pickle": (shard_elsewhere("a.bin"), INDEX, "the weight file 'a.bin'; expected"),
    "more sides than a header needs": (
        header(lambda h: h["score.weight"].update(shape=[10**4000] * 2_000)), WEIGHTS, "'score.weight'"),
    "more files than are looked at": (crowd, "", "found more than 10,000 files"),
    "another file of weights": (config(transformers_weights="zz.safetensors"), CONFIG, "transformers_weights"),
    "a tensor twice in the header": (header(twice), WEIGHTS, "the key 'score.weight' twice"),
    "a key twice": (
        lambda f: (f / CONFIG).write_text((f / CONFIG).read_text().rstrip()[:-1] + ', "model_type": "gpt2"}'),
        CONFIG, "the key 'model_type' twice"),
    "no weights": (raw(WEIGHTS, b""), WEIGHTS, "0 bytes without a header"),
    "cut off": (lambda f: os.truncate(f / WEIGHTS, (f / WEIGHTS).stat().st_size - 9), WEIGHTS, "bytes of tensors"),
    "a header too large": (raw(WEIGHTS, (10**12).to_bytes(8, "little") + b"{}"), WEIGHTS, "without a header"),
    "a deep header": (header(lambda h: b"[" * 50_000), WEIGHTS, "nested too deeply"),
    "lying offsets": (header(lambda h: h["score.weight"].update(data_offsets=[0, 4])), WEIGHTS, "'score.weight'"),
    "lying shapes": (header(lambda h: h["score.weight"].update(shape=[9, 9])), WEIGHTS, "'score.weight'"),
    "a pickle": (lambda f: torch.save({"a": torch.ones(1)}, f / WEIGHTS), WEIGHTS, "expected a safetensors file"),
    "whole numbers": (tensors(lambda t: {k: v.to(torch.int8) for k, v in t.items()}), WEIGHTS, "of I8; expected one"),
    "an unknown quantization": (config(quantization_config={"quant_method": "evil"}), CONFIG, "quant_method = 'evil'"),
    "a dtype": (config(dtype="evil"), CONFIG, "dtype = 'evil'"),
    "an epsilon": (config(rms_norm_eps="x"), CONFIG, "rms_norm_eps = 'x'; expected a number above 0"),
    "no heads": (config(num_attention_heads=0), CONFIG, "num_attention_heads = 0"),
    "a padding token": (config(pad_token_id=10**7), CONFIG, "pad_token_id = 10000000; expected an id below vocab_size"),
    "a list for a type": (config(model_type=["llama"]), CONFIG, "model_type = ['llama']; expected a text"),
    "control characters": (config(model_type="\x1b[2J\u202e"), CONFIG, r"'\x1b[2J\u202e'; expected texts without"),
    "no positions": (config(max_position_embeddings=0), CONFIG, "max_position_embeddings = 0; expected a whole"),
    "negative positions": (config(max_position_embeddings=-5), CONFIG, "max_position_embeddings = -5"),
    "a million layers": (config(num_hidden_layers=10**6), CONFIG, "num_hidden_layers = 1000000; expected at most 1,0"),
    "more layers than tensors": (config(num_hidden_layers=999), "", "says num_hidden_layers = 999; found 22 tensors"),
    "a billion labels": (config(num_labels=10**9), CONFIG, "num_labels = 1000000000"),
    "a huge vocabulary": (config(vocab_size=10**8), "", "says vocab_size x hidden_size = 3,200,000,000"),
    "deep brackets": (raw(CONFIG, b"[" * 100_000), CONFIG, "nested too deeply"),
    "an activation": (config(hidden_act="evil/act"), "", "cannot be loaded: KeyError: 'evil/act'"),
    "heads that do not divide": (config(num_attention_heads=3), "", "cannot be loaded: "),
    **{f"a pipe for {name}": (pipe(name), name, "not a plain file")
       for name in (WEIGHTS, CONFIG, "tokenizer.json", "chat_template.jinja")},
    "a tokenizer that writes": (
        tokenizer(normalizer={"type": "Sequence", "normalizers": REPLACE}), "tokenizer.json", "4,000,000 characters"),
    "a number of normalizers": (
        tokenizer(normalizer={"type": "Sequence", "normalizers": 5}), "tokenizer.json", "normalizers = 5"),
    "normalizers nested": (tokenizer(normalizer=nested(9)), "tokenizer.json", "nested too deeply"),
    "a tokenizer by version": (
        raw("tokenizer_config.json", b'{"fast_tokenizer_files": ["tokenizer.4.0.json"]}'), "tokenizer_config.json",
        "fast_tokenizer_files"),
    "no tokenizer": (raw("tokenizer.json", b"{}"), "tokenizer.json", "a tokenizer that fails on short texts"),
    "a tokenizer's config": (raw("tokenizer_config.json", b'{"a": 1, "a": 2}'), "tokenizer_config.json", "'a' twice"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_checkpoint_is_one_line(good, tmp_path, case: str) -> None:
    """Doubled tensors inverted all rewards, pipes and a million layers hung, the rest were tracebacks."""
    spoil, file, message = CASES[case]
    folder = tmp_path / "m"
    shutil.copytree(good, folder)
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        load_reward_model(f"token-classification:{folder}").score([ITEM])
    said = str(caught.value)
    assert message in said and str(folder / file).rstrip("/") in said
    assert said.isprintable()


def test_templates_beside_the_tokenizer_are_part_of_its_identity(good, tmp_path) -> None:
    """Another template there is another input, under the same hashes."""
    folder = tmp_path / "m"
    shutil.copytree(good, folder)
    before = input_hashes(str(folder))
    assert input_hashes(str(good)) == before
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "rag.jinja").write_text("x")
    after = input_hashes(str(folder))
    assert after["config_sha256"] == before["config_sha256"]
    assert after["tokenizer_sha256"] != before["tokenizer_sha256"]


def test_the_attention_is_ours(good, tmp_path) -> None:
    """A config could name a kernel of the hub, which is code; it changes nothing."""
    expected = load_reward_model(f"token-classification:{good}").score([ITEM])[0].values
    for key in ("attn_implementation", "_attn_implementation"):
        folder = tmp_path / key
        shutil.copytree(good, folder)
        config(**{key: "evil/kernel"})(folder)
        assert load_reward_model(f"token-classification:{folder}").score([ITEM])[0].values == expected


def test_messages_act_on_no_terminal() -> None:
    """An error quotes what stands in strangers' files."""
    assert str(ModelError("found \x1b[2J\u202e\ud800 é 数")) == r"found \x1b[2J\u202e\ud800 é 数"
    assert escaped("two\nlines") == "two\nlines"


# --- chat templates
# -----------------------------------------------------------------------------------------------------

TURNS = [{"role": "user", "content": "1 < 2 & é"}, {"role": "assistant", "content": "yes"}]
OPTIONS = {"bos_token": "<s>", "date_string": "26 Jul 2024"}


@pytest.mark.parametrize("template", [tiny_models.CHATML, tiny_models.LLAMA3, "{% for m in messages %}{{ m | tojson }}"
                                      "{% endfor %}{% if tools %}x{% endif %}{{ add_generation_prompt }}"])  # fmt: skip
def test_templates_give_what_transformers_gives(template: str) -> None:
    """Inputs made elsewhere would be other inputs: rewards would move, and hashes."""
    own = make_tokenizer()
    own.chat_template = template
    for prompt in (False, True):
        options = {**OPTIONS, "add_generation_prompt": prompt}
        there = own.apply_chat_template(TURNS, tokenize=False, **options)
        assert render_template(template, TURNS, {**own.special_tokens_map, **options}, "m") == there


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ [1, 2] | random }}", "draws at random"),
        ("{{ lipsum() }}", "draws at random"),
        ("{{ messages.copy }}", "another text each time|unsafe"),
        ("{{ dict(a=1, b=2, c=3, d=4, e=5, f=6, g=7).keys() - [] }}", "another text each time"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "no decision within"),
        ("{{ 'a ' * 2000000 }}", "writes 4,000,000 characters; expected at most"),
        ("{% set x = 'x' * 6000000000 %}", "of memory"),
        ("{{ cycler.__init__.__globals__ }}", "unsafe"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% for %}", "fails: Expected"),
    ],
)
def test_templates_are_bounded_and_repeatable(template: str, why: str) -> None:
    """A template that hangs, fills the memory or draws at random makes inputs that nobody can make again."""
    with pytest.raises(ModelError, match=why):
        render_template(template, TURNS, OPTIONS, "m")
    assert render_template("x", TURNS, OPTIONS, "m") == "x"


# --- adapters
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """An adapter as peft writes it, of a base that lies beside it."""
    peft = pytest.importorskip("peft")
    import transformers

    root = tmp_path_factory.mktemp("adapter")
    own = tiny_models.qwen_tokenizer({" +": 488, " -": 481, " \n\n\n\n\n": 76325})
    base = tiny_models.save_causal(root / "base", "Qwen2", 152_064, own)
    adapted = peft.get_peft_model(
        transformers.AutoModelForCausalLM.from_pretrained(base),
        peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(root / "adapter")
    return root / "adapter"


def adapted(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return spoil


def lora(change: Callable[[dict[str, Any], str], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        stored = load_file(folder / "adapter_model.safetensors")
        change(stored, sorted(stored)[0])
        save_file(stored, folder / "adapter_model.safetensors")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (adapted(target_modules="(.*)*q_proj(.*)*[!]"), "found a pattern that fails"),
        (adapted(base_model_name_or_path="https://evil/x"), "expected a folder that is here, or a hub id"),
        (adapted(base_model_name_or_path="a/\x1b[2J"), "texts without control"),
        (adapted(base_model_name_or_path=[1]), "names no base_model_name_or_path"),
        (adapted(revision=7), "revision = 7; expected the name of a revision"),
        (adapted(peft_type="EVIL"), "does not fit"),
        (adapted(r="x"), "does not fit"),
        (lambda folder: (folder / "adapter_config.json").write_text("[1]"), "found a JSON list"),
        (lora(lambda stored, name: stored.pop(name)), "missing adapter keys"),
        (lora(lambda stored, name: stored.update({name.replace("lora_A.", "lora_A.default."): stored[name] * 2})),
         "expected it once"),
    ],
)  # fmt: skip
def test_a_bad_adapter_is_one_line(adapter, tmp_path, spoil: Spoil, message: str) -> None:
    """A pattern backtracked without end in peft; a lacking tensor left a part of the base as it was."""
    shutil.copytree(adapter, tmp_path / "a")
    spoil(tmp_path / "a")
    with pytest.raises(ModelError) as caught:
        load_reward_model(f"math-psa:{tmp_path / 'a'}").score([ITEM])
    assert message in str(caught.value) and str(caught.value).isprintable()


def test_a_pattern_that_ends_is_taken(adapter, tmp_path) -> None:
    """Adapters are published with patterns, too."""
    shutil.copytree(adapter, tmp_path / "a")
    adapted(target_modules=r".*\.(q_proj|v_proj)")(tmp_path / "a")
    one, other = (load_reward_model(f"math-psa:{each}").score([ITEM])[0].values for each in (adapter, tmp_path / "a"))
    assert one == other


def test_the_base_of_an_adapter_is_named_before_it_is_asked_for(adapter, tmp_path, caplog) -> None:
    """The adapter's author chooses whom this machine asks."""
    shutil.copytree(adapter, tmp_path / "a")
    adapted(base_model_name_or_path="nobody-knows/no-such-base")(tmp_path / "a")
    with pytest.raises(ModelError, match="nobody-knows/no-such-base"):
        load_reward_model(f"math-psa:{tmp_path / 'a'}")
    assert "names the base nobody-knows/no-such-base, which the hub is asked for" in caplog.text
