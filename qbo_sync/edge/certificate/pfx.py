"""The certificate as a PFX file, for a Windows web server that shall serve the same name inside the company."""

from __future__ import annotations

import subprocess
from pathlib import Path

from qbo_sync.disk import whole_file
from qbo_sync.edge.certificate.settings import Pfx
from qbo_sync.edge.certificate.stable import FILES
from qbo_sync.errors import KitError

# Windows Server 2016 and older read only the second; 2019 and newer read both.
ENCRYPTION = {
    "modern": ["-certpbe", "AES-256-CBC", "-keypbe", "AES-256-CBC", "-macalg", "sha256"],
    "legacy": ["-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
}


def keep(wanted: Pfx | None, pair: Path, before: dict[str, str] | None) -> dict[str, str] | None:
    """Have the file that is wanted, newer than certificate and password, and none at an earlier path: it holds the key.

    ``before`` is what this returned at the last look: path and encryption of the file that was made, or None. Raises
    :class:`KitError`, :class:`OSError`.
    """
    made = None
    if wanted:
        path, password = Path(wanted.path), Path(wanted.password_file)
        made = {"path": wanted.path, "encryption": wanted.encryption}
        newest = max(file.stat().st_mtime for file in (password, pair / FILES[0]))
        if made != before or not path.exists() or path.stat().st_mtime < newest:
            export(pair, path, password, wanted.encryption)
    if before and (made is None or made["path"] != before["path"]):
        Path(before["path"]).unlink(missing_ok=True)
    return made


def export(pair: Path, path: Path, password_file: Path, encryption: str) -> None:
    """Write certificate, chain and key of ``pair`` to ``path``, mode 0600; it is replaced whole. Raises :class:`KitError`."""
    status = _secret(password_file)
    if status:
        raise KitError(f"the password for the PFX file cannot be used: {password_file}", seen=status, next="see certificate_pfx")
    command = ["openssl", "pkcs12", "-export", "-in", str(pair / FILES[0]), "-inkey", str(pair / FILES[1])]
    command += ["-passout", f"file:{password_file}", *ENCRYPTION[encryption]]
    with whole_file(path) as new:
        done = subprocess.run([*command, "-out", str(new)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KitError(
                f"the PFX file {path} could not be written", seen=done.stderr.strip()[:300], next="see certificate_pfx"
            )


def _secret(path: Path) -> str:
    """Why the file is no secret one; nothing when it is."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.strerror or "not there"
    if mode & 0o077:
        return "others may read it; its mode must be 0600"
    return "" if path.read_text(encoding="utf-8").strip() else "it is empty"
