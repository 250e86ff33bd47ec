"""Two real pools with step scores of published reward models, evaluated: the page docs/real-pools.md in one command.

    python benchmarks/real_pools.py [--data ../shared/data] [-o docs/real-pools.md]

The pools (311 GSM8K and 292 MATH-500 problems, 32 candidates each) are no part of this repository; the page has figures
only. Every figure comes from the functions behind ``prm-eval pool import``, ``grade`` and ``evaluate``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.real_costs import cost_section
from prm_eval.evaluation.curves import Evaluation, evaluate
from prm_eval.evaluation.golds import check_golds
from prm_eval.evaluation.report import disagree
from prm_eval.evaluation.summary import Difference, Row
from prm_eval.grading.pool import disagreements, grade_pool, source_of
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import load_problems
from prm_eval.records import Problem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile, RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.selection.selectors import COMPETE

N = 32
AGGREGATIONS: tuple[Aggregation, ...] = ("prod", "min", "mean", "last")
WIDER = "default:extraction=conclusion"
GRADERS = ("default", WIDER)
SOURCES = {
    "published": "the labels that the source published; all candidates compete",
    "own": "our grader as it is by default; candidates without an answer lose",
    WIDER: "our grader with unannounced conclusions as answers; candidates without an answer lose",
}


@dataclass(frozen=True)
class RealPool:
    """A pool of the data folder: its title, its file, the problem set that has its golds, what to say of costs."""

    title: str
    file: str
    golds: str
    remark: str
    costs: str


POOLS = (
    RealPool(
        "GSM8K",
        "bon/gsm8k_500x32_7prms.jsonl.gz",
        "problems/gsm8k_test.jsonl",
        "",
        """What the tables say of the seven: here majority is cheap and soon near its best. Where reading costs as much
as writing, no reward model is shown to be above majority for the same tokens at n = 4 or 8; most are below.
`qwen2.5-math-prm-7b` (from n = 8 on) and `skywork-prm-7b` (at n = 32) get where no vote of up to 32 does, and
at n = 32 are above the vote of 32 by 2.1 points. Where reading costs a tenth, `qwen2.5-math-prm-7b` is worth
it at every n (+1.3 points at n = 4 and 8), `skywork-prm-7b` at n = 4 and 32; `rlhflow-prm-deepseek`,
`skywork-prm-1.5b` and `math-shepherd` cannot be told from majority at the same cost, and the two
`internlm2-reward` are below it. Stopping a decided vote saves 41 % of the tokens of 32 candidates and costs
nothing. With a threshold on `qwen2.5-math-prm-7b`, 8 candidates cost 45 % less for 0.06 points; of 32 it
saves 76 % and gives up 0.7 points, though none on the problems it was learnt on: at n = M a few problems
decide.
""",
    ),
    RealPool(
        "MATH-500",
        "bon/math500_500x32_qwen_prm.jsonl.gz",
        "problems/math500.jsonl",
        "The source kept the last number of some golds, so that its labels are wrong on these problems; our grades "
        "are\nagainst the golds of the problem set.",
        """What the tables say: these problems are harder for a vote, and `qwen2.5-math-prm-7b` is worth its tokens at
every n, even where reading costs as much as writing: 4 candidates and their reading get 81.80, the vote of 32
gets 80.82.
""",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_EVAL_DATA", "../shared/data")))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/real-pools.md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = [part for each in POOLS for part in section(each, options.data, Path(folder), options.output)]
    options.output.write_text("\n".join([HEAD, *parts]) + "\n", encoding="utf-8")
    print(f"written: {options.output}")


HEAD = f"""# Two real pools

<!-- made by: python benchmarks/real_pools.py -->

Step scores of published reward models (StrictPRMBench, CC-BY-4.0) on {N} candidates a problem, read and evaluated by
this package. The data are no part of it; `benchmarks/real_pools.py` makes this page where they are at hand. All
accuracies are in per cent, with 95 % limits over problems in brackets. `prod`, `min`, `mean` and `last` are
[step aggregations](numbers.md#step-aggregations); ranks are ranges and hold all at once; p is that of
[numbers.md](numbers.md#limits-and-p), and `?` marks where limits and p disagree.

What the tables say: a candidate without an answer is no rare case, and who is in the running decides more than which
model it is. On GSM8K every model stands higher if those in which we find no answer lose (third column) than with the
labels alone (second column), and most of that is the selection of candidates that end with an answer.
"""


def section(about: RealPool, data: Path, folder: Path, page: Path) -> Iterator[str]:
    """Yield the parts of the page on one pool; its chart lies beside the page."""
    rows = list(read(data / about.file))
    pool, files = imported(rows, data / about.file, folder / about.title)
    for grader in GRADERS:
        grade_pool(pool, name=grader)
    found = {source: by_prod(pool, files, source) for source in SOURCES}
    yield f"## {about.title}: {len(rows)} problems x {pool.info.m} candidates\n"
    yield golds(rows, about, data)
    yield sources_table(pool, found)
    for source, words in SOURCES.items():
        yield f"### Grades: {words}\n"
        yield models_table(found[source], by_aggregation(pool, files, source), at_m(pool, files, source))
    chart = page.with_name(f"real-pools-{about.title.lower()}.svg")
    yield from cost_section(pool, files, WIDER, about.title, Path(about.file).name, chart)
    yield about.costs


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a data file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def imported(rows: list[dict[str, Any]], path: Path, folder: Path) -> tuple[Pool, dict[str, RewardFile]]:
    """Return the pool and its reward files by model.

    The importer of plain JSONL takes them from the file where it knows its form of rewards; else they are written here.
    """
    models = sorted(rows[0]["samples"][0]["rewards"])
    pool = import_pool(path, folder, splitter="given").pool
    there = {each.name: each for each in pool.reward_folders()}
    for model in models:
        if model not in there:
            there[model] = write_rewards(pool, rows, model, folder / "rewards" / model)
    return pool, {model: RewardFile(there[model], "prod") for model in models}


def write_rewards(pool: Pool, rows: list[dict[str, Any]], model: str, folder: Path) -> Path:
    """Write the step probabilities of one model as a reward file of the pool; return its folder."""
    with RewardWriter(folder, single=False) as writer:
        for (_, candidates), row in zip(pool, rows, strict=True):
            for candidate in candidates:
                writer.add(candidate, StepRewards(tuple(row["samples"][candidate.slot]["rewards"][model])))
    writer.describe(RewardInfo(model, "prm", "probability", "prod", None, pool.info.content_hash))
    return folder


def by_prod(pool: Pool, files: dict[str, RewardFile], source: str) -> Evaluation:
    """Return best of n by the product, with majority, mean and oracle."""
    named = [NamedRewards(model, file) for model, file in files.items()]
    return evaluate(pool, named, grades=source, ns=[1, 8, N], selectors=["first", "majority", "best_of_n", "oracle"])


def by_aggregation(pool: Pool, files: dict[str, RewardFile], source: str) -> Evaluation:
    """Return best of N by every aggregation."""
    named = [
        NamedRewards(f"{model}[{how}]", RewardFile(file.folder, how))
        for model, file in files.items()
        for how in AGGREGATIONS
    ]
    return evaluate(pool, named, grades=source, ns=[N], selectors=["best_of_n"], resamples=1_000)


def at_m(pool: Pool, files: dict[str, RewardFile], source: str) -> Evaluation:
    """Return the weighted majority of all N, which is exact."""
    named = [NamedRewards(model, file) for model, file in files.items()]
    return evaluate(pool, named, grades=source, ns=[N], selectors=["first", "weighted_majority"], resamples=1_000)


def golds(rows: list[dict[str, Any]], about: RealPool, data: Path) -> str:
    """Return the sentence on the golds of the source."""
    published = [Problem(row["id"], row["problem"], str(row.get("answer_as_published", row["answer"]))) for row in rows]
    found = check_golds(published, load_problems(str(data / about.golds)))
    same = f", and {found.otherwise} the same written otherwise" if found.otherwise else ""
    share = 100 * len(found.conflicts) / found.found
    return (
        f"Golds (`prm-eval grade POOL --check-golds`): of the {found.found} problems whose statement is in the problem "
        f"set, {len(found.conflicts)} ({share:.1f} %)\nhave another gold in the source{same}.\n"
        + (f"{about.remark}\n" if about.remark else "")
    )


def sources_table(pool: Pool, found: dict[str, Evaluation]) -> str:
    """Return the table of grades: what the policy and the vote come to under each."""
    lines = ["| grades | no answer | judged otherwise | mean@1 | maj@32 | pass@32 |", "|---|---|---|---|---|---|"]
    for source, each in found.items():
        rows = {row.metric: row for row in each.rows}
        odd = 0 if source == "published" else sum(1 for _ in disagreements(pool, "published", source_of(source)))
        other = f"{odd:,}" if odd else ""
        cells = [limited(rows[name]) if name in rows else "not available" for name in ("mean@1", "maj@32", "pass@32")]
        lines.append(f"| {source} | {100 * each.no_answer.share:.1f} % | {other} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def models_table(prod: Evaluation, aggregations: Evaluation, votes: Evaluation) -> str:
    """Return the table of models: best of N by each aggregation, ranks and paired differences by the product."""
    tables = {row.reward_model: row for row in aggregations.rows}
    ranks = {each.reward_model: f"{each.best}-{each.worst}" for each in prod.ranks if each.n == N}
    wmaj = {row.reward_model: row.value for row in votes.rows if row.selector == "weighted_majority"}
    fixed = [name for name in ("first", "majority") if (name, None) in prod.curves]
    best = sorted((row for row in prod.rows if row.n == N and row.reward_model), key=lambda row: -row.value)
    lines = []
    for row in best:
        model = str(row.reward_model)
        cells = {"model": model, f"bon@{N} by prod": limited(row)} | other_rule(prod, model)
        cells |= {f"by {how}": f"{100 * tables[f'{model}[{how}]'].value:.2f}" for how in AGGREGATIONS[1:]}
        cells |= {"rank": ranks[model]} if ranks else {}
        cells |= {f"minus {'mean' if name == 'first' else name}": difference(prod, model, name) for name in fixed}
        cells |= {f"wmaj@{N}": f"{100 * wmaj[model]:.2f}"} if wmaj else {}
        lines += [] if lines else [f"| {' | '.join(cells)} |", "|---" * len(cells) + "|"]
        lines.append(f"| {' | '.join(cells.values())} |")
    return "\n".join([*lines, ""])


def other_rule(found: Evaluation, model: str) -> dict[str, str]:
    """Return the accuracy if candidates without an answer fared otherwise; nothing where all have one."""
    used = found.no_answer.rule
    return {
        f"if those without an answer {found.no_answer.other_rule}": percent(
            each.lose if used == COMPETE else each.compete
        )
        for each in found.no_answer.figures
        if (each.selector, each.reward_model, each.n) == ("best_of_n", model, N)
    }


def percent(value: float) -> str:
    """Return a share in per cent."""
    return f"{100 * value:.2f}"


def limited(row: Row) -> str:
    """Return an accuracy with its limits."""
    return f"{100 * row.value:.2f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def difference(found: Evaluation, model: str, minus: str) -> str:
    """Return a paired difference with its limits and p."""
    each: Difference = next(
        d
        for d in found.differences
        if (d.selector, d.reward_model, d.minus_selector, d.n) == ("best_of_n", model, minus, N)
    )
    odd = "?" if disagree(each, found.settings["level"]) else ""
    p = f"p {each.p:.3f}" if each.p >= 0.001 else "p < 0.001"
    return f"{100 * each.value:+.2f} [{100 * each.low:+.1f}, {100 * each.high:+.1f}], {p}{odd}"


if __name__ == "__main__":
    main()
