"""The company itself: its name and address, its preferences, its accounts, a file it keeps."""

from __future__ import annotations

import random

from lab.intuit import words
from lab.intuit.company import Row
from lab.intuit.made.seed import LARGE, USD, Seed


class Office:
    """What there is once, or once for each company."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed

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
            self.seed.listed(
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
        chance = random.Random(f"{self.seed.seed} company")
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
            **self.seed.common("CompanyInfo", 0, "1"),
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
            **self.seed.common("Preferences", 0, "1"),
        }

    def attachables(self) -> list[Row]:
        """A price list as a file, for the first vendor if there is one."""
        row = {
            "FileName": "price list.pdf",
            "Note": "This year's prices",
            "Size": 48_213,
            "ContentType": "application/pdf",
            **self.seed.common("Attachable", 1, str(LARGE + 503_624)),
        }
        if self.seed.sizes.vendors:
            vendor = {"value": str(self.seed.sizes.customers + 1), "type": "Vendor"}
            row["AttachableRef"] = [{"EntityRef": vendor, "IncludeOnSend": False}]
        return [row]
