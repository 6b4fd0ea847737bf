"""The command line: parses, calls a step, prints and keeps its report.

What only some commands need is imported where they need it; the packages named at the top import their modules the same way. So a
command starts without the libraries of the others, and ``--help`` with none of them.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from qbo_sync import __version__, intuit, report, web
from qbo_sync.errors import KitError, UsageError, Waiting
from qbo_sync.switch import steps

if TYPE_CHECKING:
    from rich.console import Console

    from qbo_sync.intuit import Connection
    from qbo_sync.switch.model import Answer
    from qbo_sync.switch.steps import Outcome, Site

EXIT_CODES = {"ok": 0, "failed": 1, "usage": 2, "attention": 3, "blocked": 4, "waiting": 5, "reconnect": 6, "unreachable": 7}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
audit_app = typer.Typer(invoke_without_command=True, help="Compare both sides and report what does not match.")
export_app = typer.Typer(no_args_is_help=True, help="Miracle Service's accounting export.")
profile_app = typer.Typer(no_args_is_help=True, help="The profile of the site's database.")
app.add_typer(audit_app, name="audit")
app.add_typer(export_app, name="export")
app.add_typer(profile_app, name="profile")


@dataclasses.dataclass
class Call:
    """What every command is called with."""

    config_file: Path
    json: bool

    def site(self) -> Site:
        """The site, its settings checked."""
        from qbo_sync import config

        return steps.Site(config.load(self.config_file))


@cache
def errors() -> Console:
    """Where a person is told what is no answer."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


@app.callback()
def common(
    context: typer.Context,
    config_file: Annotated[Path, typer.Option("--config", help="The site's settings (TOML).", show_default=False)],
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="How to answer.")] = "text",
) -> None:
    """Moves a Miracle Service site's accounting link to QuickBooks Online."""
    context.obj = Call(config_file, output == "json")


def run(context: typer.Context, command: str, step: Callable[[Site], Outcome]) -> None:
    """Run one step, print its answer, keep its report, and end with the exit code of its outcome."""
    call: Call = context.obj
    began = time.monotonic()
    site: Site | None = None
    try:
        site = call.site()
        outcome = step(site)
    except KitError as error:
        error.site = error.site or (site.settings.site if site else call.config_file.stem)
        outcome = steps.Outcome(_from_error(command, error))
        if not call.json:
            errors().print(str(error), style="bold red" if error.exit_code in (1, 2) else "bold", markup=False, highlight=False)
    except KeyboardInterrupt:
        outcome = steps.Outcome(_interrupted(command, call))
    except Exception as error:
        outcome = steps.Outcome(_unexpected(command, call, site, error))
    answer = outcome.answer
    answer.seconds = round(time.monotonic() - began, 3)
    if site is not None:
        answer.requests = site.requests()
        if outcome.has_report:
            _keep(site, outcome)
    _print(call, outcome)
    raise typer.Exit(EXIT_CODES[answer.outcome])


def _print(call: Call, outcome: Outcome) -> None:
    if call.json:
        sys.stdout.write(report.document(outcome.answer) + "\n")
    elif outcome.answer.items or outcome.answer.lines or outcome.answer.summary:
        from rich.console import Console

        report.show(outcome.answer, findings=outcome.findings, rows=outcome.rows, console=Console())


def _keep(site: Site, outcome: Outcome) -> None:
    answer = outcome.answer
    now = datetime.now(UTC)
    answer.report = report.write(
        site.store.reports,
        answer,
        company=outcome.title or site.settings.site,
        made_at=now,
        findings=outcome.findings,
        rows=outcome.rows,
        tables=outcome.tables,
    )
    if answer.command == "plan":
        path = site.store.reports / f"{Path(answer.report['html']).stem}-decisions.csv"
        report.decisions_csv(path, outcome.rows)
        answer.report["decisions"] = str(path)
    report.prune(site.store.reports, site.settings.store.reports_kept, steps.needed_reports(site))


def _from_error(command: str, error: KitError) -> Answer:
    answer = steps.Answer(command, error.site, outcome=error.outcome, next=error.next)
    answer.items = [{"id": type(error).__name__, "kind": "error", "result": error.what, "qbo": error.seen, "remedy": error.next}]
    if isinstance(error, Waiting):
        answer.summary = {"waiting_for": error.who}
    return answer


def _interrupted(command: str, call: Call) -> Answer:
    next_step = f"run it again: qbo-sync {command}"
    errors().print(f"{call.config_file.stem}: {command} was stopped; nothing is half written", markup=False)
    errors().print(f"  next: {next_step}", markup=False)
    return steps.Answer(command, call.config_file.stem, outcome="failed", next=next_step)


def _unexpected(command: str, call: Call, site: Site | None, error: Exception) -> Answer:
    name = site.settings.site if site else call.config_file.stem
    frames = [f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    answer = steps.Answer(command, name, outcome="failed", next="send the report file to whoever maintains this kit")
    answer.items = [
        {"id": type(error).__name__, "kind": "error", "result": "a fault of our own", "qbo": frames[-1] if frames else ""}
    ]
    if site is not None:
        # Frames only: an exception's own text may hold a value that belongs to the site.
        path = site.store.reports / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{command.replace(' ', '-')}-failure.txt"
        path.touch(mode=0o600)
        path.write_text("\n".join([f"qbo-sync {__version__} {command}", type(error).__name__, *frames, ""]), encoding="utf-8")
        answer.report = {"text": str(path)}
    if not call.json:
        errors().print(f"{name}: {command} failed by a fault of our own ({type(error).__name__})", style="bold red", markup=False)
        errors().print(f"  next: send {answer.report.get('text', 'this message')} to whoever maintains this kit", markup=False)
    return answer


# --- the commands, in the order of the guide -----------------------------------------------------------------------


@app.command()
def doctor(
    context: typer.Context,
    migrated: Annotated[bool | None, typer.Option(help="Say whether QuickBooks Desktop is migrated; it is remembered.")] = None,
    vendor_asked: Annotated[bool | None, typer.Option(help="Say whether Miracle Service was asked; it is remembered.")] = None,
) -> None:
    """Check everything this machine can see; change nothing."""
    said = {"desktop": migrated, "vendor": vendor_asked}
    run(context, "doctor", lambda site: steps.doctor(site, said))


@app.command()
def connect(
    context: typer.Context,
    realm: Annotated[str, typer.Option(help="The QBO company's number, with --refresh-token-file.")] = "",
    refresh_token_file: Annotated[Path | None, typer.Option(help="A file with a refresh token given elsewhere.")] = None,
    listen: Annotated[bool, typer.Option("--listen", help="Serve the connect page until a company is connected.")] = False,
    allow_other_company: Annotated[bool, typer.Option(help="Bind the site to another company than before.")] = False,
) -> None:
    """Authorise reading the QBO company. Nothing is compared or sent yet."""

    def step(site: Site) -> Outcome:
        connection = intuit.Connection(site.settings)
        if refresh_token_file:
            if not realm:
                raise UsageError("a refresh token needs its company", next="add --realm with the company's number")
            from qbo_sync import config

            token = config.read_secret(refresh_token_file, "refresh token")
            connection.adopt(realm, token, allow_other=allow_other_company)
        elif connection.state() in (intuit.GrantState.disconnected, intuit.GrantState.reconnect_needed):
            if allow_other_company:
                connection.store.unbind()
            _ask_for_consent(site, connection, listen)
        elif allow_other_company:
            raise UsageError("a company is connected", next="disconnect it first: qbo-sync disconnect, then run this again")
        grant = connection.grant()
        answer = site.answer("connect", summary={"realm": grant.realm, "company": grant.company})
        answer.lines = [f"connected to {grant.company or 'the company'} (realm {grant.realm})"]
        answer.next = "run: qbo-sync audit"
        return steps.Outcome(answer)

    run(context, "connect", step)


def _ask_for_consent(site: Site, connection: Connection, listen: bool) -> None:
    never = connection.store.bound_realm() is None
    page = intuit.invitation_url(site.settings, connection.store.invite()) if never else intuit.connect_url(site.settings)
    if listen:
        errors().print(f"open {page} in a browser and choose Connect", markup=False)
        web.serve_until(site.settings, lambda: connection.state() is intuit.GrantState.connected)
        return
    if site.settings.web.public_url:
        raise Waiting(
            "no QuickBooks company is connected yet",
            who="a QuickBooks administrator",
            next=f"open {page} and choose Connect" + (" (this link is good for 72 hours and one company)" if never else ""),
        )
    browser = token_urlsafe(16)
    errors().print("open this address in a browser and give consent:", markup=False)
    errors().print(connection.begin(browser), markup=False)
    errors().print("then paste the address the browser ended at, and press Enter:", markup=False)
    callback = sys.stdin.readline().strip()
    if not callback:
        raise Waiting("no address was pasted", who="a QuickBooks administrator", next="run qbo-sync connect again")
    intuit.authorize(connection, callback, browser=browser)


@app.command()
def disconnect(context: typer.Context) -> None:
    """Give the grant back to Intuit and forget it."""

    def step(site: Site) -> Outcome:
        intuit.Connection(site.settings).revoke()
        return steps.Outcome(site.answer("disconnect", lines=["disconnected; the grant was given back to Intuit"]))

    run(context, "disconnect", step)


@app.command()
def status(context: typer.Context) -> None:
    """Where the site stands, without asking Intuit."""
    run(context, "status", steps.status)


@app.command()
def prepare(
    context: typer.Context,
    months: Annotated[int, typer.Option(min=1, max=120, help="Unused means: in no transaction of that many months.")] = 24,
    apply: Annotated[Path | None, typer.Option(help="Inactivate the ticked records in QuickBooks Online.")] = None,
    revert: Annotated[Path | None, typer.Option(help="Make the listed records active again.")] = None,
) -> None:
    """List active records that nobody uses; on request, inactivate the ticked ones."""
    if apply and revert:
        raise typer.BadParameter("--apply and --revert exclude each other")
    if apply:
        run(context, "prepare --apply", lambda site: steps.prepare_apply(site, _ticks(apply), _counted))
    elif revert:
        run(context, "prepare --revert", lambda site: steps.prepare_revert(site, _ticks(revert), _counted))
    else:
        run(context, "prepare", lambda site: steps.prepare(site, months))


def _ticks(file: Path) -> list[dict[str, str]]:
    return report.read_decisions(file, ("inactivate", "reactivate"))


def _counted(done: int, of: int) -> None:
    if done % 25 == 0 or done == of:
        errors().print(f"  {done} of {of}", markup=False, highlight=False)


@profile_app.command("check")
def profile_check(context: typer.Context) -> None:
    """Compare the profile with the real tables."""
    run(context, "profile check", steps.profile_check)


@profile_app.command("draft")
def profile_draft(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(help="Where to write it; beside the reports without it.")] = None,
) -> None:
    """Propose a profile for a database that nobody has described yet."""
    run(context, "profile draft", lambda site: steps.profile_draft(site, output))


@audit_app.callback()
def audit(
    context: typer.Context,
    accept: Annotated[str, typer.Option(help="Accept the finding with this id.")] = "",
    withdraw: Annotated[str, typer.Option(help="Take the acceptance of the finding with this id back.")] = "",
    reason: Annotated[str, typer.Option(help="Why it is accepted, or is so no longer.")] = "",
    since: Annotated[
        bool, typer.Option("--since", help="Read only what changed since the last look; list only what is new.")
    ] = False,
    decisions: Annotated[Path | None, typer.Option(help="Accept what is marked in this report (its CSV or XLSX).")] = None,
) -> None:
    """Compare both sides and report what does not match."""

    def step(site: Site) -> Outcome:
        if decisions:
            return steps.accept(site, report.read_acceptances(decisions))
        if withdraw:
            return steps.withdraw(site, withdraw, reason, _person())
        return steps.accept(site, {accept: reason}) if accept else steps.audit(site, since_last=since)

    if sum(map(bool, (accept, withdraw, decisions))) > 1:
        raise typer.BadParameter("--accept, --withdraw and --decisions exclude each other")
    if context.invoked_subcommand is None:
        run(context, "audit", step)


@audit_app.command("fix")
def audit_fix(
    context: typer.Context, yes: Annotated[bool, typer.Option("--yes", help="Add them; without it they are only listed.")] = False
) -> None:
    """Add the taxes that Miracle Service lacks."""
    run(context, "audit fix", lambda site: steps.fix(site, confirmed=yes))


@app.command()
def plan(
    context: typer.Context,
    decisions: Annotated[Path | None, typer.Option(help="The decisions file, filled in (CSV or XLSX).")] = None,
    since: Annotated[bool, typer.Option("--since", help="Read only what changed in QuickBooks since the last look.")] = False,
) -> None:
    """Say what an import would do; write to neither side."""

    def step(site: Site) -> Outcome:
        read = report.read_decisions(decisions) if decisions else ()
        return steps.make_plan(site, read, since_last=since, decided_by=_whence(decisions) if decisions else "")

    run(context, "plan", step)


def _whence(file: Path) -> str:
    """Where decisions come from, for the reports: the file, the day, and the person where the system knows one."""
    person = _person()
    return f"{file.name}, {datetime.now(UTC):%Y-%m-%d}" + (f", by {person}" if person != "root" else "")


def _person() -> str:
    return os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or "root"


@app.command("import")
def import_(
    context: typer.Context,
    plan_id: Annotated[str, typer.Option("--plan", help="Apply this plan; the newest without it.")] = "",
    replan: Annotated[bool, typer.Option("--replan", help="Make a new plan first and apply it at once.")] = False,
) -> None:
    """Apply the plan and nothing else."""
    if plan_id and replan:
        raise typer.BadParameter("--plan and --replan exclude each other")

    def step(site: Site) -> Outcome:
        with report.Bar(errors()) as bar:
            return steps.import_(site, plan_id, replan=replan, begin=bar.begin, progress=bar.wrote)

    run(context, "import", step)


@app.command()
def review(context: typer.Context) -> None:
    """List what came in, with a column to tick what should go again."""
    run(context, "review", steps.review)


@app.command()
def discard(context: typer.Context, file: Annotated[Path, typer.Argument(help="The review list with 'discard' ticks.")]) -> None:
    """Remove ticked rows that we made and nobody touched or uses."""
    run(context, "discard", lambda site: steps.discard(site, report.read_decisions(file, ("discard",))))


@app.command()
def undo(
    context: typer.Context, run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run, as review lists it.")]
) -> None:
    """Take back what one import made."""
    run(context, "undo", lambda site: steps.undo(site, run_id))


@app.command()
def reconcile(context: typer.Context) -> None:
    """Compare both sides record by record after the import."""
    run(context, "reconcile", steps.reconcile)


@export_app.command("enable")
def export_enable(context: typer.Context) -> None:
    """Switch the accounting export on, once everything is clean."""
    run(context, "export enable", lambda site: steps.set_export(site, enabled=True))


@export_app.command("disable")
def export_disable(context: typer.Context) -> None:
    """Switch the accounting export off."""
    run(context, "export disable", lambda site: steps.set_export(site, enabled=False))


@export_app.command("status")
def export_state(context: typer.Context) -> None:
    """Whether the accounting export is on."""
    run(context, "export status", steps.export_status)


@app.command()
def serve(context: typer.Context) -> None:
    """Serve the site's pages behind the reverse proxy, use the connection once a day, read what webhooks tell of."""
    from qbo_sync import config

    call: Call = context.obj
    try:
        web.serve(config.load(call.config_file))
    except KitError as error:
        errors().print(str(error), style="bold red", markup=False)
        raise typer.Exit(error.exit_code) from error


@app.command()
def batch(context: typer.Context) -> None:
    """Run the commands that standard input names, one a line, in turn; stop at the first that is not done.

    Each answers as it would by itself. The exit code is that of the command that stopped the batch, else 3 where one needs
    attention, else 0.
    """
    call: Call = context.obj
    top = typer.main.get_command(app)
    lines = [line.strip() for line in sys.stdin if line.strip()]
    for line in lines:
        if line.split()[0] not in set(getattr(top, "commands", {})) - {"batch", "serve"}:
            raise typer.BadParameter(f"nothing was run: {line.split()[0]} is no command for a batch")
    options = ["--config", str(call.config_file), "--format", "json" if call.json else "text"]
    worst = EXIT_CODES["ok"]
    for line in lines:
        code = top.main([*options, *shlex.split(line)], standalone_mode=False)
        sys.stdout.flush()
        if code not in (EXIT_CODES["ok"], EXIT_CODES["attention"]):
            raise typer.Exit(code)
        worst = max(worst, code)
    raise typer.Exit(worst)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
