"""`make demo` as a person runs it, when it has run before."""

from __future__ import annotations

from tests.bench.bed import BIN, ROOT, Running, bare_environment, need
from tests.bench.report import PartResults

LIMIT_S = 850


def measure(results: PartResults) -> None:
    results.say("`make demo` (minutes)")
    state = ROOT / "build" / "demo" / "state"
    need((state / "releases").is_dir(), "`make demo` has not run here before: run it once, then measure")
    try:
        with Running(["make", "demo"], bare_environment()) as demo:
            done = demo.end(LIMIT_S).require(0, "`make demo`")
    finally:  # the demo does it itself, unless it was cut short
        with Running([str(BIN / "opsctl"), "down", "--state", str(state)], bare_environment()) as down:
            down.end()
    results.put("second", done.seconds, "n = 1")
