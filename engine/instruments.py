"""What the core is told of its instruments, and the list's fingerprint: all must mean the same by an index and a tick."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from engine.types import EngineConfig, FirmLimits, Instrument

ConfigTuple = tuple[list[tuple[int, ...]], tuple[int, ...], int, int, int, int, int]
"""(instruments, default limits, max_live_orders, limit_state_ns, halt_ns, partitions, partition): what `_core` takes."""


def instruments_digest(instruments: Sequence[Instrument]) -> int:
    """64 bits over every field of every instrument, in the list's order. `0.010` and `0.01` are the same tick."""
    rows = [[one.symbol, f"{one.tick_size.normalize():f}", *one.rules().as_tuple()] for one in instruments]
    return int.from_bytes(hashlib.sha256(json.dumps(rows).encode()).digest()[:8], "big")


def partition_config(
    instruments: Sequence[Instrument], default_limits: FirmLimits | None = None, partitions: int = 1, partition: int = 0
) -> EngineConfig:
    """One partition's configuration. A log is bound to it: a replay under other rules would diverge."""
    rules = tuple(one.rules() for one in instruments)
    return EngineConfig(rules, default_limits or FirmLimits(), partitions=partitions, partition=partition)


def engine_config(
    instruments: Sequence[Instrument], default_limits: FirmLimits | None = None, partitions: int = 1, partition: int = 0
) -> ConfigTuple:
    """The same, as `_core` takes it."""
    return partition_config(instruments, default_limits, partitions, partition).as_tuple()
