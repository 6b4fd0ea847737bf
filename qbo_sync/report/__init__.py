"""What people read and keep: the terminal's answer, the HTML page, the workbook, the JSON document and the decisions file."""

from qbo_sync.report.decisions import decisions_csv, read_decisions
from qbo_sync.report.files import document, write
from qbo_sync.report.findings import read_acceptances
from qbo_sync.report.progress import Bar
from qbo_sync.report.retention import prune
from qbo_sync.report.terminal import show

__all__ = ["Bar", "decisions_csv", "document", "prune", "read_acceptances", "read_decisions", "show", "write"]
