"""The PFX file opens with the password, in the form that the Windows server can read."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from edge_certified import Certified, lay

from qbo_sync.edge.certificate import pfx
from qbo_sync.edge.certificate.settings import Pfx
from qbo_sync.errors import KitError


@pytest.mark.parametrize(("encryption", "cipher"), [("modern", "AES-256-CBC"), ("legacy", "pbeWithSHA1And3-KeyTripleDES-CBC")])
def test_it_holds_key_certificate_and_chain(
    leaf: Certified, middle: Certified, tmp_path: Path, encryption: str, cipher: str
) -> None:
    pair, password = lay(tmp_path / "live", leaf, middle), tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("pass word\n")
    target = tmp_path / "site.pfx"
    pfx.export(pair, target, password, encryption)
    assert oct(target.stat().st_mode & 0o777) == "0o600"
    key, certificate, others = pkcs12.load_key_and_certificates(target.read_bytes(), b"pass word")
    assert (certificate, others) == (leaf.certificate, [middle.certificate])
    assert key
    shown = subprocess.run(
        ["openssl", "pkcs12", "-info", "-in", str(target), "-noout", "-passin", "pass:pass word"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert cipher in shown.stderr
    assert [path.name for path in tmp_path.glob("site.pfx*")] == ["site.pfx"]


def test_a_password_that_others_can_read_is_refused_and_the_old_file_stays(leaf: Certified, tmp_path: Path) -> None:
    password, target = tmp_path / "password", tmp_path / "site.pfx"
    password.write_text("x\n")
    password.chmod(0o644)
    target.write_text("old")
    with pytest.raises(KitError, match="0600"):
        pfx.export(lay(tmp_path / "live", leaf), target, password, "modern")
    assert target.read_text() == "old"


@dataclass
class Kept:
    """The PFX file of one site, from look to look."""

    folder: Path
    pair: Path
    before: dict[str, str] | None = None

    def look(self, name: str = "site.pfx", encryption: str = "modern") -> str:
        """The hash that the file's integrity rests on, after a look with these settings."""
        path = self.folder / name
        self.before = pfx.keep(Pfx(str(path), str(self.folder / "password"), encryption), self.pair, self.before)
        shown = subprocess.run(
            ["openssl", "pkcs12", "-info", "-in", str(path), "-noout", "-passin", "pass:pass word"],
            capture_output=True,
            text=True,
            check=True,
        )
        return re.findall(r"MAC: (\w+)", shown.stderr)[0]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.pfx*"))


@pytest.fixture
def kept(leaf: Certified, tmp_path: Path) -> Kept:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("pass word\n")
    return Kept(tmp_path, lay(tmp_path / "live", leaf))


def test_another_encryption_makes_another_file(kept: Kept) -> None:
    """As the README says for Windows Server 2016, with the certificate and the password as they were."""
    assert kept.look() == "sha256"
    assert kept.look(encryption="legacy") == "sha1"
    made = (kept.folder / "site.pfx").stat().st_ino
    kept.look(encryption="legacy")
    assert (kept.folder / "site.pfx").stat().st_ino == made  # nothing has changed


def test_a_new_certificate_or_password_makes_another_file(kept: Kept) -> None:
    kept.look()
    for changed in (kept.folder / "password", kept.pair / "fullchain.pem"):
        made = (kept.folder / "site.pfx").stat().st_ino
        now = time.time() + 10
        os.utime(changed, (now, now))
        kept.look()
        os.utime(kept.folder / "site.pfx", (now, now))
        assert (kept.folder / "site.pfx").stat().st_ino != made


def test_a_file_at_the_old_path_goes_and_so_does_one_that_is_not_wanted_any_more(kept: Kept) -> None:
    """It holds the private key."""
    kept.look()
    kept.look("other.pfx")
    assert kept.files == ["other.pfx"]
    assert pfx.keep(None, kept.pair, kept.before) is None
    assert kept.files == []
    assert pfx.keep(None, kept.pair, None) is None


def test_the_old_file_stays_while_the_new_one_cannot_be_made(kept: Kept) -> None:
    kept.look()
    (kept.folder / "password").chmod(0o644)
    with pytest.raises(KitError, match="0600"):
        kept.look("other.pfx")
    assert kept.files == ["site.pfx"]
