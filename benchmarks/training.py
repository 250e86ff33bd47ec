"""Training: its speed beside plain Trainer on the same data, and a small verifier of real labels.

    OMP_NUM_THREADS=1 python benchmarks/training.py speed
    OMP_NUM_THREADS=1 python benchmarks/training.py real --work FOLDER --minutes 20

``speed`` takes one pass over PRM800K's rated completions (phase 1, every completion with the steps before it) with the
same small random model, by ``prm-eval train`` and by a plain script: transformers' Trainer, its data collator for token
classification, batches of a fixed number of examples padded to the longest. ``real`` trains a language model of about
0.6 million weights from nothing on the texts of the training problems, then a step classifier of it on PRM800K's
validation part and phase 1, and measures it on held-out problems beside the rule of length. No weights can be
downloaded where this was made: it says whether the trainer learns from real labels, and nothing of how good a verifier
of a real base would be.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("PRM_EVAL_DATA", "../shared/data"))
PHASE_1 = ("prm800k_phase1_test.jsonl", "prm800k_phase1_train_sample.jsonl")
VALIDATION = "prm800k_human_validation.jsonl"
HELD_OUT, SEED = 0.2, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "real"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("/tmp/prm_eval-training"))
    parser.add_argument("--records", type=int, default=20, help="records of phase 1 that speed is measured on")
    parser.add_argument("--minutes", type=float, default=1.0, help="of pre-training of the small language model")
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {os.environ.get('OMP_NUM_THREADS')} thread"
    print(machine)
    (speed if options.what == "speed" else real)(options)


# --- the data and the small model


def phase_1(work: Path, data: Path, records: int | None = None):
    """Return the step set of phase 1's rated completions, of the first records only if asked."""
    from prm_eval.importers.steps import import_step_set
    from prm_eval.stepsets import StepSet

    folder = work / f"phase1-{records or 'all'}"
    if folder.exists():
        return StepSet(folder)
    files = [data / "steps" / name for name in PHASE_1]
    if records is not None:
        few = work / f"phase1-{records}.jsonl"
        few.write_text("".join(files[0].read_text().splitlines(keepends=True)[:records]))
        files = [few]
    return import_step_set(files, folder, candidates=True).step_set


def merged(work: Path, data: Path):
    """Return one step set of the validation part and phase 1: both are people's ratings, which we say."""
    from prm_eval.importers.steps import import_step_set
    from prm_eval.stepsets import StepSet, StepSetWriter

    folder = work / "both"
    if folder.exists():
        return StepSet(folder)
    validation = import_step_set(data / "steps" / VALIDATION, work / "validation").step_set
    with StepSetWriter(folder, name="PRM800K validation and phase 1", labels="rated", label_source="people") as writer:
        for name, each in (("validation", validation), ("phase1", phase_1(work, data))):
            for solution, label in zip(each.solutions, each.labels, strict=True):
                named = replace(solution, solution_id=f"{name}/{solution.solution_id}", twin_id=None, group=name)
                writer.add(named, label)
    return writer.step_set


def texts_of(step_set) -> list[str]:
    """Return each distinct text of the training problems once, without labels."""
    from prm_eval.training.statements import is_held_out, key_of

    found = {
        f"{each.statement}\n" + "\n".join(each.steps)
        for each in step_set.solutions
        if not is_held_out(key_of(each.statement), HELD_OUT, SEED)
    }
    return sorted(found)


def small_base(folder: Path, texts: list[str], *, width: int = 96, layers: int = 3, vocabulary: int = 2_000) -> Path:
    """Make a random Llama with a byte-level BPE of these texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<end>"],
        show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", pad_token="<end>").save_pretrained(folder)
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=backend.get_vocab_size(), hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
        num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=2_048, tie_word_embeddings=True,
        pad_token_id=0, eos_token_id=0, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


# --- speed


def speed(options: argparse.Namespace) -> None:
    """Take one pass over the same solutions in each way."""
    from prm_eval.importers.steps import import_step_set
    from prm_eval.stepsets import StepSet

    chains = options.work / "validation"
    if not chains.exists():
        import_step_set(options.data / "steps" / VALIDATION, chains)
    validation, completions = StepSet(chains), phase_1(options.work, options.data, options.records)
    base = small_base(options.work / "speed-base", texts_of(completions))
    print(f"{validation.info.n_solutions:,} whole solutions (the validation part)")
    _compare(options.work, validation, base)
    print(
        f"{completions.info.n_solutions:,} rated completions of {options.records} records, with all steps before each"
    )
    _compare(options.work, completions, base)


def _compare(work: Path, step_set, base: Path) -> None:
    from prm_eval.training.job import run_training
    from prm_eval.training.options import TrainOptions

    common = {"kind": "prm", "rate": 1e-3, "held_out": 0.0, "unchecked": True, "contamination": "keep",
              "contradictions": "keep", "accumulate": 1, "log_every": 1_000, "save_every": 10**6}  # fmt: skip
    for name, given in (("packed, starts shared", {}), ("padded, by length", {"packing": "off"})):
        out = work / f"speed-{name[:6]}"
        _remove(out)
        wall, cpu = time.monotonic(), time.process_time()
        done = run_training(str(step_set.path), str(base), out, TrainOptions(**common, **given)).record["work"]
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        _row(name, done["tokens"], done["rows"], cpu, wall)
    _plain(work, step_set, base)


def _row(name: str, tokens: int, rows: int, cpu: float, wall: float) -> None:
    waste = f"{100 * (1 - tokens / rows):5.1f} % padding" if rows >= tokens else f"{tokens / rows:5.1f} x shared"
    print(f"{name:24} {tokens:>10,} tokens {rows:>10,} rows {waste:>16}  {cpu:7.1f} CPU s {wall:7.1f} s wall  "
          f"{tokens / cpu:8,.0f} tokens/CPU s")  # fmt: skip


def _plain(work: Path, step_set, base: Path) -> None:
    """Do the same with transformers' Trainer alone, as TRL's stepwise trainer does: a row a solution, padded."""
    import transformers

    from prm_eval.training.targets import step_targets

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    newline = tokenizer("\n", add_special_tokens=False)["input_ids"]
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    wall, cpu = time.monotonic(), time.process_time()
    rows = []
    for solution, label in zip(step_set.solutions, step_set.labels, strict=True):
        ids = encode(solution.statement)
        labels = [-100] * len(ids)
        for step, target in zip(solution.steps, step_targets(label, len(solution.steps)), strict=True):
            own = encode(step) + newline
            ids += own
            labels += [-100] * (len(own) - 1) + [-100 if target is None else int(target)]
        rows.append({"input_ids": ids, "labels": labels})
    collate = transformers.DataCollatorForTokenClassification(tokenizer)
    seen = {"tokens": 0, "rows": 0}

    def counted(items):
        batch = collate(items)
        seen["tokens"] += sum(len(each["input_ids"]) for each in items)
        seen["rows"] += batch["input_ids"].numel()
        return dict(batch)

    mean = int(np.mean([len(each["input_ids"]) for each in rows]))
    arguments = transformers.TrainingArguments(
        output_dir=str(work / "plain"), per_device_train_batch_size=max(1, 2_048 // mean), num_train_epochs=1,
        learning_rate=1e-3, lr_scheduler_type="linear", report_to="none", save_strategy="no", use_cpu=True,
        disable_tqdm=True, dataloader_pin_memory=False, logging_steps=10**6, remove_unused_columns=False,
    )  # fmt: skip
    model = transformers.AutoModelForTokenClassification.from_pretrained(base, num_labels=2)
    transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=counted).train()
    _row("plain Trainer", seen["tokens"], seen["rows"], time.process_time() - cpu, time.monotonic() - wall)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


# --- a small verifier of real labels


def real(options: argparse.Namespace) -> None:
    """Train a small step classifier on real ratings, and measure it on problems that it has not seen."""
    from prm_eval.training.job import run_training
    from prm_eval.training.options import TrainOptions

    step_set = merged(options.work, options.data)
    texts = texts_of(step_set)
    base = options.work / "base"
    if not (base / "pretrained.json").is_file():
        _pretrain(small_base(base, texts), texts, options.minutes)
    out = options.work / "prm"
    chosen = TrainOptions(
        "prm", rate=5e-4, epochs=options.epochs, held_out=HELD_OUT, seed=SEED, contradictions="drop", accumulate=2,
        contamination="keep", unchecked=True, held_out_most=150, class_weights="balanced",
        evaluate_every=200,
        against=(f"math500={options.data / 'problems' / 'math500.jsonl'}",), decay=0.05,
    )  # fmt: skip
    if not (out / "training.json").is_file():
        cpu = time.process_time()
        found = run_training(str(step_set.path), str(base), out, chosen)
        print(f"trained in {time.process_time() - cpu:,.0f} CPU s")
        print("\n".join(found.lines))
    print((out / "README.md").read_text())


def _pretrain(base: Path, texts: list[str], minutes: float) -> None:
    """Train the language model on texts without labels for some CPU minutes."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    rows, length = 8, 256
    # beginnings repeat in every completion's text: each text adds what is new of it
    fresh, before = [], ""
    for text in texts:
        common = next((at for at, (a, b) in enumerate(zip(before, text, strict=False)) if a != b), len(before))
        fresh.append(text[common:] if common > len(text) // 2 else text)
        before = text
    random.Random(SEED).shuffle(fresh)
    stream = [token for text in fresh for token in [*tokenizer(text)["input_ids"], 0]]
    pieces = torch.tensor(stream[: len(stream) // length * length]).reshape(-1, length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    began, steps, losses = time.process_time(), 0, []
    draw = torch.Generator().manual_seed(SEED)
    while (spent := time.process_time() - began) < 60 * minutes:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (steps + 1) / 50) * max(0.05, 1 - spent / (60 * minutes))
        ids = pieces[torch.randint(len(pieces), (rows,), generator=draw)]
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        steps += 1
    model.save_pretrained(base)
    said = {"tokens": len(stream), "seen": steps * rows * length, "loss": float(np.mean(losses[-50:]))}
    (base / "pretrained.json").write_text(json.dumps(said))
    print(f"pre-training: {sum(each.numel() for each in model.parameters()):,} weights, {said}")


if __name__ == "__main__":
    main()
