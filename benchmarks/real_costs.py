"""What the reward models of the real pools are worth in tokens: the parts on cost of docs/real-pools.md.

``benchmarks/real_pools.py`` calls it. Nobody recorded the tokens of these candidates, so they are estimated with a real
tokenizer, which ``python tests/real_tokenizers.py`` brings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prm_eval.evaluation.cost.counts import Price
from prm_eval.evaluation.cost.jobs import CostSettings, cost_of
from prm_eval.evaluation.cost.records import CostReport
from prm_eval.evaluation.cost.report import chart_svg, sections
from prm_eval.evaluation.tables import Section, markdown_of
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from tests import real_tokenizers

TOKENIZER = "qwen2_5"
NS = (4, 8, 32)
# what a token costs that a reward model reads, in tokens that the policy writes, and the same in words
READ = {1.0: "as much as one", 0.1: "a tenth of one"}


def cost_section(
    pool: Pool, files: dict[str, RewardFile], source: str, title: str, file: str, chart: Path
) -> Iterator[str]:
    """Yield the part of the page on accuracy against cost, and write its chart.

    Args:
        pool: The graded pool.
        files: Its rewards.
        source: The source of grades.
        title: What the pool is called.
        file: The file of the data folder that it was imported from.
        chart: The path of the chart.
    """
    if not real_tokenizers.is_here(TOKENIZER):
        raise SystemExit("the tokenizer is not here; fetch it: python tests/real_tokenizers.py")
    tokenizer = real_tokenizers.folder() / TOKENIZER
    named = [NamedRewards(model, each) for model, each in files.items()]
    reports = [
        cost_of(pool, named, source, CostSettings(ns=NS, count_by=str(tokenizer), price=Price(read=read)))
        for read in READ
    ]
    chart.write_text(chart_svg(reports[0]), encoding="utf-8")
    name = title.lower().replace("-", "")
    paid = reports[0].rows[0].paid, next(row.paid for row in reports[0].rows if row.reward_model and row.n == 1)
    yield f"### {title}: accuracy against cost\n"
    yield COMMANDS.format(name=name, file=file, source=source, chart=chart.name)
    yield (
        f"A candidate is written in {paid[0].written:.0f} tokens and read, with its statement, in {paid[1].read:.0f}. "
        "Nobody recorded them:\nthey are estimated with the tokenizer of Qwen2.5 (`python tests/real_tokenizers.py` "
        "brings it), the same for every model.\n"
    )
    yield f"![accuracy against n and against tokens]({chart.name})\n"
    for words, report in zip(READ.values(), reports, strict=True):
        yield AGAINST.format(words=words, most=max(NS))
        yield "\n".join([*markdown_of(table_of(report, "is a reward model").cells), ""])
    yield STOPPING
    stops = table_of(reports[0], "stopping early")
    yield "\n".join([*markdown_of(stops.cells), ""])
    yield from (f"{line}.\n" for line in stops.below if line.startswith("~"))


COMMANDS = """```bash
prm-eval pool import {file} -o {name} --splitter given
prm-eval grade {name} --grader {source}
prm-eval cost {name} --grades {source} --count-by TOKENIZER --n 4,8,32 --svg {chart}
```
"""

AGAINST = """**Against majority**, where a token read costs {words} written. "Majority n" is the smallest at which
majority is as accurate, "cheaper in" the resamples of the problems in which it needs more for that; "at even cost" is
majority for the same cost, with {most} candidates at most:
"""
STOPPING = """**Stopping early**, where both cost the same: a vote until it is decided, and best of n until a reward
passes a threshold that was the cheapest to give up no accuracy on other problems (ten folds):
"""


def table_of(report: CostReport, title: str) -> Section:
    """Return the table whose title begins so."""
    return next(each for each in sections(report) if each.title.startswith(title))
