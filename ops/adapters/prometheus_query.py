"""A Prometheus to ask anything: instant and range queries, and the flags that it runs with.

Long ranges are asked in pieces of at most 11,000 points (Prometheus gives no more), queries go by POST (a generated one may be longer than
a URL), and everything has a bound: time, bytes, points. An answer of an odd shape, of another time than asked, or with one series twice is
refused with its reason. Values may be NaN or infinite; the reader decides what that means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ops.adapters.prometheus_http import CONNECT_TIMEOUT_S, answered, connect
from ops.errors import MetricsUnavailable, UsageError
from ops.ports import Clock, Series

READ_TIMEOUT_S = 30.0
MOST_BYTES = 64_000_000
POINTS_A_QUERY = 11_000
MOST_POINTS = 2_000_000
"""Of one range: 23 days at a second, four years at a minute."""
INSTANT_SLACK_S = 1.0


class PrometheusQueries:
    """Implements ops.ports.Queries for the Prometheus at `url` (http or https; raises UsageError for anything else)."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = _checked(url), clock
        self._client: Any = None

    def instant(self, query: str, at_s: float) -> tuple[Series, ...]:
        params = {"time": f"{at_s:.3f}", "timeout": _server_timeout()}
        answer = self._ask(lambda client, timeout: client.custom_query(query, params=params, timeout=timeout))
        found: dict[frozenset[tuple[str, str]], Series] = {}
        for row in _rows(answer, "value", "a vector"):
            _add(found, row, (_point(row["value"], at_s - INSTANT_SLACK_S, at_s + INSTANT_SLACK_S),))
        return tuple(found.values())

    def range(self, query: str, start_s: float, end_s: float, step_s: float) -> tuple[Series, ...]:
        assert step_s > 0, step_s
        points = math.floor((end_s - start_s) / step_s + 1e-9) + 1
        if points > MOST_POINTS:
            raise MetricsUnavailable(f"{points} points are more than a Prometheus is asked for: take a shorter time or a longer step")
        found: dict[frozenset[tuple[str, str]], Series] = {}
        for first in range(0, points, POINTS_A_QUERY):
            last = min(first + POINTS_A_QUERY, points) - 1
            self._piece(found, query, start_s + first * step_s, start_s + last * step_s, step_s)
        return tuple(found.values())

    def flags(self) -> Mapping[str, str]:
        def ask(client: Any, timeout: tuple[float, float]) -> Any:
            response = client._session.get(f"{self._url}/api/v1/status/flags", timeout=timeout)
            return response.json()["data"]

        answer = self._ask(ask)
        if not isinstance(answer, dict) or not answer or not all(isinstance(value, str) for value in answer.values()):
            raise MetricsUnavailable("Prometheus answered something else than its flags")
        return answer

    def _piece(self, found: dict[frozenset[tuple[str, str]], Series], query: str, start_s: float, end_s: float, step_s: float) -> None:
        # The library rounds its two times to whole seconds; `params` goes over them.
        params = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "timeout": _server_timeout()}
        times = datetime.fromtimestamp(start_s, UTC), datetime.fromtimestamp(end_s, UTC)
        answer = self._ask(
            lambda client, timeout: client.custom_query_range(query, *times, step=f"{step_s:.3f}", params=params, timeout=timeout)
        )
        seen: dict[frozenset[tuple[str, str]], Series] = {}
        for row in _rows(answer, "values", "a matrix"):
            if not isinstance(row["values"], list):
                raise MetricsUnavailable("Prometheus gave a series without samples")
            points = tuple(_point(pair, start_s - INSTANT_SLACK_S, end_s + INSTANT_SLACK_S) for pair in row["values"])
            if any(after[0] <= before[0] for before, after in pairwise(points)):
                raise MetricsUnavailable("Prometheus gave samples out of order")
            _add(seen, row, points)
        for key, series in seen.items():
            before = found[key].points if key in found else ()
            found[key] = Series(series.labels, before + series.points)

    def _ask(self, ask: Any) -> Any:
        if self._client is None:
            self._client = connect(self._url, self._clock, MOST_BYTES, method="POST")
        try:
            return answered(_without_password(self._url), READ_TIMEOUT_S, lambda: ask(self._client, (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)))
        except MetricsUnavailable as error:
            error.hint = "opsctl status tells whether the venue's own Prometheus runs; --prometheus names another"
            raise


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and (parts.port or True)
    except ValueError:
        whole = False
    if not whole:
        raise UsageError(f"{url!r} is not the address of a Prometheus", hint="write it like http://127.0.0.1:9090")
    return url.rstrip("/")


def _without_password(url: str) -> str:
    """For messages: they end up in logs."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _server_timeout() -> str:
    """Prometheus stops working on the query when nobody waits for it any more."""
    return f"{max(1, round(READ_TIMEOUT_S))}s"


def _rows(answer: Any, values: str, shape: str) -> list[dict[str, Any]]:
    if not isinstance(answer, list):
        raise MetricsUnavailable(f"Prometheus answered something else than {shape}")
    for row in answer:
        if not isinstance(row, dict) or not isinstance(row.get("metric"), dict) or values not in row:
            raise MetricsUnavailable(f"Prometheus answered something else than {shape} of numbers")
    return answer


def _point(pair: Any, low_s: float, high_s: float) -> tuple[float, float]:
    try:
        at_s, value = pair
        at_s, value = float(at_s), float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetricsUnavailable("Prometheus gave a sample that is no number") from error
    if not low_s <= at_s <= high_s:
        raise MetricsUnavailable("Prometheus answered for another time than the one asked")
    return at_s, value


def _add(found: dict[frozenset[tuple[str, str]], Series], row: dict[str, Any], points: tuple[tuple[float, float], ...]) -> None:
    labels = {str(name): str(value) for name, value in row["metric"].items()}
    key = frozenset(labels.items())
    if key in found:
        raise MetricsUnavailable(f"Prometheus gave one series twice: {labels}")
    found[key] = Series(labels, points)
