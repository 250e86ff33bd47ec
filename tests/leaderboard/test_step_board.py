"""The board of a step set: its order, its rules, the same figures in all outputs, the same bytes each time."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.evaluation.stepwise.arrays import load_set
from prm_eval.evaluation.stepwise.jobs import run_step_evaluation
from prm_eval.evaluation.stepwise.measuring import Settings
from prm_eval.evaluation.stepwise.report import headline_value
from prm_eval.evaluation.stepwise.rules import RULES
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.showing import lines, misses, of_clean
from prm_eval.evaluation.stepwise.standing import BOARD, StepYardstick
from prm_eval.leaderboard import build
from prm_eval.leaderboard.rows import Boards
from prm_eval.leaderboard.site import compare
from prm_eval.leaderboard.steps.columns import columns_of
from prm_eval.leaderboard.steps.rows import StepBoard
from prm_eval.stepsets import StepSet
from prm_eval.submissions import register_pool, register_step_set
from tests.leaderboard.board import DISCLOSURE, POOL_ID, edit_json, twin_pool
from tests.leaderboard.step_boards import (
    SET_ID,
    Noisy,
    Placed,
    Raw,
    make_classes,
    make_step_set,
    step_results,
    submit,
)

CLASSES = "classes-40"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Two step sets and a pool, with models on all of them."""
    from prm_eval.grading.pool import grade_pool
    from prm_eval.rewards.models.rules import ArithmeticPRM

    results = tmp_path_factory.mktemp("board") / "results"
    step_results(results, models=[Raw(), Placed()])
    classes = make_classes(results.parent / "classes")
    register_step_set(classes, results, CLASSES, title="Classes <b>of</b> errors")
    submit(results, classes.pool, Noisy(), Noisy.entry)
    pool = twin_pool(results.parent / "pool")
    grade_pool(pool)
    register_pool(pool, results, POOL_ID)
    submit(results, pool, Noisy(), Noisy.entry)
    submit(results, pool, ArithmeticPRM(), "prm_eval/arithmetic")
    return results


@pytest.fixture(scope="module")
def folder(results: Path) -> Path:
    return build(results).folder


@pytest.fixture(scope="module")
def board(results: Path) -> StepBoard:
    return next(each for each in Boards(results) if isinstance(each, StepBoard) and each.pool.pool_id == SET_ID)


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, dict]:
    """The boards of step sets in JSON, by id."""
    found = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))["step_boards"]
    return {each["pool"]["pool_id"]: each for each in found}


# --- the same bytes ---------------------------------------------------------------------------------------------------


def test_the_same_files_give_the_same_bytes(results: Path, folder: Path, tmp_path: Path) -> None:
    """A board that changes by itself cannot be checked by anyone: built twice, in two folders, every file is equal."""
    again = build(results, tmp_path / "again").folder
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()}
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert {"leaderboard.steps.csv", "charts/both.svg", f"charts/{SET_ID}.ranking.svg"} <= names
    assert compare(results, folder) == ([], ())


def test_a_board_without_step_sets_has_no_word_of_them(tmp_path: Path) -> None:
    """The boards that are there must stay byte for byte: a new kind of board is no change of the old one."""
    from tests.leaderboard.board import make_results

    make_results(tmp_path / "plain")
    folder = build(tmp_path / "plain").folder
    assert not (folder / "leaderboard.steps.csv").exists() and not (folder / "charts" / "both.svg").exists()
    for path in folder.rglob("*"):
        if path.is_file():
            assert not re.search(r"step_boards|[Ss]tep set|finds the mistake|marked", path.read_text(encoding="utf-8"))


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_evaluation(results: Path, board: StepBoard) -> None:
    """The board and ``prm-eval evaluate`` must not differ: a reader who recomputes a row gets its figures."""
    for entry in board.entries:
        threshold = str(entry.threshold.value)
        settings = Settings(resamples=BOARD.resamples)
        found = run_step_evaluation(
            board.step_set.path, [entry.submission.folder], threshold=threshold, settings=settings
        )
        (row,) = found.rows
        assert headline_value(row, found.headline) == headline_value(entry.row, board.yardstick.headline)
        assert repr(row.whole) == repr(entry.row.whole)  # with NaN for empty bins
        assert found.best_rule == board.yardstick.best_rule.scores.name
        ours, theirs = entry.standing.to_rule, found.to_best_rule[0]
        assert (ours.difference, ours.p) == (theirs.difference, theirs.p)


def test_rows_stand_by_their_headline_with_every_rule_among_them(said) -> None:
    """A rule that is left out, or ranked, would hide what a model has to beat."""
    for each in said.values():
        assert set(each["rules"]) == set(RULES)
        values = [row["headline"]["value"] for row in each["rows"]]
        assert values == sorted(values, reverse=True) and len(values) >= 1
        assert all("rank" not in rule for rule in each["rules"].values())
        best = max(each["rules"], key=lambda name: each["rules"][name]["headline"]["value"])
        assert each["best_rule"] == best


def test_the_page_has_the_rules_as_lines_at_their_places(folder: Path) -> None:
    """Sorted apart from the models, a rule above a model would not be seen above it."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    section = text.split(f'id="pool={SET_ID}"')[1].split("</section>")[0]
    rows = re.findall(
        r'<tr( class="line")?[^>]*>\s*<th scope="row"[^>]*>.*?class="name"[^>]*>(?:<bdi>)?([^<]+)', section
    )
    names = [name for _, name in rows]
    assert set(RULES) <= set(names) and {name for mark, name in rows if mark} == set(RULES)
    values = [float(each) for each in re.findall(r'class="c-bon"[^>]*data-v="([-0-9.]+)"', section)]
    assert len(values) == len(names) and values == sorted(values, reverse=True)


def test_thresholds_say_where_they_come_from(said) -> None:
    """0.5 that nobody declared and 0.5 that somebody did are not the same promise."""
    rows = {row["model"]: row["threshold"] for row in said[SET_ID]["rows"]}
    assert rows["Raw-PRM"] == {"origin": "declared", "value": 0.0}
    assert rows["Noisy-PRM"] == {"origin": "half", "value": 0.5}


def test_a_rule_in_disguise_is_doubted_on_the_page(folder: Path, said) -> None:
    """Its row would else be a model's."""
    (placed,) = (row for row in said[SET_ID]["rows"] if row["model"] == "Placed-PRM")
    assert "position" in [each["name"] for each in placed["suspicions"]]
    page = (folder / placed["page"]).read_text(encoding="utf-8")
    assert "within solutions the scores follow their place" in page


def test_prmbench_is_ranked_by_its_own_score(said, folder: Path) -> None:
    """F1 of ProcessBench and PRMScore are different things under similar names."""
    each = said[CLASSES]
    assert each["headline"] == "prm_score" and each["settings"]["strict"] is True
    row = each["rows"][0]
    assert set(row["groups"]) == {"redundency", "counterfactual", "missing_condition", "multi_solutions"}
    page = (folder / row["page"]).read_text(encoding="utf-8")
    assert "Classes of errors" in page and "NR  redundency" in page
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert ">NR</button>" in index and "a step is good only if its score is above the threshold" in index


def test_all_outputs_have_the_same_figures(folder: Path, said, board: StepBoard) -> None:
    """A figure that is rounded or named otherwise in one output is another figure for whoever reads that one."""
    with (folder / "leaderboard.steps.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == sum(len(each["rows"]) + len(RULES) for each in said.values())
    markdown = (folder / "leaderboard.md").read_text(encoding="utf-8")
    for set_id, each in said.items():
        for row in each["rows"]:
            name = f"{row['org']}/{row['model']}"
            (line,) = [one for one in table if one["step_set"] == set_id and one["model"] == name]
            assert float(line["headline"]) == row["headline"]["value"]
            assert line["threshold_origin"] == row["threshold"]["origin"]
            if row["p_rule_holm"] is not None:
                assert float(line["p_rule_holm"]) == row["p_rule_holm"]
            per_cent = f"{100 * row['headline']['value']:.1f} ["
            assert any(per_cent in text for text in markdown.splitlines() if row["model"] in text)
    keys = [column.key for column in columns_of(board)]
    fields = [name for column in columns_of(board) if column.csv for name in column.csv.fields]
    assert len(set(keys)) == len(keys) and len(set(fields)) == len(fields)


def test_markdown_lines_have_as_many_cells_as_the_head(folder: Path) -> None:
    """A group called "a | b" must not move all figures under another heading."""
    text = (folder / "leaderboard.md").read_text(encoding="utf-8").split("Who finds the mistake:")[1]
    widths: list[int] = []
    for line in text.splitlines():
        if line.startswith("|"):
            widths.append(len(re.split(r"(?<!\\)\|", line)))
        elif widths:
            assert len(set(widths)) == 1
            widths = []


def test_the_scatter_is_of_the_same_weights_on_both_boards(folder: Path) -> None:
    """Another revision of a model is another model: its two figures must not be one dot."""
    drawn = (folder / "charts" / "both.svg").read_text(encoding="utf-8")
    assert drawn.count("<circle") == 2 and "Noisy-PRM" in drawn and "arithmetic" in drawn and "Raw-PRM" not in drawn
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "Does who finds the mistake also choose well?" in index and "of 2 models (the same weights)" in index


def test_the_page_of_a_row_shows_the_declared_threshold_and_the_labels(folder: Path, said) -> None:
    """The curve without the declared line would be read at its top; a miss without the label says nothing."""
    row = next(row for row in said[SET_ID]["rows"] if row["model"] == "Raw-PRM")
    page = (folder / row["page"]).read_text(encoding="utf-8")
    assert "declared by the submitter beforehand" in page and 'class="l mj"' in page
    assert "If the threshold were another one" in page and "Where the first error is put" in page
    assert page.count("<summary>") >= 3 and "named as the first error" in page and "✗ first" in page
    assert "--threshold 0.0" in page  # the command that computes it again
    noisy = next(row for row in said[SET_ID]["rows"] if row["model"] == "Noisy-PRM")
    assert "Calibration" in (folder / noisy["page"]).read_text(encoding="utf-8")


def test_texts_of_strangers_are_escaped(tmp_path: Path) -> None:
    """A model's note, a set's title, a group or a step may hold a script: none of it may become one."""
    from prm_eval.records import Solution
    from prm_eval.stepsets import StepSetWriter
    from prm_eval.stepsets.labels import by_first_error

    attack = "<script>window.hacked=1</script>{n} | x"
    results, path = tmp_path / "results", tmp_path / "set"
    with StepSetWriter(path, name=attack, labels="first_error", label_source="unknown") as writer:
        for row in range(12):
            steps = (attack, f"1 + {row} = {row + 1}", "2 + 2 = 5")
            label = by_first_error(2 if row % 2 else -1, 3)
            group = attack if row < 6 else "other"
            writer.add(Solution(f"{attack}{row}", attack, steps, f"p{row}", group), label)
        writer.notes.append(attack)
    step_set = StepSet(path)
    register_step_set(step_set, results, "evil", title=attack, about=attack)
    made = submit(results, step_set.pool, Noisy(), Noisy.entry)
    edit_json(made / "submission.json", disclosure=DISCLOSURE | {"notes": attack, "base_model": attack})
    folder = build(results).folder
    pages = [folder / "index.html", *(folder / "submissions").glob("*.html")]
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script>window" not in text and "&lt;script&gt;window.hacked" in text
        assert len(re.findall(r"<script[ >]", text)) == 1  # ours
    for drawing in (folder / "charts").glob("*.svg"):
        assert "<script" not in drawing.read_text(encoding="utf-8")
    lines_of_table = [
        line for line in (folder / "leaderboard.md").read_text(encoding="utf-8").splitlines() if "|" in line
    ]
    assert all("<script" not in line for line in lines_of_table)


def test_a_fault_leaves_a_row_out_and_says_so(tmp_path: Path, capsys) -> None:
    """The board refuses in the words of ``check``, on the page, in JSON and on standard error."""
    results = tmp_path / "results"
    made = step_results(results)
    edit_json(made / "submission.json", kind="orm")
    assert main(["leaderboard", str(results)]) == 0
    spoken = capsys.readouterr()
    assert (
        "[stepwise] found kind 'orm'" in spoken.err
        and "holds      1 submission on 0 pools and 1 step set" in spoken.out
    )
    folder = results / "leaderboard"
    assert "[stepwise]" in (folder / "index.html").read_text(encoding="utf-8")
    assert json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))["left_out"][0]["why"].startswith(
        "subm"
    )


def test_a_set_without_submissions_shows_its_rules(tmp_path: Path) -> None:
    """What needs no model can be told before anybody has submitted one."""
    results = tmp_path / "results"
    register_step_set(make_step_set(tmp_path / "set"), results, SET_ID)
    text = (build(results).folder / "index.html").read_text(encoding="utf-8")
    assert "Nothing was submitted to this step set yet" in text and text.count('class="line"') == len(RULES)
    assert "<h1>Which reward model finds the mistake?</h1>" in text


# --- the new modules of the evaluation --------------------------------------------------------------------------------


def values_of(board: StepBoard, seed: int, skill: float) -> StepScores:
    arrays = board.arrays
    chance = np.random.default_rng(seed)
    good = np.nan_to_num(arrays.good(), nan=0.5)
    values = np.clip(0.5 + skill * (good - 0.5) + chance.normal(0, 0.3, len(good)), 0, 1)
    return StepScores(f"m{seed}", "prm", values, values, "probability", None, 0.5)


def test_every_row_is_held_against_the_best_rule(board: StepBoard) -> None:
    """``comparing.differences`` looks at twenty rows; a board of thirty must not leave ten of them without a figure."""
    yardstick = board.yardstick
    rows = [yardstick.measure(values_of(board, seed, 0.3 + 0.02 * seed)) for seed in range(30)]
    standings = yardstick.compare(rows)
    assert len(standings) == 30 and all(each.to_rule.p_holm is not None for each in standings)
    assert all(each.to_rule.other == "rule" for each in standings)
    assert all((each.to_rule.p or 0) <= (each.to_rule.p_holm or 0) for each in standings)
    values = [headline_value(row, yardstick.headline).value or 0 for row in rows]
    best = max(range(30), key=values.__getitem__)
    assert standings[best].best == 1
    for standing in standings:
        assert 1 <= standing.best <= standing.worst <= 30


def test_ranges_of_ranks_miss_no_more_than_they_say(tmp_path: Path) -> None:
    """All ranges of a table hold at once with 95 % confidence: equal models must almost never be told apart."""
    arrays = load_set(make_step_set(tmp_path / "set", n=120, groups=()))
    yardstick = StepYardstick(arrays, Settings(resamples=400))
    wrong = 0
    for trial in range(40):
        rows = [yardstick.measure(values_of(SimpleNamespace(arrays=arrays), 7 * trial + k, 0.5)) for k in range(4)]
        wrong += any((each.best, each.worst) != (1, 4) for each in yardstick.compare(rows))
    assert wrong <= 6  # of 40, at 5 %: seven or more in one of 250 runs


def test_a_better_model_is_told_apart(tmp_path: Path) -> None:
    """Ranges that are always 1 to n would miss nothing either."""
    arrays = load_set(make_step_set(tmp_path / "set", n=120, groups=()))
    yardstick = StepYardstick(arrays, Settings(resamples=400))
    rows = [
        yardstick.measure(values_of(SimpleNamespace(arrays=arrays), k, skill)) for k, skill in enumerate((1.6, 0.3))
    ]
    assert [(each.best, each.worst) for each in yardstick.compare(rows)] == [(1, 1), (2, 2)]


def test_the_line_passes_through_the_headline(board: StepBoard) -> None:
    """The curve at the declared threshold must be the figure of the table."""
    for entry in board.entries:
        (first, *groups) = lines(entry.row, board.yardstick.bench)
        assert len(groups) == 2 and first.name == "mean F1"
        at = int(np.argmin(np.abs(first.thresholds - entry.threshold.value)))
        if abs(first.thresholds[at] - entry.threshold.value) < 1e-9:
            assert abs(first.values[at] - entry.row.averages.mean_f1.value) < 1e-9
    assert np.allclose(first.values, np.mean([each.values for each in groups], axis=0))


def test_misses_are_the_farthest_and_of_different_problems(board: StepBoard) -> None:
    """Three misses of one problem would show one mistake three times; near ones say little."""
    arrays = board.arrays
    for entry in board.entries:
        found = misses(entry.row, board.yardstick.bench, board.step_set.solutions, most=10)
        assert [each.by for each in found] == sorted((each.by for each in found), reverse=True)
        problems = [int(arrays.problem[each.row]) for each in found]
        assert len(set(problems)) == len(problems)
        assert all(each.predicted != each.first_error == arrays.first_error[each.row] for each in found)


def test_the_step_to_blame_by_hand(board: StepBoard) -> None:
    """Named too early, the step that is named is to blame; named too late or never, the one that is not."""
    arrays = board.arrays
    values = np.ones(len(arrays.lengths))
    alone = np.bincount(arrays.problem)[arrays.problem] == 1
    clean, wrong = (int(np.flatnonzero(mask & alone)[0]) for mask in (arrays.clean, arrays.wrong))
    values[arrays.starts[clean] + 1] = 0.05
    own = StepScores("m", "prm", values, values, "probability", None, 0.5)
    row = board.yardstick.measure(own)
    found = {each.row: each for each in misses(row, board.yardstick.bench, board.step_set.solutions, most=100)}
    assert (found[clean].predicted, found[clean].first_error, round(found[clean].by, 9)) == (1, -1, 0.45)
    assert (found[wrong].predicted, found[wrong].by) == (-1, 0.5)
    assert of_clean(row, board.yardstick.bench) == (int(arrays.clean.sum()) - 1, 1, 0)


def test_unchanged_twins_are_no_misses(results: Path) -> None:
    """PRMBench counts them nowhere: a page that shows three of them says nothing of its figure."""
    found = next(each for each in Boards(results) if isinstance(each, StepBoard) and each.pool.pool_id == CLASSES)
    shown = misses(found.entries[0].row, found.yardstick.bench, found.step_set.solutions)
    assert len(shown) == 3 and not any(each.solution_id.startswith("correct_") for each in shown)
