"""The native core as Python sees it (engine/native/python/module.cpp). C++ under it, no policy of its own here."""

from collections.abc import Sequence

class LogError(Exception):
    """The log cannot be trusted or written. The message names segment, offset and what to do."""

class LinkError(Exception):
    """A frame that is not of the link's format (length, CRC, type, field)."""

class Engine:
    """The deterministic state machine by itself: dedup, order ids, books, state hash. No log, no I/O, no clock.

    Every method that changes state takes the next seq_num itself (dense, from 1) and returns a Reply as a tuple
    (seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, [(trade_id, price_ticks, qty, maker_order_id), ...]).
    """

    def __init__(self, instrument_max_qty: Sequence[int], max_live_orders: int = ...) -> None:
        """Raises ValueError when a max_qty lies outside 1..10**11, or max_live_orders outside 1..2**24 (its default)."""
    def new_order(
        self, firm: int, instrument: int, side: int, ord_type: int, tif: int, price_ticks: int, qty: int, cl_ord_id: str, ts_ns: int
    ) -> tuple[int, int, int, int, int, int, int, list[tuple[int, int, int, int]]]: ...
    def cancel(self, firm: int, order_id: int, ts_ns: int) -> tuple[int, int, int, int, int, int, int, list[tuple[int, int, int, int]]]: ...
    def reduce(
        self, firm: int, order_id: int, new_leaves_qty: int, ts_ns: int
    ) -> tuple[int, int, int, int, int, int, int, list[tuple[int, int, int, int]]]: ...
    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]], tuple[int, int] | None]: ...
    def state_hash(self) -> int: ...
    def last_seq_num(self) -> int: ...
    def live_orders(self) -> int: ...

class Core:
    """Engine + log + link server: the data plane of `exchange core`. Its thread runs until stop()."""

    def __init__(
        self,
        *,
        log_dir: str,
        instrument_max_qty: Sequence[int],
        ack_policy: str = "device",
        epoch: int = 1,
        segment_records: int = 262144,
        instruments_digest: int = 0,
        link_key: str = "",
    ) -> None:
        """ack_policy: "memory" (survives a process crash) or "device" (group commit to disk before any answer).

        instruments_digest: engine.instruments; a log is refused under another one, and every welcome carries it.
        link_key: a hello without it closes the link and gets no answer; "" asks for none."""
    def recover(self) -> dict[str, int]:
        """Replay the log into the engine. Raises LogError.

        Returns {"records", "last_seq_num", "torn_records_cut", "segments", "elapsed_us"}."""
    def listen(self, host: str, port: int) -> int:
        """Bind the gateways' link (TCP). Port 0 takes a free one. Returns the port. Raises OSError."""
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def stats(self, with_state_hash: bool = True) -> dict[str, int]:
        """{"seq_num", "written_seq_num", "durable_seq_num", "commands", "trades", "queue_depth", "links", "live_orders", "last_tick_ns",
        "log_healthy" (0/1), "running" (0/1: the thread), "epoch", "state_hash", "rejects"}; safe from any thread. The state hash
        costs a pass over all resting orders while the core waits, unless nothing changed; with_state_hash=False leaves it 0.
        commands (logged ones only) and rejects count since the start of the process, trades over the whole log.
        written_seq_num is in the log and maybe not on the disk yet; under "memory" durable_seq_num moves only at recovery."""

# The framed link, both ends. A frame is: u32 length of the rest, u32 CRC32C of the payload, payload (little endian).
# Each encode_* returns one whole frame. Raises LinkError when a text is longer than 255 bytes or the frame than FRAME_MAX, TypeError
# when a number does not fit its field: check a member's input first.
FRAME_MAX: int

def encode_hello(name: str, epoch: int, key: str = "") -> bytes:
    """A key may have 256 bytes."""

def encode_new_order(
    request_id: int, firm: int, instrument: int, side: int, ord_type: int, tif: int, price_ticks: int, qty: int, cl_ord_id: str
) -> bytes: ...
def encode_cancel(request_id: int, firm: int, order_id: int) -> bytes: ...
def encode_reduce(request_id: int, firm: int, order_id: int, new_leaves_qty: int) -> bytes: ...
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
) -> bytes: ...
def encode_welcome(epoch: int, last_seq_num: int, instruments_digest: int = 0) -> bytes: ...
def encode_depth(
    request_id: int,
    seq_num: int,
    bids: Sequence[tuple[int, int]],
    asks: Sequence[tuple[int, int]],
    last_trade: tuple[int, int] | None,
) -> bytes: ...

class FrameDecoder:
    """Bytes in, frames out. Each frame is a tuple whose first item is its kind:

    ("hello", name, epoch, key) · ("welcome", epoch, last_seq_num, instruments_digest) ·
    ("reply", request_id, seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, fills) ·
    ("depth", request_id, seq_num, bids, asks, last_trade | None) ·
    ("new_order", request_id, firm, instrument, side, ord_type, tif, price_ticks, qty, cl_ord_id) ·
    ("cancel", request_id, firm, order_id) · ("reduce", request_id, firm, order_id, new_leaves_qty) ·
    ("depth_request", request_id, instrument, levels) · ("logon", request_id, token)
    """

    def feed(self, data: bytes) -> list[tuple[object, ...]]:
        """Raises LinkError on a bad frame; the link must then be closed."""

def crc32c(data: bytes) -> int: ...
