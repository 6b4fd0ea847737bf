"""``python -m lab.cloudflare``: the look-alike as a program."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from lab.cloudflare import tokens
from lab.cloudflare.front import Protocol, make_app
from lab.cloudflare.nameserver import NameServer, read_key
from lab.cloudflare.state import NAME_SERVERS, Lab, Zone


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.cloudflare", description="A look-alike of Cloudflare's DNS API for tests and the lab."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8020, help="0 takes a free one")
    parser.add_argument(
        "--zone", action="append", default=[], metavar="NAME[=NS,…]", help="a zone, and the names of its name servers"
    )
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="T",
        help="'TOKEN [edit|read] [ZONE…]'; a token sees all zones unless named",
    )
    parser.add_argument("--token-file", type=Path, action="append", default=[], metavar="F", help="the same, one a line")
    parser.add_argument("--nameserver", metavar="ADDR[:PORT]", help="write every change into this server by dynamic update")
    parser.add_argument(
        "--tsig-key", type=Path, metavar="FILE", help="a named.conf `key` statement, or one line [algorithm:]name:secret"
    )
    parser.add_argument("--limits", choices=("on", "off"), default="on")
    parser.add_argument("--tls-cert", metavar="F")
    parser.add_argument("--tls-key", metavar="F")
    return parser


def _zone(text: str) -> Zone:
    name, _, servers = text.partition("=")
    return Zone(name.lower(), tuple(filter(None, servers.split(","))) or NAME_SERVERS)


def _name_server(address: str, key_file: Path | None) -> NameServer:
    if key_file is None:
        raise ValueError("--nameserver needs --tsig-key")
    host, _, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "53")
    return NameServer(host, int(port), read_key(key_file))


def _lab(arguments: argparse.Namespace) -> Lab:
    lines = [line for file in arguments.token_file for line in file.read_text().splitlines() if line.strip()]
    known = [tokens.parse(text) for text in (*arguments.token, *lines)]
    if not known:
        raise ValueError("name a token with --token or --token-file")
    zones = [_zone(text) for text in arguments.zone]
    return Lab(
        zones={zone.name: zone for zone in zones},
        tokens={token.value: token for token in known},
        name_server=_name_server(arguments.nameserver, arguments.tsig_key) if arguments.nameserver else None,
        limits=arguments.limits == "on",
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm (40 ms per answer) only for sockets whose protocol is given.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


class _Server(uvicorn.Server):
    """Says its line only once it serves and handles signals, so whoever reads it may call or stop it at once."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._line, flush=True)


def _stop(_signal: int, _frame: object) -> None:
    sys.exit(0)


def main() -> None:
    """Serve until told to stop; exit code 2 for a wrong call."""
    parser = _parser()
    arguments = parser.parse_args()
    # uvicorn finishes what it is doing and then hands the signal on to these.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        lab = _lab(arguments)
        listener = _listen(arguments.host, arguments.port)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    config = uvicorn.Config(
        make_app(lab),
        http=Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=arguments.tls_cert,
        ssl_keyfile=arguments.tls_key,
    )
    scheme = "https" if arguments.tls_cert else "http"
    line = f"cloudflare look-alike on {scheme}://{arguments.host}:{listener.getsockname()[1]}"
    _Server(config, line).run(sockets=[listener])


if __name__ == "__main__":
    main()
