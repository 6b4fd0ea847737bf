"""How an answer is compared with its recording, what may differ, and what is not replayed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.contract.conftest import Caller

Load = Callable[..., "Caller"]
Read = Callable[[str], Any]

# All that may differ between an answer and its recording, and why.
MAY_DIFFER = {
    "time of an answer; MetaData of what a test writes; a file's address and its Id": "given by the server",
    "values of tokens and keys; id, source and time of a webhook's event": "given by the server",
    "the person's name in a 5010": "ours is Lab Bookkeeper",
    "the list of known properties in a 2010": "the lab knows fewer",
    "the text of a 6240 behind the colon, and whether it has an element": "changed by Intuit until 2020; the newest is played",
}
NOT_REPLAYED = {
    "report_general_ledger": "reports are out of scope",
    "report_profit_and_loss_by_customer": "reports are out of scope",
}


def without_time(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "time"}


def without_metadata(document: dict[str, Any], entity: str) -> dict[str, Any]:
    return {name: value for name, value in document[entity].items() if name != "MetaData"}


def same_fault(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert answer["Fault"] == expected["Fault"]


def turn_clock_to(intuit: Caller, moment: str) -> None:
    """The lab's clock to the time of a recorded answer, so that the times in it are the recorded ones too."""
    intuit.lab("clock", {"advance_s": (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()})
    intuit.grant = intuit.lab("token", {})
