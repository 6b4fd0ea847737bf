"""The proxy under the eyes of graders, and beside a web server that had its ports before."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from lab.world.layout import ACME_ROOT_FILE, EDGE_LAN, FQDN
from tests.lab.conftest import EdgeSite
from tests.lab.test_hosts_suite import suite

# Both are right as they are: the client knows best which of the good ciphers suits it (Mozilla), and Pebble's certificates name
# no place to ask for revocation, while Let's Encrypt's do.
EXPECTED = {"cipher_order", "cert_revocation"}

# A web server that was there before: its own certificate on 8443, plain pages on 8090.
FORMER = """
set -e
mkdir -p /tmp/former
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shop.mycompany.com \
    -keyout /tmp/former/key.pem -out /tmp/former/cert.pem 2>/dev/null
cat >/tmp/former/serve.py <<'PROGRAM'
import http.server, ssl, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"former {self.headers['Host']}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
plain = http.server.ThreadingHTTPServer(("127.0.0.1", 8090), Page)
secret = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain("/tmp/former/cert.pem", "/tmp/former/key.pem")
secret.socket = context.wrap_socket(secret.socket, server_side=True)
threading.Thread(target=plain.serve_forever, daemon=True).start(); secret.serve_forever()
PROGRAM
systemd-run --quiet --unit former python3 /tmp/former/serve.py
until ss -Hltn | grep -q :8443; do sleep 0.1; done
"""


@contextmanager
def former_server(site: EdgeSite) -> Iterator[None]:
    site.on("edge", FORMER)
    try:
        yield
    finally:
        site.on("edge", "systemctl stop former; rm -rf /tmp/former")


def inventory_with(site: EdgeSite, folder: Path, variables: dict[str, Any]) -> Path:
    """A copy of the lab's inventory whose site has these variables too."""
    shutil.copytree(site.lab.inventory.parent, folder / "inventory")
    more = folder / "inventory" / "group_vars" / "site_lab" / "more.yml"
    more.write_text(yaml.safe_dump(variables))
    return folder / "inventory" / site.lab.inventory.name


def from_outside(site: EdgeSite, *options: str) -> str:
    """The body of a page as the observer gets it; certificates are not checked."""
    return site.on("observer", f"curl --silent --insecure --max-time 20 {' '.join(options)}")


def test_a_grader_of_tls_finds_nothing_above_low(edge_site: EdgeSite) -> None:
    grade = (
        "cd $(mktemp -d); cat >ca.pem; TESTSSL_INSTALL_DIR=/etc/testssl testssl --quiet --warnings batch --add-ca ca.pem "
        f"--jsonfile found.json -p -s -P -S -h -T {FQDN} >/dev/null; cat found.json; rm -r $PWD"
    )
    findings = json.loads(edge_site.lab.shell("observer", grade, text=ACME_ROOT_FILE.read_text()).stdout)
    assert len(findings) > 50
    above = {f["id"]: f["finding"] for f in findings if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL")}
    assert set(above) == EXPECTED, above


def test_a_reader_of_nginx_configurations_finds_nothing_in_ours(edge_site: EdgeSite, tmp_path: Path) -> None:
    """Debian's own nginx.conf is not ours to mend: ours is read within an empty one."""
    ours = edge_site.on("edge", "cat /etc/nginx/conf.d/qbo-kit.conf")
    path = tmp_path / "nginx.conf"
    path.write_text(f"worker_rlimit_nofile 4096;\nevents {{ worker_connections 1024; }}\nhttp {{\n{ours}\n}}\n")
    gixy = str(Path(sys.executable).with_name("gixy"))
    done = subprocess.run([gixy, "-f", "json", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(done.stdout) == [], done.stdout + done.stderr


def test_other_names_reach_the_web_server_that_had_the_ports_before(edge_site: EdgeSite, tmp_path: Path) -> None:
    """Unchanged and undecrypted; the site's own name stays ours, and the way back refuses them again."""
    through = {
        "reverse_proxy_pass_through_https": "127.0.0.1:8443",
        "reverse_proxy_pass_through_http": "127.0.0.1:8090",
        "verify_other_names_refused": False,
        "verify_callback": False,
    }
    shop = f"--connect-to shop.mycompany.com:443:{FQDN}:443 https://shop.mycompany.com/"
    refused = edge_site.lab.shell("observer", f"curl --silent --insecure --max-time 20 {shop}").returncode
    assert refused == 35
    try:
        with former_server(edge_site):
            run, again = (edge_site.roles("reverse_proxy", **through) for _ in range(2))
            assert (run.code, again.code, again.count("changed")) == (0, 0, 0), run.text + again.text
            assert from_outside(edge_site, shop) == "former shop.mycompany.com"
            assert from_outside(edge_site, f"--connect-to old.test:80:{FQDN}:80 http://old.test/") == "former old.test"
            assert json.loads(from_outside(edge_site, f"https://{FQDN}/qbo/healthz"))["status"] == "ok"
            seen = edge_site.on("edge", "grep healthz /var/log/nginx/qbo-kit.log | tail -1")
            assert not re.match(rf"127\.|{EDGE_LAN}", seen), seen
            proof = edge_site.roles("verify", **through)
            assert proof.code == 0, proof.text
            inventory = inventory_with(edge_site, tmp_path, through)
            code, text = suite(edge_site, "tests/hosts", "-k", "names or other_name or sockets", inventory=inventory)
            assert code == 0, text
    finally:
        edge_site.build("reverse_proxy")
    assert edge_site.lab.shell("observer", f"curl --silent --insecure --max-time 20 {shop}").returncode == 35
