"""The text for a person, word by word; that following it makes the record is shown by the contract tests."""

from __future__ import annotations

import pytest
from edge_dns_server import DnsServer
from edge_lab import SOA, ZONE

from qbo_sync.edge import authoritative
from qbo_sync.edge import dns as edge_dns
from qbo_sync.errors import Unreachable, UsageError, Waiting

NAME = f"qbo.{ZONE}"
CREATE = f"""    Please create this record in the zone {ZONE}:
      name:  {NAME}  (the host part is qbo)
      type:  A
      value: 11.22.33.10
      TTL:   3600 seconds
      no proxy, no forwarding, and no AAAA record at this name"""
REMOVE = f"""    Please remove this record of the zone {ZONE}, unless something else still needs it:
      name:  {NAME}  (the host part is qbo)
      type:  CNAME
      value: elsewhere.example
      TTL:   300 seconds
"""
HEAD = "send this to them; a later run sees by itself that it is done\n"


def look(*servers: DnsServer, **values: str) -> edge_dns.Outcome:
    provider = edge_dns.provider("manual", nameservers=tuple(server.at for server in servers))
    return edge_dns.present(provider, **{"name": NAME, "zone": ZONE, "address": "11.22.33.10", "site": "lab", **values})


@pytest.mark.parametrize(
    ("there", "text", "seen"),
    [
        ("", f"{HEAD}\n{CREATE}", f"no record at {NAME}"),
        ("qbo 300 IN CNAME elsewhere.example.", f"{HEAD}\n{REMOVE}\n{CREATE}", "CNAME elsewhere.example (TTL 300)"),
    ],
)
def test_the_text_says_exactly_what_to_do(name_server: DnsServer, there: str, text: str, seen: str) -> None:
    name_server.set(ZONE, SOA + there + "\n")
    with pytest.raises(Waiting) as wait:
        look(name_server)
    assert wait.value.next == text
    assert seen in wait.value.seen
    assert wait.value.who == f"whoever manages the DNS of {ZONE} (its name servers: 127.0.0.1)"


def test_nothing_is_asked_for_once_it_is_done(name_server: DnsServer) -> None:
    name_server.set(ZONE, SOA + "qbo 3600 IN A 11.22.33.10\n")
    assert not look(name_server).changed


def test_a_server_that_does_not_answer_is_passed_over(
    name_server: DnsServer, second_name_server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authoritative, "QUERY_TIMEOUT_S", 0.2)
    name_server.mute = True
    second_name_server.set(ZONE, SOA + "qbo 3600 IN A 11.22.33.10\n")
    assert not look(name_server, second_name_server).changed
    second_name_server.mute = True
    with pytest.raises(Unreachable, match="no authoritative name server answers"):
        look(name_server, second_name_server)


def test_the_zone_must_be_named(name_server: DnsServer) -> None:
    with pytest.raises(UsageError, match="must be named"):
        look(name_server, zone="")
