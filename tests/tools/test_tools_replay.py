"""`exchange replay`: the book of any moment, and the life of an order. The printed pages are in golden/."""

from __future__ import annotations

import json

import pytest
from sample_day import DAY, Sample, order, same_as_golden, session, timed

from engine import _core
from engine.config import load_instruments
from engine.firms import load_firms
from engine.instruments import instruments_digest, partition_config
from engine.tools.book import Moment, book_at
from engine.tools.edge import LogFiles, open_log, run_through
from engine.types import Command, CommandKind, OrdType, SessionState, Side, TimeInForce


def asked(day: Sample, *arguments: object) -> list[object]:
    return ["replay", "--log-dir", day.log_dir, "--instruments", day.instruments, *arguments]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("book-auction.txt", ["--at", "2026-11-20T12:15:02.999+02:00", "--instrument", "AAPL", "--zone", "Europe/Berlin"]),
        ("book-orders.txt", ["--at", "2026-11-20T10:15:11.5", "--instrument", "AAPL", "--orders"]),
        ("book-one-level.txt", ["--seq-num", "12", "--instrument", "AAPL", "--depth", "1"]),
        ("book-empty.txt", ["--at", "last", "--instrument", "BRK.A", "--orders"]),
        ("book.json", ["--at", "2026-11-20T10:15:11.5", "--instrument", "AAPL", "--orders", "--output", "json"]),
        ("trace.txt", ["--trace", "1"]),
        ("trace-internal.txt", ["--trace", "3", "--internal"]),
        ("trace-late-cancel.txt", ["--trace", "4"]),
        ("trace-fok.txt", ["--trace", "9"]),
        ("trace.json", ["--trace", "1", "--output", "json"]),
    ],
)
def test_the_page_is_as_it_was(exchange, day, name, arguments):
    ran = exchange(*asked(day, *arguments))
    assert ran.code == 0
    same_as_golden(name, ran.out, day)


def test_a_moment_takes_everything_up_to_its_nanosecond(exchange, day):
    def seq_num(at: str) -> int:
        return json.loads(exchange(*asked(day, "--at", at, "--instrument", "AAPL", "--output", "json")).out)["seq_num"]

    assert seq_num("2026-11-20T10:15:04.123456788") == 4
    assert seq_num("2026-11-20T10:15:04.123456789") == 5
    assert seq_num("2026-11-20T10:15:04.123456790") == 5
    assert seq_num("last") == len(DAY)


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (
            ["--at", "2026-11-19T10:15", "--instrument", "AAPL"],
            "the log begins later: it reaches from 2026-11-20T10:15:00.123456789Z",
            "inside",
        ),
        (["--at", "2026-11-20T10:15:18.2", "--instrument", "AAPL"], "(seq_num 19)", "--at last"),
        (["--seq-num", "20", "--instrument", "AAPL"], "the log ends before that", "--at last"),
        (["--at", "last", "--instrument", "MSFT"], "'MSFT' is not listed", "AAPL, BRK.A"),
        (["--at", "last"], "--instrument", "AAPL"),
        (["--at", "noon", "--instrument", "AAPL"], "'noon'", "2026-11-20T10:15:23.456789"),
        (["--at", "last", "--instrument", "AAPL", "--zone", "Mars"], "'Mars'", "America/New_York"),
        (["--trace", "99"], "no order 99 was accepted up to seq_num 19", "answer to the order"),
        (["--trace", "0"], "order ids begin at 1", ""),
        (["--trace", "99999999999999999999999"], "order ids begin at 1 and end at 9223372036854775807", ""),
        (["--trace", "1", "--verify"], "got --trace and --verify", "--help"),
        ([], "got nothing of the kind", "--help"),
        (["--verify", "--output", "xml"], "table or json", ""),
    ],
)
def test_a_wrong_question_is_answered_with_what_to_do(exchange, day, arguments, said, hint):
    ran = exchange(*asked(day, *arguments))
    assert ran.code == 2 and ran.refused is not None
    assert said in ran.refused.message
    assert hint in ran.refused.hint


@pytest.mark.parametrize("number", ["0", "9223372036854775808", "99999999999999999999999"])
def test_a_seq_num_beyond_any_log_is_a_bad_option(exchange, day, number):
    ran = exchange(*asked(day, "--seq-num", number, "--instrument", "AAPL"))
    assert ran.code == 2 and "--seq-num" in ran.err


def test_an_amendment_by_another_instruments_name_is_told_by_symbols(exchange, empty):
    wrong = Command(CommandKind.AMEND, firm=7, order_id=1, price_ticks=101, instrument=1)
    empty.append(timed((order(7, Side.BUY, 10, 100), wrong)))
    assert "the order is of instrument AAPL, not of BRK.A" in exchange(*asked(empty, "--trace", 1)).out


def test_an_empty_log_and_a_missing_folder_are_told_apart(exchange, empty):
    refused = exchange(*asked(empty, "--at", "last", "--instrument", "AAPL")).refused
    assert refused and "there is no folder" in refused.message
    empty.append([])
    refused = exchange(*asked(empty, "--at", "last", "--instrument", "AAPL")).refused
    assert refused and "the log holds no command yet" in refused.message


def test_another_instruments_file_is_refused(exchange, day):
    day.instruments.write_text(day.instruments.read_text().replace("1000000", "1000001"))
    ran = exchange(*asked(day, "--at", "last", "--instrument", "AAPL"))
    assert ran.code == 1 and ran.refused and "other instruments or limits" in ran.refused.message


def test_a_log_with_limits_is_read_with_the_limits_file_of_its_core(exchange, empty, tmp_path):
    limits = tmp_path / "firms.yaml"
    limits.write_text("default: {max_order_quantity: 5}\n")
    config = partition_config(load_instruments(empty.instruments), load_firms(limits).default)
    digest = _core.log_config_digest(config.as_tuple(), instruments_digest(load_instruments(empty.instruments)))
    writer = _core.LogWriter(str(empty.log_dir), digest)
    writer.append([one.as_tuple() for one in timed((order(7, Side.BUY, 6, 100), order(7, Side.BUY, 5, 100)))])
    writer.close()
    book = ["--at", "last", "--instrument", "AAPL"]
    assert "  5  1.00" in exchange(*asked(empty, *book, "--limits", limits)).out
    refused = exchange(*asked(empty, *book)).refused
    assert refused and "other instruments or limits" in refused.message
    made = exchange("snapshot", "--log-dir", empty.log_dir, "--instruments", empty.instruments, "--limits", limits)
    assert made.code == 0 and "seq_num 2" in made.out
    compared = ["verify-release", "installed", "installed", "--log", empty.log_dir, "--instruments", empty.instruments, "--limits", limits]
    assert "same: 2 commands give the same 2 reports" in exchange(*compared).out


def test_a_damaged_record_is_named_and_not_taken_for_the_end(exchange, day):
    path = day.log_dir / "00000001.log"
    data = bytearray(path.read_bytes())
    data[4096 + 3 * 128 + 60] ^= 1
    path.write_bytes(data)
    ran = exchange(*asked(day, "--at", "last", "--instrument", "AAPL"))
    assert ran.code == 1 and ran.refused
    assert "00000001.log: offset 4480" in ran.refused.message
    assert "exchange log verify" in ran.refused.hint


def test_every_moment_shows_the_same_book_with_and_without_snapshots(day):
    log = open_log(LogFiles(day.log_dir, day.instruments))
    plain = [book_at(log, "AAPL", Moment(seq_num=seq_num), 100, True) for seq_num in range(1, len(DAY) + 1)]
    for seq_num in (3, 7, 12, 19):
        day.snapshot_at(seq_num)
    assert [book_at(log, "AAPL", Moment(seq_num=seq_num), 100, True) for seq_num in range(1, len(DAY) + 1)] == plain


LIVES = [
    (order(7, Side.BUY, 10, 0, ord_type=OrdType.STOP, stop_price_ticks=101), "accepted: buy 10 stop 1.01 at the market day"),
    (order(8, Side.SELL, 5, 101, tif=TimeInForce.GTC), "accepted: sell 5 limit 1.01 gtc"),
    (order(9, Side.BUY, 5, 101), "accepted: buy 5 limit 1.01 day"),
    (order(9, Side.BUY, 5, 0, ord_type=OrdType.MARKET, tif=TimeInForce.IOC), "accepted: buy 5 at the market ioc"),
]


def test_stops_and_market_orders_are_told_in_words(exchange, empty):
    empty.append(timed(tuple(command for command, _ in LIVES)))
    for order_id, (_, said) in enumerate(LIVES, 1):
        assert said in exchange(*asked(empty, "--trace", order_id)).out
    stop = exchange(*asked(empty, "--trace", 1)).out
    assert "triggered: the market reached its stop price 1.01" in stop
    assert "cancelled: nothing to trade with" in stop
    assert "bought 5 at 1.01 (it came in)" in exchange(*asked(empty, "--trace", 3)).out


def test_what_others_did_to_an_order_is_told_in_words(exchange, empty):
    kill = Command(CommandKind.KILL, firm=7, qty=1)
    mass = Command(CommandKind.MASS_CANCEL, firm=8, instrument=0)
    limits = Command(CommandKind.LIMITS, firm=9, stp=1)
    own = (order(9, Side.SELL, 5, 300), order(9, Side.BUY, 5, 300))
    empty.append(timed((order(7, Side.BUY, 1, 100), order(8, Side.BUY, 1, 100), kill, mass, limits, *own)))
    assert "cancelled: the kill switch blocked its firm" in exchange(*asked(empty, "--trace", 1)).out
    assert "cancelled with all orders of its firm" in exchange(*asked(empty, "--trace", 2)).out
    assert "cancelled: it would have traded 5 with order 3 of the same firm" in exchange(*asked(empty, "--trace", 4)).out


def test_the_other_side_of_a_trade_is_shown_on_request_only(exchange, day):
    assert "other order" not in exchange(*asked(day, "--trace", "3")).out
    assert "contra_order_id" not in exchange(*asked(day, "--trace", "3", "--output", "json")).out
    assert '"contra_order_id": 5' in exchange(*asked(day, "--trace", "3", "--output", "json", "--internal")).out


def test_partitions_are_found_and_an_order_is_looked_for_in_its_own(exchange, empty):
    for partition in (0, 1):
        folder = empty.log_dir / f"partition-{partition:02d}"
        writer = _core.LogWriter(str(folder), empty.digest(2, partition))
        writer.append([one.as_tuple() for one in timed((order(7, Side.BUY, 3 + partition, 200, instrument=partition),))])
        writer.close()
    log = open_log(LogFiles(empty.log_dir, empty.instruments))
    assert [one.config for one in log.partitions] == [partition_config(log.instruments, None, 2, number) for number in (0, 1)]
    assert "buy 4 limit 100.0 day, BRK.A, firm 7" in exchange(*asked(empty, "--trace", "2")).out
    assert "3  2.00" in exchange(*asked(empty, "--at", "last", "--instrument", "AAPL")).out
    refused = exchange(*asked(empty, "--trace", "2", "--partitions", "3")).refused
    assert refused and "partition-02 missing; it holds partition-00, partition-01" in refused.message


def test_a_replay_of_the_log_is_the_run_itself(day):
    engine = _core.Engine(partition_config(open_log(LogFiles(day.log_dir, day.instruments)).instruments).as_tuple())
    for command in timed(DAY):
        engine.apply(*command.as_tuple())
    replayer = day.replayer()
    run_through(replayer)
    assert replayer.engine().state_hash() == engine.state_hash()


def test_progress_is_told_on_stderr_only(exchange, day, monkeypatch):
    monkeypatch.setattr("engine.tools.edge.PROGRESS_RECORDS", 5)
    ran = exchange(*asked(day, "--at", "last", "--instrument", "AAPL"))
    assert "replayed 5 commands, at 2026-11-20T10:15:04.123456789Z" in ran.err
    assert "replayed" not in ran.out


def test_a_halted_book_says_so(exchange, day):
    day.append(timed((session(SessionState.HALTED, 0),), start_ns=timed(DAY)[-1].ts_ns))
    assert "halted, last trade" in exchange(*asked(day, "--at", "last", "--instrument", "AAPL")).out
