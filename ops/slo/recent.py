"""The last hours as an operator wants them: the zone, what a bad minute costs, how fast each budget burns, dollars, and how the venue runs.

The same series as on the operators' dashboard, asked over a range; a series that is not there is an empty curve, which the picture says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine import conventions as venue
from ops import conventions as names
from ops.ports import Queries
from ops.slo.model import DEFAULT_POLICY, VENUE_SLO, Spec
from ops.slo.promql import name_of

STEPS = 360
Curve = tuple[tuple[float, float], ...]
"""(Unix seconds, value), oldest first."""
Curves = Mapping[str, Curve]


@dataclass(frozen=True, slots=True)
class Recent:
    """Curves by what they show (an SLO, a track, a gateway)."""

    exchange: str
    timezone: str
    start_s: float
    end_s: float
    windows: tuple[str, str]
    """The short and the long window of the fast tier, such as ('5m', '1h')."""
    threshold: float | None
    """The burn rate of the fast tier; None when the spec has none."""
    zone: Curve
    exposure_usd: Curve
    """Dollars of an hour of total outage."""
    burn_short: Curves
    burn_long: Curves
    loss_usd: Curve
    """Of the hour before."""
    ack_p99_s: Curves
    feed_p99_s: Curves


def read(queries: Queries, spec: Spec, at_s: float, hours: float) -> Recent:
    """Asks for the `hours` before `at_s`. Raises MetricsUnavailable."""
    start_s = at_s - hours * 3600
    step_s = max(5.0, round((at_s - start_s) / STEPS))
    where = f'exchange="{spec.exchange}"'

    def ask(query: str, label: str) -> dict[str, Curve]:
        found = queries.range(query, start_s, at_s, step_s)
        return {series.labels.get(label, ""): tuple(point for point in series.points if math.isfinite(point[1])) for series in found}

    def one(query: str) -> Curve:
        return next(iter(ask(query, "").values()), ())

    def p99(histogram: str, by: str) -> dict[str, Curve]:
        return ask(f"histogram_quantile(0.99, sum by (le, {by}) (rate({histogram}_bucket{{{where}}}[1m])))", by)

    fast = next((tier for tier in spec.tiers if tier.bad_share is None), None)
    windows = (name_of(fast.short_s), name_of(fast.long_s)) if fast else ("5m", "1h")
    burns = [f'max by (slo) ({names.SERIES_BURN_RATE}:{window}{{{where},slo!="{VENUE_SLO}"}})' for window in windows]
    cost = f'{names.SERIES_COST}{{{where},policy="{DEFAULT_POLICY}"}}'
    now = f"{names.SERIES_ZONE_NOW}{{{where}}}"
    return Recent(
        exchange=spec.exchange,
        timezone=spec.calendar.timezone,
        start_s=start_s,
        end_s=at_s,
        windows=windows,
        threshold=float(fast.factor) if fast and fast.factor is not None else None,
        zone=one(f"max({names.SERIES_ZONE_NUMBER}{{{where}}})"),
        exposure_usd=one(f"60 * sum({cost} * on (exchange, zone) group_left () {now})"),
        burn_short=ask(burns[0], names.LABEL_SLO),
        burn_long=ask(burns[1], names.LABEL_SLO),
        loss_usd=one(f'sum({names.SERIES_LOSS_HOUR}{{{where},slo="{VENUE_SLO}"}})'),
        ack_p99_s=p99(venue.ORDER_ACK_SECONDS, venue.LABEL_TRACK),
        feed_p99_s=p99(venue.MARKET_DATA_AGE_SECONDS, venue.LABEL_GATEWAY),
    )
