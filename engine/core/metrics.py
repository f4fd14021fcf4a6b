"""The core's metrics, read from the data plane's counters at scrape time; the data plane itself knows nothing of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine import COMMIT, __version__, conventions
from engine.core.snapshotter import SnapshotFigures
from engine.logs import WallClock, wall_clock_ns

Stats = Callable[[], Mapping[str, int]]
PartitionStats = Callable[[], Sequence[Mapping[str, int]]]


class CoreCollector(Collector):
    """`shows_durable`: off where nobody waits for the disk, since the figure stands still there."""

    def __init__(
        self,
        stats: Stats,
        *,
        shows_durable: bool = True,
        partitions: PartitionStats = tuple,
        snapshots: SnapshotFigures | None = None,
        clock: WallClock = wall_clock_ns,
    ) -> None:
        self._stats, self._shows_durable, self._partitions = stats, shows_durable, partitions
        self._snapshots, self._clock = snapshots, clock

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
        yield from self._by_partition()
        yield from self._of_snapshots()
        build = GaugeMetricFamily(conventions.BUILD_INFO, "Always 1.", labels=["version", "commit"])
        build.add_metric([__version__, COMMIT], 1)
        yield build

    def _by_partition(self) -> Iterable[Metric]:
        """Where one partition alone can be in trouble."""
        labels = [conventions.LABEL_PARTITION]
        commands = CounterMetricFamily(conventions.PARTITION_COMMANDS, "Commands logged and applied by one partition.", labels=labels)
        queued = GaugeMetricFamily(conventions.PARTITION_QUEUE_DEPTH, "Commands that wait for one partition.", labels=labels)
        live = GaugeMetricFamily(conventions.PARTITION_LIVE_ORDERS, "Orders that rest in one partition.", labels=labels)
        for number, stats in enumerate(self._partitions()):
            commands.add_metric([str(number)], stats["commands"])
            queued.add_metric([str(number)], stats["queue_depth"])
            live.add_metric([str(number)], stats["live_orders"])
        yield from (commands, queued, live)

    def _of_snapshots(self) -> Iterable[Metric]:
        figures = self._snapshots
        if figures is None:
            return
        newest = GaugeMetricFamily(conventions.SNAPSHOT_SEQ_NUM, "seq_num of the newest snapshot.", labels=[conventions.LABEL_PARTITION])
        for number, seq_num in sorted(figures.seq_nums.items()):
            newest.add_metric([str(number)], seq_num)
        yield newest
        if figures.fresh_s is not None:
            age_s = max(0.0, self._clock() / 1e9 - figures.fresh_s)
            yield GaugeMetricFamily(conventions.SNAPSHOT_AGE_SECONDS, "Since the snapshots last held everything.", value=age_s)
        yield CounterMetricFamily(conventions.SNAPSHOT_FAILURES, "Snapshots that could not be made.", value=figures.failures)


def registry(
    stats: Stats, *, shows_durable: bool = True, partitions: PartitionStats = tuple, snapshots: SnapshotFigures | None = None
) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(CoreCollector(stats, shows_durable=shows_durable, partitions=partitions, snapshots=snapshots))
    return made
