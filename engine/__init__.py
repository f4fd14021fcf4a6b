"""The venue: a deterministic matching core and stateless gateways (ARCHITECTURE.md)."""

from engine._version import COMMIT, __version__

__all__ = ["COMMIT", "__version__"]
