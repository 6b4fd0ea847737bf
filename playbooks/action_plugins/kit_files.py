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

``activate`` is a command of the host that takes what was written into use, a reload for one; it runs when something changed, so
not in check mode. If it fails, or not all could be written, files and links are put back as they stood. Unlike a handler it is
not lost when a run is cut off after the task.

Owner and group are ``root`` when left out. A loop of ansible-core's own modules sends two programs for each file; this sends one
for all of them. Check mode and ``--diff`` tell file by file; of a ``secret`` only its name.
Published: ``written``, the paths that changed.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.plugins.loader import lookup_loader

from qbo_sync.edge.action import CarryingAction, file_entry, folder_entry

SOURCES = ("content", "template", "secret")


class ActionModule(CarryingAction):
    """See the module's docstring."""

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
        "activate": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Compare and make all files; say which changed, and how."""
        absent = [{"dest": path, "state": "absent"} for path in arguments["absent"]]
        return self.carry([*map(self._wanted, arguments["files"]), *absent], arguments["activate"])

    def _wanted(self, given: dict[str, Any]) -> dict[str, Any]:
        """One file as the host's program is told of it."""
        dressed = {key: given[key] for key in ("dest", "mode", "owner", "group")}
        if given["state"] == "directory":
            return folder_entry(**dressed)
        return file_entry(content=self._content(given), secret=bool(given["secret"]), **dressed)

    def _content(self, given: dict[str, Any]) -> bytes:
        if given["secret"]:
            return self.secret_file(given["secret"]).read_bytes()
        if given["template"]:
            lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
            return str(lookup.run([given["template"]], variables=self.task_vars)[0]).encode()
        return str(given["content"] or "").encode()
