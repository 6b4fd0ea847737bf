"""What can be seen on a host: on the edge host itself, and of it from the outside. Facts only; the checks judge them.

Builtin types in and out. Nothing is changed; only :func:`challenge` lays a file of a random name where challenges go, for as
long as it fetches it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import http.client
import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

CHALLENGES = "/.well-known/acme-challenge/"
TIMEOUT_S = 5.0
LISTEN = "0A"
# What Boulder, the CA's own program, follows (va/http.go).
REDIRECTS, REDIRECT_PORTS = 10, (80, 443)
_IP_RECVERR, _TTL_EXCEEDED, _UNREACHABLE = 11, 11, 3


def listeners(port: int) -> set[str]:
    """The inodes of the sockets that listen on a TCP port, for IPv4 and IPv6."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def owners(port: int) -> list[str]:
    """The names of the programs that listen on a port; ``?`` for one that only root may look at."""
    inodes = listeners(port)
    wanted = {f"socket:[{inode}]" for inode in inodes}
    names = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(entry.readlink()) in wanted for entry in (process / "fd").iterdir()):
                names.add((process / "comm").read_text(encoding="utf-8").strip())
        except OSError:
            continue  # It ended meanwhile, or may not be looked at.
    return sorted(names) or (["?"] if inodes else [])


def room(folder: str) -> int:
    """Free space in MiB."""
    return shutil.disk_usage(folder).free // (1 << 20)


def own_addresses() -> list[dict[str, Any]]:
    """The host's IPv4 addresses beyond loopback, the network interface of each, and whether DHCP gave it."""
    listed = json.loads(_output("ip", "-json", "-4", "address", "show") or "[]")
    infos = [(link["ifname"], info) for link in listed for info in link.get("addr_info", ()) if info.get("scope") == "global"]
    return [{"address": info["local"], "card": card, "dynamic": bool(info.get("dynamic"))} for card, info in infos]


def get(url: str, connect_to: str = "", timeout: float = TIMEOUT_S, port: int = 0) -> dict[str, Any]:
    """One GET without following: ``status``, ``location``, ``server``, ``hsts``, ``body``; or ``problem``.

    A certificate isn't checked, as the CA doesn't check one behind a redirect. ``connect_to`` and ``port`` replace the address.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    to = (connect_to or host, port or parts.port or (443 if secure else 80))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with _connect(to, timeout, host if secure else "") as channel:
            channel.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: qbo-kit\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(channel)
            answer.begin()
            body = answer.read(4096).decode("utf-8", "replace")
            answer.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"problem": _words(error)}
    headers = {name: answer.getheader(header) or "" for name, header in _HEADERS.items()}
    return {"status": answer.status, "body": body, **headers}


_HEADERS = {"location": "Location", "server": "Server", "hsts": "Strict-Transport-Security"}


def _connect(to: tuple[str, int], timeout: float, secure: str = "") -> socket.socket:
    """A connection; with TLS for the name ``secure`` when there is one, whatever certificate is shown."""
    raw = socket.create_connection(to, timeout=timeout)
    if not secure:
        return raw
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(raw, server_hostname=secure)
    except BaseException:
        raw.close()
        raise


def _words(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def tls(address: str, name: str, port: int = 443, timeout: float = TIMEOUT_S) -> dict[str, Any]:
    """The certificate shown for a name, and ``sha256`` of it; or ``problem``."""
    try:
        with _connect((address, port), timeout, name) as channel:
            shown = channel.getpeercert(binary_form=True) or b""  # type: ignore[attr-defined]
    except (OSError, ValueError) as error:
        return {"problem": _words(error)}
    return {"sha256": hashlib.sha256(shown).hexdigest(), "pem": ssl.DER_cert_to_PEM_cert(shown)}


def challenge(fqdn: str, addresses: list[str], webroot: str, port: int = 80) -> dict[str, dict[str, Any]]:
    """For each address of this host whether a challenge laid into ``webroot`` is answered with just its content."""
    folder, token, content = Path(webroot) / CHALLENGES.strip("/"), f"qbo-kit-{secrets.token_hex(8)}", secrets.token_hex(16)
    if not folder.is_dir():
        return {}
    path = folder / token
    if not os.access(folder, os.W_OK):
        return {}
    path.write_text(content, encoding="ascii")
    path.chmod(0o644)
    try:
        found = {address: get(f"http://{fqdn}{CHALLENGES}{token}", address, port=port) for address in addresses}
    finally:
        path.unlink()
    return {address: {**answer, "body": "", "right": answer.get("body") == content} for address, answer in found.items()}


def follow(url: str, connect_to: str, timeout: float = TIMEOUT_S) -> dict[str, Any]:
    """Fetch as Boulder does: ``trail`` of addresses with their status, and ``problem`` where it would give up.

    The first host is looked for at ``connect_to``; another one at the address that its name has.
    """
    first = urlsplit(url).hostname
    trail: list[dict[str, Any]] = []
    for _ in range(REDIRECTS + 1):
        problem = _refused(url) if trail else ""
        if problem:
            return {"trail": trail, "problem": problem}
        answer = get(url, connect_to if urlsplit(url).hostname == first else "", timeout)
        if "problem" in answer:
            return {"trail": trail, "problem": f"{url}: {answer['problem']}"}
        trail.append({"url": url, "status": answer["status"], "server": answer["server"]})
        if answer["status"] not in (301, 302, 303, 307, 308) or not answer["location"]:
            return {"trail": trail, "problem": ""}
        url = urljoin(url, answer["location"])
    return {"trail": trail, "problem": f"more than {REDIRECTS} redirects"}


def _refused(url: str) -> str:
    """Why the CA wouldn't follow a redirect to this address, or an empty text."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        return f"{url}: {error}"
    if parts.scheme not in ("http", "https"):
        return f"{url}: the CA follows http and https only"
    if port not in REDIRECT_PORTS:
        return f"{url}: the CA follows to the ports 80 and 443 only"
    if host.endswith(".well-known"):
        return f"{url}: a slash is missing behind the name"
    if _is_address(host):
        return f"{url}: the CA follows to names only"
    return f"{url}: that is no public name" if "." not in host else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def hops(target: str, most: int = 4, timeout: float = 1.0) -> list[str]:
    """The routers on the way to ``target``, nearest first, by small UDP packets that die early; an empty text for a silent one.

    Needs no rights: Linux hands the routers' ICMP answers to the socket that provoked them (``IP_RECVERR``, ip(7)).
    """
    found = []
    for distance in range(1, most + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, distance)
            probe.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            try:
                probe.connect((target, 33434 + distance))
                probe.send(b"")
            except OSError:
                break
            said = _icmp(probe, time.monotonic() + timeout)
        if said and said[0] == _UNREACHABLE:
            break
        found.append(said[1] if said else "")
    return found


def _icmp(probe: socket.socket, deadline: float) -> tuple[int, str] | None:
    """The ICMP type and the sender that answered the probe; ``struct sock_extended_err`` and the sender's address."""
    while time.monotonic() < deadline:
        try:
            _, ancillary, _, _ = probe.recvmsg(512, 512, socket.MSG_ERRQUEUE)
        except OSError:
            time.sleep(0.01)
            continue
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_RECVERR) and len(data) >= 24:
                _, origin, icmp_type = struct.unpack_from("=IBB", data)
                if origin == 2:
                    return icmp_type, socket.inet_ntoa(data[20:24])
    return None


def certificate(pem: str) -> dict[str, Any]:
    """Names and days left of a certificate that somebody else signed; empty when there is none."""
    asked = ("-noout", "-enddate", "-subject", "-issuer", "-ext", "subjectAltName")
    shown = _output("openssl", "x509", *asked, text=pem) if pem else ""
    found = dict(re.findall(r"^(notAfter|subject|issuer)=(.+)$", shown, re.MULTILINE))
    if not found or found.get("subject", "") == found.get("issuer", "-"):
        return {}
    left = ssl.cert_time_to_seconds(found["notAfter"]) - time.time()
    return {"names": sorted(re.findall(r"DNS:([^\s,]+)", shown)), "days_left": int(left // 86400)}


def authenticator(renewal: str) -> str:
    """How certbot proved the name when it ordered the lineage, by the text of its renewal file; empty when that is not known."""
    found = re.search(r"^authenticator\s*=\s*(\S+)", renewal, re.MULTILINE)
    return found[1] if found else ""


def server(renewal: str) -> str:
    """The ACME directory that certbot ordered the lineage from, by the text of its renewal file; empty when there is none."""
    found = re.search(r"^server\s*=\s*(\S+)", renewal, re.MULTILINE)
    return found[1] if found else ""


def accounts(folder: str) -> list[str]:
    """The addresses of the ACME accounts that certbot keeps on this host."""
    found = []
    for path in Path(folder).glob("accounts/**/regr.json"):
        try:
            found.append(str(json.loads(path.read_text(encoding="utf-8"))["uri"]))
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found)


def seen_address(echo_url: str, timeout: float = TIMEOUT_S) -> str:
    """The address that this host goes out with, as a server that tells it has seen it; empty when it doesn't answer."""
    try:
        with urllib.request.urlopen(echo_url, timeout=timeout) as answer:  # noqa: S310 (the site's own choice)
            return str(ipaddress.ip_address(answer.read(64).decode("ascii", "replace").strip()))
    except (OSError, ValueError, http.client.HTTPException):
        return ""


def text(path: str) -> str:
    """A small file's text; empty when there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _output(*command: str, text: str = "") -> str:
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30).stdout.strip()
    except OSError:
        return ""


# A rule of `ufw status verbose` for what comes in over IPv4 from everybody: what it is for, and what is done. One for IPv6 has
# "(v6)" behind the sender.
_UFW_RULE = re.compile(r"^(.+?) +(ALLOW|LIMIT|DENY|REJECT) IN +Anywhere(?:/tcp)?(?: +\(log\S*\))?(?: +#.*)? *$", re.MULTILINE)
# "443/tcp (WWW Secure) on eth0", "10.0.0.0/24 80,443/tcp", "Anywhere": addresses, ports, an application, an interface.
_UFW_TO = re.compile(
    r"(?:Anywhere|(?P<net>\d+\.[\d.]+(?:/\d+)?))? ?(?P<ports>[\d:,]+)?(?:/(?P<proto>\w+))?(?: \(.*\))?(?: on (?P<card>\S+))?"
)


def ufw(ports: list[int], lan_address: str, card: str) -> list[int] | None:
    """Which of the ports Ubuntu's firewall lets everybody reach at the address; None where it is off, or not to be asked.

    ``card`` is the network interface that has the address: a rule for another one is of no use. As in ufw the first rule counts.
    """
    said = _output("env", "LC_ALL=C", "ufw", "status", "verbose")
    if "Status: active" not in said:
        return None
    usual = "ALLOW" if "allow (incoming)" in said else "DENY"
    rules = [(_ufw_ports(to, lan_address, card), action) for to, action in _UFW_RULE.findall(said)]
    done = {port: next((action for spans, action in rules if any(port in span for span in spans)), usual) for port in ports}
    return [port for port, action in done.items() if action in ("ALLOW", "LIMIT")]


def _ufw_ports(to: str, lan_address: str, card: str) -> list[range]:
    """The TCP ports of the address behind the first column of ``ufw status``."""
    found = _UFW_TO.fullmatch(to)
    if not found or found["proto"] not in (None, "tcp"):
        return []
    if found["card"] and not fnmatch.fnmatchcase(card, found["card"].replace("+", "*")):
        return []
    if found["net"] and not _lies_in(lan_address, found["net"]):
        return []
    spans = re.findall(r"(\d+)(?::(\d+))?", found["ports"] or "0:65535")
    return [range(int(first), int(last or first) + 1) for first, last in spans]


def _lies_in(address: str, net: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(net, strict=False)
    except ValueError:
        return False


def on_host(asked: dict[str, Any]) -> dict[str, Any]:
    """All facts of the edge host, for the options of the role's action ``preflight_host`` but ``now``."""
    renewal = text(f"{asked['letsencrypt']}/renewal/{asked['fqdn']}.conf")
    fqdn, ours = asked["fqdn"], {str(port): owners(port) for port in (80, 443)}
    if os.geteuid() != 0:  # Only root sees whose sockets they are; nginx says so itself.
        ours = {port: _named(port, fqdn) if programs == ["?"] else programs for port, programs in ours.items()}
    own, lan_address = own_addresses(), asked["lan_address"]
    card = next((one["card"] for one in own if one["address"] == lan_address), "")
    facts: dict[str, Any] = {
        "now": time.time(),
        "ports": ours,
        "ufw": ufw(asked["ports"], lan_address, card),
        "room": {folder: room(folder) for folder in asked["folders"]},
        "addresses": own,
        "hops": hops(asked["way_to"]) if asked["way_to"] else [],
        "seen_address": seen_address(asked["echo_url"]) if asked["echo_url"] else "",
        "certificate": certificate(text(f"{asked['letsencrypt']}/live/{fqdn}/fullchain.pem")),
        "authenticator": authenticator(renewal),
        "server": server(renewal) if renewal or os.geteuid() == 0 else None,  # None: only root may know
        "accounts": accounts(asked["letsencrypt"]),
        "budget": text(asked["budget"]),
        "challenges": {},
        "shown": {},
        "hairpin": {},
    }
    if ours["80"]:
        facts["challenges"] = challenge(fqdn, ["127.0.0.1", lan_address], asked["webroot"])
    if ours["443"]:
        facts["shown"] = tls("127.0.0.1", fqdn)
        facts["hairpin"] = tls(asked["address"], fqdn)
        facts["certificate"] = facts["certificate"] or certificate(facts["shown"].get("pem", ""))
    return facts


def _named(port: str, fqdn: str) -> list[str]:
    """The program that names itself in an answer."""
    server = get(f"{'https' if port == '443' else 'http'}://{fqdn}/", "127.0.0.1").get("server", "")
    return ["nginx"] if server.startswith("nginx") else ["?"]


def from_outside(asked: dict[str, Any]) -> dict[str, Any]:
    """All facts from the observer. ``asked``: fqdn, address, above (the domains above the name)."""
    token = f"{CHALLENGES}qbo-kit-{secrets.token_hex(8)}"
    return {
        "http": follow(f"http://{asked['fqdn']}{token}", asked["address"]),
        "tls": tls(asked["address"], asked["fqdn"]),
        "hsts": {domain: get(f"https://{domain}/").get("hsts", "") for domain in asked["above"]},
    }


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(from_outside(given) if given["outside"] else on_host(given), sys.stdout)
