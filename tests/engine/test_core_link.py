"""A core over real sockets: what gateways are promised, what bad links get, and what a kill -9 may cost (nothing acknowledged)."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from engine import _core
from engine.types import OrdStatus, OrdType, RejectReason, Side, TimeInForce

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
    assert maker.depth() == ("depth", maker.request_id, 2, [], [(100, 6)], (100, 4))


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
    assert client.depth(instrument=9)[3:] == ([], [], None)
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
    again = _core.Core(log_dir=str(tmp_path), instrument_max_qty=[1_000_000])
    again.recover()
    assert again.listen("127.0.0.1", port) == port


def test_a_port_in_use_is_an_oserror(core):
    other = _core.Core(log_dir="/nonexistent", instrument_max_qty=[1])
    with pytest.raises(OSError, match="use"):
        other.listen("127.0.0.1", core[1])


def test_start_needs_recover_and_listen_first(tmp_path):
    core = _core.Core(log_dir=str(tmp_path), instrument_max_qty=[1])
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


@pytest.mark.parametrize("policy", POLICIES)
def test_kill_9_under_load_loses_no_acknowledged_order_and_makes_none_twice(tmp_path, spawn_core, connect, policy):
    """The client sends without waiting; the core dies in the middle, four times. Whatever was acknowledged is there afterwards under
    its order id; sending everything again makes each order exactly once."""
    acknowledged: dict[str, int] = {}
    sent: list[str] = []
    for life in range(4):
        core = spawn_core(tmp_path, policy, 512)
        client = connect(core.port)
        names = [f"{life}-{number}" for number in range(3000)]
        sent += names
        frames = [_core.encode_new_order(n, 1, 0, Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 100, 1, name) for n, name in enumerate(names)]
        sender = threading.Thread(target=send_until_broken, args=(client, frames), daemon=True)
        sender.start()
        answers = 0
        try:
            while True:
                _, request_id, _, order_id, status, _, _, _, _, _ = client.next_frame()
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
