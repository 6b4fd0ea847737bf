"""The pages behind ``https://qbo.<company>/qbo/``: state, connect, callback, disconnect, health; and Intuit's webhooks."""

from typing import TYPE_CHECKING

from qbo_sync import lazily

if TYPE_CHECKING:
    from qbo_sync.web.app import create_app, serve, serve_until
else:
    __getattr__ = lazily.names(
        __name__,
        app="create_app serve serve_until",
    )

__all__ = ["create_app", "serve", "serve_until"]
