"""Create and update of transactions, in the form in which an invoice and a sales receipt were recorded (fact 2.4).

Amounts are what the lines say; taxes are taken as sent; the balances of customers and vendors do not follow.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from lab.intuit import faults
from lab.intuit.clock import Clock, pacific
from lab.intuit.company import Company, Row
from lab.intuit.schema import Entity

USD = {"value": "USD", "name": "United States Dollar"}
UNDEPOSITED = {"value": "4", "name": "Undeposited Funds"}
SALES_FORMS = ("Invoice", "Estimate", "SalesReceipt")
KINDS = (*SALES_FORMS, "Payment", "Bill", "Purchase")
DUE_DAYS = 30
TAXED = ("SalesItemLineDetail", "AccountBasedExpenseLineDetail", "ItemBasedExpenseLineDetail")

_COMMON = (
    "Id SyncToken MetaData domain sparse status CustomField AttachableRef DocNumber TxnDate DepartmentRef CurrencyRef"
    " ExchangeRate PrivateNote TxnStatus LinkedTxn Line TxnTaxDetail Tag RecurDataRef ProjectRef TotalAmt HomeTotalAmt"
    " GlobalTaxCalculation PaymentMethodRef PaymentRefNum CheckPayment CreditCardPayment"
)
_SALES = (
    "CustomerRef CustomerMemo BillAddr ShipAddr ShipFromAddr FreeFormAddress ClassRef SalesTermRef DueDate PONumber ShipMethodRef"
    " ShipDate TrackingNum ApplyTaxAfterDiscount PrintStatus EmailStatus BillEmail BillEmailCc BillEmailBcc Balance HomeBalance"
    " DepositToAccountRef Deposit DeliveryInfo AutoDocNumber TaxExemptionRef AllowIPNPayment AllowOnlinePayment"
    " AllowOnlineCreditCardPayment AllowOnlineACHPayment InvoiceLink"
)
KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(f"{_COMMON} {properties}".split())
    for name, properties in {
        "Invoice": _SALES,
        "SalesReceipt": _SALES,
        "Estimate": f"{_SALES} ExpirationDate AcceptedBy AcceptedDate",
        "Payment": "CustomerRef ARAccountRef DepositToAccountRef UnappliedAmt ProcessPayment",
        "Bill": "VendorRef APAccountRef SalesTermRef DueDate Balance HomeBalance VendorAddr Memo",
        "Purchase": "AccountRef EntityRef PaymentType Credit RemitToAddr Memo PrintStatus",
    }.items()
}
REQUIRED = {
    "Invoice": ("CustomerRef", "Line"),
    "Estimate": ("CustomerRef", "Line"),
    "SalesReceipt": ("Line",),
    "Payment": ("CustomerRef",),
    "Bill": ("VendorRef", "Line"),
    "Purchase": ("AccountRef", "PaymentType", "Line"),
}
_REFERENCES = {
    "CustomerRef": "Customer",
    "VendorRef": "Vendor",
    "ItemRef": "Item",
    "ClassRef": "Class",
    "SalesTermRef": "Term",
    "PaymentMethodRef": "PaymentMethod",
}


def new(company: Company, entity: Entity, given: Row, clock: Clock) -> Row:
    """A new transaction without what every object has (Id, version, times)."""
    for name in REQUIRED[entity.name]:
        if not given.get(name):
            raise faults.required(name)
    today = pacific(clock.now()).date().isoformat()
    extra = _EXTRA[entity.name]()
    if not _preferences(company).get("TaxPrefs", {}).get("UsingSalesTax"):
        extra.pop("TxnTaxDetail", None)
    row = {"CurrencyRef": USD, "TxnDate": today, "CustomField": [], **extra, **given}
    row.setdefault("Line", [])
    _named(company, row, new=True)
    if entity.name in SALES_FORMS:
        row.setdefault("DocNumber", _next_number(company))
        _from_customer(company, row)
        row["CustomField"] = row["CustomField"] or _custom_fields(company)
    if entity.name in ("Invoice", "Bill"):
        row.setdefault("DueDate", _due(company, row))
    return settled(company, entity, row, 0)


def settled(company: Company, entity: Entity, row: Row, last_line: int) -> Row:
    """The row with its lines numbered and its totals worked out; lines without an Id are new ones."""
    lines = [_line(company, line) for line in row["Line"] if line.get("DetailType") != "SubTotalLineDetail"]
    taken = max([last_line, *(int(line["Id"]) for line in lines if "Id" in line)])
    for place, line in enumerate(lines, 1):
        if "Id" not in line:
            taken += 1
            line["Id"] = str(taken)
        if entity.name != "Payment":
            line.setdefault("LineNum", place)
    total = round(sum(line.get("Amount", 0) for line in lines), 2)
    if entity.name in SALES_FORMS:
        lines.append({"Amount": total, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    row["Line"] = lines
    if entity.name == "Payment":
        row["UnappliedAmt"] = round(row.setdefault("TotalAmt", total) - total, 2)
        return row
    row["TotalAmt"] = round(total + row.get("TxnTaxDetail", {}).get("TotalTax", 0), 2)
    if entity.name in ("Invoice", "Bill"):
        row["Balance"] = round(row["TotalAmt"] - row.get("Deposit", 0), 2)
    return row


def changed(company: Company, entity: Entity, held: Row, changes: Row) -> Row:
    """The row after an update. What was not sent stays, in a full update too (recorded for a sales receipt)."""
    row = {**held, **changes}
    _named(company, row, new=False)
    if "Line" not in changes:
        return row
    return settled(company, entity, row, max([0, *(int(line["Id"]) for line in held.get("Line", []) if "Id" in line)]))


def _sales_form(**more: Any) -> Row:
    return {
        "ApplyTaxAfterDiscount": False,
        "PrintStatus": "NeedToPrint",
        "EmailStatus": "NotSet",
        "TxnTaxDetail": {"TotalTax": 0},
    } | more


_ONLINE = ("AllowIPNPayment", "AllowOnlinePayment", "AllowOnlineCreditCardPayment", "AllowOnlineACHPayment")
_EXTRA: dict[str, Callable[[], Row]] = {
    "Invoice": lambda: _sales_form(LinkedTxn=[], **dict.fromkeys(_ONLINE, False)),
    "Estimate": lambda: _sales_form(LinkedTxn=[], TxnStatus="Pending"),
    "SalesReceipt": lambda: _sales_form(Balance=0, DepositToAccountRef=UNDEPOSITED),
    "Payment": lambda: {"DepositToAccountRef": {"value": "4"}, "ProcessPayment": False},
    "Bill": lambda: {"LinkedTxn": []},
    "Purchase": lambda: {"Credit": False},
}


def _line(company: Company, line: Row) -> Row:
    kind = line.get("DetailType")
    if kind is None:
        if "LinkedTxn" in line:
            return dict(line)
        raise faults.required("Line.DetailType")
    line = dict(line)
    if isinstance(line.get(kind), dict):
        line[kind] = dict(line[kind])
        _named(company, line[kind], new="Id" not in line)
        if kind in TAXED:
            line[kind]["TaxCodeRef"] = _tax_code(company, line[kind].get("TaxCodeRef"))
    return line


def _tax_code(company: Company, given: Row | None) -> Row:
    """A US line is taxed or not, at the rate of the whole form; elsewhere each line has a code of the company's (fact 3.8)."""
    info = next(company["CompanyInfo"].decoded(), {})
    if info.get("Country", "US") != "US":
        if given is None:
            raise faults.business("Make sure all your transactions have a VAT rate before you save.")
        return given
    if given is not None and given.get("value") not in ("TAX", "NON"):
        raise faults.business("Invalid tax code. A line's tax code is TAX or NON.", "6100")
    return given or {"value": "NON"}


def _named(company: Company, row: Row, *, new: bool) -> None:
    """Each reference carries its record's name; one to nothing is refused, and a new one to an inactive record."""
    for name, kind in _REFERENCES.items():
        if name not in row:
            continue
        target = company[kind].get(str(row[name].get("value")))
        if target is None:
            raise faults.invalid_reference(name)
        if new and target.get("Active") is False:
            raise faults.object_not_found()
        row[name] = {
            "value": target["Id"],
            "name": target.get("DisplayName") or target.get("FullyQualifiedName") or target["Name"],
        }


def _from_customer(company: Company, row: Row) -> None:
    if "CustomerRef" not in row:
        return
    customer = company["Customer"].get(row["CustomerRef"]["value"]) or {}
    for name in ("BillAddr", "ShipAddr"):
        if name in customer:
            row.setdefault(name, customer[name])


def _preferences(company: Company) -> Row:
    return next(company["Preferences"].decoded(), {})


def _custom_fields(company: Company) -> list[Row]:
    """The company's own fields, empty."""
    groups = _preferences(company).get("SalesFormsPrefs", {}).get("CustomField", [])
    names = {
        field["Name"]: field["StringValue"]
        for group in groups
        for field in group.get("CustomField", [])
        if "StringValue" in field
    }
    prefix = "SalesFormsPrefs.SalesCustomName"
    return [
        {"DefinitionId": name.removeprefix(prefix), "Name": value, "Type": "StringType"}
        for name, value in sorted(names.items())
        if name.startswith(prefix)
    ]


def _due(company: Company, row: Row) -> str:
    term = company["Term"].get(row["SalesTermRef"]["value"]) if "SalesTermRef" in row else None
    days = (term or {}).get("DueDays", DUE_DAYS)
    return (date.fromisoformat(row["TxnDate"]) + timedelta(days=days)).isoformat()


def _next_number(company: Company) -> str:
    """Sales forms share one series of numbers."""
    numbers = (str(row.get("DocNumber", "")) for kind in SALES_FORMS for row in company[kind].decoded())
    return str(max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=1000) + 1)
