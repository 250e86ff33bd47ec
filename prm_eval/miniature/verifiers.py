"""The training of the miniature verifiers, and the scoring of candidates with them outside pools.

The trainings and the studies share these functions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from prm_eval.miniature.candidates import by_problem
from prm_eval.miniature.data import Labelled, Labelling, solution_read, verifier_example
from prm_eval.miniature.lessons import with_facts
from prm_eval.miniature.models import Shape, new_model
from prm_eval.miniature.rows import Packer
from prm_eval.miniature.train import Schedule, fit
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.progress import Progress, silent

ROWS = 256  # texts that are scored at once


def new_verifier(init: Any, seed: int) -> Any:
    """Return an untrained verifier: the trunk of a language model, and a new head.

    If ``init`` is a verifier already, a copy of it is returned, so that its training continues.
    """
    import copy

    if hasattr(init, "score"):
        return copy.deepcopy(init)
    model = new_model(Shape.of(init.config), seed, labels=2)
    model.model.load_state_dict(init.model.state_dict())
    return model


class Epochs:
    """The batches of an endless training on the same candidates, in another order in each epoch.

    Args:
        seed: The seed of the orders.
        candidates: The candidates; those of a problem are packed together, a few at a time.
        kind: Which labels are used.
        facts: The share of problems of one operation in the tokens, so that the tables are not forgotten.
        at_once: The most candidates of a problem that lie together.
    """

    def __init__(
        self, seed: int, candidates: Sequence[Labelled], kind: Labelling, facts: float = 0.0, at_once: int = 4
    ) -> None:
        self._seed, self._kind, self._facts, self._at_once = seed, kind, facts, at_once
        self._encoder = Encoder()
        self._problems = by_problem(candidates)
        self._epoch: tuple[int, list[Packer]] = (-1, [])
        self.batches = len(self._batches_of(0))

    def __call__(self, index: int) -> dict[str, Any]:
        """Return the inputs of the batch with a number."""
        # epochs differ by a batch at most; one that is shorter than the first begins again
        number, at = divmod(index, self.batches)
        batches = self._batches_of(number)
        return batches[at % len(batches)].inputs()

    def _batches_of(self, number: int) -> list[Packer]:
        if self._epoch[0] == number:
            return self._epoch[1]
        rng = random.Random(f"epoch {self._seed} {number}")  # noqa: S311 (no secret: an order)
        groups: list[list[Labelled]] = []
        for problem in self._problems:
            order = rng.sample(problem, len(problem))
            groups += [order[start : start + self._at_once] for start in range(0, len(order), self._at_once)]
        rng.shuffle(groups)
        batches = [Packer(self._encoder.pad)]
        for group in with_facts(groups, rng, self._facts) if self._facts else groups:
            statement = self._encoder.encode(group[0].statement + "\n")
            left = batches[-1].place(statement, [solution_read(self._encoder, each, self._kind) for each in group])
            if left:
                batches.append(Packer(self._encoder.pad))
                batches[-1].place(statement, left)
        self._epoch = (number, batches)
        return batches


def train_verifier(
    batch: Callable[[int], dict[str, Any]],
    init: Any,
    seed: int,
    folder: Path,
    *,
    steps: int,
    rate: float = 2e-3,
    device: str = "cpu",
    progress: Progress = silent,
) -> Any:
    """Train a verifier and return it; a run that was cut off continues from ``folder``.

    Args:
        batch: Returns the inputs of the batch with a number, for instance :class:`Epochs`.
        init: The language model whose trunk it starts from, or a verifier that is trained further.
        seed: The seed of the new head.
        folder: The folder of the states and the log.
        steps: Optimizer steps.
        rate: Highest learning rate.
        device: The device of the computation.
        progress: Called with the number of steps done so far.
    """
    schedule = Schedule(steps, rate, falls="line")
    return fit(new_verifier(init, seed), batch, schedule, folder, progress=progress, device=device)


def score(
    model: Any, texts: Iterable[tuple[str, str]], kind: str, progress: Progress = silent
) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return the log-odds of being right for every distinct (statement, candidate).

    For the kind ``prm`` there is one number a step, for others a single one.
    """
    import torch

    encoder = Encoder()
    work: list[tuple[tuple[str, str], list[int], list[int]]] = []
    for key in dict.fromkeys(texts):
        example = verifier_example(encoder, Labelled(*key, None, True), "prm" if kind == "prm" else "orm")
        at = [index for index, target in enumerate(example.targets) if target >= 0]
        work.append((key, example.ids, at if kind == "prm" else at[-1:]))
    work.sort(key=lambda each: len(each[1]))
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    with torch.inference_mode():
        for start in range(0, len(work), ROWS):
            some = work[start : start + ROWS]
            ids = _padded([each[1] for each in some], encoder.pad).to(model.device)
            logits = model.score(model.model(input_ids=ids, use_cache=False).last_hidden_state).float()
            odds = (logits[..., 1] - logits[..., 0]).cpu()
            for row, (key, _, at) in enumerate(some):
                found[key] = tuple(odds[row, at].tolist())
            progress(len(found))
    return found


def _padded(rows: Sequence[list[int]], padding: int) -> Any:
    import torch

    longest = max(map(len, rows))
    return torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
