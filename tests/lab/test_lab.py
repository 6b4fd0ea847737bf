"""The internet in a box behaves like one: names, certificates, routes and walls."""

from __future__ import annotations

import base64
import json
import os
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dns.query
import dns.rcode
import dns.resolver
import dns.tsigkeyring
import dns.update
import pytest
import sqlalchemy as sa
import yaml

from lab.world import image, keys, world
from lab.world.access import Lab
from lab.world.cli import main
from lab.world.layout import (
    ACME_WAN,
    CA_FILE,
    INTERNET_MANAGEMENT,
    LAB_ZONE,
    MAIL,
    MIRACLE_LAN,
    MIRACLE_MANAGEMENT,
    OBSERVER_WAN,
    ROUTER_WAN,
    RUN,
    TOP,
    ZONE,
)
from lab.world.system import processes

# No role ever forwards this port: the walls can be tested on a lab that is in use.
PORT = 8088


def ask(name: str, kind: str = "A") -> list[str]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [INTERNET_MANAGEMENT]
    return sorted(str(answer) for answer in resolver.resolve(name, kind))


def fetch(url: str, trust: ssl.SSLContext | None = None) -> bytes:
    with urllib.request.urlopen(url, timeout=20, context=trust or ssl.create_default_context(cafile=str(CA_FILE))) as answer:
        content: bytes = answer.read()
        return content


def database(password: str | None = None) -> sa.Engine:
    url = world.miracle_url()
    return sa.create_engine(url if password is None else url.set(password=password), poolclass=sa.pool.NullPool)


@contextmanager
def forwarded(lab: Lab) -> Iterator[None]:
    """The router forwards the test's port to the Miracle Service stand-in."""
    chain = f"type nat hook prerouting priority dstnat; tcp dport {PORT} dnat to {MIRACLE_LAN}:8080;"
    rule = f"table ip lab_test {{\n chain in {{ {chain} }}\n}}\n"
    done = lab.shell("router", "nft -f -", text=rule)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        lab.shell("router", "nft delete table ip lab_test")


@pytest.mark.parametrize(("name", "address"), [("acme", ACME_WAN), ("observer", OBSERVER_WAN)])
def test_the_lab_s_own_names_are_answered(lab: Lab, name: str, address: str) -> None:
    assert ask(f"{name}.{LAB_ZONE}") == [address]


def test_the_company_s_zone_is_served_here(lab: Lab) -> None:
    assert ask(ZONE, "NS") == [f"ns1.{LAB_ZONE}."]


def test_the_zone_changes_with_the_key_only(lab: Lab) -> None:
    found = re.search(r'secret "([^"]+)"', keys.TSIG_KEY.read_text())
    assert found is not None
    wrong = base64.b64encode(b"no such secret, but as long as one").decode()
    answers = []
    for secret in (wrong, found[1]):
        update = dns.update.UpdateMessage(
            ZONE, keyring=dns.tsigkeyring.from_text({keys.TSIG_NAME: secret}), keyalgorithm="hmac-sha256"
        )
        update.replace("probe", 60, "A", "11.22.33.99")
        try:
            answers.append(dns.query.tcp(update, INTERNET_MANAGEMENT, timeout=10).rcode())
        except dns.tsig.PeerBadSignature:
            answers.append(dns.rcode.NOTAUTH)
    assert answers == [dns.rcode.NOTAUTH, dns.rcode.NOERROR]
    assert ask(f"probe.{ZONE}") == ["11.22.33.99"]


def test_the_acme_directory_is_trusted_through_the_lab_s_ca_only(lab: Lab) -> None:
    address = f"https://{INTERNET_MANAGEMENT}:14000/dir"
    assert "newOrder" in json.loads(fetch(address))
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(address, ssl.create_default_context())


def test_the_edge_host_reaches_the_outside_services_by_name(lab: Lab) -> None:
    for url in (f"https://acme.{LAB_ZONE}:14000/dir", f"https://intuit.{LAB_ZONE}/.well-known/openid_configuration"):
        done = lab.shell("edge", f"curl --silent --show-error --fail --cacert /dev/stdin {url}", text=CA_FILE.read_text())
        assert done.returncode == 0, done.stderr
        assert LAB_ZONE in done.stdout


def test_a_mail_becomes_a_file(lab: Lab) -> None:
    before = set(MAIL.glob("*.eml"))
    with smtplib.SMTP(INTERNET_MANAGEMENT, 25, timeout=10) as client:
        client.sendmail("it@mycompany.com", ["support@miracle.lab.internal"], "Subject: kept\r\n\r\nhello\r\n")
    (new,) = set(MAIL.glob("*.eml")) - before
    assert "Subject: kept" in new.read_text()


def test_apt_works_on_the_edge_host(lab: Lab) -> None:
    done = lab.shell("edge", "cd /var/tmp && apt-get -qq update && apt-get -qq download hello && ls hello_*.deb", timeout_s=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hello_")


@pytest.mark.parametrize("host", ["edge", "router"])
def test_a_host_runs_a_sound_systemd(lab: Lab, host: str) -> None:
    assert lab.shell(host, "systemctl is-system-running --wait").stdout.strip() == "running"


def test_the_router_lets_nothing_in_until_it_is_told_to(lab: Lab) -> None:
    look = f"curl --silent --max-time 3 http://{ROUTER_WAN}:{PORT}/"
    assert lab.shell("observer", look).returncode == 28, "the request should have met silence"
    with forwarded(lab):
        assert "stand-in" in lab.shell("observer", look).stdout
    assert lab.shell("observer", look).returncode == 28


def test_the_observer_cannot_look_into_the_site(lab: Lab) -> None:
    look = f"curl --silent --max-time 5 http://{MIRACLE_LAN}:8080/"
    assert "stand-in" in lab.shell("edge", look).stdout
    assert lab.shell("observer", look).returncode == 7, "the observer should have no route"


def test_the_site_is_seen_with_the_router_s_address(lab: Lab) -> None:
    probe = f"""
import json, socket, subprocess, sys
listener = socket.create_server(("{OBSERVER_WAN}", {PORT}))
print("ready", flush=True)
listener.settimeout(20)
print(listener.accept()[1][0])
"""
    command = lab.command("observer", "python3", "-")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as observer:
        assert observer.stdin is not None
        assert observer.stdout is not None
        observer.stdin.write(probe)
        observer.stdin.close()
        assert observer.stdout.readline() == "ready\n"
        lab.shell("edge", f"bash -c 'exec 3<>/dev/tcp/{OBSERVER_WAN}/{PORT}'")
        assert observer.stdout.readline().strip() == ROUTER_WAN


def test_the_machine_itself_cannot_reach_the_lab_s_internet(lab: Lab) -> None:
    socket.create_connection((INTERNET_MANAGEMENT, 14000), timeout=5).close()
    with pytest.raises(OSError, match=r"Invalid argument|unreachable"):
        socket.create_connection((ACME_WAN, 14000), timeout=5)


def test_the_stand_in_s_database_holds_the_site_s_own_data(lab: Lab) -> None:
    with database().connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM customer")).scalar_one() > 0
        assert connection.execute(sa.text("SHOW server_encoding")).scalar_one() == "UTF8"


def test_the_stand_in_s_database_wants_its_password(lab: Lab) -> None:
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        database("wrong").connect()


def test_the_stand_in_s_page_answers(lab: Lab) -> None:
    assert b"Miracle Service" in fetch(f"http://{MIRACLE_MANAGEMENT}:8080/any/path")


def test_ansible_reaches_every_host_with_host_keys_checked(lab: Lab) -> None:
    ansible = [str(TOP / ".venv/bin/ansible"), "-i", str(lab.inventory), "all", "-m", "ansible.builtin.ping", "--one-line"]
    done = subprocess.run(ansible, capture_output=True, text=True, check=False, timeout=120, cwd=TOP)
    assert done.stdout.count("SUCCESS") == 3, done.stdout + done.stderr
    variables = yaml.safe_load((lab.inventory.parent / "group_vars/site_lab/main.yml").read_text())
    assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]


def test_a_host_with_a_strange_key_is_refused(lab: Lab) -> None:
    strange = ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
    command = ["ssh", "-i", str(keys.SSH_KEY), *strange, f"root@{keys.SSH_HOSTS['edge']}", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert "Host key verification failed" in done.stderr


def test_only_root_reads_the_lab_s_secrets(lab: Lab) -> None:
    assert RUN.stat().st_mode & 0o777 == 0o700
    for path in (keys.CLOUDFLARE_TOKEN, keys.CLIENT_SECRET, keys.DATABASE_PASSWORD, keys.TSIG_KEY, keys.SSH_KEY):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_no_secret_of_the_lab_is_on_a_command_line(lab: Lab) -> None:
    secrets = [path.read_text().strip() for path in (keys.CLOUDFLARE_TOKEN, keys.CLIENT_SECRET, keys.DATABASE_PASSWORD)]
    lines = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True).stdout
    assert "lab.cloudflare" in lines
    assert [secret for secret in secrets if secret in lines] == []


def test_bringing_a_running_lab_up_changes_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    state, running = world.load_state(), processes("edge") | processes("bind")
    assert main(["up"]) == 0
    assert "already up" in capsys.readouterr().out
    assert world.load_state() == state
    assert running <= processes()
    assert main(["status"]) == 0


def test_another_checkouts_lab_is_left_alone(lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """By `up` and by `down`, until somebody insists; what a checkout left that is gone may be taken away."""
    state = world.load_state()
    assert state
    try:
        replace(state, checkout=str(tmp_path)).save()
        for command in ("up", "down"):
            assert main([command]) == 4
            said = capsys.readouterr().err
            assert str(tmp_path) in said
            assert "./kit lab down --force" in said
        assert world.is_up()
    finally:
        state.save()
    assert main(["up"]) == 0


def test_a_wrong_call_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upp"]) == 2
    assert "usage: ./kit lab" in capsys.readouterr().err


def test_an_unknown_host_has_no_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "nowhere"]) == 2
    assert "edge, router or observer" in capsys.readouterr().err


def test_only_a_host_that_boots_is_restarted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restart", "observer"]) == 2
    assert "name one of: router, edge" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play somebody else")
def test_without_root_the_reason_is_one_line() -> None:
    code = "import os; os.setuid(65534); from lab.world import image; print(image.available())"
    done = subprocess.run(
        [sys.executable, "-c", "import lab.world.image;" + code], capture_output=True, text=True, check=False, cwd=TOP
    )
    assert image.available() is None or "\n" not in str(image.available())
    assert done.stdout == "the lab needs root\n", done.stderr
