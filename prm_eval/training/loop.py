"""The one loop: transformers' Trainer over a schedule of batches, with our loss, our log and states that survive kills.

Trainer brings mixed precision, gradient checkpointing, accumulation, several processes, FSDP and DeepSpeed. It reports
to nobody. A run that was killed goes on from its last whole state, to the same weights on a CPU.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from prm_eval.progress import Progress, silent
from prm_eval.training.network import laid_out
from prm_eval.training.options import LoopOptions
from prm_eval.training.precision import half_precision
from prm_eval.training.states import LOG, STATES, Log, last_whole, mark_whole, seconds_of, step_of
from prm_eval.training.targets import losses

TENTHS = 10
WHOLE = "whole"
"""The folder of the weights that FSDP or DeepSpeed put together."""


def processes() -> int:
    """Return how many processes train together, as their launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Say whether this is the process that writes."""
    return os.environ.get("RANK", "0") == "0"


class Batches(Protocol):
    """The batches of a run: the n-th is the same whenever it is asked for.

    A batch holds the arguments of the network's forward pass, and besides them ``targets`` (distributions (K, outputs),
    or the indices (K,) of the right outputs), ``weights`` (K,) and ``layout`` (of a packed row, or None).
    """

    @property
    def passes(self) -> int:
        """The number of passes over the data."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> dict[str, Any]: ...

    def rows(self, number: int, /) -> int:
        """Return the rows that the trunk runs over for the first batches."""
        ...

    def tokens(self, number: int, /) -> int:
        """Return the tokens of the first batches."""
        ...


@dataclass(frozen=True)
class Rule:
    """How the weights are changed, in place of AdamW and a rate that falls on a line.

    Attributes:
        optimizer: Makes the optimizer of a network.
        factor: What the rates of the optimizer are multiplied by, by update.
    """

    optimizer: Callable[[Any], Any]
    factor: Callable[[int], float]


@dataclass
class Run:
    """One run of the loop.

    Attributes:
        network: What is trained (:func:`prm_eval.training.network.readable`).
        trained: The network, or what peft made of it.
        batches: The batches.
        options: The options.
        folder: The work folder.
        log: Where the log is.
        device: The device.
        evaluate: Returns held-out figures of the network as it is; called with what wraps it.
        watched: The figure by which the best weights are known; empty keeps the last.
        keep_best: Called when the watched figure is better than before.
        stop_after: The update after which the run ends as if it was killed (for tests of resuming).
        rule: How the weights are changed; None is AdamW with the options' rate.
    """

    network: Any
    trained: Any
    batches: Batches
    options: LoopOptions
    folder: Path
    log: Path
    device: str
    evaluate: Callable[[Any], dict[str, float]] | None = None
    watched: str = ""
    keep_best: Callable[[Any], None] | None = None
    stop_after: int | None = None
    rule: Rule | None = None

    @property
    def updates(self) -> int:
        """The number of updates: each takes so many batches on every process."""
        return -(-len(self.batches) // self.each)

    @property
    def each(self) -> int:
        """The batches of an update."""
        return self.options.accumulate * processes()

    def every(self, given: int | None) -> int:
        """Return an interval in updates: as given, or a tenth of the run."""
        return given or max(1, self.updates // TENTHS)


def train(run: Run, progress: Progress = silent) -> Log:
    """Train a network in place; return the log, which says where the run ended.

    Args:
        run: What is trained, and how.
        progress: Called with the updates done and the tokens computed.
    """
    state = last_whole(run.folder / STATES)
    log = Log(run.log, step_of(state), seconds_of(state), writes=is_main())
    if state is not None and _has_stopped([value for _, value in log.held_out(run.watched)], run.options.patience):
        return log
    arguments = _arguments(run)
    trainer = VerifierTrainer(
        model=run.trained,
        args=arguments,
        train_dataset=run.batches,
        data_collator=_only,
        callbacks=[_Watching(run, log, progress)],
        optimizers=(None, None) if run.rule is None else _ruled(run.trained, run.rule),
    )
    trainer.take(run)
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=None if state is None else str(state))
    if run.options.sharded:
        # every process has a part of the weights: all of them must write
        trainer.save_model(str(run.folder / WHOLE))
    return log


def _ruled(trained: Any, rule: Rule) -> tuple[Any, Any]:
    from torch.optim.lr_scheduler import LambdaLR

    optimizer = rule.optimizer(trained)
    return optimizer, LambdaLR(optimizer, rule.factor)


def _only(items: list[dict[str, Any]]) -> dict[str, Any]:
    return items[0]


def _arguments(run: Run) -> Any:
    options = run.options
    cpu = run.device.startswith("cpu")
    precision = options.precision or ("float32" if cpu else half_precision(run.device) or "float32")
    found = TrainingArguments(
        output_dir=str(run.folder / STATES),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        gradient_accumulation_steps=options.accumulate,
        learning_rate=options.rate,
        lr_scheduler_type="linear",
        warmup_steps=round(options.warmup * run.updates),
        weight_decay=options.decay,
        max_grad_norm=options.clip,
        optim="adamw_torch",
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        logging_steps=options.log_every,
        save_strategy="steps",
        save_steps=run.every(options.save_every),
        save_total_limit=None,
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        seed=options.seed,
        use_cpu=cpu,
        **_checkpointing(options),
        **_launchers(options),
    )
    # without a launcher Trainer would copy batches to every GPU it sees (DataParallel), which a packed row cannot be
    if found.n_gpu > 1:
        found._n_gpu = 1
    return found


def _checkpointing(options: LoopOptions) -> dict[str, Any]:
    if not options.checkpointing:
        return {}
    # its name since transformers 5.20, and the one before
    names = inspect.signature(TrainingArguments).parameters
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


def _launchers(options: LoopOptions) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if options.deepspeed is not None:
        given["deepspeed"] = options.deepspeed
    if options.fsdp is not None:
        given |= {"fsdp": "full_shard auto_wrap", "fsdp_config": options.fsdp}
    return given


class VerifierTrainer(Trainer):  # type: ignore[misc]
    """Trainer with the loss of a verifier: the weighted mean over all targets of an update."""

    def take(self, run: Run) -> None:
        """Take what Trainer does not know of: the network, whose attention follows the layout of each batch."""
        self._network = run.network
        # the loss is divided by the targets of the whole update, on all processes
        self.model_accepts_loss_kwargs = False
        self.loss_is_scaled_for_ga = True
        self.tokens = 0

    def _get_train_sampler(self, *arguments: Any, **options: Any) -> Any:
        """Return the batches in the order of the schedule, which is shuffled already."""
        from torch.utils.data import SequentialSampler

        return SequentialSampler(self.train_dataset)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """Return the batches of an update, and the sum of the weights of their targets on all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, None
        total = sum(batch["weights"].sum() for batch in batches).to(device)
        if self.args.world_size > 1:
            total = self.accelerator.gather(total).sum()
        return batches, total

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """Compute one batch; the backward pass needs the layout too, where activations are computed again."""
        self.tokens += inputs["input_ids"].numel()
        with laid_out(self._network, inputs.pop("layout")):
            return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the part of a batch in the loss of its update."""
        targets, weights = inputs.pop("targets"), inputs.pop("weights")
        outputs = model(**inputs)
        total = weights.sum() if num_items_in_batch is None else num_items_in_batch
        # processes average their gradients: each gives its part so many times
        loss = (losses(outputs["logits"], targets) * weights).sum() / total * self.args.world_size
        return (loss, outputs) if return_outputs else loss


def _has_stopped(values: list[float], patience: int) -> bool:
    """Say whether so many evaluations brought nothing better that the run ends."""
    return bool(patience and values) and len(values) - 1 - values.index(max(values)) >= patience


class _Stopped(KeyboardInterrupt):
    """The end of a run in a test of going on."""


class _Watching(TrainerCallback):  # type: ignore[misc]
    """Our log, our bar, our held-out figures, and states that are marked when they are whole."""

    def __init__(self, run: Run, log: Log, progress: Progress) -> None:
        self._run, self._log, self._progress = run, log, progress
        self._started = time.monotonic()
        # a state of an older version has no seconds; then the last line's count
        self._spent = log.seconds or (float(log.lines[-1].get("seconds", 0.0)) if log.lines else 0.0)

    def _seconds(self) -> float:
        return round(self._spent + time.monotonic() - self._started, 1)

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Show what an earlier run finished."""
        self._progress(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **rest: Any) -> None:
        """Write a line of loss, gradient and rate."""
        if not logs or "loss" not in logs:
            return
        self._write(state.global_step, {
            "loss": float(logs["loss"]),
            "gradient": float(logs.get("grad_norm") or 0.0),
            "rate": float(logs.get("learning_rate") or 0.0),
        })  # fmt: skip

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> Any:
        """Show the update; measure and keep the best where it is time."""
        run, step = self._run, state.global_step
        self._progress(step, run.batches.rows(step * run.each))
        last = step >= state.max_steps
        self._log.step = step
        # the course ends with the last update, wherever the interval falls
        control.should_log |= last
        if run.evaluate is not None and (step % run.every(run.options.evaluate_every) == 0 or last):
            self._measure(step, state, control, model)
        return control

    def _measure(self, step: int, state: Any, control: Any, model: Any) -> None:
        run = self._run
        assert run.evaluate is not None  # noqa: S101 - the caller asked
        figures = run.evaluate(model)
        before = [value for _, value in self._log.held_out(run.watched)]
        value = figures.get(run.watched)
        better = value is not None and (not before or value > max(before))
        self._write(step, {"held_out": figures})
        if better and run.keep_best is not None and state.is_world_process_zero:
            run.keep_best(model)
        if run.options.patience and value is not None:
            control.should_training_stop = _has_stopped([*before, value], run.options.patience)
            control.should_save |= control.should_training_stop
            control.should_log |= control.should_training_stop

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Mark a state that was just written as whole."""
        if state.is_world_process_zero:
            mark_whole(Path(args.output_dir), state.global_step, self._seconds())
        if self._run.stop_after is not None and state.global_step >= self._run.stop_after:
            raise _Stopped

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Say where the run ended, and what it took with what the runs before it took."""
        self._log.step, self._log.seconds = state.global_step, self._seconds()

    def _write(self, step: int, found: dict[str, Any]) -> None:
        run = self._run
        per = len(run.batches) / max(1, run.batches.passes)
        done = min(step * run.each, len(run.batches))
        tokens = run.batches.tokens(done)
        line = {"step": step, "epoch": round(done / per, 3), "tokens": tokens, "seconds": self._seconds()}
        self._log.add({**line, **found})


__all__ = ["LOG", "Batches", "Rule", "Run", "train"]
