"""What a pool holds, in lines: its problems, how its candidates were made and cut, grades, rewards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.cutting import report_on_steps
from prm_eval.evaluation.one_step import step_lines, warning_of
from prm_eval.pools.format import GRADES, PoolInfo
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, no_bars
from prm_eval.records import VERDICTS
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.store.tables import read_columns
from prm_eval.store.visible import one_line, visible
from prm_eval.texts.names import short_name

# characters of a prompt, a setting or a name
SHOWN = 200
# what is recorded of how a prompt was made, in the order in which it is shown
PROMPT = ("prompt_name", "prompt", "description", "system", "chat_template", "num_fewshot", "first_prompt")


def summary_lines(pool: Pool, bars: Bars = no_bars, jobs: int = 1) -> Iterator[str]:
    """Yield the lines of ``prm-eval pool show``; strangers' texts in them are made visible.

    Args:
        pool: The pool.
        bars: The bar of the progress.
        jobs: The number of processes.
    """
    info = pool.info
    yield f"pool       {visible(str(pool.path))}  ({info.content_hash})"
    name = one_line(str(info.problem_set.get("name") or "an unnamed set"), SHOWN)
    yield f"problems   {info.n_problems:,} from {name}"
    yield f"gold       {_gold(pool)}"
    yield f"candidates {info.n_candidates:,} in {info.m:,} slots a problem"
    if info.n_missing:
        yield (
            f"missing    {info.n_missing:,} slots; they count as wrong "
            "(import with --slots min or a number to leave them out)"
        )
    policy = str(info.policy.get("id") or info.policy.get("name") or "unknown")
    yield f"policy     {one_line(short_name(policy), SHOWN)}"
    yield f"sampling   {_settings(info.sampling) or 'unknown'}"
    yield from _prompt_lines(info)
    yield f"splitter   {info.splitter}"
    yield from step_lines(info, report_on_steps(pool, jobs=jobs, bars=bars), None, "a PRM")
    yield from _grade_lines(pool)
    yield from _reward_lines(pool)


def _gold(pool: Pool) -> str:
    lacking = len(pool.without_gold())
    if not lacking:
        return "an answer for every problem"
    if pool.grades_path("published").is_file():
        return f"{lacking:,} of {pool.info.n_problems:,} problems have no answer; the source's grades are published"
    rank = f"candidates can be ranked by rewards: prm-eval rank {visible(str(pool.path))}"
    if lacking == pool.info.n_problems:
        return f"no problem has an answer, so nothing can be graded; {rank}"
    return f"{lacking:,} of {pool.info.n_problems:,} problems have no answer, so the pool cannot be graded; {rank}"


def _settings(values: Mapping[str, Any]) -> str:
    return one_line(", ".join(f"{name} {value}" for name, value in sorted(values.items())), SHOWN)


def _prompt_lines(info: PoolInfo) -> Iterator[str]:
    """Yield what is known of the prompt, from what made the pool; its hash where the text is long."""
    made_by = info.source.get("lm_eval")
    known = made_by if isinstance(made_by, dict) else info.source
    if not any(name in known for name in PROMPT):
        yield "prompt     unknown"
        return
    for name in PROMPT:
        value = known.get(name)
        if isinstance(value, dict):
            value = value.get("text")
        if value not in (None, "", 0):
            yield f"prompt     {name.replace('_', ' ')}: {one_line(str(value), SHOWN)}"


def _grade_lines(pool: Pool) -> Iterator[str]:
    files = sorted(pool.path.glob("grades*.parquet"))
    for path in files:
        try:
            column = read_columns(path, GRADES, ["grade"]).column("grade")
        except PrmEvalError as error:
            yield f"grades     {visible(path.name)}: {one_line(str(error), SHOWN)}"
            continue
        counts = {each["values"]: each["counts"] for each in pc.value_counts(column).to_pylist()}
        order = [*VERDICTS, *sorted(set(counts) - set(VERDICTS))]
        said = ", ".join(f"{visible(name)} {counts[name]:,}" for name in order if name in counts)
        source = path.stem.partition("-")[2] or "own"
        yield f"grades     {one_line(source, SHOWN)}: {said or 'none'}"
    if not files:
        gradable = not pool.without_gold()
        yield "grades     none" + (f" yet: prm-eval grade {visible(str(pool.path))}" if gradable else "")


def _reward_lines(pool: Pool) -> Iterator[str]:
    folders = pool.reward_folders()
    for folder in folders:
        yield from _of_folder(folder, pool)
    if not folders:
        path = visible(str(pool.path))
        yield f"rewards    none yet: prm-eval score {path} --reward-model RM -o {path}/rewards/NAME"


def _of_folder(folder: Path, pool: Pool) -> Iterator[str]:
    """Yield the line of a reward folder, and the warning where it reads most candidates as one step."""
    head = f"rewards    {one_line(folder.name, SHOWN)}: "
    try:
        rewards = RewardFile(folder)
        warning = warning_of(pool.info, rewards.info, rewards.step_counts(), one_line(folder.name, SHOWN))
    except PrmEvalError as error:
        yield head + one_line(str(error), SHOWN)
        return
    kind = rewards.info.kind.upper()
    how = f", {rewards.aggregation}" if rewards.info.kind == "prm" else ""
    refused = rewards.info.run.get("refused")
    counts = [each for each in refused.values() if type(each) is int] if isinstance(refused, dict) else []
    lost = f", {sum(counts):,} refused" if sum(counts) else ""
    yield f"{head}{one_line(short_name(rewards.info.name), SHOWN)} ({kind}{how}{lost})"
    if warning is not None:
        yield f"WARNING    {warning}"
