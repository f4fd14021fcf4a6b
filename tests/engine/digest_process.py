"""Runs days of trading on one engine and prints one digest of all reports and states per configuration.

usage: digest_process.py native|reference
"""

from __future__ import annotations

import hashlib
import sys

from tests.engine.engines import make_engine
from tests.engine.flow import CONFIGS, Flow


def main() -> None:
    for seed, config in enumerate(CONFIGS):
        engine = make_engine(sys.argv[1], config)
        digest = hashlib.sha256()
        for command in Flow(config, seed + 50).commands(500):
            reports = [report.as_tuple() for report in engine.apply(command)]
            digest.update(repr((reports, engine.state_hash())).encode())
        print(digest.hexdigest())


if __name__ == "__main__":
    main()
