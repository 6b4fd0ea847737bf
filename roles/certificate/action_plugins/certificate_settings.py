"""Bring the certificate program's settings and secrets to the edge host, into a folder only root can read.

With ``validate: true`` everything is checked and nothing is sent: that is how a run refuses before it changes anything. Files of
an earlier run that are no longer wanted are removed. Names and checksums are all that ``--diff`` shows.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import Any, ClassVar

from qbo_sync.edge import carried
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError

WRITE = "install -m 0600 {source} {folder}/.new && mv -T {folder}/.new {folder}/{file}"


class ActionModule(KitAction):
    """See the module's docstring."""

    _requires_connection = True
    arguments: ClassVar[dict[str, Any]] = {
        "settings": {"type": "dict", "required": True},
        "authorities": {"type": "list", "elements": "dict", "default": []},
        "dns": {"type": "dict", "default": {}},
        "files": {"type": "dict", "default": {}},
        "alerts": {"type": "dict", "default": {}},
        "pfx": {"type": "dict", "default": {}},
        "validate": {"type": "bool", "default": False},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Make every file's content, and carry those that differ."""
        wanted = carried.Carried(arguments["settings"]["name"], self.secret_file)
        parts = [arguments[part] for part in ("authorities", "dns", "files", "alerts", "pfx")]
        wanted.settings(arguments["settings"], *parts)
        if arguments["validate"]:
            return {"changed": False}
        folder = wanted.folder
        listed = self._remote(f"cd {shlex.quote(folder)} 2>/dev/null && sha256sum -- * 2>/dev/null || true")
        seen = {file: digest for digest, file in (line.split(None, 1) for line in listed.splitlines() if line.strip())}
        sums = {file: hashlib.sha256(content).hexdigest() for file, content in wanted.files.items()}
        new, old = [file for file in sums if seen.get(file) != sums[file]], sorted(set(seen) - set(sums))
        if (new or old) and not self.check_mode:
            self._write(wanted, new, old)
        return {"changed": bool(new or old), "diff": {"before": _lines(seen), "after": _lines(sums)}}

    def _write(self, wanted: carried.Carried, new: list[str], old: list[str]) -> None:
        """The settings last: they name the other files."""
        tmp, folder = self._make_tmp_path(), wanted.folder
        try:
            script = [f"umask 077 && mkdir -p {folder} && chmod 0700 {carried.FOLDER} {folder}"]
            for file in sorted(new, key=lambda name: (name == carried.SETTINGS, name)):
                source = self._connection._shell.join_path(tmp, file)
                self._transfer_data(source, wanted.files[file])
                script.append(WRITE.format(source=source, folder=folder, file=file))
            script += [f"rm -f {folder}/{shlex.quote(file)}" for file in old]
            self._remote(" && ".join(script))
        finally:
            self._remove_tmp_path(tmp, force=True)

    def _remote(self, command: str) -> str:
        done = self._low_level_execute_command(command, executable="/bin/sh")
        if done["rc"] != 0:
            raise KitError(
                f"could not write the settings into {carried.FOLDER}", seen=done["stderr"].strip()[-300:], site=self.site
            )
        return str(done["stdout"])


def _lines(sums: dict[str, str]) -> str:
    return "".join(f"{file} {digest[:12]}\n" for file, digest in sorted(sums.items()))
