"""What checking a profile has to say about the database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """One thing about one table or column. ``problem``: the import would stumble over it; otherwise a person should think."""

    where: str
    what: str
    remedy: str
    problem: bool = True

    def __str__(self) -> str:
        return f"{'problem' if self.problem else 'question'}: {self.where}: {self.what}. {self.remedy}"
