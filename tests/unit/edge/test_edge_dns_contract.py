"""What every DNS provider does alike, each at a real one: the Cloudflare look-alike, BIND, PowerDNS, a zone file, a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import dns.zone
import pytest
from edge_bind import Bind, line
from edge_lab import SOA, ZONE, Lab, write_secret
from edge_powerdns import PowerDNS

from qbo_sync.edge import authoritative
from qbo_sync.edge import dns as edge_dns
from qbo_sync.edge.dns.lexicon import Lexicon
from qbo_sync.errors import Blocked, UsageError, Waiting

NAME = f"qbo.{ZONE}"
ADDRESS = "11.22.33.10"
WANTED = [("A", ADDRESS, 3600)]
FOREIGN = [("A", "11.22.33.99", 3600), ("A", ADDRESS, 300), ("CNAME", "elsewhere.example", 3600)]

Told = tuple[str, str, int]


class Backend(Protocol):
    """A zone at a provider, as its owner and as the world sees it."""

    provider: edge_dns.Provider

    def put(self, host: str, told: Told) -> None:
        """Make a record as somebody else."""

    def replace(self, old: Told, new: Told) -> None:
        """Change a record at the name as somebody else, by the provider's own page."""

    def told(self, host: str = "qbo") -> list[Told]:
        """What the zone says of a host."""

    def revision(self) -> Any:
        """Something that is another after every change."""


class AtCloudflare:
    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.provider = edge_dns.provider("cloudflare", token_file=write_secret(folder / "token", "good"), api_url=lab.api)

    def put(self, host: str, told: Told) -> None:
        self.lab.put(name=f"{host}.{ZONE}", type=told[0], content=told[1], ttl=told[2])

    def replace(self, old: Told, new: Told) -> None:
        (found,) = [r for r in self.lab.call("GET", self.lab.path) if r["content"] == old[1]]
        self.lab.call("DELETE", f"{self.lab.path}/{found['id']}")
        self.put("qbo", new)

    def told(self, host: str = "qbo") -> list[Told]:
        return [(r[1], r[2], r[3]) for r in self.lab.records() if r[0] == f"{host}.{ZONE}"]

    def revision(self) -> Any:
        return self.lab.admin("stats")["writes"]


class AtBind:
    def __init__(self, bind: Bind, folder: Path) -> None:
        self.bind = bind
        key = write_secret(folder / "key", line(bind.site))
        self.provider = edge_dns.provider("rfc2136", token_file=key, server=bind.at)

    def put(self, host: str, told: Told) -> None:
        dot = "." if told[0] == "CNAME" else ""
        self.bind.edit(f"add {host} {told[2]} {told[0]} {told[1]}{dot}")

    def replace(self, old: Told, new: Told) -> None:
        self.bind.edit(f"del qbo {old[0]} {old[1]}", f"add qbo {new[2]} {new[0]} {new[1]}")

    def told(self, host: str = "qbo") -> list[Told]:
        entries = (entry.split(maxsplit=2) for entry in self.bind.records(host))
        return [(kind, data.rstrip("."), int(ttl)) for kind, ttl, data in entries if kind != "TXT"]

    def revision(self) -> Any:
        return self.bind.serial()


class ByHand(AtBind):
    """A person with the zone's key: does what the text says, word by word."""

    def __init__(self, bind: Bind) -> None:
        self.bind = bind
        self.provider = edge_dns.provider("manual", nameservers=(bind.at,))

    def follow(self, text: str) -> None:
        form = r"Please (remove|create) this record .*:\n +name: +(\S+) .*\n +type: +(\S+)\n +value: (\S+)\n +TTL: +(\d+) seconds"
        steps = re.findall(form, text)
        assert steps
        for verb, name, kind, value, ttl in steps:
            value = value + "." if kind == "CNAME" else value
            self.bind.edit(f"add {name}. {ttl} {kind} {value}" if verb == "create" else f"del {name}. {kind} {value}")


class AtPowerDNS:
    """PowerDNS, through lexicon's provider for its API."""

    def __init__(self, server: PowerDNS, folder: Path) -> None:
        self.server = server
        options = write_secret(folder / "options", f"auth_token: {server.key}\npdns_server: {server.at}")
        self.provider = edge_dns.provider("lexicon", service="powerdns", token_file=options)

    def put(self, host: str, told: Told) -> None:
        dot = "." if told[0] == "CNAME" else ""
        self.server.replace(host, told[0], told[2], [*self._contents(host, told[0]), told[1] + dot])

    def replace(self, old: Told, new: Told) -> None:
        self.server.replace("qbo", old[0], old[2], [c for c in self._contents("qbo", old[0]) if c != old[1]])
        self.put("qbo", new)

    def _contents(self, host: str, kind: str) -> list[str]:
        return [data for rdtype, data, _ in self.told(host) if rdtype == kind]

    def told(self, host: str = "qbo") -> list[Told]:
        sets = [s for s in self.server.sets() if s["name"] == f"{host}.{ZONE}." and s["type"] != "TXT"]
        return sorted((s["type"], r["content"].rstrip("."), s["ttl"]) for s in sets for r in s["records"])

    def revision(self) -> Any:
        return sorted((s["name"], s["type"], s["ttl"], str(s["records"])) for s in self.server.sets())


class InAZoneFile:
    """A zone file, through lexicon's provider for such files."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "zone"
        self.file.write_text(f"$ORIGIN {ZONE}.\n{SOA}")
        options = write_secret(folder / "options", f"filename: {self.file}")
        self.provider = edge_dns.provider("lexicon", service="localzone", token_file=options)

    def put(self, host: str, told: Told) -> None:
        dot = "." if told[0] == "CNAME" else ""
        with self.file.open("a") as zone:
            zone.write(f"\n{host}.{ZONE}. {told[2]} IN {told[0]} {told[1]}{dot}\n")

    def replace(self, old: Told, new: Told) -> None:
        self.file.write_text(re.sub(rf"(?m)^qbo\S* .* {re.escape(old[1])}$", "", self.file.read_text()))
        self.put("qbo", new)

    def told(self, host: str = "qbo") -> list[Told]:
        zone = dns.zone.from_file(str(self.file), ZONE, relativize=False)
        found = zone.get_node(f"{host}.{ZONE}.")
        rdatasets = found.rdatasets if found else ()
        return sorted((s.rdtype.name, r.to_text().rstrip("."), s.ttl) for s in rdatasets for r in s)

    def revision(self) -> Any:
        # Lexicon writes the file anew for every reading, with another serial.
        zone = dns.zone.from_file(str(self.file), ZONE, relativize=False)
        return sorted(text for text in zone.to_text().splitlines() if "SOA" not in text)


# What a person makes carries no mark, so nothing of it is ever taken for ours.
MARKING = pytest.mark.parametrize("backend", ["cloudflare", "rfc2136", "zone file", "powerdns"], indirect=True)


@pytest.fixture(params=["cloudflare", "rfc2136", "manual", "zone file", "powerdns"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    match request.param:
        case "cloudflare":
            return AtCloudflare(request.getfixturevalue("lab"), tmp_path)
        case "rfc2136":
            return AtBind(request.getfixturevalue("bind"), tmp_path)
        case "manual":
            return ByHand(request.getfixturevalue("bind"))
        case "powerdns":
            return AtPowerDNS(request.getfixturevalue("powerdns"), tmp_path)
        case _:
            return InAZoneFile(tmp_path)


def present(backend: Backend, **values: Any) -> edge_dns.Outcome:
    """Once through; where a person has to act, they do, and it is run again, as in life."""
    wanted = {"name": NAME, "zone": ZONE, "address": ADDRESS, "site": "lab", **values}
    try:
        return edge_dns.present(backend.provider, **wanted)
    except Waiting as wait:
        assert isinstance(backend, ByHand)
        backend.follow(wait.next)
        return edge_dns.present(backend.provider, **wanted)


def absent(backend: Backend, site: str = "lab") -> edge_dns.Outcome:
    return edge_dns.absent(backend.provider, name=NAME, zone=ZONE, site=site)


@contextmanager
def unchanged(backend: Backend) -> Iterator[None]:
    before = backend.revision()
    yield
    assert backend.revision() == before


def test_the_record_is_made_with_the_ttl_of_the_guide(backend: Backend) -> None:
    present(backend)
    assert backend.told() == WANTED


def test_a_second_run_changes_nothing(backend: Backend) -> None:
    present(backend)
    with unchanged(backend):
        assert not present(backend).changed


def test_looking_changes_nothing(backend: Backend) -> None:
    wanted = {"name": NAME, "zone": ZONE, "address": ADDRESS, "site": "lab", "check": True}
    with unchanged(backend):
        if backend.provider.by_hand:
            with pytest.raises(Waiting, match="made by hand"):
                edge_dns.present(backend.provider, **wanted)
        else:
            outcome = edge_dns.present(backend.provider, **wanted)
            assert [str(c) for c in outcome.changes] == [f"add {NAME} A {ADDRESS} (TTL 3600, qbokit:lab)"]


def test_a_new_address_takes_the_place_of_the_old(backend: Backend) -> None:
    present(backend, address="11.22.33.9")
    present(backend)
    assert backend.told() == WANTED
    with unchanged(backend):
        assert not present(backend).changed


def test_another_ttl_takes_the_place_of_the_old(backend: Backend) -> None:
    present(backend, ttl=300)
    assert backend.told() == [("A", ADDRESS, 300)]
    present(backend)
    assert backend.told() == WANTED


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_somebody_elses_record_is_never_touched_unasked(backend: Backend, foreign: Told) -> None:
    backend.put("qbo", foreign)
    with unchanged(backend), pytest.raises((Blocked, Waiting)) as refusal:
        edge_dns.present(backend.provider, name=NAME, zone=ZONE, address=ADDRESS, site="lab")
    assert isinstance(refusal.value, Waiting) == backend.provider.by_hand
    assert foreign[1] in refusal.value.seen
    assert refusal.value.next
    with unchanged(backend):
        assert not absent(backend).changed


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_what_is_adopted_becomes_ours_and_can_be_put_back(backend: Backend, foreign: Told) -> None:
    backend.put("qbo", foreign)
    if foreign[0] == "CNAME" and isinstance(backend.provider, Lexicon):
        with unchanged(backend), pytest.raises(Blocked, match="could not be put back"):
            present(backend, adopt=True)
        return
    before = backend.provider.snapshot(backend.provider.zone_for(NAME, ZONE), NAME)
    outcome = present(backend, adopt=True)
    assert backend.told() == WANTED
    try:
        assert backend.provider.restore(outcome.zone, before)
    except Waiting as wait:
        assert isinstance(backend, ByHand)
        backend.follow(wait.next)
    assert backend.told() == [foreign]
    with unchanged(backend):
        assert not backend.provider.restore(outcome.zone, before)
        assert not absent(backend).changed


def test_what_already_says_the_same_stays_its_owners(backend: Backend) -> None:
    backend.put("qbo", WANTED[0])
    with unchanged(backend):
        assert not present(backend).changed
        assert not absent(backend).changed


@MARKING
def test_what_already_says_the_same_and_shall_follow_is_refused_or_marked(backend: Backend) -> None:
    """A record without our mark would be refused on the day the address changes, when nobody is there to be asked."""
    backend.put("qbo", WANTED[0])
    before = backend.provider.snapshot(backend.provider.zone_for(NAME, ZONE), NAME)
    with unchanged(backend), pytest.raises(Blocked, match="would not follow the address") as refusal:
        present(backend, own=True)
    assert "dns_record_adopt: true" in refusal.value.next
    outcome = present(backend, own=True, adopt=True)
    assert (outcome.changed, backend.told()) == (True, WANTED)
    with unchanged(backend):
        assert not present(backend, own=True).changed
    backend.provider.restore(outcome.zone, before)
    assert backend.told() == WANTED
    with unchanged(backend):
        assert not absent(backend).changed
    present(backend, own=True, adopt=True)
    present(backend, own=True, address="11.22.33.77")
    assert backend.told() == [("A", "11.22.33.77", 3600)]
    assert absent(backend).changed


def test_a_record_that_was_put_in_the_place_of_ours_is_not_ours(backend: Backend) -> None:
    present(backend)
    backend.replace(WANTED[0], ("A", "11.22.33.77", 3600))
    with unchanged(backend):
        assert not absent(backend).changed
        with pytest.raises((Blocked, Waiting)):
            edge_dns.present(backend.provider, name=NAME, zone=ZONE, address=ADDRESS, site="lab")


@MARKING
def test_another_sites_record_is_refused_even_when_adopting(backend: Backend) -> None:
    present(backend, site="other", address="11.22.33.9")
    with unchanged(backend), pytest.raises(Blocked, match="another site"):
        present(backend, adopt=True)
    assert not absent(backend).changed


@MARKING
def test_removal_takes_ours_and_nothing_else(backend: Backend) -> None:
    present(backend)
    for host in ("qbo", "www"):
        backend.put(host, ("A", "11.22.33.99", 3600))
    assert absent(backend).changed
    assert backend.told() == backend.told("www") == [("A", "11.22.33.99", 3600)]
    with unchanged(backend):
        assert not absent(backend).changed


def test_a_change_by_somebody_else_in_between_is_not_overwritten(backend: Backend) -> None:
    present(backend, address="11.22.33.9")
    zone = backend.provider.zone_for(NAME, ZONE)
    before = backend.provider.snapshot(zone, NAME)
    changes = edge_dns.plan(before, edge_dns.wanted_record(NAME, ADDRESS, "lab"), adopt=True)
    backend.replace(("A", "11.22.33.9", 3600), ("A", "11.22.33.77", 3600))
    with unchanged(backend), pytest.raises((Blocked, Waiting)):
        backend.provider.apply(zone, before, changes)


@pytest.mark.parametrize(
    "wrong", [{"name": "qbo.other.example"}, {"address": "192.168.1.10"}, {"address": "100.64.3.4"}, {"ttl": 5}], ids=str
)
def test_wrong_input_is_refused(backend: Backend, wrong: dict[str, Any]) -> None:
    with unchanged(backend), pytest.raises(UsageError) as refusal:
        present(backend, **wrong)
    assert refusal.value.next


def test_a_delegated_name_is_refused(bind: Bind, tmp_path: Path) -> None:
    provider = AtBind(bind, tmp_path).provider
    for cut, name in (("qbo", NAME), ("office", f"qbo.office.{ZONE}")):
        bind.edit(f"add {cut} 300 NS ns.elsewhere.example.")
        with pytest.raises((Blocked, UsageError)) as refusal:
            edge_dns.present(provider, name=name, zone=ZONE, address=ADDRESS, site="lab", adopt=True)
        assert refusal.value.next


def test_every_server_tells_what_was_written(bind: Bind, tmp_path: Path) -> None:
    present(AtBind(bind, tmp_path))
    servers = authoritative.servers(ZONE, nameservers=[bind.at])
    assert [str(answer) for answer in authoritative.wait(NAME, ADDRESS, servers, timeout_s=0)] == [
        f"{bind.at}: {ADDRESS} TTL 3600"
    ]
