"""The instrument list's fingerprint: core, log and gateways must mean the same by an index and by a tick."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from engine.types import Instrument


def instruments_digest(instruments: Sequence[Instrument]) -> int:
    """64 bits over symbol, tick size and largest quantity, in the list's order. `0.010` and `0.01` are the same tick."""
    rows = [[instrument.symbol, f"{instrument.tick_size.normalize():f}", instrument.max_qty] for instrument in instruments]
    return int.from_bytes(hashlib.sha256(json.dumps(rows).encode()).digest()[:8], "big")
