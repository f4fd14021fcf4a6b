"""Which release `opsctl deploy` ships when none is named. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ops.deploy.journal import Record
from ops.errors import Refused
from ops.ports import Release

BUILD_HINT = "build one: `opsctl releases build --version X.Y.Z`, or name an older one"


def newest(built: Sequence[Release], stable_version: str) -> Release:
    """The newest built release that is not the stable one. The running installation was not built, and so is never meant.

    Raises Refused when there is none, or only ones built before the stable one: going back is `opsctl rollback`, or said by name.
    """
    whole = [r for r in built if not r.installed]
    since_s = max((r.built_at_s for r in whole if r.version == stable_version), default=0.0)
    candidates = [r for r in whole if r.version != stable_version]
    if not candidates:
        raise Refused(f"there is no built release besides the stable {stable_version}", hint=BUILD_HINT)
    chosen = max(candidates, key=lambda r: r.built_at_s)
    if chosen.built_at_s < since_s:
        raise Refused(f"no release was built after the stable {stable_version}; the newest other one is {chosen.version}", hint=BUILD_HINT)
    return chosen


def tried_before(version: str, history: Sequence[Record]) -> str:
    """What became of the version when it was last shipped, for the person who ships it again; "" when it never was."""
    last = next((r for r in reversed(history) if r.version == version), None)
    return f"{version} was shipped before and {last.outcome} in {last.stream}" if last else ""
