"""What the documentation says of the look-alike is held by a test each, and by a recording where it says so."""

from __future__ import annotations

import ast
from pathlib import Path

from lab.intuit.known import KNOWN

TESTS = {
    node.name: node
    for path in Path(__file__).parent.glob("test_intuit_*.py")
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def test_each_behaviour_is_held_by_a_test() -> None:
    assert [each for each in KNOWN if each.test not in TESTS] == []
    assert len({each.behaviour for each in KNOWN}) == len(KNOWN)


def test_what_is_called_recorded_is_compared_with_a_recording() -> None:
    def takes_recordings(name: str) -> bool:
        return any(argument.arg in ("recorded", "replay", "recorded_folder") for argument in TESTS[name].args.args)

    assert [each for each in KNOWN if each.source == "recorded" and not takes_recordings(each.test)] == []
