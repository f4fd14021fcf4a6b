"""What the two dashboards show: each panel's question, its PromQL, its unit, its bounds, and what it means when it is empty.

`$exchange` and `$slo` are Grafana's variables; both stand inside quotes, so that the text is PromQL as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from engine import conventions as venue
from ops import conventions as c
from ops.session import Zone
from ops.slo.model import DEFAULT_POLICY, VENUE_SLO, Spec
from ops.slo.promql import decimal, name_of

OPERATORS, MANAGERS = "operators", "managers"
WORST = 20
NONE_YET = "no data: are the generated rules loaded?"
QUIET = "none"
_E = f'{venue.LABEL_EXCHANGE}="$exchange"'
_SLO = f'{_E},{c.LABEL_SLO}=~"$slo"'
_OTHERS = f'{_SLO},{c.LABEL_SLO}!="{VENUE_SLO}"'
_VENUE = f'{_E},{c.LABEL_SLO}="{VENUE_SLO}"'
_GREEN, _YELLOW, _ORANGE, _RED, _BLUE, _GREY = "green", "yellow", "orange", "red", "blue", "gray"
Kind = Literal["stat", "timeseries", "state-timeline", "table", "bargauge", "gauge"]
Threshold = tuple[float | None, str]
"""From this value on, this colour; None is the lowest."""


@dataclass(frozen=True, slots=True)
class Query:
    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    id: int
    title: str
    kind: Kind
    width: int
    height: int
    unit: str
    """Grafana's name of it."""
    description: str
    queries: tuple[Query, ...]
    thresholds: tuple[Threshold, ...] = ((None, _BLUE),)
    meanings: tuple[tuple[str, tuple[str, str]], ...] = ()
    """Value -> its words and colour."""
    no_value: str = NONE_YET
    sorted_by: str = ""
    """Tables only: what the value's column is called, and sorted by."""
    least: float | None = 0


_ZONES = tuple(
    (str(int(zone)), (f"{int(zone)} {words}", color))
    for zone, words, color in (
        (Zone.VOLATILE, "trading, volatile", _RED),
        (Zone.REGULAR, "trading", _ORANGE),
        (Zone.EXTENDED, "extended hours", _GREEN),
        (Zone.MAINTENANCE, "maintenance", _BLUE),
    )
)
_NUMBER = f"{c.SERIES_ZONE_NUMBER}{{{_E}}}"
_COST = f'{c.SERIES_COST}{{{_E},{c.LABEL_POLICY}="{DEFAULT_POLICY}"}}'
_COST_NOW = f"60 * sum by (exchange) ({_COST} * on (exchange, zone) group_left () {c.SERIES_ZONE_NOW}{{{_E}}})"
_SPENT = f"sum by (exchange) ({c.SERIES_LOSS_MONTH}{{{_VENUE}}})"
_LEFT = f"{c.SERIES_BUDGET_REMAINING}{{{_E}}}"
_LOCAL = f"{c.SERIES_LOCAL_SECONDS}{{{_E}}}"
_MONTH_SHARE = (
    f"clamp_min(((day_of_month({_LOCAL}) - 1) * 1440 + {c.SERIES_MINUTE_OF_DAY}{{{_E}}}) / (1440 * days_in_month({_LOCAL})), 0.02)"
)
"""How much of the local month is over; never so little that a forecast leaps."""
_BUDGET_BOUNDS: tuple[Threshold, ...] = ((None, _RED), (0.0001, _ORANGE), (0.5, _GREEN))
_FIRING = f'ALERTS{{alertstate="firing",{_E}}}'


def of_operators(spec: Spec) -> tuple[Panel, ...]:
    return (*_now(spec), *_burning(spec), *_running())


def _now(spec: Spec) -> Iterable[Panel]:
    hour = decimal(spec.money.budget_usd_per_month * spec.money.page_share)
    yield Panel(
        1, "Zone now", "stat", 4, 4, "none", "The zone of this moment: what is promised, and what a bad minute costs.",
        (Query(_NUMBER),), meanings=_ZONES,
    )  # fmt: skip
    yield Panel(
        2, "Exposure: an hour of outage", "stat", 4, 4, "currencyUSD",
        "What a whole hour of outage would cost in the zone of this moment.",
        (Query(_COST_NOW),), thresholds=((None, _GREEN), (600, _YELLOW), (6000, _ORANGE), (30000, _RED)),
    )  # fmt: skip
    yield Panel(
        3, "Lost in the last hour", "stat", 4, 4, "currencyUSD",
        f"Bad minutes of the last hour at their zones' prices. Red: the share of the month's budget that pages (${hour}).",
        (Query(f"{c.SERIES_LOSS_HOUR}{{{_VENUE}}}"),), thresholds=((None, _GREEN), (1, _YELLOW), (float(hour), _RED)),
    )  # fmt: skip
    yield Panel(
        4, "Lost this month", "stat", 4, 4, "currencyUSD", "Since the first of the venue's local month; one outage counts once.",
        (Query(_SPENT),), thresholds=((None, _GREEN), (float(spec.money.budget_usd_per_month * spec.money.ticket_share), _ORANGE)),
    )  # fmt: skip
    yield Panel(
        5, "Budget left", "stat", 4, 4, "percentunit", "Of the month's dollars. At nothing, changes are frozen.",
        (Query(f"{_LEFT} / ({_LEFT} + on (exchange) {_SPENT})"),), thresholds=_BUDGET_BOUNDS,
    )  # fmt: skip
    yield Panel(
        6, "Firing: pages", "stat", 4, 4, "none", "Alerts of severity page that fire now, all of this venue.",
        (Query(f'count(ALERTS{{alertstate="firing",severity="page",{_E}}}) or vector(0)'),),
        thresholds=((None, _RED),), meanings=(("0", ("none", _GREEN)),), no_value=QUIET,
    )  # fmt: skip
    yield Panel(
        7, "Zone", "state-timeline", 24, 4, "none", "Zones over time; every graph below is to be read against it.",
        (Query(_NUMBER, "zone"),), meanings=_ZONES,
    )  # fmt: skip


def _burning(spec: Spec) -> Iterable[Panel]:
    windows = sorted({(seconds, tier.name, tier.factor) for tier in spec.tiers if tier.bad_share is None
                      for seconds in (tier.long_s, tier.short_s)}, key=lambda each: (each[0], each[1]))  # fmt: skip
    bounds: dict[int, list[tuple[str, float]]] = {}
    for seconds, name, factor in windows:
        bounds.setdefault(seconds, []).extend([(name, float(factor))] if factor is not None else [])
    for number, (seconds, lines) in enumerate(list(bounds.items())[:6]):
        said = ", ".join(f"{name} at {bound:g}" for name, bound in lines) or "derived from the budget"
        colors = tuple((bound, _RED if name == "fast" else _ORANGE) for name, bound in sorted(lines, key=lambda line: line[1]))
        yield Panel(
            10 + number, f"Burn rate, {name_of(seconds)}", "timeseries", 8, 8, "none",
            f"How many times faster than promised the budget burns; 1 is just in budget. Alerts: {said}. The worst {WORST} SLOs.",
            (Query(f"topk({WORST}, max by (exchange, slo) ({c.SERIES_BURN_RATE}:{name_of(seconds)}{{{_SLO}}}))", "{{slo}}"),),
            thresholds=((None, _GREEN), *colors),
        )  # fmt: skip
    yield Panel(
        20, "Bad share of the last slice", "timeseries", 12, 8, "percentunit",
        f"Badness of the last minute, every 20 s: what the spike alert reads. The worst {WORST} SLOs.",
        (Query(f"topk({WORST}, max by (exchange, slo) ({c.SERIES_BAD_NOW}{{{_SLO}}}))", "{{slo}}"),),
    )  # fmt: skip
    yield Panel(
        21, "Bad minutes today", "bargauge", 6, 8, "m",
        f"Of the venue's local day, all zones, worst group of each SLO. The worst {WORST}.",
        (Query(f"topk({WORST}, {_bad_today()})", "{{slo}}"),),
        thresholds=((None, _GREEN), (0.5, _YELLOW), (5, _RED)), no_value=QUIET,
    )  # fmt: skip
    yield Panel(
        22, "Alerts that fire", "table", 6, 8, "none", "All of this venue, also those that are not of SLOs.",
        (Query(f"count by (severity, alertname, slo, zone) ({_FIRING})"),), no_value=QUIET, sorted_by="series",
    )  # fmt: skip


def _bad_today() -> str:
    """Of today only: yesterday's series is kept as well."""
    today = f'label_replace({c.SERIES_DATE}{{{_E}}}, "{c.LABEL_DAY}", "$1", "date", "(.*)")'
    bad = f"max by (exchange, slo, zone, day) ({c.SERIES_BAD_DAY}{{{_OTHERS}}})"
    return f"sum by (exchange, slo) ({bad} and on (exchange, day) {today})"


def _running() -> Iterable[Panel]:
    def p99(histogram: str, by: str) -> str:
        return f"histogram_quantile(0.99, sum by (le, {by}) (rate({histogram}_bucket{{{_E}}}[1m])))"

    track, gateway = venue.LABEL_TRACK, venue.LABEL_GATEWAY
    yield Panel(
        30, "Acknowledgement, p99", "timeseries", 8, 8, "s", "From an order's last byte read to its answer, by track. Bound: 500 ms.",
        (Query(p99(venue.ORDER_ACK_SECONDS, track), "{{track}}"),), thresholds=((None, _GREEN), (0.5, _RED)), no_value="no orders",
    )  # fmt: skip
    yield Panel(
        31, "Market data age, p99", "timeseries", 8, 8, "s", "How old a gateway's view of the books can be. Bound: 100 ms.",
        (Query(p99(venue.MARKET_DATA_AGE_SECONDS, gateway), "{{gateway}}"),), thresholds=((None, _GREEN), (0.1, _RED)),
        no_value="no gateway measures it",
    )  # fmt: skip
    yield Panel(
        32, "Queue depth", "timeseries", 8, 8, "none", "Gateways: requests that wait for the core. Core: commands not yet applied.",
        (Query(f"max by (job, gateway) ({venue.QUEUE_DEPTH}{{{_E}}})", "{{job}} {{gateway}}"),), no_value="no process answers",
    )  # fmt: skip
    yield Panel(
        33, "Commands applied", "timeseries", 8, 8, "cps", "Logged and applied by the core: the processing rate.",
        (Query(f"sum by (exchange) (rate({venue.COMMANDS_PROCESSED}{{{_E}}}[1m]))", "commands"),), no_value="the core does not answer",
    )  # fmt: skip
    yield Panel(
        34, "Orders without an answer", "timeseries", 8, 8, "none", "In flight for more than five seconds.",
        (Query(f"sum by (gateway) ({venue.ZOMBIE_ORDERS}{{{_E}}})", "{{gateway}}"),), thresholds=((None, _GREEN), (1, _RED)),
        no_value="no gateway answers",
    )  # fmt: skip
    yield Panel(
        35, "Release: gateways by track", "timeseries", 8, 8, "none",
        "Gateways that answer, by track and version. `canary` is there while a release is under way.",
        (Query(f'sum by (track, version) (up{{job="gateway",{_E}}})', "{{track}} {{version}}"),), no_value="no gateway answers",
    )  # fmt: skip
    yield Panel(
        36, "Core", "stat", 12, 4, "none", "Gateways linked to the core, and whether the order log takes commands.",
        (
            Query(f"sum({venue.CORE_LINK_UP}{{{_E}}})", "gateways linked"),
            Query(f"min({venue.LOG_HEALTHY}{{{_E}}})", "log healthy"),
        ),
        thresholds=((None, _RED), (1, _GREEN)), no_value="the core does not answer",
    )  # fmt: skip
    yield Panel(
        37, "A desk could flatten and pause", "stat", 12, 4, "none",
        "The probe enters, cancels and flattens as a member would: the way out is open.",
        (Query(f"min({venue.PROBE_SUCCESS}{{{_E}}})"),), thresholds=((None, _RED), (1, _GREEN)),
        meanings=(("0", ("no", _RED)), ("1", ("yes", _GREEN))), no_value="no probe runs",
    )  # fmt: skip


def of_managers(spec: Spec) -> tuple[Panel, ...]:
    return (*_budget(spec), *_where_it_went(), *_trust())


def _budget(spec: Spec) -> Iterable[Panel]:
    budget = float(spec.money.budget_usd_per_month)
    half = budget * float(spec.money.ticket_share)
    yield Panel(
        1, "Budget left", "stat", 5, 5, "currencyUSD", "Dollars that outages may still cost in the venue's local calendar month.",
        (Query(_LEFT),), thresholds=((None, _RED), (0.01, _ORANGE), (half, _GREEN)),
    )  # fmt: skip
    yield Panel(
        2, "Budget left, share", "gauge", 5, 5, "percentunit", "The same as a share of the month's budget.",
        (Query(f"{_LEFT} / ({_LEFT} + on (exchange) {_SPENT})"),), thresholds=_BUDGET_BOUNDS,
    )  # fmt: skip
    yield Panel(
        3, "Forecast at month's end", "stat", 5, 5, "currencyUSD",
        "What is lost so far, drawn on in a straight line over the calendar month. Rough in its first days.",
        (Query(f"{_SPENT} / on (exchange) ({_MONTH_SHARE})"),), thresholds=((None, _GREEN), (half, _ORANGE), (budget, _RED)),
    )  # fmt: skip
    yield Panel(
        4, "Changes", "stat", 4, 5, "none", "Frozen when the budget is spent; repairs still go out.",
        (Query(f"{c.SERIES_CHANGE_FREEZE}{{{_E}}}"),), meanings=(("0", ("open", _GREEN)), ("1", ("frozen", _RED))),
    )  # fmt: skip
    yield Panel(
        5, "Coverage", "stat", 5, 5, "percentunit",
        "Minutes of the month that were measured. Below 99 % the figures look better than the month was.",
        (Query(f"{c.SERIES_COVERAGE}{{{_E}}}"),), thresholds=((None, _RED), (0.99, _GREEN)),
    )  # fmt: skip
    yield Panel(
        6, "Lost this month, over time", "timeseries", 24, 8, "currencyUSD", f"It starts anew each month. Red: the budget (${budget:g}).",
        (Query(_SPENT, "lost"),), thresholds=((None, _GREEN), (half, _ORANGE), (budget, _RED)),
    )  # fmt: skip


def _where_it_went() -> Iterable[Panel]:
    minutes = f"max by (exchange, policy, slo, zone) ({c.SERIES_BAD_MONTH}{{{_OTHERS}}})"
    cost = f"on (exchange, policy, zone) group_left () {c.SERIES_COST}{{{_E}}}"
    measured = f"sum by (exchange) ({c.SERIES_SLICES_MONTH}{{{_E}}})"
    slices, by = f"{c.SERIES_BAD_SLICE}{{{_VENUE}}}[32d]", "sum by (exchange, zone, month)"
    yield Panel(
        10, "Dollars by SLO and zone", "table", 12, 10, "currencyUSD",
        f"This month, each SLO by itself, its worst group: an outage that several saw is in each of their rows. The {WORST} dearest.",
        (Query(f"topk({WORST}, sum by (exchange, slo, zone) ({minutes} * {cost}))"),), no_value=QUIET, sorted_by="dollars",
    )  # fmt: skip
    yield Panel(
        11, "Availability by zone", "bargauge", 6, 10, "percentunit",
        "This month, of the venue as a whole: each minute as bad as its worst SLO.",
        (Query(f"(1 - {by} (sum_over_time({slices})) / {by} (count_over_time({slices}))) and on (exchange, month) "
               f"{c.SERIES_DATE}{{{_E}}}", "zone {{zone}}"),),
        thresholds=((None, _RED), (0.98, _ORANGE), (0.999, _GREEN)),
    )  # fmt: skip
    yield Panel(
        12, "Availability by SLO", "bargauge", 6, 10, "percentunit",
        f"This month, all zones, worst group of each SLO, of the minutes that were measured. The {WORST} lowest.",
        (Query(f"bottomk({WORST}, 1 - sum by (exchange, slo) ({minutes}) / on (exchange) group_left () {measured})", "{{slo}}"),),
        thresholds=((None, _RED), (0.98, _ORANGE), (0.999, _GREEN)),
    )  # fmt: skip


def _trust() -> Iterable[Panel]:
    episodes = f'1 + changes(ALERTS_FOR_STATE{{severity="page",{_E}}}[30d])'
    yield Panel(
        20, "Pages of the last 30 days", "table", 12, 8, "none", "How often each alert began to fire: incidents, counted by alert.",
        (Query(f"sum by (alertname, slo) ({episodes})"),), no_value=QUIET, sorted_by="pages",
    )  # fmt: skip
    yield Panel(
        21, "Calendar known for", "stat", 6, 8, "s", "After that day holidays are not known: opsctl calendar import.",
        (Query(f"{c.SERIES_HORIZON}{{{_E}}}"),), thresholds=((None, _RED), (5184000, _GREEN)),
    )  # fmt: skip
    yield Panel(
        22, "Rules in force", "table", 6, 8, "none", "Which spec, by its digest, and which opsctl wrote the rules that are loaded.",
        (Query(f"{c.SERIES_SPEC_INFO}{{{_E}}}"),), sorted_by="loaded",
    )  # fmt: skip
