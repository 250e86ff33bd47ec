"""What the studies share: one bank to learn from, one to test on, and verifiers that are trained and scored once.

Everything is kept in the study's folder, so a study that was cut off goes on, and studies share each other's verifiers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.data import BATCH, Labelled, Labelling
from prm_eval.miniature.study.bank import Bank, sampled_bank, study_problems
from prm_eval.miniature.train import load_model, require_models
from prm_eval.miniature.verifiers import score, train_verifier
from prm_eval.progress import Bars, no_bars
from prm_eval.rewards.aggregate import aggregate_lists
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.selection.accuracies import best_of_n_table

Floats = npt.NDArray[np.float64]
Steps = list[list[tuple[float, ...]]]  # log-odds of each candidate's steps, (problems, M)


@dataclass(frozen=True)
class StudySettings:
    """The size of the studies.

    Attributes:
        problems: Training problems.
        test_problems: Test problems.
        samples: Candidates of each problem, of both.
        temperature: Of sampling.
        seeds: Of verifiers: which candidates they see, in what order, with which head.
        epochs: How often a verifier sees each candidate, within the limits on steps.
        least_steps: Optimizer steps of the smallest arms.
        most_steps: Optimizer steps of the largest arms.
        rate: Highest learning rate.
    """

    problems: int = 600
    test_problems: int = 315
    samples: int = 64
    temperature: float = 0.7
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: float = 4.0
    least_steps: int = 100
    most_steps: int = 400
    rate: float = 2e-3


@dataclass(frozen=True)
class Arm:
    """A verifier to be: its labels, what it is trained on, its seed.

    Attributes:
        labels: "prm" (steps up to the first wrong one), "oracle" (right: every step is), "orm" (right: the answer is).
        picks: How its candidates are picked: "drawn", "uniform" or "active"; see the studies.
        size: Candidates of each problem.
        seed: See :class:`StudySettings`.
    """

    labels: Labelling
    picks: str
    size: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.labels}-{self.picks}-{self.size}-seed{self.seed}"


class Laboratory:
    """Banks and verifiers of a folder.

    Args:
        folder: Where everything is kept.
        models: Checkpoints ``miniature-policy`` and ``miniature-backbone``.
        settings: Sizes; a folder holds studies of one size.
        device: Of sampling, training and scoring.
        bars: Show the stages.

    Raises:
        PrmEvalError: The folder was made with other settings, or a model is missing.
    """

    def __init__(
        self,
        folder: Path,
        models: Path,
        settings: StudySettings | None = None,
        *,
        device: str = "cpu",
        bars: Bars = no_bars,
    ) -> None:
        self.folder, self.models, self.device, self.bars = folder, models, device, bars
        self.settings = settings or StudySettings()
        require_models(models, "policy", "backbone")
        self._require_same_settings()

    def _require_same_settings(self) -> None:
        path = self.folder / "settings.json"
        mine = json.loads(json.dumps(asdict(self.settings)))
        del mine["seeds"]  # more may be added later
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
        found = json.loads(path.read_text(encoding="utf-8"))
        found.pop("seeds", None)
        if found != mine:
            said = ", ".join(
                f"{name} = {found.get(name)}, not {mine[name]}" for name in mine if found.get(name) != mine[name]
            )
            raise PrmEvalError(
                f"{path}: the folder was made with {said}. Name another folder, or give the same settings."
            )

    @cached_property
    def train(self) -> Bank:
        """The candidates that verifiers learn from."""
        return self._bank("train", self.settings.problems)

    @cached_property
    def test(self) -> Bank:
        """The candidates that they are tested on."""
        return self._bank("test", self.settings.test_problems)

    def _bank(self, split: str, count: int) -> Bank:
        chosen = self.settings
        with self.bars(f"candidates, {split}", count, "problem") as progress:
            return sampled_bank(
                self.folder / "bank" / f"{split}.jsonl",
                study_problems(split, count),
                self.models / "miniature-policy",
                chosen.samples,
                temperature=chosen.temperature,
                device=self.device,
                progress=progress,
            )

    @cached_property
    def _trunk(self) -> Any:
        return load_model(self.models / "miniature-backbone", device="cpu")

    def steps(self, arm: Arm, candidates: Callable[[], Sequence[Labelled]], bank: str = "test") -> Steps:
        """Return what an arm's verifier says of every candidate of a bank; it is trained and asked if that was not done yet.

        Args:
            arm: Which verifier.
            candidates: Gives what it is trained on.
            bank: "test" or "train".
        """
        path = self.folder / "arms" / arm.name / f"{bank}.npz"
        on = self.test if bank == "test" else self.train
        if not path.is_file():
            kind = "prm" if arm.labels == "prm" else "orm"
            texts = [(each.statement, each.text) for row in on.candidates for each in row]
            total = len(set(texts))
            verifier = self._verifier(arm, candidates)
            with self.bars(f"{arm.name}: scoring", total, "candidate") as progress:
                odds = score(verifier, texts, kind, progress)
            found = [odds[text] for text in texts]
            partial = path.with_name("partial.npz")
            np.savez_compressed(
                partial,
                values=np.array([x for each in found for x in each], np.float32),
                counts=[len(x) for x in found],
            )
            partial.replace(path)
        return _read_steps(path, self.settings.samples)

    def _verifier(self, arm: Arm, candidates: Callable[[], Sequence[Labelled]]) -> Any:
        chosen = self.settings
        distinct = list(dict.fromkeys(candidates()))
        batches = -(-len(distinct) // BATCH)
        steps = min(chosen.most_steps, max(chosen.least_steps, round(chosen.epochs * batches)))
        folder = self.folder / "arms" / arm.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "arm.json").write_text(
            json.dumps({**asdict(arm), "candidates": len(distinct), "steps": steps}) + "\n"
        )
        with self.bars(arm.name, steps, "step") as progress:
            return train_verifier(
                distinct, arm.labels, self._trunk, arm.seed, folder, steps=steps, rate=chosen.rate, device=self.device,
                progress=progress,
            )  # fmt: skip

    def drawn(self, size: int, seed: int) -> list[Labelled]:
        """Return ``size`` random slots of every training problem; a larger draw of a seed contains the smaller one."""
        rng = random.Random(f"drawn {seed}")  # noqa: S311 (no secret: an order)
        orders = [rng.sample(range(len(row)), len(row)) for row in self.train.candidates]
        return [row[slot] for row, order in zip(self.train.candidates, orders, strict=True) for slot in order[:size]]


def _read_steps(path: Path, m: int) -> Steps:
    with np.load(path, allow_pickle=False) as held:
        values, counts = held["values"].tolist(), held["counts"].tolist()
    flat: list[tuple[float, ...]] = []
    start = 0
    for count in counts:
        flat.append(tuple(values[start : start + count]))
        start += count
    return [flat[first : first + m] for first in range(0, len(flat), m)]


def best_of_n(steps: Steps, bank: Bank, ns: Sequence[int], aggregation: Aggregation = "prod") -> Floats:
    """Return (problems, len(ns)) expected accuracies of best-of-n; candidates without a step lose."""
    rewards = np.array([aggregate_lists(row, aggregation, "logodds")[0] for row in steps])
    return best_of_n_table(rewards, bank.correct, ns)
