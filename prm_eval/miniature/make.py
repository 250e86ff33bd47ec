"""Make the miniature models: one command, a seed, and stages that go on where they were cut off.

backbone -> policy -> candidates -> orm, prm. The backbone learns arithmetic from drills and right solutions; the policy goes on
from it with the noisy corpus; both verifiers start from the backbone too and learn from the same candidates.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prm_eval.miniature.candidates import (
    corpus_candidates,
    policy_candidates,
    read_candidates,
    training_problems,
    write_candidates,
)
from prm_eval.miniature.data import Stream, backbone_text, corpus_text
from prm_eval.miniature.noise import CORPUS, RARE
from prm_eval.miniature.train import Schedule, Shape, fit, load_model, new_model, save_model
from prm_eval.miniature.verifiers import train_verifier
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.pool_format import software_versions, write_json

STAGES = ("backbone", "policy", "candidates", "orm", "prm")
NEEDS = {
    "backbone": (),
    "policy": ("backbone",),
    "candidates": ("policy",),
    "orm": ("candidates", "backbone"),
    "prm": ("candidates", "backbone"),
}
GOALS = ("policy", "orm", "prm", "all")
Progress = Callable[[str, int, int], None]  # (what is being done, done, of how many)


@dataclass(frozen=True)
class Settings:
    """Everything that makes the models besides seed and device.

    Attributes:
        shape: Of all three.
        backbone: Its schedule; batches are 64 texts.
        policy: Its schedule.
        verifier_rate: Highest learning rate of the verifiers.
        epochs: How often a verifier sees every candidate.
        sampled_problems: Training problems that the policy is sampled on.
        sampled: Candidates a problem; equal texts count once.
        temperature: Of that sampling.
        written: Candidates of the noise process.
    """

    shape: Shape = field(default_factory=Shape)
    backbone: Schedule = field(default_factory=lambda: Schedule(2400))
    policy: Schedule = field(default_factory=lambda: Schedule(1800))
    verifier_rate: float = 2e-3
    epochs: float = 2.0
    sampled_problems: int = 3_000
    sampled: int = 16
    temperature: float = 0.7
    written: int = 60_000


TINY = Settings(
    Shape(16, 32, 2, 2), Schedule(20), Schedule(20), epochs=1.0, sampled_problems=8, sampled=4, written=64
)  # for tests


def checkpoint_name(kind: str) -> str:
    """Return the folder of a finished model; the verifiers' recipes know theirs by this name."""
    return f"miniature-{kind}"


def make(
    goal: str,
    output: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make a model and what it needs, and return the record of all stages done so far in ``output``.

    Args:
        goal: One of :data:`GOALS`.
        output: Finished models go to ``miniature-KIND``, states, logs and candidates to ``work``, the record to ``record.json``.
        seed: Of everything that is drawn.
        device: ``cpu`` or ``cuda``.
        settings: Other than the shipped models'.
        progress: Called with the stage, what of it is done, and of how much.
    """
    maker = _Maker(output, seed, device, settings or Settings(), progress or silent)
    for kind in ("policy", "orm", "prm") if goal == "all" else (goal,):
        maker.need(kind)
    return maker.record


class _Maker:
    def __init__(self, output: Path, seed: int, device: str, settings: Settings, progress: Progress) -> None:
        self.output, self.seed, self.device, self.settings, self.progress = output, seed, device, settings, progress
        self.work = output / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.record: dict[str, Any] = {}

    def need(self, stage: str) -> None:
        """Make a stage, and first what it needs, unless it is there."""
        for other in NEEDS[stage]:
            self.need(other)
        note = self.work / f"{stage}.json"
        if not note.is_file():
            started = time.monotonic()
            facts = getattr(self, f"_{stage}")()
            about = {
                "seed": self.seed,
                "device": self.device,
                "settings": asdict(self.settings),
                "noise": {"corpus": asdict(CORPUS), "verifiers": asdict(RARE)},
                "versions": software_versions("torch", "transformers"),
                "seconds": round(_seconds(self.work / stage) or time.monotonic() - started, 1),
            }
            write_json(note, about | facts)
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
        problems = training_problems(chosen.sampled_problems, "policy-candidates", self.seed)
        total = len(problems) * chosen.sampled
        sampled = policy_candidates(
            policy,
            problems,
            chosen.sampled,
            temperature=chosen.temperature,
            seed=self.seed,
            progress=lambda done: self.progress("candidates of the policy", done, total),
        )
        written = corpus_candidates(
            chosen.written, self.seed, progress=lambda done: self.progress("written candidates", done, chosen.written)
        )
        write_candidates(self.work / "candidates.jsonl", [*sampled, *written])
        return {"sampled": total, "sampled_different": len(sampled), "written": len(written)}

    def _orm(self) -> dict[str, Any]:
        return self._verifier("orm")

    def _prm(self) -> dict[str, Any]:
        return self._verifier("prm")

    def _verifier(self, kind: Any) -> dict[str, Any]:
        candidates = read_candidates(self.work / "candidates.jsonl")
        batches = -(-len(candidates) // 64)
        steps = round(batches * self.settings.epochs)
        model = train_verifier(
            candidates,
            kind,
            self._trunk(),
            self.seed,
            self.work / kind,
            steps=steps,
            rate=self.settings.verifier_rate,
            device=self.device,
            progress=lambda done: self.progress(kind, done, steps),
        )
        return {"candidates": len(candidates), "steps": steps} | self._ship(model, kind)

    def _trunk(self) -> Any:
        return load_model(self.work / "backbone" / "model")

    def _fit(self, model: Any, stream: Stream, schedule: Schedule, stage: str) -> None:
        fit(
            model,
            stream,
            schedule,
            self.work / stage,
            device=self.device,
            progress=lambda done: self.progress(stage, done, schedule.steps),
        )

    def _ship(self, model: Any, kind: str) -> dict[str, Any]:
        folder = self.output / checkpoint_name(kind)
        save_model(model, folder)
        size = sum(each.stat().st_size for each in folder.glob("*.safetensors"))
        return {"parameters": sum(each.numel() for each in model.parameters()), "bytes": size}


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


def _seconds(folder: Path) -> float | None:
    """Return the seconds that a training took in all its runs, from its log."""
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return float(json.loads(lines[-1])["seconds"]) if lines else None
