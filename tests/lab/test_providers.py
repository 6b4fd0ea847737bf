"""The other providers in the lab: a signed update to its real BIND, and a person in the place of an API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import dns.query
import dns.rcode
import dns.update
import pytest

from lab.world import keys
from lab.world.access import Lab
from lab.world.layout import INTERNET_MANAGEMENT, MAIL, ZONE
from qbo_sync.edge.dns.rfc2136 import read_key
from tests.lab.conftest import EdgeSite

NAME = f"office.{ZONE}"


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> EdgeSite:
    """The lab's site with a store of this module's own."""
    return EdgeSite(lab, tmp_path_factory.mktemp("providers"), {"dns_record_name": NAME})


@pytest.fixture(autouse=True)
def no_record(site: EdgeSite) -> Iterator[None]:
    yield
    edit("del")


def edit(verb: str) -> None:
    """Do by hand, with the zone's key, what a person at the DNS provider does."""
    update = dns.update.UpdateMessage(ZONE, keyring=read_key(keys.TSIG_KEY))
    if verb == "add":
        update.replace("office", 3600, "A", "11.22.33.10")
    else:
        update.delete("office")
        update.delete("_qbokit.office")
    assert dns.query.tcp(update, INTERNET_MANAGEMENT, timeout=10).rcode() == dns.rcode.NOERROR


def kept(site: EdgeSite, step: str) -> dict[str, Any]:
    return dict(json.loads((site.folder / "store" / "state.json").read_text())["lab"][step])


def test_a_signed_update_makes_the_record_and_takes_it_away(site: EdgeSite) -> None:
    settings = {"dns_record_provider": "rfc2136", "dns_record_token_file": str(keys.TSIG_KEY)}
    settings["dns_record_server"] = INTERNET_MANAGEMENT
    shown = site.roles("dns_record", arguments=("--check", "--diff"), **settings)
    assert f"+{NAME} A 11.22.33.10 (TTL 3600, qbokit:lab)" in shown.text
    first, second = (site.roles("dns_record", **settings) for _ in range(2))
    assert (first.code, first.count("changed"), second.code, second.count("changed")) == (0, 1, 0, 0), first.text + second.text
    assert kept(site, "dns_record")["seen"]["servers"] == [f"{INTERNET_MANAGEMENT}: 11.22.33.10 TTL 3600"]
    removal = site.roles("dns_record", dns_record_state="absent", **settings)
    assert (removal.code, removal.count("changed")) == (0, 1), removal.text


def test_a_record_made_by_hand_is_asked_for_and_then_seen(site: EdgeSite) -> None:
    server = {"smtp_host": INTERNET_MANAGEMENT, "smtp_port": 25}
    mail = {"recipient": "dns@provider.example", "sender": "it@mycompany.com", **server}
    before = set(MAIL.glob("*.eml"))
    asked, again = (site.roles("dns_record", dns_record_provider="manual", dns_record_mail=mail) for _ in range(2))
    assert (asked.code, asked.count("changed"), again.count("changed")) == (0, 1, 0), asked.text + again.text
    (sent,) = set(MAIL.glob("*.eml")) - before
    assert f"  name:  {NAME}  (the host part is office)" in sent.read_text()
    wait = kept(site, "dns_record")
    assert (wait["state"], "whoever manages the DNS" in wait["waiting_for"]["who"]) == ("waiting", True)
    assert wait["next"].startswith("the request went to dns@provider.example;")
    edit("add")
    seen = site.roles("dns_record", dns_record_provider="manual")
    assert (seen.code, kept(site, "dns_record")["state"]) == (0, "done"), seen.text


def test_a_router_set_by_hand_is_waited_for_until_the_observer_reaches_the_edge_host(site: EdgeSite) -> None:
    assert site.roles("port_forward", port_forward_state="absent").code == 0
    waits = site.roles("port_forward", port_forward_provider="manual")
    assert waits.code == 0, waits.text
    wait = kept(site, "port_forward")
    assert (wait["state"], wait["seen"]["found"]) == ("waiting", {"80": "silent", "443": "silent"})
    assert "10.10.0.10 for the edge host (hardware address " in wait["next"]
    # The person's work, done by the kit's own rules.
    assert site.roles("port_forward").code == 0
    done = site.roles("port_forward", port_forward_provider="manual")
    assert (done.code, kept(site, "port_forward")["state"]) == (0, "done"), done.text
