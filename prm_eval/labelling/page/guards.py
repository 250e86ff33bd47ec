"""What stands before the pages: who may ask, from where, how much and how often; and what every answer says.

* The ``Host`` must be a name that we are called by. A page elsewhere that has its own name point here (DNS rebinding)
  sends its own name. An address of digits cannot be rebound.
* What changes something must say that it comes from our own page: ``Origin`` is ours.
* A body has at most 64 kB; requests of one client come out of a bucket that fills at a steady rate.
* Answers allow the browser our own style and script and nothing else, and are kept in no cache.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 * 1024
RATE, BURST = 40.0, 400.0
"""Requests a second of one client, and how many at once: hands are slower, a browser that comes back is not."""
MOST_CLIENTS = 10_000
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not "no-referrer": browsers then send forms with the Origin "null"
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LOCAL = frozenset(["localhost", "127.0.0.1", "::1"])
SAFE = frozenset(["GET", "HEAD"])


class Guard:
    """The outermost layer of the application.

    Args:
        app: What it guards.
        hosts: The names under which we may be asked.
        any_address: Whether we may be asked under any address of digits too, as we listen on several.
        clock: Seconds, for the rates.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str] = LOCAL,
        *,
        any_address: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._any_address = app, any_address
        self._hosts = {each.lower() for each in hosts}
        self._buckets = Buckets(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope, headers)
        body = b""
        if refusal is None and scope["method"] not in SAFE:
            body, refusal = await _body(headers, receive)
        if refusal is not None:
            await PlainTextResponse(refusal[1] + "\n", refusal[0])(scope, receive, with_headers)
            return
        await self._app(scope, _once(body, receive), with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return why a request is not answered, with the status."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "this server is not called so"
        origin = headers.get("origin")
        same = origin is not None and urlsplit(origin).netloc.lower() == host.lower()
        if (origin is not None or scope["method"] not in SAFE) and not same:
            return 403, "the request comes from another page"
        site = headers.get("sec-fetch-site", "none")
        if scope["method"] not in SAFE and site not in ("same-origin", "none"):
            return 403, "the request comes from another page"
        if scope["method"] not in (*SAFE, "POST"):
            return 405, "GET or POST"
        client = (scope.get("client") or ("",))[0]
        if not self._buckets.take(client):
            return 429, "too many requests: wait a second"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if name is None or "@" in host:
            return False
        return name in self._hosts or (self._any_address and _is_address(name))


class Buckets:
    """How often each client may ask: a bucket of :data:`BURST` requests that fills by :data:`RATE` a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> bool:
        """Say whether a client may ask now."""
        at = self._clock()
        left, since = self._left.get(client, (BURST, at))
        left = min(BURST, left + RATE * (at - since))
        if client not in self._left and len(self._left) >= MOST_CLIENTS:
            # full buckets say no more than none; where all are in use, nobody new comes in
            self._left = {name: each for name, each in self._left.items() if each[0] + RATE * (at - each[1]) < BURST}
            if len(self._left) >= MOST_CLIENTS:
                return False
        self._left[client] = (left - (left >= 1), at)
        return left >= 1


async def _body(headers: Headers, receive: Receive) -> tuple[bytes, tuple[int, str] | None]:
    """Return the body of a request, or why it is refused."""
    too_long = (413, f"more than {MOST_BYTES:,} bytes")
    said = headers.get("content-length", "0")
    if not said.isascii() or not said.isdigit():
        return b"", (400, "a length that is no number")
    if int(said) > MOST_BYTES:
        return b"", too_long
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"", (400, "the request ended early")
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            return b"", too_long
        if not message.get("more_body"):
            return bytes(body), None


def _once(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, and then what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
