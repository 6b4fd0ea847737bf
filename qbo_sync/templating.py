"""Where the Jinja2 templates are, and how they are rendered.

A checkout keeps them in ``templates/``; an installed wheel carries the same files in ``qbo_sync/templates``.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The template folder ``name`` (``web``, ``report``). Raises ``FileNotFoundError`` when the installation lacks it."""
    for root in (_PACKAGE / "templates", _PACKAGE.parent / "templates"):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"the templates {name!r} are missing from this installation of qbo-sync")


def environment(name: str) -> jinja2.Environment:
    """A Jinja2 environment over one template folder.

    ``*.html.j2`` is escaped automatically; a name that the template uses and nobody gave is an error, never an empty string.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder(name)),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html", "html.j2"), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
