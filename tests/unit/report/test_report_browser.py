"""The pages in a real Chromium: narrowed down by a person, on a wide screen and on a phone, and readable without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from qbo_sync import report
from tests.unit.report import sample


def opened(program: Browser, folder: Path, *, scripts: bool = True, width: int = 1200) -> Page:
    """The Audit Report of the sample company, from the disk; whatever a page logs fails the test."""
    files = report.write(folder, sample.audit_answer(), company="x", made_at=sample.MADE_AT, findings=sample.findings())
    page = program.new_page(java_script_enabled=scripts, viewport={"width": width, "height": 900})
    page.on("console", lambda message: pytest.fail(message.text))
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(Path(files["html"]).as_uri())
    return page


def test_findings_are_narrowed_down_by_list_and_by_word(program: Browser, tmp_path: Path) -> None:
    page = opened(program, tmp_path)
    shown = page.locator("[data-list]:visible")
    expect(shown).to_have_count(len(sample.findings()))
    page.get_by_label("Show").select_option("Payment terms")
    expect(shown).to_have_count(1)
    expect(page.locator("section:visible")).to_have_count(1)
    page.get_by_label("Show").select_option("")
    page.get_by_label("with").fill("TUCSON")
    expect(shown).to_have_count(1)
    expect(page.locator("output:visible")).to_have_text(f"1 of {len(sample.findings())}")
    page.get_by_label("with").fill("")
    expect(shown).to_have_count(len(sample.findings()))


@pytest.mark.parametrize("width", [390, 1200])
def test_a_page_is_whole_without_scripts_and_never_wider_than_the_screen(program: Browser, tmp_path: Path, width: int) -> None:
    page = opened(program, tmp_path, scripts=False, width=width)
    expect(page.locator("[data-list]:visible")).to_have_count(len(sample.findings()))
    assert page.locator("main").evaluate("element => element.scrollWidth") <= width
    edges = [box["x"] + box["width"] for table in page.locator("table").all() if (box := table.bounding_box())]
    assert max(edges) <= width
