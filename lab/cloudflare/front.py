"""What stands before every request of the API: Cloudflare's headers, counters, and faults on demand.

A plain ASGI layer, because a connection closed without an answer can't be told as a response.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab import serving
from lab.cloudflare import admin, api
from lab.cloudflare.errors import throttled
from lab.cloudflare.state import LIMIT, WINDOW_S, Lab
from lab.injected import Rule

_HTML_503 = (
    "<html><head><title>503 Service Temporarily Unavailable</title></head><body><center><h1>503</h1></center></body></html>"
)
_ERROR_500 = {"result": None, "success": False, "errors": [{"code": 10013, "message": "Internal server error"}], "messages": []}


def make_app(lab: Lab) -> ASGIApp:
    """The whole look-alike over this state."""
    app = Starlette(routes=[*api.ROUTES, *admin.ROUTES])
    app.state.lab = lab
    return Front(app, lab)


class Front:
    """Counts, dresses and spoils the API's answers; ``/lab/`` is left alone."""

    def __init__(self, app: ASGIApp, lab: Lab) -> None:
        self.app = app
        self.lab = lab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/lab/"):
            await self.app(scope, receive, send)
            return
        self.lab.counts["requests"] += 1
        rule = next((r for r in self.lab.faults if r.matches(scope["path"], method=scope["method"])), None)
        if rule is None:
            await self.app(scope, receive, _dressed(scope, send))
            return
        self.lab.counts["faults"] += 1
        if rule.fault == "closed":
            await self._lose_answer(scope, receive)
        else:
            await self._spoilt(rule)(scope, receive, _dressed(scope, send))

    def _spoilt(self, rule: Rule) -> Response:
        if rule.fault == "503_html":
            return Response(_HTML_503, 503, media_type="text/html")
        if rule.fault == "500":
            return JSONResponse(_ERROR_500, 500)
        self.lab.counts["throttled"] += 1
        error = throttled(LIMIT, WINDOW_S, int(rule.amount))
        return JSONResponse(error.envelope(), error.status, error.headers)

    async def _lose_answer(self, scope: Scope, receive: Receive) -> None:
        """Do what was asked, then drop the connection: the client can't know whether it was done."""

        async def nowhere(message: Message) -> None:
            return None

        await self.app(scope, receive, nowhere)
        await serving.drop(scope, receive)


def _dressed(scope: Scope, send: Send) -> Send:
    """``send`` that adds the headers of Cloudflare's own answers."""
    version = Headers(scope=scope).get("api-version") or datetime.now(UTC).strftime("%Y-%m-%d")

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {"server": "cloudflare", "api-version": version, "cf-ray": f"{secrets.token_hex(8)}-LAB"}
            extra = [(name.encode(), value.encode("latin-1", "replace")) for name, value in own.items()]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return dressed
