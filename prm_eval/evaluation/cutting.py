"""The candidates of a pool cut into steps, and what is to be said of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prm_eval.children.workers import block_size, in_blocks, workers, worth
from prm_eval.pools.pool import Pool
from prm_eval.progress import CUTTING, Bars, no_bars
from prm_eval.texts.step_report import StepReport, step_report
from prm_eval.texts.steps import split_steps

# candidates that are cut at a time, and those whose cutting takes as long as the start of a process
CANDIDATES_A_BLOCK = 1_000
CUT_A_PROCESS = 40_000
_Text = tuple[str, tuple[str, ...] | None]


def report_on_steps(pool: Pool, splitter: str | None = None, *, jobs: int = 1, bars: Bars = no_bars) -> StepReport:
    """Return the report on the steps of a pool's candidates, cut as the pool says or by another splitter.

    Args:
        pool: The candidates.
        splitter: The splitter.
        jobs: The number of processes.
        bars: The bar of the progress.

    Raises:
        PrmEvalError: There is no such splitter, or it is "given" and a candidate has no steps.
    """
    found = StepReport()
    jobs = worth(jobs, pool.info.n_candidates, CUT_A_PROCESS)
    blocks = in_blocks(_texts(pool), block_size(jobs, CANDIDATES_A_BLOCK, pool.info.m))
    with (
        bars(CUTTING, pool.info.n_candidates, "candidate") as progress,
        workers(splitter or pool.info.splitter, jobs) as crew,
    ):
        for report in crew.map(_report_on, blocks):
            found += report
            progress(found.candidates)
    return found


def _texts(pool: Pool) -> Iterator[list[_Text]]:
    for _, table in pool.blocks(["problem_id", "text", "steps"]):
        steps = (None if each is None else tuple(each) for each in table["steps"].to_pylist())
        yield list(zip(table["text"].to_pylist(), steps, strict=True))


def _report_on(splitter: str, problems: list[list[_Text]]) -> StepReport:
    """Return the report on some candidates; copies are cut once."""
    found = StepReport()
    for problem in problems:
        for (text, steps), copies in Counter(problem).items():
            found += step_report([split_steps(text, splitter, steps)]).times(copies)
    return found
