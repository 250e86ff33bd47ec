"""The step tasks of one lm_eval run, judged together: one step set, one reward file, one evaluation.

So the subsets of a group have one mean with one error, a threshold can be chosen on one of them, and a reward model is
loaded once. All of it is what ``prm-eval evaluate STEPSET REWARDS`` does.
"""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.stepwise.jobs import StepEvaluation, run_step_evaluation
from prm_eval.evaluation.stepwise.locating import predictions
from prm_eval.evaluation.stepwise.measuring import Measured, Row, Settings
from prm_eval.evaluation.stepwise.prmbench import is_prmbench
from prm_eval.evaluation.stepwise.report import text_report, to_json
from prm_eval.harness.critics import Judged, unread_line, write_judged
from prm_eval.harness.said import say_last
from prm_eval.harness.scoring import BARS, rewards_for
from prm_eval.harness.step_docs import Labelled, with_known_twins
from prm_eval.harness.step_options import StepOptions, as_metadata
from prm_eval.importers.steps.found import Found, StepFormat
from prm_eval.rewards import RewardModel, reward_slug
from prm_eval.selection.selectors import DEFAULT_SEED
from prm_eval.stepsets import StepSet, StepSetWriter, is_step_set
from prm_eval.store.writing import NewFolder

logger = logging.getLogger(__name__)

TEMPORARY = "prm_eval-steps"


@dataclass(frozen=True)
class StepRun:
    """What one run says of its solutions.

    Attributes:
        evaluation: All measures, as ``prm-eval evaluate`` has them.
        record: What the results record of the set and of who judged it.
        kept: Whether the step set stays.
    """

    evaluation: StepEvaluation
    record: dict[str, Any]
    kept: bool

    @property
    def row(self) -> Row:
        """The row of the reward model or critic."""
        return self.evaluation.rows[0]

    def measured(self, subset: str) -> Measured:
        """Return the measures on a subset; on the whole set where it is the only one."""
        return self.row.groups.get(subset, self.row.whole) if subset else self.row.whole

    def as_json(self, subset: str) -> dict[str, Any]:
        """Return the figures of a subset with their limits, as ``prm-eval evaluate --json`` has them."""
        row = to_json(self.evaluation)["rows"][0]
        row.pop("f1_by_threshold")
        groups = row.pop("groups")
        return {"headline_of": self.evaluation.headline, **row, "measured": groups.get(subset, row.pop("whole"))}

    def said(self) -> dict[str, dict[str, Any]]:
        """Return what was said of each solution: the prediction (None if it is not scored), and the scores."""
        row, arrays = self.row, self.evaluation.arrays
        strict = is_prmbench(arrays) if row.threshold.strict is None else row.threshold.strict
        predicted = predictions(row.scores, arrays, row.threshold.value, strict=strict)
        scored = row.scores.scored(arrays)
        said: dict[str, dict[str, Any]] = {}
        for k, (name, start, n) in enumerate(zip(arrays.ids, arrays.starts, arrays.counts, strict=True)):
            prediction = int(predicted[k]) if scored[k] else None
            said[name] = {"first_error": int(arrays.first_error[k]), "prediction": prediction}
            if row.scores.predictions is None:
                values = row.scores.values[start : start + n]
                said[name]["scores"] = [float(value) if np.isfinite(value) else None for value in values]
        return said


@dataclass(frozen=True)
class Part:
    """One task of a run: its solutions, those that the run asks about, and the answers of a critic to each."""

    labelled: Labelled
    asked: tuple[str, ...]
    judged: tuple[Judged, ...] = ()

    def found(self) -> list[Found]:
        """Return the solutions that the run asks about."""
        by_id = {each.solution.solution_id: each for each in self.labelled.found}
        return [by_id[name] for name in self.asked]


def run_steps(
    parts: Sequence[Part],
    options: StepOptions,
    form: StepFormat,
    *,
    model: RewardModel | None,
    critic: str,
) -> StepRun:
    """Keep the solutions as a step set, let them be judged, and measure.

    Args:
        parts: The tasks.
        options: Their options.
        form: The format of the solutions.
        model: The reward model; None for a critic, whose answers are in the parts.
        critic: The critic's name.

    Raises:
        PrmEvalError: The folder holds another step set, solutions are not scored and ``missing`` refuses that, or a
            threshold cannot be settled.
    """
    wanted = options.plain.step_set
    if wanted is not None:
        step_set = _kept_set(Path(wanted), parts, form)
        with _left_on_failure(Path(wanted)):
            return _run(step_set, parts, options, model, critic, kept=True)
    folder = NewFolder(Path(tempfile.gettempdir()), TEMPORARY)
    final = folder.path.with_name(folder.path.name.strip(".").removesuffix(".partial"))
    try:
        step_set = write_set(folder.path / "set", parts, form)
        with _left_on_failure(final / "set"):
            found = _run(step_set, parts, options, model, critic, kept=False)
    except BaseException:
        folder.keep(final)
        raise
    folder.drop()
    return found


@contextmanager
def _left_on_failure(folder: Path) -> Iterator[None]:
    """Say where all that was said of the solutions is, if something fails."""
    try:
        yield
    except BaseException:
        logger.error("The step set, with all that was said of it so far, is in %s", folder)
        raise


def _run(
    step_set: StepSet,
    parts: Sequence[Part],
    options: StepOptions,
    model: RewardModel | None,
    critic: str,
    *,
    kept: bool,
) -> StepRun:
    path, about = _judged(step_set, parts, options, model, critic)
    found = StepRun(_evaluated(step_set, path, options), _record(step_set, about, kept), kept)
    _say(found, step_set, path, options)
    return found


def write_set(folder: Path, parts: Sequence[Part], form: StepFormat) -> StepSet:
    """Write the solutions that a run asks about as a step set, named as ``prm-eval steps import`` names it."""
    found = with_known_twins([each for part in parts for each in part.found()])
    sources = [part.labelled.source for part in parts]
    source = {"format": form.name, "lm_eval": sources if len(sources) > 1 else sources[0]}
    kind = next((each.kind for each in found if each.kind is not None), form.kind)
    label_source = next((each.label_source for each in found if each.label_source is not None), form.label_source)
    writer = StepSetWriter(
        folder, name=form.set_name or form.name, labels=kind, label_source=label_source, source=source
    )
    with writer:
        for each in found:
            writer.add(each.solution, each.label)
        for part in parts:
            writer.dropped.update(Counter(part.labelled.dropped))
        writer.notes += form.notes
    if writer.step_set is None:
        raise PrmEvalError("the step set was not written")
    return writer.step_set


def _kept_set(folder: Path, parts: Sequence[Part], form: StepFormat) -> StepSet:
    """Return the step set in the folder that the user names; if the same one is there, that one, with its rewards."""
    require_fitting(folder, parts, form)
    return StepSet(folder) if is_step_set(folder) else write_set(folder, parts, form)


def require_fitting(folder: Path, parts: Sequence[Part], form: StepFormat) -> None:
    """Insist that a folder can take the solutions of a run: it has these or nothing.

    Raises:
        PrmEvalError: Something else is there.
    """
    if not is_step_set(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PrmEvalError(f"step_set={folder}: something is there that is no step set. Name another folder")
        return
    there = StepSet(folder).require_sound()
    with NewFolder(Path(tempfile.gettempdir()), TEMPORARY) as unfinished:
        made = write_set(unfinished / "set", parts, form).info
    if there.info.content_hash != made.content_hash:
        raise PrmEvalError(
            f"step_set={folder} has other solutions ({there.info.n_solutions:,}, {there.info.content_hash[:12]}) than "
            f"this run ({made.n_solutions:,}, {made.content_hash[:12]}): other tasks, another --limit, or other data. "
            "Name another folder"
        )


def _judged(
    step_set: StepSet, parts: Sequence[Part], options: StepOptions, model: RewardModel | None, critic: str
) -> tuple[Path, dict[str, Any]]:
    """Return the rewards, or the file of a critic's verdicts, and what the results record of it."""
    if model is not None:
        rewards = rewards_for(step_set.pool, model)
        return rewards.folder, {"reward_model": {"name": rewards.name, **rewards.info.model}}
    judged = [each for part in parts for each in part.judged]
    path = write_judged(step_set.path / "critics" / reward_slug(critic), critic, judged, options.reading)
    if (line := unread_line(judged, options.reading)) is not None:
        logger.warning("%s: %s", critic, line)
    if options.plain.votes > 1 and all(len(set(each.texts)) == 1 for each in judged):
        logger.warning(
            "all %d answers about each solution are the same text, so they are one vote: a server with one seed for "
            "all requests (--gen_kwargs seed=None), a cache, or a temperature near 0 does this",
            options.plain.votes,
        )
    unread = sum(each is None for one in judged for each in one.answers)
    about = {"name": critic, "votes": options.plain.votes, "unread_answers": unread}
    return path, {"critic": {**about, "answers": options.plain.answers, "answer_base": options.plain.answer_base}}


def _evaluated(step_set: StepSet, path: Path, options: StepOptions) -> StepEvaluation:
    try:
        return run_step_evaluation(
            step_set.path,
            [path],
            threshold=options.plain.threshold,
            missing=options.missing,
            # the seed of `prm-eval evaluate`, so that its limits are these
            settings=Settings(resamples=options.plain.resamples, seed=DEFAULT_SEED),
            bars=BARS,
        )
    except DataError:
        raise
    except PrmEvalError as error:
        raise as_metadata(error, options.judged_by) from None


def _record(step_set: StepSet, about: Mapping[str, Any], kept: bool) -> dict[str, Any]:
    info = step_set.info
    return {
        "step_set": {
            "path": str(step_set.path) if kept else None,
            "content_hash": info.content_hash,
            "n_solutions": info.n_solutions,
            "dropped": dict(info.dropped),
            "source": info.source,
        },
        **about,
    }


def _say(found: StepRun, step_set: StepSet, path: Path, options: StepOptions) -> None:
    """Hand out our table, and the command that gives it again where the set is kept."""
    words = ["prm-eval", "evaluate", str(step_set.path), str(path)]
    words += ["--threshold", options.plain.threshold] if options.plain.threshold != "recipe" else []
    words += ["--missing", options.missing] if options.missing != "refuse" else []
    again = f"again: {shlex.join(words)}" if found.kept else "to keep the set with its rewards: --metadata step_set=DIR"
    say_last(f"\n{text_report(found.evaluation)}\n{again}")
