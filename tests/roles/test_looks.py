"""What the roles see that only look: preflight, verify where nothing answers, and the words of a command's answer."""

from __future__ import annotations

import http.server
import importlib.util
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import yaml

from qbo_sync.edge.preflight.checklist import QUESTIONS
from tests.name_server import name_server
from tests.playbooks import TOP
from tests.roles.conftest import SITE, Control


def plugin(path: str) -> ModuleType:
    """An Ansible plugin of this checkout, as a module."""
    spec = importlib.util.spec_from_file_location(path.rpartition("/")[2].removesuffix(".py"), TOP / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def refusing() -> Iterator[str]:
    """A name server that refuses every question, at once."""
    with name_server(SITE["site_zone"]) as at:
        yield at


@pytest.fixture
def blind(control: Control, refusing: str) -> Control:
    """A site whose DNS and CA tell nothing; nothing leaves this machine."""
    control.variables |= {
        "preflight_nameservers": [refusing],
        "preflight_resolver": refusing,
        "preflight_acme_directory": "https://127.0.0.1:1/dir",
        "preflight_way_to": "127.0.0.1",
    }
    return control


def unasked(control: Control) -> str:
    """Why preflight could not ask the router; that stops nothing."""
    checks = control.state["preflight"]["seen"]["checks"]
    return "".join(one["seen"] for one in checks if (one["id"], one["severity"]) == ("P16", "warn"))


def test_preflight_prints_the_checklist_and_stops_before_any_change(blind: Control) -> None:
    given = {"port_forward_provider": "routeros", "port_forward_api_url": "https://127.0.0.1:1"}
    run = blind.role("preflight", preflight_address="100.64.1.2", preflight_checklist={"migrated_from_desktop": True}, **given)
    assert run.code == 2
    assert unasked(blind) == "the router could not be asked: no file with the router's password is named"
    assert "done QuickBooks Desktop is migrated to QuickBooks Online (said by a person" in run.flat
    assert "missing Miracle Service knows and will change the accounting connection (nobody has said so yet)" in run.flat
    assert "missing Ports 80 and 443 are forwarded (the step port_forward has not run)" in run.flat
    assert "acme: the site is not ready, and nothing was changed:" in run.flat
    assert "missing P09 the external address is public: 100.64.1.2: carrier-grade NAT (RFC 6598)" in run.flat
    assert "to mend it: order a public IPv4 address from the internet provider" in run.flat
    assert "missing P21 the CA can be reached" in run.flat
    assert (run.count("changed"), blind.state["preflight"]["state"]) == (0, "failed")


def checks(control: Control) -> dict[str, dict[str, Any]]:
    """What the last look of preflight found."""
    return {one["id"]: one for one in control.state["preflight"]["seen"]["checks"]}


def test_preflight_judges_the_ca_and_the_record_that_the_site_has_chosen(blind: Control) -> None:
    del blind.variables["preflight_acme_directory"]
    blind.variables |= {"preflight_address": "100.64.1.2", "port_forward_provider": "manual"}
    blind.role("preflight", certificate_acme_directory="https://127.0.0.1:2/its-dir")
    assert "/its-dir" in checks(blind)["P21"]["seen"]
    blind.role("preflight", certificate_acme_ca_file="/nowhere/ca.pem")
    assert "name an existing file" in checks(blind)["P21"]["remedy"]
    blind.role("preflight", certificate_source="files")
    assert set(checks(blind)) & {"P07", "P18", "P21", "P22"} == set()
    assert checks(blind)["P23"]["remedy"] == "the step certificate brings the one in certificate_files"


def test_preflight_knows_the_sites_other_cas_and_its_limits(blind: Control) -> None:
    given = {"preflight_address": "100.64.1.2", "port_forward_provider": "manual"}
    with socket.socket() as silent:  # listens to nobody, so that the port is refused for certain
        silent.bind(("127.0.0.1", 0))
        silent_port = silent.getsockname()[1]
        other = {"directory": f"https://127.0.0.1:{silent_port}/other"}
        blind.role("preflight", **given, certificate_fallbacks=[other], certificate_limits={"failures": 8, "certificates": 30})
    assert "port=1): " in checks(blind)["P21"]["seen"]
    assert f"port={silent_port}" in checks(blind)["P21"]["seen"]
    assert checks(blind)["P22"]["seen"] == "7 more failures this hour, 29 more certificates this week"


@pytest.mark.parametrize(("record", "check"), [("300 CNAME elsewhere.example.", "P05"), ("300 A 104.16.132.229", "P12")])
def test_what_dns_record_will_replace_does_not_stop_preflight(blind: Control, record: str, check: str) -> None:
    """Its remedy says to set dns_record_adopt: then it has to let the site go on."""
    given = {"preflight_address": "100.64.1.2", "port_forward_provider": "manual"}
    with name_server(SITE["site_zone"], qbo=record) as at:
        blind.role("preflight", **given, preflight_nameservers=[at], preflight_resolver=at)
        assert checks(blind)[check]["severity"] == "error"
        blind.role("preflight", dns_record_adopt=True)
    assert checks(blind)[check]["severity"] == "warn"


def test_preflight_takes_the_sites_own_ttl_for_the_right_one(blind: Control) -> None:
    blind.variables |= {"preflight_address": "100.64.1.2", "port_forward_provider": "manual"}
    with name_server(SITE["site_zone"], qbo="300 A 100.64.1.2") as at:
        blind.role("preflight", preflight_nameservers=[at], preflight_resolver=at)
        assert (checks(blind)["P13"]["severity"], checks(blind)["P13"]["seen"]) == ("warn", "TTL 300")
        blind.role("preflight", dns_record_ttl=300)
    assert (checks(blind)["P13"]["severity"], checks(blind)["P13"]["seen"]) == ("ok", "TTL 300")


def test_preflight_in_check_mode_refuses_the_same(blind: Control) -> None:
    run = blind.role("preflight", "--check", preflight_fqdn="qbo.acme.local", site_router="nobody")
    assert run.code == 2
    assert "the router could not be asked: nobody is not in the inventory" in run.flat
    assert "missing P01 the name can be a public web address: qbo.acme.local: .local is for local networks" in run.flat
    assert blind.state == {}


def test_the_checklist_is_kept_as_a_page_and_what_a_person_said_is_remembered(blind: Control) -> None:
    blind.router = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    away = blind.role("preflight", preflight_checklist={"migrated_from_desktop": True, "vendor_contacted": False})
    assert unasked(blind).startswith("the router could not be asked: ")
    assert "Connection refused" in unasked(blind)
    assert "to mend it: see that Ansible reaches the router" in away.flat
    run = blind.role("preflight", port_forward_provider="manual")
    assert unasked(blind) == ""
    assert "done QuickBooks Desktop is migrated to QuickBooks Online (said by a person" in run.flat
    assert "missing Miracle Service knows and will change the accounting connection (said not to be done" in run.flat
    page = (blind.folder / "store" / "checklist-acme.html").read_text()
    assert "qbo.acme-lifts.com" in page
    assert "The CA" not in page.partition("</style>")[0]
    assert page.count('<th scope="row">') > 8


def test_the_questions_asked_of_a_person_are_those_of_the_checklist() -> None:
    asked = yaml.safe_load((TOP / "roles/preflight/vars/main.yml").read_text())["__preflight_questions"]
    assert {one["name"]: one["ask"] for one in asked} == {name: one.ask for name, one in QUESTIONS.items()}


def test_a_look_through_the_sites_own_address_proves_nothing(control: Control) -> None:
    run = control.role("verify", verify_address="127.0.0.1", verify_timeout_s=2)
    assert run.code == 2
    assert "outside: the observer goes out as 127.0.0.1, the site's own address" in run.flat
    assert "next: not proved from outside: choose an observer at another place" in run.flat
    seen = control.state["verify"]
    assert seen["state"] == "failed"
    assert {check["id"]: check["ok"] for check in seen["seen"]["checks"]}["outside"] is False
    inside = seen["seen"]["inside"]
    assert (inside["ok"], "refused" in inside["seen"]) == (False, True)
    assert "people inside the office do not reach 127.0.0.1: switch on NAT loopback (hairpin)" in inside["next"]


def test_an_observer_behind_nat_proves_nothing_without_an_echo(control: Control) -> None:
    run = control.role("verify", verify_address="127.0.0.2", verify_timeout_s=2)
    assert "outside: the observer goes out as 127.0.0.1, behind NAT" in run.flat
    assert "next: not proved from outside: set verify_echo_url, or choose another observer" in run.flat


def test_verify_in_check_mode_tells_and_does_not_fail(control: Control) -> None:
    run = control.role("verify", "--check", verify_address="127.0.0.1", verify_timeout_s=2)
    assert (run.code, run.count("failed"), run.count("changed")) == (0, 0, 0), run.text


def test_an_observer_that_is_not_in_the_inventory_is_refused(control: Control) -> None:
    run = control.role("verify", site_observer="nobody")
    assert "acme: the observer nobody is not in the inventory. Add it to the group observers in inventory/acme.yml" in run.flat


def test_a_ca_file_that_is_not_there_is_refused(control: Control) -> None:
    run = control.role("verify", verify_ca_file="/nowhere/ca.pem")
    assert "acme: the CA file /nowhere/ca.pem is not on the control node. Mend verify_ca_file." in run.flat


KNOCK = """
import sys
from qbo_sync.edge.looks import address
print(*sorted(address.answering("127.0.0.1", [int(port) for port in sys.argv[1:]])))
"""


@pytest.mark.parametrize("files", [4096, 100])
def test_the_ports_that_answer_are_found_whatever_the_limit_of_open_files(files: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as last:
        answer = [str(server.getsockname()[1]) for server in (first, last)]
        refuse = [str(port) for port in range(1025, 1425) if str(port) not in answer]
        done = subprocess.run(
            [sys.executable, "-c", KNOCK, answer[0], *refuse, answer[1]],
            cwd=TOP,
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )
    assert set(answer) <= set(done.stdout.split()), done.stdout
    # Another program of this machine may listen at one of the others.
    assert len(done.stdout.split()) < 20


BLOCKER = {"id": "TAX-001", "kind": "tax", "severity": "blocker", "qbo": "GST 5%", "miracle": "none", "remedy": "add it"}
WARNING = {"id": "NAME-001", "kind": "customer", "severity": "warning", "remedy": "rename"}
ERROR = {"id": "Waiting", "kind": "error", "result": "no company is connected", "qbo": "nothing", "remedy": "connect"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"items": [BLOCKER, WARNING], "outcome": "blocked"}, "TAX-001: QBO: GST 5%, Miracle: none; add it"),
        ({"items": [ERROR], "next": "open the page"}, "no company is connected\n  seen: nothing\n  next: open the page"),
        ({"items": [], "report": {"html": "/r.html"}}, "  report, on the edge host: /r.html"),
        ({"items": [], "outcome": "ok"}, "ok"),
    ],
)
def test_an_answer_is_put_into_words(document: dict[str, Any], said: str) -> None:
    assert plugin("playbooks/action_plugins/qbo_sync_command.py").words(document) == said


@pytest.mark.parametrize(
    ("summary", "changed"),
    [
        ({}, False),
        ({"customer": {"read": 5, "written": 0}, "supplier": {"written": 0}}, False),
        ({"customer": {"read": 5, "written": 0}, "supplier": {"written": 2}}, True),
        ({"written": 1}, True),
        ({"equal": 5, "different": 0}, False),
    ],
)
def test_only_what_was_written_counts_as_changed(summary: dict[str, Any], changed: bool) -> None:
    assert plugin("playbooks/action_plugins/qbo_sync_command.py").wrote({"summary": summary}) is changed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}\n{\n "b": {"c": "}{"}\n}\n', [{"a": 1}, {"b": {"c": "}{"}}]),
        ('{"a": 1}\n{"b": {"c":', [{"a": 1}]),  # it was killed while it answered
        ("sudo: a password is required", []),
        ("", []),
    ],
)
def test_the_answers_of_a_batch_are_told_apart(text: str, found: list[dict[str, Any]]) -> None:
    assert plugin("playbooks/action_plugins/qbo_sync_command.py").documents(text) == found


def test_a_host_that_nobody_can_look_from_is_named_with_what_it_needs(control: Control) -> None:
    run = control.role("verify", "-e", "ansible_python_interpreter=/nowhere/python3")
    assert run.code != 0
    assert "acme: could not look from the host acme-observer" in run.flat
    assert "seen: /bin/sh: 1: /nowhere/python3: not found" in run.flat
    assert "next: it needs Python 3.9 or newer as python3, or at the path in its ansible_python_interpreter" in run.flat


@pytest.fixture
def slow_starter() -> Iterator[int]:
    """The port of a server that answers 503 to the first two questions, and then redirects whoever asks for our name."""
    asked = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Host"])
            self.send_response(503 if len(asked) <= 2 else 308 if asked[-1] == SITE["site_fqdn"] else 404)
            self.send_header("Location", f"https://{SITE['site_fqdn']}/")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def page(port: int, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "Ask", "kit_page": {"port": port, "name": SITE["site_fqdn"], "status": 308, **more}}]


def test_a_page_is_asked_again_until_it_answers_as_wanted(control: Control, slow_starter: int) -> None:
    run = control.play(page(slow_starter, patience_s=20))
    assert (run.code, run.count("changed")) == (0, 0), run.text


def test_a_page_that_answers_otherwise_is_told_with_what_was_seen(control: Control, slow_starter: int) -> None:
    run = control.play(page(slow_starter))
    assert run.code != 0
    assert f"qbo.acme-lifts.com: port {slow_starter} of the host itself does not answer as it should" in run.flat
    assert "seen: / is answered with 503 https://qbo.acme-lifts.com/ next: wanted 308" in run.flat


def test_a_page_that_nobody_serves_is_told_and_not_asked_for_in_check_mode(control: Control) -> None:
    assert "seen: ConnectionRefusedError" in control.play(page(1)).flat
    assert control.play(page(1), "--check").code == 0


def test_qbo_sync_does_not_run_in_check_mode(control: Control) -> None:
    run = control.play([{"name": "Import", "qbo_sync_command": {"commands": ["import"]}}], "--check")
    assert (run.code, run.count("failed"), run.count("changed")) == (0, 0, 0), run.text
    assert control.state == {}
