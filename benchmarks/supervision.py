"""Labels in, verifiers out: one pool labelled by oracle, rollouts and a model; three PRMs and two ORMs of it, compared.

    python benchmarks/supervision.py -o OUT [--problems 120] [--samples 8] [--epochs 2]

The miniature's policy samples a pool of training problems. Its steps are labelled by the oracle, by rollouts (K = 8,
through a real local HTTP server of the policy) and by the miniature's PRM. The one trainer makes a PRM of each, and two
ORMs (of all graded candidates, and without the false positives that the PRM finds), all from the shipped backbone. They
are measured on the miniature's labelled test solutions (step AUC) and on a fresh pool of test problems (best of 16).
Every stage is a command of ``prm-eval``; a stage that is there already is not run again. Offline, on one CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "prm_eval" / "miniature" / "weights"
BASE, POLICY, LARGE = (WEIGHTS / f"miniature-{name}" for name in ("backbone", "policy", "prm"))
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("supervision_out"))
    parser.add_argument("--problems", type=int, default=120, help="training problems (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=8, help="candidates of each (default: %(default)s)")
    parser.add_argument("--test-problems", type=int, default=70, help="test problems (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="of each training (default: %(default)s)")
    parser.add_argument("--rate", default="1e-3", help="learning rate (default: %(default)s)")
    options = parser.parse_args()
    out: Path = options.output
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    pool = sampled(out, "train", options.problems, options.samples)
    test = sampled(out, "test", options.test_problems, 16)
    labels = labelled(out, pool)
    models = trained(out, labels, options)
    print(json.dumps({"seconds": round(time.monotonic() - started)}))
    prm_eval("label", "compare", labels["oracle"], labels["rollouts"], labels["model"], "--pool", pool)
    report(out, test, models)


def prm_eval(*arguments: Any) -> None:
    """Run a command as a user would."""
    words = [str(each) for each in arguments]
    print("$ prm-eval " + " ".join(words), flush=True)
    subprocess.run([sys.executable, "-m", "prm_eval.cli", *words], check=True, env=ENVIRONMENT, cwd=ROOT)


def sampled(out: Path, split: str, problems: int, samples: int) -> Path:
    """Return a pool that the policy sampled, graded."""
    kept = out / f"candidates-{split}"
    if not any(kept.glob("*/*/pool.json")):
        prm_eval(
            *("run", "--model", "hf", "--model_args", f"pretrained={POLICY},dtype=float32", "--device", "cpu"),
            *("--batch_size", "128", "--tasks", "miniature_bon", "--output_path", out / f"lm_eval-{split}"),
            *("--metadata", f"problems=miniature:{split}:0:{problems}", f"n_samples={samples}", f"dump_dir={kept}"),
        )
    (pool,) = (each.parent for each in kept.glob("*/*/pool.json"))
    return pool


def labelled(out: Path, pool: Path) -> dict[str, Path]:
    """Return the folders of labels by oracle, rollouts and model."""
    found = {name: out / "labels" / name for name in ("oracle", "rollouts", "model")}
    if not (found["oracle"] / "labels.json").is_file():
        prm_eval("label", "oracle", pool, "-o", found["oracle"])
    if not (found["model"] / "labels.json").is_file():
        prm_eval("score", pool, "--reward-model", LARGE, "-o", out / "rewards-large")
        prm_eval("label", "model", pool, out / "rewards-large", "--threshold", "0.5", "-o", found["model"])
    if not (found["rollouts"] / "labels.json").is_file():
        port = free_port()
        command = [sys.executable, "-m", "tests.labelling.miniature_server", str(port)]
        server = subprocess.Popen(command, env=ENVIRONMENT, cwd=ROOT)
        try:
            wait_for(port)
            prm_eval(
                *("label", "rollouts", pool, "--policy", "miniature-policy", "--rollouts", "8", "--stop"),
                *("--base-url", f"http://127.0.0.1:{port}/v1", "--max-new-tokens", "160", "-o", found["rollouts"]),
            )
        finally:
            server.kill()
            server.wait()
    return found


def trained(out: Path, labels: dict[str, Path], options: argparse.Namespace) -> dict[str, Path]:
    """Return the checkpoints: a PRM of each source of labels, and two ORMs of the same candidates."""
    common = ["--base", BASE, "--epochs", options.epochs, "--rate", options.rate, "--held-out", "0.1", "--unchecked"]
    common += ["--batch-tokens", "1024", "--accumulate", "1"]
    sets: dict[str, Path] = {}
    for name, folder in labels.items():
        sets[f"PRM, labels by {name}"] = stepset(out, name, folder)
    filtered = out / "labels" / "filtered"
    if not (filtered / "labels.json").is_file():
        (pool,) = (each.parent for each in (out / "candidates-train").glob("*/*/pool.json"))
        prm_eval("label", "filter", labels["model"], "--pool", pool, "-o", filtered)
    sets["ORM, all candidates"] = stepset(out, "oracle", labels["oracle"])
    sets["ORM, false positives left out"] = stepset(out, "filtered", filtered)
    models: dict[str, Path] = {}
    for name, data in sets.items():
        kind = name[:3].lower()
        folder = out / "models" / name.lower().replace(", ", "-").replace(" ", "-")
        if not (folder / "README.md").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            prm_eval("train", kind, data, *common, "--recipe", f"miniature-{kind}", "-o", folder)
        models[name] = folder
    return models


def stepset(out: Path, name: str, folder: Path) -> Path:
    """Return labels as a step set, which has the final answers' grades too."""
    path = out / "sets" / name
    if not (path / "stepset.json").is_file():
        (pool,) = (each.parent for each in (out / "candidates-train").glob("*/*/pool.json"))
        prm_eval("label", "convert", folder, "--pool", pool, "--to", "stepset", "-o", path)
    return path


def report(out: Path, test: Path, models: dict[str, Path]) -> None:
    """Print step AUC and first-error F1 on the labelled test solutions, and best of 16 on the test pool."""
    steps = out / "test-steps"
    if not (steps / "stepset.json").is_file():
        prm_eval("miniature", "steps", "--pool", test, "-o", steps)
    placed, chosen = [], []
    for name, folder in models.items():
        given = ["--reward-model", folder, "--recipe", folder / "recipe.yaml"]
        placed.append(out / "scores" / f"steps-{folder.name}")
        chosen.append(out / "scores" / f"pool-{folder.name}")
        prm_eval("score", steps, *given, "-o", placed[-1])
        prm_eval("score", test, *given, "-o", chosen[-1])
        print(name, "->", folder.name)
    prm_eval("evaluate", steps, *placed)
    prm_eval("evaluate", test, *chosen, "--n", "16", "--selectors", "best_of_n,majority,first")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the policy's server did not start")


if __name__ == "__main__":
    main()
