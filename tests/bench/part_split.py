"""Is 1 % one percent? A canary is held at its share while 10,000 requests of the real flow go by."""

from __future__ import annotations

from signal import SIGINT

from tests.bench.bed import Bed, bed, need, until
from tests.bench.pipelines import HOLD, pipeline
from tests.bench.releases import GOOD, build, shelve
from tests.bench.report import PartResults
from tests.bench.watch import Watch, watching

REQUESTS, RATE, GATEWAYS = 10_000, 700, 4
SHARES = (("1%", 1.0), ("0.1%", 0.1))
prepare = build


def measure(results: PartResults) -> None:
    with bed() as venue:
        shelve(venue.state, GOOD)
        results.say(f"a venue with {GATEWAYS} gateways comes up")
        venue.up(GATEWAYS)
        with watching(venue) as watch:
            for share, points in SHARES:
                with results.trying(f"{share}-haproxy", f"{share}-answers"):
                    _share(venue, watch, share, points, results)


def _share(venue: Bed, watch: Watch, share: str, points: float, results: PartResults) -> None:
    canary = watch.pools[venue.venue.roles.stable.other]
    held = pipeline(venue.state.parent, share, "100%", per_step=HOLD)
    with venue.start("deploy", GOOD, "--pipeline", held, "--output", "json") as deploy:
        until(lambda: not deploy.alive or canary.weight, f"the canary at {share}", pause_s=0.002)
        need(deploy.alive, "the release ended before it was measured")
        venue.send(500, 250)  # past the one round of requests in which the weights changed
        watch.fresh()
        canary_before, before = canary.requests, watch.total()
        results.say(f"{REQUESTS:,} requests with the canary at {share}")
        answers = venue.send(REQUESTS, RATE)
        watch.fresh()
        served, all_served = canary.requests - canary_before, watch.total() - before
        need(deploy.alive and canary.weight, "the canary lost its weight while it was measured")
        deploy.signal(SIGINT)
        deploy.end()
    need(all_served >= REQUESTS, f"HAProxy counted {all_served} requests")
    by_version = answers["by_version"]
    mine, whole = int(by_version.get(GOOD, 0)), sum(by_version.values())
    for way, part, total in (("haproxy", served, all_served), ("answers", mine, whole)):
        results.put(f"{share}-{way}", abs(100 * part / total - points), f"{part} of {total:,} = {100 * part / total:.4f} %")
