"""``./kit lab up|down|status|restart HOST|shell HOST``."""

from __future__ import annotations

import subprocess
import sys

from lab.world import keys, services, world
from lab.world.access import Lab
from qbo_sync.errors import KitError

USAGE = """usage: ./kit lab COMMAND

  up            bring the lab up, from whatever state the machine is in
  down          take it down and leave nothing behind; with --force also one that another checkout has running
  status        what is there, where, and whether it answers
  restart HOST  switch off, without a warning, and on again: edge or router
  shell HOST    a root shell on: edge, router or observer
"""

# People may use the inventory's names too.
ALIASES = {"lab": "edge", "lab-router": "router", "lab-observer": "observer"}


def status() -> int:
    """Print every host and service; exit status 0 when all answer, 3 when something does not, 1 when there is no lab."""
    state = world.load_state()
    if state is None:
        print("lab: down")
        return 1
    ready = {service.name: service.ready() for service in services.everything()}
    for service in services.everything():
        print(f"{'up' if ready[service.name] else 'DOWN':<5} {service.name:<11} {service.address:<44} {service.what}")
    print(f"lab: {'up' if state.complete else 'started but not complete'}, from {state.checkout}")
    return 0 if all(ready.values()) and state.complete else 3


def shell(name: str) -> int:
    """Open a shell on a host of the lab."""
    host = ALIASES.get(name, name)
    if host not in keys.SSH_HOSTS:
        sys.stderr.write(USAGE)
        return 2
    return subprocess.call(Lab().command(host))


def main(arguments: list[str]) -> int:
    """Run one command; the exit status is that of the error's own kind."""
    try:
        match arguments:
            case ["up"]:
                world.up()
            case ["down"]:
                world.down()
            case ["down", "--force"]:
                world.down(force=True)
            case ["status"]:
                return status()
            case ["restart", name]:
                world.restart(ALIASES.get(name, name))
            case ["shell", name]:
                return shell(name)
            case _:
                sys.stderr.write(USAGE)
                return 2
    except KitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0
