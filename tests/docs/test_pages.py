"""The pages as such: generated parts are fresh, links lead somewhere, lines and words are those of the house."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prm_eval.cli.document import board_head, command_line, documents, main, with_block
from prm_eval.cli.parser import build_parser
from prm_eval.errors import DataError
from tests.docs.documents import DOCS, OTHERS, ROOT, links, name_of, prose, slugs, table, without_generated

WORDS = ("scorer", "completion", "generations", "generator", "annotation", "badge")
"""Words of the third column of design.md's table that have no other honest use in a document."""


# --- generated parts -----------------------------------------------------------------------------------------------


def test_generated_parts_are_fresh() -> None:
    """The command line, the recipes, the board and its head are what the code and the results say now."""
    stale = [name_of(path) for path, text in documents(ROOT).items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"run: make documents (or python -m prm_eval.cli.document); stale: {stale}"


def test_the_generator_writes_checks_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--check writes nothing and fails where a part is stale; without it the part is written; a page without markers is
    named."""
    pages = ("command-line", "reward-models", "numbers", "lm_eval", "board", "problem-sets")
    for name in (*(f"docs/{page}.md" for page in pages), "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert main([str(tmp_path)]) == 1
    assert "leaderboard.md: found No such file" in capsys.readouterr().err
    board = tmp_path / "results" / "leaderboard" / "leaderboard.md"
    board.parent.mkdir(parents=True)
    board.write_text("**Mine** (`mine`): 1 problem\n\n| rank | a |\n|---|---|\n| 1 | x |\n", encoding="utf-8")
    readme = (tmp_path / "README.md").read_bytes()
    assert main([str(tmp_path), "--check"]) == 1
    assert "stale: README.md" in capsys.readouterr().out
    assert (tmp_path / "README.md").read_bytes() == readme
    assert main([str(tmp_path)]) == 0
    assert "| 1 | x |" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "README.md").write_text("no markers", encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    assert "README.md: found 0 <!-- board-head:begin -->" in capsys.readouterr().err


def test_a_block_replaces_what_stands_between_its_markers_and_nothing_else(tmp_path: Path) -> None:
    """A greedy replacement would eat the page up to another block's end."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n", encoding="utf-8")
    made = with_block(page, "x", "new\n")
    assert made == "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n<!-- y:begin -->\n<!-- y:end -->\n"
    page.write_text(made + made, encoding="utf-8")
    with pytest.raises(DataError, match="found 2 <!-- x:begin"):
        with_block(page, "x", "new\n")


def test_the_head_of_the_board_has_ranked_rows_only() -> None:
    """Two rows a pool, in the board's order, without baselines; a stranger's name with a bar stays one cell."""
    heads = "| rank | model | c | d | e | f | g |\n|---|---|---|---|---|---|---|\n"
    rows = "".join(f"| {k} | a\\|{k} | c | d | e | f | g |\n" for k in range(1, 6))
    baseline = "|  | *mean* | c | d | e | f | g |\n"
    board = f"**One** (`one`)\n\n{heads}{rows}{baseline}\n**Two** (`two`)\n\nnot at hand\n\nRank: ...\n"
    head = board_head(board).splitlines()
    assert head[2:6] == ["| rank | model | c | d | e | f |", "|---|---|---|---|---|---|"] + [
        f"| {k} | a\\|{k} | c | d | e | f |" for k in (1, 2)
    ]
    assert head[6:] == ["", "**Two** (`two`)", ""]


def test_the_page_of_commands_names_every_argument_and_no_hidden_one() -> None:
    """An option that is not on the page is one that nobody finds; a hidden alias is not to be learnt."""
    import argparse

    parser = argparse.ArgumentParser(prog="tool", description="What it does.")
    inner = parser.add_subparsers().add_parser(
        "go", help="go | stop", description="Go.", epilog="example: tool go X --how fast"
    )
    inner.add_argument("place", nargs="+", help="where")
    inner.add_argument("-n", "--number", type=int, default=3, help="how often (default: %(default)s)")
    inner.add_argument("--how", choices=("fast", "slow"), required=True, help="in which way")
    inner.add_argument("--old", help=argparse.SUPPRESS)
    page = command_line(parser)
    assert "| [`tool go`](#tool-go) | go \\| stop |" in page
    assert "```text\ntool go PLACE [PLACE ...] --how {fast,slow} [OPTIONS]\n```" in page
    assert "| `-n, --number NUMBER` | how often (default: 3) |" in page
    assert "| `--how {fast,slow}` | required: in which way |" in page
    assert "```bash\ntool go X --how fast\n```" in page
    assert "--old" not in page and "--help" not in page
    real = command_line(build_parser())
    assert {"prm-eval score", "prm-eval pool import"} <= set(re.findall(r"^#+ (.+)$", real, flags=re.MULTILINE))


# --- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*DOCS, *OTHERS], ids=name_of)
def test_links_and_anchors_resolve(path: Path) -> None:
    """A link to a page or heading that is not there sends a reader nowhere."""
    for target in links(path.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in slugs(there.read_text(encoding="utf-8")), target


def test_pages_that_code_and_settings_cite_are_there() -> None:
    """A docstring or message that cites a page, or a section of the design, must lead to it."""
    cited: set[str] = set()
    for path in [*(ROOT / "prm_eval").rglob("*.py"), ROOT / "pyproject.toml", ROOT / "Makefile"]:
        text = path.read_text(encoding="utf-8")
        cited |= set(re.findall(r"docs/[\w.-]+\.md", text))
        for section in re.findall(r"design\.md section (\d)", text, flags=re.IGNORECASE):
            assert section in "123456", f"{path}: section {section}"
    assert cited, "the import contract cites the design"
    assert not [name for name in cited if not (ROOT / name).is_file()]


def test_every_page_can_be_reached_from_the_readme() -> None:
    """A page that nothing links to is not read."""
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            targets = (target.partition("#")[0] for target in links(page.read_text(encoding="utf-8")))
            found = ((page.parent / target).resolve() for target in targets if target.endswith(".md"))
            todo += [each for each in found if each.is_file()]
    assert {*DOCS, *OTHERS} <= seen, [name_of(each) for each in {*DOCS, *OTHERS} - seen]


# --- lines and words -----------------------------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    """Who looks at the project for the first time reads one screen or two."""
    assert len((ROOT / "README.md").read_bytes()) <= 9_000


@pytest.mark.parametrize("path", [*DOCS, *OTHERS[:2]], ids=name_of)
def test_no_line_is_wider_than_120_columns(path: Path) -> None:
    """Tables, generated parts, and output shown as it was printed are exempt."""
    printed = False
    for number, line in enumerate(without_generated(path.read_text(encoding="utf-8")).splitlines(), 1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence:
            printed = not printed and fence[1] in ("", "text")
        assert printed or line.startswith("|") or len(line) <= 120, f"line {number}: {len(line)} columns"


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_words_that_we_do_not_use(path: Path) -> None:
    """One word, one thing: what design.md says is not said here is not said elsewhere either."""
    text = path.read_text(encoding="utf-8")
    if path.name == "design.md":
        avoided = " ".join(row[2] for row in table(text, "we say"))
        assert all(word in avoided for word in WORDS), "the words of this test are those of the table"
        text = re.sub(r"^\| we say \|.*?\n\n", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(rf"\b(?:{'|'.join(WORDS)})s?\b", prose(text), flags=re.IGNORECASE)
    assert not found, found


@pytest.mark.parametrize("path", [*DOCS, *OTHERS], ids=name_of)
def test_no_absolute_paths(path: Path) -> None:
    """A path of one machine means nothing on another: only public things and files of the repository are cited."""
    assert not re.search(r"(?<![\w.])/(?:home|opt|root|tmp|usr|var|work)/", path.read_text(encoding="utf-8"))
