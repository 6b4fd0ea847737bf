"""Manual sales tax of a US company: agencies, rates, and codes with one or two of them."""

from __future__ import annotations

from functools import cached_property

from lab.intuit.clock import row_time
from lab.intuit.company import Row
from lab.intuit.made.seed import FIRST_DAY, Seed


class Taxes:
    """The taxes of one company."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed

    @cached_property
    def agencies(self) -> list[Row]:
        """Who the taxes are paid to."""
        return [
            {
                "TaxTrackedOnPurchases": False,
                "TaxTrackedOnSales": True,
                **self.seed.common("TaxAgency", number, str(number)),
                "DisplayName": name,
            }
            for number, name in enumerate(("Arizona Dept. of Revenue", "Board of Equalization"), 1)
        ]

    @cached_property
    def rates(self) -> list[Row]:
        """The components; the last one belongs to an inactive code."""
        rates = (
            ("AZ State tax", 5.6, "1"),
            ("Copper Wells City", 2.5, "1"),
            ("California", 7.25, "2"),
            ("Port Amber District", 1.125, "2"),
            ("Out of state (old)", 6, "2"),
        )
        return [
            self.seed.listed(
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
    def codes(self) -> list[Row]:
        """The pseudo codes of a US company (no SyncToken, no Active), and real ones with one or two components."""
        codes = (("California", ("3",)), ("Copper Wells", ("1", "2")), ("Port Amber", ("3", "4")), ("Out of state", ("5",)))
        return [self._pseudo_code(name, name != "NON") for name in ("TAX", "NON")] + [
            self._code(number, name, rates, active=number < 5) for number, (name, rates) in enumerate(codes, 2)
        ]

    def _pseudo_code(self, name: str, taxable: bool) -> Row:
        moment = row_time(FIRST_DAY)
        times = {"CreateTime": moment, "LastUpdatedTime": moment}
        return {"Name": name, "Description": name, "Taxable": taxable, "TaxGroup": False, "Id": name, "MetaData": times}

    def _code(self, number: int, name: str, rates: tuple[str, ...], *, active: bool) -> Row:
        names = {row["Id"]: row["Name"] for row in self.rates}
        details = [
            {"TaxRateRef": {"value": rate, "name": names[rate]}, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": 0}
            for rate in rates
        ]
        return self.seed.listed(
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
