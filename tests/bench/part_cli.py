"""How long a person waits for the command itself."""

from __future__ import annotations

import statistics

from tests.bench.bed import BIN, Running, bare_environment
from tests.bench.report import PartResults

RUNS = 10
SDKS = ("prometheus_api_client", "supervisor", "requests", "sqlite3", "aiohttp", "matplotlib", "numpy", "jinja2", "prometheus_client")
"""Client libraries, and what is as heavy."""


def measure(results: PartResults) -> None:
    opsctl = str(BIN / "opsctl")
    with results.trying("help"):
        results.say(f"`opsctl --help`, {RUNS} times")
        seconds = [_run([opsctl, "--help"])[0] for _ in range(RUNS)]
        results.put("help", statistics.median(seconds), f"median of {RUNS}; {min(seconds):.3f} to {max(seconds):.3f}")
    with results.trying("sdks"):
        modules = imported(_run([str(BIN / "python"), "-X", "importtime", opsctl, "--help"])[1])
        found = sorted(set(SDKS) & modules)
        results.put("sdks", len(found), f"of {len(modules)} top-level modules; found: {', '.join(found) or 'none'}")


def _run(argv: list[str]) -> tuple[float, str]:
    with Running(argv, bare_environment()) as running:
        done = running.end(20).require(0, "`opsctl --help`")
    return done.seconds, done.err


def imported(importtime: str) -> set[str]:
    """Top-level modules that `python -X importtime` names."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in importtime.splitlines() if line.startswith("import time:")}
