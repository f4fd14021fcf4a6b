"""What must lie in the state folder before anything starts: folders, keys, instruments, configuration files."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.config import VenueError, default_instruments_path
from engine.keys import new_key, save_keys
from ops import render
from ops.conventions import Pool
from ops.errors import Refused, Unavailable, UsageError
from ops.ports import Releases
from ops.venue.decide import plan_processes
from ops.venue.files import write_durably
from ops.venue.model import Layout, Tools, Venue

DEMO_KEY_ID, DEMO_FIRM, DEMO_RATE_PER_S = "demo", 1, 100_000
"""The demo key may load the venue as far as the machine goes; real keys get the default rate."""


@contextmanager
def sole(layout: Layout) -> Iterator[None]:
    """One `up` or `down` at a time on a state folder. Makes the folder. Raises Refused when another is at work, Unavailable."""
    try:
        for folder in layout.folders():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = f"the state folder {layout.state} cannot be used: {error.strerror} ({error.filename})"
        raise Unavailable(reason, hint="name another folder with --state") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused(f"another opsctl up or down works on {layout.state}", hint="wait for it") from error
    finally:
        os.close(fd)


def make_once(layout: Layout) -> None:
    """The demo key and its ring, the instruments: made when they are not there, never replaced. Raises Unavailable."""
    try:
        if not layout.keys.exists():
            token, entry = new_key(DEMO_KEY_ID, DEMO_FIRM, rate_per_s=DEMO_RATE_PER_S)
            write_durably(layout.demo_key, token + "\n")
            save_keys(layout.keys, [entry])
        if not layout.link_key.exists():
            write_durably(layout.link_key, secrets.token_urlsafe(32) + "\n")
    except VenueError as error:
        raise Unavailable(error.message, hint=error.hint) from error
    if not layout.instruments.exists():
        write_durably(layout.instruments, default_instruments_path().read_text(encoding="utf-8"))


def supervisor_text(
    venue: Venue, layout: Layout, tools: Tools, releases: Releases, versions: Mapping[Pool, str], files_soft_limit: int
) -> str:
    """supervisord.conf when the pools run `versions`. A pool that never ran gets the other's program. Raises Refused: no such release."""
    known = next(version for version in (versions[venue.roles.stable], *versions.values()) if version)
    commands = {pool: releases.get(versions[pool] or known).command for pool in Pool}
    here = (("PYTHONPATH", str(Path(render.__file__).resolve().parent.parent)),)
    processes = plan_processes(venue, layout, tools, commands, environment=here)
    return render.supervisord_conf(processes, layout.supervisor_socket, layout.supervisor_pid, layout.output, files_soft_limit)


def write_monitoring(venue: Venue, layout: Layout, alerts: Path) -> None:
    """prometheus.yml and alertmanager.yml. Raises UsageError when there is no alert rule: silence must not look like health."""
    rule_files = sorted(alerts.glob("*.yaml"))
    if not rule_files:
        raise UsageError(f"{alerts} holds no alert rules (*.yaml)", hint="a venue without alerts is not started; name their folder")
    text = render.render(
        "prometheus.yml.j2",
        rule_files=rule_files, targets=layout.targets, ports=venue.ports, env=venue.env, exchange=venue.exchange,
    )  # fmt: skip
    write_durably(layout.prometheus / "prometheus.yml", text)
    write_durably(layout.alertmanager / "alertmanager.yml", render.render("alertmanager.yml.j2"))
