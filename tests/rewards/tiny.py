"""Tiny random models of the real architectures, with tokenizers of the real shapes: the tokens a recipe names have
their real ids."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# How GPT-4-like tokenizers (Qwen2, Llama-3) cut before they merge.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = [
    "Step 1: We add the numbers. So x = 2.\n\nStep 2: Then (x + 1) = 3.\n\nHence \\boxed{3}.\n",
    "What is 1+1? Let's think step by step.\nQuestion:\nAnswer:\n user system assistant\n\n",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
]
CHATML = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\nPlease reason step by step, "
    "and put your final "
    "answer within \\boxed{}.<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: "
    "{% if date_string is defined %}{{ date_string }}{% else %}{{ strftime_now('%d %b %Y') }}{% endif %}{{ '\n\n' "
    "}}<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% "
    "endfor %}"
)
QWEN_SPECIALS = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, "<extra_0>": 151651}
LLAMA3_SPECIALS = {
    "<|begin_of_text|>": 128000,
    "<|start_header_id|>": 128006,
    "<|end_header_id|>": 128007,
    "<|eot_id|>": 128009,
}


def byte_level(
    fixed: dict[str, int],
    specials: dict[str, int],
    *,
    chat: str | None = None,
    bos: str | None = None,
    add_bos: bool = False,
):
    """A byte-level BPE of the Qwen2 and Llama-3 shape; ``fixed`` texts are single tokens with these ids."""
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend = Tokenizer(models.BPE())
    cut = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.pre_tokenizer = cut
    backend.train_from_iterator(CORPUS * 5 + [text for text in fixed for _ in range(2_000)], trainer)
    trained = json.loads(backend.to_str())["model"]
    wanted = {"".join(piece for piece, _ in cut.pre_tokenize_str(text)): index for text, index in fixed.items()}
    rebuilt = Tokenizer(
        models.BPE(
            vocab=renumber(trained["vocab"], {**wanted, **specials}), merges=[tuple(m) for m in trained["merges"]]
        )
    )
    rebuilt.pre_tokenizer, rebuilt.decoder = cut, decoders.ByteLevel()
    rebuilt.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    if add_bos:
        rebuilt.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, specials[bos])]
        )
    else:
        rebuilt.post_processor = processors.ByteLevel(trim_offsets=True)  # as Llama-3: white space gets empty spans
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rebuilt, bos_token=bos, eos_token=next(iter(specials)), pad_token=next(iter(specials))
    )
    tokenizer.chat_template = chat
    for text, index in {**fixed, **specials}.items():
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == [index], (text, index)
    return tokenizer


def sentencepiece_like(fixed: dict[str, int], pad: str = "</s>"):
    """A tokenizer of the Llama-2 and Mistral shape: a space is a visible mark, put before the text; unknown characters
    are bytes."""
    characters = sorted(set("".join(CORPUS)) - {"\n"})
    pieces = [
        *(f"<0x{i:02X}>" for i in range(256)),
        *(c.replace(" ", "▁") for c in characters),
        "▁",
        "+",
        "-",
        "к",
        "и",
        "ки",
        "▁ки",
        "▁+",
        "▁-",
        "▁▁",
    ]
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for piece in dict.fromkeys(pieces):
        vocabulary.setdefault(piece, len(vocabulary))
    merges = [("▁", "▁"), ("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-")]
    vocabulary = renumber(
        vocabulary, {f"▁{text}": index for text, index in fixed.items()}, keep={"<unk>": 0, "<s>": 1, "</s>": 2}
    )
    backend = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token=pad
    )


def renumber(vocabulary: dict[str, int], wanted: dict[str, int], keep: dict[str, int] | None = None) -> dict[str, int]:
    """Give the wanted ids to their tokens, and small free ids to the others."""
    result = {**(keep or {}), **wanted}
    taken, free = set(result.values()), 0
    for token in vocabulary:
        if token in result:
            continue
        while free in taken:
            free += 1
        result[token] = free
        taken.add(free)
    return result


def config(kind: str, vocabulary: int, **more):
    """A two-layer config of the real class."""
    return getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096, tie_word_embeddings=False, pad_token_id=None, bos_token_id=None,
        eos_token_id=None, **more,
    )  # fmt: skip


def randomise(model, seed: int):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.25, generator=generator)
    return model.eval()


def save_causal(
    folder: Path, kind: str, vocabulary: int, tokenizer, *, seed: int = 1, shard: str = "5GB", **more
) -> Path:
    """Save a random ...ForCausalLM."""
    model = randomise(getattr(transformers, f"{kind}ForCausalLM")(config(kind, vocabulary, **more)), seed)
    model.save_pretrained(folder, max_shard_size=shard)
    tokenizer.save_pretrained(folder)
    return folder


def save_trunk(
    folder: Path,
    kind: str,
    vocabulary: int,
    tokenizer,
    head: dict[str, tuple[int, ...]],
    architecture: str,
    *,
    seed: int = 1,
    **more,
) -> Path:
    """Save a random trunk with head tensors of these names and shapes beside it, as vendors' own classes do."""
    folder.mkdir(parents=True)
    settings = config(kind, vocabulary, **more)
    trunk = randomise(getattr(transformers, f"{kind}Model")(settings), seed)
    generator = torch.Generator().manual_seed(seed + 1)
    tensors = {f"model.{name}": tensor.contiguous() for name, tensor in trunk.state_dict().items()}
    tensors |= {name: torch.empty(shape).normal_(0, 0.5, generator=generator) for name, shape in head.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    description = settings.to_dict() | {
        "architectures": [architecture],
        "auto_map": {"AutoModel": f"modeling_own.{architecture}", "AutoConfig": "modeling_own.OwnConfig"},
    }
    (folder / "config.json").write_text(json.dumps(description, default=str))
    (folder / "modeling_own.py").write_text("raise SystemExit('a checkpoint\\'s own code was run')\n")
    tokenizer.save_pretrained(folder)
    return folder


def mlp(labels):
    return {
        "score.0.weight": (16, 16),
        "score.0.bias": (16,),
        "score.2.weight": (labels, 16),
        "score.2.bias": (labels,),
    }


def qwen_tokenizer(fixed: dict[str, int] | None = None, chat: str = CHATML, bos: str | None = None):
    return byte_level({"\n": 198, "\n\n": 271, **(fixed or {})}, QWEN_SPECIALS, chat=chat, bos=bos)


def llama3_tokenizer(fixed: dict[str, int] | None = None):
    names = {"+": 10, "-": 12, "\n\n": 271, **(fixed or {})}
    return byte_level(names, LLAMA3_SPECIALS, chat=LLAMA3, bos="<|begin_of_text|>", add_bos=True)


def build_models(folder: Path) -> dict[str, Path]:
    """One tiny checkpoint for every recipe that reads hidden states."""
    mistral = sentencepiece_like({"ки": 12902, "+": 648, "-": 387})
    llama3, qwen = llama3_tokenizer({" \n\n\n\n": 23535}), qwen_tokenizer()
    versa = qwen_tokenizer({"+": 10, "-": 12, " \n\n\n\n": 22701})
    psa = qwen_tokenizer({" +": 488, " -": 481, " \n\n\n\n\n": 76325})
    with_bos = qwen_tokenizer(bos="<|endoftext|>")
    built = {
        "qwen2.5-math-prm": save_trunk(folder / "prm", "Qwen2", 152_064, qwen, mlp(2), "Qwen2ForProcessRewardModel"),
        "qwen2.5-math-rm": save_trunk(folder / "rm", "Qwen2", 152_064, qwen, mlp(1), "Qwen2ForRewardModel"),
        "math-shepherd": save_causal(folder / "shepherd", "Mistral", 32_000, mistral, shard="1MB"),
        "rlhflow-prm-deepseek": save_causal(folder / "rlhflow", "Llama", 128_256, llama3),
        "versaprm": folder / "rlhflow",
        "versaprm-qwen": save_causal(folder / "versa", "Qwen2", 152_064, versa),
        "math-psa": save_causal(folder / "psa", "Qwen2", 152_064, psa),
        "skywork-o1-prm": save_trunk(
            folder / "skywork", "Qwen2", 152_064, with_bos, {"v_head.summary.weight": (1, 16),
            "v_head.summary.bias": (1,), "lm_head.weight": (152_064, 16)}, "Qwen2ForPrmModel"
        ),
        "reasoneval-7b": save_trunk(
            folder / "reasoneval7", "Mistral", 32_000, sentencepiece_like({}, pad="<s>"), {"score_head.weight": (3,
            16)}, "ReasonEval_7B"
        ),
        "reasoneval-34b": save_trunk(
            folder / "reasoneval34", "Llama", 32_000, sentencepiece_like({}), {"score_head.weight": (3, 16),
            "score_head.bias": (3,)}, "ReasonEval_34B"
        ),
        "eurusprm-stage1": save_causal(folder / "eurus", "Qwen2", 152_064, qwen, seed=3),
        "eurusprm-reference": save_causal(folder / "reference", "Qwen2", 152_064, qwen, seed=4),
        "pure": save_trunk(folder / "pure", "Qwen2", 152_064, qwen, {"score.weight": (2, 16), "score.bias": (2,)},
        "Qwen2ForTokenClassification"),
    }  # fmt: skip
    same = {
        "rlhflow-prm-mistral": "rlhflow-prm-deepseek", "rlhflow-orm": "rlhflow-prm-deepseek",
        "eurusprm-stage2": "eurusprm-stage1", "implicit-prm": "eurusprm-stage1", "pure-prm800k": "pure",
        "h4-prm-0.2": "pure",
    }  # fmt: skip
    return built | {name: built[other] for name, other in same.items()}
