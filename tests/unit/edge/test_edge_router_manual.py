"""What a look from outside says about ports that a person forwards, and the text for that person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge.router import manual
from qbo_sync.errors import UsageError, Waiting

PLACE = {"address": "10.1.2.3", "external_address": "11.22.33.44"}
met = st.sampled_from(["reached", "open", "refused", "silent", "other"])


@given(st.dictionaries(st.sampled_from([80, 443]), met, min_size=1), st.lists(st.sampled_from([80, 443])))
def test_only_what_was_reached_counts_and_an_open_port_of_the_own_web_server(found: dict[int, str], served: list[int]) -> None:
    led = [port for port, what in found.items() if what == "reached" or (what == "open" and port in served)]
    assert sorted(manual.not_yet(found, served)) == sorted(set(found) - set(led))


def test_done() -> None:
    manual.prove({80: "reached", 443: "open"}, [443], **PLACE)


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("silent", "11.22.33.44 port 443: no answer"),
        ("refused", "the connection is refused"),
        ("other", "another program answers there"),
        ("open", "not the edge host"),
    ],
)
def test_a_wait_says_what_was_met_and_what_to_set(what: str, seen: str) -> None:
    with pytest.raises(Waiting) as wait:
        manual.prove({80: "reached", 443: what}, [80], hardware="02:00:00:00:00:01", **PLACE)
    assert seen in wait.value.seen
    assert "port 80" not in wait.value.seen
    for needed in (
        "Reserve the address 10.1.2.3 for the edge host (hardware address 02:00:00:00:00:01)",
        "TCP, any source, external port 80 -> 10.1.2.3, internal port 80",
        "TCP, any source, external port 443 -> 10.1.2.3, internal port 443",
        "must show 11.22.33.44 as its own internet (WAN)",
        "carrier-grade NAT",
        "NAT loopback",
        *manual.MENUS.values(),
    ):
        assert needed in wait.value.next


def test_an_address_no_router_forwards_to_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot forward"):
        manual.request("127.0.0.1", (80, 443), external_address="11.22.33.44")
