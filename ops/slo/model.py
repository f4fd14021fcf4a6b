"""Nouns of the SLO slice. Ratios and money are exact (Fraction, whole cents): a generated threshold never shows float noise.

The unit of account is the slice: the badness (0..1) of one minute of one SLO, in the zone in which that minute began. Burn rates,
bad minutes and dollars are sums of slices (docs/slo.md); this module says what is promised, `rules.py` how it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from ops.session import Calendar, Zone

VENUE_SLO = "venue"
"""The name of the SLO that no spec declares: per slice the worst of all others, each weighed by its cost share. Money is counted on it, so
that one outage seen by five SLOs is paid for once."""
DEFAULT_POLICY = "default"
SLI_INTERVAL_S = 20
"""How often the last slice is judged. With scrapes of 15 s a total outage pages within 2 + 15 + 20 s; a divisor of the minute, so that the
slices, which are every third of these, follow one another without gap or overlap. Judging is what costs: 15 s would cost a third more."""
WINDOW_INTERVAL_S = 60
"""How often windows are summed: one evaluation is one slice."""
BURN_INTERVAL_S = 30
"""How often burn rates are judged: more often than the windows, so that little is added to their age."""


class Severity(StrEnum):
    PAGE = "page"
    TICKET = "ticket"
    NONE = "none"
    """Counted, told to nobody."""


class NoData(StrEnum):
    """What a slice is worth when the series of the SLI are missing altogether."""

    BAD = "bad"
    GOOD = "good"
    IGNORE = "ignore"
    """No slice at all; coverage shows the gap."""


class Idle(StrEnum):
    """What a slice is worth when the series are there but count fewer than `minimum_events`. No traffic is not missing data."""

    GOOD = "good"
    BAD = "bad"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Selector:
    """Series of one metric. `where` is the inside of a PromQL selector without braces: 'route="orders_post",code=~"5.."', or ''."""

    metric: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Events:
    """Ratio of counters: exactly one of `bad` and `good` is set."""

    total: Selector
    bad: Selector | None = None
    good: Selector | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Share of observations of a histogram above `threshold_s`; the threshold must be one of its buckets."""

    histogram: Selector
    threshold_s: Fraction


@dataclass(frozen=True, slots=True)
class Freshness:
    """A Unix time that must not be older than `threshold_s`. Refused when the threshold is under three scrape intervals: that would
    measure the scrape, not the feed (article error 7); below that use Latency on an age measured in the process."""

    timestamp: Selector
    threshold_s: Fraction


@dataclass(frozen=True, slots=True)
class Probe:
    """A gauge or `up` that is 1 while all is well; badness is the share of samples that are not."""

    metric: Selector


@dataclass(frozen=True, slots=True)
class Threshold:
    """A gauge that must not be above (or below) a bound at any sample of the slice: zombie orders, queue depth."""

    metric: Selector
    above: Fraction | None = None
    below: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """PromQL that gives the badness, 0..1, itself. `{{window}}` stands for the slice's length."""

    bad_ratio: str


Sli = Events | Latency | Freshness | Probe | Threshold | Raw


@dataclass(frozen=True, slots=True)
class Terms:
    """What is promised in one zone."""

    objective: Fraction
    """0 < objective < 1."""
    cost_usd_per_minute: Fraction
    severity: Severity
    """The most that an alert may be in this zone."""

    @property
    def error_budget_ratio(self) -> Fraction:
        return 1 - self.objective


@dataclass(frozen=True, slots=True)
class Policy:
    """Terms of all four zones under one name. SLOs that override nothing share the policy `default`; another has one of its own name."""

    name: str
    terms: Mapping[Zone, Terms]
    cost_share: Fraction = Fraction(1)
    """How much of the zone's cost a bad minute of this SLO costs."""


@dataclass(frozen=True, slots=True)
class Slo:
    name: str
    description: str
    component: str
    owner: str
    sli: Sli
    policy: Policy
    group_by: tuple[str, ...]
    """Labels kept: each group is judged by itself."""
    no_data: NoData
    idle: Idle
    minimum_events: int
    """Slices with fewer events are idle. 0 for SLIs that do not count events."""
    slice_s: int
    """Length of the slice's window: 60, or more for SLIs of little traffic."""
    offender: str
    """The label that names the worst part in an alert; '' for none."""
    first_action: str
    runbook: str
    line: int
    """Where the SLO begins in its file."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One speed of burning. The threshold is `factor` (a burn rate over both windows), or for the spike `bad_share` of the last slice."""

    name: str
    """Stable: the label `tier` of its alerts. `spike`, `fast` and `slow` come with every spec."""
    severity: Severity
    long_s: int
    short_s: int
    factor: Fraction | None = None
    budget: Fraction | None = None
    """In place of `factor`: the share of the month's budget that the long window may burn; the factor is derived from session minutes."""
    bad_share: Fraction | None = None
    """Spike only."""


@dataclass(frozen=True, slots=True)
class Money:
    """The venue's budget and what makes it an alert."""

    budget_usd_per_month: Fraction
    page_share: Fraction
    """Share of the month's dollars burnt within an hour (and still burning) that pages. Default 5 %."""
    ticket_share: Fraction
    """Share of the month's dollars spent that opens a ticket. Default 50 %."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One file of SLOs: one venue."""

    path: Path
    digest: str
    """sha256 of the spec and its calendar, 12 hex digits; shown on an info series only."""
    exchange: str
    calendar: Calendar
    scrape_interval_s: int
    runbook_base: str
    """Put before a runbook's path in alerts: '' or a URL that ends in '/'."""
    deliver_tickets: tuple[int, int]
    """Minutes of the local day between which tickets are delivered; outside they wait."""
    money: Money
    default: Policy
    tiers: tuple[Tier, ...]
    slos: tuple[Slo, ...]

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Each policy once, `default` first."""
        own = {slo.policy.name: slo.policy for slo in self.slos if slo.policy.name != DEFAULT_POLICY}
        return (self.default, *own.values())
