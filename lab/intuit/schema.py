"""What the API knows of each entity: how it is called, sorted by default, and which properties a query may name.

Source: the API reference as copied in the project's facts (section 2.2 and the filterable lists); default orders are recorded.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entity:
    """One kind of object. ``order`` is the default order of a query: property and whether it descends."""

    name: str
    filterable: frozenset[str]
    order: tuple[tuple[str, bool], ...]
    sortable: frozenset[str] = frozenset()
    has_active: bool = True
    in_cdc: bool = True
    pseudo_ids: frozenset[str] = frozenset()
    unqueryable: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """The property that holds the record's name."""
        return "DisplayName" if "DisplayName" in self.filterable | self.sortable else "Name"


TIMES = frozenset({"MetaData.CreateTime", "MetaData.LastUpdatedTime"})
BY_ID = (("Id", False),)
NEWEST_FIRST = (("MetaData.LastUpdatedTime", True),)


def _props(text: str) -> frozenset[str]:
    return frozenset(text.split()) | TIMES | {"Id"}


def _named(name: str, extra: str = "", *, in_cdc: bool = True, sortable: frozenset[str] = frozenset()) -> Entity:
    return Entity(name, _props(f"Name Active {extra}"), (("Name", False),), sortable, in_cdc=in_cdc)


def _transaction(name: str, extra: str = "", order: tuple[tuple[str, bool], ...] = NEWEST_FIRST) -> Entity:
    return Entity(name, _props(f"DocNumber TxnDate TotalAmt Balance CustomerRef {extra}"), order, has_active=False)


_ENTITIES = (
    Entity(
        "Customer",
        _props(
            "DisplayName GivenName MiddleName FamilyName CompanyName FullyQualifiedName PrintOnCheckName PrimaryEmailAddr"
            " Active Balance BalanceWithJobs"
        ),
        (("FullyQualifiedName", False),),
        unqueryable=frozenset({"CustomerTypeRef", "ParentRef", "Taxable"}),
    ),
    Entity(
        "Vendor",
        _props("DisplayName GivenName MiddleName FamilyName Suffix CompanyName PrintOnCheckName Active Balance"),
        (("DisplayName", False),),
    ),
    Entity(
        "Employee",
        _props("DisplayName GivenName MiddleName FamilyName Suffix PrintOnCheckName Active"),
        (("DisplayName", False),),
    ),
    Entity(
        "Item",
        _props("Name Type Sku Active Taxable FullyQualifiedName SubItem Description"),
        (("Name", False),),
        sortable=frozenset({"UnitPrice", "PurchaseCost"}),
    ),
    _named("Class", "FullyQualifiedName"),
    _named("Department", "FullyQualifiedName", sortable=frozenset({"SubDepartment"})),
    _named("Term"),
    _named("PaymentMethod"),
    _named("CustomerType", in_cdc=False),
    Entity(
        "TaxCode",
        _props("Name Description Active Hidden"),
        (("Name", False),),
        in_cdc=False,
        pseudo_ids=frozenset({"TAX", "NON", "CustomSalesTax"}),
    ),
    _named("TaxRate", "Description AgencyRef TaxReturnLineRef", in_cdc=False),
    Entity("TaxAgency", _props(""), BY_ID, sortable=frozenset({"DisplayName"}), has_active=False, in_cdc=False),
    _named(
        "Account", "AccountType AccountSubType Classification FullyQualifiedName CurrentBalance CurrentBalanceWithSubAccounts"
    ),
    Entity("CompanyInfo", _props(""), BY_ID, has_active=False, in_cdc=False),
    Entity("Preferences", TIMES, BY_ID, has_active=False, in_cdc=False),
    _transaction("Invoice", "ProjectRef SalesTermRef DueDate"),
    _transaction("Estimate", "TxnStatus"),
    _transaction("SalesReceipt"),
    _transaction("Payment", "PaymentMethodRef PaymentRefNum"),
    _transaction("Bill", "VendorRef DueDate"),
    _transaction("Purchase", order=(("Id", True),)),
    Entity("Attachable", _props("FileName Note"), BY_ID, has_active=False),
)

ENTITIES = {entity.name: entity for entity in _ENTITIES}
BY_LOWER = {entity.name.lower(): entity for entity in _ENTITIES}

# The three entities that share one name space (fact 2.5): a name taken in one is taken in all.
ONE_NAME_SPACE = ("Customer", "Vendor", "Employee")

# What list records refer to, by property.
LIST_REFERENCES = {
    "SalesTermRef": "Term",
    "TermRef": "Term",
    "PaymentMethodRef": "PaymentMethod",
    "CustomerTypeRef": "CustomerType",
    "DefaultTaxCodeRef": "TaxCode",
    "PrefVendorRef": "Vendor",
}
