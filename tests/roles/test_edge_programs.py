"""The programs that the edge host's roles carry over: what they read and what they say. No host is needed."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

TOP = Path(__file__).resolve().parents[2]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, TOP / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nginx = load("roles/reverse_proxy/library/reverse_proxy_facts.py")
facts = load("roles/certificate/library/certificate_facts.py")
issue = load("roles/certificate/library/certificate_issue.py")
deploy = load("templates/certbot/deploy_certificate.py")

CONFIGURATION = r"""
# server { listen 1; }
user www-data;
http {
    map $a $b { default "server { listen 2; }"; }
    upstream back { server 10.0.0.1:80; }
    server {
        listen 80 default_server;   # server_name no;
        listen [::]:80;
        server_name a.example.com 'b.example.com' "~^(www\d{1,2})\.example\.com$";
        location ~ "^/(x|y){1,2}/" { return 200 "} listen 3; {"; }
        log_format x '${a}{';
        if ($host = a) { set $listen 1; }
    }
    server { server_name c; }
}
"""


def test_server_blocks_are_told_from_everything_that_looks_like_them() -> None:
    assert nginx.server_blocks(CONFIGURATION) == [
        {
            "listen": ["80 default_server", "[::]:80"],
            "names": ["a.example.com", "b.example.com", r"~^(www\d{1,2})\.example\.com$"],
        },
        {"listen": [], "names": ["c"]},
    ]


def test_each_block_of_a_dump_is_known_by_its_file() -> None:
    dump = "# configuration file /a:\nserver { listen 1; }\n# configuration file /b:\nhttp { server { listen 2; } server {} }\n"
    assert [(block["file"], block["listen"]) for block in nginx.servers_of_dump(dump)] == [
        ("/a", ["1"]),
        ("/b", ["2"]),
        ("/b", []),
    ]


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters=".-_:$[]*~/"), min_size=1)


@given(st.lists(st.tuples(st.lists(WORDS, max_size=3), st.lists(WORDS, min_size=1, max_size=3)), max_size=4))
def test_what_is_written_is_read_again(servers: list[tuple[list[str], list[str]]]) -> None:
    blocks = []
    for listens, names in servers:
        lines = "".join(f"    listen {port};\n" for port in listens)
        blocks.append(f"server {{\n{lines}    server_name {' '.join(names)};\n}}\n")
    read = nginx.server_blocks("http {\n" + "".join(blocks) + "}\n")
    assert [(block["listen"], block["names"]) for block in read] == servers


@given(st.text())
def test_any_text_is_read_without_a_complaint(text: str) -> None:
    for block in nginx.server_blocks(text):
        assert set(block) == {"listen", "names"}


def test_who_holds_the_ports_is_read_from_the_kernels_own_list() -> None:
    text = (
        'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("apache2",pid=1,fd=4),("apache2",pid=2,fd=4))\n'
        'LISTEN 0 511 [::]:443 [::]:* users:(("nginx",pid=1,fd=4))\n'
    )
    assert nginx.listeners(text) == [{"port": 80, "program": "apache2"}, {"port": 443, "program": "nginx"}]


LISTED = """Some challenges have failed.
Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: qbo.example.com
  Type:   {type}
  Detail: {detail}
"""


@pytest.mark.parametrize(
    ("type_", "detail", "meaning"),
    [
        ("connection", "Fetching http://x: Timeout during connect", "could not reach port 80"),
        ("dns", "DNS problem: NXDOMAIN looking up A", "could not look the name up"),
        ("unauthorized", "Invalid response from http://x: 404", "not this host's nginx"),
        ("caa", "CAA record prevents issuance", "forbids this CA"),
    ],
)
def test_a_failed_challenge_is_told_in_plain_words(type_: str, detail: str, meaning: str) -> None:
    problem, said, seen, remedy = issue.explain(LISTED.format(type=type_, detail=detail))
    assert (problem, seen) == (type_, detail)
    assert meaning in said
    assert remedy


def test_a_limit_is_told_with_the_cas_own_date() -> None:
    text = "An unexpected error occurred:\nurn:ietf:params:acme:error:rateLimited :: retry after 2027-01-02 03:04:05 UTC\n"
    problem, said, seen, remedy = issue.explain(text)
    assert problem == "rateLimited"
    assert "limit" in said
    assert "2027-01-02 03:04:05" in seen
    assert "wait" in remedy


def test_an_unreachable_ca_is_not_taken_for_the_sites_fault() -> None:
    text = "An unexpected error occurred:\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host='ca')\n"
    problem, said, _, remedy = issue.explain(text)
    assert problem == ""
    assert "directory could not be read" in said
    assert "certificate_acme_directory" in remedy


@given(st.text())
def test_whatever_certbot_prints_there_is_a_next_step(text: str) -> None:
    _, said, _, remedy = issue.explain(text)
    assert said
    assert remedy


@pytest.fixture
def lineage(tmp_path: Path) -> Path:
    """A certificate and its key, as certbot keeps them."""
    folder = tmp_path / "live"
    make_pair(folder)
    return folder


def make_pair(folder: Path, days: int = 40) -> None:
    folder.mkdir(exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)]
    command += ["-subj", "/CN=qbo.example.com/O=A CA", "-addext", "subjectAltName=DNS:qbo.example.com,DNS:b.example.com"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(command, check=True, capture_output=True)


def test_a_certificate_is_read_as_what_it_is(lineage: Path) -> None:
    seen = facts.describe(lineage / "fullchain.pem")
    assert seen["names"] == ["b.example.com", "qbo.example.com"]
    assert seen["issuer"] == "O=A CA,CN=qbo.example.com"
    assert seen["serial"] == deploy.serial(deploy.leaf(lineage / "fullchain.pem"))
    assert seen["days_left"] in (39, 40)


def test_what_is_no_certificate_is_none(tmp_path: Path) -> None:
    (tmp_path / "fullchain.pem").write_text("nothing of the kind")
    assert facts.describe(tmp_path / "fullchain.pem") == {}
    assert facts.describe(tmp_path / "missing.pem") == {}


def test_a_version_is_copied_whole_and_closed(lineage: Path, tmp_path: Path) -> None:
    version = deploy.copy(lineage, tmp_path / "site.d")
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (version, *version.iterdir())}
    assert modes == {version.name: "0o700", "fullchain.pem": "0o644", "privkey.pem": "0o600"}
    assert deploy.copy(lineage, tmp_path / "site.d") == version


def test_a_pair_that_does_not_fit_is_refused_before_anything_is_written(lineage: Path, tmp_path: Path) -> None:
    make_pair(tmp_path / "other")
    (lineage / "privkey.pem").write_bytes((tmp_path / "other" / "privkey.pem").read_bytes())
    with pytest.raises(deploy.Problem, match=r"do not belong together[\s\S]*next: run certbot renew"):
        deploy.copy(lineage, tmp_path / "site.d")
    assert not (tmp_path / "site.d").exists()


def test_only_the_newest_two_versions_and_the_placeholder_stay(tmp_path: Path) -> None:
    versions = tmp_path / "site.d"
    made = []
    for number in range(4):
        make_pair(tmp_path / f"live{number}")
        made.append(deploy.copy(tmp_path / f"live{number}", versions))
        time.sleep(0.01)
    (versions / "placeholder").mkdir()
    deploy.drop_old(versions)
    assert {path.name for path in versions.iterdir()} == {"placeholder", made[2].name, made[3].name}


def test_the_link_moves_in_one_step_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    link = tmp_path / "site"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        deploy.point(link, tmp_path / name)
        assert link.resolve() == tmp_path / name
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "site"}
