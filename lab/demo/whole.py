"""The whole journey in the lab: a real DNS server, CA, router, proxy, database and browser session, in the guide's order."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from lab import seed
from lab.demo.narration import answered, blockers, counts, decide, must, say, step
from lab.world import inventory, keys, visitor, world
from lab.world.access import Lab
from lab.world.layout import ACME_ROOT_FILE, CA_FILE, FQDN, LOGS, MAIL, RUN, TOP

SITE = "lab"
BOOKING = "booking.yml"
# What a person decides about doubtful matches, on the control node.
DECISIONS = RUN / "store" / "decisions.csv"


class Story:
    """Runs playbooks and commands as an IT professional would, and keeps their full output in log files."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.logs = LOGS / "demo"
        self.logs.mkdir(parents=True, exist_ok=True)

    def playbook(self, name: str, *options: str, fails: bool = False) -> str:
        """Run a playbook; its recap line is shown, its output kept. ``fails``: the story expects it to be refused."""
        command = ["ansible-playbook", "-i", str(self.lab.inventory), f"playbooks/{name}.yml", *options]
        began = time.monotonic()
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
        log = self.logs / f"{name}.log"
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        recap = next((line.split(":", 1)[1] for line in done.stdout.splitlines() if line.startswith(f"{SITE} ")), "")
        say(f"  $ ansible-playbook playbooks/{name}.yml   ({time.monotonic() - began:.0f} s: {' '.join(recap.split()[:3])})")
        if (done.returncode != 0) is not fails:
            raise SystemExit(
                f"demo: playbooks/{name}.yml ended with {done.returncode}; its output is in {log}:\n{done.stdout[-4000:]}"
            )
        return done.stdout

    def results(self) -> dict[str, Any]:
        """What each step left in the control node's state file."""
        state: dict[str, Any] = json.loads((RUN / "store" / "state.json").read_text(encoding="utf-8"))
        return dict(state.get(SITE, state))

    def qbo_sync(self, *command: str) -> dict[str, Any]:
        """Run a command on the edge host as its service user."""
        words = " ".join(command)
        done = self.lab.shell("edge", f"qbo-sync --config /etc/qbo-sync/{SITE}.toml --format json {words}")
        return answered(words, done.returncode, done.stdout, done.stderr)


def tell(*, keep: bool) -> None:
    """The guide from the checklist to the enabled export."""
    say("qbo-kit demo: one company moves its accounting link to QuickBooks Online.")
    say("Real: BIND, Pebble, an nftables router, an edge host with nginx and certbot, PostgreSQL. Played: Intuit, Cloudflare.\n")
    if world.is_up():
        say("A lab is up already, and the story begins with an empty one: it is taken down first.")
        world.down()
    world.up()
    try:
        _journey(Story())
        if keep:
            say(f"\nThe lab stays up: ./kit lab status, ./kit lab shell edge, ansible-playbook -i {_short(Lab().inventory)} …")
    finally:
        if not keep:
            say()
            world.down()


def _short(path: Path) -> Path:
    return path.relative_to(TOP) if path.is_relative_to(TOP) else path


def _journey(story: Story) -> None:
    _checklist(story)
    prerequisites(story)
    after_the_prerequisites(story)


def after_the_prerequisites(story: Story) -> None:
    """From the connection to the enabled export."""
    _connect(story)
    _prepare(story)
    _audit(story)
    _import(story)
    _finish(story)


def _checklist(story: Story) -> None:
    step("Summary Checklist", "look before anything is changed")
    story.playbook("preflight")
    seen = story.results()["preflight"]["seen"]
    for item in seen.get("checklist", []):
        say(f"    {'✓' if item.get('done') else '·'} {item.get('title', item)}")


def prerequisites(story: Story) -> None:
    """Step 1: the site's address, up to support's answer."""
    step("Step 1", "QBO technical pre-requisites")
    story.playbook("prerequisites")
    _say_served(story)
    mail = sorted(MAIL.glob("*"))
    say(f"    e-mail to Miracle Service support: {len(mail)} sent ({mail[-1] if mail else 'none'})")
    waiting = story.results()["handoff"]
    say(f"    waiting for {waiting['waiting_for']['who']}: {waiting['waiting_for']['what']}")
    _book()
    say("    … support answers: ticket 48213, connection booked for 2026-12-01 (both are written into the site's variables)")


def _book() -> None:
    """What an IT professional does with support's answer: two lines in the site's variables."""
    path = inventory.files(TOP)[1].with_name(BOOKING)
    answer = {"handoff_ticket": "48213", "handoff_booked_date": "2026-12-01"}
    path.write_text(yaml.safe_dump(answer), encoding="utf-8")


def _say_served(story: Story) -> None:
    """DNS, ports and the certificate as the outside observer met them."""
    results = story.results()
    say(f"    A record: {results['dns_record']['seen']['record']}; {', '.join(results['dns_record']['seen']['servers'])}")
    for forward in results["port_forward"]["seen"]["forwards"]:
        say(f"    router forwards {forward}")
    served = results["verify"]["seen"]["certificate"]
    say(f"    the outside observer is served: issuer {served['issuer']}, name {', '.join(served['names'])}, "
        f"{served['days_left']} days left")  # fmt: skip


def _connect(story: Story) -> None:
    step("Step 3", "connect QuickBooks Online")
    story.playbook("connect")
    waiting = story.results()["connect"]
    link = _invitation(story)
    say(f"    waiting for {waiting['waiting_for']['who']}: {link.partition('=')[0]}=…, a link for the first connection only")
    trusted = ACME_ROOT_FILE.read_text() + CA_FILE.read_text()
    script = Path(visitor.__file__).read_text(encoding="utf-8")
    command = story.lab.command("observer", "python3", "-", link, keys.REALM, f"'{trusted}'")
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=120, check=False)
    for line in done.stdout.splitlines():
        say(f"    the administrator sees {line}")
    if done.returncode:
        raise SystemExit(f"demo: the administrator could not connect:\n{done.stdout}{done.stderr}")
    story.playbook("connect")
    status = must(story.qbo_sync("status"), 0)["summary"]
    say(f"    {status['connection']}: {status['company']} (realm {status['realm']})")


def _invitation(story: Story) -> str:
    """The link that `qbo-sync connect` makes for the administrator."""
    said = str(must(story.qbo_sync("connect"), 5)["next"])
    return next(word for word in said.split() if word.startswith(f"https://{FQDN}/qbo/connect"))


def _prepare(story: Story) -> None:
    step("Step 2", "prepare the QuickBooks Online data")
    story.playbook("prepare")
    for kind, tally in story.results()["prepare"]["seen"]["summary"].items():
        say(f"    {kind.replace('_', ' ')}: {tally['unused']} of {tally['active']} active ones are in no recent transaction")


def _audit(story: Story) -> None:
    step("Step 3", "Audit Report and corrections")
    story.playbook("audit", fails=True)
    found = must(story.qbo_sync("audit"), 4)
    blockers(found)
    say(f"  the report, on the edge host: {found['report']['html']}")
    refused = must(story.qbo_sync("import", "--replan"), 4)
    say(f"  an import now is refused: {refused['items'][0]['result']}")
    engine = sa.create_engine(world.miracle_url())
    for line in seed.mend(engine, world.entities):
        say(f"    corrected by hand in Miracle Service: {line}")
    engine.dispose()
    for item in must(story.qbo_sync("audit", "fix", "--yes"), 0)["items"]:
        say(f"    qbo-sync audit fix added the tax {item['qbo']}")
    story.playbook("audit")


def _import(story: Story) -> None:
    step("Step 3", "plan and import")
    planned = must(story.qbo_sync("plan"), 0, 3)
    say(counts(planned, "new", "matched", "weak", "conflict", "invalid"))
    answers, asked = decide(story.lab.shell("edge", f"cat {planned['report']['decisions']}").stdout)
    DECISIONS.write_text(answers, encoding="utf-8")
    say(f"  waiting for a decision: {asked}; a person fills in the decisions file")
    story.playbook("import", "-e", f"qbo_sync_decisions_file={DECISIONS}")
    say(counts({"summary": story.results()["import"]["seen"]["summary"]}, "written"))
    second = must(story.qbo_sync("import"), 0)
    say(f"  a second import writes {sum(t['written'] for t in second['summary'].values())} rows")


def _finish(story: Story) -> None:
    step("Step 4", "review, reconcile, accounting export enabled")
    story.playbook("finish")
    results = story.results()
    say(f"    reconciled: {json.dumps(results['reconcile']['seen']['summary'])}")
    say(f"    the accounting export is enabled: {must(story.qbo_sync('export', 'status'), 0)['summary']['enabled']}")
    story.playbook("status")
    reports = story.lab.shell("edge", f"ls /var/lib/qbo-sync/{SITE}/reports").stdout.split()
    kept = _fetch_reports(story, [r for r in reports if r.endswith((".html", ".xlsx"))])
    say(f"  the reports, {len(kept)} files: {kept[0].parent}" if kept else "  no reports")


def _fetch_reports(story: Story, names: list[str]) -> list[Path]:
    """Copy the reports off the edge host, so that they outlive the lab."""
    folder = Path(tempfile.mkdtemp(prefix="qbo-kit-demo-"))
    kept = []
    for name in names:
        command = story.lab.command("edge", "cat", f"/var/lib/qbo-sync/{SITE}/reports/{name}")
        target = folder / name
        target.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
        kept.append(target)
    return kept
