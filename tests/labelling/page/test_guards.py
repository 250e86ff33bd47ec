"""Who is let in. If a refusal failed, a stranger could read the page, or another site mark in somebody's name."""

from __future__ import annotations

import json
import re

import pytest

from prm_eval.labelling.page.app import make_app
from prm_eval.labelling.page.campaign import Person
from prm_eval.labelling.page.guards import BURST, MOST_BYTES, MOST_CLIENTS, RATE, Buckets
from prm_eval.labelling.page.ledger import Ledger
from prm_eval.labelling.page.views import csrf_of
from tests.labelling.page.campaigns import (
    Answer,
    as_json,
    ask,
    events_of,
    make_campaign,
    make_pool,
    mark_item,
    with_known,
)

OURS = "http://127.0.0.1:8765"


class Browser:
    """Somebody with a link."""

    def __init__(self, campaign, who: str = "ann", role: str = "labeller", **options) -> None:
        self.campaign, self.token = campaign, campaign.invite(who, role)
        self.ledger = Ledger(campaign)
        self.app = make_app(self.ledger, **options)
        self.headers = {
            "cookie": f"label_{campaign.id}={self.token}",
            "origin": OURS,
            "x-csrf": csrf_of(self.token),
            "content-type": "application/json",
            "accept": "application/json",
        }

    def get(self, path: str, **options) -> Answer:
        return ask(self.app, "GET", path, headers={"cookie": self.headers["cookie"]}, **options)

    def post(self, path: str, body: bytes, change: dict[str, str] | None = None, **options) -> Answer:
        return ask(self.app, "POST", path, headers={**self.headers, **(change or {})}, body=body, **options)


@pytest.fixture
def ann(tmp_path):
    campaign = make_campaign(make_pool(tmp_path / "pool", 2, 2, hostile=True), second_opinion=1)
    found = Browser(campaign)
    assert found.get("/").status == 303
    yield found
    campaign.close()


GOOD = as_json([{"what": "mark", "step": 0, "value": "1", "ms": 5, "key": "0123456789"}])
MARK = {"what": "mark", "step": 0, "value": "1"}


def test_one_mark(ann) -> None:
    """The table below refuses what differs from this, which is taken."""
    answer = ann.post("/item/1", GOOD)
    assert answer.status == 200 and json.loads(answer.text)["marks"] == [1, None, None, None]
    assert ann.post("/item/1", GOOD).status == 200
    assert [each.what for each in events_of(ann.campaign)] == ["opened", "mark"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cookie": ""}, 401),
        ({"cookie": "label_x=1"}, 401),
        ({"cookie": "label_ID=wrong"}, 401),
        ({"x-csrf": ""}, 403),
        ({"x-csrf": "0" * 64}, 403),
        ({"origin": ""}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "http://127.0.0.1:8765.evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:8765"}, 421),
        ({"host": "127.0.0.1@evil.example"}, 421),
        ({"host": ""}, 421),
        ({"host": "10.0.0.7:8765"}, 421),
        ({"content-length": str(MOST_BYTES + 1)}, 413),
        ({"content-length": "many"}, 400),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_a_change_that_is_refused(ann, change, status) -> None:
    """No token, a wrong one, another site, another name of this machine, too much, no proof that it is our page."""
    change = {name: value.replace("ID", ann.campaign.id) for name, value in change.items()}
    answer = ann.post("/item/1", GOOD, change)
    assert answer.status == status
    assert len(events_of(ann.campaign)) == 1
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        as_json([]),
        as_json([MARK] * 101),
        b'{"events": [1]}',
        as_json([{"what": "delete"}]),
        as_json([MARK | {"step": "0"}]),
        as_json([MARK | {"step": True}]),
        as_json([MARK | {"step": 10**30}]),
        as_json([MARK | {"value": 1}]),
        as_json([MARK | {"value": "\ud800"}]),
        as_json([MARK | {"ms": 1.5}]),
        as_json([MARK | {"ms": 10**30}]),
        as_json([MARK | {"key": "short"}]),
        as_json([MARK | {"key": "\u202e" * 10}]),
    ],
)
def test_bodies_without_meaning(ann, body) -> None:
    """Each is a 400 and no event; an error of ours would be a 500, and could be asked for again and again."""
    assert ann.post("/item/1", body).status == 400
    assert len(events_of(ann.campaign)) == 1


def test_a_body_in_pieces_is_bounded_too(ann) -> None:
    """Without a length the body is read until it ends: it must not fill the memory."""
    answer = ann.post("/item/1", b"", chunks=[b"x" * 10_000] * 50)
    assert answer.status == 413


@pytest.mark.parametrize("path", ["/", "/item/1", "/state/1"])
def test_pages_need_the_link(ann, path) -> None:
    """Whoever finds the port sees nothing of the campaign."""
    answer = ask(ann.app, "GET", path)
    assert answer.status == 401
    assert "Problem" not in answer.text
    assert ask(ann.app, "GET", path, host="evil.example").status == 421
    assert ask(ann.app, "GET", path, headers={"origin": "https://evil.example"}).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/item/0",
        "/item/2",
        "/item/99999999999999999999",
        "/item/-1",
        "/item/x",
        "/static/",
        "/static/item.html",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/campaign.sqlite",
        "/docs",
    ],
)
def test_nothing_else_is_served(ann, path) -> None:
    """Items that a labeller was not given, and every file but the style and the script, are not there."""
    assert ann.get(path).status == 404


def test_the_link_becomes_a_cookie(ann) -> None:
    """Scripts cannot read it, other sites cannot send it; a wrong link gives none; and no cache keeps a page."""
    answer = ask(ann.app, "GET", f"/in/{ann.token}")
    cookie = answer.headers["set-cookie"]
    assert answer.status == 200 and "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-frame-options"] == "DENY"
    wrong = ask(ann.app, "GET", f"/in/{ann.token[:-1]}x")
    assert wrong.status == 401 and "set-cookie" not in wrong.headers
    ann.campaign.revoke("ann")
    assert ann.get("/").status == 401
    assert ann.post("/item/1", GOOD).status == 401


def test_names_by_which_it_may_be_called(ann) -> None:
    """Behind a tunnel the port is another one; where it listens for others, addresses cannot be rebound, names can."""
    assert ann.get("/item/1", host="localhost:9000").status == 200
    assert ann.get("/item/1", host="[::1]:8765").status == 200
    wide = make_app(ann.ledger, {"127.0.0.1", "lab.example"}, any_address=True)
    for host, status in (("10.0.0.7:80", 401), ("lab.example", 401), ("LAB.example:1", 401), ("evil.example", 421)):
        assert ask(wide, "GET", "/", host=host).status == status
    assert ask(wide, "PUT", "/", headers={"origin": "http://lab.example"}, host="lab.example").status == 405


def test_rates(ann) -> None:
    """A client may ask so often and no more; others are not held up; clients that never come back are forgotten."""
    at = [0.0]
    buckets = Buckets(lambda: at[0])
    assert sum(buckets.take("a") for _ in range(int(BURST) + 50)) == BURST
    assert buckets.take("b")
    at[0] += 1
    assert sum(buckets.take("a") for _ in range(100)) == RATE
    for k in range(MOST_CLIENTS + 5):
        at[0] += 0.1
        assert buckets.take(f"c{k}")
    assert len(buckets._left) <= MOST_CLIENTS
    statuses = [ann.get("/state/1").status for _ in range(int(BURST) + 100)]
    assert statuses[0] == 200 and statuses[-1] == 429


def test_a_form_without_scripts(ann) -> None:
    """Everything works without a script: a button is a form, with the same proof."""
    kind = {"content-type": "application/x-www-form-urlencoded", "x-csrf": "", "accept": ""}
    proof = f"csrf={csrf_of(ann.token)}&act="
    assert ann.post("/item/1", (proof + "mark:0:-1").encode(), kind).headers["location"] == "/item/1"
    assert ann.post("/item/1", (proof + "submit").encode(), kind).headers["location"] == "/"
    assert ann.ledger.done("ann", 1)
    for act, status in (("mark:9:1", 400), ("mark::1", 400), ("", 400), ("nothing:0:1", 400), ("undo", 303)):
        assert ann.post("/item/1", (proof + act).encode(), kind).status == status
    assert ann.post("/item/1", b"act=mark:0:1", kind).status == 403
    assert ann.post("/item/1", ("&".join(["a=1"] * 50)).encode(), kind).status == 400


def test_texts_are_escaped(ann) -> None:
    """A step, a statement, a labeller's name: none of them makes an element, and what reorders text is spelt out."""
    evil = Browser(ann.campaign, "<script>window.hacked=3</script>\u202e")
    evil.get("/")
    for page in (ann.get("/item/1").text, evil.get("/item/1").text):
        assert len(re.findall(r"<script", page)) == 1 and '<script src="/static/page.js">' in page
        assert "<img" not in page and "\u202e" not in page and "\u200b" not in page
        assert "&lt;script&gt;" in page and "&lt;U+202E&gt;" in page and "<math" in page


def test_a_page_is_bounded(tmp_path) -> None:
    """A candidate that is one formula after the other, or a thousand steps, must not hold the server for all others."""
    from prm_eval.importers import import_pool
    from tests.conftest import write_jsonl

    texts = [
        "\n".join(" ".join(f"$x_{{{k * 1_000 + i}}}$" for i in range(20)) for k in range(200)),
        "a\n" * 5_000,
        "one",
    ]
    row = {"id": "a", "problem": "Long?", "answer": "1", "samples": [{"text": each} for each in texts]}
    pool = import_pool(write_jsonl(tmp_path / "p.jsonl", [row]), tmp_path / "pool", policy="x").pool
    campaign = make_campaign(pool, second_opinion=0)
    ann = Browser(campaign)
    assert ann.get("/").status == 303
    page = ann.get("/item/1").text
    assert 1_000 < page.count("<math") < 3_500 and page.count('class="step"') == 200 and "$x_{199019}$" in page
    mark_item(ann.ledger, Person("ann", "labeller"), 1, [-1])
    assert ann.get("/").status == 303 and ann.ledger.current("ann") == 3  # the one of 5,000 steps is passed over
    campaign.close()


def test_pages_do_not_tell_known_items(tmp_path) -> None:
    """If anything but the texts differed, labellers would be careful where it counts."""
    campaign = with_known(make_campaign(make_pool(tmp_path / "pool"), qc_rate=0.5, second_opinion=0), 1, 20)
    ann = Browser(campaign)
    pages = {}
    for _ in range(12):
        where = ann.get("/").headers["location"]
        item = ann.ledger.current("ann")
        page = ann.get(where).text
        page = re.sub(r'<div class="text".*?</div>|aria-label="Mark step \d+"', "", page, flags=re.DOTALL)
        page = re.sub(r'<li class="step".*</li>', "", page, flags=re.DOTALL)
        page = re.sub(r"data-state=\"[^\"]*\"|\d+ steps?|/item/\d+|>\d+<|data-number=\"\d+\"", "", page)
        page = re.sub(r'value="\d+" max="\d+"|\d+ of \d+|Solution \d+|<a class="btn" id="back".*?</a>', "", page)
        pages[campaign.kinds([item])[item]] = page
        mark_item(ann.ledger, Person("ann", "labeller"), item, [1, 1, 1, 1])
    assert set(pages) == {"screening", "quality_control", "main"} and len(set(pages.values())) == 1
    campaign.close()


def test_an_adjudicator_sees_conflicts_alone(tmp_path) -> None:
    """A labeller never sees others' marks; an adjudicator sees what is in conflict and nothing else."""
    campaign = make_campaign(make_pool(tmp_path / "pool", 2, 1), second_opinion=1)
    ledger = Ledger(campaign)
    for who, marks in (("ann", [1, -1]), ("bob", [1, 1, 1, 1])):
        for item in (1, 2):
            ledger.current(who)
            mark_item(ledger, Person(who, "labeller"), item, marks if item == 1 else [1, 1, 1, 1])
    eve = Browser(campaign, "eve", "adjudicator")
    page = eve.get("/").text
    assert "1 of 2 solutions" in page and 'href="/item/1"' in page and 'href="/item/2"' not in page
    assert "wrong at step 2" in eve.get("/item/1").text
    assert eve.get("/item/2").status == 404 and eve.get("/item/77").status == 404
    taken = {"what": "marks", "value": '{"marks": [1, -1, null, null], "verdict": null}'}
    assert eve.post("/item/1", as_json([taken, {"what": "submit"}])).status == 200
    assert "decided: wrong at step 2" in eve.get("/").text
    ann = Browser(campaign, "ann")
    assert ann.post("/item/1", as_json([taken])).status == 400
    assert "bob" not in ann.get("/item/1").text
    campaign.close()


def test_the_gold_answer_is_hidden_unless_asked_for(tmp_path) -> None:
    """Who knows that the answer is wrong looks for an error until there is one."""
    from prm_eval.grading.pool import grade_pool

    shown = {}
    for name, show in (("hidden", False), ("shown", True)):
        pool = make_pool(tmp_path / name, 2, 1)
        grade_pool(pool)
        campaign = make_campaign(pool, show_answer=show)
        ann = Browser(campaign)
        ann.get("/")
        shown[name] = ann.get("/item/1").text
        campaign.close()
    assert "Reference answer" not in shown["hidden"] and "correct" not in shown["hidden"].replace("good: correct", "")
    assert "Reference answer" in shown["shown"] and "0, correct" in re.sub(r"</?bdi>", "", shown["shown"])
