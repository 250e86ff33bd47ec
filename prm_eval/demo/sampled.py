"""The sampled demonstration: a real (tiny) policy through ``lm_eval run --model hf``, judged by a real ORM and PRM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from prm_eval.demo.examples import find_examples, render_examples
from prm_eval.demo.running import Demo, run_command, write_page
from prm_eval.errors import PrmEvalError
from prm_eval.miniature.weights import weights
from prm_eval.pools.pool import Pool

DEFAULT_PROBLEMS = 70  # two problems of each subject and level
DEFAULT_SAMPLES = 16
BATCH = 128  # requests that lm_eval hands to transformers at once


def run_demo(
    folder: Path, *, problems: int = DEFAULT_PROBLEMS, samples: int = DEFAULT_SAMPLES, device: str = "cpu"
) -> Demo:
    """Sample candidates, score them, select, and write the page of results.

    Args:
        folder: The folder for all files.
        problems: The number of miniature test problems; a multiple of 35 has equally many of each subject and level.
        samples: Candidates a problem.
        device: The device of the policy and both reward models.

    Raises:
        PrmEvalError: There is no torch, or lm_eval failed; then its own output says why.
    """
    from prm_eval.evaluation.curves import evaluate
    from prm_eval.evaluation.report import text_table
    from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile

    _require_torch()
    models = {role: weights(role) for role in ("orm", "prm")}
    kept = folder / "candidates"
    command = run_command([
        "--model", "hf", "--model_args", f"pretrained={weights('policy')},dtype=float32", "--device", device,
        "--batch_size", str(BATCH), "--tasks", "miniature_bon",
        "--metadata", f"problems=miniature:test:1:{problems}", f"n_samples={samples}", f"dump_dir={kept}",
        *(f"{role}_model={path}" for role, path in models.items()), *(f"{role}_device={device}" for role in models),
        "--output_path", str(folder / "lm_eval"), "--log_samples",
    ])  # fmt: skip
    pool = Pool(_pool_of(folder / "lm_eval"))
    # the pool was made by this run, so it has exactly one reward file of each kind
    rewards = [RewardFile(each) for each in pool.reward_folders()]
    orm, prm = sorted(rewards, key=lambda file: file.info.kind)
    found = evaluate(pool, [NamedRewards("ORM", orm), NamedRewards("PRM", prm)])
    section = render_examples(find_examples(pool, prm, orm))
    title = f"prm_eval: a tiny policy, {problems} miniature problems, {samples} candidates each"
    page = write_page(folder, found, title, section)
    steps = find_mistakes(pool, folder / "steps", models, device)
    return Demo(pool.path, folder / "lm_eval", page, text_table(found), command, steps)


def find_mistakes(pool: Pool, folder: Path, models: Mapping[str, Path], device: str) -> str:
    """Return the table of who finds the mistakes in some of the candidates, whose steps the oracle labels.

    Args:
        pool: The candidates.
        folder: Where the step set goes, in a folder of its own; one that is there already is used again.
        models: The ORM and the PRM.
        device: Their device.
    """
    from prm_eval.evaluation.stepwise.jobs import run_step_evaluation
    from prm_eval.evaluation.stepwise.placing import placing_model
    from prm_eval.evaluation.stepwise.report import short_report
    from prm_eval.miniature.step_set import make_step_set
    from prm_eval.rewards.scoring import score_pool
    from prm_eval.stepsets import StepSet, is_step_set

    path = folder / pool.info.short_hash
    step_set = StepSet(path) if is_step_set(path) else make_step_set(pool, path)
    for role, model in models.items():
        loaded = placing_model(str(model), {"device": device})
        score_pool(step_set.pool, loaded, path / "rewards" / role, name=role.upper())
    return short_report(run_step_evaluation(path, [path / "rewards" / role for role in models]))


def _pool_of(results: Path) -> str:
    """Return the pool that the newest run in a folder of lm_eval's results names."""
    newest = max(results.glob("*/results_*.json"), key=lambda path: path.stat().st_mtime)
    configs = json.loads(newest.read_text(encoding="utf-8"))["configs"]
    path: str = next(iter(configs.values()))["metadata"]["prm_eval"]["pool"]["path"]
    return path


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise PrmEvalError(
            f"{error.name} is not installed: pip install 'prm_eval[hf]'; without it: prm-eval demo --handwritten"
        ) from None
