"""Vendors, who get the ids behind the customers, and employees, who get those behind the vendors."""

from __future__ import annotations

from lab.intuit.company import Row
from lab.intuit.made.lists import Lists
from lab.intuit.made.people import address, person
from lab.intuit.made.seed import DELETED, USD, Seed, reference, unrank


class Vendors:
    """The suppliers and the staff of one company."""

    def __init__(self, seed: Seed, lists: Lists) -> None:
        self.seed = seed
        self.lists = lists

    def active(self, number: int) -> bool:
        """About one in ten is inactive."""
        return number % 10 != 4

    def row(self, number: int) -> Row:
        """One supplier."""
        chance = self.seed.random("Vendor", number)
        active = self.active(number)
        name = unrank(self.seed.family, self.seed.supplies, number, number)
        row: Row = {
            "BillAddr": address(chance, 3 * self.seed.sizes.customers + number + 1),
            "Balance": round(chance.uniform(50, 9000), 2) if active and chance.random() < 0.3 else 0,
            "Vendor1099": chance.random() < 0.2,
            "CurrencyRef": USD,
            **self.seed.common("Vendor", number, str(self.seed.sizes.customers + number + 1)),
            "DisplayName": name if active else name + DELETED,
            "PrintOnCheckName": name,
            "Active": active,
        }
        person(row, chance, name, business=True)
        if chance.random() < 0.5:
            row["TermRef"] = reference(chance.choice(self.lists.terms[:6]))
        if chance.random() < 0.4:
            row["AcctNum"] = f"{chance.randrange(10**8):09d}"
        if row["Vendor1099"]:
            row["TaxIdentifier"] = f"XXXXXX{chance.randrange(10000):04d}"
        return row

    def employees(self) -> list[Row]:
        """Three technicians, one of whom has left."""
        first = self.seed.sizes.customers + self.seed.sizes.vendors + 1
        rows = []
        for number, (given, family) in enumerate((("Tess", "Wrenfield"), ("Ike", "Marlowe"), ("Uma", "Castellan"))):
            name, active = f"{given} {family}", number < 2
            rows.append(
                {
                    "BillableTime": False,
                    **self.seed.common("Employee", number, str(first + number)),
                    "GivenName": given,
                    "FamilyName": family,
                    "DisplayName": name if active else name + DELETED,
                    "PrintOnCheckName": name,
                    "Active": active,
                }
            )
        return rows
