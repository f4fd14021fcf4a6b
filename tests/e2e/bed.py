"""A whole venue for a test: started by `opsctl up`, looked at from outside, and ended whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from urllib.request import urlopen

from venue.helpers import free_port

import engine
from ops import wiring
from ops.adapters.haproxy_socket import RuntimeSocket
from ops.adapters.supervisor import SupervisorDaemon
from ops.conventions import Pool
from ops.errors import OpsError, TrafficUnavailable
from ops.ports import Event
from ops.venue.files import load_existing
from ops.venue.model import PROBE, Layout, Venue

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
FIRST, GOOD, BAD = engine.__version__, "1.1.0", "1.2.0"
"""What a new venue runs, a release as good as that, and the demo's bad one."""
LONG_S = 90.0
"""Only so that nothing hangs: how long something takes is nowhere asserted."""

HOLD = 10**9
"""As `per_step`: the release stays on its first step until something ends it."""


def until(ask: Callable[[], T], what: str, seconds: float = LONG_S) -> T:
    """The first true answer of `ask`; fails after `seconds`."""
    end_s, pause = time.monotonic() + seconds, threading.Event()
    while not (answer := ask()):
        assert time.monotonic() < end_s, f"not within {seconds:g} s: {what}"
        pause.wait(0.02)
    return answer


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What --output json printed: stdout holds it and nothing else."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Running:
    """A command that runs beside the test, in a process group of its own."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], logs: Path) -> None:
        self._out, self._err = logs.with_suffix(".out"), logs.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, start_new_session=True, cwd=ROOT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def err(self) -> str:
        return self._err.read_text()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, seconds: float = LONG_S) -> Done:
        """Waits for its own end. A traceback is shown to nobody, whatever happened."""
        code = self._process.wait(seconds)
        done = Done(code, self._out.read_text(), self.err)
        assert "Traceback" not in done.err, str(done)
        return done

    def kill(self) -> None:
        if self.alive:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(10)


class Flow(Running):
    def stop(self) -> dict[str, Any]:
        """Ends the flow and returns its totals."""
        assert self.alive, self.end()
        self.signal(signal.SIGINT)
        done = self.end()
        assert done.code == 0, str(done)
        return dict(done.data)


class Watch:
    """The largest share of new requests that the canary ever had, read from HAProxy many times a second."""

    def __init__(self, share: Callable[[], Fraction | None]) -> None:
        self._share, self.most = share, Fraction(0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.03):
            self.most = max(self.most, self._share() or Fraction(0))

    def end(self) -> None:
        self._stop.set()
        self._thread.join(10)


class Bed:
    """A venue in a folder of its own, with both releases on its shelf."""

    def __init__(self, folder: Path, gateways: int) -> None:
        self.folder, self.state, self.gateways = folder, folder / "s", gateways
        self.state.mkdir(mode=0o700)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPSCTL_", "EXCHANGE_"))}
        self.environment = kept | {"OPSCTL_STATE": str(self.state), "PYTHONUNBUFFERED": "1"}
        self._numbers, self._running, self._kept = count(1), list[Running](), list[Running]()

    # --- commands

    def start(self, *arguments: str) -> Running:
        """`opsctl ARGUMENTS`, running beside the test."""
        return self._begin(Running, "opsctl", *arguments)

    def opsctl(self, *arguments: str, code: int | None = 0) -> Done:
        """`opsctl ARGUMENTS`, ended with the exit code `code` (None: any)."""
        done = self.start(*arguments).end()
        assert code is None or done.code == code, f"opsctl {' '.join(arguments)}: {done}"
        return done

    def deploy(self, version: str, pipeline: Path, *more: str) -> Running:
        return self.start("deploy", version, "--pipeline", str(pipeline), "--output", "json", *more)

    @contextmanager
    def flow(self, rate: int = 200) -> Iterator[Flow]:
        number = next(self._numbers)
        words = ("flow", "--url", self.url, "--rate", str(rate), "--seed", str(number), "--output", "json")
        flow = self._begin(Flow, "exchange", *words, "--key-file", str(self.state / "demo.key"))
        try:
            before = self.requests()
            until(lambda: not flow.alive or self.requests() > before, "the flow's first request")
            assert flow.alive, flow.end()
            yield flow
        finally:
            flow.kill()

    def sample(self, requests: int = 200) -> dict[str, Any]:
        """What that many requests get now."""
        words = ("--url", self.url, "--rate", "200", "--count", str(requests), "--seed", str(next(self._numbers)), "--output", "json")
        done = self._begin(Flow, "exchange", "flow", *words, "--key-file", str(self.state / "demo.key")).end()
        assert done.code == 0, str(done)
        return dict(done.data)

    def _begin(self, kind: type[T], program: str, *arguments: str) -> T:
        logs = self.folder / f"{program}-{next(self._numbers)}"
        running = kind([str(BIN / program), *arguments], self.environment, logs)  # type: ignore[call-arg]
        self._running.append(running)  # type: ignore[arg-type]
        return running

    # --- the venue

    def up(self) -> None:
        self.opsctl("up", "--gateways", str(self.gateways), "--http-port", str(free_port(self.state)), "--timeout", "60")

    @property
    def venue(self) -> Venue:
        return load_existing(self.state)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.venue.ports.http}"

    @property
    def prometheus(self) -> str:
        return f"http://127.0.0.1:{self.venue.ports.prometheus}"

    @property
    def supervisor(self) -> SupervisorDaemon:
        return wiring.supervisor(self.state)

    def pid(self, name: str) -> int:
        """0 when it does not run."""
        try:
            return next(program.pid for program in self.supervisor.programs() if program.name == name)
        except OpsError:
            return 0

    def status(self) -> Any:
        return self.opsctl("status", "--output", "json", code=None).data

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """That process neither answers nor ends: the worst way to be away."""
        pid = self.pid(name)
        assert pid, f"{name} runs"
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """No request but the test's own: the desk probe does not run."""
        self.supervisor.stop([PROBE])
        try:
            yield
        finally:
            self.supervisor.start(PROBE)

    def sees(self, track: str) -> set[str]:
        """Versions of the gateways that the venue's Prometheus scrapes now under that track."""
        question = urlencode({"query": f'exchange_build_info{{track="{track}"}} and timestamp(exchange_build_info) > time() - 2'})
        try:
            with urlopen(f"{self.prometheus}/api/v1/query?{question}", timeout=5) as answer:
                return {row["metric"]["version"] for row in json.load(answer)["data"]["result"]}
        except OSError:
            return set()

    # --- HAProxy, asked by the test itself

    def weights(self) -> dict[str, int]:
        """Weight by gateway; both backends must agree. Raises TrafficUnavailable."""
        rows = RuntimeSocket(Layout(self.state).haproxy_socket).table("show stat -1 4 -1")
        web, raw = ({row["svname"]: int(row["uweight"]) for row in rows if row["pxname"] == name} for name in ("http", "binary"))
        assert web.keys() == raw.keys()
        return {name: max(web[name], raw[name]) for name in web}

    def share(self) -> Fraction | None:
        """The part of new requests that goes to the pool that is not stable; None when HAProxy does not answer."""
        venue = self.venue
        return self.share_of(venue.roles.stable.other)

    def share_of(self, pool: Pool) -> Fraction | None:
        try:
            weights = self.weights()
        except TrafficUnavailable:
            return None
        whole = sum(weights.values())
        return Fraction(sum(weights[name] for name in self.venue.names(pool)), whole) if whole else Fraction(0)

    def served(self) -> dict[str, int]:
        """Requests given to each gateway since HAProxy started."""
        rows = RuntimeSocket(Layout(self.state).haproxy_socket).table("show stat -1 4 -1")
        return {row["svname"]: int(row["stot"]) for row in rows if row["pxname"] == "http"}

    def requests(self) -> int:
        return sum(self.served().values())

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        watch = Watch(self.share)
        try:
            yield watch
        finally:
            watch.end()

    # --- the journal

    def events(self, kind: str = "", stream: str | None = None) -> tuple[Event, ...]:
        return tuple(e for e in wiring.store(self.state).events(stream) if kind in ("", e.kind))

    def last_stream(self) -> str:
        return self.events("release.started")[-1].stream

    def asked_shares(self, stream: str) -> list[float]:
        return [e.data["share"] for e in self.events("weight.asked", stream)]

    def canary_at(self, running: Running, share: Fraction) -> None:
        """Until the canary of the release that `running` ships has that share, and the controller has seen it: who kills the splitter
        while the weight is still being read back gets a rollback, which is right."""
        until(lambda: not running.alive or (self.share() == share and self._applied(share)), f"the canary at {share}")
        assert running.alive, running.end()

    def _applied(self, share: Fraction) -> bool:
        applied = self.events("weight.applied", self.last_stream())
        return bool(applied) and applied[-1].data["share"] == float(share)

    def checked(self, running: Running, rounds: int = 1) -> None:
        """Until that many rounds of the present release are recorded."""
        until(lambda: not running.alive or len(self.events("check", self.last_stream())) >= rounds, f"{rounds} rounds of checks")
        assert running.alive, running.end()

    # --- ends

    def keep_running(self) -> None:
        """What was started so far runs on through `reset`."""
        self._kept = [running for running in self._running if running.alive]

    def _end_commands(self) -> None:
        for running in self._running:
            if running not in self._kept:
                running.kill()
        self._running = list(self._kept)

    def reset(self) -> None:
        """As it was: nothing of ours runs, no release is under way, users are on the first version, every process is up."""
        self._end_commands()
        self.opsctl("up", "--timeout", "60")
        left = wiring.store(self.state)
        started, ended = ([e.stream for e in left.events() if e.kind == kind] for kind in ("release.started", "release.ended"))
        if set(started) - set(ended) or self.venue.roles.stable_version != FIRST:
            self.opsctl("rollback", "--reason", "the test is over", code=None)
        assert self.venue.roles.stable_version == FIRST
        until(lambda: self.share() == 0, "no weight on the canary")

    def close(self) -> None:
        self._kept.clear()
        self._end_commands()
        try:
            self.opsctl("down", code=None)
        finally:
            self.supervisor.clear()  # the supervisor itself too: `down` may be what is broken


@contextmanager
def venue_bed(shelve: Callable[[Path], None], gateways: int) -> Iterator[Bed]:
    """A venue that is up, with both releases on its shelf; all of it ended and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="v", dir="/tmp"))
    try:
        bed = Bed(folder, gateways)
        try:
            shelve(bed.state)
            bed.up()
            yield bed
        finally:
            bed.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


PIPELINE = """
name: test
steps: [{steps}]
interval: {interval}
max_window: 30s
passes: {passes}
fails: 3
min_requests: {{per_check: {per_check}, per_step: {per_step}}}
blind_after: {blind_after}
step_timeout: 2m
ready_timeout: 60s
lease: {lease}
checks:
  - {{name: error-ratio, kind: error_ratio, max: 1%, worse_than_stable: 0.5%}}
  # Wide: a machine that compiles beside the tests must not fail a release here.
  - {{name: order-to-ack-p99, kind: latency, max: 8s, worse_than_stable: 1000, by_at_least: 5s}}
"""


def pipeline(
    folder: Path,
    *steps: str,
    interval: str = "1s",
    passes: int = 1,
    per_check: int = 5,
    per_step: int = 10,
    blind_after: str = "60s",
    lease: str = "5s",
) -> Path:
    """A pipeline file made for tests: what takes minutes in production takes seconds in it."""
    said = {"interval": interval, "passes": passes, "per_check": per_check, "per_step": per_step}
    path = Path(tempfile.mkstemp(prefix="pipeline-", suffix=".yaml", dir=folder)[1])
    path.write_text(PIPELINE.format(steps=", ".join(steps), blind_after=blind_after, lease=lease, **said))
    return path
