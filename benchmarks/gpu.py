"""What only a GPU can say: speed, memory, differences between batchings, room for two models, training, the demo.

A random Qwen2 of the shape of Qwen2.5-Math-PRM-7B in bfloat16 (no weights are fetched), candidates of random ids: 200
of a common prompt and about 500 of their own. Each part (gpu_parts.py) is a process of its own with a time limit; one
that fails says why and the others go on. It prints Markdown for benchmarks/README.md. Exit status: 0 if every part ran
whole, 1 if not::

    python benchmarks/gpu.py                               # all parts: under ten minutes on an H100 or H200
    python benchmarks/gpu.py speed batchings --out FILE    # some
    python benchmarks/gpu.py --tiny --device cpu           # does the script itself work: sizes that say nothing

On a machine without prm_eval run it from the repository; ``pip install --no-deps --no-build-isolation .`` (which the
demo and the miniature need, since reward models are found by what is installed) needs nothing from a network. Parts
``demo`` and ``policy`` need lm_eval and say so where it is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpu_parts import PARTS, TINY, Machine, Row, Sizes, last_line

ROOT = Path(__file__).resolve().parents[1]
# dense bfloat16 of the SXM cards, from their data sheets (TFLOP/s)
PEAK = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
# seconds; nine minutes in all
LIMITS = {
    "speed": 200, "batchings": 60, "dtypes": 30, "offload": 60, "lora": 80, "miniature": 40, "policy": 50, "demo": 60,
}  # fmt: skip
WITH_LM_EVAL = ("policy", "demo")
NEEDS_LM_EVAL = "needs lm_eval, which is not installed here: pip install 'lm_eval[hf]', or carry its wheels"


# --- one process a part ---------------------------------------------------------------------------------------------


def child(options: argparse.Namespace) -> None:
    """Measure one part; each row is a line of JSON as soon as it is known."""
    sys.path[:0] = [str(ROOT)]
    machine = Machine(options.device, TINY if options.tiny else Sizes(), options.peak_tflops)
    with Path(options.rows).open("a", encoding="utf-8") as file:

        def emit(**row: str) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        PARTS[options.child](machine, emit)


@dataclass
class Outcome:
    """What a part gave: its rows, why it did not run whole (or empty), and its seconds."""

    rows: list[Row]
    why: str
    seconds: float


def measure(name: str, options: argparse.Namespace, peak: float | None) -> Outcome:
    """Run a part in a process of its own, within its time limit."""
    if name in WITH_LM_EVAL and importlib.util.find_spec("lm_eval") is None:
        return Outcome([], NEEDS_LM_EVAL, 0.0)
    limit = options.limit or LIMITS[name]
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        command = [sys.executable, str(Path(__file__).resolve()), "--child", name, "--rows", str(rows)]
        command += ["--device", options.device, *(["--tiny"] if options.tiny else [])]
        command += ["--peak-tflops", str(peak)] if peak is not None else []
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        began, why = time.monotonic(), ""
        environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
        try:
            done = subprocess.run(
                command, env=environment, timeout=limit, check=False, text=True, stderr=subprocess.PIPE
            )
            if done.returncode:
                why = f"failed: {last_line(done.stderr)}"
            if options.verbose or done.returncode:
                sys.stderr.write(done.stderr)
        except subprocess.TimeoutExpired:
            why = f"stopped at its limit of {limit:g} s; the rows above were measured before"
        found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()] if rows.exists() else []
        return Outcome(found, why, time.monotonic() - began)


def about(device: str) -> tuple[str, str]:
    """Return the device's name, and one line of versions; asked in a process of its own."""
    code = (
        "import sys; from prm_eval.rewards.engine.machine import device_name; import torch; "
        "print(device_name(sys.argv[1])); print(torch.__version__, torch.version.cuda or 'no CUDA')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, device], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{device} cannot be used: {last_line(done.stderr)}")
    name, torch_version = done.stdout.splitlines()[-2:]
    others = ", ".join(f"{each} {_version(each)}" for each in ("transformers", "peft", "lm_eval"))
    return name, f"Python {platform.python_version()}, torch {torch_version}, {others}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table, with a column for each name in any row."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(row.get(name, "").replace("|", "/") for name in names) + " |"


@contextmanager
def written_too(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Give a function that prints a line, and writes it into a file if one is named."""
    if path is None:
        yield lambda line: print(line, flush=True)
        return
    with path.open("w", encoding="utf-8") as file:

        def say(line: str) -> None:
            print(line, flush=True)
            file.write(line + "\n")
            file.flush()

        yield say


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="sizes that say nothing but whether it runs")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="for each part, in place of its own")
    parser.add_argument("--peak-tflops", type=float, help="of the device in dense bfloat16 (known: H100, H200, A100)")
    parser.add_argument("--out", type=Path, help="also write the tables to a file")
    parser.add_argument("--verbose", action="store_true", help="show what parts write to standard error")
    parser.add_argument("--child", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--rows", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return 0
    unknown = [each for each in options.parts if each not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    name, versions = about(options.device)
    peak = options.peak_tflops or next((each for known, each in PEAK.items() if known in name), None)
    began, failed = time.monotonic(), []
    with written_too(options.out) as say:
        say(f"{name}, {versions}{' (tiny sizes: the figures mean nothing)' if options.tiny else ''}")
        for part in options.parts or list(PARTS):
            found = measure(part, options, peak)
            say(f"\n**{part}** ({found.seconds:.0f} s): {(PARTS[part].__doc__ or '').splitlines()[0]}\n")
            for line in table(found.rows) if found.rows else ():
                say(line)
            if found.why:
                failed.append(part)
                say(f"\n{part} did not run whole: {found.why}")
        whole = f"not whole: {', '.join(failed)}" if failed else "every part ran whole"
        say(f"\n{time.monotonic() - began:.0f} s in all; {whole}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
