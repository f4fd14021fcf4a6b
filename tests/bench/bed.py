"""A whole venue to measure: started by `opsctl up` in a short folder, looked at from outside, ended whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ops import wiring
from ops.adapters.clock import SystemClock
from ops.adapters.local import end_processes, processes_marked
from ops.ports import Event
from ops.venue.files import load_existing
from ops.venue.model import Layout, Venue

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
POLL_S = 0.002
COMMAND_LIMIT_S = 60.0


class BenchError(Exception):
    """Something did not happen as the measurement needs it."""


def need(true: object, what: str) -> None:
    if not true:
        raise BenchError(what)


def until(ask: Callable[[], object], what: str, seconds: float = COMMAND_LIMIT_S, pause_s: float = 0.01) -> None:
    end_s = time.monotonic() + seconds
    while not ask():
        need(time.monotonic() < end_s, f"not within {seconds:g} s: {what}")
        time.sleep(pause_s)


def bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OPSCTL_", "EXCHANGE_"))}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `began_s` and `ended_s` are unix seconds, from just before its start to within POLL_S of its end."""

    code: int
    out: str
    err: str
    began_s: float
    ended_s: float

    @property
    def seconds(self) -> float:
        return self.ended_s - self.began_s

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    def require(self, code: int, what: str) -> Self:
        need(
            self.code == code, f"{what} ended with exit code {self.code}, not {code}: {self.err.strip()[-300:] or self.out.strip()[-300:]}"
        )
        return self


class Running:
    """A command beside the bench, in a process group of its own. Use as `with`."""

    def __init__(self, argv: list[str], environment: Mapping[str, str]) -> None:
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._began_s = time.time()
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, env=environment, start_new_session=True, cwd=ROOT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)
        self._out.close()
        self._err.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def age_s(self) -> float:
        return time.time() - self._began_s

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, seconds: float = COMMAND_LIMIT_S) -> Done:
        """Waits for its own end, and sees it within POLL_S."""
        until(lambda: not self.alive, "the end of a command", seconds, POLL_S)
        ended_s = time.time()
        return Done(self._process.returncode, _text(self._out), _text(self._err), self._began_s, ended_s)

    def stop(self) -> Any:
        """Of a flow: no more requests, and its totals."""
        need(self.alive, "the order flow ended early")
        self.signal(signal.SIGINT)
        return self.end(30).require(0, "the order flow").data


def _text(file: Any) -> str:
    file.seek(0)
    return bytes(file.read()).decode(errors="replace")


class Bed:
    """The venue in `state`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.environment = bare_environment() | {"OPSCTL_STATE": str(state), "PYTHONUNBUFFERED": "1"}
        self._seed = 0

    def start(self, *arguments: str) -> Running:
        return Running([str(BIN / "opsctl"), *arguments], self.environment)

    def opsctl(self, *arguments: str, code: int | None = 0, seconds: float = COMMAND_LIMIT_S) -> Done:
        with self.start(*arguments) as running:
            done = running.end(seconds)
        return done if code is None else done.require(code, f"`opsctl {' '.join(arguments)}`")

    def up(self, gateways: int) -> Done:
        return self.opsctl("up", "--gateways", str(gateways), "--timeout", "50")

    @property
    def layout(self) -> Layout:
        return Layout(self.state)

    @property
    def venue(self) -> Venue:
        return load_existing(self.state)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.venue.ports.http}"

    def flow_words(self, rate: float, orders_only: bool = False) -> list[str]:
        """The real flow, or the measuring client: the flow's orders without its cancels and looks."""
        self._seed += 1
        program = [sys.executable, "-m", "tests.bench.load"] if orders_only else [str(BIN / "exchange"), "flow", "--output", "json"]
        return [*program, "--url", self.url, "--rate", str(rate), "--seed", str(self._seed), "--key-file", str(self.layout.demo_key)]

    @contextmanager
    def flow(self, rate: float, answered: Callable[[], object], orders_only: bool = False) -> Iterator[Running]:
        """Order flow beside; entered once `answered` says that its requests arrive."""
        with Running(self.flow_words(rate, orders_only), self.environment) as flow:
            until(lambda: not flow.alive or answered(), "the flow's first requests")
            yield flow

    def send(self, count: int, rate: float) -> Any:
        """That many requests of the flow; its totals."""
        with Running([*self.flow_words(rate), "--count", str(count)], self.environment) as flow:
            return flow.end(60).require(0, "the order flow").data

    def events(self, kind: str, stream: str | None = None) -> list[Event]:
        return [e for e in wiring.store(self.state).events(stream) if e.kind == kind]

    def pids(self, names: tuple[str, ...]) -> list[int]:
        return [p.pid for p in wiring.supervisor(self.state).programs() if p.name in names and p.pid]

    def close(self) -> None:
        try:
            with suppress(BenchError):
                self.opsctl("down", code=None)
        finally:
            marker = f"unix://{self.layout.supervisor_socket}"
            end_processes(processes_marked("SUPERVISOR_SERVER_URL", marker), SystemClock(), grace_s=1.0)


@contextmanager
def bed() -> Iterator[Bed]:
    """An empty state folder; what runs in it is ended, and the folder removed, afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))  # short: unix sockets lie in it
    try:
        venue = Bed(folder / "s")
        venue.state.mkdir(mode=0o700)
        try:
            yield venue
        finally:
            venue.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
