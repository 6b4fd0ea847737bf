#!/usr/bin/python
"""Ask the CA for a certificate, after proving on the host that a challenge would be answered."""

from __future__ import annotations

import http.client
import re
import secrets
import subprocess
from pathlib import Path

DOCUMENTATION = """
module: certificate_issue
short_description: one certificate by HTTP-01 through certbot
description: Tries the webroot through nginx first, so that no order is spent on a host that cannot answer it.
options:
  name: {description: the only name in the certificate, and the name of the lineage, type: str, required: true}
  email: {description: "the account's address; may be empty", type: str, default: ""}
  server: {description: the ACME directory, type: str, required: true}
  webroot: {description: where nginx serves challenges from, type: path, required: true}
  certbot: {description: the program to call, type: path, required: true}
author: qbo-kit
"""

EXAMPLES = """
- certificate_issue:
    name: qbo.example.com
    email: it@example.com
    server: https://acme-v02.api.letsencrypt.org/directory
    webroot: /var/lib/qbo-kit/acme
    certbot: /usr/local/sbin/qbo-kit-certbot
"""

RETURN = """
problem: {description: "the CA's own problem type", type: str, returned: failure}
"""

# The problem types of RFC 8555 section 6.7 that a site meets, each with what it means here and what to do.
PROBLEMS = {
    "connection": (
        "the CA could not reach port 80 of this address from the internet",
        "check that the router forwards port 80 to the edge host, that the A record holds the site's external address, that no "
        "firewall stands in the way, and that the line is not behind the provider's own NAT",
    ),
    "dns": (
        "the CA could not look the name up",
        "check the A record at the DNS provider, a stray AAAA record, and DNSSEC; then wait out the old record's TTL",
    ),
    "unauthorized": (
        "something answered on port 80, but not this host's nginx",
        "check that the A record and the forward of port 80 lead to the edge host, not to the router's own page or the Windows "
        "server; delete an AAAA record that leads elsewhere",
    ),
    "caa": (
        "a CAA record forbids this CA to issue for the name",
        "add the CA to the zone's CAA records, or remove them",
    ),
    "rateLimited": (
        "the CA's limit for this name or account is used up",
        "wait until the time in the CA's answer; repeating before then only makes it longer",
    ),
    "rejectedIdentifier": (
        "the CA does not issue for this name at all",
        "check the spelling of the name; a name under .local or of a blocked list can have no public certificate",
    ),
    "accountDoesNotExist": (
        "the CA no longer knows the account kept on this host",
        "move /etc/letsencrypt/accounts aside, then run this again: a new account is made",
    ),
    "badNonce": ("the CA refused the request's one-time number", "run this again"),
    "serverInternal": ("the CA has a fault of its own", "look at the CA's status page and run this again later"),
}
UNKNOWN = ("the CA, or certbot, refused", "read /var/log/letsencrypt/letsencrypt.log on the host; its last lines say more")
DIRECTORY = (
    "the CA's directory could not be read from this host",
    "check the address in certificate_acme_directory, that the host reaches it (port 443, the clock, a proxy), and for a private "
    "CA the file in certificate_acme_ca_file",
)

PROBLEM = re.compile(r"^\s*Type:\s*(?P<listed>\w+)|urn:ietf:params:acme:error:(?P<named>\w+)", re.MULTILINE)
DETAIL = re.compile(r"^\s*Detail:\s*(?P<detail>.+)$", re.MULTILINE)
NO_DIRECTORY = re.compile(r"requests\.exceptions|Max retries exceeded|An unexpected error occurred:.*(Connection|SSL)", re.DOTALL)


def explain(output: str) -> tuple[str, str, str, str]:
    """What certbot's output about a failure comes to: problem type, meaning, what was seen, what to do."""
    match = PROBLEM.search(output)
    problem = (match["listed"] or match["named"]) if match else ""
    detail = DETAIL.search(output)
    lines = [line.strip() for line in output.splitlines() if line.strip() and "Saving debug log" not in line]
    seen = detail["detail"].strip() if detail else " ".join(lines[:4])
    if not problem and NO_DIRECTORY.search(output):
        return "", DIRECTORY[0], seen, DIRECTORY[1]
    meaning, remedy = PROBLEMS.get(problem, UNKNOWN)
    return problem, meaning, seen, remedy


def probe(name: str, webroot: Path) -> str:
    """Lay a random file where challenges go and fetch it through nginx; what went wrong, or nothing."""
    folder = webroot / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    token, content = f"qbo-kit-{secrets.token_hex(8)}", secrets.token_hex(16)
    path = folder / token
    path.write_text(content, encoding="ascii")
    path.chmod(0o644)
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": name})
        answer = connection.getresponse()
        body = answer.read(1000).decode("ascii", "replace")
    except OSError as error:
        return f"no answer on 127.0.0.1 port 80: {error}"
    finally:
        connection.close()
        path.unlink()
    return "" if (answer.status, body) == (200, content) else f"status {answer.status} instead of the file"


def command(asked: dict[str, str]) -> list[str]:
    """The call of certbot. ECDSA P-256, one name, a fixed lineage name, so that no ``-0001`` appears.

    The role calls only when the certificate that is there won't do, which certbot can't know: hence ``--force-renewal``.
    """
    account = ["--email", asked["email"]] if asked["email"] else ["--register-unsafely-without-email"]
    return [
        *(asked["certbot"], "certonly", "--non-interactive", "--agree-tos", *account),
        *("--server", asked["server"], "--webroot", "--webroot-path", asked["webroot"]),
        *("--cert-name", asked["name"], "--domain", asked["name"]),
        *("--key-type", "ecdsa", "--elliptic-curve", "secp256r1", "--force-renewal"),
    ]


def main() -> None:
    """Ansible's entry point."""
    from ansible.module_utils.basic import AnsibleModule

    spec = {name: {"type": "str", "required": True} for name in ("name", "server")}
    spec |= {name: {"type": "path", "required": True} for name in ("webroot", "certbot")}
    module = AnsibleModule({**spec, "email": {"type": "str", "default": ""}}, supports_check_mode=True)
    asked = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    wrong = probe(asked["name"], Path(asked["webroot"]))
    if wrong:
        module.fail_json(
            msg=f"{asked['name']}: nginx on the host does not serve the challenge folder, so the CA was not asked.\n"
            f"  seen: {wrong}\n  next: run the role reverse_proxy with the same webroot first, and see that nginx runs"
        )
    done = subprocess.run(command(asked), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        problem, meaning, seen, remedy = explain(done.stderr + done.stdout)
        head = f"{asked['name']}: no certificate: {meaning}" + (f" (ACME problem {problem})" if problem else "")
        module.fail_json(msg=f"{head}.\n  seen: {seen}\n  next: {remedy}", problem=problem)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
