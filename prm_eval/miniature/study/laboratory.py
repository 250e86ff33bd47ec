"""The laboratory that all studies share: a bank to learn from, a bank to test on, and verifiers that are trained once.

Everything is kept in the laboratory's folder, so a study that was cut off continues, and studies share verifiers.
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
from prm_eval.miniature.models import load_model, require_models
from prm_eval.miniature.study.bank import Bank, sampled_bank, study_problems
from prm_eval.miniature.verifiers import score, train_verifier
from prm_eval.progress import Bars, no_bars
from prm_eval.rewards.aggregate import aggregate_lists
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.store.writing import replacing, write_text

Floats = npt.NDArray[np.float64]
Steps = list[list[tuple[float, ...]]]  # log-odds of each candidate's steps, (problems, M)


@dataclass(frozen=True)
class StudySettings:
    """The size of the studies.

    Attributes:
        problems: The number of training problems.
        test_problems: The number of test problems.
        samples: Candidates of each training and test problem.
        temperature: The temperature of sampling.
        seeds: The seeds of verifiers, which decide the candidates they see, the order, and the head.
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
    """The description of a verifier to train: its labels, its candidates and its seed.

    Attributes:
        labels: "prm" (steps up to the first wrong one), "oracle" (whether every step is right) or "orm" (whether the
            answer is right).
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
        """The name of its folder."""
        return f"{self.labels}-{self.picks}-{self.size}-seed{self.seed}"


class Laboratory:
    """The banks and verifiers of a folder.

    Args:
        folder: The folder in which everything is kept.
        models: The folder of the checkpoints ``miniature-policy`` and ``miniature-backbone``.
        settings: The size of the studies; a folder holds studies of one size.
        device: The device of sampling, training and scoring.
        bars: Progress bars for the stages.

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
            write_text(path, json.dumps(mine, indent=2) + "\n")
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
        """The candidates that verifiers are tested on."""
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
        """Return the scores of an arm's verifier for the steps of every candidate of a bank.

        The verifier is trained and asked only once; later calls read the scores from the folder.

        Args:
            arm: The verifier.
            candidates: A function that returns the candidates it is trained on.
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
            with replacing(path) as file:
                np.savez_compressed(
                    file,
                    values=np.array([x for each in found for x in each], np.float32),
                    counts=[len(x) for x in found],
                )
        return _read_steps(path, self.settings.samples)

    def _verifier(self, arm: Arm, candidates: Callable[[], Sequence[Labelled]]) -> Any:
        chosen = self.settings
        distinct = list(dict.fromkeys(candidates()))
        batches = -(-len(distinct) // BATCH)
        steps = min(chosen.most_steps, max(chosen.least_steps, round(chosen.epochs * batches)))
        folder = self.folder / "arms" / arm.name
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "arm.json", json.dumps({**asdict(arm), "candidates": len(distinct), "steps": steps}) + "\n")
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
    """Return the expected accuracies of best-of-n, (problems, len(ns)); candidates without a step lose."""
    rewards = np.array([aggregate_lists(row, aggregation, "logodds")[0] for row in steps])
    return best_of_n_table(rewards, bank.correct, ns)
