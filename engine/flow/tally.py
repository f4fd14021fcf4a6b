"""Counts of a running flow, in bounded memory: latencies go into buckets 1 % apart."""

from __future__ import annotations

import math
from collections import Counter

from engine.flow.model import FlowResult

BUCKET_RATIO = 1.01
_LOG_RATIO = math.log(BUCKET_RATIO)
_FLOOR_S = 1e-6


class LatencyBuckets:
    """Quantiles with an error of at most 1 %; the maximum is exact."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._total = 0
        self.max_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[round(math.log(max(seconds, _FLOOR_S)) / _LOG_RATIO)] += 1
        self._total += 1
        self.max_s = max(self.max_s, seconds)

    def quantile_s(self, ratio: float) -> float:
        """0.0 when nothing was added."""
        rank = math.ceil(ratio * self._total)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return min(math.exp(bucket * _LOG_RATIO), self.max_s)
        return 0.0


class Tally:
    def __init__(self) -> None:
        self.requests = 0
        self.orders_acked = 0
        self.latency = LatencyBuckets()
        self.by_status: Counter[int] = Counter()
        self.wrong: Counter[str] = Counter()
        self.by_version: Counter[str] = Counter()
        self.by_gateway: Counter[str] = Counter()
        self.wrong_by_version: Counter[str] = Counter()

    def answer(self, status: int, version: str, gateway: str, wrong: str | None, latency_s: float) -> None:
        """One answer; `status` 0 means that none came, and then version and gateway are empty."""
        self.requests += 1
        self.latency.add(latency_s)
        if status:
            self.by_status[status] += 1
        if version:
            self.by_version[version] += 1
        if gateway:
            self.by_gateway[gateway] += 1
        if wrong is not None:
            self.wrong[wrong] += 1
            self.wrong_by_version[version or "unknown"] += 1

    def result(self, seconds: float) -> FlowResult:
        return FlowResult(
            requests=self.requests,
            seconds=seconds,
            orders_acked=self.orders_acked,
            by_status=dict(self.by_status),
            wrong=dict(self.wrong),
            by_version=dict(self.by_version),
            by_gateway=dict(self.by_gateway),
            wrong_by_version=dict(self.wrong_by_version),
            latency_ms_p50=round(self.latency.quantile_s(0.5) * 1000, 3),
            latency_ms_p99=round(self.latency.quantile_s(0.99) * 1000, 3),
            latency_ms_max=round(self.latency.max_s * 1000, 3),
        )
