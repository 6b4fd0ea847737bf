"""Settings of both sides that decide whether exported invoices can arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qbo_sync.switch import names
from qbo_sync.switch.audit.rule import Hit, Rule, Sides, hit
from qbo_sync.switch.model import Kind, Severity

ADVANCED = "QuickBooks Online: gear icon > Account and settings > Advanced"
SALES = "QuickBooks Online: gear icon > Account and settings > Sales"
BILLING = "QuickBooks Online: gear icon > Subscriptions and billing"
EXPORT = "Miracle Service: accounting interface"
TAXES = "Miracle Service: Administration > Taxes > Tax Codes"

# The plans that have neither classes nor stock (they need Plus or Advanced), by words in Intuit's own name for them.
SMALL_PLANS = ("simple start", "easystart", "essentials", "solopreneur", "self-employed", "ledger")
ENDED = {"EXPIRED", "CANCELLED", "CANCELED", "SUSPENDED", "INACTIVE", "TERMINATED"}


def preference(sides: Sides, group: str, name: str) -> Any:
    """One of the QBO company's preferences; ``None`` when it does not say."""
    return (sides.company.preferences.get(group) or {}).get(name)


def company_value(sides: Sides, name: str) -> str:
    """One of the names and values in CompanyInfo; empty when it is not there."""
    pairs = sides.company.info.get("NameValue") or []
    return next((str(pair.get("Value") or "") for pair in pairs if pair.get("Name") == name), "")


def home_currency(sides: Sides) -> str:
    """The QBO company's home currency, ``USD``; empty when it is not said."""
    return str((preference(sides, "CurrencyPrefs", "HomeCurrency") or {}).get("value", ""))


def other_currency(sides: Sides) -> Iterator[Hit]:
    """The home currencies differ."""
    qbo, miracle = home_currency(sides), sides.books.currency
    if qbo and miracle and names.normal(qbo) != names.normal(miracle):
        yield Hit("currency", "setting", "Home currency", qbo, miracle)


def foreign_names(sides: Sides) -> Iterator[Hit]:
    """Customers or suppliers in another currency than the home currency."""
    home = home_currency(sides)
    for record in sides.records(Kind.CUSTOMER, Kind.SUPPLIER):
        currency = record.fields.get("currency")
        if home and currency and currency != home:
            yield hit(record, str(currency), f"home currency {home}")


def currency_of_names(sides: Sides) -> Iterator[Hit]:
    """A customer or supplier is in another currency in Miracle Service."""
    for kind in (Kind.CUSTOMER, Kind.SUPPLIER):
        for planned, miracle in sides.pairs(kind, "currency"):
            qbo = str(planned.fields.get("currency") or "")
            if qbo and miracle and names.normal(qbo) != names.normal(str(miracle)):
                yield hit(planned, qbo, str(miracle))


def tax_method(sides: Sides) -> Iterator[Hit]:
    """QuickBooks takes tax by line item only."""
    if not sides.books.tax_by_line_item:
        yield Hit("tax-method", "setting", "Tax method", "needs tax by line item", sides.books.tax_method or "not set")


def classes_off(sides: Sides) -> Iterator[Hit]:
    """There are classes, but QuickBooks does not track them, so an export with a class would lose it."""
    tracked = any(preference(sides, "AccountingInfoPrefs", f"ClassTrackingPerTxn{each}") for each in ("", "Line"))
    count = len(sides.company.records[Kind.GROUP_TYPE])
    if count and not tracked:
        yield Hit("class-tracking", "setting", "Class tracking", "off", f"{count} classes become group types")


def one_class_each(sides: Sides) -> Iterator[Hit]:
    """QuickBooks takes one class for a whole invoice, not one for each line."""
    whole, line = (preference(sides, "AccountingInfoPrefs", f"ClassTrackingPerTxn{each}") for each in ("", "Line"))
    if whole and not line:
        yield Hit("class-per-invoice", "setting", "Class tracking", "one class for each invoice", "group types")


def inventory_off(sides: Sides) -> Iterator[Hit]:
    """Inventory items cannot be booked while QuickBooks does not track quantities."""
    tracked = preference(sides, "ProductAndServicesPrefs", "QuantityOnHand")
    count = sum(1 for record in sides.records(Kind.INVENTORY_ITEM) if record.fields.get("item_type") == "Inventory")
    if tracked is False and count:
        yield Hit("inventory", "setting", "Track quantity on hand", "off", f"{count} inventory items")


def purchases_off(sides: Sides) -> Iterator[Hit]:
    """QuickBooks shows no items on purchases, so purchase orders with parts cannot arrive."""
    wanted = [preference(sides, "ProductAndServicesPrefs", name) for name in ("ForPurchase", "InventoryAndPurchaseOrder")]
    if False in wanted:
        yield Hit("purchases", "setting", "Items on purchases and purchase orders", "off", "exports purchase orders")


def multicurrency(sides: Sides) -> Iterator[Hit]:
    """Multicurrency cannot be switched off again and fixes every name's currency."""
    if preference(sides, "CurrencyPrefs", "MultiCurrencyEnabled"):
        yield Hit("multicurrency", "setting", "Multicurrency", "on", sides.books.currency or "one currency")


def other_company(sides: Sides) -> Iterator[Hit]:
    """This database was linked with another QBO company before."""
    for realm in sides.books.other_realms:
        yield Hit(f"realm/{realm}", "setting", "QuickBooks company", sides.company.realm, f"linked with {realm}")


def export_on(sides: Sides) -> Iterator[Hit]:
    """The export already runs although the import has not."""
    if sides.books.export_enabled and not sides.books.links:
        yield Hit("export-on", "setting", "Accounting export", "first import not done", "enabled")


def export_format(sides: Sides) -> Iterator[Hit]:
    """Miracle Service exports for another program."""
    if not sides.books.export_fits:
        yield Hit("export-format", "setting", "Export format", "QuickBooks Online", sides.books.export_format or "not set")


def country(sides: Sides) -> str:
    """The QBO company's country in two letters, ``US``; since 2025 Intuit says it in three. Empty when it is not said."""
    said = str(sides.company.info.get("Country") or "")
    return {"USA": "US", "CAN": "CA", "GBR": "GB", "UK": "GB", "AUS": "AU"}.get(said, said)


def abroad(sides: Sides) -> Iterator[Hit]:
    """The company is not in the United States."""
    if country(sides) not in ("", "US"):
        yield Hit("country", "setting", "Country", country(sides), "a tax code on every line")


def small_plan(sides: Sides) -> Iterator[Hit]:
    """The plan has no classes or no stock, which this company's lists need."""
    plan = company_value(sides, "OfferingSku")
    needs = [
        word
        for kind, word in ((Kind.GROUP_TYPE, "group types"), (Kind.INVENTORY_ITEM, "inventory items"))
        if sides.books.rows[kind] or sides.company.records[kind]
    ]
    if needs and any(word in plan.casefold() for word in SMALL_PLANS):
        yield Hit("plan", "setting", "Plan", plan, f"uses {' and '.join(needs)}")


def subscription_ended(sides: Sides) -> Iterator[Hit]:
    """The subscription has ended; the company can be read only."""
    status = company_value(sides, "SubscriptionStatus")
    if status.upper() in ENDED:
        yield Hit("subscription", "setting", "Subscription", status.lower(), "sends invoices")


def subscription_unpaid(sides: Sides) -> Iterator[Hit]:
    """The subscription is a trial, or in some other state than paid."""
    status = company_value(sides, "SubscriptionStatus")
    if status and status.upper() not in {"PAID", *ENDED}:
        yield Hit("subscription", "setting", "Subscription", status.lower(), "sends invoices")


def from_desktop(sides: Sides) -> Iterator[Hit]:
    """The company came from QuickBooks Desktop."""
    if company_value(sides, "IsQbdtMigrated").casefold() == "true":
        day = company_value(sides, "MigrationDate")[:10]
        yield Hit(
            "desktop",
            "setting",
            "Came from QuickBooks Desktop",
            f"yes{', ' if day else ''}{day}",
            "linked with QuickBooks Desktop",
        )


def own_numbers(sides: Sides) -> Iterator[Hit]:
    """QuickBooks gives invoices numbers of its own."""
    if preference(sides, "SalesFormsPrefs", "CustomTxnNumbers") is False:
        yield Hit("custom-numbers", "setting", "Custom transaction numbers", "off", "has its own invoice numbers")


def default_term(sides: Sides) -> Iterator[Hit]:
    """The payment term of new invoices is inactive or gone."""
    term = str((preference(sides, "SalesFormsPrefs", "DefaultTerms") or {}).get("value", ""))
    if term and all(record.qbo_id != term for record in sides.records(Kind.PAYMENT_TERM)):
        name = sides.company.inactive[Kind.PAYMENT_TERM].get(term, f"number {term}")
        yield Hit("default-term", "setting", "Preferred invoice terms", f"{name} (not active)")


def _closed(sides: Sides) -> str:
    return str(preference(sides, "AccountingInfoPrefs", "BookCloseDate") or "")[:10]


def books_closed(sides: Sides) -> Iterator[Hit]:
    """The books are closed up to a day before today."""
    day = _closed(sides)
    if day and day < f"{sides.company.read_at:%Y-%m-%d}":
        yield Hit("closing-date", "setting", "Closing date", day, "invoices up to that day are refused")


def books_closed_today(sides: Sides) -> Iterator[Hit]:
    """The books are closed up to today or a day to come."""
    day = _closed(sides)
    if day and day >= f"{sides.company.read_at:%Y-%m-%d}":
        yield Hit("closing-date", "setting", "Closing date", day, "today's invoices are refused")


RULES = (
    Rule(
        "SET-001",
        Severity.BLOCKER,
        "The home currencies differ",
        "A company's home currency cannot be changed later. Make sure the right QuickBooks company is connected.",
        f"{ADVANCED} > Currency",
        other_currency,
    ),
    Rule(
        "SET-002",
        Severity.BLOCKER,
        "Miracle Service does not compute tax by line item",
        "Set the tax method to 'Tax by Line Item'; QuickBooks takes no other.",
        TAXES,
        tax_method,
    ),
    Rule(
        "SET-003",
        Severity.WARNING,
        "Class tracking is off in QuickBooks Online",
        "Switch 'Track classes' on if invoices should carry their group type as class.",
        f"{ADVANCED} > Categories",
        classes_off,
    ),
    Rule(
        "SET-004",
        Severity.WARNING,
        "Inventory tracking is off in QuickBooks Online",
        "Switch on 'Track inventory quantity on hand': exported invoices could not take parts from stock.",
        f"{SALES} > Products and services",
        inventory_off,
    ),
    Rule(
        "SET-005",
        Severity.WARNING,
        "QuickBooks Online uses several currencies",
        "Check that the customers and suppliers Miracle Service works with are in its own currency.",
        f"{ADVANCED} > Currency",
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
        EXPORT,
        export_on,
    ),
    Rule(
        "SET-009",
        Severity.INFO,
        "The QuickBooks company is outside the United States",
        "Give every item and customer in Miracle Service its tax code: an exported line without one is refused.",
        TAXES,
        abroad,
    ),
    Rule(
        "SET-010",
        Severity.WARNING,
        "The QuickBooks Online plan is too small for these lists",
        "Classes and stock need the plan Plus or Advanced. Move to one, or do without them in exported invoices.",
        BILLING,
        small_plan,
    ),
    Rule(
        "SET-011",
        Severity.BLOCKER,
        "The QuickBooks Online subscription has ended",
        "Renew it: until then QuickBooks Online can be read but takes no invoice.",
        BILLING,
        subscription_ended,
    ),
    Rule(
        "SET-012",
        Severity.WARNING,
        "The QuickBooks Online subscription is not a paid one",
        "Make sure that it goes on after the switch: when a trial ends, QuickBooks Online takes no invoice.",
        BILLING,
        subscription_unpaid,
    ),
    Rule(
        "SET-013",
        Severity.INFO,
        "The company was moved from QuickBooks Desktop",
        "Nothing to do. Names that end in a number are a habit of QuickBooks Desktop: watch for NAM-002.",
        "this report",
        from_desktop,
    ),
    Rule(
        "SET-014",
        Severity.WARNING,
        "QuickBooks Online shows no items on purchases",
        "Switch on 'Show items table on expense and purchase forms', and purchase orders, if Miracle Service exports them.",
        "QuickBooks Online: gear icon > Account and settings > Expenses",
        purchases_off,
    ),
    Rule(
        "SET-015",
        Severity.WARNING,
        "QuickBooks Online numbers the invoices itself",
        "Switch on 'Custom transaction numbers', so that exported invoices keep the numbers your customers know.",
        f"{SALES} > Sales form content",
        own_numbers,
    ),
    Rule(
        "SET-016",
        Severity.WARNING,
        "The preferred payment term of invoices is not active",
        "Choose an active one: customers without a term of their own get it.",
        f"{SALES} > Sales form content > Preferred invoice terms",
        default_term,
    ),
    Rule(
        "SET-017",
        Severity.INFO,
        "The books are closed up to a date",
        "Export invoices dated up to that day before you close, or date them later.",
        f"{ADVANCED} > Accounting",
        books_closed,
    ),
    Rule(
        "SET-018",
        Severity.BLOCKER,
        "The books are closed up to today or later",
        "Move the closing date back: QuickBooks Online refuses every invoice dated up to that day.",
        f"{ADVANCED} > Accounting",
        books_closed_today,
    ),
    Rule(
        "SET-019",
        Severity.BLOCKER,
        "Miracle Service exports for another program",
        "Set the export format to QuickBooks Online, or ask Miracle Service support to do it.",
        EXPORT,
        export_format,
    ),
    Rule(
        "SET-020",
        Severity.INFO,
        "QuickBooks Online takes one class for a whole invoice",
        "Nothing to do if an invoice has one group type. If its lines have several, set class tracking to 'one to each row'.",
        f"{ADVANCED} > Categories",
        one_class_each,
    ),
    Rule(
        "SET-021",
        Severity.WARNING,
        "A customer or supplier has another currency in Miracle Service",
        "Correct it in Miracle Service; QuickBooks Online cannot change the currency of a name that has been used.",
        "Miracle Service: the customer or supplier",
        currency_of_names,
    ),
)
