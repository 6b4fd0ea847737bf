"""The certificate on the lab's real host, when something stands in the way: who is told, what is served, what is never spent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from lab.world import authorities, keys
from lab.world.authority import Authority
from lab.world.layout import CA_FILE, DNS_WAN, FQDN, LAB_ZONE, MAIL
from tests.lab.conftest import EdgeSite
from tests.lab.test_roles_edge import newest_serial, served_serial, state_of

STATE = f"/var/lib/qbo-kit/certificate/{FQDN}.json"
BUDGET = "/var/lib/qbo-kit/certificate/budget.json"
SETTINGS = f"/etc/qbo-kit/certificate/{FQDN}/settings.json"
UNIT = "qbo-kit-certbot.service"


def state(site: EdgeSite) -> dict[str, Any]:
    return dict(json.loads(site.on("edge", f"cat {STATE}")))


def failures(site: EdgeSite) -> int:
    return len(json.loads(site.on("edge", f"cat {BUDGET} 2>/dev/null || echo '{{\"failures\": []}}'"))["failures"])


@contextmanager
def letters() -> Iterator[list[tuple[str, str]]]:
    """The alerts that are sent inside the block, subject and text, once it has ended."""
    before, found = set(MAIL.glob("*.eml")), []
    yield found
    for path in sorted(set(MAIL.glob("*.eml")) - before):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        found.append(tuple(re.sub(r"\s+", " ", part) for part in (message["Subject"], message.get_content())))


@contextmanager
def router_drops(site: EdgeSite, port: int) -> Iterator[None]:
    """The router lets nothing in at this port."""
    chain = f"chain pre {{ type filter hook prerouting priority raw; iifname wan tcp dport {port} drop; }};"
    site.on("router", f"nft 'table ip closed {{ {chain} }}'")
    try:
        yield
    finally:
        site.on("router", "nft delete table ip closed")


@contextmanager
def due(site: EdgeSite) -> Iterator[None]:
    """certbot finds the certificate due."""
    conf = f"/etc/letsencrypt/renewal/{FQDN}.conf"
    site.on("edge", f"sed -i '1i renew_before_expiry = 10000 days' {conf}")
    try:
        yield
    finally:
        site.on("edge", f"sed -i '/^renew_before_expiry/d' {conf}")


def test_a_failed_renewal_is_told_retried_counted_and_heals(edge_site: EdgeSite) -> None:
    before, counted = served_serial(edge_site), failures(edge_site)
    with due(edge_site):
        with router_drops(edge_site, 80), letters() as told:
            edge_site.on("edge", f"systemctl start {UNIT} || true; systemctl start {UNIT} || true")
            seen = state(edge_site)
            retry = edge_site.on("edge", "systemctl is-active qbo-kit-certbot-retry.timer")
        assert (seen["state"], seen["last_attempt"]["problem"], seen["failures_in_a_row"]) == ("failing", "connection", 1)
        assert failures(edge_site) == counted + 1  # the second start came before the retry was due, and asked nobody
        assert retry == "active"
        assert served_serial(edge_site) == before
        ((subject, text),) = told
        assert subject == f"{FQDN}: the certificate needs you"
        for part in (
            "could not reach port 80",
            "(ACME problem connection)",
            "seen:",
            "next: check that the router forwards port 80",
        ):
            assert part in text
        # The fifth failure within an hour is never spent.
        spend = (
            f"import json,time; p='{BUDGET}'; b=json.load(open(p)); one=b['failures'][-1]; "
            "b['failures']=[{**one, 'at': time.time()}]*4; json.dump(b, open(p,'w')); "
            f"p='{SETTINGS}'; s=json.load(open(p)); s['limits']=[5, 30000]; json.dump(s, open(p,'w'))"
        )
        keep = edge_site.on("edge", f'cp -a {BUDGET} /tmp/b; cp -a {SETTINGS} /tmp/s; python3 -c "{spend}"')
        try:
            refused = edge_site.lab.shell("edge", "qbo-kit-certificate renew --now --force")
            assert refused.returncode == 1, keep
            assert "the CA was not asked: one attempt more could lock the name out" in refused.stderr
            assert "4 failed validations in an hour, and the CA allows 5" in refused.stderr
        finally:
            edge_site.on("edge", f"mv /tmp/b {BUDGET}; mv /tmp/s {SETTINGS}")
        with letters() as told:
            edge_site.on("edge", "qbo-kit-certificate renew --now")
    assert served_serial(edge_site) == newest_serial(edge_site) != before
    assert [subject for subject, _ in told] == [f"{FQDN}: the certificate is in order again"]
    assert (state(edge_site)["state"], state(edge_site)["retry_at"]) == ("ok", None)
    score = edge_site.on("edge", f"systemd-analyze security --no-pager {UNIT} | tail -1")
    assert float(re.findall(r"\d+\.\d+", score)[0]) <= 3.0, score


def test_the_ca_asks_for_an_earlier_renewal_and_another_ca_takes_over(edge_site: EdgeSite) -> None:
    """The shim in front of Pebble says when, offers a profile, and plays limits; a second Pebble is the other CA."""
    first = authorities.Ca(14000)
    with authorities.shim(14001, first) as shim, authorities.pebble(14002, lifetime_s=7_776_000) as second:
        shim.fetch("lab/profiles", {"shortlived": "six days"})
        fallbacks = [{"directory": second.directory, "ca_file": str(CA_FILE)}]
        run = edge_site.roles(
            "certificate",
            certificate_acme_directory=shim.directory,
            certificate_fallbacks=fallbacks,
            certificate_profile="shortlived",
        )
        try:
            assert run.code == 0, run.text
            assert shim.stats()["profiles"] == ["shortlived"]
            shim.fetch("lab/ari", {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"})
            forget = f"sed -i '/acme_renewal_info/d;/ari_retry_after/d' /etc/letsencrypt/renewal/{FQDN}.conf"
            before = served_serial(edge_site)
            edge_site.on("edge", f"{forget}; qbo-kit-certificate renew")
            assert shim.stats()["ari"] == 1
            assert served_serial(edge_site) == newest_serial(edge_site) != before
            shim.fetch("lab/ari", {})
            shim.fetch("lab/fault", {"fault": "limited", "retry_after_s": 90000})
            with letters() as told:
                edge_site.on("edge", "for n in 1 2; do qbo-kit-certificate renew --now --force && exit 1; done; true")
                assert shim.stats()["orders"] == 3  # the second time nobody was asked: the CA had named a time
                edge_site.on("edge", "qbo-kit-certificate renew --now --force")
            assert "ACME problem rateLimited" in told[0][1]
            assert state(edge_site)["last_success"]["directory"] == second.directory
            assert served_serial(edge_site) == newest_serial(edge_site)
        finally:
            edge_site.build()
    assert edge_site.on("edge", f"grep ^server /etc/letsencrypt/renewal/{FQDN}.conf").endswith(first.directory)


def test_with_port_80_closed_the_name_is_proved_over_dns(edge_site: EdgeSite) -> None:
    cloudflare = {"token_file": str(keys.CLOUDFLARE_TOKEN), "api_url": f"https://cloudflare.{LAB_ZONE}/client/v4"}
    ways = {
        "dns-cloudflare": {**cloudflare, "api_ca_file": str(CA_FILE), "propagation_s": 1},
        "dns-rfc2136": {"token_file": str(keys.TSIG_KEY), "server": DNS_WAN, "propagation_s": 1},
    }
    try:
        with router_drops(edge_site, 80):
            for challenge, dns in ways.items():
                before = served_serial(edge_site)
                run = edge_site.roles("certificate", certificate_challenge=challenge, certificate_dns=dns)
                assert run.code == 0, run.text
                assert served_serial(edge_site) == newest_serial(edge_site) != before
                secret = Path(dns["token_file"]).read_text().strip()
                assert secret not in run.text
                modes = edge_site.on(
                    "edge", f"stat --format %a /etc/qbo-kit/certificate/{FQDN} /etc/qbo-kit/certificate/{FQDN}/*"
                )
                assert modes.split()[0] == "700"
                assert set(modes.split()[1:]) == {"600"}
                assert edge_site.on("observer", f"dig +short TXT _acme-challenge.{FQDN} @{DNS_WAN}") == ""
    finally:
        edge_site.build()


@pytest.fixture
def bought(tmp_path: Path) -> dict[str, str]:
    """A certificate for 30 days from a CA of the company's own."""
    authority = Authority()
    authority.write(tmp_path / "root.pem")
    issued = authority.issue(tmp_path, FQDN)
    return {"certificate": str(issued.certificate), "key": str(issued.key), "ca_file": str(tmp_path / "root.pem")}


def test_a_bought_certificate_is_served_watched_and_exported(edge_site: EdgeSite, bought: dict[str, str], tmp_path: Path) -> None:
    password = keys.write_private(tmp_path / "pfx-password", "a pass word")
    pfx = {"path": "/var/lib/qbo-kit/site.pfx", "password_file": str(tmp_path / "pfx-password"), "encryption": "legacy"}
    given = {"certificate_source": "files", "certificate_files": bought, "certificate_pfx": pfx}
    before = state_of(edge_site)
    stranger = Authority().issue(tmp_path, "stranger").key
    refused = edge_site.roles("certificate", **{**given, "certificate_files": {**bought, "key": str(stranger)}})
    assert refused.code != 0
    assert "the key belongs to none of the 1 certificates" in refused.flat, refused.text
    assert state_of(edge_site) == before
    try:
        with letters() as told:
            run = edge_site.roles("certificate", **given)
            edge_site.on("edge", f"systemctl start {UNIT} || true")
        # 29 days and some hours are left: that is said once, and is no reason to fail the run.
        assert run.code == 0, run.text
        serial = edge_site.on("edge", f"openssl x509 -noout -serial -in /etc/qbo-kit/tls/{FQDN}/fullchain.pem")
        assert served_serial(edge_site) == serial
        assert [subject for subject, _ in told] == [f"{FQDN}: the certificate needs you"]
        assert "days left" in told[0][1]
        assert "certificate_files" in told[0][1]
        assert state(edge_site)["next_due"] == state(edge_site)["served"]["not_after"]
        ask = f"openssl pkcs12 -in {pfx['path']} -nokeys -clcerts -passin 'pass:{password}' | openssl x509 -noout -serial"
        assert edge_site.on("edge", f"stat --format %a {pfx['path']}; {ask}") == f"600\n{serial}"
        again = edge_site.roles("certificate", **given)
        assert again.count("changed") == 0, again.text
        how = f"openssl pkcs12 -info -in {{}} -noout -passin 'pass:{password}' 2>&1 | grep ^MAC:"
        assert edge_site.on("edge", how.format(pfx["path"])).startswith("MAC: sha1,")
        moved = {**pfx, "path": "/var/lib/qbo-kit/other.pfx", "encryption": "modern"}
        run = edge_site.roles("certificate", **{**given, "certificate_pfx": moved})
        assert run.code == 0, run.text
        assert edge_site.on("edge", how.format(moved["path"])).startswith("MAC: sha256,")
        assert edge_site.on("edge", "ls /var/lib/qbo-kit/*.pfx") == moved["path"]
        gone = edge_site.roles("certificate", **{**given, "certificate_state": "absent"})
        assert gone.code == 0, gone.text
        # The site's file named the one before; what the program wrote last is known from its state.
        assert edge_site.on("edge", "ls /var/lib/qbo-kit/*.pfx 2>/dev/null || true") == ""
    finally:
        edge_site.build()
