#!/usr/bin/python
"""What certificates lie on the host. Reads only; works on an empty host."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

DOCUMENTATION = """
module: certificate_facts
short_description: the lineage certbot keeps for a name, and what lies at the stable path
description: Reads only. The certificate itself is read, never what a program prints about it for people.
options:
  name: {description: name of the lineage, type: str, required: true}
  directory: {description: the stable path of the certificate, type: path, required: true}
  config_dir: {description: "certbot's folder", type: path, default: /etc/letsencrypt}
  lineage: {description: "folder of a pair that was brought; empty means the one certbot keeps", type: str, default: ""}
  store: {description: "folder of the state file", type: path, default: /var/lib/qbo-kit/certificate}
author: qbo-kit
"""

EXAMPLES = """
- certificate_facts:
    name: qbo.example.com
    directory: /etc/qbo-kit/tls/qbo.example.com
"""

RETURN = """
facts: {description: what was seen, type: dict, returned: always}
"""

# What a person types: that, or what it leads to.
CALLED = "/usr/local/bin/certbot"


def openssl(path: Path, *options: str) -> str:
    """One question to ``openssl x509`` about the first certificate of a file; empty when it cannot be read."""
    command = ["openssl", "x509", "-in", str(path), "-noout", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def describe(path: Path) -> dict[str, Any]:
    """Names, issuer, serial number and days left of a certificate; ``{}`` when there is none."""
    if not path.is_file() or not shutil.which("openssl"):
        return {}
    end = openssl(path, "-enddate").removeprefix("notAfter=")
    if not end:
        return {}
    return {
        "names": sorted(re.findall(r"DNS:([^\s,]+)", openssl(path, "-ext", "subjectAltName"))),
        "issuer": openssl(path, "-issuer", "-nameopt", "RFC2253").removeprefix("issuer="),
        "serial": openssl(path, "-serial").removeprefix("serial="),
        "fingerprint": openssl(path, "-fingerprint", "-sha256").partition("=")[2].replace(":", "").lower(),
        "days_left": int((ssl.cert_time_to_seconds(end) - time.time()) // 86400),
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


def look(name: str, directory: Path, config_dir: Path, folder: str = "", store: Path = Path("/nowhere")) -> dict[str, Any]:
    """Everything the role decides on."""
    lineage = (Path(folder) if folder else config_dir / "live" / name) / "fullchain.pem"
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


def main() -> None:
    """Ansible's entry point."""
    from ansible.module_utils.basic import AnsibleModule

    spec = {
        "name": {"type": "str", "required": True},
        "directory": {"type": "path", "required": True},
        "config_dir": {"type": "path", "default": "/etc/letsencrypt"},
        "lineage": {"type": "str", "default": ""},
        "store": {"type": "path", "default": "/var/lib/qbo-kit/certificate"},
    }
    module = AnsibleModule(spec, supports_check_mode=True)
    asked = module.params
    places = [Path(asked["directory"]), Path(asked["config_dir"]), asked["lineage"], Path(asked["store"])]
    module.exit_json(changed=False, facts=look(asked["name"], *places))


if __name__ == "__main__":
    main()
