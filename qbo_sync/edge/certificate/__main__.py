"""The command ``qbo-kit-certificate``, on the edge host, as root.

    qbo-kit-certificate status                   what is served, until when, what was tried last, what comes next
    qbo-kit-certificate renew [--now] [--force]  what the timer runs: renew when due, serve, watch, tell
    qbo-kit-certificate deploy [--check]         lay the certificate at the stable path and see it served
    qbo-kit-certificate tell                     send one alert, to see that it arrives

``--name`` says which one, where there are several; ``--format json`` prints one document. Exit code 0: all is well. 1: it is
not, and what was seen and what to do is said on standard error, or in the document. 2: a wrong call.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from qbo_sync.edge.certificate import alerts, record, stable, watch
from qbo_sync.edge.certificate.settings import FOLDER, Settings, load
from qbo_sync.errors import KitError


def status(settings: Settings, asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What the last look left, with what is served at this moment."""
    state = record.read(settings.state_file)
    if not state:
        return {}, [f"{settings.name}: nothing is known yet.\n  next: qbo-kit-certificate renew"]
    return state, list(state.get("troubles", []))


def renew(settings: Settings, asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What the timer runs; ``changed`` says whether another certificate is served than before."""
    before = stable.served(settings.name)
    state, troubles = watch.run(settings, at_once=asked.now or asked.force, force=asked.force)
    return {**state, "changed": before != stable.served(settings.name)}, troubles


def deploy(settings: Settings, asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """certbot's deploy hook, and the way to try again by hand."""
    lineage = asked.lineage or settings.lineage
    if asked.check:
        return {"changed": stable.serve(settings.name, lineage, settings.directory, check=True)}, []
    return {"changed": watch.deploy(settings, lineage)}, []


def tell(settings: Settings, asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """A trial alert."""
    text = "This is a trial: alerts about the certificate arrive here.\n"
    failed = alerts.send(settings.alerts, f"{settings.name}: a trial alert", text, {"site": settings.name, "state": "trial"})
    return {"told": not failed}, [f"{settings.name}: {one}\n  next: mend certificate_alerts" for one in failed]


COMMANDS = {"status": status, "renew": renew, "deploy": deploy, "tell": tell}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="qbo-kit-certificate", description="The edge host's certificate.")
    parser.add_argument("--name", default="", help="the certificate's name; may be left out where there is only one")
    parser.add_argument("--settings", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("status", help="what is served, what was tried last, what comes next")
    renewing = verbs.add_parser("renew", help="what the timer runs")
    renewing.add_argument("--now", action="store_true", help="do not wait for the retry that is planned")
    renewing.add_argument("--force", action="store_true", help="a new certificate even if none is due; the CA counts it")
    deploying = verbs.add_parser("deploy", help="lay the certificate at the stable path and see it served")
    deploying.add_argument("--check", action="store_true", help="only look")
    deploying.add_argument("--lineage", type=Path, help=argparse.SUPPRESS)
    verbs.add_parser("tell", help="send one alert, to see that it arrives")
    asked = parser.parse_args(arguments)
    try:
        answer, troubles = COMMANDS[asked.verb](load(asked.name, asked.settings), asked)
    except KitError as error:
        answer, troubles = {}, [str(error)]
        code = error.exit_code
    except (OSError, ValueError) as error:
        answer, troubles, code = {}, [f"{type(error).__name__}: {error}"], 1
    else:
        code = 1 if troubles else 0
    if asked.format == "json":
        print(json.dumps({"outcome": "failed" if code else "ok", "answer": answer, "troubles": troubles}))
        return code
    print(_lines(answer), end="")
    for trouble in troubles:
        print(f"qbo-kit-certificate: {trouble}", file=sys.stderr)
    return code


def _lines(answer: dict[str, Any], indent: str = "") -> str:
    """The answer for people: one fact a line."""
    text = ""
    for key, value in answer.items():
        if isinstance(value, dict):
            text += f"{indent}{key}:\n{_lines(value, indent + '  ')}"
        else:
            text += f"{indent}{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}\n"
    return text


if __name__ == "__main__":
    sys.exit(main())
