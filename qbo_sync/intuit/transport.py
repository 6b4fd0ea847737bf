"""Connections that say when a request is about to be written, and when it was.

A new connection to Intuit takes several ways there and back before the first byte of a request can be sent; and on a busy
machine a thread may wait long for its turn. What Intuit counts is when requests arrive. So whoever keeps a pace is asked once
more when the connection stands and the request is about to be written, and told when that is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_sending = threading.local()


@contextmanager
def around_writing(admit: Callable[[], object], sent: Callable[[], object]) -> Iterator[None]:
    """Call ``admit`` right before each request that this thread writes meanwhile, and ``sent`` right after."""
    _sending.calls = admit, sent
    try:
        yield
    finally:
        del _sending.calls


class Adapter(HTTPAdapter):
    """What :func:`around_writing` needs of a :class:`requests.Session`."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As requests does, with our connections."""
        super().init_poolmanager(*arguments, **options)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> ProxyManager:
        """The same through a proxy."""
        manager: ProxyManager = super().proxy_manager_for(*arguments, **options)
        _use_our_pools(manager)
        return manager


def _nothing() -> None:
    """Outside of :func:`around_writing` nobody keeps a pace."""


class _Connection(HTTPConnection):
    def endheaders(self, *arguments: Any, **options: Any) -> None:
        """Here the head of the request, gathered so far, is written."""
        if self.sock is None:
            self.connect()
        admit, sent = getattr(_sending, "calls", (_nothing, _nothing))
        admit()
        super().endheaders(*arguments, **options)
        sent()


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
