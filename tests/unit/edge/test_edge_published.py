"""The whole way of a record: provider, API, dynamic update signed with TSIG, name server, and every server asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_dns_server import DnsServer
from edge_lab import KEY, ZONE, Lab, write_secret

from lab.cloudflare.process import running
from qbo_sync.edge import authoritative, dns
from qbo_sync.errors import Unreachable

NAME = f"qbo.{ZONE}"


def named_conf(key: tuple[str, str]) -> str:
    return f'key "{key[0]}" {{\n\talgorithm hmac-sha256;\n\tsecret "{key[1]}";\n}};\n'


@pytest.fixture(params=["named.conf", "name:secret", "algorithm:name:secret"])
def key_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    forms = {
        "named.conf": named_conf(KEY),
        "name:secret": ":".join(KEY),
        "algorithm:name:secret": ":".join(["hmac-sha256", *KEY]),
    }
    return write_secret(tmp_path / "key", forms[request.param])


@pytest.fixture
def published(name_server: DnsServer, key_file: Path) -> Iterator[Lab]:
    with running("--zone", ZONE, "--token", "good", "--nameserver", name_server.at, "--tsig-key", str(key_file)) as base:
        yield Lab(base)


def addresses(server: DnsServer, name: str = NAME) -> tuple[str, ...]:
    (answer,) = authoritative.answers(authoritative.servers(ZONE, nameservers=[server.at]), name)
    return answer.addresses or ((answer.problem,) if answer.problem else ())


def test_a_record_reaches_the_name_server_and_leaves_it(published: Lab, name_server: DnsServer, token_file: Path) -> None:
    provider = dns.provider("cloudflare", token_file=token_file, api_url=published.api)
    servers = authoritative.servers(ZONE, nameservers=[name_server.at])
    wanted = {"name": NAME, "zone": ZONE, "site": "lab"}
    dns.present(provider, address="11.22.33.10", **wanted)
    authoritative.wait(NAME, "11.22.33.10", servers, ttl=3600, timeout_s=5)
    dns.present(provider, address="11.22.33.11", **wanted)
    authoritative.wait(NAME, "11.22.33.11", servers, ttl=3600, timeout_s=5)
    dns.absent(provider, **wanted)
    authoritative.wait(NAME, None, servers, timeout_s=5)
    assert published.admin("stats")["dns_updates"] == 3


def test_a_cname_makes_room_for_the_address(published: Lab, name_server: DnsServer, token_file: Path) -> None:
    published.put(type="CNAME", content="elsewhere.example")
    assert addresses(name_server) == ("is a CNAME to elsewhere.example",)
    provider = dns.provider("cloudflare", token_file=token_file, api_url=published.api)
    dns.present(provider, name=NAME, zone=ZONE, address="11.22.33.10", site="lab", adopt=True)
    assert addresses(name_server) == ("11.22.33.10",)


def test_records_of_one_name_are_published_together(published: Lab, name_server: DnsServer) -> None:
    published.put(content="11.22.33.1")
    second = published.put(content="11.22.33.2")
    published.put(name=f"www.{ZONE}", content="11.22.33.3", proxied=True)
    assert addresses(name_server) == ("11.22.33.1", "11.22.33.2")
    assert all(address.startswith("104.16.") for address in addresses(name_server, f"www.{ZONE}"))
    published.call("DELETE", f"{published.path}/{second['id']}")
    assert addresses(name_server) == ("11.22.33.1",)
    published.admin("reset")
    assert addresses(name_server) == ()
    assert addresses(name_server, f"ns1.{ZONE}") == ("127.0.0.1",)


def test_a_text_longer_than_one_string(published: Lab, name_server: DnsServer) -> None:
    published.put(type="TXT", content='key="' + "x" * 300 + '\\"')
    (server,) = authoritative.servers(ZONE, nameservers=[name_server.at])
    (rdata,) = authoritative.ask(server, NAME, "TXT").answer[0]
    assert b"".join(rdata.strings).decode() == 'key="' + "x" * 300 + '\\"'


def test_a_wrong_key_changes_nothing(name_server: DnsServer, tmp_path: Path, token_file: Path) -> None:
    wrong = write_secret(tmp_path / "key", named_conf((KEY[0], "d3JvbmctLXdyb25nLS13cm9uZy0td3JvbmctLXdyb25n")))
    with running("--zone", ZONE, "--token", "good", "--nameserver", name_server.at, "--tsig-key", str(wrong)) as base:
        lab = Lab(base)
        provider = dns.provider("cloudflare", token_file=token_file, api_url=lab.api)
        with pytest.raises(Unreachable) as trouble:
            dns.present(provider, name=NAME, zone=ZONE, address="11.22.33.10", site="lab")
        assert "name server" in trouble.value.seen
        assert lab.records() == []
    assert addresses(name_server) == ()


def test_a_file_without_a_key_is_a_wrong_call(tmp_path: Path) -> None:
    nothing = write_secret(tmp_path / "key", 'key "half" { secret "abc"; };\nand more')
    with (
        pytest.raises(RuntimeError, match="holds no TSIG key") as refusal,
        running("--token", "t", "--nameserver", "127.0.0.1", "--tsig-key", str(nothing)),
    ):
        pass
    assert "abc" not in str(refusal.value)
