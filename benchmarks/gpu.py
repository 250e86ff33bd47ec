"""What only a GPU can say: speed, memory, differences between batchings, room for two models, training, the demo.

A random Qwen2 of the shape of Qwen2.5-Math-PRM-7B in bfloat16 (no weights are fetched), candidates of random ids: 200
of a common prompt and about 500 of their own. Each part (gpu_parts.py) is a process of its own with a time limit; one
that fails says why and the others go on. It prints Markdown for benchmarks/README.md. Exit status: 0 if every part ran
whole, 1 if not::

    python benchmarks/gpu.py                               # all parts: under ten minutes on an H100 or H200
    python benchmarks/gpu.py speed batchings --out FILE    # some
    python benchmarks/gpu.py --tiny --device cpu           # does the script itself work: sizes that say nothing

It runs from a copy of the repository; prm_eval need not be installed, except for ``policy`` and ``demo``, which find
their reward models among what is installed (``pip install --no-deps --no-build-isolation .`` needs no network) and need
lm_eval. Where that is missing they say so.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gpu_parts import PARTS, TINY, Emit, Machine, Row, Sizes, last_line

ROOT = Path(__file__).resolve().parents[1]
# for this process and the commands it runs, where prm_eval is not installed
sys.path.insert(1, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# dense bfloat16 of the SXM cards, from their data sheets (TFLOP/s)
PEAK = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
# seconds; nine minutes in all
LIMITS = {
    "speed": 200, "batchings": 60, "dtypes": 30, "offload": 60, "lora": 80, "miniature": 40, "policy": 50, "demo": 60,
}  # fmt: skip
WITH_LM_EVAL = ("policy", "demo")
NEEDS_LM_EVAL = "needs lm_eval, which is not installed here: pip install 'lm_eval[hf]', or carry its wheels"


# --- one process a part ---------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a part gave: its rows, why it did not run whole (or empty), and its seconds."""

    rows: list[Row]
    why: str
    seconds: float


def measure(name: str, machine: Machine, limit: float, *, verbose: bool = False) -> Outcome:
    """Run a part in a process of its own, which is forked after the imports, within its time limit."""
    if name in WITH_LM_EVAL and importlib.util.find_spec("lm_eval") is None:
        return Outcome([], NEEDS_LM_EVAL, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        rows, said = Path(folder) / "rows.jsonl", Path(folder) / "stderr"
        rows.touch()
        process = multiprocessing.get_context("fork").Process(target=_part, args=(name, machine, rows, said))
        began, why = time.monotonic(), ""
        process.start()
        try:
            process.join(limit)
        finally:
            if process.is_alive():
                why = f"stopped at its limit of {limit:g} s; the rows above were measured before"
                # with the commands that it runs; it has its group by now, unless the limit is nothing
                os.killpg(process.pid or 0, signal.SIGKILL)
                process.join()
        if process.exitcode and not why:
            why = f"failed: {last_line(said.read_text(errors='replace'))}"
        if (verbose or why) and said.exists():
            sys.stderr.write(said.read_text(errors="replace"))
        found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
        return Outcome(found, why, time.monotonic() - began)


def _part(name: str, machine: Machine, rows: Path, said: Path) -> None:
    """Measure one part; each row is a line of JSON as soon as it is known."""
    os.setsid()
    with said.open("w") as errors, rows.open("a", encoding="utf-8") as file:
        os.dup2(errors.fileno(), 2)

        def emit(**row: str) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        {**PARTS, "about": about}[name](machine, emit)


def about(machine: Machine, emit: Emit) -> None:
    """The device's name and the versions."""
    import torch

    from prm_eval.rewards.engine.machine import device_name

    torch.zeros(1, device=machine.device)
    others = ", ".join(f"{each} {_version(each)}" for each in ("transformers", "peft", "lm_eval"))
    python = f"Python {platform.python_version()}, torch {torch.__version__}"
    emit(device=device_name(machine.device), versions=f"{python}, CUDA {torch.version.cuda or 'none'}, {others}")


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
    options = parser.parse_args()
    unknown = [each for each in options.parts if each not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    # once for all parts, which are forked; nothing here may touch the GPU, or they could not
    importlib.import_module("transformers.models.qwen2.modeling_qwen2")
    importlib.import_module("scoring")
    sizes = TINY if options.tiny else Sizes()
    known = measure("about", Machine(options.device, sizes, None), LIMITS["dtypes"])
    if known.why:
        parser.error(f"--device {options.device}: {known.why}")
    device, versions = known.rows[0]["device"], known.rows[0]["versions"]
    peak = options.peak_tflops or next((each for name, each in PEAK.items() if name in device), None)
    machine = Machine(options.device, sizes, peak)
    began, failed = time.monotonic(), []
    with written_too(options.out) as say:
        say(f"{device}, {versions}{' (tiny sizes: the figures mean nothing)' if options.tiny else ''}")
        for part in options.parts or list(PARTS):
            found = measure(part, machine, options.limit or LIMITS[part], verbose=options.verbose)
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
