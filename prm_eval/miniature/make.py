"""The making of the miniature models, from one seed, in stages that continue where they were cut off.

The backbone learns arithmetic from drills and right solutions, and the policy continues from it with the noisy corpus.
Both verifiers start from the backbone too, and are trained equally long on the same rows: facts, solutions of the noise
process and, towards the end, candidates of the policy. Only the labels differ.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.candidates import (
    LESSON_DRAW,
    POLICY_DRAW,
    by_problem,
    policy_candidates,
    read_candidates,
    training_problems,
    write_candidates,
)
from prm_eval.miniature.data import Labelling, Stream, backbone_text, corpus_text
from prm_eval.miniature.lessons import Lessons
from prm_eval.miniature.models import Shape, load_model, new_model, save_model, shape_at
from prm_eval.miniature.noise import CORPUS, RARE
from prm_eval.miniature.plan import Plan, normal_form
from prm_eval.miniature.train import LOG, Schedule, fit, precision_of
from prm_eval.miniature.verifiers import new_verifier
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.pools.format import software_versions
from prm_eval.progress import Bars, Progress, no_bars, silent
from prm_eval.rewards.engine.machine import device_name
from prm_eval.rewards.models.checkpoint import weight_hashes
from prm_eval.store.writing import write_json

# the stages, and those that each of them is made from
NEEDS: dict[str, tuple[str, ...]] = {
    "backbone": (),
    "policy": ("backbone",),
    "candidates": ("policy",),
    "orm": ("backbone", "candidates"),
    "prm": ("backbone", "candidates"),
}
RECORD = "record.json"
POLICY_STEPS = 1_400
"""Optimizer steps of the shipped policy on the noisy corpus."""
GOALS = ("policy", "orm", "prm", "all")


@dataclass(frozen=True)
class Settings:
    """The settings that determine the models besides seed and device.

    Attributes:
        shape: The shape of all three models.
        backbone: The schedule of the backbone; batches are 64 texts.
        policy: The schedule of the policy.
        verifier: The schedule of ORM and PRM; batches are 16 packed rows, about 64 candidates.
        written_problems: The number of training problems that the noise process writes solutions of for them.
        sampled_problems: The number of training problems that the policy is sampled on for the verifiers.
        sampled: Candidates a problem; equal texts count once.
        temperature: The temperature of that sampling, without a cut: higher than where verifiers are used, so that
            they have seen what is rare there.
    """

    shape: Shape = field(default_factory=Shape)
    backbone: Schedule = field(default_factory=lambda: Schedule(2400))
    policy: Schedule = field(default_factory=lambda: Schedule(POLICY_STEPS))
    verifier: Schedule = field(default_factory=lambda: Schedule(6_000, 2e-3, falls="line"))
    written_problems: int = 40_000
    sampled_problems: int = 2_000
    sampled: int = 64
    temperature: float = 1.0


# settings for tests
TINY = Settings(
    Shape(16, 32, 2, 2),
    Schedule(20),
    Schedule(20),
    Schedule(10, 2e-3, falls="line"),
    written_problems=64,
    sampled_problems=8,
    sampled=4,
)


def checkpoint_name(kind: str) -> str:
    """Return the name of a finished model's folder, by which the verifiers' recipes recognise their checkpoints."""
    return f"miniature-{kind}"


def make(
    goal: str,
    output: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    settings: Settings | None = None,
    backbone: Path | None = None,
    bars: Bars = no_bars,
) -> dict[str, Any]:
    """Make a model and the stages it needs, and return the record of all stages done so far in ``output``.

    Args:
        goal: One of :data:`GOALS`.
        output: Finished models go to ``miniature-KIND``, states, logs and candidates to ``work``, the record to
            ``record.json``.
        seed: The seed of all draws.
        device: ``cpu`` or ``cuda``.
        settings: The settings; those of the shipped models by default.
        backbone: The checkpoint of a backbone that is taken in place of training one.
        bars: Progress bars for the stages.

    Raises:
        PrmEvalError: ``output`` holds stages of another seed, device, precision or backbone, or of other settings; or
            there is no checkpoint in ``backbone``.
    """
    maker = _Maker(output, seed, device, settings or Settings(), backbone, bars)
    _require_same(maker)
    for kind in ("policy", "orm", "prm") if goal == "all" else (goal,):
        maker.need(kind)
    shipped = output / checkpoint_name("backbone")
    # the studies start from the backbone; its last file is this one
    if goal == "all" and not (shipped / "tokenizer_config.json").is_file():
        save_model(load_model(maker.work / "backbone" / "model"), shipped)
    about = {
        "seed": seed,
        "device": device,
        "precision": maker.precision,
        "settings": asdict(maker.settings),
        "noise": {"corpus": asdict(CORPUS), "verifiers": asdict(RARE)},
        "stages": maker.record,
    }
    if not (output / RECORD).is_file() or json.loads((output / RECORD).read_text()) != about:
        write_json(output / RECORD, about)
    return maker.record


def drawn_for_training(seed: int, settings: Settings | None = None, progress: Progress = silent) -> set[str]:
    """Return the normal forms of all problems that :func:`make` trains on with a seed, by drawing them again.

    Args:
        seed: The seed that :func:`make` was given.
        settings: The settings that :func:`make` was given.
        progress: Called with the number of problems drawn so far.
    """
    chosen, encoder = settings or Settings(), Encoder()
    found: set[str] = set()
    drawn = 0

    def seen(plan: Plan) -> None:
        nonlocal drawn
        found.add(normal_form(plan))
        drawn += 1
        progress(drawn)

    for name, source, schedule in (
        ("backbone", backbone_text(encoder, seen), chosen.backbone),
        ("policy", corpus_text(encoder, seen=seen), chosen.policy),
    ):
        stream = Stream(name, seed, source, encoder.pad)
        for index in range(schedule.steps):
            stream(index)
    for each in training_problems(chosen.sampled_problems, POLICY_DRAW, seed):
        seen(each.plan)
    for each in training_problems(chosen.written_problems, LESSON_DRAW, seed):
        seen(each.plan)
    return found


def _require_same(maker: _Maker) -> None:
    """Raise unless the stages in the folder were made with the same seed, device and settings.

    Stages of other settings would not fit together.
    """
    path = maker.work / "made_with.json"
    # the settings as a file holds them
    about = {"seed": maker.seed, "device": maker.device, "precision": maker.precision, "backbone": maker.taken_from}
    mine = json.loads(json.dumps({**about, "settings": asdict(maker.settings)}))
    if not path.is_file():
        write_json(path, mine)
    # what a folder of an earlier version does not say: all was bfloat16, and every backbone trained
    found = {"precision": "bfloat16", "backbone": None, **json.loads(path.read_text(encoding="utf-8"))}
    if found != mine:
        raise PrmEvalError(f"{path}: found {found}; expected {mine}. Name another --output, or give the same options.")


class _Maker:
    def __init__(
        self, output: Path, seed: int, device: str, settings: Settings, backbone: Path | None, bars: Bars
    ) -> None:
        self.output, self.seed, self.device, self.settings, self.bars = output, seed, device, settings, bars
        self.work = output / "work"
        self.precision = precision_of(device)
        self.backbone = backbone
        self.taken_from = None if backbone is None else _taken(backbone, settings.shape)
        self.work.mkdir(parents=True, exist_ok=True)
        if device == "cpu":
            import torch

            torch.set_num_threads(1)  # for sampling too: see train.fit
        self.record: dict[str, Any] = {}

    def need(self, stage: str) -> None:
        """Make a stage unless it is there, after the stages that it needs."""
        for other in NEEDS[stage]:
            self.need(other)
        note = self.work / f"{stage}.json"
        if not note.is_file():
            started = time.monotonic()
            facts = getattr(self, f"_{stage}")()
            seconds = round(_seconds(self.work / stage) or time.monotonic() - started, 1)
            # weights are the same byte for byte on one kind of processor only
            made = {"processor": device_name(self.device), "versions": software_versions("torch", "transformers")}
            write_json(note, {"seconds": seconds} | made | facts)
        self.record[stage] = json.loads(note.read_text())

    def _backbone(self) -> dict[str, Any]:
        if self.backbone is not None:
            save_model(load_model(self.backbone), self.work / "backbone" / "model", "float32")
            return {"taken_from": self.taken_from}
        encoder = Encoder()
        stream = Stream("backbone", self.seed, backbone_text(encoder), encoder.pad)
        model = new_model(self.settings.shape, self.seed)
        self._fit(model, stream, self.settings.backbone, "backbone")
        save_model(model, self.work / "backbone" / "model", "float32")
        return {}

    def _policy(self) -> dict[str, Any]:
        encoder = Encoder()
        stream = Stream("policy", self.seed, corpus_text(encoder), encoder.pad)
        model = self._trunk()
        self._fit(model, stream, self.settings.policy, "policy")
        return self._ship(model, "policy")

    def _candidates(self) -> dict[str, Any]:
        chosen = self.settings
        policy = load_model(self.output / checkpoint_name("policy"), device=self.device)
        problems = training_problems(chosen.sampled_problems, POLICY_DRAW, self.seed)
        total = len(problems) * chosen.sampled
        with self.bars("candidates of the policy", total, "candidate") as progress:
            sampled = policy_candidates(
                policy,
                problems,
                chosen.sampled,
                temperature=chosen.temperature,
                seed=self.seed,
                progress=progress,
            )
        write_candidates(self.work / "candidates.jsonl", sampled)
        return {"sampled": total, "sampled_different": len(sampled)}

    def _orm(self) -> dict[str, Any]:
        return self._verifier("orm")

    def _prm(self) -> dict[str, Any]:
        return self._verifier("prm")

    def _verifier(self, kind: Labelling) -> dict[str, Any]:
        schedule, encoder = self.settings.verifier, Encoder()
        problems = training_problems(self.settings.written_problems, LESSON_DRAW, self.seed)
        sampled = by_problem(read_candidates(self.work / "candidates.jsonl"))
        lessons = Lessons(self.seed, schedule.steps, problems, sampled)
        model = new_verifier(self._trunk(), self.seed)
        with self.bars(kind, schedule.steps, "step") as progress:
            fit(
                model, lambda number: lessons.batch(number, kind, encoder), schedule, self.work / kind,
                device=self.device, progress=progress,
            )  # fmt: skip
        return {"steps": schedule.steps} | self._ship(model, kind)

    def _trunk(self) -> Any:
        return load_model(self.work / "backbone" / "model")

    def _fit(self, model: Any, stream: Stream, schedule: Schedule, stage: str) -> None:
        with self.bars(stage, schedule.steps, "step") as progress:
            fit(model, stream, schedule, self.work / stage, device=self.device, progress=progress)

    def _ship(self, model: Any, kind: str) -> dict[str, Any]:
        folder = self.output / checkpoint_name(kind)
        save_model(model, folder)
        size = sum(each.stat().st_size for each in folder.glob("*.safetensors"))
        return {"parameters": sum(each.numel() for each in model.parameters()), "bytes": size}


def _taken(checkpoint: Path, shape: Shape) -> dict[str, str]:
    """Return the hashes of a backbone's weights, after checking that it is a language model of this shape."""
    if not (checkpoint / "config.json").is_file():
        raise PrmEvalError(
            f"{checkpoint}: no config.json there; expected a backbone, as prm-eval miniature all makes one"
        )
    if (found := shape_at(checkpoint)) != shape:
        raise PrmEvalError(f"{checkpoint}: found {found or 'no language model'}; expected one of {shape}")
    return weight_hashes(str(checkpoint))


def _seconds(folder: Path) -> float | None:
    """Return the seconds that a training took over all its runs, from its log; None without a log."""
    path = folder / LOG
    lines = path.read_text().splitlines() if path.is_file() else []
    return float(json.loads(lines[-1])["seconds"]) if lines else None
