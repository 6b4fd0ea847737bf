"""Dynamic updates to a real BIND: keys, rights, and what one message holds."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import dns.tsig
import pytest
from edge_bind import Bind, line, statement
from edge_dns_server import DnsServer, serving
from edge_lab import SOA, ZONE, write_secret

from qbo_sync.edge import dns as edge_dns
from qbo_sync.errors import Blocked, Unreachable, UsageError

NAME = f"qbo.{ZONE}"


def provider(folder: Path, key: str, server: str) -> edge_dns.Provider:
    return edge_dns.provider("rfc2136", token_file=write_secret(folder / "key", key), server=server)


def present(at: edge_dns.Provider, **values: Any) -> edge_dns.Outcome:
    return edge_dns.present(at, **{"name": NAME, "zone": ZONE, "address": "11.22.33.10", "site": "lab", **values})


@pytest.mark.parametrize("form", [line, statement])
def test_both_forms_of_a_key_file(bind: Bind, tmp_path: Path, form: Any) -> None:
    present(provider(tmp_path, form(bind.site), bind.at))
    assert bind.records() == ["A 3600 11.22.33.10", 'TXT 3600 "qbokit:lab=11.22.33.10"']


def test_the_mark_goes_with_the_record(bind: Bind, tmp_path: Path) -> None:
    at = provider(tmp_path, line(bind.site), bind.at)
    bind.edit('add _qbokit.qbo 60 TXT "somebody else\'s note"')
    present(at, address="11.22.33.9")
    present(at)
    assert [text for text in bind.records() if "qbokit:lab" in text] == ['TXT 3600 "qbokit:lab=11.22.33.10"']
    assert edge_dns.absent(at, name=NAME, zone=ZONE, site="lab").changed
    assert bind.records() == ['TXT 3600 "somebody else\'s note"']


def test_a_cname_and_its_successor_change_places_in_one_step(bind: Bind, tmp_path: Path) -> None:
    at = provider(tmp_path, line(bind.site), bind.at)
    bind.edit("add qbo 3600 CNAME elsewhere.example.")
    before = bind.serial()
    present(at, adopt=True)
    assert bind.serial() == before + 1


def test_finds_the_zone_and_leaves_the_ipv6_address_alone(bind: Bind, tmp_path: Path) -> None:
    key = write_secret(tmp_path / "key", line(bind.site))
    at = edge_dns.provider("rfc2136", token_file=key, server=bind.at, resolver=bind.at)
    bind.edit("add qbo 3600 AAAA 2600::1")
    assert present(at, zone="").zone.name == ZONE
    assert "AAAA 3600 2600::1" in bind.records()


def test_an_update_whose_answer_was_lost_is_no_failure(bind: Bind, tmp_path: Path) -> None:
    at = provider(tmp_path, line(bind.site), bind.at)
    before = present(at, check=True)
    at.apply(before.zone, before.before, before.changes)
    # The same again: the prerequisites fail, but what stands there is what was wanted.
    at.apply(before.zone, before.before, before.changes)
    assert "A 3600 11.22.33.10" in bind.records()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (dns.tsig.Key("nobody", b"x" * 32, "hmac-sha256"), "does not accept the TSIG key nobody"),
        (dns.tsig.Key("site", b"x" * 32, "hmac-sha256"), "does not accept the TSIG key site"),
    ],
    ids=["unknown", "wrong"],
)
def test_a_key_the_server_does_not_take(bind: Bind, tmp_path: Path, key: dns.tsig.Key, said: str) -> None:
    before = bind.serial()
    with pytest.raises(UsageError, match=said) as refusal:
        present(provider(tmp_path, line(key), bind.at), check=True)
    assert refusal.value.next
    assert bind.serial() == before


def test_a_key_that_may_not_change_this_name_is_refused_before_anything_is_read(bind: Bind, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"refuses to change mycompany\.com for the TSIG key site") as refusal:
        present(provider(tmp_path, line(bind.site), bind.at), name=f"www.{ZONE}", check=True)
    assert "update-policy" in refusal.value.next
    assert "REFUSED" in refusal.value.seen


def test_a_zone_the_server_does_not_hold(bind: Bind, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not authoritative for the zone other\.example"):
        present(provider(tmp_path, line(bind.site), bind.at), name="qbo.other.example", zone="other.example")


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        present(provider(tmp_path, f"hmac-sha256:site:{'eHh4' * 8}", "127.0.0.1:1"))


@pytest.mark.parametrize(
    "content",
    [
        "s3cret",
        "hmac-sha256:site:s3cret!",
        "hmac-md5:site:czNjcmV0",
        "site:czNjcmV0",
        'key "site" { secret "czNjcmV0"; };',
        'key "site" { algorithm hmac-sha256; };',
        "hmac-sha256:..:czNjcmV0",
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match="no TSIG key") as refusal:
        provider(tmp_path, content, "127.0.0.1:1")
    assert "czNj" not in str(refusal.value)
    assert "s3cr" not in str(refusal.value)


def test_the_primary_is_the_one_that_the_soa_names(tmp_path: Path) -> None:
    """``ns1`` of the zone is 127.0.0.1; its port 53 belongs to nobody here, so the message says who was asked."""
    with serving(DnsServer({ZONE: SOA})) as resolver:
        key = write_secret(tmp_path / "key", f"hmac-sha256:site:{'eHh4' * 8}")
        at = edge_dns.provider("rfc2136", token_file=key, resolver=resolver.at)
        with pytest.raises((Unreachable, UsageError), match=r"127\.0\.0\.1"):
            present(at)


def test_two_runs_at_once_make_one_record(bind: Bind, tmp_path: Path) -> None:
    at = provider(tmp_path, line(bind.site), bind.at)
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(present(at).changed)
        except Blocked as refusal:
            outcomes.append(refusal.what)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert bind.records() == ["A 3600 11.22.33.10", 'TXT 3600 "qbokit:lab=11.22.33.10"']
