"""An Ansible callback that kills the run, as a power cut would, when a task has changed something."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kit_cut
type: aggregate
short_description: kills ansible-playbook after its first task that changed something
description: For `./kit bench cut`. The task's name goes into the file named by KIT_CUT_FILE first.
author: qbo-kit
"""


class CallbackModule(CallbackBase):
    """See the module's docstring."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kit_cut"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well on a host."""
        if result._result.get("changed"):
            Path(os.environ["KIT_CUT_FILE"]).write_text(result._task.get_name(), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
