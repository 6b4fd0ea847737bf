"""For packages that give out names of their modules: a module is imported when a name of it is asked for.

Each command is a process of its own and uses little of the program; importing everything takes longer than most of them work.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def names(package: str, **modules: str) -> Callable[[str], Any]:
    """The package's ``__getattr__``. ``modules``: module → the names that the package gives out of it, separated by spaces."""
    module_of = {name: module for module, given in modules.items() for name in given.split()}

    def find(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    return find
