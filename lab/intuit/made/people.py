"""What customers, vendors and employees have in common: a person and an address."""

from __future__ import annotations

import random

from lab.intuit import words
from lab.intuit.company import Row


def person(row: Row, chance: random.Random, name: str, *, business: bool) -> None:
    """Give a record what belongs to a person: names, mail, telephones."""
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


def address(chance: random.Random, number: int) -> Row:
    """An address with a number of its own."""
    city, state, postal = chance.choice(words.CITIES)
    return {
        "Id": str(number),
        "Line1": f"{chance.randrange(1, 9999)} {chance.choice(words.STREETS)} {chance.choice(('St.', 'Ave.', 'Road'))}",
        "City": city,
        "CountrySubDivisionCode": state,
        "PostalCode": f"{postal}{chance.randrange(100):02d}",
    }
