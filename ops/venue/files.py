"""The venue's own file, `venue.json`: read with every field checked, replaced in one durable step.

It is the one truth of which pool serves users. Two processes may change it (a release, the guardian), so a change
is read, made and written under a file lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ops.conventions import Pool
from ops.errors import Unavailable, UsageError
from ops.ports import Roles
from ops.venue.model import MAX_GATEWAYS, SCHEMA, Layout, Ports, Venue, Webhooks

LOCK_TRIES, LOCK_PAUSE_S = 100, 0.01
_MEND = "move the folder away, or remove it with `opsctl down --purge` (its orders go too), and start again with `opsctl up`"


def load(state: Path) -> Venue | None:
    """The venue of this state folder; None when there is none.

    Raises Unavailable when the file cannot be read, UsageError naming file and field when it is damaged or newer.
    """
    path = Layout(state).venue
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}", hint="check the folder's owner") from error
    try:
        return _parse(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}", hint=_MEND) from error


def load_existing(state: Path) -> Venue:
    """Like `load`; raises Unavailable when there is no venue."""
    venue = load(state)
    if venue is None:
        raise Unavailable(f"there is no venue in {state}", hint="start one with `opsctl up`, or name its folder with --state")
    return venue


def save(state: Path, venue: Venue) -> None:
    """Replace the file: whoever reads sees the old or the new one, whole, also after a power cut."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "env": venue.env,
        "exchange": venue.exchange,
        "gateways": venue.gateways,
        "ports": asdict(venue.ports),
        "roles": {"stable": str(venue.roles.stable), "versions": {str(pool): venue.roles.versions[pool] for pool in Pool}},
        "webhooks": asdict(venue.webhooks),
    }
    write_durably(Layout(state).venue, json.dumps(data, indent=2) + "\n")


def write_durably(path: Path, text: str, mode: int = 0o600) -> None:
    """Write beside, fsync, rename, fsync the folder. Raises Unavailable."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Unavailable(f"{path} cannot be written: {error.strerror}", hint="check the disk and the folder's owner") from error


def change(state: Path, made: Callable[[Venue], Venue]) -> Venue:
    """The venue as `made` of the present one, read and written under the file's lock. Raises Unavailable when there is none."""
    load_existing(state)
    path = Path(f"{Layout(state).venue}.lock")
    try:
        guard = path.open("a", encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{path} cannot be used: {error.strerror}", hint="check the disk and the folder's owner") from error
    with guard:
        _lock_bounded(guard.fileno(), path)
        venue = made(load_existing(state))
        save(state, venue)
    return venue


class VenueRoles:
    """Implements ops.ports.RolesFile on venue.json."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def read(self) -> Roles:
        return load_existing(self._state).roles

    def write(self, roles: Roles) -> None:
        change(self._state, lambda venue: replace(venue, roles=roles))

    def gateways(self) -> int:
        return load_existing(self._state).gateways


def _lock_bounded(fd: int, path: Path) -> None:
    """Held for one write by whoever has it; a holder that stands still is not waited for without end. Raises Unavailable."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S)
    raise Unavailable(f"{path} is locked by a process that does not go on", hint="see `opsctl status`")


def _parse(data: object) -> Venue:
    """Raises ValueError naming the field."""
    fields = _mapping(data, "the whole file")
    schema = fields.get("schema")
    if schema != SCHEMA:
        raise ValueError(f"schema: {schema!r} is not {SCHEMA}, the one this opsctl knows")
    gateways = _integer(fields, "gateways", 1, MAX_GATEWAYS)
    return Venue(
        gateways=gateways,
        ports=_ports(_mapping(fields.get("ports"), "ports"), 2 * gateways),
        roles=_roles(_mapping(fields.get("roles"), "roles")),
        env=_text(fields, "env"),
        exchange=_text(fields, "exchange"),
        webhooks=_webhooks(fields.get("webhooks", {})),
    )


def _webhooks(data: object) -> Webhooks:
    """Files of before there were any have none."""
    fields = {"page": "", "ticket": ""} | dict(_mapping(data, "webhooks"))
    return Webhooks(_text(fields, "page"), _text(fields, "ticket"))


def _ports(fields: Mapping[str, object], slots: int) -> Ports:
    many = {name: _port_list(fields, name, slots) for name in ("gateway_http", "gateway_binary")}
    one = {name: _integer(fields, name, 1, 65535) for name in Ports.__dataclass_fields__ if name not in many and name != "probe"}
    one["probe"] = _integer({"probe": 0, **fields}, "probe", 0, 65535)  # a folder from before there was a probe names no port of it
    return Ports(**one, **many)  # type: ignore[arg-type]


def _port_list(fields: Mapping[str, object], name: str, slots: int) -> tuple[int, ...]:
    values = fields.get(name)
    if not isinstance(values, list) or len(values) != slots:
        raise ValueError(f"ports.{name}: expected {slots} ports, two pools of gateways")
    return tuple(_integer({name: value}, name, 1, 65535) for value in values)


def _roles(fields: Mapping[str, object]) -> Roles:
    stable = fields.get("stable")
    if stable not in list(Pool):
        raise ValueError(f"roles.stable: expected one of {', '.join(Pool)}, not {stable!r}")
    versions = _mapping(fields.get("versions"), "roles.versions")
    return Roles(Pool(str(stable)), {pool: _text(versions, str(pool)) for pool in Pool})


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected an object")
    return value


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text, not {value!r}")
    return value


def _integer(fields: Mapping[str, object], name: str, low: int, high: int) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}: expected a whole number from {low} to {high}, not {value!r}")
    return value
