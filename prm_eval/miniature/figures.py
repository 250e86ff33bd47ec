"""The figures of the miniature, and the bars that they must reach.

A pool of its policy is graded, scored by its verifiers and evaluated. All of this is the work of the package itself:
the pool format, the grader, the reward models, the closed forms, the bootstrap over problems. Only the right answers by
wrong reasoning are counted by the oracle, because nothing else can see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, evaluate
from prm_eval.evaluation.jobs import grade_unless_graded
from prm_eval.evaluation.stats import DEFAULT_RESAMPLES, ClusterBootstrap
from prm_eval.evaluation.summary import CurveKey
from prm_eval.miniature.curves import SELECTORS, right_answers
from prm_eval.miniature.make import checkpoint_name
from prm_eval.miniature.models import load_model, require_models
from prm_eval.miniature.problems import REVISION, MiniatureProblem, default_seed, miniature_problems
from prm_eval.miniature.sampling import TEMPERATURE, TOP_P, sample
from prm_eval.pools.format import software_versions
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.progress import EVALUATING, SAMPLING, Bars, no_bars
from prm_eval.records import Candidate
from prm_eval.rewards import RewardFile, load_reward_model, score_pool
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.selection.selectors import DEFAULT_SEED
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.writing import write_json

Floats = npt.NDArray[np.float64]
ORACLE: CurveKey = ("oracle", None)
MAJORITY: CurveKey = ("majority", None)
BON_PRM, BON_ORM = ("best_of_n", "prm"), ("best_of_n", "orm")
WMAJ_PRM, WMAJ_ORM = ("weighted_majority", "prm"), ("weighted_majority", "orm")
RESAMPLES, SEED = DEFAULT_RESAMPLES, DEFAULT_SEED
DEFAULT_PROBLEMS, DEFAULT_CANDIDATES, DEFAULT_TEMPERATURE = 350, 64, TEMPERATURE
LEVELS = range(1, 6)


@dataclass(frozen=True)
class Figure:
    """One figure with its limits, in per cent or points, and its bar.

    Attributes:
        name: The name of the figure.
        value: Mean over problems.
        low: Lower 95 % limit.
        high: Upper 95 % limit.
        least: The value must reach this, where it is given.
        most: The value must not exceed this, where it is given; the limits may.
        above: The lower limit must be above this, where it is given.
    """

    name: str
    value: float
    low: float
    high: float
    least: float | None = None
    most: float | None = None
    above: float | None = None

    @property
    def held(self) -> bool:
        """Whether the bar is met."""
        return (
            (self.least is None or self.value >= self.least)
            and (self.most is None or self.value <= self.most)
            and (self.above is None or self.low > self.above)
        )

    @property
    def bar(self) -> str:
        """The bar in words."""
        if self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        parts = [] if self.least is None else [f">= {self.least:g}"]
        return ", ".join(parts if self.above is None else [*parts, f"low > {self.above:g}"])


@dataclass(frozen=True)
class Found:
    """The figures and curves of a pool, and their text for printing."""

    figures: tuple[Figure, ...]
    curves: dict[str, list[float]]
    ns: tuple[int, ...]
    about: dict[str, Any]

    @property
    def held(self) -> bool:
        """Whether every figure meets its bar."""
        return all(each.held for each in self.figures)

    @property
    def text(self) -> str:
        """A table of curves and a table of figures."""
        lines = [f"{'accuracy, %':<34}" + "".join(f"{n:>7}" for n in self.ns)]
        lines += [f"{name:<34}" + "".join(f"{value:>7.1f}" for value in values) for name, values in self.curves.items()]
        lines += ["", f"{'figure (95 % interval)':<46}{'value':>7}{'low':>7}{'high':>7}  bar"]
        for each in self.figures:
            verdict = "held" if each.held else "NOT HELD"
            lines.append(f"{each.name:<46}{each.value:>7.1f}{each.low:>7.1f}{each.high:>7.1f}  {each.bar}: {verdict}")
        return "\n".join(lines)


def figures(
    models: Path,
    output: Path,
    *,
    split: str = "validation",
    count: int = DEFAULT_PROBLEMS,
    candidates: int = DEFAULT_CANDIDATES,
    temperature: float = DEFAULT_TEMPERATURE,
    seed: int = 0,
    device: str = "cpu",
    bars: Bars = no_bars,
) -> Found:
    """Return the figures of a pool, after sampling, grading, scoring and evaluating it.

    Args:
        models: The folder of the three finished models.
        output: The folder that gets ``pool``, with grades and rewards in it, and ``figures.json``; the parts that are
            in it already are not made again.
        split: The split of the problems.
        count: The number of problems.
        candidates: The number of candidates a problem.
        temperature: The temperature of sampling.
        seed: The seed of sampling.
        device: The device of sampling and scoring.
        bars: Progress bars for the stages.

    Raises:
        PrmEvalError: The pool in ``output`` is of another policy or another sampling.
    """
    require_models(models, "policy", "orm", "prm")
    problems = miniature_problems(split, default_seed(split), count)
    sampling = {"temperature": temperature, "top_p": TOP_P, "seed": seed, "n": candidates}
    pool = _pool(models / checkpoint_name("policy"), output / "pool", problems, split, sampling, device, bars)
    grade_unless_graded(pool, bars=bars)
    files = [NamedRewards(kind, _rewards(pool, models, kind, device, bars)) for kind in ("orm", "prm")]
    with bars(EVALUATING, len(problems), "problem") as progress:
        evaluation = evaluate(pool, files, selectors=SELECTORS, seed=SEED, progress=progress)
    texts = [[each.text for each in group] for _, group in pool]
    found = Found(
        tuple(figures_of(evaluation, problems, *right_answers(problems, texts))),
        {_curve_name(key): (100 * table.mean(axis=0)).round(3).tolist() for key, table in evaluation.curves.items()},
        evaluation.ns,
        {"pool": pool.info.content_hash, "split": split, "problems": count, "sampling": sampling},
    )
    write_json(
        output / "figures.json",
        found.about
        | {"ns": list(found.ns), "curves": found.curves, "versions": software_versions("torch", "transformers")}
        | {"figures": [asdict(each) | {"held": each.held, "bar": each.bar} for each in found.figures]},
    )
    return found


def figures_of(
    evaluation: Evaluation, problems: Sequence[MiniatureProblem], right: Floats, false: Floats
) -> list[Figure]:
    """Return the figures of the miniature from an evaluation whose reward files are called "prm" and "orm".

    Args:
        evaluation: The evaluation of the pool.
        problems: Its problems, in order.
        right: The number of candidates with the right answer, by problem.
        false: The number of those with a wrong step, by problem.
    """
    curves, ns = evaluation.curves, list(evaluation.ns)
    first, last, middle = 0, len(ns) - 1, ns.index(16) if 16 in ns else len(ns) - 1
    bootstrap = ClusterBootstrap(len(problems), seed=SEED, resamples=RESAMPLES)

    def share(name: str, values: Floats, least: float, most: float | None = None) -> Figure:
        cell = bootstrap.intervals(values)[0]
        return Figure(name, 100 * cell.value, 100 * cell.low, 100 * cell.high, least, most)

    def gap(name: str, one: Floats, other: Floats, least: float | None, above: float = 0) -> Figure:
        cell = bootstrap.difference(one, other)
        return Figure(name, 100 * cell.value, 100 * cell.low, 100 * cell.high, least, None, above)

    def column(key: CurveKey, at: int) -> Floats:
        return curves[key][:, at]

    n, sixteen = ns[last], ns[middle]
    mean, vote = column(ORACLE, first), column(MAJORITY, last)
    return [
        share("mean@1", mean, 30, 50),
        *_levels(mean, problems),
        share(f"pass@{n}", column(ORACLE, last), 95),
        gap(f"maj@{n} - mean@1", vote, mean, 8),
        _false_share(bootstrap, right, false),
        gap(f"bon@{n} PRM - ORM", column(BON_PRM, last), column(BON_ORM, last), 5),
        gap(f"bon@{n} ORM - maj@{n}", column(BON_ORM, last), vote, 3),
        gap(f"bon PRM @{n} - @{sixteen}", column(BON_PRM, last), column(BON_PRM, middle), None, -1),
        gap(f"bon ORM @{n} - @{sixteen}", column(BON_ORM, last), column(BON_ORM, middle), None, -1),
        gap(f"wmaj@{n} PRM - ORM", column(WMAJ_PRM, last), column(WMAJ_ORM, last), None),
        gap(f"wmaj@{n} ORM - maj@{n}", column(WMAJ_ORM, last), vote, None),
    ]


def _levels(mean: Floats, problems: Sequence[MiniatureProblem]) -> list[Figure]:
    """Return the falls of mean@1 from each level to the next, and from the lowest to the highest.

    Two levels have different problems, so these differences are not paired.
    """
    level = np.array([each.problem.level for each in problems])
    groups = {each: mean[level == each] for each in LEVELS if (level == each).any()}
    samplers = {k: ClusterBootstrap(len(v), seed=SEED + k, resamples=RESAMPLES) for k, v in groups.items()}
    resampled = {k: samplers[k].means(v) for k, v in groups.items()}
    found = []
    for easy, hard in [*zip(list(groups), list(groups)[1:], strict=False), (min(groups), max(groups))]:
        low, high = samplers[easy].limits(resampled[easy] - resampled[hard])
        value = float(groups[easy].mean() - groups[hard].mean())
        name = f"mean@1 level {easy} - level {hard}"
        found.append(Figure(name, 100 * value, 100 * float(low[0]), 100 * float(high[0]), above=0))
    return found


def _false_share(bootstrap: ClusterBootstrap, right: Floats, false: Floats) -> Figure:
    """Return the share of right answers that were reached by wrong reasoning, as a ratio of sums over problems."""
    name = "right answers by wrong reasoning"
    rights = bootstrap.means(right)
    # a resample without a right answer: the policy (nearly) never answers right
    if not rights.all():
        return Figure(name, 0.0, 0.0, 100.0, 5, 15)
    low, high = bootstrap.limits(bootstrap.means(false) / rights)
    return Figure(name, 100 * float(false.sum() / right.sum()), 100 * float(low[0]), 100 * float(high[0]), 5, 15)


def _curve_name(key: CurveKey) -> str:
    selector, model = key
    return selector if model is None else f"{selector}, {model}"


def _pool(
    policy: Path,
    folder: Path,
    problems: Sequence[MiniatureProblem],
    split: str,
    sampling: dict[str, Any],
    device: str,
    bars: Bars,
) -> Pool:
    """Return the pool in a folder, after sampling it if it is not there."""
    weights = {each.name: file_sha256(each) for each in sorted(policy.glob("*.safetensors"))}
    described = {"name": policy.name, "weights_sha256": weights}
    problem_set = {"name": f"miniature:{split}:{default_seed(split)}:{len(problems)}", "revision": REVISION}
    if (folder / "pool.json").is_file():
        pool = Pool(folder)
        for what, found, expected in (
            ("the policy", pool.info.policy, described),
            ("the sampling", pool.info.sampling, sampling),
            ("problems", pool.info.problem_set.get("name"), problem_set["name"]),
        ):
            if found != expected:
                raise PrmEvalError(
                    f"{folder} is a pool with {what} {found}; expected {expected}. Give another --output"
                )
        return pool
    n = sampling["n"]
    with bars(SAMPLING, n * len(problems), "candidate") as progress:
        texts = sample(
            load_model(policy, device=device),
            [each.problem.statement for each in problems],
            n,
            sampling["temperature"],
            sampling["seed"],
            progress,
            sampling["top_p"],
        )
    with PoolWriter(folder, problem_set=problem_set, policy=described, sampling=sampling, m=n) as writer:
        for problem, group in zip(problems, texts, strict=True):
            name = problem.problem.problem_id
            writer.add(problem.problem, [Candidate(name, slot, text) for slot, text in enumerate(group)])
    return Pool(folder)


def _rewards(pool: Pool, models: Path, kind: str, device: str, bars: Bars) -> RewardFile:
    checkpoint = models / checkpoint_name(kind)
    model = load_reward_model(f"miniature-{kind}:{checkpoint}", device=device, dtype="float32")
    with bars(f"scoring, {kind}", pool.info.n_candidates, "candidate") as progress:
        return score_pool(pool, model, pool.path / "rewards" / kind, progress)
