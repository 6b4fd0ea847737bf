"""What keeps a hostile or merely odd value harmless in a terminal, a page, a sheet and a CSV file."""

from __future__ import annotations

import re
from typing import Any

# Control characters (tab and line feed excepted) steer terminals and are illegal in XLSX; bidirectional overrides and
# isolates let a name read as another one; zero-width characters make two different names look the same; lone surrogates and
# noncharacters can't be encoded.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)

# A spreadsheet takes a cell that begins so for a formula (tab and line ends are skipped first; the wide forms count in
# East Asian versions of Excel). The apostrophes in front make guarding reversible for a text that begins with one itself.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")

# The most that one XLSX cell holds, in UTF-16 code units.
_CELL_UNITS = 32767


def visible(value: Any) -> str:
    """``value`` as text with plain line feeds, in which every unseen or steering character is shown as ``[U+202E]``."""
    text = "" if value is None else str(value)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def one_line(value: Any) -> str:
    """:func:`visible` text on a single line, for terminals."""
    return " ".join(visible(value).split())


def is_formula(text: str) -> bool:
    """Whether a spreadsheet could take ``text`` for a formula."""
    return _FORMULA.match(text) is not None


def guard(text: str) -> str:
    """``text`` with a leading apostrophe when a spreadsheet would otherwise run it; :func:`unguard` takes it away again."""
    return f"'{text}" if is_formula(text) else text


def unguard(text: str) -> str:
    """The text that was given to :func:`guard`."""
    return text[1:] if text.startswith("'") and is_formula(text) else text


def cell_text(value: Any) -> str:
    """:func:`visible` text cut to what one XLSX cell can hold."""
    text = visible(value)
    if len(text.encode("utf-16-le")) // 2 <= _CELL_UNITS:
        return text
    cut = text.encode("utf-16-le")[: 2 * (_CELL_UNITS - 1)]
    return cut.decode("utf-16-le", errors="ignore") + "…"
