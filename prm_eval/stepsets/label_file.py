"""Labels beside a pool or step set: one folder a source, so that labels of two sources are never mixed without a word.

``labels.json`` says who labels and how (``prm_eval.labels/1``); ``labels.parquet`` has a row for each labelled
candidate, in the pool's order. A pool with a folder of labels becomes a step set (:func:`to_step_set`), which is what
training and evaluation read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import pyarrow as pa

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import software_versions
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, LabelKind, Problem, Solution, StepLabel
from prm_eval.stepsets.format import LABELS, LabelSource
from prm_eval.stepsets.labels import fault_of
from prm_eval.stepsets.step_set import StepSet, is_step_set, stored_label
from prm_eval.stepsets.writer import StepSetWriter
from prm_eval.store.json_files import build_from, read_own_json
from prm_eval.store.rules import Number, Text
from prm_eval.store.tables import TableWriter, iter_table_rows
from prm_eval.store.writing import write_json
from prm_eval.texts.steps import SPLITTERS, split_steps

SCHEMA_VERSION = "prm_eval.labels/1"
DESCRIPTION = "labels.json"
ROWS = "labels.parquet"
FOLDER = "labels"
"""Where the folders of labels lie in that of a pool."""

COLUMNS = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("candidate_id", pa.string(), nullable=False),
        *[each for each in LABELS if each.name != "solution_id"],
        pa.field("who", pa.string()),
        pa.field("when", pa.string()),
        pa.field("seconds", pa.float64()),
        pa.field("remarks", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class LabelInfo:
    """What ``labels.json`` says.

    Attributes:
        source: Who labels.
        by: The name of the labeller: a model, a policy, an oracle, a campaign of people.
        labels: What the labels say.
        splitter: How the candidates were cut into the steps that are labelled.
        pool_hash: The content hash of the pool.
        n_labelled: Rows.
        settings: How labels were made: thresholds, rollouts a step, seeds, instructions.
        versions: Of the software.
        schema: Version of this format.
    """

    source: LabelSource
    by: Annotated[str, Text(300, r"(?s:.*\S.*)", "a name")]
    labels: LabelKind
    splitter: str
    pool_hash: Annotated[str, Text(64, "[0-9a-f]{64}", "64 hexadecimal digits")]
    n_labelled: Annotated[int, Number(0)]
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    schema: str = SCHEMA_VERSION


@dataclass(frozen=True)
class Labelled:
    """One labelled candidate.

    Attributes:
        problem: Its problem, with what the pool knows of it; nothing of it but the statement is part of a step set.
        candidate: The candidate.
        steps: Its steps, cut as the labels say.
        label: Their label.
        who: Who labelled this one, where several did.
        when: When, as ISO 8601.
        seconds: How long it took.
        remarks: What was said besides (``flagged``, ``give_up``, ``bad_problem``, ...).
    """

    problem: Problem
    candidate: Candidate
    steps: tuple[str, ...]
    label: StepLabel
    who: str | None = None
    when: str | None = None
    seconds: float | None = None
    remarks: tuple[str, ...] = ()


def require_no_labels(folder: Path) -> None:
    """Insist that a folder holds no labels, before anybody is asked for new ones.

    Raises:
        PrmEvalError: It does.
    """
    if (folder / DESCRIPTION).exists():
        # it may hold what cannot be made again, too: marks of people, completions of a policy
        raise PrmEvalError(
            f"{folder} holds labels already. Give another folder, or remove these two files first: "
            f"{folder / DESCRIPTION} and {folder / ROWS}"
        )


class LabelWriter:
    """A writer of labels, candidate by candidate in the pool's order; the folder is complete or not there.

    Args:
        folder: The folder to make, as POOL/labels/NAME.
        pool: The pool.
        source: Who labels.
        by: The labeller's name.
        labels: What the labels say.
        splitter: How candidates are cut; None is the pool's own way.
        settings: How labels are made.

    Raises:
        PrmEvalError: The folder holds labels already, or there is no such splitter.
    """

    def __init__(
        self,
        folder: Path,
        pool: Pool,
        *,
        source: LabelSource,
        by: str,
        labels: LabelKind,
        splitter: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        require_no_labels(folder)
        self.splitter = splitter or pool.info.splitter
        if self.splitter not in SPLITTERS:
            raise PrmEvalError(f"unknown splitter {self.splitter!r}; expected one of {', '.join(SPLITTERS)}")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._pool, self._kind = folder, pool, labels
        self._fields: dict[str, Any] = {"source": source, "by": by, "labels": labels, "settings": dict(settings or {})}
        self._table = TableWriter(folder / ROWS, COLUMNS)
        self._n = 0

    def add(self, labelled: Labelled) -> None:
        """Add the label of one candidate.

        Raises:
            PrmEvalError: It does not fit the candidate's steps.
        """
        candidate = labelled.candidate
        if (fault := fault_of(labelled.label, len(labelled.steps), self._kind)) is not None:
            raise PrmEvalError(f"candidate {candidate.candidate_id} of {candidate.problem_id!r}: {fault}")
        label = labelled.label
        self._table.add(
            {
                "problem_id": candidate.problem_id,
                "candidate_id": candidate.candidate_id,
                "first_error": label.first_error,
                "step_ratings": None if label.ratings is None else list(label.ratings),
                "step_soft": None if label.soft is None else list(label.soft),
                "final_correct": label.final_correct,
                "source_label": label.source_label,
                "who": labelled.who,
                "when": labelled.when,
                "seconds": labelled.seconds,
                "remarks": list(labelled.remarks),
            },
            size=9 * len(labelled.steps) + 200,
        )
        self._n += 1

    def __enter__(self) -> LabelWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)
        if error is not None:
            return
        info = LabelInfo(
            **self._fields,
            splitter=self.splitter,
            pool_hash=self._pool.info.content_hash,
            n_labelled=self._n,
            versions=software_versions(),
        )
        # last: rows without a description are no labels
        write_json(self._folder / DESCRIPTION, asdict(info))


class LabelFile:
    """A folder of labels, opened for reading.

    Raises:
        DataError: There is none, or ``labels.json`` is malformed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        file = self.folder / DESCRIPTION
        if not file.is_file():
            raise DataError(
                self.folder, None, f"no {DESCRIPTION}", "a folder of labels", "Make one with: prm-eval label"
            )
        self.info: LabelInfo = build_from(
            file, LabelInfo, read_own_json(file, (SCHEMA_VERSION,), "a description of labels"), own=True
        )

    def labelled(self, pool: Pool) -> Iterator[Labelled]:
        """Yield the labelled candidates of a pool, in its order.

        Raises:
            DataError: The labels are of another pool, of candidates that it has not or in another order, one does not
                fit its candidate's steps, or there are not as many as ``labels.json`` says.
        """
        if self.info.pool_hash != pool.info.content_hash:
            found = f"labels of the pool {self.info.pool_hash[:12]}"
            raise DataError(self.folder / DESCRIPTION, None, found, f"labels of {pool.path} ({pool.info.short_hash})")
        path = self.folder / ROWS
        rows = enumerate(iter_table_rows(path, COLUMNS), 1)
        number, row = next(rows, (0, None))
        count = 0
        for problem, candidates in pool:
            for candidate in candidates:
                if row is None:
                    break
                if (row["problem_id"], row["candidate_id"]) == (candidate.problem_id, candidate.candidate_id):
                    count += 1
                    yield self._one(path, number, row, problem, candidate)
                    number, row = next(rows, (0, None))
            if row is None:
                break
        if row is not None:
            found = f"candidate {row['candidate_id']} of {row['problem_id']!r} out of order, twice or unknown"
            raise DataError(path, number, found, f"candidates of {pool.path}, in its order")
        if count != self.info.n_labelled:
            raise DataError(path, None, f"{count:,} rows", f"{self.info.n_labelled:,}, as {DESCRIPTION} says")

    def _one(self, path: Path, number: int, row: dict[str, Any], problem: Problem, candidate: Candidate) -> Labelled:
        steps = split_steps(candidate.text, self.info.splitter, candidate.steps)
        label = stored_label(row)
        if (fault := fault_of(label, len(steps), self.info.labels)) is not None:
            raise DataError(path, number, f"candidate {candidate.candidate_id}: {fault.found}", fault.expected)
        return Labelled(
            problem, candidate, steps, label, row["who"], row["when"], row["seconds"], tuple(row["remarks"] or ())
        )


def label_folders(pool: Pool) -> list[Path]:
    """Return the folders of labels in that of a pool."""
    return sorted(each.parent for each in (pool.path / FOLDER).glob(f"*/{DESCRIPTION}"))


def to_step_set(pool: Pool, labels: LabelFile, folder: Path, name: str | None = None) -> StepSet:
    """Make a step set of the labelled candidates of a pool.

    Args:
        pool: The pool.
        labels: Labels of it.
        folder: The step set to make.
        name: Its name; that of the pool's problem set with the labeller's by default.

    Raises:
        PrmEvalError: The folder exists and is not empty, or a label has a fault.
    """
    own = str(pool.info.problem_set.get("name") or pool.path.name)
    # a step set that is labelled again keeps its solutions' problems and groups
    of_set = {each.solution_id: each for each in StepSet(pool.path).solutions} if is_step_set(pool.path) else {}
    source = {"pool": pool.info.content_hash, "labelled_by": labels.info.by, "settings": labels.info.settings}
    with StepSetWriter(
        folder,
        name=name or f"{own}, labelled by {labels.info.by}"[:200],
        labels=labels.info.labels,
        label_source=labels.info.source,
        source=source,
        policy=pool.info.policy,
    ) as writer:
        for each in labels.labelled(pool):
            candidate = each.candidate
            if (known := of_set.get(candidate.problem_id)) is not None:
                writer.add(replace(known, steps=each.steps, remarks=each.remarks), each.label)
                continue
            name_of = f"{candidate.problem_id}#{candidate.slot}"
            solution = Solution(name_of, each.problem.statement, each.steps, candidate.problem_id, remarks=each.remarks)
            writer.add(solution, each.label)
    if writer.step_set is None:
        raise PrmEvalError(f"{folder} was not written")
    return writer.step_set
