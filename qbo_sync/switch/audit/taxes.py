"""Sales taxes: codes by name, rate, number and order of components. Missing ones are added in Miracle Service (guide, step 3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from qbo_sync.switch.audit.rule import Hit, Rule, Sides, hit
from qbo_sync.switch.audit.settings import country, preference
from qbo_sync.switch.model import Kind, Severity, TaxCode, TaxComponent
from qbo_sync.switch.names import normal
from qbo_sync.switch.translate import plain

TAX_CODES = "Miracle Service: Administration > Taxes > Tax Codes"
QBO_TAXES = "QuickBooks Online: Taxes > Sales tax"

# What a line of a US invoice says instead of a tax code: taxable, not taxable, rate typed in by hand.
PSEUDO_CODES = {"tax", "non", "customsalestax"}


def automated(sides: Sides) -> bool:
    """Whether QuickBooks computes sales tax by itself; its generated codes are then no list to compare (facts 3.9)."""
    return bool(preference(sides, "TaxPrefs", "PartnerTaxEnabled"))


def charged(components: Iterable[TaxComponent]) -> Decimal:
    """The percentage charged on 100 before tax, compound components on top of what stands before them."""
    base, tax = Decimal(100), Decimal(0)
    for component in components:
        tax += (base + tax if component.compound else base) * Decimal(component.rate) / 100
    return tax


def total(code: TaxCode) -> Decimal:
    """The percentage a code charges on sales."""
    return charged(code.components)


def say(name: str, components: tuple[TaxComponent, ...]) -> str:
    """A tax code in words: ``Tucson: 9.1 % = AZ State tax 7.1 % + Tucson City 2 %``."""
    text = f"{name}: {plain(charged(components))} %"
    if len(components) > 1:
        parts = (f"{c.name} {c.rate} %{' on tax' if c.compound else ''}" for c in components)
        text += " = " + " + ".join(parts)
    return text


def _say(code: TaxCode) -> str:
    return say(code.name, code.components)


def _compared(sides: Sides) -> list[TaxCode]:
    """QuickBooks' codes that are compared: none where it computes tax by itself, or where the profile declares no taxes."""
    if automated(sides) or sides.books.taxes is None:
        return []
    return [code for code in sides.company.taxes if code.active and code.components]


def _theirs(sides: Sides) -> list[TaxCode]:
    return sides.books.taxes or []


def in_miracle(sides: Sides, name: str) -> TaxCode | None:
    """Miracle Service's code of that name; the active one where there are two."""
    same = [code for code in _theirs(sides) if normal(code.name) == normal(name)]
    return next((code for code in same if code.active), same[0] if same else None)


def _pairs(sides: Sides) -> Iterator[tuple[TaxCode, TaxCode]]:
    for code in _compared(sides):
        other = in_miracle(sides, code.name)
        if other is not None and other.active:
            yield code, other


def _same_rates_elsewhere(sides: Sides, code: TaxCode) -> TaxCode | None:
    """The one code of another name with the same rates. Codes that charge nothing are told apart by nothing but their names."""
    if not total(code):
        return None
    named = {normal(c.name) for c in _compared(sides)}
    rates = [c.rate for c in code.components]
    free = [c for c in _theirs(sides) if c.active and normal(c.name) not in named and [p.rate for p in c.components] == rates]
    return free[0] if len(free) == 1 else None


def missing(sides: Sides) -> Iterator[Hit]:
    """Active in QuickBooks, no code of that name in Miracle Service."""
    for code in _compared(sides):
        if in_miracle(sides, code.name) is None and _same_rates_elsewhere(sides, code) is None:
            yield Hit(code.name, "tax_code", code.name, _say(code), "not there")


def other_name(sides: Sides) -> Iterator[Hit]:
    """The same rates under another name."""
    for code in _compared(sides):
        other = None if in_miracle(sides, code.name) else _same_rates_elsewhere(sides, code)
        if other is not None:
            yield Hit(
                code.name,
                "tax_code",
                code.name,
                _say(code),
                _say(other),
                f"Rename '{other.name}' to '{code.name}' if it is the same tax; otherwise add '{code.name}' there.",
            )


def other_total(sides: Sides) -> Iterator[Hit]:
    """The same name, another percentage."""
    for code, other in _pairs(sides):
        if total(code) != total(other):
            yield Hit(code.name, "tax_code", code.name, _say(code), _say(other), _rate_of_other_days(code, other))


def _rate_of_other_days(code: TaxCode, other: TaxCode) -> str:
    """Where Miracle Service has a rate that QuickBooks had before, or will have, that is what to do about it."""
    for mine, theirs in zip(code.components, other.components, strict=False):
        for period in mine.periods if mine.rate != theirs.rate else ():
            if period.rate == theirs.rate:
                days = f"{period.first or 'the beginning'} to {period.last or 'a day not said'}"
                return f"Miracle Service has '{mine.name}' at the rate of {days}. Correct it there to {mine.rate} %."
    return ""


def other_count(sides: Sides) -> Iterator[Hit]:
    """The same percentage, made of another number of components."""
    for code, other in _pairs(sides):
        if total(code) == total(other) and len(code.components) != len(other.components):
            yield Hit(code.name, "tax_code", code.name, _say(code), _say(other))


def other_parts(sides: Sides) -> Iterator[Hit]:
    """The same total and number of components, but other rates or another order."""
    for code, other in _pairs(sides):
        same_shape = total(code) == total(other) and len(code.components) == len(other.components)
        mine, theirs = ([(c.rate, c.compound) for c in each.components] for each in (code, other))
        if same_shape and mine != theirs:
            yield Hit(code.name, "tax_code", code.name, _say(code), _say(other))


def other_agency(sides: Sides) -> Iterator[Hit]:
    """A component is owed to another agency."""
    for code, other in _pairs(sides):
        for mine, theirs in zip(code.components, other.components, strict=False):
            if mine.agency and theirs.agency and normal(mine.agency) != normal(theirs.agency):
                yield Hit(f"{code.name}/{mine.name}", "tax_code", f"{code.name}, {mine.name}", mine.agency, theirs.agency)


def inactive_in_miracle(sides: Sides) -> Iterator[Hit]:
    """Active in QuickBooks, switched off in Miracle Service."""
    for code in _compared(sides):
        other = in_miracle(sides, code.name)
        if other is not None and not other.active:
            yield Hit(code.name, "tax_code", code.name, _say(code), f"{_say(other)} (inactive)")


def only_in_miracle(sides: Sides) -> Iterator[Hit]:
    """A code that QuickBooks does not have."""
    if automated(sides):
        return
    there = {normal(code.name) for code in sides.company.taxes}
    for code in _theirs(sides):
        if code.active and normal(code.name) not in there:
            yield Hit(code.name, "tax_code", code.name, "not there", _say(code))


def is_automated(sides: Sides) -> Iterator[Hit]:
    """QuickBooks computes sales tax by itself."""
    if automated(sides):
        yield Hit("automated", "setting", "Automated sales tax", "on", "taxes by code")


def is_off(sides: Sides) -> Iterator[Hit]:
    """QuickBooks has sales tax switched off while Miracle Service charges it."""
    off = preference(sides, "TaxPrefs", "UsingSalesTax") is False
    if off and any(code.active for code in _theirs(sides)):
        yield Hit("off", "setting", "Sales tax", "off", f"{sum(code.active for code in _theirs(sides))} active tax codes")


def not_set_up(sides: Sides) -> Iterator[Hit]:
    """QuickBooks would compute sales tax by itself, but nobody has set it up."""
    if preference(sides, "TaxPrefs", "PartnerTaxEnabled") is False:
        yield Hit("not-set-up", "setting", "Automated sales tax", "not set up")


def taxable(kind: Kind, fires: str) -> Callable[[Sides], Iterable[Hit]]:
    """A check whether a kind's records are taxable on one side only. Outside the US nothing is: each line has a code."""

    def check(sides: Sides) -> Iterator[Hit]:
        if country(sides) not in ("", "US"):
            return
        for planned, theirs in sides.pairs(kind, "taxable"):
            mine = planned.fields.get("taxable")
            if isinstance(theirs, bool | int) and bool(mine) != bool(theirs):
                yield hit(planned, *("taxable" if value else "not taxable" for value in (mine, theirs)))

    check.__doc__ = fires
    return check


def pseudo_code(sides: Sides) -> Iterator[Hit]:
    """A code of Miracle Service is called as QuickBooks marks a line taxable or not."""
    for code in _theirs(sides):
        if code.active and normal(code.name) in PSEUDO_CODES:
            yield Hit(code.name, "tax_code", code.name, "says only whether a line is taxable", _say(code))


def twice(sides: Sides) -> Iterator[Hit]:
    """Miracle Service has several active codes of one name."""
    same: dict[str, list[TaxCode]] = defaultdict(list)
    for code in _theirs(sides):
        if code.active:
            same[normal(code.name)].append(code)
    for codes in same.values():
        if len(codes) > 1:
            yield Hit(codes[0].name, "tax_code", codes[0].name, "", "; ".join(_say(code) for code in codes))


def will_change(sides: Sides) -> Iterator[Hit]:
    """QuickBooks knows that a rate changes on a day to come."""
    today = f"{sides.company.read_at:%Y-%m-%d}"
    for code in [] if automated(sides) else sides.company.taxes:
        for component in (*code.components, *code.purchase) if code.active else ():
            for period in component.periods:
                if period.first > today and period.rate != component.rate:
                    name = f"{code.name}, {component.name}"
                    yield Hit(f"{code.name}/{component.name}", "tax_code", name, f"{period.rate} % from {period.first} on")


def charging_nothing(sides: Sides) -> Iterator[Hit]:
    """QuickBooks has several active codes that charge nothing."""
    mine = [code.name for code in _compared(sides) if not total(code)]
    theirs = [code.name for code in _theirs(sides) if code.active and not total(code)]
    if len(mine) > 1:
        yield Hit("zero", "tax_code", "Zero and exempt taxes", ", ".join(mine), ", ".join(theirs) or "none")


def default_code(sides: Sides) -> Iterator[Hit]:
    """The tax that new invoices get is inactive or gone."""
    code = str((preference(sides, "TaxPrefs", "TaxGroupCodeRef") or {}).get("value", ""))
    used = preference(sides, "TaxPrefs", "UsingSalesTax") is not False and not automated(sides)
    if used and code.isdecimal() and all(tax.id != code for tax in sides.company.taxes if tax.active):
        yield Hit("default", "setting", "Default sales tax", f"tax code number {code} (not active)")


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
    Rule(
        "TAX-011",
        Severity.WARNING,
        "A customer is taxable on one side only",
        "Find out whether this customer is exempt and correct the other side; it decides whether an invoice has tax.",
        "QuickBooks Online: the customer's page > Tax info",
        taxable(Kind.CUSTOMER, "A customer that both sides have is taxable on one of them, in a US company."),
    ),
    Rule(
        "TAX-012",
        Severity.WARNING,
        "An item is taxable on one side only",
        "Find out whether sales tax is charged on this item and correct the other side.",
        "QuickBooks Online: Sales > Products and services > the item",
        taxable(Kind.INVENTORY_ITEM, "An item that both sides have is taxable on one of them, in a US company."),
    ),
    Rule(
        "TAX-013",
        Severity.WARNING,
        "A tax code is named like QuickBooks' mark for taxable lines",
        "Rename it in Miracle Service: an exported line with it would be taxable or not, whatever the code charges.",
        TAX_CODES,
        pseudo_code,
    ),
    Rule(
        "TAX-014",
        Severity.WARNING,
        "Automated sales tax is not set up in QuickBooks Online",
        "Set it up, or tell your accountant that no sales tax is charged. Until then exported invoices have no tax.",
        QBO_TAXES,
        not_set_up,
    ),
    Rule(
        "TAX-015",
        Severity.WARNING,
        "A tax code stands several times in Miracle Service",
        "Make all but one inactive; which of them an invoice has decides what is charged.",
        TAX_CODES,
        twice,
    ),
    Rule(
        "TAX-016",
        Severity.WARNING,
        "A tax rate will change",
        "Change the rate in Miracle Service on that day, and run the audit again.",
        TAX_CODES,
        will_change,
    ),
    Rule(
        "TAX-020",
        Severity.INFO,
        "Several taxes charge nothing",
        "Nothing to do if both sides use the same names. Zero-rated, exempt and out of scope go to different boxes of a return.",
        TAX_CODES,
        charging_nothing,
    ),
    Rule(
        "TAX-021",
        Severity.WARNING,
        "The default sales tax is not active",
        "Choose an active one as default.",
        QBO_TAXES,
        default_code,
    ),
)
