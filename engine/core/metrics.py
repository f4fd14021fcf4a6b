"""The core's metrics, read from the data plane's counters at scrape time; the data plane itself knows nothing of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine import COMMIT, __version__, conventions

Stats = Callable[[], Mapping[str, int]]


class CoreCollector(Collector):
    """`shows_durable`: off where nobody waits for the disk, since the figure stands still there."""

    def __init__(self, stats: Stats, *, shows_durable: bool = True) -> None:
        self._stats, self._shows_durable = stats, shows_durable

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        yield CounterMetricFamily(conventions.COMMANDS_PROCESSED, "Commands logged and applied.", value=stats["commands"])
        yield GaugeMetricFamily(conventions.QUEUE_DEPTH, "Commands read and not yet applied.", value=stats["queue_depth"])
        yield GaugeMetricFamily(
            conventions.LOG_SEQ_NUM, "Newest seq_num in the log, on the disk or not yet.", value=stats["written_seq_num"]
        )
        if self._shows_durable:
            yield GaugeMetricFamily(
                conventions.LOG_DURABLE_SEQ_NUM, "Newest seq_num known to be on the disk.", value=stats["durable_seq_num"]
            )
        yield GaugeMetricFamily(conventions.LOG_HEALTHY, "1 while the log takes commands.", value=stats["log_healthy"])
        yield GaugeMetricFamily(
            conventions.LAST_TICK_TIMESTAMP, "Unix time of the newest change of a book.", value=stats["last_tick_ns"] / 1e9
        )
        build = GaugeMetricFamily(conventions.BUILD_INFO, "Always 1.", labels=["version", "commit"])
        build.add_metric([__version__, COMMIT], 1)
        yield build


def registry(stats: Stats, *, shows_durable: bool = True) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(CoreCollector(stats, shows_durable=shows_durable))
    return made
