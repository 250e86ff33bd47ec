"""The first page: who leads, by how much, whether to believe it, and what is not on it; nobody gains by leaving out a
pool."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prm_eval.demo import demo_file
from prm_eval.evaluation.measured import tokens_at
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.leaderboard import build
from prm_eval.leaderboard.charts import Stroke
from prm_eval.leaderboard.cost_chart import Priced, draw_costs, draw_tokens, frontier
from prm_eval.leaderboard.links import project_of
from prm_eval.leaderboard.words import percent, size
from prm_eval.pools.pool import Pool
from prm_eval.store.typed import Malformed
from prm_eval.store.typed import build as typed
from prm_eval.submissions import fill_in, register_pool
from prm_eval.submissions.form import answers_of, disclosure_fields
from prm_eval.submissions.formats import Disclosure
from prm_eval.submissions.revision import revision_name
from tests.conftest import write_jsonl
from tests.leaderboard.board import edit_json
from tests.leaderboard.leaderboards import complete, demo_results, made_up, register, submit

ABOUT = "A toy, <b>not</b> mathematics | at all."


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Two pools; ``cherry/picker`` is nearly perfect, and only on the smaller one."""
    results = demo_results(tmp_path_factory.mktemp("first") / "results")
    edit_json(results / "pools" / "demo-35x8.json", about=ABOUT)
    small = load_arrays(Pool(results / "pools" / "demo-35x4"))
    submit(results, small, "demo-35x4", made_up(small, 7, skill=9.0), name="cherry/picker", revision="c" * 40)
    big = load_arrays(Pool(results / "pools" / "demo-35x8"))
    said = complete(prm800k="yes") | {"parameters": 7_100_000_000, "date": "2026-02-28"}
    submit(results, big, "demo-35x8", made_up(big, 9, skill=9.0), name="best/one", revision="d" * 40, disclosure=said)
    weights = {"m.safetensors": "e" * 64}
    revision = revision_name({"weights_sha256": weights})
    folder = submit(results, big, "demo-35x8", made_up(big, 8), name="local/other", revision=revision)
    edit_json(folder / "submission.json", model__revision=None, model__weights_sha256=weights)
    build(results)
    return results


@pytest.fixture(scope="module")
def page(results) -> str:
    return (results / "leaderboard" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def boards(results) -> dict:
    found = json.loads((results / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    return {each["pool"]["pool_id"]: each for each in found}


def test_both_figures_stand_where_it_matters_who_is_in_the_running(results, boards) -> None:
    """A model that gives rewards to what has no answer has two figures, and half of its readers expect the other."""
    shown = []
    for row in boards["demo-35x8"]["rows"]:
        lose, compete = ([each["value"] for each in row[name].values()] for name in ("bon", "bon_competing"))
        assert len(lose) == len(compete)
        shown.append(max(abs(one - other) for one, other in zip(lose, compete, strict=True)) > 0.005)
    page = section((results / "leaderboard" / "index.html").read_text(encoding="utf-8"), "demo-35x8")
    cells = re.findall(r'<td class="[^"]*c-competing[^>]*>(.*?)</td>', page)
    assert sum(bool(words(each)) for each in cells) == sum(shown) > 0


def section(page: str, name: str) -> str:
    return page.split(f'<section data-pool="{name}"')[1].split("</section>")[0]


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def rows(text: str) -> list[str]:
    """Return the rows of a section's table, without its heads."""
    return re.findall(r"<tr.*?</tr>", text.split("</thead>")[1], re.DOTALL)


def named(text: str) -> list[str]:
    return re.findall(r'<(?:a|span) class="name"[^>]*>(?:<bdi>)?([^<]*)', text)


# --- the order of the overview ----------------------------------------------------------------------------------------


def test_a_missing_pool_is_no_merit(page, boards) -> None:
    """A model that is perfect on the one small pool it chose stood above models that are on all of them."""
    overview = section(page, "overview")
    first, second, _ = re.findall(r"<tbody.*?</tbody>", overview, re.DOTALL)
    models = [f"{row['model']}" for row in boards["demo-35x8"]["rows"]]
    assert [name for name in named(first) if name not in ("majority", "mean")] == models
    assert named(second) == ["picker"] and boards["demo-35x4"]["rows"][0]["model"] == "picker"
    assert "Not submitted to Demonstration, 35 problems × 8 ; among themselves in the order of" in words(second)


def test_a_submission_changes_the_order_of_no_others(results, tmp_path) -> None:
    """An average of ranks could be moved by filling the ranks between two rivals on one pool."""
    mine = tmp_path / "results"
    shutil.copytree(results, mine)
    shutil.rmtree(mine / "submissions" / "cherry__picker")
    build(mine)
    without = named(section((mine / "leaderboard" / "index.html").read_text(encoding="utf-8"), "overview"))
    before = named(section((results / "leaderboard" / "index.html").read_text(encoding="utf-8"), "overview"))
    assert without == [name for name in before if name != "picker"]


def test_the_headline_pool_comes_first(page, results) -> None:
    """The pool with the least to say was the first one, because of its name."""
    assert re.findall(r'<section data-pool="([^"]*)"', page) == ["overview", "demo-35x8", "demo-35x4"]
    text = (results / "leaderboard" / "leaderboard.md").read_text(encoding="utf-8")
    assert text.index("`demo-35x8`") < text.index("`demo-35x4`")


# --- what to trust ----------------------------------------------------------------------------------------------------


def test_every_row_of_every_tab_says_what_to_trust(page, boards) -> None:
    """The tab that opens had neither tiers nor doubts nor refusals."""
    doubted = {(name, row["model"]) for name, each in boards.items() for row in each["rows"] if row["suspicions"]}
    assert doubted
    for name in ("overview", "demo-35x8", "demo-35x4"):
        for row in rows(section(page, name)):
            if 'class="name" href' not in row:
                continue
            (model,) = named(row)
            assert re.search(r'class="c-tier l".*?(recomputed|spot-checked|reproduced)', row, re.DOTALL), row
            assert re.search(r'class="c-refused"[^>]*>(?:up to )?[\d<]', row), row
            flagged = any(each == model for pool, each in doubted if name in ("overview", pool))
            assert flagged == ("\u2691" in row), (name, model)
    hasty = next(row for row in rows(section(page, "overview")) if "Hasty" in row)
    assert "saw PRM800K" in hasty and ">up to 1.4<" in hasty  # 2 of 280, and of 140


def test_a_doubt_leads_to_its_words(page, results) -> None:
    for link in set(re.findall(r'class="flag warn" href="([^"#]*)#doubts"', page)):
        detail = (results / "leaderboard" / link).read_text(encoding="utf-8")
        assert re.search(r'<div id="doubts"><div class="note"', detail), link


def test_majority_and_mean_are_lines_within_the_order(page, results) -> None:
    """Below the table one had to read numbers to see which models are worth less than counting votes."""
    body = section(page, "demo-35x8").split('<tbody class="entries">')[1].split("</tbody>")[0]
    values = [float(each) for each in re.findall(r'class="c-bon" data-v="([\d.]*)"', body)]
    assert len(values) == 7 + 2 and values == sorted(values, reverse=True)
    assert {"majority", "mean"} < set(named(body))
    table = (results / "leaderboard" / "leaderboard.md").read_text(encoding="utf-8").split("**")[2]
    shares = [float(each) for each in re.findall(r"\| (?:baseline|PRM|ORM) \| . \| (\d+\.\d)", table)]
    assert len(shares) == 7 + 6 and shares[:9] == sorted(shares[:9], reverse=True)


# --- who leads --------------------------------------------------------------------------------------------------------


def test_the_verdict_is_that_of_the_numbers(page, boards) -> None:
    """Its lead is the paired difference of the second row, the other way round; "leads" needs a rank of its own."""
    for name, each in boards.items():
        top, second = each["rows"][:2]
        level = [row["model"] for row in each["rows"] if row["rank"][0] == 1]
        said = words(section(page, name).split('class="verdict">')[1].split("</div>")[0])
        lead = {key: percent(-value) for key, value in second["over_best"].items()}
        assert f"{lead['value']} points [{lead['high']} … {lead['low']}]" in said
        if len(level) == 1:
            assert said.startswith(f"{top['model']} leads with")
        else:
            assert said.startswith("No single leader: ") and all(model in said for model in level[:4])
        assert "recomputed : nobody here has run it: its name is the submitter’s word." in said
    assert re.search("Against it: .*trained on PRM800K", words(section(page, "demo-35x8")))


def test_one_clear_leader_is_said_to_lead(results, tmp_path) -> None:
    mine = tmp_path / "results"
    shutil.copytree(results, mine)
    for folder in (mine / "submissions").iterdir():
        if folder.name not in ("best__one", "someone__Longwinded"):
            shutil.rmtree(folder)
    build(mine)
    text = (mine / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert "one leads with" in words(text) and "ahead of Longwinded" in words(text)
    assert "This pool" not in text and "Nothing was submitted to this pool yet." in section(text, "demo-35x4")


def test_what_is_not_on_the_board_is_said(page, results, tmp_path) -> None:
    """A visitor took a board of rules and toys for one of published models."""
    assert "On it: 6 models of the hub at a public commit and 1 model with weights that are not on the hub." in words(
        page
    )
    mine = tmp_path / "results"
    shutil.copytree(results, mine)
    for folder in (mine / "submissions").iterdir():
        if folder.name != "local__other":
            shutil.rmtree(folder)
    build(mine)
    text = words((mine / "leaderboard" / "index.html").read_text(encoding="utf-8"))
    assert "On it: 1 model with weights that are not on the hub. Not on it yet: any published reward model" in text


def test_a_pool_says_what_it_is(page, results, boards) -> None:
    """Nothing said that "MATH in miniature" is a toy. The sentence is text: it holds no element and no table."""
    inner = section(page, "demo-35x8")
    assert '<p class="about"><bdi>A toy, &lt;b&gt;not&lt;/b&gt; mathematics | at all.</bdi></p>' in inner
    assert 'class="about"' not in section(page, "demo-35x4")
    assert boards["demo-35x8"]["pool"]["about"] == ABOUT and boards["demo-35x4"]["pool"]["about"] == ""
    text = (results / "leaderboard" / "leaderboard.md").read_text(encoding="utf-8")
    assert "A toy, &lt;b&gt;not&lt;/b&gt; mathematics \\| at all." in text
    detail = next((results / "leaderboard" / "submissions").glob("best__one*.html")).read_text(encoding="utf-8")
    assert "A toy, &lt;b&gt;not&lt;/b&gt;" in detail


def test_registering_again_keeps_the_sentence(tmp_path) -> None:
    """``make results`` registers a pool again, and nothing may change that nobody asked for."""
    results = demo_results(tmp_path / "results")
    pool = Pool(results / "pools" / "demo-35x8")
    assert register_pool(pool, results, "demo-35x8", title="T", about="A toy.").about == "A toy."
    before = (results / "pools" / "demo-35x8.json").read_bytes()
    register_pool(pool, results, "demo-35x8", title="T")
    assert (results / "pools" / "demo-35x8.json").read_bytes() == before
    assert register_pool(pool, results, "demo-35x8", about="Another.").about == "Another."


# --- the row ----------------------------------------------------------------------------------------------------------


def test_size_date_licence_and_hub_stand_in_the_row(page, results, boards) -> None:
    (row,) = [row for row in rows(section(page, "demo-35x8")) if named(row) == ["one"]]
    assert all(part in row for part in ("7.1 B", "2026-02-28", "Apache-2.0"))
    link = f"https://huggingface.co/best/one/tree/{'d' * 40}"
    assert f'<a class="out" href="{link}" rel="noopener noreferrer nofollow">' in row
    (local,) = [row for row in rows(section(page, "demo-35x8")) if named(row) == ["other"]]
    assert "huggingface" not in local
    found = {(row["org"], row["model"]): row for row in boards["demo-35x8"]["rows"]}
    best, other = found["best", "one"], found["local", "other"]
    assert (best["parameters"], best["date"], best["hub"]) == (7_100_000_000, "2026-02-28", link)
    assert (other["parameters"], other["date"], other["hub"]) == (None, None, None)
    detail = (results / "leaderboard" / best["page"]).read_text(encoding="utf-8")
    assert "7,100,000,000" in detail and "2026-02-28" in detail and f'href="{link}"' in detail


def test_the_difference_to_chance_stands_beside_that_to_majority(results, boards) -> None:
    """Best of n minus the mean, which is what a blind choice gets; below it a model is worse than not choosing."""
    with (results / "leaderboard" / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        lines = {(each["pool"], each["model"], each["revision"]): each for each in csv.DictReader(stream)}
    for name, each in boards.items():
        n = str(each["settings"]["headline_n"])
        for row in each["rows"]:
            found = row["over_mean"]
            assert found["value"] == pytest.approx(
                row["bon"][n]["value"] - each["baselines"]["first"][n]["value"], abs=2e-6
            )
            assert found["low"] <= found["value"] <= found["high"]
            line = lines[name, f"{row['org']}/{row['model']}", row["revision"]]
            assert [float(line[f"over_mean{end}"]) for end in ("", "_low", "_high")] == [
                found[key] for key in ("value", "low", "high")
            ]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [(1, "1"), (999, "999"), (1_000, "1 K"), (926_082, "926 K"), (999_499, "999 K"), (999_500, "1 M"),
     (1_540_000, "1.5 M"), (99_949_999, "99.9 M"), (99_950_000, "100 M"), (7_615_616_512, "7.6 B"),
     (72_000_000_000, "72 B"), (10**15, "1000000 B")],
)  # fmt: skip
def test_sizes_are_written_as_people_say_them(parameters, text) -> None:
    """1000 K, or 0 B, would be read as another size."""
    assert size(parameters) == text


@pytest.mark.parametrize(
    "wrong", [{"date": "28.2.2026"}, {"date": "2026-13-01"}, {"parameters": 0}, {"parameters": "7B"}]
)
def test_a_faulty_size_or_date_is_refused(wrong) -> None:
    """The board shows both; what is no date or number must not come that far."""
    assert typed(Disclosure, complete()).date is None
    with pytest.raises(Malformed):
        typed(Disclosure, complete() | wrong)


def test_the_form_takes_size_and_date_and_older_answers_stay(results, tmp_path) -> None:
    """Answers given again without the two leave the file byte for byte as it was."""
    folder = tmp_path / "one"
    shutil.copytree(next((results / "submissions").glob("lab-a__Careful-PRM-7B/*/demo-35x8")), folder)
    fill_in(folder, complete())
    before = (folder / "submission.json").read_bytes()
    assert b"parameters" not in before and b'"date"' not in before
    known = answers_of(json.loads(before)["disclosure"])
    fill_in(folder, disclosure_fields(known))
    assert (folder / "submission.json").read_bytes() == before
    fill_in(folder, disclosure_fields(known | {"parameters": "926082", "date": "2026-01-31"}))
    said = json.loads((folder / "submission.json").read_bytes())["disclosure"]
    assert (said["parameters"], said["date"]) == (926_082, "2026-01-31")
    assert answers_of(said)["parameters"] == "926082"


# --- links ------------------------------------------------------------------------------------------------------------


def test_the_page_links_to_what_a_reader_looks_for(page) -> None:
    """No link left the page: not to the paper, nor to how to submit."""
    assert '<a href="#submit" data-jump>' in page and '<h2 id="submit"' in page and "prm-eval submit-form" in page
    assert '<a class="out" href="https://arxiv.org/abs/2305.20050" rel="noopener noreferrer nofollow">' in page
    assert "Repository" not in page  # these results lie in no checkout


def test_a_board_in_a_checkout_links_to_its_documents(tmp_path) -> None:
    """A link to a file that is not there leads nowhere; the pages of the shipped board find theirs."""
    results = tmp_path / "results"
    results.mkdir()
    assert project_of(results).front == ""
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "CONTRIBUTING.md", "docs/board.md"):
        (tmp_path / name).write_text("")
    found = project_of(results)
    for link in (found.front, found.submitting, found.reading):
        assert (results / "leaderboard" / link.partition("#")[0]).resolve().is_file(), link


# --- cost against accuracy --------------------------------------------------------------------------------------------


def priced(seconds: float, value: float, name: str = "m") -> Priced:
    return Priced(name, seconds, value, max(0.0, value - 0.1), min(1.0, value + 0.1), True)


@pytest.mark.parametrize("count", range(5))
def test_the_frontier_is_what_nothing_cheaper_reaches(count) -> None:
    """By brute force: each is better than everything that costs no more, and each best value is reached."""
    pairs = list(itertools.product([1e-5, 1e-3, 2.0], [0.0, 0.5, 1.0]))
    for chosen in itertools.combinations_with_replacement(pairs, count):
        _is_the_frontier([priced(*pair) for pair in chosen])


def _is_the_frontier(points: list[Priced]) -> None:
    best = frontier(points)
    for each in best:
        assert not any(one.seconds <= each.seconds and one.value > each.value for one in points)
    assert all(one.seconds < two.seconds and one.value < two.value for one, two in itertools.pairwise(best))
    for each in points:
        assert any(one.seconds <= each.seconds and one.value >= each.value for one in best)


@pytest.mark.parametrize(
    "points",
    [
        [priced(1e-22, 0.0)],
        [priced(1.0, 0.5)] * 3,
        [priced(1e9, 1.0), priced(1e-9, 0.0)],
        [priced(10.0 ** (k % 7 - 3), k / 40, f"<b>{k}" * 20) for k in range(40)],
    ],
)
def test_the_chart_of_costs_holds_with_odd_numbers(points) -> None:
    """One submission's figures must not put another's dot, or a name, outside of the drawing."""
    drawing = ElementTree.fromstring(draw_costs(points, 0.4, "costs"))
    width, height = map(float, drawing.get("viewBox").split()[2:])
    dots = [each for each in drawing.iter() if each.tag.endswith("circle")]
    assert len(dots) == len(points)
    for each in dots:
        assert 0 <= float(each.get("cx")) <= width and 0 <= float(each.get("cy")) <= height
    for each in drawing.iter():
        if each.tag.endswith("text"):
            assert 0 <= float(each.get("x")) <= width and 0 <= float(each.get("y")) <= height + 4, each.text


def test_costs_that_nobody_measured_are_not_drawn(results, page) -> None:
    """A time of 0 has no logarithm, and a resumed run's time is not that of the whole."""
    assert draw_costs([], 0.5, "costs") == ""
    drawing = (results / "leaderboard" / "charts" / "demo-35x8.cost.svg").read_text(encoding="utf-8")
    assert drawing.count("<circle") == 7 and "on one kind of device" in page


# --- tokens against accuracy ------------------------------------------------------------------------------------------


def test_accuracy_against_tokens_where_they_are_known(tmp_path, page) -> None:
    """A pool whose candidates say their tokens has the chart; majority reads nothing, a reward model 200 and more.
    A pool that lacks one count has no such chart, nor any made-up number."""
    assert "Accuracy against tokens" not in page
    lines = [json.loads(line) for line in demo_file().read_text(encoding="utf-8").splitlines()]
    for line in lines:
        for sample in line["samples"]:
            sample["n_tokens"] = 100
    results = tmp_path / "results"
    for name, change in (("known", 100), ("unknown", None)):
        lines[0]["samples"][0]["n_tokens"] = change
        pool = import_pool(write_jsonl(tmp_path / f"{name}.jsonl", lines), results / "pools" / name).pool
        grade_pool(pool)
        register(results, pool, name, name)
        arrays = load_arrays(pool)
        assert arrays.written == (100.0 if name == "known" else None)
        submit(results, arrays, name, made_up(arrays, 3), name="lab/one")
    build(results)
    charts = results / "leaderboard" / "charts"
    drawing = ElementTree.fromstring((charts / "known.tokens.svg").read_text(encoding="utf-8"))
    dots = [float(each.get("cx")) for each in drawing.iter() if each.tag.endswith("circle")]
    assert len(dots) == 2 * 4
    assert min(dots[4:]) < min(dots[:4]), "majority is the cheaper one"
    assert not (charts / "unknown.tokens.svg").exists()
    found = (results / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert found.count("Accuracy against tokens</h3>") == 1


def test_tokens_at_every_n() -> None:
    """Unknown stays unknown, whichever of the two it is; without a reward model nothing is read."""
    assert tokens_at((1, 8), 100.0, 50.0) == (150.0, 1200.0)
    assert tokens_at((1, 8), 100.0) == (100.0, 800.0)
    assert tokens_at((1, 8), None, 50.0) is None
    assert tokens_at((1, 8), 100.0, None) is None


@pytest.mark.parametrize("xs", [(1.0, 1.0), (0.0, 5.0), (1e-9, 1e12)])
def test_the_chart_of_tokens_holds_with_odd_numbers(xs) -> None:
    """Tokens of 0 have no logarithm, and a huge count must not put another line outside of the drawing."""
    strokes = [(Stroke(name, "0", (0.2, 0.9)), xs) for name in ("<b>" * 30, "majority")]
    drawing = ElementTree.fromstring(draw_tokens(strokes, "tokens"))
    width, height = map(float, drawing.get("viewBox").split()[2:])
    for each in drawing.iter():
        if each.tag.endswith("circle"):
            assert 0 <= float(each.get("cx")) <= width and 0 <= float(each.get("cy")) <= height
        if each.tag.endswith("text"):
            assert 0 <= float(each.get("x")) <= width and 0 <= float(each.get("y")) <= height + 4
    assert draw_tokens(strokes[:1], "tokens") == ""
    assert draw_tokens([(each, (0.0, 0.0)) for each, _ in strokes], "tokens") == ""
