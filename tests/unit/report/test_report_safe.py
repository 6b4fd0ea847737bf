"""Values of the books stay harmless, and can still be read and taken back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbo_sync.report.safe import cell_text, guard, one_line, unguard, visible

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=40)


@given(st.one_of(ANY_TEXT, st.text(alphabet="'=+-@\t\r\nx", max_size=6)))
def test_guarding_is_undone_exactly(text: str) -> None:
    assert unguard(guard(text)) == text


@given(st.one_of(ANY_TEXT, st.text(alphabet="'=+-@\t\r\nx", max_size=6)))
def test_a_guarded_text_never_begins_a_formula(text: str) -> None:
    assert not guard(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


@pytest.mark.parametrize("text", ["Amy's Bird Sanctuary", "'Til Dawn", "12.50", "a=b", ""])
def test_ordinary_text_is_not_guarded(text: str) -> None:
    assert guard(text) == text


@given(ANY_TEXT)
def test_visible_text_holds_nothing_unseen(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\ufffe\uffff")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a[U+202E]b"),
        ("bell\x07", "bell[U+0007]"),
        ("two\r\nlines", "two\nlines"),
        ("שלום Łódź 株式", "שלום Łódź 株式"),
        (None, ""),
    ],
)
def test_what_is_unseen_is_shown_by_its_code(text: str | None, shown: str) -> None:
    assert visible(text) == shown


@given(ANY_TEXT)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_a_cell_takes_no_more_than_excel_does() -> None:
    assert cell_text("x" * 32767) == "x" * 32767
    for text in ("x" * 32768, "😀" * 20000):
        assert len(cell_text(text).encode("utf-16-le")) // 2 <= 32767
        assert cell_text(text).endswith("…")
