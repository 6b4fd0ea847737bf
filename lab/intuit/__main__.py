"""``python -m lab.intuit``: the look-alike as a program."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import ASGIApp

from lab import serving
from lab.intuit import limits
from lab.intuit.app import make_app
from lab.intuit.clock import Clock
from lab.intuit.company import Company
from lab.intuit.generate import generate
from lab.intuit.grants import App, Grants
from lab.intuit.history import add_history
from lab.intuit.load import LoadError, fill, load_folder
from lab.intuit.made.seed import Sizes
from lab.intuit.state import Lab, Latency

SEED = 1
REALM = "4620816365000000001"
CLIENT_ID = "ABlabintuitclientid"
CLIENT_SECRET = "lab-intuit-client-secret"


def _parser() -> argparse.ArgumentParser:
    parser = serving.parser("intuit", 8010, "A look-alike of Intuit for tests and the lab.")
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
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="up to so much more, by chance")
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=N",
        help=f"the size of one limit, whatever --limits says of all; 0 is none: {', '.join(limits.ALL)}",
    )
    parser.add_argument("--strict-rotation", action="store_true", help="every refresh gives a new value and ends the former one")
    parser.add_argument("--revoke-on-reuse", action="store_true", help="a used code or a former refresh value ends the grant")
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


def _limits(arguments: argparse.Namespace) -> dict[str, int]:
    """The size of every limit. Raises ``ValueError`` for one that is not there."""
    chosen = dict(limits.ALL if arguments.limits == "on" else limits.NONE)
    return chosen | limits.sizes(dict(given.partition("=")[::2] for given in arguments.limit))


def _lab(arguments: argparse.Namespace) -> Lab:
    clock = Clock()
    secret = arguments.client_secret_file.read_text().strip() if arguments.client_secret_file else CLIENT_SECRET
    apps = [App(arguments.client_id, secret, tuple(arguments.redirect_uri)), *map(_app, arguments.app)]
    seed = SEED if arguments.generate is None else arguments.generate
    folders = _folders(arguments, arguments.realm)
    companies = {realm: _company(arguments, realm, seed + place, folders[realm]) for place, realm in enumerate(arguments.realm)}
    return Lab(
        clock=clock,
        grants=Grants(
            clock,
            {app.client_id: app for app in apps},
            strict_rotation=arguments.strict_rotation,
            revoke_on_reuse=arguments.revoke_on_reuse,
        ),
        limits=limits.Limits(clock, _limits(arguments)),
        companies=companies,
        latency=Latency(arguments.latency_ms, arguments.jitter_ms),
        public_url=arguments.public_url.rstrip("/"),
    )


def _application(arguments: argparse.Namespace) -> tuple[ASGIApp, str]:
    arguments.realm = arguments.realm or [REALM]
    return make_app(_lab(arguments)), f" realm {' '.join(arguments.realm)}"


def main() -> None:
    """Serve until told to stop; exit code 2 for a wrong call."""
    serving.run("intuit", _parser(), _application)


if __name__ == "__main__":
    main()
