"""Releases on a real venue with real order flow, seen from outside: how fast users are off a bad one, and what good ones cost them."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Any

from tests.bench.bed import Bed, Running, bed, need, until
from tests.bench.pipelines import HOLD, pipeline
from tests.bench.releases import BAD, GOOD, build, shelve
from tests.bench.report import PartResults
from tests.bench.watch import Seen, Watch, watching

GATEWAYS = 4
RATE, BAD_RATE = 300, 200
SHIPPED_BAD, FAST_BAD, KILLED, DEAD, SWITCHES = 2, 2, 2, 3, 3
SETTLE_S = 1.0
"""Traffic goes on for this long after the end, to see whether anything still goes wrong."""
ZERO_LIMIT_S = 40.0
prepare = build


@dataclass(slots=True)
class Times:
    values: list[float] = field(default_factory=list)

    def note(self, more: str = "") -> str:
        return f"median of {len(self.values)}; {min(self.values):.3f} to {max(self.values):.3f}{'; ' if more else ''}{more}"

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Bench:
    def __init__(self, venue: Bed, watch: Watch, results: PartResults) -> None:
        self.venue, self.watch, self.results = venue, watch, results

    def canary(self) -> Seen:
        return self.watch.pools[self.venue.venue.roles.stable.other]

    def pipeline(self, *steps: str, **more: Any) -> str:
        return pipeline(self.venue.state.parent, *steps, **more)

    def deploy(self, version: str, *more: str) -> Running:
        return self.venue.start("deploy", version, "--output", "json", *more)

    def flow(self, rate: int = RATE, orders_only: bool = False) -> Any:
        return self.venue.flow(rate, self.watch.answering(), orders_only)

    def await_weight(self, deploy: Running, canary: Seen) -> None:
        until(lambda: not deploy.alive or canary.weight, "weight on the canary", pause_s=0.002)
        need(deploy.alive, "the release ended before it had weight")

    def zero_at(self, canary: Seen, since_s: float) -> tuple[float, int]:
        until(lambda: canary.zero_after(since_s), "the canary's weight read back as 0", ZERO_LIMIT_S, 0.002)
        found = canary.zero_after(since_s)
        assert found is not None
        return found


def measure(results: PartResults) -> None:
    with bed() as venue:
        shelve(venue.state, GOOD, BAD)
        results.say(f"a venue with {GATEWAYS} gateways comes up")
        venue.up(GATEWAYS)
        with watching(venue) as watch:
            bench = Bench(venue, watch, results)
            with results.trying("zero", "whole", "after", "wrong"):
                bad_releases(bench)
            with results.trying("killed"):
                killed_deploys(bench)
            with results.trying("dead"):
                dead_canaries(bench)
            with results.trying("back-last", "back-zero", "failed-promotion", "failed-rollback"):
                good_releases(bench)


def bad_releases(bench: Bench) -> None:
    """As it is shipped (default pipeline, 1 %, 200 orders/s), for what users got; then fast ones, for more times."""
    shipped = [_bad_release(bench, run, True) for run in range(SHIPPED_BAD)]
    runs = shipped + [_bad_release(bench, run, False) for run in range(SHIPPED_BAD, SHIPPED_BAD + FAST_BAD)]
    zero, whole = Times([r.zero_s for r in runs]), Times([r.whole_s for r in runs])
    bench.results.put("zero", zero.median, zero.note(bench.watch.gap()))
    bench.results.put("whole", whole.median, whole.note("to the end of the command"))
    bench.results.put("after", sum(r.after for r in runs), f"sum of {len(runs)}, by HAProxy's counters")
    each = ", ".join(f"{r.wrong} of {r.served} in {r.seconds:.0f} s" for r in shipped)
    note = f"median of {SHIPPED_BAD}: {each}; one order in five fails, {BAD_RATE} orders/s, default pipeline, --canary 1%"
    bench.results.put("wrong", statistics.median(r.wrong for r in shipped), note)


@dataclass(frozen=True, slots=True)
class Bad:
    zero_s: float
    whole_s: float
    after: int
    """Requests that it was given after the read-back."""
    wrong: int
    served: int
    seconds: float


def _bad_release(bench: Bench, run: int, shipped: bool) -> Bad:
    words = ("--canary", "1%") if shipped else ("--pipeline", bench.pipeline("5%", "100%"))
    how = "default pipeline, 1 %" if shipped else "fast pipeline, 5 %"
    bench.results.say(f"bad release {run + 1} of {SHIPPED_BAD + FAST_BAD}: {how}")
    with bench.flow(BAD_RATE if shipped else RATE, orders_only=shipped) as flow:
        canary = bench.canary()
        with bench.deploy(BAD, *words) as deploy:
            done = deploy.end(120).require(3, "the bad release")
        time.sleep(SETTLE_S)
        bench.watch.fresh()
        answers = flow.stop()
    need(done.data["cause"] == "checks_failed", f"the bad release ended by {done.data['cause']}: {done.data['reason']}")
    third_s = [e.at_s for e in bench.venue.events("check", done.data["release"]) if e.data["fails_in_row"] == 3][-1]
    zero_s, begun = bench.zero_at(canary, third_s)
    wrong, served = (int(answers[name].get(BAD, 0)) for name in ("wrong_by_version", "by_version"))
    return Bad(zero_s - third_s, done.ended_s - third_s, canary.requests - begun, wrong, served, done.data["seconds"])


def killed_deploys(bench: Bench) -> None:
    times = Times()
    with bench.flow(BAD_RATE):
        for run in range(KILLED):
            bench.results.say(f"kill -9 of `opsctl deploy` {run + 1} of {KILLED} (default pipeline, lease 8 s)")
            canary = bench.canary()
            with bench.deploy(GOOD, "--canary", "1%") as deploy:
                bench.await_weight(deploy, canary)
                time.sleep(2.0 + 0.5 * run)  # another place in the lease's second
                at_s = time.time()
                deploy.signal(SIGKILL)
                times.values.append(bench.zero_at(canary, at_s)[0] - at_s)
            bench.venue.opsctl("rollback", "--reason", "its deploy was killed", code=None)
    bench.results.put("killed", times.median, times.note(bench.watch.gap()))


def dead_canaries(bench: Bench) -> None:
    times, count = Times(), 0
    hold = bench.pipeline("50%", "100%", per_step=HOLD)
    with bench.flow():
        for run in range(DEAD):
            bench.results.say(f"all canary processes killed, {run + 1} of {DEAD}")
            canary = bench.canary()
            with bench.deploy(GOOD, "--pipeline", hold) as deploy:
                bench.await_weight(deploy, canary)
                time.sleep(1.0)
                pids = bench.venue.pids(bench.venue.venue.names(bench.venue.venue.roles.stable.other))
                need(pids, "no canary process runs")
                at_s = time.time()
                for pid in pids:
                    os.kill(pid, SIGKILL)
                times.values.append(bench.zero_at(canary, at_s)[0] - at_s)
                cause = deploy.end().require(3, "the release").data["cause"]
            need(cause == "canary_dead", f"it was rolled back by {cause}")
            count = len(pids)
    bench.results.put("dead", times.median, times.note(f"{count} processes, canary at 50 %; {bench.watch.gap()}"))


def good_releases(bench: Bench) -> None:
    """Promoted, then taken back by a person; and once taken back by a person half way."""
    last, zero, failed = Times(), Times(), {"promotion": 0, "rollback": 0}
    requests = {"promotion": 0, "rollback": 0}
    fast = bench.pipeline("10%", "100%")

    def count(what: str, answers: Any) -> None:
        failed[what] += int(answers["wrong_answers"])
        requests[what] += int(answers["requests"])

    for run in range(SWITCHES):
        bench.results.say(f"a good release is promoted, {run + 1} of {SWITCHES}")
        with bench.flow() as flow:
            new = bench.canary()
            with bench.deploy(GOOD, "--pipeline", fast) as deploy:
                deploy.end(90).require(0, "the good release")
            time.sleep(SETTLE_S)
            count("promotion", flow.stop())
        bench.results.say("and taken back by a person")
        with bench.flow() as flow:
            done = bench.venue.opsctl("rollback", "--reason", "measured")
            time.sleep(SETTLE_S)
            bench.watch.fresh()
            zero.values.append(bench.zero_at(new, done.began_s)[0] - done.began_s)
            last.values.append(new.last_request_s - done.began_s)
            count("rollback", flow.stop())
    _taken_back_half_way(bench, count)
    bench.results.put("back-last", last.median, last.note("command start to the last request begun, by HAProxy's counters"))
    bench.results.put("back-zero", zero.median, zero.note(f"from command start; {bench.watch.gap()}"))
    bench.results.put("failed-promotion", failed["promotion"], f"of {requests['promotion']:,} in {SWITCHES} promotions at {RATE}/s")
    note = f"of {requests['rollback']:,} in {SWITCHES} switches back and one at 50 % at {RATE}/s"
    bench.results.put("failed-rollback", failed["rollback"], note)


def _taken_back_half_way(bench: Bench, count: Any) -> None:
    bench.results.say("a good release is taken back by a person at 50 %")
    with bench.flow() as flow:
        with bench.deploy(GOOD, "--pipeline", bench.pipeline("50%", "100%", per_step=HOLD)) as deploy:
            bench.await_weight(deploy, bench.canary())
            time.sleep(1.0)
            bench.venue.opsctl("rollback", "--reason", "measured", code=None)
            deploy.end().require(7, "the release taken back")
        time.sleep(SETTLE_S)
        count("rollback", flow.stop())
