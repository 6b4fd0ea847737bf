"""What the world sees: run from a machine elsewhere, as a visitor would."""

from __future__ import annotations

import functools
import re
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from qbo_sync.edge import authoritative
from tests.hosts.conftest import Target, passes_through
from tests.hosts.expected import expected

wanted = functools.partial(expected, "observer")
WRONG_NAME = "not-this-site.invalid"


def fetch(observer: Target, path: str, *options: str) -> str:
    """curl's output for a page of the site; the chain must hold under the CAs of the observer, or the site's private one."""
    url = f"https://{observer.site['site_fqdn']}{path}"
    flags = " ".join(options)
    private = observer.site.get("verify_ca_file")
    if not private:
        return observer.run(f"curl --silent --show-error --max-time 20 {flags} %s", url)
    command = f"printf %%s %s | curl --silent --show-error --max-time 20 --cacert /dev/stdin {flags} %s"
    return observer.run(command, Path(private).read_text(encoding="ascii"), url)


def check_page(observer: Target, page: dict[str, Any]) -> None:
    """A page answers the world as it should."""
    assert fetch(observer, page["path"], "--output /dev/null", "--write-out '%%{http_code}'") == str(page["status"])


def served(observer: Target, *questions: str) -> str:
    """What the certificate served to the observer says to ``openssl x509``."""
    name = observer.site["site_fqdn"]
    command = "echo | openssl s_client -connect %s:443 -servername %s 2>/dev/null | openssl x509 -noout "
    return observer.run(command + " ".join(questions), name, name)


def test_the_name_leads_to_the_site_alone(observer: Target) -> None:
    """One A record, the right one, and no stray AAAA that a CA would prefer."""
    found = {line.split()[0] for line in observer.run("getent ahosts %s", observer.site["site_fqdn"]).splitlines()}
    assert found == {observer.site["site_address"]}


@pytest.mark.each_wanted(path="redirected")
def test_plain_http_is_sent_to_the_secure_address(observer: Target, path: str) -> None:
    """Typed without https, the address still works, and stays remembered."""
    address = f"{observer.site['site_fqdn']}{path}"
    ask = "curl --silent --max-time 20 --output /dev/null --write-out '%%{http_code} %%{redirect_url}' %s"
    assert observer.run(ask, f"http://{address}") in {f"{status} https://{address}" for status in (301, 308)}


@pytest.mark.each_wanted(page="pages")
def test_a_page_answers_under_a_valid_certificate(observer: Target, page: dict[str, Any]) -> None:
    check_page(observer, page)


@pytest.mark.each_wanted(header="headers")
def test_a_header_is_sent(observer: Target, header: dict[str, str]) -> None:
    answer = fetch(observer, "/", "--output /dev/null", "--dump-header -").lower()
    assert f"{header['name']}: {header['value']}".lower() in answer.splitlines()


@pytest.mark.each_wanted(name="hidden")
def test_a_header_is_not_sent(observer: Target, name: str) -> None:
    answer = fetch(observer, "/", "--output /dev/null", "--dump-header -").lower()
    assert not re.search(rf"^{name}:", answer, re.MULTILINE)


def test_any_other_name_is_refused_or_passed_on(observer: Target) -> None:
    """A scanner that guesses learns nothing, not even whose address it is; unless the site passes other names on.

    Nothing is said of a site that leaves them to another default server of its edge host.
    """
    if not (passes_through(observer.site) or observer.site["reverse_proxy_default_server"]):
        pytest.skip("reverse_proxy_default_server: false leaves visitors of other names to another server")
    done = observer.host.run(
        "curl --silent --insecure --max-time 20 --connect-to %s:443:%s:443 https://%s/",
        WRONG_NAME,
        observer.site["site_address"],
        WRONG_NAME,
    )
    if passes_through(observer.site):
        assert done.rc == 0, f"curl ended with {done.rc}: the web server behind does not answer for {WRONG_NAME}"
    else:
        assert done.rc == 35, f"curl ended with {done.rc}, not with a refused handshake (35)"


def test_the_newest_certificate_is_served(observer: Target) -> None:
    """The serial number the observer is served is that of the file on the edge host."""
    path = f"/etc/qbo-kit/tls/{observer.site['site_fqdn']}/fullchain.pem"
    newest = observer.edge.run("openssl x509 -noout -serial -in %s", path).stdout.strip()
    assert served(observer, "-serial") == newest


@pytest.mark.each_wanted(names="certificate_names")
def test_the_certificate_names_the_site_and_nothing_else(observer: Target, names: list[str]) -> None:
    assert re.findall(r"DNS:([^\s,]+)", served(observer, "-ext", "subjectAltName")) == names


@pytest.mark.each_wanted(days="days_left")
def test_the_certificate_has_time_left(observer: Target, days: int) -> None:
    """A renewal that keeps failing shows here long before visitors notice."""
    end = ssl.cert_time_to_seconds(served(observer, "-enddate").removeprefix("notAfter="))
    assert end - time.time() > days * 86400


# Tried all at once, each for as long as a dropped packet takes to be given up.
SCAN = """
import concurrent.futures, socket, sys
def answers(port):
    try:
        socket.create_connection((sys.argv[1], port), timeout=2).close()
    except OSError:
        return False
    return True
ranges = [(int(given.split("-")[0]), int(given.split("-")[-1]) + 1) for given in sys.argv[2:]]
ports = [port for given in ranges for port in range(*given)]
with concurrent.futures.ThreadPoolExecutor(256) as pool:
    print(*(port for port, open in zip(ports, pool.map(answers, ports)) if open))
"""


def test_exactly_the_expected_ports_answer(observer: Target, pytestconfig: pytest.Config) -> None:
    """Whatever the router or the edge host opens besides is a door that nobody watches."""
    tried = " ".join(map(str, wanted("tried", observer.site)))
    found = observer.run(f"python3 -c %s %s {tried}", SCAN, observer.site["site_address"])
    asked = {int(port) for port in pytestconfig.option.kit_open.split(",") if port}
    asked |= {int(port) for port in observer.site.get("verify_open_ports", [])}  # the default says nothing else than `open`
    assert set(map(int, found.split())) == {*wanted("open", observer.site), *asked}


@pytest.mark.each_wanted(ttl="ttl")
def test_every_name_server_gives_the_address_and_the_ttl(observer: Target, ttl: int) -> None:
    """Asked from the machine that runs this, at the zone's own servers: no resolver's memory in between."""
    site = observer.site
    given = site["dns_record_nameservers"]
    servers = authoritative.servers(site["site_zone"], resolver=site["dns_record_resolver"], nameservers=given)
    said = authoritative.answers(servers, site["site_fqdn"])
    assert [str(answer) for answer in said if not answer.agrees(site["site_address"], ttl)] == []
