"""What a generated company bought and sold: transactions that name a part of its customers, vendors and items.

Made like every other row from the seed and a number; only the dates count back from the day on which the company is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from lab.intuit.clock import row_time
from lab.intuit.company import Company, Row
from lab.intuit.generate import Generator
from lab.intuit.made.items import COGS
from lab.intuit.made.seed import USD, Sizes
from lab.intuit.transactions import settled

KINDS = ("Invoice", "Invoice", "Bill", "SalesReceipt", "Payment", "Estimate", "Invoice", "Bill", "Purchase", "Invoice")
# Of ten records in a row, so many are ever named; the others nobody has used for years.
USED_OF_TEN = 6
# Every eighth transaction is older than the months asked for, by up to two years.
OLD = 8
CHECKING = {"value": "35", "name": "Checking"}


class History:
    """Makes the transactions of one company, dated within ``months`` before ``today`` but for the old ones."""

    def __init__(self, maker: Generator, company: Company, today: date, months: int) -> None:
        self.maker, self.company, self.today, self.months = maker, company, today, months
        self._make: dict[str, Callable[[random.Random], Row]] = {
            "Invoice": lambda chance: {**self._sale(chance), "LinkedTxn": []},
            "Estimate": lambda chance: {**self._sale(chance), "TxnStatus": "Pending"},
            "SalesReceipt": lambda chance: {**self._sale(chance), "Balance": 0},
            "Payment": self._payment,
            "Bill": lambda chance: {"VendorRef": self._vendor(chance), "Line": [self._expense(chance)]},
            "Purchase": self._purchase,
        }

    def add(self, count: int) -> None:
        """Put ``count`` transactions of all kinds into the company."""
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            chance = random.Random(f"{self.maker.seed.seed} transaction {number}")
            day = self._day(number, chance)
            made = row_time(datetime.combine(day, time(18), UTC))
            row = {"domain": "QBO", "sparse": False, "Id": str(number + 1), "SyncToken": "0"}
            row |= {"MetaData": {"CreateTime": made, "LastUpdatedTime": made}, "TxnDate": day.isoformat(), "CurrencyRef": USD}
            row |= self._make[kind](chance)
            if kind in ("Invoice", "Estimate", "SalesReceipt"):
                row["DocNumber"] = str(1001 + number)
            if kind in ("Invoice", "Bill"):
                row["DueDate"] = (day + timedelta(days=30)).isoformat()
            entity = self.company[kind].entity
            self.company[kind].put(settled(self.company, entity, row, 0))

    def _day(self, number: int, chance: random.Random) -> date:
        recent = self.months * 30
        back = recent + chance.randrange(60, 730) if number % OLD == OLD - 1 else chance.randrange(1, recent)
        return self.today - timedelta(days=back)

    def _pick(self, chance: random.Random, count: int, active: Callable[[int], bool]) -> int:
        while True:
            number = chance.randrange(count)
            if active(number) and number % 10 < USED_OF_TEN:
                return number

    def _customer(self, chance: random.Random) -> dict[str, str]:
        number = self._pick(chance, self.maker.seed.sizes.customers, self.maker.customers.active)
        return {"value": self.maker.customers.id(number), "name": self.maker.customers.name(number)}

    def _vendor(self, chance: random.Random) -> dict[str, str]:
        row = self.maker.vendors.row(self._pick(chance, self.maker.seed.sizes.vendors, self.maker.vendors.active))
        return {"value": row["Id"], "name": row["DisplayName"]}

    def _sale(self, chance: random.Random) -> Row:
        return {"CustomerRef": self._customer(chance), "Line": [self._sold(chance) for _ in range(chance.randrange(1, 4))]}

    def _sold(self, chance: random.Random) -> Row:
        item = self.maker.items.row(self._pick(chance, self.maker.seed.sizes.items, self.maker.items.active))
        quantity = chance.randrange(1, 5)
        reference = {"value": item["Id"], "name": item["FullyQualifiedName"]}
        detail = {"ItemRef": reference, "UnitPrice": item["UnitPrice"], "Qty": quantity, "TaxCodeRef": {"value": "NON"}}
        amount = round(item["UnitPrice"] * quantity, 2)
        return {"Description": item["Name"], "Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}

    def _payment(self, chance: random.Random) -> Row:
        return {"CustomerRef": self._customer(chance), "TotalAmt": round(chance.uniform(20, 900), 2), "Line": []}

    def _expense(self, chance: random.Random) -> Row:
        detail = {"AccountRef": COGS, "BillableStatus": "NotBillable", "TaxCodeRef": {"value": "NON"}}
        amount = round(chance.uniform(15, 3000), 2)
        return {"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}

    def _purchase(self, chance: random.Random) -> Row:
        vendor = {**self._vendor(chance), "type": "Vendor"}
        return {"AccountRef": CHECKING, "PaymentType": "Cash", "EntityRef": vendor, "Line": [self._expense(chance)]}


def add_history(company: Company, seed: int, sizes: Sizes, *, count: int, months: int, today: date) -> None:
    """Give a generated company ``count`` transactions, if it has anybody to trade with."""
    if min(sizes.customers, sizes.vendors, sizes.items) > 0:
        History(Generator(seed, sizes), company, today, months).add(count)
