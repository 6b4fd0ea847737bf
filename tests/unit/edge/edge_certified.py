"""Certificates, keys and CAs made on the spot."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "qbo.example.com"
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


@dataclass
class Certified:
    """A certificate and its key. It may sign others."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def certify(
    subject: str, by: Certified | None = None, *, names: tuple[str, ...] = (), ca: bool = False, **dates: Any
) -> Certified:
    """A certificate for ``names``, or a CA; signed by itself when nobody else is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.certificate.subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dates.get("begin", NOW - DAY))
        .not_valid_after(dates.get("end", NOW + 60 * DAY))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        use = ExtendedKeyUsageOID.CLIENT_AUTH if dates.get("client") else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return Certified(builder.sign(by.key if by else key, hashes.SHA256()), key)


def lay(folder: Path, pair: Certified, *chain: Certified) -> Path:
    """A lineage as certbot keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fullchain.pem").write_bytes(pair.pem + b"".join(one.pem for one in chain))
    (folder / "privkey.pem").write_bytes(pair.key_pem)
    return folder
