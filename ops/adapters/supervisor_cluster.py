"""The two pools' processes under supervisord. A change of one pool's release restarts that pool's programs and no other.

What each pool should run is kept in `slots.json`, written before anything is done: `up` after a reboot, the guardian and
`status` read it. Every program is its own supervisor group, so that it can be removed and added with a new command alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ops.adapters.local import http_get, replace_file
from ops.adapters.supervisor import SupervisorDaemon
from ops.adapters.supervisor_rpc import BAD_NAME, Fault
from ops.conventions import Pool
from ops.errors import ClusterUnavailable
from ops.ports import Process

READY_TIMEOUT_S = 0.5
_RUNS = ("STARTING", "RUNNING")


@dataclass(frozen=True, slots=True)
class Slots:
    """What a pool should run: the first `count` of its gateways, of `version`."""

    version: str
    count: int


class SlotsFile:
    """`slots.json`: pool -> Slots. A pool that is not in it never ran. `names` are the gateways of each pool, in order."""

    def __init__(self, path: Path, names: Mapping[Pool, tuple[str, ...]]) -> None:
        self._path, self.names = path, names

    def wanted(self, pool: Pool) -> tuple[str, ...]:
        """Names of the gateways that should run."""
        slot = self.read().get(pool)
        return self.names[pool][: slot.count] if slot else ()

    def read(self) -> dict[Pool, Slots]:
        """Raises ClusterUnavailable when the file is damaged: nothing is started or stopped on a guess."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return {Pool(pool): Slots(str(row["version"]), int(row["count"])) for pool, row in data.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ClusterUnavailable(f"{self._path} cannot be used: {error}", hint="opsctl down, remove that file, opsctl up") from error

    def write(self, slots: Mapping[Pool, Slots]) -> None:
        rows = {str(pool): {"version": row.version, "count": row.count} for pool, row in slots.items()}
        try:
            replace_file(self._path, json.dumps(rows, indent=2) + "\n")
        except OSError as error:
            raise ClusterUnavailable(f"{self._path} cannot be written: {error.strerror}", hint="check the disk") from error


class SupervisorCluster:
    """Implements ops.ports.Cluster.

    `http_port` is where each gateway answers /readyz. `conf_text` makes the whole
    supervisord.conf for the versions the pools run ("" for a pool that never ran); it raises Refused for an unknown release.
    `changed` is told after each change of what should run (Prometheus' targets follow it).
    """

    def __init__(
        self,
        daemon: SupervisorDaemon,
        conf: Path,
        slots: SlotsFile,
        http_port: Callable[[str], int],
        conf_text: Callable[[Mapping[Pool, str]], str],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._daemon, self._conf, self._slots = daemon, conf, slots
        self._names, self._http_port, self._conf_text, self._changed = slots.names, http_port, conf_text, changed

    def prepare(self, versions: Mapping[Pool, str]) -> None:
        """Write supervisord.conf for a start from cold. A pool of another version than before has nothing that should run."""
        kept = {pool: slot for pool, slot in self._slots.read().items() if slot.version == versions[pool]}
        kept = {pool: replace(slot, count=min(slot.count, len(self._names[pool]))) for pool, slot in kept.items()}
        self._slots.write(kept)
        self._write_conf(self._conf_text(versions))

    def start(self, pool: Pool, version: str, count: int) -> None:
        names = self._names[pool]
        assert 0 < count <= len(names), f"{count} gateways asked of {len(names)}"
        slots = {**self._slots.read(), pool: Slots(version, count)}
        text = self._conf_text({each: slots[each].version if each in slots else "" for each in Pool})
        self._slots.write(slots)
        self._load(text, names)
        self._daemon.stop(names[count:])
        for name in names[:count]:
            self._daemon.start(name)
        self._changed()

    def stop(self, pool: Pool) -> None:
        slots = self._slots.read()
        if pool in slots:
            self._slots.write({**slots, pool: replace(slots[pool], count=0)})
        self._changed()
        self._daemon.stop(self._names[pool])

    def processes(self, pool: Pool) -> tuple[Process, ...]:
        wanted = self.wanted(pool)
        known = {program.name: program for program in self._daemon.programs()}
        rows = []
        for name in wanted:
            program = known.get(name)
            if program is None:
                rows.append(Process(name, 0, False, 0.0, "the supervisor does not know it"))
            else:
                running = program.state in _RUNS and program.pid > 0
                rows.append(Process(name, program.pid, running, program.started_at_s, f"{program.state}: {program.detail}"))
        return tuple(rows)

    def wanted(self, pool: Pool) -> tuple[str, ...]:
        return self._slots.wanted(pool)

    def version(self, pool: Pool) -> str:
        """The version that the pool should run; "" when it never ran."""
        slot = self._slots.read().get(pool)
        return slot.version if slot else ""

    def ready(self, pool: Pool, version: str) -> tuple[str, ...]:
        names = self.wanted(pool)
        if not names:
            return ()
        with ThreadPoolExecutor(max_workers=len(names)) as workers:
            answers = workers.map(lambda name: ready_version(self._http_port(name)), names)
            return tuple(name for name, answer in zip(names, answers, strict=True) if answer == version)

    def _load(self, text: str, names: tuple[str, ...]) -> None:
        """Give supervisord the new file; replace those of `names` whose command changed, after stopping them."""
        self._write_conf(text)
        try:
            added, changed, _ = self._daemon.rpc.call("reloadConfig")[0]
            stale = [name for name in changed if name in names]
            self._daemon.stop(stale)
            for name in stale:
                self._remove(name)
            for name in (*stale, *(name for name in added if name in names)):
                self._daemon.rpc.call("addProcessGroup", name)
        except Fault as fault:
            raise ClusterUnavailable(f"the supervisor did not take the release: {fault}", hint="see `opsctl logs supervisord`") from fault

    def _write_conf(self, text: str) -> None:
        try:
            replace_file(self._conf, text)
        except OSError as error:
            raise ClusterUnavailable(f"{self._conf} cannot be written: {error.strerror}", hint="check the disk") from error

    def _remove(self, name: str) -> None:
        try:
            self._daemon.rpc.call("removeProcessGroup", name)
        except Fault as fault:
            if fault.code != BAD_NAME:  # an earlier change was cut between remove and add
                raise


def ready_version(port: int) -> str | None:
    """The version a gateway says it is, when it is ready; None otherwise."""
    answer = http_get(port, "/readyz", READY_TIMEOUT_S)
    if answer is None or answer[0] != 200:
        return None
    try:
        body = json.loads(answer[2])
    except (ValueError, RecursionError):
        return None
    version = body.get("version") if isinstance(body, dict) else None
    return version if isinstance(version, str) else None
