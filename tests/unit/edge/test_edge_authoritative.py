"""Asking every authoritative server, against real ones on loopback."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from edge_dns_server import DnsServer
from edge_lab import SOA, ZONE

from qbo_sync.edge import authoritative
from qbo_sync.edge.authoritative import Server
from qbo_sync.errors import Unreachable, UsageError, Waiting

NAME = f"qbo.{ZONE}"


def zone(*lines: str) -> str:
    return SOA + "".join(line + "\n" for line in lines)


def found(*servers: DnsServer) -> tuple[Server, ...]:
    return authoritative.servers(ZONE, nameservers=[server.at for server in servers])


def wait(*servers: DnsServer, address: str | None = "11.22.33.10", **values: Any) -> tuple[authoritative.Answer, ...]:
    return authoritative.wait(NAME, address, found(*servers), **{"timeout_s": 0, **values})


def test_every_server_agrees(name_server: DnsServer, second_name_server: DnsServer) -> None:
    for server in (name_server, second_name_server):
        server.set(ZONE, zone("qbo 3600 IN A 11.22.33.10"))
    answers = wait(name_server, second_name_server)
    assert [(a.addresses, a.ttl) for a in answers] == [(("11.22.33.10",), 3600)] * 2


def test_one_server_behind_is_waited_for_and_named(name_server: DnsServer, second_name_server: DnsServer) -> None:
    name_server.set(ZONE, zone("qbo 3600 IN A 11.22.33.10"))
    with pytest.raises(Waiting) as waiting:
        wait(name_server, second_name_server)
    assert f"{name_server.at}: 11.22.33.10 TTL 3600; 127.0.0.1:{second_name_server.port}: no A record" in waiting.value.seen
    assert waiting.value.who


def test_a_record_that_appears_while_waiting(name_server: DnsServer) -> None:
    timer = threading.Timer(0.3, name_server.set, (ZONE, zone("qbo 3600 IN A 11.22.33.10")))
    timer.start()
    told: list[str] = []
    assert wait(name_server, timeout_s=20, interval_s=0.1, progress=told.append)
    timer.join()
    assert name_server.questions > 1
    (line,) = told  # once, as long as the servers say the same
    assert "1 of 1 name servers not yet, waiting up to 20 s: " in line
    assert line.endswith("no A record")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("qbo 300 IN A 11.22.33.10", "TTL 300"),
        ("qbo 3600 IN A 11.22.33.99", "11.22.33.99"),
        ("qbo 3600 IN CNAME elsewhere.example.", "is a CNAME to elsewhere.example"),
        ("other 3600 IN A 11.22.33.10", "no A record"),
        ("qbo 3600 IN AAAA 2600::1", "no A record"),
        ("qbo 3600 IN A 11.22.33.10\nqbo 3600 IN A 11.22.33.11", "11.22.33.10, 11.22.33.11"),
    ],
)
def test_what_is_not_the_wanted_answer(name_server: DnsServer, line: str, said: str) -> None:
    name_server.set(ZONE, zone(line))
    with pytest.raises(Waiting) as waiting:
        wait(name_server)
    assert said in waiting.value.seen


def test_any_ttl_will_do_when_none_is_asked_for(name_server: DnsServer) -> None:
    name_server.set(ZONE, zone("qbo 300 IN A 11.22.33.10"))
    servers = found(name_server)
    assert authoritative.wait(NAME, "11.22.33.10", servers, ttl=None, timeout_s=0)[0].ttl == 300


def test_waiting_for_a_record_to_be_gone(name_server: DnsServer) -> None:
    assert wait(name_server, address=None)
    name_server.set(ZONE, zone("qbo 3600 IN A 11.22.33.10"))
    with pytest.raises(Waiting, match="no A record"):
        wait(name_server, address=None)


def test_a_mute_server_is_unreachable_and_its_neighbour_only_waits(
    name_server: DnsServer, second_name_server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authoritative, "QUERY_TIMEOUT_S", 0.2)
    name_server.mute = True
    with pytest.raises(Unreachable) as nobody:
        wait(name_server)
    assert "no answer within" in nobody.value.seen
    with pytest.raises(Waiting) as waiting:
        wait(name_server, second_name_server)
    assert "no answer within" in waiting.value.seen


@pytest.mark.parametrize(("manner", "said"), [("refuse", "answers REFUSED"), ("lame", "not authoritative")])
def test_a_server_that_does_not_know_the_zone(name_server: DnsServer, manner: str, said: str) -> None:
    name_server.set(ZONE, zone("qbo 3600 IN A 11.22.33.10"))
    setattr(name_server, manner, True)
    with pytest.raises(Waiting) as waiting:
        wait(name_server)
    assert said in waiting.value.seen


def test_servers_of_the_delegation_are_found_through_a_resolver(name_server: DnsServer) -> None:
    name_server.set(ZONE, SOA + "@ 300 IN NS ns2.example.\n")
    name_server.set("example", "@ 300 IN SOA ns1 h 1 1 1 1 1\nns2 300 IN A 11.22.33.54\nns2 300 IN AAAA 2600::54\n")
    assert authoritative.servers(ZONE, resolver=name_server.at) == (
        Server("ns1.mycompany.com", "127.0.0.1"),
        Server("ns2.example", "11.22.33.54"),
    )


def test_a_server_named_by_hand_is_resolved(name_server: DnsServer) -> None:
    servers = authoritative.servers(ZONE, resolver=name_server.at, nameservers=[f"ns1.{ZONE}:5353"])
    assert servers == (Server(f"ns1.{ZONE}", "127.0.0.1", 5353),)


def test_a_zone_nobody_has(name_server: DnsServer) -> None:
    with pytest.raises(Unreachable, match="no authoritative name server"):
        authoritative.servers(f"sub.{ZONE}", resolver=name_server.at)
    with pytest.raises(Unreachable, match="the resolver cannot find"):
        authoritative.servers("elsewhere.example", resolver=name_server.at)


@pytest.mark.parametrize("wrong", ["ns1.example:port", "192.0.2.53:0", "192.0.2.53:99999"])
def test_what_is_no_server(wrong: str) -> None:
    with pytest.raises(UsageError):
        authoritative.servers(ZONE, nameservers=[wrong])


def test_a_resolver_is_an_address() -> None:
    with pytest.raises(UsageError, match="by its address"):
        authoritative.resolver_at("resolver.example")


def test_a_record_that_goes_while_waiting(name_server: DnsServer) -> None:
    name_server.set(ZONE, zone("qbo 3600 IN A 11.22.33.10"))
    servers = found(name_server)
    timer = threading.Timer(0.3, name_server.set, (ZONE, zone()))
    timer.start()
    told: list[str] = []
    (said,) = authoritative.wait_without(NAME, (), servers, timeout_s=20, interval_s=0.1, progress=told.append)
    timer.join()
    assert (said.addresses, said.is_without(())) == ((), True)
    (line,) = told
    assert "still tell it, waiting up to 20 s: " in line


def test_a_record_that_stays_is_told_and_a_foreign_one_is_not_waited_for(name_server: DnsServer) -> None:
    name_server.set(ZONE, zone("qbo 3600 IN A 11.22.33.10"))
    servers = found(name_server)
    (said,) = authoritative.wait_without(NAME, (), servers, timeout_s=0)
    assert (said.addresses, said.is_without(())) == (("11.22.33.10",), False)
    (said,) = authoritative.wait_without(NAME, ["11.22.33.10"], servers, timeout_s=20)
    assert said.is_without(["11.22.33.10"])
