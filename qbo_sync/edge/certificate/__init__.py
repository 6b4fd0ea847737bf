"""The edge host's own program for its certificate: order it, lay it where nginx reads it, watch it, tell people.

It travels to the edge host as one file (``qbo-kit-certificate``, see ``roles/certificate/action_plugins/certificate_program.py``)
and runs there with the host's own Python: standard library only, and of this package only :mod:`qbo_sync.errors` and
:mod:`qbo_sync.edge.budget`.

    ``settings``   what the role wrote for it, read once and checked
    ``problems``   an ACME problem in words: what it means, what to do, whether another CA would help
    ``certbot``    one call of certbot
    ``order``      rehearsal, budget, the CAs in their order
    ``stable``     the stable path, nginx's reload, the certificate that is served
    ``record``     the state file that monitoring reads
    ``alerts``     e-mail and webhook
    ``watch``      what the timer runs: renew, serve, see, tell
    ``pfx``        the certificate as a PFX file, for IIS
    ``__main__``   the command
"""
