"""`PYTHON -P -m engine.tools.stream`: one build's reports over a log, for another program to compare. One JSON object a line.

Without --reports: a first line with what this build is, then a line for every --chunk commands with the digest of all reports so far,
and a last one with the state hash. With --reports FIRST LAST: every command in that range with its reports, field by field. Snapshots
are not used: they may be of the other build. Only what is in this file is a contract between builds; fields are told by name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from engine import COMMIT, __version__
from engine.config import VenueError
from engine.tools.edge import NO_LIMIT, LogFiles, Partition, Wanted, log_errors, open_log, run_through, run_to

FORMAT = 1
CHUNK_COMMANDS = 65_536


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or that of the VenueError, whose message goes to stderr."""
    parser = argparse.ArgumentParser(prog="engine.tools.stream", description="Digests or reports of a log's replay, as JSON lines.")
    parser.add_argument("--log-dir", type=Path, required=True)
    parser.add_argument("--instruments", type=Path, required=True)
    parser.add_argument("--limits", type=Path)
    parser.add_argument("--partition", type=int, default=0)
    parser.add_argument("--until", type=int, default=NO_LIMIT)
    parser.add_argument("--chunk", type=int, default=CHUNK_COMMANDS)
    parser.add_argument("--reports", type=int, nargs=2, metavar=("FIRST", "LAST"))
    options = parser.parse_args(arguments)
    try:
        partition = open_log(LogFiles(options.log_dir, options.instruments, options.limits)).partitions[options.partition]
        lines = reports(partition, *options.reports) if options.reports else digests(partition, options.chunk, options.until)
        with log_errors(partition.folder):
            for line in lines:
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()
    except VenueError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 0  # the reader has seen enough
    return 0


def digests(partition: Partition, chunk: int, until: int) -> Iterator[dict[str, object]]:
    """What this build is, then every chunk, then the end."""
    replayer = partition.replayer()
    replayer.want_digest(True)
    yield {"format": FORMAT, "version": __version__, "commit": COMMIT}
    reports_in_all, end = 0, 0
    while True:
        end = min(end + chunk, until)
        more = True
        while more:
            _, count, more = replayer.run(seq_num=end)
            reports_in_all += count
        seq_num = replayer.place()[0]
        yield {"seq_num": seq_num, "reports": reports_in_all, "digest": f"{replayer.digest():016x}"}
        if seq_num < end or end == until:
            break
    yield {"end": seq_num, "state_hash": f"{replayer.engine().state_hash():016x}"}


def reports(partition: Partition, first: int, last: int) -> Iterator[dict[str, object]]:
    """Every command of first..last with what came of it."""
    replayer = partition.replayer()
    run_through(replayer, seq_num=first - 1)
    kept = run_to(replayer, seq_num=last, wanted=Wanted(everything=True))
    for seq_num, group in groupby(kept, key=lambda pair: pair[0].seq_num):
        pairs = list(group)
        command = {name: getattr(pairs[0][1], name) for name in pairs[0][1].__dataclass_fields__}
        yield {"seq_num": seq_num, "command": command, "reports": [pair[0]._asdict() for pair in pairs]}


if __name__ == "__main__":
    sys.exit(main())
