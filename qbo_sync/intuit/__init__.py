"""Everything that speaks to Intuit: the connection and the company's data. Knows entities only, nothing of Miracle Service."""

from qbo_sync.intuit.client import Intuit
from qbo_sync.intuit.faults import AccessRefused
from qbo_sync.intuit.http import Counters, Http
from qbo_sync.intuit.lists import Page
from qbo_sync.intuit.oauth import (
    CallbackRefused,
    Connection,
    ConsentDeclined,
    WrongCompany,
    authorize,
    connect_url,
)
from qbo_sync.intuit.snapshot import Snapshot
from qbo_sync.intuit.tokens import Grant, GrantState, TokenStore

__all__ = [
    "AccessRefused",
    "CallbackRefused",
    "Connection",
    "ConsentDeclined",
    "Counters",
    "Grant",
    "GrantState",
    "Http",
    "Intuit",
    "Page",
    "Snapshot",
    "TokenStore",
    "WrongCompany",
    "authorize",
    "connect_url",
]
