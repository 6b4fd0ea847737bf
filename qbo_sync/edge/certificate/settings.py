"""What the role wrote for this host's certificate: one JSON file, root's alone. Secrets are named by file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qbo_sync.errors import UsageError

FOLDER = Path("/etc/qbo-kit/certificate")
STORE = Path("/var/lib/qbo-kit/certificate")


@dataclass(frozen=True)
class Authority:
    """A CA: its ACME directory, the file its web server is trusted by, and a certbot configuration with its account's secret."""

    directory: str
    ca_file: str = ""
    config: str = ""


@dataclass(frozen=True)
class Challenge:
    """How the name is proved: ``http`` through nginx, or ``dns-cloudflare`` and ``dns-rfc2136`` where port 80 is closed."""

    kind: str = "http"
    webroot: str = "/var/lib/qbo-kit/acme"
    credentials: str = ""
    propagation_s: int = 0
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alerts:
    """Who is told, and how. Empty: nobody."""

    recipients: tuple[str, ...] = ()
    sender: str = ""
    smtp_host: str = ""
    smtp_port: int = 25
    smtp_security: str = "none"
    smtp_user: str = ""
    smtp_password_file: str = ""
    webhook_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class Pfx:
    """A PFX file to be written with every new certificate; ``encryption`` is ``modern`` or ``legacy``."""

    path: str
    password_file: str
    encryption: str = "modern"


@dataclass(frozen=True)
class Settings:
    """Everything the program needs to know; times in seconds."""

    name: str
    directory: Path
    source: str = "acme"
    files: Path = Path("/nowhere")
    email: str = ""
    authorities: tuple[Authority, ...] = ()
    rehearsal: Authority | None = None
    profile: str = ""
    challenge: Challenge = Challenge()
    certbot: str = "/opt/qbo-kit/certbot/bin/certbot"
    certbot_folder: Path = Path("/etc/letsencrypt")
    store: Path = STORE
    backoff_s: tuple[float, ...] = (60.0, 600.0, 6000.0, 86400.0)
    limits: tuple[int, int] | None = None
    alerts: Alerts = Alerts()
    pfx: Pfx | None = None
    service: str = ""  # the unit that a retry starts; empty: none is arranged

    @property
    def lineage(self) -> Path:
        """The folder with the pair that shall be served: certbot's, or the one the role brought."""
        return self.files if self.source == "files" else self.certbot_folder / "live" / self.name

    @property
    def state_file(self) -> Path:
        """Where monitoring looks."""
        return self.store / f"{self.name}.json"

    @property
    def budget_file(self) -> Path:
        """Where failures and certificates are counted, for all names of this host."""
        return self.store / "budget.json"


def load(name: str, folder: Path = FOLDER) -> Settings:
    """The settings of one name, or of the only one when ``name`` is empty. Raises :class:`UsageError`."""
    found = [folder / name / "settings.json"] if name else sorted(folder.glob("*/settings.json"))
    if len(found) != 1:
        raise UsageError(
            "which certificate is meant?",
            seen=", ".join(path.parent.name for path in found) or f"no settings in {folder}",
            next="name it: qbo-kit-certificate --name qbo.company.com …; without any, run the role certificate first",
        )
    try:
        return parse(json.loads(found[0].read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"the settings {found[0]} cannot be used",
            seen=f"{type(error).__name__}: {error}",
            next="run the role certificate again",
        ) from error


def parse(content: dict[str, Any]) -> Settings:
    """The settings from the file's content. Raises :class:`TypeError` or :class:`KeyError` for what they can't be."""
    given = {key: value for key, value in content.items() if value not in (None, "", [], {})}
    for key in ("directory", "files", "certbot_folder", "store"):
        if key in given:
            given[key] = Path(given[key])
    if "authorities" in given:
        given["authorities"] = tuple(Authority(**one) for one in given["authorities"])
    for key, kind in (("rehearsal", Authority), ("challenge", Challenge), ("pfx", Pfx)):
        if key in given:
            given[key] = kind(**given[key])
    if "alerts" in given:
        recipients = given["alerts"].get("recipients", ())
        one = isinstance(recipients, str)
        given["alerts"] = Alerts(**{**given["alerts"], "recipients": (recipients,) if one else tuple(recipients)})
    for key in ("backoff_s", "limits"):
        if key in given:
            given[key] = tuple(given[key])
    return Settings(**given)
