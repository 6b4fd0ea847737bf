"""Taxes on purchases, which companies outside the United States have beside those on sales, under the same codes."""

from __future__ import annotations

from collections.abc import Iterator

from qbo_sync.switch.audit.rule import Hit, Rule, Sides, some
from qbo_sync.switch.audit.taxes import TAX_CODES, automated, in_miracle, say
from qbo_sync.switch.model import Severity, TaxCode


def _charging(sides: Sides) -> list[TaxCode]:
    return [] if automated(sides) else [code for code in sides.company.taxes if code.active and code.purchase]


def _compared(sides: Sides) -> list[TaxCode]:
    return _charging(sides) if sides.books.purchase_taxes else []


def missing(sides: Sides) -> Iterator[Hit]:
    """A code charges on purchases in QuickBooks, and has no purchase rates in Miracle Service."""
    for code in _compared(sides):
        other = in_miracle(sides, code.name)
        if other is None or not other.purchase:
            yield Hit(code.name, "tax_code", code.name, say(code.name, code.purchase), "no purchase rates")


def other_rates(sides: Sides) -> Iterator[Hit]:
    """The rates on purchases differ, in number, order or size."""
    for code in _compared(sides):
        other = in_miracle(sides, code.name)
        if other is not None and other.purchase:
            mine, theirs = ([(c.rate, c.compound) for c in side.purchase] for side in (code, other))
            if mine != theirs:
                yield Hit(code.name, "tax_code", code.name, say(code.name, code.purchase), say(other.name, other.purchase))


def not_compared(sides: Sides) -> Iterator[Hit]:
    """QuickBooks has purchase taxes, and the profile has no place for them."""
    codes = [] if sides.books.purchase_taxes else _charging(sides)
    if codes:
        yield Hit("purchase", "tax_code", "Purchase taxes", some(code.name for code in codes), "no place in the profile")


RULES = (
    Rule(
        "TAX-017",
        Severity.BLOCKER,
        "A tax on purchases is missing in Miracle Service",
        "Add the purchase rates to this tax code in Miracle Service, or let 'qbo-sync audit fix' add them.",
        TAX_CODES,
        missing,
    ),
    Rule(
        "TAX-018",
        Severity.BLOCKER,
        "A tax on purchases has other rates in Miracle Service",
        "Give the tax code the same purchase rates in the same order on both sides.",
        TAX_CODES,
        other_rates,
    ),
    Rule(
        "TAX-019",
        Severity.INFO,
        "Taxes on purchases are not compared",
        "Compare them by eye if Miracle Service exports purchase orders; whoever keeps the profile can declare their table.",
        "the site's profile: taxes, purchase",
        not_compared,
    ),
)
