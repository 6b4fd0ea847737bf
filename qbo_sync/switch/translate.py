"""QuickBooks Online's records in Miracle Service's terms. Pure: JSON in, records out.

What is read of each of Intuit's lists stands in a struct with Intuit's own names (``company_name`` is its ``CompanyName``;
facts/qbo_api.md 3.1-3.8); everything else of a row is passed over. The names of the fields made of it are the reference schema's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from qbo_sync.switch.model import Account, Kind, RatePeriod, Record, TaxCode, TaxComponent
from qbo_sync.switch.names import unprintable

Json = Mapping[str, Any]
# A record's fields, its references, and what only the audit looks at.
Translated = tuple[dict[str, Any], dict[str, str], dict[str, str]]


def record(kind: Kind, row: Json) -> Record:
    """One QBO row as a :class:`Record`. Never raises: what cannot be imported says so in ``invalid``."""
    name, path = _names(kind, row)
    invalid = _wrong_name(name)
    row_type, translate = _FIELDS[kind]
    try:
        fields, references, seen = translate(name, _typed(row, row_type))
    except msgspec.ValidationError as error:
        fields, references, seen = translate(name, row_type())
        invalid = invalid or f"QuickBooks Online gives it in a form that is not known ({error})"
    return Record(
        kind,
        str(row.get("Id", "")),
        str(row.get("SyncToken", "")),
        name,
        path,
        path.count(":"),
        fields,
        _given(references),
        invalid,
        _given(seen),
    )


def named(kind: Kind, row: Json) -> Record:
    """One QBO row that is not imported, because it is inactive or an item of another type: what it is called, and its type."""
    name, path = _names(kind, row)
    fields = {"name": name, "item_type": row.get("Type")} if kind is Kind.INVENTORY_ITEM else {"name": name}
    return Record(
        kind, str(row.get("Id", "")), str(row.get("SyncToken", "")), name, path, path.count(":"), fields, _NOTHING, "", _NOTHING
    )


def _names(kind: Kind, row: Json) -> tuple[str, str]:
    """A row's own name and its full one."""
    name = str(row.get("DisplayName") or row.get("Name") or "")
    return name, str(row.get("FullyQualifiedName") or name) if kind in _WITH_PATH else name


_NOTHING: dict[str, str] = {}


def _given(values: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value} if any(values.values()) else _NOTHING


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


class _Part(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """Something of Intuit's, each value of which may be missing."""


class _Reference(_Part, frozen=True):
    value: str = msgspec.field(name="value", default="")


class _Email(_Part, frozen=True):
    address: str = ""


class _Phone(_Part, frozen=True):
    free_form_number: str = ""


class _Address(_Part, frozen=True):
    line1: str = ""
    line2: str = ""
    line3: str = ""
    line4: str = ""
    line5: str = ""
    city: str = ""
    country_sub_division_code: str = ""
    postal_code: str = ""
    country: str = ""


_NO_ADDRESS = _Address()


class _NameOnly(_Part, frozen=True):
    pass


class _Customer(_Part, frozen=True):
    company_name: str = ""
    given_name: str = ""
    family_name: str = ""
    primary_email_addr: _Email = _Email()
    primary_phone: _Phone = _Phone()
    mobile: _Phone = _Phone()
    bill_addr: _Address = _NO_ADDRESS
    ship_addr: _Address = _NO_ADDRESS
    taxable: bool = True
    currency_ref: _Reference = _Reference()
    notes: str = ""
    customer_type_ref: _Reference = _Reference()
    sales_term_ref: _Reference = _Reference()
    payment_method_ref: _Reference = _Reference()
    parent_ref: _Reference = _Reference()
    default_tax_code_ref: _Reference = _Reference()
    primary_tax_identifier: str = ""


class _Vendor(_Part, frozen=True):
    company_name: str = ""
    primary_email_addr: _Email = _Email()
    primary_phone: _Phone = _Phone()
    bill_addr: _Address = _NO_ADDRESS
    acct_num: str = ""
    currency_ref: _Reference = _Reference()
    term_ref: _Reference = _Reference()
    tax_identifier: str = ""


class _Item(_Part, frozen=True):
    sku: str = ""
    description: str = ""
    unit_price: Decimal | None = None
    purchase_cost: Decimal | None = None
    qty_on_hand: Decimal | None = None
    taxable: bool = False
    type: str = ""
    pref_vendor_ref: _Reference = _Reference()
    income_account_ref: _Reference = _Reference()
    expense_account_ref: _Reference = _Reference()
    asset_account_ref: _Reference = _Reference()


class _Term(_Part, frozen=True):
    type: str = ""
    due_days: Decimal | None = None
    discount_percent: Decimal | None = None
    discount_days: Decimal | None = None
    day_of_month_due: Decimal | None = None
    due_next_month_days: str | int = ""
    discount_day_of_month: str | int = ""


class _Class(_Part, frozen=True):
    parent_ref: _Reference = _Reference()


def _typed(row: Json, row_type: type[Any]) -> Any:
    """What we read of a row. Raises :class:`msgspec.ValidationError` where Intuit gives something of another shape."""
    try:
        return msgspec.convert(row, row_type)
    except msgspec.ValidationError:  # null, or a number where Intuit's reference has a text, or the other way round
        return msgspec.convert(_as_texts(row), row_type, strict=False)


def _as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_texts(inner) for key, inner in value.items() if inner is not None}
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


def _customer(name: str, row: _Customer) -> Translated:
    fields: dict[str, Any] = {
        "name": name,
        "company_name": row.company_name or None,
        "first_name": row.given_name or None,
        "last_name": row.family_name or None,
        "email": row.primary_email_addr.address or None,
        "phone": row.primary_phone.free_form_number or None,
        "mobile": row.mobile.free_form_number or None,
    }
    _put_address(fields, "bill_", row.bill_addr)
    _put_address(fields, "ship_", row.ship_addr)
    fields["taxable"] = row.taxable
    fields["currency"] = row.currency_ref.value or None
    fields["notes"] = row.notes or None
    references = {
        "customer_type_id": row.customer_type_ref.value,
        "payment_term_id": row.sales_term_ref.value,
        "payment_method_id": row.payment_method_ref.value,
        "parent_id": row.parent_ref.value,
        "tax_code_id": row.default_tax_code_ref.value,
    }
    return fields, references, {"tax_id": row.primary_tax_identifier}


def _supplier(name: str, row: _Vendor) -> Translated:
    fields: dict[str, Any] = {
        "name": name,
        "company_name": row.company_name or None,
        "email": row.primary_email_addr.address or None,
        "phone": row.primary_phone.free_form_number or None,
    }
    _put_address(fields, "", row.bill_addr)
    fields["account_number"] = row.acct_num or None
    fields["currency"] = row.currency_ref.value or None
    return fields, {"payment_term_id": row.term_ref.value}, {"tax_id": row.tax_identifier}


def _inventory_item(name: str, row: _Item) -> Translated:
    fields = {
        "name": name,
        "part_number": row.sku or None,
        "description": row.description or None,
        "unit_price": row.unit_price,
        "unit_cost": row.purchase_cost,
        "quantity_on_hand": row.qty_on_hand,
        "taxable": row.taxable,
        "item_type": row.type or None,
    }
    seen = {
        "income_account": row.income_account_ref.value,
        "expense_account": row.expense_account_ref.value,
        "asset_account": row.asset_account_ref.value,
    }
    return fields, {"preferred_supplier_id": row.pref_vendor_ref.value}, seen


def _payment_term(name: str, row: _Term) -> Translated:
    by_date = row.type == "DATE_DRIVEN"
    fields = {
        "name": name,
        "due_days": None if by_date else _whole(row.due_days),
        "discount_percent": row.discount_percent,
        "discount_days": None if by_date else _whole(row.discount_days),
        "day_of_month_due": _whole(row.day_of_month_due) if by_date else None,
    }
    seen = {
        "type": row.type,
        "next_month_days": str(row.due_next_month_days),
        "discount_day": str(row.discount_day_of_month),
    }
    return fields, {}, seen


def _group_type(name: str, row: _Class) -> Translated:
    return {"name": name}, {"parent_id": row.parent_ref.value}, {}


def _name_only(name: str, _: _NameOnly) -> Translated:
    return {"name": name}, {}, {}


_WITH_PATH = (Kind.CUSTOMER, Kind.GROUP_TYPE)
_FIELDS: dict[Kind, tuple[type[Any], Callable[[str, Any], Translated]]] = {
    Kind.CUSTOMER: (_Customer, _customer),
    Kind.SUPPLIER: (_Vendor, _supplier),
    Kind.INVENTORY_ITEM: (_Item, _inventory_item),
    Kind.PAYMENT_TERM: (_Term, _payment_term),
    Kind.GROUP_TYPE: (_Class, _group_type),
    Kind.CUSTOMER_TYPE: (_NameOnly, _name_only),
    Kind.PAYMENT_METHOD: (_NameOnly, _name_only),
}

_ADDRESS = ("line1", "line2", "line3", "line4", "city", "region", "postcode", "country")
_ADDRESS_COLUMNS = {prefix: tuple(prefix + column for column in _ADDRESS) for prefix in ("", "bill_", "ship_")}
_EMPTY: dict[str, dict[str, str | None]] = {prefix: dict.fromkeys(columns) for prefix, columns in _ADDRESS_COLUMNS.items()}


def _put_address(fields: dict[str, Any], prefix: str, address: _Address) -> None:
    """Five lines into four columns: the last two share one."""
    if address is _NO_ADDRESS:
        fields.update(_EMPTY[prefix])
        return
    fourth = address.line4
    if address.line5:
        fourth = f"{fourth}, {address.line5}" if fourth else address.line5
    values = (
        address.line1 or None,
        address.line2 or None,
        address.line3 or None,
        fourth or None,
        address.city or None,
        address.country_sub_division_code or None,
        address.postal_code or None,
        address.country or None,
    )
    fields.update(zip(_ADDRESS_COLUMNS[prefix], values, strict=True))


def _whole(number: Decimal | None) -> int | None:
    return None if number is None else int(number)


def account(row: Json) -> Account:
    """One row of the chart of accounts."""
    return Account(str(row.get("FullyQualifiedName") or row.get("Name", "")), str(row.get("AccountType", "")), is_active(row))


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
        agency=agency_of.get(str((rate.get("AgencyRef") or {}).get("value", "")), ""),
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
