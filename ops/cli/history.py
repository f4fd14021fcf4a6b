"""`opsctl history`: every release, and one of them whole, as a table or a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import Output, OutputOption, StateOption, finish_left, print_json, state_of

if TYPE_CHECKING:
    from ops.deploy.journal import Record
    from ops.ports import Event

app = typer.Typer(help="What was released, when, and what became of it.", invoke_without_command=True, rich_markup_mode=None)


@app.callback(
    help="List every release.\n\nExamples:  opsctl history  ·  opsctl history --output json  ·  opsctl history show 2 --plot out.png"
)
def list_releases(context: typer.Context, output: OutputOption = Output.TEXT, state: StateOption = None) -> None:
    if context.invoked_subcommand is not None:
        return
    from ops import wiring
    from ops.deploy.journal import records

    finish_left(state_of(state))
    found = records(wiring.store(state_of(state)))
    if output is Output.JSON:
        print_json([summary(r) for r in found])
    elif not found:
        print("no release yet: `opsctl releases build --version X.Y.Z`, then `opsctl deploy --canary 1%`")
    else:
        _table(found)


@app.command("show", help="One release, event by event.\n\nExamples:  opsctl history show 2  ·  opsctl history show 2 --plot out.png")
def show(
    number: Annotated[int, typer.Argument(help="The release's number in `opsctl history`.")],
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw weight, latency and errors of both tracks to this PNG, SVG or PDF.")
    ] = None,
    output: OutputOption = Output.TEXT,
    state: StateOption = None,
) -> None:
    from ops import wiring
    from ops.deploy.journal import record

    finish_left(state_of(state))
    one = record(wiring.store(state_of(state)), number)
    if plot is not None:
        _plot(one, plot)
        return
    if output is Output.JSON:
        print_json({**summary(one), "events": [{"at": iso(e.at_s), "kind": e.kind, **e.data} for e in one.events]})
        return
    print(f"{one.stream}: {one.version} over {one.stable_version}, {one.outcome}")
    for event in one.events:
        print(f"  {event.at_s - one.started_at_s:8.2f}s  {event.kind:18} {words(event)}")


def summary(one: Record) -> dict[str, object]:
    end = one.ended.data if one.ended else {}
    return {
        "number": one.number,
        "version": one.version,
        "stable_version": one.stable_version,
        "started_at": iso(one.started_at_s),
        "outcome": one.outcome,
        "by": one.events[0].data.get("by"),
        "seconds": end.get("seconds"),
        "canary_requests": end.get("canary_requests"),
        "canary_errors": end.get("canary_errors"),
        "zero_after_s": end.get("zero_after_s"),
        "rollback_s": end.get("rollback_s"),
        "reason": end.get("reason"),
    }


def words(event: Event) -> str:
    """One event's data as a person reads it."""
    data = event.data
    if event.kind == "check":
        seen = f"{data['canary_requests']} canary requests in {data['window_s']:g} s"
        return f"{data['verdict']} at {data['share']:.2%}, {seen}: {data['reason']}"
    return " ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in data.items())


def iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _table(found: tuple[Record, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("no", "version", "over", "started", "outcome", "seconds", "canary requests", "wrong answers", "weight 0 after"):
        table.add_column(column)
    for one in found:
        row = summary(one)
        zero = row["zero_after_s"]
        cells = [
            one.number,
            one.version,
            one.stable_version,
            row["started_at"],
            one.outcome,
            row["seconds"],
            row["canary_requests"],
            row["canary_errors"],
        ]
        table.add_row(*("-" if c is None else str(c) for c in cells), f"{zero:.3f} s" if isinstance(zero, float) else "-")
    Console(width=150).print(table)


def _plot(one: Record, path: Path) -> None:
    from ops.cli.plot import check_suffix, draw, drawn

    check_suffix(path)
    drawn(path, lambda: draw(one, path))
