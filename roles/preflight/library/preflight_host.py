#!/usr/bin/python
"""Ansible module: look at an edge host before anything is installed. Standard library only; reads, never writes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: preflight_host
short_description: Looks at an edge host before anything is installed
description:
  - Who listens on the ports, how much room there is, and what the clock says. Changes nothing.
options:
  ports: {type: list, elements: int, default: [80, 443], description: The ports that must be free or nginx's.}
  disk_mib: {type: int, default: 500, description: The room needed in each folder, in MiB.}
  folders: {type: list, elements: str, default: [/opt, /var], description: Where the room is needed.}
  now: {type: float, required: true, description: The control node's time, in seconds since 1970 UTC.}
author: qbo-kit
"""

EXAMPLES = r"""
- name: Look at the edge host
  preflight_host:
    now: "{{ now().timestamp() }}"
"""

RETURN = r"""
checks:
  description: One entry for each thing looked at, with id, title, severity, seen and remedy.
  type: list
  returned: always
"""

LISTEN = "0A"
# A task takes some seconds to reach a host, so only what is clearly wrong counts.
SKEW_WARN_S, SKEW_FATAL_S = 60, 300


def listeners(port):
    """The inodes of the sockets that listen on a TCP port, for IPv4 and IPv6."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def owners(inodes):
    """The names of the programs that hold these sockets."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    names = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) in wanted for entry in (process / "fd").iterdir()):
                names.add((process / "comm").read_text(encoding="utf-8").strip())
        except OSError:
            continue  # It ended meanwhile, or may not be looked at.
    return names


def port_check(port):
    """P14: the port is free, or nginx's."""
    title = f"port {port} is free for nginx"
    inodes = listeners(port)
    if not inodes:
        return check("P14", title, "ok", "free")
    names = owners(inodes)
    if names == {"nginx"}:
        return check("P14", title, "ok", "nginx listens already")
    seen = f"{', '.join(sorted(names)) or 'a program that cannot be seen'} listens on port {port}"
    return check("P14", title, "fatal", seen, "move that program to another port or machine, or name another edge host")


def disk_check(folder, needed):
    """Room for what is installed."""
    title = f"there is room under {folder}"
    free = shutil.disk_usage(folder).free // (1 << 20)
    if free >= needed:
        return check("H01", title, "ok", f"{free} MiB free")
    return check("H01", title, "fatal", f"{free} MiB free, {needed} MiB needed", "make room or enlarge the disk")


def clock_check(skew):
    """The host's clock against the control node's: a wrong one makes certificates and tokens look invalid."""
    title = "the edge host's clock is right"
    seen = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the control node"
    remedy = "switch on time synchronisation there (systemd-timesyncd or chrony)"
    severity = "fatal" if abs(skew) > SKEW_FATAL_S else "warn" if abs(skew) > SKEW_WARN_S else "ok"
    return check("P20", title, severity, seen, remedy if severity != "ok" else "")


def check(identifier, title, severity, seen, remedy=""):
    """One result, in the form of qbo_sync.edge.preflight.Check."""
    return {"id": identifier, "title": title, "severity": severity, "seen": seen, "remedy": remedy}


def main():
    """Look at everything and report."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "default": [80, 443]},
            "disk_mib": {"type": "int", "default": 500},
            "folders": {"type": "list", "elements": "str", "default": ["/opt", "/var"]},
            "now": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    checks = [port_check(port) for port in module.params["ports"]]
    checks += [disk_check(folder, module.params["disk_mib"]) for folder in module.params["folders"]]
    checks.append(clock_check(time.time() - module.params["now"]))
    module.exit_json(changed=False, checks=checks)


if __name__ == "__main__":
    main()
