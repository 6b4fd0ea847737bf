"""A look-alike of Intuit: OAuth 2.0, the QuickBooks Online accounting API and an admin interface under ``/lab/``.

It is held to recorded answers and documented behaviour only; it knows nothing of the client that the kit ships. What is
recorded, documented or guessed is listed in ``docs/lookalike-intuit.md``.
"""
