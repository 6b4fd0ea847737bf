"""The web service of one site, behind its reverse proxy.

Nothing here trusts the ``Host`` header or a forwarded one: every address that leaves this service is a setting or relative. The
pages need no JavaScript.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

# Now, not when the first token is asked for: an update may have replaced the file by then.
import qbo_sync.intuit.session  # noqa: F401
from qbo_sync import __version__
from qbo_sync.config import Settings, is_loopback
from qbo_sync.errors import KitError, ReconnectNeeded, Unreachable
from qbo_sync.intuit import (
    CallbackRefused,
    Connection,
    ConsentDeclined,
    EventQueue,
    GrantState,
    Http,
    WrongCompany,
    authorize,
)
from qbo_sync.intuit.tokens import utc_now
from qbo_sync.web import webhooks
from qbo_sync.web.keeper import Keeper
from qbo_sync.web.pages import Headers, Pages

log = logging.getLogger("qbo_sync.web")

BROWSER_COOKIE = "qbo_browser"
INVITATION_COOKIE = "qbo_invitation"
_COOKIE_LIFE_S = 3600
# A person is looking at the browser, and the proxy in front gives up after a minute.
_TIMEOUT_S = 20.0
_PATIENCE_S = 5.0
_FORM_BYTES = 4096
_START_AGAIN = (ConsentDeclined, CallbackRefused, ReconnectNeeded, WrongCompany)
_CONNECTED = (GrantState.connected, GrantState.expiring)


class Site:
    """The pages of one site."""

    def __init__(self, settings: Settings, keeper: Keeper | None) -> None:
        self.settings = settings
        self._keeper = keeper
        self.pages = Pages(settings)
        self._secure = settings.web.public_url.startswith("https:")
        # Lives as long as this process: after a restart a page has to be loaded again before its button works.
        self._form_key = secrets.token_bytes(32)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The site's connection, for one request."""
        with closing(
            Connection(self.settings, http=Http(self.settings, timeout_s=_TIMEOUT_S, patience_s=_PATIENCE_S))
        ) as connection:
            yield connection

    def home(self, request: Request) -> Response:
        """Whether the site is connected, to which company, and what to do next."""
        with self.connection() as connection:
            state = connection.state()
            grant = connection.grant() if state in _CONNECTED else None
            invited = connection.store.may_connect(request.cookies.get(INVITATION_COOKIE, ""))
        browser = self._browser(request)
        page = self.pages.render(
            "home",
            state=state,
            grant=grant,
            end=grant.end(utc_now()) if grant else None,
            invited=invited,
            form_token=self._form_token(browser),
            inside=inside(request),
        )
        return self._keep(page, browser)

    def connect(self, request: Request) -> Response:
        """The *Connect to QuickBooks* button, while there is something to connect."""
        invitation = request.query_params.get("invitation", "")[:64]
        with self.connection() as connection:
            state = connection.state()
            if state is GrantState.connected:
                return RedirectResponse("/qbo/", 303)
            if not connection.store.may_connect(invitation or request.cookies.get(INVITATION_COOKIE, "")):
                return self._uninvited(invitation)
        if invitation:
            # A clean address, as after the callback.
            return self._set_cookie(RedirectResponse("/qbo/connect", 303), INVITATION_COOKIE, invitation)
        return self.pages.render("connect", state=state)

    def start(self, request: Request) -> Response:
        """On to Intuit's consent page, with a state that only this browser can bring back."""
        browser = self._browser(request)
        with self.connection() as connection:
            if connection.state() is GrantState.connected:
                return RedirectResponse("/qbo/", 303)
            if not connection.store.may_connect(request.cookies.get(INVITATION_COOKIE, "")):
                return self._uninvited()
            address = connection.begin(browser)
        return self._keep(RedirectResponse(address, 303), browser)

    def callback(self, request: Request) -> Response:
        """Where Intuit sends the browser back to."""
        query = request.scope["query_string"].decode("latin-1")
        with self.connection() as connection:
            authorize(connection, query, browser=request.cookies.get(BROWSER_COOKIE, ""))
        # A clean address: neither the history nor a reload holds the code.
        return RedirectResponse("/qbo/", 303)

    async def disconnect(self, request: Request) -> Response:
        """Give the grant back to Intuit. Only by the button of a page that this browser was shown."""
        if not inside(request):
            return self.pages.render(
                "problem",
                403,
                title="Not from here",
                text="QuickBooks can be disconnected from inside the company's own network only.",
                next="Open this page there, or ask whoever looks after this link.",
            )
        form = await _form(request)
        browser = request.cookies.get(BROWSER_COOKIE, "")
        sent, expected = form.get("form_token", "").encode(), self._form_token(browser).encode()
        if not hmac.compare_digest(sent, expected):
            return self.pages.render(
                "problem", 403, title="Please try once more", text="This page was open for too long.", next="Go back and reload."
            )
        await run_in_threadpool(self._revoke)
        return RedirectResponse("/qbo/disconnected", 303)

    def disconnected(self, request: Request) -> Response:
        """Where people land after a disconnect; after one inside QuickBooks Intuit is asked, in the background."""
        with self.connection() as connection:
            state = connection.state()
        if state in _CONNECTED and self._keeper:
            self._keeper.doubt()
        return self.pages.render("disconnected", connected=state in _CONNECTED)

    def health(self, request: Request) -> Response:
        """For the proxy and the monitoring: this process answers. Holds nothing secret."""
        return JSONResponse({"status": "ok", "site": self.settings.site, "version": __version__})

    async def webhooks(self, request: Request) -> Response:
        """Take what Intuit tells of changes: 200 once it is on the disk, and nothing more is done here (Intuit waits 3 s)."""
        body = await _body(request, webhooks.MAX_BYTES)
        return await run_in_threadpool(self._keep_events, body, request.headers.get("intuit-signature", ""))

    def _keep_events(self, body: bytes, signature: str) -> Response:
        if not webhooks.signed(self.settings, body, signature):
            return Response(status_code=401)
        try:
            events = webhooks.parse(body)
        except webhooks.NotAnEvent as error:
            log.warning("webhook refused: %s", error.seen)
            return Response(status_code=400)
        EventQueue(self.settings).add(events)
        if self._keeper:
            self._keeper.wake()
        return Response(status_code=200)

    def refused(self, request: Request, error: Exception) -> Response:
        """An error as a page that a person can act on."""
        status, title = _reading(error)
        problem = error if isinstance(error, KitError) else KitError("This page does not exist or cannot be used this way.")
        if isinstance(error, KitError):
            log.warning("%s %s: %s", request.method, request.url.path, error.what)
        text = problem.what[:1].upper() + problem.what[1:]
        return self.pages.render(
            "problem",
            status,
            title=title,
            text=f"{text.rstrip('.')}.",
            next=_next(problem),
            again=isinstance(problem, _START_AGAIN),
        )

    def broken(self, request: Request, error: Exception) -> Response:
        """A mistake of ours. What it was stands in the service's log only."""
        return self.pages.render(
            "problem",
            500,
            title="Something went wrong here",
            text="The fault is in this program, not in anything you did.",
            next="Try again in a few minutes. If it stays, tell whoever looks after this link.",
        )

    def _revoke(self) -> None:
        with self.connection() as connection:
            connection.revoke()

    def _browser(self, request: Request) -> str:
        known = request.cookies.get(BROWSER_COOKIE, "")
        return known if len(known) == 43 else secrets.token_urlsafe(32)

    def _keep(self, response: Response, browser: str) -> Response:
        return self._set_cookie(response, BROWSER_COOKIE, browser)

    def _set_cookie(self, response: Response, name: str, value: str) -> Response:
        response.set_cookie(name, value, max_age=_COOKIE_LIFE_S, path="/qbo/", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _uninvited(self, invitation: str = "") -> Response:
        """Whoever connects first decides which company this site is bound to, so that is not for everybody who passes by."""
        return self.pages.render("uninvited", 403, used=bool(invitation))

    def _form_token(self, browser: str) -> str:
        return hmac.new(self._form_key, browser.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def inside(request: Request) -> bool:
    """Whether the visitor is in the site's own network: the pages are public, the company's name and *Disconnect* are not.

    Behind the proxy the visitor's address is the one the proxy saw; anybody else's word for it is not taken.
    """
    peer = request.client.host if request.client else ""
    seen = request.headers.get("x-real-ip", peer) if is_loopback(peer) else peer
    try:
        address = ipaddress.ip_address(seen)
    except ValueError:
        return False
    return address.is_private or address.is_loopback


async def _form(request: Request) -> dict[str, str]:
    """A small urlencoded form; of names that come twice the first counts."""
    body = await _body(request, _FORM_BYTES)
    return {name: values[0] for name, values in parse_qs(body.decode("ascii", "replace"), max_num_fields=20).items()}


async def _body(request: Request, most: int) -> bytes:
    """The request's body; 413 as soon as it is longer."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413)
    return bytes(body)


def _reading(error: Exception) -> tuple[int, str]:
    """Status and headline for an error."""
    match error:
        case ConsentDeclined():
            return 200, "QuickBooks was not connected"
        case CallbackRefused():
            return 400, "Please start again"
        case WrongCompany():
            return 409, "That is another company"
        case Unreachable():
            return 503, "QuickBooks does not answer"
        case ReconnectNeeded():
            return 409, "Please connect again"
        case KitError():
            return 502, "QuickBooks could not be connected"
        case HTTPException():
            return error.status_code, "Nothing to see here"
    return 500, "Something went wrong here"


def _next(problem: KitError) -> str:
    match problem:
        case WrongCompany():
            return "Connect again and choose the company this site has always used."
        case Unreachable():
            return "Nothing is lost. Try again in a few minutes."
        case ConsentDeclined() | CallbackRefused() | ReconnectNeeded():
            return (
                "Start again from the Connect page. A QuickBooks administrator has to do it, in one browser, within ten minutes."
            )
    return "If this stays, tell whoever looks after this link."


def create_app(settings: Settings, keeper: Keeper | None = None) -> Starlette:
    """The application. Opens nothing until the first request, so that it starts before the site is connected.

    ``keeper`` is told when webhooks have brought events, and when somebody may have disconnected inside QuickBooks.
    """
    site = Site(settings, keeper)
    webhook = [Route("/qbo/webhooks", site.webhooks, methods=["POST"])] if settings.web.verifier_token_file else []
    return Starlette(
        routes=[
            *webhook,
            Route("/qbo/", site.home),
            Route("/qbo/connect", site.connect),
            Route("/qbo/connect/start", site.start, methods=["GET", "POST"]),
            Route("/qbo/callback", site.callback),
            Route("/qbo/disconnect", site.disconnect, methods=["POST"]),
            Route("/qbo/disconnected", site.disconnected),
            Route("/qbo/healthz", site.health),
        ],
        middleware=[Middleware(Headers)],
        exception_handlers={KitError: site.refused, HTTPException: site.refused, Exception: site.broken},
    )


def serve(settings: Settings) -> None:
    """Serve until told to stop. Addresses with codes in them are never logged; forwarded headers are never believed."""
    # The server hands a signal on when it has ended: by an exception, so that the keeper's work ends in peace.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Keeper(settings) as keeper:
        _server(settings, keeper).run()


def serve_until(settings: Settings, done: Callable[[], bool]) -> None:
    """Serve until ``done`` says so; it is asked twice a second."""
    server = _server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not done():
        thread.join(timeout=0.5)
    server.should_exit = True
    thread.join()


def _server(settings: Settings, keeper: Keeper | None = None) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings, keeper),
            host=settings.web.host,
            port=settings.web.port,
            proxy_headers=False,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=10,
        )
    )
