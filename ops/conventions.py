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
