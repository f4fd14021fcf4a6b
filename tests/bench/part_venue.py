"""From nothing to a venue that takes orders, and back."""

from __future__ import annotations

import statistics

from tests.bench.bed import bed
from tests.bench.report import PartResults

RUNS = 3
GATEWAYS = 4


def measure(results: PartResults) -> None:
    ups: list[float] = []
    downs: list[float] = []
    with results.trying("up", "down"):
        for run in range(1, RUNS + 1):
            results.say(f"`opsctl up --gateways {GATEWAYS}`, `opsctl down`: {run} of {RUNS}")
            with bed() as venue:
                ups.append(venue.up(GATEWAYS).seconds)
                downs.append(venue.opsctl("down").seconds)
        results.put("up", statistics.median(ups), f"median of {RUNS}; {min(ups):.2f} to {max(ups):.2f}")
        results.put("down", statistics.median(downs), f"median of {RUNS}; {min(downs):.2f} to {max(downs):.2f}")
