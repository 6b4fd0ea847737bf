"""The schema that every JSON document is held to."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from qbo_sync import report
from qbo_sync.switch.model import Answer

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/answer.schema.json").read_text(encoding="utf-8"))


def check(answer: Answer) -> None:
    """Raise ``jsonschema.ValidationError`` unless the answer's document is as the schema says."""
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(report.document(answer)))
