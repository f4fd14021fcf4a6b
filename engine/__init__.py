"""The venue: a deterministic matching core and stateless gateways (ARCHITECTURE.md); MatchingEngine: the core for Python programs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine._version import COMMIT, __version__

if TYPE_CHECKING:
    from engine.matching import MatchingEngine

__all__ = ["COMMIT", "MatchingEngine", "__version__"]


def __getattr__(name: str) -> Any:
    """Loaded when it is asked for: the venue's own processes have no use for numpy."""
    if name == "MatchingEngine":
        return import_module("engine.matching").MatchingEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
