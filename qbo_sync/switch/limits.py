"""Safety limits: what would take away or change an unusual share of what is there is refused until a person says otherwise."""

from __future__ import annotations

from qbo_sync import config
from qbo_sync.errors import Blocked
from qbo_sync.miracle import Miracle
from qbo_sync.switch.apply import gone
from qbo_sync.switch.model import Kind
from qbo_sync.switch.plan import Plan


def refuse_many_gone(limits: config.Limits, plan: Plan, miracle: Miracle) -> None:
    """Raise :class:`Blocked` when linked rows vanished from Miracle Service in numbers: its database may be another one."""
    missing = sum(len(qbo_ids) for _, qbo_ids in gone(plan, miracle))
    refuse(limits, missing, sum(miracle.number_linked(kind) for kind in Kind), "linked rows are not in Miracle Service any more")


def refuse(limits: config.Limits, number: int, of: int, what: str) -> None:
    """Raise :class:`Blocked` when ``number`` is too large a share of what is there, ``of``."""
    if number > limits.from_rows and number * 100 > of * limits.percent:
        raise Blocked(
            f"{number} of {of} {what}; nothing was written",
            seen=f"{number * 100 / of if of else 100:.0f} %, the limit is {limits.percent} %",
            next="make sure that this is the right database; if it is meant so, set [limits] percent higher and run this again",
        )
