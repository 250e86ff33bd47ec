"""DATA of a training: a step set, a labelled or graded pool, or a file that the importers turn into a step set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.jobs import meant_grades
from prm_eval.evaluation.notes import reads_golds
from prm_eval.pools.pool import Pool
from prm_eval.records import ScoringItem
from prm_eval.stepsets.label_file import DESCRIPTION as LABELS
from prm_eval.stepsets.label_file import FOLDER, ROWS, LabelFile, label_folders
from prm_eval.stepsets.step_set import StepSet, is_step_set
from prm_eval.stepsets.writer import candidate_of
from prm_eval.store.jsonl import file_sha256
from prm_eval.texts.steps import split_steps
from prm_eval.training.made import Place, made_of_files, made_of_labels
from prm_eval.training.options import TrainOptions
from prm_eval.training.targets import step_targets

POOL = "pool.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """One solution with its targets.

    Attributes:
        path: The user's file that holds it.
        row: Its row there.
        name: Its id.
        item: What a reward model is given.
        targets: One a step (PRM), or one (ORM); None where nothing is known.
        index: Its place in the step set, or in the order of the pool's candidates.
    """

    path: Path
    row: int
    name: str
    item: ScoringItem
    targets: tuple[float | None, ...]
    index: int


@dataclass
class TrainingData:
    """DATA, opened.

    Attributes:
        path: As the user named it.
        hashes: What identifies it, for the card and for going on.
        step_set: The labelled solutions, for a PRM, or for an ORM that learns from final answers of a step set.
        pool: The graded pool, for an ORM.
        labels: The labels of a pool's candidates, with the pool, from which the step set was made.
        places: Where each solution of a step set that was made of something else stands there.
        left_out: Solutions without a target, by reason.
    """

    path: Path
    hashes: dict[str, Any]
    step_set: StepSet | None = None
    pool: Pool | None = None
    labels: tuple[Pool, LabelFile] | None = None
    places: Sequence[Place] | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def describe(self) -> dict[str, Any]:
        """What the card says of it."""
        found: dict[str, Any] = {"path": str(self.path), **self.hashes}
        if self.step_set is not None:
            info = self.step_set.info
            found |= {"name": info.name, "labels": info.labels, "label_source": info.label_source}
            found |= {
                "source": {key: info.source[key] for key in ("licence", "revision", "format") if key in info.source}
            }
        elif self.pool is not None:
            found |= {"name": str(self.pool.info.problem_set.get("name")), "labels": "grades", "label_source": "grader"}
        return found

    def place(self, index: int) -> tuple[Path, int, str]:
        """Return the user's file, the row there and the name of a sample by its index."""
        if self.step_set is not None:
            return *self._row(self.step_set, index), self.step_set.solutions[index].solution_id
        if self.pool is not None:
            one = self.pool.candidates(index, 1)[0]
            return self.pool.candidates_path, index + 1, f"{one.problem_id}#{one.slot}"
        raise AssertionError("DATA is a step set or a pool")

    def _row(self, step_set: StepSet, index: int) -> Place:
        if self.places is not None:
            return self.places[index]
        if self.labels is not None:
            # a step set of labels has a solution a row
            return self.labels[1].folder / ROWS, index + 1
        return step_set.pool.candidates_path, index + 1

    def samples(self, options: TrainOptions) -> Iterator[Sample]:
        """Yield the solutions with a target, in order; the others are counted in :attr:`left_out`.

        Raises:
            DataError: A label or grade does not fit.
        """
        self.left_out.clear()
        for sample in self._all(options):
            if any(target is not None for target in sample.targets):
                yield sample

    def _all(self, options: TrainOptions) -> Iterator[Sample]:
        if self.pool is not None:
            yield from self._graded(self.pool, str(self.hashes["grades"]))
        elif self.step_set is not None:
            yield from self._labelled(self.step_set, options)

    def _labelled(self, step_set: StepSet, options: TrainOptions) -> Iterator[Sample]:
        for index, (solution, label) in enumerate(zip(step_set.solutions, step_set.labels, strict=True)):
            item = ScoringItem(solution.statement, candidate_of(solution).text, solution.steps)
            if options.kind == "orm":
                targets: tuple[float | None, ...] = (
                    None if label.final_correct is None else float(label.final_correct),
                )
            else:
                n = len(solution.steps)
                targets = tuple(step_targets(label, n, neutral=options.neutral, soft=options.soft))
            if all(target is None for target in targets):
                self.left_out["no label that is trained on"] += 1
            yield Sample(*self._row(step_set, index), solution.solution_id, item, targets, index)

    def _graded(self, pool: Pool, grades: str) -> Iterator[Sample]:
        index = 0
        walk = zip(pool, pool.grades(grades), strict=True)
        for (problem, candidates), (_, rows) in walk:
            for candidate, grade in zip(candidates, rows, strict=True):
                known = {"correct": 1.0, "incorrect": 0.0, "no_answer": 0.0}.get(grade.grade)
                if known is None:
                    self.left_out[f"graded {grade.grade}"] += 1
                item = ScoringItem(problem.statement, candidate.text, candidate.steps or (candidate.text,))
                name = f"{problem.problem_id}#{candidate.slot}"
                yield Sample(pool.candidates_path, index + 1, name, item, (known,), index)
                index += 1


def open_data(path: str, options: TrainOptions, work: Path) -> TrainingData:
    """Open DATA; a file, or a labelled pool, becomes a step set in the work folder.

    Raises:
        DataError: A fault in a file, with its row.
        PrmEvalError: It holds nothing to train on; the message says the next step.
    """
    folder = Path(path)
    _require_meaning(folder, options)
    if options.kind == "orm" and not is_step_set(folder) and (folder / POOL).is_file():
        return _graded_pool(folder, options)
    if is_step_set(folder) and options.labels is None:
        step_set = StepSet(folder).require_sound()
        found = TrainingData(folder, {"content_hash": step_set.info.content_hash}, step_set)
    elif (folder / POOL).is_file() or (folder / LABELS).is_file():
        found = _labelled_pool(folder, options, work)
    else:
        found = _file(path, options, work)
    _require_targets(found, options)
    return found


def _require_meaning(folder: Path, options: TrainOptions) -> None:
    """Refuse options that are about another sort of DATA: they would be ignored without a word."""
    made = any((folder / each).is_file() for each in (POOL, LABELS))
    if made and (options.candidates or options.form != "auto"):
        flag = "--candidates" if options.candidates else "--format"
        raise PrmEvalError(f"{flag} is about files that are imported; {folder} is made already. Leave it out")
    if not made and options.labels is not None:
        raise PrmEvalError(f"--labels {options.labels}: {folder} is no pool; expected one that has labels")


def _graded_pool(folder: Path, options: TrainOptions) -> TrainingData:
    pool = Pool(folder).require_sound()
    source = meant_grades(pool, options.grades)
    if not pool.grades_path(source).is_file() and reads_golds(source):
        grader = "" if source == "own" else f" --grader {source}"
        raise DataError(
            folder,
            None,
            "a pool without grades",
            "grades of its candidates, from which an ORM learns",
            f"Make them with: prm-eval grade {folder}{grader}, or name others that it has: --grades published",
        )
    grades = pool.require_grades(source)
    hashes = {"content_hash": pool.info.content_hash, "grades_sha256": file_sha256(grades), "grades": source}
    return TrainingData(folder, hashes, pool=pool)


def _labelled_pool(folder: Path, options: TrainOptions, work: Path) -> TrainingData:
    if (folder / LABELS).is_file():
        pool, labels = Pool(_pool_above(folder)), LabelFile(folder)
    else:
        pool = Pool(folder)
        labels = LabelFile(_labels_of(pool, options.labels))
    pool.require_sound()
    rows = labels.folder / ROWS
    hashes = {"content_hash": pool.info.content_hash, "labels_sha256": file_sha256(rows), "labelled_by": labels.info.by}
    # what labels.json says decides the set too: how candidates are cut, what a label means
    hashes["description_sha256"] = file_sha256(labels.folder / LABELS)
    return TrainingData(folder, hashes, made_of_labels(pool, labels, work, hashes), labels=(pool, labels))


def _pool_above(labels: Path) -> Path:
    for folder in labels.resolve().parents[:2]:
        if (folder / POOL).is_file():
            return folder
    raise DataError(labels, None, "labels that lie in no pool", f"POOL/{FOLDER}/NAME", "Name the pool, and --labels.")


def _labels_of(pool: Pool, asked: str | None) -> Path:
    there = label_folders(pool)
    if asked is not None:
        named = [each for each in there if each.name == asked]
        return named[0] if named else Path(asked)
    if len(there) == 1:
        return there[0]
    if not there:
        raise DataError(
            pool.path,
            None,
            "a pool without labels of steps",
            f"{FOLDER}/NAME in it, from which a PRM learns",
            f"Make them with: prm-eval label, or train an ORM of its grades: prm-eval train orm {pool.path}",
        )
    names = ", ".join(each.name for each in there)
    raise DataError(pool.path, None, f"labels of {len(there)} sources: {names}", "one of them", "Say --labels NAME.")


def _file(path: str, options: TrainOptions, work: Path) -> TrainingData:
    made = made_of_files(path, work, form=options.form, candidates=options.candidates)
    return TrainingData(Path(path), {"files": made.hashes}, made.step_set, places=made.places)


def _require_targets(data: TrainingData, options: TrainOptions) -> None:
    """Insist on labels of the sort that is trained on; that both classes are there is looked at with the targets."""
    if data.step_set is None:
        return
    labels, name = data.step_set.labels, data.path
    if options.kind == "orm" and all(each.final_correct is None for each in labels):
        raise DataError(
            name,
            None,
            "a step set that says of no final answer whether it is right",
            "final_correct, or a graded pool, from which an ORM learns",
            "Train a PRM of it: prm-eval train prm",
        )
    if options.soft and data.step_set.info.labels != "soft":
        raise PrmEvalError(f"--soft: {name} has labels of the kind {data.step_set.info.labels}, not shares (soft)")


def require_cuts(data: TrainingData, splitter: str | None) -> int:
    """Return how many solutions of a step set a recipe's splitter cuts otherwise than they are given.

    Given steps win over a recipe's splitter, which is counted. Labels of a pool, which say how they cut its candidates,
    must have cut them as the recipe will.

    Raises:
        DataError: A pool's labels are of other steps than the recipe's, with the first row.
    """
    if splitter in (None, "given") or data.step_set is None:
        return 0
    if data.labels is not None:
        _require_own_cuts(*data.labels, str(splitter))
        return 0
    return sum(
        split_steps(candidate_of(each).text, str(splitter), each.steps) != tuple(step.strip() for step in each.steps)
        for each in data.step_set.solutions
    )


def _require_own_cuts(pool: Pool, labels: LabelFile, splitter: str) -> None:
    if labels.info.splitter == splitter:
        return
    for row, each in enumerate(labels.labelled(pool), 1):
        own = split_steps(each.candidate.text, splitter, each.candidate.steps)
        if own != each.steps:
            raise DataError(
                labels.folder / ROWS,
                row,
                f"candidate {each.candidate.candidate_id} of {each.problem.problem_id!r} with {len(each.steps)} "
                f"labelled steps, cut by {labels.info.splitter!r}",
                f"{len(own)}, as the recipe's splitter {splitter!r} cuts it",
                "Label again with that splitter, or train with another recipe.",
            )
