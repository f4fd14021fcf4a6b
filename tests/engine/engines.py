"""Both engines behind one shape: plain tuples out, `Command` in. And `Desk`, which has short words for commands and checks every answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from engine import _core
from engine.reference import ReferenceEngine, make_reply
from engine.types import (
    ALL_INSTRUMENTS,
    Command,
    CommandKind,
    EngineConfig,
    ExecType,
    InstrumentRules,
    Liquidity,
    OrdStatus,
    OrdType,
    RejectReason,
    Reply,
    Report,
    SessionState,
    Side,
    TimeInForce,
)

KINDS = ("native", "reference")
Row = tuple[int, ...]
DepthRow = tuple[list[tuple[int, int]], list[tuple[int, int]], tuple[int, int] | None, int, bool, tuple[int, int, int]]


class AnyEngine(Protocol):
    """What the tests ask of an engine."""

    def apply(self, command: Command) -> list[Report]: ...
    def depth(self, instrument: int, levels: int) -> DepthRow: ...
    def indicative(self, instrument: int) -> tuple[int, int, int]: ...
    def orders(self, instrument: int) -> list[Row]: ...
    def positions(self) -> list[Row]: ...
    def next_timer_ns(self) -> int: ...
    def state_hash(self) -> int: ...
    def last_seq_num(self) -> int: ...
    def live_orders(self) -> int: ...
    def trades(self) -> int: ...


class Reference:
    """The engine in plain Python."""

    def __init__(self, config: EngineConfig) -> None:
        self.engine = ReferenceEngine(config)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def depth(self, instrument: int, levels: int) -> DepthRow:
        depth = self.engine.depth(instrument, levels)
        return (list(depth.bids), list(depth.asks), depth.last_trade, depth.state, depth.limit_state, depth.indicative)


class Native:
    """The engine in C++."""

    def __init__(self, config: EngineConfig, saved: bytes | None = None) -> None:
        plain = config.as_tuple()
        self.engine = _core.Engine(plain) if saved is None else _core.Engine.load(plain, saved)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def apply(self, command: Command) -> list[Report]:
        return [Report(*report) for report in self.engine.apply(*command.as_tuple())]

    def indicative(self, instrument: int) -> tuple[int, int, int]:
        return tuple(self.engine.indicative(instrument))


def make_engine(kind: str, config: EngineConfig) -> AnyEngine:
    return Native(config) if kind == "native" else Reference(config)


PLAIN = InstrumentRules(max_qty=1_000_000)


class Desk:
    """An engine with short words for commands. Every command's reports are checked: numbered densely, quantities add up."""

    def __init__(self, kind: str, rules: Sequence[InstrumentRules] = (PLAIN, PLAIN), **config: Any) -> None:
        self.engine = make_engine(kind, EngineConfig(tuple(rules), **config))
        self.now_ns = 0
        self.exec_id = 0
        self.reports: list[Report] = []

    def do(self, kind: CommandKind, **fields: Any) -> Reply:
        """Applies a command; its reports are in `reports` then."""
        command = Command(kind, ts_ns=self.now_ns, **fields)
        self.reports = self.engine.apply(command)
        for report in self.reports:
            if report.reason == RejectReason.BAD_COMMAND:
                assert (report.exec_id, report.seq_num) == (0, 0)
                continue
            self.exec_id += 1
            assert (report.exec_id, report.seq_num) == (self.exec_id, self.engine.last_seq_num())
            if report.order_id and report.ord_status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
                assert report.order_qty == report.cum_qty + report.leaves_qty
            elif report.order_id:
                assert report.leaves_qty == 0
        return make_reply(command, self.reports)

    def order(
        self,
        side: Side,
        qty: int,
        price: int | None = None,
        *,
        stop: int | None = None,
        tif: TimeInForce = TimeInForce.DAY,
        firm: int = 1,
        instrument: int = 0,
        cl_ord_id: str = "",
    ) -> Reply:
        ord_type = {(False, False): OrdType.LIMIT, (True, False): OrdType.MARKET, (True, True): OrdType.STOP}.get(
            (price is None, stop is not None), OrdType.STOP_LIMIT
        )
        return self.do(
            CommandKind.NEW_ORDER,
            side=side,
            ord_type=ord_type,
            tif=tif,
            firm=firm,
            instrument=instrument,
            price_ticks=price or 0,
            qty=qty,
            stop_price_ticks=stop or 0,
            cl_ord_id=cl_ord_id,
        )

    def buy(self, qty: int, price: int | None = None, **rest: Any) -> Reply:
        return self.order(Side.BUY, qty, price, **rest)

    def sell(self, qty: int, price: int | None = None, **rest: Any) -> Reply:
        return self.order(Side.SELL, qty, price, **rest)

    def cancel(self, order_id: int, firm: int = 1) -> Reply:
        return self.do(CommandKind.CANCEL, firm=firm, order_id=order_id)

    def reduce(self, order_id: int, new_leaves_qty: int, firm: int = 1) -> Reply:
        return self.do(CommandKind.REDUCE, firm=firm, order_id=order_id, qty=new_leaves_qty)

    def amend(
        self, order_id: int, *, price: int = 0, qty: int = 0, stop: int = 0, firm: int = 1, instrument: int = ALL_INSTRUMENTS
    ) -> Reply:
        change = {"price_ticks": price, "qty": qty, "stop_price_ticks": stop}
        return self.do(CommandKind.AMEND, firm=firm, order_id=order_id, instrument=instrument, **change)

    def session(self, state: SessionState, instrument: int = ALL_INSTRUMENTS) -> Reply:
        return self.do(CommandKind.SESSION, state=state, instrument=instrument)

    def pass_time(self, elapsed_ns: int) -> Reply:
        self.now_ns += elapsed_ns
        return self.do(CommandKind.TIMER)

    def kill(self, firm: int, on: int = 1) -> Reply:
        return self.do(CommandKind.KILL, firm=firm, qty=on)

    def mass_cancel(self, firm: int, instrument: int = ALL_INSTRUMENTS) -> Reply:
        return self.do(CommandKind.MASS_CANCEL, firm=firm, instrument=instrument)

    def limits(self, firm: int, *, order_qty: int = 0, position: int = 0, rate: int = 0, burst: int = 0, stp: int = 0) -> Reply:
        return self.do(CommandKind.LIMITS, firm=firm, qty=order_qty, price_ticks=position, stop_price_ticks=rate, order_id=burst, stp=stp)

    def corporate_action(self, num: int, den: int, dividend: int = 0, instrument: int = 0) -> Reply:
        return self.do(CommandKind.CORPORATE_ACTION, instrument=instrument, qty=num, price_ticks=den, stop_price_ticks=dividend)

    def end_of_day(self, date: int = 20261120) -> Reply:
        return self.do(CommandKind.END_OF_DAY, qty=date)

    def reference(self, price: int, instrument: int = 0) -> Reply:
        return self.do(CommandKind.REFERENCE, instrument=instrument, price_ticks=price)

    def trade(self, price: int, qty: int = 1, instrument: int = 0) -> None:
        """Makes the last trade, between two firms that no test uses."""
        self.sell(qty, price, firm=901, instrument=instrument)
        reply = self.buy(qty, price, firm=902, instrument=instrument, tif=TimeInForce.IOC)
        assert [(fill.price_ticks, fill.qty) for fill in reply.fills] == [(price, qty)]

    def bids(self, instrument: int = 0) -> list[tuple[int, int]]:
        return self.engine.depth(instrument, 1000)[0]

    def asks(self, instrument: int = 0) -> list[tuple[int, int]]:
        return self.engine.depth(instrument, 1000)[1]

    def last_trade(self, instrument: int = 0) -> tuple[int, int] | None:
        return self.engine.depth(instrument, 1)[2]

    def state(self, instrument: int = 0) -> SessionState:
        return SessionState(self.engine.depth(instrument, 1)[3])

    def live_ids(self, instrument: int = 0) -> list[int]:
        return [row[0] for row in self.engine.orders(instrument)]

    def told(self) -> list[str]:
        """The last command's reports as text, every field that is not zero but exec_id and seq_num."""
        return [tell(report) for report in self.reports]


def tell(report: Report) -> str:
    """`TRADE #2 FILLED firm 2 buy limit day 5@100 taker last 5@100 trade 1 contra 1 cum 5 notional 500`; an order's quantity@price,
    `stop` its stop price. Names and numbers that are zero are left out."""
    words: list[Any] = [ExecType(report.exec_type).name]
    words += [f"#{report.order_id}"] if report.order_id else []
    words += [OrdStatus(report.ord_status).name] if report.ord_status else []
    words += [RejectReason(report.reason).name] if report.reason else []
    words += [f"firm {report.firm}"] if report.firm else []
    words += [f"instrument {report.instrument}"] if report.instrument else []
    if report.side:
        tif = TimeInForce(report.tif).name.lower()
        words += [Side(report.side).name.lower(), OrdType(report.ord_type).name.lower(), tif]
    words += [f"{report.order_qty}@{report.price_ticks}"] if report.order_qty or report.price_ticks else []
    words += [f"stop {report.stop_price_ticks}"] if report.stop_price_ticks else []
    words += [Liquidity(report.liquidity).name.lower()] if report.liquidity else []
    words += [f"last {report.last_qty}@{report.last_px_ticks}"] if report.last_qty or report.last_px_ticks else []
    named = (
        ("trade", report.trade_id),
        ("contra", report.contra_order_id),
        ("cum", report.cum_qty),
        ("leaves", report.leaves_qty),
        ("notional", report.cum_notional),
        ("value", report.value),
        ("limit", report.limit),
    )
    return " ".join([str(word) for word in words] + [f"{name} {number}" for name, number in named if number])


def makers(reply: Reply) -> list[int]:
    return [fill.maker_order_id for fill in reply.fills]


def view(engine: AnyEngine, instruments: Iterable[int]) -> list[Any]:
    """All that can be asked of an engine."""
    shown = [(engine.depth(i, 5), tuple(engine.indicative(i)), engine.orders(i)) for i in instruments]
    return [shown, engine.positions(), engine.next_timer_ns(), engine.last_seq_num(), engine.live_orders(), engine.trades()]
