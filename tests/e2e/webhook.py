"""A stand-in for the pager: takes what Alertmanager posts, strictly, and remembers it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 1_000_000
_GROUP_KEYS = {"receiver", "groupKey", "groupLabels", "commonLabels", "commonAnnotations"}
_KEYS = _GROUP_KEYS | {"version", "status", "alerts", "truncatedAlerts", "externalURL"}
_ALERT_KEYS = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}


@dataclass(frozen=True)
class Told:
    """One alert as one notification told it."""

    path: str
    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    at_s: float
    """time.monotonic() of its arrival."""

    def has(self, **labels: str) -> bool:
        return labels.items() <= self.labels.items()


@dataclass
class Inbox:
    """Everything that arrived, in order; and what was not as Alertmanager's webhooks are."""

    port: int
    told: list[Told] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def firing(self, path: str, **labels: str) -> list[Told]:
        return [told for told in self.told if (told.path, told.status) == (f"/{path}", "firing") and told.has(**labels)]

    def resolved(self, path: str, **labels: str) -> list[Told]:
        return [told for told in self.told if (told.path, told.status) == (f"/{path}", "resolved") and told.has(**labels)]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether it is a notification."""
        try:
            alerts = _parse(headers, body)
        except (ValueError, KeyError, TypeError) as error:
            self.malformed.append(f"{path}: {error!r}: {body[:200]!r}")
            return False
        now_s, receiver = time.monotonic(), json.loads(body)["receiver"]
        self.told += [Told(path, receiver, a["status"], a["labels"], a["annotations"], now_s) for a in alerts]
        return True


def _parse(headers: dict[str, str], body: bytes) -> list[dict[str, Any]]:
    if headers.get("content-type") != "application/json":
        raise ValueError(f"content type {headers.get('content-type')}")
    data = json.loads(body)
    if set(data) != _KEYS or data["version"] != "4" or data["status"] not in ("firing", "resolved"):
        raise ValueError(f"keys {sorted(data)}")
    if data["truncatedAlerts"] != 0 or not data["alerts"]:
        raise ValueError("alerts are missing")
    for alert in data["alerts"]:
        if set(alert) != _ALERT_KEYS or alert["status"] not in ("firing", "resolved"):
            raise ValueError(f"alert keys {sorted(alert)}")
        words = {**alert["labels"], **alert["annotations"]}
        if not alert["labels"]["alertname"] or not all(isinstance(word, str) for word in words.values()):
            raise ValueError("labels")
    return list(data["alerts"])


@contextmanager
def webhook() -> Iterator[Inbox]:
    """An inbox behind a port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if 0 < length <= MAX_BODY else b""
            good = inbox.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200 if good else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    inbox = Inbox(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
