"""The fakes beneath a simulated release: its clock, its diary of side effects, and the files of the machine (journal, lease, lock).

`ops/adapters/fakes.py` builds the venue on top of them.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ops.errors import Refused, Unavailable
from ops.ports import Event, LeaseState

_T = TypeVar("_T")

ALIVE_S = 24 * 3600.0
"""A simulation that lasts longer waits for something that never comes."""


class FakeClock:
    """Implements ops.ports.Clock. Both clocks start away from zero, and apart, so that mixing them up shows."""

    def __init__(self, monotonic_s: float = 1000.0, wall_s: float = 1_800_000_000.0) -> None:
        self._now_s, self._ahead_s, self._end_s = monotonic_s, wall_s - monotonic_s, monotonic_s + ALIVE_S
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._listeners: list[Callable[[float], None]] = []
        self._planned = 0

    def monotonic_s(self) -> float:
        return self._now_s

    def wall_s(self) -> float:
        return self._now_s + self._ahead_s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0, seconds
        target_s = self._now_s + seconds
        assert target_s < self._end_s, "the simulated day is over: something waits without a bound"
        while self._plans and self._plans[0][0] <= target_s:
            at_s, _, action = heapq.heappop(self._plans)
            self._move(at_s)
            action()
        self._move(target_s)

    def at(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` once time has moved by `delay_s`."""
        self._planned += 1
        heapq.heappush(self._plans, (self._now_s + delay_s, self._planned, action))

    def each_move(self, listener: Callable[[float], None]) -> None:
        """Tell `listener` how many seconds passed, each time some did."""
        self._listeners.append(listener)

    def _move(self, to_s: float) -> None:
        passed_s = to_s - self._now_s
        if passed_s <= 0:
            return
        self._now_s = to_s
        for listener in self._listeners:
            listener(passed_s)


@dataclass(frozen=True, slots=True)
class Effect:
    """One side effect: what (`weight`, `start`, `journal`, ...) and on what."""

    at_s: float
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}".strip()


class Diary:
    """The ordered side effects of one venue. `interrupt(effect, done)` runs before and after each, and may raise."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.effects: list[Effect] = []
        self.interrupt: Callable[[Effect, bool], None] = lambda _effect, _done: None

    def do(self, kind: str, detail: str, act: Callable[[], _T]) -> _T:
        effect = Effect(self._clock.monotonic_s(), kind, detail)
        self.interrupt(effect, False)
        result = act()
        self.effects.append(effect)
        self.interrupt(effect, True)
        return result

    def told(self, *kinds: str) -> list[str]:
        """The effects of these kinds (all, when none is named), as words."""
        return [str(e) for e in self.effects if not kinds or e.kind in kinds]


class FakeStore:
    """Implements ops.ports.Store: the journal's rules in a list. `full`: the disk is; `journal` effects go to the diary."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self._events: list[Event] = []
        self.full = False

    def append(self, stream: str, kind: str, data: Mapping[str, Any], at_s: float) -> Event:
        if self.full:
            raise Unavailable("the journal cannot be used: no space left on device")
        text = json.dumps(data, sort_keys=True, allow_nan=False)
        before = self._events[-1].hash if self._events else ""
        digest = hashlib.sha256(f"{before}\n{at_s!r}\n{stream}\n{kind}\n{text}".encode()).hexdigest()
        event = Event(len(self._events) + 1, at_s, stream, kind, json.loads(text), digest)
        self._diary.do("journal", kind, lambda: self._events.append(event))
        return event

    def events(self, stream: str | None = None, after_seq: int = 0) -> tuple[Event, ...]:
        return tuple(e for e in self._events[after_seq:] if stream in (None, e.stream))


@dataclass(frozen=True, slots=True)
class _Grant:
    stream: str
    token: int
    ends_s: float
    held: bool


class FakeLease:
    """Implements ops.ports.Lease. Renewals are no effects of the diary: there is one a second."""

    def __init__(self, clock: FakeClock, diary: Diary) -> None:
        self._clock, self._diary = clock, diary
        self._grant = _Grant("", 0, 0.0, held=False)

    def take(self, stream: str, ttl_s: float) -> int:
        grant = _Grant(stream, self._grant.token + 1, self._clock.monotonic_s() + ttl_s, held=True)
        self._diary.do("lease", f"taken {grant.token}", lambda: self._set(grant))
        return grant.token

    def renew(self, token: int, ttl_s: float) -> bool:
        ours = self._grant.held and self._grant.token == token and self._grant.ends_s > self._clock.monotonic_s()
        if ours:
            self._set(replace(self._grant, ends_s=self._clock.monotonic_s() + ttl_s))
        return ours

    def release(self, token: int) -> None:
        if self._grant.token == token and self._grant.held:
            self._diary.do("lease", f"released {token}", lambda: self._set(replace(self._grant, held=False)))

    def current(self) -> LeaseState | None:
        if not self._grant.held:
            return None
        return LeaseState(self._grant.stream, self._grant.token, self._grant.ends_s - self._clock.monotonic_s(), 1)

    def _set(self, grant: _Grant) -> None:
        self._grant = grant


@dataclass(slots=True)
class FakeKernel:
    """Whose the one lock is. Every process has a FakeLock of its own over the same kernel."""

    holder: FakeLock | None = None
    owner: str = ""


class FakeLock:
    """Implements ops.ports.Lock."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def acquire(self, owner: str) -> None:
        if self._kernel.holder is not None:
            raise Refused(f"another release is under way: {self._kernel.owner}")
        self._kernel.holder, self._kernel.owner = self, owner

    def release(self) -> None:
        if self._kernel.holder is self:
            self._kernel.holder = None

    def held(self) -> bool:
        return self._kernel.holder is not None
