"""One gateway behind HAProxy, with the core's log on disk before every answer: latency at 200/s, and how far it goes.

The client is a process of its own and about as heavy as the gateway; both, HAProxy and the core share the machine's cores, so
the highest rate is that of the whole arrangement.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from tests.bench.bed import Bed, Running, bed, need
from tests.bench.report import PartResults

RATE, RUNS, RUN_S = 200, 3, 6.0
SWEEP_S = 5.0
FIRST_RATE, FACTOR, STEP = 1200, 1.5, 0.08
"""The sweep goes up by FACTOR until a rate does not hold, then halves the distance until the two are STEP apart."""
MOST_RATE = 6000
ACHIEVED, P99_LIMIT_MS = 0.99, 100.0


@dataclass(frozen=True, slots=True)
class Run:
    rate: float
    """Offered."""
    achieved: float
    """201s a second, up to the last answer."""
    p50_ms: float
    p99_ms: float
    others: int
    """Answers that were not 201."""

    @property
    def sustained(self) -> bool:
        return self.achieved >= ACHIEVED * self.rate and self.p99_ms < P99_LIMIT_MS

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s: {self.achieved:.0f}/s achieved, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"


class Sweep:
    def __init__(self, bed: Bed, results: PartResults) -> None:
        self._bed, self._results = bed, results

    def run(self, rate: float, seconds: float) -> Run:
        words = self._bed.flow_words(rate, orders_only=True)
        with Running([*words, "--seconds", str(seconds)], self._bed.environment) as client:
            data = client.end(seconds + 30).require(0, "the measuring client").data
        created = int(data["by_status"].get("201", 0))
        need(created, f"no order of {data['requests']} was answered with 201: {data['by_status']}, {data['wrong']}")
        span_s = max(seconds, data["seconds"])  # the last order is due one interval before the end
        latency = data["latency_ms"]
        run = Run(rate, created / span_s, latency["p50"], latency["p99"], data["requests"] - created)
        self._results.say(str(run))
        return run

    def highest(self) -> tuple[Run, Run | None]:
        """The highest rate that held, and the lowest that did not."""
        best, rate = None, float(FIRST_RATE)
        while (now := self.run(rate, SWEEP_S)).sustained and rate < MOST_RATE:
            best, rate = now, rate * FACTOR
        while best is None:
            rate /= 2
            need(rate >= 20, "not even 20 orders/s were sustained")
            best = below if (below := self.run(rate, SWEEP_S)).sustained else None
        if now.sustained:
            return now, None
        worst = now
        while worst.rate / best.rate > 1 + STEP:
            now = self.run((best.rate + worst.rate) / 2, SWEEP_S)
            best, worst = (now, worst) if now.sustained else (best, now)
        return best, worst


def measure(results: PartResults) -> None:
    with bed() as venue:
        results.say("a venue with one gateway comes up")
        venue.up(1)
        sweep = Sweep(venue, results)
        sweep.run(RATE, 2.0)  # the first requests pay for connections and caches
        with results.trying("p50", "p99"):
            runs = [sweep.run(RATE, RUN_S) for _ in range(RUNS)]
            note = (
                f"median of {RUNS} runs of {RUN_S:.0f} s, from scheduled arrival, through HAProxy; not 201: {sum(r.others for r in runs)}"
            )
            results.put("p50", statistics.median(r.p50_ms for r in runs), note)
            results.put("p99", statistics.median(r.p99_ms for r in runs), note)
        with results.trying("sustained"):
            best, worst = sweep.highest()
            limit = f"; not {worst}" if worst else "; no higher rate was tried"
            results.put("sustained", best.rate, f"{SWEEP_S:.0f} s, p99 {best.p99_ms:.0f} ms{limit}; client and server share the cores")
