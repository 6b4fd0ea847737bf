"""The steps of the guide as functions: each takes a site, does one command's work and gives back what to show."""

from qbo_sync.switch.steps.auditing import accept, audit, fix, withdraw
from qbo_sync.switch.steps.exporting import export_status, reconcile, set_export
from qbo_sync.switch.steps.finishing import discard, review, undo
from qbo_sync.switch.steps.importing import import_, make_plan
from qbo_sync.switch.steps.inactivating import apply as prepare_apply
from qbo_sync.switch.steps.inactivating import revert as prepare_revert
from qbo_sync.switch.steps.looking import doctor, status
from qbo_sync.switch.steps.preparing import prepare
from qbo_sync.switch.steps.profiles import profile_check, profile_draft
from qbo_sync.switch.steps.site import Outcome, Site, needed_reports

__all__ = [
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
