"""The steps of the guide as functions: each takes a site, does one command's work and gives back what to show."""

from typing import TYPE_CHECKING

from qbo_sync import lazily

if TYPE_CHECKING:
    from qbo_sync.switch.model import Answer
    from qbo_sync.switch.steps.auditing import accept, audit, fix, withdraw
    from qbo_sync.switch.steps.exporting import export_status, reconcile, set_export
    from qbo_sync.switch.steps.finishing import discard, review, undo
    from qbo_sync.switch.steps.importing import import_, make_plan
    from qbo_sync.switch.steps.inactivating import prepare_apply, prepare_revert
    from qbo_sync.switch.steps.looking import doctor, status
    from qbo_sync.switch.steps.preparing import prepare
    from qbo_sync.switch.steps.profiles import profile_check, profile_draft
    from qbo_sync.switch.steps.site import Outcome, Site, needed_reports
else:
    __getattr__ = lazily.names(
        __name__,
        auditing="accept audit fix withdraw",
        exporting="export_status reconcile set_export",
        finishing="discard review undo",
        importing="import_ make_plan",
        inactivating="prepare_apply prepare_revert",
        looking="doctor status",
        preparing="prepare",
        profiles="profile_check profile_draft",
        site="Answer Outcome Site needed_reports",
    )

__all__ = [
    "Answer",
    "Outcome",
    "Site",
    "accept",
    "audit",
    "discard",
    "doctor",
    "export_status",
    "fix",
    "import_",
    "make_plan",
    "needed_reports",
    "prepare",
    "prepare_apply",
    "prepare_revert",
    "profile_check",
    "profile_draft",
    "reconcile",
    "review",
    "set_export",
    "status",
    "undo",
    "withdraw",
]
