"""What `--check` says would change is what then changes, task by task."""

from __future__ import annotations

import re

from tests.lab.conftest import EdgeSite
from tests.playbooks import Run

ROLES = ("dns_record", "port_forward", "reverse_proxy", "certificate", "qbo_sync")

# One thing of each role is made to differ: a record gone, a rule gone, files edited, a timer off, a unit's setting changed.
DRIFT = {
    "router": "nft delete table ip qbo_kit",
    "edge": "systemctl disable --now qbo-kit-certbot.timer; sed -i 's/32m/31m/' /etc/nginx/conf.d/qbo-kit.conf;"
    " chmod 755 /etc/qbo-kit/tls; sed -i '$d' /etc/qbo-sync/lab.toml; rm /etc/letsencrypt/renewal-hooks/deploy/qbo-kit-*;"
    " echo >> /etc/qbo-kit/certificate/$(ls /etc/qbo-kit/certificate)/settings.json",
}


def changes(run: Run) -> list[str]:
    """Each task, item of a loop and file that says `changed`."""
    found, task = [], ""
    for line in run.text.splitlines():
        if head := re.match(r"(TASK|RUNNING HANDLER) \[(.+?)\]", line):
            task = head[2]
        elif done := re.match(r"changed: \[[^\]]+\](?: => \(item=(.*)\))?", line):
            found.append(f"{task} {done[1] or ''}".strip())
        elif re.match(r"\+\+\+ after: /(?!.*/\.ansible/)", line):
            found.append(line)
    return found


def test_what_check_mode_says_is_what_then_happens(edge_site: EdgeSite) -> None:
    assert edge_site.roles("dns_record", dns_record_state="absent").count("changed") == 1
    for host, script in DRIFT.items():
        edge_site.on(host, script)
    said = edge_site.roles(*ROLES, arguments=("--check", "--diff"))
    done = edge_site.roles(*ROLES, arguments=("--diff",))
    after = edge_site.roles(*ROLES, arguments=("--check", "--diff"))
    assert (said.code, done.code, after.code) == (0, 0, 0), said.text + done.text + after.text
    assert changes(said) == changes(done)
    assert len(changes(said)) >= 6, said.text
    assert changes(after) == []
