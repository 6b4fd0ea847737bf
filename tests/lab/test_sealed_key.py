"""The key of the token store, sealed to the edge host: the service and root have it, nobody else, and it stays the same."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from lab.world.access import Lab
from tests.lab.conftest import EdgeSite

SETTINGS, STORE = "/etc/qbo-sync/lab.toml", "/var/lib/qbo-sync/lab"
BY_HAND = f"qbo-sync --config {SETTINGS} --format json"


def answer(lab: Lab, command: str) -> tuple[int, str]:
    done = lab.shell("edge", f"{command}; code=$?; echo; echo $code")
    text, _, code = done.stdout.rstrip().rpartition("\n")
    return int(code), text + done.stderr


def test_a_key_is_sealed_and_opened_again(lab: Lab, tmp_path: Path) -> None:
    site = EdgeSite(lab, tmp_path)
    made = site.roles("qbo_sync")
    assert made.code == 0, made.text
    try:
        code, said = answer(lab, f"{BY_HAND} connect")
        assert code == 5, said
        link = json.JSONDecoder().raw_decode(said)[0]["next"].split()[1]
        key = answer(lab, f"sha256sum < {STORE}/store.key")[1]

        sealed = site.roles("qbo_sync", qbo_sync_seal_key=True)
        assert sealed.code == 0, sealed.text
        assert answer(lab, f"ls {STORE}/store.key")[0] != 0
        assert answer(lab, "stat -c %a /etc/qbo-sync/lab.d/store.key.sealed")[1].strip() == "600"
        assert answer(lab, f"{BY_HAND} status")[0] == 5
        code, said = answer(lab, f"runuser -u qbo-sync -- /opt/qbo-kit/qbo-sync/bin/{BY_HAND} status")
        assert (code, "sealed to this host" in said) == (2, True), said
        assert answer(lab, "ls -d /run/qbo-sync.*")[0] != 0, "what was opened for a run is gone with it"
        page = f"http://127.0.0.1:8021/qbo/connect?{link.partition('?')[2]}"
        assert answer(lab, f"curl -s -o /dev/null -w '%{{http_code}}' {shlex.quote(page)}")[1].strip() == "303"
        again = site.roles("qbo_sync", qbo_sync_seal_key=True)
        assert "changed=0" in again.text, again.text

        opened = site.roles("qbo_sync")
        assert opened.code == 0, opened.text
        assert answer(lab, f"sha256sum < {STORE}/store.key")[1] == key
        assert answer(lab, f"{BY_HAND} status")[0] == 5
    finally:
        site.roles("qbo_sync", qbo_sync_state="absent")
