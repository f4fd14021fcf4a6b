"""Parts that the gateway's, the core's and the flow's tests share: keys, cores (real, killable, fake), waiting without sleeping blindly."""

import asyncio
import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from engine import _core
from engine.config import default_instruments_path, load_instruments
from engine.gateway.process import Gateway, GatewaySettings
from engine.instruments import engine_config, instruments_digest
from engine.keys import new_key, save_keys
from engine.logs import JsonLog

DEADLINE_S = 60.0
PACKAGED = default_instruments_path()
INSTRUMENTS = load_instruments(PACKAGED)
DIGEST = instruments_digest(INSTRUMENTS)


async def eventually(condition, what, deadline_s=DEADLINE_S):
    """Poll until the condition gives something true, and return that."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {deadline_s} s: {what}")


class Keys:
    """A keys file with one key of each kind; `token[name]` is what a member would send."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = {}
        self.entries = []
        self.add("desk", firm=7)
        self.add("rival", firm=8)
        self.add("reader", firm=7, permissions=("read",))
        self.add("slow", firm=7, rate_per_s=1, burst=2)

    def add(self, key_id, firm, permissions=("trade", "read"), rate_per_s=100_000, burst=None):
        self.token[key_id], entry = new_key(key_id, firm, permissions, rate_per_s, burst)
        self.entries.append(entry)
        save_keys(self.path, self.entries)

    def remove(self, key_id):
        self.entries = [entry for entry in self.entries if entry.id != key_id]
        save_keys(self.path, self.entries)


class LogLines:
    """A stream for JsonLog that remembers its lines."""

    def __init__(self) -> None:
        self.lines = []

    def write(self, text):
        self.lines.append(json.loads(text))

    def flush(self):
        pass

    def events(self):
        return [line["event"] for line in self.lines]


class Process:
    """`exchange ...` as a real process; its JSON log is read as it comes."""

    def __init__(self, *arguments, env=None) -> None:
        command = [sys.executable, "-m", "engine.cli", *map(str, arguments)]
        self.child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=Path(__file__).parents[2],
        )
        self._lines = queue.Queue()
        self.seen = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.child.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def event(self, name, deadline_s=DEADLINE_S):
        """The fields of the next log line of that event."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {name} in {deadline_s} s: {self.seen}") from None
            assert line is not None, f"the process ended before {name}: {self.seen}"
            self.seen.append(line)
            if line.startswith("{") and (fields := json.loads(line))["event"] == name:
                return fields

    def signal(self, number):
        self.child.send_signal(number)

    def is_stopped(self):
        """True when SIGSTOP has reached every thread."""
        stats = [path.read_text() for path in Path(f"/proc/{self.child.pid}/task").glob("*/stat")]
        return all(stat.rpartition(") ")[2].startswith("T") for stat in stats)

    def wait(self, deadline_s=DEADLINE_S):
        code = self.child.wait(deadline_s)
        self._reader.join(deadline_s)
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                self.seen.append(line)
        return code

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        self.child.stdout.close()
        self.child.stderr.close()


@contextlib.contextmanager
def process(*arguments, env=None):
    started = Process(*arguments, env=env)
    try:
        yield started
    finally:
        started.close()


def core_process(log_dir, link_port=0, *more, ack_policy="memory"):
    return process("core", "--log-dir", log_dir, "--link-port", link_port, "--admin-port", 0, "--ack-policy", ack_policy, *more)


@contextlib.contextmanager
def running_core(log_dir, port=0, instruments=INSTRUMENTS, **options):
    """The real core in this process. Yields (core, port)."""
    log_dir.mkdir(parents=True, exist_ok=True)
    settings = {"config": engine_config(instruments), "ack_policy": "memory", "instruments_digest": instruments_digest(instruments)}
    core = _core.Core(log_dir=str(log_dir), **(settings | options))
    core.recover()
    bound = core.listen("127.0.0.1", port)
    core.start()
    try:
        yield core, bound
    finally:
        core.stop()


def free_port():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def running_gateway(
    core_port, keys_path, log=None, max_requests=1024, wait_for_link=True, notice_s=0, instruments=PACKAGED, **options
):
    """A gateway in this event loop. It leaves without notice, so that tests need not wait for it."""
    options |= {"max_requests": max_requests, "notice_s": notice_s}
    settings = GatewaySettings("gateway-t", "127.0.0.1", core_port, keys_path, instruments, **options)
    gateway = Gateway(settings, JsonLog(stream=log or LogLines()))
    await gateway.start()
    try:
        if wait_for_link:
            await eventually(lambda: gateway.link.is_up, "the link is up")
        yield gateway
    finally:
        await gateway.stop()


def reply_frame(request_id, **fields):
    """A reply's frame; what is not given is 0, of a command that was taken."""
    names = ("seq_num", "order_id", "status", "reason", "order_qty", "cum_qty", "leaves_qty")
    numbers = [int(fields.get(name, 0)) for name in names]
    return _core.encode_reply(request_id, *numbers, fields.get("fills", []), fields.get("value", 0), fields.get("limit", 0))


def depth_frame(request_id, bids=(), asks=(), last_trade=None, state=2, limit_state=False, indicative=(0, 0, 0)):
    """A depth answer; by default of an empty book in continuous trading."""
    return _core.encode_depth(request_id, 0, list(bids), list(asks), last_trade, int(state), limit_state, indicative)


class FakeCore:
    """Speaks the core's end of the link as a test wants it: it welcomes, remembers requests, and answers only when told.

    The gateway's own asks (reads without levels) are counted apart; they are answered while `fresh` says so. `answers` are sent
    to the next requests, one each: functions of the request's id that give a frame.
    """

    def __init__(self, epoch=1, welcome=True, digest=DIGEST, fresh=False, answers=()) -> None:
        self.epoch, self.welcome, self.digest, self.fresh = epoch, welcome, digest, fresh
        self.answers = list(answers)
        self.requests = []
        self.asks = 0
        self.writers = []
        self.port = 0
        self._server = None

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.drop()

    def drop(self):
        """Break every link at once."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def send(self, data):
        for writer in self.writers:
            writer.write(data)

    async def _serve(self, reader, writer):
        self.writers.append(writer)
        decoder = _core.FrameDecoder()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65536):
                for item in decoder.feed(data):
                    if item[0] == "hello":
                        if self.welcome:
                            writer.write(_core.encode_welcome(self.epoch, 0, self.digest))
                    elif item[0] == "depth_request" and item[3] == 0:
                        self.asks += 1
                        if self.fresh:
                            writer.write(depth_frame(item[1]))
                    else:
                        self.requests.append(item)
                        if self.answers:
                            writer.write(self.answers.pop(0)(item[1]))
        writer.close()
