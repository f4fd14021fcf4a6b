"""The machine's clocks. The only place of the toolkit that reads them."""

from __future__ import annotations

import time


class SystemClock:
    """Implements ops.ports.Clock. `monotonic_s` is the same for all processes of the machine and ends with its boot."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()  # noqa: TID251 - the edge

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
