"""The pools of the board are cut as they were when their rewards were made."""

from __future__ import annotations

import pytest

from prm_eval.evaluation.cutting import report_on_steps
from prm_eval.pools.pool import Pool
from prm_eval.stepsets import is_step_set
from prm_eval.texts.steps import split_steps
from tests.conftest import ROOT

POOLS = sorted(path.parent for path in (ROOT / "results" / "pools").glob("*/pool.json") if not is_step_set(path.parent))


@pytest.mark.parametrize("path", POOLS, ids=lambda path: path.name)
def test_lines_of_ordinary_text_are_its_steps(path) -> None:
    """Their texts have no display, fence or table: a step is a line, or the stored rewards are those of other steps."""
    pool = Pool(path)
    assert pool.info.splitter == "line"
    for place, (_, table) in enumerate(pool.blocks(["problem_id", "text"])):
        for text in table["text"].to_pylist() if place % 10 == 0 else ():
            assert split_steps(text, "line") == tuple(line.strip() for line in text.split("\n") if line.strip())


def test_the_report_of_a_pool_counts_its_candidates() -> None:
    """The report reads the pool's own splitter, or the one that is named."""
    pool = Pool(ROOT / "results" / "pools" / "demo-35x8")
    report = report_on_steps(pool)
    assert (report.candidates, report.of_one_step, report.without_step) == (pool.info.n_candidates, 0, 0)
    assert report_on_steps(pool, "blank_line").of_one_step == pool.info.n_candidates
