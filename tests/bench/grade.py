"""The grade that testssl.sh 3.2 gives the lab's secure address, from the observer.

Debian 12's testssl.sh (3.0, in the lab's image) knows no grades; the one of Debian 13 does. It is fetched by apt from the mirror
that this machine uses, and runs on the observer, with the observer's OpenSSL. The lab's CA is given to it as one to trust.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from lab.world import world
from lab.world.access import Lab
from lab.world.layout import ACME_ROOT_FILE, FQDN
from lab.world.system import run
from tests.lab.conftest import EdgeSite

SUITE = "trixie"
ROLES = ("dns_record", "port_forward", "reverse_proxy", "certificate")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ASK = (
    "cd /opt/grade; cat >ca.pem; export TESTSSL_INSTALL_DIR=/opt/grade/etc/testssl; usr/bin/testssl --quiet --warnings batch "
    f"--openssl /usr/bin/openssl --add-ca ca.pem --jsonfile found.json {FQDN} >said.txt 2>&1; cat found.json"
)


def fetch(folder: Path) -> Path:
    """Unpack the package of that release into a folder below; nothing of it is installed on this machine."""
    mirror = run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()[0]
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {SUITE} main\n", encoding="ascii")
    options = [
        *(f"-oDir::Etc::SourceList={sources}", "-oDir::Etc::SourceParts=/dev/null", "-oAPT::Sandbox::User=root"),
        *(f"-oDir::State::Lists={folder / 'lists'}", f"-oDir::Cache={folder / 'cache'}"),
    ]
    run("apt-get", "-qq", *options, "update", timeout_s=300)
    command = ["apt-get", "-qq", *options, "download", "testssl.sh"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    (package,) = folder.glob("testssl.sh_*.deb")
    run("dpkg-deb", "--extract", str(package), str(folder / "grade"))
    print(package.name)
    return folder / "grade"


def main(_arguments: list[str]) -> int:
    """Print the grade and every finding above LOW; exit status 1 when it is not A+."""
    with tempfile.TemporaryDirectory() as name:
        program = fetch(Path(name))
        was_up = world.is_up()
        world.up()
        try:
            site = EdgeSite(Lab(), Path(name))
            done = site.roles(*ROLES)
            assert done.code == 0, done.text
            packed = subprocess.run(["tar", "-C", str(program), "-cf", "-", "."], check=True, capture_output=True).stdout
            unpack = site.lab.command("observer", "mkdir -p /opt/grade && tar -xf - -C /opt/grade")
            subprocess.run(unpack, input=packed, check=True)
            said = site.lab.shell("observer", ASK, text=ACME_ROOT_FILE.read_text(), timeout_s=500).stdout
        finally:
            if not was_up:
                world.down()
    found = {one["id"]: one for one in json.loads(said)}
    for one in found.values():
        if one["severity"] in ("MEDIUM", "HIGH", "CRITICAL") or one["id"] in ("overall_grade", "final_score"):
            print(f"{one['id']}: {one['severity']} {one['finding']}")
    return 0 if found["overall_grade"]["finding"] == "A+" else 1
