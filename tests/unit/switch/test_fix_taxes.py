"""`audit fix` adds what Miracle Service lacks: whole codes with their rates on sales and purchases, or only the latter."""

from __future__ import annotations

from typing import Any

import pytest

from qbo_sync.errors import UsageError
from qbo_sync.switch import steps
from tests.unit.switch.conftest import Acme

GST, QST = "901", "902"


def rate(qbo_id: str, name: str, percent: float) -> dict[str, Any]:
    return {"Id": qbo_id, "SyncToken": "0", "Name": name, "Active": True, "RateValue": percent, "AgencyRef": {"value": "1"}}


def code(qbo_id: str, name: str, sales: list[str], purchase: list[str]) -> dict[str, Any]:
    def details(ids: list[str]) -> dict[str, Any]:
        each = [{"TaxRateRef": {"value": i}, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": n} for n, i in enumerate(ids)]
        return {"TaxRateDetail": each}

    lists = {"SalesTaxRateList": details(sales), "PurchaseTaxRateList": details(purchase)}
    return {"Id": qbo_id, "SyncToken": "0", "Name": name, "Active": True, "Taxable": True, "TaxGroup": True, **lists}


def rates(acme: Acme, table: str, name: str) -> list[tuple[int, str, float]]:
    found = acme.sql(
        f"SELECT p.position, p.name, p.rate FROM {table} p JOIN tax_code c ON c.id = p.tax_code_id WHERE c.name = :name"
        " ORDER BY p.position",
        name=name,
    )
    return [(position, part, float(percent)) for position, part, percent in found]


def test_taxes_on_purchases_are_added_with_their_codes_and_to_codes_that_are_there(acme: Acme) -> None:
    acme.put("TaxRate", rate(GST, "GST", 5))
    acme.put("TaxRate", rate(QST, "QST", 9.975))
    acme.put("TaxCode", code("801", "GST/QST", [GST, QST], [GST, QST]))
    acme.put("TaxCode", code("802", "GST", [GST], [GST]))
    acme.put("TaxCode", code("803", "Import GST", [], [GST]))
    acme.sql("INSERT INTO tax_code (id, name, active) VALUES (70, 'GST', true)")
    acme.sql("INSERT INTO tax_component (tax_code_id, position, name, rate, compound) VALUES (70, 1, 'GST', '5.000000', false)")
    before = {f.id for f in steps.audit(acme.site).findings}
    assert {"TAX-001/GST/QST", "TAX-017/GST/QST", "TAX-017/GST", "TAX-017/Import GST"} <= before
    listed = steps.fix(acme.site, confirmed=False).answer
    assert {"GST/QST: 14.975 % = GST 5 % + QST 9.975 %; on purchases GST/QST: 14.975 % = GST 5 % + QST 9.975 %",
            "on purchases GST: 5 %", "on purchases Import GST: 5 %"} <= {item["qbo"] for item in listed.items}  # fmt: skip
    assert rates(acme, "purchase_tax_component", "GST") == []

    steps.fix(acme.site, confirmed=True)
    assert rates(acme, "tax_component", "GST/QST") == [(1, "GST", 5.0), (2, "QST", 9.975)]
    assert rates(acme, "purchase_tax_component", "GST/QST") == [(1, "GST", 5.0), (2, "QST", 9.975)]
    assert rates(acme, "purchase_tax_component", "GST") == [(1, "GST", 5.0)]
    assert (rates(acme, "tax_component", "Import GST"), rates(acme, "purchase_tax_component", "Import GST")) == (
        [],
        [(1, "GST", 5.0)],
    )
    assert len(acme.sql("SELECT id FROM tax_code WHERE name = 'GST'")) == 1
    left = {f.rule for f in steps.audit(acme.site).findings}
    assert not left & {"TAX-001", "TAX-017", "TAX-018"}
    assert steps.fix(acme.site, confirmed=True).answer.summary == {"tax_code": {"missing": 0, "written": 0}}


def test_a_finding_is_accepted_by_its_id_and_stays_accepted(acme: Acme) -> None:
    blocker = next(f for f in steps.audit(acme.site).findings if f.severity == "blocker")
    steps.accept(acme.site, {blocker.id: "the accountant knows"})
    again = {f.id: f for f in steps.audit(acme.site).findings}
    assert again[blocker.id].accepted == "the accountant knows"
    shown = steps.audit(acme.site, since_last=True)
    assert shown.findings == []
    assert shown.answer.summary["accepted"] == 1


def test_an_acceptance_is_taken_back_and_who_and_why_is_kept(acme: Acme) -> None:
    found = steps.audit(acme.site)
    blocker = next(f for f in found.findings if f.severity == "blocker")
    with pytest.raises(UsageError, match="is not accepted; nothing was changed"):
        steps.withdraw(acme.site, blocker.id, "too early", "amy")
    steps.accept(acme.site, {blocker.id: "the accountant knows"})
    with pytest.raises(UsageError, match="with a reason"):
        steps.withdraw(acme.site, blocker.id, " ", "amy")
    taken_back = steps.withdraw(acme.site, blocker.id, "she did not", "amy").answer
    assert taken_back.summary == found.answer.summary
    assert [item["id"] for item in taken_back.items] == [blocker.id]
    again = steps.audit(acme.site)
    assert blocker in again.findings
    (said,) = again.answer.lines
    for part in (blocker.id, "by amy: she did not", "had been accepted: the accountant knows"):
        assert part in said
    steps.accept(acme.site, {blocker.id: "now she does"})
    assert steps.audit(acme.site).answer.lines == []
