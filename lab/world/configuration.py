"""What the lab's daemons and hosts read: pure text, no side effects."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lab.world.layout import (
    ACME_WAN,
    CLOUDFLARE_WAN,
    DNS_WAN,
    INTUIT_WAN,
    LAB_ZONE,
    LAN,
    MAIL_WAN,
    MANAGEMENT,
    OBSERVER_WAN,
    ZONE,
)

# 90 days, as the public CA issues now; Pebble's own default is five years.
CERTIFICATE_LIFETIME_S = 7_776_000

SERVICES = {
    "ns1": DNS_WAN,
    "acme": ACME_WAN,
    "cloudflare": CLOUDFLARE_WAN,
    "intuit": INTUIT_WAN,
    "mail": MAIL_WAN,
    "observer": OBSERVER_WAN,
}


def resolv_conf() -> str:
    """The lab's one resolver."""
    return f"nameserver {DNS_WAN}\n"


def bind(forwarders: Sequence[str], tsig_name: str) -> str:
    """BIND: authoritative for the company's zone and the lab's own, the machine's resolvers for everything else."""
    passed_on = "".join(f"{address}; " for address in forwarders)
    forwarding = f"forward only; forwarders {{ {passed_on}}};" if forwarders else "recursion no;"
    return f"""include "/etc/bind/lab.key";
options {{
  directory "/var/cache/bind";
  listen-on {{ {DNS_WAN}; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile none;
  allow-query {{ any; }};
  allow-recursion {{ any; }};
  allow-transfer {{ none; }};
  dnssec-validation no;
  {forwarding}
}};
controls {{ }};
zone "{ZONE}" {{
  type primary;
  file "/var/lib/bind/{ZONE}";
  update-policy {{ grant {tsig_name} zonesub ANY; }};
}};
zone "{LAB_ZONE}" {{ type primary; file "/var/lib/bind/{LAB_ZONE}"; }};
"""


def zone(name: str, hosts: dict[str, str]) -> str:
    """A zone file with the lab's name server and these hosts."""
    records = "".join(f"{host} A {address}\n" for host, address in hosts.items())
    return f"""$ORIGIN {name}.
$TTL 3600
@ SOA ns1.{LAB_ZONE}. hostmaster.{name}. 1 3600 600 604800 300
@ NS ns1.{LAB_ZONE}.
{records}"""


def pebble(port: int = 14000, management: int = 15000, lifetime_s: int = CERTIFICATE_LIFETIME_S) -> str:
    """Pebble: validates on the real ports 80 and 443, so that a challenge crosses the lab's internet and the router."""
    return json.dumps(
        {
            "pebble": {
                "listenAddress": f"{ACME_WAN}:{port}",
                "managementListenAddress": f"{ACME_WAN}:{management}",
                "certificate": "/etc/pebble/server.pem",
                "privateKey": "/etc/pebble/server.key",
                "httpPort": 80,
                "tlsPort": 443,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
                "certificateValidityPeriod": lifetime_s,
            }
        },
        indent=2,
    )


def router_rules() -> str:
    """A plain Linux router as met in a small office: everything out, nothing in, further rules from ``/etc/nftables.d``."""
    return """#!/usr/sbin/nft -f
flush ruleset
table ip lab_router {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" ip protocol icmp accept
    iifname "wan" drop
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" oifname "wan" accept
    ct status dnat accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade
  }
}
include "/etc/nftables.d/*.nft"
"""


def upnp() -> dict[str, str]:
    """The router's UPnP daemon, off until somebody starts it: its settings, the chains it writes into, and its unit.

    Without limits on ports, as Debian's own package has it.
    """
    return {
        "/etc/miniupnpd/miniupnpd.conf": "ext_ifname=wan\nlistening_ip=lan\nhttp_port=5000\nenable_upnp=yes\nenable_natpmp=yes\n"
        "system_uptime=no\nuuid=6d1a7c1e-6b0f-4a53-9d0e-5f4f0d1c0a10\n",
        "/etc/miniupnpd/chains.nft": """table inet filter
delete table inet filter
table inet filter {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority srcnat; jump postrouting_miniupnpd; }
}
""",
        "/etc/systemd/system/miniupnpd.service": """[Unit]
After=nftables.service
PartOf=nftables.service

[Service]
ExecStartPre=/usr/sbin/nft -f /etc/miniupnpd/chains.nft
ExecStart=/usr/sbin/miniupnpd -d -f /etc/miniupnpd/miniupnpd.conf -P /run/miniupnpd.pid
ExecStopPost=/usr/sbin/nft delete table inet filter

[Install]
WantedBy=multi-user.target
""",
    }


def sshd(listen: str = "") -> str:
    """Keys only, one host key, no look-up of the client's name."""
    address = f"ListenAddress {listen}\n" if listen else ""
    keys_only = "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    return f"{address}HostKey /etc/ssh/ssh_host_ed25519_key\n{keys_only}UseDNS no\n"


def postgresql_access() -> str:
    """Who may connect: the site's network and the lab's own management network, with a password."""
    return "".join(f"host all all {network} scram-sha-256\n" for network in (LAN, MANAGEMENT))


def postgresql_setup(password: str) -> str:
    """Statements for the single-user mode (one a line) that make the database and the user whose own it is."""
    return (
        f"CREATE ROLE qbo_sync LOGIN PASSWORD '{password}'\n"
        "CREATE DATABASE miracle OWNER qbo_sync TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'\n"
    )


POSTGRESQL_START = """set -e
bin=$(echo /usr/lib/postgresql/*/bin)
data=$(echo /var/lib/postgresql/*/main)
configuration=$(echo /etc/postgresql/*/main/postgresql.conf)
set -- -D "$data" -c "config_file=$configuration" -c external_pid_file= -c unix_socket_directories=/tmp -c ssl=off -c fsync=off
"$bin/postgres" --single "$@" postgres </etc/qbo-kit/setup.sql
exec "$bin/postgres" "$@" -c 'listen_addresses=*' -c hba_file=/etc/qbo-kit/access.conf
"""
