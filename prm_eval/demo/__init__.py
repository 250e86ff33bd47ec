"""The demonstration: 35 problems with 8 candidates each, written by hand, replayed through the real lm_eval."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.importers import import_pool
from prm_eval.pools import Pool

PRM, ORM = "arithmetic", "boxed-support"


@dataclass(frozen=True)
class Demo:
    """Where the demonstration left things, and what it found."""

    pool: Path
    results: Path
    page: Path
    table: str
    command: str


def demo_file() -> Path:
    """Return the file of problems and candidates that ships."""
    return Path(str(files("prm_eval.demo"))) / "demo.jsonl"


def demo_pool(folder: Path) -> Pool:
    """Return the demonstration's pool, made if it is not there yet."""
    if (folder / "pool.json").is_file():
        return Pool(folder)
    return import_pool(demo_file(), folder, policy="hand-written").pool


def run_demo(folder: Path) -> Demo:
    """Run the main job: pool, lm_eval with three selectors and a verifier of each kind, then the page.

    Raises:
        PrmEvalError: lm_eval failed; its own output says why.
    """
    from prm_eval.evaluation import evaluate
    from prm_eval.report import html_page, text_table
    from prm_eval.rewards import RewardFile

    pool = demo_pool(folder / "pool")
    command = [
        "run", "--model", "dummy", "--model_args", "pretrained=hand-written", "--tasks", "problems_bon",
        "--metadata", f"replay={pool.path}", f"prm_model={PRM}", f"orm_model={ORM}",
        "--output_path", str(folder / "lm_eval"), "--log_samples",
    ]  # fmt: skip
    status = subprocess.run([sys.executable, "-m", "prm_eval.cli", *command], check=False).returncode
    if status:
        raise PrmEvalError(f"lm_eval ended with status {status}; see above")
    rewards = [RewardFile(pool.path / "rewards" / name) for name in (PRM, ORM)]
    found = evaluate(pool, rewards)
    page = folder / "report.html"
    page.write_text(html_page(found, "prm_eval demonstration: 35 problems, 8 candidates each"), encoding="utf-8")
    (folder / "evaluation.json").write_text(json.dumps(found.to_json(), indent=2), encoding="utf-8")
    return Demo(pool.path, folder / "lm_eval", page, text_table(found), "prm-eval " + shlex.join(command))
