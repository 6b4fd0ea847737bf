"""Brings the lab up and takes it down again, leaving nothing."""

from __future__ import annotations

import fcntl
import json
import shutil
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sqlalchemy

from lab import seed
from lab.world import hosts, image, inventory, keys, network, services
from lab.world.authority import Authority, Issued
from lab.world.layout import (
    ACME_ROOT_FILE,
    ACME_WAN,
    CA_FILE,
    CACHE,
    CLOUDFLARE_WAN,
    ENTRANCES,
    INTERNET_MANAGEMENT,
    INTUIT_WAN,
    LAB_ZONE,
    MIRACLE_MANAGEMENT,
    RUN,
    TOP,
)
from lab.world.system import kill_all, processes
from qbo_sync.errors import Blocked, UsageError

STATE = RUN / "lab.json"
TLS = RUN / "tls"
FORCE_DOWN = "down --force"


@dataclass
class State:
    """What must be known to take the lab down, and whether it came up completely.

    ``forwarding`` is the value of the machine's ``ip_forward`` before the lab.
    """

    checkout: str
    forwarding: str
    complete: bool = False

    def save(self) -> None:
        """Keep it where a later command finds it, even after this one was killed."""
        part = STATE.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.rename(STATE)


def load_state() -> State | None:
    """What the last start of the lab recorded; ``None`` when there is no lab."""
    if not STATE.exists():
        return None
    return State(**json.loads(STATE.read_text(encoding="utf-8")))


def is_up() -> bool:
    """Whether a complete lab runs, every part of it."""
    state = load_state()
    return state is not None and state.complete and all(service.running() for service in services.everything())


def up() -> None:
    """Bring the lab up; harmless when it is up already.

    A lab of which a part has died, or that was killed half way, is taken down first and made anew.
    """
    if reason := image.available():
        raise UsageError(reason, next="use a Debian 12 machine where you are root")
    with alone():
        if is_up():
            _refuse_another_checkout(f"take it down first: ./kit lab down there, or ./kit lab {FORCE_DOWN} here")
            inventory.write(TOP)
            print("lab: already up", flush=True)
            return
        if RUN.exists() or processes() or network.named():
            print("lab: cleaning up after an earlier lab", flush=True)
            sweep()
        image.ensure_packages()
        _start(image.ensure(), image.ensure(image.edge_suite()))
    print("lab: up", flush=True)


def restart(name: str) -> None:
    """Let a booted host, ``router`` or ``edge``, lose power and come up again from its disk."""
    if name not in (host.name for host in services.HOSTS):
        raise UsageError(f"lab: {name} is not a host that boots", next="name one of: router, edge")
    with alone():
        if not is_up():
            raise Blocked("lab: there is none that could be restarted", next="run ./kit lab up first")
        _refuse_another_checkout(f"restart it there, or take it down here: ./kit lab {FORCE_DOWN}")
        keys.close_connections()
        services.restart(name)
    print(f"lab: {name} was switched off and on", flush=True)


def down(*, force: bool = False) -> None:
    """Take the lab down and leave nothing outside its cache; harmless when there is none.

    One that another checkout has running is taken down with ``force`` only: somebody may be at work in it.
    """
    if reason := image.available():
        raise UsageError(reason)
    with alone():
        if processes() and not force:
            _refuse_another_checkout(f"if nobody needs it: ./kit lab down there, or ./kit lab {FORCE_DOWN} here")
        sweep()
    print("lab: down", flush=True)


def sweep() -> None:
    """Remove every trace of the lab, whatever state it is in."""
    state = load_state()
    keys.close_connections()
    kill_all()
    hosts.unmount_all()
    network.remove(state.forwarding if state else None)
    image.forget_hosts()
    if state:
        inventory.remove(Path(state.checkout))
    shutil.rmtree(RUN, ignore_errors=True)


def _start(base: Path, edge: Path) -> None:
    RUN.mkdir(mode=0o700)
    state = State(checkout=str(TOP), forwarding=network.FORWARDING.read_text(encoding="ascii").strip())
    state.save()
    print("lab: wiring the networks", flush=True)
    keys.make()
    materials = services.Materials(base, edge, _certify())
    network.build()
    print("lab: starting the hosts and the services of the lab's internet", flush=True)
    for service in (*services.HOSTS, *services.DAEMONS):
        service.start(materials)
    for service in (*services.DAEMONS, *services.HOSTS):
        service.wait()
    for service in services.LOOK_ALIKES:
        service.start(materials)
    for service in services.LOOK_ALIKES:
        service.wait()
    _fetch_acme_root()
    _fill_miracle()
    inventory.write(TOP)
    state.complete = True
    state.save()


def _certify() -> dict[str, Issued]:
    authority = Authority()
    authority.write(CA_FILE)
    TLS.mkdir(mode=0o700)
    addresses = {"acme": ACME_WAN, "cloudflare": CLOUDFLARE_WAN, "intuit": INTUIT_WAN}
    return {name: authority.issue(TLS, f"{name}.{LAB_ZONE}", address, INTERNET_MANAGEMENT) for name, address in addresses.items()}


def _fetch(port: int, path: str) -> bytes:
    """What a service of the lab's internet answers over TLS, its certificate checked."""
    trust = ssl.create_default_context(cafile=str(CA_FILE))
    with urllib.request.urlopen(f"https://{INTERNET_MANAGEMENT}:{port}/{path}", timeout=30, context=trust) as answer:
        content: bytes = answer.read()
        return content


def _fetch_acme_root() -> None:
    """Pebble makes a new root at each start; who shall trust the site's certificate needs it."""
    ACME_ROOT_FILE.write_bytes(_fetch(ENTRANCES["pebble-management"].port, "roots/0"))


def entities(name: str) -> list[Mapping[str, Any]]:
    """All rows of one entity that the Intuit look-alike holds, inactive ones included."""
    rows: list[Mapping[str, Any]] = json.loads(_fetch(ENTRANCES["intuit"].port, f"lab/entities/{name}"))
    return rows


def _fill_miracle() -> None:
    """Load the reference schema and the company that already holds part of what the Intuit look-alike serves."""
    engine = sqlalchemy.create_engine(miracle_url())
    seed.fill(engine, entities)
    engine.dispose()


def miracle_url() -> sqlalchemy.URL:
    """The Miracle Service stand-in's database as this machine reaches it, password included."""
    password = keys.DATABASE_PASSWORD.read_text(encoding="ascii").strip()
    return sqlalchemy.URL.create("postgresql+psycopg", "qbo_sync", password, MIRACLE_MANAGEMENT, database="miracle")


def _refuse_another_checkout(remedy: str) -> None:
    """Not that of a checkout which is gone: nobody can be at work there."""
    state = load_state()
    if state and state.checkout != str(TOP) and Path(state.checkout).is_dir():
        raise Blocked("lab: another checkout's lab is running on this machine", seen=state.checkout, next=remedy)


@contextmanager
def alone() -> Iterator[None]:
    """One command at a time changes the lab; a second one waits for it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
