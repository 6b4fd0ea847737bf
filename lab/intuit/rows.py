"""Rows held as encoded JSON: many of them in a file, so that a million rows are not a million objects.

Inside, a row is known by a number: its Id, or a negative number for the few Ids that are words.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Iterator, MutableMapping
from pathlib import Path

# In alphabetical order, so that words sort before numbers and among themselves as Intuit's do.
WORDS = {"CustomSalesTax": -3, "NON": -2, "TAX": -1}
_WORD_OF = {number: word for word, number in WORDS.items()}
NOBODY = -(2**63)


def number_of(row_id: str) -> int:
    """The number for an Id; :data:`NOBODY` for what can't be one."""
    if row_id.isascii() and row_id.isdigit() and len(row_id) < 20:
        return int(row_id)
    return WORDS.get(row_id, NOBODY)


def id_of(number: int) -> str:
    """The Id for a number."""
    return _WORD_OF.get(number) or str(number)


class Packed:
    """Encoded rows in a nameless file, added in the order of their numbers; about 25 bytes a row stay in memory."""

    def __init__(self) -> None:
        self.numbers = array("q")
        self.updated = array("d")
        self.active = bytearray()
        self._ends = array("Q", [0])
        self._pending = bytearray()
        handle, name = tempfile.mkstemp(prefix="qbo-kit-lab-")
        Path(name).unlink()
        self._file = handle
        weakref.finalize(self, os.close, handle)

    def append(self, number: int, raw: bytes, updated: float, *, active: bool) -> None:
        """Add a row: its time of the last update in seconds since the epoch, and whether it is active."""
        self.numbers.append(number)
        self.updated.append(updated)
        self.active.append(active)
        self._ends.append(self._ends[-1] + len(raw))
        self._pending += raw
        if len(self._pending) > 1 << 20:
            self.flush()

    def flush(self) -> None:
        """Put into the file what waits for it; before the first :meth:`read`."""
        while self._pending:
            del self._pending[: os.write(self._file, self._pending)]

    def read(self, place: int) -> bytes:
        """The row at this place."""
        start = self._ends[place]
        return os.pread(self._file, self._ends[place + 1] - start, start)

    def place(self, number: int) -> int:
        """Where a row is, or -1."""
        place = bisect_left(self.numbers, number)
        return place if place < len(self.numbers) and self.numbers[place] == number else -1


class Rows(MutableMapping[int, bytes]):
    """Packed rows that never change, under a layer of those that were added, changed or removed since."""

    def __init__(self, packed: Packed | None = None) -> None:
        self.packed = packed or Packed()
        self._layer: dict[int, bytes] = {}
        self._covered: set[int] = set()

    def __getitem__(self, number: int) -> bytes:
        if number in self._layer:
            return self._layer[number]
        place = -1 if number in self._covered else self.packed.place(number)
        if place < 0:
            raise KeyError(number)
        return self.packed.read(place)

    def __setitem__(self, number: int, raw: bytes) -> None:
        self._cover(number)
        self._layer[number] = raw

    def __delitem__(self, number: int) -> None:
        if number not in self:
            raise KeyError(number)
        self._layer.pop(number, None)
        self._cover(number)

    def __contains__(self, number: object) -> bool:
        return number in self._layer or (
            isinstance(number, int) and number not in self._covered and self.packed.place(number) >= 0
        )

    def __iter__(self) -> Iterator[int]:
        covered = self._covered
        yield from (number for number in self.packed.numbers if number not in covered)
        yield from self._layer

    def __len__(self) -> int:
        return len(self.packed.numbers) - len(self._covered) + len(self._layer)

    def numbers(self) -> array[int]:
        """All numbers in order."""
        if not self._covered and not self._layer:
            return self.packed.numbers
        return array("q", sorted(self))

    def copy(self) -> Rows:
        """A copy that shares the packed rows."""
        other = Rows(self.packed)
        other._layer, other._covered = dict(self._layer), set(self._covered)
        return other

    def _cover(self, number: int) -> None:
        if self.packed.place(number) >= 0:
            self._covered.add(number)
