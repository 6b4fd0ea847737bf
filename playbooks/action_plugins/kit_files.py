"""Files and folders on the host, as many as a step needs, in one round trip.

::

    - name: Write the settings, the secrets and the unit
      kit_files:
        files:
          - {dest: /etc/qbo-sync, state: directory, group: qbo-sync, mode: "0750"}
          - {dest: /etc/qbo-sync/acme.toml, template: "{{ role_path }}/../../templates/qbo-sync/site.toml.j2", mode: "0640"}
          - {dest: /etc/qbo-sync/acme.d/client-secret, secret: ~/secrets/acme, owner: qbo-sync, mode: "0600"}
          - {dest: /etc/nftables.d/ours.nft, content: "{{ rules }}", mode: "0644"}
        absent: [/etc/systemd/system/old.service]

Owner and group are ``root`` when left out. A loop of ansible-core's own modules sends two programs for each file; this sends one
for all of them. Check mode and ``--diff`` tell file by file; of a ``secret`` only its name.
Published: ``written``, the paths that changed.
"""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.loader import lookup_loader

from qbo_sync.edge import host_files
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError

SOURCES = ("content", "template", "secret")


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "mutually_exclusive": [SOURCES],
            "options": {
                "dest": {"type": "path", "required": True},
                "state": {"type": "str", "choices": ["file", "directory"], "default": "file"},
                "content": {"type": "str"},
                "template": {"type": "path"},
                "secret": {"type": "path"},
                "owner": {"type": "str", "default": "root"},
                "group": {"type": "str", "default": "root"},
                "mode": {"type": "str", "required": True},
            },
        },
        "absent": {"type": "list", "elements": "path", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Compare and make all files; say which changed, and how."""
        files = [self._wanted(file) for file in arguments["files"]]
        files += [{"dest": path, "state": "absent"} for path in arguments["absent"]]
        program = f"python3 -c {shlex.quote(Path(host_files.__file__).read_text(encoding='utf-8'))}"
        asked = json.dumps({"check": self.check_mode, "files": files})
        done = self._low_level_execute_command(program, in_data=asked.encode())
        if done["rc"] != 0:
            seen = (done["stderr"] or done["stdout"]).strip().splitlines()[-1:]
            raise KitError("could not write a file on the host", seen="".join(seen), site=self.site)
        found = json.loads(done["stdout"])
        changed = [(file, was) for file, was in zip(files, found, strict=True) if was["changed"]]
        diffs = [_diff(file, was) for file, was in changed]
        return {"changed": bool(changed), "written": [file["dest"] for file, _ in changed], "diff": diffs}

    def _wanted(self, given: dict[str, Any]) -> dict[str, Any]:
        """One file as the host's program is told of it."""
        wanted = {key: given[key] for key in ("dest", "state", "mode", "owner", "group")}
        if given["state"] == "file":
            wanted |= {"content": base64.b64encode(self._content(given)).decode(), "secret": bool(given["secret"])}
        return wanted

    def _content(self, given: dict[str, Any]) -> bytes:
        if given["secret"]:
            return self.secret_file(given["secret"]).read_bytes()
        if given["template"]:
            lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
            return str(lookup.run([given["template"]], variables=self.task_vars)[0]).encode()
        return str(given["content"] or "").encode()


def _diff(file: dict[str, Any], was: dict[str, Any]) -> dict[str, str]:
    """Before and after of one file, for ``--diff``: the content where that differs, else what else there is to tell."""
    hidden = file.get("secret", False)
    contents = [was.get("content", ""), host_files.digest(file["content"]) if hidden else file.get("content", "")]
    if contents[0] == contents[1]:
        before, after = _state(was), _state(file)
    elif hidden:
        before, after = "(not shown)\n", "(not shown, another one)\n"
    else:
        before, after = (base64.b64decode(content).decode(errors="replace") for content in contents)
    return {"before_header": file["dest"], "after_header": file["dest"], "before": before, "after": after}


def _state(one: dict[str, Any]) -> str:
    dressed = (f", {word} {one[word]}" for word in ("mode", "owner", "group") if one.get(word) is not None)
    return f"{one['state']}{''.join(dressed) if one['state'] != 'absent' else ''}\n"
