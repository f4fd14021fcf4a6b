"""The probe's metrics. Success is read at scrape time, so that a probe that stands still does not go on saying that all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine import conventions
from engine.probe.model import Round


class ProbeMetrics:
    """`stale_after_s`: a success older than that is none. `clock` is monotonic."""

    def __init__(self, stale_after_s: float, clock: Callable[[], float]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._stale_after_s, self._clock = stale_after_s, clock
        self._succeeded_s: float | None = None
        self._registry = CollectorRegistry()
        self._rounds = Counter(conventions.PROBE_ROUNDS, "Rounds that ended.", registry=self._registry)
        failures = Counter(conventions.PROBE_FAILURES, "Rounds that failed, by step.", ["step"], registry=self._registry)
        self._failures = {step: failures.labels(step) for step in conventions.PROBE_STEPS}
        self._seconds = Histogram(
            conventions.PROBE_SECONDS, "Length of a round.", buckets=conventions.PROBE_BUCKETS_S, registry=self._registry
        )
        self._registry.register(_SuccessCollector(self))

    @property
    def succeeding(self) -> bool:
        return self._succeeded_s is not None and self._clock() - self._succeeded_s <= self._stale_after_s

    def ended(self, one: Round) -> None:
        self._rounds.inc()
        self._seconds.observe(one.seconds)
        if one.failed:
            self._failures[one.failed].inc()
        self._succeeded_s = None if one.failed else self._clock()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)


class _SuccessCollector(Collector):
    def __init__(self, metrics: ProbeMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        help_text = "1 while a desk could flatten and pause."
        yield GaugeMetricFamily(conventions.PROBE_SUCCESS, help_text, value=int(self._metrics.succeeding))
