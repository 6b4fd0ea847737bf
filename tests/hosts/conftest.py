"""The hosts of a site, looked at by testinfra: reads only, so it is safe against a site in use, and fit for monitoring.

    pytest tests/hosts --kit-inventory inventory/SITE.yml [--hosts NAME,…] [--kit-open 22] [--nagios]

Every host of the group ``edge_hosts`` is a site; its router and its observer are those it names (``site_router``,
``site_observer``). ``--hosts`` narrows to hosts or groups by their inventory names, with or without ``ansible://`` in front,
and ``--ansible-inventory`` is taken for ``--kit-inventory``. What is expected stands in ``expectations/*.yml``, as data, and
follows the site's own variables (``expected.py``).
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from tests.hosts.expected import variables

HERE = Path(__file__).resolve().parent
GROUPS = {"edge": "edge_hosts", "router": "routers", "observer": "observers"}


@dataclass(frozen=True)
class Target:
    """One host in its part for one site. ``site`` holds its variables and the roles' defaults, ``edge`` is its edge host."""

    host: Host
    edge: Host
    site: dict[str, Any]

    def run(self, command: str, *arguments: str) -> str:
        """The standard output of a command that must succeed."""
        done = self.host.run(command, *arguments)
        assert done.rc == 0, f"{command} ended with {done.rc}: {done.stderr.strip()}"
        return str(done.stdout).strip()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this suite."""
    parser.addoption("--kit-inventory", metavar="FILE", help="the inventory of the site whose hosts are looked at")
    parser.addoption("--kit-open", metavar="PORTS", default="", help="ports that the site opens to the world besides 80 and 443")


def pytest_configure(config: pytest.Config) -> None:
    """testinfra calls ``ansible-inventory`` by name: let it find the one next to this interpreter.

    As a check for monitoring it must not call OK what it could not even ask: that is *unknown*, exit code 3.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if config.getoption("nagios", default=False):
        path = inventory_file(config)
        if not path:
            pytest.exit("TESTINFRA UNKNOWN - no inventory: --kit-inventory inventory/SITE.yml", returncode=3)
        if GROUPS["edge"] not in inventory(path):
            pytest.exit(f"TESTINFRA UNKNOWN - {path} has no edge host", returncode=3)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Only for who asks for it by name; a run of all tests has tests/lab/test_hosts_suite.py, which runs it against the lab."""
    asked = [config.invocation_params.dir / argument.split("::")[0] for argument in config.args]
    return None if any(path.resolve().is_relative_to(HERE) for path in asked) else True


def inventory_file(config: pytest.Config) -> str | None:
    """The inventory given under either name."""
    found: str | None = config.option.kit_inventory or config.getoption("ansible_inventory", default=None)
    return found


@functools.cache
def inventory(path: str) -> dict[str, Any]:
    """Groups and variables, as Ansible itself reads them."""
    program = Path(sys.executable).with_name("ansible-inventory")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(HERE.parents[1] / "ansible.cfg")}
    done = subprocess.run([program, "-i", path, "--list"], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.exit(f"TESTINFRA UNKNOWN - ansible-inventory cannot read {path}: {done.stderr.strip()}", returncode=3)
    listed: dict[str, Any] = json.loads(done.stdout)
    return listed


def members(listed: dict[str, Any], name: str) -> set[str]:
    """The hosts of a group, or the host of that name."""
    group = listed.get(name)
    if group is None:
        return {name}
    return set(group.get("hosts", [])).union(*(members(listed, child) for child in group.get("children", [])))


def narrowed(listed: dict[str, Any], asked: str | None) -> set[str] | None:
    """The hosts that ``--hosts`` names, or None for all of them."""
    if not asked:
        return None
    names = [entry.split("://")[-1].split("?")[0].split("@")[-1] for entry in asked.split(",")]
    return set().union(*(members(listed, name) for name in names))


def targets(config: pytest.Config, part: str) -> dict[str, Target]:
    """For each site the host that plays ``part`` in it, by a name that says both."""
    path = inventory_file(config)
    assert path
    listed = inventory(path)
    only = narrowed(listed, config.getoption("hosts", default=None))
    found = {}
    for edge in sorted(members(listed, GROUPS["edge"])):
        site = variables(listed["_meta"]["hostvars"][edge])
        if site["site_address"] == "auto":  # whatever it is at the moment: the record has to lead to the site
            site["site_address"] = socket.gethostbyname(site["site_fqdn"])
        name = edge if part == "edge" else site[f"site_{part}"]
        # A router of another make has none of the rules and units that the kit leaves on a Linux one.
        ours = part != "router" or site["port_forward_provider"] == "nftables"
        if ours and name in members(listed, GROUPS[part]) and (only is None or name in only):
            hosts = [testinfra.get_host(f"ansible://{host}?ansible_inventory={path}") for host in (name, edge)]
            found[f"{site['site_name']}:{name}"] = Target(*hosts, site)
    return found


def passes_through(site: dict[str, Any]) -> bool:
    """Whether visitors of other names are passed on to another web server of the site, still encrypted."""
    return bool(site["reverse_proxy_pass_through_https"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per site for each part that a test asks for, and with ``each_wanted`` per entry that this site is to have."""
    for part in GROUPS.keys() & set(metafunc.fixturenames):
        if not inventory_file(metafunc.config):
            pytest.skip("no inventory: pytest tests/hosts --kit-inventory inventory/SITE.yml")
        found = targets(metafunc.config, part)
        marker = metafunc.definition.get_closest_marker("each_wanted")
        if marker is None:
            metafunc.parametrize(part, list(found.values()), ids=list(found), scope="session")
            continue
        [(argument, heading)] = marker.kwargs.items()
        cases = []
        for name, target in found.items():
            entries = metafunc.module.wanted(heading, target.site)
            cases += [pytest.param(target, entry, id=f"{name}-{called(entry)}") for entry in entries]
            if not entries:
                none = pytest.mark.skip(reason=f"expectations/*.yml have no `{heading}` for a site like this")
                cases.append(pytest.param(target, None, id=f"{name}-none", marks=none))
        metafunc.parametrize((part, argument), cases, scope="session")


def called(entry: Any) -> str:
    """What an entry is called in a test's name."""
    return str(entry.get("path") or entry["name"]) if isinstance(entry, dict) else str(entry)
