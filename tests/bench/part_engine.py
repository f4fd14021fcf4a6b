"""The matching engine: throughput beside a textbook book, order to report bytes, durability, replay, memory. docs/bench.md says how."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench import engine_peers
from tests.bench.bed import need
from tests.bench.engine_tools import BUILD, Answer, ask, build, middle, settle, spread
from tests.bench.report import PartResults

RUNS = 5
HISTOGRAMS = BUILD / "histograms"
OPEN_RATES = (("100k", 100_000), ("1m", 1_000_000))


def prepare(results: PartResults) -> None:
    results.say("exchange_bench is built; minutes the first time")
    build()
    settle(60)


def measure(results: PartResults) -> None:
    HISTOGRAMS.mkdir(parents=True, exist_ok=True)
    _books(results, "one", "one_book")
    _books(results, "many", "many_books")
    with results.trying("one-ids"):
        results.say(f"one book with cl_ord_ids, {RUNS} times")
        answer = _ask("one_book", "--cl-ord-ids")
        rates = answer.data["batch_per_s"]
        results.put("one-ids", middle(rates), f"{_millions(rates)}; {answer.load}", busy=answer.busy)
    with _folder() as folder:
        _path(results, folder)
        _device(results, folder)
        _log(results, folder)
    _small_things(results)
    if os.environ.get("PEERS"):
        with results.trying("peer-one", "peer-many"):
            engine_peers.measure(results, RUNS)


@contextmanager
def _folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="logs-", dir=BUILD)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ask(*arguments: str, runs: int = RUNS) -> Answer:
    return ask(*arguments, "--runs", str(runs))


def _millions(rates: list[float]) -> str:
    return spread(rates, 1e-6) + " M/s"


def _books(results: PartResults, key: str, measurement: str) -> None:
    with results.trying(key, f"{key}-apply", f"{key}-map", f"{key}-ratio"):
        results.say(f"{measurement.replace('_', ' ')}, ours and std::map's in turns, {RUNS} times")
        answer = _ask(measurement)
        data, busy = answer.data, answer.busy
        batch, ours, textbook = data["batch_per_s"], data["apply_per_s"], data["map_per_s"]
        what = f"{data['ops']:,} ops, {data['trades']:,} trades, hash {data['trade_hash']}"
        results.put(key, middle(batch), f"{_millions(batch)}; {what}; {answer.load}", busy=busy)
        results.put(f"{key}-apply", middle(ours), _millions(ours), busy=busy)
        results.put(f"{key}-map", middle(textbook), f"{_millions(textbook)}; same trade hash", busy=busy)
        ratios = [a / b for a, b in zip(batch, textbook, strict=True)]
        results.put(f"{key}-ratio", middle(ratios), spread(ratios), busy=busy)


def _path(results: PartResults, folder: str) -> None:
    with results.trying("path-p50", "path-p99", "path-p999", "path-net", "path-rate"):
        results.say(f"order bytes to report bytes, closed loop, {RUNS} times")
        answer = _ask("path", "--dir", folder, "--save", str(HISTOGRAMS))
        runs, busy = answer.data["runs"], answer.busy
        for quantile in ("p50", "p99", "p999"):
            ours, control = _us(runs, "ours", quantile), _us(runs, "control", quantile)
            note = f"{spread(ours)}; worst {max(_us(runs, 'ours', 'max')):,.0f}; doing nothing {middle(control):.3f}"
            results.put(f"path-{quantile}", middle(ours), f"{note}; {_lost(runs)}", busy=busy)
        net = [a - b for a, b in zip(_us(runs, "ours", "p999"), _us(runs, "control", "p999"), strict=True)]
        results.put("path-net", middle(net), spread(net), busy=busy)
        rates = [run["per_s"] for run in runs]
        results.put("path-rate", middle(rates), f"{_millions(rates)}; two looks at the clock an order included; {answer.load}", busy=busy)
    for name, rate in OPEN_RATES:
        with results.trying(*(f"open-{name}-{what}" for what in ("rate", "p50", "p99", "p999", "net"))):
            _open(results, folder, name, rate)


def _open(results: PartResults, folder: str, name: str, rate: int) -> None:
    results.say(f"the same from scheduled arrival at {rate:,}/s, {RUNS} times")
    answer = _ask("open", "--dir", folder, "--rate", str(rate), "--save", str(HISTOGRAMS))
    runs, busy = answer.data["runs"], answer.busy
    rates = [run["per_s"] for run in runs]
    results.put(f"open-{name}-rate", middle(rates), f"{spread(rates, digits=0)}; {_lost(runs)}; {answer.load}", busy=busy)
    for quantile in ("p50", "p99", "p999"):
        ours, control = _us(runs, "ours", quantile), _us(runs, "control", quantile)
        results.put(f"open-{name}-{quantile}", middle(ours), f"{spread(ours)}; doing nothing {middle(control):.3f}", busy=busy)
    net = [a - b for a, b in zip(_us(runs, "ours", "p999"), _us(runs, "control", "p999"), strict=True)]
    results.put(f"open-{name}-net", middle(net), spread(net), busy=busy)


def _device(results: PartResults, folder: str) -> None:
    with results.trying("device-rate", "device-p50", "device-p99", "disk-p50", "disk-p99"):
        results.say(f"ack policy `device` at 1,000,000/s, {RUNS} times")
        answer = _ask("device", "--dir", folder, "--rate", "1000000", "--save", str(HISTOGRAMS))
        runs, busy = answer.data["runs"], answer.busy
        rates = [run["per_s"] for run in runs]
        waits = sum(run["waits"] for run in runs)
        results.put("device-rate", middle(rates), f"{spread(rates, digits=0)}; {waits} found the journal full; {answer.load}", busy=busy)
        for quantile in ("p50", "p99"):
            ours, disk = _us(runs, "confirmed", quantile), _us(runs, "disk", quantile)
            results.put(f"device-{quantile}", middle(ours), f"{spread(ours, digits=0)}; from scheduled arrival to confirmed", busy=busy)
            results.put(f"disk-{quantile}", middle(disk), f"{spread(disk, digits=0)}; in the same runs", busy=busy)


def _log(results: PartResults, folder: str) -> None:
    with results.trying("replay", "replay-tool", "replay-digest"):
        results.say(f"a log of 5,000,000 records is written, and read {RUNS} times in three ways")
        answer = _ask("replay", "--dir", folder)
        data = answer.data
        for key, name in (("replay", "recover"), ("replay-tool", "replayer"), ("replay-digest", "digest")):
            rates = data[f"{name}_per_s"]
            results.put(key, middle(rates), f"{_millions(rates)}; {data['records']:,} records; {answer.load}", busy=answer.busy)
    with results.trying("restart"):
        results.say(f"a snapshot of 1,000,000 orders and a tail, {RUNS} starts")
        answer = _ask("restart", "--dir", folder)
        data = answer.data
        what = f"{data['live']:,} live orders, {data['tail']:,} records behind the snapshot; loading it {middle(data['load_s']):.2f} s"
        results.put("restart", middle(data["all_s"]), f"{spread(data['all_s'])}; {what}; {answer.load}", busy=answer.busy)


def _small_things(results: PartResults) -> None:
    with results.trying("risk", "risk-micro"):
        results.say(f"all checks on and off, {RUNS} times")
        answer = _ask("risk")
        for key, prefix in (("risk", ""), ("risk-micro", "micro_")):
            on, off = answer.data[f"{prefix}on_ns"], answer.data[f"{prefix}off_ns"]
            note = f"medians of {RUNS}: {middle(on):.1f} on, {middle(off):.1f} off; {answer.load}"
            results.put(key, middle(on) - middle(off), note, busy=answer.busy)
    with results.trying("order-bytes", "order-bytes-ids", "order-bytes-after", "instrument-idle", "instrument-active"):
        results.say("resident memory")
        plain, named = _ask("memory", runs=3).data, _ask("memory", "--cl-ord-ids", runs=3).data
        note = (
            f"std::map book {middle(plain['map_order_bytes']):.0f}; {plain['orders']:,} orders, everything of 10,000 instruments included"
        )
        results.put("order-bytes", middle(plain["order_bytes"]), note)
        results.put("order-bytes-ids", middle(named["order_bytes"]), "16 characters each")
        after = f"3,000,000 operations later, of {plain['live_at_end']:,} live orders"
        results.put("order-bytes-after", middle(plain["order_bytes_after_ops"]), after)
        results.put("instrument-idle", middle(plain["instrument_idle_bytes"]), f"and {middle(plain['engine_bytes']):,.0f} an engine")
        results.put("instrument-active", middle(plain["instrument_active_bytes"]), "a buy and a sell rest in each")
    with results.trying("silence"):
        results.say("what the match path asks of others")
        heard = ask(program="exchange_silence").data
        first = heard["first_system_call"]
        count = heard["allocations"] + heard["frees"] + heard["locks"] + (first >= 0)
        said = f"{heard['allocations']} allocations, {heard['frees']} frees, {heard['locks']} locks"
        calls = "no system call" if first < 0 else f"system call {first}"
        results.put("silence", count, f"{said}, {calls}; a million operations before it to warm up")


def _us(runs: list[dict[str, Any]], which: str, quantile: str) -> list[float]:
    values = [run[which][f"{quantile}_ns"] / 1000 for run in runs]
    need(values, f"no runs of {which}")
    return values


def _lost(runs: list[dict[str, Any]]) -> str:
    """What the machine took away, by the gap log."""
    share = middle([run["gaps"]["lost_share"] for run in runs])
    longest_us = max(run["gaps"]["longest_ns"] for run in runs) / 1000
    return f"machine took {100 * share:.1f} %, longest {longest_us:,.0f} us"
