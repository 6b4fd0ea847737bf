"""The look-alike is held to recorded answers: load what was recorded, send the recorded request, compare field by field.

What may differ stands in :data:`tests.contract.recording.MAY_DIFFER` and nowhere else. Writes, faults and OAuth are in the files
beside this one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.recording import NOT_REPLAYED, without_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Caller
    from tests.contract.recording import Load, Read

IDS = "Id IN ('5', '6', '7', '8', '9', '10')"


QUERIES = {
    "customer_query_all_41": "SELECT * FROM Customer MAXRESULTS 1000 STARTPOSITION 1",
    "customer_query_default_100": "SELECT * FROM Customer",
    "customer_query_apostrophe_escaped": "SELECT * FROM Customer WHERE DisplayName = 'Amy\\'s Bird Sanctuary'",
    "employee_query_active_in_true_false": "SELECT * FROM Employee WHERE Active IN ( true, false )"
    " MAXRESULTS 1000 STARTPOSITION 1",
    "item_query_all_19": "select * from Item",
    "salesreceipt_query_all": "SELECT * FROM SalesReceipt MAXRESULTS 1000 STARTPOSITION 1",
    "vendor_query_active_in_true_false": "SELECT * FROM Vendor WHERE Active IN (true, false)",
    "vendor_query_ampersand": "SELECT * FROM Vendor WHERE DisplayName = 'Robertson & Associates'",
    "vendor_query_5_2024_with_V4IDPseudonym": "select * from vendor maxresults 5",
    "term_list_5": "select * from Term",
    "paymentmethod_list_4_partial": "select * from PaymentMethod",
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_recorded_query_gets_its_recorded_answer(name: str, replay: Load, recorded: Read) -> None:
    caller = replay(f"sandbox_us/{name}.json")
    assert without_time(caller.query(QUERIES[name]).json()) == without_time(recorded(f"sandbox_us/{name}.json"))


@pytest.mark.parametrize("entity", ["TaxCode", "TaxRate", "TaxAgency", "Account"])
def test_lists_whose_order_was_not_recorded_hold_the_recorded_rows(entity: str, replay: Load, recorded: Read) -> None:
    file = {
        "TaxCode": "taxcode_list_2_real",
        "TaxRate": "taxrate_list_3",
        "TaxAgency": "taxagency_list_2",
        "Account": "account_list_5",
    }[entity]
    rows = replay(f"sandbox_us/{file}.json").rows(entity)
    expected = recorded(f"sandbox_us/{file}.json")["QueryResponse"][entity]
    assert sorted(rows, key=lambda row: row["Id"]) == sorted(expected, key=lambda row: row["Id"])


READS = {
    "customer_read_5": "customer/5",
    "customer_read_68": "customer/68",
    "employee_read_55_before_deactivate": "employee/55",
    "account_read_5_before_deactivate": "account/5",
    "item_read": "item/11",
    "attachable_read": "attachable/5000000000000503624",
    "invoice_read_264_before_void": "invoice/264",
    "invoice_read_266_before_delete": "invoice/266",
    "salesreceipt_read_17": "salesreceipt/17",
    "estimate_100_taxed_california": "estimate/100",
    "preferences_read": "preferences",
}


@pytest.mark.parametrize("name", READS)
def test_a_recorded_read_gets_its_recorded_answer(name: str, replay: Load, recorded: Read) -> None:
    caller = replay(f"sandbox_us/{name}.json")
    assert without_time(caller.get(READS[name]).json()) == without_time(recorded(f"sandbox_us/{name}.json"))


@pytest.mark.parametrize("page", range(1, 7))
def test_recorded_vendor_pages(page: int, replay: Load, recorded: Read) -> None:
    caller = replay("sandbox_us/vendor_all_26_assembled.json")
    answer = caller.query(f"SELECT * FROM Vendor MAXRESULTS 5 STARTPOSITION {5 * page - 4}").json()
    assert without_time(answer) == without_time(recorded(f"sandbox_us/vendor_query_page{page}.json"))


@pytest.mark.parametrize("page", range(1, 5))
def test_recorded_pages_of_chosen_ids(page: int, replay: Load, recorded: Read) -> None:
    caller = replay(*(f"sandbox_us/customer_where_id_in_page{number}.json" for number in range(1, 4)))
    statement = f"SELECT * FROM Customer WHERE {IDS} AND Active IN ( true, false ) MAXRESULTS 2 STARTPOSITION {2 * page - 1}"
    answer = caller.query(statement).json()
    assert without_time(answer) == without_time(recorded(f"sandbox_us/customer_where_id_in_page{page}.json"))


def test_the_customers_of_the_stock_company_come_in_the_recorded_order(replay: Load, recorded: Read) -> None:
    expected = recorded("sandbox_us/customer_original_29_assembled.json")["QueryResponse"]
    ids = ", ".join(f"'{row['Id']}'" for row in expected["Customer"])
    answer = replay("sandbox_us/customer_query_all_41.json").query(f"SELECT * FROM Customer WHERE Id IN ({ids})").json()
    assert answer["QueryResponse"] == expected


@pytest.mark.parametrize(
    ("name", "loaded", "statement"),
    [
        ("customer_count", "customer_query_all_41", "SELECT COUNT(*) FROM Customer"),
        ("customer_count_where_id_in", "customer_query_all_41", f"SELECT count(*) FROM Customer WHERE {IDS}"),
        ("vendor_count", "vendor_query_active_in_true_false", "SELECT COUNT(*) FROM Vendor"),
        (
            "employee_count_active_in",
            "employee_query_active_in_true_false",
            "SELECT COUNT(*) FROM Employee WHERE Active IN (true, false) ",
        ),
    ],
)
def test_recorded_counts(name: str, loaded: str, statement: str, replay: Load, recorded: Read) -> None:
    answer = replay(f"sandbox_us/{loaded}.json").query(statement).json()
    assert without_time(answer) == without_time(recorded(f"sandbox_us/{name}.json"))


# The whole folder ---------------------------------------------------------------------------------------------------------


def test_every_recorded_row_is_held_in_its_newest_copy(recorded_company: Caller, recorded_folder: Path, recorded: Read) -> None:
    """Each held row equals one of the recorded copies, and no recorded copy has a higher SyncToken or a later update."""
    copies: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in sorted((recorded_folder / "sandbox_us").glob("*.json")):
        answer = recorded(f"sandbox_us/{path.name}")
        for name, value in {**answer, **answer.get("QueryResponse", {})}.items():
            for row in value if isinstance(value, list) else [value]:
                if isinstance(row, dict) and "MetaData" in row:
                    copies.setdefault((name, row["Id"]), []).append(row)
    held = {
        (entity, row["Id"]): row
        for entity in {entity for entity, _ in copies}
        for row in recorded_company.lab(f"entities/{entity}")
    }
    assert held.keys() == copies.keys()
    for key, row in held.items():
        assert row in copies[key]
        assert int(row["SyncToken"]) == max(int(copy["SyncToken"]) for copy in copies[key])


def test_exact_fills_nothing_and_otherwise_no_kind_is_empty(
    recorded_company: Caller, start: Callable[..., Caller], recorded_folder: Path
) -> None:
    filled = start("--limits", "off", "--data", str(recorded_folder / "sandbox_us"))
    assert recorded_company.lab("entities/Class") == []
    for kind in ("Customer", "Vendor", "Item", "Term", "PaymentMethod", "Class", "CustomerType"):
        rows = {row["Id"]: row for row in filled.lab(f"entities/{kind}")}
        assert any(row["Active"] for row in rows.values()), kind
        assert not all(row["Active"] for row in rows.values()), kind
        for row in recorded_company.lab(f"entities/{kind}"):
            assert rows[row["Id"]] == row
    assert filled.get("preferences").json()["Preferences"] == recorded_company.get("preferences").json()["Preferences"]
    assert filled.get(f"companyinfo/{filled.grant['realmId']}").status_code == 200
    types = {row["Id"] for row in filled.lab("entities/CustomerType")}
    references = {row["CustomerTypeRef"]["value"] for row in filled.lab("entities/Customer") if "CustomerTypeRef" in row}
    assert references
    assert references <= types


@pytest.mark.parametrize("folder", ["sandbox_us", "faults", "oauth", "batch_cdc", "webhooks"])
def test_every_recording_is_replayed_or_there_is_a_reason(folder: str, recorded_folder: Path) -> None:
    here = Path(__file__)
    files = [*here.parent.glob("test_intuit_recorded*.py"), here.with_name("test_intuit_webhooks.py")]
    source = "".join(path.read_text() for path in files)
    stems = [path.stem for path in (recorded_folder / folder).iterdir()]
    patterns = {stem: (stem, re.sub(r"\d+$", "{", stem), re.sub(r"_[a-z]+$", "_{", stem)) for stem in stems}
    assert stems
    assert [
        stem for stem, named in patterns.items() if stem not in NOT_REPLAYED and not any(name in source for name in named)
    ] == []
