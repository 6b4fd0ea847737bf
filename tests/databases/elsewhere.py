"""A field service database as somebody else might have made it: other names, views, a lookup by code, defaults of its own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, ForeignKey, Integer, MetaData, Numeric, Table, Unicode, UnicodeText

metadata = MetaData()


def _table(name: str, *columns: Column[Any]) -> Table:
    return Table(name, metadata, *columns, sqlite_autoincrement=any(column.autoincrement is True for column in columns))


def _key(name: str) -> Column[Any]:
    return Column(name, Integer, primary_key=True, autoincrement=True)


def _to(name: str, target: str, kind: Any = Integer) -> Column[Any]:
    return Column(name, kind, ForeignKey(target))


def _money(name: str, **more: Any) -> Column[Any]:
    return Column(name, Numeric(18, 4).with_variant(Unicode(32), "sqlite"), **more)


def _address(prefix: str) -> list[Column[Any]]:
    lines = [Column(f"{prefix}Address{n}", Unicode(120)) for n in (1, 2, 3, 4)]
    return [*lines, *(Column(f"{prefix}{part}", Unicode(60)) for part in ("City", "State", "Zip", "Country"))]


_table("ClientTypes", _key("ClientTypeID"), Column("ClientTypeName", Unicode(60), nullable=False))
_table("JobGroups", _key("JobGroupID"), Column("GroupName", Unicode(60), nullable=False), _to("ParentID", "JobGroups.JobGroupID"))
_table(
    "CreditTerms",
    _key("TermsID"),
    Column("TermsName", Unicode(40), nullable=False),
    Column("DueDays", Integer),
    _money("DiscPct"),
    Column("DiscDays", Integer),
    Column("DueDayOfMonth", Integer),
)
_table("PayMethods", Column("PayMethodCode", Unicode(31), primary_key=True))
_table(
    "TaxCodes",
    _key("TaxCodeID"),
    Column("TaxCode", Unicode(60), nullable=False),
    Column("Description", Unicode(200)),
    Column("IsActive", Boolean, nullable=False, server_default=sa.true()),
)
_table(
    "TaxCodeParts",
    _to("TaxCodeID", "TaxCodes.TaxCodeID"),
    Column("SeqNo", Integer, nullable=False),
    Column("RateName", Unicode(60), nullable=False),
    _money("RatePct", nullable=False),
    Column("Authority", Unicode(60)),
    Column("IsCompound", Boolean, nullable=False, server_default=sa.false()),
    Column("PartID", Integer, primary_key=True, autoincrement=True),
)
_table(
    "Vendors",
    _key("VendorNo"),
    Column("VendorName", Unicode(200), nullable=False),
    Column("CompanyName", Unicode(100)),
    Column("EmailAddress", Unicode(200)),
    Column("Telephone", Unicode(40)),
    Column("CurrencyCode", Unicode(3), nullable=False, server_default="USD"),
    Column("AccountNo", Unicode(60)),
    _to("CreditTermsID", "CreditTerms.TermsID"),
    *_address(""),
)
_table(
    "Products",
    _key("ProductID"),
    Column("PartNumber", Unicode(60)),
    Column("ProductName", Unicode(100), nullable=False),
    Column("Description", UnicodeText),
    _money("UnitPrice"),
    _money("UnitCost"),
    _money("QtyOnHand"),
    Column("Taxable", Boolean, nullable=False, server_default=sa.false()),
    Column("ProductType", Unicode(30)),
    _to("PrefVendorNo", "Vendors.VendorNo"),
)
_table(
    "Clients",
    _key("ClientID"),
    Column("ClientName", Unicode(200), nullable=False),
    Column("CompanyName", Unicode(100)),
    Column("FirstName", Unicode(60)),
    Column("Surname", Unicode(60)),
    Column("EmailAddress", Unicode(200)),
    Column("Telephone", Unicode(40)),
    Column("MobilePhone", Unicode(40)),
    *_address("Bill"),
    *_address("Ship"),
    _to("ClientTypeID", "ClientTypes.ClientTypeID"),
    _to("TermsID", "CreditTerms.TermsID"),
    _to("PayMethodCode", "PayMethods.PayMethodCode", Unicode(31)),
    _to("ParentClientID", "Clients.ClientID"),
    Column("IsTaxable", Boolean, nullable=False, server_default=sa.true()),
    _to("TaxCodeID", "TaxCodes.TaxCodeID"),
    Column("CurrencyCode", Unicode(3)),
    Column("Remarks", UnicodeText),
    Column("BranchNo", Integer, nullable=False),
    Column("CreatedOn", sa.DateTime, server_default=sa.func.current_timestamp()),
)
_table(
    "WorkOrders",
    _key("WorkOrderNo"),
    _to("ClientID", "Clients.ClientID"),
    _to("ProductID", "Products.ProductID"),
)
_table("SystemOptions", Column("OptionName", Unicode(60), primary_key=True), Column("OptionValue", Unicode(200)))

VIEW = (
    "CREATE VIEW {q}TaxRates{q} AS SELECT {q}TaxCodeID{q}, {q}SeqNo{q}, {q}RateName{q}, {q}RatePct{q}, {q}Authority{q},"
    " {q}IsCompound{q} FROM {q}TaxCodeParts{q}"
)
OPTIONS = {"TaxCalc": "ByLine", "BaseCurrency": "USD", "ExportTo": "QBO", "ExportOn": "N"}

# The same for the reference schema.
SETTINGS = {"tax_method": "line_item", "currency": "USD", "export_format": "quickbooks_online", "accounting_export": "0"}

# What a person adds to the draft: what no name of a table or column can tell.
BY_HAND: dict[str, Any] = {
    "tax_method": {"setting": "TaxCalc", "line_item": "ByLine"},
    "currency": {"setting": "BaseCurrency"},
    "export_format": {"setting": "ExportTo", "quickbooks_online": "QBO"},
    "export_switch": {"setting": "ExportOn", "enabled": "Y", "disabled": "N"},
}


def create(engine: sa.Engine) -> None:
    """All tables, the view, and the settings."""
    metadata.create_all(engine)
    quote = "`" if engine.dialect.name in ("mysql", "mariadb") else '"'
    options = metadata.tables["SystemOptions"]
    with engine.begin() as connection:
        connection.exec_driver_sql(VIEW.format(q=quote))
        for name, value in OPTIONS.items():
            connection.execute(options.insert().values(OptionName=name, OptionValue=value))
