"""A flow's totals for people: one live line, and a table at the end."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from engine.flow.model import FlowResult


def live_line(result: FlowResult) -> str:
    """One line, no newline."""
    rate = result.requests / result.seconds if result.seconds else 0.0
    versions = ", ".join(f"{version}: {count}" for version, count in sorted(result.by_version.items()))
    return (
        f"{result.seconds:6.0f} s  {result.requests:8d} requests  {rate:7.0f}/s  {result.wrong_answers} wrong  "
        f"p50 {result.latency_ms_p50:.2f} ms  p99 {result.latency_ms_p99:.2f} ms  {versions}"
    )


def summary_table(result: FlowResult) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    rate = result.requests / result.seconds if result.seconds else 0.0
    table.add_row("requests", f"{result.requests} in {result.seconds:.1f} s ({rate:.0f}/s), {result.orders_acked} orders acknowledged")
    table.add_row("by status", _counts({str(status): count for status, count in result.by_status.items()}))
    table.add_row("wrong answers", _counts(result.wrong) if result.wrong_answers else "0")
    table.add_row(
        "latency", f"p50 {result.latency_ms_p50:.2f} ms   p99 {result.latency_ms_p99:.2f} ms   max {result.latency_ms_max:.2f} ms"
    )
    table.add_row("by version", _counts(result.by_version))
    table.add_row("by gateway", _counts(result.by_gateway))
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return "   ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "none"
