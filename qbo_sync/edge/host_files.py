"""Files and folders of a host, made as asked in one go. Sent to the host as one program, so it uses the standard library only.

Standard input: ``{"check": bool, "activate": [words], "files": [entry, …]}`` with entries ``{"dest", "state", "mode", "owner",
"group", "content", "secret"}``, ``content`` in base64 and ``state`` one of ``file``, ``directory``, ``absent``, or ``only``: then
no file is left in the folder ``dest`` but those of ``names``. Standard output: what stood there, one entry a file:
``{"changed", "state", "content", "mode", "owner", "group"}``; of a secret only the :func:`digest` of its content, since Ansible
may log what a host answers. A file is replaced whole: whoever reads it sees the old one or the new one. An entry is done only
when the one before it is; a failure ends with exit status 1 and the cause on standard error.

``activate`` is a command that takes what was written into use, a reload for one; it runs when anything changed. When it fails
(exit status 3, its words on standard error), or not all could be written, every file of this call is put back as it stood.
"""

from __future__ import annotations

import base64
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

REFUSED = 3  # the exit status when the command failed that takes the files into use


def look(entry: dict[str, Any]) -> dict[str, Any]:
    """What stands at a path; a link is followed, except one that leads nowhere."""
    path = Path(entry["dest"])
    if entry["state"] == "only":
        others = (file.name for file in path.glob("*") if file.name not in entry["names"] and not file.is_dir())
        return {"state": "only", "others": sorted(others)}
    try:
        found = path.stat()
    except OSError:
        return {"state": "link" if path.is_symlink() else "absent"}
    seen: dict[str, Any] = {"state": "directory" if path.is_dir() else "file"}
    seen |= {"mode": f"{stat.S_IMODE(found.st_mode):04o}", "owner": found.st_uid, "group": found.st_gid}
    if seen["state"] == "file":
        seen["content"] = base64.b64encode(path.read_bytes()).decode()
    return seen


def digest(content: str) -> str:
    """Says whether two secrets are the same, and nothing else of them."""
    return hashlib.sha256(content.encode()).hexdigest()


def wish(entry: dict[str, Any], check: bool) -> dict[str, Any]:
    """The same words for what is wanted. A user that is not there yet owns nothing: in check mode that is a difference."""
    if entry["state"] == "absent":
        return {"state": "absent"}
    if entry["state"] == "only":
        return {"state": "only", "others": []}
    wanted: dict[str, Any] = {key: entry[key] for key in ("state", "mode", "content") if key in entry}
    for kind, number in (("owner", user_id), ("group", group_id)):
        try:
            wanted[kind] = number(entry[kind])
        except KeyError:
            if not check:
                raise SystemExit(f"{entry['dest']}: there is no {'user' if kind == 'owner' else 'group'} {entry[kind]}") from None
            wanted[kind] = entry[kind]
    return wanted


def user_id(name: str) -> int:
    """A user's number. Raises :class:`KeyError` when there is none of that name."""
    return pwd.getpwnam(name).pw_uid


def group_id(name: str) -> int:
    """A group's number. Raises :class:`KeyError` when there is none of that name."""
    return grp.getgrnam(name).gr_gid


def make(path: Path, wanted: dict[str, Any], seen: dict[str, Any]) -> None:
    """Turn what is seen into what is wanted."""
    if wanted["state"] == "absent":
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    elif wanted["state"] == "only":
        for name in seen["others"]:
            (path / name).unlink()
    elif wanted["state"] == "directory":
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        dress(path, wanted)
    elif seen.get("content") == wanted["content"]:
        dress(path, wanted)
    else:
        replace(path.resolve(), wanted)


def replace(path: Path, wanted: dict[str, Any]) -> None:
    """Write beside and move over it, nobody else's from the first byte on; what cannot be moved is taken away again."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        new.touch(mode=0o600, exist_ok=False)
        new.write_bytes(base64.b64decode(wanted["content"]))
        dress(new, wanted)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def dress(path: Path, wanted: dict[str, Any]) -> None:
    """Owner first: a change of owner takes special bits off the mode."""
    os.chown(path, wanted["owner"], wanted["group"])
    path.chmod(int(wanted["mode"], 8))


def put_back(path: Path, link: str, seen: dict[str, Any]) -> None:
    """A file, a link or nothing, as it was seen before; folders stay as they are."""
    if link and not path.is_symlink():
        path.symlink_to(link)
    if seen["state"] == "link":
        path.resolve().unlink(missing_ok=True)
    elif seen["state"] == "file" or (seen["state"] == "absent" and path.is_file()):
        make(path, seen, look({"dest": path, "state": "file"}))


def run(activate: list[str]) -> None:
    """Have the files taken into use. Raises :class:`SystemExit` with the command's words when it fails."""
    done = subprocess.run(activate, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write((done.stderr or done.stdout).strip() or f"exit status {done.returncode}")
        raise SystemExit(REFUSED)


def carry_out(files: list[dict[str, Any]], activate: list[str], check: bool) -> list[dict[str, Any]]:
    """Make every entry; what was there before, as the module's docstring says."""
    found, undo = [], []
    try:
        for entry in files:
            path, seen, wanted = Path(entry["dest"]), look(entry), wish(entry, check)
            changed = any(seen.get(key) != value for key, value in wanted.items())
            if changed and not check:
                undo.append((path, str(path.readlink()) if path.is_symlink() else "", seen))
                try:
                    make(path, wanted, seen)
                except OSError as error:
                    raise SystemExit(f"{path}: {error.strerror}") from None
            found.append({**told(entry, seen), "changed": changed})
        if undo and activate:
            run(activate)
    except SystemExit:
        for step in reversed(undo if activate else []):
            put_back(*step)
        raise
    return found


def told(entry: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """What was seen, as it may be logged."""
    if entry.get("secret") and "content" in seen:
        return {**seen, "content": digest(seen["content"])}
    return seen


def main() -> None:
    """Read what is wanted, do it, say what was there."""
    asked = json.load(sys.stdin)
    json.dump(carry_out(asked["files"], asked["activate"], asked["check"]), sys.stdout)


if __name__ == "__main__":
    main()
