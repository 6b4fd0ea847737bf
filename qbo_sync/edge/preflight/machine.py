"""P14, P20, P23, H01: the edge host, from the facts that :mod:`~qbo_sync.edge.looks.host` saw there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qbo_sync.edge.preflight.ca import SKEW_FATAL_S, SKEW_WARN_S
from qbo_sync.edge.preflight.model import Check, Inputs, Severity, check
from qbo_sync.edge.router import PORTS

DISK_MIB = 500
OURS = ["nginx"]


def checks(inputs: Inputs) -> Iterator[Check]:
    """Everything about the host itself; ``skew_s`` and ``disk_mib`` were added to the facts by whoever asked for them."""
    host = inputs.host
    for port, programs in host["ports"].items():
        yield port_is_free(port, programs)
    if host["ufw"] is not None:
        yield firewall_lets_in(host["ufw"], inputs.ports)
    if host["ports"]["80"] == OURS and inputs.over_http:
        yield answers_challenges(host["challenges"])
    for folder, free in host["room"].items():
        yield has_room(folder, free, host.get("disk_mib", DISK_MIB))
    if "skew_s" in host:
        yield host_clock(host["skew_s"])
    changed = another_way(host.get("authenticator", ""), inputs)
    yield certificate_there(host["certificate"], inputs.fqdn, changed, brought=inputs.brought)


def port_is_free(port: str, programs: list[str]) -> Check:
    """P14: nobody but nginx listens there."""
    title = f"port {port} is free for nginx"
    if not programs:
        return check("P14", "ok", "free", title=title)
    if programs == OURS:
        return check("P14", "ok", "nginx listens already", title=title)
    named = ", ".join("a program that cannot be seen" if name == "?" else name for name in programs)
    remedy = "move that program to another port or machine, or name another edge host"
    return check("P14", "fatal", f"{named} listens on port {port}", remedy, title=title)


def firewall_lets_in(opened: list[int], ports: Sequence[int] = PORTS) -> Check:
    """P14: ufw, where it is on, lets everybody reach the ports."""
    title = "the edge host's own firewall lets people in"
    shut = [str(port) for port in ports if port not in opened]
    if not shut:
        return check("P14", "ok", f"ufw lets everybody reach {' and '.join(map(str, ports))}", title=title)
    remedy = f"on the edge host: ufw allow {','.join(shut)}/tcp"
    return check("P14", "error", f"ufw is on and has no rule that lets everybody reach {' and '.join(shut)}", remedy, title=title)


def answers_challenges(answers: Mapping[str, Mapping[str, Any]]) -> Check:
    """P14: nginx on this host answers a challenge on each address."""
    title = "nginx answers challenges on this host"
    if not answers:
        seen = "nginx runs, and the kit has not set up its folder of challenges yet"
        return check("P14", "info", seen, "the step reverse_proxy does", title=title)
    wrong = {address: answer for address, answer in answers.items() if not answer.get("right")}
    if not wrong:
        return check("P14", "ok", f"on {', '.join(answers)}", title=title)
    seen = "; ".join(f"{address}: {_what(answer)}" for address, answer in wrong.items())
    remedy = "let nothing but the kit's own server block answer for the name on port 80 (`nginx -T` shows all of them)"
    return check("P14", "fatal", seen, remedy, mended_by="reverse_proxy", title=title)


def _what(answer: Mapping[str, Any]) -> str:
    if "problem" in answer:
        return str(answer["problem"])
    return f"HTTP {answer['status']}" + (f" to {answer['location']}" if answer.get("location") else ", not the file's content")


def has_room(folder: str, free: int, needed: int) -> Check:
    """H01: room for what is installed."""
    title = f"there is room under {folder}"
    if free >= needed:
        return check("H01", "ok", f"{free} MiB free", title=title)
    return check("H01", "fatal", f"{free} MiB free, {needed} MiB needed", "make room or enlarge the disk", title=title)


def host_clock(skew_s: float) -> Check:
    """P20: the host's clock against the control node's: a wrong one makes certificates and tokens look invalid."""
    seen = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the control node"
    severity: Severity = "fatal" if abs(skew_s) > SKEW_FATAL_S else "warn" if abs(skew_s) > SKEW_WARN_S else "ok"
    remedy = "switch on time synchronisation there (systemd-timesyncd or chrony)"
    return check("P20", severity, seen, remedy if severity != "ok" else "", title="the edge host's clock is right")


def another_way(authenticator: str, inputs: Inputs) -> bool:
    """Whether the name was proved over HTTP and is to be proved over DNS now, or the other way round."""
    return authenticator != "" and (authenticator == "webroot") != inputs.over_http


def nothing_to_order(inputs: Inputs) -> bool:
    """Whether the certificate that is kept goes on: the step certificate asks for none, and the timer has time to.

    As in the role certificate: it is valid, for this name, of a CA that is set, and proved in the way that is set.
    """
    host = inputs.host
    server = host.get("server")
    known = {host.get("acme_directory") or inputs.acme_directory, *(url for url, _ in inputs.fallbacks)}
    return (
        valid_certificate(host, inputs.fqdn)
        and not another_way(host.get("authenticator", ""), inputs)
        and (server is None or server in known)
    )


def certificate_there(lineage: Mapping[str, Any], fqdn: str, another_way: bool = False, *, brought: bool = False) -> Check:
    """P23: a valid certificate is kept, so none is asked for, unless the name is to be proved in another way."""
    seen = f"for {', '.join(lineage['names'])}, {lineage['days_left']} days left" if lineage else "none yet"
    if brought:
        return check("P23", "info", seen, "the step certificate brings the one in certificate_files")
    if not lineage:
        return check("P23", "ok", f"{seen}; the step certificate asks for one")
    if lineage["names"] == [fqdn] and lineage["days_left"] >= 0:
        if another_way:
            return check("P23", "info", f"{seen}: the name was proved in another way", "the step certificate asks for a new one")
        return check("P23", "info", seen, "it is not asked for again before it is due")
    why = "has ended" if lineage["days_left"] < 0 else "is for other names"
    return check("P23", "info", f"{seen}: it {why}", "the step certificate asks for a new one")


def valid_certificate(host: Mapping[str, Any], fqdn: str) -> bool:
    """Whether the host keeps a certificate for just this name that has not ended."""
    lineage = host.get("certificate") or {}
    return bool(lineage) and lineage["names"] == [fqdn] and int(lineage["days_left"]) >= 0
