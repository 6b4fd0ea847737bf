"""Old reports go, and only those."""

from __future__ import annotations

from pathlib import Path

from qbo_sync import report


def never(_: str, __: str) -> bool:
    return False


def reports(directory: Path, command: str, number: int) -> list[str]:
    made = [f"2026112{n}-101500" for n in range(number)]
    for stem in made:
        for suffix in ("html", "xlsx", "json"):
            (directory / f"{stem}-{command}.{suffix}").touch()
    return made


def test_the_newest_of_each_command_stay_with_all_their_files(tmp_path: Path) -> None:
    reports(tmp_path, "audit", 4)
    reports(tmp_path, "plan", 2)
    (tmp_path / "20261120-101500-plan-decisions.csv").touch()
    (tmp_path / "20261121-101500-plan-decisions.csv").touch()
    report.prune(tmp_path, 1, never)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20261121-101500-plan-decisions.csv",
        *(f"20261121-101500-plan.{suffix}" for suffix in ("html", "json", "xlsx")),
        *(f"20261123-101500-audit.{suffix}" for suffix in ("html", "json", "xlsx")),
    ]


def test_what_is_needed_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    reports(tmp_path, "prepare---apply", 3)
    theirs = {"filled-in.xlsx", "20261120-101500-audit.xlsx.bak", "notes.json"}
    for name in theirs:
        (tmp_path / name).touch()
    (tmp_path / "20261120-101500-audit").mkdir()
    gone = report.prune(tmp_path, 1, lambda command, made: (command, made) == ("prepare---apply", "20261120-101500"))
    assert {path.name[:15] for path in gone} == {"20261121-101500"}
    assert theirs | {"20261120-101500-audit"} <= {path.name for path in tmp_path.iterdir()}
