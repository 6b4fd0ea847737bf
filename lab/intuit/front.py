"""What stands before every request from outside: counters, latency, and faults on demand.

A plain ASGI layer, because some faults (a body cut off, a connection closed without an answer) can't be told as a response.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from lab.intuit import faults, writes
from lab.intuit.injected import InjectedFault
from lab.intuit.rows import id_of
from lab.intuit.schema import BY_LOWER
from lab.intuit.state import Lab

_FROM = re.compile(r"\bfrom\s+(\w+)", re.IGNORECASE)
HTML_503 = "<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>"
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Protocol(H11Protocol):
    """uvicorn's own protocol, which also lets the application drop the connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Front:
    """Counts, delays and spoils requests; ``/lab/`` is left alone."""

    def __init__(self, app: ASGIApp, lab: Lab) -> None:
        self.app = app
        self.lab = lab
        self.random = random.Random(11)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/lab/"):
            await self.app(scope, receive, send)
            return
        is_data = scope["path"].startswith("/v3/")
        stats = self.lab.stats
        stats.requests += is_data
        stats.in_flight += is_data
        stats.peak_in_flight = max(stats.peak_in_flight, stats.in_flight)
        try:
            await self._delayed(scope, receive, send)
        finally:
            stats.in_flight -= is_data

    async def _delayed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.lab.latency_s or self.lab.jitter_s:
            await asyncio.sleep(self.lab.latency_s + self.random.uniform(0, self.lab.jitter_s))
        if not self.lab.faults:
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        path, entity = scope["path"], _entity(scope, body)
        rule = next((rule for rule in self.lab.faults if rule.matches(path, entity)), None)
        if rule is not None and rule.fault == "moved":
            self._move(path, entity)
        handler = self.app if rule is None else self._handler(rule)
        await handler(scope, _replay(body, receive), send)

    def _move(self, path: str, entity: str) -> None:
        """Somebody renames the first row meanwhile, so that in the order of names all others move up."""
        known = BY_LOWER.get(entity.lower())
        company = self.lab.companies.get(path.split("/")[3]) if known else None
        if known is None or company is None or known.name not in writes.DEFAULTS:
            return
        table = company[known.name]
        first = table.ordered(known.order, inactive_too=False)[:1]
        for number in first:
            writes.rename(company, known, id_of(number), f"\uffee moved {number}", self.lab.clock)

    def _handler(self, rule: InjectedFault) -> Handler:
        clock = self.lab.clock
        match rule.fault:
            case "401":
                detail = "Token expired: injected"
                return JSONResponse(faults.gateway(401, "3200", "AuthenticationFailed", clock, detail=detail), 401)
            case "403":
                return JSONResponse(faults.gateway(403, "3100", "ApplicationAuthorizationFailed", clock), 403)
            case "429":
                self.lab.stats.throttled += 1
                return JSONResponse(faults.throttled().body(clock), 429)
            case "429_xml":
                self.lab.stats.throttled += 1
                return Response(faults.throttled_xml(clock), 429, media_type="application/xml")
            case "wrong_cluster":
                return Response(faults.wrong_cluster_xml(clock), 401, media_type="application/xml")
            case "500":
                return JSONResponse(faults.application_error().body(clock), 500)
            case "503_html":
                return Response(HTML_503, 503, media_type="text/html")
            case "truncated":
                return self._truncated
            case "wrong_content_type":
                return self._wrong_content_type
            case "closed":
                return _closed
            case "slow_body":
                return partial(self._slow_body, rule.seconds)
        return self.app

    async def _truncated(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Half the body, then the end of the connection."""

        async def half(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        await self.app(scope, receive, half)
        scope["state"]["transport"].close()
        await _gone(receive)

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
        async def as_html(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message["headers"] if name.lower() != b"content-type"]
                message = {**message, "headers": [*kept, (b"content-type", b"text/html;charset=utf-8")]}
            await send(message)

        await self.app(scope, receive, as_html)


async def _closed(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["transport"].abort()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is closed; before that it would complain of a missing answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


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
