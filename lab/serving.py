"""What makes each look-alike a program: its command line, its port, its line once it answers, and a connection it can drop."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol


class Protocol(H11Protocol):
    """uvicorn's own protocol, which also lets the application drop the connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


async def drop(scope: Scope, receive: Receive, *, politely: bool = False) -> None:
    """Close the connection, at once or, ``politely``, after what was written has been sent."""
    transport = scope["state"]["transport"]
    (transport.close if politely else transport.abort)()
    # The server hears of it in one of the loop's next rounds; until then it would complain of a missing answer.
    while (await receive())["type"] != "http.disconnect":
        pass


def parser(name: str, port: int, description: str) -> argparse.ArgumentParser:
    """The options that every look-alike has."""
    made = argparse.ArgumentParser(prog=f"python -m lab.{name}", description=description)
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=port, help="0 takes a free one")
    made.add_argument("--tls-cert", metavar="F")
    made.add_argument("--tls-key", metavar="F")
    made.add_argument("--limits", choices=("on", "off"), default="on")
    return made


def run(name: str, made: argparse.ArgumentParser, application: Callable[[argparse.Namespace], tuple[ASGIApp, str]]) -> None:
    """Serve until told to stop. ``application`` makes the look-alike and what its line says besides the address.

    A wrong call, for which ``application`` raises ``ValueError`` or ``OSError``, ends with exit code 2.
    """
    arguments = made.parse_args()
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        made.error("--tls-cert and --tls-key belong together")
    # uvicorn finishes what it is doing and then hands the signal on to these.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        app, more = application(arguments)
        config = _config(app, arguments)
        listener = _listen(arguments.host, arguments.port)
    except (ValueError, OSError) as error:
        made.error(str(error))
    scheme = "https" if arguments.tls_cert else "http"
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    line = f"{name} look-alike on {scheme}://{host}:{listener.getsockname()[1]}{more}"
    _Server(config, line).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says its line only once it serves and handles signals, so whoever reads it may call or stop it at once."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._line, flush=True)


def _config(app: ASGIApp, arguments: argparse.Namespace) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=arguments.tls_cert,
        ssl_keyfile=arguments.tls_key,
    )
    # Reads certificate and key now, so that a wrong file is a wrong call.
    config.load()
    return config


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm (40 ms per answer) only for sockets whose protocol is given.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


def _stop(_signal: int, _frame: object) -> None:
    sys.exit(0)
