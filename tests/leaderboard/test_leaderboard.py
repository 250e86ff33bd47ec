"""The board: same bytes again, stale when anything changes, the numbers of evaluate, pages that say what they must."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.measured import board_settings
from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard import build, stale
from prm_eval.leaderboard.charts import Stroke, draw_curves, limits, ticks
from prm_eval.leaderboard.exports import BEGIN, END
from prm_eval.leaderboard.words import fixed, percent, points, rounded, slug, span
from prm_eval.pools.pool import Pool
from prm_eval.store.jsonl import file_sha256
from prm_eval.submissions import detection_probability
from prm_eval.submissions.trust import tolerance_between
from tests.conftest import ROOT
from tests.leaderboard.board import edit_json, make_results
from tests.leaderboard.leaderboards import demo_results
from tests.leaderboard.reading import OUTSIDE, Page


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = demo_results(tmp_path_factory.mktemp("board") / "results")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A results folder of one submission, for what depends on no number of them."""
    folder = tmp_path_factory.mktemp("small") / "results"
    make_results(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


# --- repeatable ---------------------------------------------------------------------------------------------------


def test_twice_in_two_folders_gives_the_same_bytes(results, tmp_path) -> None:
    build(results, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(results / "leaderboard")
    names = set(contents(results / "leaderboard"))
    assert {"index.html", "leaderboard.md", "leaderboard.csv", "leaderboard.json"} <= names
    assert sum(name.startswith("submissions/") for name in names) == 8
    assert {"charts/demo-35x8.ranking.svg", "charts/demo-35x8.accuracy.svg"} <= names


def test_several_processes_give_the_same_bytes(results, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("prm_eval.leaderboard.rows.FEW", 0)
    build(results, tmp_path / "processes", jobs=2)
    assert contents(tmp_path / "processes") == contents(results / "leaderboard")


def test_another_hash_seed_locale_and_place_give_the_same_bytes(results, tmp_path) -> None:
    """Nothing may depend on the order of sets, the language of the machine, or where the folder stands."""
    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(results, moved, ignore=shutil.ignore_patterns("leaderboard"))
    environment = {
        "PYTHONHASHSEED": "77",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
    }
    code = f"from prm_eval.leaderboard import build; from pathlib import Path; build(Path({str(moved)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert contents(moved / "leaderboard") == contents(results / "leaderboard")


@pytest.mark.parametrize("python", os.environ.get("PRM_EVAL_OTHER_PYTHONS", "").split() or [None])
def test_another_python_gives_the_same_bytes(results, tmp_path, python) -> None:
    """PRM_EVAL_OTHER_PYTHONS="/path/to/python3.10 ..." names interpreters that have this package installed."""
    if python is None:
        pytest.skip("no other Python named in PRM_EVAL_OTHER_PYTHONS")
    places = f"Path({str(results)!r}), Path({str(tmp_path / 'b')!r})"
    code = f"from prm_eval.leaderboard import build; from pathlib import Path; build({places})"
    subprocess.run([python, "-c", code], check=True, cwd=tmp_path)
    assert contents(tmp_path / "b") == contents(results / "leaderboard")


def test_check_names_what_is_stale(small, tmp_path, capsys) -> None:
    output = tmp_path / "board"
    assert main(["leaderboard", str(small), "-o", str(output)]) == 0
    assert "1 submission on 1 pool" in capsys.readouterr().out
    assert main(["leaderboard", str(small), "-o", str(output), "--check"]) == 0
    (output / "index.html").write_text("old")
    (output / "charts" / "gone.svg").write_text("left over")
    (output / "leaderboard.csv").unlink()
    (output / "notes.txt").write_text("not ours")
    assert main(["leaderboard", str(small), "-o", str(output), "--check"]) == 1
    printed = capsys.readouterr().out
    assert "stale: charts/gone.svg\nstale: index.html\nstale: leaderboard.csv\n3 stale files" in printed
    build(small, output)
    assert stale(small, output) == [] and (output / "notes.txt").is_file()


def test_the_readme_gets_the_table(small, tmp_path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Mine\n{BEGIN}\nold\n{END}\nrest\n", encoding="utf-8")
    arguments = ["leaderboard", str(small), "-o", str(tmp_path / "b"), "--readme", str(readme)]
    assert main(arguments) == 0 and main([*arguments, "--check"]) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# Mine\n") and text.endswith(f"{END}\nrest\n") and r"some-org/some.model\_1" in text
    readme.write_text(text.replace("some-org", "some0org"), encoding="utf-8")
    assert main([*arguments, "--check"]) == 1
    readme.write_text("no markers")
    assert main(arguments) == 1


def test_the_shipped_board_is_up_to_date() -> None:
    """results/leaderboard and the tables of docs/board.md are what ``prm-eval leaderboard --readme docs/board.md``
    makes."""
    if not (ROOT / "results" / "leaderboard").is_dir():
        pytest.skip("no board is shipped")
    files = stale(ROOT / "results")
    assert not files, f"run: prm-eval leaderboard --readme docs/board.md; stale: {files}"
    table = (ROOT / "results" / "leaderboard" / "leaderboard.md").read_text(encoding="utf-8")
    assert f"{BEGIN}\n{table}{END}" in (ROOT / "docs" / "board.md").read_text(encoding="utf-8")


# --- the numbers --------------------------------------------------------------------------------------------------


def test_every_number_is_that_of_evaluate(results) -> None:
    """The board's JSON against ``prm-eval evaluate`` on the same files."""
    board = json.loads((results / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))
    for each in board["boards"]:
        pool = Pool(results / "pools" / each["pool"]["pool_id"])
        folders = sorted((results / "submissions").glob(f"*/*/{each['pool']['pool_id']}"))
        found = evaluate(pool, folders)
        names = {f"{row['org']}/{row['model']}": row for row in each["rows"]}
        assert len(names) == len(folders)
        for row in found.rows:
            value = {"value": rounded(row.value), "low": rounded(row.low), "high": rounded(row.high)}
            if row.reward_model is not None:
                key = {"best_of_n": "bon", "weighted_majority": "wmaj"}[row.selector]
                assert names[row.reward_model][key][str(row.n)] == value
            else:
                assert each["baselines"][row.selector][str(row.n)] == value
        n = each["settings"]["headline_n"]
        for difference in found.differences:
            if (difference.selector, difference.minus_selector, difference.n) == ("best_of_n", "majority", n):
                value = names[difference.reward_model]["over_majority"]
                assert value == {k: rounded(getattr(difference, k)) for k in ("value", "low", "high")}
        for rank in found.ranks:
            if (rank.selector, rank.n) == ("best_of_n", n):
                assert names[rank.reward_model]["rank"] == [rank.best, rank.worst]


def test_gap_and_order(results) -> None:
    for each in json.loads((results / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))["boards"]:
        n = str(each["settings"]["headline_n"])
        base = {name: curve[n]["value"] for name, curve in each["baselines"].items()}
        shown = [row["bon"][n]["value"] for row in each["rows"]]
        assert shown == sorted(shown, reverse=True)
        assert set(base) == {"first", "random", "shortest", "longest", "majority", ORACLE}
        for row in each["rows"]:
            gap = (row["bon"][n]["value"] - base["first"]) / (base[ORACLE] - base["first"])
            assert row["gap_recovered"]["value"] == pytest.approx(gap, abs=1e-4)


def test_csv_is_a_line_a_row_and_holds_no_formula(results) -> None:
    with (results / "leaderboard" / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8 + 2 * 6 and {row["tier"] for row in rows} == {"baseline", "recomputed"}
    assert not any(value[:1] in "=+@" for row in rows for value in row.values() if value)


def test_the_headline_n() -> None:
    assert [board_settings(m).headline_n for m in (2, 4, 8, 16, 64, 100)] == [2, 2, 2, 4, 16, 16]
    assert board_settings(64, 24).headline_n == 24 and 24 in board_settings(64, 24).ns
    with pytest.raises(PrmEvalError, match="M = 8"):
        board_settings(8, 9)


# --- the pages ----------------------------------------------------------------------------------------------------


def test_pages_are_well_formed_and_ask_nobody(results) -> None:
    for path in (results / "leaderboard").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        policy = next(
            each["content"] for each in page.of("meta") if each.get("http-equiv") == "Content-Security-Policy"
        )
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert not re.search(r"""(?:src|url)\s*[=(]\s*["']?(?:https?:)?//""", text)
        for tag, attributes in page.elements:
            assert tag == "a" or "//" not in (attributes.get("href") or ""), attributes
        for link in page.of("a"):
            if OUTSIDE.fullmatch(link["href"] or ""):
                assert "noopener" in (link["rel"] or "").split()
                continue
            target = (link["href"] or "").partition("#")[0]
            assert not target or (path.parent / target).is_file(), target
        assert page.of("html") == [{"lang": "en"}] and len(page.of("h1")) == 1 and len(page.of("title")) == 1
        for head in page.of("th"):
            assert head.get("scope") in ("col", "row")
        for region in page.of("div"):
            if region.get("role") == "region":
                assert region["tabindex"] == "0" and (region.get("aria-label") or region.get("aria-labelledby"))
        identities = [each["id"] for _, each in page.elements if "id" in each]
        assert len(identities) == len(set(identities))


def test_the_script_and_style_hashes_are_those_of_the_policy(results) -> None:
    import base64
    import hashlib

    text = (results / "leaderboard" / "index.html").read_text(encoding="utf-8")
    for tag in ("script", "style"):
        inner = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in text


def test_a_detail_page_says_what_it_must(results) -> None:
    path = next((results / "leaderboard" / "submissions").glob("lab-b__Hasty*35x8.html"))
    page = Page(path.read_text(encoding="utf-8"))
    words = " ".join(" ".join(page.words).split())
    for part in (
        "Accuracy against n", "If the steps were combined otherwise", "soft_min", "Calibration", "Brier", "By subject",
        "By level",
        "By difficulty", "1 (easiest)", "The easiest fifth", "rank correlation of reward and length",
        "The last step is the worst one",
        "2 of 280 candidates got no reward", "over-length", "The most expensive mistakes", "cannot rule out",
        "rewards.parquet (SHA-256)",
        "prm-eval evaluate", "Trained on PRM800K", "AUROC within a problem",
    ):  # fmt: skip
        assert part in words, part
    assert len(page.of("details")) >= 10 and page.of("math")


def test_doing_it_again_names_the_model(results) -> None:
    """A command that lacks a required option is none."""
    pages = (results / "leaderboard" / "submissions").glob("*.html")
    text = " ".join(path.read_text(encoding="utf-8") for path in pages)
    assert "--reward-model " in text and "do it in a copy" in text


def test_tiers_are_marked_and_explained(tmp_path) -> None:
    """What was run again says so, with figures; what did not agree, or was changed since, is "recomputed" and says
    why."""
    results = demo_results(tmp_path / "results")
    source = next((ROOT / "results" / "submissions").glob("*/*/demo-35x8/verification.json"))
    fields = json.loads(source.read_text(encoding="utf-8"))
    folders = sorted((results / "submissions").glob("*/*/demo-35x8"))
    for folder, changes in zip(
        folders,
        (
            {"scope": "all", "seed": None},
            {
                "scope": "sample",
                "seed": 7,
                "compared": 160,
                "detection": detection_probability(3, 160, 280),
                "leeway": 1.5,
            },
            {"verdict": "differs", "beyond": 12},
            {"compared": 0},
        ),
        strict=False,
    ):
        submitted = json.loads((folder / "submission.json").read_text(encoding="utf-8"))
        own = {
            "model": submitted["model"],
            "of": 280,
            "compared": 280,
            "tolerance": tolerance_between(submitted["model"].get("dtype"), None),
            "rewards_sha256": file_sha256(folder / "rewards.parquet"),
            "pool_hash": Pool(results / "pools" / "demo-35x8").info.content_hash,
        }
        (folder / "verification.json").write_text(json.dumps(fields | own | changes), encoding="utf-8")
    build(results)
    board = json.loads((results / "leaderboard" / "leaderboard.json").read_text(encoding="utf-8"))
    tiers = {
        f"{row['org']}__{row['model']}": row
        for each in board["boards"]
        for row in each["rows"]
        if "35x8" in row["page"]
    }
    found = [tiers[folder.parent.parent.name] for folder in folders[:4]]
    assert [row["tier"] for row in found] == ["reproduced", "spot-checked", "recomputed", "recomputed"]
    for row, words in zip(
        found,
        (
            "an edit of the submitted rewards is worth nothing",
            "noticed with probability 92 %",
            "12 of",
            "0 of 0 candidates differ, or",
        ),
        strict=True,
    ):
        page = Page((results / "leaderboard" / row["page"]).read_text(encoding="utf-8"))
        assert words in " ".join(" ".join(page.words).split())


def test_what_cannot_be_read_is_left_out_and_said(tmp_path, capsys) -> None:
    results = demo_results(tmp_path / "results")
    folders = sorted((results / "submissions").glob("*/*/demo-35x8"))
    (folders[0] / "submission.json").write_text("{")
    table = pq.read_table(folders[1] / "rewards.parquet")
    pq.write_table(table.slice(0, 100), folders[1] / "rewards.parquet")
    (folders[2] / "rewards.parquet").write_bytes(b"PAR1 not really")
    (results / "submissions" / "x" / "y" / "z").mkdir(parents=True)
    assert main(["leaderboard", str(results)]) == 0
    printed = capsys.readouterr()
    assert "4 submissions on 2 pools" in printed.out or "5 submissions on 2 pools" in printed.out
    assert printed.err.count("left out: ") == 4 and str(tmp_path) not in printed.err
    assert main(["leaderboard", str(results), "--check"]) == 0
    assert capsys.readouterr().err.count("left out: ") == 4
    text = (results / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert "Left out" in text and "rewards.parquet: [parquet] found" in text


def test_odd_figures_and_columns_do_not_stop_the_board(tmp_path, capsys) -> None:
    """One submission must not be able to take the board down for all."""
    results = demo_results(tmp_path / "results")
    folders = sorted((results / "submissions").glob("*/*/demo-35x8"))
    edit_json(folders[0] / "submission.json", run__seconds=5e-324)
    edit_json(folders[1] / "submission.json", run__seconds=1e300)
    table = pq.read_table(folders[2] / "rewards.parquet")
    pq.write_table(table.append_column("n_tokens", table["n_tokens"]), folders[2] / "rewards.parquet")
    assert main(["leaderboard", str(results)]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("left out: ") == 2 and "one column 'n_tokens'" in printed.err


def test_a_small_file_that_unpacks_to_much_is_not_unpacked(tmp_path, capsys) -> None:
    """The board reads in its own process: 20 kB must not become gigabytes there."""
    results = demo_results(tmp_path / "results")
    folders = sorted((results / "submissions").glob("*/*/demo-35x8"))

    def rewrite(folder, name, values):
        table = pq.read_table(folder / "rewards.parquet")
        at = table.schema.get_field_index(name)
        column = pa.array(values, table.schema.field(name).type)
        pq.write_table(table.set_column(at, name, column), folder / "rewards.parquet", compression="zstd")

    rewrite(folders[0], "refusal", ["a" * 1_100_000] * 280)
    rewrite(folders[1], "step_rewards", [[0.0] * 40_000] * 280)
    rewrite(folders[2], "input_hash", ["b" * 5_000] * 280)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main(["leaderboard", str(results)]) == 0
    said = capsys.readouterr().err
    assert said.count("left out: ") == 3
    assert "refusal of more than" in said or "bytes when unpacked" in said
    assert "step rewards" in said and "a input_hash of more than" in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 300_000  # kB


def test_a_pool_that_is_not_at_hand_and_no_pool_at_all(tmp_path) -> None:
    results = demo_results(tmp_path / "results")
    entry = json.loads((results / "pools" / "demo-35x4.json").read_text(encoding="utf-8"))
    entry["hub"] = {"dataset": "org/pool", "revision": "0" * 40}
    del entry["path"]
    (results / "pools" / "demo-35x4.json").write_text(json.dumps(entry))
    shutil.rmtree(results / "pools" / "demo-35x4")
    build(results)
    text = (results / "leaderboard" / "index.html").read_text(encoding="utf-8")
    assert "not at hand" in text and "org/pool" in text
    with pytest.raises(PrmEvalError, match="has no pools"):
        build(tmp_path / "nothing")
    entry = json.loads((results / "pools" / "demo-35x8.json").read_text(encoding="utf-8"))
    (results / "pools" / "demo-35x8.json").write_text(json.dumps(entry | {"content_hash": "0" * 64}))
    with pytest.raises(PrmEvalError, match="the registry says"):
        build(results)


def test_a_page_that_cannot_be_drawn_stops_no_board(results, tmp_path, monkeypatch) -> None:
    """Else one text that the page fails on takes the whole board from everybody."""
    from prm_eval.leaderboard import site

    drawn = site.detail_page

    def fails(pool, entry, *rest):
        if entry.submission.model == "arithmetic":
            raise ValueError("<script>")
        return drawn(pool, entry, *rest)

    monkeypatch.setattr(site, "detail_page", fails)
    built = build(results, tmp_path / "board")
    pages = {page.name: page.read_text() for page in (tmp_path / "board" / "submissions").iterdir()}
    broken = [name for name, text in pages.items() if "could not be drawn (ValueError)" in text]
    assert broken and all("arithmetic" in name for name in broken) and len(broken) < len(pages)
    assert not any("<script>" in pages[name].split("</head>")[1] for name in broken)
    assert built.submissions == len(pages)


def test_a_board_is_not_written_into_results(results, tmp_path) -> None:
    """``leaderboard -o MY_RESULTS`` would put the pages of another board among the submissions there."""
    with pytest.raises(PrmEvalError, match=r"is a results folder itself; name it without -o"):
        build(results, results)
    with pytest.raises(PrmEvalError, match="has no pools: no such folder; expected one with"):
        build(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_pool_without_submissions_before_one_with_them(results, tmp_path) -> None:
    """The first pool by name decided the columns of leaderboard.csv, and the next one's submissions then stopped the
    board."""
    mine = tmp_path / "mine"
    shutil.copytree(results, mine)
    first = sorted((mine / "pools").glob("*.json"))[0]
    for folder in (mine / "submissions").glob(f"*/*/{first.stem}"):
        shutil.rmtree(folder)
    build(mine, tmp_path / "board")
    lines = (tmp_path / "board" / "leaderboard.csv").read_text().splitlines()
    assert "gap" in lines[0].split(",") and lines[1].startswith(first.stem)
    assert len({line.count(",") for line in lines if '"' not in line}) == 1


def test_a_board_without_submissions(tmp_path) -> None:
    results = demo_results(tmp_path / "results")
    shutil.rmtree(results / "submissions")
    built = build(results)
    assert built.submissions == 0
    assert "Nothing was submitted" in (results / "leaderboard" / "index.html").read_text(encoding="utf-8")


# --- numbers and names in words -----------------------------------------------------------------------------------


def test_numbers_do_not_tip_over_for_their_last_bit() -> None:
    assert fixed(0.0625 * 10, 2) == fixed(math.nextafter(0.625, 0), 2) == fixed(math.nextafter(0.625, 1), 2)
    assert fixed(-1e-12, 1) == "0.0" and points(-1e-12) == "\u00b10.0" and points(-0.012) == "\u22121.2"
    assert percent(float("nan")) == "\u2013" and rounded(float("nan")) is None and str(rounded(-1e-12)) == "0.0"
    assert span(2, 2) == "2" and span(1, 4) == "1\u20134"


def test_slugs_are_file_names_and_stay_apart() -> None:
    assert slug("org__model", "rev", "pool") == "org__model--rev--pool"
    tricky = [slug(name) for name in ("../../etc", "a/b", "a:b", "a b", "\u202eevil", "")]
    assert len(set(tricky)) == len(tricky) and all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", each) for each in tricky
    )


def test_two_revisions_have_two_pages(tmp_path) -> None:
    """Commits that begin alike are easily made; one page must not stand for another's row."""
    results = demo_results(tmp_path / "results")
    folder = sorted((results / "submissions").glob("*/*/demo-35x8"))[0]
    revision = folder.parent.name
    other = folder.parent.parent / (revision[:-1] + ("1" if revision[-1] == "0" else "0")) / folder.name
    shutil.copytree(folder, other)
    built = build(results)
    assert len(list((built.folder / "submissions").glob("*.html"))) == built.submissions


def test_charts_hold_with_odd_numbers() -> None:
    nan = float("nan")
    for values in ([0.5] * 3, [0.0, 1.0, 0.0], [nan, nan, nan]):
        if not math.isnan(values[0]):
            drawing = draw_curves((1, 2, 4), [Stroke("a", "0", values, values, values)], "t")
            assert "nan" not in drawing
        low, high = limits(values)
        assert 0 <= low < high <= 1 and 2 <= len(ticks(low, high)) <= 6
