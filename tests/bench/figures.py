"""Every figure that `make bench` measures, with its bar. What is not in this list is not measured; what is, always has a row."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("cli", "engine", "venue", "gateway", "core", "split", "deploy", "slo", "demo")
BY_DEFAULT = PARTS[:-1]
"""The demo takes minutes by itself: ONLY=demo."""
LIMIT_S = {"cli": 30, "engine": 1500, "venue": 90, "gateway": 150, "core": 120, "split": 120, "deploy": 420, "slo": 1500, "demo": 900}
"""A part that is not over by then is ended; what it did not measure is an error row. Building releases has a limit of its own."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`bar` None: printed, judged by nobody. `at_least`: larger is better. `later`: the bar is a goal of a version to come."""

    part: str
    key: str
    name: str
    unit: str
    bar: float | None = None
    at_least: bool = False
    later: bool = False
    peer: str | None = None
    relative: bool = False
    """A ratio or a difference of two measurements: a busy machine may flatter it. It can only worsen a rate, a time or a count."""
    asked: str = ""
    """The environment variable that asks for it; '' for always."""


FIGURES = (
    Figure("cli", "help", "`opsctl --help`, wall time", "s", 0.15),
    Figure("cli", "sdks", "client libraries imported by `opsctl --help`", "modules", 0),
    Figure("engine", "one", "one warm book, full rules on, in batches", "ops/s", 25_000_000, at_least=True),
    Figure("engine", "one-apply", "one warm book, one call an operation", "ops/s"),
    Figure("engine", "one-ids", "one warm book in batches, a cl_ord_id on each order", "ops/s"),
    Figure("engine", "one-map", "one warm book, textbook std::map", "ops/s"),
    Figure("engine", "one-ratio", "one warm book, ours over std::map", "times", 2.5, at_least=True, relative=True),
    Figure("engine", "many", "10,000 instruments, 1M live orders, full rules on, in batches", "ops/s", 8_000_000, at_least=True),
    Figure("engine", "many-apply", "10,000 instruments, one call an operation", "ops/s"),
    Figure("engine", "many-map", "10,000 instruments, textbook std::map", "ops/s"),
    Figure("engine", "many-ratio", "10,000 instruments, ours over std::map", "times", 5, at_least=True, relative=True),
    Figure("engine", "path-p50", "order to report bytes, closed loop, p50", "us", 0.5),
    Figure("engine", "path-p99", "order to report bytes, closed loop, p99", "us"),
    Figure("engine", "path-p999", "order to report bytes, closed loop, p99.9", "us", 3),
    Figure("engine", "path-net", "order to report bytes, closed loop, p99.9 less doing nothing", "us", 10, relative=True),
    Figure("engine", "path-rate", "order to report bytes, closed loop, rate", "orders/s"),
    Figure("engine", "open-100k-rate", "order to report bytes at 100,000/s, rate sustained", "orders/s"),
    Figure("engine", "open-100k-p50", "order to report bytes at 100,000/s, from scheduled arrival, p50", "us"),
    Figure("engine", "open-100k-p99", "order to report bytes at 100,000/s, from scheduled arrival, p99", "us"),
    Figure("engine", "open-100k-p999", "order to report bytes at 100,000/s, from scheduled arrival, p99.9", "us"),
    Figure("engine", "open-100k-net", "order to report bytes at 100,000/s, p99.9 less doing nothing", "us", relative=True),
    Figure("engine", "open-1m-rate", "order to report bytes at 1,000,000/s, rate sustained", "orders/s", 990_000, at_least=True),
    Figure("engine", "open-1m-p50", "order to report bytes at 1,000,000/s, from scheduled arrival, p50", "us"),
    Figure("engine", "open-1m-p99", "order to report bytes at 1,000,000/s, from scheduled arrival, p99", "us"),
    Figure("engine", "open-1m-p999", "order to report bytes at 1,000,000/s, from scheduled arrival, p99.9", "us"),
    Figure("engine", "open-1m-net", "order to report bytes at 1,000,000/s, p99.9 less doing nothing", "us", relative=True),
    Figure("engine", "device-rate", "policy `device` at 1,000,000/s, rate sustained", "orders/s", 990_000, at_least=True),
    Figure("engine", "device-p50", "policy `device` at 1,000,000/s, arrival to confirmed, p50", "us"),
    Figure("engine", "device-p99", "policy `device` at 1,000,000/s, arrival to confirmed, p99", "us"),
    Figure("engine", "disk-p50", "the disk itself, 4 KiB O_DIRECT and O_DSYNC, p50", "us"),
    Figure("engine", "disk-p99", "the disk itself, 4 KiB O_DIRECT and O_DSYNC, p99", "us"),
    Figure("engine", "risk", "risk checks all on, less all off, an order of the flow", "ns", 100, relative=True),
    Figure("engine", "risk-micro", "risk checks all on, less all off, an order at a warm price and its cancel", "ns", 100, relative=True),
    Figure("engine", "replay", "replay with CRC and trade hash, one partition", "records/s", 10_000_000, at_least=True),
    Figure("engine", "replay-tool", "replay as `exchange replay` does it, state hash at the end", "records/s"),
    Figure("engine", "replay-digest", "replay with a digest of every report", "records/s"),
    Figure("engine", "restart", "snapshot of 1M live orders and a tail, to ready", "s", 1),
    Figure("engine", "order-bytes", "resident memory a live order", "bytes", 200),
    Figure("engine", "order-bytes-ids", "resident memory a live order with a cl_ord_id", "bytes"),
    Figure("engine", "order-bytes-after", "resident memory a live order after 3M operations", "bytes"),
    Figure("engine", "instrument-idle", "resident memory an instrument without orders", "bytes"),
    Figure("engine", "instrument-active", "resident memory an instrument with two orders", "bytes"),
    Figure("engine", "silence", "allocations, frees, locks and system calls in 1,000,000 mixed operations", "calls", 0),
    Figure("engine", "peer-one", "exchange-core, one warm book", "ops/s", asked="PEERS"),
    Figure("engine", "peer-many", "exchange-core, 10,000 instruments", "ops/s", asked="PEERS"),
    Figure("venue", "up", "`opsctl up --gateways 4` on an empty folder to everything ready", "s", 10),
    Figure("venue", "down", "`opsctl down`", "s"),
    Figure("gateway", "p50", "order to 201 at 200/s, p50", "ms"),
    Figure("gateway", "p99", "order to 201 at 200/s, p99", "ms"),
    Figure("gateway", "sustained", "highest sustained rate of one gateway", "orders/s"),
    Figure("core", "ready", "restart of the core with 1,000,000 logged orders, to ready", "s"),
    Figure("core", "replay", "replay alone", "records/s", 10_000_000, at_least=True, later=True),
    Figure("split", "1%-haproxy", "canary share at 1 %, off by (HAProxy's counters)", "points", 0.05),
    Figure("split", "1%-answers", "canary share at 1 %, off by (X-Version of the answers)", "points", 0.05),
    Figure("split", "0.1%-haproxy", "canary share at 0.1 %, off by (HAProxy's counters)", "points", 0.05),
    Figure("split", "0.1%-answers", "canary share at 0.1 %, off by (X-Version of the answers)", "points", 0.05),
    Figure("deploy", "zero", "third FAIL to canary weight 0 read back", "s", 1, peer="Argo Rollouts 0.28, Flagger 9.7"),
    Figure("deploy", "whole", "third FAIL to the end of the whole rollback", "s", 10, peer="promised to users: 60"),
    Figure("deploy", "after", "canary requests begun after the read-back", "requests", 0),
    Figure("deploy", "wrong", "wrong answers users got from the bad release", "answers", peer="Argo Rollouts 35, Flagger 16"),
    Figure("deploy", "killed", "kill -9 of `opsctl deploy` to weight 0", "s", 15, peer="Argo Rollouts, Flagger: never"),
    Figure("deploy", "dead", "all canary processes killed to weight 0", "s", 1, peer="Argo Rollouts 1.3, Flagger 65"),
    Figure(
        "deploy", "back-last", "`opsctl rollback` to the last request on the promoted version", "s", 2, peer="Argo Rollouts 93, Flagger 85"
    ),
    Figure("deploy", "back-zero", "`opsctl rollback` to its weight 0 read back", "s", 2, peer="Argo Rollouts 93, Flagger 85"),
    Figure("deploy", "failed-promotion", "failed requests caused by promotions", "requests", 0),
    Figure("deploy", "failed-rollback", "failed requests caused by a person's rollback of a good release", "requests", 0),
    Figure("slo", "generate-one", "`opsctl slo generate`, 1 SLO, whole process", "CPU s", 0.18, peer="Sloth 0.18"),
    Figure("slo", "generate-many", "`opsctl slo generate`, 1,000 SLOs, whole process", "CPU s", 0.8, peer="Sloth 0.80"),
    Figure("slo", "generate-mib", "the same, peak of memory", "MiB", 100, peer="Sloth 102"),
    Figure("slo", "check", "`promtool check rules` over 1,000 SLOs", "CPU s", 0.1, peer="Sloth 1.3"),
    Figure("slo", "test", "`promtool test rules` over 1,000 SLOs, ten minutes", "CPU s", 2, peer="Sloth 28"),
    Figure("slo", "pages-median", "total outage in zone 1 to page at the webhook, median", "s", 30, peer="Sloth 68-98"),
    Figure("slo", "pages-worst", "total outage in zone 1 to page at the webhook, worst", "s", 45, peer="Sloth 78-108"),
    Figure("slo", "pages-tenth", "10 % errors at 1/s, to page, worst", "s", 60, peer="Sloth 539"),
    Figure("slo", "pages-dead", "exporter dies in zone 1, to page, worst", "s", 60, peer="Sloth: never"),
    Figure("slo", "pages-false", "pages for a one-second burst and for 1 failure of 3 at night", "pages", 0, peer="Sloth pages both"),
    Figure("slo", "cpu", "Prometheus' CPU a minute per SLO, 100 SLOs in session", "ms", 1.5, peer="Sloth 108"),
    Figure("slo", "samples", "samples read a minute per SLO", "samples", 15_000, peer="Sloth 851,206"),
    Figure("slo", "series", "recorded series per SLO", "series", 16, peer="Sloth 15"),
    Figure("slo", "rules", "rules per SLO, 100 SLOs, all shared ones included", "rules", 2, peer="Sloth 17"),
    Figure("slo", "sloth-one", "Sloth, 1 SLO, this machine", "CPU s", asked="PEERS"),
    Figure("slo", "sloth-many", "Sloth, 1,000 SLOs, this machine", "CPU s", asked="PEERS"),
    Figure("slo", "sloth-check", "`promtool check rules` over Sloth's 1,000, this machine", "CPU s", asked="PEERS"),
    Figure("demo", "second", "`make demo`, not the first run", "s", 150),
)
