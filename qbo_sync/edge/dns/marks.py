"""Ownership marks for providers whose records carry no comment: a TXT record beside the name.

``_qbokit.qbo.mycompany.com TXT "qbokit:<site>=11.22.33.10"`` says that this site of the kit made the A record with that value.
The value is part of the mark, so a record that a person put in the place of ours is not taken for ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qbo_sync.edge.dns import TAG, Record

TTL = 3600


def name(record_name: str) -> str:
    """Where the marks of the records at a name are."""
    return f"_qbokit.{record_name}"


def owned(record: Record, texts: Iterable[str]) -> Record:
    """The record with the owner that one of the TXT records there names, if any does."""
    for text in texts:
        owner, _, value = text.partition("=")
        if owner.startswith(TAG) and value == record.content:
            return replace(record, comment=owner)
    return record


def of(records: Iterable[Record]) -> tuple[str, ...]:
    """The marks that these records need."""
    return tuple(sorted({f"{r.comment}={r.content}" for r in records if r.comment.startswith(TAG)}))
