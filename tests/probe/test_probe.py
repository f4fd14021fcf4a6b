"""The desk probe against a real core and gateway, against servers that hang or refuse, and across its own restarts."""

import asyncio
import contextlib
import itertools
import re
import signal

import aiohttp
import pytest
from aiohttp import web
from venue_parts import Keys, LogLines, eventually, process, running_core, running_gateway

from engine import conventions
from engine.config import VenueError, default_instruments_path, load_instruments, parse_instruments
from engine.flow.client import Answer, VenueClient
from engine.flow.model import FlowSettings
from engine.logs import JsonLog
from engine.probe.metrics import ProbeMetrics
from engine.probe.model import Round, Target, target
from engine.probe.note import Note
from engine.probe.process import new_ids, pages, probe_until
from engine.probe.rounds import Rounds

PACKAGED = load_instruments(default_instruments_path())
LIST = default_instruments_path().read_text() + "- {symbol: ZTEST, tick_size: '0.05', max_quantity: 10}\n"
WITH_TEST = parse_instruments(LIST, "i.yaml")


class Desk:
    """A venue of one member: orders by client_order_id, and the answers that the test puts before the venue's own."""

    def __init__(self):
        self.orders, self.live, self.calls, self.planned = {}, set(), [], {}

    async def add(self, order):
        self.calls.append(("add", order.time_in_force, order.client_order_id))
        planned = self._next("add" if order.client_order_id else "flatten")
        if planned == "lost on the way back":
            self._take(order)
            return Answer(0, {}, wrong="timeout")
        return planned or self._take(order)

    async def cancel(self, order_id):
        self.calls.append(("cancel", order_id))
        if planned := self._next("cancel"):
            return planned
        if order_id not in self.live:
            return refusal(409, "too_late")
        self.live.remove(order_id)
        return Answer(200, {"order_id": order_id, "remaining_qty": 1})

    def _take(self, order):
        if order.client_order_id in self.orders:
            return refusal(409, "duplicate_client_order_id", order_id=self.orders[order.client_order_id])
        order_id = len(self.orders) + 1
        self.orders[order.client_order_id or f"none-{order_id}"] = order_id
        if order.time_in_force == "day":
            self.live.add(order_id)
        return Answer(201, {"order_id": order_id})

    def _next(self, what):
        return self.planned[what].pop(0) if self.planned.get(what) else None


def refusal(status, code, **more):
    return Answer(status, {"error": {"code": code, **more}})


def rounds_of(desk, note=None, instruments=WITH_TEST):
    numbers = itertools.count(1)
    return Rounds(desk, target(instruments), note or Note(None), lambda: f"p-{next(numbers)}", lambda: 0.0)


@pytest.fixture
def desk():
    return Desk()


async def test_a_round_rests_an_order_cancels_it_and_sends_one_that_cannot_rest(desk):
    done = await rounds_of(desk).run()
    assert (done.failed, done.reason, desk.live) == ("", "", set())
    assert desk.calls == [("add", "day", "p-1"), ("cancel", 1), ("add", "ioc", None)]


@pytest.mark.parametrize(
    ("what", "answer", "step", "reason"),
    [
        ("add", Answer(0, {}, wrong="timeout"), "enter", "timeout"),
        ("add", refusal(429, "rate_limited"), "enter", "rate_limited"),
        ("add", Answer(201, {"order_id": "7"}), "enter", "the answer names no order"),
        ("cancel", Answer(503, {"error": {"code": "core_unavailable"}}, wrong="http_5xx"), "cancel", "http_5xx"),
        ("cancel", refusal(403, "not_owner"), "cancel", "not_owner"),
        ("flatten", refusal(422, "bad_price"), "flatten", "bad_price"),
        ("flatten", Answer(0, {}, wrong="connection"), "flatten", "connection"),
    ],
)
async def test_a_refusal_or_a_silence_fails_the_round_at_its_step(desk, what, answer, step, reason):
    desk.planned[what] = [answer]
    done = await rounds_of(desk).run()
    assert (done.failed, done.reason) == (step, reason)


async def test_a_cancel_that_failed_is_made_good_before_anything_new_rests(desk):
    rounds = rounds_of(desk)
    desk.planned["cancel"] = [Answer(0, {}, wrong="timeout"), refusal(429, "gateway_busy")]
    assert [(await rounds.run()).failed for _ in range(3)] == ["cancel", "cancel", ""]
    assert desk.live == set()
    assert [call[2] for call in desk.calls if call[:2] == ("add", "day")] == ["p-1", "p-1", "p-1"], (
        "one order, however often it is asked for"
    )


async def test_an_order_whose_answer_was_lost_is_found_by_its_id_and_cancelled(desk):
    rounds = rounds_of(desk)
    desk.planned["add"] = ["lost on the way back"]
    assert (await rounds.run()).failed == "enter"
    assert len(desk.live) == 1
    assert (await rounds.run()).failed == ""
    assert desk.live == set()


async def test_a_restart_takes_back_what_the_run_before_left(desk, tmp_path):
    desk.planned["cancel"] = [Answer(0, {}, wrong="timeout")]
    first = Note(tmp_path / "note")
    await rounds_of(desk, first).run()
    first.close()  # as a kill leaves it
    assert len(desk.live) == 1
    again = Note(tmp_path / "note")
    assert (await rounds_of(desk, again).run()).failed == ""
    assert desk.live == set()
    again.close()


async def test_withdrawing_leaves_nothing_whether_the_order_had_arrived_or_not(desk):
    for plan in ("lost on the way back", Answer(0, {}, wrong="connection")):
        rounds = rounds_of(desk)
        desk.planned["add"] = [plan]
        await rounds.run()
        assert await rounds.withdraw()
        assert desk.live == set()
    rounds = rounds_of(desk)
    desk.planned = {"add": [Answer(0, {}, wrong="timeout")] * 2}
    await rounds.run()
    assert not await rounds.withdraw(), "the venue did not say that nothing rests"


async def test_without_the_test_instrument_nothing_rests_in_a_book_that_members_trade(desk):
    done = await rounds_of(desk, instruments=PACKAGED).run()
    assert (done.failed, desk.live) == ("", set())
    assert {call[1] for call in desk.calls if call[0] == "add"} == {"ioc"}


def test_the_price_is_one_tick_and_the_quantity_one_share():
    order = target(WITH_TEST).order("x", may_rest=True)
    assert (order.symbol, order.side, order.price, order.qty) == (conventions.TEST_SYMBOL, "buy", "0.05", 1)
    assert target(PACKAGED).symbol == "TSLA"


@pytest.mark.parametrize("text", [b"", b"\xff" * 40, b"a b\n", b"x" * 80, b"p-1;drop"])
def test_a_note_that_holds_no_id_is_an_empty_note(tmp_path, text):
    (tmp_path / "note").write_bytes(text)
    note = Note(tmp_path / "note")
    assert note.read() == ""
    note.write("p-77")
    assert note.read() == "p-77"
    note.write("p-8")
    assert note.read() == "p-8"
    note.close()


def test_a_note_that_cannot_be_made_is_told_and_a_link_is_not_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "no" / "note", tmp_path / "link"):
        with pytest.raises(VenueError, match="note"):
            Note(path)
    assert not (tmp_path / "elsewhere").exists()


def test_ids_never_repeat_over_restarts_and_fit_the_interface():
    first, second = new_ids(lambda: 1_800_000_000_000_000_000), new_ids(lambda: 1_800_000_000_000_001_000)
    ids = [first(), first(), second()]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9._\-]{1,36}", one) for one in ids)


class Ticker:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def value(metrics, name, **labels):
    return metrics._registry.get_sample_value(name, labels)


def test_success_needs_a_round_that_went_through_lately():
    clock = Ticker()
    metrics = ProbeMetrics(8.0, clock)
    assert value(metrics, conventions.PROBE_SUCCESS) == 0, "nothing is proved before the first round"
    metrics.ended(Round("", "", 0.01))
    assert value(metrics, conventions.PROBE_SUCCESS) == 1
    clock.now_s = 8.1
    assert value(metrics, conventions.PROBE_SUCCESS) == 0, "a probe that stands still proves nothing"
    metrics.ended(Round("", "", 0.01))
    metrics.ended(Round("cancel", "timeout", 2.0))
    assert value(metrics, conventions.PROBE_SUCCESS) == 0
    assert value(metrics, conventions.PROBE_ROUNDS) == 3
    assert [value(metrics, conventions.PROBE_FAILURES, step=step) for step in conventions.PROBE_STEPS] == [0, 1, 0]
    assert value(metrics, f"{conventions.PROBE_SECONDS}_count") == 3


async def test_a_round_under_way_is_given_up_when_the_probe_is_stopped():
    stop, began = asyncio.Event(), asyncio.Event()

    async def hang():
        began.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(probe_until(stop, hang, 1.0, ProbeMetrics(1.0, Ticker()), JsonLog(stream=LogLines())))
    await began.wait()
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_change_is_logged_once():
    lines, stop = LogLines(), asyncio.Event()
    plan = [Round("", "", 0.0), Round("enter", "timeout", 0.0), Round("enter", "timeout", 0.0), Round("", "", 0.0)]

    async def run():
        done = plan.pop(0)
        if not plan:
            stop.set()
        return done

    await asyncio.wait_for(probe_until(stop, run, 0.0, ProbeMetrics(1.0, Ticker()), JsonLog(stream=lines)), 5)
    assert lines.events() == ["probe.failed", "probe.recovered"]


async def test_after_a_failure_the_next_round_does_not_wait_for_its_turn():
    stop, plan = asyncio.Event(), [Round("enter", "timeout", 0.0), Round("", "", 0.0)]
    metrics = ProbeMetrics(1.0, Ticker())

    async def run():
        done = plan.pop(0)
        if not plan:
            stop.set()
        return done

    await asyncio.wait_for(probe_until(stop, run, 3600.0, metrics, JsonLog(stream=LogLines())), 15)
    assert value(metrics, conventions.PROBE_SUCCESS) == 1


@contextlib.asynccontextmanager
async def client(port, token, bound_s=5.0):
    async with VenueClient(FlowSettings(f"http://127.0.0.1:{port}", token, max_in_flight=1, timeout_s=bound_s)) as desk:
        yield desk


async def test_over_a_real_venue_a_round_goes_through_and_leaves_no_order(tmp_path):
    keys = Keys(tmp_path / "keys.yaml")
    with running_core(tmp_path / "log") as (core, port):
        async with running_gateway(port, keys.path) as gateway, client(gateway.http_port, keys.token["desk"]) as desk:
            rounds = Rounds(desk, target(PACKAGED), Note(None), new_ids(lambda: 10**18), lambda: 0.0)
            assert [await rounds.run() for _ in range(2)] == [Round("", "", 0.0)] * 2
            rests = Target("AAPL", "0.01", rests=True)
            assert await Rounds(desk, rests, Note(None), new_ids(lambda: 10**17), lambda: 0.0).run() == Round("", "", 0.0)
            assert core.stats()["live_orders"] == 0
            assert core.stats()["trades"] == 0


async def test_a_server_that_hangs_fails_the_round_within_its_bound():
    async def hang(_):
        await asyncio.Event().wait()

    runner = web.ServerRunner(web.Server(hang), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with client(runner.addresses[0][1], "t", bound_s=0.05) as desk:
            done = await asyncio.wait_for(rounds_of(desk).run(), 5)
    finally:
        await runner.cleanup()
    assert (done.failed, done.reason) == ("enter", "timeout")


async def test_the_pages_show_the_figures():
    metrics = ProbeMetrics(1.0, Ticker())
    metrics.ended(Round("", "", 0.02))
    runner = web.AppRunner(pages(metrics))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            text = await (await session.get("/metrics")).text()
            ready = await (await session.get("/readyz")).json()
    finally:
        await runner.cleanup()
    assert "exchange_desk_probe_success 1.0" in text
    assert ready["success"] is True


async def test_as_a_process_it_probes_a_venue_survives_a_kill_and_leaves_nothing_behind(tmp_path):
    keys = Keys(tmp_path / "keys.yaml")
    keys.add("probe", firm=9, permissions=("trade",))
    (tmp_path / "probe.key").write_text(keys.token["probe"] + "\n")
    (tmp_path / "list.yaml").write_text(LIST)
    with running_core(tmp_path / "log", instruments=WITH_TEST) as (core, port):
        async with running_gateway(port, keys.path, instruments=tmp_path / "list.yaml") as gateway:
            words = ("probe", "--key-file", tmp_path / "probe.key", "--url", f"http://127.0.0.1:{gateway.http_port}")
            words += ("--admin-port", 0, "--interval", "1ms", "--note", tmp_path / "probe.note", "--instruments", tmp_path / "list.yaml")
            for end, code, left in ((signal.SIGKILL, -signal.SIGKILL, 1), (signal.SIGKILL, -signal.SIGKILL, 1), (signal.SIGTERM, 0, 0)):
                with process(*words) as probe:
                    started = await asyncio.to_thread(probe.event, "probe.started")
                    assert (started["symbol"], started["rests"]) == (conventions.TEST_SYMBOL, True)
                    async with aiohttp.ClientSession() as session:
                        await eventually(lambda page=started["port"], web=session: succeeds(web, page), "rounds go through")
                    probe.signal(end)
                    assert await asyncio.to_thread(probe.wait) == code
                    assert keys.token["probe"] not in "".join(probe.seen)
                assert core.stats()["live_orders"] <= left, "never more than one, none after an orderly end"
            assert core.stats()["trades"] == 0


async def succeeds(session, port):
    async with session.get(f"http://127.0.0.1:{port}/metrics") as page:
        return re.search(r"^exchange_desk_probe_rounds_total [1-9]", await page.text(), re.M)


async def test_a_port_that_is_taken_and_a_missing_key_are_told_without_a_traceback(tmp_path):
    with process("probe", "--key-file", tmp_path / "none") as probe:
        assert await asyncio.to_thread(probe.wait) == 2
        assert "the key file" in "".join(probe.seen)
        assert "Traceback" not in "".join(probe.seen)
