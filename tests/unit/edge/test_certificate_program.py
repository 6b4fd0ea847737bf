"""The program as it travels: one file, the host's own Python, nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from edge_certified import NAME, Certified

from qbo_sync.edge import carried, program
from qbo_sync.edge.certificate import settings
from qbo_sync.errors import UsageError


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As on an edge host: isolated from this checkout and its packages."""
    path = folder / "qbo-kit-certificate"
    path.write_bytes(program.pack(program.CERTIFICATE, "qbo_sync.edge.certificate.__main__"))
    command = ["/usr/bin/python3", "-I", "-S", str(path), "--settings", str(folder / "etc"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_runs_without_any_package_and_says_what_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, "status")
    assert done.returncode == 2
    assert "run the role certificate first" in done.stderr


def test_the_same_sources_give_the_same_bytes() -> None:
    assert program.pack(program.CERTIFICATE, "m") == program.pack(program.CERTIFICATE, "m")


def made(folder: Path, **given: Any) -> carried.Carried:
    """What the role would carry over for these variables."""
    parts = {"authorities": [{"directory": "https://ca.test/dir"}], "dns": {}, "brought_files": {}, "alerts": {}, "pfx": {}}
    plain = {"name": NAME, "directory": str(folder / "tls"), "challenge": {"kind": "http", "webroot": "/w"}, "limits": []}
    plain |= {key: given.pop(key) for key in ("source", "challenge", "rehearsal") if key in given}
    files = carried.Carried(NAME, Path)
    files.settings(plain, **{**parts, **given})
    return files


def secret(folder: Path, name: str, content: str = "s3cret") -> str:
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(content)
    return str(path)


def test_what_the_role_carries_is_what_the_program_reads(tmp_path: Path) -> None:
    files = made(
        tmp_path,
        rehearsal="https://staging.test/dir",
        authorities=[
            {"directory": "https://ca.test/dir"},
            {"directory": "https://b.test/dir", "eab_kid": "k", "eab_hmac_key_file": secret(tmp_path, "eab")},
        ],
        challenge={"kind": "dns-cloudflare"},
        dns={"token_file": secret(tmp_path, "token"), "propagation_s": 5, "api_url": "https://api.test"},
        alerts={
            "recipients": ["a@b.c"],
            "sender": "d@b.c",
            "smtp_host": "m",
            "webhook_file": secret(tmp_path, "hook", "https://h/s3cret"),
        },
        pfx={"path": "/x.pfx", "password_file": secret(tmp_path, "pw")},
    )
    folder = tmp_path / "etc" / NAME
    folder.mkdir(parents=True)
    for name, content in files.files.items():
        (folder / name).write_bytes(content)
    read = settings.load("", tmp_path / "etc")
    assert [one.directory for one in read.authorities] == ["https://ca.test/dir", "https://b.test/dir"]
    assert read.rehearsal == settings.Authority("https://staging.test/dir")
    assert read.challenge.environment == {"CLOUDFLARE_BASE_URL": "https://api.test"}
    assert read.alerts.recipients == ("a@b.c",)
    assert read.pfx == settings.Pfx("/x.pfx", f"/etc/qbo-kit/certificate/{NAME}/pfx-password")
    assert (folder / "dns.ini").read_text() == "dns_cloudflare_api_token = s3cret\n"
    assert (folder / "authority-1.ini").read_text() == "eab-kid = k\neab-hmac-key = s3cret\n"
    assert "s3cret" not in (folder / "settings.json").read_text()
    assert json.loads(run(tmp_path, "--format", "json", "status").stdout)["outcome"] == "failed"


@pytest.mark.parametrize("given", ["a@b.c", ["a@b.c"], "a@b.c, d@e.f", ["a@b.c, d@e.f"], ["a@b.c", "d@e.f"]])
def test_recipients_may_be_written_as_a_list_or_as_text(tmp_path: Path, given: Any) -> None:
    """The argument specification lets both pass, as Ansible does with every list; taken letter by letter nobody would be told."""
    alerts = {"recipients": given, "sender": "d@b.c", "smtp_host": "m"}
    content = json.loads(made(tmp_path, alerts=alerts).files["settings.json"])
    wanted = ("a@b.c", "d@e.f") if "d@e.f" in str(given) else ("a@b.c",)
    assert settings.parse(content).alerts.recipients == wanted
    content["alerts"]["recipients"] = "a@b.c"  # as an earlier kit wrote it
    assert settings.parse(content).alerts.recipients == ("a@b.c",)


def test_a_bought_certificate_travels_with_its_key_and_nothing_of_an_order(
    tmp_path: Path, root: Certified, middle: Certified, leaf: Certified
) -> None:
    pair = secret(tmp_path, "pair.pem", (leaf.key_pem + leaf.pem + middle.pem).decode())
    ca = secret(tmp_path, "root.pem", root.pem.decode())
    given = {"certificate": pair, "ca_file": ca}
    files = made(tmp_path, source="files", rehearsal="https://staging.test/dir", brought_files=given).files
    read = settings.parse(json.loads(files["settings.json"]))
    assert (read.source, read.lineage) == ("files", Path(f"/etc/qbo-kit/certificate/{NAME}"))
    assert (files["fullchain.pem"], files["privkey.pem"]) == (leaf.pem + middle.pem, leaf.key_pem)


def test_a_tsig_key_is_told_to_certbot_in_its_own_words(tmp_path: Path) -> None:
    key = secret(tmp_path, "key", 'key "edge" { algorithm hmac-sha256; secret "c2VjcmV0LXNlY3JldC1zZWNyZXQ="; };')
    files = made(tmp_path, challenge={"kind": "dns-rfc2136"}, dns={"token_file": key, "server": "10.0.0.1"})
    assert files.files["dns.ini"].decode().splitlines() == [
        "dns_rfc2136_server = 10.0.0.1",
        "dns_rfc2136_name = edge",
        "dns_rfc2136_secret = c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
        "dns_rfc2136_algorithm = HMAC-SHA256",
    ]


def test_what_cannot_be_used_is_refused_without_telling_a_secret(tmp_path: Path, leaf: Certified) -> None:
    open_to_all = tmp_path / "open.pfx"
    open_to_all.write_bytes(leaf.pem + leaf.key_pem)
    open_to_all.chmod(0o644)
    for given, words in [
        ({"alerts": {"recipients": ["a@b.c"]}}, "need a sender"),
        ({"alerts": {"recipients": "a@b.c"}}, "need a sender"),
        ({"alerts": {"recipients": ["our people"], "sender": "x", "smtp_host": "m"}}, "cannot be written to"),
        ({"alerts": {"recipients": ["a@b.c", ""], "sender": "x", "smtp_host": "m"}}, "cannot be written to"),
        ({"alerts": {"webhook_file": secret(tmp_path, "hook", "http://h/s3cret")}}, "does not begin with https"),
        ({"alerts": {"smtp_user": "u", "sender": "x"}}, "certificate_alerts.smtp_password_file is not set"),
        ({"pfx": {"path": "x.pfx", "password_file": secret(tmp_path, "pw")}}, "absolute path"),
        ({"challenge": {"kind": "dns-cloudflare"}}, "certificate_dns.token_file is not set"),
        (
            {"challenge": {"kind": "dns-rfc2136"}, "dns": {"token_file": secret(tmp_path, "t")}},
            "certificate_dns.server is not set",
        ),
        ({"source": "files"}, "certificate_files.certificate is not set"),
        ({"source": "files", "brought_files": {"certificate": str(open_to_all)}}, "everybody may read it"),
        ({"source": "files", "brought_files": {"certificate": "/no/such"}}, "cannot be read"),
    ]:
        with pytest.raises(UsageError) as refused:
            made(tmp_path, **given)
        assert words in str(refused.value)
        assert "s3cret" not in str(refused.value)
