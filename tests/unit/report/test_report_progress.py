"""How far an import has come: a bar that people watch, lines that a log keeps."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from qbo_sync.report import Bar
from qbo_sync.switch.model import Kind


def shown(*, terminal: bool) -> str:
    file = io.StringIO()
    with Bar(Console(file=file, force_terminal=terminal, width=100)) as bar:
        bar.begin(12)
        bar.wrote(Kind.SUPPLIER, 5)
        bar.wrote(Kind.CUSTOMER, 7)
    return file.getvalue()


def test_a_terminal_has_a_bar_that_fills() -> None:
    seen = shown(terminal=True)
    assert "Customers" in seen
    assert "12/12" in seen
    assert "\x1b[" in seen


def test_anything_else_has_one_plain_line_for_each_part() -> None:
    assert shown(terminal=False) == "  supplier: 5 rows\n  customer: 7 rows\n"


def test_a_run_that_fails_leaves_no_bar_running() -> None:
    bar = Bar(Console(file=io.StringIO(), force_terminal=True))
    with pytest.raises(RuntimeError), bar:
        bar.begin(1)
        raise RuntimeError
    with bar:  # a bar that still ran could not be started again
        bar.wrote(Kind.CUSTOMER, 1)
