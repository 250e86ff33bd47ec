"""The parts that the importers of step sets share: what they return, and what the user asks of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from prm_eval.importers.common import RewardColumn
from prm_eval.importers.score_types import Asked
from prm_eval.records import LabelKind, Solution, StepLabel
from prm_eval.stepsets.format import LabelSource
from prm_eval.store.jsonl import Row

BEYOND = "wrong_steps_beyond_the_end"
"""How ``dropped`` calls labels of steps that a solution does not have."""
REPEATED = "repeated_id"
FAULTY = "faulty"

Kept = Literal["screening", "quality_control", "bad_problem"]
KEEPABLE: tuple[Kept, ...] = ("screening", "quality_control", "bad_problem")
"""What PRM800K holds besides labels to learn from, and an import keeps only if it is asked to."""


@dataclass(frozen=True)
class Wanted:
    """What the user asks of an import that a reader has to know.

    Attributes:
        candidates: Whether every rated completion of PRM800K becomes a solution of its own.
        keep: Records that are left out otherwise.
        strip_numbers: Whether "Step 3. " or "3. " in front of a step goes.
        scores: What ``--score-type`` says.
    """

    candidates: bool = False
    keep: frozenset[str] = frozenset()
    strip_numbers: bool = False
    scores: Asked = field(default_factory=Asked)


@dataclass(frozen=True)
class Found:
    """One labelled solution as a file gives it.

    Attributes:
        path: The file.
        row: The number of its row.
        solution: The solution.
        label: Its label.
        scores: The step scores of reward models that stand beside it, one entry a model.
        kind: What the label says, where the format has several kinds; None where the format or other rows say.
        label_source: Who made the label, where the row says.
        base_said: Whether the row says from where it counts, so that nothing is left to doubt.
        left: How many parts of the row were left out, by reason.
        remarks: What was done with the row that a reader of the set should know, in words.
    """

    path: Path
    row: int
    solution: Solution
    label: StepLabel
    scores: Mapping[str, RewardColumn] = field(default_factory=dict)
    kind: LabelKind | None = None
    label_source: LabelSource | None = None
    base_said: bool = True
    left: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A record that is left out and counted: why."""

    reason: str


Item = Callable[[], "Found | LeftOut"]
"""One solution to be read, which raises its own fault: a row may hold several."""


@dataclass(frozen=True)
class StepFormat:
    """An importable format of labelled steps.

    Attributes:
        name: The value of ``--format``.
        describe: What it is, in one line.
        recognise: Whether a first row is of this format.
        items: The solutions of a row.
        kind: What its labels say, where rows do not.
        label_source: Who made them, where rows do not say.
        set_name: How a set of it is called; None takes the file's name.
        first_of_an_id: Whether later rows with an id that was there are left out and counted, not faults.
        count: What a row holds, for the report, and of which problem it is.
        notes: What a reader of every such set should know.
    """

    name: str
    describe: str
    recognise: Callable[[dict[str, Any]], bool]
    items: Callable[[Row, Wanted], Iterator[Item]]
    kind: LabelKind = "first_error"
    label_source: LabelSource = "unknown"
    set_name: str | None = None
    first_of_an_id: bool = False
    count: Callable[[Row], tuple[Counter[str], str]] | None = None
    notes: tuple[str, ...] = ()
