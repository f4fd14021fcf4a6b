"""Pipeline files of the measurements. Bounds on latency are wide: a busy machine must not decide what is measured here."""

from __future__ import annotations

import tempfile
from pathlib import Path

HOLD = 10**9
"""As `per_step`: the release stays on its first step until something ends it."""
_TEXT = """\
name: bench
steps: [{steps}]
interval: {interval}
max_window: 60s
passes: 1
fails: 3
min_requests: {{per_check: 5, per_step: {per_step}}}
blind_after: 2m
step_timeout: 5m
ready_timeout: 30s
lease: 8s
checks:
  - {{name: error-ratio, kind: error_ratio, max: 1%, worse_than_stable: 0.5%}}
  - {{name: order-to-ack-p99, kind: latency, max: 8s, worse_than_stable: 1000, by_at_least: 5s}}
"""


def pipeline(folder: Path, *steps: str, interval: str = "1s", per_step: int = 10) -> str:
    """The file's path, in `folder`."""
    path = Path(tempfile.mkstemp(prefix="pipeline-", suffix=".yaml", dir=folder)[1])
    path.write_text(_TEXT.format(steps=", ".join(steps), interval=interval, per_step=per_step))
    return str(path)
