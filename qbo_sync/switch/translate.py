"""QuickBooks Online's records in Miracle Service's terms. Pure: JSON in, records out.

The field names on the left are the reference schema's; those on the right are Intuit's (facts/qbo_api.md 3.1-3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from qbo_sync.switch.model import Account, Kind, RatePeriod, Record, TaxCode, TaxComponent
from qbo_sync.switch.names import unprintable

Json = Mapping[str, Any]


def record(kind: Kind, row: Json) -> Record:
    """One QBO row as a :class:`Record`. Never raises: what cannot be imported says so in ``invalid``."""
    name = str(row.get("DisplayName") or row.get("Name") or "")
    path = str(row.get("FullyQualifiedName") or name) if kind in (Kind.CUSTOMER, Kind.GROUP_TYPE) else name
    fields, references = _FIELDS[kind](row)
    return Record(
        kind=kind,
        qbo_id=str(row.get("Id", "")),
        sync_token=str(row.get("SyncToken", "")),
        name=name,
        path=path,
        level=path.count(":"),
        fields={"name": name, **fields},
        references={field: value for field, value in references.items() if value},
        invalid=_wrong_name(name),
        seen=_seen(kind, row),
    )


def is_active(row: Json) -> bool:
    """Whether a row is active; rows of kinds without the property (tax pseudo codes) are."""
    return bool(row.get("Active", True))


def _wrong_name(name: str) -> str:
    if not name.strip():
        return "it has no name"
    if ":" in name:
        return "its own name holds a colon, which parts a parent from its child"
    if found := unprintable(name):
        return f"its name holds characters that cannot be printed ({', '.join(found)})"
    return ""


Translated = tuple[dict[str, Any], dict[str, str]]


def _customer(row: Json) -> Translated:
    fields = {
        "company_name": _text(row, "CompanyName"),
        "first_name": _text(row, "GivenName"),
        "last_name": _text(row, "FamilyName"),
        "email": _inner(row, "PrimaryEmailAddr", "Address"),
        "phone": _inner(row, "PrimaryPhone", "FreeFormNumber"),
        "mobile": _inner(row, "Mobile", "FreeFormNumber"),
        **_address(row.get("BillAddr"), "bill_"),
        **_address(row.get("ShipAddr"), "ship_"),
        "taxable": bool(row.get("Taxable", True)),
        "currency": _reference(row, "CurrencyRef") or None,
        "notes": _text(row, "Notes"),
    }
    return fields, {
        "customer_type_id": _reference(row, "CustomerTypeRef"),
        "payment_term_id": _reference(row, "SalesTermRef"),
        "payment_method_id": _reference(row, "PaymentMethodRef"),
        "parent_id": _reference(row, "ParentRef"),
        "tax_code_id": _reference(row, "DefaultTaxCodeRef"),
    }


def _supplier(row: Json) -> Translated:
    fields = {
        "company_name": _text(row, "CompanyName"),
        "email": _inner(row, "PrimaryEmailAddr", "Address"),
        "phone": _inner(row, "PrimaryPhone", "FreeFormNumber"),
        **_address(row.get("BillAddr"), ""),
        "account_number": _text(row, "AcctNum"),
        "currency": _reference(row, "CurrencyRef") or None,
    }
    return fields, {"payment_term_id": _reference(row, "TermRef")}


def _inventory_item(row: Json) -> Translated:
    fields = {
        "part_number": _text(row, "Sku"),
        "description": _text(row, "Description"),
        "unit_price": _decimal(row, "UnitPrice"),
        "unit_cost": _decimal(row, "PurchaseCost"),
        "quantity_on_hand": _decimal(row, "QtyOnHand"),
        "taxable": bool(row.get("Taxable", False)),
        "item_type": _text(row, "Type"),
    }
    return fields, {"preferred_supplier_id": _reference(row, "PrefVendorRef")}


def _payment_term(row: Json) -> Translated:
    if row.get("Type") == "DATE_DRIVEN":
        return {
            "due_days": None,
            "discount_percent": _decimal(row, "DiscountPercent"),
            "discount_days": None,
            "day_of_month_due": _whole(row, "DayOfMonthDue"),
        }, {}
    return {
        "due_days": _whole(row, "DueDays"),
        "discount_percent": _decimal(row, "DiscountPercent"),
        "discount_days": _whole(row, "DiscountDays"),
        "day_of_month_due": None,
    }, {}


def _group_type(row: Json) -> Translated:
    return {}, {"parent_id": _reference(row, "ParentRef")}


def _name_only(_: Json) -> Translated:
    return {}, {}


_FIELDS: dict[Kind, Callable[[Json], Translated]] = {
    Kind.CUSTOMER: _customer,
    Kind.SUPPLIER: _supplier,
    Kind.INVENTORY_ITEM: _inventory_item,
    Kind.PAYMENT_TERM: _payment_term,
    Kind.GROUP_TYPE: _group_type,
    Kind.CUSTOMER_TYPE: _name_only,
    Kind.PAYMENT_METHOD: _name_only,
}


# What only the audit looks at: our word, then where it stands in the row.
_SEEN: dict[Kind, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(Kind, ()),
    Kind.CUSTOMER: (("tax_id", "PrimaryTaxIdentifier"),),
    Kind.SUPPLIER: (("tax_id", "TaxIdentifier"),),
    Kind.INVENTORY_ITEM: (
        ("income_account", "IncomeAccountRef", "value"),
        ("expense_account", "ExpenseAccountRef", "value"),
        ("asset_account", "AssetAccountRef", "value"),
    ),
    Kind.PAYMENT_TERM: (
        ("type", "Type"),
        ("next_month_days", "DueNextMonthDays"),
        ("discount_day", "DiscountDayOfMonth"),
    ),
}


def _seen(kind: Kind, row: Json) -> dict[str, str]:
    if not _SEEN[kind]:
        return {}
    found = {key: _inner(row, where, *inner) if inner else _text(row, where) for key, where, *inner in _SEEN[kind]}
    return {key: value for key, value in found.items() if value}


def account(row: Json) -> Account:
    """One row of the chart of accounts."""
    return Account(str(row.get("FullyQualifiedName") or row.get("Name", "")), str(row.get("AccountType", "")), is_active(row))


def _text(row: Json, key: str) -> str | None:
    value = row.get(key)
    if type(value) is str:
        return value or None
    return None if value is None else str(value)


def _inner(row: Json, key: str, inner: str) -> str | None:
    part = row.get(key)
    return _text(part, inner) if isinstance(part, dict) else None


def _reference(row: Json, key: str) -> str:
    return _inner(row, key, "value") or ""


def _decimal(row: Json, key: str) -> Decimal | None:
    value = row.get(key)
    return None if value is None else Decimal(str(value))


def _whole(row: Json, key: str) -> int | None:
    value = row.get(key)
    return None if value is None else int(value)


_ADDRESS = {
    "line1": "Line1",
    "line2": "Line2",
    "line3": "Line3",
    "line4": "Line4",
    "city": "City",
    "region": "CountrySubDivisionCode",
    "postcode": "PostalCode",
    "country": "Country",
}
_ADDRESS_COLUMNS = {
    prefix: tuple((prefix + column, key) for column, key in _ADDRESS.items()) for prefix in ("", "bill_", "ship_")
}
_NO_ADDRESS: dict[str, dict[str, str | None]] = {
    prefix: dict.fromkeys(column for column, _ in columns) for prefix, columns in _ADDRESS_COLUMNS.items()
}


def _address(address: Any, prefix: str) -> dict[str, str | None]:
    """Five lines into four columns: the last two share one."""
    if not address or not isinstance(address, dict):
        return _NO_ADDRESS[prefix]
    found = {column: _text(address, key) for column, key in _ADDRESS_COLUMNS[prefix]}
    if last := _text(address, "Line5"):
        fourth = f"{prefix}line4"
        found[fourth] = f"{found[fourth]}, {last}" if found[fourth] else last
    return found


def tax_codes(codes: Iterable[Json], rates: Iterable[Json], agencies: Iterable[Json]) -> list[TaxCode]:
    """QBO's tax codes with their rates in order, on sales and on purchases.

    Left out: the US pseudo codes (TAX, NON, CustomSalesTax), which stand for "taxable" on a line, and whose ids are no numbers.
    """
    rate_of = {str(rate["Id"]): rate for rate in rates}
    agency_of = {str(agency["Id"]): str(agency.get("DisplayName", "")) for agency in agencies}

    def components(code: Json, which: str) -> tuple[TaxComponent, ...]:
        return tuple(_component(detail, rate_of, agency_of) for detail in _details(code, which))

    found = [
        TaxCode(
            id=str(code["Id"]),
            name=str(code["Name"]),
            description=str(code.get("Description") or ""),
            active=is_active(code),
            components=components(code, "SalesTaxRateList"),
            purchase=components(code, "PurchaseTaxRateList"),
        )
        for code in codes
    ]
    return [code for code in found if code.id.isdecimal()]


def _details(code: Json, which: str) -> list[Json]:
    details = (code.get(which) or {}).get("TaxRateDetail") or []
    return sorted(details, key=lambda detail: int(detail.get("TaxOrder", 0)))


def _component(detail: Json, rate_of: Mapping[str, Json], agency_of: Mapping[str, str]) -> TaxComponent:
    reference = detail.get("TaxRateRef") or {}
    rate = rate_of.get(str(reference.get("value", "")), {})
    return TaxComponent(
        name=str(rate.get("Name") or reference.get("name") or ""),
        rate=plain(Decimal(str(rate.get("RateValue", 0)))),
        agency=agency_of.get(_reference(rate, "AgencyRef"), ""),
        compound=detail.get("TaxTypeApplicable", "TaxOnAmount") != "TaxOnAmount",
        periods=tuple(_period(entry) for entry in rate.get("EffectiveTaxRate") or []),
    )


def _period(entry: Json) -> RatePeriod:
    first, last = (str(entry.get(key) or "")[:10] for key in ("EffectiveDate", "EndDate"))
    return RatePeriod(plain(Decimal(str(entry.get("RateValue", 0)))), first, last)


def plain(number: Decimal) -> str:
    """A decimal without trailing zeros and without an exponent: ``8``, ``7.1``."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
