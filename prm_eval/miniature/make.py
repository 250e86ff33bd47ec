"""The making of the miniature models, from one seed, in stages that continue where they were cut off.

The backbone learns arithmetic from drills and right solutions, and the policy continues from it with the noisy corpus.
Both verifiers start from the backbone too. They learn first from solutions of the noise process, then from candidates
of the policy mixed with more such solutions. Both see the same candidates in the same order; only the labels differ.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.candidates import (
    POLICY_DRAW,
    candidate_problems,
    corpus_candidates,
    first_draw,
    policy_candidates,
    read_candidates,
    second_draw,
    training_problems,
    write_candidates,
)
from prm_eval.miniature.data import BATCH, Labelling, Stream, backbone_text, corpus_text
from prm_eval.miniature.noise import CORPUS, RARE
from prm_eval.miniature.plan import Plan, normal_form
from prm_eval.miniature.train import Schedule, Shape, fit, load_model, new_model, save_model
from prm_eval.miniature.verifiers import train_verifier
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.pools.format import software_versions
from prm_eval.progress import Bars, Progress, no_bars, silent
from prm_eval.store.writing import write_json

# the stages, and those that each of them is made from
NEEDS: dict[str, tuple[str, ...]] = {
    "backbone": (),
    "written": (),
    "policy": ("backbone",),
    "orm_written": ("backbone", "written"),
    "prm_written": ("backbone", "written"),
    "candidates": ("policy",),
    "orm": ("orm_written", "candidates"),
    "prm": ("prm_written", "candidates"),
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
        written: The number of solutions of the noise process that a verifier learns from first, each once.
        written_rate: The highest learning rate on these solutions.
        sampled_problems: The number of training problems that the policy is sampled on.
        sampled: Candidates a problem; equal texts count once.
        temperature: The temperature of that sampling.
        among: The number of further solutions of the noise process among these candidates.
        rate: The highest learning rate on these candidates.
        epochs: How often a verifier sees each of them.
    """

    shape: Shape = field(default_factory=Shape)
    backbone: Schedule = field(default_factory=lambda: Schedule(2400))
    policy: Schedule = field(default_factory=lambda: Schedule(POLICY_STEPS))
    written: int = 80_000
    written_rate: float = 2e-3
    sampled_problems: int = 2_000
    sampled: int = 8
    temperature: float = 0.7
    among: int = 8_000
    rate: float = 1e-3
    epochs: float = 1.0


# settings for tests
TINY = Settings(
    Shape(16, 32, 2, 2), Schedule(20), Schedule(20), written=96, sampled_problems=8, sampled=4, among=64, epochs=1.0
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
        bars: Progress bars for the stages.

    Raises:
        PrmEvalError: ``output`` holds stages of another seed, device or other settings.
    """
    maker = _Maker(output, seed, device, settings or Settings(), bars)
    _require_same(maker)
    for kind in ("policy", "orm", "prm") if goal == "all" else (goal,):
        maker.need(kind)
    backbone = output / checkpoint_name("backbone")
    # the studies start from the backbone; its last file is this one
    if goal == "all" and not (backbone / "tokenizer_config.json").is_file():
        save_model(load_model(maker.work / "backbone" / "model"), backbone)
    about = {
        "seed": seed,
        "device": device,
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
    for each in candidate_problems(chosen.sampled_problems, chosen.written, chosen.among, seed):
        seen(each.plan)
    return found


def _require_same(maker: _Maker) -> None:
    """Raise unless the stages in the folder were made with the same seed, device and settings.

    Stages of other settings would not fit together.
    """
    path = maker.work / "made_with.json"
    # the settings as a file holds them
    mine = json.loads(json.dumps({"seed": maker.seed, "device": maker.device, "settings": asdict(maker.settings)}))
    if not path.is_file():
        write_json(path, mine)
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != mine:
        raise PrmEvalError(f"{path}: found {found}; expected {mine}. Name another --output, or give the same options.")


class _Maker:
    def __init__(self, output: Path, seed: int, device: str, settings: Settings, bars: Bars) -> None:
        self.output, self.seed, self.device, self.settings, self.bars = output, seed, device, settings, bars
        self.work = output / "work"
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
            write_json(note, {"seconds": seconds, "versions": software_versions("torch", "transformers")} | facts)
        self.record[stage] = json.loads(note.read_text())

    def _backbone(self) -> dict[str, Any]:
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
        more = corpus_candidates(chosen.among, second_draw(self.seed))
        write_candidates(self.work / "candidates.jsonl", [*sampled, *more])
        return {"sampled": total, "sampled_different": len(sampled), "written": len(more)}

    def _written(self) -> dict[str, Any]:
        write_candidates(self.work / "written.jsonl", corpus_candidates(self.settings.written, first_draw(self.seed)))
        return {"written": self.settings.written}

    def _orm_written(self) -> dict[str, Any]:
        return self._first("orm")

    def _prm_written(self) -> dict[str, Any]:
        return self._first("prm")

    def _first(self, kind: Labelling) -> dict[str, Any]:
        stage = f"{kind}_written"
        model, about = self._verifier(kind, stage, "written", self._trunk(), self.settings.written_rate, 1.0)
        save_model(model, self.work / stage / "model", "float32")
        return about

    def _orm(self) -> dict[str, Any]:
        return self._second("orm")

    def _prm(self) -> dict[str, Any]:
        return self._second("prm")

    def _second(self, kind: Labelling) -> dict[str, Any]:
        init = load_model(self.work / f"{kind}_written" / "model", kind)
        model, about = self._verifier(kind, kind, "candidates", init, self.settings.rate, self.settings.epochs)
        return about | self._ship(model, kind)

    def _verifier(
        self, kind: Labelling, stage: str, data: str, init: Any, rate: float, epochs: float
    ) -> tuple[Any, dict[str, Any]]:
        candidates = read_candidates(self.work / f"{data}.jsonl")
        steps = round(-(-len(candidates) // BATCH) * epochs)
        with self.bars(stage, steps, "step") as progress:
            model = train_verifier(
                candidates,
                kind,
                init,
                self.seed,
                self.work / stage,
                steps=steps,
                rate=rate,
                device=self.device,
                progress=progress,
            )
        return model, {"candidates": len(candidates), "steps": steps}

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


def _seconds(folder: Path) -> float | None:
    """Return the seconds that a training took over all its runs, from its log; None without a log."""
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return float(json.loads(lines[-1])["seconds"]) if lines else None
