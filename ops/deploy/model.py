"""The nouns of a release: pipeline, verdict, round, state, facts, action. All frozen; nothing here decides or does anything.

Units: shares are exact Fractions in [0, 1] of new requests; *_s are seconds, on the machine's monotonic clock unless the name says wall.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from ops.conventions import ExitCode


class Verdict(StrEnum):
    """A health check has three answers (O3). INCONCLUSIVE is no evidence: it neither promotes nor counts as a FAIL."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class CheckKind(StrEnum):
    ERROR_RATIO = "error_ratio"
    LATENCY = "latency"
    REFUSED_RATIO = "refused_ratio"


@dataclass(frozen=True, slots=True)
class Check:
    """One health check. `max` is a ratio for ERROR_RATIO and seconds for LATENCY, and so is `by_at_least`."""

    name: str
    kind: CheckKind
    max: float
    worse_than_stable: float
    """ERROR_RATIO, REFUSED_RATIO: excess ratio over stable's; LATENCY: times stable's quantile."""
    by_at_least: float = 0.0
    quantile: float = 0.99


@dataclass(frozen=True, slots=True)
class Pipeline:
    name: str
    steps: tuple[Fraction, ...]
    interval_s: float
    max_window_s: float
    passes: int
    fails: int
    min_requests_check: int
    min_requests_step: int
    blind_after_s: float
    step_timeout_s: float
    ready_timeout_s: float
    lease_s: float
    confidence: float
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class TrackFigures:
    """One track in one round, as both witnesses tell it: Prometheus, and the splitter's own counters."""

    requests: int
    errors: int
    buckets: tuple[tuple[float, int], ...]
    witness_requests: int
    witness_errors: int
    refused: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    name: str
    verdict: Verdict
    reason: str
    canary: float | None = None
    """The figure judged (ratio or seconds); None when there was none."""
    stable: float | None = None
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """All checks of one moment. Its verdict is the worst of them: FAIL before INCONCLUSIVE before PASS."""

    verdict: Verdict
    results: tuple[CheckResult, ...]
    canary_requests: int
    stable_requests: int
    window_s: float

    @property
    def reason(self) -> str:
        return "; ".join(f"{r.name}: {r.reason}" for r in self.results if r.verdict is self.verdict)


class Phase(StrEnum):
    STARTING = "starting"
    """Canary processes are brought up for the next step; the weight is still that of the step before."""
    CHECKING = "checking"
    """The step's weight is asked; rounds are counted."""
    PROMOTING = "promoting"
    ROLLING_BACK = "rolling_back"


class Cause(StrEnum):
    """Why a release was rolled back."""

    CHECKS_FAILED = "checks_failed"
    BLIND = "blind"
    CANARY_DEAD = "canary_dead"
    NEVER_READY = "never_ready"
    STUCK = "stuck"
    ABORTED = "aborted"
    LEASE_LOST = "lease_lost"
    FOREIGN_WEIGHT = "foreign_weight"
    OWNER_DIED = "owner_died"
    ERROR = "error"

    @property
    def exit_code(self) -> ExitCode:
        if self is Cause.BLIND:
            return ExitCode.ROLLED_BACK_BLIND
        return ExitCode.ABORTED if self is Cause.ABORTED else ExitCode.ROLLED_BACK


@dataclass(frozen=True, slots=True)
class State:
    """Where a release stands between two ticks."""

    phase: Phase
    step: int
    """Index into the pipeline's steps: the step being brought up or checked."""
    since_s: float
    """Begin of the phase."""
    conclusive_s: float
    """When the last PASS or FAIL was given, or the step began: the blind clock and the window start here."""
    passes: int = 0
    fails_in_row: int = 0
    fails_total: int = 0
    last: Verdict | None = None
    requests_before: int = 0
    """The canary's request count when the step's weight was applied."""
    last_reason: str = ""
    """What the last round said, for the person who reads why a release went back."""
    cause: Cause | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one tick sees. None means that it could not be had: never good news."""

    now_s: float
    ready: int
    """Canary processes ready as the right version (gathered while STARTING)."""
    alive: int | None
    """Canary processes that run and are the very ones that became ready; None: the supervisor did not answer."""
    share: Fraction | None
    """The canary's share as the splitter has it; None: the splitter did not answer."""
    splitter_restarted: bool
    canary_requests: int
    """Requests the canary ever served, by the splitter, carried over its restarts."""
    lease_held: bool
    round: Round | None = None
    abort: str = ""
    """Who asked to end the release and why; "" when nobody did."""


class Do(StrEnum):
    SCALE = "scale"
    SHIFT = "shift"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Action:
    """One side effect to do now. SCALE: `count` processes; SHIFT: `share` to the canary."""

    do: Do
    share: Fraction = Fraction(0)
    count: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a release; also what `--output json` prints."""

    release: str
    version: str
    stable_version: str
    promoted: bool
    cause: Cause | None
    reason: str
    seconds: float
    exit_code: ExitCode
    canary_requests: int | None = 0
    canary_errors: int | None = 0
    """Wrong answers users got from the canary, by the splitter's count. None: not known (its deploy died and the splitter restarted)."""
    zero_after_s: float | None = None
    """Rollback decided to weight 0 read back."""
    rollback_s: float | None = None
    served_after_zero: int = 0
    """Canary requests begun after weight 0 was read back."""
    sessions_closed: int = 0
    checks: tuple[Round, ...] = field(default=(), repr=False)


def processes_for(share: Fraction, gateways: int) -> int:
    """Canary processes that a share needs: enough for its part of the venue's capacity, at least one."""
    return max(1, -(-share.numerator * gateways // share.denominator))
