"""One router of each make in the small network: the real thing for nftables and UPnP, a stand-in of the lab for the others."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from edge_network import EDGE, EXTERNAL, LAN, NETWORK, OFFICE, WAN, Site

from lab.routers import openwrt
from lab.world.authority import Authority
from lab.world.layout import TOP
from qbo_sync.edge import router
from qbo_sync.edge.router import Settings, job
from qbo_sync.errors import KitError
from tests.needs import lab_image

SETTINGS = Settings(wan_interface=WAN, lan_network=NETWORK, lan_address=EDGE)


class Device(ABC):
    """A router in the hands of a test. ``hairpin``: whom the edge host sees when the office comes in by the external address."""

    name: ClassVar[str]
    hairpin: ClassVar[str] = "10.10.0.1"
    # How the refusal names what is in the way, and whether it can be asked to stand back.
    shown: ClassVar[str]
    takes_over: ClassVar[bool] = True
    # Another side than that towards the internet; empty where there is nothing to choose.
    inner: ClassVar[str] = LAN

    def __init__(self, site: Site, folder: Path, stack: ExitStack) -> None:
        self.site, self.folder, self.stack = site, folder, stack
        self.settings = SETTINGS
        self.start()

    @abstractmethod
    def start(self) -> None:
        """Bring it up, with nothing forwarded."""

    def do(self, **wanted: Any) -> dict[str, Any]:
        """A job of the site ``lab`` for port 80 and one more; its outcome."""
        return self.perform(self.job(**wanted))

    def job(self, *, address: str = EDGE, **wanted: Any) -> job.Job:
        values = {"site": "lab", "provider": self.name, "address": address, "ports": (80, 8443), "external_address": EXTERNAL}
        return job.Job(**{**values, "settings": self.settings, **wanted})

    def perform(self, wanted: job.Job) -> dict[str, Any]:
        return job.perform(wanted, router.provider(self.name, wanted.settings, self.run))

    def take_back(self, wanted: job.Job) -> None:
        """Apply a job's plan and roll it back."""
        roll_back(wanted, self.backend())

    def backend(self) -> router.RouterBackend:
        return router.provider(self.name, self.settings, self.run)

    def run(self, command: Sequence[str], text: str) -> str:
        return self.site.router.run(command, text)

    @abstractmethod
    def listing(self) -> str:
        """Everything that is configured, for comparison."""

    @abstractmethod
    def forward_to_office(self, ports: str = "80") -> None:
        """Somebody else's forward to the office machine."""

    @abstractmethod
    def restart(self) -> None:
        """Switch it off and on, and do what the role leaves behind for that."""


def roll_back(wanted: job.Job, device: router.RouterBackend) -> None:
    """Apply a job's plan, see that it is there, and take it back."""
    forwards = router.forwards(wanted.site, wanted.address, wanted.ports, wanted.external_address)
    plan = device.plan(wanted.site, forwards, take_over=wanted.take_over)
    assert plan.changed
    device.apply(plan)
    device.verify(plan)
    device.rollback(plan.undo)


class Nftables(Device):
    name = "nftables"
    shown = "dnat to 10.10.0.30"

    def start(self) -> None:
        self.boot_file, self.theirs = "", ""

    def perform(self, wanted: job.Job) -> dict[str, Any]:
        outcome = super().perform(wanted)
        self.boot_file = self.boot_file if wanted.check else outcome["text"]
        return outcome

    def listing(self) -> str:
        return "\n".join(sorted(self.run(["nft", "-s", "list", "ruleset"], "").splitlines()))

    def forward_to_office(self, ports: str = "80") -> None:
        rule = f'iifname "{WAN}" tcp dport {{ {ports} }} dnat to {OFFICE}'
        self.theirs = f"table ip theirs {{\nchain pre {{\ntype nat hook prerouting priority dstnat;\n{rule}\n}}\n}}\n"
        self.run(["nft", "-f", "-"], self.theirs)

    def restart(self) -> None:
        # As qbo-kit-forward.service does: after the router's own rules.
        self.run(["nft", "-f", "-"], "flush ruleset\n" + self.theirs + self.boot_file)


class OpenWrt(Device):
    name = "openwrt"
    inner = "lan"
    shown = "option dest_ip '10.10.0.30'"

    def start(self) -> None:
        self.settings = router.Settings()
        (self.folder / "interfaces.json").write_text(json.dumps({"wan": WAN, "lan": LAN}))
        openwrt.install(self.folder, self.folder / "bin")
        self.restart()

    def run(self, command: Sequence[str], text: str) -> str:
        # The device's own paths: its programs first, and its init script where it has it.
        path = f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        text = text.replace("/etc/init.d/", f"{self.folder / 'bin'}/etc/init.d/")
        return self.site.router.run(["env", f"PATH={path}", *command], text)

    def listing(self) -> str:
        return "\n".join(sorted(self.run(["uci", "-X", "show", "firewall"], "").splitlines()))

    def forward_to_office(self, ports: str = "80") -> None:
        options = {"name": "Windows", "src": "wan", "dest": "lan", "proto": "tcp", "src_dport": ports, "dest_ip": OFFICE}
        lines = ["uci set firewall.cfg04ad58=redirect"]
        lines += [f"uci set firewall.cfg04ad58.{name}='{value}'" for name, value in options.items()]
        self.run(["sh", "-es"], "\n".join([*lines, "uci commit firewall", "/etc/init.d/firewall reload"]) + "\n")

    def restart(self) -> None:
        self.site.router.run(["nft", "flush", "ruleset"])
        self.run(
            ["env", f"PYTHONPATH={TOP}", sys.executable, "-m", "lab.routers.openwrt", "--root", str(self.folder), "restart"], ""
        )


class Vyos(Device):
    name = "vyos"
    shown = "translation address '10.10.0.30'"

    def start(self) -> None:
        self._stand_in("install", str(self.folder / "bin"), str(self.folder / "template"))
        self.restart()

    def run(self, command: Sequence[str], text: str) -> str:
        return self.site.router.run(["env", f"PATH={self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin", *command], text)

    def session(self, *lines: str) -> str:
        return self.run(["vbash", "-s"], "\n".join(["source /opt/vyatta/etc/functions/script-template", *lines]) + "\n")

    def listing(self) -> str:
        return self.session("run show configuration commands")

    def forward_to_office(self, ports: str = "80") -> None:
        rule = "set nat destination rule 10"
        values = (f"inbound-interface name {WAN}", "protocol tcp", f"destination port {ports}", f"translation address {OFFICE}")
        self.session("configure", *(f"{rule} {value}" for value in values), "commit", "save", "exit")

    def restart(self) -> None:
        self.site.router.run(["nft", "flush", "ruleset"])
        self._stand_in("restart")

    def _stand_in(self, *words: str) -> None:
        command = [sys.executable, "-m", "lab.routers.vyos", "--root", str(self.folder), *words]
        self.site.router.run(["env", f"PYTHONPATH={TOP}", *command])


class RouterOs(Device):
    """Its API is asked from the router's own namespace: the test's process goes there for each job."""

    name = "routeros"
    shown = "to-addresses=10.10.0.30"

    def start(self) -> None:
        authority = Authority()
        authority.write(self.folder / "ca.pem")
        self.issued = authority.issue(self.folder, "router", "10.10.0.1", "127.0.0.1")
        (self.folder / "password").write_text("s3cret\n")
        (self.folder / "password").chmod(0o600)
        self.settings = router.Settings(
            wan_interface=WAN,
            lan_network=NETWORK,
            api_url="https://127.0.0.1:8729",
            api_user="kit",
            password_file=str(self.folder / "password"),
            ca_file=str(self.folder / "ca.pem"),
        )
        self._serve()
        self.stack.callback(self._end)

    def _serve(self, *more: str) -> None:
        words = ["--root", str(self.folder), "--host", "127.0.0.1", "--port", "8729", "--user", "kit", *more]
        words += ["--password-file", self.settings.password_file]
        words += ["--tls-cert", str(self.issued.certificate), "--tls-key", str(self.issued.key)]
        command = [*self.site.router.inside, sys.executable, "-m", "lab.routers.routeros", *words]
        self.process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith("ready")

    def _end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def perform(self, wanted: job.Job) -> dict[str, Any]:
        return job.outcome(self._inside(PERFORM, json.dumps(wanted.dump())))

    def take_back(self, wanted: job.Job) -> None:
        self._inside(TAKE_BACK, json.dumps(wanted.dump()))

    def call(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        return json.loads(self._inside(CALL, json.dumps([asdict(self.settings), method, path, body])))

    def _inside(self, program: str, text: str) -> str:
        return self.site.router.run([sys.executable, "-c", program], text)

    def listing(self) -> str:
        rules = self.call("GET", "ip/firewall/nat")
        return "\n".join(sorted(str(sorted((k, v) for k, v in rule.items() if k != ".id")) for rule in rules))

    def forward_to_office(self, ports: str = "80") -> None:
        rule = {"chain": "dstnat", "action": "dst-nat", "protocol": "tcp", "dst-port": ports, "to-addresses": OFFICE}
        self.call("PUT", "ip/firewall/nat", {**rule, "in-interface": WAN, "comment": "the old server"})

    def restart(self) -> None:
        self._end()
        self.site.router.run(["nft", "flush", "ruleset"])
        self._serve("--ids-in-path", "off")


PERFORM = """
import sys
from qbo_sync.edge.router import job, provider
sys.exit(job.serve(lambda j: provider(j.provider, j.settings)))
"""
TAKE_BACK = """
import json, sys
from qbo_sync.edge.router import TAG, forwards, job, provider
j = job.Job.load(json.load(sys.stdin))
device = provider(j.provider, j.settings)
plan = device.plan(j.site, forwards(j.site, j.address, j.ports, j.external_address), take_over=j.take_over)
device.apply(plan)
device.verify(plan)
device.rollback(plan.undo)
"""
CALL = """
import json, sys
from qbo_sync.edge.router import Settings
from qbo_sync.edge.router.routeros import RouterOs
settings, *call = json.load(sys.stdin)
print(json.dumps(RouterOs(Settings(**settings), "x")._call(*call)))
"""

# $1: the image; $2: the folder that the daemon sees as /mnt.
BOX = """set -e
mount --bind "$2" "$1/mnt"
exec chroot "$1" /usr/sbin/miniupnpd -d -f /mnt/miniupnpd.conf -P /mnt/pid
"""
TABLE = """table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "qkbr" accept
    jump miniupnpd
  }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""
ASK = """
import sys, miniupnpc
device = miniupnpc.UPnP(multicastif=sys.argv[1], discoverdelay=500)
device.discover(); device.selectigd()
exec(sys.argv[2])
"""


class Upnp(Device):
    """The real daemon. Jobs run in the edge host's namespace, by the program that the role installs there."""

    name = "upnp"
    inner = ""
    hairpin = ""
    shown = "UPnP mapping tcp 80 -> 10.10.0.30:80 (Windows)"
    protocols: ClassVar[str] = "enable_upnp=yes\nenable_natpmp=yes\n"
    # What the router's owner allows; nothing said allows everything.
    permissions = ""

    def start(self) -> None:
        self.settings = router.Settings(lan_address=EDGE, memory=str(self.folder / "memory.json"))
        self._serve()
        self.stack.callback(self._end)

    def _serve(self) -> None:
        self.site.router.run(["nft", "-f", "-"], "flush ruleset\n" + TABLE)
        settings = f"ext_ifname={WAN}\nlistening_ip={LAN}\nhttp_port=5000\nsecure_mode=no\nsystem_uptime=no\n{self.protocols}"
        (self.folder / "miniupnpd.conf").write_text(settings + self.permissions + "uuid=11111111-2222-3333-4444-555555555555\n")
        alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
        alone += ["--propagation", "private"]
        command = [*self.site.router.inside, *alone, "/bin/sh", "-c", BOX, "box", str(lab_image()), str(self.folder)]
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while b":5351" not in self._sockets():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def _sockets(self) -> bytes:
        return self.site.router.run(["ss", "-Hlun"]).encode()

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        (self.folder / "pid").unlink(missing_ok=True)

    def perform(self, wanted: job.Job) -> dict[str, Any]:
        command = [sys.executable, "-m", "qbo_sync.edge.router.on_edge"]
        return job.outcome(self.site.edge.run(command, json.dumps(wanted.dump())))

    def take_back(self, wanted: job.Job) -> None:
        self.site.edge.run([sys.executable, "-c", TAKE_BACK], json.dumps(wanted.dump()))

    def ask(self, who: str, words: str) -> str:
        host = self.site.office if who == OFFICE else self.site.edge
        return host.run([sys.executable, "-c", ASK, who, words])

    def listing(self) -> str:
        rules = self.site.router.run(["nft", "-s", "list", "ruleset"])
        return "\n".join(sorted(line.strip() for line in rules.splitlines()))

    def forward_to_office(self, ports: str = "80") -> None:
        self.ask(OFFICE, f"device.addportmapping({ports}, 'TCP', '{OFFICE}', {ports}, 'Windows', '', 0)")

    def restart(self) -> None:
        self._end()
        self._serve()
        self.refresh()

    def refresh(self) -> str:
        """What the timer starts."""
        command = [sys.executable, "-m", "qbo_sync.edge.router.on_edge", "--refresh", self.settings.memory]
        return self.site.edge.run(command)


class Pcp(Upnp):
    """The same daemon without UPnP."""

    protocols = "enable_upnp=no\nenable_natpmp=yes\n"
    shown = "port 80"
    takes_over = False

    def forward_to_office(self, ports: str = "80") -> None:
        words = f"from qbo_sync.edge.router import pcp; print(pcp.find('{OFFICE}').add('tcp', {ports}, {ports}, 3600))"
        self.site.office.run([sys.executable, "-c", words])


MAKES: dict[str, type[Device]] = {make.__name__: make for make in (Nftables, OpenWrt, Vyos, RouterOs, Upnp, Pcp)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(device: Device, **wanted: Any) -> KitError:
    """The error of a job that must not be done."""
    try:
        device.do(**wanted)
    except KitError as error:
        return error
    raise AssertionError("nothing was refused")
