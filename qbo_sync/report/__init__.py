"""What people read and keep: the terminal's answer, the HTML page, the workbook, the JSON document and the decisions file."""

from typing import TYPE_CHECKING

from qbo_sync import lazily

if TYPE_CHECKING:
    from qbo_sync.report.decisions import decisions_csv, read_decisions
    from qbo_sync.report.files import document, write
    from qbo_sync.report.findings import read_acceptances
    from qbo_sync.report.progress import Bar
    from qbo_sync.report.retention import prune
    from qbo_sync.report.terminal import show
else:
    __getattr__ = lazily.names(
        __name__,
        decisions="decisions_csv read_decisions",
        files="document write",
        findings="read_acceptances",
        progress="Bar",
        retention="prune",
        terminal="show",
    )

__all__ = ["Bar", "decisions_csv", "document", "prune", "read_acceptances", "read_decisions", "show", "write"]
