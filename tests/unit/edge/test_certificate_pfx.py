"""The PFX file opens with the password, in the form that the Windows server can read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from edge_certified import Certified, lay

from qbo_sync.edge.certificate import pfx
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
