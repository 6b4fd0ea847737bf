"""Send a message to somebody who must act, once, or write it to a file; on the control node, in process.

What was sent is remembered in ``store/state.json`` under ``step`` (a hash of recipient and text), so that only a changed message
is sent again. In check mode nothing is sent or written; ``--diff`` shows the message.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar

from qbo_sync.config import read_secret
from qbo_sync.edge import state
from qbo_sync.edge.action import KitAction
from qbo_sync.errors import KitError, Unreachable, UsageError


class ActionModule(KitAction):
    """See the module's docstring."""

    arguments: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "step": {"type": "str", "required": True},
        "prefix": {"type": "str", "required": True},
        "method": {"type": "str", "choices": ["smtp", "file"], "required": True},
        "text": {"type": "str", "required": True},
        "sender": {"type": "str", "default": ""},
        "recipient": {"type": "str", "default": ""},
        "file": {"type": "str", "default": ""},
        "smtp_host": {"type": "str", "default": ""},
        "smtp_port": {"type": "int", "default": 25},
        "smtp_user": {"type": "str", "default": ""},
        "smtp_password_file": {"type": "str", "default": ""},
    }

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do what ``method`` and ``state`` ask for."""
        path = (
            Path(arguments["file"]).expanduser() if arguments["file"] else self.store / f"{arguments['prefix']}-{self.site}.txt"
        )
        if arguments["state"] == "absent":
            return self._remove(path)
        if arguments["method"] == "file":
            return self._write(path, arguments["text"])
        return self._send_once(arguments)

    def _remove(self, path: Path) -> dict[str, Any]:
        found = path.is_file()
        if found and not self.check_mode:
            path.unlink()
        return {"changed": found, "where": ""}

    def _write(self, path: Path, text: str) -> dict[str, Any]:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if before != text and not self.check_mode:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return {"changed": before != text, "where": str(path), "diff": {"before": before, "after": text}}

    def _send_once(self, arguments: dict[str, Any]) -> dict[str, Any]:
        mark = hashlib.sha256(f"{arguments['recipient']}\n{arguments['text']}".encode()).hexdigest()
        path = self.store / "state.json"
        sent = state.read(path).get(self.site, {}).get(arguments["step"], {}).get("seen", {})
        changed = sent.get("sha256") != mark
        if changed and not self.check_mode:
            _send(_message(arguments), arguments, self.secret_file(arguments["smtp_password_file"]))
            seen = {"sha256": mark, "recipient": arguments["recipient"]}
            state.record(path, self.site, arguments["step"], state.result(changed=True, seen=seen))
        after = arguments["text"] if changed else ""
        return {"changed": changed, "where": arguments["recipient"], "diff": {"before": "", "after": after}}


def _message(arguments: dict[str, Any]) -> EmailMessage:
    """The e-mail: the text's first line is its subject."""
    head, _, body = arguments["text"].partition("\n")
    message = EmailMessage()
    message["Subject"] = head.removeprefix("Subject:").strip()
    message["From"] = arguments["sender"]
    message["To"] = arguments["recipient"]
    message.set_content(body.lstrip("\n"))
    return message


def _send(message: EmailMessage, arguments: dict[str, Any], password_file: Path) -> None:
    """Hand the message to the mail server, encrypted whenever the server offers it."""
    server = f"{arguments['smtp_host']}:{arguments['smtp_port']}"
    try:
        with smtplib.SMTP(arguments["smtp_host"], arguments["smtp_port"], timeout=30) as connection:
            connection.ehlo()
            encrypted = connection.has_extn("starttls")
            if encrypted:
                connection.starttls(context=ssl.create_default_context())
            if arguments["smtp_user"]:
                _log_in(connection, arguments, password_file, encrypted)
            connection.send_message(message)
    except smtplib.SMTPConnectError as error:
        raise Unreachable(f"the mail server {server} did not take the connection", seen=str(error)) from error
    except smtplib.SMTPException as error:
        raise KitError(
            f"the mail server {server} refused the message",
            seen=str(error),
            next=f"mend sender, recipient or the log-in in the variables {arguments['prefix']}_*, or send the message yourself",
        ) from error
    except OSError as error:
        raise Unreachable(
            f"the mail server {server} does not answer",
            seen=str(error),
            next=f"mend host and port in the variables {arguments['prefix']}_*, or send the message yourself",
        ) from error


def _log_in(connection: smtplib.SMTP, arguments: dict[str, Any], password_file: Path, encrypted: bool) -> None:
    if not encrypted:
        raise UsageError(
            f"the mail server {arguments['smtp_host']} offers no encryption, so the password is not sent to it",
            next="use a mail server with STARTTLS, or one that needs no log-in",
        )
    password = read_secret(password_file, "password of the mail server")
    connection.login(arguments["smtp_user"], password)
