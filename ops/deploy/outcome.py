"""From what happened to an Outcome, and the Outcome into the journal and `--output json`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ops.conventions import ExitCode
from ops.deploy import journal
from ops.deploy.model import Cause, Outcome
from ops.deploy.rollback import Ports, WayBack, write
from ops.errors import OpsError


def make_outcome(stream: str, version: str, stable_version: str, cause: Cause | None, reason: str, seconds: float) -> Outcome:
    code = cause.exit_code if cause else ExitCode.OK
    return Outcome(stream, version, stable_version, cause is None, cause, reason, seconds, code)


def with_way_back(outcome: Outcome, back: WayBack) -> Outcome:
    return replace(
        outcome,
        zero_after_s=back.zero_after_s,
        rollback_s=back.whole_s,
        served_after_zero=back.served_after_zero,
        sessions_closed=back.sessions_closed,
    )


def end(ports: Ports, stream: str, outcome: Outcome) -> Outcome:
    data = outcome_data(outcome)
    try:
        write(ports, stream, journal.ENDED, data)
    except OpsError as error:
        return replace(outcome, reason=f"{outcome.reason} (its end could not be recorded: {error.message})")
    return outcome


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """What the journal keeps and `--output json` prints."""
    return {
        "release": outcome.release,
        "version": outcome.version,
        "stable_version": outcome.stable_version,
        "promoted": outcome.promoted,
        "cause": outcome.cause,
        "reason": outcome.reason,
        "seconds": round(outcome.seconds, 3),
        "exit_code": int(outcome.exit_code),
        "canary_requests": outcome.canary_requests,
        "canary_errors": outcome.canary_errors,
        "zero_after_s": outcome.zero_after_s,
        "rollback_s": outcome.rollback_s,
        "served_after_zero": outcome.served_after_zero,
        "sessions_closed": outcome.sessions_closed,
    }
