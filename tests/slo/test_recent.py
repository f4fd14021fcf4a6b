"""The last hours: each curve from its own series, and none where there is none."""

from __future__ import annotations

import math

import pytest

from ops.adapters.fakes_queries import FakeQueries
from ops.errors import MetricsUnavailable
from ops.ports import Series
from ops.slo import recent
from slo.test_budget import MID_MONTH_S, slo, spec


def points(value: float) -> tuple[tuple[float, float], ...]:
    return tuple((MID_MONTH_S - 7200 + 60 * minute, value) for minute in range(121))


def told() -> FakeQueries:
    burns = (Series({"slo": "orders"}, points(3.0)), Series({"slo": "feed"}, points(math.nan)))
    return FakeQueries(
        {
            "exchange:zone:number": (Series({}, points(2.0)),),
            "slo_policy:cost": (Series({}, points(6000.0)),),
            "slo:burn_rate:5m": burns,
            "slo:burn_rate:1h": burns[:1],
            "slo:loss_usd:1h": (Series({}, points(12.5)),),
        }
    )


def test_curves_are_named_by_what_they_show() -> None:
    queries = told()
    found = recent.read(queries, spec(slo("orders"), slo("feed")), MID_MONTH_S, 2.0)
    assert (found.windows, found.threshold, found.start_s) == (("5m", "1h"), 14.0, MID_MONTH_S - 7200)
    assert set(found.burn_short) == {"orders", "feed"} and set(found.burn_long) == {"orders"}
    assert {value for _, value in found.burn_short["orders"]} == {3.0} and found.burn_short["feed"] == (), "no numbers are no curve"
    assert found.zone[-1] == (MID_MONTH_S, 2.0) and found.exposure_usd[0][1] == 6000.0 and found.loss_usd[0][1] == 12.5
    assert found.ack_p99_s == {} and found.feed_p99_s == {}
    assert all('exchange="XDEMO"' in query for query in queries.asked)
    assert len(found.zone) <= recent.STEPS + 1


def test_a_prometheus_that_is_away_is_told() -> None:
    queries = told()
    queries.away = True
    with pytest.raises(MetricsUnavailable):
        recent.read(queries, spec(), MID_MONTH_S, 2.0)
