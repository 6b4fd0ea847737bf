"""Programs that look at a host from the host itself: the roles send one there in a round trip, and read what it answers.

Each is one file of the standard library for Python 3.9. What is asked comes as JSON on standard input, what was seen goes as JSON
to standard output; ``look`` is the same for whoever imports it. Nothing of them lasts: the challenge that :mod:`.host` tries lies
on the disk while it is fetched, and the process that :mod:`.listen` starts ends by itself.
"""
