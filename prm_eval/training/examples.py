"""From labelled solutions to examples: rendered as they will be scored, with a target at each labelled position.

Every fault that data and recipe can have is found here, before the first step.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.progress import Progress, silent
from prm_eval.records import ScoringItem
from prm_eval.rewards.engine.packing import common_prefix
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.rewards.models.engine_model import render_within
from prm_eval.training.options import Found
from prm_eval.training.sources import Sample
from prm_eval.training.statements import key_of
from prm_eval.training.store import Example, Examples, ExampleWriter

# what no recipe and no statement begins with alike, so that the rest of two inputs is the solution's
_STANDINS = ("x", "7", "\\")


@dataclass
class Prepared:
    """What was made of the data.

    Attributes:
        left_out: Solutions that are not trained on, by reason, with the first of each.
        first: The first of each reason.
        n: Solutions that are.
        problems: Keys of their problems.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    n: int = 0
    problems: set[int] = field(default_factory=set)

    def leave_out(self, reason: str, sample: Sample) -> None:
        """Take note of a solution that is left out."""
        self.left_out[reason] += 1
        self.first.setdefault(reason, f"{sample.path}, row {sample.row} ({sample.name})")


class ExampleMaker:
    """A maker of examples of solutions.

    Args:
        renderer: The renderer of the recipe that will score.
        limit: The most tokens of an input.
    """

    def __init__(self, renderer: Renderer, limit: int | None) -> None:
        self._renderer, self._limit = renderer, limit
        self._start: tuple[str, int] | None = None

    @property
    def whole(self) -> bool:
        """Whether the target is one of the whole solution (ORM)."""
        return self._renderer.recipe.kind == "orm"

    def render(self, item: ScoringItem) -> Rendered:
        """Return what scoring would read of a solution."""
        return render_within(self._renderer.render, item, self._limit)

    def make(self, sample: Sample) -> Example | str:
        """Return the example of a solution, or why there is none.

        A PRM's targets are at the read positions of its labelled steps; an ORM's is at every token of the solution up
        to the one that is read (Lightman et al. 2023, appendix E; Cobbe et al. 2021).
        """
        rendered = self.render(sample.item)
        if rendered.refusal is not None:
            return rendered.refusal.partition(":")[0]
        if self.whole:
            target = sample.targets[0]
            start = self._solution_start(sample.item, rendered.ids)
            positions = tuple(range(start, rendered.positions[0] + 1))
            targets = (float(target if target is not None else 0.0),) * len(positions)
            # one text, one grade: of its last token only
            prefixes = (0,) * (len(positions) - 1) + _prefixes(rendered.ids, positions[-1:])
        else:
            known = [k for k, target in enumerate(sample.targets) if target is not None]
            positions = tuple(rendered.positions[k] for k in known)
            targets = tuple(float(each) for each in sample.targets if each is not None)
            prefixes = _prefixes(rendered.ids, positions)
        # what follows the last target changes nothing: attention looks back
        ids = rendered.ids[: positions[-1] + 1]
        return Example(ids, positions, targets, key_of(sample.item.statement), sample.index, prefixes)

    def _solution_start(self, item: ScoringItem, ids: Sequence[int]) -> int:
        """Return the first token of the solution: the first in which inputs of one statement differ."""
        if self._start is None or self._start[0] != item.statement:
            others = [self._renderer.render(ScoringItem(item.statement, text, (text,))).ids for text in _STANDINS]
            same = min(common_prefix(one, other) for one, other in pairwise(others))
            self._start = (item.statement, same)
        return min(self._start[1], len(ids) - 1)


def _prefixes(ids: Sequence[int], positions: Sequence[int]) -> tuple[int, ...]:
    """Return 63 bits of a hash of the ids up to each position."""
    digest = hashlib.blake2b(digest_size=8)
    found, start = [], 0
    for position in positions:
        part = ids[start : position + 1]
        digest.update(struct.pack(f"<{len(part)}i", *part))
        start = position + 1
        found.append(int.from_bytes(digest.copy().digest(), "big") >> 1 or 1)
    return tuple(found)


def write_examples(
    samples: Iterable[Sample],
    maker: ExampleMaker,
    folder: Path,
    keep: Callable[[Sample, int], str | None],
    progress: Progress = silent,
) -> Prepared:
    """Write the examples of solutions to a folder; return what was made of them.

    Args:
        samples: The solutions.
        maker: Makes an example of each.
        folder: The folder.
        keep: Returns why a solution, with the key of its problem, is no training example; None if it is one.
        progress: Called with the number of solutions done.

    Raises:
        PrmEvalError: Nothing is left, or most of it was refused.
    """
    prepared = Prepared()
    tokens = 0
    with ExampleWriter(folder) as writer:
        done = 0
        for done, sample in enumerate(samples, 1):
            progress(done, tokens)
            key = key_of(sample.item.statement)
            reason = keep(sample, key)
            made = maker.make(sample) if reason is None else reason
            if isinstance(made, str):
                prepared.leave_out(made, sample)
                continue
            writer.add(made)
            tokens += len(made.ids)
            prepared.n += 1
            prepared.problems.add(key)
        _require_some(prepared, done)
        about = {"left_out": dict(prepared.left_out), "first": prepared.first, "tokens": tokens, "read": done}
        writer.close({**about, "n_problems": len(prepared.problems)})
    return prepared


def _require_some(prepared: Prepared, done: int) -> None:
    # what is held out or of another set is left out on purpose; what the renderer refused is not
    why = [
        f"{reason} ({count:,}; first {prepared.first[reason]})" for reason, count in prepared.left_out.most_common(4)
    ]
    if not prepared.n:
        raise PrmEvalError(
            f"no solution is left to train on, of {done:,} with labels: {'; '.join(why) or 'none has any'}. Give more "
            "data, a longer --max-tokens, or a smaller --held-out"
        )


@dataclass(frozen=True)
class Contradiction:
    """Two targets of one text: the examples that have them."""

    one: int
    other: int


def contradictions(examples: Examples) -> list[Contradiction]:
    """Return texts that have two hard targets, each with the first two examples that contradict each other."""
    prefixes, targets = np.asarray(examples.prefixes), np.asarray(examples.all_targets)
    hard = (prefixes != 0) & np.isin(targets, (0.0, 1.0, 2.0))
    at = np.flatnonzero(hard)
    order = at[np.lexsort((at, prefixes[at]))]
    same = prefixes[order[1:]] == prefixes[order[:-1]]
    differ = same & (targets[order[1:]] != targets[order[:-1]])
    owners = examples.owners
    found: dict[int, Contradiction] = {}
    for place in np.flatnonzero(differ):
        found.setdefault(
            int(prefixes[order[place]]), Contradiction(int(owners[order[place]]), int(owners[order[place + 1]]))
        )
    return list(found.values())


def contradicting_targets(examples: Examples) -> npt.NDArray[np.bool_]:
    """Return, for each target, whether its text has another one too."""
    prefixes, targets = np.asarray(examples.prefixes), np.asarray(examples.all_targets)
    hard = (prefixes != 0) & np.isin(targets, (0.0, 1.0, 2.0))
    _, inverse = np.unique(prefixes, return_inverse=True)
    low, high = np.full(inverse.max(initial=0) + 1, np.inf), np.full(inverse.max(initial=0) + 1, -np.inf)
    np.minimum.at(low, inverse[hard], targets[hard])
    np.maximum.at(high, inverse[hard], targets[hard])
    found: npt.NDArray[np.bool_] = hard & (high[inverse] > low[inverse])
    return found


def require_one_label(
    examples: Examples, found: Sequence[Contradiction], what: Found, place: Callable[[int], tuple[Path, int, str]]
) -> None:
    """Refuse contradictory labels, unless the user said what to do with them.

    Args:
        examples: The examples.
        found: Their contradictions.
        what: What the user said.
        place: Returns the file, the row and the name of a sample.

    Raises:
        DataError: There are some; names the first two rows.
    """
    if not found or what != "refuse":
        return
    path, row, name = place(int(examples.samples[found[0].one]))
    path_2, row_2, name_2 = place(int(examples.samples[found[0].other]))
    where = f"row {row_2}" if path_2 == path else f"{path_2}, row {row_2}"
    more = f", and {len(found) - 1:,} more like it" if len(found) > 1 else ""
    raise DataError(
        path,
        row,
        f"solution {name!r}, whose text has another label in {where} ({name_2!r}){more}",
        "one label a text",
        "Mend them, or say --contradictions drop (such steps are left out) or keep (both are trained on).",
    )
