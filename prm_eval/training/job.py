"""A training from its command to its card: prepare, train, save, read again, say what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.pools.format import software_versions
from prm_eval.progress import Bars, no_bars
from prm_eval.records import ScoringItem
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.models.factory import make_model
from prm_eval.rewards.models.heads import values
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.recipes.reader import read_recipe
from prm_eval.store.json_files import read_own_json
from prm_eval.store.writing import NewFolder, copy_file, write_json, write_text
from prm_eval.training.batches import BatchSet, Schedule, inputs_of, make_schedule
from prm_eval.training.card import CARD, CURVE, card_text, curve_svg
from prm_eval.training.figures import Figures, final_figures
from prm_eval.training.heads import RECIPE
from prm_eval.training.launching import require_files, require_packages
from prm_eval.training.network import logits_of, make_network, quiet, why_not_packed
from prm_eval.training.options import TrainOptions
from prm_eval.training.preparing import Plan, prepare
from prm_eval.training.saving import BEST, keep_weights, save_checkpoint, take_kept, with_lora
from prm_eval.training.states import LOG, STATES, Log, last_whole, remove
from prm_eval.training.targets import class_weights, counts

SCHEMA = "prm_eval.training/1"
RECORD = "training.json"
WORK = ".work"
TRAINING = "training"
TRIED = 4
# between the training's forward pass and the checkpoint that was loaded again, in float32
MOST_APART = 1e-4


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        folder: The checkpoint.
        record: What ``training.json`` says.
        lines: What to tell the user.
    """

    folder: Path
    record: dict[str, Any]
    lines: tuple[str, ...]


def _tell_nobody(line: str) -> None:
    """Take a line for the user, where nobody reads."""


def run_training(
    data: str,
    base: str,
    out: Path,
    options: TrainOptions,
    *,
    command: str = "",
    bars: Bars = no_bars,
    stop_after: int | None = None,
    tell: Callable[[str], None] = _tell_nobody,
) -> Trained:
    """Train a verifier; a run that was cut off goes on from its last whole state.

    Args:
        data: A step set, a labelled or graded pool, or files with labelled steps.
        base: The base model: a folder or a hub id.
        out: The checkpoint to make.
        options: The options.
        command: The command, for the card.
        bars: The bars of the progress.
        stop_after: The update after whose state the run ends as if it was killed (for tests).
        tell: Called before the first update with a line on each sort of solution that is not trained on.

    Raises:
        PrmEvalError: A fault of data, base or options, or ``out`` holds something else.
    """
    require_files(options)
    require_packages(options, options.lora)
    if (out / RECORD).is_file():
        record = read_own_json(out / RECORD, (SCHEMA,), "the record of a training")
        raise PrmEvalError(
            f"{out} holds a finished training ({record['command'] or 'of another command'}); give another -o"
        )
    if out.exists() and any(each.name not in (WORK, LOG) for each in out.iterdir()) and not (out / WORK).is_dir():
        raise PrmEvalError(f"{out} is not empty and holds no training; give another -o")
    work = out / WORK
    work.mkdir(parents=True, exist_ok=True)
    with _main_process_first():
        # what a killed run left is removed before several processes look at it
        last_whole(work / STATES)
        plan = prepare(data, base, work, options, bars)
    for line in plan.left_out_lines() if os.environ.get("RANK", "0") == "0" else ():
        tell(line)
    with quiet():
        return _Job(plan, out, options, command, bars).run(stop_after)


def _main_process_first() -> Any:
    """Return a block that the first process of several enters alone; the others find what it made."""
    from contextlib import nullcontext

    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return nullcontext()
    from accelerate import PartialState

    return PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true").main_process_first()


class _Job:
    """One training whose plan is made."""

    def __init__(self, plan: Plan, out: Path, options: TrainOptions, command: str, bars: Bars) -> None:
        self._plan, self._out, self._work = plan, out, out / WORK
        self._options, self._command, self._bars = options, command, bars

    def run(self, stop_after: int | None) -> Trained:
        from prm_eval.training.loop import WHOLE, Run, is_main, train

        plan, options = self._plan, self._options
        network = make_network(plan.head, plan.base, options.revision, plan.tokenizer, options.seed)
        network.to(plan.device)
        why = "switched off" if options.packing == "off" else self._why_padded(network)
        self._packed = not why
        schedule = make_schedule(
            plan.examples, plan.batch_tokens, options.epochs, options.seed, packed=not why, kept=plan.kept
        )
        trained = with_lora(network, options.lora, options.lora_alpha) if options.lora else network
        number = counts(np.asarray(plan.examples.all_targets)[~plan.dropped])
        weights = class_weights(options.class_weights, number)
        batches = BatchSet(plan.examples, schedule, plan.head.columns, weights, plan.dropped, packed=not why)
        run = Run(network, trained, batches, options, self._work, self._out / LOG, plan.device, stop_after=stop_after)
        if plan.held_out.data is not None or plan.held_out.pool is not None:
            run.evaluate = lambda model: plan.held_out.figures(lambda asked: self._read(network, asked, model))
            run.watched = plan.held_out.watched
            run.keep_best = (lambda model: keep_weights(model, self._work)) if options.patience else None
        with self._bars(TRAINING, run.updates, "update") as progress:
            log = train(run, progress)
        if options.patience and (self._work / BEST).is_dir():
            take_kept(trained, self._work)
        if not is_main():
            raise SystemExit(0)
        if options.sharded:
            network = trained = make_network(plan.head, str(self._work / WHOLE), None, plan.tokenizer, options.seed)
        # of a run that stopped early, what it did
        done = min(log.step * run.each, len(batches))
        return self._finish(network, trained, log, schedule, done, number, weights, why)

    def _why_padded(self, network: Any) -> str:
        examples = self._plan.examples
        tried = [examples.ids(int(at)) for at in self._plan.kept[:TRIED]]
        return why_not_packed(network, tried, self._plan.device)

    def _read(self, network: Any, asked: Sequence[Rendered], wrapped: Any = None) -> list[tuple[float, ...]]:
        """Return what the network as it is says at the read positions of solutions, in order."""
        device = next(network.parameters()).device
        order = sorted(
            range(len(asked)), key=lambda at: (asked[at].ids if self._packed else (-len(asked[at].ids),), at)
        )
        found: list[tuple[float, ...]] = [()] * len(asked)
        start = 0
        while start < len(order):
            used = stop = start
            rows = 0
            while used < len(order) and (
                used == start or rows + len(asked[order[used]].ids) <= self._plan.batch_tokens
            ):
                rows += len(asked[order[used]].ids)
                used += 1
            stop = used
            some = [asked[at] for at in order[start:stop]]
            inputs = inputs_of([one.ids for one in some], [one.positions for one in some], packed=self._packed)
            logits = logits_of(network, inputs, device, wrapped)
            parts = logits.split([len(one.positions) for one in some])
            for at, part in zip(order[start:stop], parts, strict=True):
                found[at] = values(self._plan.head.recipe.score, part)
            start = stop
        return found

    def _finish(
        self,
        network: Any,
        trained: Any,
        log: Log,
        schedule: Schedule,
        done: int,
        number: dict[str, float],
        weights: tuple[float, float, float],
        why: str,
    ) -> Trained:
        plan = self._plan
        if hasattr(trained, "merge_and_unload"):
            network = trained.merge_and_unload()
        probe = self._probe()
        before = self._read(network, [one for _, one in probe])
        self._save(network)
        del network, trained
        model = make_model(read_recipe(self._out / RECIPE), str(self._out), {"device": plan.device, "dtype": "float32"})
        apart = self._apart(model, [item for item, _ in probe], before)
        figures = final_figures(plan.held_out, model, plan.held_items, plan.data)
        record = self._record(log, schedule, done, number, weights, why, apart, figures)
        if log.lines:
            write_text(self._out / CURVE, curve_svg(log.lines))
        write_text(self._out / CARD, card_text(record, figures))
        write_json(self._out / RECORD, record)
        remove(self._work)
        return Trained(self._out, record, tuple(figures.lines))

    def _probe(self) -> list[tuple[ScoringItem, Rendered]]:
        """Return some solutions that the training could read, and their inputs."""
        from prm_eval.rewards.inputs.renderer import Renderer
        from prm_eval.rewards.models.engine_model import render_within

        plan = self._plan
        renderer = Renderer(plan.head.recipe, plan.tokenizer, plan.base, max_tokens=plan.limit)
        items = plan.held_items[: 5 * TRIED]
        # the checkpoint knows nothing of --max-tokens, and would read what is left out here
        found = [(each, render_within(renderer.render, each, plan.limit)) for each in items]
        return [(item, one) for item, one in found if one.refusal is None]

    def _save(self, network: Any) -> None:
        """Write the checkpoint, and move it into its place when the disk has all of it."""
        folder = NewFolder(self._work, "checkpoint")
        save_checkpoint(network, self._plan.tokenizer, folder.path, self._options.save_dtype)
        for each in sorted(path for path in folder.path.rglob("*") if path.is_file()):
            place = self._out / each.relative_to(folder.path)
            place.parent.mkdir(exist_ok=True)
            copy_file(each, place)
        folder.drop()
        copy_file(self._work / RECIPE, self._out / RECIPE)

    def _apart(self, model: RewardModel, items: Sequence[ScoringItem], before: Sequence[tuple[float, ...]]) -> float:
        """Return how far the loaded checkpoint is from the training's last forward pass, at most.

        Raises:
            ModelError: So far that it is another model.
        """
        if not items:
            return 0.0
        scored = model.score(list(items))
        pairs = zip((x for one in before for x in one), (x for each in scored for x in each.values), strict=True)
        apart = max((abs(one - other) / max(1.0, abs(one)) for one, other in pairs), default=0.0)
        if self._options.save_dtype == "float32" and apart > MOST_APART:
            raise ModelError(
                f"{self._out}: the checkpoint that was loaded again differs from the training's forward pass by "
                f"{apart:.2g}; expected at most {MOST_APART:g}. Please report this base model and command"
            )
        return float(apart)

    def _record(
        self,
        log: Log,
        schedule: Schedule,
        done: int,
        number: dict[str, float],
        weights: tuple[float, float, float],
        why: str,
        apart: float,
        figures: Figures,
    ) -> dict[str, Any]:
        plan, options = self._plan, self._options
        about = plan.examples.about
        return {
            "schema": SCHEMA,
            "kind": options.kind,
            "command": self._command,
            "options": {
                name: list(each) if isinstance(each, tuple) else each for name, each in options.given().items()
            },
            "base": {"id": plan.base, **plan.base_hashes},
            "recipe": {"name": plan.head.recipe.name, "sha256": plan.head.recipe.digest},
            "data": plan.data.describe,
            "examples": {
                "trained_on": len(plan.kept),
                "problems": plan.problems[0],
                "held_out_problems": plan.problems[1],
                "held_out_solutions": len(plan.held_items) if plan.problems[1] else 0,
                "left_out": plan.left_out,
                "first_left_out": about["first"],
                "cut_otherwise_by_the_recipe": plan.cut_otherwise,
                "contradictory_texts": plan.n_contradictions,
                "targets": number,
                "class_weights": dict(zip(("bad", "neutral", "good"), weights, strict=True)),
            },
            "contamination": {
                "sets_checked": sorted(plan.known.sets),
                "sets_unchecked": sorted(plan.known.unchecked),
                "found": plan.overlap.by_set,
                "what": options.contamination,
            },
            "work": {
                "updates": log.step,
                "tokens": int(schedule.tokens[:done].sum()),
                "rows": int(schedule.rows[:done].sum()),
                "seconds": log.seconds,
                "packed": self._packed,
                "why_padded": why,
                "padding_waste": round(schedule.padding_waste, 4),
                "shared": round(schedule.saved, 4),
                "device": plan.device,
                "batch_tokens": plan.batch_tokens,
            },
            "loaded_again_apart": apart,
            "figures": figures.record,
            "versions": software_versions("torch", "transformers", "accelerate", "peft"),
        }
