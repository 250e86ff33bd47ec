"""The iterated form of active learning: choose, label, train, score, and choose again by the model that came of it.

Lightman et al. 2023 choose once, by a selector trained on one sample a problem, and report that training the selector
again and again was unstable (section 4.2); this keeps the figures of every round, so that one can see.

A round is a folder ``round-K``: ``queue.jsonl``, ``labels``, ``all`` (these and those of the rounds before), ``set``
(the same as a step set, which the trainer gets), ``model``, ``rewards`` (of the pool, once the next round needs them)
and ``test`` (of a pool with other problems, if one is given). Every part is whole or not there, so a run that was
killed goes on with the first part that is missing; ``rounds.jsonl`` is the journal of the finished rounds.

Without a model the choice is uniform: in the first round, or, for ``disagreement``, in the first two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.golds import statement_key
from prm_eval.evaluation.jobs import AUTO, meant_grades, run_scoring
from prm_eval.labelling.merging import merge_labels
from prm_eval.labelling.queue_rules import Ask
from prm_eval.labelling.queues import FEEDS, labelled_keys, make_queue, read_queue
from prm_eval.labelling.writing import Key
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, no_bars
from prm_eval.rewards import RewardFile, load_reward_model
from prm_eval.rewards.files.differences import difference
from prm_eval.stepsets.label_file import DESCRIPTION, ROWS, LabelFile, to_step_set
from prm_eval.stepsets.labels import NO_ERROR
from prm_eval.stepsets.step_set import is_step_set
from prm_eval.store.journal import Journal
from prm_eval.store.safe_json import read_json
from prm_eval.store.writing import write_json

JOURNAL = "rounds.jsonl"
MODEL = "model.json"
RESAMPLES = 2_000

Trainer = Callable[[Path, Path], "str | tuple[str, dict[str, Any]]"]
"""Trains on a step set into a folder, and returns the reward model's name, as ``prm-eval score`` takes it, perhaps with
options such as its recipe. It is called again after a kill, with the same arguments: it must go on, or return at once
where the folder is finished."""
Label = Callable[[Pool, Collection[Key], Path], object]
"""Labels the candidates of a queue into a folder of labels. It is called again after a kill."""


class Waiting(PrmEvalError):
    """People have to label before the rounds can go on."""


@dataclass(frozen=True)
class Named:
    """A labeller or trainer with what is said of it in the journal: another one must not go on with a run."""

    about: dict[str, Any]
    do: Callable[..., Any]


@dataclass(frozen=True)
class Plan:
    """What the rounds do.

    Attributes:
        ask: How candidates are chosen, a round.
        labeller: Who labels: :data:`Label`.
        trainer: Who trains: :data:`Trainer`.
        rounds: How many.
        start: Rewards of a model that chooses in the first round already.
        test: A graded pool of other problems, on which every round's model is measured.
        grades: Whose grades say which answers are wrong.
        seed: Of uniform choices.
    """

    ask: Ask
    labeller: Named
    trainer: Named
    rounds: int
    start: RewardFile | None = None
    test: Pool | None = None
    grades: str = AUTO
    seed: int = 0

    def key(self, pool: Pool) -> dict[str, Any]:
        """Return what must be the same for a run to be continued; more rounds may be asked for."""
        key = {
            "pool": pool.info.content_hash,
            "ask": self.ask.__dict__,
            "labeller": self.labeller.about,
            "trainer": self.trainer.about,
            "start": None if self.start is None else [self.start.info.name, str(self.start.folder)],
            "test": None if self.test is None else self.test.info.content_hash,
            "grades": meant_grades(pool, self.grades),
            "seed": self.seed,
        }
        result: dict[str, Any] = json.loads(json.dumps(key))
        return result


@dataclass(frozen=True)
class Round:
    """The figures of one round.

    Attributes:
        number: From 1.
        rule: By which it was chosen; "uniform" where there was no model yet.
        chosen: Candidates of its queue.
        wrong_answers: Those with a wrong answer, where the rule looked at that.
        labelled: Candidates that got a label.
        with_error: Those of them with a wrong step.
        steps: Their rated steps.
        wrong_steps: Those rated wrong.
        total: Candidates labelled so far.
        model: The reward model that came of it.
        test: The best of n on the test pool, by n: value, low, high; empty without one.
    """

    number: int
    rule: str
    chosen: int
    wrong_answers: int | None
    labelled: int
    with_error: int
    steps: int
    wrong_steps: int
    total: int
    model: str
    test: Mapping[str, list[float]] = field(default_factory=dict)


def run_rounds(pool: Pool, folder: Path, plan: Plan, bars: Bars = no_bars) -> list[Round]:
    """Return the figures of all rounds, after making those that are missing.

    Args:
        pool: The candidates to learn from.
        folder: The folder of the rounds.
        plan: What they do.
        bars: The bars of choosing and scoring.

    Raises:
        PrmEvalError: The folder holds rounds of another plan, nothing is left to label, or a fault of a part.
        DataError: The test pool has a problem of the pool.
        Waiting: People have to label.
    """
    if plan.rounds < 1:
        raise PrmEvalError(f"{plan.rounds} rounds; expected at least 1")
    if plan.ask.rule == "convincing":
        pool.require_grades(meant_grades(pool, plan.grades))
    if plan.test is not None:
        _require_other_problems(pool, plan.test)
    folder.mkdir(parents=True, exist_ok=True)
    key = plan.key(pool)
    with Journal(folder / JOURNAL, {"key": key}, busy=f"another process is at the rounds of {folder}") as journal:
        if (differs := _differs(journal, key)) is not None and not _may_change(journal, key, folder):
            raise PrmEvalError(
                f"{folder} holds rounds of another plan: {differs}. Go on with that, or give another folder."
            )
        if differs is not None:
            journal.restart({"key": key})
        found = [Round(**fields) for _, fields in journal.records()]
        for number in range(len(found) + 1, plan.rounds + 1):
            made = _Making(pool, folder, plan, number, bars).make()
            journal.append([made.__dict__])
            found.append(made)
    return found[: plan.rounds]


def has_trained(folder: Path) -> bool:
    """Say whether the first round of a folder has a model already."""
    return (folder / "round-1" / MODEL).is_file()


def _may_change(journal: Journal, key: Mapping[str, Any], folder: Path) -> bool:
    """Say whether only the training and the test are others, and nothing came of them yet.

    A first training that was refused is started again with other options, and the labels of the round are kept.
    """
    found = journal.header.get("key")
    later = {"trainer", "test"}
    same = isinstance(found, dict) and all(found.get(name) == key[name] for name in key.keys() - later)
    return same and not journal.count and not has_trained(folder)


def _differs(journal: Journal, key: dict[str, Any]) -> str | None:
    found = journal.header.get("key")
    return difference(found if isinstance(found, dict) else {}, key)


def _require_other_problems(pool: Pool, test: Pool) -> None:
    """Insist that no problem is learnt from and measured on."""
    known = {statement_key(each.statement): each.problem_id for each in pool.problems.values()}
    for each in test.problems.values():
        if (other := known.get(statement_key(each.statement))) is not None:
            found = f"the problem {each.problem_id!r}, which is {other!r} of {pool.path}"
            raise DataError(test.path / "problems.parquet", None, found, "problems that the rounds do not learn from")
    test.require_grades(meant_grades(test))


class _Making:
    """One round in the making."""

    def __init__(self, pool: Pool, folder: Path, plan: Plan, number: int, bars: Bars) -> None:
        self._pool, self._plan, self._number, self._bars = pool, plan, number, bars
        self._folders = [folder / f"round-{each}" for each in range(1, number + 1)]
        self._own = self._folders[-1]

    def make(self) -> Round:
        self._own.mkdir(exist_ok=True)
        rule, wrong, wanted = self._choose()
        labels = self._label(wanted)
        everything = self._gather(labels)
        name = self._train()
        test = self._measure()
        rows = [each.label for each in labels.labelled(self._pool)]
        rated = [rating for label in rows for rating in label.ratings or () if rating is not None]
        return Round(
            self._number,
            rule,
            len(wanted),
            wrong,
            len(rows),
            sum(label.first_error not in (None, NO_ERROR) for label in rows),
            len(rated),
            rated.count(-1),
            everything.info.n_labelled,
            name,
            test,
        )

    def _choose(self) -> tuple[str, int | None, dict[Key, str]]:
        """Return the rule, how many of the chosen have a wrong answer, and the chosen."""
        path, figures = self._own / "queue.jsonl", self._own / "chosen.json"
        if not figures.is_file():
            rewards = self._rewards()
            ask = self._plan.ask
            if len(rewards) < FEEDS[ask.rule]:
                ask = replace(ask, rule="uniform")
            # also those that the labeller left out: it would leave them out again
            skip = {key for each in self._folders[:-1] for key in read_queue(each / "queue.jsonl", self._pool)}
            with self._bars("choosing", self._pool.info.n_problems, "problem") as progress:
                queue = make_queue(
                    self._pool,
                    path,
                    ask,
                    rewards=rewards,
                    grades=self._plan.grades,
                    seed=self._plan.seed,
                    skip=skip,
                    progress=progress,
                )
            if not queue.picks:
                raise PrmEvalError(
                    f"round {self._number}: nothing is left to label; {self._number - 1} rounds are done"
                )
            wrong = queue.wrong if ask.rule == "convincing" else None
            write_json(figures, {"rule": ask.rule, "wrong": wrong})
        fields = read_json(figures)
        return fields["rule"], fields["wrong"], read_queue(path, self._pool)

    def _rewards(self) -> list[RewardFile]:
        """Return what the models so far say of the pool, the latest first."""
        found = [self._scored(self._pool, folder, "rewards") for folder in reversed(self._folders[:-1])]
        return found + ([] if self._plan.start is None else [self._plan.start])

    def _label(self, wanted: Collection[Key]) -> LabelFile:
        folder = self._own / "labels"
        if not (folder / DESCRIPTION).is_file():
            self._plan.labeller.do(self._pool, wanted, folder)
        labels = LabelFile(folder)
        others = labelled_keys([folder], self._pool) - set(wanted)
        if others:
            problem_id, candidate_id = min(others)
            found = f"labels of {len(others):,} candidates that were not chosen, as {candidate_id} of {problem_id!r}"
            queue = self._own / "queue.jsonl"
            hint = f"Remove {DESCRIPTION} and {ROWS} there; prm-eval label export has --queue {queue}."
            raise DataError(folder, None, found, f"labels of {queue}", hint)
        if not labels.info.n_labelled:
            raise DataError(folder, None, "no label", "labels of the queue; is the labeller in order?")
        return labels

    def _gather(self, labels: LabelFile) -> LabelFile:
        """Return the labels of all rounds, and make the step set that is trained on."""
        folder = self._own / "all"
        if not (folder / DESCRIPTION).is_file():
            files = [LabelFile(each / "labels") for each in self._folders[:-1]]
            merge_labels(self._pool, [*files, labels], folder)
        everything = LabelFile(folder)
        if not is_step_set(self._own / "set"):
            to_step_set(self._pool, everything, self._own / "set", f"round {self._number} by {labels.info.by}"[:200])
        return everything

    def _train(self) -> str:
        """Return the name of this round's reward model, trained on the labels of all rounds."""
        file = self._own / MODEL
        if not file.is_file():
            made = self._plan.trainer.do(self._own / "set", self._own / "model")
            name, options = made if isinstance(made, tuple) else (made, {})
            write_json(file, {"reward_model": str(name), "options": options})
        return str(read_json(file)["reward_model"])

    def _measure(self) -> dict[str, list[float]]:
        test = self._plan.test
        if test is None:
            return {}
        rewards = self._scored(test, self._own, "test")
        found = evaluate(
            test, [rewards], grades=meant_grades(test), selectors=["best_of_n"], resamples=RESAMPLES, seed=0
        )
        return {str(row.n): [row.value, row.low, row.high] for row in found.rows if row.selector == "best_of_n"}

    def _scored(self, pool: Pool, folder: Path, what: str) -> RewardFile:
        """Return what the model of a round's folder says of a pool."""
        made = read_json(folder / MODEL)
        model = load_reward_model(made["reward_model"], **made["options"])
        return run_scoring(pool, model, folder / what, bars=self._bars).rewards


def own_trainer(path: str) -> Named:
    """Return the trainer ``package.module:function``.

    Raises:
        PrmEvalError: There is none.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PrmEvalError(f"--trainer {path}: {error}; expected package.module:function") from None
    return Named({"trainer": path}, found)


def as_table(rounds: Sequence[Round]) -> list[str]:
    """Return the rounds as lines of text; the last column is the best of n on the test pool at the largest n."""
    from prm_eval.evaluation.report import aligned

    largest = max((int(n) for each in rounds for n in each.test), default=0)
    cells = [
        [
            "round",
            "chosen by",
            "labels",
            "so far",
            "with an error",
            "wrong steps",
            *([f"bon@{largest}"] if largest else []),
        ]
    ]
    for each in rounds:
        cell = each.test.get(str(largest))
        wrong = "" if each.wrong_answers is None else f" ({100 * each.wrong_answers / each.chosen:.0f} % wrong answers)"
        cells.append(
            [
                str(each.number),
                f"{each.rule}{wrong}",
                f"{each.labelled:,}",
                f"{each.total:,}",
                f"{100 * each.with_error / each.labelled:.1f} %",
                f"{100 * each.wrong_steps / max(1, each.steps):.1f} %",
                *([] if cell is None else ["{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in cell))]),
            ]
        )
    return aligned(cells)
