"""What the command line prints of a step set, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from prm_eval.importers.steps.importing import StepImportReport
from prm_eval.importers.steps.looks import Balance, Looks, look_at
from prm_eval.records import LabelKind
from prm_eval.stepsets.format import LabelSource
from prm_eval.stepsets.step_set import StepSet

KINDS: dict[LabelKind, str] = {
    "first_error": "the first wrong step; nothing is known of the steps after it",
    "every_step": "whether each step is right",
    "rated": "a rating a step: right, neutral, wrong, or none",
    "soft": "the share of continuations of a step that end right",
}
SOURCES: dict[LabelSource, str] = {
    "people": "people",
    "rules": "rules of the authors",
    "rollouts": "a model's completions, which were graded: no person looked at a step",
    "model": "a model that was asked: no person looked at a step",
    "oracle": "an oracle that knows",
    "unknown": "not said",
}
_HEAD = ("group", "solutions", "problems", "clean", "wrong", "unknown", "steps", "good", "neutral", "bad", "unrated")


def report_lines(report: StepImportReport) -> list[str]:
    """Return what an import prints: the format and the set."""
    recognised = " (recognised)" if report.recognised else ""
    return [
        f"format     {report.format}{recognised}: {report.describe}",
        *set_lines(report.step_set, report.looks),
    ]


def set_lines(step_set: StepSet, looks: Looks | None = None) -> list[str]:
    """Return what a step set holds: counts, balance, what its labels say and who made them, leaks."""
    info, found = step_set.info, looks or look_at(step_set.solutions, step_set.labels, step_set.info)
    whole = found.whole
    return [
        f"step set   {step_set.path}  ({info.name}, {info.content_hash[:12]})",
        f"holds      {_counted(whole.solutions, 'solution')} of {_counted(whole.problems, 'problem')}, "
        f"{_counted(whole.steps, 'step')}; {info.n_labelled:,} labelled",
        f"labels     {info.labels}: {KINDS[info.labels]}",
        f"made by    {info.label_source}: {SOURCES[info.label_source]}",
        f"balance    {_solutions(whole)}; {_steps(whole)}",
        *(f"left out   {name.replace('_', ' ')}: {n:,}" for name, n in sorted(info.dropped.items())),
        *(f"note       {note}" for note in info.notes),
        *(f"rewards    {folder.relative_to(step_set.path)}" for folder in step_set.pool.reward_folders()),
        *(f"leak       {leak}" for leak in found.leaks),
        *(["", *table(found.groups)] if len(found.groups) > 1 else []),
    ]


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _solutions(whole: Balance) -> str:
    unknown = f", {whole.unknown:,} of which that is not known" if whole.unknown else ""
    return f"{_counted(whole.clean, 'solution')} clean, {whole.wrong:,} with a wrong step{unknown}"


def _steps(whole: Balance) -> str:
    counts = (("good", whole.good), ("neutral", whole.neutral), ("bad", whole.bad), ("not rated", whole.unrated))
    return "steps: " + ", ".join(f"{n:,} {name}" for name, n in counts if n)


def table(groups: tuple[Balance, ...]) -> Iterator[str]:
    """Yield a table of groups, a line a group."""
    rows = [_HEAD, *(tuple(map(_cell, _cells(group))) for group in groups)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    for row in rows:
        cells = (
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _cells(group: Balance) -> tuple[str | int, ...]:
    solutions = (group.name or "(none)", group.solutions, group.problems, group.clean, group.wrong, group.unknown)
    return (*solutions, group.steps, group.good, group.neutral, group.bad, group.unrated)


def _cell(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:,}"
