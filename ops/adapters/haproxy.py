"""HAProxy as the traffic splitter: weights set over its runtime API, and kept in its file for the next start.

Two rules make a half-done change harmless:

- Commands are ordered stable up, canary down, canary up, stable down, over both backends. Whatever prefix was applied, the
  canary's share lies at or below the larger of the old and the new one, and some server always has weight.
- The file never holds more canary than was asked last: a lower share is written to the file before HAProxy is told (so a
  rollback holds even when HAProxy is dead and comes back later), a higher one after. A disk that cannot be written does not
  stop a lower share from being applied; it is reported after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from ops.adapters.haproxy_socket import RuntimeSocket
from ops.adapters.haproxy_weights import Weights, weights_for
from ops.adapters.local import replace_file
from ops.conventions import Pool
from ops.errors import TrafficUnavailable
from ops.ports import PoolTraffic, Split, TrafficReading
from ops.render import ERROR_ANSWERS, HaproxyFile, error_file, haproxy_cfg

BACKENDS = ("http", "binary")
_PID_SPAN = 10_000_000


class HaproxyTraffic:
    """Implements ops.ports.Traffic. `running` names the gateways of a pool that should run now; it is asked for a canary only,
    never for a share of 0: a rollback needs HAProxy's socket and nothing else."""

    def __init__(self, config: Path, file: HaproxyFile, running: Callable[[Pool], tuple[str, ...]]) -> None:
        self._config, self._file, self._running = config, file, running
        self._socket = RuntimeSocket(file.socket)

    def check_share(self, split: Split, stable_servers: int, canary_servers: int) -> None:
        weights_for(split.canary_share, stable_servers, canary_servers)

    def shift(self, split: Split) -> None:
        wanted = self._wanted(split)
        try:
            present = self._weights()
        except TrafficUnavailable:
            if split.canary_share == 0:
                self._keep(wanted)
            raise
        lower = _share(wanted, self._names(split.canary)) <= _share(present, self._names(split.canary))
        failed = self._try_keep(wanted) if lower else None
        self._socket.run(self._commands(split, present, wanted))
        self._read_back(wanted)
        if not lower or failed:
            self._keep(wanted)

    def read(self) -> TrafficReading:
        info = self._socket.info()
        rows = self._rows()
        try:
            started_at_s = int(info["Start_time_sec"]) + int(info["Pid"]) / _PID_SPAN
            pools = {pool: _pool_traffic([rows[backend, name] for backend in BACKENDS for name in self._names(pool)]) for pool in Pool}
        except (KeyError, ValueError) as error:
            raise TrafficUnavailable(f"HAProxy's answer lacks a field or server: {error}", hint="see `opsctl logs haproxy`") from error
        return TrafficReading(pools, started_at_s)

    def close_sessions(self, pool: Pool) -> int:
        names = self._names(pool)
        open_before = self.read().pools[pool].sessions_open
        self._socket.run([f"shutdown sessions server binary/{name}" for name in names])
        return open_before

    def settle(self, stable: Pool) -> None:
        """Write HAProxy's files for a start from cold: every user on `stable`. HAProxy must not run. Raises TrafficUnavailable."""
        try:
            for answer in ERROR_ANSWERS:
                (self._file.errors / f"{answer.status}.http").write_text(error_file(answer), encoding="ascii", newline="")
        except OSError as error:
            raise TrafficUnavailable(f"{self._file.errors} cannot be written: {error.strerror}", hint="check the disk") from error
        self._keep(self._wanted(Split(stable, Fraction(0))))

    def _names(self, pool: Pool) -> tuple[str, ...]:
        return tuple(server.name for server in self._file.servers if server.pool is pool)

    def _wanted(self, split: Split) -> dict[str, int]:
        """Weight per server. The stable pool counts whole: HAProxy itself passes over those that are down."""
        stable = self._names(split.stable)
        canary = self._running(split.canary) if split.canary_share > 0 else ()
        weights: Weights = weights_for(split.canary_share, len(stable), len(canary))
        zero = {server.name: 0 for server in self._file.servers}
        return zero | dict(zip(stable, weights.stable, strict=True)) | dict(zip(canary, weights.canary, strict=True))

    def _rows(self) -> Mapping[tuple[str, str], Mapping[str, str]]:
        return {(row["pxname"], row["svname"]): row for row in self._socket.table("show stat -1 4 -1")}

    def _weights(self) -> dict[str, int]:
        """What HAProxy applies now; of two backends that differ (a change was cut), the larger weight."""
        rows = self._rows()
        try:
            return {s.name: max(int(rows[backend, s.name]["uweight"]) for backend in BACKENDS) for s in self._file.servers}
        except (KeyError, ValueError) as error:
            raise TrafficUnavailable(f"HAProxy does not show server or weight {error}", hint="see `opsctl logs haproxy`") from error

    def _commands(self, split: Split, present: Mapping[str, int], wanted: Mapping[str, int]) -> list[str]:
        def change(pool: Pool, up: bool) -> list[str]:
            names = [name for name in self._names(pool) if (wanted[name] >= present[name]) is up]
            return [f"set server {backend}/{name} weight {wanted[name]}" for backend in BACKENDS for name in names]

        stable, canary = split.stable, split.canary
        return [*change(stable, True), *change(canary, False), *change(canary, True), *change(stable, False)]

    def _read_back(self, wanted: Mapping[str, int]) -> None:
        rows = self._rows()
        for server in self._file.servers:
            for backend in BACKENDS:
                shown = rows.get((backend, server.name), {}).get("uweight")
                if shown != str(wanted[server.name]):
                    raise TrafficUnavailable(f"HAProxy shows weight {shown} for {backend}/{server.name}, not {wanted[server.name]}")

    def _keep(self, weights: dict[str, int]) -> None:
        try:
            replace_file(self._config, haproxy_cfg(self._file, weights))
        except OSError as error:
            reason = f"{self._config} cannot be written ({error.strerror}): a restarted HAProxy would come back with older weights"
            raise TrafficUnavailable(reason, hint="check the disk") from error

    def _try_keep(self, weights: dict[str, int]) -> bool:
        """True when it failed: it is tried again, and reported, after HAProxy has the lower share."""
        try:
            self._keep(weights)
        except TrafficUnavailable:
            return True
        return False


def _share(weights: Mapping[str, int], names: tuple[str, ...]) -> Fraction:
    total = sum(weights.values())
    return Fraction(sum(weights[name] for name in names), total) if total else Fraction(0)


def _pool_traffic(rows: list[Mapping[str, str]]) -> PoolTraffic:
    """`rows` are the pool's servers in both backends. Weights and counts are the HTTP backend's; sessions the other's."""
    web = [row for row in rows if row["pxname"] == "http"]
    return PoolTraffic(
        weight=sum(int(row["uweight"]) for row in web if row["status"].startswith("UP")),
        asked_weight=sum(int(row["uweight"]) for row in web),
        servers_up=sum(row["status"].startswith("UP") for row in web),
        requests=sum(int(row["stot"]) for row in web),
        errors=sum(int(row[name] or 0) for row in rows for name in ("hrsp_5xx", "econ", "eresp")),
        sessions_open=sum(int(row["scur"]) for row in rows if row["pxname"] == "binary"),
    )
