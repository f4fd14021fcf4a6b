"""`opsctl status` as tables for a person."""

from __future__ import annotations

from fractions import Fraction

from rich.console import Console
from rich.table import Table

from ops.venue.report import PoolRow, ProgramRow, Status

_COLOURS = {"RUNNING": "green", "STARTING": "yellow", "STOPPING": "yellow"}


def print_status(status: Status) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(_programs(status))
    console.print(_pools(status))
    if status.seq_num is not None:
        console.print(f"core: seq_num {status.seq_num}, durable {status.durable_seq_num}")
    for name, address in status.endpoints.items():
        console.print(f"{name}: {address}")
    for problem in status.problems:
        console.print(f"[red]problem:[/red] {problem}", markup=True)


def _programs(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("PROCESS", "STATE", "PID", "UP", "CRASHES", "POOL", "VERSION"):
        table.add_column(heading, justify="right" if heading in ("PID", "UP", "CRASHES") else "left", no_wrap=True)
    for row in status.programs:
        if row.wanted or row.pid or row.crashes:
            table.add_row(*_program(row))
    return table


def _program(row: ProgramRow) -> tuple[str, ...]:
    colour = _COLOURS.get(row.state, "red" if row.wanted else "dim")
    crashes = f"[red]{row.crashes}[/red]" if row.crashes else "0"
    return (row.name, f"[{colour}]{row.state}[/{colour}]", str(row.pid or "-"), uptime(row.uptime_s), crashes, row.pool, row.version)


def _pools(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("POOL", "TRACK", "VERSION", "UP", "ASKED", "APPLIED", "REQUESTS", "ERRORS", "SESSIONS"):
        table.add_column(heading, justify="left" if heading in ("POOL", "TRACK", "VERSION") else "right", no_wrap=True)
    for row in status.pools:
        table.add_row(*_pool(row))
    return table


def _pool(row: PoolRow) -> tuple[str, ...]:
    up = f"{row.gateways_up}/{row.gateways_wanted}"
    counts = (str(row.requests), str(row.errors), str(row.sessions_open))
    return (row.pool, row.track, row.version or "-", up, share(row.share_asked), share(row.share_applied), *counts)


def share(text: str) -> str:
    """'1/100' -> '1%'; '' (unknown) -> '?'."""
    return f"{float(Fraction(text) * 100):.4g}%" if text else "?"


def uptime(seconds: float) -> str:
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 60}m{whole % 60:02}s" if whole >= 60 else f"{whole}s"
