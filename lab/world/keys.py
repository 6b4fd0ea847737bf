"""The lab's secrets and keys: made anew at each start, in files only root can read."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from lab.world.layout import EDGE_MANAGEMENT, INTERNET_MANAGEMENT, ROUTER_MANAGEMENT, RUN, SECRETS
from lab.world.system import run, succeeds

SSH = RUN / "ssh"
SSH_KEY = SSH / "id_ed25519"
KNOWN_HOSTS = SSH / "known_hosts"
# Ansible's kept connections: a new lab must never meet those of the one before it.
SSH_CONTROL = SSH / "control"
SSH_HOSTS = {"router": ROUTER_MANAGEMENT, "edge": EDGE_MANAGEMENT, "observer": INTERNET_MANAGEMENT}

CLOUDFLARE_TOKEN = SECRETS / "cloudflare_token"
TSIG_KEY = SECRETS / "tsig.key"
TSIG_NAME = "lab-cloudflare"
REALM = "9341454816381446"
CLIENT_ID = "ABlabQboKitClientId0000000000000000000000000000000"
CLIENT_SECRET = SECRETS / "qbo_client_secret"
DATABASE_PASSWORD = SECRETS / "miracle_password"


def write_private(path: Path, text: str) -> str:
    """Write a file only root can read, and return what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return text


def make() -> None:
    """Write every secret and key of this lab."""
    for path in (CLOUDFLARE_TOKEN, CLIENT_SECRET, DATABASE_PASSWORD):
        write_private(path, secrets.token_urlsafe(30) + "\n")
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    write_private(TSIG_KEY, f'key "{TSIG_NAME}" {{ algorithm hmac-sha256; secret "{secret}"; }};\n')
    SSH.mkdir(mode=0o700)
    _keygen(SSH_KEY, "qbo-kit lab")
    lines = []
    for name, address in SSH_HOSTS.items():
        _keygen(host_key(name), name)
        kind, key, _ = host_key(name).with_suffix(".pub").read_text(encoding="ascii").split(" ", 2)
        lines.append(f"{address} {kind} {key}\n")
    KNOWN_HOSTS.write_text("".join(lines), encoding="ascii")


def host_key(name: str) -> Path:
    """The private host key of a host that is reached over SSH."""
    return SSH / f"host_{name}"


def ssh_arguments() -> list[str]:
    """What ssh needs to know the lab's hosts and be known to them; host key checking stays on."""
    return ["-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]


def close_connections() -> None:
    """End the connections to the lab's hosts that Ansible keeps open for its next task."""
    for control in SSH_CONTROL.glob("*"):
        succeeds("ssh", "-O", "exit", "-o", f"ControlPath={control}", "lab")


def _keygen(path: Path, comment: str) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
