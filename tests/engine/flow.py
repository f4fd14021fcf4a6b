"""Sequences of commands that mix everything the engine knows, near enough to each other that things meet.

`Flow` makes long ones from a seed and looks at a reference engine to pick orders that exist; `sequences` are hypothesis strategies
for short ones that shrink well.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from hypothesis import strategies as st

from engine.reference import ReferenceEngine
from engine.types import (
    ALL_INSTRUMENTS,
    Command,
    CommandKind,
    EngineConfig,
    FirmLimits,
    InstrumentRules,
    OrdType,
    Report,
    SessionState,
    Side,
    StpMode,
    TimeInForce,
)

FIRMS = 5
PLAIN = InstrumentRules(max_qty=60)
GUARDED = InstrumentRules(max_qty=50, reference_ticks=100, luld_bps=400, collar_bps=600, market_notional_cap=1_000, fat_finger_pct=108)
YOUNG = InstrumentRules(max_qty=40, luld_bps=300, collar_bps=150, fat_finger_pct=120, initial_state=SessionState.PRE_OPEN)

CONFIGS = (
    EngineConfig((PLAIN, GUARDED, YOUNG), max_live_orders=40, limit_state_ns=15, halt_ns=40, partitions=3, partition=1),
    EngineConfig(
        (GUARDED, GUARDED, PLAIN),
        FirmLimits(max_order_qty=30, position_limit=90, rate_per_s=10**7, burst=20, stp=StpMode.DECREMENT),
        max_live_orders=1 << 20,
        limit_state_ns=60,
        halt_ns=25,
    ),
    EngineConfig((GUARDED,), FirmLimits(stp=StpMode.CANCEL_OLDEST), max_live_orders=25, limit_state_ns=1, halt_ns=1),
)

DAY = (
    SessionState.CLOSING_AUCTION,
    SessionState.CLOSED,
    CommandKind.CORPORATE_ACTION,
    CommandKind.END_OF_DAY,
    SessionState.PRE_OPEN,
    SessionState.OPENING_AUCTION,
    SessionState.CONTINUOUS,
)
WEIGHTS = {
    CommandKind.NEW_ORDER: 70,
    CommandKind.CANCEL: 8,
    CommandKind.REDUCE: 4,
    CommandKind.AMEND: 13,
    CommandKind.SESSION: 2,
    CommandKind.TIMER: 4,
    CommandKind.KILL: 1,
    CommandKind.LIMITS: 2,
    CommandKind.MASS_CANCEL: 1,
    CommandKind.CORPORATE_ACTION: 1,
    CommandKind.END_OF_DAY: 1,
    CommandKind.REFERENCE: 2,
}


class Flow:
    """Commands from a seed; `engine` has applied every one of them."""

    def __init__(self, config: EngineConfig, seed: int, *, splits: bool = True) -> None:
        self.engine = ReferenceEngine(config)
        self.random = random.Random(seed)
        self.instruments = len(config.instruments)
        self.splits = splits
        self.now_ns = self.random.choice([0, 10**18])
        self.ids = [0, 1]
        self.owners: dict[int, int] = {}
        self.names = [""] * 12 + [f"n{number}" for number in range(400)] + ["x" * 40]
        self.script: deque[int] = deque()

    def next(self) -> tuple[Command, list[Report]]:
        command = self._command()
        reports = self.engine.apply(command)
        for report in reports:
            if report.order_id and report.order_id not in self.owners:
                self.owners[report.order_id] = report.firm
                self.ids.append(report.order_id)
        return command, reports

    def commands(self, count: int) -> list[Command]:
        return [self.next()[0] for _ in range(count)]

    def _command(self) -> Command:
        pick = self.random
        self.now_ns += pick.choice([0, 0, 1, 1, 2, 3, 5, 8, 20, 100])
        ts_ns = self.now_ns - (pick.randint(1, 50) if pick.random() < 0.05 else 0)
        if not self.script and pick.random() < 0.004:
            self.script.extend(DAY)
        if self.script and pick.random() < 0.12:
            return self._of_day(self.script.popleft(), ts_ns)
        if pick.random() < 0.012:
            return self._senseless(ts_ns)
        kind = pick.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        return Command(kind, ts_ns=ts_ns, **self._fields(kind))

    def _of_day(self, step: int, ts_ns: int) -> Command:
        if isinstance(step, SessionState):
            return Command(CommandKind.SESSION, instrument=ALL_INSTRUMENTS, state=step, ts_ns=ts_ns)
        return Command(step, ts_ns=ts_ns, **self._fields(CommandKind(step)))

    def _senseless(self, ts_ns: int) -> Command:
        wrong: dict[str, Any] = self.random.choice(
            [
                {"kind": 0},
                {"kind": 13},
                {"kind": CommandKind.NEW_ORDER, "side": 3},
                {"kind": CommandKind.NEW_ORDER, "ord_type": 0},
                {"kind": CommandKind.NEW_ORDER, "tif": 2},
                {"kind": CommandKind.CANCEL, "firm": 65_536},
                {"kind": CommandKind.SESSION, "state": 6},
                {"kind": CommandKind.LIMITS, "stp": 4},
                {"kind": CommandKind.KILL, "qty": 2},
            ]
        )
        return Command(**({"price_ticks": 100, "qty": 1, "firm": 1, "ts_ns": ts_ns} | wrong))

    def _fields(self, kind: CommandKind) -> dict[str, Any]:
        make = {
            CommandKind.NEW_ORDER: self._new_order,
            CommandKind.CANCEL: self._named_order,
            CommandKind.REDUCE: lambda: self._named_order() | {"qty": self.random.choice([-1, 0, 1, 2, 3, 5, 9])},
            CommandKind.AMEND: self._amend,
            CommandKind.SESSION: lambda: {
                "instrument": self._instrument(True),
                "state": self.random.choice([2, 2, 2, 2, 2, *SessionState]),
            },
            CommandKind.TIMER: dict,
            CommandKind.KILL: lambda: {"firm": self._firm(), "qty": int(self.random.random() < 0.2)},
            CommandKind.LIMITS: self._limits,
            CommandKind.MASS_CANCEL: lambda: {"firm": self._firm(), "instrument": self._instrument(True)},
            CommandKind.CORPORATE_ACTION: self._corporate_action,
            CommandKind.END_OF_DAY: lambda: {"qty": 20261120},
            CommandKind.REFERENCE: lambda: {"instrument": (at := self._instrument()), "price_ticks": self._price(at, 0.05)},
        }
        return make[kind]()

    def _firm(self) -> int:
        return self.random.choice([*range(1, FIRMS + 1)] * 20 + [0, 65_535])

    def _instrument(self, may_be_all: bool = False) -> int:
        if may_be_all and self.random.random() < 0.3:
            return ALL_INSTRUMENTS
        return self.random.choice([*range(self.instruments)] * 30 + [self.instruments, ALL_INSTRUMENTS])

    def _price(self, instrument: int, senseless: float = 0.01) -> int:
        if self.random.random() < senseless:
            return self.random.choice([0, -3, 1, 2, 10**9, 10**9 + 1, 10**12])
        depth = self.engine.depth(instrument, 1)
        near = [depth.bids[0][0]] if depth.bids else []
        near += [depth.asks[0][0]] if depth.asks else []
        centre = depth.last_trade[0] if depth.last_trade else sum(near) // len(near) if near else 100
        spread = max(4, centre // 25)
        return max(1, centre + self.random.choice([0, self.random.randint(-spread, spread), self.random.randint(-3, 3)]))

    def _qty(self) -> int:
        return self.random.choice([*range(1, 16)] * 8 + [0, -1, 30, 40, 50, 60, 61])

    def _new_order(self) -> dict[str, Any]:
        instrument = self._instrument()
        ord_type = self.random.choice([1, 2, 2, 2, 2, 2, 2, 3, 4, 4])
        rare_tif = self.random.choice([TimeInForce.IOC, TimeInForce.FOK]) if self.random.random() < 0.25 else TimeInForce.DAY
        common_tif = self.random.choice([TimeInForce.DAY, TimeInForce.GTC])
        plain = ord_type in (OrdType.LIMIT, OrdType.MARKET) or self.random.random() < 0.05
        return {
            "side": self.random.choice(list(Side)),
            "ord_type": ord_type,
            "tif": rare_tif if rare_tif and plain else common_tif,
            "firm": self._firm(),
            "instrument": instrument,
            "price_ticks": self._price(instrument),
            "qty": self._qty(),
            "stop_price_ticks": self._price(instrument) // self.random.choice([1] * 5 + [2]),  # half: worth more when it is triggered
            "cl_ord_id": self.random.choice(self.names),
        }

    def _named_order(self) -> dict[str, Any]:
        live = [row[0] for instrument in range(self.instruments) for row in self.engine.orders(instrument)]
        others = [*self.ids[-30:], 0, 10**6, 2**64 - 1]
        order_id = self.random.choice(live if live and self.random.random() < 0.85 else others)
        owner = self.owners.get(order_id, 1)
        return {"order_id": order_id, "firm": owner if self.random.random() < 0.93 else self._firm()}

    def _amend(self) -> dict[str, Any]:
        named = self._named_order()
        rows = [row for instrument in range(self.instruments) for row in self.engine.orders(instrument) if row[0] == named["order_id"]]
        instrument = rows[0][2] if rows else 0
        stop_waits = bool(rows and rows[0][6])
        change = {
            "price_ticks": self._price(instrument) if self.random.random() < 0.5 else 0,
            "qty": self._qty() if self.random.random() < 0.5 else 0,
            "stop_price_ticks": self._price(instrument) if self.random.random() < (0.6 if stop_waits else 0.03) else 0,
        }
        if rows and rows[0][4] == OrdType.STOP and self.random.random() < 0.9:
            change["price_ticks"] = 0
        said = self.random.choices([ALL_INSTRUMENTS, instrument, self._instrument()], [80, 15, 5])[0]
        return named | change | {"instrument": said}

    def _limits(self) -> dict[str, Any]:
        pick = self.random.choice
        return {
            "firm": self._firm(),
            "qty": pick([0, 0, 12, 30, 10**9, 10**9 + 1] if self.random.random() < 0.1 else [0, 0, 12, 30]),
            "price_ticks": pick([0, 0, 40, 90]),
            "stop_price_ticks": (rate := pick([0, 0, 0, 10**6, 10**7])),
            "order_id": pick([1, 4, 9]) if rate and self.random.random() < 0.95 else 0,
            "stp": pick(list(StpMode)),
        }

    def _corporate_action(self) -> dict[str, Any]:
        if not self.splits:
            return {"instrument": self.instruments}
        num, den, dividend = self.random.choice([(2, 1, 0), (1, 2, 0), (3, 2, 1), (1, 1, 3), (2, 3, 0), (1, 7, 0), (1000, 1, 0), (0, 1, 0)])
        return {"instrument": self._instrument(), "qty": num, "price_ticks": den, "stop_price_ticks": dividend}


class WideFlow(Flow):
    """Prices over the whole range in clusters far apart, deep queues: for what keeps near prices in one place and far ones in another."""

    CENTRES = (1, 40, 2_000, 2_500, 3_100, 1_000_000, 500_000_000, 10**9)

    def _price(self, instrument: int, senseless: float = 0.01) -> int:
        if self.random.random() < 0.8:
            return super()._price(instrument, senseless)
        return min(10**9, max(1, self.random.choice(self.CENTRES) + self.random.randint(-700, 700)))


def _sequences() -> st.SearchStrategy[list[Command]]:
    near = st.integers(94, 107)
    price = st.one_of(near, near, near, near, st.sampled_from([0, -3, 1, 600, 1200, 10**9, 10**9 + 1, 10**12]))
    qty = st.one_of(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0, -1, 31, 40, 41, 50, 60, 61]))
    firm = st.sampled_from([1, 1, 2, 2, 3, 65_535])
    instrument = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
    some = st.one_of(instrument, st.just(ALL_INSTRUMENTS))
    order_id = st.one_of(st.integers(0, 20), st.integers(0, 60), st.integers(0, 60), st.sampled_from([2**63, 2**64 - 1]))
    later = st.sampled_from([0, 0, 0, 1, 7, 15, 40, 100, 10**9])
    keep_or = st.one_of(st.just(0), near)
    said = st.sampled_from([ALL_INSTRUMENTS] * 6 + [0, 0, 1, 3])

    def command(kind: CommandKind, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Command]:
        return st.builds(Command, st.just(kind), ts_ns=later, **fields)

    new_order = command(
        CommandKind.NEW_ORDER,
        side=st.sampled_from([1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 3]),
        ord_type=st.sampled_from([2, 2, 2, 2, 1, 3, 4, 2, 2, 1, 3, 4, 0]),
        tif=st.sampled_from([0, 1, 0, 1, 0, 1, 3, 4, 2]),
        firm=firm,
        instrument=instrument,
        price_ticks=price,
        qty=qty,
        stop_price_ticks=price,
        cl_ord_id=st.sampled_from(["", "", "", "a", "b", "c d", "x" * 40]),
    )
    others = [
        command(CommandKind.CANCEL, firm=firm, order_id=order_id),
        command(CommandKind.REDUCE, firm=firm, order_id=order_id, qty=st.integers(-1, 9)),
        command(
            CommandKind.AMEND, firm=firm, order_id=order_id, instrument=said, price_ticks=keep_or, qty=keep_or, stop_price_ticks=keep_or
        ),
        command(CommandKind.AMEND, firm=firm, order_id=order_id, instrument=said, price_ticks=keep_or, qty=st.integers(0, 12)),
        command(CommandKind.SESSION, instrument=some, state=st.sampled_from([2, 2, 2, 5, 5, 0, 1, 3, 4, 6])),
        command(CommandKind.TIMER),
        command(CommandKind.KILL, firm=firm, qty=st.sampled_from([0, 1, 2])),
        command(
            CommandKind.LIMITS,
            firm=firm,
            qty=st.sampled_from([0, 12]),
            price_ticks=st.sampled_from([0, 20]),
            stop_price_ticks=st.sampled_from([0, 0, 10**7]),
            order_id=st.sampled_from([0, 1, 3]),
            stp=st.integers(0, 4),
        ),
        command(CommandKind.MASS_CANCEL, firm=firm, instrument=some),
        command(
            CommandKind.CORPORATE_ACTION,
            instrument=instrument,
            qty=st.sampled_from([1, 2, 3, 0]),
            price_ticks=st.sampled_from([1, 2, 3]),
            stop_price_ticks=st.sampled_from([0, 1, -1]),
        ),
        command(CommandKind.END_OF_DAY, qty=st.just(20261120)),
        command(CommandKind.REFERENCE, instrument=instrument, price_ticks=price),
    ]
    return st.lists(st.one_of(*[new_order] * 12, *others), max_size=50).map(_with_times)


def _with_times(commands: list[Command]) -> list[Command]:
    """The drawn times are waits."""
    now_ns = 0
    timed = []
    for command in commands:
        now_ns += command.ts_ns
        timed.append(Command(*command.as_tuple()[:12], now_ns, command.cl_ord_id))
    return timed


sequences = _sequences()
