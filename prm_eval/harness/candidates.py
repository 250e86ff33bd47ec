"""Candidates on disk: pools that are written when generation ends and read back in a replay."""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.harness.options import Options, read_options
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import ProblemSet
from prm_eval.pools.writer import DEFAULT_SPLITTER, PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.rewards import RewardModel
from prm_eval.rewards.models.stored import StoredRewardModel

logger = logging.getLogger(__name__)

POLICY_KEYS = ("pretrained", "model", "path", "engine", "revision", "base_url", "dtype", "peft")


def dump_candidates(
    generated: Iterable[tuple[Problem, list[Candidate]]],
    parent: Path,
    problem_set: ProblemSet,
    m: int,
    sampling: dict[str, Any],
    metadata: dict[str, Any],
    made_by: dict[str, Any] | None = None,
    splitter: str = DEFAULT_SPLITTER,
    about: dict[str, str] | None = None,
) -> Pool:
    """Write the generated candidates into a pool that is named by its content, and return it.

    If the disk refuses, the pool goes to the temporary folder, or else into memory. ``about`` is what else the pool
    says of its problem set: the grader's options, the domain.

    Raises:
        OSError: All of these places refused.
    """
    rows = [(problem, [_clean(each) for each in candidates]) for problem, candidates in generated]
    policy = {key: str(metadata[key]) for key in POLICY_KEYS if metadata.get(key) is not None}
    policy["id"] = policy.get("pretrained") or policy.get("model") or policy.get("path") or ""
    described = {"name": problem_set.name, **(about or {})}
    if problem_set.revision is not None:
        described["revision"] = problem_set.revision
    refused: OSError | None = None
    memory = Path("/dev/shm") / parent.name  # noqa: S108  (used only when disks are full)
    for place in (parent, Path(tempfile.gettempdir()) / parent, memory):
        try:
            writer = PoolWriter(
                None,
                parent=place,
                problem_set=described,
                policy=policy,
                m=m,
                splitter=splitter,
                sampling={k: repr(v) for k, v in sampling.items()},
                source={"lm_eval": made_by} if made_by else {},
            )
            with writer:
                for problem, candidates in rows:
                    writer.add(problem, candidates)
        except OSError as error:
            logger.critical("The candidates could not be kept in %s (%s); trying elsewhere.", place, error)
            refused = error
            continue
        if writer.pool is not None:
            return writer.pool
    raise refused or OSError("the candidates could not be kept")


def _clean(candidate: Candidate) -> Candidate:
    """Replace half surrogate pairs, which a tokenizer may emit where it cuts a text and no file format can hold."""
    text = candidate.text.encode("utf-8", "replace").decode("utf-8")
    return candidate if text == candidate.text else Candidate(candidate.problem_id, candidate.slot, text)


class Replay:
    """Stored candidates that take the place of generation."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def check_stored(self, models: Iterable[RewardModel]) -> None:
        """Insist that stored rewards are for this pool, before anything is computed.

        Raises:
            DataError: They are for another pool.
        """
        for model in models:
            if isinstance(model, StoredRewardModel):
                model.require_pool(self.pool)

    def fill(self, instances: Sequence[Any]) -> None:
        """Put the candidates into lm_eval's instances, and tell it to generate none.

        Raises:
            PrmEvalError: The pool lacks a problem, or has it with another statement.
        """
        problems = self.pool.problems
        wanted = {instance.doc["problem_id"]: instance for instance in instances}
        for name, instance in wanted.items():
            known = problems.get(name)
            if known is None or (known.statement, known.gold) != (instance.doc["problem"], instance.doc["answer"]):
                found = "is not in it" if known is None else "has another statement or gold answer there"
                same = next((each for each, one in problems.items() if one.statement == instance.doc["problem"]), None)
                hint = (
                    f"It has its statement as {same!r}: rows without an id are named after their file; give them one."
                    if known is None and same is not None
                    else "Are these the problems the pool was made from?"
                )
                raise PrmEvalError(f"replay={self.pool.path}: problem {name!r} {found}. {hint}")
        for problem, candidates in self.pool:
            if problem.problem_id in wanted:
                wanted[problem.problem_id].resps = [candidate.text for candidate in candidates]
        for instance in instances:
            instance.repeats = 0

    def pool_for(self, problem_ids: Sequence[str], models: Iterable[RewardModel], parent: Path) -> Pool:
        """Return the pool to score and grade: the replayed one, or a part of it.

        It is a part under ``--limit`` and on one rank of several. Stored rewards belong to the whole pool, so with them
        it is always the whole pool.
        """
        if len(problem_ids) == len(self.pool.problems) or any(isinstance(model, StoredRewardModel) for model in models):
            return self.pool
        return _recombined([self.pool], parent, set(problem_ids))


def open_replay(options: Options) -> Replay:
    """Open what ``replay=`` names: a pool, a folder of pools (one a rank), or a file for ``prm-eval pool import``.

    Raises:
        DataError: The pool or the file has a fault.
    """
    path = Path(str(options.replay))
    if (path / "pool.json").is_file():
        return Replay(Pool(path).require_sound())
    if path.is_dir():
        parts = [Pool(each.parent).require_sound() for each in sorted(path.glob("*/pool.json"))]
        if not parts:
            raise PrmEvalError(f"replay={path}: a folder without pool.json, and without pools in it")
        return Replay(parts[0] if len(parts) == 1 else _joined(parts, Path(options.dump_dir) / "replayed"))
    if not path.exists():
        raise PrmEvalError(f"replay={path}: neither a pool folder nor a file is there")
    report = import_pool(path, None, parent=Path(options.dump_dir) / "replayed")
    return Replay(report.pool)


def _joined(parts: Sequence[Pool], parent: Path) -> Pool:
    """Join the pools that several ranks left into one.

    Raises:
        PrmEvalError: They share a problem, or differ in M or splitter, so they are not parts of one run.
    """
    first = parts[0].info
    for part in parts[1:]:
        if (part.info.m, part.info.splitter, part.info.policy) != (first.m, first.splitter, first.policy):
            raise PrmEvalError(
                f"{parts[0].path} and {part.path} differ in M, splitter or policy; name one of them: "
                f"replay={parts[0].path}"
            )
    return _recombined(parts, parent)


def _recombined(parts: Sequence[Pool], parent: Path, problem_ids: set[str] | None = None) -> Pool:
    """Write the problems of several pools, or some problems of one, into a pool.

    Published labels are kept where every part has them.
    """
    first = parts[0].info
    writer = PoolWriter(
        None,
        parent=parent,
        problem_set=first.problem_set,
        policy=first.policy,
        splitter=first.splitter,
        m=first.m,
        sampling=first.sampling,
        source={**first.source, "from": [part.info.content_hash for part in parts]},
    )
    labelled = all(part.grades_path("published").is_file() for part in parts)
    with writer:
        for part in parts:
            published = part.grades("published") if labelled else None
            for problem, candidates in part:
                grades = next(published)[1] if published is not None else None
                if problem_ids is None or problem.problem_id in problem_ids:
                    writer.add(problem, candidates)
                    if grades is not None:
                        writer.add_published(grades)
    if writer.pool is None:
        raise PrmEvalError("no pool was made")
    return writer.pool


def replay_hint(task: str, pool: Pool, options: Options) -> str:
    """Return the command that finishes a run without generating."""
    words = [f"replay={pool.path.resolve()}"]
    words += [f"{key}={value}" for key, value in _asked(options).items()]
    for role, name in options.models.items():
        words += [
            f"{role}_model={name}",
            *(f"{role}_{key}={value}" for key, value in options.model_options[role].items()),
        ]
    return f"prm-eval run --model dummy --tasks {task} --metadata {shlex.join(words)}"


def _asked(options: Options) -> dict[str, str]:
    """Return, as metadata, the options that decide the numbers and differ from their defaults."""
    plain = read_options({})
    lists = {
        "ns": (options.ns or (), ()),
        "selectors": (options.pipelines or (), ()),
        "breakdown": (options.breakdown or ("none",), plain.breakdown),
        "k_measures": (options.k_measures, ()),
    }
    values = {
        **{key: ("+".join(map(str, given)), "+".join(map(str, default))) for key, (given, default) in lists.items()},
        "n_samples": (options.n_samples, None),
        "problems": (options.problems, None),
        "sets_dir": (options.sets_dir, None),
        "dump_dir": (options.dump_dir, plain.dump_dir),
        "grader": (options.grader, plain.grader),
        "grades": (options.grades, plain.grades),
        "draws": (options.draws, plain.draws),
        "selection_seed": (options.seed, plain.seed),
    }
    return {key: str(given) for key, (given, default) in values.items() if given != default}
