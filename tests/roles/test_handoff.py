"""The message to Miracle Service support: written or sent, once; and the wait for its answer."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.world.authority import Authority
from tests.playbooks import TOP
from tests.roles.conftest import Control

ANSWER = {"handoff_ticket": "MS-1234", "handoff_booked_date": "2027-02-01"}


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A real mail server on loopback that keeps what it gets: its port and its folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path / "mail"
    command = [sys.executable, "-m", "lab.world.mail", "--host", "127.0.0.1", "--port", str(port), "--directory", str(folder)]
    server = subprocess.Popen(command, cwd=TOP)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port, folder
    finally:
        server.terminate()
        server.wait(timeout=10)


def sending(control: Control, port: int) -> Control:
    control.variables |= {
        "handoff_method": "smtp",
        "handoff_smtp_host": "127.0.0.1",
        "handoff_smtp_port": port,
        "handoff_sender": "it@acme-lifts.com",
        "handoff_recipient": "support@miracle.example",
    }
    return control


def test_the_message_is_sent_once_and_again_when_it_changes(control: Control, mail: tuple[int, Path]) -> None:
    port, folder = mail
    sending(control, port)
    first = control.role("handoff", handoff_wanted_date="2027-02-01")
    assert (first.code, first.count("changed")) == (0, 1), first.text
    second = control.role("handoff")
    assert (second.code, second.count("changed")) == (0, 0), second.text
    third = control.role("handoff", handoff_wanted_date="2027-03-01")
    assert third.count("changed") == 1
    messages = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in sorted(folder.glob("*.eml"))]
    assert len(messages) == 2
    assert messages[0]["To"] == "support@miracle.example"
    assert messages[0]["Subject"] == "QuickBooks Online connection for acme-lifts.com: secure URL qbo.acme-lifts.com"
    body = messages[0].get_content()
    assert "https://qbo.acme-lifts.com/qbo/callback" in body
    assert "2027-02-01" in body
    assert "it@acme-lifts.com" in body
    assert "2027-03-01" in messages[1].get_content()


def test_a_password_encrypted_by_ansible_vault_is_sent_as_it_is(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible.parsing.vault import VaultEditor, VaultLib, VaultSecret

    for name, text in (("password", "the site's own password\n"), ("mail-password", "s3nt-as-it-is\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    secret = VaultSecret(b"the site's own password")
    VaultEditor(VaultLib([("acme", secret)])).encrypt_file(str(tmp_path / "mail-password"), secret, vault_id="acme")
    authority = Authority()
    authority.write(tmp_path / "ca.pem")
    issued = authority.issue(tmp_path, "mail", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        said: list[str] = []
        server = threading.Thread(target=hear, args=(listening, context, said), daemon=True)
        server.start()
        sending(control, listening.getsockname()[1])
        log_in = {"handoff_smtp_user": "it", "handoff_smtp_password_file": str(tmp_path / "mail-password")}
        run = control.role("handoff", "--vault-id", f"acme@{tmp_path / 'password'}", **log_in)
        server.join(timeout=10)
    assert (run.code, run.count("changed")) == (0, 1), run.text
    tried = next(line.split()[2] for line in said if line.startswith("AUTH PLAIN"))
    assert base64.b64decode(tried).split(b"\0")[1:] == [b"it", b"s3nt-as-it-is"]


def hear(listening: socket.socket, context: ssl.SSLContext, said: list[str]) -> None:
    """One conversation of a mail server with STARTTLS and a log-in that takes everything."""
    plain, _ = listening.accept()
    peer, lines = plain, plain.makefile("rb")
    peer.sendall(b"220 mail ready\r\n")
    while line := lines.readline().decode().strip():
        said.append(line)
        verb = line.split()[0].upper()
        if verb == "EHLO":
            peer.sendall(b"250-mail\r\n250 AUTH PLAIN\r\n" if peer is not plain else b"250-mail\r\n250 STARTTLS\r\n")
        elif verb == "STARTTLS":
            peer.sendall(b"220 go on\r\n")
            peer = context.wrap_socket(plain, server_side=True)
            lines = peer.makefile("rb")
        elif verb == "DATA":
            peer.sendall(b"354 go on\r\n")
            while lines.readline().strip() != b".":
                pass
            peer.sendall(b"250 kept\r\n")
        else:
            peer.sendall({"AUTH": b"235 welcome\r\n", "QUIT": b"221 bye\r\n"}.get(verb, b"250 OK\r\n"))
    peer.close()


def test_check_mode_sends_nothing_and_shows_the_message(control: Control, mail: tuple[int, Path]) -> None:
    port, folder = mail
    run = sending(control, port).role("handoff", "--check", "--diff")
    assert (run.code, run.count("changed")) == (0, 1), run.text
    assert "+  Redirect URI   https://qbo.acme-lifts.com/qbo/callback" in run.text
    assert list(folder.glob("*.eml")) == []


def test_a_mail_server_that_is_not_there_is_named_with_the_way_out(control: Control) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = sending(control, port).role("handoff")
    assert run.code == 2
    assert f"acme: the mail server 127.0.0.1:{port} does not answer" in run.flat
    assert "or send the message yourself" in run.flat


def test_a_password_is_not_sent_without_encryption(control: Control, mail: tuple[int, Path]) -> None:
    secret = control.folder / "password"
    secret.write_text("hunter2-of-the-test")
    secret.chmod(0o600)
    run = sending(control, mail[0]).role("handoff", handoff_smtp_user="it", handoff_smtp_password_file=str(secret))
    assert run.code == 2
    assert "acme: the mail server 127.0.0.1 offers no encryption, so the password is not sent to it" in run.flat
    assert "hunter2" not in run.text


def test_without_server_or_addresses_nothing_is_sent(control: Control) -> None:
    run = control.role("handoff", handoff_method="smtp")
    assert run.code == 2
    assert (
        "acme: handoff_method is smtp, but handoff_smtp_host, handoff_sender or handoff_recipient is empty. "
        "Set all three, or use handoff_method: file." in run.flat
    )


@pytest.mark.parametrize("name", ["handoff_wanted_date", "handoff_booked_date"])
def test_a_day_that_is_no_day_is_refused(control: Control, name: str) -> None:
    run = control.role("handoff", **{name: "next Tuesday"})
    assert run.code == 2
    assert f"acme: {name} must be YYYY-MM-DD or empty, not next Tuesday." in run.flat
    assert not (control.folder / "store" / "handoff-acme.txt").exists()


def test_the_message_is_written_for_a_person_and_the_site_waits(control: Control) -> None:
    path = control.folder / "store" / "handoff-acme.txt"
    first = control.role("handoff")
    assert (first.code, first.count("changed")) == (0, 1), first.text
    assert "https://qbo.acme-lifts.com/qbo/callback" in path.read_text()
    kept = control.state["handoff"]
    assert kept["state"] == "waiting"
    assert kept["waiting_for"]["who"] == "Miracle Service Technical Support"
    assert kept["waiting_for"]["what"] == "configure https://qbo.acme-lifts.com/qbo/callback with Intuit, and book a date"
    assert str(path) in kept["next"]
    second = control.role("handoff")
    assert (second.code, second.count("changed")) == (0, 0), second.text


def test_with_ticket_and_date_the_site_goes_on(control: Control) -> None:
    control.role("handoff", handoff_ticket="MS-1234")
    assert control.state["handoff"]["state"] == "waiting"
    control.role("handoff", **ANSWER)
    kept = control.state["handoff"]
    assert kept["state"] == "done"
    assert (kept["seen"]["ticket"], kept["seen"]["booked_date"]) == ("MS-1234", "2027-02-01")
    assert "waiting_for" not in kept


@pytest.mark.parametrize("app", ["msp", "site"])
def test_with_an_app_of_ones_own_nobody_is_waited_for(control: Control, app: str) -> None:
    control.role("handoff", handoff_app=app)
    assert control.state["handoff"]["state"] == "done"
    assert "nothing has to be configured with Intuit" in (control.folder / "store" / "handoff-acme.txt").read_text()


def test_absent_removes_the_written_message(control: Control) -> None:
    control.role("handoff")
    run = control.role("handoff", handoff_state="absent")
    assert (run.code, run.count("changed")) == (0, 1), run.text
    assert not (control.folder / "store" / "handoff-acme.txt").exists()
    assert control.role("handoff").count("changed") == 0


def test_connect_stops_where_support_has_not_answered(control: Control) -> None:
    run = control.playbook(TOP / "playbooks" / "connect.yml")
    assert (run.code, run.count("failed")) == (0, 0), run.text
    assert "acme: handoff waits for Miracle Service Technical Support" in run.flat
    assert "set handoff_ticket and handoff_booked_date in inventory/group_vars/site_acme/main.yml" in run.flat
    assert "Install qbo-sync" not in run.text
