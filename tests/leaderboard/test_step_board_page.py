"""The board of a step set in a real browser, driven by Playwright, from disk. Skipped where either is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from prm_eval.leaderboard import build
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.submissions import register_pool, register_step_set
from tests.leaderboard.board import POOL_ID, twin_pool
from tests.leaderboard.step_boards import SET_ID, Noisy, Placed, Raw, make_classes, step_results, submit
from tests.leaderboard.test_leaderboard_page import CONTRAST, Tab, browser  # noqa: F401 (a fixture)

SETS = (SET_ID, "classes-40")


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Path:
    """Two step sets and a pool, with models on all of them; one set has groups of hostile names."""
    from prm_eval.grading.pool import grade_pool

    results = tmp_path_factory.mktemp("steps-page") / "results"
    step_results(results, models=[Raw(), Placed()])
    classes = make_classes(results.parent / "classes")
    register_step_set(classes, results, SETS[1], title="A very long title of a set of classes of errors, " * 3)
    submit(results, classes.pool, Noisy(), Noisy.entry)
    pool = twin_pool(results.parent / "pool")
    grade_pool(pool)
    register_pool(pool, results, POOL_ID)
    for model, entry in ((Noisy(), Noisy.entry), (ArithmeticPRM(), "prm_eval/arithmetic")):
        submit(results, pool, model, entry)
    return build(results).folder


def pages_of(board: Path) -> list[tuple[Path, str]]:
    details = sorted((board / "submissions").glob("lab__*"))
    assert len(details) == 5
    return [(board / "index.html", f"#pool={name}") for name in (*SETS, "overview")] + [(each, "") for each in details]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_aa_and_nothing_is_asked_of_the_net(board, browser, scheme) -> None:  # noqa: F811
    """Every visible text has a contrast of at least 4.5; a page that asks for something outside tells who reads it."""
    for path, state in pages_of(board):
        tab = Tab(browser, color_scheme=scheme, viewport={"width": 1280, "height": 900})
        assert tab.open(path, state).evaluate(CONTRAST) == [], (path.name, state)
        tab.close(f"steps-{scheme}-{path.stem[:12]}{state[6:]}")


def test_a_phone_scrolls_no_page(board, browser) -> None:  # noqa: F811
    """The verdict's warning and the titles of sets are long: none may push the figures off the screen."""
    tab = Tab(browser, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    for path, state in pages_of(board):
        page = tab.open(path, state)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        width = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        assert width <= 360, (path.name, state, width)
    tab.close("steps-phone")


def test_a_phone_shows_who_how_much_and_whether_to_trust_it(board, browser) -> None:  # noqa: F811
    """A card for each model; a rule is one line with its figure."""
    tab = Tab(browser, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = tab.open(board / "index.html", f"#pool={SET_ID}")
    for key in ("model", "bon", "tier", "threshold"):
        boxes = page.locator(f'section[data-pool="{SET_ID}"] tbody.entries tr[data-words] .c-{key}').evaluate_all(
            "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"
        )
        assert len(boxes) == 4 and all(0 <= left < right <= 390 for left, right in boxes), (key, boxes)
    shown = page.locator(f'section[data-pool="{SET_ID}"] tr.line').evaluate_all(
        "all => all.map(row => [...row.children].filter(one => one.getClientRects().length).length)"
    )
    assert len(shown) == 6 and set(shown) == {2}
    tab.close()


def test_the_table_sorts_filters_and_hides_as_the_others_do(board, browser) -> None:  # noqa: F811
    """The rules are sorted along and never filtered away: else a model seems to stand above them."""
    tab = Tab(browser, viewport={"width": 1280, "height": 900})
    page = tab.open(board / "index.html", f"#pool={SET_ID}")
    section = page.locator(f'section[data-pool="{SET_ID}"]')
    section.locator('th[data-key="auc"] button').click()
    values = section.locator("tbody.entries .c-auc").evaluate_all("cells => cells.map(cell => Number(cell.dataset.v))")
    assert len(values) == 4 + 6 and values == sorted(values, reverse=True)
    section.locator('[name="q"]').fill("raw")
    assert section.locator(".count").text_content() == "1 of 4 submissions"
    assert section.locator("tbody.entries tr.line:visible").count() == 6
    section.locator("[data-reset]").click()
    section.locator('[name="clean"]').check()
    assert section.locator(".count").text_content() != "4 of 4 submissions"
    section.locator("summary", has_text="Columns").click()
    section.locator('.menu input[value="ece"]').uncheck()
    assert section.locator('th[data-key="ece"]').is_hidden() and "hide=ece" in page.url
    tab.close()


def test_tabs_lead_to_the_sets_and_back_from_a_row(board, browser) -> None:  # noqa: F811
    """A reader of a row's page returns to the set that it is of."""
    tab = Tab(browser, viewport={"width": 1280, "height": 900})
    page = tab.open(board / "index.html")
    page.locator(f'.tabs a[data-pool="{SET_ID}"]').click()
    assert page.locator(f'section[data-pool="{SET_ID}"]').is_visible()
    page.locator(f'section[data-pool="{SET_ID}"] tbody.entries a.name', has_text="Raw-PRM").click()
    page.wait_for_selector("h1")
    assert page.locator("ol.steps.marked li").count() > 3 and page.locator("figure svg").count() >= 3
    page.locator("header a").click()
    assert page.locator(f'section[data-pool="{SET_ID}"]').is_visible()
    tab.close()


def test_without_scripts_the_sets_can_be_read(board, browser) -> None:  # noqa: F811
    """A page from disk may run no script: everything stands in it all the same."""
    tab = Tab(browser, java_script_enabled=False)
    page = tab.open(board / "index.html")
    for name in (*SETS, POOL_ID, "overview"):
        assert page.locator(f'section[data-pool="{name}"]').is_visible()
    tab.close()
