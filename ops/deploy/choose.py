"""Which release `opsctl deploy` ships when none is named. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ops.deploy.journal import Record
from ops.errors import Refused
from ops.ports import Release

BUILD_HINT = "build one: `opsctl releases build --version X.Y.Z`"


def newest(built: Sequence[Release], stable_version: str, history: Sequence[Record]) -> Release:
    """The newest built release that is not the stable one.

    Raises Refused when there is none, and when it was rolled back before: what failed once is shipped again only by name.
    """
    candidates = [r for r in built if r.version != stable_version]
    if not candidates:
        raise Refused(f"there is no built release besides the stable {stable_version}", hint=BUILD_HINT)
    chosen = max(candidates, key=lambda r: r.built_at_s)
    last = next((r for r in reversed(history) if r.version == chosen.version), None)
    if last is not None and last.outcome != "promoted":
        hint = f"name it to try again: `opsctl deploy {chosen.version} --canary 1%`; or {BUILD_HINT}"
        raise Refused(f"the newest release {chosen.version} was {last.outcome} in {last.stream}", hint=hint)
    if last is not None:
        hint = f"to go back use `opsctl rollback`; to ship it again name it; or {BUILD_HINT}"
        raise Refused(f"the newest release {chosen.version} was stable before {stable_version}", hint=hint)
    return chosen
