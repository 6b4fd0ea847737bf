"""The pages in a real Chromium, without JavaScript: connect, refuse, disconnect, reconnect, as an administrator would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect
from web_site import Site

from lab.intuit.__main__ import CLIENT_ID, CLIENT_SECRET
from qbo_sync.errors import ReconnectNeeded
from qbo_sync.intuit import Connection, GrantState, TokenStore
from qbo_sync.web.keeper import Keeper

# Where to leave the screenshots for a person to look at; a temporary folder otherwise.
PICTURES = os.environ.get("KIT_SCREENSHOTS", "")


@pytest.fixture
def person(program: Browser, site: Site) -> Iterator[BrowserContext]:
    """One person's browser."""
    context = program.new_context(base_url=site.base, java_script_enabled=False, viewport={"width": 900, "height": 700})
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(PICTURES) if PICTURES else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(person: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may go wrong unseen: a refused style or form is told on the console only."""
    page = person.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    yield page
    # A page with the status 4xx is told as an error, too; that is what the page itself says already.
    assert [text for text in complaints if "the server responded with a status of" not in text] == []


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def agree(page: Page) -> None:
    """From the Connect page through Intuit's consent page and back."""
    page.get_by_role("link", name="Connect to QuickBooks").click()
    heading(page, "Connect your company")
    page.get_by_role("button", name="Connect", exact=True).click()


def test_refuse_connect_disconnect_and_connect_again(page: Page, site: Site, pictures: Path) -> None:
    page.goto("/qbo/")
    heading(page, "QuickBooks is not connected")
    page.screenshot(path=pictures / "1-not-connected.png")

    page.get_by_role("link", name="Go to the Connect page").click()
    heading(page, "A link is needed for the first connection")
    page.screenshot(path=pictures / "1-uninvited.png")
    page.goto(site.invitation())
    heading(page, "Connect to QuickBooks")
    assert page.url == f"{site.base}/qbo/connect"
    page.screenshot(path=pictures / "2-connect.png")
    page.get_by_role("link", name="Connect to QuickBooks").click()
    heading(page, "Connect your company")
    page.screenshot(path=pictures / "3-consent.png")
    page.get_by_role("button", name="No, thanks").click()
    heading(page, "QuickBooks was not connected")
    page.screenshot(path=pictures / "4-refused.png")
    assert TokenStore(site.settings).state() is GrantState.disconnected

    page.get_by_role("link", name="To the Connect page").click()
    agree(page)
    heading(page, "QuickBooks is connected")
    assert page.url == f"{site.base}/qbo/"
    page.screenshot(path=pictures / "5-connected.png")
    assert TokenStore(site.settings).state() is GrantState.connected
    page.goto("/qbo/connect")
    heading(page, "QuickBooks is connected")

    page.get_by_text("Disconnect QuickBooks").click()
    page.screenshot(path=pictures / "6-disconnect.png")
    page.get_by_role("button", name="Disconnect from QuickBooks").click()
    heading(page, "QuickBooks is disconnected")
    page.screenshot(path=pictures / "7-disconnected.png")
    assert TokenStore(site.settings).state() is GrantState.disconnected

    page.get_by_role("link", name="Connect to QuickBooks again").click()
    agree(page)
    heading(page, "QuickBooks is connected")
    assert TokenStore(site.settings).state() is GrantState.connected


def test_a_grant_that_quickbooks_ended_is_given_again(page: Page, site: Site, pictures: Path) -> None:
    page.goto(site.invitation())
    agree(page)
    heading(page, "QuickBooks is connected")
    page.goto(f"/qbo/disconnected?realmId={site.realm}")
    heading(page, "QuickBooks is still connected here")
    page.screenshot(path=pictures / "7-disconnected-in-quickbooks.png")
    with closing(Connection(site.settings)) as connection:
        form = {"token": connection.grant().refresh_token}
        requests.post(f"{site.lab}/v2/oauth2/tokens/revoke", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10).raise_for_status()
    # What the service does within a minute after somebody has landed there.
    with pytest.raises(ReconnectNeeded):
        Keeper(site.settings).renew(now=True)
    page.get_by_role("link", name="Look again").click()
    heading(page, "QuickBooks is disconnected")
    page.goto("/qbo/")
    heading(page, "QuickBooks is not connected")
    expect(page.get_by_text("reconnect needed")).to_be_visible()
    page.screenshot(path=pictures / "8-reconnect-needed.png")
    page.get_by_role("link", name="Go to the Connect page").click()
    agree(page)
    heading(page, "QuickBooks is connected")


def test_an_answer_that_does_not_count_says_why_and_what_to_do(page: Page, site: Site, pictures: Path) -> None:
    page.goto("/qbo/callback?code=XAB11x&state=stranger&realmId=1")
    heading(page, "Please start again")
    expect(page.get_by_role("alert")).to_contain_text("used before, or was never asked for here")
    page.screenshot(path=pictures / "9-start-again.png")
    page.goto("/qbo/connect?invitation=old")
    heading(page, "This link is no longer good")
    page.screenshot(path=pictures / "9-old-invitation.png")


def test_another_company_and_a_silent_intuit_have_pages_of_their_own(page: Page, connected: Site, pictures: Path) -> None:
    store = TokenStore(connected.settings)
    grant = store.load()
    assert grant is not None
    store.save(replace(grant, realm="77"))
    store.forget()
    page.goto("/qbo/connect")
    agree(page)
    heading(page, "That is another company")
    page.screenshot(path=pictures / "11-another-company.png")
    store.save(grant)
    store.forget()
    page.get_by_role("link", name="To the Connect page").click()
    connected.fault({"when": {"path": "/tokens/bearer"}, "fault": "503_html"})
    agree(page)
    heading(page, "QuickBooks does not answer")
    page.screenshot(path=pictures / "12-intuit-is-silent.png")


@pytest.mark.parametrize(("name", "days", "hard"), [("idle", 20, None), ("five-years", 100, 5)])
def test_the_end_is_told_before_it_comes(
    name: str, days: float, hard: float | None, page: Page, connected: Site, pictures: Path
) -> None:
    store, now = TokenStore(connected.settings), datetime.now(UTC)
    grant = store.load()
    assert grant is not None
    ends = None if hard is None else now + timedelta(days=hard)
    store.save(replace(grant, refresh_expires_at=now + timedelta(days=days), hard_expires_at=ends))
    page.goto("/qbo/")
    page.screenshot(path=pictures / f"13-ends-{name}.png")
    page.get_by_role("link", name="Renew the connection").click()
    agree(page)
    heading(page, "QuickBooks is connected")
    assert store.state() is GrantState.connected


@pytest.mark.parametrize(("name", "width", "dark"), [("phone", 360, False), ("dark", 900, True)])
def test_it_fits_a_phone_and_is_dark_at_night(
    name: str, width: int, dark: bool, program: Browser, connected: Site, pictures: Path
) -> None:
    scheme = "dark" if dark else "light"
    context = program.new_context(base_url=connected.base, viewport={"width": width, "height": 700}, color_scheme=scheme)
    page = context.new_page()
    page.goto("/qbo/")
    heading(page, "QuickBooks is connected")
    page.get_by_text("Disconnect QuickBooks").click()
    page.screenshot(path=pictures / f"10-{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 24, 29)" if dark else "rgb(244, 246, 248)"
    )
    context.close()


def test_the_keyboard_alone_is_enough(page: Page, site: Site) -> None:
    page.goto(site.invitation())
    page.goto("/qbo/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Go to the Connect page")).to_be_focused()
    page.keyboard.press("Enter")
    heading(page, "Connect to QuickBooks")
