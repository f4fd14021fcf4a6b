"""What must lie in the state folder before anything starts: folders, keys, instruments, configuration files."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.config import VenueError, default_instruments_path
from engine.conventions import TEST_SYMBOL
from engine.keys import MAX_KEYS, keys_lock, load_keys, new_key, save_keys
from engine.types import MAX_FIRM_ID
from ops import render
from ops.conventions import Pool
from ops.errors import Refused, Unavailable
from ops.ports import Releases
from ops.venue.decide import plan_processes
from ops.venue.files import write_durably
from ops.venue.model import Layout, Tools, Venue

DEMO_KEY_ID, DEMO_FIRM, DEMO_RATE_PER_S = "demo", 1, 100_000
"""The demo key may load the venue as far as the machine goes; real keys get the default rate."""
PROBE_KEY_ID, PROBE_FIRM, PROBE_RATE_PER_S = "probe", MAX_FIRM_ID, 50
"""The desk probe's: a firm of its own, the last there can be, so that no member's orders are within its reach."""
TEST_INSTRUMENT = f"""# Nobody's business: the desk probe's orders rest in this book only.
- {{symbol: {TEST_SYMBOL}, tick_size: "0.01", max_quantity: 1000000}}
"""


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
    """Keys and the instruments: made when they are not there, never replaced. Raises Unavailable."""
    try:
        if not layout.keys.exists():
            token, entry = new_key(DEMO_KEY_ID, DEMO_FIRM, rate_per_s=DEMO_RATE_PER_S)
            write_durably(layout.demo_key, token + "\n")
            save_keys(layout.keys, [entry])
        _make_probe_key(layout)
        if not layout.link_key.exists():
            write_durably(layout.link_key, secrets.token_urlsafe(32) + "\n")
    except VenueError as error:
        raise Unavailable(error.message, hint=error.hint) from error
    if not layout.instruments.exists():
        write_durably(layout.instruments, default_instruments_path().read_text(encoding="utf-8") + TEST_INSTRUMENT)


def _make_probe_key(layout: Layout) -> None:
    """Ring and token belong together: when either is missing both are made anew. Members' keys stay as they are."""
    with keys_lock(layout.keys):
        known = load_keys(layout.keys).entries
        others = tuple(entry for entry in known if entry.id != PROBE_KEY_ID)
        if len(others) < len(known) and layout.probe_key.exists():
            return
        if len(others) >= MAX_KEYS:
            raise VenueError(f"{layout.keys} has no room for the probe's key", hint=f"remove one of its {MAX_KEYS} keys")
        token, entry = new_key(PROBE_KEY_ID, PROBE_FIRM, ("trade",), PROBE_RATE_PER_S)
        write_durably(layout.probe_key, token + "\n")
        save_keys(layout.keys, (*others, entry))


def supervisor_text(
    venue: Venue, layout: Layout, tools: Tools, releases: Releases, versions: Mapping[Pool, str], files_soft_limit: int
) -> str:
    """supervisord.conf when the pools run `versions`. A pool that never ran gets the other's program. Raises Refused: no such release."""
    known = next(version for version in (versions[venue.roles.stable], *versions.values()) if version)
    commands = {pool: releases.get(versions[pool] or known).command for pool in Pool}
    here = (("PYTHONPATH", str(Path(render.__file__).resolve().parent.parent)),)
    processes = plan_processes(venue, layout, tools, commands, environment=here)
    return render.supervisord_conf(processes, layout.supervisor_socket, layout.supervisor_pid, layout.output, files_soft_limit)
