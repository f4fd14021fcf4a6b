"""`opsctl deploy`, `opsctl rollback` and the guardian's own command."""

from __future__ import annotations

import getpass
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import DryRunOption, Lines, Output, OutputOption, StateOption, answer, print_json, say, state_of
from ops.conventions import ExitCode
from ops.errors import Refused, UsageError

if TYPE_CHECKING:
    from ops.deploy.controller import Observer, Plan
    from ops.deploy.model import Outcome, Pipeline
    from ops.ports import Release

PANEL_COLUMNS = 80
"""A narrower terminal gets lines, which wrap better than a table."""
DEPLOY_HELP = """Ship a release through a canary; roll it back by itself when its checks fail.

Examples:  opsctl deploy 1.1.0 --canary 1%  ·  opsctl deploy --canary 0.1% --dry-run  ·  opsctl deploy 1.1.0 --output json

Exit codes: 0 promoted, 3 rolled back, 4 rolled back blind, 5 refused, 6 something is away, 7 ended by a person,
8 rollback incomplete (act now). Ctrl-C rolls back.
"""
ROLLBACK_HELP = """Take users off the release under way, or go back to the version before: one switch, no gate, no metric.

Examples:  opsctl rollback  ·  opsctl rollback --reason 'members report stale quotes'
"""


def register(app: typer.Typer) -> None:
    app.command("deploy", help=DEPLOY_HELP)(deploy)
    app.command("rollback", help=ROLLBACK_HELP)(rollback)
    app.command("guardian", hidden=True, help="Watch the canary's lease (started by `opsctl up`).")(guardian)


def deploy(
    version: Annotated[str | None, typer.Argument(help="A built release; the newest that is not stable when left away.")] = None,
    canary: Annotated[str | None, typer.Option("--canary", help="First share of new requests, such as 1% or 0.1%.")] = None,
    pipeline_file: Annotated[Path | None, typer.Option("--pipeline", help="Steps and checks; pipelines/canary.yaml by default.")] = None,
    prometheus: Annotated[
        str | None, typer.Option("--prometheus", help="Ask this Prometheus, not the venue's own.", envvar="OPSCTL_PROMETHEUS_URL")
    ] = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
    state: StateOption = None,
) -> None:
    from ops import wiring
    from ops.deploy import flow
    from ops.deploy.pipeline import parse_canary, read_pipeline, with_canary

    share = parse_canary(canary) if canary is not None else None
    if prometheus is not None and not prometheus.startswith(("http://", "https://")):
        raise UsageError(f"--prometheus: {prometheus} is no http:// or https:// address")
    pipeline = with_canary(read_pipeline(pipeline_file or wiring.pipeline_file()), share)
    ports = wiring.deploy_ports(state_of(state), prometheus)
    release = _release(state_of(state), version, ports)
    if dry_run:
        _print_plan(flow.make_plan(ports, pipeline, release), pipeline, output)
        return
    stop = _Signals()
    observer, close = _observer(output, pipeline)
    try:
        outcome = flow.deploy(ports, pipeline, release, observer, stop.reason, _who())
    finally:
        close()
    _print_outcome(outcome, output)
    raise typer.Exit(int(outcome.exit_code))


def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the history.")] = "asked for",
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
    state: StateOption = None,
) -> None:
    from ops import wiring
    from ops.deploy import flow
    from ops.deploy.journal import unfinished

    ports = wiring.deploy_ports(state_of(state), None)
    if dry_run:
        roles, left = ports.roles.read(), unfinished(ports.store)
        leave, back = (left.version, roles.stable_version) if left else (roles.stable_version, roles.other_version)
        if not back:
            raise Refused(f"there is no version before {leave} to go back to", hint="see `opsctl releases list`")
        answer(output, {"from": leave, "to": back}, lambda: print(f"would take users off {leave} and back to {back}; nothing was changed"))
        return
    _Signals()  # Ctrl-C does not cut a way back short; every wait in it is bounded
    outcome = flow.go_back(ports, Lines(), _who(), reason)
    _print_outcome(outcome, output)
    raise typer.Exit(int(outcome.exit_code) if outcome.exit_code is ExitCode.ROLLBACK_INCOMPLETE else 0)


def guardian(state: StateOption = None) -> None:
    from ops import wiring
    from ops.deploy.guardian import watch

    stop = _Signals()
    watch(wiring.deploy_ports(state_of(state), None), say, lambda: bool(stop.reason()))


class _Signals:
    """Ctrl-C and a polite kill ask the release to roll back; they never cut it short."""

    def __init__(self) -> None:
        self._reason = ""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._seen)

    def _seen(self, number: int, _frame: Any) -> None:
        self._reason = f"ended by a person ({signal.Signals(number).name})"

    def reason(self) -> str:
        return self._reason


def _observer(output: Output, pipeline: Pipeline) -> tuple[Observer, Callable[[], None]]:
    from ops.cli.live import LineView, LiveView

    if sys.stderr.isatty() and output is Output.TEXT and shutil.get_terminal_size().columns >= PANEL_COLUMNS:
        view = LiveView(pipeline)
        return view, view.close
    return LineView(), lambda: None


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _release(state: Path, version: str | None, ports: Any) -> Release:
    from ops import wiring
    from ops.deploy.choose import newest, tried_before
    from ops.deploy.journal import records

    releases, stable = wiring.releases(state), ports.roles.read().stable_version
    if version is not None:
        chosen = releases.get(version)
    else:
        chosen = newest(releases.all(), stable)
        say(f"shipping {chosen.version}, the newest built release that is not the stable one ({stable})")
    if note := tried_before(chosen.version, records(ports.store)):
        say(f"note: {note}")
    return chosen


def _print_plan(plan: Plan, pipeline: Pipeline, output: Output) -> None:
    from ops.deploy.decide import percent

    if output is Output.JSON:
        steps = [{"share": float(s), "processes": p} for s, p in zip(plan.steps, plan.processes, strict=True)]
        print_json({"version": plan.version, "stable_version": plan.stable_version, "pool": plan.stable_pool.other, "steps": steps})
        return
    print(f"would ship {plan.version} over {plan.stable_version}, into the {plan.stable_pool.other} pool; nothing was changed")
    for share, count in zip(plan.steps, plan.processes, strict=True):
        print(f"  {percent(share):>6} of new requests on {count} canary process{'es' if count > 1 else ''}")
    needs = f"{pipeline.passes} fresh PASSes and {pipeline.min_requests_step} canary requests a step"
    print(f"  {needs}; {pipeline.fails} FAILs in a row roll back; blind after {pipeline.blind_after_s:g} s")


def _print_outcome(outcome: Outcome, output: Output) -> None:
    from ops.deploy.outcome import outcome_data

    if output is Output.JSON:
        print_json(outcome_data(outcome))
        return
    switched = outcome.release == "venue"
    word = "PROMOTED" if outcome.promoted else "ROLLED BACK"
    print(f"{word}: {outcome.version} ({outcome.release}) after {outcome.seconds:.1f} s: {outcome.reason}")
    if outcome.zero_after_s is not None and outcome.rollback_s is not None:
        print(
            f"  weight 0 read back {outcome.zero_after_s:.3f} s after the decision, whole rollback {outcome.rollback_s:.2f} s; "
            f"canary requests begun after that: {outcome.served_after_zero}; sessions closed: {outcome.sessions_closed}"
        )
    if not switched:
        served, wrong = (("unknown" if n is None else n) for n in (outcome.canary_requests, outcome.canary_errors))
        print(f"  requests that the canary served: {served}; wrong answers users got from it: {wrong}")
    if not outcome.promoted:
        print(
            f"  users are on {outcome.stable_version}"
            if outcome.exit_code != 8
            else "  USERS MAY STILL BE ON THE CANARY: see `opsctl status`"
        )
