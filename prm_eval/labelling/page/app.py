"""The application: who asks, what for, and the page or the change that comes of it.

A link's token becomes a cookie that scripts cannot read and other sites cannot send. Every change brings a second
token, which only our own pages know. All of it runs in one event loop, a request after the other; a change is on the
disk before it is answered.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from prm_eval.labelling.page import views
from prm_eval.labelling.page.campaign import Item, Person
from prm_eval.labelling.page.choosing import Opinions, all_opinions
from prm_eval.labelling.page.events import WHATS, Event
from prm_eval.labelling.page.guards import LOCAL, Guard
from prm_eval.labelling.page.ledger import Ledger, NotAllowed

MOST_EVENTS = 100
"""Of one request."""
DAYS = 30
TITLES = {
    400: "That has no meaning",
    401: "This page needs your link",
    403: "Not allowed",
    404: "There is no such page",
    405: "There is no such page",
    415: "That has no meaning",
}
Endpoint = Callable[[Request], Awaitable[Response]]


class Site:
    """The pages of one campaign.

    Args:
        ledger: The campaign.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._campaign = ledger.campaign
        self._cookie = f"label_{self._campaign.id}"

    def routes(self) -> list[Route]:
        """Return what is answered."""
        return [
            Route("/", self._home),
            Route("/in/{token}", self._enter),
            Route("/item/{number}", self._show, methods=["GET"]),
            Route("/item/{number}", self._change, methods=["POST"]),
            Route("/state/{number}", self._state),
            *(Route(f"/static/{name}", _asset(name, kind)) for name, kind in views.ASSETS.items()),
        ]

    async def refused(self, request: Request, error: Exception) -> Response:
        """Answer what could not be done: a page for people, JSON for the script."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else ""
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"error": detail}, status)
        title = TITLES.get(status, "That did not work")
        return HTMLResponse(views.message_page(self._ledger, title, detail), status)

    # -- who asks

    def _token(self, request: Request) -> tuple[Person, str]:
        token = request.cookies.get(self._cookie, "")
        person = self._campaign.person(token) if token else None
        if person is None:
            raise HTTPException(401, "Open the link that you were given. If it does not work, it was taken back.")
        return person, token

    async def _enter(self, request: Request) -> Response:
        token = request.path_params["token"]
        person = self._campaign.person(token)
        if person is None:
            raise HTTPException(401, "This link is not known here. Copy the whole of it, or ask for a new one.")
        # a page, no redirect: a browser sends no strict cookie along a way that began on another site
        text = "Every mark is stored at once: you may close this page whenever you like, and go on with the same link."
        page = views.message_page(self._ledger, "Welcome", text, person, onward=True)
        response = HTMLResponse(page)
        response.set_cookie(self._cookie, token, max_age=DAYS * 86_400, path="/", httponly=True, samesite="strict")
        return response

    # -- pages

    async def _home(self, request: Request) -> Response:
        person, _ = self._token(request)
        if person.role == "adjudicator":
            return HTMLResponse(views.list_page(self._ledger, person, self._opinions()))
        item = self._ledger.current(person.who)
        if item is None:
            n = self._ledger.progress(person.who).done
            text = f"You labelled {n} {'solution' if n == 1 else 'solutions'}; nothing is left for you. Thank you."
            return HTMLResponse(views.message_page(self._ledger, "All done", text, person))
        return RedirectResponse(f"/item/{self._ledger.given(person.who).index(item) + 1}", 303)

    async def _show(self, request: Request) -> Response:
        person, token = self._token(request)
        item, opinions = self._item(request, person)
        if opinions is not None:
            self._ledger.open(person.who, item)
        number = int(request.path_params["number"])
        csrf = views.csrf_of(token)
        return HTMLResponse(views.item_page(self._ledger, person, item, number, csrf, opinions))

    async def _state(self, request: Request) -> Response:
        person, _ = self._token(request)
        item = self._number(request, person)
        if (person.who, item) not in self._ledger.markings:
            raise HTTPException(404, "This item was not opened.")
        return JSONResponse(views.state_of(self._ledger, person, item))

    def _number(self, request: Request, person: Person) -> int:
        """Return the item that an address means: a labeller's own count, or an adjudicator's conflict."""
        number = _whole(request.path_params["number"])
        if number is None:
            raise HTTPException(404, "There is no such page.")
        if person.role == "adjudicator":
            return number
        given = self._ledger.given(person.who)
        if not 1 <= number <= len(given):
            raise HTTPException(404, "You were not given so many solutions yet.")
        return given[number - 1]

    def _item(self, request: Request, person: Person) -> tuple[Item, Opinions | None]:
        number = self._number(request, person)
        if person.role == "labeller":
            return self._campaign.item(number), None
        found = next((each for each in self._opinions() if each.item == number and each.conflict), None)
        if found is None:
            raise HTTPException(404, "There is no such conflict.")
        return self._campaign.item(number), found

    def _opinions(self) -> list[Opinions]:
        return all_opinions(self._campaign, self._ledger.markings)

    # -- changes

    async def _change(self, request: Request) -> Response:
        person, token = self._token(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        if kind == "application/json":
            csrf, given = request.headers.get("x-csrf", ""), _json(body)
        elif kind == "application/x-www-form-urlencoded":
            csrf, given = _form(body)
        else:
            raise HTTPException(415, "Expected JSON, or a form.")
        if not hmac.compare_digest(csrf.encode(), views.csrf_of(token).encode()):
            raise HTTPException(403, "This page was opened with another link. Load it again.")
        item = self._number(request, person)
        for fields in given:
            try:
                self._ledger.add(person, _event(person, item, fields))
            except NotAllowed as error:
                raise HTTPException(400, str(error)) from None
        if kind == "application/json":
            return JSONResponse(views.state_of(self._ledger, person, item))
        onward = given[-1]["what"] == "submit" and self._ledger.done(person.who, item)
        return RedirectResponse("/" if onward else request.url.path, 303)


def make_app(ledger: Ledger, hosts: Collection[str] = LOCAL, *, any_address: bool = False) -> ASGIApp:
    """Return the application of a campaign, behind its guard.

    Args:
        ledger: The campaign.
        hosts: The names under which we may be asked.
        any_address: Whether we may be asked under any address of digits too.
    """
    site = Site(ledger)
    app = Starlette(routes=site.routes(), exception_handlers={HTTPException: site.refused})
    app.router.redirect_slashes = False
    return Guard(app, hosts, any_address=any_address)


def _asset(name: str, kind: str) -> Endpoint:
    async def answer(request: Request) -> Response:
        return Response(views.asset(name), media_type=kind)

    return answer


def _whole(text: str) -> int | None:
    """Return a whole number of at most nine digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _json(body: bytes) -> list[dict[str, Any]]:
    """Return the events of a request in JSON."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "This is no JSON.") from None
    events = given.get("events") if isinstance(given, dict) else None
    if not isinstance(events, list) or not 0 < len(events) <= MOST_EVENTS:
        raise HTTPException(400, f"Expected 1 to {MOST_EVENTS} events.")
    if not all(isinstance(each, dict) for each in events):
        raise HTTPException(400, "Expected events that are objects.")
    return events


def _form(body: bytes) -> tuple[str, list[dict[str, Any]]]:
    """Return the token and the one event of a form, as a browser without scripts sends it: ``act=what:step:value``."""
    try:
        fields = parse_qs(body.decode(), max_num_fields=10, keep_blank_values=True)
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
    what, _, rest = fields.get("act", [""])[0].partition(":")
    step, _, value = rest.partition(":")
    event = {"what": what, "step": _whole(step), "value": value or None}
    return fields.get("csrf", [""])[0], [event]


def _event(person: Person, item: int, fields: dict[str, Any]) -> Event:
    """Return an event of a request, with every field of the right type."""
    what, step, value = fields.get("what"), fields.get("step"), fields.get("value")
    ms, key = fields.get("ms", 0), fields.get("key")
    known = next((each for each in WHATS if each == what), None)
    if known is None:
        raise HTTPException(400, "An event of no known kind.")
    if not (step is None or (isinstance(step, int) and not isinstance(step, bool))):
        raise HTTPException(400, "A step that is no number.")
    if not (value is None or (isinstance(value, str) and value.isascii())):
        raise HTTPException(400, "A value that is no plain text.")
    if isinstance(ms, bool) or not isinstance(ms, int):
        raise HTTPException(400, "A time that is no whole number of milliseconds.")
    if not (key is None or (isinstance(key, str) and key.isascii() and 8 <= len(key) <= 64)):
        raise HTTPException(400, "A key that is no plain text of 8 to 64 characters.")
    if known not in ("mark", "flag"):
        step = None
    if known in ("submit", "undo"):
        value = None
    # keys of two people never meet
    return Event(person.who, item, known, step, value, ms, None if key is None else f"{person.who} {key}")
