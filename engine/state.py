"""A venue that `opsctl up` started, found by its state folder: where its core listens, and the files that the core was started with.

The folder's layout is docs/venue.md's. `engine` may not import the toolkit, so the few names that are needed stand here too;
tests/control/test_state.py holds them against the toolkit's own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from engine.config import VenueError, default_instruments_path
from engine.conventions import STATE_ENV

NEXT = "give the folder that `opsctl up --state` was given"


@dataclass(frozen=True, slots=True)
class FoundVenue:
    """`core` is HOST:PORT of its link."""

    folder: Path
    core: str

    @property
    def link_key(self) -> Path:
        return self.folder / "link.key"

    @property
    def instruments(self) -> Path:
        return self.folder / "instruments.yaml"

    @property
    def log_dir(self) -> Path:
        return self.folder / "log"


def find_venue(state: Path | None, *, look: bool) -> FoundVenue | None:
    """The venue in `state`; without it, and only to `look`, the one in $OPSCTL_STATE or else in the default folder, if one stands there.

    Raises VenueError when a folder that was named has no venue, or its venue.json cannot be used.
    """
    if state is not None:
        return _venue_in(state.expanduser().resolve(), "--state")
    if not look:
        return None
    if named := os.environ.get(STATE_ENV):
        return _venue_in(Path(named).expanduser().resolve(), f"${STATE_ENV}")
    try:
        folder = default_folder()
        stands = (folder / "venue.json").is_file()
    except (OSError, RuntimeError):  # no home, or not ours to look into
        return None
    return _venue_in(folder, "the default state folder") if stands else None


def default_folder() -> Path:
    """Raises RuntimeError for a user without a home."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser().resolve() / "opsctl"


def _venue_in(folder: Path, source: str) -> FoundVenue:
    path = folder / "venue.json"
    try:
        port = json.loads(path.read_bytes())["ports"]["core_link"]
    except FileNotFoundError:
        raise VenueError(f"{source}: there is no venue in {folder}", hint=NEXT) from None
    except OSError as error:
        raise VenueError(f"{source}: {path} cannot be read: {error.strerror}", hint=NEXT) from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise VenueError(f"{source}: {path} does not say where the core is", hint="`opsctl status` says more") from error
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise VenueError(f"{source}: {path}: ports: core_link: expected a port, not {port!r}", hint="`opsctl status` says more")
    return FoundVenue(folder, f"127.0.0.1:{port}")


@dataclass(frozen=True, slots=True)
class LogPlace:
    """A log folder and its instruments file. `source` is what named the folder, for errors."""

    log_dir: Path
    instruments: Path
    source: str


def log_place(log_dir: Path | None, instruments: Path | None, state: Path | None, option: str = "--log-dir") -> LogPlace:
    """What was given, else the venue's. Raises VenueError when nothing leads to a log."""
    venue = find_venue(state, look=log_dir is None)
    if venue is None and log_dir is None:
        raise VenueError(f"{option}: expected the folder of an order log; no venue stands in the default state folder",
                         hint=f"give {option} DIR, or --state DIR of a venue that `opsctl up` started")  # fmt: skip
    listed = instruments or (venue.instruments if venue is not None else default_instruments_path())
    if log_dir is not None:
        return LogPlace(log_dir, listed, option)
    assert venue is not None
    return LogPlace(venue.log_dir, listed, f"the venue in {venue.folder}")
