"""Products and services, the categories they stand in, and bundles of them."""

from __future__ import annotations

from functools import cached_property

from lab.intuit import words
from lab.intuit.company import Row
from lab.intuit.made.seed import DELETED, LARGE, Seed, reference

INCOME = {"value": "79", "name": "Sales of Product Income"}
SERVICES = {"value": "1", "name": "Services"}
COGS = {"value": "80", "name": "Cost of Goods Sold"}
ASSET = {"value": "81", "name": "Inventory Asset"}


class Items:
    """The items of one company."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed

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
                    "ParentRef": reference(parent),
                    "Level": 1,
                    "FullyQualifiedName": f"{parent['Name']}:{name}",
                }
            rows.append({**row, **self.seed.common("Category", number, str(LARGE + 120_000 + 31 * number))})
        return rows

    def active(self, number: int) -> bool:
        """About one in ten is inactive."""
        return number % 10 != 6

    def row(self, number: int) -> Row:
        """One product or service."""
        chance = self.seed.random("Item", number)
        active = self.active(number)
        suffix = "" if active else DELETED
        kind = ("Service", "Inventory", "NonInventory", "Inventory")[number % 4]
        name = self._name(kind, number)
        row: Row = {"Name": name + suffix, "Description": f"{name}, supplied and fitted" if chance.random() < 0.5 else name}
        row |= {"Active": active, "FullyQualifiedName": name + suffix, "Taxable": kind != "Service"}
        price = round(chance.uniform(2, 900), 2)
        row |= {"UnitPrice": price, "Type": kind, "IncomeAccountRef": SERVICES if kind == "Service" else INCOME}
        row |= {"PurchaseCost": 0 if kind == "Service" else round(price * 0.55, 2), "TrackQtyOnHand": kind == "Inventory"}
        if kind != "Service":
            row |= {"Sku": f"P-{number:05d}", "ExpenseAccountRef": COGS, "PurchaseDesc": name}
        if kind == "Inventory":
            row |= {"AssetAccountRef": ASSET, "QtyOnHand": chance.randrange(60) if active else 0, "InvStartDate": "2019-03-04"}
        if kind != "Service" and self.seed.sizes.vendors and chance.random() < 0.4:
            row["PrefVendorRef"] = {"value": str(self.seed.sizes.customers + 1 + chance.randrange(self.seed.sizes.vendors))}
        if number % 3 == 1 and active:
            category = chance.choice(self.categories)
            level = category.get("Level", 0) + 1
            row |= {"SubItem": True, "ParentRef": reference(category), "Level": level}
            row["FullyQualifiedName"] = f"{category['FullyQualifiedName']}:{name}"
        return {**row, **self.seed.common("Item", number, str(number + 1))}

    def _name(self, kind: str, number: int) -> str:
        if kind == "Service":
            rank = number // 4
            name = words.WORK[rank % len(words.WORK)]
            return name if rank < len(words.WORK) else f"{name}, level {rank // len(words.WORK) + 1}"
        rank = number - number // 4 - 1
        part, size = (
            self.seed.parts[rank % len(self.seed.parts)],
            words.SIZES[(rank % len(self.seed.parts) + rank // len(self.seed.parts)) % len(words.SIZES)],
        )
        name = f"{part} {size}"
        turn = rank // (len(self.seed.parts) * len(words.SIZES))
        return f"{name} mk {turn + 1}" if turn else name

    def bundles(self) -> list[Row]:
        """One bundle (Type ``Group``) of the first two items, if there are two."""
        if self.seed.sizes.items < 2:
            return []
        lines = [
            {"ItemRef": {"value": str(number + 1), "name": self.row(number)["Name"]}, "Qty": number + 1} for number in (0, 1)
        ]
        bundle = self.seed.listed(
            "Item", 0, str(LARGE + 130_000), "Spring Check-up Bundle", Type="Group", UnitPrice=0, Taxable=False
        )
        bundle |= {"FullyQualifiedName": bundle["Name"], "PurchaseCost": 0, "TrackQtyOnHand": False}
        return [{**bundle, "ItemGroupDetail": {"ItemGroupLine": lines}, "PrintGroupedItems": True}]
