"""A running web service of one site and a browser that visits it, as tests talk to them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

import requests

from lab.intuit.__main__ import CLIENT_ID, CLIENT_SECRET, REALM
from lab.intuit.process import running
from qbo_sync import config
from qbo_sync.config import Settings
from qbo_sync.intuit import TokenStore

TOP = Path(__file__).resolve().parents[3]
SERVE = "import sys; from pathlib import Path; from qbo_sync import config, web; web.serve(config.load(Path(sys.argv[1])))"
VERIFIER = "a verifier token of the lab's app"
TOML = """
site = "acme"
[intuit]
environment = "custom"
discovery_url = "{lab}/.well-known/openid_configuration"
api_url = "{lab}"
client_id = "{client_id}"
client_secret_file = "secret"
redirect_uri = "http://127.0.0.1:{port}/qbo/callback"
timeout_s = 5
[miracle]
database_url = "sqlite://"
[store]
directory = "store"
[web]
port = {port}
public_url = "{public_url}"
"""


@dataclass
class Site:
    """A running web service."""

    base: str
    lab: str
    settings: Settings
    output: IO[str]
    realm: str = REALM

    def get(self, path: str, **values: Any) -> requests.Response:
        return requests.get(self.base + path, allow_redirects=False, timeout=30, **values)

    def consent(self, address: str, **form: str) -> str:
        """Answer Intuit's consent page; the address that the browser is sent back to."""
        asked = dict(parse_qsl(urlsplit(address).query))
        sent = {**asked, "decision": "allow", "realm": REALM, **form}
        answer = requests.post(address.partition("?")[0], sent, allow_redirects=False, timeout=10)
        return answer.headers["location"]

    def invitation(self) -> str:
        """The link that somebody made with `qbo-sync connect`."""
        return f"/qbo/connect?invitation={TokenStore(self.settings).invite()}"

    def fault(self, *rules: dict[str, Any]) -> None:
        requests.post(f"{self.lab}/lab/faults", json=list(rules), timeout=10).raise_for_status()

    def unused(self, callback: str) -> bool:
        """Whether the code in ``callback`` never reached the token service: it can still be exchanged."""
        form = {
            "grant_type": "authorization_code",
            "code": dict(parse_qsl(urlsplit(callback).query))["code"],
            "redirect_uri": self.settings.intuit.redirect_uri,
        }
        return requests.post(f"{self.lab}/oauth2/v1/tokens/bearer", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10).ok

    def said(self) -> str:
        """What the service has written to its log so far."""
        self.output.seek(0)
        return self.output.read()


@dataclass
class Browser:
    """One person's browser."""

    site: Site
    session: requests.Session

    def get(self, path: str, **values: Any) -> requests.Response:
        return self.session.get(self.site.base + path, allow_redirects=False, timeout=30, **values)

    def post(self, path: str, **values: Any) -> requests.Response:
        return self.session.post(self.site.base + path, allow_redirects=False, timeout=30, **values)

    def begin(self) -> str:
        """Intuit's consent address for this browser, which opened the link it was sent."""
        self.get(self.site.invitation())
        return self.get("/qbo/connect/start").headers["location"]

    def finish(self, callback: str) -> requests.Response:
        return self.session.get(callback, allow_redirects=False, timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_served(process: subprocess.Popen[bytes], base: str) -> None:
    while process.poll() is None:
        try:
            requests.get(f"{base}/qbo/healthz", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the web service ended with {process.returncode}")


@contextmanager
def serving(toml: Path, base: str) -> Iterator[IO[str]]:
    """The web service as a process of its own, until the end; gives what it writes."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(toml)], stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": str(TOP)}
        )
        try:
            wait_until_served(process, base)
            yield output
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """A site in this folder with its web service and its own look-alike, until the end."""
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    for name, secret in (("secret", CLIENT_SECRET), ("verifier", VERIFIER)):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    with running("--redirect-uri", f"{public_url}/qbo/callback", "--strict-rotation", "--limits", "off") as lab:
        toml = folder / "acme.toml"
        settings = TOML.format(lab=lab, client_id=CLIENT_ID, port=port, public_url=public_url)
        toml.write_text(settings + 'verifier_token_file = "verifier"\n')
        with serving(toml, public_url) as output:
            yield Site(public_url, lab, config.load(toml), output)


@contextmanager
def slow_visitors(site: Site, number: int) -> Iterator[None]:
    """So many visitors who never finish what they ask for."""
    host, port = site.base.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(number):
            visitor = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            visitor.sendall(b"GET /qbo/callback?code=1 HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        yield
