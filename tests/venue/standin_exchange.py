"""Stands in for the `exchange` program: `gateway` and `core` with /readyz, /metrics, an echoing binary port.

argv[0] is a script that names the version it plays: standin_exchange.py --as VERSION gateway --name ...
Requests: GET /api/v1/boom answers 500; GET /api/v1/slow answers after a second.
"""

from __future__ import annotations

import argparse
import json
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def handler(name: str, version: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/api/v1/slow":
                time.sleep(1)
            self.answer(500 if path == "/api/v1/boom" else 200, path)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.answer(201, self.path)

        def answer(self, status: int, path: str) -> None:
            if path == "/metrics":
                body = b"exchange_log_seq_num 7\nexchange_log_durable_seq_num 7\nexchange_zombie_orders 0\n"
            else:
                body = json.dumps({"status": "ready", "version": version, "name": name}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if path == "/metrics" else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Gateway", name)
            self.send_header("X-Version", version)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(f"{self.server.name}\n".encode())  # type: ignore[attr-defined]
        while data := self.request.recv(4096):
            self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--as", dest="version", default="1.0.0")
    parser.add_argument("role")
    for option in ("name", "core", "keys", "link-key", "instruments", "log-dir", "ack-policy", "url", "key-file", "note"):
        parser.add_argument(f"--{option}")
    for option in ("--http-port", "--binary-port", "--link-port", "--admin-port"):
        parser.add_argument(option, type=int)
    options = parser.parse_args()
    name = options.name or options.role
    print(json.dumps({"ts": "2026-01-01T00:00:00Z", "level": "info", "event": "started", "name": name}), file=sys.stderr, flush=True)
    if options.role == "crash":
        sys.exit("this stand-in crashes")
    if options.binary_port:
        binary = EchoServer(("127.0.0.1", options.binary_port), Echo)
        binary.name = name  # type: ignore[attr-defined]
        threading.Thread(target=binary.serve_forever, daemon=True).start()
    WebServer(("127.0.0.1", options.http_port or options.admin_port), handler(name, options.version)).serve_forever()


if __name__ == "__main__":
    main()
