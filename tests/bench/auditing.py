"""How long an audit takes beyond the reading: `./kit bench audit [CUSTOMERS VENDORS ITEMS] [--rules]`.

Before an import, when all is new, and after it, when all is there. Matching, every rule and keeping the findings count; reading
both sides and writing the report's files do not. `--rules` names the slowest.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TypeVar

from qbo_sync.switch import audit, match, read, steps
from qbo_sync.switch.audit import RULES
from tests.bench.site import Bench, connected

ITEM_TYPES = ("Inventory", "NonInventory", "Service")
SLOWEST = 8

T = TypeVar("T")


def main(arguments: list[str]) -> int:
    """Print seconds beyond the reading, before and after the import."""
    parser = argparse.ArgumentParser(prog="./kit bench audit")
    parser.add_argument("sizes", nargs="*", type=int, default=[22_000, 2_000, 13_000], metavar="CUSTOMERS VENDORS ITEMS")
    parser.add_argument("--rules", action="store_true", help="name the slowest rules")
    options = parser.parse_args(arguments)
    customers, vendors, items = (str(size) for size in options.sizes)
    with connected("--customers", customers, "--vendors", vendors, "--items", items, "--limits", "off") as bench:
        with (bench.folder / "bench.toml").open("a") as settings:
            settings.write(f"[import]\nitem_types = {list(ITEM_TYPES)}\n")
        _measure(bench, "all is new", rules=options.rules)
        blockers = [finding.id for finding in steps.audit(bench.site).findings if finding.severity == "blocker"]
        steps.accept(bench.site, dict.fromkeys(blockers, "measured, not used"))
        steps.make_plan(bench.site)
        steps.import_(bench.site, "", replan=False, progress=lambda *_: None)
        _measure(bench, "all is there", rules=options.rules)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def _measure(bench: Bench, title: str, *, rules: bool) -> None:
    site = bench.site
    with site.intuit() as intuit, site.miracle() as miracle:
        company, books = read.company(intuit, ITEM_TYPES), read.books(miracle)
    records = sum(len(rows) for rows in company.records.values())
    began, used = time.monotonic(), time.process_time()
    sides = audit.Sides(company, books, match.match(company, books))
    matched = time.monotonic() - began
    findings = audit.audit(sides, site.store.accepted())
    site.store.save_reading("audit", company.read_at, findings)
    seconds, used = time.monotonic() - began, time.process_time() - used
    print(f"{title}: {records} records, {len(findings)} findings: {seconds:.2f} s beyond the reading")
    print(
        f"  {used:.2f} s of this process; {matched:.2f} s to match, {seconds - matched:.2f} s for {len(RULES)} rules", flush=True
    )
    if rules:
        _say_slowest(sides)


def _say_slowest(sides: audit.Sides) -> None:
    taken = []
    with sides.in_memory():
        for rule in RULES:
            began = time.monotonic()
            found = sum(1 for _ in rule.check(sides))
            taken.append((time.monotonic() - began, rule.id, found))
    for seconds, rule_id, found in sorted(taken, reverse=True)[:SLOWEST]:
        print(f"  {rule_id} {seconds:6.3f} s, {found} findings")
