"""Figures that Prometheus scrapes in the bench, and the webhook that its pages come to: one small server in a thread.

Counters are computed from the time of the scrape alone, so that a break begins at the very instant that was planned.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Source:
    """One target: `rate` requests a second, of which `share` fails from `from_s` to `to_s` (Unix seconds). Dead from `dies_s` on.
    `singles`: (Unix seconds, failed) of requests one by one, in place of a rate."""

    rate: float = 0.0
    began_s: float = 0.0
    from_s: float = math.inf
    to_s: float = math.inf
    share: float = 1.0
    dies_s: float = math.inf
    singles: tuple[tuple[float, bool], ...] = ()
    sets: int = 1
    """Label sets over which the counts are spread."""
    names: tuple[str, ...] = ("requests",)
    """Metric names: each has its own `_total` and `_errors_total`."""

    def text(self, now_s: float) -> str:
        total = math.floor(self.rate * (now_s - self.began_s)) + sum(at_s <= now_s for at_s, _ in self.singles)
        seconds = max(0.0, min(now_s, self.to_s) - self.from_s) if self.from_s < math.inf else 0.0
        failed = math.floor(self.rate * seconds * self.share) + sum(at_s <= now_s and bad for at_s, bad in self.singles)
        lines = []
        for name in self.names:
            for kind, count in (("total", total), ("errors_total", failed)):
                lines.append(f"# TYPE bench_{name}_{kind} counter")
                lines += [f'bench_{name}_{kind}{{part="{part}"}} {count / self.sets:.3f}' for part in range(self.sets)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of one notification."""

    at_s: float
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass
class Exporter:
    """GET /metrics/<name> is the source of that name; POST /page is the webhook. Use as `with`."""

    sources: dict[str, Source] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    def __enter__(self) -> Exporter:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source, now_s = outer.sources.get(self.path.rpartition("/")[2]), time.time()
                if source is None or now_s >= source.dies_s:
                    self.send_error(503)
                    return
                self._answer(source.text(now_s).encode())

            def do_POST(self) -> None:
                now_s, body = time.time(), self.rfile.read(int(self.headers["Content-Length"]))
                outer.told += [Told(now_s, a["status"], a["labels"], a["annotations"]) for a in json.loads(body)["alerts"]]
                self._answer(b"{}")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def pages(self, exchange: str, since_s: float) -> list[Told]:
        """Pages of that venue first told after `since_s`, oldest first."""
        told = [t for t in self.told if t.labels.get("exchange") == exchange and t.status == "firing" and t.at_s >= since_s]
        return [t for t in told if t.labels.get("severity") == "page"]
