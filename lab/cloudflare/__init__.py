"""A look-alike of Cloudflare's DNS API, optionally in front of a real name server.

Shapes and error codes are those of the recorded answers (facts/edge.md 4.1). What was never recorded, and is said from general
knowledge of the API: 9106 without credentials, 1000 for an unknown token to be verified, 9207 for a body that isn't JSON, 7000
beside 7003, 9006, 9021 and 9041 beside 1004, and that a name outside the zone is taken as relative to it.
"""
