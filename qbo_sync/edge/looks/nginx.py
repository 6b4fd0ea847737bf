"""What stands on the host where the reverse proxy is to go: nginx, its server blocks, who has its ports. On empty hosts, too."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

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
    depth, inside = 0, 0
    directive: list[str] = []
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


def package_file_state(path: Path) -> str:
    """``absent``, ``pristine`` or ``changed``: a package's configuration file held against what dpkg recorded."""
    if not path.is_file():
        return "absent"
    # dpkg records MD5.
    found = [str(path), hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()]
    recorded = run("dpkg-query", "--show", "--showformat", "${Conffiles}\n", "nginx-common")[1].split("\n")
    return "pristine" if any(line.split()[:2] == found for line in recorded) else "changed"


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything the role decides on; ``servers`` are the server blocks of others.

    ``asked``: ``own`` (the files that the role writes), ``certificate_directory`` (the stable path), ``placeholder`` (the folder
    of the placeholder certificate), ``default_site`` (a configuration file of the package whose state is asked).
    """
    status, dump = run("nginx", "-T")
    return {
        "nginx_version": version(run("nginx", "-v")[1]),
        "nginx_problem": dump.strip()[-600:] if status not in (0, 127) else "",
        "openssl_version": version(run("openssl", "version")[1]),
        "ipv6": Path("/proc/net/if_inet6").exists() and bool(Path("/proc/net/if_inet6").read_text().strip()),
        "listeners": listeners(run("ss", "-Hltnp", "( sport = :80 or sport = :443 )")[1]),
        "servers": [block for block in servers_of_dump(dump) if block["file"] not in asked["own"]],
        "default_site": package_file_state(Path(asked["default_site"])),
        "certificate": Path(asked["certificate_directory"], "fullchain.pem").exists(),
        "placeholder": Path(asked["placeholder"], "fullchain.pem").exists(),
    }


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
