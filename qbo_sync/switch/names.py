"""How names are compared: exactly (after normalising what nobody can see) and weakly (what a person might mean by them)."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^\w\s]+")
_APOSTROPHES = re.compile("['`\u00b4\u2018\u2019\u02bc]")
_NUMBERED = re.compile(r"^(?P<name>.*\S)\s+\d{1,6}$")
_LEGAL_FORMS = {"inc", "incorporated", "llc", "ltd", "limited", "co", "company", "corp", "corporation", "gmbh", "pty", "plc"}


def normal(name: str) -> str:
    """``name`` as compared exactly: Unicode NFKC, case folded, white space collapsed."""
    if name.isascii():  # the same, several times faster
        return " ".join(name.lower().split())
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())).strip()


def normal_path(path: str) -> str:
    """A full name (``Parent:Child``), each part normalised on its own."""
    return ":".join(normal(part) for part in path.split(":"))


def parent_of(path: str) -> str:
    """The normalised full name of the parent; empty for a top record."""
    return normal_path(path).rpartition(":")[0]


def loose(name: str) -> str:
    """``name`` without punctuation, legal form and word order; empty when nothing is left."""
    words = _NOT_WORD.sub(" ", _APOSTROPHES.sub("", normal(name).replace("&", " and "))).split()
    kept = [word for word in words if word not in _LEGAL_FORMS] or words
    return " ".join(sorted(kept))


def without_number(name: str) -> str:
    """The name before a trailing number (QuickBooks Desktop's habit: ``Alex Rodriguez 123``); empty when there is none."""
    found = _NUMBERED.match(normal(name))
    return found["name"] if found else ""


def digits(phone: str) -> str:
    """The last ten digits of a phone number; empty when it has fewer than seven."""
    found = "".join(c for c in unicodedata.normalize("NFKC", phone) if c in "0123456789")
    return found[-10:] if len(found) >= 7 else ""


def emails(field: str) -> list[str]:
    """The addresses in an e-mail field, which may hold several parted by commas or semicolons."""
    return [part for part in (normal(p) for p in re.split(r"[,;]", field)) if "@" in part]


def unprintable(name: str) -> list[str]:
    """The control characters in a name, as ``U+0009``."""
    return [f"U+{ord(c):04X}" for c in name if unicodedata.category(c) == "Cc"]
