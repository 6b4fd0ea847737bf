"""A year in the life of the certificate; writes ``docs/year.md``.

Two parts. **Under a moved clock** (libfaketime on the edge host): at which hour of its life certbot, called as the kit calls it,
orders a new certificate, for lifetimes of 64, 45 and 6 days; and who is told when, day by day, while the CA stays down. **In real
time**: certificates that live a minute or two, from Pebble, renewed by the timer's own unit through everything that stands in the
way, while a visitor outside asks for a page without pause and refuses whatever is not valid. Waits are as short as lifetimes.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.world import authorities, world
from lab.world.access import Lab
from lab.world.authorities import Ca
from lab.world.layout import CACHE, FQDN, LAB_ZONE, MAIL, TOP
from qbo_sync.edge.certificate import certbot, settings
from tests.lab.conftest import EdgeSite
from tests.lab.test_roles_edge import requests_running

PAGE = TOP / "docs" / "year.md"
KEPT = CACHE / "year.json"
DAY_S = 86_400
# What Let's Encrypt issues from 2027-02-10, from 2028-02-16, and as "shortlived" (160 hours).
LIFETIMES_S = {"64 days": 64 * DAY_S, "45 days": 45 * DAY_S, "160 hours": 160 * 3600}
SHORT_S = 120  # how long a certificate of the second part lives
BACKOFF_S = (2, 4, 8, 16)  # instead of 1, 10, 100 minutes and a day

PATIENT, NOISY = Ca(14005), Ca(14004)  # certificates for 90 days; short lives, and 20 % of the nonces refused
ROLES = ("dns_record", "port_forward", "reverse_proxy", "certificate")

UNIT = "qbo-kit-certbot.service"
CERTBOT = "/opt/qbo-kit/certbot/bin/certbot"
BUDGET = "/var/lib/qbo-kit/certificate/budget.json"
STATE = f"/var/lib/qbo-kit/certificate/{FQDN}.json"
FOLDER = f"/etc/qbo-kit/certificate/{FQDN}"
SETTINGS = f"{FOLDER}/settings.json"


@dataclass
class Bench:
    """The edge host and its settings as the role wrote them."""

    site: EdgeSite
    written: dict[str, Any] = field(default_factory=dict)

    def on(self, script: str) -> str:
        return self.site.on("edge", script)

    def tries(self, script: str) -> tuple[int, str]:
        """Run what may fail; exit code and everything it said."""
        done = self.site.lab.shell("edge", script, timeout_s=300)
        return done.returncode, done.stdout + done.stderr

    def configure(self, ca: Ca, **more: Any) -> None:
        """The site's settings with another CA, waits as short as the lifetime, and no rehearsal."""
        self.written = self.written or json.loads(self.on(f"cat {SETTINGS}"))
        authority = {"directory": ca.directory, "ca_file": f"{FOLDER}/authority-0.pem"}
        changed = {**self.written, "authorities": [authority], "rehearsal": None, "backoff_s": BACKOFF_S, **more}
        self.on(f"cat > {SETTINGS} <<'END'\n{json.dumps(changed)}\nEND")

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.on(f"cat {STATE}")))

    def look(self) -> bool:
        """What the timer does; whether the unit ended well."""
        return self.tries(f"systemctl start {UNIT}")[0] == 0

    def fresh(self, ca: Ca, **more: Any) -> None:
        """A new certificate of this CA is served, and nothing is wrong."""
        self.configure(ca, **more)
        code, said = self.tries(f"rm -f {STATE} {BUDGET}; qbo-kit-certificate renew --now --force")
        assert code == 0, said

    def served(self) -> str:
        """The serial number that visitors see."""
        ask = f"echo | openssl s_client -connect {FQDN}:443 -servername {FQDN} 2>/dev/null | openssl x509 -noout -serial"
        return self.site.on("observer", ask)


def letters() -> set[Path]:
    return set(MAIL.glob("*.eml"))


# ---- under a moved clock


def moved(bench: Bench, hours: float, command: str) -> tuple[int, str]:
    """Run it on the edge host as if it were that many hours later."""
    return bench.tries(f"faketime -f '+{hours * 3600:.0f}s' {command}")


def due_after_hours(bench: Bench, ca: Ca, lifetime_s: int) -> int:
    """The first hour of the certificate's life at which certbot orders a new one, by bisection."""
    folder = f"/tmp/year/{ca.port}"
    made = settings.Settings(FQDN, Path("/nowhere"), certbot=CERTBOT, certbot_folder=bench.site.folder / "certbot")
    places = [f"--{kind}-dir={folder}/{kind}" for kind in ("config", "work", "logs")]
    first = shlex.join([*certbot.arguments(made, settings.Authority(ca.directory)), *places])
    code, said = bench.tries(f"mkdir -p {folder}; REQUESTS_CA_BUNDLE={FOLDER}/authority-0.pem {first}")
    assert code == 0, said
    kept = made.certbot_folder / "renewal" / f"{FQDN}.conf"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch()  # from now on it is renewed
    call = shlex.join([*certbot.arguments(made, settings.Authority(ca.directory)), *places])
    kept.unlink()

    def orders(hours: int) -> bool:
        # Whoever orders meets a CA that cannot be reached: the certificate stays the one it is.
        code, said = moved(bench, hours, f"env REQUESTS_CA_BUNDLE=/dev/null {call}")
        assert (code == 0) == ("No renewals were attempted" in said), said
        return code != 0

    low, high = 0, lifetime_s // 3600
    assert not orders(low)
    assert orders(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if orders(middle) else (middle, high)
    return high


def told_while_down(bench: Bench, ca: Ca, lifetime_s: int) -> list[tuple[float, str]]:
    """The CA answers nobody any more: each letter with the days left; looks twice a day and when a retry is due."""
    nobody = [{"directory": f"https://acme.{LAB_ZONE}:1/dir"}]
    bench.fresh(ca)
    bench.configure(ca, authorities=nobody, service="", store="/tmp/year/told", backoff_s=[60, 600, 6000, DAY_S])
    found, days = [], lifetime_s / DAY_S
    at = days / 2 - 0.5
    while at < days:
        before = letters()
        moved(bench, at * 24, "qbo-kit-certificate renew")
        found += [(days - at, subject(path)) for path in sorted(letters() - before)]
        at += min(0.5, retry_after_days(bench))
    bench.on("rm -rf /tmp/year/told")
    return found


def retry_after_days(bench: Bench) -> float:
    """How long after the last look the unit's own retry comes."""
    state = json.loads(bench.on(f"cat /tmp/year/told/{FQDN}.json"))
    if not state["retry_at"]:
        return DAY_S
    wait = datetime.fromisoformat(state["retry_at"]) - datetime.fromisoformat(state["checked_at"])
    return max(60.0, wait.total_seconds()) / DAY_S


def subject(path: Path) -> str:
    """What the letter is about: the first line of its text."""
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r", "").partition("\n\n")[2].replace("=\n", "")
    first = re.sub(r" ends on \S+ \(.*\)", " runs out", text.strip().splitlines()[0])
    return re.sub(rf"^{FQDN}: ", "", first).split(" (ACME")[0].rstrip(".")


def decided(bench: Bench, name: str) -> str:
    """One line of the first table."""
    lifetime_s = LIFETIMES_S[name]
    port = 14010 + list(LIFETIMES_S).index(name)  # each is a CA of its own, which knows no account of another's
    with authorities.pebble(port, lifetime_s=lifetime_s) as ca:
        hours = due_after_hours(bench, ca, lifetime_s)
        told = told_while_down(bench, ca, lifetime_s)
    after, left = hours / 24, lifetime_s / DAY_S - hours / 24
    (first, text), *more = told
    said = f"{first:.1f} days before the end ({text}), then {len(more)} more"
    return f"| {name} | after {after:.1f} days | {left:.1f} days | {365 / after:.0f} | {said} |"


# ---- in real time


def until_valid(bench: Bench, before: str, deadline: float, *, by_itself: bool = False) -> bool:
    """Look as often as the timer would (scaled), until another certificate is served; whether that came before the deadline."""
    while time.time() < deadline:
        if not by_itself:
            bench.look()
        if bench.served() != before:
            return True
        time.sleep(2)
    return False


def three_lives(bench: Bench, shim: Ca) -> str:
    bench.fresh(shim)
    seen, end = {bench.served()}, time.time() + 3 * SHORT_S
    while time.time() < end:
        bench.look()
        seen.add(bench.served())
        time.sleep(3)
    assert len(seen) > 3
    assert bench.look(), bench.state()["troubles"]
    return f"served a valid one throughout; {len(seen) - 1} renewals in {3 * SHORT_S} s"


def ca_down(bench: Bench, shim: Ca) -> str:
    bench.fresh(shim)
    before, state = bench.served(), bench.state()
    due, ends = (datetime.fromisoformat(t).timestamp() for t in (state["next_due"], state["served"]["not_after"]))
    mails = letters()
    shim.fetch("lab/fault", {"fault": "down"})
    time.sleep(max(0.0, due - time.time()))
    assert not bench.look()
    time.sleep(SHORT_S / 3)
    told = sorted(letters() - mails, key=lambda path: path.stat().st_mtime)
    assert told, bench.state()
    shim.fetch("lab/fault", {})
    assert until_valid(bench, before, ends, by_itself=True)  # the first look was ours; each retry is the unit's own
    words = "; ".join(f"{ends - path.stat().st_mtime:.0f} s before the end: {subject(path)}" for path in told)
    return f"told {len(told)} times ({words}); renewed {ends - time.time():.0f} s before the end"


def ari_early(bench: Bench, shim: Ca) -> str:
    bench.fresh(shim)
    before, soon = bench.served(), datetime.now(UTC) - timedelta(seconds=20)
    shim.fetch("lab/ari", {"start": soon.isoformat(), "end": (soon + timedelta(seconds=10)).isoformat()})
    bench.on(f"sed -i '/acme_renewal_info/d;/ari_retry_after/d' /etc/letsencrypt/renewal/{FQDN}.conf")
    due = datetime.fromisoformat(bench.state()["next_due"]).timestamp()
    assert until_valid(bench, before, due)
    return f"renewed {due - time.time():.0f} s before its time"


def broken_vhost(bench: Bench, shim: Ca) -> str:
    bench.fresh(shim)
    before, ends = bench.served(), datetime.fromisoformat(bench.state()["served"]["not_after"]).timestamp()
    mails, broken = letters(), "/etc/nginx/conf.d/broken.conf"
    bench.on(f"echo 'no such directive;' > {broken}")
    try:
        bench.tries("qbo-kit-certificate renew --now --force")
        assert bench.served() == before
        (path,) = letters() - mails
        told = ends - time.time()
    finally:
        bench.on(f"rm -f {broken}")
    assert until_valid(bench, before, ends)
    return f"told at once ({subject(path)}), {told:.0f} s before the end; the new one served once it was mended"


def full_disk(bench: Bench, shim: Ca) -> str:
    bench.fresh(shim)
    before, ends = bench.served(), datetime.fromisoformat(bench.state()["served"]["not_after"]).timestamp()
    mails, places = letters(), ("/etc/letsencrypt", "/var/lib/qbo-kit/certificate")
    for place in places:
        bench.on(f"cp -a {place} /tmp/kept && mount -t tmpfs -o size=1M,mode=755 none {place} && cp -a /tmp/kept/. {place}/")
        bench.on(f"rm -rf /tmp/kept; dd if=/dev/zero of={place}/filler bs=4k 2>/dev/null || true")
    try:
        bench.tries("qbo-kit-certificate renew --now --force")
        assert bench.served() == before
        (path,) = letters() - mails
        assert "disk is full" in subject(path), subject(path)
        told = ends - time.time()
        bench.on("; ".join(f"rm {place}/filler" for place in places))
        assert until_valid(bench, before, ends)
    finally:
        for place in places:
            bench.on(f"rm -f {place}/filler; cp -a {place} /tmp/kept; umount {place}")
            bench.on(f"cp -a /tmp/kept/. {place}/; rm -rf /tmp/kept")
    return f"told at once ({subject(path)}), {told:.0f} s before the end; renewed once there was room"


def rate_limit(bench: Bench, shim: Ca) -> str:
    bench.fresh(shim)
    before, ends = bench.served(), datetime.fromisoformat(bench.state()["served"]["not_after"]).timestamp()
    mails = letters()
    shim.fetch("lab/fault", {"fault": "limited", "retry_after_s": 15})
    orders = shim.stats()["orders"]
    for _ in range(5):
        bench.tries("qbo-kit-certificate renew --now --force")
    asked = shim.stats()["orders"] - orders
    (path,) = letters() - mails
    shim.fetch("lab/fault", {})
    assert asked == 1
    assert until_valid(bench, before, ends)
    return f"told at once ({subject(path)}); the CA asked once in five tries, then not before the time it named; renewed after it"


def nonces(bench: Bench, _: Ca) -> str:
    bench.configure(NOISY)
    for _ in range(10):  # The first one may take some tries too; until then the patient CA's is served.
        if bench.tries("qbo-kit-certificate renew --now --force")[0] == 0:
            break
    seen, failed, end = {bench.served()}, 0, time.time() + 2 * SHORT_S
    while time.time() < end:
        failed += not bench.look()
        seen.add(bench.served())
        time.sleep(3)
    assert len(seen) > 2
    return f"served a valid one throughout; {len(seen) - 1} renewals in {2 * SHORT_S} s, a look failed {failed} times on the way"


SCENES: dict[str, tuple[str, Callable[[Bench, Ca], str]]] = {
    "three lives": (f"certificates of {SHORT_S} s, a look every few seconds", three_lives),
    "CA down": ("503 to everything from the moment it is due, for a third of the lifetime", ca_down),
    "ARI asks early": ("the CA's window lies in the past (shim)", ari_early),
    "broken vhost": ("somebody else's file that nginx refuses", broken_vhost),
    "full disk": ("no block left where certbot and the state live", full_disk),
    "rate limit": ("429 with Retry-After, Let's Encrypt's words (shim)", rate_limit),
    "20 % of nonces refused": (f"Pebble's PEBBLE_WFE_NONCEREJECT; certificates of {SHORT_S} s", nonces),
}


EVERY = (*LIFETIMES_S, *SCENES)


@contextmanager
def short_lived() -> Iterator[tuple[Ca, str]]:
    """The shim in front of a CA of short lives, and the other two; with the roots of all."""
    with ExitStack() as stack:
        short = stack.enter_context(authorities.pebble(14003, lifetime_s=SHORT_S))
        front = stack.enter_context(authorities.shim(14001, short))
        for ca, lifetime_s, refused in ((PATIENT, 90 * DAY_S, 0), (NOISY, SHORT_S, 20)):
            stack.enter_context(authorities.pebble(ca.port, lifetime_s=lifetime_s, nonces_refused=refused))
        yield front, "".join(ca.root() for ca in (short, PATIENT, NOISY))


def scene(bench: Bench, shim: Ca, roots: str, name: str) -> str:
    """One line of the second table, with the visitor outside asking all the time."""
    what, play = SCENES[name]
    shim.fetch("lab/reset", {})
    bench.fresh(PATIENT)
    with requests_running(bench.site, roots) as answers:
        end = play(bench, shim)
        bench.fresh(PATIENT)
    wrong = [one for one in answers if one != "200"]
    assert not wrong, f"{name}: {len(wrong)} of {len(answers)} requests: {set(wrong)}"
    return f"| {name} | {what} | {end} | {len(answers)} | 0 |"


def play_all(bench: Bench, names: list[str]) -> Iterator[tuple[str, str]]:
    """Each line with its name, as it comes."""
    if set(names) & set(LIFETIMES_S):
        bench.on("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends faketime 2>&1")
        yield from ((name, decided(bench, name)) for name in LIFETIMES_S if name in names)
    if set(names) & set(SCENES):
        with short_lived() as (shim, roots):
            yield from ((name, scene(bench, shim, roots, name)) for name in SCENES if name in names)


def page(lines: dict[str, str]) -> str:
    """The whole of ``docs/year.md``."""
    first, table = ("\n".join(lines[name] for name in part) for part in (LIFETIMES_S, SCENES))
    waits = ", ".join(map(str, BACKOFF_S))
    return f"""# A year in the life of the certificate

*For everybody who wants to know that the address never lapses. Written by `./kit bench year`, in [the lab](lab.md).*

A year cannot be waited for. So the decision, when to renew, was taken under a moved clock; and what a renewal does was done for
real, with certificates that live {SHORT_S} seconds.

## When it is renewed: under a moved clock

The edge host's certbot, called as the kit calls it, with a real certificate of that lifetime from Pebble, and libfaketime, which
moves the clock of certbot and of the kit's program; nginx and the CA keep theirs. The lifetimes are those of Let's Encrypt: from
2027-02-10, from 2028-02-16, and its profile `shortlived`. For the last column the CA answers nobody any more, and a look is
taken twice a day and whenever the unit's own retry is due.

| lifetime | ordered anew | left: so long the CA may be down | orders a year | told while it is down |
|---|---|---|---|---|
{first}

## What stands in its way: in real time

The timer's own unit or the same command by hand, real orders, real reloads. All the time a visitor outside asks for a page
without pause and accepts only a certificate that is valid at that moment.

A lifetime is {SHORT_S} s here, so the waits after a failure are {waits} s instead of 1, 10, 100 minutes and a day. *Shim*: played
by a program in front of Pebble, which has no such thing.

| in the way | what was done | how it ended | requests outside | not answered |
|---|---|---|---|---|
{table}

## What this does not show

Let's Encrypt itself; a year of one machine's life; a clock that is wrong. [What else could not be tested](limits.md).
"""


def main(arguments: list[str]) -> int:
    """Print each line as it comes. It is kept, and once all are there the page is written: so it can be run in parts."""
    parser = argparse.ArgumentParser(prog="./kit bench year", description="A whole run takes about half an hour.")
    parser.add_argument(
        "only", nargs="*", metavar="LINE", help=f"these lines only: {', '.join(map(repr, EVERY))}".replace("%", "%%")
    )
    names = parser.parse_args(arguments).only or list(EVERY)
    if strange := set(names) - set(EVERY):
        parser.error(f"no such line: {', '.join(sorted(strange))}")
    lines: dict[str, str] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    was_up = world.is_up()
    world.up()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(EdgeSite(Lab(), Path(folder)))
            run = bench.site.roles(*ROLES)
            assert run.code == 0, run.text
            for name, line in play_all(bench, names):
                print(line, flush=True)
                lines[name] = line
                KEPT.write_text(json.dumps(lines), encoding="utf-8")
    finally:
        if not was_up:
            world.down()
    if set(lines) >= set(EVERY):
        PAGE.write_text(page(lines), encoding="utf-8")
    return 0
