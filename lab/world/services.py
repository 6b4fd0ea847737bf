"""Everything that runs in the lab: one entry each, saying what it is, where it answers and how it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.world import configuration, image, keys, network
from lab.world.authority import Issued
from lab.world.hosts import Host
from lab.world.layout import (
    CALLBACK,
    CLOUDFLARE_WAN,
    DNS_WAN,
    EDGE_LAN,
    EDGE_MANAGEMENT,
    ENTRANCES,
    INTERNET,
    INTERNET_MANAGEMENT,
    INTUIT_WAN,
    LAB_ZONE,
    MAIL,
    MAIL_WAN,
    MIRACLE,
    MIRACLE_LAN,
    MIRACLE_MANAGEMENT,
    OBSERVER_WAN,
    PREFIX,
    ROUTER_MANAGEMENT,
    ROUTER_WAN,
    TOP,
    ZONE,
)
from lab.world.system import answers, log_file, processes, python, spawn, tail, wait_until

# Recorded answers of a real sandbox company, when they lie beside the checkout; the look-alike has its own company otherwise.
RECORDED = TOP.parent / "shared" / "data" / "qbo" / "sandbox_us"


@dataclass(frozen=True)
class Materials:
    """What the start of the lab has made and its services need."""

    image: Path
    edge_image: Path
    certificates: dict[str, Issued]


@dataclass(frozen=True)
class Service:
    """``address`` is what the lab's inhabitants use, ``probe`` where the machine reaches it over the management network."""

    name: str
    what: str
    address: str
    probe: tuple[str, int]
    start: Callable[[Materials], None]

    def running(self) -> bool:
        """Whether its process is there."""
        return bool(processes(self.name))

    def ready(self) -> bool:
        """Whether it takes connections."""
        return self.running() and answers(*self.probe)

    def wait(self) -> None:
        """Return when it is ready; raise :class:`~qbo_sync.errors.KitError` with its last words when that takes too long."""
        wait_until(self.ready, 40, f"{self.name} ({self.what})", lambda: tail(log_file(self.name)))


def start_router(materials: Materials) -> None:
    """Boot the site's router: forwarding, masquerade and nothing let in yet."""
    host = _ssh_host("router", materials)
    host.write("/etc/nftables.conf", configuration.router_rules(), mode=0o755)
    host.write("/etc/nftables.d/.keep", "")
    for path, text in configuration.upnp().items():
        host.write(path, text)
    host.write("/etc/sysctl.d/90-router.conf", "net.ipv4.ip_forward = 1\n")
    host.link("/etc/systemd/system/sysinit.target.wants/nftables.service", "/lib/systemd/system/nftables.service")
    _boot(host)


def start_edge(materials: Materials) -> None:
    """Boot the edge host: a fresh Debian server in the site's network."""
    _boot(_ssh_host("edge", materials))


def start_observer(materials: Materials) -> None:
    """Start the outside observer's sshd; it is an inventory host like any other, only elsewhere."""
    host = _ssh_host("observer", materials, listen=OBSERVER_WAN)
    host.execute(INTERNET, "/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e")


def start_bind(materials: Materials) -> None:
    """Start the DNS server: authoritative for the site's zone, resolver for everybody in the lab."""
    host = _host("bind", materials)
    host.write("/etc/bind/lab.key", keys.TSIG_KEY.read_text(encoding="ascii"), mode=0o600, user="bind")
    host.write("/etc/bind/lab.conf", configuration.bind(network.resolvers(), keys.TSIG_NAME))
    host.write(f"/var/lib/bind/{ZONE}", configuration.zone(ZONE, {}), user="bind")
    host.write(f"/var/lib/bind/{LAB_ZONE}", configuration.zone(LAB_ZONE, configuration.SERVICES), user="bind")
    host.execute(INTERNET, "/usr/sbin/named", "-g", "-u", "bind", "-c", "/etc/bind/lab.conf")


def start_pebble(materials: Materials) -> None:
    """Start the ACME CA; it asks the lab's DNS server and validates from outside."""
    run_pebble(Host("pebble", materials.image), materials.certificates["acme"], configuration.pebble())


def run_pebble(host: Host, issued: Issued, settings: str, nonces_refused: int = 0) -> None:
    """Start a Pebble in a host that is not mounted yet; ``nonces_refused`` is in per cent."""
    host.mount()
    host.write("/etc/resolv.conf", configuration.resolv_conf())
    host.write("/etc/pebble/server.pem", issued.certificate.read_text(encoding="ascii"))
    host.write("/etc/pebble/server.key", issued.key.read_text(encoding="ascii"), mode=0o600)
    host.write("/etc/pebble/lab.json", settings)
    host.execute(
        INTERNET,
        *("/usr/bin/pebble", "-config", "/etc/pebble/lab.json", "-dnsserver", f"{DNS_WAN}:53"),
        # A proof given once counts for nothing here: each order is validated anew, as Pebble else does for half of them.
        environment={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": str(nonces_refused)},
    )


def start_cloudflare(materials: Materials) -> None:
    """Start the Cloudflare look-alike, which writes its records into BIND."""
    issued = materials.certificates["cloudflare"]
    _module(
        "cloudflare",
        INTERNET,
        *("lab.cloudflare", "--host", CLOUDFLARE_WAN, "--port", "443", "--zone", ZONE),
        *("--token-file", str(keys.CLOUDFLARE_TOKEN), "--nameserver", DNS_WAN, "--tsig-key", str(keys.TSIG_KEY)),
        *("--tls-cert", str(issued.certificate), "--tls-key", str(issued.key)),
    )


def start_intuit(materials: Materials) -> None:
    """Start the Intuit look-alike with the recorded company where there is one."""
    issued = materials.certificates["intuit"]
    recorded = ("--data", str(RECORDED)) if RECORDED.is_dir() else ()
    _module(
        "intuit",
        INTERNET,
        *("lab.intuit", "--host", INTUIT_WAN, "--port", "443", "--realm", keys.REALM, *recorded),
        *("--client-id", keys.CLIENT_ID, "--client-secret-file", str(keys.CLIENT_SECRET), "--redirect-uri", CALLBACK),
        *("--tls-cert", str(issued.certificate), "--tls-key", str(issued.key)),
    )


def start_mail(materials: Materials) -> None:
    """Start the mail server that keeps everything as files."""
    _module("mail", INTERNET, "lab.world.mail", "--host", MAIL_WAN, "--port", "25", "--directory", str(MAIL))


def start_postgresql(materials: Materials) -> None:
    """Start the Miracle Service stand-in's database, empty."""
    host = _host("postgresql", materials)
    password = keys.DATABASE_PASSWORD.read_text(encoding="ascii").strip()
    host.write("/etc/qbo-kit/setup.sql", configuration.postgresql_setup(password), mode=0o600, user="postgres")
    host.write("/etc/qbo-kit/access.conf", configuration.postgresql_access())
    host.execute(MIRACLE, "/bin/sh", "-c", configuration.POSTGRESQL_START, user="postgres")


def start_miracle(materials: Materials) -> None:
    """Start the Miracle Service stand-in's web page."""
    _module("miracle", MIRACLE, "lab.world.miracle", "--host", "0.0.0.0", "--port", "8080")


def _entrance(name: str) -> tuple[str, int]:
    return INTERNET_MANAGEMENT, ENTRANCES[name].port


HOSTS = (
    Service("router", "the site's router", ROUTER_WAN, (ROUTER_MANAGEMENT, 22), start_router),
    Service("edge", "the edge host", EDGE_LAN, (EDGE_MANAGEMENT, 22), start_edge),
)

DAEMONS = (
    Service("bind", "DNS: BIND", f"{DNS_WAN}:53", _entrance("bind"), start_bind),
    Service("pebble", "ACME CA: Pebble", f"https://acme.{LAB_ZONE}:14000/dir", _entrance("pebble"), start_pebble),
    Service("observer", "the outside observer", OBSERVER_WAN, _entrance("observer"), start_observer),
    Service("mail", "mail sink", f"{MAIL_WAN}:25", _entrance("mail"), start_mail),
    Service("postgresql", "Miracle Service's database", f"{MIRACLE_LAN}:5432", (MIRACLE_MANAGEMENT, 5432), start_postgresql),
    Service("miracle", "Miracle Service's web page", f"http://{MIRACLE_LAN}:8080/", (MIRACLE_MANAGEMENT, 8080), start_miracle),
)

# They start when BIND answers: the Cloudflare look-alike writes into it.
LOOK_ALIKES = (
    Service(
        "cloudflare",
        "Cloudflare look-alike",
        f"https://cloudflare.{LAB_ZONE}/client/v4",
        _entrance("cloudflare"),
        start_cloudflare,
    ),
    Service("intuit", "Intuit look-alike", f"https://intuit.{LAB_ZONE}/", _entrance("intuit"), start_intuit),
)


def restart(name: str) -> None:
    """Switch the router or the edge host off, without a warning, and on again; return when it takes connections.

    What was written to its disk is there again, and nothing else. The disk is not: writes under way cannot be lost here.
    """
    host = Host(name, image.path())
    host.lose_power()
    network.unplug(f"{PREFIX}-{name}")
    _boot(host)
    next(service for service in HOSTS if service.name == name).wait()


def everything() -> tuple[Service, ...]:
    """All hosts and services of the lab, in the order they start."""
    return (*HOSTS, *DAEMONS, *LOOK_ALIKES)


def _host(name: str, materials: Materials) -> Host:
    host = Host(name, materials.edge_image if name == "edge" else materials.image)
    host.mount()
    host.write("/etc/resolv.conf", configuration.resolv_conf())
    return host


def _ssh_host(name: str, materials: Materials, listen: str = "") -> Host:
    host = _host(name, materials)
    host.write("/etc/ssh/sshd_config.d/lab.conf", configuration.sshd(listen))
    host.write("/etc/ssh/ssh_host_ed25519_key", keys.host_key(name).read_text(encoding="ascii"), mode=0o600)
    host.write("/root/.ssh/authorized_keys", keys.SSH_KEY.with_suffix(".pub").read_text(encoding="ascii"), mode=0o600)
    return host


def _boot(host: Host) -> None:
    """Start the systemd of the router or the edge host, and connect it."""
    if host.name == "edge":
        host.keep_apt_downloads()
    host.boot()
    connect = {"router": network.connect_router, "edge": network.connect_edge}[host.name]
    connect(host.leader())


def _module(name: str, namespace: str, *module: str) -> None:
    """Run a module of this checkout in a namespace of the lab."""
    spawn(name, "nsenter", f"--net=/run/netns/{namespace}", *python(), "-m", *module)
