"""The key of the token store, sealed by the host's own systemd-creds and opened for a command by hand, in a mount namespace."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jinja2

from lab.documents import TOP
from lab.world import image, world
from tests.needs import need

TEMPLATES = TOP / "templates/qbo-sync"
# Stands in for the program: says who runs it, with which words, and which key it was handed.
PROGRAM = """#!/bin/sh
echo "$(id -un) $*"
[ -z "${CREDENTIALS_DIRECTORY:-}" ] || sha256sum < "$CREDENTIALS_DIRECTORY/store.key"
exit 3
"""
# All that is written goes with the namespace: the host's own secret, the user, the settings, the program.
INSIDE = """
set -eu
# On a disk: systemd-creds keeps no secret of the host's in memory.
mkdir "$1/systemd"
mount --bind "$1/systemd" /var/lib/systemd
for folder in /var/lib/qbo-sync /etc/qbo-sync /opt/qbo-kit; do
    [ -d "$folder" ] || { mkdir -p "$folder"; made="${made:-} $folder"; }
    mount -t tmpfs tmpfs "$folder"
done
trap 'for folder in ${made:-}; do umount "$folder"; rmdir "$folder"; done' EXIT
{ cat /etc/passwd; echo 'qbo-sync:x:64123:64123::/var/lib/qbo-sync:/usr/sbin/nologin'; } > "$1/passwd"
{ cat /etc/group; echo 'qbo-sync:x:64123:'; } > "$1/group"
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mkdir -p /opt/qbo-kit/qbo-sync/bin /etc/qbo-sync/acme.d /var/lib/qbo-sync/acme
cp "$1/program" /opt/qbo-kit/qbo-sync/bin/qbo-sync
chmod -R a+rx /opt/qbo-kit
key=/var/lib/qbo-sync/acme/store.key sealed=/etc/qbo-sync/acme.d/store.key.sealed
head -c 32 /dev/urandom > "$key"
chown qbo-sync: "$key"
step() { echo "== $*"; }
step before; sha256sum < "$key"
sh "$1/qbo-sync" --config /etc/qbo-sync/acme.toml status || echo "code $?"
sh "$2/seal_key.sh" seal "$key" "$sealed"
step sealed; ls /var/lib/qbo-sync/acme; stat -c '%U %a' "$sealed"
for given in '--config /etc/qbo-sync/acme.toml' '--config=/etc/qbo-sync/acme.toml'; do
    sh "$1/qbo-sync" $given status --format json || echo "code $?"
done
ls -d /run/qbo-sync.* 2>/dev/null || echo 'nothing left in /run'
step opened
sh "$2/seal_key.sh" open "$key" "$sealed"
stat -c '%U %a' "$key"; sha256sum < "$key"; ls /etc/qbo-sync/acme.d
step made; rm "$key"
sh "$2/seal_key.sh" seal "$key" "$sealed"
systemd-creds decrypt --name=store.key "$sealed" - | wc -c
"""


def test_a_key_is_sealed_handed_over_and_opened_as_it_was(tmp_path: Path) -> None:
    need(image.available())
    with world.alone():
        image.ensure_packages()  # systemd, whose program this is, comes with them
    source = (TEMPLATES / "qbo-sync.sh.j2").read_text()
    environment = jinja2.Environment()  # noqa: S701 - a shell script
    environment.filters["comment"] = lambda text: f"# {text}"
    (tmp_path / "qbo-sync").write_text(environment.from_string(source).render(ansible_managed="managed"))
    (tmp_path / "program").write_text(PROGRAM)
    command = ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(tmp_path), str(TEMPLATES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "located on temporary file system" in done.stderr:
        need("systemd-creds keeps no secret of the host's on a file system in memory, and the temporary folder is one")
    assert done.returncode == 0, done.stderr
    parts = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    key, *by_hand = parts["before"].splitlines()
    assert by_hand == ["qbo-sync --config /etc/qbo-sync/acme.toml status", "code 3"]
    ran = ["status --format json", key, "code 3"]
    assert parts["sealed"].splitlines() == [
        *("qbo-sync 600", f"qbo-sync --config /etc/qbo-sync/acme.toml {ran[0]}", *ran[1:]),
        *(f"qbo-sync --config=/etc/qbo-sync/acme.toml {ran[0]}", *ran[1:]),
        "nothing left in /run",
    ]
    assert parts["opened"].splitlines() == ["qbo-sync 600", key]
    assert parts["made"].strip() == "32"
