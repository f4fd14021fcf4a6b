"""A core in a process of its own, for tests that kill it or starve it: prints its port, then obeys lines on stdin.

usage: core_process.py <log_dir> <ack_policy> <segment_records>
`limit N` forbids files to grow past N bytes, as a full disk would; end of input stops the core.
"""

from __future__ import annotations

import resource
import sys

from engine import _core
from engine.types import EngineConfig, FirmLimits, InstrumentRules


def core_config(instruments=1, partitions=1, default_limits=None, **rules):
    """A core's configuration: instruments that are all alike, with InstrumentRules by name."""
    alike = InstrumentRules(**({"max_qty": 1_000_000} | rules))
    return EngineConfig((alike,) * instruments, default_limits or FirmLimits(), partitions=partitions).as_tuple()


def main() -> None:
    log_dir, ack_policy, segment_records = sys.argv[1:]
    core = _core.Core(config=core_config(), log_dir=log_dir, ack_policy=ack_policy, segment_records=int(segment_records))
    core.recover()
    print(core.listen("127.0.0.1", 0), flush=True)
    core.start()
    for line in sys.stdin:
        _, limit = line.split()
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
        print("done", flush=True)
    core.stop()


if __name__ == "__main__":
    main()
