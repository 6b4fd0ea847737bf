"""The command line as scripts and people meet it: exit codes, one JSON document, errors that say the next step."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.switch.conftest import REALM, SETTINGS, Acme, acme, lookalike  # noqa: F401 - fixtures


def run(folder: Path, *command: str, text: str = "", json_format: bool = True) -> subprocess.CompletedProcess[str]:
    options = ["--format", "json"] if json_format else []
    return subprocess.run(
        [sys.executable, "-m", "qbo_sync.cli", "--config", str(folder / "acme.toml"), *options, *command],
        capture_output=True, text=True, input=text, check=False, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_every_command_answers_in_json_with_its_exit_code(acme: Acme) -> None:  # noqa: F811
    expected = [
        (("status",), 0, "ok"),
        (("doctor",), 0, "ok"),
        (("connect",), 0, "ok"),
        (("profile", "check"), 0, "ok"),
        (("import",), 4, "blocked"),
        (("audit",), 4, "blocked"),
        (("audit", "fix"), 3, "attention"),
        (("plan",), 3, "attention"),
        (("import",), 4, "blocked"),
        (("review",), 0, "ok"),
        (("reconcile",), 3, "attention"),
        (("export", "status"), 0, "ok"),
        (("export", "enable"), 4, "blocked"),
        (("undo", "nothing"), 2, "usage"),
        (("discard", "/nowhere.csv"), 2, "usage"),
        (("disconnect",), 0, "ok"),
        (("status",), 5, "waiting"),
        (("audit",), 6, "reconnect"),
    ]
    for command, code, outcome in expected:
        done = run(acme.folder, *command)
        answer = document(done)
        assert (command, done.returncode, answer["outcome"]) == (command, code, outcome), done.stderr
        assert answer["site"] == "acme"
        assert {"command", "site", "outcome", "summary", "items", "requests", "seconds", "report"} <= set(answer)
        assert "s3cret" not in done.stdout + done.stderr


def documents(text: str) -> list[dict[str, Any]]:
    """JSON documents that stand one after another."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:]
    return found


@pytest.mark.parametrize(
    ("lines", "answers", "code"),
    [
        ("profile check\n\nexport status\n", [("profile check", "ok"), ("export status", "ok")], 0),
        ("audit fix\nprofile check\n", [("audit fix", "attention"), ("profile check", "ok")], 3),
        ("profile check\naudit\nplan\n", [("profile check", "ok"), ("audit", "blocked")], 4),
        ("discard '/no where.csv'\nstatus\n", [("discard", "usage")], 2),
        ("", [], 0),
    ],
)
def test_a_batch_runs_its_commands_in_turn_until_one_is_not_done(
    acme: Acme,  # noqa: F811
    lines: str,
    answers: list[tuple[str, str]],
    code: int,
) -> None:
    done = run(acme.folder, "batch", text=lines)
    assert [(one["command"], one["outcome"]) for one in documents(done.stdout)] == answers, done.stderr
    assert done.returncode == code


def test_commands_of_a_batch_count_their_own_requests(acme: Acme) -> None:  # noqa: F811
    run(acme.folder, "audit")
    twice = documents(run(acme.folder, "batch", text="audit fix\naudit fix\n").stdout)
    assert twice[0]["requests"]["made"] == twice[1]["requests"]["made"] > 0


@pytest.mark.parametrize("wrong", ["frobnicate", "batch", "serve"])
def test_a_batch_with_a_word_that_is_no_command_runs_nothing(acme: Acme, wrong: str) -> None:  # noqa: F811
    done = run(acme.folder, "batch", text=f"audit\n{wrong}\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"nothing was run: {wrong} is no command for a batch" in " ".join(done.stderr.split())


def test_a_batch_with_a_wrong_option_stops_there(acme: Acme) -> None:  # noqa: F811
    done = run(acme.folder, "batch", text="profile check\naudit --nonsense\nstatus\n")
    assert [one["command"] for one in documents(done.stdout)] == ["profile check"]
    assert (done.returncode, "--nonsense" in done.stderr) == (2, True)


def test_reports_are_private_and_of_all_three_kinds(acme: Acme) -> None:  # noqa: F811
    report = document(run(acme.folder, "audit"))["report"]
    for kind in ("html", "xlsx", "json"):
        assert Path(report[kind]).stat().st_mode & 0o077 == 0
    assert json.loads(Path(report["json"]).read_text())["command"] == "audit"
    assert "<script src" not in Path(report["html"]).read_text()


def test_an_error_says_what_for_which_site_what_was_seen_and_what_next(acme: Acme) -> None:  # noqa: F811
    done = run(acme.folder, "import", json_format=False)
    assert done.returncode == 4
    for word in ("acme:", "no plan", "next: run qbo-sync plan"):
        assert word in done.stderr


@pytest.mark.parametrize("missing", ["acme.toml", "client-secret"])
def test_missing_files_are_named(acme: Acme, missing: str) -> None:  # noqa: F811
    (acme.folder / missing).unlink()
    done = run(acme.folder, "doctor")
    assert missing in done.stdout + done.stderr
    assert done.returncode in (2, 3)


def test_the_consent_by_hand(lookalike: str, tmp_path: Path) -> None:  # noqa: F811
    """Without the web service: open the address, consent, paste where the browser ended."""
    requests.post(f"{lookalike}/lab/reset", timeout=30)
    (tmp_path / "acme.toml").write_text(SETTINGS.format(address=lookalike, database='database_url = "sqlite:///miracle.db"'))
    (tmp_path / "client-secret").write_text("s3cret")
    (tmp_path / "client-secret").chmod(0o600)
    process = subprocess.Popen(
        [sys.executable, "-m", "qbo_sync.cli", "--config", str(tmp_path / "acme.toml"), "--format", "json", "connect"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    address = next(line.strip() for line in process.stderr if line.startswith("http"))
    answer = requests.post(address, data={"decision": "allow", "realm": REALM}, allow_redirects=False, timeout=30)
    out, _ = process.communicate(answer.headers["Location"] + "\n", timeout=60)
    assert json.loads(out)["summary"]["realm"] == REALM
    assert process.returncode == 0


def test_another_company_is_bound_only_when_said_so(acme: Acme) -> None:  # noqa: F811
    token = acme.folder / "refresh-token"
    token.touch(mode=0o600)
    token.write_text(requests.post(f"{acme.address}/lab/token", json={"realm": REALM}, timeout=30).json()["refresh_token"])
    other = ["connect", "--realm", "999", "--refresh-token-file", str(token)]
    refused = document(run(acme.folder, *other))
    assert (refused["outcome"], "bound to another" in refused["items"][0]["result"]) == ("blocked", True)
    connected = document(run(acme.folder, "connect", "--allow-other-company"))
    assert (connected["outcome"], "disconnect" in connected["next"]) == ("usage", True)
    run(acme.folder, "disconnect")
    waits = run(acme.folder, "connect", "--allow-other-company")
    assert waits.returncode == 5
    # Unbound now: the refusal is Intuit's own, not ours.
    assert "bound to another" not in run(acme.folder, *other).stdout


def test_a_stopped_command_says_that_nothing_is_half_written(acme: Acme) -> None:  # noqa: F811
    before = acme.stats()["requests"]
    # An answer that takes its time: the command must still be at work when it is stopped.
    acme.latency(4000)
    try:
        process = subprocess.Popen(
            # What a shell starts in the background hears no Ctrl-C, and hands that on.
            ["env", "--default-signal=INT", sys.executable, "-m", "qbo_sync.cli",
             "--config", str(acme.folder / "acme.toml"), "audit"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while acme.stats()["requests"] == before:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        acme.latency(0)
    assert process.returncode == 1
    assert "nothing is half written" in said
    assert "Traceback" not in said


def test_a_dead_database_is_unreachable_not_a_fault_of_ours(acme: Acme) -> None:  # noqa: F811
    settings = (acme.folder / "acme.toml").read_text()
    down = re.sub('database_url = "[^"]*"', 'database_url = "postgresql://u@127.0.0.1:9/miracle"', settings)
    (acme.folder / "acme.toml").write_text(down)
    done = run(acme.folder, "profile", "check")
    assert (done.returncode, document(done)["outcome"]) == (7, "unreachable")


def test_ctrl_c_ends_an_import_between_two_chunks(acme: Acme) -> None:  # noqa: F811
    acme.mend()
    run(acme.folder, "audit")
    run(acme.folder, "plan")
    command = [sys.executable, "-m", "qbo_sync.cli", "--config", str(acme.folder / "acme.toml"), "--format", "json", "import"]
    importing = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "QBO_SYNC__IMPORT__CHUNK_ROWS": "1"},
    )
    assert importing.stderr is not None
    importing.stderr.readline()
    importing.send_signal(signal.SIGINT)
    said, complained = importing.communicate(timeout=60)
    assert importing.returncode == 1, complained
    assert json.loads(said)["next"] == "run it again: qbo-sync import"
    assert "nothing is half written" in complained
    assert [row[0] for row in acme.sql("SELECT state FROM qbo_sync_run WHERE command = 'import'")] == ["stopped"]
    part = len(acme.links())
    assert part == len(acme.sql("SELECT 1 FROM qbo_sync_link WHERE state = 'matched'")) + len(
        acme.sql("SELECT 1 FROM qbo_sync_row WHERE state = 'made'")
    )
    again = run(acme.folder, "import")
    assert again.returncode in (0, 3), again.stderr
    assert 0 < part < len(acme.links())


def test_of_two_imports_at_the_same_moment_one_works_and_the_other_says_so(acme: Acme) -> None:  # noqa: F811
    """Somebody holds the database meanwhile, so that whichever comes first is still at work when the other comes."""
    acme.mend()
    run(acme.folder, "audit")
    planned = document(run(acme.folder, "plan"))
    command = [sys.executable, "-m", "qbo_sync.cli", "--config", str(acme.folder / "acme.toml"), "--format", "json", "import"]
    with acme.engine.execution_options(writing=True).begin():
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        while all(process.poll() is None for process in both):
            time.sleep(0.02)
    said = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    (refused,) = (answer for answer in said if answer["outcome"] == "blocked")
    assert sorted(process.returncode for process in both) in ([0, 4], [3, 4]), said
    assert refused["items"][0]["result"] == "another run holds this site"
    assert refused["items"][0]["remedy"] == "wait until it has ended, then run this again"
    new = sum(kind["new"] for kind in planned["summary"].values())
    assert len(acme.sql("SELECT 1 FROM qbo_sync_row WHERE state = 'made'")) == new > 0
    assert acme.sql("SELECT name FROM customer GROUP BY name, parent_id HAVING count(*) > 1") == []


def test_doctor_shows_the_guides_checklist_and_the_way_to_the_address(acme: Acme) -> None:  # noqa: F811
    """On an edge host: four ticks, the checks that it can see, a page; what a person said stays said."""
    edge = 'fqdn = "qbo.firm.local"\nzone = "firm.local"\naddress = "100.64.1.2"\nlan_address = "127.0.0.1"\n'
    with (acme.folder / "acme.toml").open("a") as settings:
        settings.write(f'\n[edge]\n{edge}acme_directory = "https://127.0.0.1:1/dir"\n')
    document(run(acme.folder, "doctor", "--migrated", "--no-vendor-asked"))
    answer = document(run(acme.folder, "doctor"))
    assert answer["outcome"] == "attention"
    ticks = {item["id"]: (item["result"], item["qbo"]) for item in answer["items"] if item["kind"] == "tick"}
    assert len(ticks) == 4
    assert ticks["QuickBooks Desktop is migrated to QuickBooks Online"][0] == "done"
    assert "said not to be done" in ticks["Miracle Service knows and will change the accounting connection"][1]
    checks = {item["id"][:3]: item["result"] for item in answer["items"] if item["kind"] == "check"}
    assert {id: checks[id] for id in ("P01", "P09", "P21")} == dict.fromkeys(("P01", "P09", "P21"), "missing")
    page = Path(answer["report"]["html"])
    assert page.stat().st_mode & 0o077 == 0
    assert "carrier-grade NAT" in page.read_text()
