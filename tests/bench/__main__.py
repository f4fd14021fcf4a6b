"""`make bench`: measure, print each figure beside its bar, write build/bench.json. `--only NAME` measures one part."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.bench.figures import BY_DEFAULT, FIGURES, LIMIT_S, PARTS
from tests.bench.report import Results, finish, reason

RESULT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


class PartTooLong(BaseException):
    """Not an Exception: a part's own handlers let it through, their clean-up runs."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure. Without --only: all but the demo.")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be given again")
    parser.add_argument("--result", type=Path, default=RESULT, help="where the rows go (%(default)s)")
    options = parser.parse_args(arguments)
    parts = [name for name in PARTS if name in (options.only or BY_DEFAULT)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    signal.signal(signal.SIGALRM, _too_long)
    results = Results([f for f in FIGURES if f.part in parts and (not f.asked or os.environ.get(f.asked))])
    for part in parts:
        measure(part, results)
    return finish(results.rows, options.result)


def measure(part: str, results: Results) -> None:
    module = importlib.import_module(f"tests.bench.part_{part}")
    results.say(f"{part} ...")
    try:
        if prepare := getattr(module, "prepare", None):
            prepare(results.part(part))
        signal.alarm(LIMIT_S[part])
        module.measure(results.part(part))
    except (Exception, PartTooLong) as error:  # its rows tell, the other parts go on
        results.failed(part, reason(error))
        results.say(f"{part}: FAILED: {reason(error)}")
    finally:
        signal.alarm(0)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise PartTooLong("the part took longer than its limit")


if __name__ == "__main__":
    sys.exit(main())
