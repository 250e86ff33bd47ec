"""One table of columns: else a figure stands on the page and not in the CSV, under another name, or is computed
thrice."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files
from types import SimpleNamespace

import pytest

from prm_eval.leaderboard import build
from prm_eval.leaderboard.cells import Cell
from prm_eval.leaderboard.columns import COLUMNS, CSV, MARKDOWN, OVERVIEW, OVERVIEW_NAMES, PAGE
from prm_eval.leaderboard.layout import Column, InCsv, InMarkdown, OnPage, in_order
from prm_eval.leaderboard.rows import Entry
from tests.leaderboard.leaderboards import demo_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two pools with five and three submissions, and six baselines each."""
    return demo_results(tmp_path_factory.mktemp("columns") / "results")


@pytest.fixture(scope="module")
def board(results):
    return build(results).folder


class Tables(HTMLParser):
    """Reads the board's tables: the columns of every row, by their classes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "table":
            self.inside = "board" in (named.get("class") or "").split()
        elif self.inside and tag == "tr":
            self.rows.append([])
        elif self.inside and tag in ("td", "th"):
            self.rows[-1].append(named["class"].split()[0].removeprefix("c-"))


# --- made once --------------------------------------------------------------------------------------------------------


def test_each_cell_is_made_once_while_a_whole_site_is_built(results, tmp_path, monkeypatch) -> None:
    """The page, the Markdown, CSV, JSON and every page of a submission share one table; it was made three times."""
    made: Counter[tuple[str, str, str]] = Counter()
    once = Column.cell

    def counting(column, row, scene):
        name = row.slug if isinstance(row, Entry) else row.name
        made[scene.pool_id, name, column.key] += 1
        return once(column, row, scene)

    monkeypatch.setattr(Column, "cell", counting)
    built = build(results, tmp_path / "site")
    assert built.files == 8 * 2 + 2 * 3 + 4
    assert set(made.values()) == {1}
    assert len(made) == (8 + 2 * 6) * len(COLUMNS)


# --- the same in all outputs ------------------------------------------------------------------------------------------


def test_every_row_of_the_page_has_the_columns_of_the_table(board) -> None:
    """A cell too few moves all that follow it under another heading."""
    rows = Tables((board / "index.html").read_text(encoding="utf-8")).rows
    assert len(rows) == 2 + 8 + 2 * 6
    assert {tuple(row) for row in rows} == {tuple(column.key for column, _ in PAGE)}


def test_every_line_of_markdown_and_csv_has_the_columns_of_the_table(board) -> None:
    lines = (board / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 * 2 + 8 + 2 * 6
    assert {len(re.split(r"(?<!\\)\|", line)) - 2 for line in table} == {len(MARKDOWN)}
    with (board / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head == [field for _, form in CSV for field in form.fields] and len(rows) == 8 + 2 * 6
    assert {len(row) for row in rows} == {len(head)}


def test_every_row_of_json_has_the_fields_of_the_table(board) -> None:
    fields = {column.json for column in COLUMNS if column.json}
    boards = json.loads((board / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    assert all(set(row) == fields for each in boards for row in each["rows"])


def test_a_new_column_needs_no_other_module(results, tmp_path, monkeypatch) -> None:
    """A column that only the table knows of stands in all four outputs, with its heading, meaning and place."""
    new = Column(
        "length",
        lambda row, scene: Cell("seven <b>", sort="7.000000", foreign=True, csv=(7.5,), json={"seven": 7}),
        heading="Length@{n}",
        meaning="A length at {n}",
        page=OnPage(menu="The length", after="rank"),
        markdown=InMarkdown(after="rank"),
        csv=InCsv(("length",), after="rank"),
        json="length",
    )
    columns = (*COLUMNS, new)
    for name, form in (("PAGE", "page"), ("MARKDOWN", "markdown"), ("CSV", "csv")):
        ordered = in_order(columns, lambda column, form=form: getattr(column, form))
        for module in ("pages", "exports"):
            monkeypatch.setattr(f"prm_eval.leaderboard.{module}.{name}", ordered, raising=False)
    for module in ("table", "exports"):
        monkeypatch.setattr(f"prm_eval.leaderboard.{module}.COLUMNS", columns)
    folder = build(results, tmp_path / "site").folder
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert 'title="A length at 2">Length@2</button>' in page
    assert page.count('<td class="c-length" data-v="7.000000" data-l="Length@2"><bdi>seven &lt;b&gt;</bdi></td>') == 8
    rows = Tables(page).rows
    assert all(row[row.index("rank") + 1] == "length" for row in rows)
    markdown = (folder / "leaderboard.md").read_text(encoding="utf-8")
    assert "| rank | length@2 | model |" in markdown and markdown.count("| seven &lt;b&gt; |") == 8
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        assert Counter(row["length"] for row in csv.DictReader(stream)) == {"7.5": 8, "": 12}
    boards = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    assert all(row["length"] == {"seven": 7} for each in boards for row in each["rows"])


def test_no_output_names_a_column_of_its_own() -> None:
    """A heading written in a template or an exporter is one that the next change of the table forgets."""
    folder = files("prm_eval.leaderboard")
    sources = {
        name: (folder / name).read_text(encoding="utf-8") for name in ("templates/index.html", "exports.py", "pages.py")
    }
    classes = {f"c-{column.key}" for column in COLUMNS}
    fields = {name for column in COLUMNS for name in (column.json, *(column.csv.fields if column.csv else ()))}
    told = {column.meaning for column in COLUMNS if column.meaning} | {
        column.page.menu for column in COLUMNS if column.page
    }
    named = classes | {name for name in fields | told if "_" in name or " " in name} | {"bon@", "wmaj@"}
    for name, source in sources.items():
        assert not [each for each in sorted(named) if each in source], name


# --- the table itself -------------------------------------------------------------------------------------------------


def test_keys_and_fields_are_told_apart() -> None:
    """Two columns of one key overwrite each other's cells, two fields of one name each other's values."""
    for names in (
        [column.key for column in COLUMNS],
        [column.json for column in COLUMNS if column.json],
        [field for _, form in CSV for field in form.fields],
    ):
        assert len(names) == len(set(names))


def test_columns_for_readers_have_a_heading() -> None:
    """The page's header cells are the buttons that sort: an empty one cannot be read out."""
    for column, form in (*PAGE, *MARKDOWN):
        assert column.heading or (isinstance(form, InMarkdown) and form.heading), column.key
    assert {each.key for each in (*OVERVIEW, *OVERVIEW_NAMES)} <= {column.key for column, _ in PAGE}


def test_columns_stand_as_in_the_table_or_after_another() -> None:
    def column(key: str, after: str = "", there: bool = True) -> Column:
        return Column(key, lambda row, scene: Cell(), page=OnPage(after=after) if there else None)

    columns = (column("b", after="d"), column("a"), column("x", there=False), column("c", after="b"), column("d"))
    assert [each.key for each, _ in in_order(columns, lambda each: each.page)] == ["a", "d", "b", "c"]
    with pytest.raises(ValueError, match=r"'e' is to follow 'x'; expected one of \['a'\]"):
        in_order((column("a"), column("x", there=False), column("e", after="x")), lambda each: each.page)


# --- single columns ---------------------------------------------------------------------------------------------------


def test_the_refused_share_is_the_same_in_all_outputs(board) -> None:
    """Refused candidates lose every comparison: a reader must see how many of them stand behind a low accuracy."""
    boards = json.loads((board / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    rows = {(each["pool"]["pool_id"], row["model"]): row for each in boards for row in each["rows"]}
    assert rows["demo-35x8", "Hasty-PRM-1.5B"]["refused_share"] == round(2 / 280, 6)
    assert rows["demo-35x8", "Careful-PRM-7B"]["refused_share"] == 0.0
    with (board / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        found = {(row["pool"], row["model"]): row["refused_share"] for row in csv.DictReader(stream)}
    assert found["demo-35x8", "lab-b/Hasty-PRM-1.5B"] == "0.007143" and found["demo-35x8", "first"] == ""
    page = (board / "index.html").read_text(encoding="utf-8")
    assert '<td class="c-refused" data-v="0.007143" title="2 of 280 candidates" data-l="Refused %">0.7</td>' in page
    assert page.count('<td class="c-refused" data-v="0.000000"') == 6
    markdown = (board / "leaderboard.md").read_text(encoding="utf-8")
    assert "| gap | refused % | no answer competes | trained on |" in markdown
    assert re.search(r" % \| 0\.7 \| [0-9.]* ?\| PRM800K \|", markdown)


@pytest.mark.parametrize(
    ("count", "of", "text"), [(0, 100, "0"), (1, 22_400, "< 0.1"), (1, 1_000, "0.1"), (7, 8, "87.5"), (8, 8, "100.0")]
)
def test_few_refused_are_not_called_none(count, of, text) -> None:
    column = next(column for column in COLUMNS if column.key == "refused")
    measured = SimpleNamespace(refusals={"over-length": count}, candidates=of)
    assert column.entry(SimpleNamespace(measured=measured), None).text == text
