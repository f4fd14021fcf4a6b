"""The core's metrics, read from the data plane's counters at scrape time; the data plane itself knows nothing of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine import COMMIT, __version__, conventions

Stats = Callable[[], Mapping[str, int]]


class CoreCollector(Collector):
    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        yield CounterMetricFamily(conventions.COMMANDS_PROCESSED, "Commands applied.", value=stats["commands"])
        yield GaugeMetricFamily(conventions.QUEUE_DEPTH, "Commands read and not yet applied.", value=stats["queue_depth"])
        yield GaugeMetricFamily(conventions.LOG_SEQ_NUM, "Newest seq_num in the log.", value=stats["seq_num"])
        yield GaugeMetricFamily(
            conventions.LOG_DURABLE_SEQ_NUM, "Newest seq_num past the acknowledgement policy.", value=stats["durable_seq_num"]
        )
        yield GaugeMetricFamily(
            conventions.LAST_TICK_TIMESTAMP, "Unix time of the newest change of a book.", value=stats["last_tick_ns"] / 1e9
        )
        build = GaugeMetricFamily(conventions.BUILD_INFO, "Always 1.", labels=["version", "commit"])
        build.add_metric([__version__, COMMIT], 1)
        yield build


def registry(stats: Stats) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(CoreCollector(stats))
    return made
