"""Scoring candidates with a PRM: our engine beside three common ways, same model, same pool, in one run.

* ``a step a forward``: every prefix of a candidate that ends in a step is a forward pass of its own;
* ``a problem a batch``: all N candidates of a problem, padded to the longest, in one pass;
* ``batch of one``: one unpadded pass a candidate.

The peers get the trunk without any vocabulary matrix and read the head where it is needed, as ours does: what is
compared is batching. The model is a random Qwen2 of about 100 million parameters with the two-layer head of
Qwen2.5-Math-PRM, and the pool is a part of the real one, ``$PRM_EVAL_DATA/bon/math_cot_100_rm.jsonl``, cut into steps
at blank lines and tokenised by a byte-level BPE trained on it (no tokenizer of a published model can be fetched here).
Peers are timed in full. With ``--subsets`` all but the first way are compared on disjoint parts of the pool. On a GPU:
gpu.py::

    OMP_NUM_THREADS=2 python benchmarks/scoring.py --problems 8
    python benchmarks/scoring.py --subsets 10
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

# threads that wait for others do not count as work: on a busy machine that is all one would see (--subsets)
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
import transformers

from prm_eval.rewards.engine.batches import Padded
from prm_eval.rewards.engine.engine import Engine
from prm_eval.rewards.inputs.rendered import Rendered

DATA = Path(os.environ.get("PRM_EVAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PROMPT = (
    "<|im_start|>system\nPlease reason step by step.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
VOCABULARY = 8_000
DEFAULT_PROBLEMS = 62  # of the real pool
BLOCK = 256  # candidates handed to the engine at once, as prm-eval score does
Groups = list[list[Rendered]]


class RandomPRM:
    """A network with random weights: a Qwen2 trunk and Linear, ReLU, Linear as head."""

    def __init__(self, config: transformers.Qwen2Config, device: str, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        with torch.device(device):
            torch.set_default_dtype(dtype)
            self.trunk = transformers.Qwen2Model(config).to(dtype).eval()
            torch.set_default_dtype(torch.float32)
            width = config.hidden_size
            self.layers = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))
        with torch.no_grad():
            self.layers[2].weight.mul_(20)  # spread the probabilities, which random weights leave near one half

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.layers(hidden)

    def read(self, ids: tuple[int, ...], positions: tuple[int, ...], device: str) -> torch.Tensor:
        hidden = self.trunk(input_ids=torch.tensor([ids], device=device), use_cache=False).last_hidden_state[0]
        return self.head(hidden[list(positions)].float()).cpu()


def real_pool(problems: int) -> Groups:
    """Return the rendered candidates of some problems, evenly spread over the file."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    file = DATA / "bon" / "math_cot_100_rm.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator((s["text"] for row in rows for s in row["samples"]), trainer)
    chosen = rows[:: max(1, len(rows) // problems)][:problems] if problems < len(rows) else rows
    return [[_render(tokenizer, row["problem"], sample["text"]) for sample in row["samples"]] for row in chosen]


def _render(tokenizer: object, problem: str, text: str) -> Rendered:
    ids: list[int] = list(tokenizer.encode(PROMPT.format(problem)).ids)
    positions = []
    for step in filter(str.strip, text.split("\n\n")):
        ids += [*tokenizer.encode(step).ids, VOCABULARY - 1]
        positions.append(len(ids) - 1)
    return Rendered(tuple(ids), tuple(positions))


def random_pool(problems: int, n: int, vocabulary: int, seed: int = 1) -> Groups:
    """Return candidates of random ids: 200 of a common prompt and 350 to 650 of their own, ten steps each."""
    rng = random.Random(seed)
    groups = []
    for _ in range(problems):
        prompt = [rng.randrange(vocabulary) for _ in range(200)]
        group = []
        for _ in range(n):
            ids = prompt + [rng.randrange(vocabulary) for _ in range(rng.randrange(350, 651))]
            group.append(Rendered(tuple(ids), tuple(200 + (len(ids) - 200) * k // 10 - 1 for k in range(1, 11))))
        groups.append(group)
    return groups


def engine_scores(engine: Engine, groups: Groups) -> list[torch.Tensor]:
    flat = [one for group in groups for one in group]
    return [logits for k in range(0, len(flat), BLOCK) for logits in engine.logits(flat[k : k + BLOCK])]


def a_step_a_forward(network: RandomPRM, groups: Groups, device: str) -> list[torch.Tensor]:
    return [
        torch.cat([network.read(one.ids[: position + 1], (position,), device) for position in one.positions])
        for group in groups
        for one in group
    ]


def a_problem_a_batch(network: RandomPRM, groups: Groups, device: str) -> list[torch.Tensor]:
    found = []
    for group in groups:
        logits = network.head(Padded().run(network.trunk, group, device).rows.float()).cpu()
        found += logits.split([len(one.positions) for one in group])
    return found


def batch_of_one(network: RandomPRM, groups: Groups, device: str) -> list[torch.Tensor]:
    return [network.read(one.ids, one.positions, device) for group in groups for one in group]


def timed(call: Callable[..., list[torch.Tensor]], *arguments: object) -> tuple[list[torch.Tensor], float, float]:
    """Return what a call gives, and the wall and processor seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        found = call(*arguments)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 1] - logits[:, 0]


def off_by(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """Return the largest difference of a step's probability."""
    return max(
        float((log_odds(a).sigmoid() - log_odds(b).sigmoid()).abs().max()) for a, b in zip(one, other, strict=True)
    )


def selections(found: list[torch.Tensor], groups: Groups) -> list[int]:
    """Return the first of the best candidates of each problem, by the product of its steps; equal ids have equal
    rewards."""
    chosen, start = [], 0
    for group in groups:
        rewards = [
            float(torch.nn.functional.logsigmoid(log_odds(each)).sum()) for each in found[start : start + len(group)]
        ]
        chosen.append(max(range(len(group)), key=lambda k: (rewards[k], -k)))
        start += len(group)
    return chosen


def agreement(one: list[torch.Tensor], other: list[torch.Tensor], groups: Groups) -> float:
    """Return in what part of the problems both choose the same candidate, or one with the same ids."""
    pairs = zip(selections(one, groups), selections(other, groups), groups, strict=True)
    return sum(group[a].ids == group[b].ids for a, b, group in pairs) / len(groups)


def subsets(options: argparse.Namespace) -> None:
    """Print the ratios of each of some disjoint parts of the pool, the ways one after the other on each."""
    every = real_pool(DEFAULT_PROBLEMS)
    parts = [every[k :: options.subsets][: options.problems] for k in range(options.subsets)]
    network = small_network(options.layers, options.width)
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=options.batch_tokens)
    ways: dict[str, Callable[[Groups], list[torch.Tensor]]] = {
        "engine": lambda part: engine_scores(engine, part),
        "batch of one": lambda part: batch_of_one(network, part, "cpu"),
        "a problem a batch": lambda part: a_problem_a_batch(network, part, "cpu"),
    }
    for threads in options.threads:
        torch.set_num_threads(threads)
        for way in ways.values():  # the trial on which packing is chosen, and the first touch of the weights
            timed(way, [parts[0][0][:2]])
        print(f"\n{threads} threads: CPU s, wall s of each way; ratios of CPU s, wall s to the engine's; off by")
        ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in list(ways)[1:]}
        for number, part in enumerate(parts):
            found = {name: timed(way, part) for name, way in ways.items()}
            mine, wall, cpu = found["engine"]
            line = f"{number:2}  engine {cpu:6.2f} {wall:6.2f}"
            for name, those in ratios.items():
                scores, own_wall, own_cpu = found[name]
                those.append((own_cpu / cpu, own_wall / wall))
                line += f" | {name} {own_cpu:6.2f} {own_wall:6.2f} {those[-1][0]:5.2f} {those[-1][1]:5.2f}"
                line += f" {off_by(scores, mine):.0e}"
            print(line, flush=True)
        for name, those in ratios.items():
            for kind, values in zip(("CPU", "wall"), zip(*those, strict=True), strict=True):
                print(
                    f"{name}, {kind}: {min(values):.2f} (median {statistics.median(values):.2f}) to {max(values):.2f}"
                )


def small_network(layers: int, width: int = 768) -> RandomPRM:
    """Return the network of the CPU: 108 million parameters if it has 12 layers of width 768."""
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=width // 64, num_key_value_heads=2,
    )  # fmt: skip
    return RandomPRM(config, "cpu", torch.float32)


def on_cpu(options: argparse.Namespace) -> None:
    groups = real_pool(options.problems)
    network = small_network(options.layers, options.width)
    flat = [one for group in groups for one in group]
    size = sum(p.numel() for p in [*network.trunk.parameters(), *network.layers.parameters()])
    print(f"{size / 1e6:.0f} million parameters, float32, {torch.get_num_threads()} threads")
    print(
        f"{len(groups)} problems x {len(groups[0])} candidates, {sum(len(one.ids) for one in flat) / len(flat):.0f} "
        "tokens and "
        f"{sum(len(one.positions) for one in flat) / len(flat):.1f} steps a candidate on average"
    )
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=options.batch_tokens)
    timed(
        engine_scores, engine, [groups[0][:2]]
    )  # the trial on which packing is chosen, and the first touch of the weights
    engine.counters = type(engine.counters)()
    ways: dict[str, Callable[[Groups], list[torch.Tensor]]] = {
        "engine": lambda part: engine_scores(engine, part),
        "batch of one": lambda part: batch_of_one(network, part, "cpu"),
        "a problem a batch": lambda part: a_problem_a_batch(network, part, "cpu"),
        "a step a forward": lambda part: a_step_a_forward(network, part, "cpu"),
    }
    scores: dict[str, list[torch.Tensor]] = {name: [] for name in ways}
    seconds = {name: [0.0, 0.0] for name in ways}
    for start in range(
        0, len(groups), options.part
    ):  # in turn, so that other work on the machine hits all of them alike
        for name, way in ways.items():
            found, wall, cpu = timed(way, groups[start : start + options.part])
            scores[name] += found
            seconds[name] = [seconds[name][0] + wall, seconds[name][1] + cpu]
    mine, (wall, cpu) = scores["engine"], seconds["engine"]
    print(f"\n{'':20}{'wall s':>9}{'CPU s':>9}{'wall ratio':>12}{'CPU ratio':>11}{'off by':>10}{'same choice':>13}")
    for name, (own_wall, own_cpu) in seconds.items():
        print(
            f"{name:20}{own_wall:9.1f}{own_cpu:9.1f}{own_wall / wall:12.2f}{own_cpu / cpu:11.2f}"
            f"{off_by(scores[name], mine):10.1e}{agreement(scores[name], mine, groups):13.1%}"
        )
    report(engine, wall)


def report(engine: Engine, wall: float) -> None:
    did = engine.counters
    print(
        f"\nengine ({engine.batcher.name}, {engine.batch_tokens:,} tokens a pass): {did.forward_passes} passes, "
        f"{did.tokens / wall:,.0f} tokens/s ({did.computed_tokens / wall:,.0f} computed)"
    )
    print(
        f"tokens {did.tokens:,}, of common prefixes not computed again {did.prefix_tokens_saved:,} "
        f"({did.prefix_tokens_saved / did.tokens:.1%}), padding waste {did.padding_waste:.1%}, "
        f"duplicates {did.duplicates}, read positions {did.read_positions:,}, head rows {did.head_rows:,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=6, help="of the real pool's 62, or of each subset")
    parser.add_argument("--part", type=int, default=2, help="problems each way scores before the next has its turn")
    parser.add_argument("--subsets", type=int, help="compare on so many disjoint parts of the pool instead")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of torch, in turn (--subsets)")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--batch-tokens", type=int)
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{versions}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, seed 0")
    (subsets if options.subsets else on_cpu)(options)


if __name__ == "__main__":
    main()
