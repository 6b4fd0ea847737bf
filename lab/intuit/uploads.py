"""Files kept with records (``POST /upload``): what comes in, and the record that is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import msgspec

from lab.intuit import faults
from lab.intuit.clock import Clock, row_time
from lab.intuit.company import Company, Row
from lab.intuit.made.seed import LARGE
from lab.intuit.schema import ENTITIES


@dataclass(frozen=True)
class Part:
    """One file of an upload and what was said of it."""

    said: Row
    size: int


def parts(content_type: str, body: bytes) -> Iterator[Part]:
    """The files of a multipart body, each with the metadata of the same number (``file_metadata_01``, ``file_content_01``)."""
    whole = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    message: EmailMessage = BytesParser(policy=policy.default).parsebytes(whole)
    pieces: dict[tuple[str, str], tuple[bytes, str, str]] = {}
    for each in message.iter_parts():
        name = str(each.get_param("name", "", "content-disposition"))
        kind, _, number = name.removeprefix("file_").rpartition("_")
        content = each.get_payload(decode=True)
        pieces[kind, number] = bytes(content or b""), str(each.get_filename() or ""), each.get_content_type()
    for (kind, number), (content, filename, content_type_of_file) in sorted(pieces.items()):
        if kind == "content":
            said = _said(pieces.get(("metadata", number), (b"{}", "", ""))[0])
            yield Part({"FileName": filename, "ContentType": content_type_of_file, **said}, len(content))


def _said(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise faults.required("file_metadata") from None


def attach(company: Company, part: Part, clock: Clock) -> Row:
    """Keep a file's record and give it. Raises the service's fault when it is to belong to what is not there."""
    for reference in part.said.get("AttachableRef", []):
        kind, row_id = reference["EntityRef"].get("type", ""), str(reference["EntityRef"]["value"])
        if kind not in ENTITIES or company[kind].raw(row_id) is None:
            raise faults.business(f"The entity {kind} {row_id} that you are trying to link does not exist. {kind} {row_id}")
    numbers = company["Attachable"].rows
    row_id = str(max([LARGE + 503_000, *numbers]) + 1)
    now = row_time(clock.now())
    row = {
        **part.said,
        "FileAccessUri": f"/v3/company/{company.realm}/download/{row_id}",
        "TempDownloadUri": f"https://files.example.com/{row_id}",
        "Size": part.size,
        **{"domain": "QBO", "sparse": False, "Id": row_id, "SyncToken": "0"},
        "MetaData": {"CreateTime": now, "LastUpdatedTime": now},
    }
    company["Attachable"].put(row)
    return row
