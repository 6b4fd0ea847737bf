"""How long an answer from Intuit waits while others block the door: `./kit bench visitors [CALLBACKS]`.

Five hundred visitors begin a request and never end it (attack A8). Wanted: 99 of 100 callbacks are answered within a second.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import requests

from tests.unit.web.web_site import Site, running_site, slow_visitors

SLOW = 500
WITHIN_S = 1.0


def main(arguments: list[str]) -> int:
    """Print how long callbacks took, undisturbed and beside the slow visitors; exit code 1 when they took too long."""
    callbacks = int(arguments[0]) if arguments else 1000
    with tempfile.TemporaryDirectory(prefix="qbo-kit-bench-") as folder, running_site(Path(folder)) as site:
        _say("alone", _taken(site, callbacks))
        with slow_visitors(site, SLOW):
            worst = _say(f"beside {SLOW} slow visitors", _taken(site, callbacks))
    return int(worst >= WITHIN_S)


def _taken(site: Site, callbacks: int) -> list[float]:
    """Seconds that each callback took, one after the other, each over a connection of its own."""
    taken = []
    for _ in range(callbacks):
        began = time.perf_counter()
        answer = requests.get(f"{site.base}/qbo/callback?code=1", timeout=30)
        taken.append(time.perf_counter() - began)
        if answer.status_code != 400:
            raise SystemExit(f"a callback without a state was answered {answer.status_code}")
    return taken


def _say(name: str, taken: list[float]) -> float:
    shares = statistics.quantiles(taken, n=100)
    print(
        f"{name}: {len(taken)} callbacks, median {1000 * shares[49]:.1f} ms, p99 {1000 * shares[98]:.1f} ms, "
        f"longest {1000 * max(taken):.1f} ms"
    )
    return shares[98]
