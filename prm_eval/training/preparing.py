"""All that happens before the first step: what is trained on what, and every fault that can be found by then."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.jobs import meant_grades
from prm_eval.evaluation.stepwise.arrays import load_set
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, no_bars
from prm_eval.records import ScoringItem
from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.rewards.models import checkpoint
from prm_eval.stepsets.step_set import is_step_set
from prm_eval.store.json_files import read_own_json
from prm_eval.store.writing import write_json
from prm_eval.training.examples import (
    ExampleMaker,
    contradicting_targets,
    contradictions,
    require_one_label,
    write_examples,
)
from prm_eval.training.fitting import free_bytes, require_room, size_of, weights_of
from prm_eval.training.heads import HeadPlan, plan_head
from prm_eval.training.held_out import BestOfN, HeldOut, HeldOutAnswers, HeldOutSteps
from prm_eval.training.network import base_config
from prm_eval.training.options import TrainOptions
from prm_eval.training.saving import BEST
from prm_eval.training.sources import Sample, TrainingData, open_data, require_cuts
from prm_eval.training.statements import Known, Overlap, is_held_out, key_of, known_problems
from prm_eval.training.states import STATES, last_whole, remove
from prm_eval.training.store import Examples, is_complete
from prm_eval.training.targets import counts, require_both_classes

PLAN_SCHEMA = "prm_eval.training_plan/1"
PLAN = "plan.json"
EXAMPLES = "examples"
HELD_OUT = "held out"
CONTAMINATED = "a problem of a registered set"
CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 2_048, 8_192
RENDER_TRAINING = "rendering for training"


@dataclass
class Plan:
    """What is about to be trained.

    Attributes:
        head: The head and its recipe.
        tokenizer: Of the base.
        base: The base.
        base_hashes: What identifies it.
        data: What is trained on.
        examples: The same, rendered.
        kept: The examples that have a target left.
        dropped: Which targets are left out, because their text has another one too.
        held_out: What is measured.
        held_items: The held-out solutions, or a few of the training where nothing is held out: the checkpoint is read
            again on them.
        problems: How many problems are trained on, and how many are held out.
        known: The problem sets that were held against them.
        overlap: What they share.
        cut_otherwise: Solutions whose given steps the recipe's splitter would cut otherwise.
        n_contradictions: Texts with two labels.
        device: The device.
        batch_tokens: The most rows of a batch.
        limit: The most tokens of an input.
        unlabelled: Solutions without a target, by reason.
    """

    head: HeadPlan
    tokenizer: Any
    base: str
    base_hashes: dict[str, Any]
    data: TrainingData
    examples: Examples
    kept: npt.NDArray[np.int64]
    dropped: npt.NDArray[np.bool_]
    held_out: HeldOut
    held_items: list[ScoringItem]
    problems: tuple[int, int]
    known: Known
    overlap: Overlap
    cut_otherwise: int
    n_contradictions: int
    device: str
    batch_tokens: int
    limit: int | None
    unlabelled: dict[str, int]

    @property
    def left_out(self) -> dict[str, int]:
        """How many solutions are not trained on, by reason."""
        return {**self.examples.about["left_out"], **self.unlabelled}

    def left_out_lines(self) -> list[str]:
        """Return a line on each reason but that of held-out ones: how many solutions, and which is the first."""
        first = self.examples.about["first"]
        return [
            f"left out   {count:,} solution{'' if count == 1 else 's'}: {reason}"
            + (f" (first {first[reason]})" if reason in first else "")
            for reason, count in sorted(self.left_out.items(), key=lambda each: (-each[1], each[0]))
            if reason != HELD_OUT
        ]


def prepare(data: str, base: str, work: Path, options: TrainOptions, bars: Bars = no_bars) -> Plan:
    """Find every fault, and lay out the examples of a training in its work folder.

    Args:
        data: A step set, a labelled or graded pool, or files with labelled steps.
        base: The base model.
        work: The work folder; what an earlier run of the same plan left in it is used.
        options: The options.
        bars: The bars of the progress.

    Raises:
        PrmEvalError: A fault of data, base or options, or the folder holds another training.
    """
    device, _ = checkpoint.device_and_dtype(options.device, None)
    tokenizer = checkpoint.load("base's tokenizer", "AutoTokenizer", base, options.revision)
    head = plan_head(options, tokenizer, base, work)
    config = base_config(head, base, options.revision)
    limit = _limit(head, config, options.max_tokens)
    renderer = Renderer(head.recipe, tokenizer, base, max_tokens=limit, pad_id=config.get_text_config().pad_token_id)
    cpu = device.startswith("cpu")
    batch_tokens = options.batch_tokens or (CPU_BATCH_TOKENS if cpu else GPU_BATCH_TOKENS)
    if (free := free_bytes(device)) is not None:
        half = (options.precision or "bfloat16") != "float32"
        size = size_of(config, weights_of(config, head.loader), options, batch_tokens, half=half)
        require_room(size, free, device, options)
    base_hashes = _base_hashes(base, config)
    found = open_data(data, options, work)
    cut_otherwise = require_cuts(found, head.recipe.splitter if head.recipe.kind == "prm" else None)
    pool = None if options.pool is None else _graded_pool(options.pool, options.grades)
    against = (*options.against, *([] if options.pool is None else [options.pool]))
    known = known_problems(against, unchecked=options.unchecked)
    split = _Split(found, options, known)
    split.walk()
    _same_plan(work, found, base_hashes, head, options, split)
    maker = ExampleMaker(renderer, limit)
    examples = _examples(work / EXAMPLES, found, maker, split, options, bars)
    clash = contradictions(examples)
    require_one_label(examples, clash, options.contradictions, found.place)
    dropped = contradicting_targets(examples) if options.contradictions == "drop" else np.zeros(
        len(examples.all_targets), dtype=bool
    )  # fmt: skip
    require_both_classes(counts(np.asarray(examples.all_targets)[~dropped]), found.path, options.kind)
    left = np.bincount(examples.owners[~dropped], minlength=len(examples)) > 0
    held, items = _held_out(found, options, split, maker)
    best_of_n = None
    if pool is not None:
        best_of_n = BestOfN(pool, meant_grades(pool, options.grades), head.recipe, maker.render, options.pool_problems)
    return Plan(
        head, tokenizer, base, base_hashes, found, examples, np.flatnonzero(left), dropped,
        HeldOut(held, best_of_n, options.held_out_most), items,
        (int(examples.about["n_problems"]), len(split.held_keys)), known, split.overlap, cut_otherwise, len(clash),
        device, batch_tokens, limit, split.unlabelled,
    )  # fmt: skip


def _graded_pool(path: str, grades: str) -> Pool:
    """Return a pool, after checking that it has grades: without them nothing of it can be measured."""
    pool = Pool(path).require_sound()
    pool.require_grades(meant_grades(pool, grades))
    return pool


def _limit(head: HeadPlan, config: Any, asked: int | None) -> int | None:
    limits = [head.recipe.max_tokens, getattr(config.get_text_config(), "max_position_embeddings", None), asked]
    return min((int(each) for each in limits if each), default=None)


def _base_hashes(base: str, config: Any) -> dict[str, Any]:
    if Path(base).is_dir():
        return {"weights_sha256": checkpoint.weight_hashes(base), **checkpoint.input_hashes(base)}
    return {"revision": getattr(config, "_commit_hash", None) or checkpoint.snapshot_commit(base)}


def _same_plan(
    work: Path, data: TrainingData, base: dict[str, Any], head: HeadPlan, options: TrainOptions, split: _Split
) -> None:
    """Insist that what lies in the work folder is of this training, and say so there.

    Nothing is lost where no state lies there (a run that was refused, or stopped before its first one): the examples of
    another plan are then made anew.

    Raises:
        PrmEvalError: There are states of another one; names what differs.
    """
    begun = last_whole(work / STATES) is not None
    if not begun:
        # weights that were kept before the first state are of a course that begins again
        remove(work / BEST)
    mine: dict[str, Any] = {"schema": PLAN_SCHEMA, "data": data.hashes, "base": base, "recipe": head.recipe.digest}
    # which problems are held out or left out follows from other sets too, which options only name
    mine["split"] = split.digest()
    mine["options"] = {
        name: list(each) if isinstance(each, tuple) else each for name, each in options.deciding().items()
    }
    file = work / PLAN
    if file.is_file():
        there = read_own_json(file, (PLAN_SCHEMA,), "the plan of a training")
        differ = [key for key in ("data", "base", "recipe") if there.get(key) != mine[key]]
        differ += [key for key, value in mine["options"].items() if there.get("options", {}).get(key) != value]
        if not differ and there.get("split") != mine["split"]:
            differ = ["problems to hold out or to leave out"]
        if differ and begun:
            raise PrmEvalError(
                f"{work.parent} holds an unfinished training with other {', '.join(differ)}; expected the same, to go "
                "on. Give another -o, or remove it"
            )
        if differ:
            remove(work / EXAMPLES)
    elif (work / EXAMPLES).exists():
        remove(work / EXAMPLES)
    write_json(file, mine)


class _Split:
    """Who is trained on, who is held out, and what belongs to known sets, by statement."""

    def __init__(self, data: TrainingData, options: TrainOptions, known: Known) -> None:
        self._data, self._options, self._known = data, options, known
        self.held_keys: set[int] = set()
        self.train_keys: set[int] = set()
        self.overlap = Overlap()
        self.unlabelled: dict[str, int] = {}
        self.other: TrainingData | None = None
        self._elsewhere: set[int] = set()
        if options.held_out_data is not None:
            self.other = _opened(options.held_out_data, options)
            self._elsewhere = {key_of(each.item.statement) for each in self.other.samples(options)}
            self.held_keys = set(self._elsewhere)

    def is_held(self, key: int) -> bool:
        """Say whether a problem of DATA is held out."""
        if self.other is not None:
            return key in self._elsewhere
        return is_held_out(key, self._options.held_out, self._options.seed)

    def walk(self) -> None:
        """Walk over the statements once.

        Raises:
            PrmEvalError: Problems of a known set are trained on, and nobody said that they may be.
        """
        targets: Counter[float] = Counter()
        dropping = self._options.contamination == "drop"
        for sample in self._data.samples(self._options):
            key = key_of(sample.item.statement)
            if self.is_held(key):
                self.held_keys.add(key)
                continue
            self.train_keys.add(key)
            names = self._known.of(key)
            if names:
                self.overlap.note(key, names, f"{sample.path}, row {sample.row}", sample.item.statement)
            if not (names and dropping):
                targets.update(each for each in sample.targets if each is not None)
        # of this whole walk: later ones may end early
        self.unlabelled = dict(self._data.left_out)
        if self.overlap.keys and self._options.contamination == "refuse":
            raise PrmEvalError(
                f"{self._data.path} has {len(self.overlap.keys):,} of {len(self.train_keys):,} training problems in "
                f"common with problem sets that verifiers are measured on: {self.overlap.words()}. Leave them out "
                "(--contamination drop), or train on them (--contamination keep), which the card will say: figures on "
                "these sets are then worth nothing"
            )
        wanted = self._options.held_out or self.other is not None
        if wanted and not self.held_keys:
            raise PrmEvalError(
                f"none of {len(self.train_keys):,} problems was drawn to be held out (--held-out "
                f"{self._options.held_out:g}, --seed {self._options.seed}): give more problems, a larger share, "
                "--held-out-data SET, or --held-out 0"
            )
        if targets:
            # here already: rendering takes long
            values, times = np.array(list(targets), dtype=np.float32), list(targets.values())
            require_both_classes(counts(np.repeat(values, times)), self._data.path, self._options.kind)

    def digest(self) -> str:
        """Return a hash of the problems that are not trained on."""
        dropped = self.overlap.keys if self._options.contamination == "drop" else set()
        parts = [sorted(self.held_keys), sorted(dropped)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def keep(self, sample: Sample, key: int) -> str | None:
        """Return why a solution is no training example."""
        if self.is_held(key):
            return HELD_OUT
        return CONTAMINATED if self._options.contamination == "drop" and key in self.overlap.keys else None


def _opened(path: str, options: TrainOptions) -> TrainingData:
    """Open what is held out, which must be made already: nothing is written beside it."""
    graded = options.kind == "orm" and (Path(path) / "pool.json").is_file()
    if not graded and not is_step_set(path):
        wanted = "a step set (prm-eval steps import)" + (", or a graded pool" if options.kind == "orm" else "")
        raise PrmEvalError(f"--held-out-data {path}: found no such folder; expected {wanted}")
    return open_data(path, replace(options, labels=None, form="auto", candidates=False, soft=False), Path(path))


def _examples(
    folder: Path, data: TrainingData, maker: ExampleMaker, split: _Split, options: TrainOptions, bars: Bars
) -> Examples:
    if not is_complete(folder):
        with bars(RENDER_TRAINING, None, "solution") as progress:
            write_examples(data.samples(options), maker, folder, split.keep, progress)
    return Examples(folder)


def _held_out(
    data: TrainingData, options: TrainOptions, split: _Split, maker: ExampleMaker
) -> tuple[HeldOutSteps | HeldOutAnswers | None, list[ScoringItem]]:
    source = split.other or data
    chosen = [each for each in source.samples(options) if split.is_held(key_of(each.item.statement))]
    if not chosen:
        return None, _few(data, options)
    if options.kind == "prm" and source.step_set is not None:
        held: HeldOutSteps | HeldOutAnswers = _held_steps(source, chosen, maker)
    else:
        held = _held_answers(chosen, maker)
    return held, held.items


def _few(data: TrainingData, options: TrainOptions, most: int = 20) -> list[ScoringItem]:
    return [each.item for each, _ in zip(data.samples(options), range(most), strict=False)]


def _held_steps(source: TrainingData, chosen: Sequence[Sample], maker: ExampleMaker) -> HeldOutSteps:
    if source.step_set is None:
        raise AssertionError("a PRM is trained on a step set")
    arrays = load_set(source.step_set)
    mask = np.zeros(arrays.n, dtype=bool)
    mask[[each.index for each in chosen]] = True
    items = [each.item for each in chosen]
    return HeldOutSteps(arrays.take(mask, "held out"), [maker.render(each) for each in items], items)


def _held_answers(chosen: Sequence[Sample], maker: ExampleMaker) -> HeldOutAnswers:
    found = HeldOutAnswers()
    problems: dict[int, int] = {}
    for each in chosen:
        found.items.append(each.item)
        found.rendered.append(maker.render(each.item))
        found.right.append(float(each.targets[0] or 0.0))
        found.problem.append(problems.setdefault(key_of(each.item.statement), len(problems)))
    return found
