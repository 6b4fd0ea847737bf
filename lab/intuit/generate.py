"""A believable company from a seed: a field service business in the US with manual sales tax.

Every row is a pure function of the seed and its number, so the same arguments always give the same company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, repeat

from lab.intuit.company import Company, Encoded, Row, encoded
from lab.intuit.made.customers import Customers
from lab.intuit.made.items import Items
from lab.intuit.made.lists import Lists
from lab.intuit.made.office import Office
from lab.intuit.made.seed import Seed, Sizes
from lab.intuit.made.taxes import Taxes
from lab.intuit.made.vendors import Vendors

# From so many rows on several processes make them: pieces of so many rows, so many pieces at a time.
MANY, PIECE, WAVE = 50_000, 1_000, 16


class Generator:
    """Makes the rows of one company."""

    def __init__(self, seed: int, sizes: Sizes) -> None:
        self.seed = Seed(seed, sizes)
        self.lists, self.taxes = Lists(self.seed), Taxes(self.seed)
        self.customers, self.vendors = Customers(self.seed, self.lists), Vendors(self.seed, self.lists)
        self.items, self.office = Items(self.seed), Office(self.seed)

    def small(self) -> dict[str, list[Row]]:
        """The kinds of which every company has few."""
        return {
            "CompanyInfo": [self.office.company_info()],
            "Preferences": [self.office.preferences()],
            "Account": self.office.accounts(),
            "Attachable": self.office.attachables(),
            "Term": self.lists.terms,
            "PaymentMethod": self.lists.payment_methods,
            "CustomerType": self.lists.customer_types,
            "Class": self.lists.classes,
            "Department": self.lists.departments,
            "TaxAgency": self.taxes.agencies,
            "TaxRate": self.taxes.rates,
            "TaxCode": self.taxes.codes,
            "Employee": self.vendors.employees(),
        }


def generate(realm: str, seed: int, sizes: Sizes) -> Company:
    """The whole company."""
    maker, company = Generator(seed, sizes), Company(realm)
    for name, rows in maker.small().items():
        for row in rows:
            company[name].put(row)
    company["Customer"].pack(_rows(maker.customers.row, sizes.customers))
    company["Vendor"].pack(_rows(maker.vendors.row, sizes.vendors))
    others = map(encoded, [*maker.items.categories, *maker.items.bundles()])
    company["Item"].pack(chain(_rows(maker.items.row, sizes.items), others))
    return company


def _rows(make: Callable[[int], Row], count: int) -> Iterator[Encoded]:
    """All rows of a kind; very many are made by as many processes as there are cores."""
    if count < MANY:
        yield from _piece(make, range(count))
        return
    pieces = [range(start, min(start + PIECE, count)) for start in range(0, count, PIECE)]
    with ProcessPoolExecutor() as pool:
        # A few pieces at a time, so that what is made never waits in memory.
        for place in range(0, len(pieces), WAVE):
            yield from chain.from_iterable(pool.map(_piece, repeat(make), pieces[place : place + WAVE]))


def _piece(make: Callable[[int], Row], numbers: range) -> list[Encoded]:
    return [encoded(make(number)) for number in numbers]
