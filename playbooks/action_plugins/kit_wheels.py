"""A virtual environment on the host, made from wheels that this control node has collected.

::

    - name: Install certbot from the wheels this machine collected
      kit_wheels:
        name: certbot                       # becomes /opt/qbo-kit/certbot
        requirements: ["certbot==5.8.0"]
        cache: ~/.cache/qbo-kit/wheels      # on the control node
        project: false                      # true: this checkout's own wheel and its dependencies as well
        dependencies: true                  # false: with project, its own wheel without them
        state: present                      # absent removes every version
        activate: [systemctl, try-restart, certbot]  # run on the host when the link was switched

Each version has a folder of its own (``/opt/qbo-kit/versions/<name>-<fingerprint>``); the stable path is a link, switched when
the new version is complete. The version before it stays, so that switching back is one link. An unchanged host costs one command.
In check mode nothing is collected, copied or made.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, ClassVar

from qbo_sync.edge import wheels
from qbo_sync.edge.action import WheelAction

ROOT = "/opt/qbo-kit"

INSTALL = """\
set -eu
umask 022
new={root}/versions/{name}-{fingerprint}
mkdir -p {root}/versions
python3 -m venv --clear "$new"
"$new/bin/python" -m pip install --quiet --no-index --no-deps --disable-pip-version-check {tmp}/wheels/*.whl
old=$(readlink {root}/{name} || true)
ln -sfn "$new" {root}/{name}.new
mv -T {root}/{name}.new {root}/{name}
for version in {root}/versions/{name}-*; do
    case $version in "$new" | "$old") ;; *) rm -rf "$version" ;; esac
done
{activate}
"""

REMOVE = "rm -rf {root}/{name} {root}/versions/{name}-* && rmdir --ignore-fail-on-non-empty {root}/versions {root}"


class ActionModule(WheelAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "name": {"type": "str", "required": True},
        "requirements": {"type": "list", "elements": "str", "default": []},
        "cache": {"type": "path", "required": True},
        "project": {"type": "bool", "default": False},
        "dependencies": {"type": "bool", "default": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "activate": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Compare the version that is there with the one wanted, and make it so."""
        name = arguments["name"]
        target, link = self.look_at_python(f"{ROOT}/{name}")
        if arguments["state"] == "absent":
            if link and not self.check_mode:
                self.remote(REMOVE.format(root=ROOT, name=name), f"remove {name}")
            return {"changed": bool(link)}
        software = self._software(arguments)
        cache = Path(arguments["cache"]).expanduser()
        bundle = wheels.planned(software, target, cache) if self.check_mode else wheels.collect(software, target, cache)
        wanted = f"{ROOT}/versions/{name}-{bundle.fingerprint}" if wheels.is_collected(bundle) else "a version not collected yet"
        if link != wanted and not self.check_mode:
            self._install(name, bundle, arguments["activate"])
        return {"changed": link != wanted, "version": wanted, "diff": {"before": f"{link}\n", "after": f"{wanted}\n"}}

    def _software(self, arguments: dict[str, Any]) -> wheels.Software:
        """What the arguments ask for; the pins are this checkout's."""
        checkout = Path(__file__).resolve().parents[2]
        requirements = tuple(arguments["requirements"])
        if arguments["project"] and arguments["dependencies"]:
            requirements += wheels.project_requirements(checkout)
        return wheels.Software(
            arguments["name"], requirements, checkout / "constraints.txt", checkout if arguments["project"] else None
        )

    def _install(self, name: str, bundle: wheels.Bundle, activate: list[str]) -> None:
        with self.wheels_there(bundle) as tmp:
            words = {"root": ROOT, "name": name, "fingerprint": bundle.fingerprint, "tmp": tmp}
            script = INSTALL.format(**words, activate=shlex.join(activate))
            self.remote(script, f"install {name} into {ROOT}/{name}")
