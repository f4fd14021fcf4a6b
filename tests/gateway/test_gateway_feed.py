"""Freshness of market data as the gateway measures it: by asking, on its own clock, whether or not anybody trades."""

import asyncio

import pytest
from venue_parts import FakeCore, LogLines, eventually, running_core, running_gateway

from engine import conventions
from engine.gateway import feed
from engine.gateway.feed import MADE_UP_MAX_S, UNANSWERED_MAX, FeedWatch
from engine.gateway.link import LinkDown, OutcomeUnknown
from engine.logs import JsonLog

TICK_S = conventions.MARKET_DATA_TICK_S
BOUND_S = 0.1


class Link:
    """A link whose answers the test gives; `down` has no core."""

    def __init__(self):
        self.asks = []
        self.down = False

    def request(self, encode, *, is_order=False, is_ask=False):
        assert (is_order, is_ask) == (False, True)
        if self.down:
            raise LinkDown
        encode(len(self.asks) + 1)
        self.asks.append(asyncio.get_running_loop().create_future())
        return self.asks[-1]


class Bench:
    """The watch on a clock that the test moves."""

    def __init__(self):
        self.now_s, self.ages, self.link = 1000.0, [], Link()
        self.watch = FeedWatch(self.link, self.ages.append, JsonLog(stream=LogLines()), lambda: self.now_s)
        self.watch.tick()

    async def tick(self, *, answered=True, ticks=1):
        """The next `ticks` ticks in one go; the asks on the way are answered before them."""
        if answered:
            for ask in self.link.asks:
                if not ask.done():
                    ask.set_result(("depth",))
            await asyncio.sleep(0)
        self.now_s += ticks * TICK_S + 1e-9
        self.watch.tick()

    @property
    def stale(self):
        return [age > BOUND_S for age in self.ages]


@pytest.fixture
async def bench():
    return Bench()


async def test_a_feed_that_answers_is_one_tick_old_though_nobody_trades(bench):
    for _ in range(50):
        await bench.tick()
    assert len(bench.ages) == 50
    assert max(bench.ages) == pytest.approx(TICK_S, abs=1e-6)


async def test_a_stalled_feed_adds_growing_ages_while_it_stalls_and_recovers_with_the_first_answer(bench):
    for _ in range(4):
        await bench.tick()
    bench.ages.clear()
    for _ in range(40):
        await bench.tick(answered=False)
    assert len(bench.ages) == 40, "one observation per tick, answered or not"
    assert bench.ages == sorted(bench.ages)
    assert bench.ages[-1] == pytest.approx(41 * TICK_S, abs=1e-3)
    assert sum(bench.stale) == 37, "stale as soon as the bound has passed, not when the answer comes"
    assert len(bench.link.asks) - 5 <= UNANSWERED_MAX, "asks on the way are bounded"
    await bench.tick()
    await bench.tick()
    bench.ages.clear()
    await bench.tick()
    assert bench.stale == [False]


async def test_one_late_answer_is_not_yet_a_breach(bench):
    await bench.tick()
    await bench.tick(answered=False)
    await bench.tick()
    assert not any(bench.stale)


async def test_answers_that_all_come_late_are_stale_though_they_keep_coming(bench):
    sent_s = {}
    for _ in range(60):
        for ask in bench.link.asks:
            sent_s.setdefault(ask, bench.now_s)
            if not ask.done() and bench.now_s - sent_s[ask] >= 1.1 * BOUND_S:
                ask.set_result(("depth",))
        await asyncio.sleep(0)
        await bench.tick(answered=False)
    assert all(bench.stale[-30:])


async def test_without_a_core_every_tick_is_older_from_the_start_on(bench):
    bench.link.down = True
    for _ in range(20):
        await bench.tick(answered=False)
    assert len(bench.ages) == 20
    assert all(bench.stale[-10:])


async def test_an_ask_that_a_lost_link_took_along_is_no_answer(bench):
    await bench.tick()
    for ask in bench.link.asks:
        if not ask.done():
            ask.set_exception(OutcomeUnknown())
    await asyncio.sleep(0)
    bench.ages.clear()
    for _ in range(6):
        await bench.tick(answered=False)
    assert bench.stale[-1]
    assert bench.watch._unanswered == UNANSWERED_MAX, "what was lost takes no place among the asks on the way"


async def test_ticks_that_the_gateway_was_too_late_for_are_made_up_with_the_age_of_their_own_moment(bench):
    await bench.tick()
    bench.ages.clear()
    await bench.tick(ticks=20)
    assert len(bench.ages) == 20
    assert bench.ages == sorted(bench.ages)
    assert sum(bench.stale) == pytest.approx(16, abs=1)


async def test_a_process_that_stood_still_for_an_hour_does_not_make_up_an_hour(bench):
    await bench.tick(ticks=int(3600 / TICK_S))
    assert len(bench.ages) <= MADE_UP_MAX_S / TICK_S + 1


async def test_a_tick_that_fails_is_logged_and_the_measure_goes_on(bench, monkeypatch):
    monkeypatch.setattr(feed, "FAILED_PAUSE_S", 0)
    lines, plan = LogLines(), [ValueError("odd")]

    def observe(age_s):
        if plan:
            raise plan.pop()
        bench.ages.append(age_s)

    watch = FeedWatch(bench.link, observe, JsonLog(stream=lines), lambda: bench.now_s)
    bench.now_s += 2 * TICK_S + 1e-9
    running = asyncio.create_task(watch.run())
    await eventually(lambda: bench.ages, "the next tick is observed")
    running.cancel()
    assert lines.events() == ["feed.failed"]


def buckets(gateway):
    """(observations, those within the bound)."""
    family = next(f for f in gateway.metrics._registry.collect() if f.name == conventions.MARKET_DATA_AGE_SECONDS)
    values = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
    return values["+Inf"], values["0.1"]


async def test_over_a_real_core_the_age_stays_within_the_bound_without_any_order(tmp_path, keys):
    with running_core(tmp_path / "log") as (core, port):
        async with running_gateway(port, keys.path) as gateway:
            await eventually(lambda: buckets(gateway)[1] >= 20, "ages within the bound are counted")
            assert gateway.link.queue_depth == 0, "asks are no members' requests"
            assert core.stats()["seq_num"] == 0, "and change nothing"


async def test_a_core_that_falls_silent_is_stale_at_once_and_fresh_again_when_it_answers(keys):
    async with FakeCore(fresh=True) as fake, running_gateway(fake.port, keys.path) as gateway:
        await eventually(lambda: buckets(gateway)[1] >= 4, "fresh while it answers")
        fake.fresh = False
        total, within = buckets(gateway)
        await eventually(lambda: buckets(gateway)[0] - total - (buckets(gateway)[1] - within) >= 8, "stale ones while it is silent")
        fake.fresh = True
        fake.drop()
        await eventually(lambda: gateway.link.is_up, "the link is made anew")
        within = buckets(gateway)[1]
        await eventually(lambda: buckets(gateway)[1] >= within + 4, "fresh again")


async def test_asks_take_no_members_place_on_the_link(keys):
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway:
        gateway.link._max_in_flight = 1
        await eventually(lambda: fake.asks == UNANSWERED_MAX, "asks are on the way")
        assert gateway.link.queue_depth == 0
        waiting = gateway.link.request(lambda request_id: b"", is_order=True)
        assert gateway.link.queue_depth == 1
        gateway.link.expire(gateway.link._clock() + 6)
        with pytest.raises(OutcomeUnknown):
            await waiting
        assert list(gateway.link._zombies.values()) == [True], "a lost ask is no zombie"
