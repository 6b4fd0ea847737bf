"""Real neighbours for the edge library: a Cloudflare look-alike, name servers on loopback, and network namespaces."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import edge_bind
import edge_powerdns
import pytest
from edge_certified import NAME, Certified, certify
from edge_dns_server import DnsServer, serving
from edge_lab import KEY, SOA, ZONE, Lab, write_secret
from edge_network import EDGE, OFFICE, SECOND, Namespaces, Site

from lab.cloudflare.process import running
from lab.world import image
from tests.needs import need

TOKENS = "good\nreader read mycompany.com\nnarrow edit other.example\n"


@pytest.fixture(scope="session")
def look_alike(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    tokens = tmp_path_factory.mktemp("lab") / "tokens"
    tokens.write_text(TOKENS)
    with running("--zone", ZONE, "--zone", "other.example", "--token-file", str(tokens), "--limits", "off") as base:
        yield Lab(base)


@pytest.fixture
def lab(look_alike: Lab) -> Lab:
    look_alike.admin("reset")
    look_alike.admin("zones", {"name": ZONE, "status": "active"})
    return look_alike


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "token", "good")


@pytest.fixture
def name_server() -> Iterator[DnsServer]:
    with serving(DnsServer({ZONE: SOA}, key=KEY)) as server:
        yield server


@pytest.fixture
def second_name_server() -> Iterator[DnsServer]:
    with serving(DnsServer({ZONE: SOA})) as server:
        yield server


@pytest.fixture(scope="session")
def bind_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge_bind.Bind]:
    need(image.available())
    with edge_bind.running(tmp_path_factory.mktemp("bind")) as server:
        yield server


@pytest.fixture
def bind(bind_server: edge_bind.Bind) -> edge_bind.Bind:
    """A real BIND with nothing but the zone's own records."""
    hosts = ("qbo", "_qbokit.qbo", "www", "office")
    bind_server.edit(*(f"del {host}" for host in hosts))
    return bind_server


@pytest.fixture(scope="session")
def powerdns_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[edge_powerdns.PowerDNS]:
    need(image.available())
    with edge_powerdns.running(tmp_path_factory.mktemp("powerdns")) as server:
        yield server


@pytest.fixture
def powerdns(powerdns_server: edge_powerdns.PowerDNS) -> edge_powerdns.PowerDNS:
    """A real PowerDNS with nothing but the zone's own records."""
    powerdns_server.clear()
    return powerdns_server


def missing_for_namespaces() -> str:
    """What keeps this machine from making network namespaces with nftables, or an empty text."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not (shutil.which("ip") and shutil.which("nft")):
        return "the programs ip and nft are not installed"
    made = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    return "" if made.returncode == 0 else "this kernel makes no network namespace for us"


@pytest.fixture
def namespaces() -> Iterator[Any]:
    """Makes network namespaces; ``namespaces()`` gives the name of a new one, with its loopback up. All are gone afterwards."""
    need(missing_for_namespaces())
    with making_namespaces() as make:
        yield make


@pytest.fixture(scope="module")
def network() -> Iterator[Site]:
    """A small company's network for all tests of a module, with pages on the edge host's two addresses and an office machine."""
    need(missing_for_namespaces())
    with making_namespaces() as make:
        site = Site(make)
        with site.serving(site.edge, EDGE, SECOND), site.serving(site.office, OFFICE):
            yield site


@contextmanager
def making_namespaces() -> Iterator[Namespaces]:
    """A maker of namespaces; all are gone afterwards."""
    with ExitStack() as stack:

        def make() -> str:
            # Not the lab's prefix: whoever takes the lab down removes all namespaces that have it.
            name = f"qktest-{secrets.token_hex(3)}"
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
            return name

        yield make


@pytest.fixture(scope="session")
def root() -> Certified:
    return certify("A Root", ca=True)


@pytest.fixture(scope="session")
def middle(root: Certified) -> Certified:
    return certify("An Intermediate", root, ca=True)


@pytest.fixture(scope="session")
def leaf(middle: Certified) -> Certified:
    return certify(NAME, middle, names=(NAME,))
