"""How the house is kept: size, functions, docstrings, lines, tests of this repository, beside the figures of version 0.1.0.

python benchmarks/house.py [--root FOLDER] [--json]

One pass over the syntax trees of the package. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import math
import statistics
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "prm_eval"
LONG_LINE = 120
LONG_FUNCTION = 40
CASES = ("tests/grading/cases",)  # tables of pairs and texts, a case a line: data, as wide as a case is

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file of the package: its text, its syntax tree, and its functions with whether each is public."""

    path: Path
    text: str
    tree: ast.Module
    functions: tuple[tuple[Function, bool], ...]

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass(frozen=True)
class Row:
    """One line of the table; ``met`` is None where there is no bar."""

    name: str
    before: str
    now: str
    bar: str = ""
    met: bool | None = None


def functions(tree: ast.AST, public: bool = True) -> Iterator[tuple[Function, bool]]:
    """Yield every function and whether it is public: no underscore in its name or in those of its classes, and in no function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node, public and not node.name.startswith("_")
            yield from functions(node, False)
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, public and not node.name.startswith("_"))
        else:
            yield from functions(node, public)


def read_modules(folder: Path) -> list[Module]:
    modules = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        modules.append(Module(path, text, tree, tuple(functions(tree))))
    return modules


def comments_and_code(module: Module) -> tuple[int, int]:
    """Return the comments of a module, and its lines that are neither blank nor a comment alone (docstrings count)."""
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    comments = sum(token.type == tokenize.COMMENT for token in tokens)
    code = sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in module.lines)
    return comments, code


def broad_excepts(tree: ast.AST) -> int:
    """Count the handlers of ``except Exception`` and of a bare ``except`` in which nothing is raised."""

    def is_broad(kind: ast.expr | None) -> bool:
        return kind is None or (isinstance(kind, ast.Name) and kind.id == "Exception")

    return sum(
        isinstance(node, ast.ExceptHandler)
        and is_broad(node.type)
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        for node in ast.walk(tree)
    )


def prints(tree: ast.AST) -> int:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(isinstance(called, ast.Name) and called.id == "print" for called in calls)


def percentile(values: Sequence[int], share: float) -> int:
    """Return the smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def count_lines(paths: Iterator[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def is_case(path: Path, root: Path) -> bool:
    return path.relative_to(root).as_posix().startswith(CASES)


def long_lines(root: Path) -> list[str]:
    """Return FILE:LINE of every line of code, tests and benchmarks above the limit; case tables and data are exempt."""
    places = []
    for folder in (PACKAGE, "tests", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            if not is_case(path, root):
                lines = path.read_text(encoding="utf-8").splitlines()
                places += [
                    f"{path.relative_to(root)}:{number}"
                    for number, line in enumerate(lines, 1)
                    if len(line) > LONG_LINE
                ]
    return places


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def size_rows(modules: list[Module]) -> list[Row]:
    sizes = [len(module.lines) for module in modules]
    # from ``def`` to the last line, docstring included
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for module in modules for node, _ in module.functions]
    above = sum(length > LONG_FUNCTION for length in lengths)
    return [
        Row("lines (files)", "28.0 k (179)", f"{sum(sizes) / 1000:.1f} k ({len(sizes)})"),
        Row("median / largest module", "135 / 397", f"{statistics.median(sizes):.0f} / {max(sizes)}"),
        Row("median / p90 function", "8 / 23", f"{statistics.median(lengths):.0f} / {percentile(lengths, 0.9)}"),
        Row("longest function", "81", f"{max(lengths)}"),
        Row(f"functions above {LONG_FUNCTION} lines", "1.8 %", f"{100 * above / len(lengths):.1f} %"),
    ]


def word_rows(modules: list[Module]) -> list[Row]:
    every = [node for module in modules for node, _ in module.functions]
    public = [node for module in modules for node, is_public in module.functions if is_public]
    described = [sum(ast.get_docstring(node) is not None for node in some) for some in (every, public)]
    annotated = sum(node.returns is not None for node in every)
    with_words = sum(ast.get_docstring(module.tree) is not None for module in modules)
    counts = [comments_and_code(module) for module in modules]
    lines = sum(len(module.lines) for module in modules)
    broad = sum(broad_excepts(module.tree) for module in modules)
    printed = sum(prints(module.tree) for module in modules)
    comments = 100 * sum(comments for comments, _ in counts) / sum(code for _, code in counts)
    return [
        Row("return types annotated", "100 %", share(annotated, len(every))),
        Row("docstrings, all functions", "65 %", share(described[0], len(every))),
        Row("docstrings, public functions", "100 % of 771", f"{share(described[1], len(public))} of {len(public)}"),
        Row("module docstrings", "179 of 179", f"{with_words} of {len(modules)}"),
        Row("comments per 100 code lines", "1.9", f"{comments:.1f}"),
        Row("broad excepts without a raise, per 1,000", "0.21 (6)", f"{1000 * broad / lines:.2f} ({broad})"),
        Row("print per 1,000", "2.4", f"{1000 * printed / lines:.1f}"),
    ]


def bar_rows(root: Path, modules: list[Module]) -> list[Row]:
    lines = [line for module in modules for line in module.lines]
    above = sum(len(line) > LONG_LINE for line in lines)
    too_long = long_lines(root)
    tests = [path for path in sorted((root / "tests").rglob("*.py")) if not is_case(path, root)]
    cases = [path for folder in CASES for path in sorted((root / folder).rglob("*")) if path.is_file()]
    test_lines, case_lines = count_lines(iter(tests)), count_lines(iter(cases))
    ratio = test_lines / len(lines)
    readme = (root / "README.md").stat().st_size
    top = [path for path in (root / PACKAGE).iterdir() if path.is_file()]
    return [
        Row("longest line", "358", f"{max(map(len, lines))}"),
        Row(f"lines above {LONG_LINE} characters, per 1,000", "20", f"{1000 * above / len(lines):.1f}"),
        Row(f"  the same in package, tests, benchmarks{first_of(too_long)}", "", f"{len(too_long)}", "0", not too_long),
        Row("test lines (.py of tests/) : code lines", "0.42", f"{ratio:.2f} ({test_lines:,})", ">= 0.6", ratio >= 0.6),
        Row(
            "  and with the lines of case tables",
            "0.54 (3,389)",
            f"{(test_lines + case_lines) / len(lines):.2f} ({case_lines:,})",
        ),
        Row("README, bytes", "32,121", f"{readme:,}", "< 9,000", readme < 9_000),
        Row(f"files at the top of {PACKAGE}/", "32", f"{len(top)}", "<= 8", len(top) <= 8),
    ]


def first_of(places: list[str]) -> str:
    return f" ({places[0]}, ...)" if places else ""


def measure(root: Path) -> list[Row]:
    """Return the table of a checkout."""
    modules = read_modules(root / PACKAGE)
    return [*size_rows(modules), *word_rows(modules), *bar_rows(root, modules)]


def table(rows: list[Row]) -> str:
    marks = {None: "", True: "met", False: "MISSED"}
    cells = [("", "0.1.0", "now", "bar", "")] + [
        (row.name, row.before, row.now, row.bar, marks[row.met]) for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure (default: this one)")
    parser.add_argument("--json", action="store_true", help="print one object a row instead of a table")
    asked = parser.parse_args(arguments)
    rows = measure(asked.root)
    print("\n".join(json.dumps(vars(row)) for row in rows) if asked.json else table(rows))
    missed = [row.name.strip() for row in rows if row.met is False]
    if missed:
        print(f"missed: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
