"""What stands before every request from outside: counters, latency, and faults on demand.

A plain ASGI layer, because some faults (a body cut off, a connection closed without an answer) can't be told as a response.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab import serving
from lab.injected import Rule
from lab.intuit import faults, writes
from lab.intuit.properties import DEFAULTS
from lab.intuit.rows import id_of
from lab.intuit.schema import BY_LOWER
from lab.intuit.state import Lab

_FROM = re.compile(r"\bfrom\s+(\w+)", re.IGNORECASE)
HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
# Which row in the order of names gets which name: the first one becomes the last, or the last one the first.
_RENAMED = {"moved": (0, "\uffee moved"), "doubled": (-1, "! moved")}
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Front:
    """Counts, delays and spoils requests; ``/lab/`` is left alone."""

    def __init__(self, app: ASGIApp, lab: Lab) -> None:
        self.app = app
        self.lab = lab
        self.random = random.Random(11)
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/lab/"):
            await self.app(scope, receive, send)
            return
        if not scope["path"].startswith("/v3/"):
            await self._delayed(scope, receive, send)
            return
        stats, realm = self.lab.stats, f"{scope['path']}//".split("/")[3]
        stats.requests += 1
        stats.in_flight += 1
        self.lab.under_way[realm] += 1
        stats.peak_in_flight = max(stats.peak_in_flight, stats.in_flight)
        try:
            await self._delayed(scope, receive, send)
        finally:
            stats.in_flight -= 1
            self.lab.under_way[realm] -= 1

    async def _delayed(self, scope: Scope, receive: Receive, send: Send) -> None:
        pause = self.lab.latency.seconds(self.random)
        # What the limits look at. However busy this one process is by then, Intuit's gateway would have counted in time.
        scope["arrived"] = self.lab.clock.monotonic() + pause / 2
        if pause:
            # Half of it on the way there and half on the way back.
            await asyncio.sleep(pause / 2)
            send = _late(send, pause / 2)
        # One answer is made at a time, and the sockets are looked at before each, so that who arrives meanwhile is noted in time.
        async with self._turn:
            await asyncio.sleep(0)
        if not self.lab.faults:
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        path, entity = scope["path"], _entity(scope, body)
        rule = next((rule for rule in self.lab.faults if rule.matches(path, entity=entity)), None)
        if rule is not None and rule.fault in _RENAMED:
            self._rename(path, entity, rule.fault)
        handler = self.app if rule is None else self._handler(rule)
        await handler(scope, _replay(body, receive), send)

    def _rename(self, path: str, entity: str, fault: str) -> None:
        """Somebody renames a row meanwhile, so that in the order of names all others move."""
        known = BY_LOWER.get(entity.lower())
        company = self.lab.companies.get(path.split("/")[3]) if known else None
        if known is None or company is None or known.name not in DEFAULTS:
            return
        table = company[known.name]
        place, name = _RENAMED[fault]
        for number in table.ordered(known.order, inactive_too=False)[place:][:1]:
            writes.rename(company, known, id_of(number), f"{name} {number}", self.lab.clock)

    def _handler(self, rule: Rule) -> Handler:
        """What stands in for the service, or around it."""
        around: dict[str, Handler] = {
            "truncated": self._truncated,
            "wrong_content_type": self._wrong_content_type,
            "bad_gzip": self._bad_gzip,
            "closed": _closed,
            "slow_body": partial(self._slow_body, rule.amount),
            **dict.fromkeys(_RENAMED, self.app),
        }
        if rule.fault in around:
            return around[rule.fault]
        if "429" in rule.fault or "throttled" in rule.fault:
            self.lab.stats.throttled += 1
        return self._instead(rule.fault)

    def _instead(self, fault: str) -> Response:
        clock = self.lab.clock
        match fault:
            case "401":
                detail = "Token expired: injected"
                return JSONResponse(faults.gateway(401, "3200", "AuthenticationFailed", clock, detail=detail), 401)
            case "403":
                return JSONResponse(faults.gateway(403, "3100", "ApplicationAuthorizationFailed", clock), 403)
            case "403_throttled":
                return JSONResponse(faults.throttled(403).body(clock), 403)
            case "429":
                return JSONResponse(faults.throttled().body(clock), 429)
            case "429_xml":
                return Response(faults.throttled_xml(clock), 429, media_type="application/xml")
            case "wrong_cluster":
                return Response(faults.wrong_cluster_xml(clock), 401, media_type="application/xml")
            case "500":
                return JSONResponse(faults.application_error().body(clock), 500)
            case "502_html":
                return Response(HTML.format("502 Bad Gateway"), 502, media_type="text/html")
            case "503_html":
                return Response(HTML.format("503 Service Unavailable"), 503, media_type="text/html")
            case "504_empty":
                return Response(b"", 504)
            case "200_fault":
                return JSONResponse(faults.application_error().body(clock), 200)
        return Response(HTML.format("Please sign in"), 200, media_type="text/html")

    async def _truncated(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Half the body, then the end of the connection."""

        async def half(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        await self.app(scope, receive, half)
        await serving.drop(scope, receive, politely=True)

    async def _slow_body(self, seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
        """The body in ten parts with a wait before each."""

        async def slowly(message: Message) -> None:
            body = message.get("body", b"")
            if message["type"] == "http.response.body" and body:
                size = -(-len(body) // 10)
                for start in range(0, len(body), size):
                    await asyncio.sleep(seconds / 10)
                    await send({**message, "body": body[start : start + size], "more_body": True})
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, receive, slowly)

    async def _wrong_content_type(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, _with_header(send, b"content-type", b"text/html;charset=utf-8"))

    async def _bad_gzip(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, called compressed, which it is not."""
        await self.app(scope, receive, _with_header(send, b"content-encoding", b"gzip"))


def _late(send: Send, seconds: float) -> Send:
    """``send`` that waits before the answer begins."""

    async def late(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return late


async def _closed(scope: Scope, receive: Receive, _send: Send) -> None:
    await receive()
    await serving.drop(scope, receive)


def _with_header(send: Send, name: bytes, value: bytes) -> Send:
    """``send`` with this header in place of the answer's own."""

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message["headers"] if header[0].lower() != name]
            message = {**message, "headers": [*kept, (name, value)]}
        await send(message)

    return changed


async def _read(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read already, then what the server says next: that the caller is gone."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _entity(scope: Scope, body: bytes) -> str:
    """The entity a request is about; empty outside the data API."""
    parts = scope["path"].split("/")
    if len(parts) < 5:
        return ""
    if parts[4] != "query":
        return str(parts[4])
    text = parse_qs(scope["query_string"].decode()).get("query", [body.decode(errors="replace")])[0]
    found = _FROM.search(text)
    return found.group(1) if found else ""
