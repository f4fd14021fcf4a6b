"""The native core as Python sees it (engine/native/python/module.cpp). C++ under it, no policy of its own here."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Config = tuple[list[tuple[int, ...]], tuple[int, ...], int, int, int, int, int]
_Command = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, str]

class LogError(Exception):
    """The log cannot be trusted or written. The message names segment, offset and what to do.

    `cause`: "damage", "snapshot" (it holds records that the log has not got), "empty" (no log there), "in_use", "settings" (another
    configuration, number of partitions, format or epoch), "system" (a right, a full disk, a device), "other"."""

    cause: str

class LinkError(Exception):
    """A frame that is not of the link's format (length, CRC, type, field)."""

COMMAND_SIZE: int
REPORT_SIZE: int
"""Bytes of one record of apply_batch(): engine.matching names their fields."""

class Engine:
    """The deterministic state machine by itself (docs/engine.md): no log, no I/O, no clock. One thread at a time.

    A report is a tuple of the fields of exchange/report.hpp in their order (engine.types.Report has the same)."""

    def __init__(self, config: _Config) -> None:
        """`config`: engine.types.EngineConfig.as_tuple(). Raises ValueError naming the field that makes no sense."""
    def apply(
        self,
        kind: int,
        side: int = 1,
        ord_type: int = 2,
        tif: int = 0,
        stp: int = 0,
        state: int = 0,
        firm: int = 0,
        instrument: int = 0,
        price_ticks: int = 0,
        qty: int = 0,
        stop_price_ticks: int = 0,
        order_id: int = 0,
        ts_ns: int = 0,
        cl_ord_id: str = "",
    ) -> list[tuple[int, ...]]:
        """One command; its reports. Raises TypeError when a number does not fit its field."""
    def apply_batch(self, commands: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Records of exch_command in, of exch_report out (exchange/exchange.h). Raises ValueError on a part of a record, TypeError on
        anything but a contiguous array of bytes in one dimension: nothing is converted."""
    def depth(
        self, instrument: int, levels: int
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]], tuple[int, int] | None, int, bool, tuple[int, int, int]]:
        """(bids, asks, last trade, state, limit_state, indicative (price, qty, imbalance))."""
    def indicative(self, instrument: int) -> tuple[int, int, int]: ...
    def orders(self, instrument: int) -> list[tuple[Any, ...]]:
        """(order_id, firm, instrument, side, ord_type, tif, untriggered, price, stop, leaves, cum, cum_notional), by priority."""
    def positions(self) -> list[tuple[int, ...]]:
        """(firm, instrument, net, open_buy, open_sell, bought, sold, cash, maker_qty, taker_qty), ascending."""
    def save(self) -> bytes: ...
    @staticmethod
    def load(config: _Config, saved: bytes) -> Engine:
        """Raises ValueError on bytes that are damaged or of another configuration."""
    def next_timer_ns(self) -> int: ...
    def state_hash(self) -> int: ...
    def config_digest(self) -> int: ...
    def last_seq_num(self) -> int: ...
    def now_ns(self) -> int: ...
    def trades(self) -> int: ...
    def live_orders(self) -> int: ...

class Core:
    """Partitions (engine + log) behind one link: the data plane of `exchange core`. Its threads run until stop().

    A partition is a thread; an answer leaves when its log has confirmed, by ack_policy, what the answer depends on."""

    def __init__(
        self,
        *,
        config: tuple[list[tuple[int, ...]], tuple[int, ...], int, int, int, int, int],
        log_dir: str,
        ack_policy: str = "device",
        epoch: int = 1,
        segment_records: int = 262144,
        instruments_digest: int = 0,
        link_key: str = "",
        pin_threads: bool = False,
    ) -> None:
        """Raises ValueError on settings that make no sense; touches no file.

        config: engine.instruments.engine_config(); how many partitions is in it, and its last number must be 0.
        ack_policy: "memory" (survives a process crash) or "device" (group commit to disk before any answer).
        instruments_digest: engine.instruments; a log is refused under another one, and every welcome carries it.
        link_key: a hello without it closes the link and gets no answer; "" asks for none.
        pin_threads: a CPU for each thread, where there are more CPUs than threads."""
    def recover(self) -> dict[str, Any]:
        """Newest good snapshot, then the log's tail, of every partition. Raises LogError.

        Returns {"records", "last_seq_num", "torn_records_cut", "segments", "elapsed_us", "snapshot_seq_num" (0: from the log's beginning;
        the smallest), "warnings" (a line for each snapshot passed over), "torn": [(partition, from_seq_num, to_seq_num)] that were cut}."""
    def listen(self, host: str, port: int) -> int:
        """Bind the gateways' link (TCP). Port 0 takes a free one. Returns the port. Raises OSError."""
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def stats(self, with_state_hash: bool = True) -> dict[str, int]:
        """{"seq_num", "written_seq_num", "durable_seq_num", "commands", "trades", "queue_depth", "links", "live_orders", "last_tick_ns",
        "log_healthy" (0/1), "running" (0/1: the threads), "epoch", "state_hash", "rejects"}; safe from any thread. Sums over the
        partitions, and the newest tick; state_hash of several is a digest of theirs. The state hash costs a pass over all resting orders
        while a partition waits, unless nothing changed; with_state_hash=False leaves it 0.
        commands (logged ones only) and rejects count since the start of the process, trades over the whole log.
        written_seq_num is in the log and maybe not on the disk yet; under "memory" durable_seq_num moves only at recovery."""
    def partition_stats(self, with_state_hash: bool = True) -> list[dict[str, int]]:
        """The same of each partition, without "links", "log_healthy", "running" and "epoch"."""
    def log_fault(self) -> str:
        """Why a log takes nothing now, as a sentence; "" when all do."""

# The framed link, both ends. A frame is: u32 length of the rest, u32 CRC32C of the payload, payload (little endian).
# Each encode_* returns one whole frame. Raises LinkError when a text is longer than 255 bytes or the frame than FRAME_MAX, TypeError
# when a number does not fit its field: check a member's input first.
FRAME_MAX: int

def encode_hello(name: str, epoch: int, key: str = "") -> bytes:
    """A key may have 256 bytes."""

def encode_new_order(
    request_id: int,
    firm: int,
    instrument: int,
    side: int,
    ord_type: int,
    tif: int,
    price_ticks: int,
    qty: int,
    cl_ord_id: str,
    stop_price_ticks: int = 0,
) -> bytes: ...
def encode_cancel(request_id: int, firm: int, order_id: int) -> bytes: ...
def encode_reduce(request_id: int, firm: int, order_id: int, new_leaves_qty: int) -> bytes: ...
def encode_amend(
    request_id: int, firm: int, order_id: int, price_ticks: int, qty: int, stop_price_ticks: int, instrument: int = 0xFFFFFFFF
) -> bytes:
    """0 keeps what the order has; qty is the new order_qty. instrument: whose ticks the prices are; all of them (0xFFFFFFFF): not said."""

def encode_control(
    request_id: int,
    kind: int,
    firm: int,
    instrument: int,
    price_ticks: int,
    qty: int,
    stop_price_ticks: int,
    order_id: int,
    stp: int,
    state: int,
) -> bytes:
    """The venue's own commands; fields as in engine.types.Command. Answered by one reply, whose order_qty says how much it touched."""

def encode_depth_request(request_id: int, instrument: int, levels: int) -> bytes: ...
def encode_logon(request_id: int, token: str) -> bytes:
    """First frame of a member's binary session at a gateway; never sent to the core."""

def encode_reply(
    request_id: int,
    seq_num: int,
    order_id: int,
    status: int,
    reason: int,
    order_qty: int,
    cum_qty: int,
    leaves_qty: int,
    fills: Sequence[tuple[int, int, int, int]],
    value: int = 0,
    limit: int = 0,
) -> bytes: ...
def encode_welcome(epoch: int, last_seq_num: int, instruments_digest: int = 0) -> bytes: ...
def encode_depth(
    request_id: int,
    seq_num: int,
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
    last_trade: tuple[int, int] | None,
    state: int = 2,
    limit_state: bool = False,
    indicative: tuple[int, int, int] = (0, 0, 0),
) -> bytes: ...

class FrameDecoder:
    """Bytes in, frames out. Each frame is a tuple whose first item is its kind:

    ("hello", name, epoch, key) · ("welcome", epoch, last_seq_num, instruments_digest) ·
    ("reply", request_id, seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, fills, value, limit) ·
    ("depth", request_id, seq_num, bids, asks, last_trade | None, state, limit_state (0/1), (price_ticks, qty, imbalance)) ·
    ("new_order", request_id, firm, instrument, side, ord_type, tif, price_ticks, qty, cl_ord_id, stop_price_ticks) ·
    ("amend", request_id, firm, order_id, price_ticks, qty, stop_price_ticks, instrument) ·
    ("control", request_id, kind, firm, instrument, price_ticks, qty, stop_price_ticks, order_id, stp, state) ·
    ("cancel", request_id, firm, order_id) · ("reduce", request_id, firm, order_id, new_leaves_qty) ·
    ("depth_request", request_id, instrument, levels) · ("logon", request_id, token)
    """

    def feed(self, data: bytes) -> list[tuple[object, ...]]:
        """Raises LinkError on a bad frame; the link must then be closed."""

def crc32c(data: bytes) -> int: ...

# ---- Replay: what one does with a log afterwards (native/python/replay_binding.cpp) ----
# A config is EngineConfig.as_tuple(), a command Command.as_tuple(), a report Report.as_tuple(), all of engine.types.
# A place in the log is (seq_num, epoch, ts_ns, CRC of the record).

class SnapshotError(Exception):
    """One snapshot cannot be read, trusted or written. The message names file and reason."""

class Replayer:
    """Applies a log folder's records again; the log may be in use, and nothing is written to it.

    config_digest: log_config_digest(); a log of another one is refused. Every method that reads raises LogError.
    """

    def __init__(
        self,
        log_dir: str,
        config: _Config,
        config_digest: int,
    ) -> None:
        """Before the first record. Raises ValueError on a configuration that makes no sense."""
    def begin(self) -> None:
        """Before the first record again, with a fresh engine."""
    def seek(self, *, seq_num: int | None = None, ts_ns: int | None = None) -> list[str]:
        """At the newest good snapshot not after both, else as begin(). Returns a line for each snapshot passed over."""
    def load(self, snapshot_path: str) -> None:
        """At this snapshot. Raises SnapshotError, and is as after begin() then."""
    def run(
        self,
        *,
        seq_num: int | None = None,
        ts_ns: int | None = None,
        records: int | None = None,
        everything: bool = False,
        order_id: int = 0,
        exec_types: int = 0,
        command_kinds: int = 0,
        most: int = ...,
    ) -> tuple[int, int, bool]:
        """Applies records up to seq_num and ts_ns, at most `records`, or to the end of what the log holds now.

        Keeps reports: all, those of an order id, of ExecType values (bits), or caused by CommandKind values (bits); about `most` of them.
        Returns (records applied, reports made, whether `records` or `most` ended it: call again to go on)."""
    def take_kept(self) -> list[tuple[tuple[int, ...], _Command]]:
        """(report, the command under whose seq_num it came), since the last call."""
    def want_digest(self, wanted: bool) -> None:
        """From here on every report goes into digest(), which begins anew with seek(), load() and begin()."""
    def digest(self) -> int: ...
    def place(self) -> tuple[int, int, int, int]:
        """Of the last record applied; zeros before the first."""
    def next_place(self) -> tuple[int, int, int, int] | None: ...
    def first_place(self) -> tuple[int, int, int, int] | None: ...
    def last_place(self) -> tuple[int, int, int, int] | None: ...
    def engine(self) -> Engine:
        """The engine as it stands; for looking only."""
    def make_snapshot(self, keep: int = 3) -> dict[str, Any]:
        """From the newest good snapshot to the end of the log, then a snapshot of that, unless it is there already.

        {"path", "seq_num", "epoch", "ts_ns", "record_crc", "state_hash"} of the newest one (left out while the log is empty), "is_new",
        "records" (applied) and "warnings". Raises SnapshotError."""

class LogWriter:
    """Writes a log as a core does, without one: for samples and tests. It survives the process, not the machine."""

    def __init__(self, log_dir: str, config_digest: int, epoch: int = 1, segment_records: int = 262144) -> None: ...
    def append(self, commands: Iterable[_Command]) -> int:
        """Returns the last seq_num. Raises ValueError for a command that is not well formed."""
    def close(self) -> None: ...

def log_config_digest(config: _Config, instruments_digest: int) -> int:
    """What stands in every segment of a core with this configuration."""

def find_commands(log_dir: str, config_digest: int, command_kinds: int) -> list[tuple[int, _Command]]:
    """(seq_num, command) of every command of these CommandKind values (bits), without applying anything. Raises LogError."""

def list_snapshots(log_dir: str) -> list[str]:
    """Paths, newest first."""

def read_snapshot(path: str) -> dict[str, Any]:
    """{"path", "seq_num", "epoch", "ts_ns", "record_crc", "state_hash"} of its header. Raises SnapshotError."""

# ---- The log's tools (native/python/log_binding.cpp). All raise LogError when the folder cannot be read. ----

def log_verify(dir: str) -> dict[str, Any]:
    """Looks at every record, then at what a start reads; changes nothing. As LogVerifyReport (log_tools.hpp)."""

def log_plan_repair(dir: str) -> dict[str, Any]:
    """What a repair would cut, and what would be lost with it (log_tools.hpp, LogRepairPlan). Changes nothing."""

def log_repair(dir: str, stamp: str, cut_from: int | None = None) -> dict[str, Any]:
    """Does it. `stamp` names the folder for what is cut off; `cut_from`: only if the plan still cuts there (0: nowhere)."""

def log_record_crc(dir: str, seq_num: int) -> int | None:
    """The CRC of one record; None when it is not there."""

class LogReader:
    """The records of a log folder, which may be in use: up to the first that is not whole."""

    def __init__(self, dir: str, from_seq_num: int = 1) -> None: ...
    @property
    def next_seq_num(self) -> int: ...
    @property
    def config_digest(self) -> int: ...
    @property
    def stop(self) -> str:
        """Why the last batch was short: "none", "end", "unfinished", "damaged" or "unreadable"; `stop_text` says where."""
    @property
    def stop_text(self) -> str: ...
    def check_tail(self) -> None:
        """Raises LogError when what stands behind the place it stopped at is no torn last batch."""
    def next_batch(self, n: int) -> list[tuple[Any, ...]]:
        """(seq_num, epoch, batch_first_seq, ts_ns, kind, side, ord_type, tif, stp, state, firm, instrument, price_ticks, qty,
        stop_price_ticks, order_id, cl_ord_id, crc) each; empty at the end."""
