"""A core in a process of its own, for tests that kill it or starve it: prints its port, then obeys lines on stdin.

usage: core_process.py <log_dir> <ack_policy> <segment_records>
`limit N` forbids files to grow past N bytes, as a full disk would; end of input stops the core.
"""

from __future__ import annotations

import resource
import sys

from engine import _core


def main() -> None:
    log_dir, ack_policy, segment_records = sys.argv[1:]
    core = _core.Core(log_dir=log_dir, instrument_max_qty=[1_000_000], ack_policy=ack_policy, segment_records=int(segment_records))
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
