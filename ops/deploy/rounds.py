"""Gathering one round of figures without ever letting a slow Prometheus stop the release's clock.

The question runs in a thread of its own; the controller's tick polls it. A question that is still open after ANSWER_LIMIT_S is
given up and the round is INCONCLUSIVE; while MAX_OPEN given-up questions hang, no further one is asked. The splitter's counters are
read by the tick itself, so that a round can convict by them whatever Prometheus does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from ops.conventions import Pool, Track
from ops.deploy.judge import judge, judge_blind
from ops.deploy.model import Pipeline, Round, TrackFigures
from ops.errors import MetricsUnavailable
from ops.ports import Clock, Metrics, TrackSample, TrafficReading

ANSWER_LIMIT_S = 4.0
MAX_OPEN = 2

Samples = Mapping[Track, TrackSample]
Submit = Callable[[Callable[[], Samples]], "Future[Samples]"]


def in_thread(ask: Callable[[], Samples]) -> Future[Samples]:
    """A daemon thread per question: it cannot keep the process alive."""
    future: Future[Samples] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # handed to the tick
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="prometheus-question").start()
    return future


@dataclass(frozen=True, slots=True)
class Counters:
    """The splitter's counters of both pools since the release began, carried over its restarts."""

    requests: Mapping[Pool, int]
    errors: Mapping[Pool, int]


class WitnessBook:
    """Adds up the splitter's counters, which begin anew when it restarts."""

    def __init__(self) -> None:
        self._carried = Counters({p: 0 for p in Pool}, {p: 0 for p in Pool})
        self._last: TrafficReading | None = None

    def add(self, reading: TrafficReading) -> bool:
        """Takes the newest reading; True when the splitter restarted since the one before."""
        last, self._last = self._last, reading
        if last is None or last.started_at_s == reading.started_at_s:
            return False
        before = self._sum(last)
        self._carried = before
        return True

    def totals(self) -> Counters:
        return self._sum(self._last) if self._last else self._carried

    def _sum(self, reading: TrafficReading) -> Counters:
        return Counters(
            {p: self._carried.requests[p] + reading.pools[p].requests for p in Pool},
            {p: self._carried.errors[p] + reading.pools[p].errors for p in Pool},
        )


class Rounds:
    """At most one round under way. `begin` when one is due, `poll` on every tick."""

    def __init__(self, metrics: Metrics, clock: Clock, pipeline: Pipeline, stable: Pool, submit: Submit = in_thread) -> None:
        self._metrics, self._clock, self._pipeline, self._stable, self._submit = metrics, clock, pipeline, stable, submit
        self._open: list[Future[Samples]] = []
        self._asked: Future[Samples] | None = None
        self._asked_at_s = self._window_s = 0.0
        self._why = ""

    @property
    def under_way(self) -> bool:
        return self._asked is not None or bool(self._why)

    def forget(self) -> None:
        """Give up the round under way: what it was asked about is over."""
        if self._asked is not None:
            self._open.append(self._asked)
        self._asked, self._why = None, ""

    def begin(self, versions: Mapping[Track, str], window_s: float) -> None:
        self._asked_at_s, self._window_s = self._clock.monotonic_s(), min(window_s, self._pipeline.max_window_s)
        self._open = [f for f in self._open if not f.done()]
        if len(self._open) >= MAX_OPEN:
            self._why = f"Prometheus still owes {MAX_OPEN} answers"
            return
        at_s, window = self._clock.wall_s(), self._window_s
        self._asked = self._submit(lambda: self._metrics.sample(versions, at_s, window))

    def poll(self, since: Counters, now: Counters, lost: int, stable_serves: bool) -> Round | None:
        """The finished round, judged; None while it is under way."""
        samples: Samples | None = None
        if self._asked is not None:
            if self._asked.done():
                samples, self._why = _answer(self._asked)
            elif self._clock.monotonic_s() - self._asked_at_s >= ANSWER_LIMIT_S:
                self._open.append(self._asked)
                self._why = f"Prometheus did not answer within {ANSWER_LIMIT_S:.0f} s"
            else:
                return None
        why, self._why, self._asked = self._why, "", None
        canary = self._figures(samples.get(Track.CANARY) if samples else None, self._stable.other, since, now)
        stable = self._figures(samples.get(Track.STABLE) if samples else None, self._stable, since, now)
        if samples is None:
            return judge_blind(self._pipeline, why, canary, stable, self._window_s, lost, stable_serves)
        return judge(self._pipeline, canary, stable, self._window_s, lost, stable_serves)

    def _figures(self, sample: TrackSample | None, pool: Pool, since: Counters, now: Counters) -> TrackFigures:
        return TrackFigures(
            requests=sample.requests if sample else 0,
            errors=sample.errors if sample else 0,
            buckets=sample.buckets if sample else (),
            witness_requests=max(0, now.requests[pool] - since.requests[pool]),
            witness_errors=max(0, now.errors[pool] - since.errors[pool]),
            refused=sample.refused if sample else 0,
        )


def _answer(future: Future[Samples]) -> tuple[Samples | None, str]:
    try:
        return future.result(), ""
    except MetricsUnavailable as error:
        return None, error.message
    except Exception as error:  # an adapter's bug must not promote, nor end the release's watch
        return None, f"the question to Prometheus broke: {type(error).__name__}"
