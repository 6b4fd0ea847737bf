"""Everything that speaks to Intuit: the connection and the company's data. Knows entities only, nothing of Miracle Service."""

from typing import TYPE_CHECKING

from qbo_sync import lazily

if TYPE_CHECKING:
    from qbo_sync.intuit.changes import CAPTURED
    from qbo_sync.intuit.client import Intuit
    from qbo_sync.intuit.counters import Counters
    from qbo_sync.intuit.events import Event, EventQueue
    from qbo_sync.intuit.faults import AccessRefused
    from qbo_sync.intuit.http import Http
    from qbo_sync.intuit.lists import Page
    from qbo_sync.intuit.oauth import (
        CallbackRefused,
        Connection,
        ConsentDeclined,
        WrongCompany,
        authorize,
    )
    from qbo_sync.intuit.pages import connect_url, invitation_url
    from qbo_sync.intuit.snapshot import Snapshot
    from qbo_sync.intuit.tokens import End, Grant, GrantState, TokenStore
    from qbo_sync.intuit.usage import WARN_SHARE, Usage
else:
    __getattr__ = lazily.names(
        __name__,
        changes="CAPTURED",
        client="Intuit",
        counters="Counters",
        events="Event EventQueue",
        faults="AccessRefused",
        http="Http",
        lists="Page",
        oauth="CallbackRefused Connection ConsentDeclined WrongCompany authorize",
        pages="connect_url invitation_url",
        snapshot="Snapshot",
        tokens="End Grant GrantState TokenStore",
        usage="WARN_SHARE Usage",
    )

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
