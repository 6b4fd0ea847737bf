"""Lexicon's rough edges: credentials, services, and what its exceptions say."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_lab import ZONE, write_secret

from qbo_sync.edge import dns as edge_dns
from qbo_sync.edge.dns import lexicon
from qbo_sync.errors import KitError, UsageError

NAME = f"qbo.{ZONE}"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("a-token", {"auth_token": "a-token"}),
        ("auth_username: me\nauth_token: s3cret", {"auth_username": "me", "auth_token": "s3cret"}),
        ("auth_token: 12345", {"auth_token": "12345"}),
        ("auth_username: 0012345\nauth_token: 12_34", {"auth_username": "0012345", "auth_token": "12_34"}),
        ("auth_token: yes\npriority:", {"auth_token": "yes", "priority": ""}),
        ("0123456789", {"auth_token": "0123456789"}),
    ],
)
def test_options_in_the_token_file(tmp_path: Path, content: str, options: dict[str, str]) -> None:
    assert lexicon.read_options(write_secret(tmp_path / "options", content)) == options


@pytest.mark.parametrize("content", ["two s3cret words", "- s3cret", "auth_token: [s3cret]", "auth_token: 's3cret", "{s3cret"])
def test_a_file_that_holds_no_options(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match="neither a token nor") as refusal:
        lexicon.read_options(write_secret(tmp_path / "options", content))
    assert "s3cret" not in str(refusal.value)


def test_a_service_lexicon_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuchservice") as refusal:
        look("nosuchservice", write_secret(tmp_path / "options", "s3cret"))
    assert "dns_record_service" in refusal.value.next


def test_no_service_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name of the DNS provider"):
        edge_dns.provider("lexicon", token_file=write_secret(tmp_path / "options", "s3cret"))


def test_what_a_service_says_is_told_without_credentials_and_addresses(tmp_path: Path) -> None:
    options = write_secret(tmp_path / "options", f"filename: {tmp_path}/no-s3cret-file")
    with pytest.raises(KitError) as trouble:
        look("localzone", options)
    assert "s3cret" not in str(trouble.value)
    assert "FileNotFoundError" in trouble.value.seen


def test_an_empty_option_leaves_the_services_words_whole(tmp_path: Path) -> None:
    options = write_secret(tmp_path / "options", f"filename: {tmp_path}/no-such-file\nauth_token: ''")
    with pytest.raises(KitError) as trouble:
        look("localzone", options)
    assert trouble.value.seen.startswith("FileNotFoundError: ")


def test_an_address_with_a_credential_in_it_is_not_shown(tmp_path: Path) -> None:
    """PowerDNS's address is an option; nobody listens there, and the HTTP library's error quotes it."""
    text = "auth_token: s3cret\npdns_server: http://user:hidden@127.0.0.1:1\npdns_server_id: localhost"
    with pytest.raises(KitError) as trouble:
        look("powerdns", write_secret(tmp_path / "options", text))
    assert "hidden" not in str(trouble.value)
    assert "s3cret" not in str(trouble.value)
    assert trouble.value.next


def look(service: str, options: Path) -> None:
    provider = edge_dns.provider("lexicon", service=service, token_file=options)
    provider.snapshot(provider.zone_for(NAME, ZONE), NAME)
