"""The core's restart: its real log, filled through its real link, and `exchange core` started on it."""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import sys
import tempfile
from pathlib import Path
from signal import SIGTERM
from typing import Any

from ops.adapters.local import http_get
from tests.bench.bed import BIN, Running, bare_environment, need, until
from tests.bench.report import PartResults

ORDERS, RUNS = 1_000_000, 3


def measure(results: PartResults) -> None:
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    try:
        results.say(f"{ORDERS:,} orders and their cancels are logged")
        with Running([sys.executable, "-m", "tests.bench.fill", str(folder / "log"), str(ORDERS)], bare_environment()) as filling:
            filled = filling.end(90).require(0, "filling the log").data
        runs = []
        for run in range(1, RUNS + 1):
            results.say(f"restart {run} of {RUNS}, {filled['records']:,} records")
            runs.append(_restart(folder / "log", filled["records"]))
        ready, replay = (statistics.median(values) for values in zip(*runs, strict=True))
        size_mb = sum(path.stat().st_size for path in (folder / "log").iterdir()) / 1e6
        what = f"{filled['records']:,} records ({size_mb:.0f} MB), {filled['trades']:,} trades, {filled['live']:,} live orders"
        results.put("ready", ready, f"median of {RUNS}, process start to /readyz; {what}; page cache warm")
        results.put("replay", replay, f"median of {RUNS}; the bar is a goal of a later version; reading the log included")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _restart(log_dir: Path, records: int) -> tuple[float, float]:
    """Seconds to ready, and records a second of the replay as the core tells it."""
    port = _free_port()
    words = [str(BIN / "exchange"), "core", "--log-dir", str(log_dir), "--link-port", "0", "--admin-port", str(port)]
    with Running(words, bare_environment()) as core:
        until(lambda: not core.alive or _is_ready(port), "the core's /readyz", 60, 0.005)
        ready_s = core.age_s()
        need(core.alive, "the core ended early")
        core.signal(SIGTERM)
        done = core.end(30).require(0, "`exchange core`")
    recovered = _event(done.out + done.err, "core.recovered")
    need(recovered["records"] == records, f"{recovered['records']} records came back, not {records}")
    return ready_s, recovered["records"] / recovered["seconds"]


def _is_ready(port: int) -> bool:
    answer = http_get(port, "/readyz", 1.0)
    return answer is not None and answer[0] == 200


def _event(text: str, name: str) -> Any:
    for line in text.splitlines():
        if name in line:
            return json.loads(line)
    need(False, f"the core did not log {name}")
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
