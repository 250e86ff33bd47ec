"""Recipes with real tokenizers and real solutions: the ids and read positions of the published references.

Made-up tokenizers merge what their few merges merge; real ones have their own ways with a space, a new line or the
first word behind a control token. ``python tests/real_tokenizers.py`` fetches them (.ci/run does); ``-s`` prints a line
a recipe.
"""

from __future__ import annotations

import functools
import json
import re
from itertools import islice

import pytest

pytest.importorskip("torch")

import torch
import transformers

from prm_eval.records import ScoringItem
from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.rewards.recipes.catalogue import named_recipe
from prm_eval.texts.steps import split_steps
from tests import real_tokenizers
from tests.rewards import reference_models as reference
from tests.rewards.test_parity import ELSEWHERE, LOG_RATIO, REFERENCES
from tests.rewards.tiny import CHATML, LLAMA3

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

# of positions in the stand-in for a model's output, so that softmax and its inverse keep them apart
SCALE = 1_000
OWN = re.compile(r"[\s#*]*Step\s+\d+\s*[:.]\**\s*")
GOOD = {648, 10, 488}  # "+" of Mistral, of Llama-3 and Qwen, and " +" of Qwen


def qwen(folder, *, renamed=None, bos=None):
    """Save the tokenizer of Qwen2.5; Qwen's own reward models call one of its control tokens <extra_0>."""
    source = real_tokenizers.folder() / "qwen2_5" / "tokenizer.json"
    content = json.loads(source.read_text(encoding="utf-8"))
    for token in content["added_tokens"]:
        token["content"] = (renamed or {}).get(token["content"], token["content"])
    folder.mkdir()
    (folder / "source.json").write_text(json.dumps(content), encoding="utf-8")
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "source.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token=bos
    )
    return saved(made, folder, CHATML)


def llama3(folder):
    """Save the tokenizer of Llama 3.1, with the words of the Instruct model's chat template."""
    source = real_tokenizers.folder() / "llama3_1" / "tokenizer.json"
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(source), bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", pad_token="<|eot_id|>"
    )
    return saved(made, folder, LLAMA3)


def llama2(folder, pad="</s>"):
    source = real_tokenizers.folder() / "llama2" / "tokenizer.json"
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(source), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token=pad
    )
    return saved(made, folder)


def mistral(folder, legacy, pad="</s>"):
    """Save Mistral's first tokenizer, converted; ``legacy`` puts a space before whatever follows a control token."""
    pytest.importorskip("sentencepiece", reason="sentencepiece, which reads Mistral's model, is not installed")
    made = transformers.LlamaTokenizer.from_pretrained(
        real_tokenizers.folder() / "mistral", legacy=legacy, add_bos_token=True, pad_token=pad
    )
    made.add_bos_token = True
    return saved(made, folder)


def saved(tokenizer, folder, chat=None):
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(folder)
    return folder


MADE = {
    "qwen": ("qwen2_5", lambda to: qwen(to, renamed={"<|quad_end|>": "<extra_0>"})),
    "qwen-with-bos": ("qwen2_5", functools.partial(qwen, bos="<|endoftext|>")),
    "llama-3.1": ("llama3_1", llama3),
    "llama-2": ("llama2", llama2),
    "mistral": ("mistral", functools.partial(mistral, legacy=False)),
    "mistral-legacy": ("mistral", functools.partial(mistral, legacy=True)),
    "mistral-padded-by-bos": ("mistral", functools.partial(mistral, legacy=False, pad="<s>")),
    "mistral-legacy-padded-by-bos": ("mistral", functools.partial(mistral, legacy=True, pad="<s>")),
}
QWEN, LLAMA = ("qwen",), ("llama-3.1",)
TOKENIZERS = {
    "qwen2.5-math-prm": QWEN,
    "qwen2.5-math-rm": QWEN,
    "math-shepherd": ("mistral", "mistral-legacy"),
    "rlhflow-prm-deepseek": LLAMA,
    "rlhflow-prm-mistral": LLAMA,
    "rlhflow-orm": LLAMA,
    "skywork-o1-prm": ("qwen-with-bos",),
    "reasoneval-7b": ("mistral-padded-by-bos", "mistral-legacy-padded-by-bos"),
    "reasoneval-34b": ("llama-2", "mistral", "mistral-legacy"),
    "pure": QWEN,
    "h4-prm-0.2": ("qwen", "qwen-with-bos"),
    "pure-prm800k": QWEN,
    "versaprm": LLAMA,
    "versaprm-qwen": QWEN,
    "math-psa": QWEN,
    "eurusprm-stage1": QWEN,
    "eurusprm-stage2": QWEN,
    "implicit-prm": QWEN,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a function from a tokenizer's name to its folder, which is made once."""
    folder = tmp_path_factory.mktemp("tokenizers")

    @functools.cache
    def make(name):
        source, build = MADE[name]
        if not real_tokenizers.is_here(source):
            pytest.skip("real tokenizers are not here: python tests/real_tokenizers.py fetches them")
        return build(folder / name)

    return make


@pytest.fixture(scope="module")
def tokenizer_of():
    """Return the references' reader of tokenizers, which reads each folder once: a real tokenizer takes a second."""
    return functools.cache(reference.tokenizer_of)


@pytest.fixture(scope="module")
def solutions(data):
    """Return 50 real solutions of 20 problems: (problem, text)."""
    found = []
    with (data / "bon" / "math_cot_100_rm.jsonl").open(encoding="utf-8") as lines:
        for k, row in enumerate(map(json.loads, islice(lines, 20))):
            samples = row["samples"][: 3 if k < 10 else 2]
            found += [(row["problem"], each if isinstance(each, str) else each["text"]) for each in samples]
    assert len(found) == 50
    return found


class Positions:
    """What stands in for a model's logits: their difference, good minus bad, is the position they are read at."""

    def __init__(self, n):
        self.at = torch.arange(n, dtype=torch.float64) / SCALE

    def __getitem__(self, index):
        rows, columns = index
        weights = torch.tensor([float(column in GOOD) for column in columns], dtype=torch.float64)
        return self.at[rows][..., None] * weights


def hidden(folder, ids, kind):
    """Hidden states that hold their own position, and heads that give it back as good minus bad."""
    at = (torch.arange(len(ids), dtype=torch.float64) / SCALE)[:, None].repeat(1, 2)
    first, none = [1.0, 0.0], [0.0, 0.0]
    double = functools.partial(torch.tensor, dtype=torch.float64)
    return at, {
        "score.0.weight": double([first, none]),
        "score.0.bias": double(none),
        "score.2.weight": double([none, first]),
        "score.2.bias": double(none),
        "score.weight": double([none, first]),
        "score.bias": double(none),
        "v_head.summary.weight": double([first]),
        "v_head.summary.bias": double([0.0]),
        "score_head.weight": double([none, first, [-1e6, 0.0]]),
    }


def expected(name, folder, problem, steps, monkeypatch):
    """The reference's ids and read positions."""
    if name in LOG_RATIO:
        ids, last = reference.eurus_input(folder, problem, steps)
        # models/logratio.py reads what the card reads: the new lines behind a step too, but behind the last one nothing
        return ids, [*(place - 1 for place in last[1:-1]), last[-1]]
    monkeypatch.setattr(reference, "causal_logits", lambda folder, ids: Positions(len(ids)))
    monkeypatch.setattr(reference, "hidden_states", hidden)
    if name == "qwen2.5-math-rm":  # one output, whose head gives no 0 here
        ids, _ = reference.qwen_rm(folder, problem, steps)
        return ids, [len(ids) - 1]
    ids, numbers = REFERENCES[name](folder, problem, steps)
    return ids, [round(number * SCALE) for number in numbers]


def test_every_recipe_has_real_tokenizers() -> None:
    """A new recipe that is read from hidden states is checked with a real tokenizer too."""
    assert set(TOKENIZERS) == {*REFERENCES, *LOG_RATIO}
    assert not set(TOKENIZERS) & set(ELSEWHERE)


@pytest.mark.parametrize(("name", "tokenizer"), [(name, each) for name, some in TOKENIZERS.items() for each in some])
def test_ids_and_positions_are_the_references(name, tokenizer, made, tokenizer_of, solutions, monkeypatch) -> None:
    """A model that is fed other ids, or read elsewhere, gives other numbers under the same name."""
    monkeypatch.setattr(reference, "tokenizer_of", tokenizer_of)
    folder, recipe = made(tokenizer), named_recipe(name)
    renderer = Renderer(recipe, reference.tokenizer_of(folder), name)
    refused = tokens = positions = 0
    for problem, text in solutions:
        # some references put "Step k: " before each step; what a step brings of its own is another test's business
        steps = tuple(filter(None, (OWN.sub("", step) for step in split_steps(text, recipe.splitter or "line"))))
        item = ScoringItem(problem, text, steps)
        found = renderer.render(item)
        if found.refusal is not None:
            refused += 1
            continue
        ids, read = expected(name, folder, problem, list(steps) if recipe.kind == "prm" else text, monkeypatch)
        assert list(found.ids) == ids
        assert list(found.positions) == read
        tokens, positions = tokens + len(ids), positions + len(read)
    print(f"{name:<22} {tokenizer:<30} {50 - refused} solutions: {tokens:,} ids, {positions:,} read positions")
    assert refused <= 5
