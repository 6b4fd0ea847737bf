"""Loading recorded answers: which of several copies of a row is kept, and what is filled in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.intuit.company import Company
from lab.intuit.generate import generate
from lab.intuit.load import LoadError, fill, load_folder, merge_answer
from lab.intuit.made.seed import Sizes


def vendor(row_id: str, token: str, updated: str, **more: Any) -> dict[str, Any]:
    times = {"CreateTime": "2020-01-01T08:00:00-08:00", "LastUpdatedTime": updated}
    return {"Id": row_id, "SyncToken": token, "MetaData": times, "DisplayName": f"V{row_id}", "Active": True, **more}


OLD, NEW = "2020-07-01T08:00:00-07:00", "2020-07-01T15:30:00+00:00"


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (("10", NEW), ("9", OLD), "first"),
        (("9", NEW), ("10", OLD), "second"),
        (("1", OLD), ("1", NEW), "second"),
        (("1", NEW), ("1", OLD), "first"),
        (("1", OLD), ("1", OLD), "first"),
    ],
)
def test_the_highest_sync_token_wins_then_the_later_update_then_the_first(
    first: tuple[str, str], second: tuple[str, str], kept: str
) -> None:
    company = Company("1")
    merge_answer(company, {"QueryResponse": {"Vendor": [vendor("7", *first, Notes="first")], "maxResults": 1}})
    merge_answer(company, {"Vendor": vendor("7", *second, Notes="second"), "time": NEW})
    row = company["Vendor"].get("7")
    assert row is not None
    assert row["Notes"] == kept


def test_answers_without_rows_and_stubs_of_deleted_objects_add_nothing(tmp_path: Path) -> None:
    answers = [
        {"QueryResponse": {"totalCount": 3}},
        {"QueryResponse": {}},
        {"Invoice": {"domain": "QBO", "status": "Deleted", "Id": "266"}},
        {"Header": {"ReportName": "GeneralLedger"}, "Rows": {}},
        {"Fault": {"Error": []}},
        [{"Vendor": {"Id": "1"}}],
    ]
    for number, answer in enumerate(answers):
        (tmp_path / f"{number}.json").write_text(json.dumps(answer))
    company = Company("1")
    load_folder(company, tmp_path)
    assert [name for name, table in company.tables.items() if table.rows] == []


def test_a_file_that_is_not_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(LoadError, match=r"broken\.json: not JSON"):
        load_folder(Company("1"), tmp_path)


def test_filling_leaves_what_is_held_and_adds_only_what_fits() -> None:
    generated = generate("1", 1, Sizes())
    taken = next(row for row in generated["Customer"].decoded() if not row["Active"] and "ParentRef" not in row)["DisplayName"]
    company = Company("1")
    merge_answer(company, {"QueryResponse": {"Vendor": [vendor("41", "0", OLD), vendor("42", "0", OLD, Active=False)]}})
    merge_answer(company, {"QueryResponse": {"Customer": [vendor("1", "0", OLD, DisplayName=taken.upper())]}})
    merge_answer(company, {"QueryResponse": {"Term": [{**vendor("77", "0", OLD), "Name": "Net 77"}]}})
    fill(company, generated)
    assert {row["Id"] for row in company["Vendor"].decoded()} == {"41", "42"}
    filled = [row for row in company["Customer"].decoded() if row["Id"] != "1"]
    assert filled
    assert all(int(row["Id"]) > 42 and not row["Active"] for row in filled)
    assert taken not in [row["DisplayName"] for row in filled]
    terms = set(company["Term"].rows)
    assert {row["SalesTermRef"]["value"] for row in filled if "SalesTermRef" in row} <= terms
    assert company["Class"].rows == generated["Class"].rows
