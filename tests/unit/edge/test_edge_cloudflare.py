"""The A record through Cloudflare's SDK against the look-alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edge_lab import Lab, write_secret

from qbo_sync.edge import dns
from qbo_sync.errors import Blocked, KitError, Unreachable, UsageError, Waiting

NAME = "qbo.mycompany.com"
OURS = (NAME, "A", "11.22.33.10", 3600, "qbokit:lab")


@pytest.fixture
def provider(lab: Lab, token_file: Path) -> dns.Provider:
    return dns.provider("cloudflare", token_file=token_file, api_url=lab.api)


def present(provider: dns.Provider, **values: Any) -> dns.Outcome:
    wanted = {"name": NAME, "zone": "mycompany.com", "address": "11.22.33.10", "site": "lab", **values}
    return dns.present(provider, **wanted)


def absent(provider: dns.Provider, **values: Any) -> dns.Outcome:
    return dns.absent(provider, **{"name": NAME, "zone": "mycompany.com", "site": "lab", **values})


def test_makes_the_record_once(lab: Lab, provider: dns.Provider) -> None:
    assert present(provider).changed
    assert lab.records() == [OURS]
    assert not present(provider).changed
    assert lab.admin("stats")["writes"] == 1


def test_finds_the_zone_itself(lab: Lab, provider: dns.Provider) -> None:
    assert present(provider, zone="").zone.name == "mycompany.com"
    assert lab.records() == [OURS]


def test_check_changes_nothing_and_tells_what_would_change(lab: Lab, provider: dns.Provider) -> None:
    outcome = present(provider, check=True)
    assert outcome.changed
    assert [str(change) for change in outcome.changes] == [f"add {NAME} A 11.22.33.10 (TTL 3600, qbokit:lab)"]
    assert lab.records() == []


def test_a_new_address_changes_the_record_in_place(lab: Lab, provider: dns.Provider) -> None:
    present(provider, address="11.22.33.9")
    before = provider.snapshot(provider.zone_for(NAME), NAME).records[0].id
    assert present(provider).changed
    assert lab.records() == [OURS]
    assert provider.snapshot(provider.zone_for(NAME), NAME).records[0].id == before


def test_a_proxied_record_of_ours_becomes_dns_only(lab: Lab, provider: dns.Provider) -> None:
    lab.put(content="11.22.33.10", comment="qbokit:lab", proxied=True)
    assert present(provider).changed
    assert lab.records() == [OURS]


@pytest.mark.parametrize(
    "foreign",
    [
        {"content": "11.22.33.99"},
        {"content": "11.22.33.10", "ttl": 300},
        {"content": "11.22.33.10", "proxied": True},
        {"type": "CNAME", "content": "elsewhere.example"},
    ],
)
def test_a_foreign_record_is_refused_and_adopted_only_when_asked(lab: Lab, provider: dns.Provider, foreign: Any) -> None:
    lab.put(**foreign)
    there = lab.records()
    with pytest.raises(Blocked, match=NAME) as refusal:
        present(provider)
    assert foreign["content"] in refusal.value.seen
    assert "dns_record_adopt" in refusal.value.next
    assert lab.records() == there
    assert present(provider, adopt=True).changed
    assert lab.records() == [OURS]


def test_a_foreign_record_that_says_the_same_is_left_as_it_is(lab: Lab, provider: dns.Provider) -> None:
    lab.put(content="11.22.33.10", comment="made by hand")
    assert not present(provider).changed
    assert not absent(provider).changed
    assert lab.records() == [(NAME, "A", "11.22.33.10", 3600, "made by hand")]


def test_another_sites_record_is_refused_even_when_adopting(lab: Lab, provider: dns.Provider) -> None:
    present(provider, site="other", address="11.22.33.9")
    with pytest.raises(Blocked, match="another site"):
        present(provider, adopt=True)
    assert lab.records() == [(NAME, "A", "11.22.33.9", 3600, "qbokit:other")]


def test_absent_removes_our_own_record_only(lab: Lab, provider: dns.Provider) -> None:
    present(provider)
    lab.put(content="11.22.33.99")
    lab.put(name="www.mycompany.com")
    assert absent(provider).changed
    assert [(name, content) for name, _, content, _, _ in lab.records()] == [
        (NAME, "11.22.33.99"),
        ("www.mycompany.com", "11.22.33.99"),
    ]
    assert not absent(provider).changed


def test_restore_puts_back_what_was_there(lab: Lab, provider: dns.Provider) -> None:
    lab.put(type="CNAME", content="elsewhere.example", comment="made by hand", ttl=300)
    there = lab.records()
    outcome = present(provider, adopt=True)
    assert lab.records() == [OURS]
    assert provider.restore(outcome.zone, outcome.before)
    assert lab.records() == there
    assert not provider.restore(outcome.zone, outcome.before)


def test_a_change_that_fails_half_way_is_taken_back(lab: Lab, provider: dns.Provider) -> None:
    lab.put(type="CNAME", content="elsewhere.example")
    there = lab.records()
    # The SDK tries three times; the removal of the CNAME works, the new record never does, its way back does.
    lab.admin("faults", [{"when": {"method": "POST", "times": 3}, "fault": "500"}])
    with pytest.raises(Unreachable):
        present(provider, adopt=True)
    assert lab.records() == there


def test_a_record_changed_meanwhile_is_not_overwritten(lab: Lab, provider: dns.Provider) -> None:
    present(provider)
    outcome = present(provider, address="11.22.33.11", check=True)
    lab.call("PATCH", f"{lab.path}/{outcome.before.records[0].id}", {"content": "11.22.33.77"})
    with pytest.raises(Blocked, match="meanwhile") as refusal:
        provider.apply(outcome.zone, outcome.before, outcome.changes)
    assert "11.22.33.77" in refusal.value.seen
    assert lab.records()[0][2] == "11.22.33.77"


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_lost_answer_is_no_failure(lab: Lab, provider: dns.Provider, method: str) -> None:
    if method != "POST":
        present(provider, address="11.22.33.9")
    lab.admin("faults", [{"when": {"method": method, "nth": 1}, "fault": "closed"}])
    outcome = absent(provider) if method == "DELETE" else present(provider)
    assert outcome.changed
    assert lab.records() == ([] if method == "DELETE" else [OURS])
    assert lab.admin("stats")["faults"] == 1


def test_a_record_somebody_made_meanwhile_is_left(lab: Lab, provider: dns.Provider) -> None:
    outcome = present(provider, check=True)
    zone, wanted = outcome.zone, outcome.changes[0].after
    assert wanted is not None
    lab.put(content="11.22.33.10", ttl=300)
    there = provider.snapshot(zone, NAME)
    with pytest.raises(Blocked, match="meanwhile"):
        provider.apply(zone, there, [dns.Change(None, wanted)])
    assert lab.records() == [(NAME, "A", "11.22.33.10", 300, None)]


def test_a_zone_that_is_not_delegated_yet_waits(lab: Lab, provider: dns.Provider) -> None:
    lab.admin("zones", {"name": "mycompany.com", "status": "pending"})
    with pytest.raises(Waiting) as waiting:
        present(provider)
    assert "ada.ns.cloudflare.com" in waiting.value.next
    assert lab.records() == []


@pytest.mark.parametrize(
    "wrong", [{"name": "qbo.other.example"}, {"address": "192.168.1.10"}, {"address": "100.64.3.4"}, {"ttl": 5}]
)
def test_wrong_input_is_refused_before_anything_is_asked(lab: Lab, provider: dns.Provider, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refusal:
        present(provider, **wrong)
    assert refusal.value.next
    assert lab.admin("stats")["requests"] == 0


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("nobody", "refuses the token"),
        ("'good'", "malformed"),
        ("reader", "may not change DNS records"),
        ("narrow", "does not see the zone"),
    ],
)
def test_a_token_that_will_not_do(lab: Lab, tmp_path: Path, token: str, said: str) -> None:
    provider = dns.provider("cloudflare", token_file=write_secret(tmp_path / "t", token), api_url=lab.api)
    with pytest.raises(UsageError, match=said) as refusal:
        present(provider)
    assert refusal.value.next
    assert token not in str(refusal.value).replace("does not see", "")


@pytest.mark.parametrize("content", ["Bearer s3cret", "s3cret\nsecond", "s3crét"])
def test_a_token_file_with_more_than_a_token(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match="bare token") as refusal:
        dns.provider("cloudflare", token_file=write_secret(tmp_path / "t", content))
    assert "s3cr" not in str(refusal.value)


def test_a_token_file_everybody_may_read(tmp_path: Path) -> None:
    path = write_secret(tmp_path / "t", "good")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="everybody"):
        dns.provider("cloudflare", token_file=path)


@pytest.mark.parametrize("settings", [{"api_url": "http://api.example/client/v4"}, {"api_ca_file": "/nonexistent/ca.pem"}])
def test_settings_that_cannot_work(token_file: Path, settings: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        dns.provider("cloudflare", token_file=token_file, **settings)


def test_credentials_in_the_environment_change_nothing(lab: Lab, token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "somebody@else.example")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "somebody-elses-key")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "somebody-elses-token")
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/client/v4")
    assert present(dns.provider("cloudflare", token_file=token_file, api_url=lab.api)).changed


@pytest.mark.parametrize(("fault", "said"), [("429", "limit of requests"), ("500", "problem"), ("503_html", "problem")])
def test_cloudflare_in_trouble(lab: Lab, provider: dns.Provider, fault: str, said: str) -> None:
    lab.admin("faults", [{"when": {}, "fault": fault}])
    with pytest.raises(Unreachable, match=said) as trouble:
        present(provider)
    assert trouble.value.retry
    lab.admin("faults", [])
    assert lab.records() == []


def test_nobody_listens(token_file: Path) -> None:
    provider = dns.provider("cloudflare", token_file=token_file, api_url="http://127.0.0.1:1/client/v4")
    with pytest.raises(Unreachable, match="no answer from"):
        present(provider)


def test_what_cloudflare_refuses_is_told_in_its_words(lab: Lab, provider: dns.Provider) -> None:
    zone = provider.zone_for(NAME)
    bad = dns.Record("bad name.mycompany.com", "A", "11.22.33.10")
    with pytest.raises(KitError) as refusal:
        provider.apply(zone, dns.Snapshot(bad.name), [dns.Change(None, bad)])
    assert "1004 DNS Validation Error" in refusal.value.seen


def test_tls_with_an_own_ca(tmp_path: Path, token_file: Path) -> None:
    from lab.cloudflare.process import running

    ca, cert, key = own_certificate(tmp_path)
    tls = ("--tls-cert", str(cert), "--tls-key", str(key))
    with running("--zone", "mycompany.com", "--token", "good", *tls) as base:
        api = f"{base}/client/v4"
        assert present(dns.provider("cloudflare", token_file=token_file, api_url=api, api_ca_file=ca)).changed
        with pytest.raises(Unreachable) as refusal:
            present(dns.provider("cloudflare", token_file=token_file, api_url=api))
    assert "api_ca_file" in refusal.value.next


def own_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, twice as CA file and as server certificate, and its key."""
    import ipaddress
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, cert_file, key_file
