"""Teaching: the policy trained on what a verifier chooses (the talk's last question: models that say better things).

In each round the policy writes some candidates of new training problems, one of each is chosen, and the policy goes on
from its last weights on the chosen ones. Who chooses differs: the PRM or the ORM that ships (the best one), the
majority (a random one of the most common answer), or the gold answer (a random right one: rejection sampling, as in
STaR, Zelikman et al. 2022). Measured is what the new policy writes on the test problems: how often it is right, how
often by wrong reasoning, and whether it still finds the answer at all (pass@M), which falls as it writes less
variously.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from prm_eval.miniature.candidates import training_problems
from prm_eval.miniature.data import BATCH, Labelled, solution_example
from prm_eval.miniature.models import load_model, save_model
from prm_eval.miniature.reading import final_answer
from prm_eval.miniature.rows import padded
from prm_eval.miniature.study.bank import Bank, sampled_bank
from prm_eval.miniature.study.laboratory import Floats, Laboratory, Steps
from prm_eval.miniature.study.summaries import difference, draw, interval
from prm_eval.miniature.train import Schedule, fit
from prm_eval.miniature.verifiers import score
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.rewards.aggregate import aggregate_lists

CHOOSERS = ("PRM", "ORM", "majority", "gold")
RATE = 1e-3
AT_ONCE = 315  # problems sampled together: there are many such banks
MEASURES = ("right answers", "right answers by wrong reasoning", "problems with a right answer")


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    rounds = range(laboratory.settings.rounds + 1)
    found: dict[str, Any] = {
        "study": "teaching",
        "n": [],
        "columns": {str(each): "before" if each == 0 else f"round {each}" for each in rounds},
    }
    by_chooser: dict[str, list[Floats]] = {
        chooser: [
            np.stack([_measures(_tested(laboratory, chooser, each, seed)) for seed in laboratory.settings.seeds])
            for each in rounds
        ]
        for chooser in CHOOSERS
    }
    for at, measure in enumerate(MEASURES):
        found[measure] = {
            chooser: {str(each): interval(values[each][:, at]) for each in rounds}
            for chooser, values in by_chooser.items()
        }
    found["gained"] = {
        chooser: {str(each): difference(values[each][:, 0], values[0][:, 0]) for each in rounds}
        for chooser, values in by_chooser.items()
    }
    found["right answers, PRM - another"] = {
        chooser: {str(each): difference(by_chooser["PRM"][each][:, 0], values[each][:, 0]) for each in rounds}
        for chooser, values in by_chooser.items()
        if chooser != "PRM"
    }
    points = {
        f"chosen by {chooser}": [(float(each), interval(values[each][:, 0])) for each in rounds]
        for chooser, values in by_chooser.items()
    }
    title = f"Right answers of the policy on {laboratory.settings.test_problems} problems, without any verifier"
    return found, draw(points, x="round", title=title, log=False)


def _measures(bank: Bank) -> Floats:
    """Return (measures, problems): what :data:`MEASURES` names.

    The second is the share of all candidates, so that a mean over problems is one over candidates.
    """
    sound = np.array([[each.first_wrong is None for each in row] for row in bank.candidates])
    right = bank.correct
    return np.stack([right.mean(axis=1), (right & ~sound).mean(axis=1), right.any(axis=1).astype(float)])


def _tested(laboratory: Laboratory, chooser: str, number: int, seed: int) -> Bank:
    """Return what the policy of a round writes on the test problems; before the first round that is the test bank."""
    if number == 0:
        return laboratory.test
    name = f"{chooser}-seed{seed}-round{number}"
    taught = policy(laboratory, chooser, number, seed)
    return _written(laboratory, f"taught-{name}-test", laboratory.test.problems, taught, laboratory.settings.samples)


def policy(laboratory: Laboratory, chooser: str, number: int, seed: int) -> Path:
    """Return the checkpoint of the policy after a round, which is made unless it is there."""
    if number == 0:
        return laboratory.models / "miniature-policy"
    folder = laboratory.folder / "taught" / f"{chooser}-seed{seed}-round{number}"
    if not (folder / "model" / "config.json").is_file():
        before = policy(laboratory, chooser, number - 1, seed)
        problems = training_problems(laboratory.settings.taught, f"taught-{number}", seed)
        # in the first round all choose among the same candidates
        name = "taught" if number == 1 else f"taught-{chooser}"
        bank = _written(laboratory, f"{name}-seed{seed}-round{number}", problems, before, laboratory.settings.tries)
        texts = chosen(laboratory, bank, chooser, seed)
        model = load_model(before, device=laboratory.device)
        schedule = Schedule(laboratory.settings.policy_steps, RATE)
        if texts:  # a policy that is never right is taught nothing by gold answers
            with laboratory.bars(folder.name, schedule.steps, "step") as progress:
                fit(model, _Chosen(texts, seed), schedule, folder, device=laboratory.device, progress=progress)
        save_model(model, folder / "model")
    return folder / "model"


def _written(laboratory: Laboratory, name: str, problems: Sequence[Any], model: Path, n: int) -> Bank:
    with laboratory.bars(f"candidates, {name}", len(problems), "problem") as progress:
        return sampled_bank(
            laboratory.folder / "bank" / f"{name}.jsonl",
            problems,
            model,
            n,
            temperature=laboratory.settings.temperature,
            at_once=AT_ONCE,
            device=laboratory.device,
            progress=progress,
        )


def chosen(laboratory: Laboratory, bank: Bank, chooser: str, seed: int) -> list[Labelled]:
    """Return the candidate that a chooser takes of each problem; of some problems the gold answer takes none."""
    rng = random.Random(f"chosen {chooser} {seed}")  # noqa: S311 (no secret: training data)
    if chooser in ("PRM", "ORM"):
        rewards = _rewards(laboratory, bank, chooser.lower())
        return [row[int(np.nanargmax(of_row))] for row, of_row in zip(bank.candidates, rewards, strict=True)]
    found: list[Labelled] = []
    for row in bank.candidates:
        if chooser == "gold":
            some = [each for each in row if each.answer_right]
        else:
            counts = Counter(answer for each in row if (answer := final_answer(each.text)) is not None)
            most = max(counts.values(), default=0)
            best = rng.choice([answer for answer, count in counts.items() if count == most]) if counts else None
            some = [each for each in row if best is not None and final_answer(each.text) == best]
        if some:
            found.append(rng.choice(some))
    return found


def _rewards(laboratory: Laboratory, bank: Bank, kind: str) -> list[Floats]:
    model = _verifier(laboratory.models / f"miniature-{kind}", laboratory.device)
    odds = score(model, ((each.statement, each.text) for row in bank.candidates for each in row), kind)
    steps: Steps = [[odds[each.statement, each.text] for each in row] for row in bank.candidates]
    return [np.nan_to_num(aggregate_lists(row, "prod", "logodds")[0], nan=-np.inf) for row in steps]


@lru_cache(maxsize=2)
def _verifier(path: Path, device: str) -> Any:
    return load_model(path, "verifier", device=device)


class _Chosen:
    """The batches of an endless training on the same texts, in another order in each epoch."""

    def __init__(self, texts: Sequence[Labelled], seed: int) -> None:
        encoder = Encoder()
        self._pad, self._seed = encoder.pad, seed
        self._examples = [solution_example(encoder, each.statement, each.text.split("\n")) for each in texts]

    def __call__(self, index: int) -> dict[str, Any]:
        """Return the inputs of the batch with a number."""
        rng = random.Random(f"taught {self._seed} {index}")  # noqa: S311 (no secret: training data)
        return padded(rng.sample(self._examples, min(BATCH, len(self._examples))), self._pad)
