"""The edge host's roles on the lab's real host: nginx, certbot against Pebble, the service, and what they refuse."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.world.layout import ACME_ROOT_FILE, FQDN
from tests.lab.conftest import EdgeSite
from tests.playbooks import Run

EDGE_ROLES = ("reverse_proxy", "certificate", "qbo_sync")
LIVE = f"/etc/letsencrypt/live/{FQDN}/fullchain.pem"
OURS = "/etc/qbo-kit /etc/qbo-sync /var/lib/qbo-kit /var/lib/qbo-sync /opt/qbo-kit /usr/local/lib/qbo-kit /usr/local/bin/certbot"

# An upstream that prints one request and answers it.
ONE_ANSWER = """
import socket
with socket.create_server(("127.0.0.1", 8999)) as server, server.accept()[0] as visitor:
    print(visitor.recv(9000).decode())
    visitor.sendall(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
"""


def state_of(site: EdgeSite) -> str:
    """Every file of nginx, certbot, systemd and ours on the edge host, by content and mode; not what running services keep."""
    folders = f"/etc/nginx /etc/letsencrypt /etc/systemd/system {OURS}"
    passed = " -o ".join(f"-path '{path}'" for path in ("*/__pycache__", "/var/lib/qbo-sync", "/var/lib/qbo-kit/certificate"))
    pick = f"\\( {passed} \\) -prune -o \\( -type f -o -type l \\) -print0"
    return site.on("edge", f"find {folders} {pick} 2>/dev/null | sort -z | xargs -0 -r stat --format '%n %a %U %s %Z' --")


def certificate_state(site: EdgeSite) -> dict[str, Any]:
    """What monitoring reads."""
    return dict(json.loads(site.on("edge", f"cat /var/lib/qbo-kit/certificate/{FQDN}.json")))


def served_serial(site: EdgeSite) -> str:
    """The serial number of the certificate that the observer is served."""
    ask = f"echo | openssl s_client -connect {FQDN}:443 -servername {FQDN} 2>/dev/null | openssl x509 -noout -serial"
    return site.on("observer", ask)


def newest_serial(site: EdgeSite) -> str:
    return site.on("edge", f"openssl x509 -noout -serial -in {LIVE}")


def variables_of(site: EdgeSite) -> dict[str, Any]:
    """The site's variables, as the lab wrote them."""
    path = site.lab.inventory.parent / "group_vars" / "site_lab" / "main.yml"
    return dict(yaml.safe_load(path.read_text()))


LOOP = """
ask() {{ curl -sv --max-time 10 --cacert /tmp/ca --output /dev/null --write-out '%{{http_code}}' {url} 2>/tmp/said; }}
cat >/tmp/ca; rm -f /tmp/stop
while [ ! -e /tmp/stop ]; do code=$(ask) || code=failed:$(tail -n 1 /tmp/said | tr ' ' _); echo $code; done
rm -f /tmp/stop /tmp/ca /tmp/said
"""


@contextmanager
def requests_running(site: EdgeSite, roots: str = "") -> Iterator[list[str]]:
    """The observer asks for a page without pause, trusting these or the lab's CA; the list holds each answer in the end."""
    ca = roots or ACME_ROOT_FILE.read_text()
    loop = LOOP.format(url=f"https://{FQDN}/")
    answers: list[str] = []
    with subprocess.Popen(
        site.lab.command("observer", loop), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdin
        assert running.stdout
        running.stdin.write(ca)
        running.stdin.close()
        answers.append(running.stdout.readline().strip())  # one answer before the block, so that it really runs
        try:
            yield answers
        finally:
            site.on("observer", "touch /tmp/stop")
            answers += running.stdout.read().split()


def test_absent_leaves_nothing_of_ours_and_check_mode_fails_nowhere_on_an_empty_host(edge_site: EdgeSite) -> None:
    """Also where our units had failed before: systemd keeps those in mind."""
    for unit in ("qbo-kit-certbot.service", "qbo-sync@lab.service"):
        edge_site.make_fail("edge", unit)
    absent = {f"{role}_state": "absent" for role in EDGE_ROLES}
    try:
        gone = edge_site.roles(*EDGE_ROLES, **absent)
        assert gone.code == 0, gone.text
        assert edge_site.on("edge", f"ls -d {OURS} /etc/systemd/system/qbo* 2>/dev/null || true") == ""
        assert edge_site.on("edge", "getent passwd qbo-sync || true") == ""
        assert edge_site.on("edge", "ls /etc/letsencrypt/live/ /etc/letsencrypt/renewal-hooks/deploy").find(FQDN) == -1
        assert edge_site.on("edge", "systemctl list-units --all --plain --no-legend 'qbo*'") == ""
        again = edge_site.roles(*EDGE_ROLES, **absent)
        assert again.code == 0, again.text
        assert again.count("changed") == 0, again.text

        edge_site.on(
            "edge", "DEBIAN_FRONTEND=noninteractive apt-get purge --yes --autoremove nginx nginx-common python3-venv 2>&1"
        )
        edge_site.on("edge", "rm -rf /etc/letsencrypt /var/lib/letsencrypt /var/log/letsencrypt /var/log/nginx")
        run = edge_site.roles(*EDGE_ROLES, arguments=("--check", "--diff"))
        assert run.code == 0, run.text
        assert run.count("changed") > 10
        assert edge_site.on("edge", f"ls -d /etc/nginx /etc/letsencrypt {OURS} 2>/dev/null || true") == ""
        secret = Path(variables_of(edge_site)["qbo_sync_client_secret_file"]).read_text().strip()
        assert secret not in run.text
    finally:
        edge_site.build(*EDGE_ROLES)


def test_a_second_run_changes_nothing_stays_short_and_says_what_was_seen(edge_site: EdgeSite) -> None:
    run = edge_site.roles(*EDGE_ROLES)
    assert run.code == 0, run.text
    assert run.count("changed") == 0, run.text
    assert run.count("ok") + run.count("changed") <= 45, run.text
    steps = json.loads((edge_site.folder / "store" / "state.json").read_text())["lab"]
    assert {steps[role]["state"] for role in EDGE_ROLES} == {"done"}
    assert steps["certificate"]["seen"]["names"] == [FQDN]
    assert f"serial={steps['certificate']['seen']['serial']}" == served_serial(edge_site)
    assert re.fullmatch(r"\d+\.\d+\.\d+", steps["qbo_sync"]["seen"]["version"])


def test_a_forced_renewal_reaches_the_observer_and_no_request_fails(edge_site: EdgeSite) -> None:
    before = served_serial(edge_site)
    with requests_running(edge_site) as answers:
        edge_site.on("edge", "certbot renew --force-renewal 2>&1")
        after = served_serial(edge_site)
    assert after != before
    assert after == newest_serial(edge_site)
    assert set(answers) == {"200"}, answers
    served = certificate_state(edge_site)["served"]
    assert served["serial"].lower() == after.partition("=")[2].lower()  # monitoring knows it at once


def test_the_timers_own_unit_renews_when_a_certificate_is_due(edge_site: EdgeSite) -> None:
    """Within its sandbox: reading keys, speaking to the CA, telling nginx."""
    conf = f"/etc/letsencrypt/renewal/{FQDN}.conf"
    before = served_serial(edge_site)
    edge_site.on("edge", f"sed -i '1i renew_before_expiry = 10000 days' {conf}")
    try:
        edge_site.on("edge", "systemctl start qbo-kit-certbot.service")
        assert served_serial(edge_site) == newest_serial(edge_site) != before
    finally:
        edge_site.on("edge", f"sed -i '/^renew_before_expiry/d' {conf}")


def test_a_renewal_that_nginx_cannot_take_fails_loudly_and_mends_itself(edge_site: EdgeSite) -> None:
    before = served_serial(edge_site)
    broken = "/etc/nginx/conf.d/broken.conf"
    edge_site.on("edge", f"echo 'no such directive;' > {broken}")
    try:
        edge_site.on("edge", "certbot renew --force-renewal 2>&1")
        assert served_serial(edge_site) == before
        failed = edge_site.lab.shell(
            "edge", "systemctl start qbo-kit-certbot.service; systemctl status --lines=20 qbo-kit-certbot.service"
        )
        assert "nginx could not be reloaded" in failed.stdout, failed.stdout
        assert edge_site.on("edge", "systemctl show --property Result --value qbo-kit-certbot.service") == "exit-code"
        assert certificate_state(edge_site)["state"] == "failing"
    finally:
        edge_site.on("edge", f"rm -f {broken}")
    edge_site.on("edge", "qbo-kit-certificate deploy")  # as the failure said; the timer would have come to it, too
    assert served_serial(edge_site) == newest_serial(edge_site) != before
    assert (certificate_state(edge_site)["state"], certificate_state(edge_site)["troubles"]) == ("ok", [])
    edge_site.on("edge", "systemctl start qbo-kit-certbot.service")


def test_a_hook_for_somebody_elses_certificate_does_nothing(edge_site: EdgeSite) -> None:
    before = state_of(edge_site)
    hook = f"/etc/letsencrypt/renewal-hooks/deploy/qbo-kit-{FQDN}"
    edge_site.on("edge", f"RENEWED_LINEAGE=/etc/letsencrypt/live/www.other.com {hook}")
    assert state_of(edge_site) == before


def test_a_key_that_does_not_belong_to_the_certificate_is_never_served(edge_site: EdgeSite) -> None:
    before = served_serial(edge_site)
    script = f"""
        set -e; rm -rf /tmp/lineage; mkdir /tmp/lineage
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={FQDN} \
            -keyout /tmp/lineage/other.pem -out /tmp/lineage/fullchain.pem 2>/dev/null
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out /tmp/lineage/privkey.pem
    """
    edge_site.on("edge", script)
    command = f"qbo-kit-certificate --name {FQDN} deploy --lineage /tmp/lineage"
    done = edge_site.lab.shell("edge", f"{command}; code=$?; rm -rf /tmp/lineage; exit $code")
    assert done.returncode == 1
    assert "do not belong together" in done.stderr
    assert served_serial(edge_site) == before


def test_no_order_is_spent_on_a_host_that_cannot_answer(edge_site: EdgeSite) -> None:
    other, orders = f"other.{FQDN.split('.', 1)[1]}", "ls /etc/letsencrypt/live"
    before = edge_site.on("edge", orders)
    run = edge_site.roles("certificate", certificate_fqdn=other)
    try:
        assert run.code != 0
        assert "so the CA was not asked" in run.flat, run.text
        assert edge_site.on("edge", orders) == before
    finally:
        left = f"/etc/letsencrypt/renewal-hooks/deploy/qbo-kit-{other} /etc/qbo-kit/certificate/{other}"
        edge_site.on("edge", f"rm -r {left}")
        edge_site.build("certificate")


def test_codes_are_written_into_no_log(edge_site: EdgeSite) -> None:
    """Neither while qbo-sync answers nor while it is down, when nginx itself complains."""
    ca = ACME_ROOT_FILE.read_text()
    ask = f"curl --silent --cacert /dev/stdin --output /dev/null --write-out '%{{http_code}}' 'https://{FQDN}/qbo/callback?code=OPEN-SESAME&state=1'"
    first = edge_site.lab.shell("observer", ask, text=ca).stdout
    edge_site.on("edge", "systemctl stop qbo-sync@lab")
    try:
        second = edge_site.lab.shell("observer", ask, text=ca).stdout
    finally:
        edge_site.on("edge", "systemctl start qbo-sync@lab")
    assert first.startswith("4")
    assert second == "502"
    assert edge_site.on("edge", "grep -rl OPEN-SESAME /var/log /var/lib/qbo-sync || true") == ""
    assert edge_site.on("edge", "journalctl --no-pager | grep OPEN-SESAME || true") == ""
    assert "/qbo/callback HTTP" in edge_site.on("edge", "cat /var/log/nginx/qbo-kit.log")


@pytest.mark.parametrize(("path", "requests", "refused"), [("callback", 30, 15), ("webhooks", 200, 100), ("webhooks", 30, 0)])
def test_callback_and_webhooks_take_only_so_many_requests(edge_site: EdgeSite, path: str, requests: int, refused: int) -> None:
    ask = "curl --silent --parallel --cacert /tmp/ca --output /dev/null --write-out '%{http_code}\\n' --data ''"
    script = f"sleep 5; cat >/tmp/ca; {ask} 'https://{FQDN}/qbo/{path}?[1-{requests}]'; rm /tmp/ca"
    answers = edge_site.lab.shell("observer", script, text=ACME_ROOT_FILE.read_text()).stdout.split()
    assert len(answers) == requests
    assert answers.count("429") >= refused
    assert refused or "429" not in answers


def test_what_a_visitor_claims_about_itself_is_not_passed_on(edge_site: EdgeSite) -> None:
    """Seen by an upstream that writes down what it is told."""
    listener = "timeout 60 python3 -"
    run = edge_site.roles("reverse_proxy", reverse_proxy_upstream="http://127.0.0.1:8999")
    assert run.code == 0, run.text
    try:
        with subprocess.Popen(
            edge_site.lab.command("edge", listener), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as upstream:
            assert upstream.stdin
            upstream.stdin.write(ONE_ANSWER)
            upstream.stdin.close()
            edge_site.on("edge", "until ss -Hltn | grep -q :8999; do sleep 0.1; done")
            claims = (
                "-H 'X-Forwarded-For: 1.2.3.4' -H 'X-Forwarded-Proto: gopher' -H 'Forwarded: for=1.2.3.4' -H 'X-Real-IP: 1.2.3.4'"
            )
            edge_site.on("edge", f"curl --silent --insecure --connect-to {FQDN}:443:127.0.0.1:443 {claims} https://{FQDN}/page")
            assert upstream.stdout
            told = upstream.stdout.read()
    finally:
        edge_site.build("reverse_proxy")
    assert f"Host: {FQDN}" in told
    assert "X-Forwarded-Proto: https" in told
    assert "X-Forwarded-For: 127.0.0.1" in told
    assert "1.2.3.4" not in told


# Role, variables, the cause and the remedy that are told.
REFUSED: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("reverse_proxy", {"reverse_proxy_upsteam": "http://x"}, "reverse_proxy_upsteam", "did you mean reverse_proxy_upstream"),
    (
        "reverse_proxy",
        {"reverse_proxy_upstream": "http://10.0.0.1/app"},
        "reverse_proxy_upstream=http://10.0.0.1/app",
        "without a path",
    ),
    ("reverse_proxy", {"reverse_proxy_fqdn": "QBO_.example.com"}, "reverse_proxy_fqdn=QBO_.example.com", "small letters"),
    ("certificate", {"certificate_acme_directory": "http://ca/dir"}, "certificate_acme_directory=http://ca/dir", "https address"),
    ("certificate", {"certificate_acme_ca_file": "/no/such/ca.pem"}, "certificate_acme_ca_file=/no/such/ca.pem", "CA file"),
    ("qbo_sync", {"qbo_sync_client_secret_file": "/no/such/secret"}, "no file /no/such/secret", "mode 0600"),
    ("qbo_sync", {"qbo_sync_client_id": ""}, "qbo_sync_client_id is empty", "Miracle Service support"),
    (
        "qbo_sync",
        {"qbo_sync_database_url": "postgresql+psycopg://u:pw-in-url@h/d"},
        "carries a password",
        "database_password_file",
    ),
)


def test_wrong_input_is_refused_before_any_change(edge_site: EdgeSite, tmp_path: Path) -> None:
    """Each in a run of its own, side by side: none of them may change anything."""

    def refuse(number: int) -> Run:
        role, variables, _, _ = REFUSED[number]
        (tmp_path / str(number)).mkdir()
        return replace(edge_site, folder=tmp_path / str(number)).roles(role, **variables)

    before = state_of(edge_site)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(refuse, range(len(REFUSED))))
    for (_, _, cause, remedy), run in zip(REFUSED, runs, strict=True):
        assert run.code != 0, run.text
        for part in (cause, remedy, "Nothing was changed"):
            assert part in run.flat, run.text
        assert "pw-in-url" not in run.text
    assert state_of(edge_site) == before


def test_a_default_server_of_somebody_else_is_refused_or_left_in_place(edge_site: EdgeSite) -> None:
    """Refused by name; with the setting both live side by side."""
    away = edge_site.roles("reverse_proxy", reverse_proxy_state="absent")
    assert away.code == 0, away.text
    theirs = "/etc/nginx/sites-enabled/theirs"
    edge_site.on(
        "edge",
        f"echo 'server {{ listen 80 default_server; server_name old; return 200 theirs; }}' > {theirs}; systemctl reload nginx",
    )
    try:
        refused = edge_site.roles("reverse_proxy")
        assert refused.code != 0
        assert theirs in refused.flat
        assert "reverse_proxy_default_server" in refused.flat
        both = edge_site.roles("reverse_proxy", reverse_proxy_default_server=False)
        assert both.code == 0, both.text
        assert edge_site.on("edge", "curl --silent http://127.0.0.1/") == "theirs"
    finally:
        edge_site.on("edge", f"rm -f {theirs}")
        edge_site.build("reverse_proxy", "certificate")


def test_a_configuration_that_nginx_refuses_is_taken_back(edge_site: EdgeSite) -> None:
    before = edge_site.on("edge", "cat /etc/nginx/conf.d/qbo-kit.conf")
    run = edge_site.roles("reverse_proxy", reverse_proxy_upstream="http://10.0.0.1:99999")
    assert run.code != 0
    assert "could not be taken into use, and was put back as it stood: sh -c 'nginx -t -q && " in run.flat, run.text
    assert "seen: " in run.flat.partition("put back")[2].partition("invalid port in upstream")[0], run.text
    assert (
        edge_site.on("edge", "cat /etc/nginx/conf.d/qbo-kit.conf; nginx -t -q; ls /etc/nginx/conf.d") == f"{before}\nqbo-kit.conf"
    )


def test_why_the_pages_do_not_answer_is_told(edge_site: EdgeSite) -> None:
    """Not only that the service failed, which systemd's last line says every time."""
    drop_in = "/etc/systemd/system/qbo-sync@.service.d"
    edge_site.on("edge", f"mkdir -p {drop_in}; printf '[Service]\\nUser=nobody-of-that-name\\n' > {drop_in}/user.conf")
    try:
        edge_site.on("edge", "systemctl daemon-reload; systemctl restart qbo-sync@lab.service || true")
        run = edge_site.roles("qbo_sync")
        assert run.code != 0
        assert "Main process exited, code=exited, status=217/USER next: on the edge host, read: journalctl" in run.flat, run.text
    finally:
        edge_site.on("edge", f"rm -r {drop_in}; systemctl daemon-reload; systemctl restart qbo-sync@lab.service")
