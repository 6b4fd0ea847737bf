"""QuickBooks Online's fields in Miracle Service's columns."""

from __future__ import annotations

from typing import Any

import pytest

from qbo_sync.switch.model import Kind
from qbo_sync.switch.translate import record
from tests.unit.switch.sides import customer


@pytest.mark.parametrize(
    ("given", "fourth"),
    [
        ({"Line1": "1", "Line4": "4", "Line5": "5"}, "4, 5"),
        ({"Line1": "1", "Line5": "5"}, "5"),
        ({"Line1": "1", "Line4": "4", "Line5": ""}, "4"),
        ({"Line1": "1"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_five_address_lines_go_into_four(given: dict[str, str] | None, fourth: str | None) -> None:
    fields = record(Kind.CUSTOMER, customer("1", "Amy", BillAddr=given, ShipAddr={"City": "Bayshore"})).fields
    assert (fields["bill_line1"], fields["bill_line4"]) == ("1" if given else None, fourth)
    assert (fields["ship_city"], fields["ship_line1"], fields["bill_city"]) == ("Bayshore", None, None)


def test_what_has_another_form_than_intuit_says_is_never_imported_in_part() -> None:
    """Null and numbers as text are taken for what they mean; a text where an address belongs is not."""
    odd = record(Kind.CUSTOMER, customer("1", "Amy", BillAddr=None, CurrencyRef=None, Taxable="true", Notes=7))
    assert (odd.invalid, odd.fields["taxable"], odd.fields["notes"], odd.fields["currency"]) == ("", True, "7", None)
    broken = record(Kind.CUSTOMER, customer("2", "Bob", BillAddr="1 Main St"))
    assert (broken.qbo_id, broken.name) == ("2", "Bob")
    assert "in a form that is not known" in broken.invalid
    assert "BillAddr" in broken.invalid


@pytest.mark.parametrize(("given", "text"), [("", None), (None, None), ("x", "x"), (7, "7")])
def test_a_text_is_text_or_nothing(given: Any, text: str | None) -> None:
    assert record(Kind.CUSTOMER, customer("1", "Amy", CompanyName=given)).fields["company_name"] == text
