"""What the tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from lab import browser as chromium
from tests.needs import need


@pytest.fixture(scope="module")
def program() -> Iterator[Browser]:
    """A real Chromium."""
    path = chromium.ensure()
    need(None if path else "there is no Chromium on this machine (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=chromium.arguments())
        yield browser
        browser.close()
