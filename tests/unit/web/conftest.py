"""The web service as it runs in life: its own process on loopback, with a look-alike of Intuit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from web_site import Browser, Site, running_site

from qbo_sync.intuit import Connection, TokenStore


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


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
