"""How a page is rendered and which headers go with it."""

from __future__ import annotations

import secrets
from typing import Any

import jinja2
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qbo_sync.config import Settings
from qbo_sync.templating import environment

# Intuit's security requirements and RFC 9700: nothing is kept, framed, guessed or told to the next site.
_HEADERS = {
    "Cache-Control": "no-cache, no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Pages:
    """The site's pages, made from ``templates/web``."""

    def __init__(self, settings: Settings) -> None:
        self._templates: jinja2.Environment = environment("web")
        self._templates.globals["site"] = settings.site

    def render(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page ``<name>.html.j2``. Its one style block is allowed by a nonce, nothing else is."""
        nonce = secrets.token_urlsafe(16)
        body = self._templates.get_template(f"{name}.html.j2").render(nonce=nonce, **values)
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        return HTMLResponse(body, status, {**_HEADERS, "Content-Security-Policy": policy})


class Headers:
    """Puts the headers on the answers that are not pages; a page brings its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
