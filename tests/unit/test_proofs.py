"""The page of proofs names tests that exist, for every fault and every attack that concerns this part."""

from __future__ import annotations

import ast
import re

from lab.documents import TOP

PAGE = (TOP / "docs/proofs.md").read_text(encoding="utf-8")
ROW = re.compile(r"(?m)^\| (?P<id>[FA]\d+) \|.*\|$")
TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<name>\w+)`")


def names_in(file: str) -> set[str]:
    tree = ast.parse((TOP / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) == PAGE.count(".py::")
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(file)]
    assert missing == []


def test_every_fault_and_attack_has_its_row_and_its_test() -> None:
    rows = {row["id"]: row[0] for row in ROW.finditer(PAGE)}
    assert sorted(rows) == sorted([*(f"F{n}" for n in (*range(1, 12), 14)), *(f"A{n}" for n in range(1, 16))])
    assert [which for which, row in rows.items() if not TEST.search(row)] == []
