"""The gateway's side of frames that members see: replies without the counterparty, and depth answers."""

from __future__ import annotations

from engine import _core
from engine.types import Depth, OrdStatus, RejectReason, Reply


def encode_member_reply(request_id: int, reply: Reply) -> bytes:
    """A member learns its own fills; the resting order it met stays inside the venue (0 in its place)."""
    fills = [(fill.trade_id, fill.price_ticks, fill.qty, 0) for fill in reply.fills]
    return _core.encode_reply(
        request_id,
        reply.seq_num,
        reply.order_id,
        int(reply.status),
        int(reply.reason),
        reply.order_qty,
        reply.cum_qty,
        reply.leaves_qty,
        fills,
        reply.value,
        reply.limit,
    )


def encode_refusal(request_id: int, reason: RejectReason) -> bytes:
    """A refusal that the core never saw: seq_num 0, no order."""
    return encode_member_reply(request_id, Reply(request_id, 0, 0, OrdStatus.REJECTED, reason, 0, 0, 0))


def encode_member_depth(request_id: int, depth: Depth) -> bytes:
    return _core.encode_depth(
        request_id, depth.seq_num, depth.bids, depth.asks, depth.last_trade, int(depth.state), depth.limit_state, depth.indicative
    )
