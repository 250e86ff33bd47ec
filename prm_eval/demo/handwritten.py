"""The demonstration by hand: 35 problems with 8 handwritten candidates each, judged by verifiers that are rules.

They are replayed through the real lm_eval.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from prm_eval.demo.running import Demo, run_command, write_page
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool

PRM, ORM = "arithmetic", "boxed-support"


def demo_file() -> Path:
    """Return the file of problems and candidates that ships."""
    return Path(str(files("prm_eval.demo"))) / "demo.jsonl"


def demo_pool(folder: Path) -> Pool:
    """Return the pool of the file that ships, after making it if it is not there yet."""
    if (folder / "pool.json").is_file():
        return Pool(folder)
    return import_pool(demo_file(), folder, policy="hand-written").pool


def run_handwritten(folder: Path) -> Demo:
    """Run the main job: pool, lm_eval with all selectors and a verifier of each kind, then the page.

    Raises:
        PrmEvalError: lm_eval failed; its own output says why.
    """
    from prm_eval.evaluation.curves import evaluate
    from prm_eval.evaluation.report import text_table
    from prm_eval.rewards import RewardFile

    pool = demo_pool(folder / "pool")
    command = run_command([
        "--model", "dummy", "--model_args", "pretrained=hand-written", "--tasks", "problems_bon",
        "--metadata", f"replay={pool.path}", f"prm_model={PRM}", f"orm_model={ORM}",
        "--output_path", str(folder / "lm_eval"), "--log_samples",
    ])  # fmt: skip
    found = evaluate(pool, [RewardFile(pool.path / "rewards" / name) for name in (PRM, ORM)])
    page = write_page(folder, found, "prm_eval: 35 problems, 8 candidates each, written by hand")
    return Demo(pool.path, folder / "lm_eval", page, text_table(found), command)
