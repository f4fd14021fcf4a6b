"""Build, list and remove releases: gather, decide, apply. Steps and their order are here; how each is done is the adapter's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ops.errors import Refused
from ops.ports import Clock, Release
from ops.releases import decide
from ops.releases.model import BuildAction, BuildPlan, BuildReport, Row, S, Shelf, Shelved, Source, Workshop

Progress = Callable[[str], AbstractContextManager[Callable[[str], None]]]
"""Opens a step under its title; the callable it gives takes what the step did, for a person."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """`in_use` names versions whose files must stay as they are, besides those that are seen to run."""

    version: str
    source: Path
    rebuild: bool = False
    dry_run: bool = False
    in_use: frozenset[str] = frozenset()


def build(request: BuildRequest, shelf: Shelf, workshop: Workshop[S], clock: Clock, progress: Progress) -> BuildReport:
    """Build `request.version` into its own environment. A dry run decides and stops.

    Raises UsageError (bad version, not a source of this product), Refused (another source has this version, it is in
    use, another build runs, a step failed) or Unavailable (packages could not be fetched). After a failure the folder
    is half built, and building again starts afresh.
    """
    began_s = clock.monotonic_s()
    version = decide.check_version(request.version)
    source = workshop.look(request.source)
    plan = _plan(request, version, source, shelf)
    if request.dry_run or plan.action is BuildAction.KEEP:
        kept = shelf.folder(version) if plan.action is BuildAction.KEEP else None
        return BuildReport(plan, kept.release if kept else None, clock.monotonic_s() - began_s)
    workshop.check_tools()
    with workshop.lock():
        plan = _plan(request, version, source, shelf)
        release = _apply(plan, source, shelf, workshop, clock, progress)
    return BuildReport(plan, release, clock.monotonic_s() - began_s)


def _plan(request: BuildRequest, version: str, source: Source, shelf: Shelf) -> BuildPlan:
    in_use = request.in_use | shelf.running()
    plan = decide.plan_build(version, shelf.folder(version), source.digest, rebuild=request.rebuild, in_use=in_use)
    if plan.action is BuildAction.REFUSE:
        raise Refused(plan.reason, plan.hint)
    return plan


def _apply(plan: BuildPlan, source: S, shelf: Shelf, workshop: Workshop[S], clock: Clock, progress: Progress) -> Release:
    if plan.action is BuildAction.KEEP:
        kept = shelf.folder(plan.version)
        assert kept and kept.release, "whole when planned, under the same lock"
        return kept.release
    if plan.action is BuildAction.REBUILD:
        shelf.remove(plan.version)
    with progress("copy the source") as done:
        done(workshop.stage(plan.version, source))
    with progress("build the wheel") as done:
        done(workshop.wheel(plan.version))
    with progress("make the environment") as done:
        done(workshop.environment(plan.version))
    return workshop.finish(plan.version, source, clock.wall_s())


def listing(shelf: Shelf, in_use: frozenset[str] = frozenset()) -> tuple[Row, ...]:
    """Every release there is, half-built ones too."""
    return decide.rows(_folders(shelf), shelf.installation(), in_use | shelf.running())


def _folders(shelf: Shelf) -> tuple[Shelved, ...]:
    return tuple(folder for folder in shelf.folders() if decide.is_version(folder.version))


def show(version: str, shelf: Shelf, in_use: frozenset[str] = frozenset()) -> Row:
    """One row. Raises UsageError for a bad name, Refused when there is no such release."""
    decide.check_version(version)
    found = listing(shelf, in_use)
    for row in found:
        if row.version == version:
            return row
    there = ", ".join(row.version for row in found) or "none"
    raise Refused(f"there is no release {version}", f"releases here: {there}")


def remove(version: str, shelf: Shelf, workshop: Workshop[S], *, in_use: frozenset[str], dry_run: bool = False) -> None:
    """Delete a built release, whole or half. Raises UsageError (bad name) or Refused (not there, in use, a build runs)."""
    decide.check_version(version)
    _check_removal(version, shelf, in_use)
    if dry_run:
        return
    with workshop.lock():
        _check_removal(version, shelf, in_use)
        shelf.remove(version)


def _check_removal(version: str, shelf: Shelf, in_use: frozenset[str]) -> None:
    known = [folder.version for folder in _folders(shelf)]
    message, hint = decide.refuse_removal(version, known, in_use | shelf.running())
    if message:
        raise Refused(message, hint)
