"""`opsctl up`, `down`, `status` and `logs`: the venue on this machine. A thin skin over ops.venue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import DryRunOption, Output, OutputOption, StateOption, answer, finish_left, print_json, say, state_of
from ops.conventions import ExitCode
from ops.errors import Refused, UsageError

if TYPE_CHECKING:
    from ops.venue.model import Site, Venue

UP_HELP = """Start the venue, or what of it is down; return when every part answers. One that runs takes over changed rules and webhooks.

Examples:  opsctl up --gateways 4  ·  opsctl up --http-port 9000 --state /tmp/venue  ·  opsctl up --page-webhook https://pager.example/hook

Without a webhook alerts are kept and shown, and sent nowhere.

Exit codes: 0 everything is ready, 2 bad option, no rules or bad ones, program not installed, 5 port taken or another shape runs,
6 a part is not ready.
"""
DOWN_HELP = """Stop the venue. Orders, keys and history stay in the state folder; --purge removes them.

Examples:  opsctl down  ·  opsctl down --dry-run  ·  opsctl down --purge
"""
STATUS_HELP = """Show processes, pools with their traffic, the core's log and the endpoints.

Examples:  opsctl status  ·  opsctl status --output json

Exit codes: 0 everything that should run does, 6 something is down or there is no venue.
"""
LOGS_HELP = """Print the end of a process's log.

Examples:  opsctl logs core  ·  opsctl logs gateway-1 -f  ·  opsctl logs haproxy -n 200 --raw
"""
PAGE_WEBHOOK = typer.Option(
    "--page-webhook", metavar="URL", envvar="OPSCTL_PAGE_WEBHOOK", show_default="as before",
    help="Where Alertmanager sends what must wake somebody; `none` for nowhere. Remembered.",
)  # fmt: skip
TICKET_WEBHOOK = typer.Option(
    "--ticket-webhook", metavar="URL", envvar="OPSCTL_TICKET_WEBHOOK", show_default="as before",
    help="Where it sends what can wait until the morning; `none` for nowhere. Remembered.",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command("up", help=UP_HELP)(up)
    app.command("down", help=DOWN_HELP)(down)
    app.command("status", help=STATUS_HELP)(status)
    app.command("logs", help=LOGS_HELP)(logs)


def up(
    gateways: Annotated[int | None, typer.Option("--gateways", help="Gateways per pool, 1 to 16.", show_default="4")] = None,
    http_port: Annotated[int | None, typer.Option("--http-port", help="Public HTTP port.", show_default="8080 or a free one")] = None,
    release: Annotated[str | None, typer.Option("--release", help="Version of the gateways.", show_default="this installation's")] = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds until everything must be ready.")] = 30.0,
    page_webhook: Annotated[str | None, PAGE_WEBHOOK] = None,
    ticket_webhook: Annotated[str | None, TICKET_WEBHOOK] = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
    state: StateOption = None,
) -> None:
    from ops import wiring
    from ops.venue import flow
    from ops.venue.model import Request

    site = wiring.site(state_of(state))
    request = Request(gateways, http_port, release, timeout, page_webhook, ticket_webhook)
    if dry_run:
        _print_plan(site, *flow.plan(site, request), output)
        return
    report = flow.up(site, request, lambda part, seconds: say(f"  {part:<14} ready  {seconds:5.2f} s"))
    for note in report.notes:
        say(f"note: {note}")
    finish_left(site.layout.state)
    how = f"up in {report.seconds:.2f} s" if report.started else "already up; no process was started"
    say(f"venue {how}")
    _print_endpoints(site, report.venue, {"started": report.started, "seconds": round(report.seconds, 3), "notes": report.notes}, output)


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove the state folder too, orders included.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --purge.")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
    state: StateOption = None,
) -> None:
    from ops import wiring
    from ops.venue import flow

    site = wiring.site(state_of(state))
    folder = site.layout.state
    if dry_run:
        stops = flow.running(site)
        more = f"\nwould remove {folder}, orders included" if purge else ""
        facts = {"would_stop": stops, "would_remove": str(folder) if purge else None}
        answer(output, facts, lambda: print(_down_text("would stop", stops) + more))
        return
    if purge and not yes:
        _confirm_purge(folder)
    finish_left(folder)
    if wiring.release_under_way(folder):
        raise Refused("a release is under way: its users would be left without a venue", hint="end it first: `opsctl rollback`")
    stopped = flow.down(site)
    if purge:
        flow.purge(site)
    facts = {"stopped": stopped, "removed": str(folder) if purge else None}
    gone = f"; removed {folder}" if not folder.exists() else f"; removed what is the venue's in {folder}, other files stay"
    answer(output, facts, lambda: print(_down_text("stopped", stopped) + (gone if purge else "")))


def status(output: OutputOption = Output.TEXT, state: StateOption = None) -> None:
    from dataclasses import asdict

    from ops import wiring
    from ops.venue import report

    finish_left(state_of(state))
    found = report.status(wiring.site(state_of(state)))
    if output is Output.JSON:
        print_json(asdict(found))
    else:
        from ops.cli.venue_view import print_status

        print_status(found)
    if not found.running:
        raise typer.Exit(int(ExitCode.UNAVAILABLE))


def logs(
    name: Annotated[str, typer.Argument(help="A process of the venue, as `opsctl status` names it; or supervisord.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, max=100_000, help="How many lines of the end.")] = 50,
    raw: Annotated[bool, typer.Option("--raw", help="Lines as they were written.")] = False,
    state: StateOption = None,
) -> None:
    from ops import wiring
    from ops.adapters.clock import SystemClock
    from ops.venue.files import load_existing
    from ops.venue.logs import readable
    from ops.venue.report import log_names

    folder = state_of(state)
    names = log_names(load_existing(folder))
    if name not in names:
        raise UsageError(f"there is no process {name}", hint=f"processes: {', '.join(names)}")
    try:
        for line in wiring.log_lines(folder, name, lines, follow, SystemClock()):
            print(line if raw else readable(line), flush=follow)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.stderr.close()  # a closed pipe or Ctrl-C is how following ends


def _confirm_purge(folder: Path) -> None:
    from ops.venue.files import load

    load_failed = False
    try:
        there = load(folder) is not None
    except UsageError:
        there, load_failed = True, True
    if not there:
        return
    damaged = " (its venue file is damaged)" if load_failed else ""
    say(f"this removes {folder}{damaged}: every order, the keys, built releases and the history of releases. There is no way back.")
    if not sys.stdin.isatty():
        raise UsageError("--purge asks a person", hint="give --yes with --purge when no person is there")
    typer.confirm("remove it", abort=True)


def _print_plan(site: Site, venue: Venue, runs: bool, output: Output) -> None:
    from ops.venue.decide import endpoints

    gateways = venue.names(venue.roles.stable)
    facts = {
        "running": runs, "would_start": [] if runs else [*venue.helpers(), *gateways],
        "release": venue.roles.stable_version, "endpoints": endpoints(venue, site.layout),
    }  # fmt: skip

    def text() -> None:
        if runs:
            print("the venue runs; whatever of it is down would be started")
        else:
            print(f"would start {len(gateways)} gateways of {venue.roles.stable_version}, {', '.join(venue.helpers())}")
        for name, address in endpoints(venue, site.layout).items():
            print(f"  {name:<14} {address}")

    answer(output, facts, text)


def _print_endpoints(site: Site, venue: Venue, facts: dict[str, object], output: Output) -> None:
    from ops.venue.decide import endpoints

    found = endpoints(venue, site.layout)

    def text() -> None:
        for name, address in found.items():
            print(f"  {name:<14} {address}")

    answer(output, {**facts, "release": venue.roles.stable_version, "endpoints": found}, text)


def _down_text(verb: str, names: tuple[str, ...]) -> str:
    return f"{verb} {', '.join(names)}" if names else "nothing of the venue runs"


def versions_in_use(state: Path) -> frozenset[str]:
    """Versions that the venue's pools are set to, N-1 included: `opsctl releases remove` refuses them."""
    from ops.venue.files import load

    venue = load(state)
    return frozenset(v for v in venue.roles.versions.values() if v) if venue else frozenset()
