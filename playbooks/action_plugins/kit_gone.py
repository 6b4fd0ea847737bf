"""The proof that nothing of a site is left: looked for on the edge host, and at the zone's own name servers. Changes nothing.

The last look of ``offboard.yml``::

    - name: See that nothing of ours is left
      kit_gone:
        name: qbo.company.com
        zone: company.com
        others: [11.22.33.44]      # addresses at the name that the kit left alone, as the DNS provider shows them
        nameservers: []            # as dns_record has them
        resolver: ""
        timeout_s: 300             # until every name server has forgotten the record
        certificate: ""            # the fingerprint, when visitors are still shown the site's certificate
        folders: [/srv/tls]        # further folders that were ours, and files: the PFX file lies where the site wants it
        shared: []                 # files of ours that other sites still need here

Published: ``seen``, one line for each place. Whatever is left is told at once, with what to do about it.
"""

from __future__ import annotations

import shlex
from typing import Any, ClassVar

from qbo_sync.edge import authoritative
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import Blocked

# Where the roles put things, as the shell's patterns; nginx, its folders and the other Debian packages stay.
PLACES = (
    "/opt/qbo-kit",
    "/etc/qbo-kit",
    "/etc/qbo-sync",
    "/var/lib/qbo-kit",
    "/var/lib/qbo-sync",
    "/usr/local/sbin/qbo-kit-*",
    "/usr/local/bin/qbo-sync",
    "/etc/systemd/system/qbo-*",
    "/etc/systemd/system/*.wants/qbo-*",
    "/etc/nginx/conf.d/qbo-kit.conf",
    "/etc/nginx/modules-enabled/90-qbo-kit-stream.conf",
    "/etc/letsencrypt/renewal-hooks/deploy/qbo-kit-*",
)

# Whatever is no folder, and empty folders: so each folder that is there shows by what lies in it. The units are those that run or
# have failed, with or without a file. A pattern that matches nothing is no error.
LOOK = r"""
find {places} \( ! -type d -o -empty \) -print 2>/dev/null
systemctl list-units --no-legend --plain 'qbo-*' 2>/dev/null | awk '{{print "unit " $1 " (" $3 ")"}}'
! id -u qbo-sync >/dev/null 2>&1 || echo 'user qbo-sync'
"""
SHOWN = 12


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "name": {"type": "str", "required": True},
        "zone": {"type": "str", "required": True},
        "others": {"type": "list", "elements": "str", "default": []},
        "nameservers": {"type": "list", "elements": "str", "default": []},
        "resolver": {"type": "str", "default": ""},
        "timeout_s": {"type": "float", "default": 300.0},
        "certificate": {"type": "str", "default": ""},
        "folders": {"type": "list", "elements": "path", "default": []},
        "shared": {"type": "list", "elements": "path", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Look in every place, and only then say what is left. Raises :class:`Blocked`."""
        on_host = self._on_host(arguments)
        said, still = self._at_name_servers(arguments)
        left, steps = [], []
        if on_host:
            more = f" and {len(on_host) - SHOWN} more" if len(on_host) > SHOWN else ""
            left.append(f"on the edge host: {', '.join(on_host[:SHOWN])}{more}")
            steps.append(
                "run this again; what is left then was made with other settings of the site (another port_forward_provider, for"
                " instance): run it with those, or stop and delete it by hand"
            )
        if still:
            left.append(f"at the name servers: {'; '.join(still)}")
            steps.append("see at the DNS provider that the record is gone, and run this again when its name servers have it so")
        if arguments["certificate"]:
            left.append(f"from outside: port 443 still shows this site's certificate ({arguments['certificate'][:16]}...)")
            steps.append("see on the router where port 443 leads, and whether that machine has a copy of the certificate")
        if left:
            raise Blocked("not everything of this site is gone", seen="; ".join(left), next="; ".join(steps), site=self.site)
        return {"changed": False, "seen": {"edge_host": "nothing of ours", "name_servers": said}}

    def _on_host(self, arguments: dict[str, Any]) -> list[str]:
        """Files, units and the user that are still there, without what other sites of the kit need."""
        places = [*PLACES, *map(shlex.quote, arguments["folders"])]
        done = self._low_level_execute_command(LOOK.format(places=" ".join(places)), executable="/bin/sh")
        return self._own(sorted(set(done["stdout"].splitlines())), arguments["shared"])

    def _own(self, found: list[str], shared: list[str]) -> list[str]:
        """Without what is shared: named by the playbook, or qbo-sync itself while another site's settings lie there."""
        settings = f"/etc/qbo-sync/{self.site}.toml"
        others = any(line.startswith("/etc/qbo-sync/") and line.endswith(".toml") and line != settings for line in found)
        mine = (f"/etc/qbo-sync/{self.site}.", f"/var/lib/qbo-sync/{self.site}/", f"qbo-sync@{self.site}.service")
        kept = [line for line in found if not any(file.rpartition("/")[2] in line for file in shared)]
        return [line for line in kept if not others or "qbo-sync" not in line or any(part in line for part in mine)]

    def _at_name_servers(self, arguments: dict[str, Any]) -> tuple[list[str], list[str]]:
        """What every name server says about the name, and which of them still tell an address of ours or cannot be asked."""
        servers = authoritative.servers(arguments["zone"], resolver=arguments["resolver"], nameservers=arguments["nameservers"])
        by_wildcard = authoritative.answers(servers, f"qbokit-nobody-has-this-name.{arguments['zone']}")
        foreign = {*arguments["others"], *(address for answer in by_wildcard for address in answer.addresses)}
        said = authoritative.wait_without(
            arguments["name"], foreign, servers, timeout_s=arguments["timeout_s"], progress=self._tell
        )
        return [str(answer) for answer in said], [str(answer) for answer in said if not answer.is_without(foreign)]

    def _tell(self, text: str) -> None:
        """Say it now, to whoever sits before the run."""
        self._display.display(f"{self.site}: {text}")
