"""Taxes: codes by name, rate, number and order of components. Missing ones are added in Miracle Service (guide, step 3)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from qbo_sync.switch.audit.rule import Hit, Rule, Sides
from qbo_sync.switch.model import Severity, TaxCode
from qbo_sync.switch.names import normal
from qbo_sync.switch.translate import plain

TAX_CODES = "Miracle Service: Administration > Taxes > Tax Codes"
QBO_TAXES = "QuickBooks Online: Taxes > Sales tax"


def automated(sides: Sides) -> bool:
    """Whether QuickBooks computes sales tax by itself; its generated codes are then no list to compare (facts 3.9)."""
    return bool(sides.company.preferences.get("TaxPrefs", {}).get("PartnerTaxEnabled"))


def total(code: TaxCode) -> Decimal:
    """The percentage charged on 100 before tax, compound components on top of what stands before them."""
    base, charged = Decimal(100), Decimal(0)
    for component in code.components:
        charged += (base + charged if component.compound else base) * Decimal(component.rate) / 100
    return charged


def say(code: TaxCode) -> str:
    """A tax code in words: ``Tucson: 9.1 % = AZ State tax 7.1 % + Tucson City 2 %``."""
    text = f"{code.name}: {plain(total(code))} %"
    if len(code.components) > 1:
        parts = (f"{c.name} {c.rate} %{' on tax' if c.compound else ''}" for c in code.components)
        text += " = " + " + ".join(parts)
    return text


def _compared(sides: Sides) -> list[TaxCode]:
    """QuickBooks' codes that are compared: none where it computes tax by itself, or where the profile declares no taxes."""
    if automated(sides) or sides.books.taxes is None:
        return []
    return [code for code in sides.company.taxes if code.active]


def _theirs(sides: Sides) -> list[TaxCode]:
    return sides.books.taxes or []


def _in_miracle(sides: Sides, name: str) -> TaxCode | None:
    same = [code for code in _theirs(sides) if normal(code.name) == normal(name)]
    return next((code for code in same if code.active), same[0] if same else None)


def _pairs(sides: Sides) -> Iterator[tuple[TaxCode, TaxCode]]:
    for code in _compared(sides):
        other = _in_miracle(sides, code.name)
        if other is not None and other.active:
            yield code, other


def _same_rates_elsewhere(sides: Sides, code: TaxCode) -> TaxCode | None:
    rates = [c.rate for c in code.components]
    named = {normal(c.name) for c in _compared(sides)}
    free = (c for c in _theirs(sides) if c.active and normal(c.name) not in named)
    return next((c for c in free if [p.rate for p in c.components] == rates), None)


def missing(sides: Sides) -> Iterator[Hit]:
    """Active in QuickBooks, no code of that name in Miracle Service."""
    for code in _compared(sides):
        if _in_miracle(sides, code.name) is None and _same_rates_elsewhere(sides, code) is None:
            yield Hit(code.name, "tax_code", code.name, say(code), "not there")


def other_name(sides: Sides) -> Iterator[Hit]:
    """The same rates under another name."""
    for code in _compared(sides):
        other = None if _in_miracle(sides, code.name) else _same_rates_elsewhere(sides, code)
        if other is not None:
            yield Hit(
                code.name,
                "tax_code",
                code.name,
                say(code),
                say(other),
                f"Rename '{other.name}' to '{code.name}' if it is the same tax; otherwise add '{code.name}' there.",
            )


def other_total(sides: Sides) -> Iterator[Hit]:
    """The same name, another percentage."""
    for code, other in _pairs(sides):
        if total(code) != total(other):
            yield Hit(code.name, "tax_code", code.name, say(code), say(other))


def other_count(sides: Sides) -> Iterator[Hit]:
    """The same percentage, made of another number of components."""
    for code, other in _pairs(sides):
        if total(code) == total(other) and len(code.components) != len(other.components):
            yield Hit(code.name, "tax_code", code.name, say(code), say(other))


def other_parts(sides: Sides) -> Iterator[Hit]:
    """The same total and number of components, but other rates or another order."""
    for code, other in _pairs(sides):
        same_shape = total(code) == total(other) and len(code.components) == len(other.components)
        mine, theirs = ([(c.rate, c.compound) for c in each.components] for each in (code, other))
        if same_shape and mine != theirs:
            yield Hit(code.name, "tax_code", code.name, say(code), say(other))


def other_agency(sides: Sides) -> Iterator[Hit]:
    """A component is owed to another agency."""
    for code, other in _pairs(sides):
        for mine, theirs in zip(code.components, other.components, strict=False):
            if mine.agency and theirs.agency and normal(mine.agency) != normal(theirs.agency):
                yield Hit(f"{code.name}/{mine.name}", "tax_code", f"{code.name}, {mine.name}", mine.agency, theirs.agency)


def inactive_in_miracle(sides: Sides) -> Iterator[Hit]:
    """Active in QuickBooks, switched off in Miracle Service."""
    for code in _compared(sides):
        other = _in_miracle(sides, code.name)
        if other is not None and not other.active:
            yield Hit(code.name, "tax_code", code.name, say(code), f"{say(other)} (inactive)")


def only_in_miracle(sides: Sides) -> Iterator[Hit]:
    """A code that QuickBooks does not have."""
    if automated(sides):
        return
    there = {normal(code.name) for code in sides.company.taxes}
    for code in _theirs(sides):
        if code.active and normal(code.name) not in there:
            yield Hit(code.name, "tax_code", code.name, "not there", say(code))


def is_automated(sides: Sides) -> Iterator[Hit]:
    """QuickBooks computes sales tax by itself."""
    if automated(sides):
        yield Hit("automated", "setting", "Automated sales tax", "on", "taxes by code")


def is_off(sides: Sides) -> Iterator[Hit]:
    """QuickBooks has sales tax switched off while Miracle Service charges it."""
    off = sides.company.preferences.get("TaxPrefs", {}).get("UsingSalesTax") is False
    if off and any(code.active for code in _theirs(sides)):
        yield Hit("off", "setting", "Sales tax", "off", f"{len(_theirs(sides))} tax codes")


RULES = (
    Rule(
        "TAX-001",
        Severity.BLOCKER,
        "A tax is missing in Miracle Service",
        "Add this tax code in Miracle Service with the same name and the same rates, or let 'qbo-sync audit fix' add it.",
        TAX_CODES,
        missing,
    ),
    Rule(
        "TAX-002",
        Severity.BLOCKER,
        "A tax has another rate in Miracle Service",
        "Find out which rate is right today and correct the other side.",
        TAX_CODES,
        other_total,
    ),
    Rule(
        "TAX-003",
        Severity.BLOCKER,
        "A tax is made of another number of rates in Miracle Service",
        "Give the tax code the same rates on both sides, one by one; QuickBooks books each to its own agency.",
        TAX_CODES,
        other_count,
    ),
    Rule(
        "TAX-004",
        Severity.BLOCKER,
        "A tax has the same total but other rates inside",
        "Give the tax code the same rates in the same order on both sides.",
        TAX_CODES,
        other_parts,
    ),
    Rule(
        "TAX-005",
        Severity.BLOCKER,
        "A tax has another name in Miracle Service",
        "Give both the same name.",
        TAX_CODES,
        other_name,
    ),
    Rule(
        "TAX-006",
        Severity.BLOCKER,
        "A tax is inactive in Miracle Service",
        "Make the tax code active in Miracle Service, or inactive in QuickBooks Online if nobody charges it.",
        TAX_CODES,
        inactive_in_miracle,
    ),
    Rule(
        "TAX-007",
        Severity.WARNING,
        "A tax is owed to another agency",
        "Check the agency's name on both sides; returns are filed from QuickBooks Online.",
        QBO_TAXES,
        other_agency,
    ),
    Rule(
        "TAX-008",
        Severity.INFO,
        "A tax exists only in Miracle Service",
        "Nothing to do if it is no longer used. If it is, add it in QuickBooks Online: an invoice with it could not be exported.",
        QBO_TAXES,
        only_in_miracle,
    ),
    Rule(
        "TAX-009",
        Severity.WARNING,
        "QuickBooks Online computes sales tax by itself",
        "Automated sales tax ignores the rate that Miracle Service sends. Ask your accountant which side decides.",
        QBO_TAXES,
        is_automated,
    ),
    Rule(
        "TAX-010",
        Severity.BLOCKER,
        "Sales tax is switched off in QuickBooks Online",
        "Switch sales tax on in QuickBooks Online, or make the tax codes in Miracle Service inactive if you charge none.",
        QBO_TAXES,
        is_off,
    ),
)
