"""The laboratory that all studies share: a bank to learn from, a bank to test on, and verifiers that are trained once.

Everything is kept in the laboratory's folder, so a study that was cut off continues, and studies share verifiers.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.labelling.labellers import THRESHOLD
from prm_eval.miniature.data import BATCH, Labelled, Labelling
from prm_eval.miniature.lessons import ONE_OPERATION, only_facts
from prm_eval.miniature.models import load_model, require_models
from prm_eval.miniature.problems import MiniatureProblem
from prm_eval.miniature.reading import final_answer
from prm_eval.miniature.sampling import TEMPERATURE, TOP_P
from prm_eval.miniature.study.bank import Bank, sampled_bank, study_problems
from prm_eval.miniature.train import precision_of
from prm_eval.miniature.verifiers import Epochs, score, train_verifier
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.progress import Bars, no_bars
from prm_eval.rewards.aggregate import aggregate_lists
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.models.checkpoint import weight_hashes
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.selection.exact_voting import exact_vote
from prm_eval.store.writing import replacing, write_text

Floats = npt.NDArray[np.float64]
Steps: TypeAlias = list[list[tuple[float, ...]]]  # log-odds of each candidate's steps, (problems, M)
BankName: TypeAlias = Literal["train", "wide", "test"]


# settings that add to what a folder holds and change nothing in it
MAY_CHANGE = ("seeds", "iterated", "rounds")


@dataclass(frozen=True)
class StudySettings:
    """The size of the studies.

    Attributes:
        problems: The number of training problems.
        test_problems: The number of problems that verifiers are tested on.
        split: Where these are from: "test", or "validation" while a study is made.
        samples: Candidates of each training and test problem.
        temperature: The temperature of sampling, from the nucleus that the whole miniature is sampled from.
        wide_temperature: The temperature of the bank for the choice of labels, sampled from all tokens, so that a
            problem has many different candidates.
        seeds: The seeds of verifiers, which decide the candidates they see and their order (of the weak ORMs, which do
            not begin at the start, the head too; of teaching, the problems).
        start_steps: Optimizer steps on problems of one operation, which all verifiers start from.
        epochs: How often a verifier sees each candidate, within the limits on steps.
        least_steps: Optimizer steps of the smallest arms.
        most_steps: Optimizer steps of the largest arms.
        choice_steps: Optimizer steps of every arm of active-learning, whatever its size.
        rate: Highest learning rate.
        weak_steps: Optimizer steps of a weak ORM of the shipped recipe.
        written: Training problems of its lessons.
        iterated: Whether the study of active learning has the arm that chooses in rounds.
        rounds: Rounds of teaching a policy.
        taught: Training problems a round of teaching.
        tries: Candidates of each of them, of which one is chosen.
        policy_steps: Optimizer steps of the policy a round.
    """

    problems: int = 600
    test_problems: int = 315
    split: str = "test"
    samples: int = 64
    temperature: float = TEMPERATURE
    wide_temperature: float = 1.0
    seeds: tuple[int, ...] = (0, 1, 2)
    start_steps: int = 3_000
    epochs: float = 4.0
    least_steps: int = 100
    most_steps: int = 400
    choice_steps: int = 120
    rate: float = 2e-3
    weak_steps: int = 1_500
    written: int = 20_000
    iterated: bool = False
    rounds: int = 3
    taught: int = 600
    tries: int = 16
    policy_steps: int = 75


@dataclass(frozen=True)
class Arm:
    """The description of a verifier to train: its labels, who gave them, its candidates and its seed.

    Attributes:
        labels: "prm" (steps up to the first wrong one), "oracle" (whether every step is right) or "orm" (whether the
            answer is right).
        picks: How its candidates are picked: "drawn" or a rule; see the studies.
        size: Candidates of each problem.
        seed: See :class:`StudySettings`.
        by: Who says which steps are right: the oracle, or the PRM that ships ("large").
    """

    labels: Labelling
    picks: str
    size: int
    seed: int
    by: Literal["oracle", "large"] = "oracle"

    @property
    def name(self) -> str:
        """The name of its folder."""
        by = "" if self.by == "oracle" else f"-by-{self.by}"
        return f"{self.labels}{by}-{self.picks}-{self.size}-seed{self.seed}"

    @property
    def kind(self) -> str:
        """What it is read as: "prm" or "orm"."""
        return "prm" if self.labels == "prm" else "orm"


class Laboratory:
    """The banks and verifiers of a folder.

    Args:
        folder: The folder in which everything is kept.
        models: The folder of the checkpoints ``miniature-policy`` and ``miniature-backbone``.
        settings: The size of the studies; a folder holds studies of one size.
        device: The device of sampling, training and scoring.
        bars: Progress bars for the stages.

    Raises:
        PrmEvalError: The folder was made with other settings or models, or in another precision, or a model is missing.
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
        for name in MAY_CHANGE:
            del mine[name]
        mine |= {"precision": precision_of(self.device)}
        mine |= {kind: weight_hashes(str(self.models / f"miniature-{kind}")) for kind in ("policy", "backbone")}
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(mine, indent=2) + "\n")
        # before precision was chosen by the device, all was bfloat16
        found = {"precision": "bfloat16", **json.loads(path.read_text(encoding="utf-8"))}
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
        return self._bank("train", self._training_problems)

    @cached_property
    def wide(self) -> Bank:
        """The candidates among which the ones to label are chosen: of the same problems, but many different ones."""
        return self._bank("wide", self._training_problems, self.settings.wide_temperature, 1.0)

    @cached_property
    def test(self) -> Bank:
        """The candidates that verifiers are tested on."""
        return self._bank("test", study_problems(self.settings.split, self.settings.test_problems))

    @cached_property
    def _training_problems(self) -> list[MiniatureProblem]:
        return study_problems("train", self.settings.problems)

    def _bank(
        self, name: str, problems: list[MiniatureProblem], temperature: float | None = None, top_p: float = TOP_P
    ) -> Bank:
        with self.bars(f"candidates, {name}", len(problems), "problem") as progress:
            return sampled_bank(
                self.folder / "bank" / f"{name}.jsonl",
                problems,
                self.models / "miniature-policy",
                self.settings.samples,
                temperature=self.settings.temperature if temperature is None else temperature,
                top_p=top_p,
                device=self.device,
                progress=progress,
            )

    @cached_property
    def large(self) -> Bank:
        """The training bank with the labels of the PRM that ships, in place of the oracle's."""
        odds = self.of_model("prm", "train")
        rows = [
            tuple(replace(each, first_wrong=_first_below(steps, THRESHOLD)) for each, steps in zip(*both, strict=True))
            for both in zip(self.train.candidates, odds, strict=True)
        ]
        return Bank(self.train.problems, tuple(rows))

    @cached_property
    def start(self) -> Any:
        """What all arms start from: a verifier that was taught single facts, and nothing else.

        An arm of some hundred steps from the backbone is in the middle of learning the tables, and how far it comes
        differs more between seeds than between labels. Problems of one operation have no step labels. It is one for
        all seeds, as the paper's models start from one base model.
        """
        return self.trained(
            "start", lambda number, encoder: only_facts(0, number, "orm", encoder), 0, self.settings.start_steps
        )

    def trained(
        self, name: str, batch: Callable[[int, Encoder], dict[str, Any]], seed: int, steps: int, init: Any = None
    ) -> Any:
        """Return a verifier trained on batches, from the backbone or from ``init``; its states are in its folder."""
        encoder = Encoder()
        with self.bars(name, steps, "step") as progress:
            return train_verifier(
                lambda number: batch(number, encoder), self._trunk if init is None else init, seed,
                self.folder / "arms" / name, steps=steps, rate=self.settings.rate, device=self.device,
                progress=progress,
            )  # fmt: skip

    @cached_property
    def _trunk(self) -> Any:
        return load_model(self.models / "miniature-backbone", device="cpu")

    def steps(
        self,
        arm: Arm,
        candidates: Callable[[], Sequence[Labelled]],
        bank: BankName = "test",
        trained_for: int | None = None,
    ) -> Steps:
        """Return the scores of an arm's verifier for the steps of every candidate of a bank.

        The verifier is trained and asked only once; later calls read the scores from the folder.

        Args:
            arm: The verifier.
            candidates: A function that returns the candidates it is trained on.
            bank: The bank that is scored.
            trained_for: Optimizer steps; by default as many as its candidates need.
        """
        return self.scored(arm.name, arm.kind, lambda: self._verifier(arm, candidates, trained_for), bank)

    def of_model(self, kind: str, bank: BankName = "test") -> Steps:
        """Return the scores of a verifier that ships ("orm" or "prm") for the steps of every candidate of a bank."""
        require_models(self.models, kind)
        path = self.models / f"miniature-{kind}"
        return self.scored(f"shipped-{kind}", kind, lambda: load_model(path, "verifier", device=self.device), bank)

    def scored(self, name: str, kind: str, verifier: Callable[[], Any], bank: BankName = "test") -> Steps:
        """Return the scores of a verifier, which is asked for only once, for every candidate of a bank."""
        path = self.folder / "arms" / name / f"{bank}.npz"
        if not path.is_file():
            texts = [(each.statement, each.text) for row in getattr(self, bank).candidates for each in row]
            total = len(set(texts))
            asked = verifier()
            with self.bars(f"{name}: scoring", total, "candidate") as progress:
                odds = score(asked, texts, kind, progress)
            found = [odds[text] for text in texts]
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                np.savez_compressed(
                    file,
                    values=np.array([x for each in found for x in each], np.float32),
                    counts=[len(x) for x in found],
                )
        return _read_steps(path, self.settings.samples)

    def _verifier(self, arm: Arm, candidates: Callable[[], Sequence[Labelled]], trained_for: int | None) -> Any:
        chosen = self.settings
        distinct = list(dict.fromkeys(candidates()))
        # half of a batch is problems of one operation, as where the shipped verifiers learn
        batches = -(-2 * len(distinct) // BATCH)
        needed = min(chosen.most_steps, max(chosen.least_steps, round(chosen.epochs * batches)))
        steps = needed if trained_for is None else trained_for
        folder = self.folder / "arms" / arm.name
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "arm.json", json.dumps({**asdict(arm), "candidates": len(distinct), "steps": steps}) + "\n")
        epochs = Epochs(arm.seed, distinct, arm.labels, ONE_OPERATION[0])
        return self.trained(arm.name, lambda number, _: epochs(number), arm.seed, steps, self.start)

    def drawn(self, size: int, seed: int, bank: Bank | None = None) -> list[Labelled]:
        """Return ``size`` random slots of every training problem; a larger draw of a seed contains the smaller one."""
        rng = random.Random(f"drawn {seed}")  # noqa: S311 (no secret: an order)
        rows = (bank or self.train).candidates
        orders = [rng.sample(range(len(row)), len(row)) for row in rows]
        return [row[slot] for row, order in zip(rows, orders, strict=True) for slot in order[:size]]


def _first_below(steps: Sequence[float], threshold: float) -> int | None:
    """Return the first step whose chance to be right is below a threshold."""
    limit = math.log(threshold / (1 - threshold))
    return next((at for at, odds in enumerate(steps) if odds < limit), None)


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


def of_seeds(steps: Iterable[Steps], bank: Bank, ns: Sequence[int]) -> Floats:
    """Return :func:`best_of_n` of the verifiers of several seeds, (seeds, problems, len(ns))."""
    return np.stack([best_of_n(each, bank, ns) for each in steps])


def majority(bank: Bank, ns: Sequence[int]) -> Floats:
    """Return the expected accuracies of the majority vote among n candidates, (problems, len(ns))."""
    found = np.zeros((len(bank.candidates), len(ns)))
    for number, row in enumerate(bank.candidates):
        answers = [final_answer(each.text) for each in row]
        sizes = Counter(each for each in answers if each is not None)
        if sizes:
            right = {answer for answer, each in zip(answers, row, strict=True) if each.answer_right}
            wins = exact_vote(np.array(list(sizes.values())), len(row), ns)
            found[number] = wins[:, [each in right for each in sizes]].sum(axis=1)
    return found
