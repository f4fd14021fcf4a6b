"""`exchange eod`: a trading day, settled from the log. The printed pages are in golden/."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import pytest
from sample_day import DAY, OPEN_NS, STEP_NS, order, same_as_golden, session, timed

from engine.types import Command, CommandKind, SessionState, Side

NEXT_NS = OPEN_NS + 86_400 * 10**9


def asked(day, *arguments: object) -> list[object]:
    return ["eod", "--log-dir", day.log_dir, "--instruments", day.instruments, "--date", "2026-11-20", *arguments]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("eod.txt", []),
        ("eod-rates.txt", ["--maker-rebate", "0", "--taker-fee", "0.00005", "--settlement-days", "2"]),
        ("eod.json", ["--output", "json"]),
    ],
)
def test_the_page_is_as_it_was(exchange, day, name, arguments):
    ran = exchange(*asked(day, *arguments))
    assert ran.code == 0
    same_as_golden(name, ran.out, day)


def test_the_csv_files_say_the_same_as_the_page(exchange, day, tmp_path):
    ran = exchange(*asked(day, "--csv", tmp_path / "eod", "--output", "json"))
    page = json.loads(ran.out)
    for name, key in (("settlement", "settlements"), ("fees", "fees"), ("expired", "expired"), ("corporate-actions", "corporate_actions")):
        path = tmp_path / "eod" / f"{name}-2026-11-20.csv"
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows == [{name: str(value) for name, value in row.items()} for row in page[key]]
        assert f"written: {path}" in ran.err


def test_holidays_move_the_settlement_date(exchange, day, tmp_path):
    (tmp_path / "holidays").write_text("2026-11-23\n")
    assert "settles on 2026-11-24" in exchange(*asked(day, "--holidays", tmp_path / "holidays")).out


def test_a_folder_that_cannot_be_written_is_named(exchange, day, tmp_path):
    (tmp_path / "file").write_text("")
    ran = exchange(*asked(day, "--csv", tmp_path / "file"))
    assert ran.refused and "settlement-2026-11-20.csv cannot be written" in ran.refused.message


def test_an_unknown_day_is_refused_with_the_days_there_are(exchange, day):
    refused = exchange(*asked(day, "--date", "2026-11-19")).refused
    assert refused and "has no end of day 2026-11-19" in refused.message and "2026-11-20" in refused.hint


def test_a_refused_end_of_day_is_told_with_its_reason(exchange, empty):
    empty.append(timed((order(7, Side.BUY, 1, 100), session(SessionState.CLOSED, 0), Command(CommandKind.END_OF_DAY, qty=20261120))))
    refused = exchange(*asked(empty)).refused
    assert refused and "was refused: at seq_num 3 BRK.A was continuous" in refused.message


def second_day(day) -> None:
    """Opens again, one trade of 20 at 75.05, a split, closes, is refused once and ends."""
    end = Command(CommandKind.END_OF_DAY, qty=20261121)
    split = Command(CommandKind.CORPORATE_ACTION, instrument=0, qty=3, price_ticks=1)
    commands = (
        session(SessionState.CONTINUOUS),
        order(7, Side.BUY, 20, 7505),
        order(7, Side.BUY, 9, 7000),
        end,
        session(SessionState.CLOSED),
        split,
        end,
        session(SessionState.PRE_OPEN),
    )
    day.append(timed(commands, start_ns=NEXT_NS))


@pytest.mark.parametrize("snapshots", [(), (4, 17, 18, 20, 25)], ids=["from the log alone", "with snapshots"])
def test_a_day_holds_what_came_after_the_day_before_and_nothing_else(exchange, day, snapshots):
    first = exchange(*asked(day, "--output", "json")).out
    second_day(day)
    for seq_num in snapshots:
        day.snapshot_at(seq_num)
    assert exchange(*asked(day, "--output", "json")).out == first
    page = json.loads(exchange(*asked(day, "--date", "2026-11-21", "--output", "json")).out)
    assert [(one["firm"], one["net"], one["cash"], one["position"]) for one in page["settlements"]] == [
        (7, 20, "-1501.00", 480),
        (8, -20, "1501.00", -480),
    ]
    assert page["seq_nums"] == [len(DAY) + 7]
    assert page["expired"] == [{"firm": 7, "instrument": "AAPL", "orders": 1, "qty": 9}]
    assert [(one["seq_num"], one["new_shares"], one["old_shares"], one["dividend"]) for one in page["corporate_actions"]] == [
        (len(DAY), 2, 1, "0.05"),
        (len(DAY) + 6, 3, 1, "0.00"),
    ]
    assert page["sums_are_zero"]


def test_fees_of_the_page_are_the_rates_times_the_quantities(exchange, day):
    page = json.loads(exchange(*asked(day, "--maker-rebate", "0.0021", "--taker-fee", "0.003", "--output", "json")).out)
    for one in page["fees"]:
        assert Decimal(one["rebate"]) == one["maker_qty"] * Decimal("0.0021")
        assert Decimal(one["fee"]) == one["taker_qty"] * Decimal("0.003")
        assert Decimal(one["net_fee"]) == Decimal(one["fee"]) - Decimal(one["rebate"])


def test_times_of_the_sample_never_go_back():
    assert OPEN_NS + len(DAY) * STEP_NS < NEXT_NS


@pytest.mark.parametrize("rate", ["1e-99999999", "0E+999999", "nan", "-1", "0.0000000000001", "9" * 5000, "1001", ""])
def test_a_rate_that_would_not_stay_exact_or_printable_is_refused(exchange, day, rate):
    refused = exchange(*asked(day, "--maker-rebate", rate)).refused
    assert refused and refused.exit_code == 2 and "--maker-rebate" in refused.message


def test_a_day_at_the_calendars_end_has_no_settlement_date_and_no_traceback(exchange, empty):
    empty.append(timed((session(SessionState.CLOSED), Command(CommandKind.END_OF_DAY, qty=99991231))))
    refused = exchange(*asked(empty, "--date", "9999-12-31")).refused
    assert refused and "the calendar ends before it" in refused.message
    assert exchange(*asked(empty, "--date", "9999-12-31", "--settlement-days", "0")).code == 0
