"""The network side of a site: its A record, its router, and the diagnosis of both.

A library without settings of its own: names, addresses and file names come as arguments, secrets as the names of files. The
roles' action plugins and ``qbo-sync doctor`` call it. Everything refuses before it changes anything, with a
:class:`~qbo_sync.errors.KitError` that says what failed, what was seen and what to do next.

Entry points
    ``dns.provider(name, **dns.Settings)``
        the DNS provider: ``cloudflare``, ``rfc2136``, ``lexicon``, or ``manual`` (a person; every change is a ``Waiting``).
    ``dns.present(provider, name=…, zone=…, address=…, site=…, ttl=3600, adopt=False, check=False)``
        the A record stands, is ours and is DNS-only; returns a ``dns.Outcome``. ``dns.absent(…)`` removes our own record only;
        ``provider.restore(zone, outcome.before)`` puts back what was there.
    ``authoritative.servers(zone, resolver=…, nameservers=…)``, ``authoritative.wait(name, address, servers, ttl=…, timeout_s=…)``
        find every authoritative server, and wait until each of them answers.
    ``preflight.run(preflight.Inputs(…))`` and ``preflight.checklist(…)``
        the checks before the switch, and the guide's Summary Checklist, as data.
    ``router.job.perform(router.job.Job(…), router.provider(name, router.Settings(…), run))``
        the forwarded ports on any make of router: planned, applied, proved, taken back when the router does not show them.
        ``router.over_ssh`` (through pyinfra) and ``router.on_edge`` (UPnP) do the same job elsewhere, as JSON.
    ``budget.left(budget.read(), directory, names, now=…)``; ``budget.failed(…)``, ``budget.issued(…)``, ``budget.refused(…)``
        what the CA's rate limits still allow, from a record on the edge host; asked before each order, told after it.
    ``state.result(…)``, ``state.waiting(error)``, ``state.record(path, site, step, result)``, ``state.read(path)``
        the last result of each step of each site, in ``store/state.json`` on the control node.

``router`` (but for its ``over_ssh``, ``routeros`` and ``upnp``), ``state``, ``budget`` and ``addresses`` need nothing but the
standard library and run anywhere. ``dns``'s provider,
``authoritative`` and ``preflight`` need the extra ``[control]`` (cloudflare, dns-lexicon, dnspython, publicsuffixlist).
"""
