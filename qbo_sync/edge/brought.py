"""A certificate that was bought, or issued by the company's own CA: looked at before it goes anywhere near nginx.

Runs on the control node. The guide allows any Domain Validation certificate; what goes wrong is always the same: the wrong key,
no intermediate certificate, the files in the wrong order, the wrong name, a date that was forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from qbo_sync.errors import UsageError

SERVER_USE = x509.oid.ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Brought:
    """A pair that can be served: ``fullchain`` is the certificate and its intermediates in the right order, without the root."""

    fullchain: bytes
    key: bytes
    not_after: datetime
    issuer: str

    def days_left(self, now: datetime) -> int:
        """Whole days until it runs out."""
        return (self.not_after - now).days


def check(name: str, contents: Sequence[bytes], password: bytes | None, roots: bytes, now: datetime) -> Brought:
    """Find the certificate, its key and its chain in the contents of the given files (PEM, or one PFX), whatever their order.

    ``roots`` is the PEM text of those who are trusted. Raises :class:`UsageError` naming what is wrong and what to ask for.
    """
    certificates, keys = _read(contents, password)
    if not keys:
        raise _refused(
            "there is no private key in them", "give the key that the certificate was ordered with (certificate_files.key)"
        )
    key = keys[0]
    leaf = next((one for one in certificates if _bytes(one.public_key()) == _bytes(key.public_key())), None)
    if leaf is None:
        raise _refused(
            f"the key belongs to none of the {len(certificates)} certificates in them",
            "give the key that was made with the order, or have the certificate issued anew for this key",
        )
    _usable(leaf, name, now)
    chain = _chain(leaf, [one for one in certificates if one is not leaf], x509.load_pem_x509_certificates(roots))
    return Brought(
        fullchain=b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
        key=key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        not_after=leaf.not_valid_after_utc,
        issuer=leaf.issuer.rfc4514_string(),
    )


def public_roots() -> bytes:
    """The roots that browsers trust (Mozilla's list), as PEM text."""
    return Path(certifi.where()).read_bytes()


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


def holds_key(content: bytes) -> bool:
    """Whether a private key is in it: a PFX, or PEM with one."""
    return b"-----BEGIN" not in content or b"PRIVATE KEY-----" in content


def _read(contents: Sequence[bytes], password: bytes | None) -> tuple[list[x509.Certificate], list[PrivateKeyTypes]]:
    certificates: list[x509.Certificate] = []
    keys: list[PrivateKeyTypes] = []
    for content in contents:
        try:
            if b"-----BEGIN" not in content:
                key, leaf, others = pkcs12.load_key_and_certificates(content, password)
                keys += [key] if key else []
                certificates += [*([leaf] if leaf else []), *others]
                continue
            if b"-----BEGIN CERTIFICATE-----" in content:
                certificates += x509.load_pem_x509_certificates(content)
            if b"PRIVATE KEY-----" in content:
                protected = b"ENCRYPTED" in content
                keys.append(serialization.load_pem_private_key(_key_block(content), password if protected else None))
        except (ValueError, TypeError) as error:
            raise _refused(
                f"one of them cannot be read ({type(error).__name__})",
                "give PEM files or one PFX file, and its password in the file that certificate_files.password_file names",
            ) from None
    return certificates, keys


def _key_block(content: bytes) -> bytes:
    """The private key of a file that may hold certificates too."""
    begin = content.rindex(b"-----BEGIN", 0, content.index(b"PRIVATE KEY-----"))
    return content[begin:]


def _usable(leaf: x509.Certificate, name: str, now: datetime) -> None:
    names = _names(leaf)
    if not any(_covers(one, name) for one in names):
        raise _refused(f"the certificate names {', '.join(names) or 'nothing'}, not {name}", f"have it issued for {name}")
    if now > leaf.not_valid_after_utc:
        raise _refused(f"the certificate ran out on {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it where it was bought")
    if now < leaf.not_valid_before_utc:
        raise _refused(
            f"the certificate is good only from {leaf.not_valid_before_utc:%Y-%m-%d}",
            "wait until then, or check this machine's clock",
        )
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if SERVER_USE not in uses:
        raise _refused(
            "the certificate is not for web servers", "buy a TLS (SSL) server certificate, Domain Validation is enough"
        )


def _chain(leaf: x509.Certificate, others: list[x509.Certificate], roots: list[x509.Certificate]) -> list[x509.Certificate]:
    """The certificate and its intermediates up to the one that a root has signed."""
    chain = [leaf]
    while not any(_signed(chain[-1], root) for root in roots):
        above = next((one for one in others if one not in chain and one.subject != one.issuer and _signed(chain[-1], one)), None)
        if above is None:
            missing = chain[-1].issuer.rfc4514_string()
            raise _refused(
                f"the chain is not complete: nobody who is trusted has signed it, and the certificate of {missing} is not there",
                "give the seller's intermediate certificates too (certificate_files.chain; often called bundle or CA file); "
                "for the company's own CA name its root in certificate_files.ca_file",
            )
        chain.append(above)
    return chain


def _signed(one: x509.Certificate, by: x509.Certificate) -> bool:
    if one.issuer != by.subject:
        return False
    try:
        one.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return []


def _covers(pattern: str, name: str) -> bool:
    """A wildcard stands for exactly one label (RFC 6125 6.4.3)."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.startswith("*."):
        return "." in name and name.split(".", 1)[1] == pattern[2:]
    return pattern == name


def _bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _refused(seen: str, next: str) -> UsageError:
    return UsageError("the given certificate files cannot be served; nothing was changed", seen=seen, next=next)
