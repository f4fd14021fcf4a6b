"""`opsctl budget`: the month so far, per SLO and zone and in dollars; as a table, JSON, or a picture for operators or for managers."""

from __future__ import annotations

import math
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import Output, OutputOption, StateOption, answer, state_of
from ops.config import declared_dir
from ops.errors import UsageError
from ops.session import Zone

if TYPE_CHECKING:
    from ops.ports import Queries
    from ops.slo.budget import Line, Report
    from ops.slo.model import Spec

ZONES = {Zone.VOLATILE: "volatile", Zone.REGULAR: "regular", Zone.EXTENDED: "extended", Zone.MAINTENANCE: "maintenance"}
RECENT_HOURS = 6.0
UNKNOWN = "unknown"
WIDTH = 150


class View(StrEnum):
    MANAGERS = "managers"
    OPERATORS = "operators"


def register(app: typer.Typer) -> None:
    app.command(
        "budget",
        help="What this month's outages cost, and what is left, per SLO and zone; with a forecast, and what may still be released.\n\n"
        "What Prometheus has no series of is shown as unknown. Exit code 6 when it does not answer.\n\n"
        "Examples:  opsctl budget  ·  opsctl budget --slo order-ack-latency  ·  opsctl budget --json  ·  "
        "opsctl budget --plot month.png  ·  opsctl budget --view operators --plot now.png",
    )(budget)


def budget(
    slo: Annotated[str | None, typer.Option("--slo", help="This SLO only, zone by zone and group by group.")] = None,
    prometheus: Annotated[
        str | None, typer.Option("--prometheus", help="The Prometheus to ask.", envvar="OPSCTL_PROMETHEUS", show_default="the venue's own")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it to this PNG, SVG or PDF.")] = None,
    view: Annotated[
        View, typer.Option("--view", help="Whose picture: managers (the month), or operators (the last hours).")
    ] = View.MANAGERS,
    hours: Annotated[float, typer.Option("--hours", min=0.25, max=72, help="How much the operators' picture shows.")] = RECENT_HOURS,
    exchange: Annotated[
        str | None, typer.Option("--exchange", help="The venue, when several are declared.", show_default="this state's")
    ] = None,
    folder: Annotated[Path | None, typer.Option("--folder", help="The folder of the specs.", show_default="slo/")] = None,
    state: StateOption = None,
    output: OutputOption = Output.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
) -> None:
    from ops import wiring
    from ops.adapters.clock import SystemClock
    from ops.slo import budget as month

    _check_view(view, plot, slo)
    own, url = wiring.venue_prometheus(state_of(state)) if prometheus is None else (None, prometheus)
    spec = _spec(exchange, own, folder)
    if slo is not None:
        _known(slo, spec)
    queries, now_s = wiring.queries(url), SystemClock().wall_s()
    if view is View.OPERATORS and plot is not None:
        _draw_recent(queries, spec, now_s, hours, plot)
        return
    report = month.report(spec, month.read(queries, spec, now_s))
    if plot is not None:
        _draw_month(queries, spec, report, plot)
    else:
        answer(Output.JSON if as_json else output, data(report, slo), lambda: show(report, slo))


def data(report: Report, slo: str | None = None) -> dict[str, Any]:
    """The report as JSON: numbers rounded to a millionth, null for what is unknown."""
    dollars = report.dollars
    local = report.start_s, report.end_s
    return {
        "exchange": report.exchange,
        "month": report.month,
        "timezone": report.timezone,
        "at_s": round(report.at_s, 3),
        "month_elapsed": round((report.at_s - local[0]) / (local[1] - local[0]), 6),
        "zone": int(report.zone),
        "dollars": {
            "budget_usd": _number(dollars.budget_usd),
            "spent_usd": _number(dollars.spent_usd),
            "remaining_usd": _number(dollars.remaining_usd),
            "spent_share": _number(dollars.spent),
            "forecast_usd": _number(dollars.forecast_usd),
            "change_freeze": dollars.frozen,
            "releases": dollars.releases,
        },
        "coverage": _number(report.coverage),
        "venue": [_line(line, report) for line in report.venue],
        "slos": [_line(line, report) for line in report.lines if slo in (None, line.slo)],
        "warnings": list(report.warnings),
    }


def _line(line: Line, report: Report) -> dict[str, Any]:
    minutes = report.minutes[line.zone]
    return {
        "slo": line.slo,
        "group": line.group,
        "zone": int(line.zone),
        "objective": _number(line.objective),
        "bad_minutes": _number(line.bad_minutes),
        "budget_minutes": _number(line.budget_minutes),
        "budget_minutes_wall_clock": _number(line.wall_clock_minutes),
        "left_share": _number(line.left),
        "forecast_minutes": _number(line.forecast_minutes),
        "availability": _number(line.availability),
        "loss_usd": _number(line.loss_usd),
        "releases": line.releases,
        "elapsed_minutes": _number(minutes.elapsed),
        "total_minutes": _number(minutes.total),
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else round(float(value), 6)


# For a person


def show(report: Report, slo: str | None = None) -> None:
    """Prints the report: what counts first, then a table."""
    from rich.console import Console

    console = Console(width=WIDTH, highlight=False)
    dollars, elapsed = report.dollars, Fraction(int(report.at_s) - report.start_s, report.end_s - report.start_s)
    console.print(
        f"[bold]{report.exchange}[/]  {report.month} in {report.timezone}, {float(elapsed):.0%} of it over; "
        f"now zone {int(report.zone)} ({ZONES[report.zone]})"
    )
    left = None if dollars.spent is None else 1 - dollars.spent
    console.print(
        f"[bold]Dollars[/]   {_usd(dollars.spent_usd)} of {_usd(dollars.budget_usd)} lost, {_colour(left, _percent(left))} left; "
        f"at this pace {_usd(dollars.forecast_usd)} by month's end"
    )
    frozen = {True: "[bold red]CHANGE FREEZE[/]", False: "no change freeze", None: f"change freeze {UNKNOWN}"}[dollars.frozen]
    console.print(f"[bold]Releases[/]  {_by_policy(dollars.releases)} by the dollars; {frozen}")
    for warning in report.warnings:
        console.print(f"[bold yellow]warning:[/] {warning}", soft_wrap=True)
    console.print()
    console.print(_detail(report, slo) if slo is not None else _overview(report))
    if slo is None:
        console.print("[dim]Bad minutes of those allowed, and what is left, worst group of each SLO. Details: opsctl budget --slo NAME[/]")


def _overview(report: Report) -> Any:
    """One row an SLO, one column a zone."""
    from rich.table import Table

    from ops.slo.budget import strictest, worst

    zones = sorted({line.zone for line in report.venue})
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("slo")
    for zone in zones:
        table.add_column(f"zone {int(zone)} {ZONES[zone]}", justify="right", no_wrap=True)
    for heading in ("lost", "may be released"):
        table.add_column(heading, justify="right" if heading == "lost" else "left", no_wrap=True)
    for name in dict.fromkeys(line.slo for line in report.lines):
        lines = report.of(name)
        cells = [_cell(worst(line for line in lines if line.zone is zone)) for zone in zones]
        table.add_row(name, *cells, _usd(_lost(lines)), _by_policy(strictest(lines)))
    table.add_section()
    available = [next((line.availability for line in report.venue if line.zone is zone), None) for zone in zones]
    table.add_row("[bold]available, whole venue[/]", *(_percent(share, 3) for share in available), _usd(report.dollars.spent_usd), "")
    return table


def _detail(report: Report, slo: str) -> Any:
    """One row a zone and group."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=slo, title_justify="left")
    headings = (
        "zone",
        "group",
        "objective",
        "bad min",
        "allowed",
        "left",
        "forecast",
        "if never closed",
        "available",
        "lost",
        "may be released",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("zone", "group", "may be released") else "right", no_wrap=True)
    for line in report.of(slo):
        table.add_row(
            f"{int(line.zone)} {ZONES[line.zone]}",
            line.group or "-",
            f"{float(line.objective * 100):g} %",
            _minutes(line.bad_minutes),
            _minutes(line.budget_minutes),
            _colour(line.left, _percent(line.left)),
            _minutes(line.forecast_minutes),
            _minutes(line.wall_clock_minutes),
            _percent(line.availability, 3),
            _usd(line.loss_usd),
            _by_policy(line.releases),
        )
    return table


def _lost(lines: tuple[Line, ...]) -> Fraction | None:
    """Of the worst group of each zone; unknown only when nothing is known."""
    known: dict[Zone, Fraction] = {}
    for line in lines:
        if line.loss_usd is not None:
            known[line.zone] = max(known.get(line.zone, Fraction(0)), line.loss_usd)
    return sum(known.values(), Fraction(0)) if known else None


def _cell(line: Line | None) -> str:
    if line is None or line.bad_minutes is None:
        return f"[dim]{UNKNOWN}[/]"
    return f"{_minutes(line.bad_minutes)} / {_minutes(line.budget_minutes)} {_colour(line.left, f'{_percent(line.left):>7}')}"


def _minutes(value: Fraction | None) -> str:
    return f"[dim]{UNKNOWN}[/]" if value is None else f"{float(value):,.2f}" if value < 100 else f"{float(value):,.0f}"


def _percent(share: Fraction | None, places: int = 0) -> str:
    """Rounded down: what is not whole is never shown as 100 %."""
    if share is None:
        return UNKNOWN
    scale = 10**places
    return f"{math.floor(round(share * 100 * scale, 6)) / scale:.{places}f} %"


def _usd(value: Fraction | None) -> str:
    if value is None:
        return f"[dim]{UNKNOWN}[/]"
    cents = round(value, 2)
    return f"${float(cents):,.{0 if cents.denominator == 1 else 2}f}"


def _by_policy(words: str | None) -> str:
    if words is None:
        return f"[dim]{UNKNOWN}[/]"
    return words if words == "all" else f"[yellow]{words}[/]" if "only fixes" not in words else f"[bold red]{words}[/]"


def _colour(left: Fraction | None, text: str) -> str:
    if left is None:
        return f"[dim]{text}[/]"
    return f"[bold red]{text}[/]" if left <= 0 else f"[yellow]{text}[/]" if left <= Fraction(30, 100) else f"[green]{text}[/]"


# What it works with


def _check_view(view: View, plot: Path | None, slo: str | None) -> None:
    if view is View.OPERATORS and plot is None:
        raise UsageError("--view operators is a picture", hint="name its file: opsctl budget --view operators --plot now.png")
    if plot is not None and slo is not None:
        raise UsageError("a picture shows all SLOs", hint="leave away --slo, or --plot")
    if plot is not None:
        from ops.cli.plot import check_suffix

        check_suffix(plot)


def _spec(exchange: str | None, own: str | None, folder: Path | None) -> Spec:
    from ops.slo import parse

    specs = parse.load_all(declared_dir("slo", folder))
    wanted = exchange or own
    found = [spec for spec in specs if wanted in (None, spec.exchange)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(spec.exchange for spec in specs)
    raise UsageError(
        f"{wanted}: no SLOs are declared for it" if wanted else "several venues are declared", f"--exchange names one of {there}"
    )


def _known(slo: str, spec: Spec) -> None:
    import difflib

    names = [one.name for one in spec.slos]
    if slo not in names:
        near = difflib.get_close_matches(slo, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:20])}"
        raise UsageError(f"--slo {slo}: {spec.exchange} declares no SLO of this name", hint)


def _draw_month(queries: Queries, spec: Spec, report: Report, plot: Path) -> None:
    from ops.cli import slo_plot
    from ops.cli.plot import drawn
    from ops.slo.budget import spent_curve

    curve = spent_curve(queries, spec, report.at_s)
    drawn(plot, lambda: slo_plot.draw_managers(report, curve, plot))


def _draw_recent(queries: Queries, spec: Spec, now_s: float, hours: float, plot: Path) -> None:
    from ops.cli import slo_plot
    from ops.cli.plot import drawn
    from ops.slo import recent

    found = recent.read(queries, spec, now_s, hours)
    drawn(plot, lambda: slo_plot.draw_operators(found, plot))
