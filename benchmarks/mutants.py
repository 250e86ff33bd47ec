"""A mutation run: one small fault at a time is put into a module; tests that stay green have missed it.

    pip install mutmut==3.8.1                # makes the mutants; part of no extra
    python benchmarks/mutants.py                                            # all modules of mutants.yaml: hours
    python benchmarks/mutants.py --module selection/voting --sample 60 --seed 1
    python benchmarks/mutants.py --module selection/voting --mutant 17 --mutant 40      # some again, by number

The mutants are those of mutmut's operators. They are run here and not by ``mutmut run`` because that leaves out every
decorated function (the tables behind ``lru_cache`` hold the closed forms) and every table at module level (most checks
of rows are lambdas of one). Each mutant is a whole file in a copy of the repository, so that processes which a test
starts see it too, and a fork of this process, which has the libraries loaded but nothing of ours. Nothing in the
checkout changes.

Which tests are run for a module, and which mutants are argued to be equivalent, is in ``mutants.yaml``.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
import yaml
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

ROOT = Path(__file__).resolve().parent.parent
WARM = ("numpy", "scipy.stats", "pyarrow.parquet", "pyarrow.compute", "pytest", "hypothesis", "sympy", "yaml")
MEMORY = 12 << 30  # address space of a mutant: a number grown by mistake must not take the machine with it
BROKEN = 90  # exit status of a fork that fell out of pytest


class Visitor(MutationVisitor):
    """mutmut's mutants, those of decorated functions too, but no type alias, decorator or ``__all__``."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            return False
        if isinstance(node, cst.Assign) and (
            isinstance(node.value, cst.Subscript) or getattr(node.targets[0].target, "value", "") == "__all__"
        ):
            return True
        return super()._skip_node_and_children(node)


@dataclass(frozen=True)
class Mutant:
    """One mutant of a module: its number among all, its source and what differs."""

    number: int
    source: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What ``mutants.yaml`` says of a module."""

    name: str
    tests: list[str]
    equivalent: list[re.Pattern[str]]

    @property
    def path(self) -> Path:
        return Path("prm_eval", f"{self.name}.py")


def targets(names: list[str]) -> list[Target]:
    found = []
    for name, entry in yaml.safe_load((ROOT / "benchmarks" / "mutants.yaml").read_text("utf-8")).items():
        if not names or name in names:
            argued = [re.compile(pattern) for each in entry.get("equivalent", []) for pattern in each["lines"]]
            found.append(Target(name, entry["tests"], argued))
    if unknown := set(names) - {each.name for each in found}:
        raise SystemExit(f"no such module in mutants.yaml: {', '.join(sorted(unknown))}")
    return found


def mutants_of(source: str, numbers: list[int] | None, sample: int | None, seed: str) -> tuple[int, list[Mutant]]:
    """Return how many mutants a module has, and those to run: the given ones, a seeded sample, or all."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    total = len(visitor.mutations)
    chosen = numbers if numbers is not None else list(range(total))
    if numbers is None and sample is not None and sample < total:
        chosen = sorted(random.Random(seed).sample(chosen, sample))
    found = []
    for number in chosen:
        mutation = visitor.mutations[number]
        text = module.deep_replace(mutation.original_node, mutation.mutated_node).code
        lines = [
            line
            for line in difflib.unified_diff(source.splitlines(), text.splitlines(), n=0, lineterm="")
            if line[:1] in "+-@" and line[:3] not in ("+++", "---")
        ]
        found.append(Mutant(number, text, tuple(lines)))
    return total, found


def make_copy(folder: Path) -> None:
    """Copy the package and its tests; link everything else."""
    for entry in ROOT.iterdir():
        if entry.name in ("prm_eval", "tests"):
            shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)


def fewer_examples(most: int) -> None:
    """Lower the number of hypothesis's examples, also where a test names it; the same ones every time, none kept."""
    import hypothesis

    made = hypothesis.settings.__init__

    def make(self: hypothesis.settings, *args: object, **given: object) -> None:
        if given.get("max_examples"):
            given["max_examples"] = min(int(str(given["max_examples"])), most)
        made(self, *args, **given)  # type: ignore[arg-type]

    hypothesis.settings.__init__ = make  # type: ignore[method-assign]
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # a failing example need not be made smaller
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, phases=phases, deadline=None, max_examples=most
    )
    hypothesis.settings.load_profile("mutants")


class QuickFirst:
    """A pytest plugin: the tests that took least come first, and how long each took is kept in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.usual = json.loads(file.read_text()) if file.exists() else {}
        self.taken: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items.sort(key=lambda item: self.usual.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.taken[report.nodeid] = self.taken.get(report.nodeid, 0.0) + report.duration

    def keep(self) -> None:
        self.file.write_text(json.dumps(self.taken))


def run_tests(tree: Path, tests: list[str], *, cpu: int | None, log: Path) -> int:
    """Run tests in a fork, without a limit of CPU seconds to measure them; return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = BROKEN
    try:
        os.setsid()
        os.chdir(tree)
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        sys.path[:0] = [str(tree)]
        os.environ.update(PYTHONPATH=str(tree), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        if cpu:  # the copy's bytecode is there already; that of a mutant must never be
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        import pytest

        order = QuickFirst(tree / "durations.json")
        for each in tests:  # one at a time: who dies in the first needs no other loaded
            arguments = ["-x", "-q", f"--tb={'no' if cpu else 'short'}", "-p", "no:cacheprovider", each]
            arguments += ["--basetemp", str(tree / "tmp")]  # the usual folder is cleaned by others meanwhile
            if status := int(pytest.main(arguments, plugins=[order])):
                break
        if not cpu:
            order.keep()
        sys.stdout.flush()
    except BaseException:  # a fork must not run on as its parent
        traceback.print_exc()
    finally:
        os._exit(status)


def baseline(tree: Path, target: Target) -> float:
    """Return the CPU seconds of the tests without a mutant; they must be green."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, status = os.waitpid(run_tests(tree, target.tests, cpu=None, log=tree / "log"), 0)
    if status:
        raise SystemExit(f"{target.name}: the tests fail without a mutant\n{(tree / 'log').read_text()[-3000:]}")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime


def outcome(status: int, late: bool, log: Path) -> str:
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
        return "timed out"
    if os.waitstatus_to_exitcode(status) == BROKEN:  # of itself or of the machine: a person must look
        print(f"\na fork fell out of pytest:\n{log.read_text()[-2000:]}", file=sys.stderr)
    return "killed" if status else "survived"


def run_all(target: Target, mutants: list[Mutant], trees: list[Path]) -> Iterator[tuple[Mutant, str]]:
    """Yield the outcome of every mutant, as many at a time as there are trees."""
    usual = min(baseline(tree, target) for tree in trees)  # each copy needs its own bytecode
    limit = int(4 * usual) + 10
    print(f"{target.name}: {len(mutants)} mutants, tests take {usual:.1f} s of CPU, limit {limit} s", flush=True)
    free, waiting = list(trees), list(mutants)
    busy: dict[int, tuple[Mutant, Path, float]] = {}
    original = (ROOT / target.path).read_text("utf-8")
    looked = time.monotonic()
    while waiting or busy:
        paused, looked = time.monotonic() - looked, time.monotonic()
        if paused > 5:  # this process was stopped, and so were its forks: their time did not run
            busy = {pid: (mutant, tree, since + paused) for pid, (mutant, tree, since) in busy.items()}
        while waiting and free:
            mutant, tree = waiting.pop(0), free.pop()
            for stale in (tree / target.path.parent / "__pycache__").glob(f"{target.path.stem}.*"):
                stale.unlink()
            (tree / target.path).write_text(mutant.source, "utf-8")
            pid = run_tests(tree, target.tests, cpu=limit, log=tree / "log")
            busy[pid] = mutant, tree, time.monotonic()
        time.sleep(0.02)
        for pid, (mutant, tree, since) in list(busy.items()):
            late = time.monotonic() - since > 10 * limit  # asleep: it takes no CPU
            if late:
                os.killpg(pid, signal.SIGKILL)
            done, status = os.waitpid(pid, 0 if late else os.WNOHANG)
            if done:
                del busy[pid]
                free.append(tree)
                (tree / target.path).write_text(original, "utf-8")
                result = outcome(status, late, tree / "log")
                print(f"{mutant.number} {result}; ", end="", file=sys.stderr, flush=True)
                yield mutant, result


def limits(killed: int, run: int) -> str:
    from scipy.stats import binomtest

    found = binomtest(killed, run).proportion_ci(0.95)
    return f"{100 * found.low:.0f} to {100 * found.high:.0f} %"


def report(target: Target, total: int, found: list[tuple[Mutant, str]]) -> str:
    """Print the survivors of a module; return its line of the table."""
    counts = Counter(result for _, result in found)
    equivalent = 0
    for mutant, result in sorted(found, key=lambda each: each[0].number):
        if result == "survived":
            argued = any(pattern.search("\n".join(mutant.lines)) for pattern in target.equivalent)
            equivalent += argued
            print(f"  {target.name} mutant {mutant.number} survived" + (", argued to be equivalent" if argued else ""))
            print("".join(f"    {line}\n" for line in mutant.lines), end="")
    run, dead = len(found) - equivalent, counts["killed"] + counts["timed out"]
    score = f"{100 * dead / run:.1f} %" if run else "none"
    if run and len(found) < total:
        score += f" ({limits(dead, run)})"
    return (
        f"{target.name:42} {total:5} {len(found):5} {counts['killed']:6} {counts['timed out']:6} "
        f"{counts['survived']:8} {equivalent:6}  {score}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", default=[], help="as in mutants.yaml: selection/voting")
    parser.add_argument("--sample", type=int, help="at most so many mutants of each module, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--mutant", type=int, action="append", help="only these, by number")
    parser.add_argument("--examples", type=int, default=25, help="of a hypothesis test, at most")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", MPLBACKEND="agg")
    os.environ.setdefault("PRM_EVAL_DATA", str(ROOT.parent / "shared" / "data"))
    for name in WARM:
        importlib.import_module(name)
    fewer_examples(options.examples)
    table = [f"{'module':42} {'all':>5} {'run':>5} {'killed':>6} {'late':>6} {'survived':>8} {'argued':>6}  score"]
    for target in targets(options.module):
        source = (ROOT / target.path).read_text("utf-8")
        total, mutants = mutants_of(source, options.mutant, options.sample, f"{options.seed} {target.name}")
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            trees = [Path(folder, str(number)) for number in range(options.jobs)]
            for tree in trees:
                tree.mkdir()
                make_copy(tree)
            table.append(report(target, total, list(run_all(target, mutants, trees))))
        print(table[-1], flush=True)
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    main()
