"""`profile check` and `profile draft` as commands: what they answer, and that a draft is never written over another file."""

from __future__ import annotations

from pathlib import Path

import pytest

from qbo_sync.errors import UsageError
from qbo_sync.miracle import load
from qbo_sync.switch import steps
from tests.unit.switch.conftest import Acme


def test_a_profile_that_fits_is_said_to_fit(acme: Acme) -> None:
    answer = steps.profile_check(acme.site).answer
    assert (answer.outcome, answer.summary) == ("ok", {"profile": "reference", "problems": 0, "questions": 0})
    assert answer.lines == ["the profile 'reference' fits the database"]


def test_each_problem_is_an_item_with_what_to_do(acme: Acme) -> None:
    acme.sql("CREATE TABLE work_order (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer (id))")
    answer = steps.profile_check(acme.site).answer
    assert (answer.outcome, answer.summary["problems"]) == ("attention", 1)
    (item,) = answer.items
    assert (item["id"], item["kind"]) == ("work_order.customer_id", "problem")
    assert "[work_order, customer_id]" in item["remedy"]


def test_a_draft_is_a_file_that_the_settings_can_name(acme: Acme, tmp_path: Path) -> None:
    answer = steps.profile_draft(acme.site, tmp_path / "draft.yml").answer
    assert answer.outcome == "attention"
    assert answer.summary["file"] == str(tmp_path / "draft.yml")
    assert load(str(tmp_path / "draft.yml")).kinds.keys() == load("reference").kinds.keys()
    with pytest.raises(UsageError, match="cannot be written"):
        steps.profile_draft(acme.site, tmp_path / "draft.yml")
    beside_the_reports = Path(steps.profile_draft(acme.site).answer.summary["file"])
    assert beside_the_reports.parent == acme.site.store.reports
