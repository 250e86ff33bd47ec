"""What a reward model, a critic or a rule said of the steps of a set: one score a step, or where the first error is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.importers.common import finite
from prm_eval.pools.format import CANDIDATES
from prm_eval.records import LOG_ODDS, ScoreType
from prm_eval.rewards.aggregate import as_probabilities
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.stepsets.step_set import StepSet
from prm_eval.store.jsonl import Row, read_jsonl
from prm_eval.store.tables import read_columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HALF = 0.5
"""The threshold on probabilities where a model has none of its own."""
NOT_SCORED = -2
"""The prediction for a solution of which a score is missing, or whose judgement could not be read: never a match."""
Kind = Literal["prm", "critic", "rule"]


@dataclass(frozen=True)
class StepScores:
    """The scores of one row of a table.

    Attributes:
        name: The row's name.
        kind: A reward model ("prm"), a critic that names the first wrong step, or a rule without a model.
        values: (T,) one score a step, higher is better; NaN where one is missing, everywhere for a critic. Log-odds
            are probabilities here.
        native: (T,) the same as the source has them, from which solutions are aggregated.
        score_type: What the native numbers are.
        predictions: (S,) what a critic said: the first wrong step, -1 for none, :data:`NOT_SCORED`; None for scores.
        threshold: The model's own threshold; None where it has none.
        aggregation: The declared step aggregation, by which best of n would choose; the minimum where none is declared.
        refusals: How often each reason for missing scores was given.
        origin: The folder or file.
    """

    name: str
    kind: Kind
    values: Floats
    native: Floats
    score_type: ScoreType
    predictions: Ints | None = None
    threshold: float | None = None
    refusals: dict[str, int] = field(default_factory=dict)
    origin: str = ""
    aggregation: Aggregation = "min"

    @property
    def probabilities(self) -> bool:
        """Whether all scores lie in [0, 1], so that they can be calibrated."""
        there = self.values[np.isfinite(self.values)]
        return bool(len(there) and ((there >= 0) & (there <= 1)).all())

    def scored(self, arrays: SetArrays) -> Bools:
        """Return (S,) whether every step of a solution has a score, or a critic's judgement could be read."""
        if self.predictions is not None:
            read: Bools = self.predictions != NOT_SCORED
            return read
        whole: Bools = np.bincount(arrays.owner, np.isnan(self.values), arrays.n) == 0
        return whole

    def take(self, kept: Bools, arrays: SetArrays) -> StepScores:
        """Return the scores of some solutions of the set."""
        predictions = None if self.predictions is None else self.predictions[kept]
        steps = np.repeat(kept, arrays.counts)
        return replace(self, values=self.values[steps], native=self.native[steps], predictions=predictions)


def read_scores(path: Path, step_set: StepSet, arrays: SetArrays) -> StepScores:
    """Read a reward folder, or a JSON-lines file of scores or predictions (:func:`read_score_file`).

    Raises:
        DataError: It is of another set, or a row has a fault.
        PrmEvalError: The rewards are of an outcome reward model, with one number a solution.
    """
    if not path.exists():
        raise PrmEvalError(f"{path}: no such file or folder; expected a reward folder, or JSON lines of scores")
    if path.is_file() and not (path.suffix == ".parquet" and (path.parent / "submission.json").is_file()):
        return read_score_file(path, arrays)
    rewards = RewardFile(path)
    if rewards.info.kind == "orm":
        raise PrmEvalError(
            f"{path}: an outcome reward model gives one number a solution, which places no mistake. Score its "
            f"prefixes: prm-eval score {step_set.path} --reward-model ... --prefixes"
        )
    if rewards.info.splitter not in (None, "given"):
        cut = f"rewards of steps cut by {rewards.info.splitter!r}"
        raise DataError(rewards.folder / "submission.json", None, cut, "rewards of the given steps")
    table = read_columns(step_set.pool.candidates_path, CANDIDATES, ["problem_id", "candidate_id"])
    ids = (table.column("problem_id"), table.column("candidate_id"))
    found = rewards.read_whole(step_set.pool, ids, arrays.counts)
    native = np.full(len(arrays.lengths), np.nan)
    native[np.repeat(found.counts > 0, arrays.counts)] = found.values
    score_type = rewards.info.score_type
    recipe = shipped_recipes().get(str(rewards.info.model.get("recipe")))
    own = None if recipe is None else recipe.threshold
    if own is None and score_type in (*LOG_ODDS, "probability", "percent"):
        own = HALF
    values = as_probabilities(native, score_type)
    return StepScores(
        rewards.name, "prm", values, native, score_type, None, own, found.refusals, str(path), rewards.aggregation
    )


def read_score_file(path: Path, arrays: SetArrays) -> StepScores:
    """Read other people's scores: a JSON line a solution, ``{"id", "scores": [...]}`` or ``{"id", "prediction": k}``.

    Scores are probabilities, or other numbers of which higher is better; null stands for a missing one. A prediction
    is the 0-based index of the first wrong step, -1 for none, null where the judgement could not be read. The first
    line may also have "name" and "threshold". Solutions that the file lacks are not scored.

    Raises:
        DataError: A row is of no solution of the set, comes twice, or has another number of scores than steps.
    """
    place = {name: row for row, name in enumerate(arrays.ids)}
    values = np.full(len(arrays.lengths), np.nan)
    predictions = np.full(arrays.n, NOT_SCORED, dtype=np.int64)
    seen: dict[str, int] = {}
    first: dict[str, Any] = {}
    form: str | None = None
    name, threshold = path.stem, None
    for number, fields in read_jsonl(path, unique=True):
        row = Row(path, number, fields)
        solution = row.required_text("id", "solution_id")
        if solution not in place:
            raise row.fault(f"the solution {solution!r}", f"a solution of the set {arrays.name}")
        if solution in seen:
            raise row.fault(f"the solution {solution!r} again (first in row {seen[solution]})", "each solution once")
        if not seen:
            name = row.text("name") or name
            threshold = None if fields.get("threshold") is None else finite(row, fields["threshold"], "threshold")
            first = fields
        elif any(fields.get(key, first.get(key)) != first.get(key) for key in ("name", "threshold")):
            raise row.fault("another name or threshold than in the first row", "the same: they are of the whole file")
        seen[solution] = number
        given = [key for key in ("scores", "prediction") if key in fields]
        if len(given) != 1 or given[0] != (form or given[0]):
            found = " and ".join(given) or "neither scores nor prediction"
            raise row.fault(found, "one of them, the same in every row")
        form = given[0]
        at = place[solution]
        if form == "prediction":
            predictions[at] = _prediction(row, fields["prediction"], int(arrays.counts[at]))
        else:
            start = int(arrays.starts[at])
            values[start : start + int(arrays.counts[at])] = _scores(row, fields["scores"], int(arrays.counts[at]))
    if form is None:
        raise DataError(path, None, "an empty file", "one JSON object a solution")
    absent = arrays.n - len(seen)
    refusals = {"not in the file": absent} if absent else {}
    if form == "prediction":
        return StepScores(name, "critic", values, values, "value", predictions, None, refusals, str(path))
    scores = StepScores(name, "prm", values, values, "value", None, threshold, refusals, str(path))
    return scores if scores.probabilities else replace(scores, score_type="raw")


def require_scored(scores: StepScores, arrays: SetArrays) -> None:
    """Insist that every solution has all its scores.

    Raises:
        PrmEvalError: Some have not; it names the first and how many there are.
    """
    missing = np.flatnonzero(~scores.scored(arrays))
    if not len(missing):
        return
    at = int(missing[0])
    if scores.predictions is not None:
        what = "no judgement that could be read"
    else:
        own = scores.values[arrays.starts[at] : arrays.starts[at] + arrays.counts[at]]
        what = f"{arrays.counts[at]} steps but {int(np.isfinite(own).sum())} scores"
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in scores.refusals.items())
    more = f"; {len(missing) - 1:,} solutions like it" if len(missing) > 1 else ""
    raise PrmEvalError(
        f"{scores.name}: solution {arrays.ids[at]}: {what}{f' ({reasons})' if reasons else ''}{more}; nothing was "
        "computed. Score them again (a larger --max-tokens), or say --missing wrong: a solution that is not scored is "
        "then never a match, and is counted."
    )


def _scores(row: Row, value: object, n_steps: int) -> list[float]:
    if not isinstance(value, list):
        raise row.fault(f"scores of type {type(value).__name__}", "a list of numbers, or null for a missing one")
    if len(value) != n_steps:
        raise row.fault(f"{len(value)} scores for {n_steps} steps", "one a step (null for a missing one)")
    return [np.nan if each is None else finite(row, each, f"scores[{i}]") for i, each in enumerate(value)]


def _prediction(row: Row, value: object, n_steps: int) -> int:
    """Return a critic's prediction; one beyond the last step is kept, as it was read, and is wrong."""
    if value is None:
        return NOT_SCORED
    if isinstance(value, bool) or not isinstance(value, int):
        raise row.fault(f"prediction of type {type(value).__name__}", "a whole number, or null")
    if value < -1:
        raise row.fault("a prediction below -1", f"-1 for no wrong step, or an index below {n_steps}")
    return min(value, 1 << 30)
