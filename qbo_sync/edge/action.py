"""The common part of the kit's Ansible action plugins: they run in process on the control node, over this package's libraries.

The plugins themselves are in ``playbooks/action_plugins`` (shared) and ``roles/*/action_plugins``. Only they import this module;
it needs ansible-core, which an edge host doesn't have.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from qbo_sync.errors import KitError, Waiting

# The only variables without a role's prefix, and what each one is (roles/README.md has the same list).
SITE_VARIABLES = {
    "site_name": "the site's short name",
    "site_fqdn": "the secure address people type, qbo.company.com",
    "site_zone": "the DNS zone it lies in, company.com",
    "site_address": "the site's external IPv4 address",
    "site_lan_address": "the edge host's address inside the site",
    "site_router": "the router's inventory host",
    "site_observer": "the inventory host that looks from outside",
    "site_upstream": "the Miracle Service web server, http://10.0.0.20:8080",
}


def plain(value: Any) -> Any:
    """A copy made of JSON's own types; Ansible hands out tagged and lazy subclasses of them."""
    return json.loads(json.dumps(value, default=str))


class KitAction(ActionBase):  # type: ignore[misc]
    """An action whose arguments are declared in ``arguments`` (Ansible's argument spec) and whose work is :meth:`work`.

    A :class:`~qbo_sync.errors.KitError` becomes the task's failure with its whole text: what failed, what was seen, what to do.
    A :class:`~qbo_sync.errors.Waiting` is no failure: the task ends with ``waiting_for`` and ``next`` for ``kit_result``.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    arguments: ClassVar[dict[str, Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry point."""
        self.task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, self.task_vars)
        _, arguments = self.validate_argument_spec(self.arguments)
        try:
            result.update(self.work(plain(arguments)))
        except Waiting as wait:
            result.update(changed=False, **self.waits(wait))
        except KitError as error:
            error.site = error.site or self.site
            raise AnsibleActionFail(str(error)) from None
        return result

    @abstractmethod
    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do the task and return its result. Raises :class:`~qbo_sync.errors.KitError`."""

    def waits(self, wait: Waiting) -> dict[str, Any]:
        """A wait for a person as part of a task's result."""
        wait.site = wait.site or self.site
        said = {"waiting_for": {"who": wait.who, "what": wait.what}, "next": wait.next, "msg": str(wait)}
        return said | ({"request": wait.request} if wait.request else {})

    @property
    def check_mode(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self._task.check_mode)

    def variable(self, name: str, default: str = "") -> str:
        """A variable of the current host, templated."""
        if name not in self.task_vars:
            return default
        return str(self._templar.template(self.task_vars[name]))

    def secret_file(self, name: str) -> Path:
        """The file that holds a secret, on the control node; one that ansible-vault encrypted is opened with the run's vault id.

        A name that isn't there is handed on as it is: who reads it says what is missing and where.
        """
        path = Path(name).expanduser()
        return Path(self._loader.get_real_file(str(path))) if name and path.is_file() else path

    @property
    def site(self) -> str:
        """The site's name: ``site_name``, else the inventory host's."""
        return self.variable("site_name") or self.variable("inventory_hostname")

    @property
    def store(self) -> Path:
        """The control node's own folder, which git ignores: ``store/`` next to ``playbooks/``, or ``kit_store``."""
        chosen = self.variable("kit_store")
        return Path(chosen) if chosen else Path(self.variable("playbook_dir")).parent / "store"


class CarryingAction(KitAction):
    """An action that brings files to a folder on the host which root alone can read."""

    _requires_connection = True

    def carry(self, folder: str, files: dict[str, bytes], *, last: str) -> dict[str, Any]:
        """Have the folder hold these files and no others; the task's result. ``last`` names the others, so it is written last.

        Names and checksums are all that the diff shows.
        """
        listed = self._remote(folder, f"cd {shlex.quote(folder)} 2>/dev/null && sha256sum -- * 2>/dev/null || true")
        seen = {file: digest for digest, file in (line.split(None, 1) for line in listed.splitlines() if line.strip())}
        sums = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
        new, old = [file for file in sums if seen.get(file) != sums[file]], sorted(set(seen) - set(sums))
        if (new or old) and not self.check_mode:
            self._write(folder, {file: files[file] for file in sorted(new, key=lambda name: (name == last, name))}, old)
        return {"changed": bool(new or old), "diff": {"before": _sums(seen), "after": _sums(sums)}}

    def _write(self, folder: str, new: dict[str, bytes], old: list[str]) -> None:
        tmp, place = self._make_tmp_path(), shlex.quote(folder)
        try:
            script = [f"umask 077 && mkdir -p {place} && chmod 0700 {place}/.. {place}"]
            for file, content in new.items():
                source = self._connection._shell.join_path(tmp, file)
                self._transfer_data(source, content)
                script.append(f"install -m 0600 {source} {place}/.new && mv -T {place}/.new {place}/{file}")
            script += [f"rm -f {place}/{shlex.quote(file)}" for file in old]
            self._remote(folder, " && ".join(script))
        finally:
            self._remove_tmp_path(tmp, force=True)

    def _remote(self, folder: str, command: str) -> str:
        done = self._low_level_execute_command(command, executable="/bin/sh")
        if done["rc"] != 0:
            raise KitError(f"could not write the settings into {folder}", seen=done["stderr"].strip()[-300:], site=self.site)
        return str(done["stdout"])


def _sums(sums: dict[str, str]) -> str:
    return "".join(f"{file} {digest[:12]}\n" for file, digest in sorted(sums.items()))
