"""A believable company from a seed: a field service business in the US with manual sales tax.

Every row is a pure function of the seed and its number, so the same arguments always give the same company.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain, repeat
from typing import Any

from lab.intuit import words
from lab.intuit.clock import row_time
from lab.intuit.company import Company, Encoded, Row, encoded

FIRST_DAY = datetime(2019, 3, 4, 16, tzinfo=UTC)
# Everything was made within these years and changed last within 450 days more: never after today, however large the company.
YEARS = timedelta(days=5.5 * 365)
DELETED = " (deleted)"
USD = {"value": "USD", "name": "United States Dollar"}
LARGE = 5_000_000_000_000_000_000
INCOME = {"value": "79", "name": "Sales of Product Income"}
SERVICES = {"value": "1", "name": "Services"}
COGS = {"value": "80", "name": "Cost of Goods Sold"}
ASSET = {"value": "81", "name": "Inventory Asset"}

# From so many rows on several processes make them: pieces of so many rows, so many pieces at a time.
MANY, PIECE, WAVE = 50_000, 1_000, 16

# How customers are nested: the last five of each block of 60 form a chain five levels deep, every twelfth other one is a job.
BLOCK, CHAIN, JOB = 60, 5, 12


@dataclass(frozen=True)
class Sizes:
    """How many rows of the large kinds; about one in ten is inactive and counts in."""

    customers: int = 120
    vendors: int = 40
    items: int = 90


def _reference(row: Row) -> dict[str, str]:
    return {"value": row["Id"], "name": row.get("FullyQualifiedName") or row["Name"]}


class Generator:
    """Makes the rows of one company."""

    def __init__(self, seed: int, sizes: Sizes) -> None:
        self.seed = seed
        self.sizes = sizes
        self.step = min(timedelta(hours=3), YEARS / max(sizes.customers, sizes.vendors, sizes.items, 1))
        shuffle = random.Random(f"{seed} words")
        self.given, self.family, self.trades, self.supplies, self.parts = (
            shuffle.sample(list(each), len(each))
            for each in (words.GIVEN, words.FAMILY, words.TRADES, words.SUPPLIES, words.PARTS)
        )

    def _random(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self.seed} {kind} {number}")

    def _common(self, kind: str, number: int, row_id: str) -> Row:
        chance = self._random(f"{kind} dates", number)
        created = FIRST_DAY + number * self.step + timedelta(seconds=chance.randrange(3600))
        changes = chance.choice((0, 0, 0, 1, 2, 5))
        updated = created + timedelta(days=changes * chance.randrange(1, 90), seconds=changes)
        return {
            "domain": "QBO",
            "sparse": False,
            "Id": row_id,
            "SyncToken": str(changes),
            "MetaData": {"CreateTime": row_time(created), "LastUpdatedTime": row_time(updated)},
        }

    def _listed(self, kind: str, number: int, row_id: str, name: str, /, *, active: bool = True, **properties: Any) -> Row:
        row = {"Name": name if active else name + DELETED, **properties, "Active": active}
        return {**row, **self._common(kind, number, row_id)}

    # Small lists ----------------------------------------------------------------------------------------------------------

    @cached_property
    def terms(self) -> list[Row]:
        """Standard terms, one with discount, two date driven, two inactive."""
        standard = {"Type": "STANDARD", "DiscountDays": 0}
        dated = {"Type": "DATE_DRIVEN"}
        rows: list[tuple[str, bool, Row]] = [
            ("Due on receipt", True, {**standard, "DueDays": 0}),
            ("Net 15", True, {**standard, "DueDays": 15}),
            ("Net 30", True, {**standard, "DueDays": 30}),
            ("Net 60", True, {**standard, "DueDays": 60}),
            ("Net 10", True, {"Type": "STANDARD", "DueDays": 10}),
            ("2% 10 Net 30", True, {"Type": "STANDARD", "DueDays": 30, "DiscountDays": 10, "DiscountPercent": 2}),
            ("Due on the 15th", True, {**dated, "DayOfMonthDue": 15, "DueNextMonthDays": 5}),
            ("1% by the 10th", True, {**dated, "DayOfMonthDue": 25, "DiscountDayOfMonth": 10, "DiscountPercent": 1}),
            ("Net 7", False, {"Type": "STANDARD", "DueDays": 7}),
            ("Net 90", False, {"Type": "STANDARD", "DueDays": 90}),
        ]
        return [
            self._listed("Term", number, str(number), name, active=active, **properties)
            for number, (name, active, properties) in enumerate(rows, 1)
        ]

    @cached_property
    def payment_methods(self) -> list[Row]:
        """The seven of a US company, two of its own, two inactive."""
        cards = ("Visa", "MasterCard", "Discover", "American Express", "Diners Club")
        names = ("Cash", "Check", *cards, "ACH Transfer", "Financing Plan", "Gift Certificate", "Barter")
        return [
            self._listed(
                "PaymentMethod",
                number,
                str(number),
                name,
                active=number < 10,
                Type="CREDIT_CARD" if name in cards else "NON_CREDIT_CARD",
            )
            for number, name in enumerate(names, 1)
        ]

    @cached_property
    def customer_types(self) -> list[Row]:
        """Old ones with small ids, newer ones with ids of 19 digits."""
        names = (
            "Residential",
            "Commercial",
            "Property Manager",
            "Builder",
            "Non-profit & Public",
            "Builders' Guild",
            "Wholesale",
        )
        return [
            self._listed("CustomerType", number, str(number if number < 3 else LARGE + 3460 + number), name, active=number < 6)
            for number, name in enumerate(names, 1)
        ]

    @cached_property
    def classes(self) -> list[Row]:
        """Nested group types with ids of 19 digits; the same leaf name stands under two parents."""
        tree = (
            ("Service", ""),
            ("Installation", ""),
            ("Maintenance Contracts", ""),
            ("North County", "Service"),
            ("South County", "Service"),
            ("North County", "Installation"),
            ("New Construction", "Installation"),
            ("Tract Homes", "Installation:New Construction"),
            ("Winter Promo", None),
            ("Pilot Crew", None),
        )
        rows: dict[str, Row] = {}
        for number, (name, parent) in enumerate(tree, 1):
            row = self._listed(
                "Class", number, str(LARGE + 85_680 + 17 * number), name, active=parent is not None, SubClass=bool(parent)
            )
            if parent:
                row["ParentRef"] = {"value": rows[parent]["Id"]}
            row["FullyQualifiedName"] = f"{parent}:{row['Name']}" if parent else row["Name"]
            rows[row["FullyQualifiedName"]] = row
        return list(rows.values())

    # Taxes ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def tax_agencies(self) -> list[Row]:
        """Who the taxes are paid to."""
        return [
            {
                "TaxTrackedOnPurchases": False,
                "TaxTrackedOnSales": True,
                **self._common("TaxAgency", number, str(number)),
                "DisplayName": name,
            }
            for number, name in enumerate(("Arizona Dept. of Revenue", "Board of Equalization"), 1)
        ]

    @cached_property
    def tax_rates(self) -> list[Row]:
        """The components; the last one belongs to an inactive code."""
        rates = (
            ("AZ State tax", 5.6, "1"),
            ("Copper Wells City", 2.5, "1"),
            ("California", 7.25, "2"),
            ("Port Amber District", 1.125, "2"),
            ("Out of state (old)", 6, "2"),
        )
        return [
            self._listed(
                "TaxRate",
                number,
                str(number),
                name,
                active=number < 5,
                Description="Sales Tax",
                RateValue=rate,
                AgencyRef={"value": agency},
                SpecialTaxType="NONE",
                DisplayType="ReadOnly",
            )
            for number, (name, rate, agency) in enumerate(rates, 1)
        ]

    @cached_property
    def tax_codes(self) -> list[Row]:
        """The pseudo codes of a US company (no SyncToken, no Active), and real ones with one or two components."""
        codes = (("California", ("3",)), ("Copper Wells", ("1", "2")), ("Port Amber", ("3", "4")), ("Out of state", ("5",)))
        return [self._pseudo_code(name, name != "NON") for name in ("TAX", "NON")] + [
            self._tax_code(number, name, rates, active=number < 5) for number, (name, rates) in enumerate(codes, 2)
        ]

    def _pseudo_code(self, name: str, taxable: bool) -> Row:
        moment = row_time(FIRST_DAY)
        times = {"CreateTime": moment, "LastUpdatedTime": moment}
        return {"Name": name, "Description": name, "Taxable": taxable, "TaxGroup": False, "Id": name, "MetaData": times}

    def _tax_code(self, number: int, name: str, rates: tuple[str, ...], *, active: bool) -> Row:
        names = {row["Id"]: row["Name"] for row in self.tax_rates}
        details = [
            {"TaxRateRef": {"value": rate, "name": names[rate]}, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": 0}
            for rate in rates
        ]
        return self._listed(
            "TaxCode",
            number,
            str(number),
            name,
            active=active,
            Description=name,
            Taxable=True,
            TaxGroup=True,
            SalesTaxRateList={"TaxRateDetail": details},
            PurchaseTaxRateList={"TaxRateDetail": []},
        )

    # Customers ------------------------------------------------------------------------------------------------------------

    def customer_parent(self, number: int) -> int | None:
        """The number of a sub-customer's parent."""
        place = number % BLOCK
        if place > BLOCK - CHAIN or (number % JOB == JOB - 1 and place < BLOCK - CHAIN):
            return number - 1
        return None

    def _child(self, number: int) -> int | None:
        following = number + 1
        return following if following < self.sizes.customers and self.customer_parent(following) == number else None

    def customer_active(self, number: int) -> bool:
        """About one in ten is inactive; never one that has jobs."""
        return number % 10 != 3 or self._child(number) is not None

    def customer_name(self, number: int) -> str:
        """A leaf name, unique among its siblings, without the suffix of inactive ones."""
        if self.customer_parent(number) is not None:
            site = words.SITES[number % len(words.SITES)]
            return f"{site} {number}" if number % 3 else site
        if number % 17 == 5:
            rare = words.RARE[number // 17 % len(words.RARE)]
            return rare if number // 17 < len(words.RARE) else f"{rare} {number}"
        given, family = len(self.given), len(self.family)
        if number % 5 < 2:
            return self._unrank(self.family, self.trades, number // 5 * 2 + number % 5, number)
        rank = number // 5 * 3 + number % 5 - 2
        name = f"{self.given[rank % given]} {self.family[(rank % given + rank // given) % family]}"
        # The habit of people who came from QuickBooks Desktop: the customer's number behind the name.
        return f"{name} {number}" if number % 19 == 8 or rank >= given * family else name

    @staticmethod
    def _unrank(heads: list[str], tails: list[str], rank: int, number: int) -> str:
        # Each round through the heads shifts the tails by one, so no pair comes twice before all have come.
        name = f"{heads[rank % len(heads)]} {tails[(rank % len(heads) + rank // len(heads)) % len(tails)]}"
        return name if rank < len(heads) * len(tails) else f"{name} {number}"

    def customer_path(self, number: int) -> str:
        """The full name of an active customer with all its parents."""
        parent = self.customer_parent(number)
        leaf = self.customer_name(number)
        return leaf if parent is None else f"{self.customer_path(parent)}:{leaf}"

    def _customer_balance(self, number: int) -> float:
        chance = self._random("balance", number)
        return round(chance.uniform(20, 4000), 2) if self.customer_active(number) and chance.random() < 0.3 else 0

    def _customer_balance_with_jobs(self, number: int) -> float:
        child = self._child(number)
        return round(self._customer_balance(number) + (self._customer_balance_with_jobs(child) if child is not None else 0), 2)

    def customer_id(self, number: int) -> str:
        """Customers, vendors and employees share one counter of ids; customers come first."""
        return str(number + 1)

    def customer(self, number: int) -> Row:
        """One customer, or a job of one."""
        chance = self._random("Customer", number)
        parent, active = self.customer_parent(number), self.customer_active(number)
        suffix = "" if active else DELETED
        leaf, path = self.customer_name(number), self.customer_path(number)
        row: Row = {
            "Taxable": chance.random() < 0.8,
            "Job": parent is not None,
            "BillWithParent": parent is not None and chance.random() < 0.5,
            "Balance": self._customer_balance(number),
            "BalanceWithJobs": self._customer_balance_with_jobs(number),
            "CurrencyRef": USD,
            "PreferredDeliveryMethod": chance.choice(("Print", "Email", "None")),
            **self._common("Customer", number, self.customer_id(number)),
            "FullyQualifiedName": path + suffix,
            "DisplayName": leaf + suffix,
            "PrintOnCheckName": leaf,
            "Active": active,
        }
        if parent is not None:
            row |= {"ParentRef": {"value": self.customer_id(parent)}, "Level": path.count(":")}
        self._person(row, chance, leaf, business=number % 5 < 2)
        row["BillAddr"] = self._address(chance, 3 * number + 1)
        row["ShipAddr"] = row["BillAddr"] if chance.random() < 0.6 else self._address(chance, 3 * number + 2)
        self._customer_references(row, chance, active=active)
        return row

    def _customer_references(self, row: Row, chance: random.Random, *, active: bool) -> None:
        if chance.random() < 0.6:
            row["SalesTermRef"] = _reference(chance.choice(self.terms[:6]))
        if chance.random() < 0.3:
            row["PaymentMethodRef"] = _reference(chance.choice(self.payment_methods[:9]))
        if chance.random() < 0.25 or not active:
            row["CustomerTypeRef"] = {"value": chance.choice(self.customer_types[:5])["Id"]}
        if row["Taxable"]:
            row["DefaultTaxCodeRef"] = {"value": chance.choice(("2", "3", "4"))}
        if chance.random() < 0.1:
            row["Notes"] = "Gate code on file.\nCall before arrival."

    def _person(self, row: Row, chance: random.Random, name: str, *, business: bool) -> None:
        given, family = chance.choice(words.GIVEN), chance.choice(words.FAMILY)
        if business:
            row["CompanyName"] = name
        elif name.count(" ") == 1:
            given, family = name.split(" ")
        row |= {"GivenName": given, "FamilyName": family}
        mailbox = "".join(
            letter for letter in f"{given}.{family}".lower() if letter.isascii() and (letter.isalnum() or letter == ".")
        )
        address = f"{mailbox}{chance.randrange(100)}@example.com"
        if chance.random() < 0.85:
            row["PrimaryEmailAddr"] = {"Address": f"{address}, office@example.org" if chance.random() < 0.05 else address}
        if chance.random() < 0.75:
            row["PrimaryPhone"] = {"FreeFormNumber": f"(555) 555-{chance.randrange(10000):04d}"}
        if chance.random() < 0.35:
            row["Mobile"] = {"FreeFormNumber": f"(555) 555-{chance.randrange(10000):04d}"}

    def _address(self, chance: random.Random, number: int) -> Row:
        city, state, postal = chance.choice(words.CITIES)
        return {
            "Id": str(number),
            "Line1": f"{chance.randrange(1, 9999)} {chance.choice(words.STREETS)} {chance.choice(('St.', 'Ave.', 'Road'))}",
            "City": city,
            "CountrySubDivisionCode": state,
            "PostalCode": f"{postal}{chance.randrange(100):02d}",
        }

    # Vendors and employees ------------------------------------------------------------------------------------------------

    def vendor_active(self, number: int) -> bool:
        """About one in ten is inactive."""
        return number % 10 != 4

    def vendor(self, number: int) -> Row:
        """One supplier."""
        chance = self._random("Vendor", number)
        active = self.vendor_active(number)
        name = self._unrank(self.family, self.supplies, number, number)
        row: Row = {
            "BillAddr": self._address(chance, 3 * self.sizes.customers + number + 1),
            "Balance": round(chance.uniform(50, 9000), 2) if active and chance.random() < 0.3 else 0,
            "Vendor1099": chance.random() < 0.2,
            "CurrencyRef": USD,
            **self._common("Vendor", number, str(self.sizes.customers + number + 1)),
            "DisplayName": name if active else name + DELETED,
            "PrintOnCheckName": name,
            "Active": active,
        }
        self._person(row, chance, name, business=True)
        if chance.random() < 0.5:
            row["TermRef"] = _reference(chance.choice(self.terms[:6]))
        if chance.random() < 0.4:
            row["AcctNum"] = f"{chance.randrange(10**8):09d}"
        if row["Vendor1099"]:
            row["TaxIdentifier"] = f"XXXXXX{chance.randrange(10000):04d}"
        return row

    def employees(self) -> list[Row]:
        """Three technicians, one of whom has left."""
        first = self.sizes.customers + self.sizes.vendors + 1
        rows = []
        for number, (given, family) in enumerate((("Tess", "Wrenfield"), ("Ike", "Marlowe"), ("Uma", "Castellan"))):
            name, active = f"{given} {family}", number < 2
            rows.append(
                {
                    "BillableTime": False,
                    **self._common("Employee", number, str(first + number)),
                    "GivenName": given,
                    "FamilyName": family,
                    "DisplayName": name if active else name + DELETED,
                    "PrintOnCheckName": name,
                    "Active": active,
                }
            )
        return rows

    # Items ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def categories(self) -> list[Row]:
        """Item categories with ids of 19 digits, one of them inside another."""
        rows: list[Row] = []
        for number, name in enumerate((*words.CATEGORIES, "Thermostats & Sensors"), 1):
            row = {"Name": name, "Active": True, "FullyQualifiedName": name, "Type": "Category"}
            if number > len(words.CATEGORIES):
                parent = rows[-1]
                row |= {
                    "SubItem": True,
                    "ParentRef": _reference(parent),
                    "Level": 1,
                    "FullyQualifiedName": f"{parent['Name']}:{name}",
                }
            rows.append({**row, **self._common("Category", number, str(LARGE + 120_000 + 31 * number))})
        return rows

    def item_active(self, number: int) -> bool:
        """About one in ten is inactive."""
        return number % 10 != 6

    def item(self, number: int) -> Row:
        """One product or service."""
        chance = self._random("Item", number)
        active = self.item_active(number)
        suffix = "" if active else DELETED
        kind = ("Service", "Inventory", "NonInventory", "Inventory")[number % 4]
        name = self._item_name(kind, number)
        row: Row = {"Name": name + suffix, "Description": f"{name}, supplied and fitted" if chance.random() < 0.5 else name}
        row |= {"Active": active, "FullyQualifiedName": name + suffix, "Taxable": kind != "Service"}
        price = round(chance.uniform(2, 900), 2)
        row |= {"UnitPrice": price, "Type": kind, "IncomeAccountRef": SERVICES if kind == "Service" else INCOME}
        row |= {"PurchaseCost": 0 if kind == "Service" else round(price * 0.55, 2), "TrackQtyOnHand": kind == "Inventory"}
        if kind != "Service":
            row |= {"Sku": f"P-{number:05d}", "ExpenseAccountRef": COGS, "PurchaseDesc": name}
        if kind == "Inventory":
            row |= {"AssetAccountRef": ASSET, "QtyOnHand": chance.randrange(60) if active else 0, "InvStartDate": "2019-03-04"}
        if kind != "Service" and self.sizes.vendors and chance.random() < 0.4:
            row["PrefVendorRef"] = {"value": str(self.sizes.customers + 1 + chance.randrange(self.sizes.vendors))}
        if number % 3 == 1 and active:
            category = chance.choice(self.categories)
            level = category.get("Level", 0) + 1
            row |= {"SubItem": True, "ParentRef": _reference(category), "Level": level}
            row["FullyQualifiedName"] = f"{category['FullyQualifiedName']}:{name}"
        return {**row, **self._common("Item", number, str(number + 1))}

    def _item_name(self, kind: str, number: int) -> str:
        if kind == "Service":
            rank = number // 4
            name = words.WORK[rank % len(words.WORK)]
            return name if rank < len(words.WORK) else f"{name}, level {rank // len(words.WORK) + 1}"
        rank = number - number // 4 - 1
        part, size = (
            self.parts[rank % len(self.parts)],
            words.SIZES[(rank % len(self.parts) + rank // len(self.parts)) % len(words.SIZES)],
        )
        name = f"{part} {size}"
        turn = rank // (len(self.parts) * len(words.SIZES))
        return f"{name} mk {turn + 1}" if turn else name

    def bundles(self) -> list[Row]:
        """One bundle (Type ``Group``) of the first two items, if there are two."""
        if self.sizes.items < 2:
            return []
        lines = [
            {"ItemRef": {"value": str(number + 1), "name": self.item(number)["Name"]}, "Qty": number + 1} for number in (0, 1)
        ]
        bundle = self._listed("Item", 0, str(LARGE + 130_000), "Spring Check-up Bundle", Type="Group", UnitPrice=0, Taxable=False)
        bundle |= {"FullyQualifiedName": bundle["Name"], "PurchaseCost": 0, "TrackQtyOnHand": False}
        return [{**bundle, "ItemGroupDetail": {"ItemGroupLine": lines}, "PrintGroupedItems": True}]

    # The company itself ---------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Row]:
        """The accounts to which items refer."""
        kinds = (
            ("1", "Services", "Revenue", "Income", "ServiceFeeIncome"),
            ("35", "Checking", "Asset", "Bank", "Checking"),
            ("79", "Sales of Product Income", "Revenue", "Income", "SalesOfProductIncome"),
            ("80", "Cost of Goods Sold", "Expense", "Cost of Goods Sold", "SuppliesMaterialsCogs"),
            ("81", "Inventory Asset", "Asset", "Other Current Asset", "Inventory"),
            ("84", "Accounts Receivable (A/R)", "Asset", "Accounts Receivable", "AccountsReceivable"),
        )
        return [
            self._listed(
                "Account",
                number,
                row_id,
                name,
                SubAccount=False,
                FullyQualifiedName=name,
                Classification=classification,
                AccountType=kind,
                AccountSubType=sub_type,
                CurrentBalance=0,
                CurrentBalanceWithSubAccounts=0,
                CurrencyRef=USD,
            )
            for number, (row_id, name, classification, kind, sub_type) in enumerate(kinds)
        ]

    @property
    def company_name(self) -> str:
        """The business's name."""
        chance = random.Random(f"{self.seed} company")
        return f"{chance.choice(words.STREETS)} {chance.choice(('Heating & Air', 'Mechanical Services', 'Plumbing & Drain'))}"

    def company_info(self) -> Row:
        """Plan, country, address: what a client reads first."""
        address = {
            "Id": "1",
            "Line1": "410 Foundry Road",
            "City": "Port Amber",
            "CountrySubDivisionCode": "CA",
            "PostalCode": "94011",
            "Country": "USA",
        }
        features = {
            "NeoEnabled": "true",
            "IsQbdtMigrated": "false",
            "SubscriptionStatus": "PAID",
            "OfferingSku": "QuickBooks Online Plus",
            "PayrollFeature": "false",
            "ItemCategoriesFeature": "true",
            "IndustryType": "Plumbing, Heating, and Air-Conditioning Contractors",
        }
        return {
            "CompanyName": self.company_name,
            "LegalName": f"{self.company_name}, LLC",
            "CompanyAddr": address,
            "CustomerCommunicationAddr": address,
            "LegalAddr": address,
            "PrimaryPhone": {"FreeFormNumber": "(555) 555-0100"},
            "CompanyStartDate": "2019-03-04",
            "FiscalYearStartMonth": "January",
            "Country": "US",
            "Email": {"Address": "office@example.com"},
            "WebAddr": {},
            "SupportedLanguages": "en",
            "DefaultTimeZone": "America/Los_Angeles",
            "NameValue": [{"Name": name, "Value": value} for name, value in features.items()],
            **self._common("CompanyInfo", 0, "1"),
        }

    def preferences(self) -> Row:
        """Manual sales tax (no ``PartnerTaxEnabled``), one currency, classes per line."""
        return {
            "AccountingInfoPrefs": {
                "TrackDepartments": False,
                "ClassTrackingPerTxn": False,
                "ClassTrackingPerTxnLine": True,
                "CustomerTerminology": "Customers",
            },
            "ProductAndServicesPrefs": {
                "ForSales": True,
                "ForPurchase": True,
                "QuantityWithPriceAndRate": True,
                "QuantityOnHand": True,
            },
            "SalesFormsPrefs": {
                "CustomTxnNumbers": False,
                "AllowDeposit": True,
                "AllowDiscount": True,
                "AllowEstimates": True,
                "AllowServiceDate": True,
                "DefaultTerms": {"value": "3"},
            },
            "TaxPrefs": {"UsingSalesTax": True, "TaxGroupCodeRef": {"value": "2"}},
            "CurrencyPrefs": {"MultiCurrencyEnabled": False, "HomeCurrency": {"value": "USD"}},
            "ReportPrefs": {"ReportBasis": "Accrual", "CalcAgingReportFromTxnDate": False},
            **self._common("Preferences", 0, "1"),
        }


def generate(realm: str, seed: int, sizes: Sizes) -> Company:
    """The whole company."""
    maker, company = Generator(seed, sizes), Company(realm)
    kinds = {
        "CompanyInfo": [maker.company_info()],
        "Preferences": [maker.preferences()],
        "Account": maker.accounts(),
        "Term": maker.terms,
        "PaymentMethod": maker.payment_methods,
        "CustomerType": maker.customer_types,
        "Class": maker.classes,
        "TaxAgency": maker.tax_agencies,
        "TaxRate": maker.tax_rates,
        "TaxCode": maker.tax_codes,
        "Employee": maker.employees(),
    }
    for name, rows in kinds.items():
        for row in rows:
            company[name].put(row)
    company["Customer"].pack(_rows(maker, "customer", sizes.customers))
    company["Vendor"].pack(_rows(maker, "vendor", sizes.vendors))
    company["Item"].pack(chain(_rows(maker, "item", sizes.items), map(encoded, [*maker.categories, *maker.bundles()])))
    return company


def _rows(maker: Generator, kind: str, count: int) -> Iterator[Encoded]:
    """All rows of a kind; very many are made by as many processes as there are cores."""
    if count < MANY:
        yield from _piece(maker, kind, range(count))
        return
    pieces = [range(start, min(start + PIECE, count)) for start in range(0, count, PIECE)]
    with ProcessPoolExecutor() as pool:
        # A few pieces at a time, so that what is made never waits in memory.
        for place in range(0, len(pieces), WAVE):
            yield from chain.from_iterable(pool.map(_piece, repeat(maker), repeat(kind), pieces[place : place + WAVE]))


def _piece(maker: Generator, kind: str, numbers: range) -> list[Encoded]:
    return [encoded(getattr(maker, kind)(number)) for number in numbers]
