"""Commands in, replies out, over the core link: the one path that REST and binary sessions share, with its metrics."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine import _core
from engine.conventions import COMPLETION_BOUND_S
from engine.gateway.link import CoreLink, Frame, LinkBusy, LinkDown, OutcomeUnknown
from engine.gateway.metrics import GatewayMetrics
from engine.gateway.model import Amend, Cancel, DepthQuery, NewOrder, Reduce
from engine.refusals import is_refusal
from engine.types import Depth, Fill, Indicative, OrdStatus, RejectReason, Reply, SessionState

NOT_PROCESSED = (RejectReason.LOG_UNAVAILABLE, RejectReason.BOOK_FULL, RejectReason.BAD_COMMAND)
"""Refusals that are the venue's own trouble: such an order does not count as completed."""


class OrderService:
    """Each method raises LinkDown, LinkBusy (nothing was sent) or OutcomeUnknown (it may have happened)."""

    def __init__(self, link: CoreLink, metrics: GatewayMetrics, clock: Callable[[], float] = time.perf_counter) -> None:
        self._link = link
        self._metrics = metrics
        self._clock = clock

    async def new_order(self, firm: int, order: NewOrder, started_s: float) -> Reply:
        """`started_s`: when the order's bytes were read, on this service's clock."""
        index = order.listing.instrument.instrument_id
        side, ord_type, tif = int(order.side), int(order.ord_type), int(order.time_in_force)
        price_ticks, qty, cl_ord_id, stop_price_ticks = order.price_ticks, order.qty, order.cl_ord_id, order.stop_price_ticks
        return await self.submit(
            lambda request_id: _core.encode_new_order(
                request_id, firm, index, side, ord_type, tif, price_ticks, qty, cl_ord_id, stop_price_ticks
            ),
            started_s,
        )  # fmt: skip

    async def submit(self, encode: Callable[[int], bytes], started_s: float) -> Reply:
        """One new order, whatever its origin: counted as submitted, completed, rejected and timed."""
        metrics = self._metrics
        metrics.submitted.inc()
        try:
            reply = await self._command(encode, is_order=True)
        except OutcomeUnknown:
            metrics.ack_seconds.observe(self._clock() - started_s)
            metrics.rejected("outcome_unknown")
            raise
        except (LinkDown, LinkBusy) as error:
            metrics.rejected("core_unavailable" if isinstance(error, LinkDown) else "gateway_busy")
            raise
        elapsed_s = self._clock() - started_s
        metrics.ack_seconds.observe(elapsed_s)
        if is_refusal(reply.reason):
            metrics.rejected(reply.reason.name.lower())
        if elapsed_s <= COMPLETION_BOUND_S and reply.reason not in NOT_PROCESSED:
            metrics.completed.inc()
        return reply

    async def cancel(self, firm: int, cancel: Cancel) -> Reply:
        order_id = cancel.order_id
        return await self._command(lambda request_id: _core.encode_cancel(request_id, firm, order_id))

    async def reduce(self, firm: int, reduce: Reduce) -> Reply:
        order_id, qty = reduce.order_id, reduce.new_leaves_qty
        return await self._command(lambda request_id: _core.encode_reduce(request_id, firm, order_id, qty))

    async def amend(self, firm: int, amend: Amend) -> Reply:
        fields = (amend.order_id, amend.price_ticks, amend.order_qty, amend.stop_price_ticks, amend.instrument_id)
        return await self.submit_amend(firm, *fields)

    async def submit_amend(
        self, firm: int, order_id: int, price_ticks: int, order_qty: int, stop_price_ticks: int, instrument_id: int
    ) -> Reply:
        """0 keeps what the order has. The core refuses an order of another instrument, unless it is ALL_INSTRUMENTS."""
        fields = (order_id, price_ticks, order_qty, stop_price_ticks, instrument_id)
        return await self._command(lambda request_id: _core.encode_amend(request_id, firm, *fields))

    async def _command(self, encode: Callable[[int], bytes], *, is_order: bool = False) -> Reply:
        """What goes into the log. Settled: answered, or given up."""
        answer = self._link.request(encode, is_order=is_order)
        try:
            reply = to_reply(await answer)
        finally:
            self._metrics.settled.inc()
        self._metrics.answered.inc()
        return reply

    async def depth(self, query: DepthQuery) -> Depth:
        index, levels = query.listing.instrument.instrument_id, query.levels
        frame = await self._link.request(lambda request_id: _core.encode_depth_request(request_id, index, levels))
        assert frame[0] == "depth", frame[0]
        _, _, seq_num, bids, asks, last_trade, state, limit_state, indicative = frame
        return Depth(
            seq_num, tuple(map(tuple, bids)), tuple(map(tuple, asks)), tuple(last_trade) if last_trade is not None else None,
            SessionState(state), bool(limit_state), Indicative(*indicative),
        )  # fmt: skip


def to_reply(frame: Frame) -> Reply:
    """The decoder's tuple as the venue's own value."""
    assert frame[0] == "reply", frame[0]
    _, request_id, seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, fills, value, limit = frame
    executions = tuple(Fill(*fill) for fill in fills)
    status, reason = OrdStatus(status), RejectReason(reason)
    return Reply(request_id, seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, executions, value, limit)
