"""`./kit site check`: every name in a site's files, held against the names that the kit knows.

A role refuses what it does not know of its own prefix. A slip in the prefix itself (``certficate_email``) belongs to no role, so
only a look at the files finds it.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from lab.world.layout import TOP
from qbo_sync.edge.action import SITE_VARIABLES

# Names of Ansible's own, and the secrets that a site's other variables point to.
FREE = ("ansible_", "vault_")
ENDINGS = (".yml", ".yaml", ".json", "")
ENCRYPTED = "$ANSIBLE_VAULT"


def known() -> set[str]:
    """Every variable that a site may set: the roles' options, the ``site_*`` names, and where the control node keeps things."""
    specs = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in TOP.glob("roles/*/meta/argument_specs.yml")]
    return {*SITE_VARIABLES, "kit_store", *(name for spec in specs for name in spec["argument_specs"]["main"]["options"])}


def _files(folder: Path, owner: str) -> Iterator[Path]:
    """The files that hold the variables of a group or host, as Ansible finds them."""
    place = folder / owner
    if place.is_dir():
        yield from (path for path in sorted(place.rglob("*")) if path.is_file() and path.suffix in ENDINGS)
        return
    yield from (path for ending in ENDINGS if (path := folder / f"{owner}{ending}").is_file())


def _names(inventory: Path) -> Iterator[tuple[Path, set[str] | None]]:
    """Each file of the site with the names it sets; ``None`` for a file that is encrypted. Raises ``AnsibleError``."""
    loader = DataLoader()
    found = InventoryManager(loader=loader, sources=[str(inventory)])
    if not found.hosts:
        raise AnsibleError("Ansible finds no host in it")
    owners = {"group_vars": found.groups, "host_vars": found.hosts}
    inline = [owner.vars for kind in owners.values() for owner in kind.values()]
    # Ansible notes there where a host was found.
    yield inventory, {name for values in inline for name in values} - {"inventory_file", "inventory_dir"}
    for folder, kind in owners.items():
        for path in (path for owner in kind for path in _files(inventory.parent / folder, owner)):
            with path.open(encoding="utf-8") as file:
                encrypted = file.read(len(ENCRYPTED)) == ENCRYPTED
            values = None if encrypted else loader.load_from_file(str(path)) or {}
            if values is not None and not isinstance(values, dict):
                raise AnsibleError(f"{path} holds no names with values")
            yield path, None if values is None else set(values)


def check(inventory: Path) -> tuple[list[str], list[str]]:
    """What must be mended in a site's files, and what is only said: a line for each name or file. Raises ``AnsibleError``."""
    wrong, said = [], []
    names = known()
    for path, given in _names(inventory):
        if given is None:
            said.append(f"{path}: encrypted, so it was not looked at")
        for name in sorted(name for name in (given or set()) - names if not name.startswith(FREE)):
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
            if near:
                wrong.append(f"{path}: {name} is no name of the kit (did you mean {near[0]}?)")
            else:
                said.append(f"{path}: {name} is no name of the kit, nor like one; the kit does not use it")
    return wrong, said


def main(arguments: list[str]) -> int:
    """Exit code 0 when every name is known or nothing like a known one, 2 otherwise."""
    parser = argparse.ArgumentParser(prog="./kit site")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("check", help="hold every name in the sites' files against the names that the kit knows")
    command.add_argument("inventories", nargs="*", type=Path, metavar="INVENTORY", help="default: every file of inventory/")
    inventories = parser.parse_args(arguments).inventories or sorted((TOP / "inventory").glob("*.yml"))
    code = 0
    for inventory in inventories:
        try:
            if not inventory.is_file():
                raise AnsibleError("there is no such file; name an inventory, such as inventory/SITE.yml")
            wrong, said = check(inventory)
        except (AnsibleError, OSError, UnicodeDecodeError) as error:
            wrong, said = [f"cannot be read: {error}"], []
        print(f"{inventory}: " + (f"{len(wrong)} to mend" if wrong else "nothing to mend"))
        for line in [*wrong, *said]:
            print(f"  {line}")
        code = 2 if wrong else code
    return code
