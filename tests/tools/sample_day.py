"""A trading day that everybody knows, as a log: two firms, two instruments, an auction, trades, a close, a settlement."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

from engine import _core
from engine.config import load_instruments
from engine.instruments import instruments_digest, partition_config
from engine.tools.when import parse_moment
from engine.types import ALL_INSTRUMENTS, Command, CommandKind, OrdType, SessionState, Side, TimeInForce

INSTRUMENTS = """\
- {symbol: AAPL, tick_size: "0.01", max_quantity: 1000000}
- {symbol: BRK.A, tick_size: "0.5", max_quantity: 1000}
"""
OPEN_NS = parse_moment("2026-11-20T10:15:00", UTC)
STEP_NS = 1_000_000_000


def order(firm: int, side: Side, qty: int, price: int = 0, *, instrument: int = 0, **more: object) -> Command:
    return Command(CommandKind.NEW_ORDER, side=side, firm=firm, qty=qty, price_ticks=price, instrument=instrument, **more)


def session(state: SessionState, instrument: int = ALL_INSTRUMENTS) -> Command:
    return Command(CommandKind.SESSION, instrument=instrument, state=state)


def end_of_day(date: int = 20261120) -> Command:
    return Command(CommandKind.END_OF_DAY, qty=date)


DAY = (
    session(SessionState.OPENING_AUCTION),  # 1
    order(7, Side.BUY, 100, 15000, cl_ord_id="first"),  # 2: order 1
    order(8, Side.SELL, 40, 14990),  # 3: order 2
    session(SessionState.CONTINUOUS),  # 4: they trade 40
    order(8, Side.SELL, 200, 15010, tif=TimeInForce.GTC),  # 5: order 3
    order(8, Side.SELL, 50, 15012),  # 6: order 4
    order(7, Side.BUY, 30, 15010, tif=TimeInForce.IOC),  # 7: order 5 takes 30 of order 3
    order(7, Side.BUY, 10, 0, ord_type=OrdType.STOP, stop_price_ticks=15020),  # 8: order 6 waits
    Command(CommandKind.REDUCE, firm=7, order_id=1, qty=50),  # 9
    order(7, Side.BUY, 5, 900, instrument=1),  # 10: order 7
    order(8, Side.SELL, 5, 900, instrument=1),  # 11: order 8
    Command(CommandKind.AMEND, firm=7, order_id=1, price_ticks=15005),  # 12
    order(9, Side.BUY, 1, 15000, cl_ord_id="x", tif=TimeInForce.FOK),  # 13: order 9 finds nobody
    Command(CommandKind.CANCEL, firm=8, order_id=4),  # 14
    Command(CommandKind.CANCEL, firm=8, order_id=4),  # 15: too late
    order(7, Side.BUY, 1, 15000, cl_ord_id="first"),  # 16: refused, order 1 has that id
    session(SessionState.CLOSED),  # 17: DAY orders expire
    end_of_day(),  # 18
    Command(CommandKind.CORPORATE_ACTION, instrument=0, qty=2, price_ticks=1, stop_price_ticks=5),  # 19: 2 for 1, 0.05 off
)


def timed(commands: tuple[Command, ...], start_ns: int = OPEN_NS) -> list[Command]:
    """One a second, in a slightly odd place of it."""
    return [replace(command, ts_ns=start_ns + number * STEP_NS + 123_456_789) for number, command in enumerate(commands)]


@dataclass(frozen=True)
class Sample:
    """A log folder beside its instruments file."""

    log_dir: Path
    instruments: Path

    def digest(self, partitions: int = 1, partition: int = 0) -> int:
        listed = load_instruments(self.instruments)
        return _core.log_config_digest(partition_config(listed, None, partitions, partition).as_tuple(), instruments_digest(listed))

    def append(self, commands: list[Command]) -> int:
        writer = _core.LogWriter(str(self.log_dir), self.digest(), segment_records=8)
        try:
            return writer.append([command.as_tuple() for command in commands])
        finally:
            writer.close()

    def snapshot_at(self, seq_num: int) -> Path:
        """As one that was made when the log ended there."""
        part = Sample(self.log_dir.with_name("part"), self.instruments)
        found = _core.find_commands(str(self.log_dir), self.digest(), (1 << 64) - 1)
        part.append([Command(*command) for number, command in found if number <= seq_num])
        made = Path(part.replayer().make_snapshot()["path"])
        folder = self.log_dir / "snapshots"
        folder.mkdir(exist_ok=True)
        kept = made.rename(folder / made.name)
        for path in sorted(part.log_dir.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        part.log_dir.rmdir()
        return kept

    def replayer(self) -> _core.Replayer:
        listed = load_instruments(self.instruments)
        return _core.Replayer(str(self.log_dir), partition_config(listed).as_tuple(), self.digest())


GOLDEN = Path(__file__).parent / "golden"


def same_as_golden(name: str, text: str, sample: Sample) -> None:
    """Written anew with REWRITE_GOLDEN=1 in the environment; look at the change then."""
    said = text.replace(str(sample.log_dir.parent), "DIR")
    path = GOLDEN / name
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(said)
    assert said == path.read_text()
