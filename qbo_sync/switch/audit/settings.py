"""Settings of both sides that decide whether exported invoices can arrive."""

from __future__ import annotations

from collections.abc import Iterator

from qbo_sync.switch.audit.rule import Hit, Rule, Sides
from qbo_sync.switch.model import Kind, Severity

QBO_SETTINGS = "QuickBooks Online: gear icon > Account and settings > Advanced"


def home_currency(sides: Sides) -> str:
    """The QBO company's home currency, ``USD``; empty when it is not said."""
    return str(sides.company.preferences.get("CurrencyPrefs", {}).get("HomeCurrency", {}).get("value", ""))


def other_currency(sides: Sides) -> Iterator[Hit]:
    """The home currencies differ."""
    qbo, miracle = home_currency(sides), sides.books.currency
    if qbo and miracle and qbo != miracle:
        yield Hit("currency", "setting", "Home currency", qbo, miracle)


def foreign_names(sides: Sides) -> Iterator[Hit]:
    """Customers or suppliers in another currency than the home currency."""
    home = home_currency(sides)
    for record in (r for kind in (Kind.CUSTOMER, Kind.SUPPLIER) for r in sides.company.records[kind]):
        currency = record.fields.get("currency")
        if home and currency and currency != home:
            yield Hit(f"{record.kind}/{record.qbo_id}", record.kind, record.path, str(currency), f"home currency {home}")


def tax_method(sides: Sides) -> Iterator[Hit]:
    """QuickBooks takes tax by line item only."""
    if not sides.books.tax_by_line_item:
        yield Hit("tax-method", "setting", "Tax method", "needs tax by line item", sides.books.tax_method or "not set")


def classes_off(sides: Sides) -> Iterator[Hit]:
    """There are classes, but QuickBooks does not track them, so an export with a class would lose it."""
    info = sides.company.preferences.get("AccountingInfoPrefs", {})
    tracked = info.get("ClassTrackingPerTxn") or info.get("ClassTrackingPerTxnLine")
    count = len(sides.company.records[Kind.GROUP_TYPE])
    if count and not tracked:
        yield Hit("class-tracking", "setting", "Class tracking", "off", f"{count} classes become group types")


def inventory_off(sides: Sides) -> Iterator[Hit]:
    """Inventory items cannot be booked while QuickBooks does not track quantities."""
    tracked = sides.company.preferences.get("ProductAndServicesPrefs", {}).get("QuantityOnHand")
    if tracked is False and sides.company.records[Kind.INVENTORY_ITEM]:
        yield Hit("inventory", "setting", "Track quantity on hand", "off", "inventory items")


def multicurrency(sides: Sides) -> Iterator[Hit]:
    """Multicurrency cannot be switched off again and fixes every name's currency."""
    if sides.company.preferences.get("CurrencyPrefs", {}).get("MultiCurrencyEnabled"):
        yield Hit("multicurrency", "setting", "Multicurrency", "on", sides.books.currency or "one currency")


def other_company(sides: Sides) -> Iterator[Hit]:
    """This database was linked with another QBO company before."""
    for realm in sides.books.other_realms:
        yield Hit(f"realm/{realm}", "setting", "QuickBooks company", sides.company.realm, f"linked with {realm}")


def export_on(sides: Sides) -> Iterator[Hit]:
    """The export already runs although the import has not."""
    if sides.books.export_enabled and not sides.books.links:
        yield Hit("export-on", "setting", "Accounting export", "first import not done", "enabled")


RULES = (
    Rule(
        "SET-001",
        Severity.BLOCKER,
        "The home currencies differ",
        "A company's home currency cannot be changed later. Make sure the right QuickBooks company is connected.",
        QBO_SETTINGS,
        other_currency,
    ),
    Rule(
        "SET-002",
        Severity.BLOCKER,
        "Miracle Service does not compute tax by line item",
        "Set the tax method to 'Tax by Line Item'; QuickBooks takes no other.",
        "Miracle Service: Administration > Taxes > Tax Codes",
        tax_method,
    ),
    Rule(
        "SET-003",
        Severity.WARNING,
        "Class tracking is off in QuickBooks Online",
        "Switch class tracking on if invoices should carry their group type as class.",
        QBO_SETTINGS,
        classes_off,
    ),
    Rule(
        "SET-004",
        Severity.WARNING,
        "Inventory tracking is off in QuickBooks Online",
        "Switch on 'Track quantity and price/rate' and purchase orders in QuickBooks Online.",
        "QuickBooks Online: gear icon > Account and settings > Sales > Products and services",
        inventory_off,
    ),
    Rule(
        "SET-005",
        Severity.WARNING,
        "QuickBooks Online uses several currencies",
        "Check that the customers and suppliers Miracle Service works with are in its own currency.",
        QBO_SETTINGS,
        multicurrency,
    ),
    Rule(
        "SET-006",
        Severity.WARNING,
        "A record is in a foreign currency",
        "Miracle Service exports in the home currency. Leave this record out (decide 'skip') or use one in the home currency.",
        "QuickBooks Online: the customer's or supplier's own page",
        foreign_names,
    ),
    Rule(
        "SET-007",
        Severity.BLOCKER,
        "Miracle Service is linked with another QuickBooks company",
        "Make sure the right company is connected; disconnect and connect again if it is not.",
        "https://<your host>/qbo/",
        other_company,
    ),
    Rule(
        "SET-008",
        Severity.WARNING,
        "The accounting export is already enabled",
        "Disable it until the import is done and reviewed: qbo-sync export disable.",
        "Miracle Service: accounting interface",
        export_on,
    ),
)
