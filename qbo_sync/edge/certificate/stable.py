"""The stable path: certificate and key laid where nginx reads them, nginx reloaded, the certificate it serves compared.

The path is a link to a folder with one certificate and its key, named after the certificate. A new pair gets a folder of its own,
complete before it has its name, and the link moves in one step: whenever this program dies, the path leads to a pair that belongs
together. If nginx refuses the new pair, the link moves back.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from qbo_sync.errors import KitError

FILES = ("fullchain.pem", "privkey.pem")
KEEP = 2  # the version served and the one before it
ADDRESS = ("127.0.0.1", 443)
PATIENCE_S = 10.0
DAY_S = 86400.0


@dataclass(frozen=True)
class Certificate:
    """What monitoring wants to know; times are seconds since 1970 UTC, ``fingerprint`` is SHA-256 over the DER form."""

    fingerprint: str
    serial: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float

    @property
    def lifetime_s(self) -> float:
        """How long it is valid in all."""
        return self.not_after - self.not_before

    @property
    def due_at(self) -> float:
        """When certbot renews it unless the CA says otherwise: a third of the lifetime left, half of one below ten days."""
        share = 1 / 2 if self.lifetime_s < 10 * DAY_S else 1 / 3
        return self.not_after - self.lifetime_s * share


def leaf(path: Path) -> bytes:
    """The first certificate of a PEM file, as DER. Raises :class:`ValueError` when there is none, :class:`OSError`."""
    text = path.read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE-----") : text.index(end) + len(end)])


def fingerprint(der: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


def describe(der: bytes) -> Certificate:
    """Read a certificate. Raises :class:`ValueError` for what is none."""
    wanted = ["-serial", "-issuer", "-nameopt", "RFC2253", "-startdate", "-enddate", "-ext", "subjectAltName"]
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", *wanted], input=der, capture_output=True, check=False)
    text = done.stdout.decode("utf-8", "replace")
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith(" "))
    if "notAfter" not in fields:
        raise ValueError(f"no certificate: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    return Certificate(
        fingerprint=fingerprint(der),
        serial=fields.get("serial", ""),
        issuer=fields.get("issuer", ""),
        names=tuple(sorted(re.findall(r"DNS:([^\s,]+)", text))),
        not_before=float(ssl.cert_time_to_seconds(fields["notBefore"])),
        not_after=float(ssl.cert_time_to_seconds(fields["notAfter"])),
    )


def served(name: str, address: tuple[str, int] = ADDRESS) -> bytes | None:
    """The certificate handed out for ``name``, as DER; None when there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the question is which one is served, not whether this host trusts it
    try:
        with socket.create_connection(address, timeout=3) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True)
    except OSError:
        return None


def laid(link: Path) -> bytes | None:
    """The certificate at the stable path, as DER; None when there is none."""
    try:
        return leaf(link / FILES[0])
    except (OSError, ValueError):
        return None


def version_of(lineage: Path, versions: Path) -> Path:
    """A folder of its own for this certificate and key, which must belong together; there whole, or not at all."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(lineage / FILES[0], lineage / FILES[1])
    except ssl.SSLError as error:
        raise KitError(
            f"certificate and key in {lineage} do not belong together; the one served before stays",
            seen=str(error),
            next="run certbot renew --force-renewal to get a new pair, or bring the right key",
        ) from None
    version = versions / fingerprint(leaf(lineage / FILES[0]))[:16]
    if version.is_dir():
        os.utime(version)  # the newest again: an older one goes first
        return version
    versions.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=versions, prefix=".new-") as made:
        whole = Path(made) / "version"
        whole.mkdir(mode=0o700)
        for name, mode in zip(FILES, (0o644, 0o600), strict=True):
            _write(whole / name, (lineage / name).read_bytes(), mode)
        whole.replace(version)
    return version


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)


def point(link: Path, target: Path) -> None:
    """Move the link to another version, in one step."""
    new = link.with_name(link.name + ".new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def reload_nginx() -> str:
    """Check the configuration and reload; nginx's complaint, or nothing."""
    for command in (["nginx", "-t", "-q"], ["systemctl", "reload", "nginx"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return done.stderr.strip() or f"{' '.join(command)} ended with {done.returncode}"
    return ""


def deploy(lineage: Path, link: Path) -> None:
    """Lay the lineage's pair at the stable path and reload nginx; on nginx's refusal all is as before.

    Raises :class:`KitError`.
    """
    if link.exists() and not link.is_symlink():
        raise KitError(
            f"{link} is a folder that this kit did not make; it was left alone", next="move it away, then run this again"
        )
    versions = link.with_name(link.name + ".d")
    before = link.resolve() if link.is_symlink() else None
    version = version_of(lineage, versions)
    point(link, version)
    complaint = reload_nginx()
    if complaint and before and before.exists() and before != version:
        point(link, before)
    if complaint:
        raise KitError(
            "nginx could not be reloaded with the new certificate; the one served before stays",
            seen=complaint,
            next='mend what nginx names until "nginx -t" is content, then run qbo-kit-certificate deploy (or wait for the timer)',
        )
    drop_old(versions)


def drop_old(versions: Path) -> None:
    """Forget all but the newest versions, and what a killed run left; the placeholder is the role reverse_proxy's."""
    found = [v for v in versions.iterdir() if v.name != "placeholder"]
    kept = sorted((v for v in found if not v.name.startswith(".")), key=lambda v: v.stat().st_mtime)
    for version in [*kept[:-KEEP], *(v for v in found if v.name.startswith("."))]:
        shutil.rmtree(version)


def serve(name: str, lineage: Path, link: Path, *, check: bool = False) -> bool:
    """See that nginx serves the lineage's certificate, and make it so unless ``check``; whether something was done.

    Raises :class:`KitError` when nginx serves another one in the end, :class:`OSError` or :class:`ValueError` when the lineage
    can't be read.
    """
    wanted = leaf(lineage / FILES[0])
    changed = not check and not laid(link) == wanted == served(name)
    if changed:
        deploy(lineage, link)
    _wait_until_served(name, wanted, 0.0 if check else PATIENCE_S)
    return changed


def _wait_until_served(name: str, wanted: bytes, patience_s: float) -> None:
    """Return when nginx serves ``wanted``; old workers may answer for a moment after a reload."""
    end = time.monotonic() + patience_s
    while (seen := served(name)) != wanted:
        if time.monotonic() > end:
            raise KitError(
                f"nginx does not serve the certificate of {name} that lies on this host (serial {describe(wanted).serial})",
                seen=f"serial {describe(seen).serial} on {ADDRESS[0]}:{ADDRESS[1]}"
                if seen
                else f"no TLS answer on {ADDRESS[0]}:{ADDRESS[1]}",
                next="systemctl status nginx; systemctl restart nginx if it runs an old configuration; then run this again",
            )
        time.sleep(0.2)
