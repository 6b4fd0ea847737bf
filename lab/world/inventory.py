"""Tells Ansible about the lab: the inventory and the site's variables, written as for any real site."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from lab.world import keys
from lab.world.layout import (
    ACME_ROOT_FILE,
    CA_FILE,
    CACHE,
    CALLBACK,
    EDGE_LAN,
    EDGE_MANAGEMENT,
    FQDN,
    INTERNET_MANAGEMENT,
    LAB_ZONE,
    MIRACLE_LAN,
    OBSERVER_WAN,
    ROUTER_MANAGEMENT,
    ROUTER_WAN,
    RUN,
    ZONE,
)

HEAD = "# Written by ./kit lab up, removed by ./kit lab down.\n"
WHEELS = CACHE / "wheels"
DATABASE_URL = f"postgresql+psycopg://qbo_sync@{MIRACLE_LAN}/miracle"


def files(checkout: Path) -> tuple[Path, Path]:
    """The inventory and the variables of the lab's site in a checkout; both are ignored by git."""
    folder = checkout / "inventory"
    return folder / "lab.yml", folder / "group_vars" / "site_lab" / "main.yml"


def write(checkout: Path) -> None:
    """Write both files."""
    for path, content in zip(files(checkout), (hosts(), variables()), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + yaml.safe_dump(content, sort_keys=False, width=160), encoding="utf-8")


def remove(checkout: Path) -> None:
    """Remove both files and whatever was written beside the variables: the folder is the lab's own."""
    inventory, variables_file = files(checkout)
    inventory.unlink(missing_ok=True)
    shutil.rmtree(variables_file.parent, ignore_errors=True)


def hosts() -> dict[str, Any]:
    """Who is there and how Ansible reaches them."""
    addresses = {"lab": EDGE_MANAGEMENT, "lab-router": ROUTER_MANAGEMENT, "lab-observer": INTERNET_MANAGEMENT}
    everyone: dict[str, Any] = {name: {"ansible_host": address} for name, address in addresses.items()}
    return {
        "all": {
            "children": {
                "edge_hosts": {"hosts": {"lab": None}},
                "routers": {"hosts": {"lab-router": None}},
                "observers": {"hosts": {"lab-observer": None}},
                "site_lab": {"hosts": everyone},
            }
        }
    }


def variables() -> dict[str, Any]:
    """The site's variables. What the control node itself talks to has its management address, everything else its own name."""
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(keys.SSH_KEY),
        "ansible_ssh_common_args": " ".join(keys.ssh_arguments()),
        "ansible_control_path_dir": str(keys.SSH_CONTROL),
        "ansible_python_interpreter": "/usr/bin/python3",
        # What the steps left behind belongs to this lab and goes with it.
        "kit_store": str(RUN / "store"),
        "site_name": "lab",
        "site_fqdn": FQDN,
        "site_zone": ZONE,
        "site_address": ROUTER_WAN,
        "site_lan_address": EDGE_LAN,
        "site_router": "lab-router",
        "site_observer": "lab-observer",
        "site_upstream": f"http://{MIRACLE_LAN}:8080",
        **_prerequisites(),
        **_connection(),
    }


def _prerequisites() -> dict[str, Any]:
    return {
        "preflight_resolver": INTERNET_MANAGEMENT,
        "preflight_nameservers": [INTERNET_MANAGEMENT],
        "preflight_acme_directory": f"https://{INTERNET_MANAGEMENT}:14000/dir",
        "preflight_acme_ca_file": str(CA_FILE),
        "preflight_staging_directory": f"https://{INTERNET_MANAGEMENT}:14000/dir",
        "preflight_way_to": OBSERVER_WAN,
        "preflight_checklist": {"migrated_from_desktop": True, "vendor_contacted": True},
        "dns_record_api_url": f"https://{INTERNET_MANAGEMENT}:8443/client/v4",
        "dns_record_api_ca_file": str(CA_FILE),
        "dns_record_token_file": str(keys.CLOUDFLARE_TOKEN),
        "dns_record_nameservers": [INTERNET_MANAGEMENT],
        "dns_record_resolver": INTERNET_MANAGEMENT,
        "port_forward_wan_interface": "wan",
        "port_forward_wheel_directory": str(WHEELS),
        "certificate_email": f"it@{ZONE}",
        "certificate_acme_directory": f"https://acme.{LAB_ZONE}:14000/dir",
        "certificate_acme_ca_file": str(CA_FILE),
        "certificate_staging_directory": f"https://acme.{LAB_ZONE}:14000/dir",
        # Pebble has no limits, and the tests order more than a site ever would.
        "certificate_limits": {"failures": 200, "certificates": 30_000},
        "certificate_alerts": {
            "recipients": [f"it@{ZONE}"],
            "sender": f"edge@{ZONE}",
            "smtp_host": f"mail.{LAB_ZONE}",
            "smtp_port": 25,
        },
        "certificate_wheel_directory": str(WHEELS),
        "verify_ca_file": str(ACME_ROOT_FILE),
        "handoff_method": "smtp",
        "handoff_smtp_host": INTERNET_MANAGEMENT,
        "handoff_smtp_port": 25,
        "handoff_sender": f"it@{ZONE}",
        "handoff_recipient": f"support@miracle.{LAB_ZONE}",
    }


def _connection() -> dict[str, Any]:
    return {
        "qbo_sync_environment": "custom",
        "qbo_sync_discovery_url": f"https://intuit.{LAB_ZONE}/.well-known/openid_configuration",
        "qbo_sync_api_url": f"https://intuit.{LAB_ZONE}",
        "qbo_sync_ca_file": str(CA_FILE),
        "qbo_sync_client_id": keys.CLIENT_ID,
        "qbo_sync_client_secret_file": str(keys.CLIENT_SECRET),
        "qbo_sync_redirect_uri": CALLBACK,
        "qbo_sync_public_url": f"https://{FQDN}",
        # Its root signs the CA's web server too.
        "qbo_sync_edge": {
            "fqdn": FQDN,
            "zone": ZONE,
            "address": ROUTER_WAN,
            "lan_address": EDGE_LAN,
            "acme_directory": f"https://acme.{LAB_ZONE}:14000/dir",
            "acme_ca_file": "/etc/qbo-sync/lab.d/ca.pem",
        },
        "qbo_sync_database_url": DATABASE_URL,
        "qbo_sync_database_password_file": str(keys.DATABASE_PASSWORD),
        "qbo_sync_profile": "reference",
        "qbo_sync_wheel_directory": str(WHEELS),
    }
