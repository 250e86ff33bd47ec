"""The board in a real browser: Debian's Chromium, driven by Playwright, from disk. Skipped where either is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from prm_eval.leaderboard import build
from tests.leaderboard.leaderboards import demo_results

BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # .ci/browser looks for the same
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine (apt-get install chromium)", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright (pip install playwright)")

SHOTS = os.environ.get("PRM_EVAL_SHOTS")  # where screenshots go, for people to look at
POOL = "#pool=demo-35x8"


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Path:
    """A board with a hostile title, model names at their limits, and problems full of attacks."""
    results = demo_results(tmp_path_factory.mktemp("page") / "results")
    hostile_pool(results)
    return build(results).folder


def hostile_pool(results: Path) -> None:
    from prm_eval.evaluation.pool_arrays import load_arrays
    from prm_eval.grading.pool import grade_pool
    from prm_eval.importers import import_pool
    from tests.conftest import write_jsonl
    from tests.leaderboard.leaderboards import disclosure, made_up, register, submit

    attack = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"
    texts = [
        attack,
        r"$\href{javascript:window.hacked=3}{click}$ <a href='javascript:window.hacked=4'>a</a>",
        "\u202eright to left\u2066 z\u0301\u0302\u0303\u0304algo \ufeff",
        r"$\text{</math><script>window.hacked=5</script>}$",
        "w" * 3_000,
        "$" + "{" * 500 + "$",
    ]
    rows = [
        {
            "id": f"{attack}{k}",
            "problem": texts[k] + " What is 1?",
            "answer": "1",
            "subject": attack,
            "samples": [{"text": f"{texts[j]}\n\\boxed{{{(j + k) % 2}}}"} for j in range(6)],
        }
        for k in range(6)
    ]
    source = write_jsonl(results.parent / "rows.jsonl", rows)
    pool = import_pool(source, results / "pools" / "evil", policy=attack).pool
    grade_pool(pool)
    register(results, pool, "evil", attack + " \u05e9\u05dc\u05d5\u05dd")
    arrays = load_arrays(pool)
    said = disclosure() | {
        "contact": attack,
        "base_model": "javascript:window.hacked=6",
        "notes": "\u05e9\u05dc\u05d5\u05dd z\u0301\u0302\u0303" + attack,
    }
    for kind in ("prm", "orm"):
        values = made_up(arrays, 4, skill=0.3, stepwise=kind == "prm")
        name = f"{'o' * 90}/{'m' * 90}-{kind}"
        submit(
            results, arrays, "evil", values, name=name, kind=kind, disclosure=said, device=attack, refusals={2: attack}
        )


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Tab:
    """A page that remembers what went wrong in it and what it asked for."""

    def __init__(self, browser, **options) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, path: Path, state: str = ""):
        self.page.goto(f"file://{path}{state}")
        return self.page

    def close(self, name: str = "") -> None:
        if SHOTS and name:
            self.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
        outside = [url for url in self.asked if not url.startswith(("file://", "data:"))]
        self.context.close()
        assert not self.wrong and not outside, (self.wrong, outside)


@pytest.fixture
def tab(browser, request):
    made = Tab(browser, viewport={"width": 1280, "height": 900})
    yield made
    made.close(request.node.name)


def shown(page, pool: str = "demo-35x8") -> list[str]:
    """Return the models that can be seen, in order."""
    return page.eval_on_selector_all(
        f'section[data-pool="{pool}"] tbody.entries tr[data-words]',
        "rows => rows.filter(row => row.offsetParent !== null).map(row => row.querySelector('.name').textContent)",
    )


def column(page, key: str) -> list[float]:
    return page.eval_on_selector_all(
        f'section[data-pool="demo-35x8"] tbody.entries tr[data-words] .c-{key}',
        "cells => cells.map(cell => Number(cell.dataset.v))",
    )


def header(page, key: str):
    return page.locator(f'section[data-pool="demo-35x8"] th[data-key="{key}"]')


def test_sorts_by_header_and_says_so(board, tab) -> None:
    page = tab.open(board / "index.html", POOL)
    before = shown(page)
    assert len(before) == 5 and column(page, "bon") == sorted(column(page, "bon"), reverse=True)
    header(page, "wmaj").locator("button").click()
    assert header(page, "wmaj").get_attribute("aria-sort") == "descending"
    assert column(page, "wmaj") == sorted(column(page, "wmaj"), reverse=True) and "sort=wmaj:desc" in page.url
    header(page, "wmaj").locator("button").click()
    assert header(page, "wmaj").get_attribute("aria-sort") == "ascending"
    assert column(page, "wmaj") == sorted(column(page, "wmaj"))
    header(page, "model").locator("button").click()
    assert shown(page) == sorted(before, key=str.lower) and header(page, "wmaj").get_attribute("aria-sort") == "none"
    page.locator('section[data-pool="demo-35x8"] [data-reset]').click()
    assert shown(page) == before


def test_the_overview_is_no_wider_than_what_it_holds(board, tab) -> None:
    """A long title must not push the next pool's figures off the screen."""
    page = tab.open(board / "index.html", "#overview")
    widths = page.locator('section[data-pool="overview"] thead th').evaluate_all(
        "all => all.map(one => one.offsetWidth)"
    )
    assert len(widths) == 4 + 3 + 2 * 3 and max(widths) < 300


def test_filters_and_counts(board, tab) -> None:
    page = tab.open(board / "index.html", POOL)
    section = page.locator('section[data-pool="demo-35x8"]')
    section.locator('[name="q"]').fill("lab-a")
    assert len(shown(page)) == 2 and section.locator(".count").text_content() == "2 of 5 submissions"
    section.locator('[name="kind"]').select_option("orm")
    assert shown(page) == ["Outcome-RM"]
    section.locator('[name="q"]').fill("")
    assert len(shown(page)) == 2
    section.locator('[name="tier"]').select_option("reproduced")
    assert shown(page) == [] and section.locator(".count").text_content() == "0 of 5 submissions"
    section.locator("[data-reset]").click()
    section.locator('[name="clean"]').check()
    assert "Hasty-PRM-1.5B" not in shown(page) and len(shown(page)) == 3  # it says that it saw PRM800K


def test_the_majority_line_is_sorted_along_and_never_filtered_away(board, tab) -> None:
    """Else a reader who sorts the other way, or looks for one model, sees it on the wrong side of the majority."""
    page = tab.open(board / "index.html", POOL)
    rows = page.locator('section[data-pool="demo-35x8"] tbody.entries tr')
    assert rows.count() == 5 + 2
    for _ in range(2):
        header(page, "bon").locator("button").click()
        values = rows.locator(".c-bon").evaluate_all("cells => cells.map(cell => Number(cell.dataset.v))")
        assert values in (sorted(values), sorted(values, reverse=True)) and len(values) == 7
    page.locator('section[data-pool="demo-35x8"] [name="q"]').fill("lab-a")
    assert len(shown(page)) == 2 and page.locator('section[data-pool="demo-35x8"] .entries .line:visible').count() == 2


def test_links_within_the_page_keep_the_chosen_pool(board, tab) -> None:
    """The address holds the tab: a plain anchor would throw the reader back to the overview."""
    page = tab.open(board / "index.html", POOL)
    page.locator("header a", has_text="How to submit").click()
    assert page.evaluate("document.activeElement.id") == "submit" and page.url.endswith(POOL)
    assert page.locator('section[data-pool="demo-35x8"]').is_visible()


def test_a_phone_shows_a_card_for_each_model(board, browser) -> None:
    """On a phone the table was one and a half columns wide; who, how much and whether to trust it are seen at once."""
    tab = Tab(browser, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = tab.open(board / "index.html", POOL)
    for key in ("model", "bon", "tier", "refused"):
        boxes = page.locator(f'section[data-pool="demo-35x8"] tbody.entries tr[data-words] .c-{key}').evaluate_all(
            "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"
        )
        assert len(boxes) == 5 and all(0 <= left < right <= 390 for left, right in boxes), (key, boxes)
    assert page.locator(".tabs a").nth(1).text_content() == "demo-35x8"  # more candidates than the other
    tab.close("phone-cards")


def test_a_deep_link_restores_everything(board, browser) -> None:
    first = Tab(browser)
    page = first.open(board / "index.html", POOL)
    section = page.locator('section[data-pool="demo-35x8"]')
    section.locator('[name="kind"]').select_option("prm")
    header(page, "gap").locator("button").click()
    header(page, "gap").locator("button").click()
    section.locator("summary", has_text="Columns").click()
    section.locator('.menu input[value="licence"]').uncheck()
    wanted, address = shown(page), page.url
    first.close()
    second = Tab(browser)
    page = second.open(board / "index.html", "#" + address.partition("#")[2])
    assert shown(page) == wanted and header(page, "gap").get_attribute("aria-sort") == "ascending"
    assert header(page, "licence").is_hidden() and header(page, "cost").is_visible()
    assert page.locator('section[data-pool="demo-35x8"] [name="kind"]').input_value() == "prm"
    page.evaluate("location.hash = '#pool=demo-35x4'")
    page.wait_for_selector('section[data-pool="demo-35x4"]:visible')
    assert page.locator('section[data-pool="demo-35x8"]').is_hidden()
    second.close()


def test_tabs_and_overview(board, tab) -> None:
    page = tab.open(board / "index.html")
    assert page.locator('section[data-pool="overview"]').is_visible()
    assert page.locator('.tabs a[aria-current="page"]').text_content() == "Overview"
    page.locator('.tabs a[data-pool="demo-35x4"]').click()
    assert page.locator('section[data-pool="overview"]').is_hidden() and "pool=demo-35x4" in page.url
    page.locator('section[data-pool="demo-35x4"] tbody.entries a').first.click()
    page.wait_for_selector("h1")
    assert "/submissions/" in page.url
    page.locator("header a").click()
    assert page.locator('section[data-pool="demo-35x4"]').is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_reader_and_the_button(board, browser, scheme) -> None:
    tab = Tab(browser, color_scheme=scheme)
    page = tab.open(board / "index.html", POOL)
    background = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(background)
    dark = sum(map(int, first[4:-1].split(","))) < 200
    assert dark == (scheme == "dark")
    page.locator("#theme").click()
    assert page.evaluate(background) != first
    page.reload()
    assert page.evaluate(background) != first  # remembered
    tab.close(f"board-{scheme}")


CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const c = rgb(getComputedStyle(n).backgroundColor);
      if (c.length === 3) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll("main *, header *, footer *, figure text, .mini text")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.closest("[hidden], option, math") || !node.getClientRects().length) continue;
    const style = getComputedStyle(node), ink = rgb(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(node))].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const name = node.className.baseVal ?? node.className;
    if (ratio < 4.5) bad.push([node.tagName, name, node.textContent.slice(0, 30), ratio.toFixed(2)]);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_aa(board, browser, scheme) -> None:
    """Every visible text has a contrast of at least 4.5 to what is behind it."""
    detail = next((board / "submissions").glob("lab-b__Hasty*35x8.html"))
    for path, state in ((board / "index.html", POOL), (board / "index.html", ""), (detail, "")):
        tab = Tab(browser, color_scheme=scheme, viewport={"width": 1280, "height": 900})
        assert tab.open(path, state).evaluate(CONTRAST) == []
        tab.close()


def test_a_phone_scrolls_tables_and_not_the_page(board, browser) -> None:
    pages = [board / "index.html", *sorted((board / "submissions").glob("*.html"))]
    tab = Tab(browser, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    for path in pages:
        page = tab.open(path, POOL if path.name == "index.html" else "")
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        width = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        assert width <= 360, (path.name, width)
    tab.close("phone")


def test_keyboard_reaches_everything(board, tab) -> None:
    """Skip link first; headers are buttons that sort by Enter; what has focus can be seen; Escape closes the menu."""
    page = tab.open(board / "index.html", POOL)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    header(page, "gap").locator("button").focus()
    page.keyboard.press("Enter")
    assert header(page, "gap").get_attribute("aria-sort") == "descending"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    summary = page.locator('section[data-pool="demo-35x8"] summary', has_text="Columns")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator('section[data-pool="demo-35x8"] .menu').is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert page.locator('section[data-pool="demo-35x8"] .menu').is_hidden()


def test_without_scripts_everything_can_be_read(board, browser) -> None:
    tab = Tab(browser, java_script_enabled=False)
    page = tab.open(board / "index.html")
    for pool in ("overview", "demo-35x8", "demo-35x4", "evil"):
        assert page.locator(f'section[data-pool="{pool}"]').is_visible()
    assert page.locator(".tools").first.is_hidden() and page.locator("#theme").is_hidden()
    page.goto(f"file://{board / 'index.html'}{POOL}")
    assert page.locator('[id="pool=demo-35x8"]').is_visible()
    tab.close()


def test_hostile_texts_are_inert(board, browser) -> None:
    """Nothing of them runs, and a click on anything inside leads nowhere."""
    tab = Tab(browser, viewport={"width": 1280, "height": 900})
    pages = [board / "index.html", *sorted((board / "submissions").glob("ooo*.html"))]
    assert len(pages) == 3
    for path in pages:
        page = tab.open(path, "#pool=evil&q=<img src=x onerror=window.hacked=9>&sort=%22]:desc&hide=<b>")
        page.wait_for_timeout(200)
        assert page.evaluate("window.hacked") is None
        assert page.locator("main img, main iframe, main object, main embed, main script").count() == 0
        links = page.eval_on_selector_all("a", "links => links.map(link => link.protocol)")
        assert set(links) == {"file:", "https:"}
        hosts = page.eval_on_selector_all("a", "links => links.map(link => link.host)")
        assert set(hosts) <= {"", "arxiv.org", "huggingface.co"}
    tab.close("hostile")


def test_print_shows_all_pools(board, browser) -> None:
    tab = Tab(browser)
    page = tab.open(board / "index.html", POOL)
    page.emulate_media(media="print")
    for pool in ("overview", "demo-35x8", "demo-35x4"):
        assert page.locator(f'section[data-pool="{pool}"]').is_visible()
    assert page.locator(".tools").first.is_hidden() and page.locator("#theme").is_hidden()
    tab.close("print")


def test_mathematics_is_drawn(board, tab) -> None:
    detail = next((board / "submissions").glob("lab-b__Hasty*35x8.html"))
    page = tab.open(detail)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    boxes = page.eval_on_selector_all(
        "math", "nodes => nodes.map(node => [node.namespaceURI, node.getBoundingClientRect().width])"
    )
    assert boxes and all(space.endswith("MathML") and width > 0 for space, width in boxes)
