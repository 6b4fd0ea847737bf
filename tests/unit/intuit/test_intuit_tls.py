"""Only a server that proves who it is gets a token."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from intuit_lab import Lab, Rests

from lab.intuit.process import running
from qbo_sync.errors import Unreachable
from qbo_sync.intuit import Connection, Http


@dataclass
class Certificate:
    """Files of one self-signed certificate."""

    certificate: Path
    key: Path


def make(folder: Path, address: str, days: int) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "look-alike")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / f"{address}-{days}.pem", folder / f"{address}-{days}.key")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def read_addresses(base: str, folder: Path, rests: Rests, ca_file: Path | None) -> str:
    settings = Lab(base).settings(folder, ca_file=ca_file)
    return Connection(settings, http=Http(settings, sleep=rests)).authorize_url("state")


@pytest.mark.parametrize(
    ("address", "days", "trusted", "accepted"),
    [
        ("127.0.0.1", 1, True, True),
        ("127.0.0.1", 1, False, False),
        ("127.0.0.1", -1, True, False),
        ("127.0.0.2", 1, True, False),
    ],
    ids=["right", "unknown issuer", "expired", "another server"],
)
def test_proof(
    tmp_path: Path, rests: Rests, monkeypatch: pytest.MonkeyPatch, address: str, days: int, trusted: bool, accepted: bool
) -> None:
    files = make(tmp_path, address, days)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make(tmp_path, "127.0.0.9", 9).certificate))
    with running("--tls-cert", str(files.certificate), "--tls-key", str(files.key)) as base:
        ca_file = files.certificate if trusted else None
        if accepted:
            assert read_addresses(base, tmp_path, rests, ca_file).startswith(f"{base}/connect/oauth2?")
            return
        with pytest.raises(Unreachable, match="could not prove"):
            read_addresses(base, tmp_path, rests, ca_file)
    assert rests.seconds == [], "a wrong proof does not get right by waiting"
