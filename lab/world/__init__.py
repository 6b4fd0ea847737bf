"""The internet in a box on one Debian machine: a router, an edge host, an outside world and what lives in it."""
