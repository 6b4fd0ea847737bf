"""One call of certbot: always from our settings, never by scraping what it prints when all went well."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from qbo_sync.edge.certificate import problems
from qbo_sync.edge.certificate.settings import Authority, Settings

# An order with DNS records that have to spread takes minutes; one that takes longer has hung.
PATIENCE_S = 900
LOG = Path("/var/log/letsencrypt/letsencrypt.log")  # of the last run


def arguments(settings: Settings, authority: Authority, *, rehearse: bool = False, force: bool = False) -> list[str]:
    """The call: ECDSA P-256, one name, a fixed lineage name, so that no ``-0001`` appears.

    A certificate that is kept is *renewed*: certbot decides first, by ACME renewal information or lifetime (a third left, or
    half of less than ten days); a CA that is down is no failure while nothing is due. ``certonly`` asks the CA anyway.
    """
    kept = (settings.certbot_folder / "renewal" / f"{settings.name}.conf").exists() and not rehearse and not force
    verb = ["renew", "--no-random-sleep-on-renew"] if kept else ["certonly", "--domain", settings.name]
    when = ["--dry-run"] if rehearse else ["--force-renewal"] if force else []
    account = ["--email", settings.email] if settings.email else ["--register-unsafely-without-email"]
    return [
        *(settings.certbot, *verb, *when, "--non-interactive", "--agree-tos", *account),
        *(("--config", authority.config) if authority.config else ()),
        *("--server", authority.directory, *_challenge(settings), "--cert-name", settings.name),
        *("--key-type", "ecdsa", "--elliptic-curve", "secp256r1"),
        *(("--preferred-profile", settings.profile) if settings.profile else ()),
    ]


def run(settings: Settings, authority: Authority, *, rehearse: bool = False, force: bool = False) -> problems.Problem | None:
    """Call it; what went wrong, or nothing."""
    environment = dict(os.environ) | settings.challenge.environment
    if authority.ca_file:
        environment["REQUESTS_CA_BUNDLE"] = authority.ca_file
    command = arguments(settings, authority, rehearse=rehearse, force=force)
    began = time.time() - 1
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return problems.of("unreachable", f"certbot did not end within {PATIENCE_S} s")
    except OSError as error:
        return problems.of("unknown", f"{settings.certbot} cannot be called: {error}")
    return None if done.returncode == 0 else problems.explain(_raised(began) + done.stderr + done.stdout)


def _raised(began: float) -> str:
    """What ended the run, from its log: ``certonly`` prints the CA's sentence without the problem's type."""
    try:
        text = LOG.read_text(encoding="utf-8", errors="replace") if LOG.stat().st_mtime >= began else ""
    except OSError:
        return ""
    found = re.findall(r"^acme\.messages\.Error: .*$", text, re.MULTILINE)
    return f"{found[-1]}\n" if found else ""


def _challenge(settings: Settings) -> list[str]:
    challenge = settings.challenge
    if challenge.kind == "http":
        return ["--authenticator", "webroot", "--webroot-path", challenge.webroot]
    options = ["--authenticator", challenge.kind, f"--{challenge.kind}-credentials", challenge.credentials]
    if challenge.propagation_s:
        options += [f"--{challenge.kind}-propagation-seconds", str(challenge.propagation_s)]
    return options
