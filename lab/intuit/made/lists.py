"""The small lists: terms, payment methods, customer types, classes, locations."""

from __future__ import annotations

from functools import cached_property

from lab.intuit.company import Row
from lab.intuit.made.seed import LARGE, Seed


class Lists:
    """The small lists of one company."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed

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
            self.seed.listed("Term", number, str(number), name, active=active, **properties)
            for number, (name, active, properties) in enumerate(rows, 1)
        ]

    @cached_property
    def payment_methods(self) -> list[Row]:
        """The seven of a US company, two of its own, two inactive."""
        cards = ("Visa", "MasterCard", "Discover", "American Express", "Diners Club")
        names = ("Cash", "Check", *cards, "ACH Transfer", "Financing Plan", "Gift Certificate", "Barter")
        return [
            self.seed.listed(
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
            self.seed.listed(
                "CustomerType", number, str(number if number < 3 else LARGE + 3460 + number), name, active=number < 6
            )
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
            row = self.seed.listed(
                "Class", number, str(LARGE + 85_680 + 17 * number), name, active=parent is not None, SubClass=bool(parent)
            )
            if parent:
                row["ParentRef"] = {"value": rows[parent]["Id"]}
            row["FullyQualifiedName"] = f"{parent}:{row['Name']}" if parent else row["Name"]
            rows[row["FullyQualifiedName"]] = row
        return list(rows.values())

    @cached_property
    def departments(self) -> list[Row]:
        """Locations: two yards, one of them with a workshop, and one that was given up."""
        rows: list[Row] = []
        for number, (name, active) in enumerate((("Main Yard", True), ("Workshop", True), ("Harbor Yard", False)), 1):
            row = self.seed.listed("Department", number, str(number), name, active=active, SubDepartment=name == "Workshop")
            row["FullyQualifiedName"] = row["Name"]
            if row["SubDepartment"]:
                row |= {"ParentRef": {"value": rows[0]["Id"]}, "FullyQualifiedName": f"{rows[0]['Name']}:{name}"}
            rows.append(row)
        return rows
