"""``python -m lab.cloudflare``: the look-alike as a program."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab import serving
from lab.cloudflare import tokens
from lab.cloudflare.front import make_app
from lab.cloudflare.nameserver import NameServer, read_key
from lab.cloudflare.state import NAME_SERVERS, Lab, Zone


def _parser() -> argparse.ArgumentParser:
    parser = serving.parser("cloudflare", 8020, "A look-alike of Cloudflare's DNS API for tests and the lab.")
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


def main() -> None:
    """Serve until told to stop; exit code 2 for a wrong call."""
    serving.run("cloudflare", _parser(), lambda arguments: (make_app(_lab(arguments)), ""))


if __name__ == "__main__":
    main()
