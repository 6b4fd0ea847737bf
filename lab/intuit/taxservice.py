"""``POST /taxservice/taxcode``, the only way in which a tax code and its rates are made (fact 3.8); they cannot be changed."""

from __future__ import annotations

from typing import Any

from lab.intuit import faults
from lab.intuit.clock import Clock, row_time
from lab.intuit.company import Company, Row


def create(company: Company, sent: Row, clock: Clock) -> Row:
    """Make a tax code of rates that are there (``TaxRateId``) or are made with it. Raises the service's fault."""
    name, details = sent.get("TaxCode"), sent.get("TaxRateDetails")
    if not name or not details:
        raise faults.required("TaxCode" if not name else "TaxRateDetails")
    if name in _names(company, "TaxCode"):
        raise faults.duplicate_name("Another tax code is already using this \nname. Please use a different name.", element="")
    # Nothing is made before everything could be.
    taken = _names(company, "TaxRate")
    for detail in details:
        if "TaxRateId" in detail:
            if company["TaxRate"].raw(str(detail["TaxRateId"])) is None:
                raise faults.object_not_found()
        elif not detail.get("TaxRateName"):
            raise faults.required("TaxRateName")
        elif detail["TaxRateName"] in taken:
            raise faults.duplicate_name("Another tax rate is already using this \nname. Please use a different name.", element="")
    rates = [_rate(company, detail, clock) for detail in details]
    code = _stamped(company, "TaxCode", clock)
    code |= {"Name": name, "Description": name, "Active": True, "Hidden": False, "Taxable": True, "TaxGroup": True}
    for side, applies in (("SalesTaxRateList", "Sales"), ("PurchaseTaxRateList", "Purchase")):
        own = [rate for rate, detail in zip(rates, details, strict=True) if detail.get("TaxApplicableOn", "Sales") == applies]
        code[side] = {"TaxRateDetail": [_detail(rate) for rate in own]}
    company["TaxCode"].put(code)
    made = [
        {**detail, "TaxRateId": rate["Id"], "TaxRateName": rate["Name"], "RateValue": f"{rate['RateValue']:g}%"}
        for rate, detail in zip(rates, details, strict=True)
    ]
    return {"TaxCode": name, "TaxCodeId": code["Id"], "TaxRateDetails": made}


def _names(company: Company, kind: str) -> set[str]:
    return {row["Name"] for row in company[kind].decoded()}


def _rate(company: Company, detail: Row, clock: Clock) -> Row:
    held = company["TaxRate"].get(str(detail.get("TaxRateId", "")))
    if held is not None:
        return held
    row = _stamped(company, "TaxRate", clock)
    row |= {"Name": detail["TaxRateName"], "Description": "Sales Tax", "Active": True, "RateValue": float(detail["RateValue"])}
    row |= {"AgencyRef": {"value": str(detail["TaxAgencyId"])}, "SpecialTaxType": "NONE", "DisplayType": "ReadOnly"}
    company["TaxRate"].put(row)
    return row


def _detail(rate: Row) -> dict[str, Any]:
    return {
        "TaxRateRef": {"value": rate["Id"], "name": rate["Name"]},
        "TaxTypeApplicable": "TaxOnAmount",
        "TaxOrder": 0,
    }


def _stamped(company: Company, kind: str, clock: Clock) -> Row:
    now = row_time(clock.now())
    times = {"CreateTime": now, "LastUpdatedTime": now}
    return {"domain": "QBO", "sparse": False, "Id": company.next_id(kind), "SyncToken": "0", "MetaData": times}
