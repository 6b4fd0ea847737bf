"""The edge host: what step 1 leaves behind, and nothing beyond it."""

from __future__ import annotations

import functools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qbo_sync.edge.looks import nginx
from tests.hosts.conftest import Target
from tests.hosts.expected import expected

wanted = functools.partial(expected, "edge")
LISTENER = re.compile(r"^\S+\s+\d+\s+\d+\s+(?P<address>\S+):(?P<port>\d+)\s.*?\(\(\"(?P<program>[^\"]+)\"", re.MULTILINE)


def check_file(target: Target, entry: dict[str, Any]) -> None:
    """A file is what it should be, belongs to whom it should, and may be read by nobody else."""
    seen = target.host.file(entry["path"])
    kind = {"symlink": seen.is_symlink, "directory": seen.is_directory, "file": seen.is_file}
    assert kind[entry["kind"]], f"{entry['path']} is no {entry['kind']}"
    found = target.run("stat --format '%%U %%G %%a' %s", entry["path"]).split()
    assert found == [entry["user"], entry["group"], f"{int(str(entry['mode']), 8):o}"], entry["path"]


def check_unit(target: Target, name: str) -> None:
    """A unit runs, and will after the next boot."""
    found = target.host.run("systemctl is-active %s; systemctl is-enabled %s", name, name).stdout.split()
    assert found == ["active", "enabled"], name


# As roles/reverse_proxy/vars/main.yml has them.
OURS = ("/etc/nginx/conf.d/qbo-kit.conf", "/etc/nginx/modules-enabled/90-qbo-kit-stream.conf")
DEFAULT = re.compile(r"(80|443)\b.*default_server")


def in_the_way(block: dict[str, Any], site: dict[str, Any]) -> bool:
    """Whether somebody else's server block takes the site's visitors, or those of other names that are not left to it."""
    takes_others = any(DEFAULT.search(at) for at in block["listen"])
    return site["site_fqdn"] in block["names"] or (takes_others and bool(site["reverse_proxy_default_server"]))


def test_only_the_expected_sockets_can_be_reached(edge: Target) -> None:
    """Whatever listens beyond loopback is listed; nothing else does."""
    found = {(m["port"], m["program"], m["address"]) for m in LISTENER.finditer(edge.run("ss -Htlnp"))}
    reachable = {(int(port), program) for port, program, address in found if not address.startswith(("127.", "[::1]"))}
    expected_ones = {(entry["port"], entry["program"]) for entry in wanted("reachable", edge.site)}
    named = {int(port) for port in edge.site.get("verify_open_ports", [])}
    more = {(port, program) for port, program in reachable if program != "nginx" and port not in named}
    assert (expected_ones - reachable, more - expected_ones) == (set(), set())


def test_nginx_serves_exactly_the_expected_names(edge: Target) -> None:
    """None of our server blocks is missing or too many, and none of somebody else answers in the site's name."""
    found = nginx.servers_of_dump(edge.run("nginx -T 2>/dev/null"))
    ours = [block for block in found if block["file"] in OURS]
    seen = {(tuple(block["names"]), tuple(at for at in block["listen"] if not at.startswith("["))) for block in ours}
    assert seen == {(tuple(block["names"]), tuple(block["listen"])) for block in wanted("servers", edge.site)}
    assert [block for block in found if block not in ours and in_the_way(block, edge.site)] == []


def test_nginx_runs_the_configuration_that_lies_there(edge: Target) -> None:
    """The next boot will not fail on a file that nobody has tried."""
    edge.run("nginx -t -q")


@pytest.mark.each_wanted(unit="units")
def test_a_unit_runs_now_and_after_the_next_boot(edge: Target, unit: str) -> None:
    check_unit(edge, unit)


def test_no_unit_of_ours_is_unknown_or_has_failed(edge: Target) -> None:
    """What the kit installed on the host is listed, and nothing of it lies there broken."""
    listed = edge.run("systemctl list-unit-files --no-legend --full 'qbo-*'").splitlines()
    known = {*wanted("units", edge.site), *wanted("own_units", edge.site)}
    assert {line.split()[0] for line in listed} <= known
    assert edge.run("systemctl list-units --failed --no-legend --plain 'qbo-*' nginx.service") == ""


def test_the_timers_are_due(edge: Target) -> None:
    """Exactly the kit's own timers run, and each has a next time."""
    found = json.loads(edge.run("systemctl list-timers --output json 'qbo-*'") or "[]")
    assert {timer["unit"] for timer in found} == {unit for unit in wanted("units", edge.site) if unit.endswith(".timer")}
    assert [timer["unit"] for timer in found if not timer["next"]] == []


@pytest.mark.each_wanted(entry="files")
def test_a_file_belongs_to_its_owner(edge: Target, entry: dict[str, Any]) -> None:
    check_file(edge, entry)


def test_the_renewal_will_fire(edge: Target) -> None:
    """An enabled timer may still never be due; this one has a next time."""
    assert edge.run("systemctl show qbo-kit-certbot.timer --property NextElapseUSecRealtime --value")


def test_the_last_renewal_did_not_fail(edge: Target) -> None:
    """The unit fails when the CA refuses or nginx serves another certificate than the newest."""
    assert edge.run("systemctl show qbo-kit-certbot.service --property Result --value") == "success"


def test_the_certificates_state_is_kept_and_all_is_well(edge: Target) -> None:
    """What monitoring reads: looked at within the last day, nothing wrong, and what is said to be served is."""
    name = edge.site["site_fqdn"]
    state = json.loads(edge.run("cat %s", f"/var/lib/qbo-kit/certificate/{name}.json"))
    assert (state["state"], state["troubles"]) == ("ok", [])
    assert datetime.fromisoformat(state["checked_at"]) > datetime.now(UTC) - timedelta(days=1)
    served = edge.run("openssl x509 -noout -fingerprint -sha256 -in %s", f"/etc/qbo-kit/tls/{name}/fullchain.pem")
    assert served.partition("=")[2].strip().replace(":", "").lower() == state["served"]["fingerprint"]


def test_no_private_key_can_be_read_by_others(edge: Target) -> None:
    """Whatever looks like a key or a secret is closed to everybody but its owner."""
    folders = "/etc/qbo-kit /etc/letsencrypt /etc/qbo-sync /var/lib/qbo-sync"
    names = r"-name 'privkey*' -o -name '*.key' -o -name '*secret*' -o -name '*password*' -o -name 'private_key.json'"
    assert edge.host.run(f"find {folders} -type f \\( {names} \\) -perm /077 2>/dev/null").stdout == ""


def test_nginx_serves_the_certificate_that_certbot_keeps(edge: Target) -> None:
    """Renewed and still serving the old one is what users complain about most."""
    name = edge.site["site_fqdn"]
    edge.run("/usr/local/sbin/qbo-kit-certificate --name %s deploy --check", name)
