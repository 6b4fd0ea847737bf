"""Which test builds the fault of each preflight check, and with what: the table in ``docs/checks.md``."""

from __future__ import annotations

_EDGE = "tests/unit/edge/test_edge_preflight"
_CHECKS, _HOST, _DNSSEC, _CA = f"{_EDGE}.py", f"{_EDGE}_host.py", f"{_EDGE}_dnssec.py", f"{_EDGE}_outside.py"
_ROUTERS = "tests/unit/edge/test_edge_router_contract.py"
_LAB = "tests/lab/test_preflight.py"

# Check: the fault, the real parts it was built with, the file, its test functions.
TESTS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "P01": ("names that cannot be", "nothing but the name", _CHECKS, ("test_names",)),
    "P02": (
        "a parent that delegates elsewhere",
        "name servers on port 53 of a namespace",
        _CHECKS,
        ("test_the_parent_zone_and_the_zone_itself",),
    ),
    "P03": (
        "a second name server that is silent, or says something else",
        "the lab's BIND; name servers on loopback",
        _LAB,
        ("test_every_fault_at_once_is_seen_and_nothing_is_changed",),
    ),
    "P04": (
        "a zone that is pending, or delegated elsewhere",
        "the Cloudflare look-alike",
        _CHECKS,
        ("test_a_zone_that_is_not_at_this_provider_yet",),
    ),
    "P05": (
        "somebody else's A, CNAME, wildcard",
        "the lab's BIND; name servers on loopback",
        _CHECKS,
        ("test_what_stands_at_the_name",),
    ),
    "P06": (
        "signatures that ended, another key, no key",
        "BIND as parent, zone and checking resolver",
        _DNSSEC,
        ("test_p06_signatures",),
    ),
    "P07": (
        "CAA of another CA, another method, another account",
        "the lab's BIND; name servers on loopback",
        _CHECKS,
        ("test_the_closest_caa_set_counts", "test_caa_sets"),
    ),
    "P08": ("a stray AAAA", "the lab's BIND", _LAB, ("test_every_fault_at_once_is_seen_and_nothing_is_changed",)),
    "P09": ("private, reserved and carrier-grade addresses", "nothing but the address", _CHECKS, ("test_external_addresses",)),
    "P10": (
        "a router with another address, or none of its own",
        "a router of each make, real or a stand-in, in namespaces",
        _ROUTERS,
        ("test_a_forward_of_somebody_else_is_kept_unless_its_place_is_asked_for",),
    ),
    "P11": (
        "carrier-grade NAT, a second private router",
        "routers in namespaces; the lab's router",
        _HOST,
        ("test_p11_a_second_router_on_the_way_out",),
    ),
    "P12": ("a proxied record", "the Cloudflare look-alike", _CHECKS, ("test_a_proxied_record",)),
    "P13": ("another TTL", "the lab's BIND", _LAB, ("test_every_fault_at_once_is_seen_and_nothing_is_changed",)),
    "P14": (
        "another program on port 80; a challenge answered by somebody else; the edge host's own firewall",
        "the lab's edge host and nginx",
        _LAB,
        (
            "test_every_fault_at_once_is_seen_and_nothing_is_changed",
            "test_a_redirected_challenge_and_a_forward_to_the_windows_server_are_seen",
        ),
    ),
    "P15": (
        "challenges redirected, seven ways",
        "the lab's nginx, seen by its observer; a web server in a namespace",
        _HOST,
        ("test_p15_redirects",),
    ),
    "P16": (
        "no rule, and one that leads to the Windows server, with and without take-over",
        "nftables on the lab's router",
        _LAB,
        (
            "test_every_fault_at_once_is_seen_and_nothing_is_changed",
            "test_what_a_later_step_sets_right_stops_nothing",
            "test_a_redirected_challenge_and_a_forward_to_the_windows_server_are_seen",
        ),
    ),
    "P17": (
        "a router without hairpin",
        "nftables on the lab's router",
        _LAB,
        ("test_what_a_later_step_sets_right_stops_nothing",),
    ),
    "P18": (
        "nobody on port 80; a name the CA refuses; CAA, DNS and limits",
        "Pebble; a shim for what Pebble does not judge",
        _CA,
        ("test_p18_nobody_answers", "test_p18_a_name_that_the_ca_refuses", "test_p18_what_pebble_does_not_judge_by_a_shim"),
    ),
    "P19": (
        "port 443 not forwarded, or to another machine",
        "the lab's router and observer",
        _LAB,
        ("test_what_a_later_step_sets_right_stops_nothing",),
    ),
    "P20": (
        "a clock that is off",
        "a CA with a moved `Date` header, which is a shim: the lab has one clock",
        _CHECKS,
        ("test_clocks",),
    ),
    "P21": (
        "a CA that is not there, or is none",
        "a port where nobody listens; a web server on loopback",
        _CHECKS,
        ("test_a_ca_that_cannot_be_reached", "test_what_is_no_directory"),
    ),
    "P22": (
        "four failures in an hour",
        "the record on the lab's edge host",
        _LAB,
        ("test_every_fault_at_once_is_seen_and_nothing_is_changed",),
    ),
    "P23": (
        "certificates that are valid, have ended, or are for other names",
        "certificates read by openssl",
        _HOST,
        ("test_p23_a_certificate_that_is_there",),
    ),
    "P24": (
        "tokens that read only, see another zone, or are unknown",
        "the Cloudflare look-alike",
        _CHECKS,
        ("test_the_tokens_rights",),
    ),
    "P25": (
        "HSTS of the company's web site",
        "a web server of the lab's internet",
        _LAB,
        ("test_every_fault_at_once_is_seen_and_nothing_is_changed",),
    ),
    "H01": ("too little room", "the disk of this machine", _HOST, ("test_h01_too_little_room_is_fatal",)),
}
