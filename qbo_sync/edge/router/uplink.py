"""Which side of a router is the internet, by its own default route.

Rules made for another interface would work by accident: what comes from outside would then meet the rules for clients inside, and
the edge host would see every visitor as the router, which is the office. So a wrong one is refused before anything changes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from qbo_sync.errors import Blocked

# One call, one answer: the interfaces, then the default routes of every table.
ASK = ("sh", "-c", "ip -o link show && ip -4 -o route show table all default")


@dataclass(frozen=True)
class Sides:
    """``names``: the router's interfaces (OpenWrt: firewall zones). ``outward``: those of default routes, the first one counts.

    Default routes of other tables, for load balancing and the like, come last.
    """

    names: tuple[str, ...]
    outward: tuple[str, ...]


def linux(shown: str) -> Sides:
    """What :data:`ASK` printed."""
    names = re.findall(r"^\d+: (\S+?)(?:@\S+)?: ", shown, re.MULTILINE)
    routes = [line for line in shown.splitlines() if line.startswith("default ")]
    routes.sort(key=lambda line: " table " in line)
    return Sides(tuple(names), tuple(dict.fromkeys(name for line in routes for name in re.findall(r" dev (\S+)", line))))


class Uplinked(ABC):
    """A router whose side towards the internet is named, or else that of its default route."""

    side: ClassVar[str] = "interface"

    def __init__(self, named: str) -> None:
        self._named = named

    @abstractmethod
    def sides(self) -> Sides:
        """What the router says of its sides."""

    @cached_property
    def _sides(self) -> Sides:
        return self.sides()

    @property
    def _wan(self) -> str:
        """The side towards the internet; empty when neither the site nor the router tells it."""
        return self._named or next(iter(self._sides.outward), "")

    def prove_wan(self) -> None:
        """Raise :class:`Blocked` for a side that the router lacks, and for one that its default routes do not use.

        A router without any default route is believed what is said of it, for it may know each network by itself.
        """
        named, sides, side = self._named, self._sides, self.side
        outward = " and ".join(sides.outward)
        ways = f"its default route goes through {outward}" if outward else "it has no default route"
        has = f"it has {', '.join(sides.names) or 'none'}"
        advice = f"set port_forward_wan_interface: {sides.outward[0]}, or leave it empty" if outward else ""
        if not self._wan:
            raise Blocked(
                f"it cannot be seen which {side} of the router leads to the internet; nothing was changed",
                seen=f"{ways}; {has}",
                next=f"bring its connection up, or name the {side} in port_forward_wan_interface",
            )
        if named and named not in sides.names:
            raise Blocked(
                f"the router has no {side} {named}; nothing was changed",
                seen=f"{has}; {ways}",
                next=advice or f"name the {side} that leads to the internet in port_forward_wan_interface",
            )
        if named and outward and named not in sides.outward:
            raise Blocked(f"the router does not reach the internet through {named}; nothing was changed", seen=ways, next=advice)
