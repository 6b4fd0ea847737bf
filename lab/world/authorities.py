"""Further CAs for a while: another Pebble beside the lab's own, and the shim in front of one (:mod:`lab.acme`)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.world import configuration, image, services
from lab.world.access import Lab
from lab.world.authority import Issued
from lab.world.hosts import Host
from lab.world.layout import ACME_WAN, CA_FILE, INTERNET, LAB_ZONE, RUN
from lab.world.system import kill, log_file, python, spawn, tail, wait_until
from qbo_sync.errors import KitError

SERVER = Issued(RUN / "tls" / f"acme.{LAB_ZONE}.pem", RUN / "tls" / f"acme.{LAB_ZONE}.key")


@dataclass(frozen=True)
class Ca:
    """A CA of the lab's internet, at this port."""

    port: int

    @property
    def directory(self) -> str:
        """Where an ACME client begins."""
        return f"https://acme.{LAB_ZONE}:{self.port}/dir"

    def fetch(self, path: str, content: Any = None, *, port: int = 0) -> str:
        """What it answers to the lab's internet: a GET, or a POST of ``content`` as JSON."""
        post = f"--json {shlex.quote(json.dumps(content))}" if content is not None else ""
        address = f"https://{ACME_WAN}:{port or self.port}/{path}"
        done = Lab().shell(
            "observer", f"curl --silent --show-error --fail --cacert /dev/stdin {post} {address}", text=CA_FILE.read_text()
        )
        if done.returncode != 0:
            raise KitError(f"lab: {address} does not answer", seen=done.stderr.strip())
        return done.stdout

    def root(self) -> str:
        """A Pebble's root certificate, as PEM."""
        return self.fetch("roots/0", port=self.port + 1000)

    def stats(self) -> dict[str, Any]:
        """The shim's counters."""
        return dict(json.loads(self.fetch("lab/stats")))


@contextmanager
def pebble(port: int, *, lifetime_s: int, nonces_refused: int = 0) -> Iterator[Ca]:
    """A Pebble of its own (management at ``port + 1000``) whose certificates live that long."""
    host = Host(f"pebble-{port}", image.path())
    services.run_pebble(host, SERVER, configuration.pebble(port, port + 1000, lifetime_s), nonces_refused)
    try:
        wait_until(lambda: _listens(Ca(port)), 30, host.name, lambda: tail(log_file(host.name)))
        yield Ca(port)
    finally:
        kill(host.name)
        host.forget()


@contextmanager
def shim(port: int, before: Ca) -> Iterator[Ca]:
    """The shim in front of a CA."""
    name = f"shim-{port}"
    tls = ("--tls-cert", str(SERVER.certificate), "--tls-key", str(SERVER.key))
    upstream = ("--upstream", f"https://{ACME_WAN}:{before.port}", "--ca-file", str(CA_FILE))
    place = ("nsenter", f"--net=/run/netns/{INTERNET}", *python(), "-m", "lab.acme", "--host", ACME_WAN, "--port", str(port))
    spawn(name, *place, *upstream, *tls)
    try:
        wait_until(lambda: _listens(Ca(port)), 30, name, lambda: tail(log_file(name)))
        yield Ca(port)
    finally:
        kill(name)


def _listens(ca: Ca) -> bool:
    try:
        return bool(ca.fetch("dir"))
    except KitError:
        return False
