"""The network side of ``doctor``: what the edge host itself can see of the checks and of the Summary Checklist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qbo_sync import config
from qbo_sync.edge import budget
from qbo_sync.edge.certificate import record
from qbo_sync.edge.certificate.settings import STORE
from qbo_sync.edge.looks import host as looks
from qbo_sync.edge.preflight import Check, Inputs, Tick, page, remember, run
from qbo_sync.edge.preflight.checklist import asked, seen_on_host
from qbo_sync.edge.router import PORTS
from qbo_sync.errors import KitError
from qbo_sync.switch.steps.site import Site

WEBROOT, LETSENCRYPT, FOLDERS = "/var/lib/qbo-kit/acme", "/etc/letsencrypt", ("/opt", "/var")


def examine(site: Site, edge: config.Edge, said: Mapping[str, bool | None]) -> tuple[list[Tick], list[Check]]:
    """The four ticks, and the checks that need neither the router nor an observer. ``said`` are a person's new answers."""
    host = looks.on_host(
        {
            "fqdn": edge.fqdn,
            "address": edge.address,
            "lan_address": edge.lan_address,
            "ports": list(PORTS),
            "webroot": WEBROOT,
            "letsencrypt": LETSENCRYPT,
            "budget": str(budget.PATH),
            "folders": FOLDERS,
            "way_to": "",
            "echo_url": "",
        }
    )
    # How the name is proved is known here only by the order that was made; over DNS port 80 may rightly be closed.
    over_dns = host["authenticator"].startswith("dns-")
    kept = record.read(STORE / f"{edge.fqdn}.json")
    inputs = Inputs(
        edge.fqdn,
        edge.zone,
        edge.address,
        edge.lan_address,
        edge.resolver,
        edge.nameservers,
        edge.acme_directory,
        str(edge.acme_ca_file or ""),
        challenge="dns-01" if over_dns else "http-01",
        ports=(443,) if over_dns else PORTS,
        ttl=edge.ttl,
        brought=kept.get("source") == "files",
        host=host,
    )
    answers = remember(site.store.directory / "state.json", site.settings.site, said)
    return [*asked(answers), *seen_on_host(host, edge.fqdn)], run(inputs)


def keep(site: Site, edge: config.Edge, ticks: Sequence[Tick], checks: Sequence[Check]) -> Path:
    """The checklist as a page, among the site's reports. Raises :class:`KitError` when it can't be written."""
    path = site.store.reports / "checklist.html"
    try:
        page.write(path, page.html(site.settings.site, edge.fqdn, ticks, checks))
    except OSError as error:
        raise KitError(
            f"the checklist cannot be written to {path}", seen=str(error), next="make room or mend its rights"
        ) from error
    return path
