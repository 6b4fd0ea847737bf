"""A full read meets faults: the small share of `./kit bench faults`."""

from __future__ import annotations

from lab.intuit.injected import NAMES
from tests.bench import faults, site


def test_a_reading_is_whole_or_says_why() -> None:
    with site.connected(*faults.SIZE, "--limits", "off") as bench:
        number, met = faults.campaign(bench, NAMES, every=7)
    assert number == 8
    assert {one.fault for one in met if one.whole < one.readings and not one.stays} == {"403", "200_fault", "200_html"}
    assert {one.fault for one in met if one.whole == one.readings and one.stays} == {"wrong_content_type"}


def test_the_page_knows_every_fault_that_can_be_played() -> None:
    assert set(faults.MEANING) == set(NAMES)
    page = faults.PAGE.read_text(encoding="utf-8")
    assert all(page.count(f"| `{name}` |") == 2 for name in NAMES)
