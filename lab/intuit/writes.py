"""Create, update and delete, with the rules that the service applies to list entities (facts 2.4 and 2.5)."""

from __future__ import annotations

from typing import Any

import msgspec

from lab.intuit import faults, transactions
from lab.intuit.clock import Clock, row_time
from lab.intuit.company import Company, Row
from lab.intuit.properties import DEFAULTS, KNOWN, LENGTHS
from lab.intuit.rows import number_of
from lab.intuit.schema import LIST_REFERENCES, ONE_NAME_SPACE, Entity

DELETED = " (deleted)"
SERVER_GIVEN = frozenset({"MetaData", "SyncToken", "sparse", "domain", "FullyQualifiedName", "Level"})
READ_ONLY = SERVER_GIVEN | {"Id", "Balance", "BalanceWithJobs"}


def write(company: Company, entity: Entity, operation: str, sent: Row, clock: Clock) -> bytes:
    """Carry out one write and return the encoded object. Raises :class:`~lab.intuit.faults.ServiceFault`."""
    if operation == "delete":
        return _delete(company, entity, sent, clock)
    if operation == "void":
        return _void(company, entity, sent, clock)
    if entity.name not in KNOWN:
        held = _held(company, entity, sent) if "Id" in sent else None
        raise faults.unsupported(f"{'Update' if held else 'Create'} of {entity.name}")
    for name, value in sent.items():
        if name not in KNOWN[entity.name]:
            raise faults.unknown_property(entity.name, name, sorted(KNOWN[entity.name]))
        if isinstance(value, str) and len(value) > LENGTHS.get(entity.name, {}).get(name, len(value)):
            raise faults.too_long(name)
    if entity.name == "Preferences":
        return _update_only(company, entity, sent, clock)
    return _update(company, entity, sent, clock) if "Id" in sent else _create(company, entity, sent, clock)


def rename(company: Company, entity: Entity, row_id: str, name: str, clock: Clock) -> None:
    """Give a record another name, as a person in the browser would."""
    row = company[entity.name].get(row_id) or {}
    write(company, entity, "update", {"Id": row_id, "SyncToken": row["SyncToken"], "sparse": True, entity.label: name}, clock)


def _held(company: Company, entity: Entity, sent: Row) -> Row:
    """The object to change, if it is there and the sender knows its newest version."""
    held = company[entity.name].get(str(sent.get("Id", "")))
    if held is None:
        raise faults.object_not_found()
    if "SyncToken" not in sent:
        raise faults.required("SyncToken")
    if str(sent["SyncToken"]) != held.get("SyncToken"):
        raise faults.stale()
    return held


def _delete(company: Company, entity: Entity, sent: Row, clock: Clock) -> bytes:
    if entity.has_active:
        raise faults.unsupported(f"Delete of {entity.name}")
    held = _held(company, entity, sent)
    company[entity.name].remove(held["Id"])
    stub = {"domain": "QBO", "status": "Deleted", "Id": held["Id"]}
    company.deleted.append((entity.name, {**stub, "MetaData": {"LastUpdatedTime": row_time(clock.now())}}))
    return msgspec.json.encode(stub)


def _void(company: Company, entity: Entity, sent: Row, clock: Clock) -> bytes:
    """A voided transaction stays, with amounts of zero (recorded)."""
    if entity.has_active or entity.name == "Attachable":
        raise faults.unsupported(f"Void of {entity.name}")
    held = _held(company, entity, sent)
    row = {**held, "PrivateNote": "Voided", "TotalAmt": 0, "Balance": 0}
    row["Line"] = [_voided(line) for line in held.get("Line", [])]
    return _put_next(company, entity, row, clock)


def _voided(line: Row) -> Row:
    line = {**line, "Amount": 0}
    detail = line.get(str(line.get("DetailType")))
    if isinstance(detail, dict) and "Qty" in detail:
        line[line["DetailType"]] = {**detail, "Qty": 0}
    return line


def _put_next(company: Company, entity: Entity, row: Row, clock: Clock) -> bytes:
    row["SyncToken"] = str(int(row["SyncToken"]) + 1)
    row["MetaData"] = {**row["MetaData"], "LastUpdatedTime": row_time(clock.now())}
    company[entity.name].put(row)
    return company[entity.name].rows[number_of(row["Id"])]


def _create(company: Company, entity: Entity, sent: Row, clock: Clock) -> bytes:
    given = {name: value for name, value in sent.items() if name not in SERVER_GIVEN}
    if entity.name in transactions.KINDS:
        row = {**transactions.new(company, entity, without_empty(given), clock), **_stamp(company, transactions.KINDS, clock)}
        company[entity.name].put(row)
        return company[entity.name].rows[number_of(row["Id"])]
    shared = ONE_NAME_SPACE if entity.name in ONE_NAME_SPACE else (entity.name,)
    row = {**DEFAULTS[entity.name](), **without_empty(given), **_stamp(company, shared, clock), "Active": True}
    _check_references(company, entity, given)
    _complete(company, entity, row, sent)
    if entity.name == "Customer" and (code := _default_tax_code(company)):
        row.setdefault("DefaultTaxCodeRef", code)
    _check_name(company, entity, row)
    company[entity.name].put(row)
    return company[entity.name].rows[number_of(row["Id"])]


def _stamp(company: Company, shared: tuple[str, ...], clock: Clock) -> Row:
    """What every new object gets; ``shared`` are the entities whose Ids come from one counter."""
    now = row_time(clock.now())
    times = {"CreateTime": now, "LastUpdatedTime": now}
    return {"domain": "QBO", "sparse": False, "Id": company.next_id(*shared), "SyncToken": "0", "MetaData": times}


def _update(company: Company, entity: Entity, sent: Row, clock: Clock) -> bytes:
    held = _held(company, entity, sent)
    changes = {name: value for name, value in sent.items() if name not in READ_ONLY}
    if entity.name in transactions.KINDS:
        row = without_empty(transactions.changed(company, entity, held, changes))
        return _put_next(company, entity, row, clock) if row != held else company[entity.name].rows[number_of(held["Id"])]
    _check_references(company, entity, {name: value for name, value in changes.items() if value != held.get(name)})
    row = without_empty({**(held if sent.get("sparse") else _kept_by_full_update(entity, held)), **changes})
    if changes.get(entity.label) and "PrintOnCheckName" in held and not sent.get("PrintOnCheckName") and not sent.get("sparse"):
        row["PrintOnCheckName"] = changes[entity.label]
    if held.get("Active", True) and row.get("Active") is False:
        _inactivate(entity, row)
    _complete(company, entity, row, {})
    if row == held:
        return company[entity.name].rows[number_of(held["Id"])]
    if row[entity.label] != held[entity.label] or row.get("ParentRef") != held.get("ParentRef"):
        _check_name(company, entity, row)
    return _put_next(company, entity, row, clock)


def _update_only(company: Company, entity: Entity, sent: Row, clock: Clock) -> bytes:
    """The one object of its kind, which cannot be made and has no name; what was not sent stays."""
    held = _held(company, entity, sent)
    row = {**held, **{name: value for name, value in sent.items() if name not in READ_ONLY}}
    return _put_next(company, entity, row, clock) if row != held else company[entity.name].rows[number_of(held["Id"])]


def without_empty(row: Row) -> Row:
    """The row without empty properties: an empty text or ``null`` that is sent empties the property, and is never sent back."""
    return {name: value for name, value in row.items() if value not in ("", None)}


def _kept_by_full_update(entity: Entity, held: Row) -> Row:
    """What survives a full update: what the server gives, defaults, and the balances; all else becomes empty."""
    kept = {"Active", "Id", "Balance", "BalanceWithJobs", "CurrencyRef", "DefaultTaxCodeRef", "PrintOnCheckName", "QtyOnHand"}
    kept |= SERVER_GIVEN | set(DEFAULTS[entity.name]())
    return {name: value for name, value in held.items() if name in kept}


def _inactivate(entity: Entity, row: Row) -> None:
    if row.get("Balance"):
        raise faults.business("You can't make a record with a balance inactive.", "6220")
    if not row[entity.label].endswith(DELETED):
        row[entity.label] += DELETED


def _check_references(company: Company, entity: Entity, changes: Row) -> None:
    """What a change names must be there, and a parent must be active too."""
    for name, kind in LIST_REFERENCES.items():
        reference = changes.get(name)
        if isinstance(reference, dict) and company[kind].raw(str(reference.get("value"))) is None:
            raise faults.invalid_reference(name)
    parent = changes.get("ParentRef")
    held = company[entity.name].get(str(parent.get("value"))) if isinstance(parent, dict) else None
    if held is not None and held.get("Active") is False:
        raise faults.object_not_found()


def _complete(company: Company, entity: Entity, row: Row, created_with: Row) -> None:
    """Name, parent and the properties that follow from them."""
    _name(entity, row)
    if created_with and entity.name in ONE_NAME_SPACE:
        row.setdefault("PrintOnCheckName", row[entity.label])
    if entity.name not in ("Customer", "Item", "Class", "Department", "Account"):
        return
    reference = row.get("ParentRef")
    parent = company[entity.name].get(str(reference.get("value"))) if reference else None
    if reference and parent is None:
        raise faults.object_not_found()
    path = row[entity.label]
    if parent is not None:
        path = f"{parent['FullyQualifiedName']}:{path}"
        level = path.count(":")
        if level > 4:
            raise faults.business("You can only nest up to five levels.", "6180")
        if entity.name in ("Customer", "Item"):
            row["Level"] = level
    row["FullyQualifiedName"] = path


def _name(entity: Entity, row: Row) -> None:
    if entity.label == "DisplayName" and not row.get("DisplayName"):
        parts = [str(row[part]) for part in ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix") if row.get(part)]
        if not parts:
            raise faults.business("At least one of the name fields must be given.", "6080")
        row["DisplayName"] = " ".join(parts)
    if not row.get(entity.label):
        raise faults.required(entity.label)
    if set(row[entity.label]) & set(':"' if entity.name == "Account" else ":\t\n"):
        raise faults.business("The name holds a character that is not allowed in it.", "6000")


def _check_name(company: Company, entity: Entity, row: Row) -> None:
    """6240 when the name is taken, in any letter case; a sub-record only shares names with its siblings (fact 2.5)."""
    wanted = _name_key(row, entity)
    shared = ONE_NAME_SPACE if entity.name in ONE_NAME_SPACE and not wanted[0] else (entity.name,)
    for name in shared:
        table = company[name]
        for other in table.decoded():
            if (name, other["Id"]) != (entity.name, row["Id"]) and _name_key(other, table.entity) == wanted:
                raise faults.duplicate_name()


def _name_key(row: Row, entity: Entity) -> tuple[str, str]:
    nested_apart = entity.name in ("Customer", "Class", "Department", "Account")
    parent: Any = (row.get("ParentRef") or {}).get("value", "") if nested_apart else ""
    return str(parent), str(row.get(entity.label, "")).casefold()


def _default_tax_code(company: Company) -> Row | None:
    preferences = next(company["Preferences"].decoded(), {})
    code = preferences.get("TaxPrefs", {}).get("TaxGroupCodeRef")
    return {"value": code["value"]} if code else None
