"""The whole look-alike as one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette

from lab.intuit import admin, data, oauth
from lab.intuit.front import Front
from lab.intuit.state import Lab


def make_app(lab: Lab) -> Front:
    """The application over this state."""
    app = Starlette(routes=[*oauth.ROUTES, *data.ROUTES, *admin.ROUTES])
    app.state.lab = lab
    return Front(app, lab)
