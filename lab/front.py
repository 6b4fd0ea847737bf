"""What `./kit` does once its virtual environment stands: demo, test, lint, lab, bench, docs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

USAGE = """usage: ./kit COMMAND [ARGUMENTS]

  demo [--keep] [--data-half] take one company through the whole switch, on real parts
  test [PYTEST ARGUMENTS]     every test; says what ran and what was skipped, and why
  lab up|down|status|restart  the internet in a box: a router, an edge host, an outside world; needs root
  lab shell HOST              a root shell on one of its hosts
  site check [INVENTORY ...]  hold every name in the sites' files against the names that the kit knows
  lint                        ansible-lint, ruff, mypy and the import contracts
  bench intuit [--million]    measure reading a large company, beside another client
  bench import                measure importing it
  bench audit [--rules]       measure the audit beyond the reading; name the slowest rules
  bench kills|refresh_kills   disturb imports, and renewals of the connection, again and again
  bench machine               any order of edits, imports, interruptions and undos, on a database of your choice
  bench year                  a year in the life of the certificate; writes docs/year.md
  bench grade                 the grade that testssl.sh gives the secure address; fetches that program
  bench faults                meet every fault of Intuit at every request; writes docs/faults.md
  bench disturbed [CASES]     disturb and kill readings in every way
  bench pace [--minutes N]    read at Intuit's limits for so long, never above them
  bench pages                 how fast the Intuit look-alike itself is
  bench visitors              how long a callback waits while others block the door
  bench provision             measure a site's first and second run, task by task
  docs                        write the generated parts of docs/ anew
"""


def run(*command: str) -> int:
    """Run a program in the checkout's folder and return its exit status."""
    return subprocess.run(command, cwd=TOP, check=False).returncode


def test(arguments: list[str]) -> int:
    """All tests, or those named. The lab's, of which a machine has one, run one after the other; the rest runs beside them."""
    pytest = (sys.executable, "-m", "pytest")
    if arguments:
        return run(*pytest, *arguments)
    with tempfile.TemporaryFile() as output:
        lab = subprocess.Popen((*pytest, "-m", "lab", "--durations=15"), cwd=TOP, stdout=output, stderr=subprocess.STDOUT)
        rest = run(*pytest, "-n", "2", "-m", "not lab")
        print("test: the rest has run; waiting for the lab's own tests", flush=True)
        code = lab.wait()
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    return rest or code


def lint(arguments: list[str]) -> int:
    """Every static check; all of them run even when one fails, so that one round shows everything."""
    checks = [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
        ("ansible-lint", "--offline", "--strict"),
    ]
    failed = [" ".join(check) for check in checks if run(*check) != 0]
    print("lint: " + (f"failed: {', '.join(failed)}" if failed else "all checks passed"))
    return 1 if failed else 0


BENCHES = {
    "intuit": "tests.bench.intuit",
    "refresh_kills": "tests.bench.refresh_kills",
    "disturbed": "tests.bench.disturbed",
    "faults": "tests.bench.faults",
    "pages": "tests.bench.pages",
    "visitors": "tests.bench.visitors",
    "pace": "tests.bench.pace",
    "import": "tests.bench.importing",
    "audit": "tests.bench.auditing",
    "year": "tests.bench.year",
    "grade": "tests.bench.grade",
    "kills": "tests.bench.kills",
    "machine": "tests.bench.machine",
    "provision": "tests.bench.provision",
}


def bench(arguments: list[str]) -> int:
    """One measurement, by name."""
    if not arguments or arguments[0] not in BENCHES:
        sys.stderr.write(f"usage: ./kit bench {'|'.join(BENCHES)} [SIZES]\n")
        return 2
    return int(importlib.import_module(BENCHES[arguments[0]]).main(arguments[1:]))


def lab(arguments: list[str]) -> int:
    """The internet in a box."""
    from lab.world import cli

    return cli.main(arguments)


def site(arguments: list[str]) -> int:
    """A site's files."""
    from lab import sites

    return sites.main(arguments)


def demo(arguments: list[str]) -> int:
    """The main job."""
    from lab import demo as story

    return story.main(arguments)


def docs(arguments: list[str]) -> int:
    """The generated parts of the documentation."""
    from lab import documents

    return documents.main(arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": demo,
    "test": test,
    "lint": lint,
    "bench": bench,
    "lab": lab,
    "site": site,
    "docs": docs,
}


def main(arguments: list[str]) -> int:
    """Run one command; exit code 2 for a wrong call."""
    if not arguments or arguments[0] not in COMMANDS:
        sys.stderr.write(USAGE)
        return 0 if arguments[:1] in (["help"], ["--help"], ["-h"]) else 2
    os.environ.setdefault("ANSIBLE_CONFIG", str(TOP / "ansible.cfg"))
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
