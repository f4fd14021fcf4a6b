"""Alertmanager's part: who is told of what, when, and which alert holds back which. A part, not a whole: receivers are the venue's.

Tickets wait for the hours in which they are delivered by a time interval of the route, not by inhibition: an alert that is inhibited and
ends is never told, one that waits is (its rule keeps it firing until then). Inhibition always names what must be equal: without that
the maintenance of one venue would silence another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ops import conventions as c
from ops.slo import alert_text
from ops.slo.model import Severity, Spec, Tier

RECEIVERS = ("page", "ticket", "nobody")
"""What the venue's own configuration must define."""
MAINTAINED_ALERTS = ("GatewayDown", "GatewayCrashLooping")
"""Alerts of the venue that maintenance explains."""


def part(specs: Sequence[Spec]) -> str:
    """The YAML text: lists under routes, inhibit_rules and time_intervals."""
    lines = ["routes:"]
    for spec in specs:
        lines += _routes(spec)
    lines.append("inhibit_rules:")
    for spec in specs:
        lines += _inhibitions(spec)
    lines.append("time_intervals:")
    for spec in specs:
        lines += _delivery(spec)
    return "\n".join(lines) + "\n"


def _routes(spec: Spec) -> Iterator[str]:
    yield from _route(spec, Severity.PAGE, "page", "group_wait: 0s", "group_interval: 30s", "repeat_interval: 1h")
    wait = ("group_wait: 30s", "group_interval: 5m", "repeat_interval: 24h")
    yield from _route(spec, Severity.TICKET, "ticket", *wait, f"active_time_intervals: [{_interval(spec)}]")
    yield from _route(spec, Severity.NONE, "nobody")


def _route(spec: Spec, severity: Severity, receiver: str, *settings: str) -> Iterator[str]:
    matchers = _matchers(f'exchange="{spec.exchange}"', f'{c.LABEL_SEVERITY}="{severity}"')
    yield f"  - matchers: {matchers}"
    yield f"    receiver: {receiver}"
    yield "    group_by: [exchange]"
    for setting in settings:
        yield f"    {setting}"


def _inhibitions(spec: Spec) -> Iterator[str]:
    """The quicker of two alerts on one thing holds back the slower; a ticket never holds back a page."""
    equal = ("exchange", c.LABEL_SLO, *alert_text.groups_of(spec.slos))
    tiers = _by_speed(spec.tiers)
    for place, tier in enumerate(tiers[:-1]):
        slower = f'{c.LABEL_TIER}=~"{"|".join(other.name for other in tiers[place + 1 :])}"'
        for severity in (Severity.PAGE, Severity.TICKET):
            if severity is Severity.PAGE and tier.severity is not Severity.PAGE:
                continue
            if severity is Severity.TICKET and tier.bad_share is not None and tier.severity is Severity.PAGE:
                continue  # a spike is what its tier says, or nothing
            source = (f'{c.LABEL_TIER}="{tier.name}"', f'{c.LABEL_SEVERITY}="{severity}"')
            target = (slower,) if severity is Severity.PAGE else (slower, f'{c.LABEL_SEVERITY}="{severity}"')
            yield from _inhibition(spec, source, target, equal)
    window = ('alertname="MaintenanceWindow"',)
    slowest = tuple(tier for tier in tiers if tier.bad_share is None)[-1:]
    for tier in slowest:
        yield from _inhibition(spec, window, (f'{c.LABEL_TIER}="{tier.name}"',), ("exchange",))
    yield from _inhibition(spec, window, (f'alertname=~"{"|".join(MAINTAINED_ALERTS)}"',), ("exchange",))


def _by_speed(tiers: Iterable[Tier]) -> list[Tier]:
    told = [tier for tier in tiers if tier.severity is not Severity.NONE]
    return sorted(told, key=lambda tier: (tier.bad_share is None, tier.long_s, tier.short_s))


def _inhibition(spec: Spec, source: Sequence[str], target: Sequence[str], equal: Sequence[str]) -> Iterator[str]:
    venue = f'exchange="{spec.exchange}"'
    yield f"  - source_matchers: {_matchers(venue, *source)}"
    yield f"    target_matchers: {_matchers(venue, *target)}"
    yield f"    equal: [{', '.join(equal)}]"


def _delivery(spec: Spec) -> Iterator[str]:
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in spec.deliver_tickets)
    yield f"  - name: {_interval(spec)}"
    yield "    time_intervals:"
    yield f'      - times: [{{start_time: "{start}", end_time: "{end}"}}]'
    yield f'        location: "{spec.calendar.timezone}"'


def _interval(spec: Spec) -> str:
    return f"{spec.exchange.lower()}-tickets"


def _matchers(*matchers: str) -> str:
    return "[" + ", ".join(f"'{matcher}'" for matcher in matchers) + "]"
