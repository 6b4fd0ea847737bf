"""Where a person connects the site."""

from __future__ import annotations

from qbo_sync.config import Settings


def connect_url(settings: Settings) -> str:
    """The page where a person connects the site."""
    base = settings.web.public_url.rstrip("/")
    return f"{base}/qbo/connect" if base else settings.intuit.redirect_uri.removesuffix("/callback") + "/connect"


def invitation_url(settings: Settings, invitation: str) -> str:
    """The Connect page for the first connection of a site."""
    return f"{connect_url(settings)}?invitation={invitation}"
