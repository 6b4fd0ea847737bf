"""The common part of the kit's Ansible action plugins: they run in process on the control node, over this package's libraries.

The plugins themselves are in ``playbooks/action_plugins`` (shared) and ``roles/*/action_plugins``. Only they import this module;
it needs ansible-core, which an edge host doesn't have.
"""

from __future__ import annotations

import base64
import json
import shlex
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from qbo_sync.edge import host_files, wheels
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


class LookingAction(KitAction):
    """An action that looks at a host by a program of :mod:`qbo_sync.edge.looks`, in one round trip.

    A module of Ansible's own kind would load Ansible's library on the host first, which takes longer than most looks.
    """

    _requires_connection = True

    def look(self, program: ModuleType, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the program answers on the task's host. Raises :class:`KitError` when it cannot run there."""
        source = Path(str(program.__file__)).read_text(encoding="utf-8")
        done = self._low_level_execute_command(f"{self._python()} -c {shlex.quote(source)}", in_data=json.dumps(asked).encode())
        try:
            return dict(json.loads(done["stdout"]))
        except ValueError:
            raise KitError(
                f"could not look from the host {self._task.delegate_to or self.variable('inventory_hostname')}",
                seen="".join((done["stderr"] or done["stdout"]).strip().splitlines()[-1:]),
                next="it needs Python 3.9 or newer as python3, or at the path in its ansible_python_interpreter",
                site=self.site,
            ) from None

    def _python(self) -> str:
        """What the inventory says of the task's host, which may be another one than the site's; else its own python3."""
        delegated = self.task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        chosen = str(self._templar.template((delegated or self.task_vars).get("ansible_python_interpreter", "")))
        return shlex.quote(chosen) if chosen.startswith("/") else "python3"


class CarryingAction(KitAction):
    """An action that brings files to the host, all in one round trip; :mod:`qbo_sync.edge.host_files` is what runs there."""

    _requires_connection = True

    def carry(self, files: Sequence[dict[str, Any]], activate: Sequence[str] = ()) -> dict[str, Any]:
        """Have the host hold these, each as its program takes them; the task's result, which shows nothing of a secret.

        ``activate`` is a command of the host that takes what changed into use; if it fails, all is put back. Raises
        :class:`KitError`.
        """
        program = f"python3 -c {shlex.quote(Path(host_files.__file__).read_text(encoding='utf-8'))}"
        asked = json.dumps({"check": self.check_mode, "activate": list(activate), "files": files})
        done = self._low_level_execute_command(program, in_data=asked.encode())
        if done["rc"] == host_files.REFUSED:
            names = " or ".join(file["dest"] for file in files if file["state"] != "directory")
            raise KitError(
                f"what was written could not be taken into use, and was put back as it stood: {shlex.join(activate)}",
                seen=done["stderr"].strip()[-600:],
                next=f"if that names another file than {names}, mend that file; else report it to the kit's makers",
                site=self.site,
            )
        if done["rc"] != 0:
            seen = (done["stderr"] or done["stdout"]).strip().splitlines()[-1:]
            raise KitError("could not write a file on the host", seen="".join(seen), site=self.site)
        changed = [(file, was) for file, was in zip(files, json.loads(done["stdout"]), strict=True) if was["changed"]]
        diffs = [_diff(file, was) for file, was in changed]
        return {"changed": bool(changed), "written": [file["dest"] for file, _ in changed], "diff": diffs}

    def carry_secrets(self, folder: str, files: Mapping[str, bytes], *, last: str) -> dict[str, Any]:
        """Have the folder hold these files and no others, for root alone; ``last`` names the others, so it is written last."""
        named = sorted(files, key=lambda name: (name == last, name))
        wanted = [folder_entry(str(Path(folder).parent), "0700"), folder_entry(folder, "0700")]
        wanted += [file_entry(f"{folder}/{name}", files[name], "0600", secret=True) for name in named]
        return self.carry([*wanted, {"dest": folder, "state": "only", "names": named}])


class WheelAction(KitAction):
    """An action whose program comes to the host as wheels."""

    _requires_connection = True

    def look_at_python(self, link: str) -> tuple[wheels.Target, str]:
        """What wheels must fit on the host, and where a link there leads (empty: nowhere)."""
        seen = json.loads(self.remote(f"python3 -c {shlex.quote(_PYTHON_PROBE)} {link}", "look at the host's Python"))
        leads_to = seen.pop("link")
        return wheels.Target(**seen), leads_to

    @contextmanager
    def wheels_there(self, bundle: wheels.Bundle) -> Iterator[str]:
        """A folder of the host with the bundle's wheels in ``wheels/``, for as long as the block lasts."""
        folder = self._make_tmp_path().rstrip("/")
        try:
            for path in bundle.files:
                self._transfer_file(str(path), f"{folder}/{path.name}")
            unpack = f'for archive in {folder}/*.tar; do tar -xf "$archive" -C {folder}/wheels || exit; done'
            self.remote(f"mkdir {folder}/wheels; {unpack}", "unpack the wheels")
            yield folder
        finally:
            self._remove_tmp_path(folder, force=True)

    def remote(self, command: str, purpose: str) -> str:
        """Run a command on the host and return its standard output. Raises :class:`KitError`."""
        done = self._low_level_execute_command(command, executable="/bin/sh")
        if done["rc"] != 0:
            raise KitError(
                f"could not {purpose}",
                seen=(done["stderr"] or done["stdout"]).strip()[-600:],
                next="the host must be Debian or Ubuntu with python3 and python3-venv and room under /opt; mend that and run this"
                " again",
                site=self.site,
            )
        return str(done["stdout"])


_PYTHON_PROBE = """\
import json, os, platform, sys
try:
    link = os.readlink(sys.argv[1])
except OSError:
    link = ""
print(json.dumps({
    "python": "%d.%d" % sys.version_info[:2], "machine": platform.machine(), "glibc": platform.libc_ver()[1], "link": link,
}))
"""


def folder_entry(dest: str, mode: str, owner: str = "root", group: str = "root") -> dict[str, Any]:
    """A folder, as :meth:`CarryingAction.carry` takes it."""
    return {"dest": dest, "state": "directory", "mode": mode, "owner": owner, "group": group}


def file_entry(
    dest: str, content: bytes, mode: str, owner: str = "root", group: str = "root", *, secret: bool = False
) -> dict[str, Any]:
    """A file, as :meth:`CarryingAction.carry` takes it; nothing but the name is ever shown of a ``secret``."""
    said = {"content": base64.b64encode(content).decode(), "secret": secret}
    return {"dest": dest, "state": "file", "mode": mode, "owner": owner, "group": group, **said}


def _diff(file: Mapping[str, Any], was: Mapping[str, Any]) -> dict[str, str]:
    """Before and after of one file, for ``--diff``: the content where that differs, else what else there is to tell."""
    hidden = file.get("secret", False)
    contents = [was.get("content", ""), host_files.digest(file["content"]) if hidden else file.get("content", "")]
    if file["state"] == "only":
        before, after = "".join(f"{name}\n" for name in was["others"]), ""
    elif contents[0] == contents[1]:
        before, after = _state(was), _state(file)
    elif hidden:
        before, after = "(not shown)\n", "(not shown, another one)\n"
    else:
        before, after = (base64.b64decode(content).decode(errors="replace") for content in contents)
    return {"before_header": file["dest"], "after_header": file["dest"], "before": before, "after": after}


def _state(one: Mapping[str, Any]) -> str:
    dressed = (f", {word} {one[word]}" for word in ("mode", "owner", "group") if one.get(word) is not None)
    return f"{one['state']}{''.join(dressed) if one['state'] != 'absent' else ''}\n"
