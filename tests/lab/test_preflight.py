"""Preflight in the lab: a sound site, one with every fault at once, and the ways in that only the outside can tell."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dns.query
import dns.rcode
import dns.update
import pytest

from lab.world import keys
from lab.world.layout import FQDN, INTERNET_MANAGEMENT, LAB_ZONE, OBSERVER_WAN, ROUTER_WAN, ZONE
from qbo_sync.edge.dns.rfc2136 import read_key
from tests.lab.conftest import EdgeSite
from tests.playbooks import Run

BUDGET = "/var/lib/qbo-kit/certificate/budget.json"
PROXY = "/etc/nginx/conf.d/qbo-kit.conf"

# A company's web site, whose HSTS reaches below it.
HSTS = """
import http.server, ssl, subprocess, sys
ask = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 -keyout /tmp/hsts.pem -out /tmp/hsts.crt"
subprocess.run(ask.split(), check=True, capture_output=True)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        self.end_headers()
server = http.server.HTTPServer((sys.argv[1], 443), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/hsts.crt", "/tmp/hsts.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def site(edge_site: EdgeSite, tmp_path_factory: pytest.TempPathFactory) -> EdgeSite:
    """The lab's site with its network side up, and a store of this module's own."""
    return EdgeSite(edge_site.lab, tmp_path_factory.mktemp("preflight"))


def seen(site: EdgeSite) -> dict[str, dict[str, Any]]:
    """The worst result of each check in the last run."""
    kept = json.loads((site.folder / "store" / "state.json").read_text())["lab"]["preflight"]["seen"]["checks"]
    order = ("ok", "info", "warn", "error", "fatal")
    return {check["id"]: check for check in sorted(kept, key=lambda check: order.index(check["severity"]))}


def severities(site: EdgeSite) -> dict[str, str]:
    return {id: check["severity"] for id, check in seen(site).items()}


@contextmanager
def zone(*lines: str) -> Iterator[None]:
    """Edit the zone in BIND, and put back what was there: ``NAME TTL TYPE DATA``."""

    def send(*changes: tuple[str, str]) -> None:
        update = dns.update.UpdateMessage(ZONE, keyring=read_key(keys.TSIG_KEY))
        for name, rest in changes:
            ttl, rdtype, data = rest.split(maxsplit=2)
            update.delete(name, rdtype)
            if data != "-":
                update.add(name, int(ttl), rdtype, data)
        assert dns.query.tcp(update, INTERNET_MANAGEMENT, timeout=10).rcode() == dns.rcode.NOERROR

    changes = [line.split(maxsplit=1) for line in lines]
    send(*((name, rest) for name, rest in changes))
    try:
        yield
    finally:
        send(*((name, " ".join([*rest.split()[:2], "-"])) for name, rest in changes))
        send(("qbo", f"3600 A {ROUTER_WAN}"))


def look(site: EdgeSite, **variables: Any) -> Run:
    return site.roles("preflight", **variables)


# What the DNS provider's account and the router say.
ASKED = ("P04", "P10", "P11", "P12", "P16", "P24")
NO_FORWARDS = ("router", "nft delete table ip qbo_kit", "systemctl restart qbo-kit-forward.service")
# As before the first certificate: certbot keeps none, and nginx shows its placeholder.
LINK = f"/etc/qbo-kit/tls/{FQDN}"
NO_CERTIFICATE = (
    "edge",
    f"mv /etc/letsencrypt/live /etc/letsencrypt/away; readlink {LINK} > /root/was; "
    f"ln -sfn {LINK}.d/placeholder {LINK}; nginx -s reload",
    f"mv /etc/letsencrypt/away /etc/letsencrypt/live; ln -sfn $(cat /root/was) {LINK}; systemctl reload-or-restart nginx",
)


def test_a_sound_site_lacks_nothing_and_the_ca_is_not_asked_again(site: EdgeSite) -> None:
    # What other tests let the CA refuse within the last hour is theirs.
    site.on("edge", f"rm -f {BUDGET}")
    run = look(site)
    assert (run.code, run.count("changed")) == (0, 0), run.text
    found = severities(site)
    assert {id: severity for id, severity in found.items() if severity not in ("ok", "info")} == {}, run.text
    assert {id: found[id] for id in ASKED} == dict.fromkeys(ASKED, "ok")
    assert set(found) == {f"P{number:02}" for number in range(1, 26)} | {"H01"}
    assert "not asked" in seen(site)["P18"]["seen"]
    page = (site.folder / "store" / "checklist-lab.html").read_text()
    assert all(text in page for text in (FQDN, "P18", "Ports 80 and 443 are forwarded"))


def test_every_fault_at_once_is_seen_and_nothing_is_changed(site: EdgeSite) -> None:
    """Zone, router, edge host, CA and the company's web site, all broken in one run."""
    failed = {"at": time.time(), "directory": f"https://acme.{LAB_ZONE}:14000/dir", "name": FQDN, "problem": "connection"}
    spent = shlex.quote(json.dumps({"failures": [failed] * 4}))
    budget = f"mkdir -p {BUDGET.rpartition('/')[0]} && echo {spent} > {BUDGET}"
    stranger = "systemctl stop nginx; systemd-run --quiet --unit stranger python3 -m http.server 80"
    web = f"setsid python3 -c {shlex.quote(HSTS)} {OBSERVER_WAN} >/dev/null 2>&1 </dev/null & echo $! > /tmp/hsts.pid; sleep 1"
    carrier = "ip link add cgnat type veth peer name cgnat1; ip addr add 100.64.7.8/24 dev cgnat; ip link set cgnat up"
    records = ("qbo 300 A 11.22.33.99", "qbo 300 AAAA 2600::1", '@ 300 CAA 0 issue ";"', f"@ 300 A {OBSERVER_WAN}")
    with ExitStack() as stack:
        stack.enter_context(zone(*records))
        stack.enter_context(site.broken(*NO_FORWARDS))
        stack.enter_context(site.broken(*NO_CERTIFICATE))
        stack.enter_context(site.broken("router", carrier, "ip link del cgnat"))
        stack.enter_context(site.broken("edge", stranger, "systemctl stop stranger; systemctl start nginx"))
        stack.enter_context(site.broken("edge", budget, f"rm {BUDGET}"))
        stack.enter_context(site.broken("observer", web, "kill -- -$(cat /tmp/hsts.pid); rm /tmp/hsts.*"))
        run = look(
            site,
            preflight_wan_interface="cgnat",
            preflight_nameservers=[INTERNET_MANAGEMENT, f"{INTERNET_MANAGEMENT}:54"],
            preflight_acme_directory=f"https://{INTERNET_MANAGEMENT}:1/dir",
            preflight_limits={"failures": 5, "certificates": 5},
        )
    assert (run.code, run.count("changed")) == (2, 0), run.text
    wanted = {"P03": "error", "P05": "warn", "P07": "fatal", "P08": "error", "P10": "info", "P11": "fatal", "P13": "warn"}
    wanted |= {"P14": "fatal", "P16": "error", "P18": "info", "P21": "fatal", "P22": "error", "P25": "warn"}
    found = severities(site)
    assert {id: found[id] for id in wanted} == wanted, run.text
    assert "python3 listens on port 80" in seen(site)["P14"]["seen"]
    assert "DNS-01" in seen(site)["P11"]["remedy"]


def test_what_a_later_step_sets_right_stops_nothing(site: EdgeSite) -> None:
    """No forward of ours: the CA, the observer and the host itself tell, each in its way; port_forward comes next and mends it.

    The ports lead to the Windows server, where nobody listens on that port, and the site asks for their place.
    """
    chain = "type nat hook prerouting priority dstnat; iifname wan tcp dport {80,443} dnat to 10.10.0.20:81;"
    theirs = f"table ip other {{ chain pre {{ {chain} }}; }}"
    moved = f"nft delete table ip qbo_kit; nft {shlex.quote(theirs)}"
    with site.broken(*NO_CERTIFICATE):
        with site.broken("router", moved, f"nft delete table ip other; {NO_FORWARDS[2]}"):
            run = look(site, port_forward_take_over=True)
            found = seen(site)
        assert (run.code, run.count("changed")) == (0, 0), run.text
        later = {id for id, check in found.items() if check["mended_by"] == "port_forward"}
        assert later == {"P15", "P16", "P18", "P19"}, run.text
        assert "will be taken over" in found["P16"]["remedy"], run.text
        assert found["P18"]["seen"].startswith("connection")
        assert found["P17"]["severity"] == "warn"
        run = look(site)
    assert run.code == 0, run.text
    assert "the CA came through (unauthorized" in seen(site)["P18"]["seen"]


def test_a_redirected_challenge_and_a_forward_to_the_windows_server_are_seen(site: EdgeSite) -> None:
    """The web server behind answers on the forwarded ports, and the proxy sends challenges to it."""
    answer = r"\#location ^~ .*acme-challenge/ {#a return 302 http://10.10.0.20/login;"
    detour = f"cp {PROXY} /root/kept && sed -i {shlex.quote(answer)} {PROXY}"
    mend = f"cp /root/kept {PROXY} && systemctl reload nginx"
    rules = "nft list table ip qbo_kit"
    elsewhere = f"{rules} | sed 's/10.10.0.10:/10.10.0.20:/; s/comment \".*\"//' | sed '1s/qbo_kit/other/' > /tmp/other.nft"
    moved = f"{elsewhere}; nft delete table ip qbo_kit; nft -f /tmp/other.nft"
    with site.broken("edge", f"{detour} && systemctl reload nginx", mend):
        run = look(site)
        found = seen(site)
    assert found["P14"]["severity"] == "fatal", run.text
    assert (found["P15"]["severity"], "to names only" in found["P15"]["seen"]) == ("error", True), run.text
    firewall = (
        "edge",
        "ufw allow 22/tcp && ufw allow 'WWW Secure' && ufw --force enable",
        "ufw --force reset && nft flush ruleset",
    )
    with site.broken("router", moved, f"nft delete table ip other; {NO_FORWARDS[2]}"), site.broken(*firewall):
        run = look(site)
        found = seen(site)
    assert (run.code, found["P16"]["severity"]) == (2, "error"), run.text
    assert "port_forward_take_over: true" in found["P16"]["remedy"]
    assert found["P14"]["remedy"] == "on the edge host: ufw allow 80/tcp", run.text
