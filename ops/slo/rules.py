"""From a spec to its rule files. What costs is written once per SLO (the SLI), everything else once for all of them, with `slo` as a label.

    clock.rules.yaml             the clock, in a file of its own so that tests can put a date in its place; shared by all venues
    xdemo-calendar.rules.yaml    local time, zones, days (zones.py)
    xdemo-sli-NN.rules.yaml      every 20 s: badness of the last slice of 25 SLOs, then the spike alert on it
    xdemo-slo.rules.yaml         every 20 s: the policies; every minute: slices, burn rates, dollars; every five: days, month, budget;
                                 alerts on the venue's money
    xdemo-burn-NN.rules.yaml     every 30 s: the burn-rate alerts of a hundred SLOs (in one file promtool would call rules
                                 of one name and equal labels a mistake)

Slices are summed, never averaged, and divided by the minutes of the window, so that the first bad minute of a session is one bad minute and
not a total outage. They carry the hours in which they began: an outage at night burns nothing of the session. Nothing reads itself: a
restart, a gap or a second Prometheus leaves no wrong state. 25 SLOs a file, because promtool ends a query at 10,000 samples: 26 (with the
venue's own) times the 360 slices of six hours is below that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from ops import conventions as c
from ops.slo import alerts, factors, promql, sli, zones
from ops.slo.model import BURN_INTERVAL_S, DEFAULT_POLICY, SLI_INTERVAL_S, VENUE_SLO, WINDOW_INTERVAL_S, Policy, Slo, Spec, Terms
from ops.slo.rulefile import Group, Rule, RuleFile

CLOCK_FILE = "clock.rules.yaml"
SLOS_PER_FILE = 25
POLICIES_PER_RULE = 25
MONTH_INTERVAL_S = 300
"""No more than Prometheus looks back, so that a step of `STEP` always finds a sample."""
DAY_REACH_S = 60 * 3600
"""Yesterday is still whole when it leaves the recent days: 25 h of it, 25 h of today, and ten to spare."""
MONTH_REACH = "[33d:3h]"
"""31 days, and two to spare. A day's total stands whole for 23 h or more after its end: whoever runs for three hours of it has it. A
Prometheus that is off for all of it has what was counted three hours before it went off, or later."""


def rule_files(spec: Spec, version: str = "") -> tuple[RuleFile, ...]:
    """All rule files of a venue, in the order in which they depend on one another. `version` is the toolkit's, for the info series."""
    name = spec.exchange.lower()
    calendar = zones.calendar_groups(spec.exchange, spec.calendar, spec.runbook_base)
    return (
        RuleFile(CLOCK_FILE, zones.clock_groups()),
        RuleFile(f"{name}-calendar.rules.yaml", calendar),
        *(RuleFile(f"{name}-sli-{n:02}.rules.yaml", (sli_group(spec, slos, n),)) for n, slos in _shards(spec, SLOS_PER_FILE)),
        RuleFile(f"{name}-slo.rules.yaml", (policies_group(spec), windows_group(spec), month_group(spec, version))),
        *(RuleFile(f"{name}-burn-{n:02}.rules.yaml", (burn_group(spec, slos, n),)) for n, slos in _shards(spec, alerts.SLOS_PER_FILE)),
    )


def _shards(spec: Spec, size: int) -> Iterator[tuple[int, tuple[Slo, ...]]]:
    """(1, the first `size` SLOs), (2, the next) ..."""
    for number, start in enumerate(range(0, len(spec.slos), size), 1):
        yield number, spec.slos[start : start + size]


def sli_group(spec: Spec, slos: tuple[Slo, ...], number: int) -> Group:
    """One shard: a rule for each SLO, and the alerts that cannot wait for the minute."""
    recorded = tuple(
        Rule(
            sli.bad_ratio(slo, spec.exchange, spec.scrape_interval_s),
            record=c.SERIES_BAD_NOW,
            labels={"exchange": spec.exchange, c.LABEL_SLO: slo.name, c.LABEL_POLICY: slo.policy.name},
        )
        for slo in slos
    )
    return Group(f"{spec.exchange.lower()}-sli-{number:02}", SLI_INTERVAL_S, (*recorded, *alerts.at_once(spec, slos)))


def policies_group(spec: Spec) -> Group:
    """Constants. As often as the SLIs, so that the first slice after a start has something to be compared with."""
    return Group(f"slo-{spec.exchange.lower()}-policies", SLI_INTERVAL_S, tuple(_constants(spec)))


def windows_group(spec: Spec) -> Group:
    """Slices, burn rates, dollars, and alerts on the venue as a whole: one group, in this order, so that nothing lags."""
    rules = (*_slices(spec), *_burn_rates(spec), *_losses(spec), *alerts.losing(spec))
    return Group(f"slo-{spec.exchange.lower()}-windows", WINDOW_INTERVAL_S, rules)


def burn_group(spec: Spec, slos: tuple[Slo, ...], number: int) -> Group:
    """The alerts that wait for a minute's figures."""
    return Group(f"{spec.exchange.lower()}-burn-{number:02}", BURN_INTERVAL_S, tuple(alerts.burning(spec, slos)))


def month_group(spec: Spec, version: str = "") -> Group:
    """Days, the local calendar month, and the budget."""
    info = {"exchange": spec.exchange, "spec": spec.path.name, "hash": spec.digest, "version": version}
    rules = (*_days_and_months(spec), *_budget(spec), Rule("vector(1)", record=c.SERIES_SPEC_INFO, labels=info), *alerts.spending(spec))
    return Group(f"slo-{spec.exchange.lower()}-month", MONTH_INTERVAL_S, rules)


def windows_s(spec: Spec) -> tuple[int, ...]:
    """The windows over which a burn rate is recorded."""
    return tuple(sorted({seconds for tier in spec.tiers if tier.bad_share is None for seconds in (tier.long_s, tier.short_s)}))


# Constants: series, so that one rule serves SLOs of all policies


def _constants(spec: Spec) -> Iterator[Rule]:
    def cost(policy: Policy, terms: Terms) -> Fraction:
        return terms.cost_usd_per_minute * policy.cost_share

    yield from _per_zone(spec, c.SERIES_BURN_PER_BAD, lambda _policy, terms: 1 / terms.error_budget_ratio)
    yield from _per_zone(spec, c.SERIES_COST, cost)
    yield from _per_zone(spec, c.SERIES_SEVERITY, lambda _policy, _terms: Fraction(1), _severity)
    if factors.spike_tier(spec) is not None:
        yield from _per_zone(spec, c.SERIES_SPIKE, lambda _policy, terms: factors.spike_threshold(spec, terms))
    for policies in _chunks(spec):
        shares = (_labelled(f"vector({promql.decimal(policy.cost_share)})", c.LABEL_POLICY, policy.name) for policy in policies)
        yield _constant(spec, c.SERIES_COST_SHARE, shares)


def _per_zone(
    spec: Spec,
    record: str,
    value: Callable[[Policy, Terms], Fraction | None],
    also: Callable[[Terms, str], str] = lambda _terms, text: text,
) -> Iterator[Rule]:
    """One rule a handful of policies: a series for each policy and zone that has a value."""
    for policies in _chunks(spec):
        parts = []
        for policy in policies:
            of_zones = [
                also(terms, _labelled(f"vector({promql.decimal(number)})", c.LABEL_ZONE, str(int(zone))))
                for zone, terms in sorted(policy.terms.items())
                if (number := value(policy, terms)) is not None
            ]
            if of_zones:
                parts.append(_labelled(" or ".join(of_zones), c.LABEL_POLICY, policy.name))
        if parts:
            yield _constant(spec, record, parts)


def _severity(terms: Terms, text: str) -> str:
    return _labelled(text, c.LABEL_SEVERITY, terms.severity)


def _chunks(spec: Spec) -> Iterator[tuple[Policy, ...]]:
    policies = spec.policies
    for start in range(0, len(policies), POLICIES_PER_RULE):
        yield policies[start : start + POLICIES_PER_RULE]


def _constant(spec: Spec, record: str, parts: Iterator[str] | list[str]) -> Rule:
    return Rule("\nor ".join(parts), record=record, labels={"exchange": spec.exchange})


def _labelled(expr: str, label: str, value: str) -> str:
    return f'label_replace({expr}, "{label}", "{value}", "", "")'


# Slices, and what is summed from them


def _slices(spec: Spec) -> Iterator[Rule]:
    of = alerts.series_of(spec)
    zone = alerts.zone_slice(spec)
    now = of(c.SERIES_BAD_NOW)
    stamp = "exchange, zone, hours, day, month"
    # What is not a number is not a promise kept: NaN ^ 0 is 1.
    yield Rule(f"({now} >= 0 or {now} ^ 0)\n* on (exchange) group_left (zone, hours, day, month) {zone}", record=c.SERIES_BAD_SLICE)
    weighed = f"{of(c.SERIES_BAD_SLICE, _OTHERS)} * on (exchange, policy) group_left () {of(c.SERIES_COST_SHARE)}"
    yield Rule(
        f"max by ({stamp}) ({weighed})\nand on ({stamp}) {zone}",
        record=c.SERIES_BAD_SLICE,
        labels={c.LABEL_SLO: VENUE_SLO, c.LABEL_POLICY: DEFAULT_POLICY},
    )


_OTHERS = f'{c.LABEL_SLO}!="{VENUE_SLO}"'
_VENUE = f'{c.LABEL_SLO}="{VENUE_SLO}"'


def _burn_rates(spec: Spec) -> Iterator[Rule]:
    of = alerts.series_of(spec)
    weigh = f"on (exchange, policy, zone) group_left () {of(c.SERIES_BURN_PER_BAD)}"
    for seconds in windows_s(spec):
        bad = f"sum_over_time({of(c.SERIES_BAD_SLICE)}[{promql.window(seconds)}])"
        burnt = f"sum without (zone, day, month) ({bad} * {weigh}) / {promql.decimal(Fraction(seconds, 60))}"
        yield Rule(f"{burnt}\nand on (exchange, hours) {alerts.zone_slice(spec)}", record=f"{c.SERIES_BURN_RATE}:{promql.name_of(seconds)}")


def _losses(spec: Spec) -> Iterator[Rule]:
    of = alerts.series_of(spec)
    cost = f"on (exchange, policy, zone) group_left () {of(c.SERIES_COST)}"
    for record, seconds, where in ((c.SERIES_LOSS_SHORT, 300, _VENUE), (c.SERIES_LOSS_HOUR, 3600, "")):
        bad = f"sum_over_time({of(c.SERIES_BAD_SLICE, where)}[{promql.window(seconds)}])"
        yield Rule(f"sum without (zone, hours, day, month) ({bad} * {cost})", record=record)


def _days_and_months(spec: Spec) -> Iterator[Rule]:
    of = alerts.series_of(spec)
    reach = f"[{promql.window(DAY_REACH_S)}]"
    recent = f"and on (exchange, day) {alerts.fresh(spec, c.SERIES_RECENT_DAYS)}"
    yield Rule(f"sum without (hours) (sum_over_time({of(c.SERIES_BAD_SLICE)}{reach}))\n{recent}", record=c.SERIES_BAD_DAY)
    yield _month(spec, c.SERIES_BAD_DAY, c.SERIES_BAD_MONTH)
    paid = _dollars(of(c.SERIES_BAD_MONTH), of(c.SERIES_COST), of(c.SERIES_COST_SHARE))
    yield Rule(f"{paid}\nand on (exchange, month) {alerts.fresh(spec, c.SERIES_DATE)}", record=c.SERIES_LOSS_MONTH)
    counted = f"sum by (exchange, day, month) (count_over_time({of(c.SERIES_BAD_SLICE, _VENUE)}{reach}))"
    yield Rule(f"{counted}\n{recent}", record=c.SERIES_SLICES_DAY)
    yield _month(spec, c.SERIES_SLICES_DAY, c.SERIES_SLICES_MONTH)


def _dollars(bad: str, cost: str, policies: str) -> str:
    """Minutes of a policy that the spec no longer has are paid for by the default's terms: what was lost is not forgotten."""
    paid = f"on (exchange, policy, zone) group_left () {cost}"
    orphans = f'label_replace({bad} unless on (exchange, policy) {policies}, "former", "$1", "policy", "(.*)")'
    return f'sum without (zone, former) ({bad} * {paid}\nor label_replace({orphans}, "policy", "{DEFAULT_POLICY}", "", "") * {paid})'


def _month(spec: Spec, of_day: str, record: str) -> Rule:
    """Totals of the days, those of today and yesterday as they are now: of the month that it is by local time."""
    of = alerts.series_of(spec)
    days = f"{of(of_day)} or max_over_time({of(of_day)}{MONTH_REACH})"
    return Rule(f"sum without (day) ({days})\nand on (exchange, month) {alerts.fresh(spec, c.SERIES_DATE)}", record=record)


def _budget(spec: Spec) -> Iterator[Rule]:
    of = alerts.series_of(spec)
    local, minute = of(c.SERIES_LOCAL_SECONDS), of(c.SERIES_MINUTE_OF_DAY)
    # An hour is left to the clock change, which makes a day of a month one hour shorter than its clock says.
    elapsed = f"clamp_min((day_of_month({local}) - 1) * 1440 + {minute} - 60, 1)"
    this_month = f"and on (exchange, month) {alerts.fresh(spec, c.SERIES_DATE)}"
    slices = f"sum by (exchange) ({of(c.SERIES_SLICES_MONTH)} {this_month})"
    yield Rule(f"clamp_max({slices} / on (exchange) ({elapsed}), 1)", record=c.SERIES_COVERAGE)
    spent = f"sum by (exchange) ({of(c.SERIES_LOSS_MONTH, _VENUE)} {this_month})"
    yield Rule(f"{promql.decimal(spec.money.budget_usd_per_month)} - {spent}", record=c.SERIES_BUDGET_REMAINING)
    yield Rule(f"{of(c.SERIES_BUDGET_REMAINING)} <= bool 0", record=c.SERIES_CHANGE_FREEZE)
