"""A core over real sockets: what gateways are promised, what bad links get, and what a kill -9 may cost (nothing acknowledged)."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from engine import _core
from engine.types import ALL_INSTRUMENTS, CommandKind, OrdStatus, OrdType, RejectReason, SessionState, Side, TimeInForce
from tests.engine.conftest import to_reply
from tests.engine.core_process import core_config

POLICIES = ["memory", "device"]


def wait_until(condition, deadline_s=20.0):
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture(params=POLICIES)
def core(request, tmp_path, start_core):
    return start_core(tmp_path / "log", ack_policy=request.param)


def test_a_hello_is_answered_with_the_epoch_and_the_last_seq_num(tmp_path, start_core, connect):
    _, port = start_core(tmp_path, epoch=3, instruments_digest=2**64 - 1)
    client = connect(port, epoch=2)
    assert client.welcome == ("welcome", 3, 0, 2**64 - 1)
    client.order(Side.BUY, 1, 100)
    assert connect(port).welcome == ("welcome", 3, 1, 2**64 - 1)


def test_written_runs_ahead_of_durable_while_the_disk_is_waited_for_and_never_behind_it(tmp_path, start_core, connect):
    core, port = start_core(tmp_path, ack_policy="device")
    client = connect(port)
    order = _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, "")
    end, ahead, due = time.monotonic() + 20, False, 0
    while not ahead:
        assert time.monotonic() < end, "written was never seen ahead of durable"
        client.send(order * 100)
        due += 100
        while core.stats(False)["seq_num"] < due and not ahead:
            stats = core.stats(False)
            assert stats["durable_seq_num"] <= stats["written_seq_num"]
            ahead = stats["durable_seq_num"] < stats["written_seq_num"]


LINK_KEY = "0123456789abcdef"


@pytest.mark.parametrize("key", ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", LINK_KEY * 2, "é" * 8])
def test_a_hello_with_another_link_key_is_closed_without_a_word_and_nothing_of_it_counts(tmp_path, start_core, connect, key):
    core, port = start_core(tmp_path, link_key=LINK_KEY)
    client = connect(port, hello=False)
    client.send(_core.encode_hello("gateway", 1, key) + _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, ""))
    with pytest.raises(ConnectionError):
        client.next_frame()
    assert core.stats()["seq_num"] == 0


def test_a_hello_with_the_link_key_is_welcomed_and_a_core_without_one_asks_for_none(tmp_path, start_core, connect):
    _, port = start_core(tmp_path / "with", link_key=LINK_KEY)
    assert connect(port, key=LINK_KEY).order(Side.BUY, 1, 100).status is OrdStatus.NEW
    _, port = start_core(tmp_path / "without")
    assert connect(port, key=LINK_KEY).order(Side.BUY, 1, 100).status is OrdStatus.NEW


def test_commands_counts_only_what_is_in_the_log(tmp_path, start_core, connect):
    core, port = start_core(tmp_path)
    client = connect(port)
    assert client.order(Side.BUY, 1, 100, cl_ord_id="x" * 41).seq_num == 0
    assert core.stats()["commands"] == 0
    client.order(Side.BUY, 0, 100)
    stats = core.stats()
    assert (stats["commands"], stats["rejects"]) == (1, 2)


@pytest.mark.parametrize(("policy", "durable"), [("memory", 0), ("device", 1)])
def test_written_counts_what_is_in_the_log_whether_the_disk_has_it_or_not(tmp_path, start_core, connect, policy, durable):
    core, port = start_core(tmp_path, ack_policy=policy)
    connect(port).order(Side.BUY, 1, 100)
    stats = core.stats()
    assert (stats["written_seq_num"], stats["durable_seq_num"], stats["running"]) == (1, durable, 1)
    core.stop()
    assert core.stats()["running"] == 0
    core, _ = start_core(tmp_path)
    assert (core.stats()["written_seq_num"], core.stats()["durable_seq_num"]) == (1, 1)


def test_a_gateway_that_has_seen_a_newer_epoch_is_refused_with_all_it_sent(tmp_path, start_core, connect):
    core, port = start_core(tmp_path, epoch=3)
    client = connect(port, hello=False)
    client.send(_core.encode_hello("gateway", 4) + _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, ""))
    assert client.closed_by_core()
    assert core.stats()["seq_num"] == 0


@pytest.mark.parametrize(
    "first",
    [
        _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, ""),
        _core.encode_depth_request(1, 0, 5),
        _core.encode_logon(1, "token"),
        _core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, "") + b"\0" * 64,
    ],
    ids=["order", "depth", "logon", "order and garbage"],
)
def test_a_link_that_does_not_begin_with_a_hello_is_closed_and_nothing_of_it_counts(core, connect, first):
    client = connect(core[1], hello=False)
    client.send(first)
    assert client.closed_by_core()
    assert core[0].stats()["seq_num"] == 0


@pytest.mark.parametrize("second", [_core.encode_hello("again", 1), _core.encode_welcome(1, 1), _core.encode_logon(1, "x")])
def test_a_frame_that_no_gateway_may_send_closes_the_link(core, connect, second):
    client = connect(core[1])
    client.send(second)
    assert client.closed_by_core()


def test_orders_trade_over_two_links(core, connect):
    maker, taker = connect(core[1]), connect(core[1])
    resting = maker.order(Side.SELL, 10, 100, firm=1)
    reply = taker.order(Side.BUY, 4, 101, firm=2)
    assert (resting.status, reply.status) == (OrdStatus.NEW, OrdStatus.FILLED)
    assert [(fill.maker_order_id, fill.price_ticks, fill.qty) for fill in reply.fills] == [(resting.order_id, 100, 4)]
    assert maker.depth() == ("depth", maker.request_id, 2, [], [(100, 6)], (100, 4), SessionState.CONTINUOUS, 0, (0, 0, 0))


def test_orders_are_reduced_and_cancelled_by_their_owner_only(core, connect):
    client = connect(core[1])
    order = client.order(Side.SELL, 10, 100, firm=1)
    assert client.reduce(order.order_id, 4, firm=2).reason is RejectReason.NOT_OWNER
    assert client.reduce(order.order_id, 4).leaves_qty == 4
    assert client.cancel(order.order_id, firm=2).reason is RejectReason.NOT_OWNER
    assert client.cancel(order.order_id).status is OrdStatus.CANCELLED
    assert client.cancel(order.order_id).reason is RejectReason.TOO_LATE
    assert client.cancel(77).reason is RejectReason.UNKNOWN_ORDER


def test_a_duplicate_cl_ord_id_is_refused_also_after_a_restart(tmp_path, start_core, connect):
    core, port = start_core(tmp_path)
    first = connect(port).order(Side.BUY, 10, 100, cl_ord_id="a")
    assert connect(port).order(Side.BUY, 10, 100, cl_ord_id="a").order_id == first.order_id
    core.stop()
    _, port = start_core(tmp_path)
    again = connect(port).order(Side.BUY, 10, 100, cl_ord_id="a")
    assert (again.reason, again.order_id) == (RejectReason.DUPLICATE_CL_ORD_ID, first.order_id)
    assert connect(port).depth()[3] == [(100, 10)]


@pytest.mark.parametrize("cl_ord_id", ["x" * 41, "tab\t", "é"])
def test_a_cl_ord_id_that_does_not_fit_the_log_is_a_bad_command_and_is_not_logged(core, connect, cl_ord_id):
    client = connect(core[1])
    reply = client.order(Side.BUY, 10, 100, cl_ord_id=cl_ord_id)
    assert (reply.seq_num, reply.reason) == (0, RejectReason.BAD_COMMAND)
    assert client.order(Side.BUY, 10, 100).seq_num == 1


def test_depth_of_an_unknown_instrument_is_empty_and_levels_are_bounded(core, connect):
    client = connect(core[1])
    for price in range(1, 6):
        client.order(Side.BUY, 1, price)
    assert client.depth(instrument=9)[3:6] == ([], [], None)
    assert client.depth(levels=2)[3] == [(5, 1), (4, 1)]
    assert len(client.depth(levels=2**32 - 1)[3]) == 5
    assert client.depth(levels=0)[3] == []


def test_many_commands_sent_at_once_are_answered_in_order(core, connect):
    client = connect(core[1])
    count = 5000
    client.send(b"".join(_core.encode_new_order(i, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, f"c{i}") for i in range(count)))
    replies = [client.next_frame() for _ in range(count)]
    assert [(reply[1], reply[2]) for reply in replies] == [(i, i + 1) for i in range(count)]
    stats = core[0].stats()
    assert (stats["seq_num"], stats["commands"], stats["live_orders"], stats["rejects"]) == (count, count, count, 0)


def test_garbage_closes_only_the_link_it_came_on(core, connect):
    good, bad = connect(core[1]), connect(core[1])
    bad.send(struct.pack("<II", 50, 1) + b"\xff" * 46)
    assert bad.closed_by_core()
    assert good.order(Side.BUY, 1, 100).status is OrdStatus.NEW


def test_a_frame_with_a_wrong_crc_closes_the_link_and_is_not_applied(core, connect):
    client = connect(core[1])
    frame = bytearray(_core.encode_new_order(1, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, ""))
    frame[-10] ^= 1
    client.send(bytes(frame))
    assert client.closed_by_core()
    assert core[0].stats()["seq_num"] == 0


def test_a_link_that_says_nothing_is_closed_after_a_while(tmp_path, start_core, connect):
    core, port = start_core(tmp_path)
    greeted, silent = connect(port), connect(port, hello=False)
    assert silent.closed_by_core()
    assert greeted.order(Side.BUY, 1, 100).status is OrdStatus.NEW
    assert core.stats()["links"] == 1


def test_a_frame_cut_into_single_bytes_is_understood(core, connect):
    client = connect(core[1])
    for byte in _core.encode_new_order(7, 1, 0, Side.BUY, OrdType.LIMIT, 0, 100, 1, ""):
        client.send(bytes([byte]))
    assert client.next_frame()[:3] == ("reply", 7, 1)


def test_a_link_that_goes_away_leaves_the_core_and_its_orders_alone(core, connect):
    leaver = connect(core[1])
    leaver.order(Side.SELL, 5, 100)
    leaver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaver.close()
    wait_until(lambda: core[0].stats()["links"] == 0)
    assert connect(core[1]).depth()[4] == [(100, 5)]


def test_a_link_that_never_reads_is_closed_and_slows_nobody(tmp_path, start_core, connect):
    core, port = start_core(tmp_path)
    good, lazy = connect(port), connect(port)
    for price in range(1, 1001):
        good.order(Side.BUY, 1, price)
    wait_until(lambda: core.stats(False)["links"] == 2)
    request = _core.encode_depth_request(1, 0, 1000)
    try:
        for _ in range(5000):
            lazy.send(request)
            if core.stats(False)["links"] == 1:
                break
    except OSError:
        pass
    wait_until(lambda: core.stats(False)["links"] == 1)
    assert good.order(Side.BUY, 1, 1).status is OrdStatus.NEW


def test_a_reply_with_very_many_fills_arrives_whole(core, connect):
    client = connect(core[1])
    count = 20_000
    frames = b"".join(_core.encode_new_order(i, 1, 0, Side.SELL, OrdType.LIMIT, 0, 100, 1, "") for i in range(count))
    sender = threading.Thread(target=client.send, args=(frames,))
    sender.start()
    for _ in range(count):
        client.next_frame()
    sender.join()
    reply = client.order(Side.BUY, count, 100, firm=2)
    assert [fill.maker_order_id for fill in reply.fills] == list(range(1, count + 1))


def test_stop_is_quick_idempotent_and_gives_the_port_and_the_log_back(tmp_path, start_core, connect):
    core, port = start_core(tmp_path)
    client = connect(port)
    core.stop()
    core.stop()
    assert client.closed_by_core()
    again = _core.Core(config=core_config(), log_dir=str(tmp_path))
    again.recover()
    assert again.listen("127.0.0.1", port) == port


def test_a_port_in_use_is_an_oserror(core):
    other = _core.Core(config=core_config(), log_dir="/nonexistent")
    with pytest.raises(OSError, match="use"):
        other.listen("127.0.0.1", core[1])


def test_start_needs_recover_and_listen_first(tmp_path):
    core = _core.Core(config=core_config(), log_dir=str(tmp_path))
    with pytest.raises(RuntimeError):
        core.start()


def test_the_statistics_of_a_device_core_show_everything_acknowledged_as_durable(tmp_path, start_core, connect):
    core, port = start_core(tmp_path, ack_policy="device")
    client = connect(port)
    client.order(Side.SELL, 5, 100)
    client.order(Side.BUY, 5, 100, firm=2)
    client.order(Side.BUY, 0, 100)
    stats = core.stats()
    assert (stats["seq_num"], stats["durable_seq_num"], stats["trades"], stats["rejects"], stats["log_healthy"]) == (3, 3, 1, 1, 1)
    assert stats["last_tick_ns"] > 0
    assert stats["state_hash"] != 0
    assert core.stats(with_state_hash=False)["state_hash"] == 0
    assert core.log_fault() == ""


def control(client, kind, *, firm=0, instrument=0, price_ticks=0, qty=0, stop_price_ticks=0, order_id=0, stp=0, state=0):
    fields = (kind, firm, instrument, price_ticks, qty, stop_price_ticks, order_id, stp, state)
    return to_reply(client.ask(_core.encode_control, *fields)[2:])


def to_order(client, *, instrument=0, side=Side.BUY, qty=1, price=100, stop=0, ord_type=OrdType.LIMIT, tif=TimeInForce.DAY, firm=1):
    return to_reply(client.ask(_core.encode_new_order, firm, instrument, side, ord_type, tif, price, qty, "", stop)[2:])


def test_a_stop_order_waits_can_be_amended_and_cancelled_and_its_price_travels_over_the_link(core, connect):
    client = connect(core[1])
    stop = to_order(client, ord_type=OrdType.STOP, price=0, stop=120)
    assert (stop.status, client.depth()[3]) == (OrdStatus.NEW, [])
    amended = to_reply(client.ask(_core.encode_amend, 1, stop.order_id, 0, 5, 110)[2:])
    assert (amended.order_id, amended.status, amended.order_qty) == (stop.order_id, OrdStatus.NEW, 5)
    elsewhere = to_reply(client.ask(_core.encode_amend, 1, stop.order_id, 0, 5, 115, 1)[2:])
    assert (elsewhere.reason, elsewhere.value, elsewhere.limit) == (RejectReason.UNKNOWN_INSTRUMENT, 1, 0)
    too_many = to_reply(client.ask(_core.encode_amend, 1, stop.order_id, 0, 2_000_000, 0)[2:])
    assert (too_many.reason, too_many.value, too_many.limit) == (RejectReason.BAD_QUANTITY, 2_000_000, 1_000_000)
    assert client.cancel(stop.order_id).status is OrdStatus.CANCELLED


def test_a_refusal_carries_the_two_numbers_that_decided_it(core, connect):
    reply = connect(core[1]).order(Side.BUY, 1_000_001, 100)
    assert (reply.reason, reply.value, reply.limit) == (RejectReason.BAD_QUANTITY, 1_000_001, 1_000_000)


def test_an_auction_shows_its_indicative_price_and_uncrosses_when_the_session_says_so(core, connect):
    client = connect(core[1])
    assert control(client, CommandKind.SESSION, instrument=ALL_INSTRUMENTS, state=SessionState.OPENING_AUCTION).order_qty == 1
    to_order(client, side=Side.SELL, qty=4, price=100)
    to_order(client, side=Side.BUY, qty=6, price=102, firm=2)
    assert client.depth()[6:8] == (SessionState.OPENING_AUCTION, 0)
    assert client.depth()[8][1:] == (4, 2)
    control(client, CommandKind.SESSION, instrument=0, state=SessionState.CONTINUOUS)
    assert core[0].stats()["trades"] == 1
    assert client.depth()[6:] == (SessionState.CONTINUOUS, 0, (0, 0, 0))


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_kill_over_the_link_cancels_everywhere_and_holds_until_it_is_lifted(tmp_path, start_core, connect, partitions):
    core, port = start_core(tmp_path, config=core_config(6, partitions))
    client = connect(port)
    for instrument in range(6):
        assert to_order(client, instrument=instrument).status is OrdStatus.NEW
        assert to_order(client, instrument=instrument, firm=2).status is OrdStatus.NEW
    assert control(client, CommandKind.KILL, firm=1, qty=1).order_qty == 6
    assert {to_order(client, instrument=number).reason for number in range(6)} == {RejectReason.FIRM_KILLED}
    assert to_order(client, firm=2).status is OrdStatus.NEW
    assert control(client, CommandKind.KILL, firm=1, qty=0).status is OrdStatus.NEW
    assert {to_order(client, instrument=number).status for number in range(6)} == {OrdStatus.NEW}
    core.stop()
    again, _ = start_core(tmp_path, config=core_config(6, partitions))
    assert again.stats()["state_hash"] == core.stats()["state_hash"]
    assert sum(one["live_orders"] for one in again.partition_stats()) == again.stats()["live_orders"] == 13


def test_limits_over_the_link_hold_in_every_partition(tmp_path, start_core, connect):
    _, port = start_core(tmp_path, config=core_config(4, 4))
    client = connect(port)
    assert control(client, CommandKind.LIMITS, firm=1, qty=10).status is OrdStatus.NEW
    for instrument in range(4):
        refused = to_order(client, instrument=instrument, qty=11)
        assert (refused.reason, refused.value, refused.limit) == (RejectReason.ORDER_SIZE, 11, 10)
    refused = control(client, CommandKind.LIMITS, firm=1, qty=-1, order_id=7)
    assert (refused.reason, refused.order_id) == (RejectReason.BAD_LIMITS, 0)


@pytest.mark.parametrize("kind", [CommandKind.TIMER, CommandKind.NEW_ORDER, 0, 200])
def test_a_control_frame_that_is_no_control_is_a_bad_command(core, connect, kind):
    assert control(connect(core[1]), kind).reason is RejectReason.BAD_COMMAND
    assert core[0].stats()["seq_num"] == 0


def test_orders_of_several_partitions_have_ids_of_their_own_and_each_log_a_folder(tmp_path, start_core, connect):
    core, port = start_core(tmp_path, config=core_config(4, 2))
    client = connect(port)
    ids = [to_order(client, instrument=number % 4).order_id for number in range(8)]
    assert sorted(ids) == list(range(1, 9))
    assert [order_id % 2 for order_id in ids] == [1, 0] * 4
    assert client.cancel(ids[5]).status is OrdStatus.CANCELLED
    core.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["partition-00", "partition-01"]
    with pytest.raises(_core.LogError, match="2 partition"):
        _core.Core(config=core_config(4, 1), log_dir=str(tmp_path)).recover()


def test_a_price_band_halts_and_resumes_by_the_cores_own_timers(tmp_path, start_core, connect):
    rules = core_config(reference_ticks=1000, luld_bps=100)
    config = (*rules[:3], 50_000_000, 50_000_000, *rules[5:])  # limit state and halt of 50 ms each
    core, port = start_core(tmp_path, config=config)
    client = connect(port)
    to_order(client, side=Side.SELL, price=1011)
    blocked = to_order(client, price=1011, firm=2)
    assert (blocked.status, blocked.reason) == (OrdStatus.CANCELLED, RejectReason.PRICE_BAND)
    wait_until(lambda: core.stats(False)["seq_num"] >= 4)
    wait_until(lambda: client.depth()[6:8] == (SessionState.CONTINUOUS, 0))
    core.stop()
    hashes = core.stats()["state_hash"]
    assert start_core(tmp_path, config=config)[0].stats()["state_hash"] == hashes


@pytest.mark.parametrize("policy", POLICIES)
def test_kill_9_under_load_loses_no_acknowledged_order_and_makes_none_twice(tmp_path, spawn_core, connect, policy):
    """The client sends without waiting; the core dies in the middle, four times. Whatever was acknowledged is there afterwards under
    its order id; sending everything again makes each order exactly once."""
    acknowledged: dict[str, int] = {}
    sent: list[str] = []
    for life in range(4):
        core = spawn_core(tmp_path, policy, 512)
        client = connect(core.port)
        names = [f"{life}-{number}" for number in range(12_000)]
        sent += names
        frames = [_core.encode_new_order(n, 1, 0, Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 100, 1, name) for n, name in enumerate(names)]
        sender = threading.Thread(target=send_until_broken, args=(client, frames), daemon=True)
        sender.start()
        answers = 0
        try:
            while True:
                _, request_id, _, order_id, status, *_ = client.next_frame()
                assert status == OrdStatus.NEW
                acknowledged[names[request_id]] = order_id
                answers += 1
                if answers == 100 + 150 * life:
                    core.kill()
        except ConnectionError:
            sender.join()
    assert 4 * 100 <= len(acknowledged) < len(sent)
    check_after_the_last_life(tmp_path, spawn_core, connect, policy, acknowledged, sent)


def send_until_broken(client, frames):
    try:
        for at in range(0, len(frames), 10):
            client.send(b"".join(frames[at : at + 10]))
    except OSError:
        pass


def check_after_the_last_life(tmp_path, spawn_core, connect, policy, acknowledged, sent):
    core = spawn_core(tmp_path, policy, 512)
    client = connect(core.port)
    assert len(set(acknowledged.values())) == len(acknowledged)
    again = send_all(client, acknowledged)
    assert {(status, reason) for _, status, reason in again} == {(OrdStatus.REJECTED, RejectReason.DUPLICATE_CL_ORD_ID)}
    assert [order_id for order_id, _, _ in again] == list(acknowledged.values())
    ids = [order_id for order_id, _, _ in send_all(client, sent)]
    assert sorted(ids) == list(range(1, len(sent) + 1))
    assert client.depth()[3] == [(100, len(sent))]


def send_all(client, names):
    """(order_id, status, reason) of one order per name, sent without waiting in between."""
    frames = [_core.encode_new_order(n, 1, 0, Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 100, 1, name) for n, name in enumerate(names)]
    sender = threading.Thread(target=client.send, args=(b"".join(frames),))
    sender.start()
    replies = [client.next_frame() for _ in frames]
    sender.join()
    return [(reply[3], reply[4], reply[5]) for reply in replies]
