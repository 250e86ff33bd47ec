"""A PRM that reads most candidates as one step: every door that shows its numbers says so, none without cause."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.evaluation.one_step import one_step_warning
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.pools.prompts import DEFAULT_PROMPT, PROMPTS
from tests.cli.crashing import DISCLOSURE
from tests.conftest import write_jsonl

SAYS = "12 of 16 candidates (75 %) are one step to "
BY = ", which cuts them by blank_line: there a PRM is an ORM"


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """A pool of 2 problems x 8 candidates, 12 of them without a blank line, scored by a rule that cuts there, and by
    one that cuts lines."""
    folder = tmp_path_factory.mktemp("one-step")
    texts = [f"{k} + 1 = {k + 1}{gap}so \\boxed{{{k + 1}}}" for k, gap in enumerate(["\n"] * 6 + ["\n\n"] * 2)]
    samples = [{"text": text} for text in texts]
    rows = [{"id": name, "problem": f"What is {name}?", "answer": "2", "samples": samples} for name in "ab"]
    import_pool(write_jsonl(folder / "p.jsonl", rows), folder / "pool")
    for name, splitter in (("paragraphs", "blank_line"), ("lines", "line")):
        assert main(["score", str(folder / "pool"), "--reward-model", "arithmetic", "--splitter", splitter,
                     "-o", str(folder / name)]) == 0  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def _there(scored: Path, monkeypatch) -> None:
    monkeypatch.chdir(scored)


def out(capsys, *command: str) -> str:
    capsys.readouterr()
    assert main([*command]) == 0
    said = capsys.readouterr()
    return said.out + said.err


def test_score_says_it_before_and_after(capsys, tmp_path: Path) -> None:
    """Before, because hours of scoring follow; after, because the first lines have scrolled away by then; and again
    where nothing was left to score."""
    command = ["score", "pool", "--reward-model", "arithmetic", "-o", str(tmp_path / "r"), "--splitter"]
    said = out(capsys, *command, "blank_line")
    assert said.count(f"WARNING    {SAYS}arithmetic{BY}") == 2
    assert said.count("note       ") == 0  # the smaller note on the same would be a second opinion
    assert out(capsys, *command, "blank_line").count("WARNING") == 1
    command[5] = str(tmp_path / "lines")
    assert "WARNING" not in out(capsys, *command, "line")


@pytest.mark.parametrize("door", ["evaluate", "rank", "cost"])
def test_tables_and_json_say_it(capsys, door: str) -> None:
    """Of one of two reward models, by its name in the table; a script finds it in the JSON."""
    said = out(capsys, door, "pool", "paragraphs", "lines")
    assert said.count("WARNING: ") == 1
    assert f"WARNING: {SAYS}arithmetic (paragraphs){BY}" in said
    assert "WARNING" not in out(capsys, door, "pool", "lines")
    capsys.readouterr()
    assert main([door, "pool", "paragraphs", "--json"]) == 0
    captured = capsys.readouterr()
    (warning,) = json.loads(captured.out)["warnings"]
    assert warning.startswith(f"{SAYS}arithmetic{BY}")
    assert f"WARNING: {warning}" in captured.err


def test_the_page_says_it(capsys) -> None:
    """A page is what is sent to others, without the terminal's lines."""
    out(capsys, "evaluate", "pool", "paragraphs", "--html", "page.html")
    assert f"<strong>Warning:</strong> {SAYS}arithmetic{BY}" in Path("page.html").read_text()


def test_cost_and_policies_say_it_on_their_pages(capsys) -> None:
    """They show accuracies of reward models as well; of several pools it is said which one it is."""
    out(capsys, "cost", "pool", "paragraphs", "--html", "cost.html")
    assert f"<strong>Warning:</strong> {SAYS}arithmetic{BY}" in Path("cost.html").read_text()
    rows = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    rows[0]["samples"][0]["text"] += "."
    import_pool(write_jsonl(Path("q.jsonl"), rows), Path("q"))
    for pool in ("pool", "q"):
        out(capsys, "score", pool, "--reward-model", "arithmetic", "--splitter", "blank_line", "-o", f"{pool}-r")
    command = ["evaluate", "pool", "q", "--rewards", "pool-r", "q-r"]
    said = out(capsys, *command, "--html", "policies.html")
    for pool in ("pool", "q"):
        assert f"WARNING: {pool}: {SAYS}arithmetic{BY}" in said
        assert f"<strong>Warning:</strong> {pool}: {SAYS}arithmetic{BY}" in Path("policies.html").read_text()
    assert main([*command, "--json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["warnings"]) == captured.err.count("WARNING: ") == 2


def test_a_pool_says_it_of_its_own_splitter(capsys) -> None:
    """What a PRM without a splitter of its own would read."""
    Path("p1.jsonl").write_text(Path("p.jsonl").read_text())
    said = out(capsys, "pool", "import", "p1.jsonl", "-o", "cut", "--splitter", "blank_line")
    assert f"WARNING    {SAYS}a PRM{BY}" in said
    assert "WARNING" not in out(capsys, "pool", "show", "pool")


def test_a_pool_says_it_of_its_rewards(capsys) -> None:
    """Beside the rewards that it holds, and where its candidates are looked at with their rewards."""
    shutil.copytree("pool", "with")
    for name in ("paragraphs", "lines"):
        shutil.copytree(name, f"with/rewards/{name}")
    said = out(capsys, "pool", "show", "with")
    assert said.count("WARNING") == 1
    assert f"WARNING    {SAYS}paragraphs{BY}" in said
    said = out(capsys, "pool", "show", "with", "--problem", "a", "--slot", "0")
    assert said.count("WARNING") == 1
    assert f"WARNING    {SAYS}arithmetic (paragraphs){BY}" in said
    out(capsys, "pool", "show", "with", "--problem", "a", "--html", "candidates.html")
    assert f"{SAYS}arithmetic (paragraphs){BY}" in Path("candidates.html").read_text()


@pytest.mark.parametrize(("splitter", "warned"), [("blank_line", True), ("line", False)])
def test_check_and_board_say_it(capsys, splitter: str, warned: bool) -> None:
    """A suspicion, beside the row and for the submitter; never a reason to refuse."""
    Path("answers.json").write_text(json.dumps(DISCLOSURE))
    out(capsys, "pool", "register", "pool", "--id", "p", "-o", splitter)
    out(capsys, "score", f"{splitter}/pools/p", "--reward-model", "arithmetic", "--splitter", splitter,
        "--submission", "prm_eval/arithmetic", "-o", splitter)  # fmt: skip
    folder = f"{splitter}/submissions/prm_eval__arithmetic/rule-1/p"
    out(capsys, "submit-form", folder, "--answers", "answers.json")
    said = out(capsys, "check", folder)
    assert (f"[suspicious: one-step] {SAYS}it{BY}" in said) == warned
    assert ": in order" in said
    out(capsys, "leaderboard", splitter)
    assert ('"one-step"' in Path(f"{splitter}/leaderboard/leaderboard.json").read_text()) == warned
    pages = "".join(each.read_text() for each in Path(f"{splitter}/leaderboard").glob("**/*.html"))
    assert (f"{SAYS}it{BY}" in pages) == warned


@pytest.mark.parametrize(
    ("one", "of", "splitter", "prompt", "says"),
    [
        (5, 10, "blank_line", None, None),  # half is not over half
        (0, 0, "blank_line", None, None),
        (6, 10, "blank_line", None, "an ORM. Ask otherwise: --metadata prompt=boxed_paragraphs (or step_k), or cut"),
        (6, 10, "blank_line", DEFAULT_PROMPT, "The prompt boxed_lines asked for one step a line. Ask otherwise: "),
        (6, 10, None, DEFAULT_PROMPT, "asked for one step a line, and the policy does not write so. Ask otherwise: "
         "--metadata prompt=boxed_paragraphs (or step_k), or cut"),
        (6, 10, "blank_line", PROMPTS["qwen_math"], "an ORM. Ask otherwise: --metadata prompt=boxed_paragraphs"),
        (6, 10, "thought", DEFAULT_PROMPT, "asked for one step a line. Or cut otherwise: prm-eval score POOL"),
    ],
)  # fmt: skip
def test_the_words(scored: Path, one: int, of: int, splitter, prompt, says) -> None:
    """Above half and not at it; the prompt that is offered is never the one that was asked."""
    from dataclasses import replace

    info = Pool(scored / "pool").info
    source = {} if prompt is None else {"lm_eval": {"prompt": prompt.as_jinja}}
    found = one_step_warning(replace(info, source=source), splitter, one, of, "X")
    assert found is None if says is None else says in found
    given = one_step_warning(info, "given", 6, 10, "X")  # as the source cut them: there is nothing to advise
    assert given == "6 of 10 candidates (60 %) are one step to X, which cuts them by given: there a PRM is an ORM"
