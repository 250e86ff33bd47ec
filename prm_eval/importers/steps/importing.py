"""The import itself: a source of a known format becomes a step set, with a report of what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.common import ImportedProblem, RewardColumn, sound
from prm_eval.importers.reward_columns import RewardColumns
from prm_eval.importers.score_types import Asked
from prm_eval.importers.sources import Place, Source, open_source
from prm_eval.importers.steps.found import FAULTY, KEEPABLE, REPEATED, Found, LeftOut, StepFormat, Wanted
from prm_eval.importers.steps.looks import Looks, look_at
from prm_eval.importers.steps.reading import BASE_1
from prm_eval.importers.steps.registry import recognise_steps
from prm_eval.records import Candidate, LabelKind, Problem
from prm_eval.stepsets.format import LabelSource
from prm_eval.stepsets.step_set import StepSet
from prm_eval.stepsets.writer import StepSetWriter

MANY_WRONG = 200
"""So many wrong solutions, none of them wrong in the first step, are counted from 1: in ProcessBench it is 7 to 20 % of
them, so that the chance of such a set is below 1 in a million."""


@dataclass
class StepImportReport:
    """The result of an import.

    Attributes:
        step_set: The set.
        format: The name of the format.
        recognised: Whether the format was recognised, not named.
        describe: What the format is, in one line.
        dropped: How many records, or labels of steps that are not there, were left out, by reason.
        skipped: Every solution with a fault that was left out, with the fault.
        read: What the rows held, where a format counts it.
        notes: What a reader of the set should know, in words.
        looks: Counts, balance and leaks.
        places: The file and the row of every solution, in the order of the set.
    """

    step_set: StepSet
    format: str
    recognised: bool
    describe: str
    looks: Looks
    dropped: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    places: tuple[tuple[Path, int], ...] = ()


class _Reading:
    """What is read of a source, solution by solution."""

    def __init__(self, form: StepFormat, wanted: Wanted, skip_bad: bool) -> None:
        self._form, self._wanted, self._skip_bad = form, wanted, skip_bad
        self.found: list[Found] = []
        self.dropped: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.skipped: list[str] = []
        self._ids: dict[str, Found] = {}
        self._problems: set[str] = set()

    def rows(self, places: Iterable[Place], progress: Callable[[int], None] | None) -> None:
        """Read all rows; with ``skip_bad`` a fault costs the solution that has it, or the row that cannot be read."""
        for done, place in enumerate(places, 1):
            self._guarded(lambda place=place: self._row(place))  # type: ignore[misc]
            if progress is not None:
                progress(done)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except DataError as error:
            if not self._skip_bad:
                raise
            self.dropped[FAULTY] += 1
            self.skipped.append(str(error))

    def _row(self, place: Place) -> None:
        row = place.load()
        if self._form.count is not None:
            counts, problem = self._form.count(row)
            self.read.update(counts)
            self.read["problems"] += problem not in self._problems
            self._problems.add(problem)
        for item in self._form.items(row, self._wanted):
            self._guarded(lambda item=item: self._item(item()))  # type: ignore[misc]

    def _item(self, one: Found | LeftOut) -> None:
        if isinstance(one, LeftOut):
            self.dropped[one.reason] += 1
            return
        name = one.solution.solution_id
        first = self._ids.setdefault(name, one)
        if first is not one and not self._form.first_of_an_id:
            place = f"row {first.row}" if first.path == one.path else f"{first.path}, row {first.row}"
            raise DataError(one.path, one.row, f"solution id {name!r} again (first in {place})", "unique ids")
        if first is not one:
            self.dropped[REPEATED] += 1
            return
        self.dropped.update(one.left)
        # what a source says in words of its own may hold half a surrogate pair, which no table can
        solution = replace(one.solution, remarks=tuple(sound(one.solution.remarks)))
        label = replace(one.label, source_label=sound(one.label.source_label))
        self.found.append(replace(one, solution=solution, label=label))


def import_step_set(
    path: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    form: str = "auto",
    name: str | None = None,
    candidates: bool = False,
    keep: Sequence[str] = (),
    strip_numbers: bool = False,
    score_type: str | Sequence[str] | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> StepImportReport:
    """Turn labelled steps into a step set.

    Args:
        path: A file, a folder, a glob, several of them, or ``hf://owner/dataset[:config[:split]][@revision]``; JSON
            lines, JSON arrays or objects and Parquet, compressed with gzip or not.
        folder: The step set to make.
        form: One of :data:`~prm_eval.importers.steps.registry.STEP_FORMATS`, or "auto".
        name: The set's name; by default the benchmark's, or the file's.
        candidates: For PRM800K: every rated completion with its beginning, in place of the chains.
        keep: For PRM800K: records that are left out otherwise, of :data:`~prm_eval.importers.steps.found.KEEPABLE`.
        strip_numbers: Whether "Step 3. " or "3. " in front of a step goes.
        score_type: What step scores are, as in :func:`prm_eval.importers.import_pool`.
        skip_bad: Whether solutions with a fault are left out and reported; otherwise the first fault is an error.
        progress: Called with the number of rows done.

    Raises:
        DataError: A fault in the file, with its row.
        PrmEvalError: The folder is not empty, or an option has no meaning.
    """
    unknown = [each for each in keep if each not in KEEPABLE]
    if unknown:
        raise PrmEvalError(f"keep = {unknown[0]!r}; expected one of {', '.join(KEEPABLE)}")
    asked = Asked(score_type)
    found = recognise_steps(open_source(path), form)
    if (candidates or keep) and found.form.name != "prm800k":
        raise PrmEvalError(f"--candidates and --keep are for prm800k; this is {found.form.name}")
    reading = _Reading(found.form, Wanted(candidates, frozenset(keep), strip_numbers, asked), skip_bad)
    reading.rows(found.source.places(), progress)
    if not reading.found:
        left = ", ".join(f"{reason} {n:,}" for reason, n in reading.dropped.items()) or "no row"
        raise PrmEvalError(f"{found.source.path}: no solution was read (left out: {left})")
    asked.require_used()
    solutions, notes = _with_known_twins(reading.found)
    kind, label_source = _meaning(found.form, solutions)
    _require_base(kind, solutions)
    written, said = _write(Path(folder), solutions, found.source, found.form, kind, label_source, name, reading, notes)
    left_out = [f"files left out, of another shape: {', '.join(found.left_out)}"] if found.left_out else []
    return StepImportReport(
        written,
        found.form.name,
        form == "auto",
        found.form.describe,
        look_at(written.solutions, written.labels, written.info),
        dict(sorted(reading.dropped.items())),
        reading.skipped,
        sound(dict(reading.read)),
        [*left_out, *said],
        tuple((each.path, each.row) for each in solutions),
    )


def _with_known_twins(found: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Return solutions without the twins that are not in the source, and a note of how many these are."""
    ids = {each.solution.solution_id for each in found}
    kept = [
        each
        if each.solution.twin_id is None or each.solution.twin_id in ids
        else replace(each, solution=replace(each.solution, twin_id=None))
        for each in found
    ]
    lost = sum(old is not new for old, new in zip(found, kept, strict=True))
    return kept, [f"{lost:,} solutions name a twin that is not in the source: kept without it"] if lost else []


def _meaning(form: StepFormat, found: Sequence[Found]) -> tuple[LabelKind, LabelSource]:
    """Return what the labels of a set say and who made them, after checking that all rows agree."""
    kind = next((each.kind for each in found if each.kind is not None), form.kind)
    source = next((each.label_source for each in found if each.label_source is not None), form.label_source)
    for each in found:
        if each.kind not in (None, kind):
            found_kind = f"solution {each.solution.solution_id!r}: a label of the kind {each.kind}"
            raise DataError(each.path, each.row, found_kind, f"{kind}, as before", "One set has one kind of labels.")
        if each.label_source not in (None, source):
            said = f"label_source = {each.label_source!r}"
            raise DataError(each.path, each.row, said, f"{source!r}, as before", "Import them apart.")
    return kind, source


def _require_base(kind: LabelKind, found: Sequence[Found]) -> None:
    """Refuse first wrong steps that must be counted from 1, where no row says from where they count."""
    if kind != "first_error" or any(each.base_said for each in found):
        return
    wrong = [each for each in found if (each.label.first_error or 0) >= 0 and each.label.first_error is not None]
    several = [each for each in wrong if len(each.solution.steps) > 1]
    if len(several) >= MANY_WRONG and all(each.label.first_error for each in several):
        raise DataError(
            wrong[0].path,
            None,
            f"{len(several):,} wrong solutions, none of which has its first wrong step at 0",
            "labels that count from 0",
            f'{BASE_1.removesuffix(".")}, or "base": 0 if they do count from 0.',
        )


def _write(
    folder: Path,
    found: Sequence[Found],
    source: Source,
    form: StepFormat,
    kind: LabelKind,
    label_source: LabelSource,
    name: str | None,
    reading: _Reading,
    notes: Sequence[str],
) -> tuple[StepSet, list[str]]:
    generators = {each.solution.generator for each in found}
    policy = {"id": sound(generators.pop()) if len(generators) == 1 else None, "revision": None}
    stem = source.files[0].path.name.partition(".")[0] if len(source.files) == 1 else source.name
    writer = StepSetWriter(
        folder,
        name=name or form.set_name or stem,
        labels=kind,
        label_source=label_source,
        source={**source.description(), "format": form.name},
        policy=policy,
    )
    with writer:
        candidates = [writer.add(each.solution, each.label) for each in found]
        rewards = RewardColumns(writer.side_folder / "rewards")
        _add_rewards(rewards, found, candidates)
        rewards.close(writer.pool_hash())
        writer.dropped.update(reading.dropped)
        remarks = dict.fromkeys(remark for each in found for remark in each.remarks)
        writer.notes += [*form.notes, *_read(reading), *remarks, *_blank(found), *notes]
        said = [*writer.notes, *rewards.notes()]
    if writer.step_set is None:
        raise PrmEvalError("the step set was not written")
    return writer.step_set, said


def _read(reading: _Reading) -> list[str]:
    counts = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in sound(dict(reading.read)).items())
    # not in the description of the source: that one is in the pool, where nothing tells of labels
    return [f"the source holds {counts}"] if counts else []


def _blank(found: Sequence[Found]) -> list[str]:
    n = sum(not step.strip() for each in found for step in each.solution.steps)
    return [f"{n:,} {'step is' if n == 1 else 'steps are'} empty, as in the source"] if n else []


def _add_rewards(rewards: RewardColumns, found: Sequence[Found], candidates: Sequence[Candidate]) -> None:
    """Write the rewards of every model that scored at least one solution; where one has none, that is a refusal."""
    scored: dict[str, RewardColumn] = {}
    for each in found:
        for name, column in each.scores.items():
            if any(value is not None and value.values for value in column.values):
                scored.setdefault(name, column)
    for each, candidate in zip(found, candidates, strict=True):
        columns = {
            name: replace(scored[name], values=each.scores[name].values if name in each.scores else (None,))
            if name not in each.scores or not any(each.scores[name].values)
            else each.scores[name]
            for name in scored
        }
        problem = Problem(candidate.problem_id, each.solution.statement)
        rewards.add(
            ImportedProblem(each.path, each.row, problem, (candidate,), rewards=columns), [candidate.candidate_id]
        )
