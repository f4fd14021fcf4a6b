"""exchange_bench, built and run: each measurement is one call that answers with JSON, watched for others who use the processors."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.bed import BIN, ROOT, Done, Running, bare_environment, need

BUILD = ROOT / "build" / "bench-engine"
"""On the disk that is measured, too: logs are written in here and removed again."""
PRESSURE = Path("/proc/pressure/cpu")
BUSY_SHARE = 0.05
"""Of a measurement's time in which some task had to wait for a processor. Above it nothing is judged."""
BUILD_LIMIT_S = 900.0


def build() -> None:
    """Configures and builds the two programs, Release. Seconds when nothing changed."""
    cmake = str(BIN / "cmake") if (BIN / "cmake").exists() else "cmake"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DEXCHANGE_BENCH=ON"]
    run([cmake, "-S", str(ROOT / "engine" / "native"), "-B", str(BUILD), *options], "configuring exchange_bench", BUILD_LIMIT_S)
    targets = ["--target", "exchange_bench", "exchange_silence"]
    run([cmake, "--build", str(BUILD), *targets, "--parallel", "2"], "building exchange_bench", BUILD_LIMIT_S)


def run(argv: Sequence[str], what: str, seconds: float) -> Done:
    with Running(list(argv), bare_environment()) as running:
        return running.end(seconds).require(0, what)


def settle(seconds: float = 10.0) -> None:
    """Waits until the processors are idle enough to measure, at most so long: what was built just now is still in the figure."""
    end_s = time.monotonic() + seconds
    while _recent_share() > BUSY_SHARE and time.monotonic() < end_s:
        time.sleep(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a measurement said, and the share of its time in which some task waited for a processor; None: not known here."""

    data: Any
    waited_share: float | None

    @property
    def busy(self) -> bool:
        return self.waited_share is not None and self.waited_share > BUSY_SHARE

    @property
    def load(self) -> str:
        return "CPU pressure unknown" if self.waited_share is None else f"CPU pressure {100 * self.waited_share:.1f} %"


def ask(*arguments: str, program: str = "exchange_bench", seconds: float = 300.0) -> Answer:
    """Runs one measurement, when the machine has come to rest."""
    settle()
    paths = [path for path in (BUILD / "bench" / program, BUILD / program) if path.exists()]
    need(paths, f"{program} was not built")
    return watched([str(paths[0]), *arguments], f"{program} {' '.join(arguments)}", seconds)


def watched(argv: Sequence[str], what: str, seconds: float) -> Answer:
    """A command that answers with one JSON object on stdout."""
    before_us, began_s = _waited_us(), time.monotonic()
    done = run(argv, what, seconds)
    took_us, after_us = 1e6 * (time.monotonic() - began_s), _waited_us()
    share = None if before_us is None or after_us is None else (after_us - before_us) / took_us
    return Answer(json.loads(done.out), share)


def middle(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def spread(values: Sequence[float], scale: float = 1.0, digits: int = 2) -> str:
    """'median of 5; 1.02 to 1.10'"""
    low, high = min(values) * scale, max(values) * scale
    return f"median of {len(values)}; {low:,.{digits}f} to {high:,.{digits}f}"


def _pressure() -> dict[str, float]:
    try:
        words = PRESSURE.read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return {}
    return {name: float(value) for name, _, value in (word.partition("=") for word in words[1:])}


def _waited_us() -> float | None:
    return _pressure().get("total")


def _recent_share() -> float:
    return _pressure().get("avg10", 0.0) / 100
