"""The program on the edge host that asks the router by UPnP, PCP or NAT-PMP: they answer to the inside only.

::

    qbo-kit-forward < job.json                do a job (:mod:`qbo_sync.edge.router.job`)
    qbo-kit-forward --refresh MEMORY.json     for the timer: ask again for what the router forgot or will soon forget

It travels as this checkout's own wheel with miniupnpc, and nothing else.
"""

from __future__ import annotations

import sys

from qbo_sync.edge.router.job import ASKS, Job, perform, serve
from qbo_sync.edge.router.upnp import Memory, Upnp
from qbo_sync.errors import KitError


def main(arguments: list[str]) -> int:
    """Do a job, or refresh."""
    if arguments[:1] == ["--refresh"] and len(arguments) == 2:
        return refresh(arguments[1])
    return do()


def do() -> int:
    """Do the job on standard input, and keep it for the timer once it is done."""
    routers: list[Upnp] = []

    def make(job: Job) -> Upnp:
        routers.append(Upnp(job.settings))
        return routers[0]

    def keep(job: Job) -> None:
        if not job.check and job.state not in ASKS:
            routers[0].remember(job.dump() if job.state == "present" else None)

    return serve(make, keep)


def refresh(memory: str) -> int:
    """Do the remembered job again and renew old leases; exit status 1, with the reason for the journal, when that fails."""
    kept = Memory.load(memory).content.get("job")
    if not kept:
        print("nothing to refresh")
        return 0
    job = Job.load(kept)
    try:
        router = Upnp(job.settings)
        made = perform(job, router)
        renewed = router.renew(job.site)
    except KitError as error:
        error.site = job.site
        print(error, file=sys.stderr)
        return 1
    print("forwarded anew" if made["changed"] else f"renewed {', '.join(renewed)}" if renewed else "all is there")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
