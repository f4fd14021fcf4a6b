"""The matching engine for Python programs: one partition in this process, without network, log or clock.

Batches go in and out as numpy structured arrays, whose records are those of `exchange/exchange.h`, so that nothing is converted one by
one: `COMMAND` in, `REPORT` out. Names and values of the enums: `engine.types`. The rules: docs/engine.md. An example: examples/matching.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine import _core
from engine.types import Command, Depth, EngineConfig, Indicative, Report, SessionState

Records = npt.NDArray[np.void]

COMMAND = np.dtype(
    [
        *((name, "u1") for name in ("kind", "side", "ord_type", "tif", "stp", "state", "cl_ord_id_length", "reserved")),
        ("firm", "<u4"),
        ("instrument", "<u4"),
        ("price_ticks", "<i8"),
        ("qty", "<i8"),
        ("stop_price_ticks", "<i8"),
        ("order_id", "<u8"),
        ("ts_ns", "<i8"),
        ("cl_ord_id", "S40"),
    ]
)
"""One command. Zeros where a kind does not use a field; `cl_ord_id_length` counts, so set it with the text (`commands()` does)."""

REPORT = np.dtype(
    [
        *((name, "<u8") for name in ("exec_id", "seq_num", "order_id", "trade_id", "contra_order_id")),
        ("firm", "<u4"),
        ("instrument", "<u4"),
        *((name, "u1") for name in ("exec_type", "ord_status", "reason", "side", "ord_type", "tif", "liquidity", "reserved")),
        *((name, "<i4") for name in ("stop_price_ticks", "price_ticks", "last_px_ticks", "reserved2")),
        *((name, "<i8") for name in ("last_qty", "order_qty", "cum_qty", "leaves_qty", "cum_notional", "value", "limit")),
    ]
)
"""One execution report; avg_px in ticks is cum_notional / cum_qty."""

assert COMMAND.itemsize == _core.COMMAND_SIZE
assert REPORT.itemsize == _core.REPORT_SIZE


def commands(count: int, cl_ord_ids: npt.ArrayLike | None = None, **columns: npt.ArrayLike) -> Records:
    """`count` commands with the given columns; a scalar stands for all of them, and what is not given is 0.

    Numbers are integers, texts ASCII. Raises ValueError for a column that COMMAND does not have or whose length is not `count`, and for a
    value that its field cannot hold: nothing is rounded, cut or wrapped.
    """
    made = np.zeros(count, dtype=COMMAND)
    for name, values in columns.items():
        if COMMAND.names is None or name not in COMMAND.names:
            raise ValueError(f"a command has no field {name}; it has {', '.join(COMMAND.names or ())}")
        made[name] = (_texts if COMMAND[name].kind == "S" else _numbers)(name, name, values, count)
    if cl_ord_ids is not None:
        made["cl_ord_id"] = _texts("cl_ord_ids", "cl_ord_id", cl_ord_ids, count)
        made["cl_ord_id_length"] = np.char.str_len(made["cl_ord_id"])
    return made


def _as_array(column: str, values: npt.ArrayLike, count: int, dtype: type[object] | None = None) -> npt.NDArray[Any]:
    try:
        given = np.asarray(values, dtype=dtype)
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from error
    if given.shape not in ((), (count,)):
        raise ValueError(f"{column}: expected one value or {count} of them, not an array of the shape {given.shape}")
    return given


def _place(column: str, given: npt.NDArray[Any], index: int) -> str:
    return column if given.shape == () else f"{column}[{index}]"


def _numbers(column: str, field: str, values: npt.ArrayLike, count: int) -> npt.NDArray[Any]:
    bounds = np.iinfo(COMMAND[field])
    given = _as_array(column, values, count)
    if given.dtype.kind in "iu" and (given.size == 0 or (int(given.min()) >= bounds.min and int(given.max()) <= bounds.max)):
        return given
    if given.size > 0 and given.dtype.kind not in "iufO":
        raise ValueError(f"{_place(column, given, 0)}: {given.reshape(-1)[0]!r} is no integer")
    # One by one: for the first that does not fit, and because numpy itself makes floats of some mixtures of integers.
    apart = _as_array(column, values, count, object)
    for index, value in enumerate(apart.reshape(-1)):
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
            raise ValueError(f"{_place(column, apart, index)}: {value!r} is no integer")
        if not bounds.min <= int(value) <= bounds.max:
            raise ValueError(f"{_place(column, apart, index)}: {value} does not lie in {bounds.min}..{bounds.max}")
    return apart


def _texts(column: str, field: str, values: npt.ArrayLike, count: int) -> npt.NDArray[np.bytes_]:
    room = COMMAND[field].itemsize
    given = _as_array(column, values, count, object)
    texts = []
    for index, value in enumerate(given.reshape(-1)):
        text = value.encode("ascii", "replace") if isinstance(value, str) else value
        if not isinstance(text, bytes) or (isinstance(value, str) and not value.isascii()) or b"\0" in text:
            raise ValueError(f"{_place(column, given, index)}: {value!r} is no ASCII text")
        if len(text) > room:
            raise ValueError(f"{_place(column, given, index)}: {value!r} has {len(text)} characters, more than {room}")
        texts.append(text)
    return np.array(texts, dtype=COMMAND[field]).reshape(given.shape)


class MatchingEngine:
    """One partition. The same commands give the same reports and the same `state_hash`, on every machine."""

    def __init__(self, config: EngineConfig, *, saved: bytes | None = None) -> None:
        """`saved`: what save() of an engine with this very configuration returned.

        Raises ValueError on a configuration that makes no sense, and on saved bytes that are damaged or of another one.
        """
        self.config = config
        self._engine = _core.Engine(config.as_tuple()) if saved is None else _core.Engine.load(config.as_tuple(), saved)

    def submit(self, batch: Records) -> Records:
        """Applies commands in order; returns every report, in order. Raises ValueError unless `batch` is a 1-d array of COMMAND."""
        given: object = batch  # whatever the caller's types say
        if not isinstance(given, np.ndarray):
            raise ValueError(f"expected a 1-d array of engine.matching.COMMAND, not a {type(given).__name__}")
        if batch.dtype != COMMAND or batch.ndim != 1:
            raise ValueError(f"expected a 1-d array of engine.matching.COMMAND, not {batch.ndim}-d of {batch.dtype}")
        plain = np.ascontiguousarray(batch).view(np.uint8)
        return self._engine.apply_batch(plain).view(REPORT)

    def apply(self, command: Command) -> list[Report]:
        """The same for one command, as values with names."""
        return [Report(*row) for row in self._engine.apply(*command.as_tuple())]

    def depth(self, instrument: int, levels: int = 10) -> Depth:
        """The `levels` best of each side; both empty for an unknown instrument."""
        bids, asks, last_trade, state, limit_state, indicative = self._engine.depth(instrument, levels)
        return Depth(
            self._engine.last_seq_num(), tuple(bids), tuple(asks), last_trade, state=SessionState(state), limit_state=limit_state,
            indicative=Indicative(*indicative),
        )  # fmt: skip

    def indicative(self, instrument: int) -> Indicative:
        """What an uncross would do now: price, quantity, buys minus sells at that price; zeros while the book is not crossed."""
        return Indicative(*self._engine.indicative(instrument))

    def orders(self, instrument: int) -> list[tuple[Any, ...]]:
        """Live orders in priority order: (order_id, firm, instrument, side, ord_type, tif, untriggered, price_ticks, stop_price_ticks,
        leaves_qty, cum_qty, cum_notional)."""
        return self._engine.orders(instrument)

    def positions(self) -> list[tuple[int, ...]]:
        """(firm, instrument, net, open_buy, open_sell, bought, sold, cash, maker_qty, taker_qty), ascending; cash in ticks times shares."""
        return self._engine.positions()

    @property
    def next_timer_ns(self) -> int:
        """When a TIMER command is due, or 0."""
        return self._engine.next_timer_ns()

    @property
    def last_seq_num(self) -> int:
        return self._engine.last_seq_num()

    @property
    def live_orders(self) -> int:
        return self._engine.live_orders()

    def state_hash(self) -> int:
        """64 bits over everything that a later report can depend on."""
        return self._engine.state_hash()

    def save(self) -> bytes:
        """The whole state, for `MatchingEngine(config, saved=...)`."""
        return self._engine.save()
