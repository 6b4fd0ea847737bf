"""What the suite for monitoring (tests/hosts) expects of a site follows from the site's own variables."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hosts import test_edge, test_router
from tests.hosts.expected import ROLES, WHERE, expected, headings, variables

TOP = Path(__file__).parents[2]
FILES = ("edge", "observer", "qbo_sync", "router")
GIVEN = {"site_name": "acme", "site_fqdn": "qbo.acme-lifts.com", "site_lan_address": "10.1.2.3"}
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/qbo-kit-qbo.acme-lifts.com"
CERTBOT = "/usr/local/sbin/qbo-kit-certbot"


def wanted(name: str, heading: str, **given: Any) -> list[Any]:
    return expected(name, heading, variables({**GIVEN, **given}))


def paths(**given: Any) -> set[str]:
    return {entry["path"] for entry in wanted("edge", "files", **given)}


def everything(**given: Any) -> dict[tuple[str, str], list[Any]]:
    """All that is expected of a site, by file and heading."""
    plain = {(name, heading.partition(" where ")[0]) for name in FILES for heading in headings(name)}
    return {(name, heading): wanted(name, heading, **given) for name, heading in plain}


def test_a_site_that_leaves_everything_to_the_roles() -> None:
    assert wanted("edge", "units") == ["nginx.service", "qbo-kit-certbot.timer"]
    assert wanted("edge", "own_units") == ["qbo-kit-certbot.service", "qbo-sync@.service"]
    assert {HOOK, CERTBOT, "/etc/qbo-kit/tls/qbo.acme-lifts.com"} <= paths()
    assert set(wanted("router", "forwards")) == {"tcp 80 -> 10.1.2.3:80", "tcp 443 -> 10.1.2.3:443"}
    assert set(wanted("observer", "open")) == {80, 443}
    assert wanted("observer", "redirected") == ["/page?x=1"]
    assert wanted("observer", "certificate_names") == [["qbo.acme-lifts.com"]]
    assert wanted("observer", "ttl") == [3600]
    assert wanted("observer", "days_left") == [7]
    assert wanted("qbo_sync", "units") == ["qbo-sync@acme.service"]
    assert wanted("qbo_sync", "sockets") == ["127.0.0.1:8021"]


def test_a_shop_router_asked_by_upnp_at_a_changing_address_brings_two_timers() -> None:
    given = {"port_forward_provider": "upnp", "dns_record_follow": "router", "dns_record_ttl": 300}
    timers = {"qbo-kit-certbot.timer", "qbo-kit-forward-refresh.timer", "qbo-kit-follow.timer"}
    assert set(wanted("edge", "units", **given)) == {"nginx.service", *timers}
    services = {"qbo-kit-certbot.service", "qbo-kit-forward-refresh.service", "qbo-kit-follow.service"}
    assert set(wanted("edge", "own_units", **given)) == {"qbo-sync@.service", *services}
    assert wanted("observer", "ttl", **given) == [300]


def test_each_of_the_two_timers_comes_alone() -> None:
    refreshing = {*wanted("edge", "units", port_forward_provider="upnp")} - {*wanted("edge", "units")}
    following = {*wanted("edge", "units", dns_record_follow="https://address.example.com/")} - {*wanted("edge", "units")}
    assert (refreshing, following) == ({"qbo-kit-forward-refresh.timer"}, {"qbo-kit-follow.timer"})


def test_a_bought_certificate_needs_no_certbot_and_may_have_more_names() -> None:
    assert paths() - paths(certificate_source="files") == {HOOK, CERTBOT}
    assert wanted("observer", "certificate_names", certificate_source="files") == []
    assert wanted("edge", "units", certificate_source="files") == wanted("edge", "units")


def test_where_port_80_is_closed_only_443_leads_in() -> None:
    given = {"port_forward_ports": [443], "verify_redirect": False, "certificate_challenge": "dns-cloudflare"}
    assert wanted("observer", "open", **given) == [443]
    assert wanted("router", "forwards", **given) == ["tcp 443 -> 10.1.2.3:443"]
    assert wanted("observer", "redirected", **given) == []
    assert wanted("edge", "servers", **given) == wanted("edge", "servers"), "nginx listens on it all the same, for the inside"


def test_a_short_lived_certificate_may_have_as_few_days_left_as_the_site_says() -> None:
    assert wanted("observer", "days_left", certificate_profile="shortlived", verify_min_days=2) == [2]


def test_other_names_are_refused_or_passed_on_through_the_sites_own_ports() -> None:
    given = {"reverse_proxy_pass_through_https": "10.1.2.4:443", "reverse_proxy_pass_through_ports": [9022, 9023]}
    assert ["127.0.0.1:9023 proxy_protocol"] in [entry["listen"] for entry in wanted("edge", "servers", **given)]
    assert "9022" not in str(wanted("edge", "servers"))


@pytest.mark.parametrize(
    ("given", "defaults"),
    [
        ({}, ["443 ssl default_server", "80 default_server"]),
        ({"reverse_proxy_default_server": False}, []),
        ({"reverse_proxy_default_server": False, "reverse_proxy_pass_through_http": "10.1.2.4:80"}, ["80 default_server"]),
        (
            {"reverse_proxy_pass_through_https": "10.1.2.4:443"},
            ["127.0.0.1:8022 ssl proxy_protocol default_server", "80 default_server"],
        ),
        ({"reverse_proxy_pass_through_https": "10.1.2.4:443", "reverse_proxy_default_server": False}, []),
    ],
    ids=str,
)
def test_a_default_server_is_expected_where_the_site_has_one_of_ours(given: dict[str, Any], defaults: list[str]) -> None:
    listens = {at for entry in wanted("edge", "servers", **given) for at in entry["listen"]}
    assert sorted(at for at in listens if at.endswith("default_server")) == defaults


class Host:
    """A host that gives one answer to everything, in its part for a site."""

    def __init__(self, answer: str, **given: Any) -> None:
        self.answer, self.site = answer, variables({**GIVEN, **given})

    def run(self, _command: str, *_arguments: str) -> str:
        return self.answer


NGINX = """# configuration file /etc/nginx/conf.d/qbo-kit.conf:
server {{ listen 80; listen [::]:80; server_name qbo.acme-lifts.com; }}
server {{ listen 443 ssl; server_name qbo.acme-lifts.com; }}
{ours}
# configuration file /etc/nginx/sites-enabled/intranet:
{theirs}
"""
DEFAULTS = "server { listen 80 default_server; server_name _; } server { listen 443 ssl default_server; server_name _; }"
INTRANET = "server { listen 443 ssl; server_name intranet.acme-lifts.com; }"


@pytest.mark.parametrize(
    ("ours", "theirs", "given", "sound"),
    [
        (DEFAULTS, "", {}, True),
        (DEFAULTS, INTRANET, {}, True),
        (DEFAULTS, INTRANET.replace("intranet", "qbo"), {}, False),
        (DEFAULTS, INTRANET.replace("443 ssl", "11.22.33.44:443 ssl default_server"), {}, False),
        ("", "", {}, False),
        ("", DEFAULTS, {"reverse_proxy_default_server": False}, True),
        (DEFAULTS, "", {"reverse_proxy_default_server": False}, False),
        (DEFAULTS + INTRANET, "", {}, False),
    ],
)
def test_nginx_of_a_host_that_serves_something_else_too(ours: str, theirs: str, given: dict[str, Any], sound: bool) -> None:
    host = Host(NGINX.format(ours=ours, theirs=theirs), **given)
    agrees(lambda: test_edge.test_nginx_serves_exactly_the_expected_names(host), sound)  # type: ignore[arg-type]


SOCKETS = """LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))
LISTEN 0 128 *:80 *:* users:(("nginx",pid=2,fd=3))
LISTEN 0 128 *:443 *:* users:(("nginx",pid=2,fd=4))
"""


@pytest.mark.parametrize(
    ("more", "given", "sound"),
    [
        ("", {}, True),
        ('LISTEN 0 128 *:8080 *:* users:(("nginx",pid=2,fd=5))\n', {}, True),
        ('LISTEN 0 128 *:25 *:* users:(("master",pid=3,fd=5))\n', {}, False),
        ('LISTEN 0 128 *:25 *:* users:(("master",pid=3,fd=5))\n', {"verify_open_ports": [25, 80, 443]}, True),
    ],
)
def test_sockets_of_a_host_that_serves_something_else_too(more: str, given: dict[str, Any], sound: bool) -> None:
    host = Host(SOCKETS + more, **given)
    agrees(lambda: test_edge.test_only_the_expected_sockets_can_be_reached(host), sound)  # type: ignore[arg-type]


def rule(port: int, to: str, **more: Any) -> dict[str, Any]:
    """A rule of somebody's table, as nft lists it; with a comment one of ours."""
    match = [{"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}]
    if more:
        match.append({"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "local"})
    place = {"family": "ip", "table": "qbo_kit" if more else "office", "chain": "prerouting"}
    return {"rule": {**place, **more, "expr": [*({"match": m} for m in match), {"dnat": {"addr": to, "port": port}}]}}


@pytest.mark.parametrize(("port", "to", "sound"), [(443, "10.1.2.3", True), (443, "10.1.2.99", False), (444, "10.1.2.3", False)])
def test_a_forward_that_somebody_elses_rule_makes_is_not_missed(port: int, to: str, sound: bool) -> None:
    listing = json.dumps({"nftables": [rule(80, "10.1.2.3", comment="qbokit:acme"), rule(port, to)]})
    host = Host(listing, port_forward_wan_interface="wan", port_forward_external_address="")
    agrees(lambda: test_router.test_exactly_the_expected_ports_are_forwarded(host), sound)  # type: ignore[arg-type]


def agrees(test: Callable[[], None], sound: bool) -> None:
    """A test of the suite passes on what is sound, and fails on what is not."""
    with nullcontext() if sound else pytest.raises(AssertionError):
        test()


def test_every_condition_is_used_and_every_variable_is_known() -> None:
    conditions = (heading.partition(" where ")[2] for name in FILES for heading in headings(name))
    used = {part for condition in conditions for part in condition.split(" and ")} - {""}
    assert used == set(WHERE)
    for name, value in WHERE.items():
        assert isinstance(value(variables(GIVEN)), bool), name
    assert "${" not in str(everything())


@pytest.mark.parametrize("provider", ["nftables", "upnp"])
def test_every_unit_of_the_kit_that_is_expected_is_one_that_a_role_writes(provider: str) -> None:
    given = {"port_forward_provider": provider, "dns_record_follow": "router"}
    units = {unit for (_, heading), found in everything(**given).items() if heading.endswith("units") for unit in found}
    written: set[str] = set()
    for path in ROLES.glob("*/vars/main.yml"):
        written |= set(re.findall(r"\bqbo-(?:kit|sync)[\w-]*@?\.(?:service|timer)", path.read_text(encoding="utf-8")))
    assert {unit for unit in units if unit.startswith("qbo-")} - written <= {"qbo-sync@acme.service"}


def collected(folder: Path, **given: Any) -> str:
    """The names of the tests that the suite has for a site; no host is asked."""
    site = {**GIVEN, "site_address": "192.0.2.1", "site_router": "acme-router", "site_observer": "acme-observer", **given}
    groups = {"edge_hosts": {"acme": site}, "routers": {"acme-router": {}}, "observers": {"acme-observer": {}}}
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump({group: {"hosts": hosts} for group, hosts in groups.items()}))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "tests/hosts"]
    done = subprocess.run([*command, "--kit-inventory", path], cwd=TOP, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_suite_has_a_test_for_each_entry_that_the_site_is_to_have(tmp_path: Path) -> None:
    default = collected(tmp_path)
    assert "test_a_unit_runs_now_and_after_the_next_boot[acme:acme-qbo-kit-certbot.timer]" in default
    assert f"test_a_file_belongs_to_its_owner[acme:acme-{HOOK}]" in default
    assert "test_plain_http_is_sent_to_the_secure_address[acme:acme-observer-/page?x=1]" in default
    assert "forward-refresh" not in default
    other = collected(tmp_path, port_forward_provider="upnp", port_forward_ports=[443], certificate_source="files")
    assert "test_a_unit_runs_now_and_after_the_next_boot[acme:acme-qbo-kit-forward-refresh.timer]" in other
    assert HOOK not in other
    assert "test_plain_http_is_sent_to_the_secure_address[acme:acme-observer-none]" in other, "skipped, with the reason"
