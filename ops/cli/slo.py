"""`opsctl slo`: declare what is promised, check it, generate rules, prove them, ask what they would have done."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import DryRunOption, Output, OutputOption, StateOption, answer, print_json, say, state_of
from ops.config import declared_dir
from ops.conventions import ExitCode
from ops.errors import UsageError

if TYPE_CHECKING:
    from ops.slo.check import Report
    from ops.slo.explain import Explanation
    from ops.slo.model import Slo, Spec

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Service level objectives that know the trading session: from a short YAML to rules that are proved before they load.

Examples:

  opsctl slo init

  opsctl slo check

  opsctl slo generate

  opsctl slo test

  opsctl slo explain order-ack-latency""",
)
PrometheusOption = Annotated[
    str | None, typer.Option("--prometheus", help="The Prometheus to ask.", envvar="OPSCTL_PROMETHEUS", show_default="the venue's own")
]
FolderOption = Annotated[Path | None, typer.Option("--folder", help="The folder of the specs.", show_default="slo/")]
ExchangeOption = Annotated[
    str | None, typer.Option("--exchange", help="The venue, when several are declared.", show_default="the only one")
]
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_EXCHANGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)


@app.command(
    "init",
    help="Write a commented spec to start from.\n\n"
    "Examples:  opsctl slo init --exchange XNYS --calendar calendars/xnys.yaml  ·  opsctl slo init --dry-run",
)
def init(
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.", show_default="slo/EXCHANGE.yaml")] = None,
    exchange: Annotated[str, typer.Option("--exchange", help="The venue: the value of the label `exchange` on its targets.")] = "XDEMO",
    calendar: Annotated[str, typer.Option("--calendar", help="Its calendar, relative to the spec.")] = "calendars/xnys.yaml",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the spec; write nothing.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops.slo import starter

    if not _EXCHANGE.fullmatch(exchange):
        raise UsageError(f"--exchange {exchange!r}: cannot be a venue's name", "write letters, digits, - and _, such as XDEMO")
    if any(letter in calendar for letter in "\n\r\"'#{}[]:"):
        raise UsageError(f"--calendar {calendar!r}: is not a plain path", "write one like calendars/xnys.yaml")
    text = starter.text(exchange, calendar)
    path = to or declared_dir("slo") / f"{exchange.lower()}.yaml"
    if not dry_run:
        _write_new(path, text, force)
    missing = not (path.parent / calendar).is_file()
    data = {"file": str(path), "written": not dry_run, "calendar_is_there": not missing}
    answer(output, data | ({"text": text} if dry_run else {}), lambda: print(text, end="") if dry_run else say(f"wrote {path}"))
    if missing and not dry_run:
        say(f"  next: opsctl calendar import {Path(calendar).stem.upper()} --years {'-'.join(map(str, _years()))}")


@app.command(
    "check",
    help="Look for all that is wrong with the specs and with what would be generated: settings, factors, PromQL, series that nobody "
    "records, names, run-books; say what the rules cost. Exit code 2 when there are errors.\n\n"
    "Examples:  opsctl slo check  ·  opsctl slo check --live  ·  opsctl slo check --rules alerts.yml",
)
def check(
    folder: FolderOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask Prometheus too: series, buckets, scrapes, retention.")] = False,
    prometheus: PrometheusOption = None,
    rules: Annotated[list[Path] | None, typer.Option("--rules", help="Check this rule file of Prometheus instead.", metavar="FILE")] = None,
    state: StateOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    report = _foreign(rules) if rules else _check(folder)
    if live and not rules:
        report = _with_live(report, _prometheus(prometheus, state))
    if output is Output.JSON:
        print_json(_report_data(report))
    else:
        _print_report(report, files=rules)
    if report.errors:
        raise typer.Exit(int(ExitCode.USAGE))


@app.command(
    "generate",
    help="Write rules, alerts, Alertmanager's part, dashboards, promtool tests and stubs of run-books from the specs. Nothing is written "
    "while `opsctl slo check` finds an error.\n\n"
    "Examples:  opsctl slo generate  ·  opsctl slo generate --dry-run  ·  opsctl slo generate --check",
)
def generate(
    folder: FolderOption = None,
    runbooks: Annotated[
        Path | None, typer.Option("--runbooks", help="The folder of the run-books.", show_default="runbooks/ beside that of the specs")
    ] = None,
    dry_run: DryRunOption = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 2 when a file would change; change nothing.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops.slo import flow

    declared = declared_dir("slo", folder)
    books = _runbooks(declared, runbooks)
    specs = _without_errors(declared, books, output)
    report = flow.generate(declared, books, dry_run=dry_run or check, specs=specs)
    data = {name: [str(path) for path in getattr(report, name)] for name in ("written", "same", "removed")}
    counts = {"rules": report.rules, "alerts": report.alerts}
    answer(output, data | counts | {"dry_run": dry_run or check}, lambda: _print_generated(data, counts, dry_run or check))
    if check and (report.written or report.removed):
        say("  next: opsctl slo generate")
        raise typer.Exit(int(ExitCode.USAGE))


@app.command(
    "test",
    help="Prove what was generated: promtool checks every rule file and runs every test. Exit code 2 when one fails.\n\n"
    "Examples:  opsctl slo test  ·  opsctl slo test --promtool /opt/prometheus/promtool",
)
def test(
    folder: FolderOption = None,
    promtool: Annotated[Path | None, typer.Option("--promtool", help="The program to use.", show_default="promtool")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops.slo import flow

    found = flow.test(declared_dir("slo", folder), promtool, say)
    told = f"{_many(found.rules, 'rule')} in {_many(found.files, 'file')}; {_many(found.cases, 'test')} with {_many(found.claims, 'claim')}"
    said = "all pass" if found.ok else f"{_many(len(found.failures), 'file')} FAILED"
    answer(output, asdict(found) | {"ok": found.ok}, lambda: print(f"{told}: {said}"))
    if not found.ok:
        raise typer.Exit(int(ExitCode.USAGE))


@app.command(
    "explain",
    help="Say in plain words what an SLO measures, what a month allows in minutes and dollars, and when each alert speaks.\n\n"
    "Examples:  opsctl slo explain order-ack-latency  ·  opsctl slo explain order-ack-latency --month 2026-11 --output json",
)
def explain(
    name: Annotated[str, typer.Argument(help="The SLO's name.")],
    month: Annotated[str | None, typer.Option("--month", help="The local calendar month, YYYY-MM.", show_default="this one")] = None,
    exchange: ExchangeOption = None,
    folder: FolderOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops.slo.explain import explain as explained

    spec, slo = _find(name, exchange, folder)
    one = explained(spec, slo, *_month(month, spec))
    if not spec.calendar.valid_from <= date.fromisoformat(f"{one.month}-01") <= spec.calendar.valid_until:
        say(f"note: the holidays of {one.month} are not in the calendar {spec.calendar.name}: its minutes are too many")
    answer(output, _explained_data(one), lambda: _print_explained(one))


@app.command(
    "backtest",
    help="Tell which alerts the specs would have given over a stretch of a Prometheus' history, minute by minute.\n\n"
    "Examples:  opsctl slo backtest --from 2026-11-02 --to 2026-11-07  ·  "
    "opsctl slo backtest --from 2026-11-02 --to 2026-11-03 --plot b.png",
)
def backtest(
    start: Annotated[str, typer.Option("--from", help="The venue's local date or time: 2026-11-02, or 2026-11-02T09:30.")],
    end: Annotated[str, typer.Option("--to", help="Its end, excluded.")],
    prometheus: PrometheusOption = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it to this PNG, SVG or PDF.")] = None,
    exchange: ExchangeOption = None,
    folder: FolderOption = None,
    state: StateOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops import wiring
    from ops.cli.plot import check_suffix, drawn
    from ops.slo import backtest as slo_backtest

    if plot is not None:
        check_suffix(plot)
    spec = _spec(exchange, folder)
    start_s, end_s = _when(start, "--from", spec), _when(end, "--to", spec)
    found = slo_backtest.run(spec, wiring.queries(_prometheus(prometheus, state)), start_s, end_s, say)
    if plot is not None:
        from ops.cli.slo_plot import draw_backtest

        drawn(plot, lambda: draw_backtest(found, plot))
    answer(output, asdict(found) | {"pages": found.pages, "tickets": found.tickets}, lambda: _print_backtest(found))


@app.command(
    "import",
    help="Turn an OpenSLO v1 file into a spec, printed (or written with --to), and list what it could not say.\n\n"
    "Examples:  opsctl slo import openslo.yaml  ·  opsctl slo import openslo.yaml --to slo/xnys.yaml",
)
def import_openslo(
    file: Annotated[Path, typer.Argument(help="OpenSLO v1, one or several documents.")],
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.", show_default="stdout")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops.slo.openslo import from_openslo

    _deliver(*from_openslo(file), to, force, output)


@app.command(
    "export",
    help="Print an SLO as OpenSLO v1 (or write it with --to), and list what OpenSLO cannot say.\n\n"
    "Examples:  opsctl slo export order-ack-latency  ·  opsctl slo export order-ack-latency --to openslo.yaml",
)
def export(
    name: Annotated[str, typer.Argument(help="The SLO's name.")],
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.", show_default="stdout")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    exchange: ExchangeOption = None,
    folder: FolderOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    from ops.slo.openslo import to_openslo

    _deliver(*to_openslo(*_find(name, exchange, folder)), to, force, output)


# What the commands share


def _deliver(text: str, remarks: tuple[str, ...], to: Path | None, force: bool, output: Output) -> None:
    if to is not None:
        _write_new(to, text, force)
    for remark in remarks:
        say(f"note: {remark}")
    data = {"text": text, "remarks": list(remarks), "file": str(to) if to else None}
    answer(output, data, lambda: say(f"wrote {to}") if to else print(text, end=""))


def _write_new(path: Path, text: str, force: bool) -> None:
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", "name another with --to, or replace it with --force")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", "name a file in a folder that is there") from error


def _runbooks(declared: Path, option: Path | None) -> Path:
    return option if option is not None else declared.parent / "runbooks"


def _prometheus(option: str | None, state: Path | None) -> str:
    from ops import wiring

    return option if option is not None else wiring.venue_prometheus(state_of(state))[1]


def _check(folder: Path | None) -> Report:
    from ops.slo import check
    from ops.slo.rules import rule_files

    declared = declared_dir("slo", folder)
    return check.run(declared, _runbooks(declared, None), rule_files)


def _without_errors(declared: Path, runbooks: Path, output: Output) -> tuple[Spec, ...]:
    """The specs: nothing is generated from what cannot be right."""
    from ops.slo import check

    report = check.run(declared, runbooks, None)
    if report.errors:
        _refuse(report, output)
    return report.specs


def _with_live(report: Report, url: str) -> Report:
    from ops import wiring
    from ops.adapters.clock import SystemClock
    from ops.slo import check_live
    from ops.slo.check import Report

    queries, now_s = wiring.queries(url), SystemClock().wall_s()
    costs = {cost.exchange: cost for cost in report.costs}
    found = [one for spec in report.specs for one in check_live.findings(spec, costs.get(spec.exchange), queries, now_s)]
    return Report(report.specs, (*report.findings, *found), report.costs)


def _foreign(files: list[Path]) -> Report:
    from ops.slo import check_foreign
    from ops.slo.check import Report

    return Report((), tuple(one for path in files for one in check_foreign.check(path)))


def _refuse(report: Report, output: Output) -> None:
    for one in report.errors:
        say(str(one))
    refused = UsageError(f"the specs have {_many(len(report.errors), 'error')}: nothing was written", "mend them, then: opsctl slo check")
    if output is not Output.JSON:
        raise refused
    told = {"message": refused.message, "hint": refused.hint, "exit_code": int(refused.exit_code)}
    print_json(_report_data(report) | {"error": told})
    raise typer.Exit(int(refused.exit_code))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _report_data(report: Report) -> dict[str, Any]:
    slos = sum(len(spec.slos) for spec in report.specs)
    costs = [asdict(cost) | {"retention_days": cost.retention_days} for cost in report.costs]
    return {"ok": not report.errors, "slos": slos, "findings": [asdict(one) for one in report.findings], "costs": costs}


def _print_report(report: Report, files: list[Path] | None) -> None:
    for one in report.findings:
        print(one)
    for cost in report.costs:
        print(
            f"{cost.exchange}: {cost.slos} SLOs; for each about {cost.rules_per_slo:g} rules, {cost.series_per_slo:g} series and "
            f"{cost.samples_per_minute_per_slo:,.0f} samples read a minute; Prometheus must keep {cost.retention_days} days "
            f"(--storage.tsdb.retention.time={cost.retention_days}d)"
        )
    what = _many(len(files), "rule file") if files else _many(sum(len(spec.slos) for spec in report.specs), "SLO")
    print(f"{what}: {_many(len(report.errors), 'error')}, {_many(len(report.warnings), 'warning')}")


def _print_generated(data: dict[str, list[str]], counts: dict[str, int], dry_run: bool) -> None:
    verb = "would write" if dry_run else "wrote"
    for path in data["written"]:
        print(f"{verb} {path}")
    for path in data["removed"]:
        print(f"{'would remove' if dry_run else 'removed'} {path}")
    files = f"{_many(len(data['written']), 'file')} {'would change' if dry_run else 'changed'}, {len(data['same'])} as they were"
    print(f"{_many(counts['rules'], 'rule')}, {counts['alerts']} of them alerts; {files}")


def _spec(exchange: str | None, folder: Path | None) -> Spec:
    from ops.slo import parse

    specs = parse.load_all(declared_dir("slo", folder))
    found = _of_exchange(specs, exchange)
    if len(found) != 1:
        raise UsageError("several venues are declared", f"name one with --exchange: {', '.join(spec.exchange for spec in specs)}")
    return found[0]


def _of_exchange(specs: tuple[Spec, ...], exchange: str | None) -> tuple[Spec, ...]:
    """All of them, or the one that is named."""
    found = tuple(spec for spec in specs if exchange in (None, spec.exchange))
    if not found:
        there = ", ".join(spec.exchange for spec in specs)
        raise UsageError(f"--exchange {exchange}: no SLOs are declared for it", f"there are {there}")
    return found


def _find(name: str, exchange: str | None, folder: Path | None) -> tuple[Spec, Slo]:
    import difflib

    from ops.slo import parse

    specs = _of_exchange(parse.load_all(declared_dir("slo", folder)), exchange)
    found = [(spec, slo) for spec in specs for slo in spec.slos if slo.name == name]
    if len(found) > 1:
        raise UsageError(f"{name}: is declared by {', '.join(spec.exchange for spec, _ in found)}", "name one with --exchange")
    if not found:
        names = [slo.name for spec in specs for slo in spec.slos]
        near = difflib.get_close_matches(name, names, n=1)
        raise UsageError(
            f"{name}: no SLO of this name is declared", f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:20])}"
        )
    return found[0]


def _month(text: str | None, spec: Spec) -> tuple[int, int]:
    if text is None:
        today = _today(spec)
        return today.year, today.month
    match = _MONTH.fullmatch(text)
    if match is None or not 1970 <= int(match[1]) <= 2100:
        raise UsageError(f"--month {text!r}: is not a month", "write it like 2026-11")
    return int(match[1]), int(match[2])


def _today(spec: Spec) -> date:
    from ops.adapters.clock import SystemClock

    return spec.calendar.to_local(SystemClock().wall_s()).date()


def _years() -> tuple[int, int]:
    from ops.adapters.clock import SystemClock

    year = datetime.fromtimestamp(SystemClock().wall_s(), UTC).year
    return year, year + 2


def _when(text: str, option: str, spec: Spec) -> float:
    from zoneinfo import ZoneInfo

    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(spec.calendar.timezone))).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option} {text!r}: is not a time", "write 2026-11-02 or 2026-11-02T09:30, in the venue's local time") from error


def _print_backtest(found: Any) -> None:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(found.timezone)
    for one in found.firings:
        since, until = (datetime.fromtimestamp(at_s, zone).strftime("%Y-%m-%d %H:%M") for at_s in (one.start_s, one.end_s))
        who = " ".join(part for part in (one.slo, one.group) if part)
        where = f"zone {int(one.zone)}" if one.zone else "month"
        print(f"{since}  to {until[11:]}  {one.severity:6}  {one.alert:18}  {who:32}  {where}  peak {one.peak:.4g}  ${one.dollars:,.2f}")
    print(f"{found.pages} pages, {found.tickets} tickets; ${found.loss_usd:,.2f} lost; times in {found.timezone}")


def _explained_data(one: Explanation) -> dict[str, Any]:
    zones = [
        {
            "zone": int(each.zone),
            "objective": float(each.objective),
            "minutes": each.minutes,
            "bad_minutes": float(each.bad_minutes),
            "bad_minutes_if_never_closed": float(each.wall_clock_minutes),
            "usd_per_minute": float(each.usd_per_minute),
            "usd": float(each.usd),
        }
        for each in one.budgets
    ]
    alerts = [
        {
            "tier": each.tier.name,
            "zone": int(each.zone),
            "severity": each.severity,
            "threshold": float(each.factor),
            "earliest_s": float(each.earliest_s),
            "latest_s": float(each.latest_s),
            "text": text,
        }
        for each, text in zip(one.firings, one.alerts, strict=True)
    ]
    names = ("slo", "exchange", "description", "measured", "missing", "month", "first_action", "runbook")
    return {name: getattr(one, name) for name in names} | {"zones": zones, "alerts": alerts}


def _print_explained(one: Explanation) -> None:
    from ops.slo.explain import ZONE_NAMES
    from ops.slo.factors import share

    print(f"{one.slo} ({one.exchange}): {one.description}".rstrip(": "))
    print(f"{one.measured}\n{one.missing}\n\nIn {one.month}:")
    for each in one.budgets:
        print(
            f"  zone {int(each.zone)} {ZONE_NAMES[each.zone]:18} {share(each.objective):>8} of {each.minutes:>6} min: "
            f"{float(each.bad_minutes):8.2f} bad min at ${float(each.usd_per_minute):,.2f} = ${float(each.usd):,.2f}"
            f"  (never closed: {float(each.wall_clock_minutes):.2f} min)"
        )
    print("  Zones 1 and 2 share their minutes: each is shown as if it had them all.")
    print("\nAlerts:")
    for text in one.alerts:
        print(f"  {text}")
    if one.first_action:
        print(f"\nFirst: {one.first_action}")
    if one.runbook:
        print(f"Run-book: {one.runbook}")
