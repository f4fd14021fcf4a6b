"""One tree of errors. What the user sees is `message` and `hint`; what decides a retry is `temporary`.

    OpsError
      UsageError          bad input: names file, field and reason            exit 2
      Refused             a precondition does not hold; nothing was changed  exit 5
      Unavailable         something needed does not answer (temporary)       exit 6
        MetricsUnavailable  Prometheus gave no usable figure
        TrafficUnavailable  the splitter did not take or show a weight
        ClusterUnavailable  the supervisor did not answer
      StoreCorrupt        the journal's chain is broken; nothing is decided on it  exit 6

Refusals inside a decision are values (a Verdict, a Plan), never exceptions; bugs are assertions.
"""

from __future__ import annotations

from ops.conventions import ExitCode


class OpsError(Exception):
    """Base. `message` says what is wrong, `hint` what to do next; both go to stderr, without a traceback."""

    exit_code = ExitCode.BUG
    temporary = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OpsError):
    exit_code = ExitCode.USAGE


class Refused(OpsError):
    exit_code = ExitCode.REFUSED


class Unavailable(OpsError):
    exit_code = ExitCode.UNAVAILABLE
    temporary = True


class MetricsUnavailable(Unavailable):
    pass


class TrafficUnavailable(Unavailable):
    pass


class ClusterUnavailable(Unavailable):
    pass


class StoreCorrupt(OpsError):
    exit_code = ExitCode.UNAVAILABLE
