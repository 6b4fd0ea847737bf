"""The web service as it runs in life: its own process on loopback, with a look-alike of Intuit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from web_site import TOML, VERIFIER, Browser, Site, free_port, serving

from lab.intuit.__main__ import CLIENT_ID, CLIENT_SECRET
from lab.intuit.process import running
from qbo_sync import config
from qbo_sync.intuit import Connection, TokenStore


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    (folder / "secret").write_text(CLIENT_SECRET)
    (folder / "secret").chmod(0o600)
    with running("--redirect-uri", f"http://127.0.0.1:{port}/qbo/callback", "--strict-rotation", "--limits", "off") as lab:
        public_url = f"http://127.0.0.1:{port}"
        toml = folder / "acme.toml"
        toml.write_text(TOML.format(lab=lab, client_id=CLIENT_ID, port=port, public_url=public_url))
        (folder / "verifier").write_text(VERIFIER)
        (folder / "verifier").chmod(0o600)
        with toml.open("a") as settings:
            settings.write('verifier_token_file = "verifier"\n')
        with serving(toml, public_url) as output:
            yield Site(public_url, lab, config.load(toml), output)


@pytest.fixture
def site(service: Site) -> Site:
    """Every test starts never connected and without faults."""
    service.fault()
    store = TokenStore(service.settings)
    # The service may be renewing the grant of the test before.
    with store.lock(30):
        store.unbind()
    return service


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with requests.Session() as session:
        yield Browser(site, session)


@pytest.fixture
def connected(site: Site) -> Site:
    token = requests.post(f"{site.lab}/lab/token", json={}, timeout=10).json()
    connection = Connection(site.settings)
    connection.adopt(site.realm, token["refresh_token"])
    connection.close()
    return site
