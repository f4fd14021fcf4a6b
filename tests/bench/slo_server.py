"""What 100 SLOs cost a real Prometheus in session, with the month's history in place: two servers, one of them without rules."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops import conventions as names
from tests.bench.bed import need, until
from tests.bench.report import PartResults
from tests.bench.slo_bed import Declared, Server, cpu_of, prometheus, spec_text
from tests.bench.slo_exporter import Exporter, Source

SLOS = 100
LABEL_SETS = 5
WARM_UP_S, MEASURED_S = 75.0, 240.0
EXCHANGE = "XMANY"
SLICE_HOURS = 60
DAYS = 33


def measure(results: PartResults, folder: Path) -> None:
    metrics = [f"r{number}" for number in range(SLOS)]
    declared = Declared(folder / "declared")
    declared.spec(spec_text(EXCHANGE, metrics, objective="99.9%"))
    declared.generate()
    rules = declared.rule_files()
    results.say(f"history: {SLICE_HOURS} h of slices and {DAYS} d of day totals for {SLOS} SLOs")
    data = folder / "history"
    for text in (_slices(metrics), _days(metrics)):
        source = folder / "history.txt"
        with source.open("w") as out:
            out.writelines(text)
        cpu_of(["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(source), str(data)])
    for name in ("with", "without"):
        shutil.copytree(data, folder / name / "data")
    source = Source(rate=20 * SLOS, began_s=time.time() - 3600, from_s=time.time(), share=0.0005, sets=LABEL_SETS, names=tuple(metrics))
    with Exporter({"all": source}) as exporter, ExitStack() as stack:
        targets = {"all": (EXCHANGE, f"127.0.0.1:{exporter.port}/metrics/all")}
        ours = stack.enter_context(prometheus(folder / "with", rules, targets))
        bare = stack.enter_context(prometheus(folder / "without", [], targets))
        results.say(f"two servers run, {WARM_UP_S:.0f} s to warm up, {MEASURED_S:.0f} s measured")
        _wait(WARM_UP_S)
        first = [_figures(server) for server in (ours, bare)]
        _wait(MEASURED_S)
        last = [_figures(server) for server in (ours, bare)]
        _tell(results, ours, first, last)


def _wait(seconds: float) -> None:
    end_s = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end_s, "time to pass", seconds + 30, 0.5)


def _figures(server: Server) -> tuple[float, float]:
    return time.monotonic(), server.cpu_s()


def _tell(results: PartResults, ours: Server, first: list[tuple[float, float]], last: list[tuple[float, float]]) -> None:
    minutes = (last[0][0] - first[0][0]) / 60
    used = [b[1] - a[1] for a, b in zip(first, last, strict=True)]
    read = sum(one["samples"] * 60 / one["interval"] for one in ours.rules())
    need(ours.own("prometheus_rule_evaluation_failures_total") == 0, "rules failed")
    series = ours.number('count({slo!="",__name__=~"slo:.+"})')
    rules = ours.own("prometheus_rule_group_rules")
    what = f"{SLOS} SLOs of {LABEL_SETS} label sets, {minutes * 60:.0f} s, in session, the server without rules taken off"
    results.put("cpu", (used[0] - used[1]) * 1000 / minutes / SLOS, f"{what}: {used[0]:.2f} and {used[1]:.2f} s CPU")
    results.put("samples", read / SLOS, "each rule asked once with stats=all, times its evaluations a minute")
    results.put("series", series / SLOS, f"recorded series with a label slo, live; {series:.0f} in all")
    results.put("rules", rules / SLOS, f"{rules:.0f} rules, calendar and alerts included")


def _slices(metrics: list[str]) -> Iterator[str]:
    """Every minute of the last 60 h, one sample for each SLO, as the rules would have written it."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    yield f"# TYPE {names.SERIES_BAD_SLICE} gauge\n"
    for slo in [*(m.replace("_", "-") for m in metrics), "venue"]:
        for minute in range(SLICE_HOURS * 60, 1, -1):
            at = now - timedelta(minutes=minute)
            yield _sample(names.SERIES_BAD_SLICE, slo, at, ',hours="regular"', 0.0005)
    yield "# EOF\n"


def _days(metrics: list[str]) -> Iterator[str]:
    """Day totals of the month at every twelfth hour, today's and yesterday's, and every fifth minute of the last three days."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    midnight = now.replace(hour=0, minute=0)
    steps = [midnight - timedelta(hours=12 * step) for step in range(2 * DAYS, 5, -1)]
    recent = midnight - timedelta(days=3)
    steps += [recent + timedelta(minutes=5 * step) for step in range(1, int((now - recent).total_seconds() // 300) - 1)]
    yield f"# TYPE {names.SERIES_BAD_DAY} gauge\n"
    for slo in [*(m.replace("_", "-") for m in metrics), "venue"]:
        for back in range(DAYS + 1, -1, -1):
            day = midnight - timedelta(days=back)
            for at in (at for at in steps if timedelta(0) < at - day <= timedelta(days=2)):
                minutes = min(1440.0, (at - day).total_seconds() / 60)
                yield _sample(names.SERIES_BAD_DAY, slo, at, "", 0.0005 * minutes, day)
    yield "# EOF\n"


def _sample(name: str, slo: str, at: datetime, more: str, value: float, day: datetime | None = None) -> str:
    stamp = day or at - timedelta(minutes=1)
    labels = f'exchange="{EXCHANGE}",slo="{slo}",policy="default",zone="1"{more},day="{stamp:%Y%m%d}",month="{stamp:%Y%m}"'
    return f"{name}{{{labels}}} {value} {at.timestamp():.0f}\n"
