"""What the bad release cost, by the SLO that it hurt: the venue's own figures, and nothing where there is none yet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ops import wiring
from ops.adapters.clock import SystemClock
from ops.errors import OpsError
from ops.ports import Queries

SLO = "gateway-availability"
SOON = "not measured yet"
_SESSION = "1"


def lines(prometheus: str, bad: Mapping[str, Any]) -> list[str]:
    """For a person. `prometheus`: address of the venue's own; `bad`: what `opsctl deploy` said of the release that went back."""
    try:
        return [_measured(wiring.queries(prometheus), bad), *_if_everybody(wiring.queries(prometheus), bad)]
    except OpsError as error:
        return [f"{SLO}: {error.message}"]


def _measured(queries: Queries, bad: Mapping[str, Any]) -> str:
    """What members saw. A slice is of the minute before, and judged every 20 s; so this is the time since just before the release."""
    worst = _value(queries, f'max(max_over_time(slo:bad:ratio{{slo="{SLO}"}}[1m]))')
    if worst is None or (bad["canary_errors"] and not worst):
        return f"{SLO}: {SOON}"
    price = _value(
        queries, f'sum(sum_over_time(slo:bad:slice{{slo="{SLO}"}}[10m]) * on (policy, zone) group_left () slo_policy:cost:usd_per_minute)'
    )
    lost = "dollars are not recorded yet" if price is None else f"${price:,.3f} lost in the minutes recorded so far"
    return f"{SLO}: with the canary {worst:.3%} of all answers were errors in the worst minute; {lost}"


def _if_everybody(queries: Queries, bad: Mapping[str, Any]) -> list[str]:
    """What the same release would have burnt without a canary, now and while the market trades and is volatile."""
    if not bad["canary_requests"]:
        return []
    wrong, found = bad["canary_errors"] / bad["canary_requests"], []
    now = _value(queries, "max(exchange:zone:number)")
    zones = dict.fromkeys(zone for zone in (f"{now:.0f}" if now else "", _SESSION) if zone)
    for zone in zones:
        where = f'{{policy="default",zone="{zone}"}}'
        burn, cost = (
            _value(queries, f"max({name}{where})") for name in ("slo_policy:burn_per_bad:ratio", "slo_policy:cost:usd_per_minute")
        )
        if burn is None or cost is None:
            return [f"without a canary: {SOON}"]
        hours = "in a volatile session" if zone == _SESSION else "at this hour"
        found.append(f"{hours} (zone {zone}): {wrong * burn:,.0f} times too fast, ${wrong * cost * 60:,.0f} an hour")
    return [f"without a canary {wrong:.1%} of them, and the month's budget of errors would burn", *(f"  {line}" for line in found)]


def _value(queries: Queries, question: str) -> float | None:
    found = queries.instant(question, SystemClock().wall_s())
    value = found[0].points[-1][1] if found and found[0].points else math.nan
    return value if math.isfinite(value) else None
