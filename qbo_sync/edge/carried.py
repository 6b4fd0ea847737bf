"""What the certificate program finds on the edge host: its settings and secrets, made from what the site's file names.

Runs on the control node. Everything is checked before anything is sent; a secret that others can read is refused.
"""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qbo_sync.config import read_secret
from qbo_sync.edge import brought
from qbo_sync.errors import UsageError

FOLDER = "/etc/qbo-kit/certificate"
SETTINGS = "settings.json"
ORDERING = ("challenge", "email", "limits", "profile", "rehearsal")  # what a brought certificate has no use for

Given = Mapping[str, Any]


@dataclass
class Carried:
    """The files of one certificate, name -> content. ``open_secret`` finds a secret's file (a vault is opened)."""

    name: str
    open_secret: Callable[[str], Path]
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where they lie on the edge host."""
        return f"{FOLDER}/{self.name}"

    def settings(
        self, plain: Given, authorities: list[Given], dns: Given, brought_files: Given, alerts: Given, pfx: Given
    ) -> None:
        """Make every file. Raises :class:`UsageError` for the first thing that can't be used; nothing secret is told."""
        made = {key: value for key, value in plain.items() if value not in ("", {}, [])}
        if made.get("source") == "files":
            made = {key: value for key, value in made.items() if key not in ORDERING}
            made["files"] = self._brought(brought_files)
        else:
            made["authorities"] = [self._authority(str(number), one) for number, one in enumerate(authorities)]
            made["challenge"] = self._challenge(made["challenge"], dns)
            if "rehearsal" in made:
                made["rehearsal"] = self._authority("rehearsal", {**authorities[0], "directory": made["rehearsal"]})
        made |= {"alerts": self._alerts(alerts), "pfx": self._pfx(pfx)}
        self.files[SETTINGS] = (json.dumps(made, indent=1, sort_keys=True) + "\n").encode()

    def _put(self, file: str, content: bytes) -> str:
        self.files[file] = content
        return f"{self.folder}/{file}"

    def _secret(self, given: Given, variable: str, key: str) -> str:
        if not given.get(key):
            raise UsageError(f"{variable}.{key} is not set", next="set it to the file, on this machine, that holds the secret")
        return read_secret(self.open_secret(given[key]), f"secret of {variable}.{key}")

    def _text(self, given: Given, variable: str, key: str) -> bytes:
        try:
            return Path(given[key]).expanduser().read_bytes()
        except OSError as error:
            raise UsageError(
                f"the file of {variable}.{key} cannot be read", seen=f"{given[key]}: {error.strerror}", next=f"mend {variable}"
            ) from None

    def _authority(self, label: str, given: Given) -> dict[str, str]:
        made = {"directory": str(given["directory"])}
        if given.get("ca_file"):
            made["ca_file"] = self._put(f"authority-{label}.pem", self._text(given, "the CA", "ca_file"))
        if given.get("eab_kid"):
            key = self._secret(given, "the CA", "eab_hmac_key_file")
            made["config"] = self._put(f"authority-{label}.ini", f"eab-kid = {given['eab_kid']}\neab-hmac-key = {key}\n".encode())
        return made

    def _challenge(self, challenge: Given, given: Given) -> dict[str, Any]:
        if challenge["kind"] == "http":
            return dict(challenge)
        content, environment = {"dns-cloudflare": self._cloudflare, "dns-rfc2136": self._rfc2136}[challenge["kind"]](given)
        return {
            "kind": challenge["kind"],
            "credentials": self._put("dns.ini", content.encode()),
            "propagation_s": int(given.get("propagation_s", 0)),
            "environment": environment,
        }

    def _cloudflare(self, given: Given) -> tuple[str, dict[str, str]]:
        environment = {"CLOUDFLARE_BASE_URL": given["api_url"]} if given.get("api_url") else {}
        if given.get("api_ca_file"):
            environment["SSL_CERT_FILE"] = self._put("dns-api.pem", self._text(given, "certificate_dns", "api_ca_file"))
        return f"dns_cloudflare_api_token = {self._secret(given, 'certificate_dns', 'token_file')}\n", environment

    def _rfc2136(self, given: Given) -> tuple[str, dict[str, str]]:
        """In certbot's own names; the file is what ``tsig-keygen`` prints."""
        from qbo_sync.edge.dns.rfc2136 import read_key  # needs dnspython, which only this challenge does

        self._secret(given, "certificate_dns", "token_file")
        if not given.get("server"):
            raise UsageError(
                "certificate_dns.server is not set", next="set it to the IP address of the zone's primary name server"
            )
        key = read_key(self.open_secret(given["token_file"]))
        values = {
            "server": given["server"],
            "name": str(key.name).rstrip("."),
            "secret": base64.b64encode(key.secret).decode(),
            "algorithm": str(key.algorithm).rstrip(".").upper(),
        }
        return "".join(f"dns_rfc2136_{name} = {value}\n" for name, value in values.items()), {}

    def _brought(self, given: Given) -> str:
        if not given.get("certificate"):
            raise UsageError("certificate_files.certificate is not set", next="set it to the certificate's file, PEM or PFX")
        given = {**given, "certificate": str(self.open_secret(given["certificate"]))}
        contents = [self._text(given, "certificate_files", key) for key in ("certificate", "chain") if given.get(key)]
        if brought.holds_key(contents[0]):
            self._private(Path(given["certificate"]))
        if given.get("key"):
            contents.append(self._secret(given, "certificate_files", "key").encode())
        password = self._secret(given, "certificate_files", "password_file").encode() if given.get("password_file") else None
        roots = self._text(given, "certificate_files", "ca_file") if given.get("ca_file") else brought.public_roots()
        found = brought.check(self.name, contents, password, roots, brought.now())
        self._put("fullchain.pem", found.fullchain)
        self._put("privkey.pem", found.key)
        return self.folder

    def _private(self, path: Path) -> None:
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise UsageError(f"{path} holds a private key and everybody may read it", next=f"chmod 600 {path}")

    def _alerts(self, given: Given) -> dict[str, Any]:
        plain = ("recipients", "sender", "smtp_host", "smtp_port", "smtp_security", "smtp_user")
        made = {key: given[key] for key in plain if given.get(key)}
        if given.get("recipients"):
            made["recipients"] = _recipients(given["recipients"])
        if given.get("recipients") and not (given.get("sender") and given.get("smtp_host")):
            raise UsageError(
                "alerts by e-mail need a sender and a mail server", next="set certificate_alerts.sender and .smtp_host"
            )
        if given.get("smtp_user"):
            password = self._secret(given, "certificate_alerts", "smtp_password_file")
            made["smtp_password_file"] = self._put("smtp-password", password.encode())
        if given.get("webhook_file"):
            address = self._secret(given, "certificate_alerts", "webhook_file")
            if not address.startswith("https://"):
                raise UsageError("the webhook's address does not begin with https://", next="mend the file of certificate_alerts")
            made["webhook_file"] = self._put("webhook", address.encode())
        if given.get("ca_file"):
            made["ca_file"] = self._put("alerts.pem", self._text(given, "certificate_alerts", "ca_file"))
        return made

    def _pfx(self, given: Given) -> dict[str, str]:
        if not given:
            return {}
        encryption, path = given.get("encryption", "modern"), given.get("path", "")
        if encryption not in ("modern", "legacy") or not path.startswith("/"):
            raise UsageError(
                "certificate_pfx cannot be used",
                seen=f"path={path}, encryption={encryption}",
                next="an absolute path on the edge host, and modern (Windows Server 2019 and newer) or legacy",
            )
        password = self._secret(given, "certificate_pfx", "password_file")
        return {"path": path, "password_file": self._put("pfx-password", password.encode()), "encryption": encryption}


def _recipients(given: str | list[Any]) -> list[str]:
    """The addresses of a list, or of a text with commas, as Ansible takes either. Raises :class:`UsageError`."""
    found = [one.strip() for text in ([given] if isinstance(given, str) else given) for one in str(text).split(",")]
    for one in found:
        if not one or len(one.split()) > 1:
            raise UsageError(
                "a recipient of certificate_alerts cannot be written to",
                seen=repr(one),
                next="list e-mail addresses: recipients: [it@company.com]",
            )
    return found
