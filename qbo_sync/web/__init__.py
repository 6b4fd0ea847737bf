"""The pages behind ``https://qbo.<company>/qbo/``: state, connect, callback, disconnect, health; and Intuit's webhooks."""

from qbo_sync.web.app import create_app, serve, serve_until
from qbo_sync.web.webhooks import WebhookQueue

__all__ = ["WebhookQueue", "create_app", "serve", "serve_until"]
