"""The engine: right to 1e-5 against a plain slow forward, nothing computed twice, nothing lost, nobody's neighbour."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.records import StepRewards
from prm_eval.rewards import load_reward_model, score_pool
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.store.journal import read_journal
from tests.conftest import write_jsonl

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from prm_eval.rewards.engine.batches import Packed, Padded  # noqa: E402
from prm_eval.rewards.engine.engine import Engine, Unfit, is_out_of_memory  # noqa: E402
from prm_eval.rewards.engine.packing import common_prefix, lay_out, shared_tokens  # noqa: E402

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

torch.set_num_threads(1)
WIDTH = 32


class TinyNetwork:
    """A random decoder and a head of two labels; ``fails`` makes it run out of memory above so many rows."""

    def __init__(self, config, model=None, fails: int | None = None) -> None:
        torch.manual_seed(5)
        self.model = (model or transformers.AutoModel.from_config(config)).eval()
        with torch.no_grad():
            for parameter in self.model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.2)
        self.linear, self.fails, self.rows = torch.nn.Linear(config.hidden_size, 2), fails, 0

    @property
    def trunk(self):
        return self

    @property
    def config(self):
        return self.model.config

    def modules(self):
        return self.model.modules()

    def __call__(self, input_ids, **inputs):
        if self.fails is not None and input_ids.numel() > self.fails:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (simulated)")
        return self.model(input_ids=input_ids, **inputs)

    def head(self, hidden):
        assert hidden.dtype == torch.float32
        self.rows += len(hidden)
        return self.linear(hidden)


SIZES = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 60, "pad_token_id": 0}
CONFIGS = {
    "qwen2": lambda: transformers.Qwen2Config(**SIZES, intermediate_size=48, num_key_value_heads=2),
    "llama": lambda: transformers.LlamaConfig(**SIZES, intermediate_size=48, num_key_value_heads=4),
    "mistral, sliding window": lambda: transformers.MistralConfig(
        **SIZES, intermediate_size=48, num_key_value_heads=1, sliding_window=7
    ),
    "gemma2, soft cap": lambda: transformers.Gemma2Config(
        **SIZES, intermediate_size=48, num_key_value_heads=2, head_dim=8, attn_logit_softcapping=2.0, sliding_window=9
    ),
    "gpt2, learned positions": lambda: transformers.GPT2Config(
        n_embd=WIDTH, n_layer=2, n_head=4, vocab_size=60, n_positions=256
    ),
    "bert, sees both ways": lambda: transformers.BertConfig(**SIZES, intermediate_size=48, max_position_embeddings=256),
    "mamba, no attention": lambda: transformers.MambaConfig(
        hidden_size=WIDTH, state_size=4, num_hidden_layers=2, vocab_size=60
    ),
}
PACKS = {"qwen2", "llama", "mistral, sliding window", "gpt2, learned positions"}


def rendered(ids, *positions) -> Rendered:
    return Rendered(tuple(ids), positions or (len(ids) - 1,))


def some_candidates(count: int = 24, seed: int = 1) -> list[Rendered]:
    """Candidates of four problems: common prompts, some common first steps, duplicates, one within another."""
    import random

    rng = random.Random(seed)
    prompts = [[rng.randrange(3, 60) for _ in range(rng.randrange(20, 40))] for _ in range(4)]
    found = []
    for k in range(count):
        ids = [*prompts[k % 4], *(prompts[k % 3][:9] if k % 2 else [])]
        ids += [rng.randrange(3, 60) for _ in range(rng.randrange(1, 50))]
        found.append(Rendered(tuple(ids), tuple(sorted(rng.sample(range(5, len(ids)), 3)))))
    whole = found[0]
    found += [whole, Rendered(whole.ids[:-1], (2, 20)), Rendered(whole.ids, (1,)), rendered([7]), found[5]]
    return found


def plain(network, one: Rendered):
    """One unpadded forward for one candidate, everything else as transformers does it."""
    with torch.inference_mode():
        hidden = network.model(input_ids=torch.tensor([one.ids])).last_hidden_state[0]
        return network.linear(hidden[list(one.positions)].float())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("budget", [1, 100, 100_000])
def test_every_architecture_scores_as_one_plain_forward_a_candidate(name, budget) -> None:
    """Packing, padding, prefix sharing and batch sizes change nothing; what cannot be packed is padded and says why."""
    network = TinyNetwork(CONFIGS[name]())
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=budget)
    candidates = some_candidates()
    for one, logits in zip(candidates, engine.logits(candidates), strict=True):
        assert torch.allclose(logits, plain(network, one), atol=1e-5), one
    assert (engine.batcher.name == "packed") is (name in PACKS), engine.why_padded
    assert bool(engine.why_padded) is (name not in PACKS)


def test_packed_equals_padded() -> None:
    """Both batchers give the same numbers to 1e-5, and the packed one leaves the trunk's own attention as it was."""
    network, candidates = TinyNetwork(CONFIGS["qwen2"]()), some_candidates(40)
    before = network.config._attn_implementation
    found = [
        Engine(network, device="cpu", dtype="float32", packing=packing).logits(candidates) for packing in (True, False)
    ]
    assert max(float((a - b).abs().max()) for a, b in zip(*found, strict=True)) <= 1e-5
    assert network.config._attn_implementation == before


def test_half_precision_trunks_are_packed_and_read_in_float32() -> None:
    """bfloat16 rounding is not taken for a wrong mask, the head gets float32, and probabilities stay within 1.5e-2."""
    network = TinyNetwork(CONFIGS["qwen2"]())
    network.model.to(torch.bfloat16)
    engine, candidates = Engine(network, device="cpu", dtype="bfloat16"), some_candidates()
    for one, logits in zip(candidates, engine.logits(candidates), strict=True):
        assert torch.allclose(logits.softmax(-1), plain(network, one).softmax(-1), atol=1.5e-2)
        assert logits.dtype == torch.float32
    assert engine.batcher.name == "packed"


def test_nothing_is_computed_twice_and_the_head_only_where_it_is_read() -> None:
    """Counters: duplicates once, shared prefixes once, no padding when packed, head rows equal to read positions."""
    network, candidates = TinyNetwork(CONFIGS["qwen2"]()), some_candidates()
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=10_000)
    engine.logits(candidates)
    did = engine.counters
    distinct = set(candidates)
    assert (did.candidates, did.duplicates) == (len(candidates), len(candidates) - len(distinct)) == (29, 2)
    assert did.read_positions == did.head_rows == network.rows == sum(len(one.positions) for one in distinct)
    assert did.tokens == sum(len(one.ids) for one in distinct)
    assert did.padded_tokens == 0
    assert did.prefix_tokens_saved > 0.3 * did.tokens  # prompts of 20 to 40 tokens, six candidates each
    assert did.computed_tokens == did.tokens - did.prefix_tokens_saved
    assert did.forward_passes == 1


def test_a_trie_of_prefixes_is_laid_out_once() -> None:
    """Each sequence adds only what the one before it lacks, and finds its tokens back in the rows."""
    base = tuple(range(30))
    sequences = sorted([base, (*base, 50), (*base[:20], 40, 41), (*base[:20], 40, 42, 43), (9, 9), base])
    layout = lay_out(sequences)
    for index, ids in enumerate(sequences):
        rows = layout.rows(index, range(len(ids)))
        assert tuple(layout.ids[row] for row in rows) == ids
        assert [layout.position_ids[row] for row in rows] == list(range(len(ids)))
    assert len(layout.ids) + layout.saved == sum(map(len, sequences))
    assert len(layout.ids) == 30 + 1 + 2 + 2 + 2  # (9, 9) shares nothing, and the second `base` adds nothing
    with pytest.raises(IndexError, match="position 2 of a sequence of 2 tokens"):
        layout.rows(sequences.index((9, 9)), [2])


@pytest.mark.parametrize(
    ("one", "other", "common", "shared"),
    [
        ((), (), 0, 0),
        ((1,), (2,), 0, 0),
        ((1, 2, 3), (1, 2), 2, 0),
        (tuple(range(99)), (*range(50), 7), 50, 50),
        (tuple(range(16)), tuple(range(99)), 16, 16),
        (tuple(range(15)), tuple(range(99)), 15, 0),  # too short to pay
        (tuple(range(20)), tuple(range(300)), 20, 0),  # less than a tenth
    ],
)
def test_common_prefixes(one, other, common, shared) -> None:
    """The longest common start, found by halving; not used where it saves less than it costs."""
    assert common_prefix(one, other) == common
    assert shared_tokens(one, other) == shared


def test_packing_needs_no_room_for_padding_in_its_budget() -> None:
    """Batches stay within the budget of rows, counted as each batcher fills them; a longer sequence goes alone."""
    sequences = [one.ids for one in some_candidates()]
    for batcher in (Packed(), Padded()):
        todo = batcher.order(sequences)
        while todo:
            size = batcher.size(todo, sequences, 150)
            batch = [sequences[i] for i in todo[:size]]
            rows = len(lay_out(batch).ids) if batcher.name == "packed" else size * max(map(len, batch))
            assert rows <= 150 or size == 1
            todo = todo[size:]


def test_out_of_memory_halves_the_budget_and_goes_on(caplog) -> None:
    """The run survives, the numbers stay right, and the message says with what it goes on."""
    network = TinyNetwork(CONFIGS["qwen2"](), fails=200)
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=1_000)
    candidates = some_candidates()
    for one, logits in zip(candidates, engine.logits(candidates), strict=True):
        assert torch.allclose(logits, plain(network, one), atol=1e-5)
    assert engine.counters.out_of_memory > 0
    assert 100 <= engine.batch_tokens <= 250  # a batch may end below its budget
    assert "going on with --batch-tokens" in caplog.text


@pytest.mark.parametrize("packing", [True, False])
def test_a_candidate_that_does_not_fit_is_refused_and_the_others_are_scored(packing) -> None:
    """One impossible candidate must not end a run of hours, nor be given a number."""
    network = TinyNetwork(CONFIGS["qwen2"](), fails=200)
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=1_000, packing=packing)
    monster = rendered([k % 57 + 3 for k in range(240)])
    found = engine.logits([monster, *some_candidates(), monster])
    assert found[0] == found[-1] == Unfit("out of memory: 240 tokens alone do not fit on cpu")
    assert all(torch.isfinite(logits).all() for logits in found[1:-1])


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "MPS backend out of memory (MPS allocated: 17 GB)",
    ],
)
def test_full_memory_has_many_names(words) -> None:
    """One that is not recognised ends a run of hours in a traceback, where smaller batches would have gone on."""
    assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


ROPE = {"rope_theta": 10_000.0, "original_max_position_embeddings": 48}
SCALED = {
    "longrope": lambda: transformers.Phi3Config(
        **SIZES, intermediate_size=48, num_key_value_heads=2, max_position_embeddings=512,
        original_max_position_embeddings=48,
        rope_parameters={**ROPE, "rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4},
    ),
    "dynamic": lambda: transformers.LlamaConfig(
        **SIZES, intermediate_size=48, num_key_value_heads=2, max_position_embeddings=48,
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("packing", [True, False])
def test_positions_that_look_at_the_longest_sequence(name, packing) -> None:
    """Phi-3's factors, and frequencies that transformers keeps: a score would depend on the batch and on what came
    before."""
    network = TinyNetwork(SCALED[name]())
    engine = Engine(network, device="cpu", dtype="float32", packing=packing)
    candidates = some_candidates()
    assert len({len(one.ids) > 48 for one in candidates}) == 2
    for one, logits in zip(candidates, engine.logits(candidates), strict=True):
        fresh = TinyNetwork(SCALED[name]())  # with the same weights
        assert torch.allclose(logits, plain(fresh, one), atol=1e-5), len(one.ids)
    assert engine.why_padded.startswith(f"{name} positions depend on the longest sequence")


def test_other_errors_are_not_mistaken_for_full_memory() -> None:
    """A bug in a model must stop the run, not halve its budget for ever."""
    network = TinyNetwork(CONFIGS["qwen2"]())
    engine = Engine(network, device="cpu", dtype="float32", packing=False)
    with pytest.raises(IndexError):
        engine.logits([rendered([9_999])])


def test_a_score_does_not_depend_on_what_was_scored_before() -> None:
    """The same sequences handed over together give the same bits, also after others and in a fresh engine."""
    network, candidates = TinyNetwork(CONFIGS["qwen2"]()), some_candidates()
    one = Engine(network, device="cpu", dtype="float32", batch_tokens=150)
    other = Engine(network, device="cpu", dtype="float32", batch_tokens=150)
    one.logits(some_candidates(30, seed=9))
    for a, b in zip(one.logits(candidates), other.logits(candidates), strict=True):
        assert torch.equal(a, b)


def test_a_run_interrupted_between_batches_goes_on_with_the_same_batches() -> None:
    """What is left after some batches is cut as it would have been: resumed scores are the same bits."""
    network, candidates = TinyNetwork(CONFIGS["qwen2"]()), some_candidates(60)
    for packing in (True, False):
        engine = Engine(network, device="cpu", dtype="float32", batch_tokens=150, packing=packing)
        whole = dict(pair for batch in engine.batches(candidates) for pair in batch)
        for stop in (1, 4):
            batches = engine.batches(candidates)
            done = dict(pair for _ in range(stop) for pair in next(batches))
            rest = [index for index in range(len(candidates)) if index not in done]
            for index, logits in zip(rest, engine.logits([candidates[i] for i in rest]), strict=True):
                assert torch.equal(logits, whole[index])


# --- through score_pool -------------------------------------------------------------------------------------------


def make_pool(folder: Path, problems: int = 6, samples: int = 4):
    from prm_eval.importers import import_pool

    rows = [
        {
            "id": f"p{k}",
            "problem": f"What is {k}+{k}?",
            "answer": str(2 * k),
            "samples": [
                {"text": f"First {k}+{k}.\nthen {j % 3} {'so ' * (3 * j + k)}\n{2 * k}"} for j in range(samples - 1)
            ]
            + [{"text": f"First {k}+{k}.\nthen 0 {'so ' * k}\n{2 * k}"}],  # the first one again
        }
        for k in range(problems)
    ]
    return import_pool(write_jsonl(folder / "pool.jsonl", rows), folder / "pool").pool


def rewards_of(file) -> list[tuple[str, str, StepRewards]]:
    return list(file.rows())


def test_a_second_pool_pays_only_for_what_is_new(models, tmp_path) -> None:
    """With a cache, candidates known from another pool are not computed: counted, and their rewards are the same."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    small, large = make_pool(tmp_path / "a", 3), make_pool(tmp_path / "b", 5)
    cache = str(tmp_path / "cache")
    first = load_reward_model(str(models["prm"]), cache=cache)
    known = {(p, c): r for p, c, r in rewards_of(score_pool(small, first, tmp_path / "r1"))}
    second = load_reward_model(str(models["prm"]), cache=cache)
    found = {(p, c): r for p, c, r in rewards_of(score_pool(large, second, tmp_path / "r2"))}
    assert first.engine.counters.candidates == 9  # of twelve: each fourth candidate is the first one again
    assert second.engine.counters.candidates == 6
    assert known.items() <= found.items()
    third = load_reward_model(str(models["prm"]), cache=cache)
    score_pool(large, third, tmp_path / "r3")
    assert "engine" not in vars(third)  # nothing left to compute: no weights were loaded
    info = json.loads((tmp_path / "r2" / "submission.json").read_text())
    assert info["run"]["engine"]["head_rows"] == second.engine.counters.read_positions


def test_rendering_runs_ahead_in_another_thread(models, tmp_path, monkeypatch) -> None:
    """While a block is computed, the next one is rendered: the thread that computes never tokenises."""
    import threading

    monkeypatch.setattr("prm_eval.rewards.scoring.BLOCK", 4)
    model = load_reward_model(str(models["prm"]))
    threads: dict[str, set[str]] = {"render": set(), "score": set()}
    render, score = model.render_all, model.score_rendered
    monkeypatch.setattr(
        model, "render_all", lambda i: (threads["render"].add(threading.current_thread().name), render(i))[1]
    )
    monkeypatch.setattr(
        model, "score_rendered", lambda *a: (threads["score"].add(threading.current_thread().name), score(*a))[1]
    )
    score_pool(make_pool(tmp_path), model, tmp_path / "r")
    assert threads["score"] == {threading.current_thread().name}
    assert threads["render"].isdisjoint(threads["score"])


def test_progress_counts_every_candidate_and_token(models, tmp_path) -> None:
    """The bar ends at all candidates, refused, duplicate and resumed ones included; tokens are those that were
    computed."""
    pool, seen = make_pool(tmp_path), []
    model = load_reward_model(str(models["prm"]), max_tokens=60)
    score_pool(pool, model, tmp_path / "r", progress=lambda done, tokens: seen.append((done, tokens)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (24, model.engine.counters.tokens)
    assert any(r.refusal for _, _, r in rewards_of(score_pool(pool, model, tmp_path / "r")))


SCORER = """
import json, sys, time
import torch
torch.set_num_threads(1)
from pathlib import Path
from prm_eval.pools.pool import Pool
from prm_eval.rewards import load_reward_model, score_pool, scoring
from prm_eval.rewards.engine.engine import Engine
given = json.loads(sys.argv[1])
scoring.BLOCK = given["block"]
forward = Engine._forward
def slowly(self, *rest):
    time.sleep(given["seconds"])
    return forward(self, *rest)
Engine._forward = slowly
model = load_reward_model(given["model"], **given["options"])
report = lambda done, tokens: print(done, flush=True)
score_pool(Pool(given["pool"]), model, Path(given["folder"]), progress=report)
"""


def start(pool, model, folder, *, seconds: float, block: int, **options) -> subprocess.Popen:
    """Score in another process, which waits so many seconds before every forward pass."""
    given = {"pool": str(pool.path), "model": str(model), "folder": str(folder)}
    given |= {"seconds": seconds, "block": block, "options": options}
    command = [sys.executable, "-c", SCORER, json.dumps(given)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def kill_at(process: subprocess.Popen, done: int) -> None:
    """Send SIGKILL when the process reports so many candidates."""
    for line in process.stdout:
        if int(line) >= done:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()


def computed(pool, model, folder: Path, **options) -> int:
    """Score in this process, and return how many candidates were computed."""
    loaded = load_reward_model(str(model), **options)
    score_pool(pool, loaded, folder)
    return loaded.engine.counters.candidates if "engine" in vars(loaded) else 0


def stored(folder: Path) -> int:
    """How many distinct candidates a killed run left behind: those of complete blocks, and those in the journal."""
    lines = [fields for row, fields in read_journal(folder / "rewards.partial.jsonl") if row > 1]
    lines = [line for line in lines if line["r"] is None]
    journal = folder / "scores.partial"
    return len({line["h"] for line in lines}) + (len(journal.read_bytes().splitlines()) if journal.exists() else 0)


def test_kill_in_the_middle_of_a_block_recomputes_nothing(models, tmp_path, monkeypatch) -> None:
    """kill -9 between two batches: the resumed run, in another process, computes exactly the rest, and the file is that
    of an undisturbed run."""
    monkeypatch.setattr("prm_eval.rewards.scoring.BLOCK", 8)
    pool = make_pool(tmp_path)  # with so few tokens a batch, a block of eight candidates takes five
    whole = computed(pool, models["prm"], tmp_path / "whole", batch_tokens=60)
    assert whole == 18  # six problems of four candidates, of which three are distinct
    kill_at(start(pool, models["prm"], tmp_path / "killed", seconds=0.3, block=8, batch_tokens=60), 11)
    left = stored(tmp_path / "killed")
    assert (tmp_path / "killed" / "scores.partial").exists()  # it was killed within the second block of eight
    assert 6 < left < 18
    assert computed(pool, models["prm"], tmp_path / "killed", batch_tokens=60) == 18 - left
    files = [(tmp_path / name / "rewards.parquet").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["rewards.parquet", "submission.json"]


@pytest.mark.parametrize("rooms", [0, 10_000])
def test_a_machine_that_is_too_small_leaves_nothing_behind(models, tmp_path, monkeypatch, rooms) -> None:
    """Refusals for want of memory, frozen as rewards, would be the answer of a larger machine too."""
    forward, pool = Engine._forward, make_pool(tmp_path)

    def cramped(self, batcher, batch):
        if sum(len(one.ids) for one in batch) > rooms:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (simulated)")
        return forward(self, batcher, batch)

    monkeypatch.setattr(Engine, "_forward", cramped)
    model = load_reward_model(str(models["prm"]))
    if rooms:
        assert not any(r.refusal for _, _, r in rewards_of(score_pool(pool, model, tmp_path / "r")))
        return
    with pytest.raises(PrmEvalError, match="all 24 candidates were refused, the first because: out of memory"):
        score_pool(pool, model, tmp_path / "r")
    monkeypatch.setattr(Engine, "_forward", forward)
    again = score_pool(pool, load_reward_model(str(models["prm"]), batch_tokens=512), tmp_path / "r")
    assert not any(r.refusal for _, _, r in rewards_of(again))


# --- the real pool ------------------------------------------------------------------------------------------------


def qwen_checkpoint(folder: Path, texts: list[str]) -> Path:
    """Save a tiny random Qwen2 step classifier, with a byte-level BPE trained on the texts as Qwen's are."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2_000, initial_alphabet=alphabet, special_tokens=["<|endoftext|>", "<extra_0>"], show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<|endoftext|>", additional_special_tokens=["<extra_0>"]
    )
    torch.manual_seed(3)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4_096, num_labels=2, pad_token_id=0,
    )  # fmt: skip
    model = transformers.Qwen2ForTokenClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_the_real_pool(data, tmp_path, capsys) -> None:
    """62 x 8 real candidates: a slow reference to 1e-5, waste, head rows, duplicates, a kill -9 and a resume, all
    counted."""
    from prm_eval.importers import import_pool

    file = data / "bon" / "math_cot_100_rm.jsonl"
    pool = import_pool(file, tmp_path / "pool", splitter="blank_line").pool
    checkpoint = qwen_checkpoint(tmp_path / "model", [each.text for _, group in pool for each in group])
    model = load_reward_model(str(checkpoint), separator="<extra_0>")
    found = rewards_of(score_pool(pool, model, tmp_path / "whole"))
    did = model.engine.counters
    network, worst, n_steps = model.engine.network, 0.0, 0
    from prm_eval.rewards.scoring import blocks

    refused = {result.refusal for _, _, result in found if result.refusal}
    for (_, item), (_, _, result) in zip((w for block in blocks(pool, model) for w in block), found, strict=True):
        one = model.render(item)
        if result.refusal is not None:
            assert result.refusal.startswith("over-length"), result.refusal
            continue
        # a forward pass a step; of every third one, since each costs as much as the whole candidate
        for position, value in list(zip(one.positions, result.values, strict=True))[::3]:
            with torch.inference_mode():
                hidden = network.trunk(input_ids=torch.tensor([one.ids[: position + 1]])).last_hidden_state[0, -1:]
                logits = network.head(hidden.float())[0]
            worst, n_steps = max(worst, abs(value - float(logits[1] - logits[0]))), n_steps + 1
    padded = Engine(network, device="cpu", dtype="float32", batch_tokens=16_384, packing=False)
    for block in blocks(pool, model):
        padded.logits([one for one in model.render_all([item for _, item in block]) if one.refusal is None])
    kill_at(start(pool, checkpoint, tmp_path / "killed", seconds=0.02, block=256, separator="<extra_0>"), 330)
    left = stored(tmp_path / "killed")
    rest = computed(pool, checkpoint, tmp_path / "killed", separator="<extra_0>")
    distinct = len({result.input_hash for _, _, result in found if result.refusal is None})
    shared, waste = did.prefix_tokens_saved, did.padding_waste
    with capsys.disabled():
        print(f"""
    {len(found)} candidates, {distinct} distinct, {n_steps} steps, {did.tokens:,} tokens; refused: {refused or "none"}
    off the slow reference by at most {worst:.1e}
    packed: {did.computed_tokens:,} tokens computed ({shared:,} shared), padding waste {waste:.1%}
    padded: {padded.counters.computed_tokens:,} tokens computed, padding waste {padded.counters.padding_waste:.1%}
    head rows {did.head_rows:,}, read positions {did.read_positions:,}
    killed with {left} scored; the resumed run computed {rest} of {distinct}""")
    assert worst <= 1e-5
    assert (did.padding_waste, padded.counters.padding_waste <= 0.05) == (0, True)
    assert (
        did.head_rows
        == did.read_positions
        == sum(len(result.values) for result in {result.input_hash: result for _, _, result in found}.values())
    )
    assert len(found) == 496
    assert 256 < left < distinct
    assert rest == distinct - left
    for name in ("whole", "killed"):
        assert (tmp_path / name / "rewards.parquet").read_bytes() == (
            tmp_path / "whole" / "rewards.parquet"
        ).read_bytes()
