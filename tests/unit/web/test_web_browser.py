"""The pages in a real Chromium, without JavaScript: connect, refuse, disconnect, reconnect, as an administrator would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from web_site import Site

from lab import browser as chromium
from lab.intuit.__main__ import CLIENT_ID, CLIENT_SECRET
from qbo_sync.errors import ReconnectNeeded
from qbo_sync.intuit import Connection, GrantState, TokenStore

# Where to leave the screenshots for a person to look at; a temporary folder otherwise.
PICTURES = os.environ.get("KIT_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    path = chromium.ensure()
    if path is None:
        if os.environ.get("KIT_REQUIRE_LAB") == "1":
            pytest.fail("KIT_REQUIRE_LAB=1 but there is no Chromium")
        pytest.skip("there is no Chromium on this machine (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.arguments())
        yield browser
        browser.close()


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


def end_at_intuit(site: Site) -> None:
    """Somebody disconnects inside QuickBooks, and the next run notices."""
    with closing(Connection(site.settings)) as connection:
        form = {"token": connection.access_token()}
        requests.post(f"{site.lab}/v2/oauth2/tokens/revoke", form, auth=(CLIENT_ID, CLIENT_SECRET), timeout=10).raise_for_status()
        with pytest.raises(ReconnectNeeded):
            connection.access_token(force=True)


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
    heading(page, "Connect to QuickBooks")
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
    page.goto("/qbo/connect")
    agree(page)
    heading(page, "QuickBooks is connected")
    end_at_intuit(site)
    page.reload()
    heading(page, "QuickBooks is not connected")
    expect(page.get_by_text("reconnect needed")).to_be_visible()
    page.screenshot(path=pictures / "8-reconnect-needed.png")
    page.get_by_role("link", name="Go to the Connect page").click()
    agree(page)
    heading(page, "QuickBooks is connected")


def test_a_page_of_a_browser_that_did_not_start_says_what_to_do(page: Page, pictures: Path) -> None:
    page.goto("/qbo/callback?code=XAB11x&state=stranger&realmId=1")
    heading(page, "Please start again")
    page.screenshot(path=pictures / "9-start-again.png")


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
    page.goto("/qbo/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Go to the Connect page")).to_be_focused()
    page.keyboard.press("Enter")
    heading(page, "Connect to QuickBooks")
