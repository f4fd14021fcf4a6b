"""One simulated venue per test: 1.0.0 is stable on blue with two gateways, 200 requests a second, and 1.1.0 is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.adapters import fakes, fakes_base
from ops.conventions import Pool
from ops.deploy import flow, guardian, journal
from ops.deploy.controller import View
from ops.deploy.model import Outcome, Pipeline, Verdict
from ops.deploy.pipeline import read_pipeline
from ops.deploy.rollback import Ports
from ops.ports import Release, Roles

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "1.0.0", "1.1.0"


class Death(BaseException):
    """The process ends here: kill -9. Nothing of it runs any more."""


@dataclass
class Watcher:
    """The observer of a test: keeps what it was told."""

    said: list[str] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def tick(self, view: View) -> None:
        self.views.append(view)

    def say(self, text: str) -> None:
        self.said.append(text)


class World:
    def __init__(self, pipeline: Pipeline, *, rate: float = 200.0, before: str = "", gateways: int = 2) -> None:
        self.pipeline = pipeline
        self.clock = fakes_base.FakeClock()
        self.diary = fakes_base.Diary(self.clock)
        self.load = fakes.Load(rate)
        self.cluster = fakes.FakeCluster(self.clock, self.diary)
        self.cluster.start(Pool.BLUE, OLD, gateways)
        if before:
            self.cluster.start(Pool.GREEN, before, gateways)
        self.traffic = fakes.FakeTraffic(self.clock, self.diary, self.cluster, self.load)
        self.metrics = fakes.FakeMetrics(self.traffic, self.cluster)
        self.kernel = fakes_base.FakeKernel()
        self.store = fakes_base.FakeStore(self.diary)
        self.lease = fakes_base.FakeLease(self.clock, self.diary)
        self.targets = fakes.FakeTargets(self.diary)
        self.roles = fakes.FakeRoles(self.diary, Roles(Pool.BLUE, {Pool.BLUE: OLD, Pool.GREEN: before}), gateways)
        self.observer = Watcher()
        self.clock.sleep(60.0)
        self.diary.effects.clear()
        self.ports = self.process()

    def process(self) -> Ports:
        """The ports of one more process of the machine: everything shared but its own handle of the lock."""
        return Ports(
            clock=self.clock,
            traffic=self.traffic,
            cluster=self.cluster,
            metrics=self.metrics,
            targets=self.targets,
            roles=self.roles,
            store=self.store,
            lease=self.lease,
            lock=fakes_base.FakeLock(self.kernel),
        )

    def deploy(
        self, *, aborted: Callable[[], str] = lambda: "", submit: Any = fakes.at_once, version: str = NEW, **pipeline: Any
    ) -> Outcome:
        shaped = replace(self.pipeline, **pipeline)
        release = Release(version, "abc", "digest", 0.0, "/bin/exchange")
        return flow.deploy(self.process(), shaped, release, self.observer, aborted, "tester", submit)

    def guard(self) -> str:
        return guardian.watch_once(self.process(), self.observer.say)

    def recover(self) -> Outcome | None:
        """What the next command does first, holding the lock."""
        ports = self.process()
        ports.lock.acquire("the next command")
        try:
            return flow.recover(ports, self.observer)
        finally:
            ports.lock.release()

    def go_back(self, **more: Any) -> Outcome:
        return flow.go_back(self.process(), self.observer, "tester", "a reason", **more)

    def at(self, delay_s: float, action: Callable[[], Any]) -> None:
        self.clock.at(delay_s, action)

    def when_share(self, share: str | Fraction, action: Callable[[], Any], after_s: float = 0.0) -> None:
        """Run `action` once, `after_s` after the canary was first given `share`."""
        wanted, done = Fraction(share), []

        def look(_passed_s: float) -> None:
            if not done and self.traffic.share(Pool.GREEN) == wanted:
                done.append(True)
                self.clock.at(after_s, action)

        self.clock.each_move(look)

    @property
    def share(self) -> Fraction:
        """The part of new requests that the canary's pool gets now."""
        return self.traffic.share(Pool.GREEN)

    def weights(self) -> list[Fraction]:
        """The canary shares that were set, in order."""
        return [Fraction(e.detail.split()[1]) for e in self.diary.effects if e.kind == "weight" and e.detail.startswith(Pool.GREEN)]

    def kinds(self, stream: str = "release-1") -> list[str]:
        return [e.kind for e in self.store.events(stream)]

    def events(self, kind: str) -> list[Any]:
        return [e for e in self.store.events() if e.kind == kind]

    def verdicts(self) -> list[Verdict]:
        return [Verdict(e.data["verdict"]) for e in self.events(journal.CHECK)]

    def die_at(self, number: int, *, after: bool) -> list[fakes_base.Effect]:
        """From the `number`-th side effect (from 0) on, this process is dead: just before it takes place, or just after."""
        seen: list[fakes_base.Effect] = []
        died: list[fakes_base.Effect] = []

        def interrupt(effect: fakes_base.Effect, done: bool) -> None:
            if died:
                raise Death
            if not done:
                seen.append(effect)
            if len(seen) - 1 == number and done is after:
                died.append(effect)
                raise Death

        self.diary.interrupt = interrupt
        return died

    def end_process(self) -> None:
        """What the kernel does for the dead, and a fresh process is not under the dead one's spell."""
        self.kernel.holder = None
        self.diary.interrupt = lambda _effect, _done: None


@pytest.fixture(scope="session")
def canary_pipeline() -> Pipeline:
    return read_pipeline(ROOT / "pipelines" / "canary.yaml")


@pytest.fixture
def make_world(canary_pipeline: Pipeline) -> Callable[..., World]:
    return lambda **options: World(canary_pipeline, **options)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def names() -> SimpleNamespace:
    return SimpleNamespace(old=OLD, new=NEW, death=Death)
