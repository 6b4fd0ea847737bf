"""What the service knows of each entity's properties: which a write may carry, how long they may be, what they are at first."""

from __future__ import annotations

from collections.abc import Callable

from lab.intuit import transactions
from lab.intuit.company import Row

USD = {"value": "USD", "name": "United States Dollar"}
COMMON = "Id SyncToken MetaData domain sparse status Active CustomField AttachableRef V4IDPseudonym"
PERSON = (
    "DisplayName Title GivenName MiddleName FamilyName Suffix CompanyName PrintOnCheckName PrimaryPhone AlternatePhone Mobile Fax"
    " PrimaryEmailAddr WebAddr BillAddr OtherContactInfo CurrencyRef Balance BusinessNumber HasTPAR Notes"
)
NESTED = "Name FullyQualifiedName ParentRef"

# Which properties a write may carry; any other is refused with 2010.
KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(f"{COMMON} {properties}".split())
    for name, properties in {
        "Customer": f"{PERSON} FullyQualifiedName ShipAddr Job ParentRef Level BillWithParent IsProject BalanceWithJobs"
        " OpenBalanceDate Taxable TaxExemptionReasonId DefaultTaxCodeRef SalesTermRef PaymentMethodRef PreferredDeliveryMethod"
        " ResaleNum CustomerTypeRef ARAccountRef PrimaryTaxIdentifier SecondaryTaxIdentifier GSTIN"
        " GSTRegistrationType ClientEntityId",
        "Vendor": f"{PERSON} TermRef AcctNum Vendor1099 TaxIdentifier BillRate CostRate APAccountRef T4AEligible T5018Eligible"
        " TaxReportingBasis GSTIN VendorPaymentBankDetail ClientEntityId",
        "Employee": f"{PERSON} SSN PrimaryAddr BillableTime BillRate BirthDate Gender HiredDate ReleasedDate"
        " EmployeeNumber CostRate",
        "Item": f"{NESTED} Sku Description SubItem Level Taxable SalesTaxIncluded UnitPrice Type ItemCategoryType"
        " IncomeAccountRef PurchaseDesc PurchaseTaxIncluded PurchaseCost ExpenseAccountRef AssetAccountRef PrefVendorRef"
        " TrackQtyOnHand QtyOnHand ReorderPoint InvStartDate SalesTaxCodeRef PurchaseTaxCodeRef ClassRef TaxClassificationRef"
        " ItemGroupDetail PrintGroupedItems AbatementRate ReverseChargeRate ServiceType Source",
        "Class": f"{NESTED} SubClass",
        "Department": f"{NESTED} SubDepartment Address",
        "Preferences": "AccountingInfoPrefs CurrencyPrefs EmailMessagesPrefs OtherPrefs ProductAndServicesPrefs ReportPrefs"
        " SalesFormsPrefs TaxPrefs TimeTrackingPrefs VendorAndPurchasesPrefs",
        "Term": "Name Type DueDays DiscountDays DiscountPercent DayOfMonthDue DueNextMonthDays DiscountDayOfMonth",
        "PaymentMethod": "Name Type",
        "Account": f"{NESTED} SubAccount Description Classification AccountType AccountSubType AcctNum CurrentBalance"
        " CurrentBalanceWithSubAccounts CurrencyRef TaxCodeRef AccountAlias TxnLocationType OpeningBalance",
    }.items()
} | transactions.KNOWN

# What a new object holds when the request names only what it must (recorded for customers, vendors and items).
DEFAULTS: dict[str, Callable[[], Row]] = {
    "Customer": lambda: {
        "Taxable": True,
        "Job": False,
        "BillWithParent": False,
        "Balance": 0,
        "BalanceWithJobs": 0,
        "CurrencyRef": USD,
        "PreferredDeliveryMethod": "Print",
    },
    "Vendor": lambda: {"Balance": 0, "Vendor1099": False, "CurrencyRef": USD},
    "Employee": lambda: {"BillableTime": False},
    "Item": lambda: {"Taxable": False, "UnitPrice": 0, "Type": "Service", "PurchaseCost": 0, "TrackQtyOnHand": False},
    "Class": lambda: {"SubClass": False},
    "Department": lambda: {"SubDepartment": False},
    "Term": lambda: {"Type": "STANDARD"},
    "PaymentMethod": lambda: {"Type": "NON_CREDIT_CARD"},
    "Account": lambda: {"SubAccount": False, "CurrentBalance": 0, "CurrentBalanceWithSubAccounts": 0, "CurrencyRef": USD},
}

_NAMES = {"DisplayName": 500, "GivenName": 100, "MiddleName": 100, "FamilyName": 100, "CompanyName": 100, "PrintOnCheckName": 110}
_PERSON = {**_NAMES, "Title": 16, "Suffix": 16, "Notes": 2000}
# The longest text of a property, in characters (fact 3); a longer one is refused with 2050.
LENGTHS: dict[str, dict[str, int]] = {
    "Customer": {**_PERSON, "ResaleNum": 16},
    "Vendor": {**_PERSON, "AcctNum": 100},
    "Employee": _PERSON,
    "Item": {"Name": 100, "Sku": 100, "Description": 4000, "PurchaseDesc": 1000},
    "Class": {"Name": 100},
    "Department": {"Name": 100},
    "Term": {"Name": 31},
    "PaymentMethod": {"Name": 31},
    "Invoice": {"DocNumber": 21, "PrivateNote": 4000},
}
