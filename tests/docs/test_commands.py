"""Whatever a reader may copy from a document: it must be known to the real parser, be a file, or import."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

from prm_eval.cli.document import commands_of
from prm_eval.cli.parser import build_parser
from prm_eval.errors import PrmEvalError
from prm_eval.plugins import GROUPS
from tests.docs.documents import DOCS, OTHERS, ROOT, blocks, commands, inline_code, name_of, table

SHELL = [
    pytest.param(path, block.text, id=f"{name_of(path)}:{block.line}")
    for path in [*DOCS, *OTHERS[:2]]
    for block in blocks(path.read_text(encoding="utf-8"), "bash")
]
PYTHON = [
    pytest.param(block.text, id=f"{name_of(path)}:{block.line}")
    for path in DOCS
    for block in blocks(path.read_text(encoding="utf-8"), "python")
]
PARSERS = {each.name: each.parser for each in commands_of(build_parser())}
UNCHECKED = ("git", "gh", "cp")  # others' commands, which change nothing of ours


def parses(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    try:
        return parser.parse_args(words)
    except SystemExit:
        pytest.fail(f"{parser.prog} does not take: {' '.join(words)}")


def check_lm_eval(words: list[str]) -> None:
    """lm_eval's own parser takes the options, and our tasks the metadata."""
    from lm_eval._cli.harness import HarnessCLI

    from prm_eval.harness.options import read_options

    options = parses(HarnessCLI()._parser, words)
    read_options(options.metadata or {})
    known = "\n".join(each.read_text(encoding="utf-8") for each in (ROOT / "tasks").rglob("*.yaml"))
    for task in options.tasks:
        assert re.search(rf"^(task|group): {re.escape(task)}$", known, flags=re.MULTILINE), f"no task {task}"


def check_python(words: list[str]) -> None:
    if words[1] != "-m":
        assert (ROOT / words[1]).is_file(), words[1]
        return
    assert importlib.util.find_spec(words[2]), f"no module {words[2]}"
    for word in words[3:]:
        assert "/" not in word or (ROOT / word).exists(), word


def check_pip(words: list[str]) -> None:
    """Extras in brackets are those of pyproject.toml."""
    extras = re.search(r"\[project\.optional-dependencies\](.*?)\n\[", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert extras
    known = re.findall(r"^([\w-]+) = \[", extras[1], flags=re.MULTILINE)
    for named in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        assert set(named.split(",")) <= set(known), named


def check_make(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(words[1:]) <= set(targets), words


def check(words: list[str]) -> None:
    """One command as a reader would type it; what is not known here is a failure, so that nothing slips through."""
    if words[0] == "prm-eval" and words[1] == "run":
        check_lm_eval(words[1:])
    elif words[0] == "prm-eval":
        parses(build_parser(), words[1:])
    elif words[0] == "lm_eval":
        check_lm_eval(words[1:])
    elif words[0] in ("python", "pip", "make"):
        {"python": check_python, "pip": check_pip, "make": check_make}[words[0]](words)
    else:
        assert words[0] in UNCHECKED, f"no test knows this command: {' '.join(words)}"


@pytest.mark.parametrize(("path", "block"), SHELL)
def test_every_command_of_a_shell_block_parses(path: Path, block: str) -> None:
    """A renamed option, command, target or module would leave readers with a usage message."""
    for words in commands(block):
        check(words)


def test_the_readme_has_the_command_of_the_tests() -> None:
    """Continuous integration, and whoever contributes, start from it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert ["make", "test"] in [words for block in blocks(readme, "bash") for words in commands(block.text)]


def test_a_wrong_command_would_be_found() -> None:
    """The test above can fail: a flag, a command, a task, a key of metadata, a target and a module that do not
    exist."""
    for line in (
        "prm-eval score POOL --reward-models RM -o DIR",
        "prm-eval scores POOL",
        "prm-eval run --model hf --no_such_option 1 --tasks math500_bon",
        "prm-eval run --model hf --tasks math501_bon",
        "lm_eval run --model hf --tasks math500_bon --metadata n_sample=8 --output_path out",
        "make tests",
        "python -m prm_eval.cli.documents",
        "pip install 'prm_eval[rays]'",
        "true && curl http://example.org",
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception, PrmEvalError)):
            for words in commands(line):
                check(words)


@pytest.mark.parametrize("path", [*DOCS, *OTHERS], ids=name_of)
def test_commands_and_flags_named_in_sentences_exist(path: Path) -> None:
    """`prm-eval leaderboard --check` within a sentence: the command and each of its flags are the parser's."""
    for code in inline_code(path.read_text(encoding="utf-8")):
        words = code.split()
        if words[:1] != ["prm-eval"] or words[1:2] in (["run"], []) or words[1].isupper():
            continue
        name = next((" ".join(words[:k]) for k in (3, 2) if " ".join(words[:k]) in PARSERS), None)
        assert name, f"no command: {code}"
        for flag in re.findall(r"(?<=\s)--?[a-z][\w-]*", code):
            assert flag in PARSERS[name]._option_string_actions, f"{name} has no {flag}: {code}"


@pytest.mark.parametrize("path", [*DOCS, *OTHERS], ids=name_of)
def test_files_named_in_sentences_exist(path: Path) -> None:
    """A module or test that moved would still be cited at its old place."""
    for code in inline_code(path.read_text(encoding="utf-8")):
        path_like = re.fullmatch(r"(prm_eval|tests|docs|tasks|results|benchmarks|\.github)/([a-zA-Z_][\w./-]*)?", code)
        placeholder = re.search(r"/[A-Z_]+(/|$)", code)
        if path_like and not placeholder:
            assert (ROOT / code).exists(), code


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_names_in_sentences_import(path: Path) -> None:
    """`prm_eval.rewards.RenderingModel` within a sentence is an object, or a group of entry points."""
    for code in inline_code(path.read_text(encoding="utf-8")):
        found = re.fullmatch(r"(prm_eval(?:\.\w+)+)(\(.*\))?", code)
        if found and found[1] not in GROUPS.values():
            resolve(found[1])


def resolve(name: str) -> object:
    """Import as much of a dotted name as is a module, and look the rest up."""
    module, *rest = name.split(".")
    value: object = importlib.import_module(module)
    for part in rest:
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(f"{value.__name__}.{part}")  # type: ignore[attr-defined]
    return value


@pytest.mark.parametrize("code", PYTHON)
def test_python_blocks_compile_and_their_imports_resolve(code: str) -> None:
    """An example with a name that moved fails at its first line."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for each in node.names:
                importlib.import_module(each.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            for each in node.names:
                assert hasattr(importlib.import_module(node.module), each.name), f"{node.module}.{each.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "prm_eval":
            resolve(f"prm_eval.{node.attr}")


def test_the_examples_of_contributing_work() -> None:
    """The reward model, the selector and the problem set of CONTRIBUTING.md are what the rooms take."""
    import numpy as np

    from prm_eval.pools import ProblemSet
    from prm_eval.records import ScoringItem
    from prm_eval.rewards import RewardModel
    from prm_eval.selection import Slots

    names: dict[str, object] = {}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for block in blocks(text, "python"):
        exec(compile(block.text, "CONTRIBUTING.md", "exec"), names)
    model = names["Politeness"](None)  # type: ignore[operator]
    assert isinstance(model, RewardModel)
    assert model.score([ScoringItem("1+1?", "please, 2", ("please, 2",))])[0].values == (1.0,)
    numbers = np.array([1.0, 5.0, 3.0])
    slots = Slots(np.array([0, 1, 0]), numbers, numbers, numbers)
    chosen = names["MedianLength"]().choose(slots, [3], seed=0, draws=10)  # type: ignore[operator]
    assert list(chosen.probabilities[0]) == [0, 0, 1]
    made = names["sums"]("3")  # type: ignore[operator]
    assert isinstance(made, ProblemSet)
    assert [each.gold for each in made.problems] == ["0", "2", "4"]


def test_the_cases_of_contributing_and_the_calls_of_grading_are_so() -> None:
    """The lines shown as cases are true, and the comments beside the calls say what the calls return."""
    import prm_eval

    cases = [json.loads(line) for line in blocks((ROOT / "CONTRIBUTING.md").read_text(), "json")[0].text.splitlines()]
    assert prm_eval.is_equivalent(cases[0]["gold"], cases[0]["answer"]) is cases[0]["equal"]
    assert prm_eval.extract_answer(cases[1]["text"]) == cases[1]["answer"]
    (block,) = blocks((ROOT / "docs" / "grading.md").read_text(encoding="utf-8"), "python")
    checked = 0
    for line in block.text.splitlines():
        call, _, comment = line.partition("  # ")
        literal = re.match(r"\s*(True|False|\"[^\"]*\")", comment)
        if literal:
            assert eval(call, {"prm_eval": prm_eval}) == ast.literal_eval(literal[1]), line
            checked += 1
    assert checked == 2


def test_the_task_of_the_tasks_page_is_one() -> None:
    """Its keys are those of the tasks that ship, and what it includes is there."""
    (block,) = blocks((ROOT / "tasks" / "README.md").read_text(encoding="utf-8"), "yaml")
    task = yaml.safe_load(block.text)
    shipped = yaml.safe_load((ROOT / "tasks" / "math500_bon.yaml").read_text(encoding="utf-8"))
    assert task.keys() == shipped.keys() and task["metadata"].keys() == shipped["metadata"].keys()
    assert (ROOT / "tasks" / task["include"]).is_file()


def test_every_key_of_metadata_is_on_its_page() -> None:
    """A key that nobody can find out about is not used; one that is listed and unknown stops a run."""
    from prm_eval.harness.options import PLAIN_KEYS, ROLE_KEYS

    rows = table((ROOT / "docs" / "lm_eval.md").read_text(encoding="utf-8"), "key")
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[0] + row[1])}
    known = {*PLAIN_KEYS, *(key for key in ROLE_KEYS if key.startswith("prm_")), "orm_model"}
    assert known <= listed, sorted(known - listed)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert named <= {*PLAIN_KEYS, *ROLE_KEYS}, sorted(named - {*PLAIN_KEYS, *ROLE_KEYS})


def test_every_grading_option_is_on_its_page_with_its_default() -> None:
    """Whoever compares graders must find every convention, and which way it is by default."""
    from dataclasses import fields

    from prm_eval.grading.deciding.options import PRESETS, STRICT

    text = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
    listed = {row[0].strip("`").partition("=")[0]: row[2].strip("`") for row in table(text, "option")}
    defaults = {each.name: getattr(STRICT, each.name) for each in fields(STRICT)}
    shown = {name: value if isinstance(value, str) else "on" if value else "off" for name, value in defaults.items()}
    assert listed == shown
    assert all(f"`{name}`" in text for name in PRESETS)
