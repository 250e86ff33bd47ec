"""The pages of problem sets: golds that grading cannot read are all listed, and so are all tasks."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from prm_eval.cli.document import with_block
from tests.docs.documents import ROOT, table

PAGE = ROOT / "docs" / "unreadable-golds.md"


def unreadable_table(file: Path) -> str:
    """Return the golds of a file that grading cannot read as a Markdown table: set, reason, exercises."""
    from prm_eval.evaluation.set_golds import describe_set

    found: dict[tuple[str, str], list[str]] = {}
    for each in describe_set(str(file)).unread:
        source, _, name = each.problem_id.rpartition("/")
        found.setdefault((source, each.why), []).append(name.removeprefix("exercise."))
    lines = ["| set | golds | why grading cannot read them | exercises |", "|---|---|---|---|"]
    for (source, why), names in sorted(found.items(), key=lambda pair: (pair[0][0], -len(pair[1]), pair[0][1])):
        lines.append(f"| {source} | {len(names)} | {_plain(why)} | {', '.join(sorted(names, key=_numbers))} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return re.sub(r"([\\`*<|_])", r"\\\1", text)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def test_the_list_of_golds_that_cannot_be_read_is_whole(data) -> None:
    """A gold that is not listed makes right candidates wrong without a word; the expected text is printed."""
    wanted = with_block(PAGE, "golds", unreadable_table(data / "ood/ood_questions.jsonl"))
    assert PAGE.read_text(encoding="utf-8") == wanted, wanted


def test_every_task_is_on_the_page() -> None:
    """A task or group that nobody can find out about is not used."""
    text = (ROOT / "docs" / "problem-sets.md").read_text(encoding="utf-8")
    listed = {name for row in [*table(text, "task"), *table(text, "group")] for name in re.findall(r"`(\w+)`", row[0])}
    files = [*(ROOT / "tasks").glob("*_bon.yaml"), ROOT / "tasks/math/_math_bon.yaml", ROOT / "tasks/ood/_ood_bon.yaml"]
    named = [yaml.safe_load(re.sub(r"!function \S+", "x", file.read_text(encoding="utf-8"))) for file in files]
    names = {each.get("task") if isinstance(each.get("task"), str) else each["group"] for each in named}
    assert listed == names - {"miniature_bon", "problems_bon"}
