"""Tell people: an e-mail and a webhook. Each is tried even when the other fails, and what failed is said."""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from qbo_sync.edge.certificate.settings import Alerts
from qbo_sync.errors import KitError

PATIENCE_S = 20


def send(settings: Alerts, subject: str, text: str, facts: dict[str, Any]) -> list[str]:
    """Send both; what could not be delivered, in words (empty: all was). Nothing of the webhook's address is ever said."""
    ways: list[tuple[str, Callable[[], None]]] = []
    if settings.recipients and settings.smtp_host:
        ways.append((f"e-mail through {settings.smtp_host}", lambda: _mail(settings, subject, text)))
    if settings.webhook_file:
        ways.append(("webhook", lambda: _post(settings, subject, text, facts)))
    failed = []
    for name, deliver in ways:
        try:
            deliver()
        except (OSError, smtplib.SMTPException, http.client.HTTPException, ValueError, KitError) as error:
            failed.append(f"{name}: {_said(error)}")
    return failed


def _mail(settings: Alerts, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text)
    trust = ssl.create_default_context(cafile=settings.ca_file or None)
    host, port, name = settings.smtp_host, settings.smtp_port, socket.gethostname()
    with (
        smtplib.SMTP_SSL(host, port, name, timeout=PATIENCE_S, context=trust)
        if settings.smtp_security == "tls"
        else smtplib.SMTP(host, port, name, timeout=PATIENCE_S)
    ) as client:
        if settings.smtp_security == "starttls":
            client.starttls(context=trust)
        if settings.smtp_user:
            client.login(settings.smtp_user, Path(settings.smtp_password_file).read_text(encoding="utf-8").strip())
        client.send_message(message)


def _post(settings: Alerts, subject: str, text: str, facts: dict[str, Any]) -> None:
    """``text`` is what chat services show; the rest is for programs."""
    address = Path(settings.webhook_file).read_text(encoding="utf-8").strip()
    if not address.startswith(("https://", "http://127.0.0.1:")):
        raise KitError("its address must begin with https://")
    body = json.dumps({"text": f"{subject}\n{text}", "subject": subject, **facts}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
    trust = ssl.create_default_context(cafile=settings.ca_file or None)
    with urllib.request.urlopen(request, timeout=PATIENCE_S, context=trust):  # noqa: S310
        pass


def _said(error: Exception) -> str:
    """The error without what may hold a secret: addresses of webhooks carry their token."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        return f"it answered {error.smtp_code} {said}"
    if isinstance(error, KitError):
        return error.what
    return f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) and error.strerror else type(error).__name__
