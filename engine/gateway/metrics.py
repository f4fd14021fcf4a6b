"""The gateway's metrics: one registry of its own, every label child bound once, so that a request only increments.

"Submitted" means: a well-formed order of a known key, within its rate, that this gateway owed an answer. Refusals at the
door (shape, key, rate) are the member's own and are only counted in ORDERS_REJECTED; an order that met a dead core was
submitted and never completed, which is what the completion SLO must see.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine import COMMIT, __version__, conventions
from engine.gateway.errors import REJECT_LABELS
from engine.gateway.link import CoreLink

FAILURES = (500, 503)


class GatewayMetrics:
    def __init__(self, link: CoreLink) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.ack_seconds = Histogram(
            conventions.ORDER_ACK_SECONDS,
            "From an order's bytes to its acknowledgement.",
            buckets=conventions.ORDER_ACK_BUCKETS_S,
            registry=registry,
        )
        self.submitted = Counter(conventions.ORDERS_SUBMITTED, "Orders that were owed an answer.", registry=registry)
        self.completed = Counter(conventions.ORDERS_COMPLETED, "Orders answered within the completion bound.", registry=registry)
        self.settled = Counter(conventions.COMMANDS_SETTLED, "Commands of the core that were answered or given up.", registry=registry)
        self.answered = Counter(conventions.COMMANDS_ANSWERED, "Commands that the core answered.", registry=registry)
        self.market_data_age = Histogram(
            conventions.MARKET_DATA_AGE_SECONDS,
            "How old the view of the books can be, at each tick.",
            buckets=conventions.MARKET_DATA_AGE_BUCKETS_S,
            registry=registry,
        )
        rejected = Counter(conventions.ORDERS_REJECTED, "Orders refused.", ["reason"], registry=registry)
        self._rejected = {reason: rejected.labels(reason) for reason in REJECT_LABELS}
        self._http = Counter(conventions.HTTP_REQUESTS, "HTTP requests.", ["route", "code"], registry=registry)
        # Failures stand at 0 from the start: a series that appears with its first error has no increase for Prometheus to see.
        self._http_children = {
            (route, code): self._http.labels(route, str(code))
            for route in conventions.ROUTES
            if route != conventions.OPERATIONS_ROUTE
            for code in FAILURES
        }
        self.sessions_open = Gauge(conventions.SESSIONS_OPEN, "Binary sessions open.", registry=registry)
        build = Gauge(conventions.BUILD_INFO, "Always 1.", ["version", "commit"], registry=registry)
        build.labels(__version__, COMMIT).set(1)
        registry.register(_LinkCollector(link))
        self._registry = registry

    def rejected(self, reason: str) -> None:
        self._rejected[reason].inc()

    def http(self, route: str, code: int) -> None:
        """`route` is one of conventions.ROUTES, so the children stay few."""
        child = self._http_children.get((route, code))
        if child is None:
            child = self._http_children[route, code] = self._http.labels(route, str(code))
        child.inc()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)


class _LinkCollector(Collector):
    """Reads the link at scrape time, so the hot path keeps no gauges up to date."""

    def __init__(self, link: CoreLink) -> None:
        self._link = link

    def collect(self) -> Iterable[Metric]:
        link = self._link
        yield GaugeMetricFamily(conventions.ZOMBIE_ORDERS, "Orders in flight past the completion bound.", value=link.zombie_orders)
        yield GaugeMetricFamily(conventions.QUEUE_DEPTH, "Requests waiting for the core.", value=link.queue_depth)
        yield GaugeMetricFamily(conventions.CORE_LINK_UP, "1 when the core has welcomed this gateway.", value=int(link.is_up))
