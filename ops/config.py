"""Where things are: the state folder and the declared folders. Flags > environment > checkout > packaged copy (style.md, 15)."""

from __future__ import annotations

import os
from pathlib import Path

from ops.conventions import DECLARED_ENV, STATE_ENV
from ops.errors import UsageError

NOUNS = ("pipelines", "alerts", "runbooks", "slo")


def state_dir(option: Path | None = None) -> Path:
    """The one folder that holds a venue's state: option, else $OPSCTL_STATE, else the user's state home. Absolute, links resolved
    (two names of one folder must not become two venues); not created here."""
    if option is not None:
        return option.expanduser().resolve()
    if named := os.environ.get(STATE_ENV):
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser().resolve() / "opsctl"


def declared_dir(noun: str, option: Path | None = None) -> Path:
    """The folder of what a venue declares: option, else $OPSCTL_DECLARED/<noun>, else this checkout's, else the packaged copy.

    Raises UsageError when the option or the environment names a folder that is not there: a wrong name must not fall
    back to defaults in silence.
    """
    assert noun in NOUNS, noun
    if option is not None:
        return _existing(option.expanduser().absolute(), "the option given")
    if base := os.environ.get(DECLARED_ENV):
        return _existing(Path(base).expanduser().absolute() / noun, f"${DECLARED_ENV}")
    here = Path(__file__).resolve().parent
    checkout = here.parent / noun
    if (here.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    return here / "declared" / noun


def _existing(path: Path, source: str) -> Path:
    if not path.is_dir():
        raise UsageError(f"{source} names {path}, which is not a folder", hint=f"make it, or leave {source} away for the defaults")
    return path
