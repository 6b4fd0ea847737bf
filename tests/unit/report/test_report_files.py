"""The files of a report: whole, private, never overwritten, and the document as its schema says."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from qbo_sync import report
from qbo_sync.disk import whole_file
from qbo_sync.switch.model import Answer
from tests.unit.report import sample
from tests.unit.report.schema import check


def write(directory: Path, answer: Answer) -> dict[str, str]:
    return report.write(directory, answer, company=sample.COMPANY, made_at=sample.MADE_AT, findings=sample.findings())


def test_private_files_named_by_time_and_command(tmp_path: Path) -> None:
    paths = write(tmp_path / "store" / "reports", sample.audit_answer())
    assert {kind: Path(path).name for kind, path in paths.items()} == {
        "html": "20250403-140533-audit.html",
        "xlsx": "20250403-140533-audit.xlsx",
        "json": "20250403-140533-audit.json",
        "csv": "20250403-140533-audit.csv",
    }
    directory = tmp_path / "store" / "reports"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    assert sorted(map(str, directory.iterdir())) == sorted(paths.values())


def test_the_document_names_its_sisters(tmp_path: Path) -> None:
    answer = sample.audit_answer()
    paths = write(tmp_path, answer)
    written = json.loads(Path(paths["json"]).read_text(encoding="utf-8"))
    assert written["report"] == paths == answer.report
    assert written == json.loads(report.document(answer))


def test_a_report_is_never_overwritten(tmp_path: Path) -> None:
    first, second = write(tmp_path, sample.audit_answer()), write(tmp_path, sample.audit_answer())
    later = sample.MADE_AT + timedelta(seconds=1)
    assert Path(second["html"]).name == f"{later:%Y%m%d-%H%M%S}-audit.html"
    assert len({*first.values(), *second.values()}) == len(list(tmp_path.iterdir())) == 8


def test_a_command_of_two_words_makes_one_name(tmp_path: Path) -> None:
    paths = report.write(tmp_path, Answer("export enable", "acme"), company="A", made_at=sample.MADE_AT)
    assert Path(paths["json"]).name == "20250403-140533-export-enable.json"


def test_a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    target.write_text("old", encoding="utf-8")

    def fail() -> None:
        with whole_file(target) as part:
            part.write_text("half", encoding="utf-8")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]
    assert target.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    "answer",
    [
        sample.audit_answer(),
        sample.plan_answer(),
        sample.import_answer(),
        sample.reconcile_answer(),
        Answer("review", "acme", summary={"customer": {"made": 3}}),
        Answer("undo", "acme", summary={"removed": 3, "kept": 0}),
        Answer("export status", "acme", summary={"enabled": None}),
        Answer("import", "acme", "blocked", next="correct the blockers"),
        Answer("status", "acme", "reconnect", items=[{"id": "x", "kind": "error", "result": "the grant is gone"}]),
    ],
    ids=lambda answer: f"{answer.command}-{answer.outcome}",
)
def test_documents_are_as_the_schema_says(answer: Answer) -> None:
    check(answer)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("audit", "acme", "ok", {"blocker": 0}),
        Answer("plan", "acme", "attention", {"customer": {"read": 1}}),
        Answer("reconcile", "acme", "ok", {"equal": -1, "different": 0, "only_qbo": 0, "only_miracle": 0}),
        Answer("prepare", "acme", "ok", {"customer": {"active": 1}}),
        Answer("export enable", "acme", "ok", {"enabled": "yes"}),
        Answer("reconcile", "acme", items=[{"id": "1", "kind": "customer", "differences": [{"field": "email"}]}]),
        Answer("status", "acme", "done"),
        Answer("status", "acme", items=[{"kind": "customer"}]),
    ],
    ids=["no counts", "no kinds", "negative", "no lists", "no boolean", "half a difference", "unknown outcome", "no id"],
)
def test_the_schema_refuses_other_documents(answer: Answer) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(answer)


def test_keys_stand_in_the_order_of_the_interface() -> None:
    names = ["command", "site", "outcome", "summary", "items", "requests", "seconds", "report"]
    assert list(json.loads(report.document(Answer("status", "acme")))) == names
    assert list(json.loads(report.document(Answer("status", "acme", next="wait")))) == [*names, "next"]


def test_a_document_passes_any_locale_and_keeps_every_name() -> None:
    text = report.document(Answer("review", "acme", items=[{"id": name, "kind": "customer"} for name in sample.NAMES]))
    assert text.isascii()
    assert [item["id"] for item in json.loads(text)["items"]] == list(sample.NAMES)
