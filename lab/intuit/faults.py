"""Every error body, in the form in which it was recorded.

The service answers with ``{"Fault": {"Error": [...]}}``; the gateway before it (401, 403) with lower-case keys and epoch
milliseconds, or with XML even when JSON was asked for.
"""

from __future__ import annotations

from typing import Any

from lab.intuit.clock import Clock, answer_time

INACTIVE = (
    "Object Not Found : Something you're trying to use has been made inactive."
    " Check the fields with accounts, customers, items, vendors or employees."
)
REQUIRED = "Required param missing, need to supply the required value for the API"
XML_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><IntuitResponse xmlns="http://schema.intuit.com/finance/v3"'


class ServiceFault(Exception):
    """A fault of the service: HTTP status, Intuit's code, message and detail; ``element`` is left out when ``None``."""

    def __init__(
        self, code: str, message: str, detail: str, *, element: str | None = None, status: int = 400, kind: str = ""
    ) -> None:
        super().__init__(f"{code} {message}: {detail}")
        self.code, self.message, self.detail, self.element = code, message, detail, element
        self.status = status
        self.kind = kind or "ValidationFault"

    def fault(self) -> dict[str, Any]:
        """The value of ``Fault``, also used inside the items of a batch."""
        error = {"Message": self.message, "Detail": self.detail, "code": self.code}
        if self.element is not None:
            error["element"] = self.element
        return {"Error": [error], "type": self.kind}

    def body(self, clock: Clock) -> dict[str, Any]:
        """The whole answer."""
        return {"Fault": self.fault(), "time": answer_time(clock.now())}


def object_not_found() -> ServiceFault:
    """610: an unknown id, read or written (recorded; it is 400, not 404)."""
    return ServiceFault("610", "Object Not Found", INACTIVE, element="")


def unsupported(detail: str) -> ServiceFault:
    """500: a path or verb the service does not know (recorded)."""
    return ServiceFault("500", "Unsupported Operation", f"Operation {detail} is not supported.")


def invalid_id(value: str) -> ServiceFault:
    """2030: an id that is not a number (recorded)."""
    return ServiceFault("2030", "Invalid ID", f"Id should be a valid number. Supplied value:{value}", element="Id")


def invalid_reference(name: str) -> ServiceFault:
    """2500: a reference to a record that is not there (the code is documented, the text guessed)."""
    return ServiceFault("2500", "Invalid Reference Id", f"Invalid Reference Id : {name} is not the Id of a record", element=name)


def too_long(name: str) -> ServiceFault:
    """2050: a text longer than the property takes (the code is documented, the text guessed)."""
    return ServiceFault("2050", "String length is either shorter or longer than supported", f"{name} is too long", element=name)


def required(name: str) -> ServiceFault:
    """2020: a property that must be there (recorded)."""
    return ServiceFault("2020", REQUIRED, f"Required parameter {name} is missing in the request", element=name)


def stale() -> ServiceFault:
    """5010: somebody else changed the object meanwhile (recorded; the person's name is ours)."""
    return ServiceFault(
        "5010",
        "Stale Object Error",
        "Stale Object Error : You and Lab Bookkeeper were working on this at the same time."
        " Lab Bookkeeper finished before you did, so your work was not saved.",
        element="",
    )


def duplicate_name(detail: str = "null", *, element: str | None = None) -> ServiceFault:
    """6240 in the form of the 2020 recording; earlier ones say more."""
    return ServiceFault("6240", "Duplicate Name Exists Error", f"The name supplied already exists. : {detail}", element=element)


def unknown_property(entity: str, name: str, known: list[str]) -> ServiceFault:
    """2010: a property that the entity does not have (recorded; the list of known ones is ours)."""
    names = ", ".join(f'"{each}"' for each in known)
    return ServiceFault(
        "2010",
        "Request has invalid or unsupported property",
        f'Property Name:Unrecognized field "{name}" (class com.intuit.schema.finance.v3.{entity}), not marked as ignorable'
        f" ({len(known)} known properties: {names}])\n specified is unsupported or invalid",
    )


def business(detail: str, code: str = "6000") -> ServiceFault:
    """6000 and its relatives: a rule of bookkeeping."""
    return ServiceFault(
        code,
        "A business validation error has occurred while processing your request",
        f"Business Validation Error: {detail}",
        element="",
    )


def query_error(code: str, detail: str) -> ServiceFault:
    """4000 (not a statement) or 4001 (a statement about what does not exist)."""
    message = "Error parsing query" if code == "4000" else "Invalid query"
    return ServiceFault(code, message, detail)


def throttled(status: int = 429) -> ServiceFault:
    """429 with code 3001; until 2017 it was 403 (both recorded)."""
    return ServiceFault(
        "3001",
        f"message=ThrottleExceeded; errorCode=003001; statusCode={status}",
        "The request limit was reached.  Try again later",
        status=status,
        kind="SERVICE",
    )


def application_error() -> ServiceFault:
    """500 with code 10000 (recorded)."""
    return ServiceFault(
        "10000",
        "An application error has occurred while processing your request",
        "System Failure Error: an internal part did not answer",
        status=500,
        kind="SystemFault",
    )


def gateway(status: int, code: str, name: str, clock: Clock, *, detail: str | None = None) -> dict[str, Any]:
    """The gateway's own envelope (recorded): lower-case keys, ``time`` in epoch milliseconds."""
    error = {
        "message": f"message={name}; errorCode={int(code):06d}; statusCode={status}",
        "detail": detail,
        "code": code,
        "element": None,
    }
    return {
        "warnings": None,
        "intuitObject": None,
        "fault": {"error": [error], "type": "AUTHENTICATION" if status == 401 else "SERVICE"},
        "report": None,
        "queryResponse": None,
        "batchItemResponse": [],
        "attachableResponse": [],
        "syncErrorResponse": None,
        "requestId": None,
        "time": int(clock.seconds() * 1000),
        "status": None,
        "cdcresponse": [],
    }


def gateway_xml(kind: str, code: str, message: str, detail: str, clock: Clock) -> str:
    """The gateway's XML fault (recorded for 401)."""
    return (
        f'{XML_HEAD} time="{answer_time(clock.now())}"><Fault type="{kind}"><Error code="{code}">'
        f"<Message>{message}</Message><Detail>{detail}</Detail></Error></Fault></IntuitResponse>"
    )


def general_authentication_xml(clock: Clock) -> str:
    """401 SRV-110: a call without usable credentials (recorded)."""
    return gateway_xml(
        "AuthenticationFault",
        "100",
        "General Authentication Error",
        "AuthenticationErrorGeneral: SRV-110-Authentication Failure , statusCode: 401",
        clock,
    )


def wrong_cluster_xml(clock: Clock) -> str:
    """401 with code 130: a company of production asked for at the sandbox's host, or the reverse (recorded)."""
    return gateway_xml(
        "AuthenticationFault",
        "130",
        "Accessing Wrong Cluster",
        "WrongClusterError: -11017-You have accessed the wrong server.  You will now be redirected. , statusCode: 401",
        clock,
    )


def throttled_xml(clock: Clock) -> str:
    """429 as XML (reported by users; the text is that of the JSON recording)."""
    fault = throttled()
    return gateway_xml(fault.kind, fault.code, fault.message, fault.detail, clock)
