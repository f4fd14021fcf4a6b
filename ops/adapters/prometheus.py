"""Prometheus as a witness that may lie: every way in which an answer can be no figure is refused here, with its reason.

Refused: no connection, a time-out, a status other than 200, a body that is not Prometheus' JSON (the client library raises KeyError or a
decode error for those), no series, NaN, infinities, negative or absurd counts, two series for one key, an answer for another instant than
asked, and samples older than three scrapes. How long and how large an answer may be is held by `prometheus_http`. The next round is the
retry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine import conventions as names
from ops.adapters.prometheus_http import CONNECT_TIMEOUT_S, answered, connect
from ops.conventions import Track
from ops.errors import MetricsUnavailable
from ops.ports import Clock, TrackSample

READ_TIMEOUT_S = 2.0
STALE_AFTER_S = 4.0
"""Three scrapes of one second, and one to spare."""
INSTANT_SLACK_S = 1.0
MOST = 1e10
"""No count of a window is larger, nor is a Unix time before the year 2286."""
MOST_BYTES = 8_000_000

Rows = Mapping[tuple[str, ...], float]


class PrometheusMetrics:
    """Implements ops.ports.Metrics for the Prometheus at `url`."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url.rstrip("/"), clock
        self._client: Any = None

    def sample(self, versions: Mapping[Track, str], at_s: float, window_s: float) -> Mapping[Track, TrackSample]:
        tracks = "|".join(sorted(versions))
        where, window = f'{{{names.LABEL_TRACK}=~"{tracks}"}}', f"[{max(2, round(window_s))}s]"
        newest = self._rows(f"min by (track, version) (timestamp({names.BUILD_INFO}{where}))", at_s, ("track", "version"))
        served = f'{{{names.LABEL_TRACK}=~"{tracks}",route!="{names.OPERATIONS_ROUTE}"}}'
        requests = f"sum by (track, version, code) (increase({names.HTTP_REQUESTS}{served}{window}))"
        codes = self._rows(requests, at_s, ("track", "version", "code"))
        bucket = f"{names.ORDER_ACK_SECONDS}_bucket{where}{window}"
        buckets = self._rows(f"sum by (track, version, le) (increase({bucket}))", at_s, ("track", "version", "le"))
        return {track: _sample(track, version, at_s, newest, codes, buckets) for track, version in versions.items()}

    def _rows(self, query: str, at_s: float, labels: tuple[str, ...]) -> Rows:
        answer = self._ask(query, at_s)
        if not isinstance(answer, list) or not all(_is_row(row) for row in answer):
            raise MetricsUnavailable("Prometheus answered something else than a vector")
        rows: dict[tuple[str, ...], float] = {}
        for row in answer:
            key = tuple(str(row["metric"].get(label, "")) for label in labels)
            if key in rows:
                raise MetricsUnavailable(f"Prometheus gave two series for {'/'.join(key)}")
            rows[key] = _value(row["value"], at_s)
        return rows

    def _ask(self, query: str, at_s: float) -> Any:
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return answered(
            self._url, READ_TIMEOUT_S, lambda: self._connected().custom_query(query, params={"time": f"{at_s:.3f}"}, timeout=timeout)
        )

    def _connected(self) -> Any:
        if self._client is None:
            self._client = connect(self._url, self._clock, MOST_BYTES)
        return self._client


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and "value" in row and isinstance(row.get("metric"), dict)


def _value(pair: Any, at_s: float) -> float:
    try:
        instant, value = float(pair[0]), float(pair[1])
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise MetricsUnavailable("Prometheus gave a sample that is no number") from error
    if not math.isfinite(value) or not math.isfinite(instant):
        raise MetricsUnavailable(f"Prometheus gave {pair[1]} for a figure")
    if value < 0:
        raise MetricsUnavailable(f"Prometheus gave a negative count ({value:g})")
    if value > MOST:
        raise MetricsUnavailable(f"Prometheus gave an absurd count ({value:g})")
    if abs(instant - at_s) > INSTANT_SLACK_S:
        raise MetricsUnavailable(f"Prometheus answered for an instant {at_s - instant:.0f} s away from the one asked")
    return value


def _sample(track: Track, version: str, at_s: float, newest: Rows, codes: Rows, buckets: Rows) -> TrackSample:
    seen_s = newest.get((track, version))
    if seen_s is None:
        raise MetricsUnavailable(f"Prometheus has no series of the {track} track with version {version}")
    age_s = at_s - seen_s
    if age_s > STALE_AFTER_S:
        raise MetricsUnavailable(f"the newest sample of the {track} track is {age_s:.0f} s old")
    counts = {code: value for (t, v, code), value in codes.items() if (t, v) == (track, version)}
    if not counts:
        raise MetricsUnavailable(f"Prometheus has no request counts of the {track} track in the window")
    errors = sum(value for code, value in counts.items() if code.startswith("5"))
    refused = sum(value for code, value in counts.items() if code.startswith("4"))
    return TrackSample(round(sum(counts.values())), round(errors), _histogram(track, version, buckets), age_s, round(refused))


def _histogram(track: Track, version: str, rows: Rows) -> tuple[tuple[float, int], ...]:
    """Cumulative, made monotonic: Prometheus extrapolates each bucket by itself."""
    bounds = sorted((_bound(le), value) for (t, v, le), value in rows.items() if (t, v) == (track, version))
    histogram: list[tuple[float, int]] = []
    for bound, value in bounds:
        histogram.append((bound, max(round(value), histogram[-1][1] if histogram else 0)))
    if histogram and histogram[-1][0] != math.inf:
        raise MetricsUnavailable(f"the latency histogram of the {track} track has no +Inf bucket")
    return tuple(histogram) if histogram and histogram[-1][1] > 0 else ()


def _bound(le: str) -> float:
    try:
        bound = float(le)
    except ValueError:
        bound = math.nan
    if math.isnan(bound):
        raise MetricsUnavailable(f"a latency bucket has the bound {le!r}")
    return bound
