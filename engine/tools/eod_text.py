"""A settled day for people, as JSON and as CSV files. Pure, but for the writing of the files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from engine.config import VenueError
from engine.tools.settle import Day
from engine.tools.text import EXACT, count_text, decimals_of, number_text, table
from engine.types import Instrument

_SETTLED = ("firm", "instrument", "bought", "sold", "net", "cash", "position", "settles")
_FEES = ("firm", "maker qty", "taker qty", "rebate", "fee", "net fee")
_EXPIRED = ("firm", "instrument", "orders", "shares")
_ACTIONS = ("seq_num", "instrument", "new for old", "dividend", "orders")


def day_lines(day: Day) -> list[str]:
    """Tables with headings, and at the end the sums that have to be zero."""
    at = ", ".join(str(seq_num) for seq_num in day.seq_nums)
    lines = [f"end of day {day.trade_date.isoformat()} (seq_num {at}), settles on {day.settlement_date.isoformat()}"]
    for title, header, rows, left in _parts(day):
        lines += ["", title]
        lines += [f"  {line}" for line in table(header, rows, left)] if rows else ["  none"]
    return [*lines, "", _sums(day)]


def _parts(day: Day) -> list[tuple[str, Sequence[str], list[list[str]], tuple[int, ...]]]:
    settled = [
        [str(one.firm), one.instrument.symbol, number_text(one.bought), number_text(one.sold), f"{one.net:+,}" if one.net else "0",
         _money(one.cash, one.instrument), number_text(one.position), day.settlement_date.isoformat()]
        for one in day.settlements
    ]  # fmt: skip
    places = fee_places(day)
    fees = [
        [str(one.firm), number_text(one.maker_qty), number_text(one.taker_qty)]
        + [f"{sum_:,.{places}f}" for sum_ in (one.rebate, one.fee, one.net)]
        for one in day.fees
    ]
    if fees:
        fees.append(["all", *_fee_totals(day, places)])
    expired = [[str(one.firm), one.instrument.symbol, number_text(one.orders), number_text(one.qty)] for one in day.expired]
    actions = [
        [
            str(one.seq_num),
            one.instrument.symbol,
            f"{one.new_shares} for {one.old_shares}",
            _money(one.dividend, one.instrument),
            str(one.orders),
        ]
        for one in day.corporate_actions
    ]
    return [
        ("settlement, shares and money that each firm gets (-: gives)", _SETTLED, settled, (1,)),
        ("fees, above zero: the firm pays; auction fills are free", _FEES, fees, ()),
        ("orders that expired at the close", _EXPIRED, expired, (1,)),
        ("corporate actions on resting orders", _ACTIONS, actions, (1,)),
    ]


def _fee_totals(day: Day, places: int) -> list[str]:
    makers, takers = sum(one.maker_qty for one in day.fees), sum(one.taker_qty for one in day.fees)
    totals = [Decimal(0)] * 3
    for one in day.fees:
        totals = [EXACT.add(old, new) for old, new in zip(totals, (one.rebate, one.fee, one.net), strict=True)]
    return [number_text(makers), number_text(takers), *(f"{total:,.{places}f}" for total in totals)]


def fee_places(day: Day) -> int:
    """As many decimals as the exact amounts of this day need, and at least two."""
    amounts = (amount for one in day.fees for amount in (one.rebate, one.fee))
    return max((2, *(decimals_of(amount) for amount in amounts)))


def _money(amount: Decimal, instrument: Instrument) -> str:
    return f"{amount:,.{_places(instrument)}f}"


def _places(instrument: Instrument) -> int:
    """Enough to be exact, and at least cents."""
    return max(2, decimals_of(instrument.tick_size))


def _sums(day: Day) -> str:
    broken = day.broken_sums()
    if broken:
        return f"sums: NOT ZERO: {'; '.join(broken)}"
    count = len({one.instrument.symbol for one in day.settlements})
    return (
        f"sums over all firms: zero in {count_text(count, 'instrument')}, of shares bought less sold, cash, and maker less taker quantity"
    )


def day_json(day: Day) -> dict[str, object]:
    """Money as decimal strings."""
    return {
        "trade_date": day.trade_date.isoformat(),
        "settlement_date": day.settlement_date.isoformat(),
        "seq_nums": list(day.seq_nums),
        "settlements": [dict(zip(_SETTLEMENT_FIELDS, row, strict=True)) for row in _settlement_rows(day)],
        "fees": [dict(zip(_FEE_FIELDS, row, strict=True)) for row in _fee_rows(day)],
        "expired": [dict(zip(_EXPIRED_FIELDS, row, strict=True)) for row in _expired_rows(day)],
        "corporate_actions": [dict(zip(_ACTION_FIELDS, row, strict=True)) for row in _action_rows(day)],
        "sums_are_zero": not day.broken_sums(),
    }


_SETTLEMENT_FIELDS = ("firm", "instrument", "bought", "sold", "net", "cash", "position", "settlement_date")
_FEE_FIELDS = ("firm", "maker_qty", "taker_qty", "rebate", "fee", "net_fee")
_EXPIRED_FIELDS = ("firm", "instrument", "orders", "qty")
_ACTION_FIELDS = ("seq_num", "instrument", "new_shares", "old_shares", "dividend", "orders")
_Row = tuple[int | str, ...]


def _settlement_rows(day: Day) -> list[_Row]:
    settles = day.settlement_date.isoformat()
    return [
        (one.firm, one.instrument.symbol, one.bought, one.sold, one.net, plain(one.cash, one.instrument), one.position, settles)
        for one in day.settlements
    ]


def _fee_rows(day: Day) -> list[_Row]:
    places = fee_places(day)
    return [
        (one.firm, one.maker_qty, one.taker_qty, *(f"{sum_:.{places}f}" for sum_ in (one.rebate, one.fee, one.net))) for one in day.fees
    ]


def _expired_rows(day: Day) -> list[_Row]:
    return [(one.firm, one.instrument.symbol, one.orders, one.qty) for one in day.expired]


def _action_rows(day: Day) -> list[_Row]:
    return [
        (one.seq_num, one.instrument.symbol, one.new_shares, one.old_shares, plain(one.dividend, one.instrument), one.orders)
        for one in day.corporate_actions
    ]


def plain(amount: Decimal, instrument: Instrument) -> str:
    """For machines: no grouping."""
    return f"{amount:.{_places(instrument)}f}"


def write_csv(day: Day, folder: Path) -> list[Path]:
    """Four files named after the trade date, replacing older ones; each first under another name, so that none is ever half written.

    Raises VenueError naming the file."""
    parts = {
        "settlement": (_SETTLEMENT_FIELDS, _settlement_rows(day)),
        "fees": (_FEE_FIELDS, _fee_rows(day)),
        "expired": (_EXPIRED_FIELDS, _expired_rows(day)),
        "corporate-actions": (_ACTION_FIELDS, _action_rows(day)),
    }
    written = []
    for name, (fields, rows) in parts.items():
        path = folder / f"{name}-{day.trade_date.isoformat()}.csv"
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([fields, *rows])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".csv.tmp").write_text(text.getvalue(), encoding="utf-8", newline="")
            path.with_suffix(".csv.tmp").replace(path)
        except OSError as error:
            raise VenueError(f"--csv: {path} cannot be written: {error.strerror}", hint="choose another folder") from error
        written.append(path)
    return written
