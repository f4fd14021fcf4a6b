"""Every external name of the toolkit: track labels, pools, file names, exit codes. The venue's names are in `engine.conventions`."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Track(StrEnum):
    """The value of the label `track`: which side of a release a gateway serves."""

    STABLE = "stable"
    CANARY = "canary"
    WARM = "warm"
    """N-1 after a promotion: running, ready, without traffic."""


class Pool(StrEnum):
    """The two sets of gateways of a venue. One is stable; the other takes the canary, then stays warm as N-1."""

    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> Pool:
        return Pool.GREEN if self is Pool.BLUE else Pool.BLUE


class ExitCode(IntEnum):
    """What a pipeline reads from `opsctl` (docs/exit-codes.md is checked against this)."""

    OK = 0
    BUG = 1
    USAGE = 2
    ROLLED_BACK = 3
    """The release failed its checks, or its processes died; users are back on stable."""
    ROLLED_BACK_BLIND = 4
    """No verdict could be had within the bound; users are back on stable."""
    REFUSED = 5
    """Nothing was changed: another release runs, or a precondition does not hold."""
    UNAVAILABLE = 6
    """A part that is needed does not answer: the venue is down, the splitter is away."""
    ABORTED = 7
    """A person ended the release (Ctrl-C, `opsctl rollback`); users are back on stable."""
    ROLLBACK_INCOMPLETE = 8
    """Users could not be proved to be off the canary. Act now; the message says how."""


GUARDIAN = "guardian"
GATEWAY_PREFIX = "gateway-"
STATE_ENV = "OPSCTL_STATE"
DECLARED_ENV = "OPSCTL_DECLARED"
"""A folder that holds pipelines/ alerts/ runbooks/ slo/ in place of the checkout's or the packaged ones."""
KEY_ENV = "EXCHANGE_API_KEY"


# Series that generated rules record (level:metric:operation) and labels they carry. docs/slo.md tells what each means.
SERIES_CLOCK = "venue:clock:seconds"
"""time(), in a rule file of its own so that tests can put any date in its place."""
SERIES_LOCAL_SECONDS = "exchange:local_time:seconds"
SERIES_MINUTE_OF_DAY = "exchange:local_time:minute_of_day"
SERIES_DATE = "exchange:local_date:info"
"""Labels exchange, date (YYYYMMDD), month (YYYYMM)."""
SERIES_RECENT_DAYS = "exchange:recent_days:info"
"""Today's and yesterday's label `day`."""
SERIES_ZONE_NUMBER = "exchange:zone:number"
SERIES_ZONE_ACTIVE = "exchange_zone:active:bool"
"""Four series, one of them 1."""
SERIES_ZONE_NOW = "exchange_zone:now:info"
"""The zone of this moment: labels exchange, zone, hours."""
SERIES_ZONE_SLICE = "exchange_zone:slice:info"
"""The zone in which the slice that ends now began: labels exchange, zone, hours, day, month."""
SERIES_ZONE_OVERRIDE = "exchange_zone_override"
"""Optional, from outside: a gauge of 1 to 4 that wins over the calendar (an ad-hoc closure, a drill)."""
SERIES_HORIZON = "exchange:calendar_horizon:seconds"
SERIES_BAD_NOW = "slo:bad:ratio"
"""Badness of the last slice window, at each evaluation (15 s). Labels exchange, slo, policy and the SLO's groups."""
SERIES_BAD_SLICE = "slo:bad:slice"
"""The same once a minute, with zone, hours, day, month: the unit of account."""
SERIES_BURN_RATE = "slo:burn_rate"
"""`slo:burn_rate:5m`, `:1h`, `:6h`: only the present hours' series."""
SERIES_LOSS_HOUR = "slo:loss_usd:1h"
SERIES_LOSS_SHORT = "slo:loss_usd:5m"
SERIES_BAD_DAY = "slo:bad_minutes:day"
SERIES_BAD_MONTH = "slo:bad_minutes:month"
SERIES_LOSS_MONTH = "slo:loss_usd:month"
SERIES_SLICES_DAY = "exchange:slices:day"
SERIES_SLICES_MONTH = "exchange:slices:month"
SERIES_COVERAGE = "exchange:slo_coverage:ratio"
SERIES_BUDGET_REMAINING = "exchange:pnl_budget_remaining:usd"
SERIES_CHANGE_FREEZE = "exchange:change_freeze:bool"
SERIES_BURN_PER_BAD = "slo_policy:burn_per_bad:ratio"
"""1 / (1 - objective), per policy and zone."""
SERIES_COST = "slo_policy:cost:usd_per_minute"
SERIES_COST_SHARE = "slo_policy:cost_share:ratio"
SERIES_SPIKE = "slo_policy:spike:ratio"
"""Badness of a slice that pages, per policy and zone; only where a page is allowed."""
SERIES_SEVERITY = "slo_policy:severity:info"
SERIES_SPEC_INFO = "slo_spec:info"
"""Labels exchange, spec, hash, version: the only series that changes when a spec does."""

LABEL_SLO = "slo"
LABEL_POLICY = "policy"
LABEL_ZONE = "zone"
LABEL_HOURS = "hours"
LABEL_DAY = "day"
LABEL_MONTH = "month"
LABEL_SEVERITY = "severity"
LABEL_TIER = "tier"
RESERVED_LABELS = (LABEL_SLO, LABEL_POLICY, LABEL_ZONE, LABEL_HOURS, LABEL_DAY, LABEL_MONTH, LABEL_SEVERITY, LABEL_TIER)
"""No SLI may group by these: the rules write them themselves."""
