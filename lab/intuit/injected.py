"""The faults that this look-alike can play, by name; :mod:`lab.intuit.front` plays them."""

from __future__ import annotations

from lab.injected import Rules

# What a request can get in place of its answer, and what can befall it besides.
NAMES = (
    "401", "403", "403_throttled", "429", "429_xml", "500", "502_html", "503_html", "504_empty",
    "200_fault", "200_html", "bad_gzip", "truncated", "closed", "wrong_content_type",
)  # fmt: skip
BESIDES = ("wrong_cluster", "slow_body", "moved", "doubled")
# For the slow body: so many seconds in all.
SLOW_S = 2.0
RULES = Rules(dict.fromkeys(NAMES + BESIDES, SLOW_S), ("entity",), amount="seconds", path="/v3/")
