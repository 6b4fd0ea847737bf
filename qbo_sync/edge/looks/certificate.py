"""What certificates lie on a host: the lineage that is kept for a name, and what lies at the stable path.

Works on an empty host. The certificate itself is read, never what a program prints about it for people.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# What a person types: that, or what it leads to.
CALLED = "/usr/local/bin/certbot"


# All that is asked about a certificate, in one call.
ASKED = ("-enddate", "-serial", "-fingerprint", "-sha256", "-issuer", "-nameopt", "RFC2253", "-ext", "subjectAltName")


def describe(path: Path) -> dict[str, Any]:
    """Names, issuer, serial number and days left of a file's first certificate; ``{}`` when there is none."""
    if not path.is_file() or not shutil.which("openssl"):
        return {}
    command = ["openssl", "x509", "-in", str(path), "-noout", *ASKED]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    said = dict(re.findall(r"^(notAfter|serial|issuer|\w+ Fingerprint)=(.*)$", shown, re.MULTILINE))
    if "notAfter" not in said:
        return {}
    return {
        "names": sorted(re.findall(r"DNS:([^\s,]+)", shown.partition("Subject Alternative Name")[2])),
        "issuer": said["issuer"],
        "serial": said["serial"],
        "fingerprint": next(value for name, value in said.items() if name.endswith("Fingerprint")).replace(":", "").lower(),
        "days_left": int((ssl.cert_time_to_seconds(said["notAfter"]) - time.time()) // 86400),
    }


def kept(path: Path, option: str) -> str:
    """What certbot kept of the lineage's last order, by which it renews when it is called by hand; empty when there is none."""
    if not path.is_file():
        return ""
    match = re.search(rf"^{option}\s*=\s*(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else ""


def written_pfx(state: Path) -> str:
    """The PFX file that the certificate program has written, by its state file; empty when there is none."""
    try:
        content = json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str((content.get("pfx") or {}).get("path", "")) if isinstance(content, dict) else ""


def same(one: Path, other: Path) -> bool:
    """Whether both files are there and hold the same bytes."""
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything the role decides on.

    ``asked``: ``name`` of the lineage, ``directory`` (the stable path), ``config_dir`` (certbot's folder), ``lineage`` (folder of
    a pair that was brought; empty: the one that certbot keeps), ``store`` (folder of the state file).
    """
    name, directory, config_dir, store = asked["name"], Path(asked["directory"]), Path(asked["config_dir"]), Path(asked["store"])
    lineage = (Path(asked["lineage"]) if asked["lineage"] else config_dir / "live" / name) / "fullchain.pem"
    conf = config_dir / "renewal" / f"{name}.conf"
    return {
        "lineage": describe(lineage),
        "server": kept(conf, "server"),
        "authenticator": kept(conf, "authenticator"),
        "deployed": same(lineage, directory / "fullchain.pem"),
        "recorded": (store / f"{name}.json").is_file(),
        "pfx": written_pfx(store / f"{name}.json"),
        "own_directory": directory.is_dir() and not directory.is_symlink(),
        "other_certbot": bool(shutil.which("certbot", path="/usr/sbin:/usr/bin:/sbin:/bin")),
        "called": os.path.realpath(CALLED),
        "nginx": bool(shutil.which("nginx")),
    }


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
