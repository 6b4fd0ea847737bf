"""The proof at the end of offboarding: what is still there is told, what is somebody else's is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.playbooks import Run
from tests.roles.conftest import SITE, Control
from tests.unit.edge.edge_dns_server import DnsServer, serving

NAME, ZONE = SITE["site_fqdn"], SITE["site_zone"]
OURS, FOREIGN = SITE["site_address"], "11.22.33.99"
HEAD = "@ 300 IN SOA ns1 hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns1\nns1 300 IN A 127.0.0.1\n"
SHOW = {"name": "Show", "ansible.builtin.debug": {"msg": "seen: {{ proof.seen | to_json }}"}}


@pytest.fixture
def name_server() -> Iterator[DnsServer]:
    with serving(DnsServer({ZONE: HEAD})) as server:
        yield server


def look(control: Control, name_server: DnsServer, *arguments: str, **given: Any) -> Run:
    """Look for what is left, at the zone's one server, without waiting."""
    asked = {"name": NAME, "zone": ZONE, "nameservers": [name_server.at], "timeout_s": 0, **given}
    return control.play([{"name": "Look", "kit_gone": asked, "register": "proof"}, SHOW], *arguments)


def test_where_nothing_is_left_it_says_what_was_seen(control: Control, name_server: DnsServer) -> None:
    run = look(control, name_server, folders=[str(control.folder / "tls")])
    assert (run.code, run.count("changed")) == (0, 0), run.text
    assert '"edge_host": "nothing of ours"' in run.flat
    assert f"{name_server.at}: no A record" in run.flat


def test_everything_that_is_left_is_told_at_once_with_what_to_do(control: Control, name_server: DnsServer) -> None:
    name_server.set(ZONE, f"{HEAD}qbo 3600 IN A {OURS}\n")
    folder = control.folder / "tls"
    (folder / "placeholder").mkdir(parents=True)
    (folder / "kept.pem").touch()
    pfx = control.folder / "site.pfx"
    pfx.touch()
    run = look(control, name_server, folders=[str(folder), str(pfx)], certificate="ab" * 32)
    assert run.code == 2
    said = f"acme: not everything of this site is gone seen: on the edge host: {pfx}, {folder}/kept.pem, {folder}/placeholder; "
    assert said + f"at the name servers: {name_server.at}: {OURS} TTL 3600; from outside: port 443 still shows" in run.flat
    assert "next: run this again; what is left then was made with other settings of the site" in run.flat
    assert "see at the DNS provider that the record is gone" in run.flat
    assert (folder / "kept.pem").exists()


@pytest.mark.parametrize(
    ("line", "given"),
    [
        (f"qbo 3600 IN A {FOREIGN}", {"others": [FOREIGN]}),
        (f"* 3600 IN A {FOREIGN}", {}),
        ("qbo 3600 IN CNAME elsewhere.example.", {}),
    ],
)
def test_what_somebody_else_has_at_the_name_is_no_failure(
    control: Control, name_server: DnsServer, line: str, given: dict[str, Any]
) -> None:
    name_server.set(ZONE, f"{HEAD}{line}\n")
    run = look(control, name_server, **given)
    assert run.code == 0, run.text


def test_a_name_server_that_does_not_answer_proves_nothing(control: Control, name_server: DnsServer) -> None:
    name_server.mute = True
    run = look(control, name_server)
    assert run.code == 2
    assert f"at the name servers: {name_server.at}: no answer within" in run.flat


def test_what_other_sites_of_the_kit_need_there_may_stay(control: Control, name_server: DnsServer) -> None:
    folder = control.folder / "kit"
    folder.mkdir()
    (folder / "forward.nft").touch()
    asked = {"folders": [str(folder)], "shared": [str(folder / "forward.nft")]}
    assert look(control, name_server, **asked).code == 0
    assert look(control, name_server, folders=asked["folders"]).code == 2
