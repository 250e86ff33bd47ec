"""The figures of the miniature, and the bars that they must reach.

A pool of its policy is graded, scored by its verifiers and evaluated. All of this is the work of the package itself:
the pool format, the grader, the reward models, the closed forms, the bootstrap over problems. Only the right answers by
wrong reasoning are counted by the oracle, because nothing else can see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.jobs import grade_unless_graded
from prm_eval.evaluation.summary import CurveKey
from prm_eval.miniature.bars import SEED, Figure, Run, figures_of
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
from prm_eval.rewards.models.checkpoint import weight_hashes
from prm_eval.store.writing import write_json

KINDS = ("policy", "orm", "prm")
DEFAULT_PROBLEMS, DEFAULT_CANDIDATES, DEFAULT_TEMPERATURE = 350, 64, TEMPERATURE


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
        several = f"{'over trainings too':>20}" if self.figures[0].seeds else ""
        by_seed = "  (each training seed)" if several else ""
        lines += ["", f"{'figure (95 % interval)':<46}{'value':>7}{'low':>7}{'high':>7}{several}  bar{by_seed}"]
        for each in self.figures:
            verdict = "held" if each.held else "NOT HELD"
            seeds = f"  ({', '.join(f'{value:.1f}' for value in each.seeds)})" if each.seeds else ""
            limits = f"{each.value:>7.1f}{each.low:>7.1f}{each.high:>7.1f}"
            wide = "[{:.1f}, {:.1f}]".format(*each.trainings) if each.trainings else ""
            verdict += " by these, not over trainings" if each.held and not each.held_by_trainings else ""
            lines.append(f"{each.name:<46}{limits}{wide:>{len(several)}}  {each.bar}: {verdict}{seeds}")
        return "\n".join(lines)


def figures(
    models: Sequence[Path],
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

    With several folders of models, of different training seeds, each has a pool on the same problems, and the figures
    are means over all of them, with limits over problems and, apart from these, over problems and trainings.

    Args:
        models: The folders of the three finished models.
        output: The folder that gets ``pool``, with grades and rewards in it, and ``figures.json``; the parts that are
            in it already are not made again. With several folders of models, the pool and figures of each go into a
            folder of its name.
        split: The split of the problems.
        count: The number of problems.
        candidates: The number of candidates a problem.
        temperature: The temperature of sampling.
        seed: The seed of sampling.
        device: The device of sampling and scoring.
        bars: Progress bars for the stages.

    Raises:
        PrmEvalError: The pool in ``output`` is of another policy or another sampling, or two folders of models have
            the same name, or a model in common.
    """
    for each in models:
        require_models(each, *KINDS)
    names = [each.resolve().name for each in models]
    hashes = [_hashes(each) for each in models]
    if len(set(names)) < len(names):
        raise PrmEvalError(f"folders of models are called {', '.join(names)}; expected a different name for each")
    for one, other in combinations(range(len(models)), 2):
        if alike := [kind for kind in KINDS if hashes[one][kind] == hashes[other][kind]]:
            raise PrmEvalError(f"{models[one]} and {models[other]}: the same {alike[0]}; expected another seed's")
    problems = miniature_problems(split, default_seed(split), count)
    sampling = {"temperature": temperature, "top_p": TOP_P, "seed": seed, "n": candidates}
    about = {"split": split, "problems": count, "sampling": sampling}
    runs: list[Run] = []
    made: list[dict[str, Any]] = []
    for each, name, weights in zip(models, names, hashes, strict=True):
        folder = output if len(models) == 1 else output / name
        pool = _pool(each / checkpoint_name("policy"), folder / "pool", problems, split, sampling, device, bars)
        runs.append(_run(pool, each, problems, device, bars))
        found = _found(runs[-1:], problems, about | {"pool": pool.info.content_hash})
        _write(found, folder)
        made.append({"name": name, "weights_sha256": weights, "pool": pool.info.content_hash})
    if len(runs) > 1:
        found = _found(runs, problems, about | {"models": made})
        _write(found, output)
    return found


def _hashes(models: Path) -> dict[str, dict[str, str]]:
    return {kind: weight_hashes(str(models / checkpoint_name(kind))) for kind in KINDS}


def _run(pool: Pool, models: Path, problems: Sequence[MiniatureProblem], device: str, bars: Bars) -> Run:
    grade_unless_graded(pool, bars=bars)
    files = [NamedRewards(kind, _rewards(pool, models, kind, device, bars)) for kind in ("orm", "prm")]
    with bars(EVALUATING, len(problems), "problem") as progress:
        evaluation = evaluate(pool, files, selectors=SELECTORS, seed=SEED, progress=progress)
    texts = [[each.text for each in group] for _, group in pool]
    return Run(evaluation, *right_answers(problems, texts))


def _found(runs: Sequence[Run], problems: Sequence[MiniatureProblem], about: dict[str, Any]) -> Found:
    first = runs[0].evaluation
    curves = {
        _curve_name(key): (100 * sum(run.evaluation.curves[key].mean(axis=0) for run in runs) / len(runs))
        for key in first.curves
    }
    return Found(
        tuple(figures_of(runs, problems)),
        {name: values.round(3).tolist() for name, values in curves.items()},
        first.ns,
        about,
    )


def _write(found: Found, folder: Path) -> None:
    write_json(
        folder / "figures.json",
        found.about
        | {"ns": list(found.ns), "curves": found.curves, "versions": software_versions("torch", "transformers")}
        | {
            "figures": [
                asdict(each) | {"held": each.held, "held_by_trainings": each.held_by_trainings, "bar": each.bar}
                for each in found.figures
            ]
        },
    )


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
    described = {"name": policy.name, "weights_sha256": weight_hashes(str(policy))}
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
