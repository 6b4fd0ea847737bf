"""The router's forwarded ports, through ``qbo_sync.edge.router``.

The plan is made from what the router shows; in check mode nothing is written, and ``--diff`` shows our part of its configuration
before and after. Where the work happens depends on what the router answers to:

* ``nftables``: here, over Ansible's own connection to the router (delegate the task to it).
* ``openwrt``, ``vyos``: here, in a process of its own, over pyinfra's SSH to the router (delegate the task to it), which is given
  the same address, user, key and options as Ansible's own connection.
* ``routeros``: here, over the router's REST API.
* ``upnp``: on the edge host, by the program in ``/opt/qbo-kit/forward``. Where it is not there, or an earlier one and the job
  only asks, the host is lent the program for as long as that takes.

What a change replaced is kept as a snapshot; ``state: restored`` puts it back, once, unless somebody changed our rules since.
``state: asked`` changes nothing and returns ``wan_address``, the router's own address towards the internet. ``state: looked``,
for preflight, changes nothing and does not fail either: it returns ``wan_address``, ``forwards`` and ``foreign``, or why it could
not ask: ``problem``, and ``next``.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleConnectionFailure

from qbo_sync.edge import router, snapshots, wheels
from qbo_sync.edge.action import WheelAction
from qbo_sync.edge.router import job
from qbo_sync.errors import KitError

STEP = "port_forward"
LINK = "/opt/qbo-kit/forward"
CHECKOUT = Path(__file__).resolve().parents[2]
# As roles/port_forward/tasks/install.yml installs it.
SOFTWARE = wheels.Software("forward", ("miniupnpc",), CHECKOUT / "constraints.txt", CHECKOUT)
MODULE = "qbo_sync.edge.router.on_edge"
# A wheel is a zip archive, and both of these are only unpacked to be used.
LENT = """\
set -eu
for wheel in {folder}/wheels/*.whl; do python3 -m zipfile -e "$wheel" {folder}/program; done
PYTHONPATH={folder}/program PYTHONDONTWRITEBYTECODE=1 exec python3 -m {module}
"""
MEMORY = "/var/lib/qbo-kit/forward/{site}.json"


class ActionModule(WheelAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": list(job.STATES), "default": "present"},
        "provider": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "external_address": {"type": "str", "default": ""},
        "ports": {"type": "list", "elements": "int", "required": True},
        "take_over": {"type": "bool", "default": False},
        "wan_interface": {"type": "str", "default": ""},
        "lan_network": {"type": "str", "default": ""},
        "api_url": {"type": "str", "default": ""},
        "api_user": {"type": "str", "default": ""},
        "api_password_file": {"type": "str", "default": ""},
        "api_ca_file": {"type": "str", "default": ""},
        "wheel_directory": {"type": "str", "default": "~/.cache/qbo-kit/wheels"},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do the job where this router is reached."""
        self._wheel_directory = Path(arguments["wheel_directory"]).expanduser()
        settings = router.Settings(
            wan_interface=arguments["wan_interface"],
            lan_network=arguments["lan_network"],
            lan_address=arguments["address"],
            api_url=arguments["api_url"],
            api_user=arguments["api_user"],
            password_file=str(self.secret_file(arguments["api_password_file"])) if arguments["api_password_file"] else "",
            ca_file=str(Path(arguments["api_ca_file"]).expanduser()) if arguments["api_ca_file"] else "",
            memory=MEMORY.format(site=self.site),
        )
        wanted = job.Job(
            self.site,
            arguments["provider"],
            arguments["address"],
            tuple(arguments["ports"]),
            state=arguments["state"],
            external_address=arguments["external_address"],
            take_over=arguments["take_over"],
            check=self.check_mode,
            settings=settings,
        )
        if wanted.state == "restored":
            return self._restore(wanted)
        if wanted.state == "looked":
            return self._look(wanted)
        done = self._do(wanted)
        if done["changed"] and not wanted.check:
            # What was written, which is less than what was wanted where somebody else's rule already does it.
            written = sorted(text for text in done["forwards"] if text.endswith(f"({router.TAG}{wanted.site})"))
            snapshots.keep(self.store, self.site, STEP, before=done["stood"], after=written)
        return done

    def _look(self, wanted: job.Job) -> dict[str, Any]:
        try:
            return self._ask(wanted)
        except KitError as error:
            return {"changed": False, "problem": f"{error.what}: {error.seen}".rstrip(": "), "next": error.next}
        except AnsibleConnectionFailure as error:
            return {"changed": False, "problem": str(error), "next": "see that Ansible reaches the router"}

    def _restore(self, wanted: job.Job) -> dict[str, Any]:
        """Bring back the forwards that stood before the last change; no change when there is nothing to bring back."""
        kept = snapshots.last(self.store, self.site, STEP)
        if kept is None:
            return {"changed": False, "router": "", "forwards": [], "diff": {"before": "", "after": ""}}
        before = [router.Forward(**forward) for forward in kept["before"]]
        back = replace(wanted, state="absent", check=True)
        if before:
            ports = tuple(forward.external_port for forward in before)
            address, outside = before[0].address, before[0].external_address or wanted.external_address
            back = replace(back, state="present", address=address, external_address=outside, ports=ports)
        done = self._do(back)
        if done["changed"]:
            stands = sorted(str(router.Forward(**forward)) for forward in done["stood"])
            snapshots.check_untouched(kept, stands, f"the router's part for {self.site}")
        if not self.check_mode:
            done = self._do(replace(back, check=False))
            snapshots.forget(self.store, self.site, STEP)
        return done

    def _do(self, wanted: job.Job) -> dict[str, Any]:
        """Plan, and unless it is only a check, write and prove, where this router is reached."""
        # Refused here for every provider, before anything is asked of the router.
        router.forwards(wanted.site, wanted.address, wanted.ports, wanted.external_address)
        return self._ask(wanted)

    def _ask(self, wanted: job.Job) -> dict[str, Any]:
        if wanted.provider == "upnp":
            return self._on_the_edge_host(wanted)
        if wanted.provider in ("openwrt", "vyos"):
            return self._over_pyinfra(wanted)
        return job.perform(wanted, router.provider(wanted.provider, wanted.settings, self._run))

    def _run(self, command: Sequence[str], text: str) -> str:
        """Carry a command to the router. Raises :class:`KitError` with what the router said."""
        # With something on standard input ssh gives no terminal, which would mix warnings into the answer.
        done = self._low_level_execute_command(shlex.join(command), in_data=text.encode() or b"\n")
        if done["rc"] != 0:
            raise KitError(
                f"the router refused `{shlex.join(command)}`",
                seen=(done["stderr"] or done["stdout"]).strip()[-400:],
                next="it must be a Linux router with nftables, reached as root",
            )
        return str(done["stdout"])

    def _over_pyinfra(self, wanted: job.Job) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="qbokit-") as folder:
            document = json.dumps({**wanted.dump(), "ssh": self._ssh(Path(folder))})
            command = [sys.executable, "-m", "qbo_sync.edge.router.over_ssh"]
            done = subprocess.run(command, input=document, capture_output=True, text=True, check=False, timeout=300)
        return job.outcome(done.stdout, done.stderr)

    def _ssh(self, folder: Path) -> dict[str, Any]:
        """pyinfra's host data for the connection that Ansible would make; ssh's own options go through a file of its form."""
        if self._connection.transport == "local":
            return {"local": True}
        given = {
            name: self._connection.get_option(name) for name in ("host", "port", "remote_user", "private_key_file", "password")
        }
        options = dict(_options([self._connection.get_option(name) or "" for name in ("ssh_common_args", "ssh_extra_args")]))
        config = folder / "ssh_config"
        config.write_text("Host *\n" + "".join(f"  {name} {value}\n" for name, value in options.items()), encoding="utf-8")
        checked = self._connection.get_option("host_key_checking")
        names = {"host": "ssh_hostname", "port": "ssh_port", "remote_user": "ssh_user", "password": "ssh_password"}
        data = {ours: given[theirs] for theirs, ours in names.items() if given[theirs]}
        if given["private_key_file"]:
            data["ssh_key"] = str(Path(given["private_key_file"]).expanduser())
        strict = {name.lower(): value for name, value in options.items()}.get("stricthostkeychecking", "yes" if checked else "no")
        return {**data, "ssh_config_file": str(config), "ssh_strict_host_key_checking": strict}

    def _on_the_edge_host(self, wanted: job.Job) -> dict[str, Any]:
        target, link = self.look_at_python(LINK)
        if wanted.state == "absent" and not link:
            return _never_asked()
        document = json.dumps(wanted.dump())
        asks = wanted.check or wanted.state in job.ASKS
        if link and not asks:
            return self._said(f"{LINK}/bin/python -m {MODULE}", document)
        bundle = wheels.collect(SOFTWARE, target, self._wheel_directory)
        if link.endswith(bundle.fingerprint):
            return self._said(f"{LINK}/bin/python -m {MODULE}", document)
        with self.wheels_there(bundle) as folder:
            return self._said(f"sh -c {shlex.quote(LENT.format(folder=folder, module=MODULE))}", document)

    def _said(self, command: str, document: str) -> dict[str, Any]:
        done = self._low_level_execute_command(command, in_data=document.encode())
        return job.outcome(str(done["stdout"]), str(done["stderr"]))


def _never_asked() -> dict[str, Any]:
    """The outcome of taking away where the program never was: nothing was ever asked of this router."""
    nothing: dict[str, list[str]] = {name: [] for name in ("stood", "forwards", "given", "taken", "attention")}
    return {"changed": False, "router": "never asked", "text": "", "left": 0, **nothing, "diff": {"before": "", "after": ""}}


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options in ssh's arguments: ``-o Name=value``, ``-oName=value``, ``-J host``. The first of a name counts, as in ssh."""
    words = [word for text in arguments for word in shlex.split(text)]
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option = following if word == "-o" else word.removeprefix("-o") if word.startswith("-o") else ""
        if word == "-J":
            option = f"ProxyJump={following}"
        name, _, value = option.replace(" ", "=", 1).partition("=")
        if value:
            found.setdefault(name, value)
    yield from found.items()
