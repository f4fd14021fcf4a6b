"""The measuring client, a process of its own: orders only, on an open-loop schedule, until it is over or SIGINT. Prints totals as JSON.

python -m tests.bench.load --url http://127.0.0.1:8080 --key-file FILE --rate 200 --seconds 5 --seed 1
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random

from engine.config import default_instruments_path, load_instruments
from engine.flow.edge import stop_on_signals
from engine.flow.generate import generate
from engine.flow.model import Add, FlowSettings, Intent
from engine.flow.runner import run
from engine.gateway.model import listings


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, help="default: until SIGINT")
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    market = listings(load_instruments(default_instruments_path()))
    orders: Iterable[Intent] = (intent for intent in generate(market, Random(options.seed)) if isinstance(intent, Add))
    if options.seconds is not None:
        orders = list(islice(orders, round(options.rate * options.seconds)))  # made before the clock starts
    token = options.key_file.read_text().strip()
    gc.freeze()
    with stop_on_signals() as stop:
        result = run(FlowSettings(options.url, token, rate_per_s=options.rate), orders, stop=stop)
    print(json.dumps(result.as_dict()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
