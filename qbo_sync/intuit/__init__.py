"""Everything that speaks to Intuit: the connection and the company's data. Knows entities only, nothing of Miracle Service."""

from qbo_sync.intuit.changes import CAPTURED
from qbo_sync.intuit.client import Intuit
from qbo_sync.intuit.events import Event, EventQueue
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
    invitation_url,
)
from qbo_sync.intuit.snapshot import Snapshot
from qbo_sync.intuit.tokens import End, Grant, GrantState, TokenStore
from qbo_sync.intuit.usage import WARN_SHARE, Usage

__all__ = [
    "CAPTURED",
    "WARN_SHARE",
    "AccessRefused",
    "CallbackRefused",
    "Connection",
    "ConsentDeclined",
    "Counters",
    "End",
    "Event",
    "EventQueue",
    "Grant",
    "GrantState",
    "Http",
    "Intuit",
    "Page",
    "Snapshot",
    "TokenStore",
    "Usage",
    "WrongCompany",
    "authorize",
    "connect_url",
    "invitation_url",
]
