"""The two witnesses' bookkeeping: counters over restarts, and questions that do not come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ops.conventions import Pool
from ops.deploy.model import Verdict
from ops.deploy.rounds import Counters, Rounds, WitnessBook, in_thread
from ops.ports import PoolTraffic, TrafficReading

NONE = Counters({p: 0 for p in Pool}, {p: 0 for p in Pool})


def reading(requests: int, errors: int, started_at_s: float = 1.0) -> TrafficReading:
    pool = PoolTraffic(1, 1, 1, requests, errors, 0)
    return TrafficReading({Pool.BLUE: pool, Pool.GREEN: pool}, started_at_s)


def test_counters_are_carried_over_every_restart_of_the_splitter() -> None:
    book = WitnessBook()
    restarts = [book.add(r) for r in (reading(100, 5), reading(150, 6), reading(10, 1, 2.0), reading(30, 2, 2.0), reading(7, 0, 3.0))]
    assert restarts == [False, False, True, False, True]
    totals = book.totals()
    assert (totals.requests[Pool.GREEN], totals.errors[Pool.GREEN]) == (150 + 30 + 7, 6 + 2 + 0)


def test_nothing_read_is_nothing_served() -> None:
    assert WitnessBook().totals() == NONE


def rounds_of(world: Any, submit: Any) -> Rounds:
    return Rounds(world.metrics, world.clock, world.pipeline, Pool.BLUE, submit)


def test_a_question_is_asked_for_no_longer_than_the_longest_window(world: Any, names: Any) -> None:
    from ops.adapters.fakes import at_once

    rounds_of(world, at_once).begin({}, 10_000.0)
    assert world.metrics.asked == [world.pipeline.max_window_s]


def test_a_forgotten_round_gives_no_verdict(world: Any) -> None:
    from ops.adapters.fakes import Later

    rounds = rounds_of(world, Later(world.clock, 1.0))
    rounds.begin({}, 5.0)
    assert rounds.under_way
    rounds.forget()
    assert not rounds.under_way


def test_hanging_questions_make_room_once_they_are_answered(world: Any) -> None:
    from concurrent.futures import Future

    asked: list[Future[Any]] = []

    def submit(_ask: Any) -> Any:
        asked.append(Future())
        return asked[-1]

    rounds = rounds_of(world, submit)
    for _ in range(3):
        rounds.begin({}, 5.0)
        world.clock.sleep(5.0)
        round_ = rounds.poll(NONE, NONE, 0, True)
        assert round_ is not None
        assert round_.verdict is Verdict.INCONCLUSIVE
    assert len(asked) == 2
    asked[0].set_result({})
    rounds.begin({}, 5.0)
    assert len(asked) == 3


@pytest.mark.parametrize("error", [None, RuntimeError("broken"), SystemExit(3)])
def test_a_thread_hands_its_answer_or_its_error_to_the_tick(error: BaseException | None) -> None:
    def ask() -> Any:
        if error is not None:
            raise error
        return {"answer": 1}

    future = in_thread(ask)
    if error is None:
        assert future.result(60) == {"answer": 1}
    else:
        assert future.exception(60) is error


def test_a_question_that_hangs_does_not_keep_the_process_alive() -> None:
    release = threading.Event()
    ask: Callable[[], Any] = lambda: release.wait(300)  # noqa: E731
    before = set(threading.enumerate())
    future = in_thread(ask)
    assert all(t.daemon for t in set(threading.enumerate()) - before)
    release.set()
    future.result(60)
