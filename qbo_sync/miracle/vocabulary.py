"""What tables and columns are called elsewhere: words to recognise them by. No name of a real system is claimed here."""

from __future__ import annotations

# Word as written → as we say it; several words where one stands for them. Looked up in lower case, singular.
SPELLINGS = {
    "cust": "customer",
    "client": "customer",
    "debtor": "customer",
    "vendor": "supplier",
    "creditor": "supplier",
    "part": "item",
    "product": "item",
    "stock": "item",
    "material": "item",
    "inv": "inventory",
    "qty": "quantity",
    "desc": "description",
    "descr": "description",
    "addr": "address",
    "tel": "phone",
    "telephone": "phone",
    "cell": "mobile",
    "cellphone": "mobile",
    "mail": "email",
    "no": "number",
    "nr": "number",
    "num": "number",
    "pct": "percent",
    "percentage": "percent",
    "disc": "discount",
    "pay": "payment",
    "acct": "account",
    "prim": "primary",
    "zip": "postcode",
    "postal": "postcode",
    "state": "region",
    "province": "region",
    "county": "region",
    "surname": "last name",
    "forename": "first name",
    "firstname": "first name",
    "lastname": "last name",
    "given": "first",
    "family": "last",
    "remark": "note",
    "comment": "note",
    "memo": "note",
    "ship": "shipping",
    "delivery": "shipping",
    "bill": "billing",
    "invoice": "billing",
    "cat": "category",
    "grp": "group",
    "seq": "position",
    "sequence": "position",
    "pos": "position",
    "authority": "agency",
    "pref": "preferred",
    "price": "price",
    "sell": "unit",
    "sales": "unit",
    "cur": "currency",
    "pricing": "price",
    "option": "setting",
    "config": "setting",
    "configuration": "setting",
    "parameter": "setting",
    "preference": "setting",
    "purchases": "purchase",
}

# What the name of a key ends in.
KEY_WORDS = frozenset({"id", "number", "key", "code", "ref", "guid"})
PREFIXES = frozenset({"tbl", "lkp", "lu", "ref", "t", "dbo", "v", "vw", "view", "is", "the"})

TABLES: dict[str, tuple[str, ...]] = {
    "customer_type": ("customer type", "customer category", "customer class"),
    "payment_term": ("payment term", "term", "credit term"),
    "payment_method": ("payment method", "payment type", "method", "tender type"),
    "group_type": ("group type", "job group", "class", "group", "job type"),
    "supplier": ("supplier",),
    "inventory_item": ("inventory item", "item", "inventory", "item master"),
    "customer": ("customer", "customer master", "customer account"),
}
TAX_TABLES: dict[str, tuple[str, ...]] = {
    "tax_code": ("tax code", "tax"),
    "tax_component": ("tax rate", "tax component", "tax code rate", "tax line"),
    "purchase_tax_component": ("purchase tax rate", "purchase tax component", "tax rate purchase"),
}
SETTINGS = ("setting", "system setting", "setting value", "application setting")


def _address(prefix: str, *said: str) -> dict[str, tuple[str, ...]]:
    lines = {
        f"{prefix}line{n}": tuple(f"{s} address {n}" for s in said) + tuple(f"{s} line {n}" for s in said) for n in range(1, 5)
    }
    parts = {f"{prefix}{part}": tuple(f"{s} {part}" for s in said) for part in ("city", "region", "postcode", "country")}
    return lines | parts


# Our field, or kind.field where it means something of its own there → the words of a column that holds it.
COLUMNS: dict[str, tuple[str, ...]] = {
    "name": ("name", "description", "code", "title"),
    "customer.name": ("name", "display name", "full name"),
    "supplier.name": ("name", "display name", "full name"),
    "inventory_item.name": ("name", "item name", "short description", "title"),
    "tax_code.name": ("name", "code", "tax code", "tax name"),
    "tax_component.name": ("name", "rate name", "description"),
    "company_name": ("company name", "company", "business name", "trading name"),
    "first_name": ("first name", "contact first name"),
    "last_name": ("last name", "contact last name"),
    "email": ("email", "email address"),
    "phone": ("phone", "phone number", "phone 1", "work phone", "primary phone"),
    "mobile": ("mobile", "mobile phone", "mobile number", "phone 2"),
    "notes": ("note", "general note"),
    "taxable": ("taxable", "tax flag", "charge tax"),
    "currency": ("currency", "currency code"),
    "account_number": ("account number", "our account number"),
    "part_number": ("item number", "number", "sku", "item code", "code"),
    "description": ("description", "long description", "full description"),
    "unit_price": ("unit price", "price", "list price", "retail price"),
    "unit_cost": ("unit cost", "cost", "cost price", "purchase cost", "buy price"),
    "quantity_on_hand": ("quantity on hand", "on hand", "quantity"),
    "item_type": ("item type", "type"),
    "due_days": ("due day", "net day", "day", "day due"),
    "discount_percent": ("discount percent", "discount rate"),
    "discount_days": ("discount day",),
    "day_of_month_due": ("day of month due", "due day of month", "day of month"),
    "active": ("active", "enabled"),
    "rate": ("rate", "rate percent", "percent", "tax rate"),
    "agency": ("agency", "agency name"),
    "compound": ("compound", "tax on tax"),
    "order.position": ("position", "order", "line number", "sort order"),
    **_address("bill_", "billing", "billing address", "mailing"),
    **_address("ship_", "shipping", "shipping address", "site"),
}
COLUMNS |= {
    field: ((f"address {field[-1]}", f"line {field[-1]}", f"address line {field[-1]}"))
    for field in ("line1", "line2", "line3", "line4")
}
