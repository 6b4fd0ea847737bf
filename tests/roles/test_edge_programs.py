"""The programs that the edge host's roles carry over: what they read and what they say. No host is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.edge import looks
from qbo_sync.edge.certificate import stable
from qbo_sync.edge.looks import certificate as facts
from qbo_sync.edge.looks import nginx

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
    found = stable.describe(stable.leaf(lineage / "fullchain.pem"))
    assert (seen["serial"], seen["fingerprint"]) == (found.serial, found.fingerprint)
    assert seen["days_left"] in (39, 40)


def test_the_pfx_file_that_was_written_is_known(tmp_path: Path) -> None:
    """It is to be removed with the certificate, also where the site's file does not name it any more."""

    def seen() -> str:
        asked = {"name": "qbo.example.com", "lineage": "", **dict.fromkeys(("directory", "config_dir", "store"), str(tmp_path))}
        return str(facts.look(asked)["pfx"])

    assert seen() == ""
    state = tmp_path / "qbo.example.com.json"
    for content, path in [('{"pfx": {"path": "/srv/x.pfx"}}', "/srv/x.pfx"), ('{"pfx": null}', ""), ("{", ""), ("[]", "")]:
        state.write_text(content)
        assert seen() == path


def test_what_is_no_certificate_is_none(tmp_path: Path) -> None:
    (tmp_path / "fullchain.pem").write_text("nothing of the kind")
    assert facts.describe(tmp_path / "fullchain.pem") == {}
    assert facts.describe(tmp_path / "missing.pem") == {}


@pytest.mark.parametrize("program", sorted(Path(looks.__file__).parent.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_program_that_is_sent_to_a_host_needs_python_3_9_and_nothing_else(program: Path) -> None:
    tree = ast.parse(program.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
