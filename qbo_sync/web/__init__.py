"""The pages behind ``https://qbo.<company>/qbo/``: state, connect, callback, disconnect, health; and Intuit's webhooks."""

from qbo_sync.web.app import create_app, serve, serve_until

__all__ = ["create_app", "serve", "serve_until"]
