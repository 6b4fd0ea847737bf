"""How far a run has come: a bar on a terminal, one plain line for each part anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qbo_sync.report.words import kind_title
from qbo_sync.switch.model import Kind


class Bar:
    """Hears first how many rows there are to write, then what was written. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._live.add_task("waiting", total=None)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._live.stop()

    def begin(self, rows: int) -> None:
        """So many rows are to be written."""
        self._live.update(self._task, total=rows)

    def wrote(self, kind: Kind, rows: int) -> None:
        """Another part of a kind is written."""
        self._live.update(self._task, description=kind_title(kind), advance=rows)
        if not self._console.is_terminal:
            self._console.print(f"  {kind.value.replace('_', ' ')}: {rows} rows", markup=False, highlight=False)
