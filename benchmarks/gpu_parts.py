"""The parts of gpu.py: what each measures, in sizes and on a device that it is given.

A part calls ``emit(name=text, ...)`` for each row of its table, as soon as it is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Row = dict[str, str]
Emit = Callable[..., None]
GIB = 2**30


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        shape: Of the network.
        ns: Candidates a problem.
        candidates: In all, for each n.
        compared: Candidates also scored one by one.
        batchings: Candidates that are scored in several batchings.
        lora_tokens: Rows of a training batch.
        steps: Training steps that are timed.
        backbone: Optimizer steps of the miniature's backbone.
        demo: Problems and candidates of the demo.
    """

    shape: dict[str, int] = field(
        default_factory=lambda: {
            "hidden_size": 3_584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152_064, "max_position_embeddings": 4_096,
        }
    )  # fmt: skip
    ns: tuple[int, ...] = (8, 64, 256)
    candidates: int = 512
    compared: int = 128
    batchings: int = 64
    lora_tokens: int = 8_192
    steps: int = 4
    backbone: int = 200
    demo: tuple[int, int] = (35, 8)


TINY = Sizes(
    {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
     "num_key_value_heads": 2, "vocab_size": 500, "max_position_embeddings": 1_024},
    (2, 4), 4, 4, 4, 2_048, 1, 2, (4, 8),
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Where a part is measured."""

    device: str
    sizes: Sizes
    peak_tflops: float | None

    def network(self, dtype: str = "bfloat16", **shape: int) -> Any:
        """Return a random PRM."""
        import torch
        import transformers
        from scoring import RandomPRM

        config = transformers.Qwen2Config(**{**self.sizes.shape, **shape})
        return RandomPRM(config, self.device, getattr(torch, dtype))

    @property
    def is_cuda(self) -> bool:
        return self.device.startswith("cuda")

    def memory(self, *, peak: bool = False) -> int:
        """Return the bytes that tensors use, or used at most; 0 without a GPU."""
        import torch

        if not self.is_cuda:
            return 0
        return torch.cuda.max_memory_allocated(self.device) if peak else torch.cuda.memory_allocated(self.device)

    def timed(self, call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
        """Return what a call gives, and its seconds until the GPU is done."""
        import torch

        wait = torch.cuda.synchronize if self.is_cuda else lambda: None
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        wait()
        began = time.perf_counter()
        found = call(*arguments)
        wait()
        return found, time.perf_counter() - began

    def gib(self, bytes_: int) -> str:
        return f"{bytes_ / GIB:.2f}" if self.is_cuda else "no GPU"

    def mfu(self, flop: float, seconds: float) -> str:
        if self.peak_tflops is None:
            return "no peak known"
        return f"{flop / seconds / (self.peak_tflops * 1e12):.1%}"


def matrices(network: Any) -> int:
    """Return the numbers of all matrices of the layers: two operations a token each (13.05e9 of the 7B).

    Attention, about 1 % at 700 tokens, is not counted.
    """
    return sum(each.numel() for each in network.trunk.layers.parameters())


def speed(machine: Machine, emit: Emit) -> None:
    """Packed, padded and one by one, for each N."""
    import torch
    from scoring import agreement, batch_of_one, engine_scores, off_by, random_pool

    from prm_eval.rewards.engine.batches import Packed
    from prm_eval.rewards.engine.engine import Engine

    network, sizes = machine.network(), machine.sizes
    weights, flop = machine.memory(), 2 * matrices(network)

    def row(n: int, way: str, seconds: float, candidates: int, tokens: int, computed: int, passes: int) -> Row:
        return {
            "N": str(n), "way": way, "candidates": str(candidates), "tokens/s": f"{tokens / seconds:,.0f}",
            "computed tokens/s": f"{computed / seconds:,.0f}", "MFU": machine.mfu(computed * flop, seconds),
            "GiB above weights": machine.gib(machine.memory(peak=True) - weights), "passes": str(passes),
        }  # fmt: skip

    for n in sizes.ns:
        groups = random_pool(max(1, sizes.candidates // n), n, sizes.shape["vocab_size"])
        few = [group[: sizes.compared] for group in groups[: max(1, sizes.compared // n)]]
        with torch.inference_mode():
            batch_of_one(network, [few[0][:2]], machine.device)
            alone, seconds = machine.timed(batch_of_one, network, few, machine.device)
        tokens = sum(len(one.ids) for group in few for one in group)
        emit(**row(n, "one by one", seconds, len(alone), tokens, tokens, len(alone)))
        for packing in (True, False):
            engine = Engine(network, device=machine.device, dtype="bfloat16", packing=packing)
            engine_scores(engine, [few[0][:8]])  # the trial on which packing is chosen, and the first touch
            one_call = getattr(engine.batcher, "varlen", False)
            for batcher in (engine.batcher, Packed()) if one_call else (engine.batcher,):
                engine.batcher, engine.counters = batcher, type(engine.counters)()
                found, seconds = machine.timed(engine_scores, engine, groups)
                did, mine = engine.counters, _first(found, groups, few)
                figures = row(
                    n, _how(engine), seconds, did.candidates, did.tokens, did.computed_tokens, did.forward_passes
                )
                difference = {
                    "off by": f"{off_by(mine, alone):.1e}",
                    "same choice": f"{agreement(mine, alone, few):.0%}",
                }
                emit(**figures, **difference)


def _first(found: Sequence[Any], groups: Sequence[Sequence[Any]], few: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the scores of the candidates in ``few``, which are the first ones of the first groups."""
    kept, start = [], 0
    for group, some in zip(groups, few, strict=False):
        kept += found[start : start + len(some)]
        start += len(group)
    return kept


def batchings(machine: Machine, emit: Emit) -> None:
    """How far the same candidates differ between batchings, and what `prm-eval verify` calls equal."""
    import torch
    from scoring import batch_of_one, random_pool

    from prm_eval.rewards.engine.engine import Engine

    network, n = machine.network(), max(2, machine.sizes.batchings // 2)
    groups = random_pool(2, n, machine.sizes.shape["vocab_size"])
    flat = [one for group in groups for one in group]
    make = lambda **options: Engine(network, device=machine.device, dtype="bfloat16", **options)  # noqa: E731
    first = make()
    base = first.logits(flat)
    half = len(flat) // 2
    emit(batching="all at once", steps=str(sum(map(len, base))), how=_how(first))
    for name, call in {
        "all at once, again": lambda: make().logits(flat),
        "4,096 rows a pass": lambda: make(batch_tokens=4_096).logits(flat),
        "1,024 rows a pass": lambda: make(batch_tokens=1_024).logits(flat),
        "handed over in halves": lambda: [*make().logits(flat[:half]), *make().logits(flat[half:])],
        "handed over in reverse": lambda: make().logits(flat[::-1])[::-1],
        "padded": lambda: make(packing=False).logits(flat),
        "one by one": lambda: batch_of_one(network, groups, machine.device),
    }.items():
        with torch.inference_mode():
            emit(batching=name, **_difference(base, call(), "bfloat16", "bfloat16"))


def _how(engine: Any) -> str:
    if getattr(engine.batcher, "varlen", False):
        return "packed, one call a layer"
    return f"padded: {engine.why_padded}" if engine.why_padded else "packed in groups"


def _difference(one: Sequence[Any], other: Sequence[Any], dtype: str, other_dtype: str) -> Row:
    """Return how far log-odds differ, as `prm-eval verify` counts them."""
    import torch

    from prm_eval.records import StepRewards
    from prm_eval.submissions.compare import differences
    from prm_eval.submissions.trust import MEAN_SHARE, TOLERANCES

    values = [torch.cat([each[:, 1] - each[:, 0] for each in some]).tolist() for some in (one, other)]
    found = differences(StepRewards(tuple(values[0])), StepRewards(tuple(values[1])), "logodds")
    raw = max(abs(a - b) for a, b in zip(*values, strict=True))
    limit = max(TOLERANCES[dtype], TOLERANCES[other_dtype])
    largest, mean = max(found), sum(found) / len(found)
    equal = all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    within = largest <= limit and mean <= limit / MEAN_SHARE
    return {
        "log-odds off by": f"{raw:.2g}", "counted": f"{largest:.2g} (limit {limit:g})",
        "mean": f"{mean:.2g} (limit {limit / MEAN_SHARE:g})",
        "verdict": "the same bits" if equal else "equal" if within else "BEYOND THE LIMIT",
    }  # fmt: skip


def dtypes(machine: Machine, emit: Emit) -> None:
    """How far the same weights differ from themselves in other batches and dtypes, in a small network."""
    import torch
    import transformers
    from scoring import RandomPRM, random_pool

    from prm_eval.rewards.engine.engine import Engine
    from prm_eval.submissions.trust import TOLERANCES

    shape = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 12, "num_attention_heads": 4}
    if machine.sizes == TINY:
        shape = {**shape, "hidden_size": 64, "num_hidden_layers": 2}
    config = transformers.Qwen2Config(**shape, num_key_value_heads=2, vocab_size=2_000)
    flat = [one for group in random_pool(2, 4, 2_000) for one in group]
    made: dict[tuple[str, int], Any] = {}
    for dtype in TOLERANCES:
        for tokens in (700, 2_048, 16_384):
            network = RandomPRM(config, "cpu", torch.float32)  # the same weights, rounded once
            network.trunk.to(machine.device, getattr(torch, dtype))
            network.layers.to(machine.device)
            made[dtype, tokens] = Engine(network, device=machine.device, dtype=dtype, batch_tokens=tokens).logits(flat)
    for one, other in [
        *((("float32", 2_048), ("float32", tokens)) for tokens in (700, 16_384)),
        *(((dtype, 2_048), (dtype, tokens)) for dtype in ("float16", "bfloat16") for tokens in (700, 16_384)),
        *((("float32", 2_048), (dtype, 2_048)) for dtype in ("float16", "bfloat16")),
    ]:
        names = {"one": f"{one[0]}, {one[1]:,} rows", "other": f"{other[0]}, {other[1]:,} rows"}
        emit(**names, **_difference(made[one], made[other], one[0], other[0]))


def offload(machine: Machine, emit: Emit) -> None:
    """The way of a policy to the CPU and back, as policy_offload moves it."""
    import torch

    from prm_eval.harness.offload import offloaded

    module = machine.network().trunk
    size = sum(each.numel() * each.element_size() for each in module.parameters())
    some = lambda: list(module.parameters())[::20]  # noqa: E731 - they are other tensors after a move
    before = [each.detach().clone() for each in some()]
    for _ in range(2):  # the first time makes the CPU's pages
        began, on_gpu = time.perf_counter(), machine.memory()
        with offloaded(module):
            out, left = time.perf_counter() - began, machine.memory()
            began = time.perf_counter()
        if machine.is_cuda:
            torch.cuda.synchronize()
        back = time.perf_counter() - began
        same = all(torch.equal(a, b) for a, b in zip(before, some(), strict=True))
        emit(
            weights=f"{size / GIB:.2f} GiB", out=f"{out:.2f} s", back=f"{back:.2f} s",
            freed=f"{(on_gpu - left) / GIB:.2f} GiB" if machine.is_cuda else "no GPU",
            weights_after="the same bits" if same else "CHANGED",
        )  # fmt: skip


def lora(machine: Machine, emit: Emit) -> None:
    """Training steps of an adapter, as `prm-eval train --lora 16 --checkpointing` takes them."""
    import torch
    import transformers
    from scoring import random_pool

    from prm_eval.training.batches import inputs_of
    from prm_eval.training.network import laid_out, readable
    from prm_eval.training.saving import with_lora
    from prm_eval.training.targets import losses

    sizes = machine.sizes
    config = transformers.Qwen2Config(**sizes.shape, num_labels=2, use_cache=False)
    torch.manual_seed(0)
    with torch.device(machine.device):
        network = readable(transformers.Qwen2ForTokenClassification(config), ())
    flop = 4 * sum(each.numel() for each in network.base_model.layers.parameters())
    trained = with_lora(network, 16, None).train()
    network.gradient_checkpointing_enable({"use_reentrant": False})
    trained.enable_input_require_grads()
    optimizer = torch.optim.AdamW([each for each in trained.parameters() if each.requires_grad], lr=1e-4)
    weights = machine.memory()
    candidates = random_pool(1, max(1, sizes.lora_tokens // 500), sizes.shape["vocab_size"])[0]

    for name, packed in {"packed": True, "padded": False}.items():
        used = sorted((one.ids, one.positions) for one in candidates)
        while len(used) > 1 and _rows(used, packed) > sizes.lora_tokens:
            used = used[:-1]
        inputs = inputs_of([ids for ids, _ in used], [positions for _, positions in used], packed=packed)
        tensors = {key: each.to(machine.device) for key, each in inputs.tensors.items()}
        targets = torch.zeros(len(tensors["read"]), 2, device=machine.device)
        targets[torch.arange(len(targets)), torch.arange(len(targets)) % 2] = 1.0

        def step(tensors: Any = tensors, targets: Any = targets, layout: Any = inputs.layout) -> float:
            with laid_out(network, layout), torch.autocast(torch.device(machine.device).type, torch.bfloat16):
                loss = losses(trained(**tensors)["logits"], targets).mean()
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return float(loss.detach())

        first = step()
        last, seconds = machine.timed(lambda step=step: [step() for _ in range(sizes.steps)][-1])
        rows, tokens = tensors["input_ids"].numel(), sum(len(ids) for ids, _ in used)
        each = seconds / sizes.steps
        emit(
            **{"way": name, "candidates": str(len(used)), "rows": f"{rows:,}", "s a step": f"{each:.2f}",
               "tokens/s": f"{tokens / each:,.0f}"},
            MFU=machine.mfu(rows * flop, each), weights=machine.gib(weights),
            GiB=machine.gib(machine.memory(peak=True) - weights), loss=f"{first:.3f} to {last:.3f}",
        )  # fmt: skip


def _rows(used: Sequence[tuple[Any, Any]], packed: bool) -> int:
    from prm_eval.rewards.engine.packing import lay_out

    ids = [each for each, _ in used]
    return len(lay_out(ids).ids) if packed else len(ids) * max(map(len, ids))


def miniature(machine: Machine, emit: Emit) -> None:
    """The first twelfth of the training of the miniature's backbone."""
    from prm_eval.miniature.make import TINY as TINY_SETTINGS
    from prm_eval.miniature.make import Settings, make

    settings = TINY_SETTINGS if machine.sizes == TINY else Settings()
    settings = replace(settings, backbone=replace(settings.backbone, steps=machine.sizes.backbone))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        record = make("backbone", Path(folder), device=machine.device, settings=settings)
        seconds = time.perf_counter() - began
    steps = machine.sizes.backbone
    emit(
        steps=str(steps), seconds=f"{seconds:.1f}",
        **{"ms a step": f"{1_000 * record['backbone'].get('seconds', seconds) / steps:.0f}"},
    )  # fmt: skip


def policy(machine: Machine, emit: Emit) -> None:
    """A run of lm_eval whose policy waits on the CPU while candidates are scored, beside one whose does not."""
    from prm_eval.miniature.weights import weights

    problems, samples = machine.sizes.demo
    for wait in ("true", "false")[: 1 if machine.sizes == TINY else 2]:
        with tempfile.TemporaryDirectory() as folder:
            seconds = _prm_eval(
                "run", "--model", "hf", "--model_args", f"pretrained={weights('policy')},dtype=float32",
                "--device", machine.device, "--batch_size", "128", "--tasks", "miniature_bon",
                "--metadata", f"problems=miniature:test:0:{problems}", f"n_samples={samples}",
                f"dump_dir={folder}/kept",
                "allow_identical_candidates=true", f"policy_offload={wait}",
                f"prm_model={weights('prm')}", f"prm_device={machine.device}",
                "--output_path", f"{folder}/lm_eval",
            )  # fmt: skip
            file = next(Path(folder).rglob("results_*.json"))
            results = next(iter(json.loads(file.read_text(encoding="utf-8"))["results"].values()))
        name = f"acc@{samples},prm"
        emit(policy_offload=wait, seconds=f"{seconds:.1f}", **{name: f"{results[name]:.4f}"})


def demo(machine: Machine, emit: Emit) -> None:
    """`prm-eval demo`, smaller."""
    problems, samples = machine.sizes.demo
    with tempfile.TemporaryDirectory() as folder:
        size = ("--problems", str(problems), "--samples", str(samples))
        seconds = _prm_eval("demo", "-o", folder, *size, "--device", machine.device)
        found = json.loads((Path(folder) / "evaluation.json").read_text(encoding="utf-8"))
    emit(problems=str(problems), candidates=str(samples), seconds=f"{seconds:.1f}", rows=str(len(found["rows"])))


def _prm_eval(*arguments: str) -> float:
    """Run our command, whose output goes to our standard error, and return its seconds."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "prm_eval.cli", *arguments], capture_output=True, text=True, check=False
    )
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode:
        raise RuntimeError(f"prm-eval {arguments[0]} ended with status {done.returncode}: {last_line(done.stderr)}")
    return time.perf_counter() - began


def last_line(text: str) -> str:
    """Return the last line of what a process wrote, which is its error."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


PARTS: dict[str, Callable[[Machine, Emit], None]] = {
    "speed": speed, "batchings": batchings, "dtypes": dtypes, "offload": offload, "lora": lora,
    "miniature": miniature, "policy": policy, "demo": demo,
}  # fmt: skip
