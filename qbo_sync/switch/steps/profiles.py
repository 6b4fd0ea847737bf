"""The site's profile: held against the real database, and proposed for one that nobody has described yet."""

from __future__ import annotations

from pathlib import Path

from qbo_sync.errors import UsageError
from qbo_sync.miracle import Miracle, checking, drafting, load
from qbo_sync.miracle.database import create_engine
from qbo_sync.switch.steps.site import Outcome, Site


def profile_check(site: Site) -> Outcome:
    """Hold the profile against the real database and name everything that an import would stumble over."""
    profile = load(site.settings.miracle.profile)
    with Miracle(create_engine(site.settings.miracle), profile, "") as miracle:
        remarks = checking.check(miracle)
    problems = sum(remark.problem for remark in remarks)
    summary = {"profile": profile.profile, "problems": problems, "questions": len(remarks) - problems}
    answer = site.answer("profile check", summary=summary)
    answer.items = [
        {
            "id": remark.where,
            "kind": "problem" if remark.problem else "question",
            "miracle": remark.what,
            "remedy": remark.remedy,
            "result": str(remark),
        }
        for remark in remarks
    ]
    answer.lines = [str(remark) for remark in remarks] or [f"the profile '{profile.profile}' fits the database"]
    if remarks:
        answer.outcome = "attention"
        answer.next = "correct the problems, answer the questions, then run this again" if problems else "answer the questions"
    return Outcome(answer)


def profile_draft(site: Site, file: Path | None = None) -> Outcome:
    """Propose a profile for the site's database, as a file beside the reports unless another is named. Overwrites none."""
    target = file or site.store.reports / f"profile-{site.settings.site}.yml"
    engine = create_engine(site.settings.miracle)
    try:
        proposed = drafting.draft(engine, site.settings.site)
    finally:
        engine.dispose()
    try:
        with target.open("x", encoding="utf-8") as opened:
            opened.write(proposed.text())
    except OSError as error:
        raise UsageError(
            f"the draft cannot be written to {target}",
            seen=str(error),
            next="move the old draft away, or name another file with --output",
        ) from error
    placed = len(proposed.profile["kinds"])
    answer = site.answer("profile draft", summary={"file": str(target), "kinds": placed, "left_over": len(proposed.left_over)})
    answer.items = [{"id": str(n), "kind": "left over", "result": line} for n, line in enumerate(proposed.left_over, start=1)]
    answer.lines = [f"the draft: {target}", *(f"left for you: {line}" for line in proposed.left_over)]
    answer.outcome = "attention"
    answer.next = "read every line of it, complete it, name it in [miracle] profile, and run: qbo-sync profile check"
    return Outcome(answer)
