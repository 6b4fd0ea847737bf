"""The page: readable without help, complete, and nothing in it runs that is not ours."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from qbo_sync import report
from qbo_sync.report import words
from qbo_sync.report.page import LIMIT
from qbo_sync.report.safe import visible
from qbo_sync.switch.model import Answer, Finding, PlannedRow, Result
from tests.unit.report import sample

VOID = {"meta", "link", "br", "input", "img", "rect", "hr"}


class Page(HTMLParser):
    """A parsed page: its elements, its text in order, and whether every element was closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
            self.texts.append(("", " "))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        return " ".join("".join(said for place, said in self.texts if place not in ("style", "script")).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(
    tmp_path: Path,
    answer: Answer,
    findings: Sequence[Finding] = (),
    rows: Sequence[PlannedRow] = (),
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> str:
    paths = report.write(
        tmp_path, answer, company=sample.COMPANY, made_at=sample.MADE_AT, findings=findings, rows=rows, tables=tables
    )
    return Path(paths["html"]).read_text(encoding="utf-8")


@pytest.fixture(params=["audit", "plan", "import", "review", "reconcile", "prepare", "doctor"])
def any_page(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    hostile = [{"id": name, "kind": name, name: name, "remedy": name} for name in sample.NAMES]
    lines = list(sample.HOSTILE)
    doctor = Answer("doctor", "<b>", "attention", {"<i>": "<u>"}, hostile, next=lines[0], lines=lines)
    return {
        "audit": lambda: page(tmp_path, sample.audit_answer(), sample.findings(), sample.rows()),
        "plan": lambda: page(tmp_path, sample.plan_answer(), rows=sample.rows()),
        "import": lambda: page(tmp_path, sample.import_answer(), rows=sample.rows()),
        "review": lambda: page(tmp_path, Answer("review", "acme", lines=lines), tables=sample.review_tables()),
        "reconcile": lambda: page(tmp_path, sample.reconcile_answer(), tables=sample.hostile_tables()),
        "prepare": lambda: page(tmp_path, Answer("prepare", "acme", lines=lines, next="<b>"), tables=sample.hostile_tables()),
        "doctor": lambda: page(tmp_path, doctor),
    }[request.param]()


def test_values_never_become_elements(any_page: str) -> None:
    parsed = Page(any_page)
    assert not parsed.open, f"not closed: {parsed.open}"
    assert len(parsed.named("script")) == len(parsed.named("style")) == 1
    assert not {"img", "b", "i", "u", "a", "iframe", "object", "link", "form"} & {tag for tag, _ in parsed.elements}
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on") or name == "style"]
    assert "49" not in re.findall(r">(49)<", any_page), "a value was rendered as a template"


def test_nothing_unseen_is_left(any_page: str) -> None:
    assert any_page == visible(any_page)


def test_the_policy_allows_only_our_own_style_and_script(any_page: str) -> None:
    parsed = Page(any_page)
    policy = next(meta["content"] for meta in parsed.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    for tag in ("style", "script"):
        content = "".join(said for place, said in parsed.texts if place == tag)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_one_file_is_enough(any_page: str) -> None:
    for _, attributes in Page(any_page).elements:
        assert not {"src", "href", "srcset", "data"} & set(attributes)
    assert "url(" not in any_page
    assert "@import" not in any_page


def test_a_screen_reader_finds_its_way(any_page: str) -> None:
    parsed = Page(any_page)
    assert parsed.named("html") == [{"lang": "en"}]
    assert len(parsed.named("h1")) == 1
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert all(deeper - level <= 1 for level, deeper in itertools.pairwise(levels))
    assert len(parsed.named("table")) == len(parsed.named("caption"))
    assert all("scope" in heading for heading in parsed.named("th"))
    assert all(drawing.get("aria-hidden") == "true" or "viewbox" in drawing for drawing in parsed.named("svg"))


def test_an_audit_says_first_what_must_be_done(tmp_path: Path) -> None:
    text = Page(page(tmp_path, sample.audit_answer(), sample.findings())).text
    order = [
        "Audit Report",
        sample.COMPANY,
        "3 April 2025, 14:05 UTC",
        "3 things must be corrected before the import can run.",
        "Next step: correct the blockers",
        "Must be corrected (3)",
        "Please check (20)",
        "Good to know (1)",
        "Accepted as they are (1)",
    ]
    body = text[text.index("Audit Report", 5) :]
    places = [body.index(said) for said in order]
    assert places == sorted(places)


def test_every_finding_is_told_in_full(tmp_path: Path) -> None:
    text = Page(page(tmp_path, sample.audit_answer(), sample.findings())).text
    for finding in sample.findings():
        for said in (finding.id, finding.title, finding.qbo, finding.miracle, finding.remedy, finding.where, finding.accepted):
            assert " ".join(visible(said).split()) in text


def test_an_audit_shows_what_both_sides_have(tmp_path: Path) -> None:
    text = Page(page(tmp_path, sample.audit_answer(), sample.findings(), sample.rows())).text
    assert "Suppliers 14 4 10" in text
    assert "Suppliers: 4 records in both" in text


def test_a_clean_audit_is_calm(tmp_path: Path) -> None:
    answer = Answer("audit", "acme", "ok", {"blocker": 0, "warning": 0, "info": 0, "accepted": 0}, next="run: qbo-sync plan")
    text = page(tmp_path, answer)
    assert "The import can run." in text
    assert "No difference was found." in text
    assert 'class="verdict good"' in text


def test_a_plan_shows_the_doubtful_rows_before_the_lists(tmp_path: Path) -> None:
    text = Page(page(tmp_path, sample.plan_answer(), rows=sample.rows())).text
    assert text.index("Looks alike (") < text.index("Conflict (") < text.index("Cannot be imported (") < text.index("The lists")
    for row in sample.rows():
        if row.result in words.TO_DECIDE:
            assert " ".join(visible(row.reason).split()) in text


def test_money_and_counts_stand_in_columns_of_figures(tmp_path: Path) -> None:
    text = page(tmp_path, Answer("prepare", "acme"), tables=sample.hostile_tables())
    assert '<td role=cell class="figure" data-label="Balance"><span class="value" dir="auto">-1,204.50</span></td>' in text


def test_decided_rows_are_shown_as_decided_with_who_and_what(tmp_path: Path) -> None:
    rows = [
        sample.planned("1", "Amy", Result.WEAK, decision="link", miracle_id="8", action="link", decided_by="ticks.csv, by anna"),
        sample.planned("2", "Bob", Result.CONFLICT, decision="create", action="insert", decided_by="ticks.csv, by anna"),
        sample.planned("3", "Eve", Result.INVALID, decision="skip"),
        sample.planned("4", "Zoe", Result.WEAK, miracle_id="9"),
        sample.planned("5", "New"),
    ]
    text = Page(page(tmp_path, Answer("plan", "acme", "attention", sample.kind_summary(rows)), rows=rows)).text
    asked, decided = text[text.index("Needs a person") : text.index("Decided (3)")], text[text.index("Decided (3)") :]
    assert "Zoe" in asked
    assert "Amy" not in asked
    assert "Amy Customers linked with row 8 reason of 1 ticks.csv, by anna" in decided
    assert "Bob Customers added as a new record" in decided
    assert "Eve Customers left out" in decided
    assert "Customers 5 1 2 1 1 0" in text  # in QuickBooks, already there, new, left out, to decide, cannot come


def test_a_long_list_is_cut_and_says_where_the_rest_is(tmp_path: Path) -> None:
    rows = [sample.planned(str(n), f"Customer {n:05}") for n in range(LIMIT + 7)]
    text = Page(page(tmp_path, Answer("plan", "acme", "ok", sample.kind_summary(rows)), rows=rows)).text
    assert f"Customer {LIMIT - 1:05}" in text
    assert f"Customer {LIMIT:05}" not in text
    assert f"The first {LIMIT} of {LIMIT + 7}; all of them are in the workbook 20250403-140533-plan.xlsx" in text


def test_a_reconciliation_lists_the_differences_by_what_they_are(tmp_path: Path) -> None:
    text = Page(page(tmp_path, sample.reconcile_answer(), tables=sample.reconcile_tables())).text
    order = ["Do not agree (1)", "Net 30", "31 days there", "Only in QuickBooks Online (1)", "Cool Cars", "not imported yet"]
    order += ["Same record, other details (1)", "Amy", "Billing line 1", "4581 Finch St.", "Finch Street 4581"]
    places = [text.index(said) for said in order]
    assert places == sorted(places)
    assert text.rindex("Only in Miracle Service (1)") < text.index("Norton Lumber")


def test_a_refused_import_says_why(tmp_path: Path) -> None:
    answer = Answer("import", "acme", "blocked", lines=["3 blockers stand"], next="correct them")
    text = Page(page(tmp_path, answer)).text
    assert "The import was refused; nothing was written to Miracle Service. 3 blockers stand Next step: correct them" in text


def test_removed_rows_are_said_to_stay_away(tmp_path: Path) -> None:
    rows = [sample.planned("1", "Gone Ltd", Result.REMOVED, miracle_id="9")]
    text = Page(page(tmp_path, Answer("import", "acme", "ok", sample.kind_summary(rows)), rows=rows)).text
    assert "1 record removed by you in Miracle Service, not made again" in text
    assert "Gone Ltd" in text


def hex_rgb(colour: str) -> tuple[float, ...]:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    return tuple(int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))


def luminance(colour: str) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in hex_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_has_enough_contrast_on_every_ground(any_page: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1."""
    colours = dict(re.findall(r"--([a-z-]+): #([0-9a-f]{3,6});", any_page))
    grounds = [colours[name] for name in ("paper", "wash", "stop-wash", "care-wash", "good-wash", "note-wash")]
    for name in ("ink", "soft", "mute", "stop", "care", "good", "note"):
        for ground in grounds:
            light, dark = sorted((luminance(colours[name]), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{name} on #{ground}"


def test_a_list_to_tick_shows_only_columns_that_tell_something(tmp_path: Path) -> None:
    parsed = Page(page(tmp_path, Answer("review", "acme"), tables=sample.review_tables()))
    assert "Name QuickBooks id Miracle id Decision Amy's Bird Sanctuary 0 0 ☐" in parsed.text


def test_a_checklist_says_each_point_once(tmp_path: Path) -> None:
    item = {"id": "Intuit answers", "kind": "check", "result": "missing", "qbo": "no answer", "remedy": "try again"}
    answer = Answer("doctor", "acme", "attention", {"done": 0, "missing": 1}, [item], lines=["✗ Intuit answers: no answer"])
    text = Page(page(tmp_path, answer)).text
    assert "Name State Seen How to correct it Intuit answers missing no answer try again" in text
    assert text.count("Intuit answers") == 1
