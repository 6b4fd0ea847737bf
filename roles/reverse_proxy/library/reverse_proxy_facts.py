#!/usr/bin/python
"""What stands on the host where the reverse proxy is to go. Reads only; works on an empty host."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

DOCUMENTATION = """
module: reverse_proxy_facts
short_description: nginx, its server blocks, who listens on 80 and 443, the TLS library
description: Reads only. C(servers) holds the server blocks of others, not those in O(own).
options:
  own: {description: the files that this role writes, type: list, elements: path, required: true}
  certificate_directory: {description: the stable path of the certificate, type: path, required: true}
  placeholder: {description: the folder of the placeholder certificate, type: path, required: true}
  checksum_of: {description: a configuration file of the package whose state is asked, type: path, required: true}
author: qbo-kit
"""

EXAMPLES = """
- reverse_proxy_facts:
    own: [/etc/nginx/conf.d/qbo-kit.conf]
    certificate_directory: /etc/qbo-kit/tls/qbo.example.com
    placeholder: /etc/qbo-kit/tls/qbo.example.com.d/placeholder
    checksum_of: /etc/nginx/sites-available/default
"""

RETURN = """
facts: {description: what was seen, type: dict, returned: always}
"""

TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)|(?P<mark>[{};])|(?P<word>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?:\\.|\$\{[^}]*\}|[^\s{};\\])+)"""
)
FILE_MARK = re.compile(r"^# configuration file (?P<file>.+):$", re.MULTILINE)
LISTENER = re.compile(r":(?P<port>\d+)\s+\S+\s+users:\(\(\"(?P<program>[^\"]+)\"")


def tokens(text: str) -> Iterator[str]:
    """nginx's own words and marks; comments and white space are dropped, quotes are taken off."""
    for match in TOKEN.finditer(text):
        if match["mark"]:
            yield match["mark"]
        elif match["word"]:
            word = match["word"]
            yield word[1:-1] if word[0] in "\"'" else word


def server_blocks(text: str) -> list[dict[str, list[str]]]:
    """The ``listen`` and ``server_name`` values of each ``server {}`` in one configuration file, in order."""
    blocks: list[dict[str, list[str]]] = []
    depth, inside, directive = 0, 0, []
    for part in tokens(text):
        if part == "{":
            depth += 1
            if directive == ["server"]:
                inside = depth
                blocks.append({"listen": [], "names": []})
        elif part == "}":
            if depth == inside:
                inside = 0
            depth -= 1
        elif part == ";":
            if inside and depth == inside and directive[:1] == ["listen"]:
                blocks[-1]["listen"].append(" ".join(directive[1:]))
            if inside and depth == inside and directive[:1] == ["server_name"]:
                blocks[-1]["names"] += directive[1:]
        else:
            directive.append(part)
            continue
        directive = []
    return blocks


def servers_of_dump(dump: str) -> list[dict[str, Any]]:
    """The server blocks in the output of ``nginx -T``, each with the file it stands in."""
    found: list[dict[str, Any]] = []
    marks = list(FILE_MARK.finditer(dump))
    for mark, following in zip_longest(marks, marks[1:]):
        part = dump[mark.end() : following.start() if following else len(dump)]
        found += [{"file": mark["file"], **block} for block in server_blocks(part)]
    return found


def run(*command: str) -> tuple[int, str]:
    """Exit status and all output of a program; 127 when it is not installed."""
    if not shutil.which(command[0]):
        return 127, ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def version(text: str) -> str:
    """The first dotted number in a program's own account of its version."""
    match = re.search(r"\d+(\.\d+)+", text)
    return match[0] if match else ""


def listeners(text: str) -> list[dict[str, Any]]:
    """Port and program of each line of ``ss -Hltnp``."""
    return [{"port": int(match["port"]), "program": match["program"]} for match in LISTENER.finditer(text)]


def package_file_state(path: str, md5: str) -> str:
    """``absent``, ``pristine`` or ``changed``: a package's configuration file held against what dpkg recorded."""
    if not Path(path).is_file():
        return "absent"
    recorded = run("dpkg-query", "--show", "--showformat", "${Conffiles}\n", "nginx-common")[1].split("\n")
    return "pristine" if any(line.split()[:2] == [path, md5] for line in recorded) else "changed"


def look(own: list[str], certificate_directory: str, placeholder: str, checksum_of: str, md5: str) -> dict[str, Any]:
    """Everything the role decides on."""
    status, dump = run("nginx", "-T")
    return {
        "nginx_version": version(run("nginx", "-v")[1]),
        "nginx_problem": dump.strip()[-600:] if status not in (0, 127) else "",
        "openssl_version": version(run("openssl", "version")[1]),
        "ipv6": Path("/proc/net/if_inet6").exists() and bool(Path("/proc/net/if_inet6").read_text().strip()),
        "listeners": listeners(run("ss", "-Hltnp", "( sport = :80 or sport = :443 )")[1]),
        "servers": [block for block in servers_of_dump(dump) if block["file"] not in own],
        "default_site": package_file_state(checksum_of, md5),
        "certificate": Path(certificate_directory, "fullchain.pem").exists(),
        "placeholder": Path(placeholder, "fullchain.pem").exists(),
    }


def main() -> None:
    """Ansible's entry point."""
    from ansible.module_utils.basic import AnsibleModule

    names = ("own", "certificate_directory", "placeholder", "checksum_of")
    spec: dict[str, Any] = {name: {"type": "path", "required": True} for name in names}
    spec["own"] = {"type": "list", "elements": "path", "required": True}
    module = AnsibleModule(spec, supports_check_mode=True)
    site = module.params["checksum_of"]
    md5 = module.md5(site) if Path(site).is_file() else ""
    module.exit_json(changed=False, facts=look(*(module.params[name] for name in names), md5))


if __name__ == "__main__":
    main()
