"""How names are compared: exactly (after normalising what nobody can see) and weakly (what a person might mean by them)."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^\w\s]+")
_APOSTROPHES = re.compile("['`\u00b4\u2018\u2019\u02bc]")
_NUMBERED = re.compile(r"^(?P<name>.*\S)\s+\d{1,6}$")
# Cyrillic and Greek letters that look like Latin ones, as they are written, and the Latin ones.
_ALIKE = dict(zip("АВЕКМНОРСТУХЅІЈаеорсухѕіјΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTYXSIJaeopcyxsijABEZHIKMNOPTYXo", strict=True))
# The same where case is folded. Not the Greek M, whose small letter is the sign for a millionth.
_LOOK_ALIKES = {ord(c.casefold()): latin.lower() for c, latin in _ALIKE.items() if c.casefold() != "\u03bc"}
_ACCENTS = range(0x0300, 0x0370)
_DELETED = " (deleted)"  # what QuickBooks Online appends to the name of an inactive record, and may leave there afterwards
_JOINERS = "\u200c\u200d"
_LEGAL_FORMS = {"inc", "incorporated", "llc", "ltd", "limited", "co", "company", "corp", "corporation", "gmbh", "pty", "plc"}


def normal(name: str) -> str:
    """``name`` as compared exactly: Unicode NFKC, case folded, white space collapsed."""
    if name.isascii():  # the same, several times faster
        return " ".join(name.lower().split())
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())).strip()


def normal_path(path: str) -> str:
    """A full name (``Parent:Child``), each part normalised on its own."""
    return ":".join(map(normal, path.split(":"))) if ":" in path else normal(path)


def parent_of(path: str) -> str:
    """The normalised full name of the parent; empty for a top record."""
    return normal_path(path).rpartition(":")[0]


def loose(name: str) -> str:
    """``name`` without punctuation, accents, legal form, "(deleted)", word order; look-alike letters as Latin.

    Empty when nothing is left.
    """
    text = normal(name).removesuffix(_DELETED)
    if not text.isascii():
        text = _plain_letters(text)
    words = _NOT_WORD.sub(" ", _APOSTROPHES.sub("", text.replace("&", " and "))).split()
    kept = [word for word in words if word not in _LEGAL_FORMS] or words
    return " ".join(sorted(kept))


def _plain_letters(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if ord(c) not in _ACCENTS)
    return unicodedata.normalize("NFC", bare).translate(_LOOK_ALIKES)


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
    if name.isprintable():  # which says the same about them, several times faster
        return []
    return [f"U+{ord(c):04X}" for c in name if unicodedata.category(c) == "Cc"]


def invisible(name: str) -> list[str]:
    """The characters in a name that have no width, as ``U+200F``; not those that join emoji or letters of other scripts."""
    return [
        f"U+{ord(c):04X}"
        for before, c in zip(f" {name}", name, strict=False)
        if unicodedata.category(c) == "Cf" and not (c in _JOINERS and not before.isascii())
    ]


def mixed(name: str) -> list[str]:
    """The Cyrillic and Greek letters that stand in one word with Latin ones and look like them, as ``Cyrillic А``."""
    found: dict[str, None] = {}
    for word in unicodedata.normalize("NFKC", name).split():
        others = [c for c in word if c in _ALIKE]
        if others and any("a" <= c <= "z" for c in word.lower()):
            found |= {f"{unicodedata.name(c).split()[0].capitalize()} {c}": None for c in others}
    return list(found)
