"""The A record through the role, against the Cloudflare look-alike: refusals, check mode, and the removal of our own only.

Waiting for authoritative servers needs a name server; the lab's tests have one (tests/lab/test_roles_control.py).
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cloudflare.process import running
from tests.roles.conftest import Control

TOKEN = "token-of-the-test"
NAME, ZONE = "qbo.acme-lifts.com", "acme-lifts.com"


class Provider:
    """The look-alike as somebody with the token sees it."""

    def __init__(self, base: str) -> None:
        self.api = f"{base}/client/v4"
        self.zone = self._call("/zones")[0]["id"]

    def add(self, kind: str, content: str, comment: str = "", name: str = NAME) -> None:
        self._call(
            f"/zones/{self.zone}/dns_records",
            {"type": kind, "name": name, "content": content, "ttl": 3600, "proxied": False, "comment": comment},
        )

    def records(self) -> list[tuple[str, str, str]]:
        found = self._call(f"/zones/{self.zone}/dns_records?per_page=100")
        return sorted((r["type"], r["name"], r["content"]) for r in found)

    def _call(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body else None
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.api + path, data, headers), timeout=10) as answer:
            return json.load(answer)["result"]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running("--zone", ZONE, "--token", TOKEN, "--limits", "off") as address:
        yield address


@pytest.fixture
def provider(base: str) -> Provider:
    urllib.request.urlopen(urllib.request.Request(f"{base}/lab/reset", b"{}", method="POST"), timeout=10).close()
    return Provider(base)


@pytest.fixture
def site(control: Control, provider: Provider) -> Control:
    secret = control.folder / "token"
    secret.write_text(TOKEN + "\n")
    secret.chmod(0o600)
    control.variables |= {
        "dns_record_api_url": provider.api,
        "dns_record_token_file": str(secret),
        # Port 1 answers nobody: a test that came as far as waiting would say so.
        "dns_record_nameservers": ["127.0.0.1:1"],
        "dns_record_timeout_s": 1,
    }
    return control


def refused(site: Control, provider: Provider, said: str, **variables: Any) -> None:
    before = provider.records()
    run = site.role("dns_record", **variables)
    assert run.code == 2, run.text
    assert said in run.flat
    assert provider.records() == before
    assert site.state["dns_record"]["state"] == "failed"


def test_a_name_outside_the_zone_is_refused(site: Control, provider: Provider) -> None:
    said = f"acme: qbo.other.com is not in the zone {ZONE} next: mend the name or the zone"
    refused(site, provider, said, dns_record_name="qbo.other.com")


def test_a_private_address_is_refused(site: Control, provider: Provider) -> None:
    said = (
        "acme: the external address cannot be reached from the internet seen: 192.168.1.1: private (RFC 1918) "
        "next: give the site's public IPv4 address"
    )
    refused(site, provider, said, dns_record_address="192.168.1.1")


def test_a_missing_token_is_refused(site: Control, provider: Provider) -> None:
    said = "acme: the DNS provider's API token is missing next: put the token into a file on the control node, mode 0600"
    refused(site, provider, said, dns_record_token_file="")


def test_a_token_file_that_is_not_there_is_refused(site: Control, provider: Provider) -> None:
    refused(site, provider, "No such file or directory: '/nowhere/token'", dns_record_token_file="/nowhere/token")


def test_a_wrong_token_is_refused_and_not_shown(site: Control, provider: Provider) -> None:
    wrong = site.folder / "wrong"
    wrong.write_text("a-token-nobody-gave")
    wrong.chmod(0o600)
    refused(site, provider, "next: ", dns_record_token_file=str(wrong))
    text = (site.folder / "store" / "state.json").read_text()
    assert "token" in text
    assert "a-token-nobody-gave" not in text


def test_a_record_that_could_not_follow_is_refused_at_once(site: Control, provider: Provider) -> None:
    """Somebody made it, with the address of today."""
    provider.add("A", "11.22.33.44")
    said = "says the right address, but this kit did not make it, so it would not follow the address"
    refused(site, provider, said, dns_record_follow="https://address.example/")


@pytest.mark.parametrize(
    ("kind", "content", "word"), [("A", "11.22.33.99", "an A record"), ("CNAME", "www.other.com", "a CNAME")]
)
def test_a_record_of_somebody_else_is_refused_and_kept(
    site: Control, provider: Provider, kind: str, content: str, word: str
) -> None:
    provider.add(kind, content)
    refused(site, provider, f"acme: {word}")
    assert "set dns_record_adopt: true to let the kit replace it" in site.state["dns_record"]["next"]


def test_check_mode_shows_the_record_and_writes_nothing(site: Control, provider: Provider) -> None:
    run = site.role("dns_record", "--check", "--diff")
    assert (run.code, run.count("changed")) == (0, 1), run.text
    assert f"+{NAME} A 11.22.33.44 (TTL 3600, qbokit:acme)" in run.text
    assert provider.records() == []
    assert site.state == {}


def test_what_was_written_is_kept_as_a_wait_or_failure_when_no_server_answers(site: Control, provider: Provider) -> None:
    run = site.role("dns_record")
    assert run.code == 2
    assert "no authoritative name server answers about qbo.acme-lifts.com" in run.flat
    assert provider.records() == [("A", NAME, "11.22.33.44")]


def test_absent_removes_our_record_only(site: Control, provider: Provider) -> None:
    provider.add("A", "11.22.33.44", comment="qbokit:acme")
    provider.add("TXT", "hello")
    run = site.role("dns_record", "--diff", dns_record_state="absent")
    assert (run.code, run.count("changed")) == (0, 1), run.text
    assert [kind for kind, _, _ in provider.records()] == ["TXT"]
    again = site.role("dns_record")
    assert (again.code, again.count("changed")) == (0, 0), again.text


def test_absent_leaves_somebody_elses_record(site: Control, provider: Provider) -> None:
    provider.add("A", "11.22.33.99")
    run = site.role("dns_record", dns_record_state="absent")
    assert (run.code, run.count("changed")) == (0, 0), run.text
    assert provider.records() == [("A", NAME, "11.22.33.99")]


def test_what_an_adopted_record_replaced_is_put_back_once(site: Control, provider: Provider) -> None:
    provider.add("A", "11.22.33.99")
    adopted = site.role("dns_record", dns_record_adopt=True)
    assert f"acme: whoever asked for {NAME} before is told 11.22.33.99 until its TTL of 3600 s is over" in adopted.flat
    assert provider.records() == [("A", NAME, "11.22.33.44")]
    back = site.role("dns_record", "--diff", dns_record_state="restored")
    assert (back.code, back.count("changed")) == (0, 1), back.text
    assert f"+{NAME} A 11.22.33.99 (TTL 3600)" in back.text
    again = site.role("dns_record", dns_record_state="restored")
    assert (again.code, again.count("changed")) == (0, 0), again.text
    assert provider.records() == [("A", NAME, "11.22.33.99")]


def test_nothing_is_put_back_over_somebody_elses_later_change(site: Control, provider: Provider) -> None:
    site.role("dns_record")
    provider.add("A", "11.22.33.99")
    refused(site, provider, "was changed since the kit's last change", dns_record_state="restored")


def test_a_token_encrypted_by_ansible_vault_is_opened_with_the_runs_password(
    site: Control, provider: Provider, tmp_path: Path
) -> None:
    from ansible.parsing.vault import VaultEditor, VaultLib, VaultSecret

    password = tmp_path / "password"
    password.write_text("the site's own password\n")
    secret = VaultSecret(b"the site's own password")
    VaultEditor(VaultLib([("acme", secret)])).encrypt_file(str(tmp_path / "token"), secret, vault_id="acme")
    assert TOKEN not in (tmp_path / "token").read_text()
    run = site.role("dns_record", "--check", "--vault-id", f"acme@{password}")
    assert (run.code, run.count("changed")) == (0, 1), run.text
