"""Customers and their jobs, up to five levels deep."""

from __future__ import annotations

import random

from lab.intuit import words
from lab.intuit.company import Row
from lab.intuit.made.lists import Lists
from lab.intuit.made.people import address, person
from lab.intuit.made.seed import DELETED, USD, Seed, reference, unrank

# How customers are nested: the last five of each block of 60 form a chain five levels deep, every twelfth other one is a job.
BLOCK, CHAIN, JOB = 60, 5, 12


class Customers:
    """The customers of one company."""

    def __init__(self, seed: Seed, lists: Lists) -> None:
        self.seed = seed
        self.lists = lists

    def parent(self, number: int) -> int | None:
        """The number of a sub-customer's parent."""
        place = number % BLOCK
        if place > BLOCK - CHAIN or (number % JOB == JOB - 1 and place < BLOCK - CHAIN):
            return number - 1
        return None

    def _child(self, number: int) -> int | None:
        following = number + 1
        return following if following < self.seed.sizes.customers and self.parent(following) == number else None

    def active(self, number: int) -> bool:
        """About one in ten is inactive; never one that has jobs."""
        return number % 10 != 3 or self._child(number) is not None

    def name(self, number: int) -> str:
        """A leaf name, unique among its siblings, without the suffix of inactive ones."""
        if self.parent(number) is not None:
            site = words.SITES[number % len(words.SITES)]
            return f"{site} {number}" if number % 3 else site
        if number % 17 == 5:
            rare = words.RARE[number // 17 % len(words.RARE)]
            return rare if number // 17 < len(words.RARE) else f"{rare} {number}"
        given, family = len(self.seed.given), len(self.seed.family)
        if number % 5 < 2:
            return unrank(self.seed.family, self.seed.trades, number // 5 * 2 + number % 5, number)
        rank = number // 5 * 3 + number % 5 - 2
        name = f"{self.seed.given[rank % given]} {self.seed.family[(rank % given + rank // given) % family]}"
        # The habit of people who came from QuickBooks Desktop: the customer's number behind the name.
        return f"{name} {number}" if number % 19 == 8 or rank >= given * family else name

    def path(self, number: int) -> str:
        """The full name of an active customer with all its parents."""
        parent = self.parent(number)
        leaf = self.name(number)
        return leaf if parent is None else f"{self.path(parent)}:{leaf}"

    def _balance(self, number: int) -> float:
        chance = self.seed.random("balance", number)
        return round(chance.uniform(20, 4000), 2) if self.active(number) and chance.random() < 0.3 else 0

    def _balance_with_jobs(self, number: int) -> float:
        child = self._child(number)
        return round(self._balance(number) + (self._balance_with_jobs(child) if child is not None else 0), 2)

    def id(self, number: int) -> str:
        """Customers, vendors and employees share one counter of ids; customers come first."""
        return str(number + 1)

    def row(self, number: int) -> Row:
        """One customer, or a job of one."""
        chance = self.seed.random("Customer", number)
        parent, active = self.parent(number), self.active(number)
        suffix = "" if active else DELETED
        leaf, path = self.name(number), self.path(number)
        row: Row = {
            "Taxable": chance.random() < 0.8,
            "Job": parent is not None,
            "BillWithParent": parent is not None and chance.random() < 0.5,
            "Balance": self._balance(number),
            "BalanceWithJobs": self._balance_with_jobs(number),
            "CurrencyRef": USD,
            "PreferredDeliveryMethod": chance.choice(("Print", "Email", "None")),
            **self.seed.common("Customer", number, self.id(number)),
            "FullyQualifiedName": path + suffix,
            "DisplayName": leaf + suffix,
            "PrintOnCheckName": leaf,
            "Active": active,
        }
        if parent is not None:
            row |= {"ParentRef": {"value": self.id(parent)}, "Level": path.count(":")}
        person(row, chance, leaf, business=number % 5 < 2)
        row["BillAddr"] = address(chance, 3 * number + 1)
        row["ShipAddr"] = row["BillAddr"] if chance.random() < 0.6 else address(chance, 3 * number + 2)
        self._references(row, chance, active=active)
        return row

    def _references(self, row: Row, chance: random.Random, *, active: bool) -> None:
        if chance.random() < 0.6:
            row["SalesTermRef"] = reference(chance.choice(self.lists.terms[:6]))
        if chance.random() < 0.3:
            row["PaymentMethodRef"] = reference(chance.choice(self.lists.payment_methods[:9]))
        if chance.random() < 0.25 or not active:
            row["CustomerTypeRef"] = {"value": chance.choice(self.lists.customer_types[:5])["Id"]}
        if "CompanyName" in row and chance.random() < 0.1:
            row["PrimaryTaxIdentifier"] = f"XXXXX{chance.randrange(10000):04d}"
        if row["Taxable"]:
            row["DefaultTaxCodeRef"] = {"value": chance.choice(("2", "3", "4"))}
        if chance.random() < 0.1:
            row["Notes"] = "Gate code on file.\nCall before arrival."
