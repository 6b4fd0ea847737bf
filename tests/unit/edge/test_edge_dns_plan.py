"""What may be written to a zone, decided without any provider."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge import addresses, dns
from qbo_sync.edge.dns import Change, Record, Snapshot
from qbo_sync.errors import Blocked, UsageError

NAME = "qbo.mycompany.com"
WANTED = dns.wanted_record(NAME, "11.22.33.10", "lab")

contents = st.sampled_from(["11.22.33.10", "11.22.33.11", "11.22.33.12"])
owners = st.sampled_from(["", "qbokit:lab", "qbokit:other", "made by hand"])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """What a provider allows at one name: A records of different content, or one CNAME; an AAAA beside the former."""
    numbers = itertools.count()

    def record(rtype: str, content: str) -> Record:
        ttl = draw(st.sampled_from([1, 300, 3600]))
        return Record(NAME, rtype, content, ttl, draw(st.booleans()), draw(owners), f"id{next(numbers)}")

    if draw(st.booleans()):
        return Snapshot(NAME, (record("CNAME", "elsewhere.example"),))
    found = [record("A", content) for content in draw(st.lists(contents, unique=True))]
    if draw(st.booleans()):
        found.append(record("AAAA", "2600::1"))
    return Snapshot(NAME, tuple(found))


def after(before: Snapshot, changes: tuple[Change, ...]) -> Snapshot:
    """The records once the changes are made; every step must be one a provider would take."""
    records = list(before.records)
    for change in changes:
        if change.before is not None:
            records.remove(change.before)
        if change.after is not None:
            assert not any(r.type == "CNAME" for r in records)
            assert not any((r.type, r.content) == (change.after.type, change.after.content) for r in records)
            records.append(change.after)
    return Snapshot(before.name, tuple(records))


@given(snapshots(), st.booleans())
def test_the_name_ends_with_the_one_wanted_address(before: Snapshot, adopt: bool) -> None:
    try:
        changes = dns.plan(before, WANTED, adopt=adopt)
    except Blocked:
        return
    now = after(before, changes)
    assert [r.same_value(WANTED) for r in now.records if r.type in ("A", "CNAME")] == [True]
    assert [r for r in now.records if r.type == "AAAA"] == [r for r in before.records if r.type == "AAAA"]
    assert dns.plan(now, WANTED) == ()


@given(snapshots(), st.booleans())
def test_nobody_elses_record_is_touched_unless_adopted(before: Snapshot, adopt: bool) -> None:
    try:
        changes = dns.plan(before, WANTED, adopt=adopt)
    except Blocked:
        return
    touched = [change.before for change in changes if change.before is not None]
    assert all(record.comment != "qbokit:other" for record in touched)
    if not adopt:
        assert all((record.type, record.comment) == ("A", WANTED.comment) for record in touched)


@given(snapshots(), st.booleans())
def test_refusal_is_always_somebody_elses_record(before: Snapshot, adopt: bool) -> None:
    foreign = [r for r in before.records if r.type == "CNAME" or (r.type == "A" and r.comment != WANTED.comment)]
    try:
        dns.plan(before, WANTED, adopt=adopt)
    except Blocked as error:
        refusal = error
    else:
        return
    assert any(record.content in refusal.seen for record in foreign)
    assert refusal.next
    assert not adopt or any(record.comment == "qbokit:other" for record in foreign)


@given(snapshots(), st.sampled_from(["lab", "other"]))
def test_removal_takes_the_sites_own_a_records_and_nothing_else(before: Snapshot, site: str) -> None:
    removed = [change.before for change in dns.plan_removal(before, site)]
    assert removed == [r for r in before.records if r.type == "A" and r.comment == f"qbokit:{site}"]


def test_a_foreign_record_that_says_the_same_is_left_alone() -> None:
    there = Snapshot(NAME, (Record(NAME, "A", "11.22.33.10", 3600, comment="made by hand", id="x"),))
    assert dns.plan(there, WANTED) == ()


def test_a_changed_address_changes_our_record() -> None:
    old = Record(NAME, "A", "11.22.33.9", 3600, comment="qbokit:lab", id="x")
    assert dns.plan(Snapshot(NAME, (old,)), WANTED) == (Change(old, WANTED),)


def test_a_delegated_name_is_refused() -> None:
    with pytest.raises(Blocked, match="delegated to other name servers"):
        dns.plan(Snapshot(NAME, (Record(NAME, "NS", "ns.elsewhere.example"),)), WANTED, adopt=True)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "carrier-grade"),
        ("100.127.255.254", "carrier-grade"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("198.19.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("0.0.0.1", "this network"),
        ("11.22.33", "not an IPv4 address"),
        ("2600::1", "not an IPv4 address"),
        ("", "not an IPv4 address"),
    ],
)
def test_an_address_nobody_can_reach_is_refused(address: str, reason: str) -> None:
    with pytest.raises(UsageError) as refusal:
        dns.wanted_record(NAME, address, "lab")
    assert reason in refusal.value.seen
    assert refusal.value.next


@pytest.mark.parametrize("address", ["11.22.33.10", "100.63.255.255", "100.128.0.0", "172.32.0.1", "1.1.1.1"])
def test_public_addresses_pass(address: str) -> None:
    assert dns.wanted_record(NAME, address, "lab").content == address


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_private_is_never_public(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved:
        assert addresses.why_not_public(str(address))


@pytest.mark.parametrize("ttl", [1, 59, 86_401])
def test_a_ttl_no_provider_takes_is_refused(ttl: int) -> None:
    with pytest.raises(UsageError, match="TTL"):
        dns.wanted_record(NAME, "11.22.33.10", "lab", ttl)


@pytest.mark.parametrize(("name", "zone"), [("qbo.other.example", "mycompany.com"), ("qbo.notmycompany.com", "mycompany.com")])
def test_a_name_outside_the_zone_is_refused(name: str, zone: str) -> None:
    with pytest.raises(UsageError, match="not in the zone"):
        dns.check_name(name, zone)


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(UsageError) as refusal:
        dns.provider("clouddflare", token_file="/nonexistent")
    assert "cloudflare" in refusal.value.next
