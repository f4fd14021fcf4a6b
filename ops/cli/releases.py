"""`opsctl releases`: build versions side by side, list them, remove them. A thin skin over ops.releases.flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import DryRunOption, Output, OutputOption, StateOption, print_json, state_of
from ops.errors import UsageError

if TYPE_CHECKING:
    from ops.adapters.release_build import LocalWorkshop
    from ops.adapters.releases import LocalReleases
    from ops.releases.model import BuildReport, Row

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Build versions side by side, each in an environment of its own; list and remove them.

Examples:

  opsctl releases build --version 1.1.0

  opsctl releases list

  opsctl releases remove 1.0.0 --dry-run""",
)
PIPE_COLUMNS = 240
"""Enough to keep each row on one line when a program reads it."""


def declared_in_use(state: Path) -> frozenset[str]:
    """Versions that a venue's pools are set to, given its state folder; what runs is always seen besides."""
    from ops.cli.venue import versions_in_use

    return versions_in_use(state)


@app.command("build")
def build_command(
    version: Annotated[str, typer.Option("--version", help="Three numbers, such as 1.1.0; a pre-release may follow (1.1.0rc1).")],
    source: Annotated[Path | None, typer.Option("--source", help="The tree to build. Default: the checkout that opsctl runs from.")] = None,
    state: StateOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Replace a build of this version that came from another source.")] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Build a version of the product into an environment of its own.

    The same source is not built twice. What an interrupted build left is removed and built afresh.

    Examples:

      opsctl releases build --version 1.1.0

      opsctl releases build --version 1.1.0 --source ../candidate --output json
    """
    from ops.adapters.clock import SystemClock
    from ops.releases import flow

    folder = state_of(state)
    shelf, workshop = _adapters(folder)
    request = flow.BuildRequest(version, source or _checkout(), rebuild, dry_run, declared_in_use(folder))
    report = flow.build(request, shelf, workshop, SystemClock(), _steps())
    _print(_report_data(report, dry_run), output, _report_line(report))


@app.command("list")
def list_command(state: StateOption = None, output: OutputOption = Output.TEXT) -> None:
    """List the releases, half-built ones too.

    Example:

      opsctl releases list --output json
    """
    from ops.releases import flow

    folder = state_of(state)
    rows = flow.listing(_adapters(folder)[0], declared_in_use(folder))
    if output is Output.JSON:
        _print({"releases": [_row_data(row) for row in rows]}, output, "")
    elif not rows:
        typer.echo(f"No releases in {folder}. Build one: opsctl releases build --version 1.1.0", err=True)
    else:
        _print_table(rows)


@app.command("show")
def show_command(version: str, state: StateOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show one release.

    Example:

      opsctl releases show 1.1.0
    """
    from ops.releases import flow

    folder = state_of(state)
    data = _row_data(flow.show(version, _adapters(folder)[0], declared_in_use(folder)))
    width = max(map(len, data))
    _print(data, output, "\n".join(f"{name:<{width}}  {'-' if value in (None, '') else value}" for name, value in data.items()))


@app.command("remove")
def remove_command(version: str, state: StateOption = None, dry_run: DryRunOption = False, output: OutputOption = Output.TEXT) -> None:
    """Remove a built release that is not in use.

    Examples:

      opsctl releases remove 1.0.0 --dry-run

      opsctl releases remove 1.0.0
    """
    from ops.releases import flow

    folder = state_of(state)
    shelf, workshop = _adapters(folder)
    flow.remove(version, shelf, workshop, in_use=declared_in_use(folder), dry_run=dry_run)
    done = "would be removed" if dry_run else "removed"
    _print({"version": version, "removed": not dry_run, "dry_run": dry_run}, output, f"{version}: {done}")


def _adapters(folder: Path) -> tuple[LocalReleases, LocalWorkshop]:
    from ops.adapters.release_build import LocalWorkshop
    from ops.adapters.releases import LocalReleases

    return LocalReleases(folder), LocalWorkshop(folder)


def _checkout() -> Path:
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        raise UsageError("this opsctl does not run from a checkout, so there is no source to build", "name one with --source")
    return root


def _steps() -> Callable[[str], AbstractContextManager[Callable[[str], None]]]:
    """Progress on stderr: a moving line while a step runs (on a terminal), one line with its seconds when it is done."""
    from rich.console import Console

    from ops.adapters.clock import SystemClock

    console, clock = Console(stderr=True, highlight=False), SystemClock()

    @contextmanager
    def step(title: str) -> Iterator[Callable[[str], None]]:
        began_s = clock.monotonic_s()
        said: list[str] = []
        with console.status(f"{title} ..."):
            yield said.append
        console.print(f"{title}: {' '.join(said)}  ({clock.monotonic_s() - began_s:.1f} s)", markup=False, soft_wrap=True)

    return step


def _report_line(report: BuildReport) -> str:
    plan = report.plan
    if report.release is None:
        return f"{plan.version}: would {plan.action.value} ({plan.reason})"
    if plan.action.value == "keep":
        return f"{plan.version}: {plan.reason} (commit {report.release.commit})"
    changes = " with local changes" if report.release.dirty else ""
    return f"{plan.version}: built from commit {report.release.commit}{changes} in {report.seconds:.1f} s"


def _report_data(report: BuildReport, dry_run: bool) -> dict[str, Any]:
    from dataclasses import asdict

    release = asdict(report.release) if report.release else None
    return {
        "version": report.plan.version,
        "action": report.plan.action.value,
        "reason": report.plan.reason,
        "dry_run": dry_run,
        "seconds": round(report.seconds, 3),
        "release": release,
    }


def _row_data(row: Row) -> dict[str, Any]:
    release = row.release
    return {
        "version": row.version,
        "kind": "installation" if row.installation else "built" if release else "half-built",
        "problem": row.problem,
        "commit": release.commit if release else None,
        "dirty": release.dirty if release else None,
        "built_at": _utc(release.built_at_s) if release else None,
        "built_at_s": release.built_at_s if release else None,
        "digest": release.digest if release else None,
        "command": release.command if release else None,
        "python": row.python or None,
        "size_bytes": None if row.installation else row.size_bytes,
        "in_use": row.in_use,
    }


def _utc(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print(data: dict[str, Any], output: Output, text: str) -> None:
    if output is Output.JSON:
        print_json(data)
    else:
        typer.echo(text)


def _print_table(rows: tuple[Row, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("VERSION", "COMMIT", "BUILT (UTC)", "SIZE", "STATE"):
        table.add_column(title, justify="right" if title == "SIZE" else "left")
    for row in rows:
        data = _row_data(row)
        commit = f"{data['commit'] or '-'}{' +changes' if data['dirty'] else ''}"
        size = "-" if data["size_bytes"] is None else f"{row.size_bytes / 2**20:.1f} MiB"
        words = [data["kind"].replace("half-built", "half built"), "in use" if row.in_use else "", row.problem]
        table.add_row(row.version, commit, data["built_at"] or "-", size, ", ".join(word for word in words if word))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table)
