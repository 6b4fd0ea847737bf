"""What an audit reads, read by the kit or by python-quickbooks in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from qbo_sync.intuit import query
from qbo_sync.switch.read import WANTED
from tests.bench.site import CLIENT, REALM, REDIRECT_URI, Bench

TOP = Path(__file__).resolve().parents[2]
PEER = f"python-quickbooks {version('python-quickbooks')}"


@dataclass(frozen=True)
class Reading:
    """What one reading took; ``used`` is what the look-alike counted meanwhile."""

    rows: int
    seconds: float
    peak_mb: float
    used: dict[str, int]


def measured(who: str, bench: Bench) -> Reading:
    """Let ``ours`` or the ``peer`` read the bench's company, alone in a new process."""
    grant = bench.post("token", {"realm": REALM})
    order = {
        "who": who,
        "settings": str(bench.folder / "bench.toml"),
        "wanted": dict(WANTED),
        "address": bench.address,
        "realm": REALM,
        "client": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "tokens": {name: grant[name] for name in ("access_token", "refresh_token")},
        "lists": [
            (entity, condition)
            for entity, active in WANTED.items()
            for condition in query.filters(entity, active)
            if entity not in query.SINGLE
        ],
        "page_rows": query.PAGE_ROWS,
    }
    before = bench.stats()
    command = [sys.executable, "-m", "tests.bench.readers"]
    done = subprocess.run(command, cwd=TOP, check=True, input=json.dumps(order), stdout=subprocess.PIPE, text=True)
    after = bench.stats()
    return Reading(**json.loads(done.stdout), used={name: after[name] - before[name] for name in before})
