"""``python -m lab.intuit``: the look-alike as a program."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from lab.intuit.app import make_app
from lab.intuit.clock import Clock
from lab.intuit.company import Company
from lab.intuit.front import Protocol
from lab.intuit.generate import Sizes, generate
from lab.intuit.grants import App, Grants
from lab.intuit.history import add_history
from lab.intuit.limits import Limits
from lab.intuit.load import LoadError, fill, load_folder
from lab.intuit.state import Lab

SEED = 1
REALM = "4620816365000000001"
CLIENT_ID = "ABlabintuitclientid"
CLIENT_SECRET = "lab-intuit-client-secret"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.intuit", description="A look-alike of Intuit for tests and the lab.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8010, help="0 takes a free one")
    parser.add_argument(
        "--data", action="append", default=[], metavar="[REALM=]DIR", help="a folder of recorded answers, of the first company"
    )
    parser.add_argument("--generate", type=int, metavar="SEED", help=f"seed of the generated company (default {SEED})")
    parser.add_argument("--customers", type=int, default=Sizes.customers)
    parser.add_argument("--vendors", type=int, default=Sizes.vendors)
    parser.add_argument("--items", type=int, default=Sizes.items)
    parser.add_argument("--transactions", type=int, default=60, metavar="N", help="of a generated company")
    parser.add_argument("--months", type=int, default=12, metavar="N", help="how far back most transactions lie")
    parser.add_argument("--exact", action="store_true", help="fill nothing: only what the data folders hold")
    parser.add_argument("--realm", action="append", default=[], metavar="ID", help="a company; each has its own data")
    parser.add_argument("--client-id", default=CLIENT_ID)
    parser.add_argument("--client-secret-file", type=Path, metavar="F")
    parser.add_argument("--redirect-uri", action="append", default=[], metavar="URI", help="registered for the app; exact match")
    parser.add_argument(
        "--app",
        type=Path,
        action="append",
        default=[],
        metavar="F",
        help="one more app: JSON with client_id, secret, redirect_uris",
    )
    parser.add_argument("--public-url", default="", metavar="URL", help="the address clients use (default: what they ask for)")
    parser.add_argument("--tls-cert", metavar="F")
    parser.add_argument("--tls-key", metavar="F")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="up to so much more, by chance")
    parser.add_argument(
        "--monthly-reads", type=int, default=0, metavar="N", help="an app's budget of metered reads; 0 is no limit"
    )
    parser.add_argument("--limits", choices=("on", "off"), default="on")
    parser.add_argument("--strict-rotation", action="store_true", help="every refresh gives a new value and ends the former")
    return parser


def _folders(arguments: argparse.Namespace, realms: list[str]) -> dict[str, list[Path]]:
    """The data folders of each company. Raises :class:`LoadError` for a company that is not there."""
    folders: dict[str, list[Path]] = {realm: [] for realm in realms}
    for given in arguments.data:
        realm, separator, folder = given.partition("=")
        if not separator:
            realm, folder = realms[0], given
        if realm not in folders:
            raise LoadError(f"--data {given}: {realm} is not given as --realm")
        folders[realm].append(Path(folder))
    return folders


def _company(arguments: argparse.Namespace, realm: str, seed: int, folders: list[Path]) -> Company:
    sizes = Sizes(arguments.customers, arguments.vendors, arguments.items)
    if not folders:
        company = generate(realm, seed, sizes)
        today = datetime.now(UTC).date()
        add_history(company, seed, sizes, count=arguments.transactions, months=arguments.months, today=today)
        return company
    company = Company(realm)
    for folder in folders:
        load_folder(company, folder)
    if not arguments.exact:
        fill(company, generate(realm, seed, sizes))
    return company


def _app(path: Path) -> App:
    """One more app from its file. Raises :class:`LoadError`."""
    try:
        given = json.loads(path.read_bytes())
        return App(given["client_id"], given["secret"], tuple(given.get("redirect_uris", ())), given.get("name", App.name))
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"--app {path}: not an app ({error})") from None


def _lab(arguments: argparse.Namespace) -> Lab:
    clock = Clock()
    secret = arguments.client_secret_file.read_text().strip() if arguments.client_secret_file else CLIENT_SECRET
    apps = [App(arguments.client_id, secret, tuple(arguments.redirect_uri)), *map(_app, arguments.app)]
    seed = SEED if arguments.generate is None else arguments.generate
    folders = _folders(arguments, arguments.realm)
    companies = {realm: _company(arguments, realm, seed + place, folders[realm]) for place, realm in enumerate(arguments.realm)}
    return Lab(
        clock=clock,
        grants=Grants(clock, {app.client_id: app for app in apps}, strict_rotation=arguments.strict_rotation),
        limits=Limits(clock, enabled=arguments.limits == "on", monthly_reads=arguments.monthly_reads),
        companies=companies,
        latency_s=arguments.latency_ms / 1000,
        jitter_s=arguments.jitter_ms / 1000,
        public_url=arguments.public_url.rstrip("/"),
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm (40 ms per answer) only for sockets whose protocol is given.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


class Server(uvicorn.Server):
    """Says that it is there once it answers."""

    greeting = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.greeting, flush=True)


def _stop(_signal: int, _frame: object) -> None:
    sys.exit(0)


def _config(arguments: argparse.Namespace, lab: Lab) -> uvicorn.Config:
    config = uvicorn.Config(
        make_app(lab),
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


def main() -> None:
    """Serve until told to stop; exit code 2 for a wrong call."""
    parser = _parser()
    arguments = parser.parse_args()
    arguments.realm = arguments.realm or [REALM]
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        parser.error("--tls-cert and --tls-key belong together")
    # uvicorn finishes what it is doing and then hands the signal on to these.
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        server = Server(_config(arguments, _lab(arguments)))
        listener = _listen(arguments.host, arguments.port)
    except (LoadError, OSError) as error:
        parser.error(str(error))
    scheme = "https" if arguments.tls_cert else "http"
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    server.greeting = f"intuit look-alike on {scheme}://{host}:{listener.getsockname()[1]} realm {' '.join(arguments.realm)}"
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
