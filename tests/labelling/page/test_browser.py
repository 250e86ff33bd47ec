"""The page in a real browser, by keys: Debian's Chromium, driven by Playwright. Skipped where either is missing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prm_eval.cli.commands import main
from prm_eval.importers.steps import import_step_set
from prm_eval.labelling.page.campaign import Campaign
from prm_eval.pools.pool import Pool
from prm_eval.stepsets import StepSet
from prm_eval.stepsets.label_file import LabelFile
from tests.conftest import write_jsonl
from tests.labelling.page.campaigns import Server, events_of, make_pool
from tests.leaderboard.test_leaderboard_page import BROWSERS, CONTRAST

CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine (apt-get install chromium)", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright (pip install playwright)")

SHOTS = os.environ.get("PRM_EVAL_SHOTS")  # where screenshots go, for people to look at


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def until(page, expression: str) -> None:
    """Wait until an expression is true; the page's own policy forbids Playwright's way, which needs ``eval`` in it."""
    for _ in range(1_000):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{expression}: {page.locator('main').text_content()}")


class Labeller:
    """Somebody at a keyboard.

    Args:
        browser: The browser.
        link: The secret link.
        wrong: The first wrong step that this person sees in a text, -1 for none.
    """

    def __init__(self, browser, link: str, wrong: Callable[[str, str], int] = lambda *_: -1, **options: Any) -> None:
        self.link, self._wrong, self.troubles = link, wrong, []
        self.context = browser.new_context(**options)
        self.page = self.open()

    def open(self):
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", self._note)
        page.goto(self.link)
        page.wait_for_selector(".step.here, .message h1:has-text('All done'), .list")
        return page

    def _note(self, message) -> None:
        # a server that was killed is meant
        if "ERR_CONNECTION" not in message.text and "net::" not in message.text:
            self.troubles.append(message.text)

    def keys(self, page=None) -> list[str]:
        """The keys by which this person labels what is on the page."""
        page = page or self.page
        texts = page.locator(".step .body").all_text_contents()
        wrong = self._wrong(page.locator(".problem .text").text_content(), texts[0])
        return ["1"] * len(texts) if wrong < 0 else ["0" if k == 1 else "1" for k in range(wrong)] + ["-"]

    def hand_in(self) -> None:
        before = self.page.url
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: url != before)
        self.page.wait_for_selector(".step.here, .message h1, .list")

    def label(self) -> None:
        for key in self.keys():
            self.page.keyboard.press(key)
        self.hand_in()

    @property
    def done(self) -> bool:
        return self.page.locator(".message").count() > 0

    def stored(self) -> None:
        until(self.page, "/^(Stored|Everything|Handed)/.test(document.getElementById('status').textContent)")

    def marks(self, page=None) -> list[str]:
        return (page or self.page).locator(".step").evaluate_all("all => all.map((each) => each.dataset.mark)")

    def shot(self, name: str) -> None:
        if SHOTS:
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=f"{SHOTS}/label-{name}.png")

    def close(self) -> None:
        hacked = self.page.evaluate("window.hacked")
        self.context.close()
        assert hacked is None and not self.troubles, self.troubles


def truth(problem: str, first: str) -> int:
    """The first wrong step: of a known solution by its number, of a candidate by its problem and slot."""
    if found := re.search(r"Known [sq](\d+)", problem):
        return int(found[1]) % 2 or -1
    found = re.match(r"\s*Problem (\d+), slot (\d+)", first)
    assert found, first
    return (int(found[1]) + int(found[2])) % 5 - 1


def careless(problem: str, first: str) -> int:
    """Sees nothing wrong in the first problem's solutions, nor in known ones; the truth in all others."""
    return -1 if "Known" in problem or "Problem 0," in first else truth(problem, first)


def known_rows(path: Path, name: str, n: int) -> Path:
    steps = ["Known one: $x$.", "Known two.", "Known three."]
    rows: list[object] = [
        {"id": f"{name}{k}", "problem": f"Known {name}{k}?", "steps": steps, "label": k % 2 or -1} for k in range(n)
    ]
    return write_jsonl(path, rows)


def test_a_whole_campaign_by_keys(browser, tmp_path, capsys) -> None:
    """20 solutions by two people, a server killed and a tab closed in the middle; every mark is there, the scores are
    those of what was done, conflicts are decided, and every export is read back as what was marked."""
    pool = make_pool(tmp_path / "pool", hostile=True)
    arguments = [
        str(pool.path),
        *("--second-opinion", "1", "--qc-rate", "0.1"),
        *("--screening", str(known_rows(tmp_path / "s.jsonl", "s", 2))),
        *("--quality-control", str(known_rows(tmp_path / "q.jsonl", "q", 4))),
    ]
    server = Server(*arguments, "--labeller", "ann", "--labeller", "bob <b>")
    ann = Labeller(browser, server.links["ann"], truth)
    bob = Labeller(browser, server.links["bob <b>"], careless)
    for _ in range(6):
        ann.label()
    # the server is killed after the first mark; the others wait in the browser until it is back
    first, *others = ann.keys()
    ann.page.keyboard.press(first)
    ann.stored()
    server.kill()
    for key in others:
        ann.page.keyboard.press(key)
    if others:
        ann.page.wait_for_selector("#status[data-kind=late]")
        assert "in this browser" in ann.page.locator("#status").text_content()
    wanted = ann.marks()
    server = Server(*arguments, port=server.port)
    ann.stored()
    assert ann.marks() == wanted and "" in {*wanted, ""}
    ann.hand_in()
    while not ann.done:
        ann.label()
    # the tab is closed with the key still down, so to say
    for _ in range(4):
        bob.label()
    keys = bob.keys()
    for key in keys:
        bob.page.keyboard.press(key)
    bob.page.close()
    bob.page = bob.open()
    bob.stored()
    assert [each for each in bob.marks() if each] == [{"-": "-1"}.get(key, key) for key in keys]
    bob.hand_in()
    while not bob.done:
        bob.label()
    folder = pool.path / "labels" / "people"
    assert main(["label", "export", str(folder), "--to", "labels", "-o", str(tmp_path / "no")]) == 1
    assert "label differently, and nobody decided: 3" in capsys.readouterr().err
    _report_is_right(folder, capsys)
    assert main(["label", "adjudicate", str(folder), "--adjudicator", "eve"]) == 0  # the server is running
    eve = Labeller(browser, re.search(r"http\S+", capsys.readouterr().out)[0])  # type: ignore[index]
    eve.shot("conflicts")
    while eve.page.locator(".chip.open").count():
        eve.page.locator(".row").first.focus()
        eve.page.keyboard.press("Enter")
        eve.page.wait_for_selector(".step.here")
        eve.shot("conflict")
        eve.page.keyboard.press("q")
        eve.stored()
        eve.hand_in()
    for each in (ann, bob, eve):
        each.close()
    assert server.stop() == 0
    _exports_are_right(pool, folder, tmp_path)


def _report_is_right(folder: Path, capsys) -> None:
    assert main(["label", "agreement", str(folder)]) == 0
    said = capsys.readouterr().out
    # problem 0: slot 0 has no wrong step, and bob calls all four right
    assert "20 candidates by several people: 17 alike, 3 not" in said
    assert re.search(r"alpha +0\.\d+ \[", said)
    ann, bob = said.partition("\nbob <b>:")[0].partition("\nann:")[2], said.partition("\nbob <b>:")[2]
    assert "screening  first error right in 2 of 2: 100.0%" in ann and "quality    first error right in 2 of 2" in ann
    assert "screening  first error right in 1 of 2: 50.0%" in bob and "below 75%" in bob
    assert "s a solution" in ann


def _exports_are_right(pool: Pool, folder: Path, out: Path) -> None:
    """Ann's labels are the truth, and eve took hers (she handed in first)."""
    wanted = {f"p{k}#{j}": (k + j) % 5 - 1 for k in range(5) for j in range(4)}
    for form in ("labels", "stepset", "prm800k", "trl", "processbench"):
        assert main(["label", "export", str(folder), "--to", form, "-o", str(out / form)]) == 0
        if form == "labels":
            rows = list(LabelFile(out / form).labelled(pool))
            found = {f"{each.problem.problem_id}#{each.candidate.slot}": each.label.first_error for each in rows}
            assert sum("decided" in (each.who or "") for each in rows) == 3
        else:
            read = (
                StepSet(out / form) if form == "stepset" else import_step_set(out / form, out / f"{form}.set").step_set
            )
            found = {
                each.solution_id: label.first_error for each, label in zip(read.solutions, read.labels, strict=True)
            }
        assert found == wanted, form


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server for the tests that need no campaign of their own: each labels as somebody else."""
    pool = make_pool(tmp_path_factory.mktemp("served") / "pool", hostile=True)
    names = ("two", "undo", "mouse", "look", "plain", "help", "<script>window.hacked=4</script>")
    server = Server(str(pool.path), "--second-opinion", "1", *(word for each in names for word in ("--labeller", each)))
    yield pool, server
    server.stop()


def test_a_link_in_a_mail(browser, served) -> None:
    """A way that begins on another site carries no strict cookie: whoever clicks a link must get in all the same."""
    _, server = served
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"data:text/html,<a href='{server.links['plain']}'>label</a>")
    page.locator("a").click()
    page.wait_for_url("**/item/1")
    page.wait_for_selector(".step.here")
    context.close()


def test_two_tabs(browser, served) -> None:
    """What is marked in one tab is seen in the other, the last mark counts, and none is lost or stored twice."""
    pool, server = served
    two = Labeller(browser, server.links["two"])
    other = two.open()
    assert other.url == two.page.url
    two.page.keyboard.press("1")
    until(other, "document.querySelector('.step').dataset.mark === '1'")
    other.keyboard.press("0")  # its own place is still the first step
    until(two.page, "document.querySelector('.step').dataset.mark === '0'")
    for page, key in ((two.page, "1"), (other, "j"), (other, "j"), (other, "-")):
        page.keyboard.press(key)
    until(two.page, "document.querySelectorAll('.step')[3].dataset.mark === '-1'")
    assert two.marks() == two.marks(other) == ["0", "1", "", "-1"]
    two.close()
    campaign = Campaign(pool.path / "labels" / "people")
    marks = [(each.step, each.value) for each in events_of(campaign) if each.who == "two" and each.what == "mark"]
    campaign.close()
    assert marks == [(0, "1"), (0, "0"), (1, "1"), (3, "-1")]


def test_undo_flag_and_verdicts_by_keys(browser, served) -> None:
    """Every action has a key, undo takes each back, and an unfinished solution is not handed in."""
    _, server = served
    page = (who := Labeller(browser, server.links["undo"])).page
    page.keyboard.press("Enter")
    assert "Step 1 has no mark" in page.locator("#status").text_content()
    for key in ("1", "f", "k", "-", "g"):
        page.keyboard.press(key)
    who.stored()
    pressed = page.locator("[aria-pressed=true]").evaluate_all("all => all.map((each) => each.value)")
    assert [each.rpartition(":")[0] for each in pressed] == ["mark:0", "flag:1", "verdict:"]
    for left in (["mark:0:-1", "flag:1:0"], ["mark:0:1", "flag:1:0"], ["mark:0:1"], []):
        page.keyboard.press("u")
        until(page, f"document.querySelectorAll('[aria-pressed=true]').length === {len(left)}")
        values = page.locator("[aria-pressed=true]").evaluate_all("all => all.map((each) => each.value)")
        assert [each.rpartition(":")[0] for each in values] == [each.rpartition(":")[0] for each in left]
    page.keyboard.press("b")
    who.stored()
    who.hand_in()
    page.keyboard.press("p")
    page.wait_for_url("**/item/1")
    page.wait_for_selector(".step.here")
    assert page.locator("button[aria-pressed=true]").text_content().endswith("Bad problem")
    assert "Handed in" in page.locator("#status").text_content()
    page.keyboard.press("n")
    page.wait_for_url("**/item/2")
    who.close()


def test_by_mouse_and_focus(browser, served) -> None:
    """Every action has a button; where the focus is can be seen; after a click Enter hands in and repeats no button."""
    _, server = served
    page = (who := Labeller(browser, server.links["mouse"])).page
    for k in range(4):
        page.locator(".step").nth(k).locator(".good").click()
    who.stored()
    assert who.marks() == ["1"] * 4
    who.hand_in()
    page.keyboard.press("Tab")
    assert (
        page.evaluate(
            "document.activeElement.matches('.mark') && getComputedStyle(document.activeElement).outlineStyle"
        )
        == "solid"
    )
    page.locator(".bad").first.click()
    page.locator("#submit").click()
    page.wait_for_url("**/item/3")
    who.close()


def test_the_keys_are_shown(browser, served) -> None:
    """Nobody remembers them on the first day; while they are shown, keys mark nothing."""
    _, server = served
    page = (who := Labeller(browser, server.links["help"], viewport={"width": 1200, "height": 820})).page
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible() and "undo" in page.locator("#keys").text_content()
    who.shot("keys")
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible() and who.marks() == [""] * 4
    who.close()


def test_hostile_texts_and_names_are_inert(browser, served) -> None:
    """A step and a labeller's name are scripts and hidden characters: nothing runs, nothing is fetched, all is seen."""
    _, server = served
    name = "<script>window.hacked=4</script>"
    page = (who := Labeller(browser, server.links[name])).page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector(".step.here")
    assert page.locator("main script, main img, main iframe").count() == 0
    assert name in page.locator("header").text_content()
    assert "<U+202E>" in page.locator(".step").last.text_content()
    assert page.locator(".step math").count() > 0
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for url in asked)
    who.close()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_looks(browser, served, look) -> None:
    """Every text can be read (contrast 4.5) in light and dark, and a phone scrolls in one direction alone."""
    _, server = served
    options: dict[str, Any] = {
        "viewport": {"width": 1200, "height": 820},
        "color_scheme": "dark" if look == "dark" else "light",
    }
    if look == "phone":
        options = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    who = Labeller(browser, server.links["look"], **options)
    for key in "10-":
        who.page.keyboard.press(key)
    who.stored()
    who.shot(look)
    dimmed = ".after"  # what is not labelled any more is meant to step back
    who.page.evaluate(f"document.querySelectorAll('{dimmed}').forEach((each) => each.classList.remove('after'))")
    assert who.page.evaluate(CONTRAST) == []
    width = who.page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
    assert width <= options["viewport"]["width"]
    background = "getComputedStyle(document.body).backgroundColor"
    before = who.page.evaluate(background)
    who.page.locator("#theme").click()
    assert who.page.evaluate(background) != before
    for _ in range(3):
        who.page.keyboard.press("u")
    until(who.page, "!document.querySelector('[aria-pressed=true]')")
    who.close()


def test_without_scripts(browser, served) -> None:
    """A browser that runs none labels by buttons."""
    _, server = served
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.links["plain"])
    page.wait_for_url("**/item/1")
    pressed = page.locator(".mark[aria-pressed=true]")
    page.locator(".step").nth(0).locator(".good").click()
    # without scripts each mark is a form that is sent: the page comes anew
    pressed.nth(0).wait_for()
    page.locator(".step").nth(1).locator(".bad").click()
    pressed.nth(1).wait_for()
    assert pressed.count() == 2
    page.locator("#submit").click()
    page.wait_for_url("**/item/2")
    assert page.locator("#count").text_content().startswith("1 of")
    context.close()
