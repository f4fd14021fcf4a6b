"""supervisord, the library `supervisor`, as a detached process of its own: started, asked, ended.

Whatever it starts carries SUPERVISOR_SERVER_URL with the path of this venue's socket, so processes that outlive a killed
supervisord are found and ended before another one starts: two cores must never write one order log.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.adapters.local import command_line, end_processes, processes_marked, tail
from ops.adapters.supervisor_rpc import ALREADY_STARTED, BAD_NAME, NOT_RUNNING, SPAWN_ERROR, Fault, SupervisorRpc
from ops.errors import ClusterUnavailable, Unavailable
from ops.ports import Clock

BOOT_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 20.0
"""Longer than every program's own time from SIGTERM to SIGKILL."""
POLL_S = 0.02
FILES_SOFT_LIMIT = 8192
_KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "OPSCTL_DECLARED")
"""The only variables that go from the person's shell into the venue: keys and tokens stay behind."""
_STARTED = "supervisord started with pid"
_EXITED = re.compile(r" exited: (\S+) \(")
_BUSY = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


@dataclass(frozen=True, slots=True)
class SupervisedProgram:
    """Implements ops.venue.model.Program."""

    name: str
    state: str
    pid: int
    started_at_s: float
    detail: str


class SupervisorDaemon:
    """Implements ops.venue.model.Supervisor."""

    def __init__(self, conf: Path, socket: Path, pidfile: Path, logs: Path, clock: Clock) -> None:
        self._conf, self._socket, self._pidfile, self._logs, self._clock = conf, socket, pidfile, logs, clock
        self.rpc = SupervisorRpc(socket)

    def alive(self) -> bool:
        try:
            return bool(self.rpc.call("getState")["statename"] == "RUNNING")
        except (ClusterUnavailable, Fault):
            return False

    def boot(self) -> None:
        self.clear()
        with (self._logs / "supervisord.out").open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor.supervisord", "-n", "-c", str(self._conf)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                cwd=self._conf.parent, env={name: os.environ[name] for name in _KEPT if name in os.environ},
            )  # fmt: skip
        end_s = self._clock.monotonic_s() + BOOT_TIMEOUT_S
        while not self.alive():
            if child.poll() is not None or self._clock.monotonic_s() > end_s:
                said = "\n".join(tail(self._logs / "supervisord.out", 5))
                raise Unavailable(f"the supervisor did not start:\n{said}", hint=f"see {self._logs}/supervisord.out")
            self._clock.sleep(POLL_S)
        child.returncode = 0  # it lives on by itself: nobody waits for it, and Popen shall not complain of that

    def programs(self) -> tuple[SupervisedProgram, ...]:
        return tuple(_program(info) for info in self.rpc.call("getAllProcessInfo"))

    def start(self, name: str) -> None:
        try:
            self.rpc.call("startProcess", name, False)
        except Fault as fault:
            if fault.code in (ALREADY_STARTED, SPAWN_ERROR):  # a spawn error is tried again by the supervisor, and seen in its state
                return
            raise ClusterUnavailable(f"the supervisor cannot start {name}: {fault}", hint=f"see `opsctl logs {name}`") from fault

    def stop(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                self.rpc.call("stopProcess", name, False)
            except Fault as fault:
                if fault.code not in (NOT_RUNNING, BAD_NAME):
                    raise ClusterUnavailable(f"the supervisor cannot stop {name}: {fault}") from fault
        end_s = self._clock.monotonic_s() + STOP_TIMEOUT_S
        while left := [program.name for program in self.programs() if program.name in names and program.state in _BUSY]:
            if self._clock.monotonic_s() > end_s:
                raise ClusterUnavailable(f"{', '.join(left)} did not end within {STOP_TIMEOUT_S:g} s")
            self._clock.sleep(POLL_S)

    def reread(self, name: str) -> None:
        try:
            self.rpc.call("signalProcess", name, "HUP")
        except Fault as fault:
            raise ClusterUnavailable(f"the supervisor cannot signal {name}: {fault}", hint=f"see `opsctl logs {name}`") from fault

    def shutdown(self) -> None:
        try:
            self.rpc.call("shutdown")
        except (ClusterUnavailable, Fault):
            pass
        else:
            self._await_end()
        self.clear()

    def clear(self) -> None:
        end_processes(self._daemon(), self._clock, grace_s=STOP_TIMEOUT_S)
        end_processes(processes_marked("SUPERVISOR_SERVER_URL", f"unix://{self._socket}"), self._clock, grace_s=5.0)
        for path in (self._socket, self._pidfile):
            path.unlink(missing_ok=True)

    def leftovers(self) -> tuple[int, ...]:
        return processes_marked("SUPERVISOR_SERVER_URL", f"unix://{self._socket}") if not self._daemon() else ()

    def crashes(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        log = self._logs / "supervisord.log"  # rotated at 10 MB: older ends are forgotten
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else ():
            if _STARTED in line:
                counts.clear()
            elif match := _EXITED.search(line):
                counts[match[1]] += 1
        return counts

    def _daemon(self) -> tuple[int, ...]:
        """The pid of the living supervisord of this very configuration."""
        try:
            pid = int(self._pidfile.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return ()
        return (pid,) if str(self._conf) in command_line(pid) else ()

    def _await_end(self) -> None:
        end_s = self._clock.monotonic_s() + STOP_TIMEOUT_S
        while self._daemon() and self._clock.monotonic_s() < end_s:
            self._clock.sleep(POLL_S)


def files_soft_limit() -> int:
    """Open files each program may have: 4096, or what the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES_SOFT_LIMIT if hard == resource.RLIM_INFINITY else min(FILES_SOFT_LIMIT, hard)


def _program(info: dict[str, Any]) -> SupervisedProgram:
    running = info["statename"] in ("STARTING", "RUNNING", "STOPPING")
    detail = info["spawnerr"] or info["description"]
    return SupervisedProgram(info["name"], info["statename"], info["pid"] if running else 0, float(info["start"]), detail)
