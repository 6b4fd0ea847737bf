"""What can go wrong, and what the user should do about it.

Every error the program raises on purpose is a :class:`KitError`. It carries the four things a person needs (what failed, for
which site, what was seen, what to do next), the exit code a script needs and whether running the same thing again can help.
"""

from __future__ import annotations


class KitError(Exception):
    """Base of every error raised on purpose.

    ``what`` one sentence saying what failed; ``seen`` the value or answer that was met; ``next`` the next step for the user.
    ``site`` may be filled in later by whoever knows it (the command line does).
    """

    exit_code = 1
    outcome = "failed"
    retry = False

    def __init__(self, what: str, *, seen: str = "", next: str = "", site: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.seen = seen
        self.next = next
        self.site = site

    def __str__(self) -> str:
        head = f"{self.site}: {self.what}" if self.site else self.what
        lines = [head]
        if self.seen:
            lines.append(f"  seen: {self.seen}")
        if self.next:
            lines.append(f"  next: {self.next}")
        return "\n".join(lines)


class UsageError(KitError):
    """A wrong call or wrong settings; nothing was touched."""

    exit_code = 2
    outcome = "usage"


class Blocked(KitError):
    """Refused: blockers stand, the plan has gone stale, or another run holds the site."""

    exit_code = 4
    outcome = "blocked"


class Waiting(KitError):
    """A person outside must act first. ``who`` names them; ``request`` is the text to send to them, where there is one."""

    exit_code = 5
    outcome = "waiting"

    def __init__(self, what: str, *, who: str, seen: str = "", next: str = "", site: str = "", request: str = "") -> None:
        super().__init__(what, seen=seen, next=next, site=site)
        self.who = who
        self.request = request


class ReconnectNeeded(KitError):
    """The grant to read the QBO company is gone; only a person can give a new one."""

    exit_code = 6
    outcome = "reconnect"


class Unreachable(KitError):
    """Intuit, a DNS API, a router or the database did not answer in time; running the same thing again is safe."""

    exit_code = 7
    outcome = "unreachable"
    retry = True


class IntuitFault(KitError):
    """Intuit answered with a fault. ``code`` is Intuit's own (``"6240"``), ``tid`` the number their support asks for."""

    def __init__(self, what: str, *, status: int, code: str = "", tid: str = "", seen: str = "", next: str = "") -> None:
        super().__init__(what, seen=seen, next=next)
        self.status = status
        self.code = code
        self.tid = tid
