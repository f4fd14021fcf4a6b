"""A Prometheus in memory: it tells the series that a test wrote down, at the times asked, and can be away or slow to keep history."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise

from ops.errors import MetricsUnavailable
from ops.ports import Series

LOOKBACK_S = 300.0


class FakeQueries:
    """Implements ops.ports.Queries. `told` maps a piece of query text (a metric's name, or a whole query) to the answer; the longest piece
    that the query holds counts, and a query that holds none is answered with nothing.

    `away`: it does not answer. `lookback_s`: how old a sample may be to count (Prometheus: 5 minutes).
    """

    def __init__(self, told: Mapping[str, tuple[Series, ...]] | None = None, lookback_s: float = LOOKBACK_S) -> None:
        self.told: dict[str, tuple[Series, ...]] = dict(told or {})
        for answer in self.told.values():
            assert all(before[0] < after[0] for series in answer for before, after in pairwise(series.points)), "oldest first"
        self.lookback_s = lookback_s
        self.away = False
        self.asked: list[str] = []
        self.server_flags: dict[str, str] = {"storage.tsdb.retention.time": "45d"}

    def instant(self, query: str, at_s: float) -> tuple[Series, ...]:
        answers = ((series.labels, self._at(series, at_s)) for series in self._answer(query))
        return tuple(Series(labels, ((at_s, value),)) for labels, value in answers if value is not None)

    def range(self, query: str, start_s: float, end_s: float, step_s: float) -> tuple[Series, ...]:
        times_s = [start_s + step_s * index for index in range(int((end_s - start_s) / step_s + 1e-9) + 1)]
        answers = []
        for series in self._answer(query):
            points = tuple((at_s, value) for at_s in times_s if (value := self._at(series, at_s)) is not None)
            if points:
                answers.append(Series(series.labels, points))
        return tuple(answers)

    def flags(self) -> Mapping[str, str]:
        self._check()
        return dict(self.server_flags)

    def _answer(self, query: str) -> tuple[Series, ...]:
        self._check()
        self.asked.append(query)
        known = [piece for piece in self.told if piece in query]
        return self.told[max(known, key=len)] if known else ()

    def _at(self, series: Series, at_s: float) -> float | None:
        index = bisect_right(series.points, at_s, key=lambda point: point[0]) - 1
        return series.points[index][1] if index >= 0 and series.points[index][0] > at_s - self.lookback_s else None

    def _check(self) -> None:
        if self.away:
            raise MetricsUnavailable("Prometheus cannot be reached")
