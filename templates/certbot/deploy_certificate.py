#!/usr/bin/python3
"""Serve the certificate that certbot keeps: lay it at the stable path, reload nginx, see that nginx serves it.

    deploy-certificate --name NAME --directory DIRECTORY [--lineage FOLDER] [--check]

``DIRECTORY`` is a link. Certificate and key are copied next to it, checked to belong together, and the link is moved in one step,
so that nginx never reads one without the other. If nginx refuses them, the link is moved back. Running it again changes nothing.
Exit code 0: nginx serves it. 1: it does not; what was seen and what to do is said on standard error.
Standard library only: it runs with the host's own Python, as certbot's deploy hook and after each run of the timer.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

FILES = ("fullchain.pem", "privkey.pem")
KEEP = 2  # the version served and the one before it
ADDRESS = ("127.0.0.1", 443)
PATIENCE_S = 10.0


class Problem(Exception):
    """What went wrong, what was seen, what to do."""

    def __init__(self, what: str, seen: str, remedy: str) -> None:
        super().__init__(f"{what}\n  seen: {seen}\n  next: {remedy}")


def leaf(path: Path) -> bytes:
    """The first certificate of a PEM file, as DER."""
    text = path.read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN") : text.index(end) + len(end)])


def serial(certificate: bytes) -> str:
    """The serial number, as openssl writes it."""
    done = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-noout", "-serial"], input=certificate, capture_output=True, check=True
    )
    return done.stdout.decode().strip().removeprefix("serial=")


def served(name: str) -> bytes | None:
    """The certificate nginx hands out for ``name``, as DER; None when it hands out none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the question is which one is served, not whether this host trusts it
    try:
        with socket.create_connection(ADDRESS, timeout=3) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.getpeercert(binary_form=True)
    except OSError:
        return None


def copy(lineage: Path, versions: Path) -> Path:
    """A folder of its own for this certificate and key, which must belong together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*(lineage / name for name in FILES))
    except ssl.SSLError as error:
        raise Problem(
            f"certificate and key in {lineage} do not belong together; the one served before stays",
            str(error),
            "run certbot renew --force-renewal to get a new pair",
        ) from None
    version = versions / hashlib.sha256(leaf(lineage / FILES[0])).hexdigest()[:16]
    version.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, mode in zip(FILES, (0o644, 0o600), strict=True):
        part = version / f"{name}.part"
        part.touch(mode=0o600)
        part.write_bytes((lineage / name).read_bytes())
        part.chmod(mode)
        part.replace(version / name)
    return version


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
    """Lay the lineage's certificate at the stable path and reload nginx; on nginx's refusal all is as before."""
    if link.exists() and not link.is_symlink():
        raise Problem(
            f"{link} is a folder that this kit did not make; it was left alone", str(link), "move it away, then run this again"
        )
    versions = link.with_name(link.name + ".d")
    before = link.resolve() if link.is_symlink() else None
    version = copy(lineage, versions)
    point(link, version)
    complaint = reload_nginx()
    if complaint and before and before.exists() and before != version:
        point(link, before)
    if complaint:
        raise Problem(
            "nginx could not be reloaded with the new certificate; the one served before stays",
            complaint,
            'mend what nginx names until "nginx -t" is content, then run this again (or wait for the timer)',
        )
    drop_old(versions)


def drop_old(versions: Path) -> None:
    """Forget all but the newest versions; the placeholder stays, it is the role reverse_proxy's."""
    kept = sorted((v for v in versions.iterdir() if v.name != "placeholder"), key=lambda v: v.stat().st_mtime)
    for version in kept[:-KEEP]:
        shutil.rmtree(version)


def wait_until_served(name: str, wanted: bytes, patience_s: float) -> None:
    """Return when nginx serves ``wanted``; old workers may answer for a moment after a reload."""
    end = time.monotonic() + patience_s
    while (seen := served(name)) != wanted:
        if time.monotonic() > end:
            raise Problem(
                f"nginx does not serve the certificate of {name} that lies on this host (serial {serial(wanted)})",
                f"serial {serial(seen)} on {ADDRESS[0]}:{ADDRESS[1]}" if seen else f"no TLS answer on {ADDRESS[0]}:{ADDRESS[1]}",
                "systemctl status nginx; systemctl restart nginx if it runs an old configuration; then run this again",
            )
        time.sleep(0.2)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Serve the certificate that certbot keeps.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--lineage", type=Path)
    parser.add_argument("--check", action="store_true", help="only look")
    asked = parser.parse_args(arguments)
    lineage = asked.lineage or Path("/etc/letsencrypt/live") / asked.name
    try:
        wanted = leaf(lineage / FILES[0])
        laid = asked.directory / FILES[0]
        if not asked.check and not (laid.exists() and leaf(laid) == wanted == served(asked.name)):
            deploy(lineage, asked.directory)
        wait_until_served(asked.name, wanted, 0.0 if asked.check else PATIENCE_S)
    except (Problem, OSError, ValueError) as error:
        print(f"deploy-certificate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
