"""Only a server that proves who it is gets a token."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import warnings
from contextlib import suppress
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


def old_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """TLS 1.1 and nothing newer, which OpenSSL has to be talked into."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_an_old_tls_is_refused(tmp_path: Path, rests: Rests) -> None:
    files = make(tmp_path, "127.0.0.1", 1)
    context = old_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(files.certificate, files.key)
    agreed: list[str | None] = []

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                client, _address = server.accept()
                with suppress(OSError), context.wrap_socket(client, server_side=True) as shaken:
                    agreed.append(shaken.version())

        thread = threading.Thread(target=serve)
        thread.start()
        careless = old_tls(ssl.create_default_context(cafile=str(files.certificate)))
        with socket.create_connection(("127.0.0.1", port)) as raw, careless.wrap_socket(raw, server_hostname="127.0.0.1"):
            """A client that is content with it gets through: it is the version that ours refuses."""
        with pytest.raises(Unreachable):
            read_addresses(f"https://127.0.0.1:{port}", tmp_path, rests, files.certificate)
        thread.join(timeout=20)
    assert agreed == ["TLSv1.1"]
